# %% [markdown]
# # 7. Your own data
#
# **You will learn** to look at a recording before you analyse it, to measure what the parameters depend on
# (movement, size of the cells, frame rate, noise), to derive parameters from that, and to choose between
# two sets of them when nobody can tell you the right answer.
#
# **Time:** about 45 minutes. **You need:** lessons 1 to 5, whose words are used here. Nothing that they left
# in a results folder is needed or changed: this lesson has a folder of its own.
#
# The movie is a second demo: dense, dim, 8 bits, and it moves a lot. Treat it as if it were yours. Its answer
# key stays in the drawer until the end. Then do the same with your own: change `movie` and the rates below.
# (In the folder of a class, `movie` is the recording of the class.)

# %% tags=["parameters"]
movie = "demo_hard"  # "demo", a name from data/registry.json, or the path of your own movie
results = "results_own"  # folder for what this lesson writes; in Colab it is on your Drive
frame_rate = 10.0  # frames per second, used where the movie's own rate is not known
decay_time = 0.4  # length of a typical transient, s
first_frames = 1000  # how many frames to look at: enough to measure, few enough to wait for
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
# from caiman.motion_correction import MotionCorrect
# from caiman.source_extraction.cnmf import params
# ```

# %%
import contextlib
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

from pathlib import Path

import numpy as np
from IPython.display import display

from workshop_utils import exercises, figures, logs, measures, session
from workshop_utils.engine import MotionCorrect, cm, params, plain_filter
from workshop_utils.measures.motion_check import MotionTable
from workshop_utils.widgets import sliders

# %%
s = session.start(results, movie)
logs.start(level="ERROR")  # what CaImAn would warn of is in the tables below
work = s.scratch / "own_data"  # movie copies go here, and are deleted at the end
work.mkdir(exist_ok=True)
os.environ["CAIMAN_TEMP"] = str(work)
fr = s.frame_rate or frame_rate

# %% [markdown]
# ## Before you start
#
# Seven things that no program can find out for you. Ask whoever recorded the movie, and write the answers
# into the same notebook as the animal's weight:
#
# 1. **Frame rate**, as it was *saved*: software often averages or skips frames.
# 2. **Indicator**, and how long its transients last: about 0.4 s for fast ones, 1 s and more for slow ones.
# 3. **Pixel size** in the tissue, after binning. A cell body is about 10 to 15 µm wide.
# 4. **Which microscope**, which lens, and how deep.
# 5. **Binning** and cropping that was done already, on the camera or later.
# 6. **Was it corrected, filtered or compressed before?** Correcting twice blurs; compressed video has lost
#    the dim part of its transients.
# 7. **What the animal did**, and when the lamp was on.
#
# ## Read the first frames
#
# An excerpt is enough to choose parameters. `subindices` reads only that part of the file.

# %%
raw = cm.load(str(s.movie), fr=fr, subindices=slice(0, first_frames))
T, rows, columns = raw.shape
print(f"{s.movie.name}: the first {T} frames of {rows} x {columns} pixels, {T / fr:.0f} s at {fr:g} Hz")

# %% [markdown]
# ## Is the recording healthy?
#
# A fit can't mend what the camera did. So first a look at the bare numbers: values that were cut off at the
# top, frames that were written twice or are black, steps of the lamp, odd and even frames that differ
# (interlaced or multiplexed light), bleaching, and a border that never changes.
#
# *Good:* "ok" in front of each line. *Bad:* "look": what stands at the end of the line says what to do. Some
# of it can be mended now (crop a border, cut out black frames), some only at the next recording.

# %% tags=["report"]
health = measures.health(raw, fr)
print(health)
figures.health_figure(raw, health)

# %% [markdown]
# ## How does it move?
#
# Everything below is measured on a corrected movie, so movement comes first. Three questions: which width of
# the filter aligns the frames, how far do they go, and does the whole field move together?
#
# **Which width?** As in lesson 2, with several widths and without the true motion. *Look for* the highest
# agreement and crispness; of equal widths leave out those with more jitter, and take the middle one,
# because the ends are where a width begins to fail. That is also how `choose_width` takes one.

