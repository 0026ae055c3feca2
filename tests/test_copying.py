from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from cnmf_engine.base.errors import InputError, MissingFileError
from cnmf_engine.base.files import owner
from workshop_utils.movies import copying
from workshop_utils.movies.copying import copy_file, copy_folder

MB = 2**20
KILLS = 20
# Names as people have them on Drive.
PLAIN = ("rec", ["a.tif", "movie.tif", "sub/notes.txt", "z.bin"])
ODD = (
    "behavior&calcium 'imaging'",
    ["mäuse [1] & Hirn.tif", "Größe (2) {x} 50%.avi", "süb & [x]/a b.csv", "%s #é.bin"],
)


@pytest.fixture
def source(tmp_path):
    """Make a folder of a few files; its movie is larger than what is copied at once."""
    folder = tmp_path / "mäuse & Hirn"
    (folder / "sub").mkdir(parents=True)
    (folder / "movie.tif").write_bytes(random.Random(1).randbytes(6 * MB + 17))
    (folder / "sub" / "notes.txt").write_text("x")
    (folder / "empty.csv").write_bytes(b"")
    return folder


@pytest.fixture
def stopped(source, tmp_path, monkeypatch):
    """Copy until the movie's source fails; give source, copy, and what was said."""
    target = tmp_path / "Ziel & mehr"
    with failing(monkeypatch, 5 * MB), pytest.raises(InputError) as caught:
        copy_folder(source, target, progress=False)
    return source, target, str(caught.value)


@contextlib.contextmanager
def failing(monkeypatch, after, error=None):
    """Let sources fail after so many bytes, as a lost Drive does."""
    error = error or OSError(errno.EIO, "Input/output error")

    class Broken(io.FileIO):
        def readinto(self, buffer):
            if self.tell() >= after:
                raise error
            return super().readinto(memoryview(buffer)[: after - self.tell()])

    def opened(path, mode="r", **options):
        return io.BufferedReader(Broken(path, "rb")) if mode == "rb" else open(path, mode, **options)

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_CHUNK", MB)
        patch.setattr(Path, "open", opened)
        yield


def leftovers(folder):
    return [path for path in Path(folder).rglob("*") if path.name.endswith(".part")]


def age(part: Path, pid: int = 2**22 + 1, machine: str | None = None, start: int = 0) -> Path:
    """Rename a part to what a process that has ended would have left."""
    head, text, end = part.name.rsplit(".", 2)
    mine = text.split("-")
    name = f"{head}.{machine or mine[0]}-{pid}-{start or mine[2]}-{mine[3]}.{end}"
    return part.rename(part.with_name(name))


def digests(folder, ends=""):
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob(f"*{ends}")
        if path.is_file()
    }


def test_copies_then_skips(source, tmp_path, capsys):
    target = tmp_path / "Ziel & mehr"
    first = copy_folder(source, target)
    assert (first.copied, first.skipped, first.resumed_bytes, first.left_out) == (3, 0, 0, ())
    assert digests(target) == digests(source)
    assert abs((target / "movie.tif").stat().st_mtime - (source / "movie.tif").stat().st_mtime) < 1e-3
    shown = capsys.readouterr().out
    assert "Copied 3 file(s), 6.3 MB, in " in shown and "/s) to " in shown
    again = copy_folder(source, target)
    assert (again.copied, again.skipped) == (0, 3) and again.skipped_bytes == first.copied_bytes
    assert "Nothing to copy" in capsys.readouterr().out


def test_copies_what_changed_and_keeps_the_rest(source, tmp_path):
    target = tmp_path / "copy"
    copy_folder(source, target, progress=False)
    (target / "mine.txt").write_text("mine")
    (source / "movie.tif").write_bytes(b"another recording")
    report = copy_folder(source, target, progress=False)
    assert report.copied == 1 and (target / "movie.tif").read_bytes() == b"another recording"
    assert (target / "mine.txt").read_text() == "mine"


def test_one_file(source, tmp_path, capsys):
    target = tmp_path / "deep" / "er.tif"
    assert copy_file(source / "movie.tif", target)
    assert target.read_bytes() == (source / "movie.tif").read_bytes()
    assert not copy_file(source / "movie.tif", target) and not copy_file(target, target)
    assert copy_file(source / "movie.tif", tmp_path / "deep") and (tmp_path / "deep" / "movie.tif").is_file()
    assert capsys.readouterr().out == ""
    with pytest.raises(InputError, match="use copy_folder"):
        copy_file(source, target)
    with pytest.raises(MissingFileError, match=r"use '.*movie.tif'"):
        copy_file(source / "movi.tif", target)


