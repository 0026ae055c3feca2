"""Parameters as JSON text and files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cnmf_engine._param_text import to_plain
from cnmf_engine.errors import MissingFileError, ParameterError, explain
from cnmf_engine.io.files import replacing

__all__ = ["JsonText"]


class JsonText:
    """Methods of the parameters that write and read JSON, on top of ``to_dict`` and ``_adopt``."""

    def to_json(self) -> str:
        """
        Write all parameters as text.

        Returns
        -------
        str
            JSON, from which :meth:`change_params_from_json` makes equal parameters.
        """
        return json.dumps(to_plain(self.to_dict()), indent=1)

    def to_jsonfile(self, targfn: str | os.PathLike) -> None:
        """
        Write all parameters to a file.

        Parameters
        ----------
        targfn : str or path
            The file; replaced if it exists.
        """
        with replacing(targfn) as partial:
            partial.write_text(self.to_json() + "\n", encoding="utf-8")

    def change_params_from_json(self, jsonstring: str | os.PathLike, verbose: bool = False) -> None:
        """
        Set parameters from text.

        Derived values that equal what the rules give (``gSiz`` for the ``gSig`` beside it) go on following.

        Parameters
        ----------
        jsonstring : str or path
            JSON, or the name of a file that holds it.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        ParameterError
            If the text isn't JSON, or a value can't be used.
        MissingFileError
            If a parameter file is named that doesn't exist. Movies named in it may be missing: parameters are
            carried from one computer to another.
        """
        text = str(jsonstring)
        if isinstance(jsonstring, os.PathLike) or not text.lstrip().startswith(("{", "[")):
            text = _read_file(Path(jsonstring))
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            fix = "write the parameters again with to_jsonfile, or correct that place"
            raise ParameterError(explain("parameters as JSON", str(error), fix)) from None
        self._adopt(values, verbose)

    def change_params_from_jsonfile(self, file_path: str | os.PathLike, verbose: bool = False) -> None:
        """
        Set parameters from a file.

        Parameters
        ----------
        file_path : str or path
            A JSON file.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        ParameterError
            If it isn't JSON, or a value can't be used.
        MissingFileError
            If it doesn't exist.
        """
        self.change_params_from_json(Path(file_path), verbose)


def _read_file(path: Path) -> str:
    if path.is_file():
        return path.read_text(encoding="utf-8").strip() or "{}"
    folder = path.parent
    beside = sorted(item.name for item in folder.glob("*.json")) if folder.is_dir() else []
    found = f"no such file in {str(folder.absolute())!r}; JSON files there: {', '.join(beside) or 'none'}"
    fix = "correct the path, or write the file with params.to_jsonfile(...)"
    raise MissingFileError(explain(f"the parameter file {str(path)!r}", found, fix))