# %%
limit = min(20, min(rows, columns) // 6)  # generous at first, px
correction = {"pw_rigid": False, "max_shifts": (limit, limit), "border_nan": "copy"}
opts = params.CNMFParams(params_dict={"data": {"fr": fr, "decay_time": decay_time}, "motion": correction})


def run(frames, width, **changes):
    mc = MotionCorrect(frames, **{**opts.get_group("motion"), "gSig_filt": (width, width), **changes})
    mc.motion_correct(save_movie=True)
    return mc


# %%
trial = raw[:300]
table = MotionTable()
before = table.add("before", trial, np.zeros((len(trial), 2)))
checks = {}
for width in (2, 4, 8):
    mc = run(trial, width, **plain_filter())
    checks[width] = table.add(f"gSig_filt {width}", cm.load(mc.mmap_file[0]), np.array(mc.shifts_rig))
gSig_filt = measures.choose_width(checks, before)
print(f"gSig_filt {gSig_filt} px")

# %% [markdown]
# **How far, how fast, all together?** The excerpt is corrected with that width, then each quadrant of the
# field on its own. *Jitter* (the fast part) is the animal's steps and breath, *drift* (the slow part) a lens
# that settles or warms up. If the quadrants agree, a rigid correction will do.
#
# *Good:* the dashed curves of the quadrants lie on the blue one, and all stay between the dotted limits.
# *Bad:* quadrants that move apart (try piecewise rigid), curves that stick to a limit (allow more). In a
# dim recording a quadrant may hold too little to be aligned on its own; then its curve jumps about, it says
# nothing, and rigid is the safer choice. Where *most frames* look so, there is nothing to align by, neither
# cells nor vessels: then no movement can be measured, and the movie stays as it is.

# %% tags=["report"]
mc = run(raw, gSig_filt)
shifts, images = np.array(mc.shifts_rig), np.array(cm.load(mc.mmap_file[0]))
quadrants = [np.array(run(part, gSig_filt).shifts_rig) for part in measures.quadrants(raw)]
motion = measures.motion(shifts, fr, quadrants, limit)
if not motion.measured:
    images = raw  # shifts that follow noise would only blur
elif motion.seen < 0.95:  # some frames got lost, and a tighter limit keeps them
    mc = run(raw, gSig_filt, max_shifts=(motion.max_shift, motion.max_shift))
    images = np.array(cm.load(mc.mmap_file[0]))
print(motion)
figures.motion_figure(motion, fr, quadrants)

# %% [markdown]
# ## How large is a cell?
#
# `gSig`, the width of a cell, decides more than any other parameter. Three ways to it:
#
# - *from the microscope:* a cell of 12 µm at 2 µm a pixel is 6 px wide, and `gSig` a quarter of that;
# - *by eye:* draw a line through a cell and read how wide the bump is at half of its height;
# - *measured:* where a cell lights up, the difference of two frames around the rise is the cell without its
#   background. The width that fits the clearest of these flashes is what *Suggested start* in lesson 3 takes.
#
# If they disagree by more than a third, look again: wide flashes are cells out of focus.
#
# Before that stands another question: **are there cells at all?** Calcium only makes cells brighter. Noise,
# vessels and movement darken as much as they brighten. So the movie's negative shows what a recording
# without cells would have reached, and only what stands out of that, small and round, counts as a cell.
# With few cells only they are measured; without any you are told so, and what follows are usual values.
#
# The figure puts circles of half the size, the suggested size, and twice it on the same spots. *Good:* a
# circle goes round one cell; where cells lie this close, it takes a little of its neighbours along (top
# right). *Bad:* circles inside cells (top left), or around several (bottom left).

# %% tags=["report"]
step = max(1, T // 1000)
first, _ = cm.summary_images.correlation_pnr(images[::step], gSig=3, swap_dim=False)
size = measures.size(images, np.nan_to_num(first))
print(size, sliders.suggest_thresholds(size.cells).rule, sep="\n")
cn, pnr = cm.summary_images.correlation_pnr(images[::step], gSig=size.gSig, swap_dim=False)
cn, pnr = np.nan_to_num(cn), np.nan_to_num(pnr, posinf=0.0)
figures.size_figure(cn, size.gSig)

# %% [markdown]
# ## Is the frame rate right?
#
# A wrong rate makes every time, every rate of events and the deconvolution wrong, and nothing warns you. Look
# for it in this order: the time stamps that the software wrote (`timeStamps.csv` beside a Miniscope movie:
# they also show *dropped* frames), the metadata (`metaData.json`, or inside a TIFF), the file's name, the
# notes. The rate in the head of an AVI is often just the rate of the player.

# %%
found = measures.find_rate(s.movie)
print("\n".join(found) or f"Nothing in or beside {s.movie.name} tells a rate; believed: {fr:g} Hz")

# %% [markdown]
# **Is it plausible?** The dye decays as fast as it does, whatever the camera. So lay the clearest
# transients on top of each other, measure in *frames* how long they take to fall, and compare with the
# seconds that the indicator needs. That is a check to a factor of two or three, not a measurement of the
# rate: bursts of spikes last longer than single ones. It finds the usual mistakes, 10 for 30 or 60 for 20
# Hz.
#
# *Good:* a smooth fall that the curve follows. *Bad:* a bumpy one (too few transients, or movement).

# %% tags=["report"]
thresholds = sliders.suggest_thresholds(size.cells)
seeds = sliders.seed_pixels(cn, pnr, size.gSig, thresholds.min_corr, thresholds.min_pnr)
seeds = seeds if len(size.cells.places) else size.cells.places  # no cells, no transients to measure
decay = measures.decay(images, seeds, size.gSig, fr, decay_time)
print(decay)
figures.decay_figure(decay)

# %% [markdown]
# ## How much noise?
#
# Light comes in photons, and their number scatters: where it is twice as bright, the variance of the noise
# is twice as large. If your noise follows that line, the camera is not to blame, and only more light or
# averaging helps. Averaging costs resolution in space or time; the last two lines say what it would buy.
#
# *Good:* the points follow the dashed line, and peaks are many times the noise. *Bad:* points that rise
# faster (movement, a flickering lamp), or a flat line (the camera's own noise, or a compressed video).

# %% tags=["report"]
noise = measures.noise(images, seeds, size.gSig)
print(noise)
figures.noise_figure(noise)

# %% [markdown]
# ## Parameters that follow
#
# Each with its reason. Reasons are what you can argue about with a colleague, and what goes into the methods
# section; the numbers alone are not. Read them: where a limit or the usual value stands instead of a
# measurement, the reason says so.

# %%
suggestion = measures.suggest(size, (rows, columns), fr, decay_time, motion, gSig_filt, noise, decay)
suggestion

# %% [markdown]
# ## Try them side by side
#
# A measurement can be wrong too. So fit a small, lively piece of the movie with two or three sets: the
# suggestion, a smaller `gSig`, lower thresholds. What is common to all is written into the parameters first.
# (`piece.tif` and the memory map are there because CaImAn fits from a file.)

# %%
piece = measures.excerpt(images, s.truth, most_frames=600, most_px=128)
cm.movie(piece.images, fr=fr).save(str(work / "piece.tif"))
mapped = cm.save_memmap([str(work / "piece.tif")], base_name="piece", order="C")
Yr, dims, frames = cm.load_memmap(mapped)
images_piece = Yr.T.reshape((frames,) + dims, order="F")
print(piece)

# %%
opts.change_params(suggestion.grouped())
usual = {"method_init": "corr_pnr", "K": None, "nb": 0, "ssub_B": 2}
usual |= {"normalize_init": False, "center_psf": True}
background = {"nb_patch": 0, "low_rank_background": None, "only_init": True, "del_duplicates": True}
quality = {"min_SNR": 2.5, "rval_thr": 0.8, "use_cnn": False}
opts.change_params({"init": usual, "patch": background, "quality": quality, "merging": {"merge_thr": 0.7}})

# %% [markdown]
# Read the table from left to right:
#
# - *found* and *accepted*: how many components, and how many pass the evaluation of lesson 5. Many found and
#   few accepted: the set invents;
# - *SNR* and *r*: medians over the accepted. A set that only adds poor components pulls them down;
# - *left*: structure in the residual, 1 for all of what was there, 0 for none. High: cells were missed;
# - *seconds*: on this piece; the whole recording takes as many times longer as it is larger.
#
# **How to choose without an answer key.** Of two sets take the one that leaves less behind, *unless* SNR
# and r fall with it: then the additional components are not like the others. Then look at the outlines. A
# set that cuts cells in two, or goes around two cells at once, is wrong whatever its numbers say.

# %%
fit = suggestion.fitting()
other = size.gSig - 1 if size.gSig > 2 else 3
lower = {**fit, "min_corr": round(0.8 * fit["min_corr"], 2), "min_pnr": round(0.6 * fit["min_pnr"], 1)}
sets = {"suggested": fit, f"gSig {other}": {**fit, "gSig": other}, "lower thresholds": lower}
comparison = measures.compare(images_piece, sets, opts)

# %% tags=["report"]
cn_piece = cn[piece.rows, piece.columns]
figures.fits_pair(comparison.fits, cn_piece)

# %% [markdown]
# ## Were you right?
#
# Decide now: which set would you take? Only then run the next cell, which opens the drawer. On your own
# movie it stays shut.

# %%
if piece.truth is None:
    print("No answer key for this movie: your own judgement is the verdict.")
else:
    judged = comparison.judged(piece.truth)
    print(judged)
    display(figures.fits_pair(judged.fits, cn_piece, piece.truth))

# %% [markdown]
# ## Write it down
#
# Before you run forty recordings with these parameters, check:
#
# - one recording from the first week and one from the last: does the suggestion differ? Then say why;
# - one with the most movement, and one with the dimmest cells;
# - the frame rate of *each*, from its own time stamps;
# - that the results of each go into a folder of their own.
#
# The line below runs all lessons on this movie with these parameters. For many, write it in a loop, or call
# one lesson with papermill, as in lesson 6: `papermill 04_cnmfe_fit.ipynb out.ipynb -p rf 30`. The file keeps
# values and reasons beside the results.

# %%
print(suggestion.command(s.requested, f"results_{s.movie.stem}"))
kept = suggestion.save(s.path("own_parameters.json"))
s.record("own_data", parameters=kept, values=suggestion.values, look_at=health.advice)
print("parameters and reasons kept in", kept)

# %% [markdown]
# ## Exercises
#
# ### Exercise 7.1: how wide is a cell?
#
# How wide is a cell in this movie, from edge to edge, in pixels? Measure it by eye in the figure with the
# circles, and set `my_diameter`.
#
# <details><summary>Hint</summary>
#
# Compare spots with the circles: which of the three sizes goes round one cell? The diameter is in the
# picture's title. Single spots differ from each other, so look at several.
#
# </details>

# %%
my_diameter = None  # your answer, in pixels
exercises.cell_diameter(my_diameter, size.gSig)

# %% tags=["solution"]
my_diameter = 4 * size.gSig  # the circles at the top right fit, and they are four gSig wide
exercises.cell_diameter(my_diameter, size.gSig)

# %% [markdown]
# ### Exercise 7.2 (open): a set of your own
#
# Change one or two of the parameters in `fit` and compare your set with the suggested one. Say before you run
# it which column of the table will change, and in which direction.
#
# <details><summary>Hint</summary>
#
# Look at the outlines above for what is wrong. Cells without an outline: lower `min_pnr` or `min_corr`. One
# outline around two cells: a smaller `gSig`. Structure left around cells: another `ring_size_factor`. Write
# the whole set as `{**fit, "min_pnr": 5.0}`.
#
# </details>

# %%
my_set = None  # your answer, such as {**fit, "min_pnr": 5.0}
tried = {"suggested": fit, "mine": my_set} if my_set else None
compared = measures.compare(images_piece, tried, opts, truth=piece.truth) if tried else comparison
exercises.own_set("mine" if my_set else None, compared)

# %% tags=["solution"]
# A wider ring averages over more pixels, and cells that lie on it weigh less. The change is small.
my_set = {**fit, "ring_size_factor": 1.6}
tried = {"suggested": fit, "mine": my_set} if my_set else None
compared = measures.compare(images_piece, tried, opts, truth=piece.truth) if tried else comparison
exercises.own_set("mine" if my_set else None, compared)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Let people run this on their own recording before the workshop's last hour, and collect
# > the table of `measures.health` from each: the "look" lines are the best start for a discussion. Two
# > people with the same microscope should get the same `gSig` to within a pixel; where they don't, one of
# > them has binned the movie.

# %% [markdown]
# ## Clean up
#
# The copies of the movie go; the piece stays, so that you can try more sets.

# %%
mc = None  # a file in use can't be deleted on Windows
for file in work.iterdir():
    if file.name != Path(mapped).name:
        with contextlib.suppress(PermissionError):
            file.unlink()

# %% [markdown]
# ## Recap
#
# - Look at the bare numbers first: what the camera cut off, nobody brings back.
# - Correct the movement before you measure anything else.
# - Size, rate, noise and movement can be measured, and each parameter follows from one of them. Keep the
#   reason with the value.
# - Compare sets on a piece. Less left behind is better, as long as SNR and r stay.
#
# ## When it goes wrong
#
# - *"No cell flashes clearly enough to be measured":* the excerpt is too short or too still. Take later
#   frames, more of them, or set `gSig` by eye.
# - *The rate "does not fit":* look for time stamps. If the rate is right, the indicator isn't what you
#   think, or the cells fire in long bursts.
# - *"No cells are visible here":* the number beside it says what background and noise reach. Look at focus
#   and light, at another `gSig`, or at a longer part. Values that follow are usual ones. If few cells stand
#   out, dimmer ones may be there all the same: try lower thresholds, and judge each component.
# - *"Movement can't be measured here":* there is neither vessel nor cell to align by. More light, a wider
#   filter, or another part of the recording may help; else leave the correction out.
# - *All sets find nothing:* look at the correlation image. If you see no cells either, look at movement and
#   light again.
# - *All sets leave most behind:* what is left may be vessels or movement, not cells. Look at where it is.
# - *Suggestions differ between recordings of one animal:* the focus has moved, or the expression has
#   changed.
#
# ## Read on
#
# - What decides about a recording before any analysis: Resendez et al. 2016, *Nature Protocols*,
#   [10.1038/nprot.2016.021](https://doi.org/10.1038/nprot.2016.021).
# - How fast indicators rise and decay: Chen et al. 2013, *Nature*,
#   [10.1038/nature12354](https://doi.org/10.1038/nature12354).
# - A pipeline that shows what each parameter does: Dong et al. 2022, *eLife*,
#   [10.7554/eLife.70661](https://doi.org/10.7554/eLife.70661).
