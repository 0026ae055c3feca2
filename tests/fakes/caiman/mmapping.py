from pathlib import Path

import cnmf_engine.caiman.mmapping as _embedded
from caiman._strict import deviates, takes


def check_words(name):
    """Read the sizes from a name as CaImAn does: the first token of its kind wins."""
    tokens = Path(name).stem.split("_")[1:]
    for word in ("d1", "d2", "d3", "frames"):
        if word in tokens:
            int(tokens[tokens.index(word) + 1])


def _load(filename, mode="r"):
    check_words(filename)
    Yr, dims, T = _embedded.load_memmap(filename, mode)
    return Yr, (list(dims) if deviates("dims") else dims), T


def _save(filenames, **kwargs):
    if isinstance(filenames, str):
        raise Exception("save_memmap wants a list")
    return _embedded.save_memmap(filenames, **kwargs)


load_memmap = takes("filename, mode='r'", _load)
save_memmap = takes(
    "filenames, base_name='Yr', resize_fact=(1, 1, 1), remove_init=0, idx_xy=None, order='F', "
    "var_name_hdf5='mov', xy_shifts=None, is_3D=False, add_to_movie=0, border_to_0=0, dview=None, "
    "n_chunks=100, slices=None",
    _save,
)
