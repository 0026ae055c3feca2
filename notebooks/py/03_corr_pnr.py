# %% [markdown]
# # 3. Correlation and peak-to-noise
#
# **You will learn** what the correlation image and the peak-to-noise image are, how the two thresholds on
# them decide where CNMF-E looks for cells, and how to choose them with sliders.
#
# **Time:** about 40 minutes. **You need:** to know what a pixel's time course is (lesson 1), and what
# lesson 2 left in the results folder; if it is not there, this lesson offers to make it.

# %% tags=["parameters"]
movie = "demo"  # "demo", "demo_hard", a name from data/registry.json, or the path of your own movie
results = "results"  # folder for what the workshop writes; in Colab it is on your Drive
gSig = 3  # width (sigma) of a cell in pixels: about a quarter of its diameter
min_corr = 0.85  # smallest local correlation of a seed pixel, 0 to 1
min_pnr = 12.0  # smallest peak-to-noise ratio of a seed pixel
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
# ```

# %%
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from workshop_utils import exercises, figures, session
from workshop_utils.engine import cm
from workshop_utils.files import replacing
from workshop_utils.measures import scoring
from workshop_utils.widgets import sliders

# %%
s = session.start(results, movie)
motion = s.need("motion")
opts = s.load_params()
Yr, dims, T = cm.load_memmap(str(motion["memmap"]))
images = Yr.T.reshape((T,) + dims, order="F")
print(f"{T} frames of {dims[0]} x {dims[1]} pixels at {opts.data['fr']:g} frames per second")

# %% [markdown]
# ## Why not just fit?
#
# CNMF-E improves a first guess step by step: where each cell is, and what it does. A place that never had a
# *seed*, a pixel to start from, never gets a cell. So everything depends on the seeds, and this lesson is
# about choosing them. Three numbers do it: the width of a cell, and two thresholds.
#
# ## How big is a cell?
#
# `gSig` is the width of a cell as the sigma of a Gaussian, in pixels: about a quarter of the cell's
# diameter. Before anything else, every frame is filtered with a kernel of that width: a Gaussian bump minus
# its mean over a disk. It sums to zero, so even brightness gives zero, and whatever has the size of a cell
# stands out: smaller things are averaged away, larger ones cancel against the negative rim.
#
# *Good:* the bump of the kernel is about as wide as your cells, and in the filtered frame cells are bright
# dots on grey. *Bad:* only grain is left (too narrow), or dots melt into clouds (too wide).

