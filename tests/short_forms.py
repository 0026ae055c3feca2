"""Stage functions in the short form that most tests need: all options by name."""

from cnmf_engine.stages.cnmfe import initialization, refit, seeding
from cnmf_engine.stages.cnmfe.options import Merging, Ring, Search
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution
from cnmf_engine.stages.registration import Filter, Limits, Passes, Pieces, register

SEARCH = Search.__dataclass_fields__


def register_rigid(
    movie, max_shifts=(6, 6), gSig_filt=None, *, filter_mode="auto", niter_rig=1, splits=14,
    num_splits_to_process=None, **options,
):  # fmt: skip
    passes = Passes(niter_rig, splits, num_splits_to_process)
    return register(
        movie, filter=Filter(gSig_filt, filter_mode), limits=Limits(max_shifts), passes=passes, **options
    )


def register_piecewise(
    movie, template, max_shifts, gSig_filt, strides, overlaps, max_deviation_rigid=3, *, splits=14, **options
):
    return register(
        movie,
        filter=Filter(gSig_filt),
        limits=Limits(max_shifts, max_deviation_rigid),
        pieces=Pieces(strides, overlaps),
        passes=Passes(splits=splits),
        template=template,
        **options,
    )


def find_neurons(Y, dims, *, p=0, seeds=None, known=None, **search):
    return seeding.find_neurons(Y, dims, Search(**search), Deconvolution(p=p), seeds=seeds, known=known)


def initialize(movie, *, ring_size_factor=1.5, ssub_B=2, merge_thr=0.8, do_merge=True, p=0, **options):
    search = Search(**{name: options.pop(name) for name in list(options) if name in SEARCH})
    ring = Ring(ring_size_factor * search.gSiz, ssub_B)
    merging = Merging(merge_thr if do_merge else None)
    return initialization.initialize(movie, None, search, ring, merging, Deconvolution(p=p), **options)


def update_all(movie, A, C, *, sn, tsub, ring, p, gSiz=7, **options):
    search = Search(gSig=2.5, gSiz=gSiz, tsub=tsub)
    asked = dict(search=search, ring=ring, deconvolution=Deconvolution(p=p))
    return refit.update_all(movie, A, C, sn=sn, **asked, **options)
