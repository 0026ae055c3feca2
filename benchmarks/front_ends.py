"""JupyterLab 4 and Notebook 6 behind one set of methods, for tests and measurements in a real browser."""

from __future__ import annotations

import os
import shutil
from typing import Any, ClassVar

from benchmarks.servers import Server
from workshop_utils.session.notebooks import text_of

__all__ = ["FRONT_ENDS", "SCREEN", "FrontEnd", "JupyterLab", "Notebook6", "browser_program"]

#: A common laptop in a classroom, px.
SCREEN = {"width": 1366, "height": 768}
_SECOND = 1000  # Playwright counts milliseconds
_OPTIONS = ("--no-browser", "--ip=127.0.0.1", "--allow-root")
#: A server that nobody ends, because the tests were killed, does so after ten minutes.
_ENDS_BY_ITSELF = "--{}.shutdown_no_activity_timeout=600 --MappingKernelManager.cull_idle_timeout=600"


def browser_program() -> str | None:
    """
    Find the browser.

    Returns
    -------
    str or None
        What the environment variable ``CHROME_PATH`` says, else Chromium or Chrome where the system has it.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = (shutil.which(name) for name in (os.environ.get("CHROME_PATH"), *names) if name)
    return next(filter(None, found), None)


class FrontEnd:
    """
    A notebook in a page; its subclasses say in JavaScript and CSS how their pages are made.

    Parameters
    ----------
    page : playwright.sync_api.Page
        An empty page.
    server : benchmarks.servers.Server
        A server of the front end's `program`.

    Attributes
    ----------
    name : str
        Short, for names of tests and pictures.
    title : str
        For people.
    program : list of str
        Starts the server, after ``python -m``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    program: ClassVar[list[str]]

    #: Address of a notebook, after the server's.
    _ADDRESS: ClassVar[str]
    #: CSS of the cells, and of what the keyboard moves in a slider.
    _CELLS: ClassVar[str]
    _HANDLE: ClassVar[str]
    #: Is the notebook there, and its kernel ready?
    _READY: ClassVar[str]
    #: Does the kernel wait for work?
    _IDLE: ClassVar[str]
    #: The cells, each with source and type.
    _LIST: ClassVar[str]
    #: Outputs of the cell of this index, in the notebook format.
    _OUTPUTS: ClassVar[str]
    #: Let the kernel run the cell of this index; has it been run, outputs and all?
    _START: ClassVar[str]
    _DONE: ClassVar[str]
    #: Put a code cell at this index.
    _INSERT: ClassVar[str]

    def __init__(self, page: Any, server: Server) -> None:
        self.page = page
        self.server = server

    def open(self, notebook: str) -> None:
        """
        Open a notebook and wait for its kernel.

        Parameters
        ----------
        notebook : str
            File in the server's folder.
        """
        self.page.goto(self.server.url + self._ADDRESS.format(notebook))
        self.page.wait_for_function(self._READY, timeout=90 * _SECOND)

    def find(self, text: str) -> int:
        """
        Find the one code cell with a text in it.

        Parameters
        ----------
        text : str
            Part of its source, or all of it.

        Returns
        -------
        int
            The cell's position among all cells.

        Raises
        ------
        LookupError
            If no cell or several have it.
        """
        cells = self._code_cells()
        found = [index for index, source in cells if source == text]
        found = found or [index for index, source in cells if text in source]
        if len(found) != 1:
            raise LookupError(f"{text!r} is in {len(found)} cells")
        return found[0]

    def run(self, index: int, seconds: float = 120) -> str:
        """
        Run a cell and wait for its outputs.

        Parameters
        ----------
        index : int
            Its position.
        seconds : float
            Patience.

        Returns
        -------
        str
            What it has printed, without space at the ends.

        Raises
        ------
        RuntimeError
            If it ends in an error.
        """
        self.page.evaluate(self._START, index)
        self.page.wait_for_function(self._DONE, arg=index, timeout=seconds * _SECOND)
        printed = ""
        for output in self.page.evaluate(self._OUTPUTS, index):
            if output["output_type"] == "error":
                raise RuntimeError(f"cell {index}: {output['ename']}: {output['evalue']}")
            if output["output_type"] == "stream":
                printed += text_of(output["text"])
        return printed.strip()

    def run_to(self, text: str, seconds: float = 120) -> int:
        """
        Run all code cells down to the one with a text in it.

        Parameters
        ----------
        text : str
            Part of that cell's source.
        seconds : float
            Patience with each.

        Returns
        -------
        int
            That cell's position.
        """
        last = self.find(text)
        for index, _source in self._code_cells():
            if index <= last:
                self.run(index, seconds)
        return last

    def ask(self, below: int, source: str) -> str:
        """
        Run new code in a cell of its own.

        Parameters
        ----------
        below : int
            Position of the cell that comes before it; the positions after it move on by one.
        source : str
            The code.

        Returns
        -------
        str
            What it has printed, without space at the ends.
        """
        self.page.evaluate(self._INSERT, [below + 1, source])
        return self.run(below + 1)

    def cell(self, index: int) -> Any:
        """
        Locate a cell in the page.

        Parameters
        ----------
        index : int
            Its position.

        Returns
        -------
        playwright.sync_api.Locator
            The cell, source and outputs.
        """
        return self.page.locator(self._CELLS).nth(index)

    def slider(self, inside: Any, label: str = "") -> Any:
        """
        Locate what the keyboard moves in a slider.

        Parameters
        ----------
        inside : playwright.sync_api.Locator
            An element that it is in.
        label : str
            Part of what is written at the slider.

        Returns
        -------
        playwright.sync_api.Locator
            Its handle.
        """
        return inside.locator(".widget-slider", has_text=label).locator(self._HANDLE)

    def wait_until_idle(self, seconds: float = 60) -> None:
        """
        Wait until the kernel has nothing to do.

        Parameters
        ----------
        seconds : float
            Patience.
        """
        self.page.wait_for_function(self._IDLE, timeout=seconds * _SECOND)

    def _code_cells(self) -> list[tuple[int, str]]:
        """Give position and source of each code cell."""
        cells = enumerate(self.page.evaluate(self._LIST))
        return [(index, cell["source"]) for index, cell in cells if cell["type"] == "code"]


