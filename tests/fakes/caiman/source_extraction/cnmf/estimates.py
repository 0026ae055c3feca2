import numpy as np

import cnmf_engine.caiman.estimates as _embedded
from caiman._strict import Strict
from caiman.utils.visualization import need_bokeh

_FIELDS = (
    "A C S YrA R b f W b0 sn g bl c1 lam neurons_sn center merged_ROIs nr optional_outputs psx dims "
    "F_dff coordinates idx_components idx_components_bad SNR_comp r_values cnn_preds ecc A_thr "
    "discarded_components shifts Cn accepted_list rejected_list groups noisyC C_on Ab Cf "
    "OASISinstances CY CC Ab_dense Yr_buf mn vr ind_new rho_buf AtA AtY_buf sv"
)
_METHODS = (
    "evaluate_components filter_components select_components restore_discarded_components detrend_df_f "
    "compute_background compute_residuals play_movie normalize_components save_NWB plot_contours "
    "plot_contours_nb nb_view_components view_components hv_view_components"
)


class Estimates(Strict, _embedded.Estimates):
    allowed = frozenset([*_FIELDS.split(), *_METHODS.split()])

    def _judge(self, imgs, judge):
        if not isinstance(imgs, np.memmap):
            raise ValueError("cannot reshape array")
        if self.A.shape[1] == 0:
            raise ValueError("need at least one array to concatenate")
        judge()
        self.cnn_preds = []
        if not len(self.idx_components_bad):
            self.idx_components_bad = np.array([])

    def evaluate_components(self, imgs, params, dview=None):
        self._judge(imgs, lambda: super(Estimates, self).evaluate_components(imgs, params, dview))

    def filter_components(self, imgs, params, new_dict={}, dview=None, select_mode="All"):  # noqa: B006
        again = super().filter_components
        self._judge(imgs, lambda: again(imgs, params, new_dict, dview, select_mode))

    def plot_contours_nb(
        self, img=None, idx=None, thr_method="max", thr=0.2, params=None, line_color="white", cmap="viridis"
    ):
        need_bokeh()
        if idx is not None and len(idx) in (0, self.A.shape[1]):
            raise IndexError("no contours to draw")
        return super().plot_contours_nb(img, idx, thr_method, thr, params, line_color, cmap)

    def nb_view_components(self, Yr=None, img=None, idx=None, denoised_color=None, cmap="jet", thr=0.99):
        need_bokeh()
        if idx is not None and not len(idx):
            raise IndexError("list index out of range")
        super().nb_view_components(Yr, img, idx, denoised_color, "viridis", thr)

    def compute_background(self, Yr):
        return super().compute_background(Yr)

    def save_NWB(self, filename, imaging_plane_name=None, imaging_series_name=None, sess_desc="", **about):
        if self.b is None:
            raise AttributeError("'NoneType' object has no attribute 'T'")
        raise NotImplementedError("the lessons save no fit with b and f")
