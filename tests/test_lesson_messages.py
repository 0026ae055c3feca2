"""The messages that lessons quote under 'When it goes wrong' are the ones that people really get."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks" / "py").glob("*.py"))
#: Words of others: Google's, Python's.
FOREIGN = (
    "credential propagation was unsuccessful",
    "No module named 'workshop_utils'",
    "Shared with me",
)
_LEAST = 12  # shorter quotations are names of menus and buttons


@functools.cache
def sentences() -> str:
    """Join all texts in the code, with an ellipsis where a value is put in, and the lessons' own code."""
    found = []
    for path in [*(ROOT / "cnmf_engine").rglob("*.py"), *(ROOT / "workshop_utils").rglob("*.py"), *LESSONS]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [value.value if isinstance(value, ast.Constant) else "..." for value in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[-+.\d]*[dsgfr]", "...", node.value))
    return re.sub(r"\s+", " ", "\n".join(found))


def quoted(source: str) -> list[str]:
    """List what stands in quotation marks where a lesson says what can go wrong."""
    section = re.search(r"^# ## When it goes wrong$(.*?)^# ## ", source, re.MULTILINE | re.DOTALL)
    text = re.sub(r"\s+", " ", section.group(1).replace("\n#", " ")) if section else ""
    return [part for part in re.findall(r'"([^"]+)"', text) if len(part) >= _LEAST]


def is_said(message: str) -> bool:
    """Say whether a message, in which '...' stands for values, is one of the program's."""
    wanted = re.sub(r"^Expected (a |an )?", "", message)
    # Names in quotation marks are values, too, unless the program always says the same.
    return any(
        re.search(".{0,40}?".join(re.escape(piece.strip()) for piece in form.split("...")), sentences())
        for form in (wanted, re.sub(r"'[^' ]+'", "'...'", wanted), re.sub(r"'[^' ]+'", "...", wanted))
    )


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_quoted_messages_are_real(path):
    messages = quoted(path.read_text(encoding="utf-8"))
    assert messages, "no message is quoted under 'When it goes wrong'"
    invented = [text for text in messages if text not in FOREIGN and not is_said(text)]
    assert invented == [], "quote the message as the program words it, with ... for values"


def test_an_invented_message_is_noticed():
    assert is_said("Expected a whole TIFF file")
    assert is_said("Expected what the step 'motion' leaves in ...")
    assert not is_said("Expected a whole camel in the file")
    assert quoted(
        '# ## When it goes wrong\n#\n# - *"Something is\n#   wrong here":* do.\n#\n# ## Read on\n'
    ) == ["Something is wrong here"]
