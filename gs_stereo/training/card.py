"""The card of trained weights: what they are, what they were trained on, under which licence, and how they did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

CARD_NAME = "README.md"
OWN_LICENCE = "Apache-2.0"
_NO_WEIGHTS = "no expert weights"  # what labels without a learned expert say


def model_card(
    title: str, net: nn.Module, licence: str, *, sources: Sequence[Mapping[str, Any]], paragraphs: Sequence[str]
) -> str:
    """Markdown; the same run gives the same text.

    sources: name, version and licence of the labels or data. paragraphs: how it was trained, which stands above their
    table, then what stands below it.
    """
    parameters = sum(parameter.numel() for parameter in net.parameters())
    rows = [f"| {each['name']} | {each['version']} | {each['licence']} |" for each in sources]
    parts = [
        f"# {title}",
        f"{parameters / 1e6:.2f} M parameters. Licence of the weights: {licence}.",
        paragraphs[0],
        "\n".join(["| label source | version | licence |", "|---|---|---|", *rows]),
        *paragraphs[1:],
    ]
    return "\n\n".join(parts) + "\n"


def joint_licence(licences: Sequence[str]) -> str:
    """Ours and every other one, each once, joined by AND: what binds the data binds the weights."""
    others = {part for licence in licences for part in _parts(licence)} - {OWN_LICENCE, _NO_WEIGHTS}
    return " AND ".join([OWN_LICENCE, *sorted(others)])


def _parts(licence: str) -> list[str]:
    """The licences of a net (`A AND B`) or of a fused label (`expert: A; expert: B`)."""
    return [re.sub(r"^[\w-]+: ", "", part) for part in re.split(r" AND |; ", licence)]
