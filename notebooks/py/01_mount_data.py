# %% [markdown]
# # 1. Mount the data and look at the movie
#
# **You will learn** where your data lives when you work on a borrowed machine, how to set up CaImAn's
# interface, what a one-photon movie is made of, and how to look at one before you compute anything.
#
# **Time:** about 25 minutes. **You need:** nothing, and little Python: you can read a line like `a = b + 1`.
# The demo movie comes with the workshop. To use your own movie, change `movie` in the first cell; no other
# cell has to change.
#
# The path through the workshop: **1 mount data** → 2 motion correction → 3 correlation and peak-to-noise →
# 4 CNMF-E → 5 evaluation → 6 save and load. (7, your own data, is for afterwards.)
#
# Run a cell with Shift+Enter and wait until it is done before you run the next. Read what stands *above* a
# figure first: it says what to look for.

# %% tags=["parameters"]
movie = "demo"  # "demo", "demo_hard", a name from data/registry.json, or the path of your own movie
results = "results"  # folder for what the workshop writes; in Colab it is on your Drive
frame_rate = 10.0  # frames per second, used where the movie's own rate is not known
drive_folder = "MyDrive/behavior&calcium-imaging-workshop/data/calcium-imaging-data"  # in Colab
package = ""  # address to install the workshop from, if it isn't in that folder
log_level = "WARNING"  # how much to report: "DEBUG", "INFO", "WARNING" or "ERROR"
log_file = ""  # also write the log to this file; empty: only to the screen

# %% [markdown]
# ## Install (Colab only, a few seconds)
#
# Colab gives you a fresh computer each time, without this workshop on it. The next cell, the same in
# every lesson, asks for access to your Drive, installs the workshop from the folder `drive_folder` there and
# copies that folder to the computer's own disk. Everything that Colab brought along stays as it was, so
# the runtime needs no restart. Run again, the cell does nothing; on your own machine it never does.

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
# ## Set up
#
# Numerical libraries like to start one thread for each processor core. CaImAn starts several *processes* as
# well, and then cores × processes threads compete with each other. So we allow each process one thread.
# That has to be said **before** NumPy is imported, because the libraries read it only once.

# %%
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

# %% [markdown]
# On a machine with CaImAn the imports would be
#
# ```python
# import caiman as cm
# from caiman.motion_correction import MotionCorrect
# from caiman.source_extraction.cnmf import cnmf, params
# from caiman.source_extraction.cnmf.cnmf import load_CNMF
# ```
#
# Here one line stands for them. It takes CaImAn where it is installed and the workshop's embedded engine
# where it is not, and says which. **Every line after it is CaImAn code**: you can take it to your lab as it
# is.

# %%
import numpy as np
from IPython.display import display

from workshop_utils import colab, exercises, figures, logs, session, system
from workshop_utils.classroom import doctor
from workshop_utils.engine import cm
from workshop_utils.files import human_bytes
from workshop_utils.widgets import players

# %% [markdown]
# **Logging.** CaImAn reports what it does to the logger called `caiman`. `WARNING` shows only what you
# should know, `INFO` narrates each step, `DEBUG` is for finding faults. Each line says when, in which file,
# line and function, and in which process it was written.

# %%
logger = logs.start(level=log_level, file=log_file or None)

# %% [markdown]
# **Plotting.** Still figures are drawn by matplotlib; figures you can zoom and click by bokeh and
# holoviews. Nothing opens a window of its own, so all of it works in a browser.

# %% [markdown] tags=["instructor"]
# > **Instructor.** Until "Watch it", nobody has seen a movie: take ten minutes at most. Those who are stuck
# > run `doctor.show` below and read the first FAIL aloud; nine times in ten its second line is the answer.
# > Let the others go on. The 90-minute class skips exercise 1.1.

# %% [markdown]
# ## Is everything there?
#
# A look at this machine before you start: the packages, the engine, room for the movie, the results folder,
# the browser. A line that says FAIL also says what mends it. On the command line: `workshop doctor`.

# %%
ready = doctor.show(movie, results)

# %% [markdown]
# ## Drive and the local disk
#
# A Colab machine is temporary: what is on its disk is gone when you close it. Google Drive stays. But Drive
# is slow, so the movie is copied from Drive to the local disk once and read there, and the results are
# written back to Drive.
#
# The cell above has done both. The next line shows the copying again: what is there already is not copied,
# and a copy that was cut off goes on where it stopped. Without Drive it says so and goes on. The copied movie
# is opened with `movie = "workshop_data"`, or with its path if there are several. On other machines the movie
# is a local file, a name from the registry (such as `data_endoscope.tif`, downloaded once), or the demo.

# %%
data_folder = colab.copy_from_drive(drive_folder)

