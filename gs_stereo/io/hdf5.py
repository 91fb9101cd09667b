"""HDF5 files of unknown origin: only what is stored in the very file, by filters that we know, is read."""

import h5py

HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError, RecursionError)
"""What h5py raises on broken files, by experience and by its source."""

_GZIP, _SHUFFLE, _FLETCHER32, _LZF, _ZSTD = 1, 2, 3, 32000, 32015
_FILTERS = {_GZIP, _SHUFFLE, _FLETCHER32, _LZF, _ZSTD}


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset stored in this very file; ValueError if it is a link, kept elsewhere, or packed in an unknown way."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is missing or a link to elsewhere")
    if file.get(name, getclass=True) is not h5py.Dataset:
        raise ValueError(f"{name} is no dataset")
    data = file[name]
    settings = data.id.get_create_plist()
    if data.is_virtual or settings.get_external_count():
        raise ValueError(f"{name} keeps its data in another file")
    filters = {settings.get_filter(number)[0] for number in range(settings.get_nfilters())}
    if unknown := filters - _FILTERS:
        raise ValueError(f"{name} uses the unknown filter {min(unknown)}")
    return data
