"""Settings: frozen pydantic models, YAML files, `a.b=c` overrides and a canonical JSON for fingerprints."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from gs_stereo.errors import ConfigError

_MAX_YAML_BYTES = 1 << 18
_MAX_YAML_VALUES = 10**5
_NOT_COUNTED = -1


OnlyWith = Mapping[str, Mapping[str, tuple[Any, ...]]]
"""Of a setting that does nothing by itself: the others, one of which must have one of these values (none: any that is
not empty)."""


class Config(BaseModel):
    """Base of every settings class: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    only_with: ClassVar[OnlyWith] = {}

    def idle(self, given: Mapping[str, Any]) -> str | None:
        """Which of the settings that were `given` has no effect beside the others, and why; None if each has one."""
        for name, value in given.items():
            others = self.only_with.get(name, {})
            set_to = {other: getattr(self, other) for other in others}
            met = (set_to[other] in values if values else set_to[other] for other, values in others.items())
            if others and not any(met):
                wanted = " or ".join(f"{other}={values[0] if values else '...'}" for other, values in others.items())
                return f"{leaf(name, value)} has an effect only with {wanted}"
            own = getattr(self, name)
            if isinstance(own, Config) and isinstance(value, Mapping) and (reason := own.idle(value)):
                return f"{name}.{reason}"
        return None


C = TypeVar("C", bound=Config)

MEANS: Any = {"decides": False}
"""`json_schema_extra` of a field that says by what means something is made, not what: places, timeouts, threads."""


def means_of(config: BaseModel) -> dict[str, Any]:
    """The settings that are `MEANS`, as a nested mapping of JSON values; settings without any are left out."""
    found: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if field.json_schema_extra is MEANS:
            found[name] = config.model_dump(mode="json", include={name})[name]
        elif isinstance(value, BaseModel) and (inner := means_of(value)):
            found[name] = inner
    return found


def without(values: Mapping[str, Any], means: Mapping[str, Any]) -> dict[str, Any]:
    """The values but for those that `means` names."""
    return {
        name: without(value, means[name]) if isinstance(means.get(name), Mapping) else value
        for name, value in values.items()
        if name not in means or isinstance(means[name], Mapping)
    }


def _beside(config_type: type[BaseModel], place: tuple[int | str, ...]) -> Iterable[str]:
    """The settings that are known where the last name of `place` stands."""
    for name in place[:-1]:
        kind = config_type.model_fields[name].annotation if name in config_type.model_fields else None
        kinds = [each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel)]
        config_type = kinds[0] if kinds else config_type
    return config_type.model_fields


def parse_config(config_type: type[C], values: Mapping[str, Any], *, where: str) -> C:
    """Validate `values`; ConfigError names the key and `where` it was set."""
    try:
        return config_type.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key, reason = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
        reason = reason.replace("a valid tuple", "a list").replace("a valid dictionary", "a mapping of names to values")
        if first["type"] == "extra_forbidden":
            known = ", ".join(_beside(config_type, first["loc"]))
            raise ConfigError(f"Unknown setting {key!r} in {where}; known settings are: {known}.") from error
        if first["type"] == "missing":
            raise ConfigError(f"Setting {key!r} in {where} is missing; give it.") from error
        if not key:  # several that do not go together
            raise ConfigError(f"In {where} something is wrong: {reason}.") from error
        raise ConfigError(f"Setting {key!r} in {where} is wrong: {reason}.") from error


def leaf(name: str, value: Any) -> str:
    """The whole name of the first setting in a nested mapping."""
    return (
        leaf(f"{name}.{next(iter(value))}", next(iter(value.values())))
        if value and isinstance(value, Mapping)
        else name
    )


def refuse_idle(config: Config, given: Mapping[str, Any], where: str) -> None:
    """ConfigError for a setting that was given and has no effect beside the others."""
    if reason := config.idle(given):
        raise ConfigError(f"The setting {reason} ({where}); leave it out, or set that too.")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with the safe loader; ConfigError if it is missing, broken or not a mapping."""
    try:
        values = yaml_value(yaml_text(path))
    except FileNotFoundError as error:
        raise ConfigError(f"The file {path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"The file {path} is not readable YAML ({reason}); correct it.") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"The file {path} must hold a mapping of names to values; see configs/ for examples.")
    return values


def yaml_text(path: Path) -> str:
    """The content of a small text file; ValueError for a file that is too large or no text."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for who writes into it
        raise ValueError("it is no file")
    with path.open("rb") as stream:
        content = stream.read(_MAX_YAML_BYTES + 1)
    if len(content) > _MAX_YAML_BYTES:
        raise ValueError(f"it is larger than {_MAX_YAML_BYTES >> 10} KiB")
    return content.decode("utf-8")


def yaml_value(text: str) -> Any:
    """What a YAML text says, without running code; ValueError if it is broken, or a few bytes say too much.

    on, off, yes and no are words, as in YAML 1.2, for some settings have such values; switches take them too.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        letter: [each for each in known if letter in "tTfF" or not each[0].endswith(":bool")]
        for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _values_in(node, {}) > _MAX_YAML_VALUES:
            raise ValueError(f"its aliases multiply to more than {_MAX_YAML_VALUES} values")
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _values_in(node: Any, known: dict[int, int]) -> int:
    """Values below a YAML node when every alias is written out; ValueError if one leads back to itself."""
    if id(node) not in known:
        known[id(node)] = _NOT_COUNTED
        parts = node.value if isinstance(node.value, list) else []
        flat = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
        known[id(node)] = 1 + sum(_values_in(part, known) for part in flat)
    if known[id(node)] == _NOT_COUNTED:
        raise ValueError("an alias in it leads back to itself")
    return known[id(node)]


SHIPPED_ROOTS = (Path(__file__).parents[1], Path(sys.prefix) / "share" / "gs_stereo")
"""Where `configs/` and `pipelines/` lie: in the source tree, or where the package was installed."""


def is_shipped(relative: str) -> bool:
    """True if `configs/...` or `pipelines/...` is there."""
    return any((root / relative).is_file() for root in SHIPPED_ROOTS)


def shipped(relative: str) -> Path:
    """A file of `configs/` or `pipelines/`; ConfigError lists its neighbours if there is none of that name."""
    for root in SHIPPED_ROOTS:
        if (root / relative).is_file():
            return root / relative
    folder = Path(relative).parent
    known = sorted({path.stem for root in SHIPPED_ROOTS for path in (root / folder).glob("*.yaml")})
    raise ConfigError(f"There is no {relative}; known are: {', '.join(known) or 'none'}.")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping. Neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """`["fit.iterations=500", ...]` as a nested mapping; values are read as YAML scalars or lists."""
    tree: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"The override {assignment!r} must look like stage.setting=value.")
        try:
            value = yaml_value(text)
        except ValueError as error:
            raise ConfigError(f"The value of the override {assignment!r} is not valid YAML; quote it.") from error
        for key in reversed(keys):
            value = {key: value}
        tree = merge(tree, value)
    return tree


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN. It is what fingerprints are taken of."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
