"""The one loader: libraries that are missing, stale or others than the code means, and arrays that do not fit."""

from __future__ import annotations

import shutil
from ctypes import c_float, sizeof
from pathlib import Path

import numpy as np
import pytest
import torch

from gs_stereo.errors import InputError, PluginError
from gs_stereo.mvs import kernels
from gs_stereo.native import library
from gs_stereo.native.library import Library, read_interface
from gs_stereo.splat.engine import ENGINE
from gs_stereo.worlds.light import lamp

LIBRARIES = [ENGINE, kernels.LIBRARY, lamp.LIBRARY]


HEADER = """
// A struct of no library.
struct Table {
  int32_t rows;
  const float* values;  // [rows, 3]
  bool *marks, *others;  // [rows] or null; more is said here
  float corner[3], size;
};

struct Book {
  Table first;
  const Table* tables;
  void* cover;
  void* const* pages;  // [first.rows]
};

GS_EXPORT int32_t gs_read(const Book* book,
                          Table* found);
"""
INTERFACE = read_interface(HEADER)
Table = INTERFACE.structs["Table"]


def test_an_interface_is_read_as_the_compiler_reads_it() -> None:
    values = np.zeros((2, 3), np.float32)
    table = Table(rows=2, values=values, corner=[0, 0, 0])
    pages = np.array([5, 6], np.uint64)
    book = INTERFACE.structs["Book"](first=table, tables=[table, table], cover=7, pages=pages)
    assert (book.first.values.value, book.tables[1].values.value, book.cover) == (*[values.ctypes.data] * 2, 7)
    assert [name for name, *_ in Table._fields_] == ["rows", "values", "marks", "others", "corner", "size"]
    assert (Table.size.offset, Table.size.size, sizeof(Table)) == (44, 4, 48)
    assert INTERFACE.functions == {"gs_read": [INTERFACE.structs["Book"], Table]}


def test_a_struct_points_to_the_arrays_themselves_and_keeps_them_alive() -> None:
    values, marks = np.arange(6, dtype=np.float32).reshape(2, 3), torch.tensor([True, False])
    table = Table(rows=2, values=values, marks=marks, corner=np.array([1.0, 2.0, 3.0]))
    assert (table.values.value, table.marks.value) == (values.ctypes.data, marks.data_ptr())
    assert list(table.corner) == [1.0, 2.0, 3.0]
    assert Table(rows=2, values=values).marks.value is None
    address = values.ctypes.data
    del values
    assert np.ctypeslib.as_array((c_float * 6).from_address(address)).tolist() == list(range(6))


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": np.zeros((2, 3))},
        {"values": np.zeros((3, 3), np.float32)},
        {"values": np.zeros((3, 2), np.float32).T},
        {"values": None},
        {"values": torch.zeros(2, 3, device="meta")},
        {"values": torch.zeros(2, 3, requires_grad=True)},
        {"marks": np.zeros(2, np.uint8)},
        {"corner": (1.0, 2.0)},
    ],
    ids=["dtype", "shape", "layout", "missing", "device", "graph", "bytes", "numbers"],
)
def test_arrays_that_do_not_fit_are_input_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"^Table.{next(iter(wrong))} "):
        Table(**{"rows": 2, "values": np.zeros((2, 3), np.float32), **wrong})


@pytest.mark.parametrize("known", LIBRARIES, ids=lambda known: known.name)
def test_a_missing_library_says_how_to_build_it(
    known: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    monkeypatch.delenv(library.LEVEL_VARIABLE, raising=False)
    with pytest.raises(PluginError, match="is missing; install a C\\+\\+17 compiler"):
        known.call("gs_any")


def test_a_broken_library_is_a_plugin_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    kernels.LIBRARY.path().write_bytes(b"no library")
    with pytest.raises(PluginError, match="cannot be loaded"):
        kernels.LIBRARY.call("gs_aggregate")


def test_a_library_of_another_package_is_a_plugin_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As is one from before a function was added."""
    shutil.copy(lamp.LIBRARY.path(), tmp_path / kernels.LIBRARY.path().name)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    with pytest.raises(PluginError, match="gs_patch_costs"):
        kernels.LIBRARY.call("gs_aggregate")


def test_another_interface_is_a_plugin_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "abi", lambda: 0)
    with pytest.raises(PluginError, match="has interface [1-9] instead of 0; install"):
        Library(name="mvs").call("gs_aggregate")


@pytest.mark.parametrize(("known", "name"), [(ENGINE, "Cloud"), (kernels.LIBRARY, "View"), (lamp.LIBRARY, "Rays")])
def test_a_struct_of_another_size_is_a_plugin_error(
    known: Library, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As is a library that was not built again after its header changed."""
    header = tmp_path / known.name / "interface.h"
    header.parent.mkdir()
    text = (library.HEADERS / known.name / "interface.h").read_text()
    header.write_text(text.replace(f"struct {name} {{\n", f"struct {name} {{\n  double more;\n"))
    shutil.copy(library.HEADERS / "abi.h", tmp_path)
    monkeypatch.setattr(library, "HEADERS", tmp_path)
    with pytest.raises(PluginError, match=rf"was built with a {name} of \d+ bytes instead of \d+; install"):
        Library(name=known.name, has_levels=known.has_levels).open()
