# %% [markdown]
# # 2. Motion correction
#
# **You will learn** to remove the movement of the brain from a one-photon movie, to choose the one
# parameter that decides whether that works, and to notice when it has failed without an error.
#
# **Time:** about 40 minutes. **You need:** what a movie and a frame are (lesson 1), and a movie; lesson 1
# need not have run on this machine.

# %% tags=["parameters"]
movie = "demo"  # "demo", "demo_hard", a name from data/registry.json, or the path of your own movie
results = "results"  # folder for what the workshop writes; in Colab it is on your Drive
motion_correct = True  # False: the movie is already corrected, only make the memory map
pw_rigid = False  # use the piecewise-rigid correction for the result (both are shown)
gSig_filt = 6  # width of the spatial high-pass filter in pixels, as chosen from the comparison below
max_shift = 5  # largest movement allowed, pixels
strides = 48  # piecewise rigid: distance between patch starts, pixels
overlaps = 24  # piecewise rigid: overlap of neighbouring patches, pixels
max_deviation_rigid = 3  # piecewise rigid: how far a patch may deviate from the whole frame, pixels
frame_rate = 10.0  # frames per second, used where the movie's own rate is not known
decay_time = 0.4  # how long a typical calcium transient lasts, seconds
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
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

from pathlib import Path

import numpy as np

from workshop_utils import exercises, figures, session
from workshop_utils.engine import MotionCorrect, cm, params, plain_filter
from workshop_utils.files import replacing
from workshop_utils.measures import scoring
from workshop_utils.measures.motion_check import MotionTable
from workshop_utils.widgets import players

# %%
s = session.start(results, movie)
os.environ["CAIMAN_TEMP"] = str(s.scratch)  # CaImAn writes its working files here
fname = str(s.movie)
fr = s.frame_rate or frame_rate

# %% [markdown]
# ## Why correct at all?
#
# A mouse breathes, licks and runs, and its brain moves under the lens by a few pixels. CNMF-E later asks of
# each *pixel* how it changes over time. If the tissue slides below the pixel, the pixel sees now a cell, now
# its neighbour, now a vessel, and its time course is a mixture of them. All that follows believes that
# mixture: edges of vessels turn into "cells" that fire whenever the mouse runs. That is the worst kind of
# artefact, because it goes along with behaviour.
#
# So each frame is moved back to where the tissue was. How far is called its *shift*.

# %% [markdown]
# ## Workers
#
# CaImAn spreads work over several workers. `dview` is the handle to them, which you pass to every step that
# can use it; `n_processes` is their number: one less than the processor cores unless you say otherwise, so
# that the machine stays usable. Close old workers before you start new ones: forgotten workers hold memory.

# %%
if "dview" in globals():  # this cell was run before
    cm.stop_server(dview=globals()["dview"])
_, dview, n_processes = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=None)
print(f"{n_processes} worker(s)")

# %% [markdown]
# ## Parameters
#
# All parameters live in one `CNMFParams` object, in groups. Later lessons extend it with `change_params`.
#
# | parameter | value | meaning |
# |---|---|---|
# | `fr` | 10 | frames per second |
# | `decay_time` | 0.4 | length of a typical transient, s |
# | `pw_rigid` | False | False: shift each frame as a whole; True: shift patches of it differently |
# | `gSig_filt` | (3, 3) | width of the spatial high-pass filter, px: a **first guess** that we test below |
# | `max_shifts` | (5, 5) | largest shift, px, rows and columns |
# | `strides` | (48, 48) | piecewise rigid: distance between patches, px |
# | `overlaps` | (24, 24) | piecewise rigid: overlap, px, so that a patch is 72 px wide |
# | `max_deviation_rigid` | 3 | piecewise rigid: largest deviation of a patch from the rigid shift, px |
# | `border_nan` | 'copy' | what to put where a shift uncovers the edge: a copy of the last true pixels |

