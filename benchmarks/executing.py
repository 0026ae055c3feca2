"""Run a notebook's cells in any kernel, and time what comes of them."""

from __future__ import annotations

import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

__all__ = ["Executed", "execute", "printed"]

_PATIENCE = 600  # seconds for a cell


@dataclass(frozen=True)
class Executed:
    """
    A notebook that was run.

    Attributes
    ----------
    notebook : nbformat.NotebookNode
        With outputs.
    seconds : float
        From the start of the kernel to the end of the last cell.
    first_picture : float
        From the start of the kernel to the first picture; NaN without one.
    error : str
        What stopped it; empty if nothing did.
    """

    notebook: nbformat.NotebookNode
    seconds: float
    first_picture: float
    error: str

    @property
    def printed(self) -> str:
        """All that the cells have printed."""
        return "".join(printed(cell) for cell in self.notebook.cells if cell.cell_type == "code")


def execute(
    notebook: nbformat.NotebookNode, command: list[str], variables: dict[str, str], folder: Path
) -> Executed:
    """
    Run all cells of a notebook, up to the first with an error that isn't announced.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Gets the outputs.
    command : list of str
        Starts the kernel; ``{connection_file}`` stands for the file that it is told.
    variables : dict of str to str
        All environment variables of the kernel.
    folder : pathlib.Path
        Working directory of the kernel.

    Returns
    -------
    Executed
        What came of it.
    """
    error = ""
    with tempfile.TemporaryDirectory(prefix="kernel-") as specs:
        spec = {"argv": command, "display_name": "Python 3", "language": "python"}
        (Path(specs) / "python3").mkdir()
        (Path(specs) / "python3" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
        known = KernelSpecManager(kernel_dirs=[specs])
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=known)
        client = _Client(notebook, km=manager, timeout=_PATIENCE)
        client.log.setLevel("CRITICAL")  # the error is handed on
        start = time.perf_counter()
        try:
            # nbclient leaves a kernel running that it didn't choose itself, unless told.
            client.execute(env=variables, cwd=str(folder), cleanup_kc=True)
        except CellExecutionError as problem:
            error = f"{problem.ename}: {problem.evalue}"
    return Executed(notebook, client.last_cell - start, client.first_picture - start, error)


class _Client(NotebookClient):
    """Notes when the first picture came, and when the last cell was done."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.first_picture = self.last_cell = float("nan")
        self.on_cell_executed = self._executed

    def _executed(self, **_about):
        self.last_cell = time.perf_counter()

    def output(self, outs, msg, display_id, cell_index):
        if math.isnan(self.first_picture) and "image/png" in msg["content"].get("data", {}):
            self.first_picture = time.perf_counter()
        return super().output(outs, msg, display_id, cell_index)


def printed(cell: nbformat.NotebookNode) -> str:
    """
    Join what a cell has printed.

    Parameters
    ----------
    cell : nbformat.NotebookNode
        A code cell that was run.

    Returns
    -------
    str
        Standard output and error.
    """
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")
