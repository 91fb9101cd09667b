"""Records: the same text every time, what is written can be read, and a hostile file is one sentence with a fix."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gs_stereo.core import records
from gs_stereo.core.records import (
    JsonObject,
    Measured,
    OpenRecord,
    Record,
    json_text,
    read_object,
    read_record,
    record_from_json,
    write_record,
)
from gs_stereo.errors import InputError

FIX = "make it again"


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A plain dataclass inside a record, whose field has another name in the file."""

    name: Annotated[str, Field(alias="made_by")]


@dataclass(frozen=True, kw_only=True)
class Shot(Record):
    format: Literal["test.shot"] = "test.shot"
    name: str
    seconds: Annotated[float, Field(gt=0)] | None = None
    sizes: tuple[int, ...] = ()
    maker: Maker = field(default_factory=lambda: Maker(name="us"))
    more: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError("a size comes twice")


@dataclass(frozen=True, kw_only=True)
class OpenShot(OpenRecord):
    name: str


@dataclass(frozen=True, kw_only=True)
class Score(Record):
    error_px: Measured


FILE = {"format": "test.shot", "name": "é", "seconds": 0.1, "sizes": [1, 2], "maker": {"made_by": "us"}, "more": {}}


def test_the_text_of_a_record_is_fixed(tmp_path: Path) -> None:
    shot = Shot(name="é", seconds=0.1, sizes=(1, 2))
    assert json_text(shot) == json.dumps(FILE, indent=1, ensure_ascii=False) + "\n"
    write_record(tmp_path / "a.json", shot, indent=None, sort_keys=True)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == json.dumps(FILE, sort_keys=True, ensure_ascii=False) + "\n"
    assert read_record(Shot, tmp_path / "a.json", fix=FIX) == shot


def test_numbers_that_do_not_exist_are_null() -> None:
    text = json_text(Shot(name="a", seconds=float("nan"), more={"x": [float("inf"), (1.0, float("-inf"))]}))
    assert record_from_json(Shot, text) == Shot(name="a", more={"x": [None, [1.0, None]]})
    old = '{"format": "test.shot", "name": "a", "more": {"x": [NaN, 1e999, -Infinity]}}'
    assert record_from_json(Shot, old).more == {"x": [None, None, None]}


def test_a_number_that_may_not_exist_is_nan_here_and_null_there() -> None:
    assert json_text(Score(error_px=math.nan), indent=None) == '{"error_px": null}\n'
    assert math.isnan(record_from_json(Score, '{"error_px": null}').error_px)
    assert record_from_json(Score, '{"error_px": 0.5}').error_px == 0.5
    for wrong in ("{}", '{"error_px": "0.5"}', '{"error_px": true}'):
        with pytest.raises(ValueError, match="error_px"):
            record_from_json(Score, wrong)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "other"}, "format is 'other', must be 'test.shot'"),
        ({"name": 3}, "name: input should be a valid string"),
        ({"name": None}, "name: input should be a valid string"),
        ({"seconds": True}, "seconds: input should be a valid number"),
        ({"seconds": "1"}, "seconds: input should be a valid number"),
        ({"seconds": 0}, "seconds: input should be greater than 0"),
        ({"sizes": [1, 2.5]}, "sizes.1: input should be a valid integer"),
        ({"sizes": 3}, "sizes: input should be a valid array"),
        ({"sizes": [1, 1]}, "a size comes twice"),
        ({"maker": {}}, "maker.made_by is missing"),
        ({"maker": {"made_by": "x", "name": "y"}}, "maker.name is not known"),
        ({"more": []}, "more: input should be an object"),
        ({"colour": 1}, "colour is not known"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**FILE, **change}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_record(Shot, path, fix=FIX)
    assert str(caught.value) == f"The file {path} is broken ({reason}); {FIX}."


HOSTILE = {
    "empty": b"",
    "cut": b'{"name": "a"',
    "list": b"[]",
    "null": b"null",
    "latin": b'{"name": "\xe9"}',
    "half a character": b'{"name": "\\ud800"}',
    "half a key": b'{"name": "a", "\\ud800": 1}',
    "half, deep inside": b'{"name": "a", "more": {"x": ["\\udc00"]}}',
    "deep": b'{"name": "a", "more": ' + b'{"x":' * 100_000,
    "deep list": b'{"name": "a", "more": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "NaN": b'{"name": "a", "seconds": NaN}',
    "infinite": b'{"name": "a", "seconds": 1e999}',
    "digits": b'{"name": "a", "seconds": ' + b"1" * 100_000 + b"}",
    "more digits": b'{"name": "a", "more": {"x": ' + b"1" * 100_000 + b"}}",
    "zeros": b"\0" * 1000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_record(Shot, path, fix=FIX)
    message = str(caught.value)
    assert message.startswith(f"The file {path} is broken (")
    assert message.endswith(f"); {FIX}.")
    assert len(message) < len(str(path)) + 400
    assert "\n" not in message


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=rf"^There is no .*a\.json; {FIX}\.$"):
        read_record(Shot, tmp_path / "a.json", fix=FIX)
    with pytest.raises(InputError, match=rf"^Cannot read .* \(Is a directory\); {FIX}\.$"):
        read_record(Shot, tmp_path, fix=FIX)
    (tmp_path / "a.json").write_text(json.dumps(FILE))
    monkeypatch.setattr(records, "MAX_BYTES", 20)
    with pytest.raises(InputError, match="is larger than"):
        read_record(Shot, tmp_path / "a.json", fix=FIX)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is no regular file"):
        read_record(Shot, tmp_path / "pipe", fix=FIX)


def test_a_file_must_say_what_it_is() -> None:
    with pytest.raises(ValueError, match="^format is missing$"):
        record_from_json(Shot, '{"name": "a"}')
    assert record_from_json(Shot, '{"format": "test.shot", "name": "a"}') == Shot(name="a")


def test_only_open_records_leave_unknown_keys_out() -> None:
    assert record_from_json(OpenShot, '{"name": "a", "later": 1}') == OpenShot(name="a")


def test_values_of_any_kind_are_an_object_of_finite_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1, {"b": null}]}')
    assert read_object(path, fix=FIX) == {"a": [1, {"b": None}]}
    for content, reason in (
        (b"[]", r"is broken \(it must hold a JSON object, not a list\)"),
        (b'{"a": NaN}', "is broken"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=reason):
            read_object(path, fix=FIX)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_written_can_be_read(name: str, more: dict[str, Any]) -> None:
    shot = Shot(name=name, more=more)
    text = json_text(shot)
    assert record_from_json(Shot, text) == shot
    assert json_text(record_from_json(Shot, text)) == text
