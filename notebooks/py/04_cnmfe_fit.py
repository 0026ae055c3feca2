# %% [markdown]
# # 4. CNMF-E: finding the cells
#
# **You will learn** what CNMF-E does, why one-photon data needs its ring model of the background, what each
# parameter means, and how to look at what came out.
#
# **Time:** about 45 minutes. **You need:** to know what a seed is (lesson 3), and what lessons 2 and 3 left
# in the results folder; if it is not there, this lesson offers to make it.

# %% tags=["parameters"]
movie = "demo"  # "demo", "demo_hard", a name from data/registry.json, or the path of your own movie
results = "results"  # folder for what the workshop writes; in Colab it is on your Drive
rf = 40  # half the width of a patch, pixels
stride = 20  # overlap of neighbouring patches, pixels
merge_thr = 0.7  # merge overlapping components whose traces correlate more than this
ring_size_factor = 1.4  # radius of the ring, in units of gSiz
drive_folder = "MyDrive/behavior&calcium-imaging-workshop/data/calcium-imaging-data"  # in Colab
package = ""  # address to install the workshop from, if it isn't in that folder

# %% tags=["colab-only"]
# @title In Colab: fetch the workshop and its data { display-mode: "form" }
import importlib.util
import subprocess
import sys
from pathlib import Path

if "google.colab" in sys.modules:  # a new computer: fetch the workshop and its data
    if importlib.util.find_spec("workshop_utils") is None:
        from google.colab import drive

        try:
            drive.mount("/content/drive")
        except Exception as problem:
            print(f"No Drive ({problem}). To use it run this cell again and allow access.")
        home, name = Path("/content/drive"), Path(drive_folder).name
        wheels = [*(home / drive_folder).glob("calcium_workshop-*.whl")]
        wheels += home.glob(f"*/{name}/calcium_workshop-*.whl")  # behind a shortcut in My Drive
        source = str(wheels[0]) if wheels else package
        if not source:
            there = ", ".join(item.name for item in home.glob("MyDrive/*")) or "nothing"
            sys.exit(f"No workshop in {drive_folder}. My Drive: {there}. Add a shortcut to '{name}'.")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", source], check=True)
    from workshop_utils import colab

    colab.start(drive_folder)

# %% [markdown]
# With CaImAn the engine line below would be
#
# ```python
# import caiman as cm
# from caiman.source_extraction import cnmf
# ```

# %%
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

import time

import numpy as np
from IPython.display import display

from workshop_utils import exercises, figures, session
from workshop_utils.engine import cm, cnmf
from workshop_utils.exercises import challenge
from workshop_utils.measures import scoring
from workshop_utils.widgets import players

# %%
s = session.start(results, movie)
os.environ["CAIMAN_TEMP"] = str(s.scratch)  # CaImAn writes its working files here
motion = s.need("motion")
summary = np.load(s.need("summary_images")["images"])
cn, pnr = summary["cn"], summary["pnr"]
opts = s.load_params()
fr, gSig = opts.data["fr"], opts.init["gSig"][0]
Yr, dims, T = cm.load_memmap(str(motion["memmap"]))
images = Yr.T.reshape((T,) + dims, order="F")
print(f"{T} frames of {dims[0]} x {dims[1]} pixels; gSig {gSig}")

# %% [markdown]
# ## CNMF in one picture
#
# A movie, with its pixels in a column and time in a row, is a matrix **Y** (pixels × frames). CNMF writes
# it as
#
# $$Y \;=\; A\,C \;+\; B \;+\; \text{noise}$$
#
# - **A**, *footprints*: where each component is (pixels × components);
# - **C**, *traces*: how bright each one is over time (components × frames);
# - **S**, *spikes*: the jumps of C, found by undoing the decay of the calcium signal (*deconvolution*);
# - **B**, *background*: everything that belongs to no cell.
#
# Nothing in A or C is negative, and footprints are small. CNMF improves A, C and B in turn, each with the
# others held still.
#
# **Why one-photon data needs CNMF-E.** In two-photon data, B is one or two dim images that vary in time. In
# one-photon data it is stronger than the cells and different everywhere, and hides them. CNMF-E ("E" for
# microendoscopic) uses that the background is *smooth*: what it does at a pixel can be predicted from the
# pixels on a **ring** around it, wide enough that no cell lies on both.
#
# Think of a lamp behind a curtain: you can't see it at one spot, but you know how bright the curtain would be
# there from the curtain around it. Whatever is brighter than that is the lamp.
#
# The figure below was made from your movie: a pixel inside a cell, its ring, what the ring predicts for the
# pixel, and what is left. *Good:* slow swings vanish, and the cell's transients remain. *Bad:* the ring
# predicts the transients too (it touches the cell, or its neighbour fires together with it).

