from pathlib import Path

import cnmf_engine.caiman.motion_correction as _embedded
from caiman._strict import Strict, takes
from caiman.mmapping import check_words

high_pass_filter_space = takes(
    "img_or_movie, gSig_filt=None, freq=None, order=None", _embedded.high_pass_filter_space
)
_SIGNATURE = (
    "self, fname, min_mov=None, dview=None, max_shifts=(6, 6), niter_rig=1, splits_rig=14, "
    "num_splits_to_process_rig=None, strides=(96, 96), overlaps=(32, 32), splits_els=14, "
    "num_splits_to_process_els=None, upsample_factor_grid=4, max_deviation_rigid=3, "
    "shifts_opencv=True, nonneg_movie=True, gSig_filt=None, use_cuda=False, border_nan=True, "
    "pw_rigid=False, num_frames_split=80, var_name_hdf5='mov', is3D=False, indices=(slice(None), "
    "slice(None)), shifts_interpolate=False"
)


def _init(self, fname, **kwargs):
    for width in kwargs.get("gSig_filt") or ():
        if not isinstance(width, int):
            raise TypeError(f"{width!r}: an integer is required")
    if not all(isinstance(index, slice) for index in kwargs.get("indices", ())):
        raise TypeError("indices must be slices")
    for name in fname if isinstance(fname, list) else [fname]:
        if isinstance(name, str):
            check_words(f"{Path(name).stem}_rig__d1_1_d2_1_d3_1_order_F_frames_1.mmap")
    _embedded.MotionCorrect.__init__(self, fname, filter_mode="caiman", **kwargs)


class MotionCorrect(Strict, _embedded.MotionCorrect):
    allowed = frozenset(
        "fname min_mov dview max_shifts strides overlaps gSig_filt border_nan pw_rigid shifts_rig "
        "fname_tot_rig total_template_rig templates_rig fname_tot_els x_shifts_els y_shifts_els "
        "coord_shifts_els templates_els total_template_els border_to_0 mmap_file motion_correct "
        "motion_correct_rigid motion_correct_pwrigid apply_shifts_movie".split()
    )
    __init__ = takes(_SIGNATURE, _init)