# %%
motion_parameters = {
    "pw_rigid": False,
    "gSig_filt": (3, 3),
    "max_shifts": (max_shift, max_shift),
    "strides": (strides, strides),
    "overlaps": (overlaps, overlaps),
    "max_deviation_rigid": max_deviation_rigid,
    "border_nan": "copy",
}
data_parameters = {"fnames": [fname], "fr": fr, "decay_time": decay_time}
opts = params.CNMFParams(params_dict={"data": data_parameters, "motion": motion_parameters})

# %% [markdown]
# ## Why filter first?
#
# Motion correction compares each frame with a *template* (an average frame) and finds the shift at which
# the two match best. In one-photon data the strongest thing in every frame is the glow, which stays with
# the microscope and not with the tissue, and which is so smooth that it fits almost anywhere. So the frames
# are first **high-pass filtered**: each pixel minus a local mean. What is left are edges of vessels and
# cells, which move with the tissue.
#
# `gSig_filt` is the width of that filter, in pixels. Structures much wider than it are removed. *Good:*
# vessels and cells stand out against flat grey. *Bad:* only noise is left (too small) or the glow is still
# there (too large).

# %%
movie_raw = cm.load(fname, fr=fr)
frame = np.asarray(movie_raw[len(movie_raw) // 2], dtype=np.float32)
widths = (3, 6, 11, 60)  # the first guess, two wider ones and a huge one
filtered = [cm.motion_correction.high_pass_filter_space(frame, gSig_filt=(g, g)) for g in widths]
figures.filter_preview(frame, filtered, widths)

# %% [markdown]
# ## Which width?
#
# We correct the movie with each width (the first 600 frames are enough to compare). No value raises an
# error: a wrong one **fails silently**. These numbers tell, and all but the last are there for your own movie
# too:
#
# - *agreement*: mean correlation of the frames with their mean image. Correction should raise it;
# - *crispness*: strength of the edges in the mean image. Movement blurs them, so correction should raise it
#   too;
# - *range*: size of the shifts. Nearly zero, or always at the limit, means that nothing sensible was
#   matched;
# - *jitter*: median step from one frame to the next. Tissue jitters too, but of two settings that are equal
#   otherwise, believe the calmer one: shifts that follow noise jump about;
# - *left*: the motion that remains, as the embedded engine estimates it by shifting the halves of the image
#   on their own (CaImAn has no such number, and a dash stands there);
# - *error*: the difference from the true motion, RMS. Only a simulated movie has it.


# %%
def run(source, **changes):
    mc = MotionCorrect(source, dview=dview, **{**opts.get_group("motion"), **changes})
    mc.motion_correct(save_movie=True)
    return mc


trial = movie_raw[:600]
known = s.truth.shifts[:600] if s.truth else None

# %%
table, tried = MotionTable(known), {"before": np.zeros((len(trial), 2))}
table.add("before", trial, tried["before"])
for g in widths if motion_correct else ():
    mc = run(trial, gSig_filt=(g, g), **plain_filter())
    tried[f"gSig_filt {g}"] = shifts = np.array(mc.shifts_rig)
    table.add(f"gSig_filt {g}", cm.load(mc.mmap_file[0]), shifts, getattr(mc, "quality", None))
if s.truth is None:
    print("The true motion of this movie is not known, so there is no error: go by the other columns.")

# %% tags=["report"]
figures.shift_comparison(tried, fr, truth=known)

# %% [markdown]
# **Read the table.** The good widths are those with the highest agreement and crispness, and neighbouring
# good widths find nearly the same shifts. On the demo movie 3, 6 and 11 do: their errors are 0.2 to 0.3 px.
# With 60 the glow stays in. That raises no error, and its shifts look like shifts, but agreement hardly
# rises and crispness is *lower than in the uncorrected movie*: that is how you would notice without the
# truth. (The embedded engine also writes a warning when a correction leaves the frames no more alike;
# CaImAn says nothing.)
#
# `plain_filter()` asked for CaImAn's own filter here. The embedded engine's default keeps a wider range of
# sizes and weights them by the noise that it measures, so it depends much less on `gSig_filt`: the
# correction below uses it. With CaImAn the width stays your choice.
#
# In dim recordings it is the small widths that fail, because they leave only noise; compare the filtered
# frames above. With the engine's own filter, which the correction below uses, the order of the widths may be
# another. So take a width from the middle of the good ones: 6 here, rather than the first guess 3.
#
# Now put the chosen width into the parameters. It is the lesson's parameter `gSig_filt`.

# %%
opts.change_params({"motion": {"gSig_filt": (gSig_filt, gSig_filt), "pw_rigid": pw_rigid}})
print("gSig_filt =", opts.motion["gSig_filt"])

# %% [markdown]
# ## Rigid or piecewise rigid?
#
# *Rigid* shifts each frame as a whole. *Piecewise rigid* cuts it into overlapping patches and shifts each
# by its own amount: right where the tissue is stretched, but each patch holds less to go by, so it is more
# easily misled. Take rigid unless the piecewise-rigid result is clearly better. Its shifts are one number a
# patch; the table shows their mean over patches.
#
# A slightly higher agreement isn't clearly better. Patches are freer, so they also match what isn't motion:
# frames become more alike, and cells get no closer to their place. Both simulated recordings move as a whole,
# and with patches their agreement rises and so does the error.
#
# *Good:* the patches' curves in the figure stay close to their mean. *Bad:* single patches that run away.

# %%
table = MotionTable(known)
for piecewise in (False, True) if motion_correct else ():
    mc = run(trial, pw_rigid=piecewise)
    parts = (mc.x_shifts_els, mc.y_shifts_els) if piecewise else ()
    shifts = np.stack([np.mean(part, axis=1) for part in parts], axis=1) if parts else np.array(mc.shifts_rig)
    label = "piecewise rigid" if piecewise else "rigid"
    table.add(label, cm.load(mc.mmap_file[0]), shifts, getattr(mc, "quality", None))
figures.patch_shifts_plot(*parts, fr) if motion_correct else print("The movie is already corrected.")

# %% [markdown]
# ## Correct the movie
#
# Now the whole movie. The shifts are *estimated* on filtered frames but *applied* to the original ones:
# what you analyse later is never the filtered movie. With `motion_correct = False` this step is left out.
#
# `border_px` is the width of the edge that has no data of its own because a shift uncovered it. With
# `border_nan='copy'` it is filled with its neighbours' values and can stay in.

# %%
if motion_correct:
    mc = run(fname)
    shifts, corrected = np.array(mc.shifts_rig), mc.mmap_file
    template = mc.total_template_els if pw_rigid else mc.total_template_rig
    border_px = 0 if opts.motion["border_nan"] == "copy" else mc.border_to_0
else:
    shifts, corrected = np.zeros((len(movie_raw), 2)), [fname]
    template, border_px = np.mean(movie_raw, axis=0), 0
largest = np.abs(shifts).max()
print(f"largest shift {largest:.1f} px of {max_shift} allowed; border {border_px} px")
if largest > 0.95 * max_shift:
    print("Shifts reach the limit: raise max_shift in the first cell and run the lesson again.")

# %% [markdown]
# **Shifts against time**, as (rows, columns), and as what was *applied*: minus the movement. *Good:*
# movement around a steady value, well inside the limits. *Bad:* a flat line at zero (nothing was matched),
# or a curve that sticks to the limit (raise `max_shift`). Where the truth is known, it is drawn as well.

# %% tags=["report"]
figures.shifts_plot(shifts, fr, truth=s.truth.shifts if s.truth else None)

# %% [markdown]
# **The template**, high-pass filtered as the frames were. *Good:* sharp vessels or cells. *Bad:* fog.

# %%
figures.template_figure(template)

# %% [markdown]
# ## Memory map
#
# The next steps read the movie pixel by pixel, the whole time course of each. A *memory map* is a file that
# can be used like an array, of which only the parts you touch are read. The order of its numbers decides
# what is quick:
#
# - **order F** (what motion correction writes): one frame after the other, quick to read by *frame*;
# - **order C**: the whole time course of one pixel after the other, quick to read by *pixel*. CNMF-E wants
#   this one.
#
# The file name says all that is needed to read it: `..._d1_ROWS_d2_COLUMNS_d3_1_order_C_frames_T.mmap`. The
# file itself is bare numbers, so **never rename it**.

# %%
s.forget("motion")  # of an earlier run, until this one's files are complete
fname_new = cm.save_memmap(corrected, base_name="memmap", order="C", border_to_0=border_px, dview=dview)
print(fname_new)

# %% [markdown]
# `Yr` is the movie as pixels × frames. The last line gives it back its shape, frames × rows × columns,
# without copying. Pixels are counted down the columns first, hence `order="F"` here, whatever the order of
# the file.

# %%
Yr, dims, T = cm.load_memmap(fname_new)
images = Yr.T.reshape((T,) + dims, order="F")
print(f"Yr {Yr.shape}, images {images.shape}, {images.dtype}")

# %%
with replacing(s.path("motion.npz")) as temporary:
    np.savez(temporary, shifts=shifts, template=template)
left = {"error_px": float(scoring.shift_error(shifts, s.truth.shifts))} if s.truth else {}
s.record("motion", memmap=Path(fname_new), shifts=s.path("motion.npz"), border=int(border_px), fr=fr, **left)
print("parameters kept in", s.save_params(opts))

# %% [markdown]
# ## Before and after
#
# *Good:* spots and vessels get smaller and sharper from left to right, and the correlation inside cells
# rises, because each pixel now stays on the same piece of tissue. *Bad:* no difference, or worse: doubled
# spots, bright edges along vessels.

# %% tags=["report"]
correlations = [np.nan_to_num(cm.local_correlations(m, swap_dim=False)) for m in (movie_raw, images)]
maxima = [np.max(m, axis=0) for m in (movie_raw, images)]
figures.before_after(maxima[0], correlations[0], maxima[1], correlations[1])

# %% [markdown]
# **What motion does if it is left in**, from close up, in the correlation image before and after. *Look for:*
# the cell, which is smeared over its neighbourhood on the left; and a bright band on the left that is no cell
# at all. It is the edge of a vessel, jumping, and every program would take it for activity.

# %%
figures.motion_left_figure(*correlations)

# %% [markdown]
# The same in numbers:

# %% tags=["report"]
table = MotionTable(s.truth.shifts if s.truth else None)
before = table.add("before", movie_raw, np.zeros_like(shifts))
after = table.add("after", images, shifts)
measures = ("agreement with the mean image", "crispness of the mean image")
figures.motion_quality(dict(zip(measures, zip(before, after))))

# %%
players.play([movie_raw, images], fr=fr, titles=["before", "after"])

# %% [markdown]
# ## Exercises
#
# ### Exercise 2.1: the frame that moved most
#
# Which single frame is farthest from the usual place? Set `my_frame` to its number.
#
# <details><summary>Hint</summary>
#
# `np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1)` is how far each frame is from the usual place,
# and `np.argmax` gives the position of the largest value.
#
# </details>

# %%
my_frame = None  # your answer, the number of a frame
exercises.most_moved(my_frame, shifts)

# %% tags=["solution"]
# The position of the largest distance from the median, which is where the frames usually are.
my_frame = np.argmax(np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1))
exercises.most_moved(my_frame, shifts)

# %% [markdown]
# ### Exercise 2.2 (open): break it
#
# Find another `gSig_filt` with which the correction of the trial frames fails, and say to yourself, *before*
# you look at the last column, which number gave it away. That is the skill that you need for your own movie.
#
# <details><summary>Hint</summary>
#
# What is left in a filtered frame if the filter is very narrow? And if it is as wide as the image? Try
# values far from those above, and compare agreement and crispness with the line "before".
#
# </details>

# %%
my_width = None  # your answer, in pixels
table = MotionTable(known)
before, after, mine = table.add("before", trial, tried["before"]), None, None
if my_width:
    mc = run(trial, gSig_filt=(my_width, my_width), **plain_filter())
    mine = np.array(mc.shifts_rig)
    after = table.add(f"gSig_filt {my_width}", cm.load(mc.mmap_file[0]), mine)
exercises.failing_width(my_width, mine, before[:2], after and after[:2], known)

# %% tags=["solution"]
my_width = 100  # nearly the whole image: the glow stays in, and it doesn't move with the tissue
table = MotionTable(known)
before, after, mine = table.add("before", trial, tried["before"]), None, None
if my_width:
    mc = run(trial, gSig_filt=(my_width, my_width), **plain_filter())
    mine = np.array(mc.shifts_rig)
    after = table.add(f"gSig_filt {my_width}", cm.load(mc.mmap_file[0]), mine)
exercises.failing_width(my_width, mine, before[:2], after and after[:2], known)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Most people try larger widths only. Ask somebody to try 1: what is left of a frame then?
# > The embedded engine holds on longer than CaImAn's own filter does, which is why `plain_filter()` is
# > there; with real CaImAn it changes nothing. If time is short, show the table of "Which width?" and leave
# > 2.2 as homework.

# %% [markdown]
# ## Close the workers

# %%
cm.stop_server(dview=dview)

# %% [markdown]
# ## Recap
#
# - One-photon frames are high-pass filtered before they are compared, because the glow doesn't move with
#   the tissue.
# - A wrong `gSig_filt` fails silently. Try several, and compare agreement, crispness and the shifts
#   themselves. Then look at the movie.
# - Shifts are applied to the original movie.
# - CNMF-E reads a memory map of order C, whose name describes it.
#
# ## When it goes wrong
#
# - *Shifts are flat at zero:* the filter left the glow in. Lower `gSig_filt`.
# - *Shifts jitter in every frame, and the movie looks shaken:* the filter left only noise. Raise
#   `gSig_filt`. The embedded engine says so: "Corrected frames hardly agree with the template".
# - *"were shifted as far as max_shifts"*, or a curve that sticks to the limit: raise `max_shift` to the value
#   that the message names; if there is none, cut out the frames in which the focus was lost.
# - *"Motion correction did not make the frames more alike":* the recording was still already, or the filter
#   leaves nothing to align by. Look at the filtered frames above.
# - *"of the field doesn't move with the tissue":* the rim of a lens, a mask or dust would hold the frames in
#   place, and was left out when shifts were sought. Look whether the corrected tissue stands still; if not,
#   cut the field to it with `indices`.
# - *"Pixels that don't show light from their place are filled from their neighbours":* dead, hot or blinking
#   pixels, or bad columns. It costs nothing; many of them call for another camera.
# - *"frames had NaN or infinite pixels":* they were filled from their neighbours. Ask where they come from.
# - *The movie was corrected elsewhere:* set `motion_correct = False`. Correcting twice blurs.
# - *Disk full:* each run writes a copy of the movie. Lesson 6 lists the working files and deletes them.
#
# ## Read on
#
# - The method, rigid and piecewise rigid: Pnevmatikakis and Giovannucci 2017, *Journal of Neuroscience
#   Methods*, [10.1016/j.jneumeth.2017.07.031](https://doi.org/10.1016/j.jneumeth.2017.07.031).
# - How a shift is found to a fraction of a pixel: Guizar-Sicairos et al. 2008, *Optics Letters*,
#   [10.1364/OL.33.000156](https://doi.org/10.1364/OL.33.000156).
# - A protocol from surgery to movie: Resendez et al. 2016, *Nature Protocols*,
#   [10.1038/nprot.2016.021](https://doi.org/10.1038/nprot.2016.021).
#
# Next: **3 correlation and peak-to-noise**.