# %%
figures.kernel_figure(gSig, frame=np.asarray(images[T // 2]))

# %% [markdown]
# ## The two images
#
# From the filtered movie, for each pixel:
#
# - **local correlation** (`cn`, 0 to 1): does it go up and down with its eight neighbours? High inside
#   cells;
# - **peak-to-noise ratio** (`pnr`): its highest peak divided by its noise. High where something fired
#   strongly.
#
# A cell is high in *both*. Noise can have one lucky peak, but not together with its neighbours; a patch of
# background can be correlated, but has no sharp peaks. Of a long movie every `step`-th frame is enough.

# %%
step = max(1, T // 3000)
cn, pnr = cm.summary_images.correlation_pnr(images[::step], gSig=gSig, swap_dim=False)
cn, pnr = np.nan_to_num(cn), np.nan_to_num(pnr, posinf=0.0)
used = "all frames" if step == 1 else f"1 in {step} frames"
print(f"{used} used; correlation up to {cn.max():.2f}, peak-to-noise ratio up to {pnr.max():.0f}")

# %% [markdown]
# **How the two numbers come about**, at one pixel inside a cell (above) and at one in the background (below).
# Middle: the filtered time course, the band of its noise, and its highest peak; their ratio is the PNR.
# Right: the time courses of the pixel and of its eight neighbours, on top of each other; how alike they are
# where they rise above the grey band is the correlation. *Look for:* what the background pixel lacks.

# %%
product = cn * pnr
in_cell = np.unravel_index(np.argmax(product), dims)
in_background = np.unravel_index(np.argmin(np.abs(product - np.median(product))), dims)
figures.pixel_anatomy(images[::step], gSig, in_cell, in_background, opts.data["fr"] / step)

# %% [markdown]
# ## First guess
#
# We look for *seeds*: local maxima of the product `cn` × `pnr` among the pixels that pass both thresholds.
# Each seed is where CNMF-E starts a cell. The usual first guess is `min_corr` 0.8 and `min_pnr` 10.

# %% tags=["report"]
seeds = sliders.seed_pixels(cn, pnr, gSig, 0.8, 10)
figures.corr_pnr_figure(cn, pnr, 0.8, 10, seeds, truth=s.truth, radius=2 * gSig)

# %% [markdown]
# **Where do the thresholds lie among all pixels?** *Good:* a threshold to the right of the big heap, which
# is the background, and to the left of the tail, which is cells.

# %%
figures.histograms(cn, pnr, 0.8, 10)

# %% [markdown]
# ## Too low, too high
#
# The same two images under three pairs of thresholds. Too low: seeds in the noise and along vessels. Too
# high: clear cells without a seed. Between the two there is room, so don't agonise over the second decimal.
#
# *Look for* a cell that has a seed in the middle picture and none on the right: you can't get it back later.

# %% tags=["report"]
choices = {"too low": (0.3, 3), "first guess": (0.8, 10), "too high": (0.95, 25)}
figures.thresholds_pair(cn, pnr, gSig, choices, truth=s.truth)

# %% [markdown]
# ## Write the choice into the parameters
#
# Refined from the first guess: `min_corr` 0.85 and `min_pnr` 12, the lesson's parameters in the first cell.
# `gSiz` is the half-width of the box in which a cell is looked at, `2 * gSig + 1` pixels. This is the code
# way; the sliders below start from these values and write theirs to the same place when you press the
# button.

# %%
opts.change_params(
    {
        "init": {
            "gSig": (gSig, gSig),
            "gSiz": (2 * gSig + 1, 2 * gSig + 1),
            "min_corr": min_corr,
            "min_pnr": min_pnr,
        }
    }
)
print("parameters kept in", s.save_params(opts))

# %% [markdown]
# ## Tune
#
# Move the sliders, with the mouse or with the arrow keys. What does not pass is dimmed, and each mark is a
# seed. Hold the mouse over a pixel to read its values; drag a box to zoom in, and the view stays while you
# slide. *Suggested start* takes cell size and thresholds from the movie; the sentence below it says how.
# Another `gSig` means filtering the movie again: that goes on in the background, and a sign says so.
#
# Take **lower** thresholds than look right: a false positive can be thrown out in lesson 5, but a cell that
# never got a seed can't be recovered. *Use these values* writes them into the parameters and keeps them for
# the next lessons. The line of code below the pictures does the same: copy it into your own script.
#
# *Good:* nearly every spot that you would call a cell has one seed. *Bad:* seeds along vessels, in the
# empty background (too low); obvious cells without a seed (too high).

# %%
sliders.corr_pnr_tuner(images[::step], cn, pnr, opts, session=s, truth=s.truth)

# %% [markdown]
# What the next lessons will use:

# %%
print("gSig {gSig}, gSiz {gSiz}, min_corr {min_corr:g}, min_pnr {min_pnr:g}".format(**opts.init))

# %% [markdown]
# ## The same with holoviews
#
# CaImAn's own viewer shows the two images with linked histograms: select a region, and the histograms show
# only its pixels. (In a desktop window, `inspect_correlation_pnr` offers the same with Qt or another window
# toolkit.)

# %%
cm.utils.visualization.nb_inspect_correlation_pnr(cn, pnr)

# %% [markdown]
# ## A wrong width
#
# What happens when `gSig` is too large? With 6, twice the first value, the kernel spans several cells.
# Neighbours melt into one spot, seeds come to lie between cells, and cells beside a bright one get none.
# (If your cells are wider than the demo's, 6 may be just right: compare the spots with what you saw in the
# movie.) And when it is too small? With 2, less of the noise is averaged away: both numbers fall everywhere,
# and cells that passed the same thresholds before no longer do.
#
# *Bad, both:* compare the spots with the same places in the figures above.

# %%
cn_wide, pnr_wide = cm.summary_images.correlation_pnr(images[::step], gSig=6, swap_dim=False)
seeds_wide = sliders.seed_pixels(cn_wide, pnr_wide, 6, 0.8, 10)
figures.corr_pnr_figure(cn_wide, pnr_wide, 0.8, 10, seeds_wide, truth=s.truth, radius=2 * gSig)

# %%
cn_narrow, pnr_narrow = cm.summary_images.correlation_pnr(images[::step], gSig=2, swap_dim=False)
seeds_narrow = sliders.seed_pixels(cn_narrow, pnr_narrow, 2, 0.8, 10)
print(f"seeds: {len(seeds)} with gSig {gSig}, {len(seeds_wide)} with 6, {len(seeds_narrow)} with 2")
figures.corr_pnr_figure(cn_narrow, pnr_narrow, 0.8, 10, seeds_narrow, truth=s.truth, radius=2 * gSig)

# %% [markdown]
# ## Score the choices
#
# The simulated demo movie has an answer key: a seed within a cell's radius is a *hit*, a cell without a
# seed is *missed*, a seed without a cell is *false*. Your own movie has none; there you see only the number
# of seeds.

# %%
width = opts.init["gSig"][0]
if width != gSig:  # the sliders chose another width
    cn, pnr = cm.summary_images.correlation_pnr(images[::step], gSig=width, swap_dim=False)
chosen = (cn, pnr, width, opts.init["min_corr"], opts.init["min_pnr"])
choices = {"first guess": (cn, pnr, width, 0.8, 10), "chosen": chosen}
others = {"wide": (cn_wide, pnr_wide, 6, 0.8, 10), "narrow": (cn_narrow, pnr_narrow, 2, 0.8, 10)}
for label, choice in {**choices, **others}.items():
    seeds = sliders.seed_pixels(*choice)
    line = "{:>12}: gSig {}, min_corr {:.2f}, min_pnr {:g}".format(label, *choice[2:])
    score = f"; {scoring.score_seeds(seeds, s.truth, radius=2 * width)}" if s.truth else ""
    print(f"{line}: {len(seeds)} seeds{score}")

# %% [markdown]
# On the demo movie the lower first guess hits more cells than the refined values, hardly any seed is false
# with either, and the wide filter misses more cells. Two things soften the choice. Several seeds in one
# cell do no harm: once the best of them has become a cell, the others have lost their signal. And some
# cells that are missed here get a seed later, when a bright neighbour has been taken out of the movie
# (lesson 4 looks for seeds twice).

# %% tags=["report"]
seeds = sliders.seed_pixels(*chosen)
figures.corr_pnr_figure(cn, pnr, *chosen[3:], seeds, truth=s.truth, radius=2 * width)

# %%
with replacing(s.path("summary_images.npz")) as temporary:
    np.savez(temporary, cn=cn, pnr=pnr)
s.record("summary_images", images=s.path("summary_images.npz"), seeds=len(seeds))

# %% [markdown]
# ## Exercises
#
# ### Exercise 3.1: what is left?
#
# How many pixels pass both thresholds of the chosen values, `min_corr` *and* `min_pnr`? Set `my_count`.
#
# <details><summary>Hint</summary>
#
# `cn >= chosen[3]` is an image of True and False; `chosen[3]` is the threshold of the correlation,
# `chosen[4]` that of the peak-to-noise ratio. `&` joins two such images, and `np.sum` counts the True.
#
# </details>

# %%
my_count = None  # your answer, a number of pixels
exercises.count_passing(my_count, cn, pnr, *chosen[3:])

# %% tags=["solution"]
# Both have to hold, pixel by pixel, hence & and not |.
my_count = np.sum((cn >= chosen[3]) & (pnr >= chosen[4]))
exercises.count_passing(my_count, cn, pnr, *chosen[3:])

# %% [markdown]
# ### Exercise 3.2 (open): thresholds of your own
#
# Choose thresholds that reach more cells than the first guess, without letting in many false seeds. Use the
# sliders above, then write your values here.
#
# <details><summary>Hint</summary>
#
# Missed cells are those whose pixels fail a threshold. Which of the two? Point at some of them in the tuner
# and read their values. Lower that threshold first, and stop when false seeds come in.
#
# </details>

# %%
my_thresholds = None  # your answer, (min_corr, min_pnr)
first_guess = sliders.seed_pixels(cn, pnr, width, 0.8, 10)
mine = sliders.seed_pixels(cn, pnr, width, *my_thresholds) if my_thresholds else None
exercises.thresholds(my_thresholds, mine, first_guess, s.truth, radius=2 * width)

# %% tags=["solution"]
# Lower on both sides, and not by much: below a peak-to-noise ratio of 8 false seeds come in.
my_thresholds = (0.7, 8)
first_guess = sliders.seed_pixels(cn, pnr, width, 0.8, 10)
mine = sliders.seed_pixels(cn, pnr, width, *my_thresholds)
exercises.thresholds(my_thresholds, mine, first_guess, s.truth, radius=2 * width)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Collect the pairs of values on the board, and ask who found the most cells with the fewest
# > false seeds. The values will differ widely, and the lists of cells hardly: that is the point. On their own
# > movies people see no hits and misses; let two neighbours judge each other's seeds.

# %% [markdown]
# ## Recap
#
# - A cell is where a pixel correlates with its neighbours *and* has peaks well above its noise.
# - Seeds are local maxima of the product among the pixels that pass both thresholds.
# - Rather too low than too high: what has no seed is lost.
# - Too wide a `gSig` melts neighbours together.
#
# ## When it goes wrong
#
# - *No seeds at all:* the message on top of the figure gives the largest values; set the thresholds below
#   them. (In lesson 4 the same is said as "Expected pixels with correlation >= ... and PNR >= ...".)
# - *Both images are bright along vessels or edges:* motion is left. Go back to lesson 2.
# - *A bright frame around the image:* the border has no data of its own; see `border_nan` in lesson 2.
# - *Seeds everywhere:* `gSig` is smaller than your cells, or the thresholds are too low.
# - *"Expected what the step 'motion' leaves in ...":* lesson 2 hasn't run on this movie. Say yes to running
#   it now, or open it.
#
# ## Read on
#
# - Where the two images come from, and why seeds are where both are high: Zhou et al. 2018, *eLife*,
#   [10.7554/eLife.28728](https://doi.org/10.7554/eLife.28728), its section on initialisation.
# - Another way to look for seeds, with several tests one after the other: Lu et al. 2018, *Cell Reports*,
#   [10.1016/j.celrep.2018.05.062](https://doi.org/10.1016/j.celrep.2018.05.062).
#
# Next: **4 CNMF-E**.
