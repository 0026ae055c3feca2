"""What a lesson's code says about each name, and what its prose says: see `test_prose.py` for the rules."""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prose import Passage, Table

_MOST = 64
_OPERATORS: dict[type, Callable] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Pow: lambda a, b: a**b,
}
NUMBER = r"-?\d+(?:\.\d+)?"
VALUE = rf"\({NUMBER}(?:, ?{NUMBER})+\)|{NUMBER}|\b(?:True|False|None)\b|'[^'\n]*'|\"[^\"\n]*\""
UNITS = {
    "px": "px", "pixel": "px", "pixels": "px", "s": "s", "second": "s", "seconds": "s", "Hz": "Hz",
    "frames per second": "Hz", "µm": "um", "um": "um", "ms": "ms", "frames": "frames", "minutes": "minutes",
}  # fmt: skip
#: Words before a name that make its value advice: it must be possible, but needn't be in the code.
ADVICE = re.compile(
    r"\b(try|lower|raise|reduce|increase|set|if|when|unless|suppose|such as|as in|for example)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(r"\b(lower|reduce)\s+(?:the\s+)?\S*$", re.IGNORECASE)
_UP = re.compile(r"\b(raise|increase)\s+(?:the\s+)?\S*$", re.IGNORECASE)
_NAME = re.compile(r"`([A-Za-z_]\w*)`|\b([A-Za-z]+(?:_[A-Za-z]+)+|[a-z]+[A-Z]\w*)\b")
_LINK = r"(?:(?:is|are|was|be|of|at|to|from|stays|equals|than|above|below|around|=|:)\s+){0,2}"
_UNIT = rf"(?:\s+({'|'.join(sorted(UNITS, key=len, reverse=True))})\b)?"
_AFTER = re.compile(
    rf"\s*{_LINK}(?P<first>{VALUE})(?P<more>(?:(?:, | and | or |, and |, or | to )(?:{VALUE}))*)"
    rf"(?![\w.]*\w)(?!-\d){_UNIT}"
)
_KEYED = re.compile(rf"(?<![\w.])(\w+)\s?=\s?({VALUE})(?![\w.]*\w)")
_PASSED = re.compile(r"-p (\w+)[ =](\S+)")
_ENTRY = re.compile(rf"[\"'](\w+)[\"']:\s*({VALUE})")


def same(one: Any, other: Any) -> bool:
    """Compare as readers do: 12 is 12.0, and 3 stands for (3, 3); True isn't 1."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (list, tuple)) or isinstance(other, (list, tuple)):
        many, single = (one, other) if isinstance(one, (list, tuple)) else (other, one)
        return len(many) > 1 and all(same(item, single) for item in many)
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one == other
    return abs(one - other) <= 1e-9 * max(1, abs(one))


class Code:
    """
    The values that each name takes in some source code, as far as they can be told without running it.

    Parameters
    ----------
    source : str
        Python.
    positional : callable, optional
        Gives the names of a function's parameters, in order, from its name as the source writes it.

    Attributes
    ----------
    stated : dict of str to list
        By assignment, keyword, key of a dictionary, comparison, default or position in a call.
    keyed, listed : dict of str to list
        By keyword or key only, and by key only: what is passed on.
    names : set of str
        All identifiers, attributes, keywords and keys.
    """

    def __init__(self, source: str, positional: Callable[[str], Iterable[str]] | None = None) -> None:
        self.stated: dict[str, list] = defaultdict(list)
        self.keyed: dict[str, list] = defaultdict(list)
        self.listed: dict[str, list] = defaultdict(list)
        self.names: set[str] = set()
        self._bound: dict[str, list] = defaultdict(list)
        self._positional = positional or (lambda name: ())
        tree = ast.parse(source)
        for _ in range(3):  # a name may get its value from one that is bound further down, as in a loop
            for node in ast.walk(tree):
                self._bind(node)
        for node in ast.walk(tree):
            self._state(node)
        for name, values in self._bound.items():
            self._note(self.stated, name, values)

    def values(self, node: ast.AST) -> list:
        """List what an expression may be; empty when that can't be told."""
        if isinstance(node, ast.Constant):
            return [node.value]
        if isinstance(node, ast.Name):
            return list(self._bound.get(node.id, []))
        if isinstance(node, (ast.Tuple, ast.List)):
            if node.elts and len({ast.dump(item) for item in node.elts}) == 1:  # (g, g) is one value twice
                return [(value,) * len(node.elts) for value in self.values(node.elts[0])]
            return self._combined(tuple, [self.values(item) for item in node.elts])
        if isinstance(node, ast.IfExp):
            return self.values(node.body) + self.values(node.orelse)
        if isinstance(node, ast.BoolOp):  # `s.frame_rate or frame_rate`: whichever is known
            return [value for side in node.values for value in self.values(side)]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return [-value for value in self.values(node.operand) if isinstance(value, (int, float))]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            sides = [self.values(node.left), self.values(node.right)]
            return self._combined(lambda pair: _OPERATORS[type(node.op)](*pair), sides)
        return []

    def evaluate(self, text: str) -> list:
        """List what an expression in prose may be, with the values that its names have in the code."""
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError:
            return []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id not in self._bound:
                self._bound[node.id] = [value for value in self.stated.get(node.id, []) if _scalar(value)]
        return self.values(tree)

    @staticmethod
    def _combined(make: Callable, parts: list[list]) -> list:
        found = []
        for chosen in itertools.islice(itertools.product(*parts), _MOST):
            try:
                found.append(make(chosen))
            except (TypeError, ValueError, ArithmeticError):
                continue
        return found

    @staticmethod
    def _note(where: dict[str, list], name: str, values: list) -> None:
        for value in values:
            if not any(type(value) is type(old) and same(value, old) for old in where[name]):
                where[name].append(value)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
            for item in self._items(node.iter):
                self._note(self._bound, node.target.id, self.values(item))

    def _assign(self, target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Name):
            self._note(self._bound, target.id, self.values(value))
        elif isinstance(target, ast.Attribute):
            self._note(self.stated, target.attr, self.values(value))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts):
                self._assign(one, other)

    def _items(self, node: ast.AST) -> list[ast.AST]:
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return list(node.elts)
        if isinstance(node, ast.IfExp):
            return self._items(node.body) + self._items(node.orelse)
        listed = [value for value in self.values(node) if isinstance(value, tuple)]
        return [ast.Constant(item) for value in listed for item in value]

    def _state(self, node: ast.AST) -> None:
        self.names |= set(_identifiers(node))
        if isinstance(node, ast.keyword) and node.arg:
            self._pass_on(node.arg, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self._note(self.listed, key.value, self.values(value))
                    self._pass_on(key.value, value)
        elif isinstance(node, (ast.Compare, ast.Call, ast.arguments)):
            for name, value in self._pairs(node):
                self._note(self.stated, name, self.values(value))

    def _pairs(self, node: ast.Compare | ast.Call | ast.arguments) -> list[tuple[str, ast.AST]]:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = [*zip(sides, sides[1:]), *zip(sides[1:], sides)]
            return [(_last(one), other) for one, other in pairs]
        if isinstance(node, ast.Call):
            return list(zip(self._positional(ast.unparse(node.func)), node.args))
        named = [*zip(reversed(node.args), reversed(node.defaults)), *zip(node.kwonlyargs, node.kw_defaults)]
        return [(argument.arg, value) for argument, value in named if value is not None]

    def _pass_on(self, name: str, value: ast.AST) -> None:
        self._note(self.keyed, name, self.values(value))
        self._note(self.stated, name, self.values(value))


def _scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def _identifiers(node: ast.AST) -> Iterator[str]:
    for name in ("id", "attr", "arg", "name", "asname"):
        value = getattr(node, name, None)
        if isinstance(value, str):
            yield from value.split(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        yield node.value


@dataclass(frozen=True)
class Statement:
    """
    A value that prose gives a name.

    `kind` is 'states'; 'advises' for a value to try, to set or to meet in a fault, which must be possible but
    needn't be in the code; or 'defaults' in a sentence about defaults, which may be the engine's. `direction`
    is -1 when the reader is told to lower the value, 1 to raise it.
    """

    where: str
    name: str
    value: Any
    written: str
    kind: str = "states"
    direction: int = 0
    unit: str = ""


def statements(passage: Passage) -> Iterator[Statement]:
    """
    Find what a passage says about values.

    Understood are `name` 3, `name` is/of/at/to/from 3, lists (3, 6 and 11), `name = 3`, `f(name=3)`,
    `{"name": 3}`, `-p name 3`; values are numbers, (3, 3), True, False, None and quoted words. "0 to 1" after
    a name is its range, not its value.
    """
    # A literal in backticks of its own is the same as one without; the text keeps its length.
    text = re.sub(rf"`({VALUE})`", r" \1 ", passage.text)
    for match in re.finditer(r"`([^`]+)`", text):
        for pattern in (_KEYED, _PASSED, _ENTRY):
            for found in pattern.finditer(match.group(1)):
                # A command line is an example of what one may type.
                shell = "advises" if re.search(r"(^|\s)-", match.group(1)) else ""
                yield _statement(passage, text, match.start(), found.group(1), found.group(2), shell)
    for match in _NAME.finditer(text):
        after = _AFTER.match(text, match.end())
        if after is None or (match.group(2) and text.count("`", 0, match.start()) % 2):
            continue
        name, more, unit = match.group(1) or match.group(2), after.group("more"), after.group(3) or ""
        if " to " in more and "from" not in text[match.end() : after.start("first")]:
            continue
        for value in [after.group("first"), *re.findall(VALUE, more)]:
            yield _statement(passage, text, match.start(), name, value, "", unit)


def _statement(
    passage: Passage, text: str, position: int, name: str, written: str, kind: str = "", unit: str = ""
) -> Statement:
    clause = re.split(r"[.;!?](?:\s|$)", text[:position])[-1]
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        value = written
    switched = isinstance(value, bool) and re.search(r"\bwith\b", clause, re.IGNORECASE)
    if not kind:
        advice = ADVICE.search(clause) or switched or "goes wrong" in passage.section.lower()
        rest = re.split(r"[.;!?](?:\s|$)", text[position:])[0]
        default = re.search(r"\bdefaults?\b", clause + rest)
        kind = "advises" if advice else "defaults" if default else "states"
    direction = -1 if _DOWN.search(clause) else 1 if _UP.search(clause) else 0
    return Statement(passage.at(position), name, value, written, kind, direction, unit)


def table_values(table: Table) -> Iterator[tuple[str, str, str]]:
    """Give place, name and value (as written) of each parameter in a table that has a column for values."""
    headings = [heading.lower() for heading in table.headings]
    if (
        not headings
        or headings[0] not in ("key", "keys", "parameter", "parameters")
        or "value" not in headings
    ):
        return
    column = headings.index("value")
    for line, row in table.rows:
        names, value = re.findall(r"`(\w+)`", row[0]), row[column].replace("`", "").strip()
        parts = [part.strip() for part in value.split(",")] if len(names) > 1 else [value]
        if len(parts) != len(names):
            parts = [value] * len(names)
        for name, part in zip(names, parts):
            yield f"{table.file}:{line}", name, part