# %% [markdown]
# ## Open the session
#
# A *session* is the folder in which the lessons keep what they make, so that each lesson finds what the
# ones before it left. In Colab every notebook runs on a machine of its own, so there this folder lies on
# your Drive: `MyDrive/workshop_results`, one folder in it for each movie. Heavy working files stay on the
# local disk; the one that later lessons need, the memory map, is kept on Drive as well. After a disconnect
# open the lesson you were in and run it from the top: it finds everything.

# %%
s = session.start(results, movie)
fr = s.frame_rate or frame_rate
print(f"movie:   {s.movie}\nresults: {s.folder}\nrate:    {fr:g} frames per second")

# %% [markdown]
# ## Load the movie
#
# `cm.load` reads TIFF, AVI, HDF5, NumPy and other files, and returns an array of **frames × rows ×
# columns**. The frame rate is *not* read from the file: you have to give it. A wrong rate makes every time
# and every decay constant wrong, so look it up in your recording's notes.

# %%
movie_raw = cm.load(str(s.movie), fr=fr)
T, rows, columns = movie_raw.shape
print(f"{T} frames of {rows} x {columns} pixels, {movie_raw.dtype}")
print(f"{T / fr:.0f} s at {fr:g} frames per second")
print(f"{human_bytes(movie_raw.nbytes)} as numbers, {human_bytes(s.movie.stat().st_size)} on disk")

# %% [markdown]
# ## What is a movie good for?
#
# Before the details, the whole way: a raw frame on the left, and on the right what you want to have, one
# trace for each cell. The lessons are the arrows. *Look for:* how little of the first picture is left in the
# last ones. Nearly all of the light belongs to no cell that you could name.

# %%
figures.pipeline_figure(movie_raw, fr=fr, truth=s.truth)

# %% [markdown]
# ## Watch it
#
# Watch for motion (does everything jump together?), for cells (small spots that flash), and for what is
# neither. The contrast control sets which brightness is black and which is white. Click the picture to play
# and pause; the arrow keys go frame by frame.

# %%
players.play([movie_raw], fr=fr, titles=["raw movie"])

# %% [markdown]
# ## What the light is made of
#
# A one-photon microscope lights the whole depth of the tissue, and its camera adds up whatever comes back.
# So a cell's light lies on top of a much stronger glow:
#
# - *out-of-focus glow and neuropil*: wide, soft clouds from cells above and below the focus, and from the
#   felt of fibres between them; they flicker like cells do;
# - *blood vessels*: dark bands, whose edges shimmer as blood cells pass, and which move with the tissue;
# - *uneven light*: brighter in the middle, because lamp and lens are;
# - *slow drift*: the whole field gets darker over minutes as the dye bleaches;
# - *noise*: light comes in single photons, so even a still scene flickers from frame to frame.
#
# The demo movie is simulated, so it can be taken apart. The pictures show one of its frames as it grows, one
# thing after the other. *Look for:* the picture in which you could no longer point at every cell. Your own
# movie can't be taken apart like this: it starts with the last picture.

# %%
if s.truth:
    display(figures.stages_figure(s.truth))
else:
    print("This movie was recorded, not simulated: nobody knows its parts.")

# %% [markdown]
# ## Brightness over time
#
# The frames below are the same field at several times, and the curve is the mean brightness.
#
# *Good:* a flat or slowly falling curve. *Bad:* steps (the lamp, or a plug), single dark frames (dropped
# frames), saw teeth (the room's light gets in).

# %% tags=["report"]
figures.movie_frames(movie_raw, fr)

# %% [markdown]
# The same light, divided by how fast it changes: what is always there, what drifts, and what flickers.
# *Look for* cells: they are in the fast part only. So are vessels, and everything that moves.

# %%
figures.background_figure(movie_raw, fr)

# %% [markdown]
# ## Too bright is worse than too dark
#
# A camera counts up to a largest value (255 for 8 bits), and whatever is brighter is written down as that
# value. A transient on such a pixel is gone for good: no program brings it back. So look at all values that
# occur before you trust a recording.
#
# *Good:* the heap ends before the largest value. *Bad:* a spike at the right end, as in the second
# histogram, for which we made the same movie too bright. What to do: less light, or less gain, next time.

# %%
figures.exposure_figure(movie_raw)

# %% [markdown]
# ## Two pictures of the whole movie
#
# - The **maximum projection** shows each pixel's brightest moment. Bright background and noise show up too.
# - The **local correlation image** shows how well each pixel goes up and down together with its eight
#   neighbours: 1 means exactly together, 0 not at all. A cell covers many pixels that flash together, so it
#   stands out even where it is not bright.
#
# *Good:* round spots of the size of a cell in the right picture. *Bad:* doubled or smeared spots (motion,
# lesson 2), or a picture that is bright everywhere (background, lesson 3).

# %% tags=["report"]
max_projection = np.max(movie_raw, axis=0)
correlation = cm.local_correlations(movie_raw, swap_dim=False)
correlation[np.isnan(correlation)] = 0  # a constant pixel has no correlation
figures.summary_pair(max_projection, correlation)

