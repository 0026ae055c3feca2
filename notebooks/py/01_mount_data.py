# %% [markdown]
# # 1. Mount the data and look at the movie
#
# **You will learn** where your data lives when you work on a borrowed machine, how to set up CaImAn's
# interface, and how to look at a one-photon movie before you compute anything.
#
# **Time:** about 20 minutes. **You need:** nothing. The demo movie comes with the workshop. To use your own
# movie, change `movie` in the first cell; no other cell has to change.
#
# The path through the workshop: **1 mount data** → 2 motion correction → 3 correlation and peak-to-noise →
# 4 CNMF-E → 5 evaluation → 6 save and load.

# %% tags=["parameters"]
movie = "demo"  # "demo", a name from data/registry.json, or the path of your own movie
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

from workshop_utils import colab, doctor, logs, players, plots, session, system
from workshop_utils.engine import cm
from workshop_utils.files import human_bytes

# %% [markdown]
# **Logging.** CaImAn reports what it does to the logger called `caiman`. `WARNING` shows only what you
# should know, `INFO` narrates each step, `DEBUG` is for finding faults. Each line says when, in which file,
# line and function, and in which process it was written.

# %%
logger = logs.start(level=log_level, file=log_file or None)

# %% [markdown]
# **Plotting.** Still figures are drawn by matplotlib; figures you can zoom and click by bokeh and
# holoviews. Nothing opens a window of its own, so all of it works in a browser.

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
# ## Watch it
#
# Watch for motion (does everything jump together?), for cells (small spots that flash), and for what is
# neither. The contrast control sets which brightness is black and which is white. Click the picture to play
# and pause; the arrow keys go frame by frame.

# %%
players.play([movie_raw], fr=fr, titles=["raw movie"])

# %% [markdown]
# **What a one-photon background looks like.** A one-photon microscope lights the whole depth of the tissue,
# so a cell's light lies on top of a much stronger glow:
#
# - *out-of-focus glow*: wide, soft clouds from cells above and below the focus, which flicker like cells
#   do;
# - *blood flow*: dark vessels whose edges shimmer as blood cells pass;
# - *slow drift*: the whole field gets brighter or, as the dye bleaches, darker over minutes.
#
# The frames below are the same field at several times. The curve is the mean brightness: ideally flat.

# %% tags=["report"]
plots.movie_frames(movie_raw, fr)

# %% [markdown]
# The same light, divided by how fast it changes: what is always there, what drifts, and what flickers.
# Cells are in the fast part, and so are vessels and everything that moves.

# %%
plots.background_figure(movie_raw, fr)

# %% [markdown]
# ## Two pictures of the whole movie
#
# - The **maximum projection** shows each pixel's brightest moment. Bright background and noise show up too.
# - The **local correlation image** shows how well each pixel goes up and down together with its eight
#   neighbours. A cell covers many pixels that flash together, so it stands out even where it is not bright.
#
# *Good:* round spots of the size of a cell in the right picture. *Bad:* doubled or smeared spots (motion,
# lesson 2), or a picture that is bright everywhere (background, lesson 3).

# %% tags=["report"]
max_projection = np.max(movie_raw, axis=0)
correlation = cm.local_correlations(movie_raw, swap_dim=False)
correlation[np.isnan(correlation)] = 0  # a constant pixel has no correlation
plots.summary_pair(max_projection, correlation)

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
# ## Exercise
#
# `movie_raw.resize(1, 1, 0.5)` averages pairs of frames. How many frames per second has the new movie? Set
# `my_rate`.
#
# *Hint:* the attribute `fr` of a movie is its frame rate.

# %%
binned = movie_raw.resize(1, 1, 0.5)


def is_right(rate):
    return rate == binned.fr


my_rate = None  # your answer
print("Fill in my_rate and run this cell again." if my_rate is None else f"right: {is_right(my_rate)}")

# %% tags=["solution"]
# Half as many frames in the same time. The movie knows its rate.
print("The solution is right:", is_right(binned.fr))

# %% [markdown]
# ## Recap
#
# - Drive keeps, the local disk is fast: copy once, compute locally, write the results back.
# - A movie is frames × rows × columns, and you have to know its frame rate.
# - One-photon movies have a background that is stronger than the cells.
# - The correlation image shows cells that the maximum projection hides.
#
# ## When it goes wrong
#
# - *The movie is not found:* the message lists the movies beside the path you gave. Mind capital letters.
# - *Drive asks again and again, or "credential propagation was unsuccessful":* allow access with the account
#   you use Colab with, and tick every box in the window that asks.
# - *The workshop's folder isn't found:* it was shared with you, but isn't in your Drive yet. In Drive, under
#   "Shared with me", right-click it and add a shortcut to "My Drive".
# - *No module named 'workshop_utils':* outside Colab, the notebook runs in a Python without the workshop.
#   Choose the kernel in which it is installed, or start `jupyter lab` from there.
# - *Something fails that worked yesterday:* the cell with `doctor.show`, and do what it says.
# - *The kernel dies while loading:* CaImAn reads the whole movie, and it is larger than the memory. Load a
#   part with `cm.load(path, subindices=slice(0, 1000))`. (The embedded engine leaves such a movie in its
#   file.)
# - *The movie plays far too fast or slow:* `frame_rate` is wrong.
#
# Next: **2 motion correction**.
