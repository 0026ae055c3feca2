"""Which notebook makes what, and where the notebooks and the data files are."""

from __future__ import annotations

from pathlib import Path

from cnmf_engine.base.errors import MissingFileError, ParameterError, explain

__all__ = ["STEPS", "lesson", "lessons", "resource"]

#: What a lesson leaves behind, in the order of the pipeline, and the number of the lesson.
STEPS: dict[str, int] = {
    "movie": 1,
    "motion": 2,
    "summary_images": 3,
    "params": 3,
    "model": 4,
    "evaluation": 5,
    "export": 6,
    "own_data": 7,
}


def resource(kind: str) -> Path:
    """
    Find a folder that comes with the project.

    Parameters
    ----------
    kind : {'data', 'notebooks'}
        Which folder.

    Returns
    -------
    pathlib.Path
        The checkout's folder, or the one inside the installed package.

    Raises
    ------
    MissingFileError
        Neither is there.
    """
    package = Path(__file__).resolve().parent
    packaged = package / "_resources" / kind
    checkout = package.parent / kind
    # An installed package sits in site-packages, where a folder called `data` may be anybody's.
    if (package.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    if packaged.is_dir():
        return packaged
    raise MissingFileError(
        explain(
            f"the workshop's folder '{kind}'",
            f"neither {checkout} nor {packaged}",
            "install the package again (pip install --force-reinstall calcium-workshop)",
        )
    )


def lessons(folder: str | Path | None = None) -> dict[int, Path]:
    """
    List the lessons of the workshop.

    Parameters
    ----------
    folder : path-like, optional
        Where the notebooks are; the workshop's own by default.

    Returns
    -------
    dict of int to pathlib.Path
        Number to notebook, in order, without the one that holds all lessons at once (number 0).
    """
    folder = resource("notebooks") if folder is None else Path(folder)
    found = {int(path.name[:2]): path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    found.pop(0, None)
    if not found:
        raise MissingFileError(
            explain(
                f"notebooks named like 01_name.ipynb in {folder}",
                "none",
                "build them with `make notebooks`, or name another folder",
            )
        )
    return found


def lesson(number: int, folder: str | Path | None = None) -> Path:
    """
    Find one lesson by its number.

    Parameters
    ----------
    number : int
        1 for the first.
    folder : path-like, optional
        Where the notebooks are; the workshop's own by default.

    Returns
    -------
    pathlib.Path
        The notebook.

    Raises
    ------
    ParameterError
        There is no lesson with this number.
    """
    known = lessons(folder)
    if number not in known:
        raise ParameterError(
            explain(
                f"a lesson number among {', '.join(map(str, known))}",
                f"{number}",
                "choose one of these; `workshop list` shows what each does",
            )
        )
    return known[number]
