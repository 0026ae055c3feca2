"""
Export components as a Neurodata Without Borders file (NWB 2).

Needs ``pynwb``, which is an optional part of the installation.
"""

from __future__ import annotations

import logging
import os
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError, explain
from cnmf_engine.base.files import replacing
from cnmf_engine.base.hdf5 import written_hdf5

__all__ = ["save_nwb"]

log = logging.getLogger("caiman")

_TRACES = {
    "Raw": "Fluorescence of each component before denoising (C + YrA)",
    "Denoised": "Fluorescence of each component after denoising (C)",
    "Deconvolved": "Inferred spiking of each component, in arbitrary units (S)",
}


def save_nwb(
    estimates: Any,
    filename: str | os.PathLike,
    *,
    imaging_rate: float,
    starting_time: float = 0.0,
    session_start_time: datetime | None = None,
    sess_desc: str = "One-photon calcium imaging, components found by CNMF-E",
    exp_desc: str | None = None,
    identifier: str | None = None,
    imaging_plane_name: str = "ImagingPlane",
    imaging_plane_description: str = "Field of view of a one-photon microscope",
    excitation_lambda: float = float("nan"),
    emission_lambda: float = float("nan"),
    indicator: str = "unknown",
    location: str = "unknown",
    device: str = "Microscope",
) -> str:
    """
    Write footprints, traces, quality and the summary image.

    Parameters
    ----------
    estimates : Estimates
        A fit. With ``Cn``, the correlation image is written too.
    filename : str or path
        Ends with ``.nwb``; replaced if it exists.
    imaging_rate : float
        Frame rate, Hz.
    starting_time : float
        Time of the first frame, s after the start of the session.
    session_start_time : datetime, optional
        Start of the session; the present moment if not given, which the log says.
    sess_desc, exp_desc, identifier : str, optional
        What the session was, what the experiment was, a unique name (made up if not given).
    imaging_plane_name, imaging_plane_description, indicator, location, device : str
        What is known of the imaging.
    excitation_lambda, emission_lambda : float
        Wavelengths, nm; NaN if not known.

    Returns
    -------
    str
        The full path.

    Raises
    ------
    InputError
        If nothing was fitted, the name has another ending, or ``pynwb`` isn't installed.
    ParameterError
        If the frame rate isn't above 0.
    MissingFileError
        If the folder doesn't exist.
    """
    pynwb = _import_pynwb()
    target = _checked_name(filename)
    if estimates.A is None or estimates.C is None:
        fix = "call fit first, or load a fitted model"
        raise InputError(explain("components to export", "estimates without A and C", fix))
    if not imaging_rate > 0:
        fix = "pass the frame rate, for example imaging_rate=params.data['fr']"
        raise ParameterError(explain("imaging_rate above 0 Hz", f"imaging_rate = {imaging_rate!r}", fix))
    if session_start_time is None:
        session_start_time = datetime.now().astimezone()
        log.info("session_start_time wasn't given: the NWB file says %s", session_start_time.isoformat())
    elif session_start_time.tzinfo is None:
        session_start_time = session_start_time.astimezone()
    nwbfile = pynwb.NWBFile(
        session_description=sess_desc,
        identifier=identifier or str(uuid.uuid4()),
        session_start_time=session_start_time,
        experiment_description=exp_desc,
    )
    plane = nwbfile.create_imaging_plane(
        name=imaging_plane_name,
        optical_channel=pynwb.ophys.OpticalChannel(
            name="OpticalChannel", description="Emission", emission_lambda=float(emission_lambda)
        ),
        description=imaging_plane_description,
        device=nwbfile.create_device(name=device),
        excitation_lambda=float(excitation_lambda),
        imaging_rate=float(imaging_rate),
        indicator=indicator,
        location=location,
    )
    module = nwbfile.create_processing_module(name="ophys", description="Components found by CNMF-E")
    # NWB has no empty table of footprints: a file without components holds the session and the image.
    if len(estimates.C):
        segmentation = _add_segmentation(pynwb, module, estimates, plane)
        _add_traces(pynwb, module, estimates, segmentation, float(imaging_rate), float(starting_time))
    _add_image(pynwb, module, estimates)
    with replacing(target) as partial, written_hdf5(partial) as stored:
        with pynwb.NWBHDF5IO(file=stored, mode="w") as file:
            file.write(nwbfile)
    log.info("Saved %s", target)
    return str(target)


