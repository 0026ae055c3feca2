import numpy as np

import cnmf_engine.stages.summary_images as _embedded
from caiman._strict import takes


def _correlation_pnr(Y, gSig=None, **kwargs):
    if isinstance(gSig, tuple | np.ndarray):
        raise TypeError("gSig must be a number or a list")
    cn, pnr = (np.array(image) for image in _embedded.correlation_pnr(Y, gSig=gSig, **kwargs))
    still = np.ptp(np.asarray(Y), axis=0 if not kwargs.get("swap_dim", True) else -1) == 0
    cn[still], pnr[still] = np.nan, np.inf
    return cn, pnr


def _local_correlations(Y, **kwargs):
    image = np.array(_embedded.local_correlations(Y, **kwargs), np.float64)
    image[np.ptp(np.asarray(Y), axis=0) == 0] = np.nan
    return image


correlation_pnr = takes(
    "Y, gSig=None, center_psf=True, swap_dim=True, background_filter='disk'", _correlation_pnr
)
local_correlations = takes("Y, eight_neighbours=True, swap_dim=True, order_mean=1", _local_correlations)
local_correlations_fft = takes(
    "Y, eight_neighbours=True, swap_dim=True, opencv=True, rolling_window=None",
    _embedded.local_correlations_fft,
)