def test_copy_of_a_read_only_file_can_be_written(source, tmp_path):
    (source / "movie.tif").chmod(0o444)
    copy_folder(source, tmp_path / "copy", progress=False)
    assert os.stat(tmp_path / "copy" / "movie.tif").st_mode & 0o200


def test_hidden_partial_and_google_files_stay_behind(source, tmp_path, capsys):
    for name in (".DS_Store", "movie.tif.crdownload", ".ipynb_checkpoints/a.ipynb", "Plan.gdoc", "T.GSHEET"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("x")
    (source / "rec.zarr").mkdir()
    for name in (".zarray", "0.0"):
        (source / "rec.zarr" / name).write_text("{}")
    report = copy_folder(source, tmp_path / "copy")
    assert report.left_out == ("Plan.gdoc", "T.GSHEET")
    assert "Left out 2 file(s)" in (shown := capsys.readouterr().out) and "File > Download" in shown
    assert sorted(digests(tmp_path / "copy")) == [
        "empty.csv",
        "movie.tif",
        "rec.zarr/.zarray",
        "rec.zarr/0.0",
        "sub/notes.txt",
    ]
    with pytest.raises(InputError, match="File > Download"):
        copy_file(source / "Plan.gdoc", tmp_path / "copy")


@pytest.mark.skipif(os.name == "nt", reason="making symbolic links needs rights on Windows")
def test_shortcuts_are_followed_but_not_in_circles(source, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "far.tif").write_bytes(b"far")
    (source / "shortcut").symlink_to(shared)
    (shared / "back").symlink_to(source)
    (source / "gone.tif").symlink_to(tmp_path / "nowhere")
    report = copy_folder(source, tmp_path / "copy", progress=False)
    assert (tmp_path / "copy" / "shortcut" / "far.tif").read_bytes() == b"far"
    assert not (tmp_path / "copy" / "shortcut" / "back").exists() and report.left_out == ("gone.tif",)


def test_goes_on_where_the_source_failed(stopped, capsys):
    source, target, said = stopped
    assert "Expected to read" in said and str(source / "movie.tif") in said
    assert "Input/output error, error 5 after 5.2 MB, which are kept" in said and "run the same again" in said
    (part,) = leftovers(target)
    assert part.name.startswith(".movie.tif.") and part.stat().st_size == 5 * MB
    # A file that can't be read keeps no other from being copied.
    assert (target / "sub" / "notes.txt").is_file() and not (target / "movie.tif").exists()
    report = copy_folder(source, target)
    assert (report.copied, report.skipped) == (1, 2) and report.resumed_bytes == 4 * MB
    assert "4.2 MB of it were left by a copy that was cut off" in capsys.readouterr().out
    assert digests(target) == digests(source)


def test_the_bar_starts_at_what_is_there(stopped, monkeypatch):
    import tqdm.auto

    bars = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options | {"file": io.StringIO()})
            bars.append((self, options))

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    copy_folder(*stopped[:2])
    bar, options = bars[-1]
    assert options["initial"] == 5 * MB and options["total"] == bar.n == 6 * MB + 17
    assert options["unit"] == "B" and options["unit_scale"]


def test_several_files_that_cant_be_read_are_named_together(source, tmp_path, monkeypatch):
    shutil.copy(source / "movie.tif", source / "second.tif")
    with failing(monkeypatch, 5 * MB), pytest.raises(InputError, match="The same goes for 'second.tif'"):
        copy_folder(source, tmp_path / "copy", progress=False)


def test_part_of_another_version_is_not_continued_and_goes_away(stopped):
    source, target, _ = stopped
    (old,) = leftovers(target)
    (source / "movie.tif").write_bytes(random.Random(2).randbytes(6 * MB + 17))
    report = copy_folder(source, target, progress=False)
    assert report.resumed_bytes == 0 and not old.exists()
    assert digests(target) == digests(source)


def test_part_of_a_process_that_lives_is_left_alone(stopped):
    source, target, _ = stopped
    (part,) = leftovers(target)
    part = age(part, pid=os.getppid(), start=parent_start())
    report = copy_folder(source, target, progress=False)
    assert report.resumed_bytes == 0 and leftovers(target) == [part]
    assert digests(target, "f") == digests(source, "f")


def parent_start():
    import psutil

    return int(psutil.Process(os.getppid()).create_time())


