"""What the methods return: frozen, slotted dataclasses, read by attribute."""

from __future__ import annotations

from koru_delta._results.changes import Change
from koru_delta._results.matches import Match, Record
from koru_delta._results.reports import (
    CompactReport,
    Explanation,
    ExportReport,
    Health,
    Index,
    IndexStats,
    SalvageReport,
    Stats,
    VectorStats,
    VerifyReport,
    View,
)
from koru_delta._results.versions import Version

__all__ = [
    "Change",
    "CompactReport",
    "Explanation",
    "ExportReport",
    "Health",
    "Index",
    "IndexStats",
    "Match",
    "Record",
    "SalvageReport",
    "Stats",
    "VectorStats",
    "VerifyReport",
    "Version",
    "View",
]