class JupyterLab(FrontEnd):
    """JupyterLab 4 with the newest widgets, as people have it on their own machines."""

    name = "lab"
    title = "JupyterLab 4"
    program: ClassVar[list[str]] = [
        "jupyterlab",
        *_OPTIONS,
        "--expose-app-in-browser",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.port_retries=0",
        *_ENDS_BY_ITSELF.format("ServerApp").split(),
    ]
    _ADDRESS = "/lab/tree/{}?reset"
    _CELLS = ".jp-NotebookPanel .jp-Notebook-cell"
    _HANDLE = ".noUi-handle"
    _READY = """() => {
        const panel = window.jupyterapp?.shell.currentWidget;
        const session = panel?.sessionContext;
        return panel?.context?.isReady && panel.isVisible && session?.isReady
            && session.session?.kernel?.status === 'idle';
    }"""
    _IDLE = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    _LIST = """() => jupyterapp.shell.currentWidget.content.widgets.map(
        ({ model }) => ({ source: model.sharedModel.getSource(), type: model.type }))"""
    _OUTPUTS = "index => jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()"
    _START = """index => {
        const notebook = jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = index;
        notebook.deselectAll();
        window.cellDone = false;
        jupyterapp.commands.execute('notebook:run-cell').then(() => { window.cellDone = true; });
    }"""
    _DONE = "() => window.cellDone"
    _INSERT = """([index, source]) => jupyterapp.shell.currentWidget.content.model.sharedModel.insertCell(
        index, { cell_type: 'code', source })"""


class Notebook6(FrontEnd):
    """Notebook 6.5 with Colab's versions of kernel, widgets and bokeh."""

    name = "notebook6"
    title = "Notebook 6.5 (Colab's versions)"
    program: ClassVar[list[str]] = [
        "notebook",
        *_OPTIONS,
        "--NotebookApp.token=",
        "--NotebookApp.disable_check_xsrf=True",
        "--NotebookApp.port_retries=0",
        *_ENDS_BY_ITSELF.format("NotebookApp").split(),
    ]
    _ADDRESS = "/notebooks/{}"
    _CELLS = "#notebook-container > .cell"
    _HANDLE = ".ui-slider-handle"
    _READY = """() => window.Jupyter?.notebook?._fully_loaded && Jupyter.notebook.kernel?.info_reply?.status
        && document.querySelector('#kernel_indicator_icon.kernel_idle_icon') !== null"""
    _IDLE = "() => document.querySelector('#kernel_indicator_icon.kernel_idle_icon') !== null"
    _LIST = """() => Jupyter.notebook.get_cells().map(
        cell => ({ source: cell.get_text(), type: cell.cell_type }))"""
    _OUTPUTS = "index => Jupyter.notebook.get_cell(index).output_area.toJSON()"
    _START = "index => Jupyter.notebook.execute_cells([index])"
    # The kernel's answer and the last of the outputs come on different channels.
    _DONE = """index => {
        const waiting = Jupyter.notebook.kernel._msg_callbacks[Jupyter.notebook.get_cell(index).last_msg_id];
        return !waiting || (waiting.shell_done && waiting.iopub_done);
    }"""
    _INSERT = """([index, source]) => {
        Jupyter.notebook.insert_cell_at_index('code', index).set_text(source);
    }"""


FRONT_ENDS = (JupyterLab, Notebook6)