@pytest.mark.parametrize(
    ("changes", "resumed"),
    [
        ({}, 4 * MB),
        ({"pid": os.getppid(), "start": 1000}, 4 * MB),
        ({"machine": "abcdef"}, 0),
    ],
    ids=["process gone", "number used again", "another machine, just now"],
)
def test_whose_part_may_be_taken(stopped, changes, resumed):
    source, target, _ = stopped
    (part,) = leftovers(target)
    part = age(part, **changes)
    assert copy_folder(source, target, progress=False).resumed_bytes == resumed
    assert part.exists() == (resumed == 0)


def test_part_of_another_machine_is_taken_when_it_is_idle(stopped):
    source, target, _ = stopped
    part = age(leftovers(target)[0], machine="abcdef")
    os.utime(part, (time.time() - 3600,) * 2)
    assert copy_folder(source, target, progress=False).resumed_bytes == 4 * MB and not leftovers(target)


def test_torn_tail_is_copied_again(stopped, monkeypatch):
    source, target, _ = stopped
    (part,) = leftovers(target)
    with part.open("r+b") as stream:  # as after a power cut: the right size, but zeros at the end
        stream.seek(4 * MB - 100)
        stream.write(bytes(MB + 100))
    monkeypatch.setattr(copying, "_SYNC", 2 * MB)
    report = copy_folder(source, target, progress=False)
    assert report.resumed_bytes == 2 * MB and digests(target) == digests(source)


def test_part_that_is_wrong_all_through_is_copied_from_the_start(stopped):
    source, target, _ = stopped
    leftovers(target)[0].write_bytes(bytes(5 * MB))
    report = copy_folder(source, target, progress=False)
    assert report.resumed_bytes == 0 and digests(target) == digests(source)


def test_checksum_finds_what_size_and_time_hide(source, tmp_path):
    target = tmp_path / "copy"
    copy_folder(source, target, progress=False)
    times = (target / "movie.tif").stat()
    with (target / "movie.tif").open("r+b") as stream:
        stream.write(b"!")
    os.utime(target / "movie.tif", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert copy_folder(source, target, progress=False).copied == 0
    assert copy_folder(source, target, checksum=True).copied == 1
    assert digests(target) == digests(source)
    os.utime(target / "movie.tif", (1000, 1000))
    assert copy_folder(source, target, checksum=True, progress=False).copied == 0
    assert not copy_file(source / "movie.tif", target / "movie.tif")  # its time is right again


def test_checksum_copies_a_wrong_part_again(stopped):
    source, target, _ = stopped
    with leftovers(target)[0].open("r+b") as stream:  # beyond what is compared when going on
        stream.seek(MB)
        stream.write(b"wrong")
    report = copy_folder(source, target, checksum=True, progress=False)
    assert report.resumed_bytes == 0 and digests(target) == digests(source)


def test_checksum_goes_on_with_a_right_part(stopped):
    source, target, _ = stopped
    report = copy_folder(source, target, checksum=True, progress=False)
    assert report.resumed_bytes == 4 * MB and digests(target) == digests(source)


def test_checksum_that_stays_wrong_is_an_error(source, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "sha256", lambda path: "0" * 64)
    with pytest.raises(
        InputError, match=r"(?s)identical copy of .*movie.tif.*another SHA-256.*from the start"
    ):
        copy_file(source / "movie.tif", tmp_path / "copy.tif", checksum=True)
    assert list(tmp_path.glob("*copy*")) == []


def test_source_that_changes_meanwhile(source, tmp_path, monkeypatch):
    pour = copying._pour

    def slow(file, *args):
        done = pour(file, *args)
        with file.source.open("ab") as stream:
            stream.write(b"more")
        return done

    monkeypatch.setattr(copying, "_pour", slow)
    with pytest.raises(
        InputError, match=r"(?s)movie.tif to stay as it is.*that it changed.*upload is finished"
    ):
        copy_file(source / "movie.tif", tmp_path / "copy" / "movie.tif")
    assert list((tmp_path / "copy").iterdir()) == []


def test_source_that_is_cut_short_or_vanishes(source, tmp_path, monkeypatch):
    status = (source / "movie.tif").stat()
    longer = os.stat_result(
        [*status[:6], status.st_size + 5, *status[7:10]], {"st_mtime_ns": status.st_mtime_ns}
    )
    stat = Path.stat
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "stat", lambda path, **o: longer if path == source / "movie.tif" else stat(path, **o)
        )
        with pytest.raises(InputError, match=r"its end too early after 6.3 MB, which are kept"):
            copy_file(source / "movie.tif", tmp_path / "copy.tif")
    with (
        failing(monkeypatch, 0, FileNotFoundError(errno.ENOENT, "No such file")),
        pytest.raises(MissingFileError, match=r"(?s)that it has gone since.*Drive is still mounted"),
    ):
        copy_file(source / "movie.tif", tmp_path / "other.tif")


