"""Where it all comes from: time and memory, settings, software, licences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gs_stereo.config import canonical_json
from gs_stereo.core.markup import Child, Markup, el
from gs_stereo.report.facts import ReportFacts, StageRecord
from gs_stereo.report.markup import section, table
from gs_stereo.report.verdict_section import duration

_MIB = 1 << 20
_LICENCE_KEYS = ("licence", "license")
_MAX_DEPTH = 8


def cost_section(stages: Sequence[StageRecord]) -> Markup | None:
    """Seconds, memory and what was left out, stage by stage."""
    if not stages:
        return None
    rows: list[tuple[Child, ...]] = [
        (
            stage.folder,
            f"{stage.manifest.seconds:,.1f}",
            f"{stage.manifest.peak_memory_bytes / _MIB:,.0f}",
            stage.manifest.device,
        )
        for stage in stages
    ]
    total = sum(stage.manifest.seconds for stage in stages)
    peak = max(stage.manifest.peak_memory_bytes for stage in stages) / _MIB
    summary = f"{duration(total)} in all, at most {peak:,.0f} MiB of memory."
    dropped = [
        el("li", f"{stage.folder}: {count} x {str(reason).replace('_', ' ')}")
        for stage in stages
        for reason, count in sorted(stage.manifest.drops.items())
    ]
    return section(
        "Time and memory",
        "cost",
        el("p", summary),
        table(("Stage", "seconds", "peak MiB", "device"), rows, class_="numbers"),
        [el("h3", "Left out"), el("ul", dropped)] if dropped else None,
    )


def origin_section(facts: ReportFacts) -> Markup:
    """Licences of whatever made the labels, libraries, and all settings."""
    info = facts.index
    source = info.provenance
    label_rows: list[tuple[Child, ...]] = [
        (source.name, source.version, source.licence, el("code", source.weights_sha256 or "none")),
        *_nested_sources(source.settings),
    ]
    settings = [_settings(stage.folder, stage.manifest.parts.get("config", {})) for stage in facts.stages]
    if not facts.stages:
        settings = [_settings("as stored in the dataset", info.config)]
    return section(
        "Origin",
        "origin",
        el("h3", "What made the labels"),
        table(("Source", "Version", "Licence", "Weights sha256"), label_rows, class_="cards"),
        el("p", "The licence of the pictures is that of the photos.", class_="quiet", style="margin-top:10px"),
        el("h3", "Software"),
        el("p", f"Dataset written by {info.generator}."),
        table(("Library", "Version", "Licence"), facts.licences) if facts.licences else None,
        el("h3", "Settings"),
        settings,
    )


def _nested_sources(settings: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[Child, ...]]:
    """Sources that are named within the settings of a label: anything that has a licence."""
    if depth > _MAX_DEPTH:
        return
    for key, value in settings.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(item, Mapping):
                continue
            licence = next((item[name] for name in _LICENCE_KEYS if isinstance(item.get(name), str)), None)
            if licence is not None:
                name = item.get("name") or item.get("expert") or key
                weights = item.get("weights_sha256")
                yield str(name), str(item.get("version", "-")), licence, el("code", str(weights or "none"))
            yield from _nested_sources(item, depth + 1)


def _settings(name: str, values: Any) -> Markup:
    rows = list(_flat(values if isinstance(values, Mapping) else {}))
    body = table(("Setting", "Value"), ((el("code", key), el("code", text)) for key, text in rows))
    return el("details", el("summary", name), body if rows else el("p", "None recorded.", class_="quiet"))


def _flat(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, value in sorted(values.items(), key=lambda item: str(item[0])):
        if isinstance(value, Mapping) and value and depth < _MAX_DEPTH:
            yield from _flat(value, f"{prefix}{key}.", depth + 1)
            continue
        try:
            text = value if isinstance(value, str) else canonical_json(value)
        except (TypeError, ValueError, RecursionError):
            text = str(value)
        yield f"{prefix}{key}", text