def _import_pynwb() -> Any:
    try:
        import pynwb
    except ImportError:
        fix = "install it with: pip install pynwb"
        raise InputError(explain("pynwb, to write NWB files", "it isn't installed", fix)) from None
    return pynwb


def _checked_name(filename: str | os.PathLike) -> Path:
    path = Path(filename).expanduser().absolute()
    if path.suffix.lower() != ".nwb":
        fix = f"use a name such as {path.stem + '.nwb'!r}"
        raise InputError(explain("a file name that ends with .nwb", repr(str(filename)), fix))
    if not path.parent.is_dir():
        fix = f"make it first, for example Path({str(path.parent)!r}).mkdir(parents=True)"
        raise MissingFileError(explain(f"a folder to save {path.name!r} in", f"no folder {path.parent}", fix))
    return path


def _add_segmentation(pynwb: Any, module: Any, estimates: Any, plane: Any) -> Any:
    """Footprints as image masks; NWB's first axis of an image is x, so columns come before rows."""
    rows, columns = estimates.image_size()
    A = sparse.csc_matrix(estimates.A)
    segmentation = pynwb.ophys.PlaneSegmentation(
        name="PlaneSegmentation", description="Footprints of components", imaging_plane=plane
    )
    for k in range(A.shape[1]):
        mask = A[:, [k]].toarray().reshape(columns, rows).astype(np.float32)
        segmentation.add_roi(id=k, image_mask=mask)
    _add_quality(segmentation, estimates)
    container = pynwb.ophys.ImageSegmentation(name="ImageSegmentation")
    container.add_plane_segmentation(segmentation)
    module.add(container)
    return segmentation


def _add_quality(segmentation: Any, estimates: Any) -> None:
    n_components = estimates.A.shape[1]
    columns = {
        "snr": ("Signal-to-noise ratio of transients", estimates.SNR_comp),
        "r_value": ("Spatial correlation of footprint and movie", estimates.r_values),
        "rejected_by": (
            "What speaks against a cell besides SNR and r; empty for nothing",
            estimates.rejected_by,
        ),
        "number": ("Number of the component before any selection", estimates.idx_kept),
    }
    for name, (description, values) in columns.items():
        if values is not None:
            segmentation.add_column(name=name, description=description, data=np.asarray(values).tolist())
    if estimates.idx_components is not None:
        accepted = np.zeros(n_components, dtype=bool)
        accepted[estimates.idx_components] = True
        description = "Whether the component was accepted in the evaluation"
        segmentation.add_column(name="accepted", description=description, data=accepted.tolist())


def _add_traces(
    pynwb: Any, module: Any, estimates: Any, segmentation: Any, rate: float, starting_time: float
) -> None:
    values = {"Raw": estimates.raw_traces(), "Denoised": estimates.C, "Deconvolved": estimates.S}
    described = dict(_TRACES)
    label = getattr(estimates, "dff_units", None)
    if estimates.F_dff is not None and label != "DF/F":
        unit = ", in units of each trace's noise" if label == "noise levels" else ""
        values["Detrended"] = estimates.F_dff
        described["Detrended"] = f"Fluorescence without slow changes{unit}"
    fluorescence = pynwb.ophys.Fluorescence(name="Fluorescence")
    module.add(fluorescence)
    for name, data in values.items():
        if data is not None:
            fluorescence.add_roi_response_series(
                _series(pynwb, name, described[name], data, segmentation, rate, starting_time)
            )
    if estimates.F_dff is not None and label == "DF/F":
        dff = pynwb.ophys.DfOverF(name="DfOverF")
        module.add(dff)
        dff.add_roi_response_series(
            _series(pynwb, "DfOverF", "DF/F", estimates.F_dff, segmentation, rate, starting_time)
        )


def _series(
    pynwb: Any, name: str, description: str, data: Any, segmentation: Any, rate: float, starting_time: float
) -> Any:
    everything = list(range(len(segmentation.id)))
    return pynwb.ophys.RoiResponseSeries(
        name=name,
        description=description,
        data=np.ascontiguousarray(np.asarray(data).T),
        unit="n.a.",
        rois=segmentation.create_roi_table_region(description="all components", region=everything),
        rate=rate,
        starting_time=starting_time,
    )


def _add_image(pynwb: Any, module: Any, estimates: Any) -> None:
    image = getattr(estimates, "Cn", None)
    if image is None:
        return
    correlation = pynwb.image.GrayscaleImage(
        name="correlation", description="Local correlation image", data=np.asarray(image).T
    )
    module.add(pynwb.base.Images(name="SummaryImages", images=[correlation]))
