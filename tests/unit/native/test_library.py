"""The one loader: libraries that are missing, stale or others than the code means, and arrays that do not fit."""

from __future__ import annotations

import shutil
from ctypes import POINTER, c_double, c_float, c_int32
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gs_stereo.errors import InputError, PluginError
from gs_stereo.mvs import kernels
from gs_stereo.native import library
from gs_stereo.native.library import Library, Struct, array_of
from gs_stereo.splat.engine import ENGINE
from gs_stereo.worlds.light import shade

LIBRARIES = [ENGINE, kernels.LIBRARY, shade.LIBRARY]


class Table(Struct):
    """A struct of no library."""

    _fields_ = (
        ("rows", c_int32), ("values", array_of("f4", "rows", 3)), ("marks", array_of("?", "rows", optional=True)),
        ("corner", c_float * 3),
    )  # fmt: skip


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
    shutil.copy(shade.LIBRARY.path(), tmp_path / kernels.LIBRARY.path().name)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    with pytest.raises(PluginError, match="gs_patch_costs"):
        kernels.LIBRARY.call("gs_aggregate")


def test_another_interface_is_a_plugin_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    fresh = Library(name="mvs", functions=kernels.LIBRARY.functions)
    with pytest.raises(PluginError, match=f"has interface {library.ABI - 1} instead of {library.ABI}; install"):
        fresh.call("gs_aggregate")


@pytest.mark.parametrize(("known", "name"), [(ENGINE, "Cloud"), (kernels.LIBRARY, "View"), (shade.LIBRARY, "Rays")])
def test_a_struct_of_another_size_is_a_plugin_error(known: Library, name: str) -> None:
    """`Cloud` lies in `Render`, and `Sweep` points to `View`."""

    def changed(kind: Any) -> Any:
        if hasattr(kind, "contents"):
            return POINTER(changed(kind._type_))
        if not issubclass(kind, Struct):
            return kind
        more = (("more", c_double),) if kind.__name__ == name else ()
        fields = tuple((field, changed(part)) for field, part in kind._fields_)
        return type(kind.__name__, (Struct,), {"_fields_": fields + more})

    functions = {function: tuple(map(changed, structs)) for function, structs in known.functions.items()}
    altered = replace(known, functions=functions)
    with pytest.raises(PluginError, match=r"was built with a \w+ of \d+ bytes instead of \d+; install"):
        altered.open()
