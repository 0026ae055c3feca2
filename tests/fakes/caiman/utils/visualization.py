from caiman._strict import takes
from cnmf_engine.utils import visualization as _embedded


def need_bokeh():
    """Fail in a notebook without BokehJS: CaImAn's plot would open elsewhere, or nowhere."""
    from bokeh.io.state import curstate
    from IPython import get_ipython

    if getattr(get_ipython(), "kernel", None) is not None and not curstate().notebook:
        raise RuntimeError("BokehJS was not loaded with output_notebook")


def _inspect(corr, pnr, **kwargs):
    import holoviews
    from IPython import get_ipython

    if getattr(get_ipython(), "kernel", None) is not None and not holoviews.extension._loaded:
        raise RuntimeError("holoviews was not loaded with its extension")
    return _embedded.nb_inspect_correlation_pnr(corr, pnr, **kwargs)


nb_inspect_correlation_pnr = takes("corr, pnr, cmap='jet', num_bins=100", _inspect)
view_quilt = takes(
    "template_image, stride, overlap, color='white', alpha=0.2, vmin=None, vmax=None, figsize=(6., 6.), "
    "ax=None",
    _embedded.view_quilt,
)
