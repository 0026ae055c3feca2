"""What a fit is asked for: one frozen class a step, in pixels and frames of the movie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnmf_engine.stages.noise import PixelNoise

__all__ = ["Merging", "Patches", "Ring", "Search"]


@dataclass(frozen=True)
class Search:
    """
    How cells are looked for.

    Attributes
    ----------
    gSig : float
        Half the width of a cell (standard deviation of a Gaussian), px.
    gSiz : int
        Size of a cell, px; neurons are extracted within this distance of the seed.
    min_corr, min_pnr : float
        Thresholds of a seed pixel: correlation with its neighbours, peak over noise.
    K : int, optional
        Most components (a patch); None for as many as the thresholds let through.
    tsub, ssub : int
        Decimation in time (frames) and space (px) while components are sought.
    init_iter : int
        Searches for neurons, from the second on in the residual; if there is a second, one more with a wider
        filter follows.
    center_psf : bool
        Zero-mean filter (one-photon data) or plain Gaussian.
    window : int
        Frames (before decimation) within which a transient rises and falls; slower changes are background.
    nrgthr : float
        Part of a footprint's energy that is kept.
    noise : PixelNoise
        How the noise of pixels is measured.
    """

    gSig: float
    gSiz: int
    min_corr: float = 0.85
    min_pnr: float = 20.0
    K: int | None = None
    tsub: int = 1
    ssub: int = 1
    init_iter: int = 2
    center_psf: bool = True
    window: int = 80
    nrgthr: float = 0.9999
    noise: PixelNoise = PixelNoise()

    @property
    def reach(self) -> float:
        """Farthest a footprint reaches from its brightest pixel, px."""
        return 2.0 * self.gSiz


@dataclass(frozen=True)
class Patches:
    """
    Overlapping parts of the field that are searched on their own.

    Attributes
    ----------
    rf : int or two ints, optional
        Half the side of a patch, px; the whole field if None.
    stride : int or two ints, optional
        Overlap of neighbouring patches, px; 10 % of a side if None.
    border_pix : int
        Pixels left out on each side of the field of view.
    del_duplicates : bool
        Keep a component only in the patch whose centre is nearest (True), or keep both twins for merging to
        join (False).
    p : int
        Order of the autoregressive process of traces in patches, 1 at most is used.
    """

    rf: int | Sequence[int] | None = None
    stride: int | Sequence[int] | None = None
    border_pix: int = 0
    del_duplicates: bool = True
    p: int = 1


@dataclass(frozen=True)
class Ring:
    """
    The ring model of the background.

    Attributes
    ----------
    radius : float
        Radius in px of the full grid; wider than a cell.
    ssub : int
        Block size in px of the coarser grid on which weights are fitted.
    """

    radius: float
    ssub: int = 2


@dataclass(frozen=True)
class Merging:
    """
    When components are one neuron.

    Attributes
    ----------
    merge_thr : float, optional
        Overlapping components whose traces correlate above it are joined; None joins none.
    """

    merge_thr: float | None = 0.8
