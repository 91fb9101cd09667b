"""tests/unit has the rooms of the package: a room that moves takes its tests along."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_unit_tests_stand_in_rooms_of_the_package() -> None:
    unit = ROOT / "tests/unit"
    rooms = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    assert len(rooms) > 15
    assert sorted(str(room) for room in rooms if not (ROOT / "gs_stereo" / room / "__init__.py").is_file()) == []