# %%
radius = ring_size_factor * opts.init["gSiz"][0]
edge = int(np.ceil(radius))
inner = np.zeros(dims, bool)
inner[edge:-edge, edge:-edge] = True
center = np.unravel_index(np.argmax(np.where(inner, cn * pnr, 0)), dims)  # whose ring is whole
figures.ring_figure(images, center, radius, fr=fr, ssub=opts.init["ssub_B"])

# %% [markdown]
# ## Parameters
#
# These seven are the ones to think about for your own movie:
#
# | key | value | meaning |
# |---|---|---|
# | `gSig` | lesson 3 | width of a cell, px |
# | `min_corr`, `min_pnr` | lesson 3 | thresholds for seeds |
# | `rf` | 40 | half the width of a patch, px; the movie is worked on patch by patch |
# | `stride` | 20 | overlap of neighbouring patches, px |
# | `merge_thr` | 0.7 | overlapping components whose traces correlate more than this are merged |
# | `ring_size_factor` | 1.4 | radius of the ring, in units of `gSiz` |
#
# Rules of thumb: a patch is **at least three to four cells wide**, and the overlap **at least one cell**,
# so that each cell is whole in some patch. `merge_thr` and `ring_size_factor` matter where cells have many
# neighbours. What follows is the same for every one-photon movie:
#
# | key | value | meaning |
# |---|---|---|
# | `method_init` | 'corr_pnr' | seeds from correlation and peak-to-noise: the one-photon way |
# | `center_psf` | True | filter with the kernel of lesson 3, which sums to zero |
# | `nb` | 0 | background components; **0 switches the ring model on** |
# | `K` | None | largest number of components a patch; None: as many as there are seeds |
# | `ssub` | 1 | averaging in space during initialisation; 2 is faster where cells are large |
# | `p` | 1 | order of the dynamics: 1 for an instant rise, 2 if you see it; the embedded engine measures it |
# | `del_duplicates` | True | drop a component that two patches found |
# | `border_pix` | lesson 2 | pixels at the edge to leave out |
#
# All others stay at their defaults. The project's page `docs/parameters.md` lists them, with what each means;
# `print(opts)` shows what they are now.

# %%
opts.change_params(
    {
        "data": {"dims": dims},
        "init": {"method_init": "corr_pnr", "center_psf": True, "nb": 0, "K": None, "ssub": 1},
        "patch": {"del_duplicates": True, "border_pix": int(motion["border"])},
        "preprocess": {"p": 1},
        "temporal": {"p": 1},
    }
)

# %%
opts.change_params(
    {
        "patch": {"rf": rf, "stride": stride},
        "merging": {"merge_thr": merge_thr},
        "init": {"ring_size_factor": ring_size_factor},
    }
)
print("parameters kept in", s.save_params(opts))

# %% [markdown]
# ## Patches
#
# The movie is cut into overlapping squares, each solved on its own, in parallel. The quilt shows them over
# the correlation image; overlaps are brighter.
#
# *Good:* several cells in each square, and an overlap at least as wide as a cell. *Bad:* squares hardly
# larger than a cell, or one square for everything.

# %% tags=["report"]
patch_width = 2 * rf + 1
patch_overlap = stride + 1
patch_stride = patch_width - patch_overlap
cell = 4 * gSig  # diameter of a cell
print(f"patch width {patch_width} px, overlap {patch_overlap} px, distance between starts {patch_stride} px")
print(f"patch: {patch_width / cell:.1f} cells wide; overlap: {patch_overlap / cell:.1f} cells")
wide_enough = patch_width >= 3 * cell and patch_overlap >= cell
verdict = "This is wide enough" if wide_enough else "Too narrow, raise rf or stride,"
print(verdict, f"for cells {cell} px wide (4 * gSig).")
limits = {"vmin": np.percentile(cn, 1), "vmax": np.percentile(cn, 99)}
axes = cm.utils.visualization.view_quilt(cn, patch_stride, patch_overlap, **limits)

# %% [markdown]
# ## Fit
#
# Start the workers, make the model, and fit. This takes the longest of all steps: on the demo some seconds,
# on an hour of recording as long as a coffee.

# %%
if "dview" in globals():  # this cell was run before
    cm.stop_server(dview=globals()["dview"])
_, dview, n_processes = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=None)

# %%
started = time.perf_counter()
cnm = cnmf.CNMF(n_processes=n_processes, dview=dview, params=opts)
cnm.fit(images)
seconds = time.perf_counter() - started
print(f"{cnm.estimates.A.shape[1]} components found in {seconds:.1f} s")
decay, rise = map(opts.temporal.get, ("measured_decay", "measured_rise"))
if decay:  # CaImAn estimates a decay for each cell instead
    print(
        f"transients of all cells: decay {decay:.2f} s, rise {f'{rise:.2f} s' if rise else 'within a frame'}"
    )

