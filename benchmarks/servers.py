"""Notebook servers with everything of their own, for driving a front end in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib

__all__ = ["Server", "end_kernels", "own_environment", "serving"]

_ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 90  # seconds until a server must be up: a first start compiles Python's own files
_SETTINGS = {
    # All cells are in the page, wherever it is scrolled to: a test counts on finding them.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    },
}


@dataclass(frozen=True)
class Server:
    """
    A running notebook server.

    Attributes
    ----------
    url : str
        Where its pages are, without a slash at the end.
    folder : pathlib.Path
        The notebooks' folder.
    python : pathlib.Path
        Of the environment that it and its kernels run in.
    """

    url: str
    folder: Path
    python: Path


@contextlib.contextmanager
def serving(program: list[str], python: Path, folder: Path) -> Iterator[Server]:
    """
    Run a notebook server without a password that nothing outside this machine can reach.

    Its settings, kernels and history are in a temporary folder, so neither do the user's change what is
    tested nor are they changed.

    Parameters
    ----------
    program : list of str
        Module and options that start it, after ``python -m``.
    python : pathlib.Path
        Of the environment to take server and kernels from.
    folder : pathlib.Path
        The notebooks' folder.

    Yields
    ------
    Server
        Until the end of the block; then the server and its kernels are ended.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="notebook-server-") as home:
        command = [str(python), "-m", *program, f"--port={port}"]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(Path(home), python),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        log = _Log(process.stderr)
        try:
            log.wait_until_serving(process)
            _wait_until_listening(port)
            server = Server(f"http://127.0.0.1:{port}", folder, python)
            yield server
            # One that nobody used for a while has ended by itself.
            with contextlib.suppress(urllib.error.URLError):
                end_kernels(server)
        finally:
            _end(process)
            log.join()


def end_kernels(server: Server) -> None:
    """
    End all kernels of a server, so that the next notebook has the processor and the memory for itself.

    Parameters
    ----------
    server : Server
        From `serving`.
    """
    with urllib.request.urlopen(f"{server.url}/api/sessions", timeout=30) as answer:
        sessions = json.load(answer)
    for session in sessions:
        address = f"{server.url}/api/sessions/{session['id']}"
        with urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=30):
            pass


class _Log(threading.Thread):
    """Reads what a server writes, so that its pipe never fills, and notices when it is up."""

    def __init__(self, pipe) -> None:
        super().__init__(daemon=True)
        self._pipe, self._lines, self._changed = pipe, [], threading.Event()
        self._up = False
        self.start()

    def run(self) -> None:
        for line in self._pipe:
            self._lines.append(line)
            if "Control-C to stop" in line:
                self._up = True
                self._changed.set()
        self._changed.set()  # it has ended

    def wait_until_serving(self, process: subprocess.Popen) -> None:
        self._changed.wait(_PATIENCE)
        if not self._up:
            raise RuntimeError(f"{' '.join(process.args)} doesn't serve:\n{''.join(self._lines[-30:])}")


def own_environment(home: Path, python: Path) -> dict[str, str]:
    """
    Give a program what it needs of this process's environment variables, and folders of its own.

    Parameters
    ----------
    home : pathlib.Path
        For its settings, caches and history.
    python : pathlib.Path
        Of the environment that it runs in.

    Returns
    -------
    dict of str to str
        All its environment variables.
    """
    ours = (
        "JUPYTER",
        "IPYTHON",
        "WORKSHOP",
        "BOKEH",
        "MPL",
        "COLAB",
        "NUMBA",
        "XDG",
        "PYTHON",
        "PYTEST",
        "CAIMAN",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    places = {
        "HOME": home,
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
    }
    # The environment's own programs first: a notebook may call pip.
    path = os.pathsep.join([str(python.parent), kept.get("PATH", "")])
    return {**kept, **{name: str(place) for name, place in places.items()}, "PATH": path}


def _environment(home: Path, python: Path) -> dict[str, str]:
    """Add what a notebook server needs."""
    places = {
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        # Looking through the fonts and compiling takes many seconds; both are kept for each set of versions.
        "MPLCONFIGDIR": Path(matplotlib.get_cachedir()),
        "NUMBA_CACHE_DIR": python.parents[1] / "numba_cache",
        # The environment with Colab's versions doesn't hold this project: kernels take it from the checkout.
        "PYTHONPATH": _ROOT,
    }
    for name, settings in _SETTINGS.items():
        extension, plugin = name.split("/")
        file = home / "settings" / "@jupyterlab" / extension / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    return own_environment(home, python) | {name: str(place) for name, place in places.items()}


def _wait_until_listening(port: int) -> None:
    """Servers announce themselves a moment before they listen."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
