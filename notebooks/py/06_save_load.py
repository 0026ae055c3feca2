# %% [markdown]
# # 6. Save, load and export
#
# **You will learn** to save the results so that CaImAn and other programs can read them, to load them and
# carry on, and to leave the machine clean.
#
# **Time:** about 25 minutes. **You need:** to know what `estimates` holds (lesson 4), and the evaluated model
# that lesson 5 left in the results folder; if it is not there, this lesson offers to make it.

# %% tags=["parameters"]
movie = "demo"  # "demo", "demo_hard", a name from data/registry.json, or the path of your own movie
results = "results"  # folder for what the workshop writes; in Colab it is on your Drive
save_as = "cnmfe_results.hdf5"  # where to save: a name in the results folder, or a full path
export_folder = "export"  # where to put the tables and pictures: a name in the results folder, or a full path
accepted_only = True  # export only the accepted components
delete_working_files = True  # delete movie copies that no lesson needs any more
delete_memory_map = False  # delete the memory map too; lessons 3 to 5 then need lesson 2 again
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
# from caiman.source_extraction.cnmf.cnmf import load_CNMF
# ```

# %%
import importlib.util
import os

for name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")

from pathlib import Path

import numpy as np

from workshop_utils import exercises, figures, logs, session
from workshop_utils.engine import cm, load_CNMF
from workshop_utils.files import human_bytes
from workshop_utils.session import export

# %%
s = session.start(results, movie)
os.environ["CAIMAN_TEMP"] = str(s.scratch)  # CaImAn writes its working files here
s.need("evaluation")
motion = s.need("motion")
cnm = load_CNMF(str(s.need("model")["file"]), n_processes=1, dview=None)
estimates, fr = cnm.estimates, float(cnm.params.data["fr"])
print(f"{len(estimates.C)} components, {len(estimates.idx_components)} accepted")

# %% [markdown]
# ## Save
#
# `cnm.save` writes one HDF5 file in CaImAn's layout: all of `estimates`, all parameters, and the
# correlation image. CaImAn, MATLAB, R and every HDF5 viewer can open it.
#
# Give a **full path**. CaImAn puts a bare file name into a temporary folder, out of sight, where it is lost
# with the machine. Here a bare name means the results folder.

# %%
target = s.path(save_as)
cnm.save(str(target))
print(f"{target} ({human_bytes(target.stat().st_size)})")

# %% [markdown]
# ## Load, and carry on
#
# A saved model knows its results and parameters, but not its workers: start new ones and hand them over.

# %%
if "dview" in globals():  # this cell was run before
    cm.stop_server(dview=globals()["dview"])
_, dview, n_processes = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=None)
loaded = load_CNMF(str(target), n_processes=n_processes, dview=dview)
Yr, dims, T = cm.load_memmap(str(motion["memmap"]))
images = Yr.T.reshape((T,) + dims, order="F")

# %% [markdown]
# **Do both agree?** First number by number, then by carrying on: the loaded model is evaluated again, and
# has to accept the same components. *Good:* "the same" everywhere. *Bad:* anything different: the file, the
# memory map or the parameters are not those of this model. (Had you set the thresholds in lesson 5 with the
# sliders, they were saved with the model.)

# %%
for name in ("C", "S", "YrA", "b0", "Cn", "SNR_comp", "r_values", "idx_components"):
    same = np.array_equal(getattr(estimates, name), getattr(loaded.estimates, name), equal_nan=True)
    print(f"{name:>15}: {'the same' if same else 'DIFFERENT'}")
for name in ("A", "W"):
    same = (getattr(estimates, name) != getattr(loaded.estimates, name)).nnz == 0
    print(f"{name:>15}: {'the same' if same else 'DIFFERENT'}")

# %%
loaded.estimates.evaluate_components(images, loaded.params, dview=dview)
same = np.array_equal(loaded.estimates.idx_components, estimates.idx_components)
print(
    "The loaded model accepts", "the same components." if same else "OTHER components: was the movie changed?"
)

# %% tags=["report"]
figures.contours(loaded.estimates.A, loaded.estimates.Cn, loaded.estimates.idx_components)