# %% [markdown]
# ## What came out
#
# All results are attributes of `cnm.estimates`; *d* pixels, *K* components, *T* frames.
#
# - `A` (d, K): footprints, sparse. Column *k* as an image: `A[:, k].toarray().reshape(dims, order="F")`
# - `C` (K, T): denoised traces; `S` (K, T): spikes; `YrA` (K, T): what was left, so `C + YrA` is the raw
#   trace
# - `W`, `b0`: the ring model: each pixel's weights on its ring, and its constant brightness

# %%
estimates = cnm.estimates
for name in ("A", "C", "S", "YrA", "W", "b0"):
    print(f"{name:>4} {getattr(estimates, name).shape}")

# %% tags=["report"]
figures.traces(estimates.C, estimates.C + estimates.YrA, fr)

# %% [markdown]
# **What deconvolution does**, on one trace. The dye lets go of calcium slowly, so a spike leaves a jump and a
# decay. Deconvolution looks for the spikes whose decaying calcium fits the raw trace within its noise, and
# no better: what fits the noise isn't signal. *Good:* spikes where the trace jumps, and none in its noise.
# *Bad:* spikes all along the trace, or decays that are far too long (the frame rate is wrong). Mind the
# units: the height of a spike is brightness, not a number of action potentials.

# %%
if len(estimates.C):
    clarity = np.ptp(estimates.C, axis=1) / (np.std(estimates.YrA, axis=1) + 1e-9)
    k = int(np.argmax(clarity * np.mean(estimates.S == 0, axis=1)))  # clear, and with few spikes
    display(
        figures.deconvolution_figure((estimates.C + estimates.YrA)[k], estimates.C[k], estimates.S[k], fr)
    )

# %% [markdown]
# ## Movie = cells + background + residual
#
# The model's parts, side by side, at the frame in which the cells are brightest. *Good:* cells, and nothing
# else, in the cells' picture; a smooth background; a residual without structure. *Bad:* cell-shaped spots
# in the residual (missed cells) or in the background (ring too small), and dark holes around cells.

# %%
peak = int(np.argmax(estimates.C.sum(axis=0)))
pieces = players.fit_pieces(images, estimates)  # cells = A C; residual = movie - cells - background

# %% tags=["report"]
figures.decomposition(*[frames[peak] for frames in pieces.values()])

# %% [markdown]
# And as movies, each frame worked out when it is shown. The contrast is each movie's own: read black and
# white beside its title. *Save video* writes what you see to a file for a talk.

# %%
players.play(list(pieces.values()), fr=fr, titles=list(pieces))

# %% [markdown]
# ## Where the cells are
#
# Contours on the correlation image. *Good:* each spot has one closed outline. Some outlines will be wrong;
# the next lesson sorts them.

# %% tags=["report"]
figures.contours(estimates.A, cn)

# %% [markdown]
# **How patches were stitched.** A cell in the overlap of two patches is found in both. Where two components
# cover the same pixels and rise and fall together, they are one cell: they are merged (`merge_thr`), or one
# of them is dropped (`del_duplicates`). *Look for:* the cell that one patch sees only in part. With an
# overlap narrower than a cell, neither patch would see it whole.

# %%
figures.stitching_figure(estimates.A, cn, rf, stride)

# %% [markdown]
# ## The score
#
# On a simulated movie the answer is known, and a fit gets three marks:
#
# - *precision*: the share of the components that are cells. Invented ones lower it;
# - *recall*: the share of the cells that were found, out of those that could be found at all (a cell far
#   below the focus can't, and isn't asked for). Missed ones lower it;
# - *trace correlation*: how much a found cell's trace looks like the true one, 1 for exactly.
#
# **F1** is one number for precision and recall together, and is high only if both are.

# %%
if s.truth:
    print(scoring.explain(estimates.A, estimates.C, s.truth))
else:
    print("No answer key for this movie: judge by the contours, the traces and the residual.")

# %% tags=["report"]
if s.truth:
    display(figures.score_map(cn, estimates.A, s.truth))

# %% [markdown]
# ## Patches too small
#
# What if patches are hardly larger than a cell? Then few cells are whole in a patch, the ring has no room,
# and there is too little around a cell to tell it from the background. The same fit again, with patches one
# and a half cells wide; the parameters above stay as they were.
#
# *Bad, on the right:* cells in pieces, cells missing, outlines with straight edges.

