"""Tables, lists and shares keep text as text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from gs_stereo.report.markup import pairs_list, share_bars, table

HOSTILE = "\"><script>alert(1)</script>&amp;'<"


def test_tables_and_lists_escape_their_cells() -> None:
    assert "<script" not in table((HOSTILE, "b"), [(HOSTILE, HOSTILE)])
    assert "<script" not in pairs_list([(HOSTILE, HOSTILE)])
    shares = share_bars([(HOSTILE, 0.4), ("more than all", 1.2)], title="shares")
    ElementTree.fromstring(shares)
    assert "<script" not in shares
    assert "width:100.00%" in shares