# %% [markdown]
# ## Will it fit?
#
# Motion correction writes one corrected copy of the movie to disk and a second one, sorted for reading
# pixel by pixel. Both hold 4 bytes a pixel and frame, whatever the original had.

# %%
print(system.machine(s.folder))
print(system.will_it_fit(movie_raw.shape, s.folder))

# %%
s.record("movie", path=s.movie, shape=[T, rows, columns], fr=fr)

# %% [markdown]
# ## Exercises
#
# Each has a hint and a solution, folded away until you open them, and a check that answers you: write your
# answer and run the cell. A check never stops the notebook: try as often as you like.
#
# ### Exercise 1.1: fewer frames
#
# `movie_raw.resize(1, 1, 0.5)` averages pairs of frames. How many frames per second has the new movie? Set
# `my_rate`.
#
# <details><summary>Hint</summary>
#
# The recording lasts as long as before. Print `binned.shape`, and remember that a movie carries its rate:
# `binned.fr`.
#
# </details>

# %%
binned = movie_raw.resize(1, 1, 0.5)
my_rate = None  # your answer, in frames per second
exercises.binned_rate(my_rate, binned)

# %% tags=["solution"]
my_rate = fr / 2  # half as many frames in the same time
exercises.binned_rate(my_rate, binned)

# %% [markdown]
# ### Exercise 1.2 (open): a cell and a vessel
#
# Point at a cell and at a blood vessel, each as (row, column); rows count from the top. There are many right
# answers. Then find the same places in the player above: what does each of them do over time?
#
# <details><summary>Hint</summary>
#
# Read the positions off the axes of a larger picture:
# `import matplotlib.pyplot as plt; plt.imshow(correlation)`. A cell is a round spot that is bright there. A
# vessel is a dark band in the mean image, `plt.imshow(movie_raw.mean(axis=0))`.
#
# </details>

# %%
my_cell = None  # your answer, such as (40, 60)
my_vessel = None  # your answer
exercises.point_out(my_cell, my_vessel, correlation, s.truth)

# %% tags=["solution"]
# The most correlated pixel is in a cell; a vessel is dark in the mean image.
inside = (slice(10, -10), slice(10, -10))
my_cell = np.add(np.unravel_index(np.argmax(correlation[inside]), correlation[inside].shape), 10)
mean_image = np.mean(movie_raw, axis=0)
my_vessel = np.add(np.unravel_index(np.argmin(mean_image[inside]), mean_image[inside].shape), 10)
exercises.point_out(my_cell, my_vessel, correlation, s.truth)

# %% [markdown]
# ## Recap
#
# - Drive keeps, the local disk is fast: copy once, compute locally, write the results back.
# - A movie is frames × rows × columns, and you have to know its frame rate.
# - One-photon movies have a background that is stronger than the cells. It is soft, and cells are small:
#   everything that follows rests on that.
# - A pixel at the camera's largest value is lost: look at the histogram.
# - The correlation image shows cells that the maximum projection hides.
#
# ## When it goes wrong
#
# - *"Expected a movie: 'demo', 'demo_hard', a known name":* there is no file of that name. The message
#   lists what is beside the path you gave. Mind capital letters.
# - *Drive asks again and again, or "credential propagation was unsuccessful":* allow access with the account
#   you use Colab with, and tick every box in the window that asks.
# - *"No workshop in ..."*, or the folder isn't found: it was shared with you, but isn't in your Drive yet. In
#   Drive, under "Shared with me", right-click it and add a shortcut to "My Drive".
# - *"No module named 'workshop_utils'":* outside Colab, the notebook runs in a Python without the workshop.
#   Choose the kernel in which it is installed, or start `jupyter lab` from there.
# - *"Expected a whole TIFF file":* the copy was cut off. Copy the file again.
# - *"Expected greyscale frames":* the file holds colours. Save it in grey (in Fiji: Image, Type, 8-bit).
# - *Something fails that worked yesterday:* the cell with `doctor.show`, and do what it says.
# - *The kernel dies while loading:* CaImAn reads the whole movie, and it is larger than the memory. Load a
#   part with `cm.load(path, subindices=slice(0, 1000))`. (The embedded engine leaves such a movie in its
#   file.)
# - *The movie plays far too fast or slow:* `frame_rate` is wrong.
#
# ## Read on
#
# - The microscope on a mouse's head: Ghosh et al. 2011, *Nature Methods*,
#   [10.1038/nmeth.1694](https://doi.org/10.1038/nmeth.1694); the open-source ones: Aharoni and Hoogland 2019,
#   *Frontiers in Cellular Neuroscience*,
#   [10.3389/fncel.2019.00141](https://doi.org/10.3389/fncel.2019.00141).
# - What the dye does: Chen et al. 2013, *Nature*, [10.1038/nature12354](https://doi.org/10.1038/nature12354).
# - CaImAn: Giovannucci et al. 2019, *eLife*, [10.7554/eLife.38173](https://doi.org/10.7554/eLife.38173).
#
# Next: **2 motion correction**.