def test_full_disk_keeps_what_is_copied(source, tmp_path, monkeypatch):
    sync = copying._sync

    def full(stream):
        sync(stream)
        if stream.tell() > 4 * MB:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_sync", full)
        with pytest.raises(
            InputError, match=r"(?s)room for all of .*disk full.*nothing that was copied is lost"
        ):
            copy_folder(source, tmp_path / "copy", progress=False)
    assert (tmp_path / "copy" / "empty.csv").is_file() and len(leftovers(tmp_path / "copy")) == 1
    assert copy_folder(source, tmp_path / "copy", progress=False).resumed_bytes > 4 * MB


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_place_that_cant_be_written_to(source, tmp_path, monkeypatch, number):
    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match=r"(?s)Expected to write .*can't be written to.*name another folder"):
        copy_folder(source, tmp_path / "copy", progress=False)


@contextlib.contextmanager
def nobody(*folders):
    """Act without the rights of root, after the imports that root alone may be able to read."""
    import psutil  # noqa: F401
    import tqdm.auto  # noqa: F401

    for folder in folders:
        folder.chmod(0o755)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if as_root:
            os.seteuid(0)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such rights")
def test_rights(source, tmp_path):
    above = [folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))]
    readable, closed = tmp_path / "locked", source / "closed.tif"
    readable.mkdir()
    closed.write_bytes(b"x")
    modes = [(folder, folder.stat().st_mode) for folder in above]
    try:
        closed.chmod(0)
        readable.chmod(0o555)
        open_to_all = tmp_path / "open"
        open_to_all.mkdir()
        with nobody(tmp_path, *above):
            with pytest.raises(InputError, match=r"(?s)Expected to write .*Permission denied, error 13"):
                copy_folder(source, readable / "copy", progress=False)
        open_to_all.chmod(0o777)
        with nobody():
            with pytest.raises(InputError, match=r"(?s)to read .*closed.tif.*isn't allowed.*ask its owner"):
                copy_folder(source, open_to_all, progress=False)
        assert sorted(digests(open_to_all)) == ["empty.csv", "movie.tif", "sub/notes.txt"]
        (source / "sub").chmod(0)
        with nobody(), pytest.raises(InputError, match=r"to read .*sub"):
            copy_folder(source, open_to_all, progress=False)
    finally:
        (source / "sub").chmod(0o755)
        for folder, mode in modes:
            folder.chmod(mode)


@pytest.mark.parametrize(
    ("src", "dst", "message"),
    [
        ("mäuse & Hirm", "copy", r"use '.*mäuse & Hirn'"),
        ("mause & Hirn/sub/more", "copy", r"(?s)no 'mause & Hirn' in .*there is 'mäuse & Hirn/'.*use '"),
        ("mäuse & Hirn/movie.tif", "copy", "Found a file"),
        ("mäuse & Hirn", "mäuse & Hirn/copy", "inside it"),
        ("mäuse & Hirn", "mäuse & Hirn/movie.tif", "Found a file"),
        ("mäuse & Hirn", "mäuse & Hirn/movie.tif/x", "(?s)inside it"),
    ],
)
def test_refuses(source, tmp_path, src, dst, message):
    with pytest.raises((InputError, MissingFileError), match=message):
        copy_folder(tmp_path / src, tmp_path / dst, progress=False)


def test_needs_room_for_what_is_not_there_yet(stopped, monkeypatch):
    source, target, _ = stopped
    usage = namedtuple("usage", "total used free")
    room = 0
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10 * MB, 0, room))
    with pytest.raises(InputError, match=r"room for 1.0 MB in (.|\n)*Found 0 B free there"):
        copy_folder(source, target, progress=False)
    room = MB + 17
    assert copy_folder(source, target, progress=False).copied == 1


def test_useless_parts_make_room(stopped, monkeypatch):
    source, target, _ = stopped
    (source / "movie.tif").write_bytes(random.Random(2).randbytes(MB))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10 if leftovers(target) else 10 * MB))
    assert copy_folder(source, target, progress=False).copied == 1


def test_threads_dont_spoil_each_others_copy(source, tmp_path):
    target, errors = tmp_path / "copy", []

    def work():
        try:
            copy_folder(source, target, progress=False)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and digests(target) == digests(source)


def test_loser_of_a_part_copies_again(stopped, monkeypatch):
    source, target, _ = stopped
    pour, stolen = copying._pour, []

    def steal(*args):
        done = pour(*args)
        if not stolen:
            stolen.extend(leftovers(target))
            stolen[0].rename(target / "stolen")
        return done

    monkeypatch.setattr(copying, "_pour", steal)
    copy_folder(source, target, progress=False)
    (target / "stolen").unlink()
    assert digests(target) == digests(source)


