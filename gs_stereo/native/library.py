"""The shared libraries that the package is built with: found, opened once, and checked to be the ones meant.

Some are built for each instruction-set level; the best one that the machine can run is chosen from its CPU flags, or
GSSTEREO_CPU_LEVEL is.

A library's functions and structs are those of its interface.h, which the compiler reads and this module too (abi.h says
how it is written). A function takes structs and returns a code; the error it stands for is raised here with the
library's message. A `Struct` holds arrays as pointers beside their sizes: it checks type, layout and shape of the numpy
arrays and torch tensors that it is given, and keeps them alive.
"""

import ctypes
import importlib.util
import os
import platform
import re
from dataclasses import dataclass
from functools import cache, cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gs_stereo.errors import ConfigError, GsStereoError, InputError, PluginError, StageError

FOLDER = Path(__file__).parent
HEADERS = FOLDER
ERRORS: dict[int, type[GsStereoError]] = {1: InputError, 2: StageError}
ADVICE = "install a C++17 compiler (g++ or clang++) and then the package again, with `pip install .` or `make install`"
LEVEL_VARIABLE = "GSSTEREO_CPU_LEVEL"
# Of a struct, a line: type, names with their stars and lengths, and the shape of the arrays that they point to.
FIELDS = re.compile(r"^  (?:const )?(\w+)([^;]*);(?:\s*// \[(.*?)\]( or null)?)?", re.MULTILINE)
# Flags as Linux names them, for each level beyond the one before it (x86-64 psABI).
X86_LEVELS: dict[str, frozenset[str]] = {
    "x86-64-v2": frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    "x86-64-v3": frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    "x86-64-v4": frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}
GENERIC_LEVEL = "generic"


class ArrayPointer(ctypes.c_void_p):
    """A field that points to a contiguous array. Names in `shape` are fields of the same struct."""

    dtype: ClassVar[np.dtype]
    shape: ClassVar[tuple[int | str, ...]]
    optional: ClassVar[bool]


class Struct(ctypes.Structure):
    """A C++ struct of the same name, made by keywords. InputError if an array is not what its field says.

    A field can be a number, an array in the struct itself, a pointer to an array, to structs (given as a list), or a
    struct.
    """

    _numbers: ClassVar[dict[str, Any]]
    _arrays: ClassVar[dict[str, type[ArrayPointer]]]

    def __init_subclass__(cls) -> None:
        kinds: dict[str, Any] = {name: kind for name, kind, *_ in cls._fields_}
        cls._arrays = {name: kind for name, kind in kinds.items() if issubclass(kind, ArrayPointer)}
        cls._numbers = {name: kind for name, kind in kinds.items() if name not in cls._arrays}
        super().__init_subclass__()

    def __init__(self, **values: Any) -> None:
        super().__init__()
        for name, number in self._numbers.items():  # before arrays, whose sizes they are
            if name in values:
                setattr(self, name, self._converted(name, number, values[name]))
        for name, array in self._arrays.items():
            given = values.get(name)
            if given is not None or not array.optional:
                setattr(self, name, self._checked(name, array, given).ctypes.data)
        self._alive = values

    def _converted(self, name: str, kind: Any, value: Any) -> Any:
        if issubclass(kind, ctypes.Array):
            numbers = np.ravel(value).tolist()
            if len(numbers) != kind._length_:
                raise InputError(f"{type(self).__name__}.{name} takes {kind._length_} numbers, not {len(numbers)}.")
            return kind(*numbers)
        return (kind._type_ * len(value))(*value) if isinstance(value, list) else value

    def _checked(self, name: str, kind: type[ArrayPointer], value: Any) -> np.ndarray:
        shape = tuple(attrgetter(size)(self) if isinstance(size, str) else size for size in kind.shape)
        try:
            array = np.asarray(value)  # a tensor's own memory
        except (TypeError, RuntimeError) as error:  # on another device, or part of a graph
            raise InputError(f"{type(self).__name__}.{name} cannot be read as an array: {error}") from error
        if array.dtype != kind.dtype or array.shape != shape or not array.flags.c_contiguous:
            found = f"{'' if array.flags.c_contiguous else 'not contiguous '}{array.dtype} of shape {array.shape}"
            raise InputError(
                f"{type(self).__name__}.{name} must be contiguous {kind.dtype} of shape {shape}, not {found}; "
                "convert it."
            )
        return array


@cache
def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags under Linux's names; empty where they cannot be read."""
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def runnable_levels() -> list[str]:
    """The levels that this machine's CPU can run, lowest first, built or not."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [GENERIC_LEVEL]
    levels: list[str] = []
    for level, needed in X86_LEVELS.items():
        if not needed <= cpu_flags():
            break
        levels.append(level)
    return levels or list(X86_LEVELS)[:1]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A library's structs by name, and the structs that each of its functions takes."""

    structs: dict[str, type[Struct]]
    functions: dict[str, list[type[Struct]]]


