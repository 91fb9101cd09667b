"""Records: frozen dataclasses that are stored as JSON and checked when they are read back.

One rule for every file of ours. A file is untrusted: it may be missing, too large, no JSON, nested too deeply, hold
half a character, another type, an unknown or a missing key, NaN or infinity; each of these is an InputError of one
sentence that names the file, what is wrong and the fix. Numbers that do not exist are written as null.

    @dataclass(frozen=True, kw_only=True)
    class Shot(Record):
        format: Literal["shot"] = "shot"
        name: str
        seconds: Annotated[float, Field(gt=0)]

A type says what is allowed; what types cannot say stands in `__post_init__`, which raises ValueError. A Literal says
what the file is, so it must be there; a missing key of another kind has the default.
"""

import codecs
import json
import math
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_origin, get_type_hints

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from gs_stereo.core.atomic import write_text
from gs_stereo.errors import InputError

MAX_BYTES = 1 << 26
_REASON_CHARACTERS = 300


def finite(value: Any) -> Any:
    """The same JSON values, with None for NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


JsonObject = Annotated[Mapping[str, Any], AfterValidator(finite)]
"""Type of a field that holds JSON values of any kind; NaN and infinity in them are read as None."""

Measured = Annotated[
    float, Field(allow_inf_nan=True), BeforeValidator(lambda value: math.nan if value is None else value)
]
"""Type of a number that may not exist: NaN, which is null in the file."""


class Record:
    """Base of frozen dataclasses that are stored as JSON: exact types, finite numbers, no unknown keys."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class OpenRecord(Record):
    """A record whose file may hold more keys than we know: they are left out."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


R = TypeVar("R", bound=Record)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """How a kind of record is checked. stated: keys that say what the file is, so that no default stands in."""

    adapter: TypeAdapter
    stated: frozenset[str]


_readers: dict[type[Record], _Reader] = {}


def _reader(kind: type[Record]) -> _Reader:
    if kind not in _readers:
        stated = frozenset(name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Literal)
        _readers[kind] = _Reader(adapter=TypeAdapter(kind), stated=stated)
    return _readers[kind]


def json_values(record: Record) -> dict[str, Any]:
    """A record as values that `json.dumps` takes; NaN and infinity become None."""
    values: dict[str, Any] = finite(_reader(type(record)).adapter.dump_python(record, by_alias=True, warnings=False))
    return values


def json_text(value: Record | Mapping[str, Any] | list[Any], *, indent: int | None = 1, sort_keys: bool = False) -> str:
    """A record, or values, as the text of a file. The same value gives the same text."""
    plain = json_values(value) if isinstance(value, Record) else finite(value)
    return json.dumps(plain, indent=indent, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"


def write_record(path: Path, value: Record, *, indent: int | None = 1, sort_keys: bool = False) -> None:
    """Write `json_text` atomically."""
    write_text(path, json_text(value, indent=indent, sort_keys=sort_keys))


def record_from_json(kind: type[R], text: str | bytes | bytearray) -> R:
    """Check a record that is given as text; ValueError says in a few words what is wrong."""
    reader = _reader(kind)
    try:
        record: R = reader.adapter.validate_json(text)
    except ValidationError as error:
        raise ValueError(_reason(error)) from error
    if unsaid := sorted(reader.stated - from_json(text).keys() if reader.stated else ()):
        raise ValueError(f"{unsaid[0]} is missing")
    return record


def object_from_json(text: str | bytes, *, allow_inf_nan: bool = False) -> dict[str, Any]:
    """The values of a JSON object of any kind; ValueError says in a few words what is wrong."""
    values = from_json(text, allow_inf_nan=allow_inf_nan)
    if not isinstance(values, dict):
        raise ValueError(f"it must hold a JSON object, not a {type(values).__name__}")
    return values


def read_record(kind: type[R], path: Path, *, fix: str) -> R:
    """Read and check a record; InputError if the file is missing, broken or something else. fix: what to do then."""
    return _read(partial(record_from_json, kind), path, fix)


def read_object(path: Path, *, fix: str, allow_inf_nan: bool = False) -> dict[str, Any]:
    """Read a JSON object of any kind; InputError as for `read_record`. allow_inf_nan: in files of other programs."""
    return _read(partial(object_from_json, allow_inf_nan=allow_inf_nan), path, fix)


def read_json(path: Path, *, fix: str, allow_inf_nan: bool = False) -> Any:
    """Read JSON of any kind, lists too; else as `read_object`."""
    return _read(partial(from_json, allow_inf_nan=allow_inf_nan), path, fix)


def _read(check: Callable[[bytes], T], path: Path, fix: str) -> T:
    try:
        return check(_content(path, fix))
    except ValueError as error:
        raise InputError(f"The file {path} is broken ({error}); {fix}.") from error


def _content(path: Path, fix: str) -> bytes:
    """The bytes of a regular file that is not too large. A byte order mark is left out."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for who writes into it
            raise InputError(f"{path} is no regular file; {fix}.")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"There is no {path}; {fix}.") from error
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror or error}); {fix}.") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"The file {path} is larger than {MAX_BYTES >> 20} MiB; {fix}.")
    return content.removeprefix(codecs.BOM_UTF8)


def _reason(error: ValidationError) -> str:
    """What is wrong first, in a few words."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            reason = f"it is no JSON: {first['ctx']['error']}"
        case "missing":
            reason = f"{key} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            reason = f"{key} is not known"
        case "literal_error":
            reason = f"{key} is {first['input']!r}, must be {first['ctx']['expected']}"
        case "value_error":
            reason = f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
        case _:
            reason = f"{key or 'it'}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return " ".join(reason.split())[:_REASON_CHARACTERS]