# %% [markdown]
# ## Export
#
# For programs that don't read HDF5: tables of traces, raw traces and spikes with the time in seconds, a
# table of the components with their centres and quality, and footprints as a TIFF stack and as a NumPy
# file. Columns carry the number that the component has in `estimates`, counted from 0.

# %%
keep = estimates.idx_components if accepted_only else np.arange(len(estimates.C))
folder = s.path(export_folder)
files = export.export_csv(estimates, fr, folder, components=keep)
files |= export.export_footprints(estimates, folder, dims=dims, components=keep)

# %% [markdown]
# **NWB** (Neurodata Without Borders) is the format that archives such as DANDI want. It needs the package
# `pynwb`, which not every machine has. For your own data fill in the rest of what NWB asks: animal,
# indicator, region.

# %%
if importlib.util.find_spec("pynwb") is None:
    print("No pynwb here, so no NWB file. To get it: pip install pynwb")
else:
    files["nwb"] = folder / "results.nwb"
    files["nwb"].unlink(missing_ok=True)
    estimates.save_NWB(str(files["nwb"]), imaging_rate=fr, sess_desc="One-photon calcium imaging")

# %%
for name, file in files.items():
    print(f"{name:>10}: {human_bytes(file.stat().st_size):>9}  {file}")
s.record("export", file=target, folder=folder, components=len(keep))

# %% [markdown]
# ## Exercises
#
# ### Exercise 6.1: when was it brightest?
#
# Read `traces.csv` back. When, in seconds, does the first exported component have its highest value? Set
# `my_time`.
#
# <details><summary>Hint</summary>
#
# `table = np.loadtxt(folder / "traces.csv", delimiter=",", skiprows=1)` reads it; column 0 is the time in
# seconds, column 1 the first component. `np.argmax` gives the row of the highest value.
#
# </details>

# %%
first = estimates.C[keep[0]] if len(keep) else []
my_time = None  # your answer, in seconds
exercises.time_of_peak(my_time, first, fr)

# %% tags=["solution"]
# Column 0 is the time, column 1 the first component; without components there is nothing to look for.
table = np.loadtxt(folder / "traces.csv", delimiter=",", skiprows=1, ndmin=2)
my_time = table[np.argmax(table[:, 1]), 0] if len(keep) else None
exercises.time_of_peak(my_time, first, fr)

# %% [markdown]
# ### Exercise 6.2 (open): how active is each cell?
#
# Make a table of your own: a CSV file with one row for each exported component, and how many events it had a
# minute. What an *event* is you decide, and you have to say it in your methods section: every spike above
# zero? Only large ones? Neighbouring frames together?
#
# <details><summary>Hint</summary>
#
# `estimates.S[keep]` has one row for each exported component and one column for each frame. A comparison
# such as `> 0.2 * row.max()` gives True where the row is high, and `T / fr / 60` is the length in minutes.
# Write it with `np.savetxt(file, table, delimiter=",", header="component,events_per_minute", comments="")`.
#
# </details>

# %%
my_file = None  # your answer, such as folder / "events.csv"
exercises.event_table(my_file, len(keep), T / fr)

# %% tags=["solution"]
# An event: a spike of at least a fifth of the component's largest one; neighbouring frames count once.
large = estimates.S[keep] > 0.2 * estimates.S[keep].max(axis=1, keepdims=True, initial=0)
starts = np.diff(large.astype(int), axis=1, prepend=0) == 1
rates = starts.sum(axis=1) / (T / fr / 60)
my_file = folder / "events.csv"
header = "component,events_per_minute"
np.savetxt(my_file, np.column_stack([keep, rates]), "%g", ",", header=header, comments="")
exercises.event_table(my_file, len(keep), T / fr)

# %% [markdown] tags=["instructor"]
# > **Instructor.** Compare the rates of two tables for the same cell: factors of three are normal, and both
# > are right by their own definition. That is why the definition belongs into the methods section.

