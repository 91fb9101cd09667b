"""The card of trained weights: what they are, what they were trained on, under which licence, and how they did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

CARD_NAME = "README.md"
OWN_LICENCE = "Apache-2.0"
_NO_WEIGHTS = "no expert weights"  # what labels without a learned expert say


@dataclass(frozen=True, kw_only=True)
class Source:
    """Data or labels that weights were trained on."""

    name: str
    version: str
    licence: str


def model_card(
    title: str, net: nn.Module, licence: str, *, sources: Sequence[Source], source_kind: str, sentences: Sequence[str]
) -> str:
    """Markdown; the same run gives the same text.

    sentences: how it was trained, which stands above the table of sources, then what follows below it.
    """
    parameters = sum(parameter.numel() for parameter in net.parameters())
    paragraphs = [
        f"# {title}",
        f"{parameters / 1e6:.2f} M parameters. Licence of the weights: {licence}.",
        sentences[0],
        "\n".join(
            [
                f"| {source_kind} | version | licence |",
                "|---|---|---|",
                *(f"| {source.name} | {source.version} | {source.licence} |" for source in sources),
            ]
        ),
        *sentences[1:],
    ]
    return "\n\n".join(paragraphs) + "\n"


def joint_licence(licences: Sequence[str]) -> str:
    """Ours and every other one, each once, joined by AND: what binds the data binds the weights."""
    others = {part for licence in licences for part in _parts(licence)} - {OWN_LICENCE, _NO_WEIGHTS}
    return " AND ".join([OWN_LICENCE, *sorted(others)])


def _parts(licence: str) -> list[str]:
    """The licences of a net (`A AND B`) or of a fused label (`expert: A; expert: B`)."""
    return [re.sub(r"^[\w-]+: ", "", part) for part in re.split(r" AND |; ", licence)]