def read_interface(header: str) -> Interface:
    """The text of an interface.h, written as abi.h says."""
    structs: dict[str, type[Struct]] = {}
    for struct, body in re.findall(r"^struct (\w+) {\n(.*?)^};", header, re.DOTALL | re.MULTILINE):
        fields: list[tuple[str, Any]] = []
        for base, declared, shape, optional in re.findall(FIELDS, body):
            for field in declared.split(","):
                [(name, length)] = re.findall(r"(\w+)(?:\[(\d+)\])?$", field)
                kind: Any = structs.get(base) or getattr(ctypes, f"c_{base.removesuffix('_t')}", None)
                if shape:
                    sizes = tuple(int(size) if size.isdigit() else size for size in shape.split(", "))
                    dtype = np.dtype(np.uint64 if field.count("*") == 2 else kind)
                    known = {"dtype": dtype, "shape": sizes, "optional": bool(optional)}
                    kind = type("ArrayPointer", (ArrayPointer,), known)
                elif "*" in field:
                    kind = ctypes.POINTER(structs[base]) if base in structs else ctypes.c_void_p
                elif length:
                    kind *= int(length)
                fields.append((name, kind))
        structs[struct] = type(struct, (Struct,), {"_fields_": fields})
    functions = re.findall(r"^GS_EXPORT int32_t (\w+)\(([^)]*)\);", header, re.MULTILINE)
    return Interface(
        structs=structs,
        functions={name: [structs[kind] for kind in re.findall(r"(\w+)\* ", taken)] for name, taken in functions},
    )


@cache
def abi() -> int:
    """The number of the interfaces, which goes up when something changes its meaning."""
    return int(re.findall(r"kAbi = (\d+)", (HEADERS / "abi.h").read_text())[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """One of the libraries."""

    name: str
    has_levels: bool = False

    @cached_property
    def interface(self) -> Interface:
        return read_interface((HEADERS / self.name / "interface.h").read_text())

    def struct(self, name: str, **values: Any) -> Struct:
        """A struct of the library's. InputError if an array is not what its field says."""
        return self.interface.structs[name](**values)

    def path(self, level: str | None = None) -> Path:
        """Where the library is, or would be."""
        return FOLDER / f"libgsstereo-{self.name}{f'-{level}' if level else ''}.so"

    def available_levels(self) -> list[str]:
        """The levels that are built and that this CPU can run, lowest first."""
        return [level for level in runnable_levels() if self.path(level).exists()]

    def best_level(self) -> str:
        """GSSTEREO_CPU_LEVEL if set, else the highest level available. PluginError if there is none."""
        available = self.available_levels()
        wanted = os.environ.get(LEVEL_VARIABLE)
        if wanted and wanted not in available:
            raise ConfigError(
                f"{LEVEL_VARIABLE}={wanted} cannot be used here; unset it or set it to one of: {', '.join(available)}."
            )
        if not available:
            raise PluginError(f"The native library {self.path('*')} is missing; {ADVICE}.")
        return wanted or available[-1]

    def open(self, level: str | None = None) -> ctypes.CDLL:
        """The library at a level (None = the best, if it has levels). PluginError if it cannot be used."""
        return _opened(self, self.path(level or self.best_level() if self.has_levels else None))

    def call(self, function: str, *structs: Struct, level: str | None = None) -> None:
        """Run a function; raises the error that it answers with."""
        library = self.open(level)
        code = getattr(library, function)(*structs)
        if code:
            raise ERRORS[code](library.gs_message().decode())


@cache
def _opened(library: Library, path: Path) -> ctypes.CDLL:
    """PluginError if it is missing, cannot be loaded, or was built from other sources."""
    if not path.exists():
        raise PluginError(f"The native library {path} is missing; {ADVICE}.")
    _share_openmp()
    try:
        opened = ctypes.CDLL(str(path))
        found_abi = opened.gs_abi()
        for name, structs in library.interface.functions.items():
            getattr(opened, name).argtypes = [ctypes.POINTER(struct) for struct in structs]
    except (OSError, AttributeError) as error:
        raise PluginError(f"The native library {path} cannot be loaded ({error}); {ADVICE}.") from error
    if found_abi != abi():
        raise PluginError(f"The native library {path} has interface {found_abi} instead of {abi()}; {ADVICE}.")
    opened.gs_message.restype, opened.gs_struct_bytes.restype = ctypes.c_char_p, ctypes.c_int64
    for name, struct in library.interface.structs.items():
        found, expected = opened.gs_struct_bytes(name.encode()), ctypes.sizeof(struct)
        if found != expected:
            raise PluginError(
                f"The native library {path} was built with a {name} of {found} bytes instead of {expected}; {ADVICE}."
            )
    return opened


@cache
def _share_openmp() -> None:
    """Load the OpenMP runtime of torch's wheel: torch and our libraries share one, and the system needs none."""
    torch = importlib.util.find_spec("torch")
    for folder in (torch.submodule_search_locations or []) if torch else []:
        for runtime in Path(folder).glob("lib/libgomp*.so*"):
            ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