# %% [markdown]
# ## The whole way, once more
#
# The picture that lesson 1 began with, now made of what you have computed. It is a good first figure for a
# talk: `figure = figures.pipeline_figure(...)`, then `figure.savefig("pipeline.png", dpi=300)`.

# %% tags=["report"]
raw, kept = cm.load(str(s.movie), fr=fr), estimates.idx_components
figures.pipeline_figure(raw, images, estimates.Cn, None, estimates.A, estimates.C, fr, kept)

# %% [markdown]
# ## Where to next
#
# **The same code with CaImAn.** On a lab machine install CaImAn with conda (`environment.yml` in the
# repository). The lessons then use it by themselves, and your own script needs the import lines at the top
# of each lesson and what follows them. The HDF5 file made here opens there.
#
# **Many recordings.** The notebooks take their parameters from outside. One lesson on another movie:
#
# ```
# papermill 02_motion_correction.ipynb out.ipynb -p movie /data/mouse1.tif -p results mouse1 -p max_shift 8
# ```
#
# All lessons, on one movie or on forty, with one report: `workshop run --help`.
#
# **MATLAB.** `C = h5read('cnmfe_results.hdf5', '/estimates/C');` gives frames × components, because MATLAB
# counts dimensions the other way round. `A` is stored sparse by column: `/estimates/A/data`, `indices`,
# `indptr`, `shape`, with pixels counted down the columns as MATLAB does. `idx_components` counts from 0.
#
# **R.** `rhdf5::h5read("cnmfe_results.hdf5", "estimates/C")`, the same way round as in MATLAB; or read
# `traces.csv`.

# %% [markdown]
# ## Clean up
#
# Stop the workers, close the log, and delete the copies of the movie that nobody needs any more. Motion
# correction left copies in order F; the memory map of order C is needed to run lessons 3 to 5 again.

# %%
cm.stop_server(dview=dview)
for closed in logs.stop():
    print("closed the log", closed)

# %%
memory_map = Path(motion["memmap"])
patterns = ("*.mmap", "tmp_mov_mot_corr*")
working = {file for place in (s.folder, s.scratch) for pattern in patterns for file in place.glob(pattern)}
working = sorted(file for file in working if file.name != memory_map.name or delete_memory_map)
for file in working:
    print(f"{human_bytes(file.stat().st_size):>9}  {file.name}")
freed = sum(file.stat().st_size for file in working)
if delete_working_files:
    Yr = images = None  # a file in use can't be deleted on Windows
    [file.unlink() for file in working]
print(f"{human_bytes(freed)} {'deleted' if delete_working_files else 'could be deleted'}")

# %% [markdown]
# ## Recap
#
# - One HDF5 file holds everything, in CaImAn's layout. Give a full path.
# - A loaded model carries on where the saved one stopped; it needs new workers.
# - Tables and pictures for everyone else, NWB for archives.
# - Movie copies are large: delete them when you are done.
#
# ## When it goes wrong
#
# - *The saved file has disappeared:* it was given a bare name and went to CaImAn's temporary folder. Give a
#   full path.
# - *"Expected a folder to save ... in":* folders are not made for you when you save. Make it first, with
#   `Path(...).mkdir()`.
# - *"Expected a file name that ends with .hdf5 or .h5":* the ending decides the format.
# - *"Expected a saved model at ..."*: the file is another kind of HDF5 file, or a copy that was cut off.
# - *The movie has to be given anew after loading:* the file holds results, not the movie; open the memory
#   map as above.
# - *"Expected pynwb, to write NWB files":* `pip install pynwb`.
# - *A file can't be deleted:* some notebook still has it open. Restart that kernel.
#
# ## Read on
#
# - NWB, the format for archives: Rübel et al. 2022, *eLife*,
#   [10.7554/eLife.78362](https://doi.org/10.7554/eLife.78362).
# - What people do with it: Ziv et al. 2013, *Nature Neuroscience*,
#   [10.1038/nn.3329](https://doi.org/10.1038/nn.3329), followed the same cells for weeks.
#
# That was the last lesson of the afternoon. **7 your own data** is for the day after: how to find
# parameters for a recording that nobody chose values for.
