"""Settings: unknown keys, wrong values, overrides, YAML that is broken or hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gs_stereo.config import (
    MEANS,
    Config,
    canonical_json,
    load_yaml,
    means_of,
    merge,
    parse_config,
    parse_overrides,
    without,
)
from gs_stereo.errors import ConfigError
from gs_stereo.labels.config import LabelSettings
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.stages.evaluate import EvaluateStageConfig


class Inner(Config):
    rate: float = 1.0


class Outer(Config):
    count: int = 3
    inner: Inner = Inner()


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Unknown setting 'cnt' in a test; known settings are: count, inner\."):
        parse_config(Outer, {"cnt": 2}, where="a test")
    with pytest.raises(ConfigError, match=r"Unknown setting 'inner\.rat' in a test; known settings are: rate\."):
        parse_config(Outer, {"inner": {"rat": 2}}, where="a test")


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(ConfigError, match="Setting 'count' in a test is wrong"):
        parse_config(Outer, {"count": "many"}, where="a test")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer().count = 4  # type: ignore[misc]


def test_overrides_are_yaml_scalars_in_a_tree() -> None:
    tree = parse_overrides(["fit.iterations=500", "fit.rates.means=1e-4", "pairs.baselines=[0.1, 0.3]", "x=null"])
    assert tree == {
        "fit": {"iterations": 500, "rates": {"means": "1e-4"}},
        "pairs": {"baselines": [0.1, 0.3]},
        "x": None,
    }
    assert parse_config(Outer, {"inner": {"rate": "1e-4"}}, where="a test").inner.rate == 1e-4


@pytest.mark.parametrize("word", ["on", "off", "Yes", "no"])
def test_words_that_old_yaml_takes_for_truth_are_words_and_switches_take_them(word: str) -> None:
    class Words(Config):
        masks: str = ""
        enabled: bool = False

    found = parse_config(Words, parse_overrides([f"masks={word}", f"enabled={word}"]), where="here")
    assert found == Words(masks=word, enabled=word in ("on", "Yes"))
    assert parse_overrides(["a=[true, False, null]"]) == {"a": [True, False, None]}


@pytest.mark.parametrize("text", ["iterations", "=3", "a..b=3", "a=[1"])
def test_a_bad_override_is_explained(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_overrides([text])


@pytest.mark.parametrize(
    "text", ["[1, 2]", "a: [", "!!python/object/apply:os.system ['true']", "1: 2", "\x00", "a: " + "[" * 5000]
)
def test_broken_or_hostile_yaml_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_yaml(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml")


_TREES = st.recursive(
    st.integers() | st.text(max_size=4),
    lambda children: st.dictionaries(st.sampled_from("abc"), children, max_size=3),
    max_leaves=8,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abc"), _TREES, max_size=3)


@given(_MAPPINGS, _MAPPINGS)
def test_merging_keeps_what_is_over_and_changes_neither(base: dict, over: dict) -> None:
    before = canonical_json([base, over])
    merged = merge(base, over)
    assert canonical_json([base, over]) == before
    assert merge(merged, over) == merged
    assert set(merged) == set(base) | set(over)
    assert merge(base, {}) == base
    assert merge({}, over) == over


def test_canonical_json_does_not_depend_on_order_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, "aliases multiply"),
        (MERGES, "aliases multiply"),
        ("a: &a [*a]", "leads back to itself"),
        ("a: " + "9" * 6000, "not readable YAML"),
        ("a: 2001-99-99", "not readable YAML"),
        ("a: " + "x" * (1 << 18), "larger than 256 KiB"),
    ],
    ids=["lists", "merges", "circle", "digits", "date", "large"],
)
def test_a_few_bytes_cannot_ask_for_all_memory(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_yaml(path)


def test_aliases_that_do_not_multiply_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: [*a, *a]}\n")
    assert load_yaml(path) == {"a": {"x": 1}, "b": {"x": 1, "y": [{"x": 1}, {"x": 1}]}}


@pytest.mark.parametrize("value", ["&a [*a]", "[" * 5000, "9" * 6000])
def test_an_override_that_asks_for_too_much_is_explained(value: str) -> None:
    with pytest.raises(ConfigError, match="is not valid YAML"):
        parse_overrides([f"a={value}"])


class Means(Config):
    path: Path = Field(default=Path("/a"), json_schema_extra=MEANS)
    rate: float = 1.0


class WithMeans(Config):
    count: int = 3
    inner: Means = Means()
    other: Inner | None = None


def test_means_are_told_from_what_decides() -> None:
    config = WithMeans(other=Inner())
    means = means_of(config)
    assert means == {"inner": {"path": "/a"}}
    deciding = without(config.model_dump(mode="json"), means)
    assert deciding == {"count": 3, "inner": {"rate": 1.0}, "other": {"rate": 1.0}}
    assert merge(deciding, means) == config.model_dump(mode="json")


@pytest.mark.parametrize(
    ("config", "values", "idle"),
    [
        (LabelSettings(), {"fused": {"photos": True}, "experts": {"sgbm": {"p1": 9}}}, None),
        (LabelSettings(), {"experts": {"onnx": {}}}, "where onnx is asked, and lite and sgbm is"),
        (LabelSettings(expert="matcher:sgbm"), {"experts": {"sgbm": {}}, "rules": {}}, None),
        (
            LabelSettings(expert="splat"),
            {"fused": {"min_confidence": 0.9}},
            "fused.min_confidence has an effect only with expert=fused",
        ),
        (LabelSettings(expert="multibaseline"), {"backend": "cpu", "multiview": {}}, None),
        (LabelSettings(expert="sgbm"), {"multiview": {}}, "multiview has an effect only with expert=fused"),
        (LabelSettings(expert="third-party"), {"fused": {}, "multiview": {}}, None),
        (
            LabelSettings.model_validate({"fused": {"photos": False}}),
            {"fused": {"photo_count": 4}},
            "fused.photo_count has an effect only",
        ),
        (PairsConfig(view_count=4), {"view_count": 4}, "only with views=interpolate or stack_views=..."),
        (PairsConfig(view_count=4, stack_views=5), {"view_count": 4, "stack_reach": 0.1}, None),
        (FitConfig(), {"densify": {"rounds": 3}, "iterations": 5}, None),
        (
            FitConfig(strategy="none"),
            {"densify": {"rounds": 3}},
            "densify.rounds has an effect only with strategy=default",
        ),
        (EvaluateStageConfig(run="mine"), {"experts": {"sgbm": {}}}, "where sgbm is asked, and none is"),
    ],
)
def test_a_given_setting_that_does_nothing_is_named(config: Config, values: dict[str, Any], idle: str | None) -> None:
    found = config.idle(values)
    assert found is None if idle is None else idle in (found or "")