def test_long_names_fit(tmp_path):
    name = "ä" * 120 + ".tif"
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has shorter names")
    copy_folder(tmp_path / "in", tmp_path / "out", progress=False)
    assert (tmp_path / "out" / name).is_file()


CHILD = """
import sys, time
import psutil, tqdm.auto  # they take longest to import, and the clock starts after this
from workshop_utils.movies import copying

copying._CHUNK = copying._TAIL = 64 * 1024
source, target, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
pour, resume = copying._pour, copying._resume_point

class Slow:
    def update(self, count):
        time.sleep(pause)

def slow(file, source, stream, bar, digest):
    return pour(file, source, stream, Slow(), digest)

def told(*args):
    start = resume(*args)
    print("from", start, flush=True)
    return start

copying._pour, copying._resume_point = slow, told
print("ready", flush=True)
print(copying.copy_folder(source, target, progress=False).resumed_bytes, flush=True)
"""


def make(folder, names, size):
    rng = random.Random(names[0])
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(size if number == 1 else rng.randrange(1, 300_000)))


@pytest.mark.parametrize(("name", "names"), [PLAIN, ODD], ids=["plain", "odd"])
def test_killed_again_and_again(tmp_path, name, names):
    """Each run goes on from what the one before left, and no name ever stands for a wrong file."""
    source, target = tmp_path / name, tmp_path / "copy & [1]"
    make(source, names, 40 * MB)
    wanted = digests(source)
    delays = random.Random(20240611 + len(name))
    resumed = 0
    for _ in range(KILLS):
        before = max((part.stat().st_size for part in leftovers(target)), default=0)
        command = [sys.executable, "-c", CHILD, str(source), str(target), "0.004"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            time.sleep(delays.uniform(0, 0.25))
            child.kill()
            said = child.stdout.read().splitlines()
        there = {key: value for key, value in digests(target).items() if not key.endswith(".part")}
        assert there.items() <= wanted.items()
        assert len(leftovers(target)) <= 2
        starts = [int(line.split()[1]) for line in said if line.startswith("from")]
        if before > 3 * 64 * 1024 and starts:
            assert max(starts) >= before - 3 * 64 * 1024
            resumed += 1
    report = copy_folder(source, target, progress=False)
    assert report.resumed_bytes > 0 and resumed >= KILLS // 4
    assert digests(target) == wanted


def test_processes_dont_spoil_each_others_copy(tmp_path):
    """Three copy the same folder at once, one of them is killed, and the others finish."""
    source, target = tmp_path / ODD[0], tmp_path / "copy"
    make(source, ODD[1], 5 * MB)
    command = [sys.executable, "-c", CHILD, str(source), str(target), "0.002"]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        for child in running:
            assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)
        running[0].kill()
        ends = [child.communicate(timeout=60) and child.returncode for child in running]
    assert ends[0] != 0 and ends[1:] == [0, 0]
    copy_folder(source, target, progress=False)
    assert digests(target) == digests(source)  # nothing of the killed one is left either


EDGES = """
import os, signal, sys
from pathlib import Path
from workshop_utils.movies import copying

where, when, source, target = sys.argv[1:]
module, name = {"replace": (os, "replace"), "rename": (os, "rename"), "fsync": (os, "fsync"),
                "utime": (os, "utime"), "unlink": (Path, "unlink")}[where]
real = getattr(module, name)

def die(*args, **options):
    if when == "after":
        real(*args, **options)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

setattr(module, name, die)
copying.copy_folder(source, target, progress=False)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", ["replace", "rename", "fsync", "utime", "unlink"])
def test_killed_between_two_steps(stopped, where, when):
    source, target, _ = stopped
    age(leftovers(target)[0])
    stale = target / f".movie.tif.{copying.key_of('movie.tif')}.5-1.{owner()}.part"
    stale.write_bytes(b"stale")
    age(stale)
    done = subprocess.run(
        [sys.executable, "-c", EDGES, where, when, str(source), str(target)], capture_output=True
    )
    assert done.returncode != 0 and b"Traceback" not in done.stderr
    there = {key: value for key, value in digests(target).items() if not key.endswith(".part")}
    assert there.items() <= digests(source).items()
    copy_folder(source, target, progress=False)
    assert digests(target) == digests(source)


def test_report_without_bytes(tmp_path):
    assert "Nothing to copy" in str(copying.CopyReport(tmp_path, 0, 0, 0, 0, 0.0))
