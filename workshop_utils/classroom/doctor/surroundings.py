"""Where this runs, and whether widgets and plots work there."""

from __future__ import annotations

from collections.abc import Iterator

from workshop_utils.classroom.doctor.checks import Check, Fault, looked, pip_install
from workshop_utils.classroom.doctor.software import version_of

__all__ = ["front_end"]

# ipywidgets' Python part and its part in the browser change together.
_BROWSER_PART = {7: 1, 8: 3}


def front_end() -> Iterator[Check]:
    """Look at the place, at Drive in Colab, and at what shows notebooks, widgets and plots."""
    from workshop_utils.places import where

    place = where()
    yield looked("place", lambda: str(place))
    if place.name == "Colab":
        yield looked("Drive", _drive)
        yield looked("workshop folder", _folder)
    if place.name == "terminal":
        yield looked("notebooks", _notebooks)
    yield looked("widgets", lambda: _widgets(place.name))
    yield looked("plots", _plots)
    yield looked("whole runs", _whole_runs)


def _drive() -> str:
    from workshop_utils import colab

    point = colab.mount_point()
    if not colab.mounted():
        raise Fault(
            f"not mounted at {point}, so results are gone when this machine is closed",
            "run the lesson's first code cells again and allow access in the window that opens",
        )
    return f"mounted at {point}"


def _folder() -> str:
    from workshop_utils import colab

    copy = colab.mount_point().parent / colab.LOCAL_FOLDER
    if copy.is_dir():
        return f"copied to {copy.resolve()}"
    return f"{colab.find_folder()}, not copied yet: the lesson's first cell does that"


def _notebooks() -> str:
    lab, classic, kernel = (version_of(name) for name in ("jupyterlab", "notebook", "ipykernel"))
    if lab:
        return f"JupyterLab {lab}, started with `jupyter lab`"
    if classic:
        return f"Jupyter Notebook {classic}, started with `jupyter notebook`"
    if kernel:
        return f"ipykernel {kernel}, with which VS Code opens them; no JupyterLab here"
    raise Fault("nothing here opens notebooks", pip_install("jupyterlab"))


def _widgets(place: str) -> str:
    here, anywidget = version_of("ipywidgets"), version_of("anywidget")
    if here is None or anywidget is None:
        missing = [name for name, version in (("ipywidgets", here), ("anywidget", anywidget)) if not version]
        raise Fault(f"{' and '.join(missing)} not installed", pip_install(*missing))
    browser, wanted = version_of("jupyterlab_widgets"), _BROWSER_PART.get(int(here.split(".")[0]))
    # Colab, Kaggle and VS Code bring their own part for the browser.
    in_browser = place in ("JupyterLab", "Jupyter", "Binder", "terminal")
    if in_browser and browser and wanted and int(browser.split(".")[0]) != wanted:
        raise Fault(
            f"ipywidgets {here} and jupyterlab_widgets {browser} don't belong together: sliders stay empty",
            f"{pip_install(f'jupyterlab_widgets=={wanted}.*')}; then start Jupyter again",
        )
    hint = "; allow VS Code to download their scripts when it asks" if place == "VS Code" else ""
    return f"ipywidgets {here}, anywidget {anywidget}{hint}"


def _plots() -> str:
    from cnmf_engine.view.resources import bokeh_resources

    if bokeh_resources().mode == "cdn":
        return f"bokeh {version_of('bokeh')}, its scripts come from the internet"
    return f"bokeh {version_of('bokeh')}, its scripts come from the package: works without internet"


def _whole_runs() -> str:
    version = version_of("papermill")
    if version is None:
        return "no papermill; only `workshop run` needs it, and a lesson that offers to run others brings it"
    return f"papermill {version}, for `workshop run`"