# %% tags=["report"]
narrow = max(2 * cell // 3, int(0.8 * radius))  # a patch of 2 * narrow + 1 px
small = challenge.fit_with(images, opts, dview=dview, rf=narrow, stride=cell // 3)
figures.fits_pair({f"rf {rf}": estimates, f"rf {narrow}": small}, cn, truth=s.truth)

# %% [markdown]
# ## Save
#
# The model goes into the results folder, with the correlation image inside, for the next lesson.

# %%
estimates.Cn = cn
s.forget("model")  # of an earlier run, until this one is saved
cnm.save(str(s.path("cnmfe.hdf5")))
s.record("model", file=s.path("cnmfe.hdf5"), components=int(estimates.A.shape[1]), fit_seconds=seconds)

# %% [markdown]
# ## Exercises
#
# ### Exercise 4.1: how wide a patch?
#
# Which `rf` gives patches that are at least five cells wide, and no wider than needed? Set `my_rf`.
#
# <details><summary>Hint</summary>
#
# A patch is `2 * rf + 1` pixels wide, and a cell is `cell` pixels wide. Half a pixel doesn't exist: round up.
#
# </details>

# %%
my_rf = None  # your answer, in pixels
exercises.patch_half_width(my_rf, cell)

# %% tags=["solution"]
# 2 * rf + 1 >= 5 * cell, so rf >= (5 * cell - 1) / 2, rounded up.
my_rf = int(np.ceil((5 * cell - 1) / 2))
exercises.patch_half_width(my_rf, cell)

# %% [markdown]
# ### Exercise 4.2 (open): turn one knob
#
# Change *one* of the seven parameters, and predict first: more components or fewer? Better traces or worse?
# Then run it. A knob that you have turned once on a movie whose answer you know is one that you will dare to
# turn on your own.
#
# <details><summary>Hint</summary>
#
# Good ones to try: `ring_size_factor` 1.1 or 2, `merge_thr` 0.4 or 0.9, `min_pnr` 6 or 20, `gSig` (2, 2).
# Write them as in `{"min_pnr": 6}`. Those of the second table can be changed in the same way, and so can
# `tsub`, which is a default.
#
# </details>

# %%
my_change = None  # your answer, such as {"merge_thr": 0.4}
changed = challenge.fit_with(images, opts, dview=dview, **my_change) if my_change else None
exercises.one_change(my_change, estimates, changed, s.truth)

# %% tags=["solution"]
my_change = {"min_pnr": 8}  # lower: dim cells get a seed, too
changed = challenge.fit_with(images, opts, dview=dview, **my_change)
exercises.one_change(my_change, estimates, changed, s.truth)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Let everyone say the prediction aloud before running: the surprise is the lesson. Share
# > the knobs out among the tables, and write direction and score on the board. Expect the question why a
# > "worse" parameter finds *more* components: pieces of one cell count twice.

# %% [markdown]
# ## Close the workers

# %%
cm.stop_server(dview=dview)

# %% [markdown]
# ## Recap
#
# - CNMF-E: movie = footprints × traces + background + noise; the background is predicted from rings.
# - `nb = 0` switches the ring model on; `method_init = 'corr_pnr'` starts from the seeds of lesson 3.
# - Patches: three to four cells wide at least, overlapping by one cell at least.
# - Results are in `estimates`: `A`, `C`, `S`, `YrA`, `W`, `b0`. Look at the residual.
#
# ## When it goes wrong
#
# - *"Expected pixels with correlation >= ... and PNR >= ...", and no components:* no pixel passes both
#   thresholds. Go back to lesson 3 and lower them. (The numbers are those after averaging pairs of
#   frames, `tsub`, which lowers the noise.)
# - *Hundreds of components along vessels:* motion is left (lesson 2), or thresholds are too low (lesson 3).
# - *One cell in several pieces:* `gSig` is too small, or `merge_thr` too high.
# - *Neighbours melted into one:* `gSig` is too large, or `merge_thr` too low.
# - *Cells in the background picture:* the ring touches the cell; raise `ring_size_factor`.
# - *"Expected patches with rf of at least 1 px":* `stride` is not below `2 * rf`, so patches would not move
#   on.
# - *"Expected a parameter of 'init'"* and a suggestion: a name is misspelt, or stands in another group.
# - *Memory runs out:* set a smaller `rf`, or `ssub` to 2 in the cell with the parameters.
#
# ## Read on
#
# - CNMF: Pnevmatikakis et al. 2016, *Neuron*,
#   [10.1016/j.neuron.2015.11.037](https://doi.org/10.1016/j.neuron.2015.11.037).
# - CNMF-E and its ring: Zhou et al. 2018, *eLife*,
#   [10.7554/eLife.28728](https://doi.org/10.7554/eLife.28728).
# - Deconvolution with OASIS: Friedrich et al. 2017, *PLoS Computational Biology*,
#   [10.1371/journal.pcbi.1005423](https://doi.org/10.1371/journal.pcbi.1005423).
# - The same ring model while the animal still runs: Friedrich et al. 2021, *PLoS Computational Biology*,
#   [10.1371/journal.pcbi.1008565](https://doi.org/10.1371/journal.pcbi.1008565).
#
# Next: **5 evaluation**.
