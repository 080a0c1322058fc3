"""What every section of the benchmarks shares.

A section measures *operations* (a column: "put", in microseconds) of *contestants* (a row:
"sqlite3 in memory"). One *probe* takes one measurement of one operation of one contestant and
returns it. The probes of an operation run by turns, in a new order each round, so that what else
the machine does hits all of them alike. What is judged is a ratio of medians taken within one run;
the spread printed beside it is that of the ratios round by round (10th to 90th percentile).

The garbage collector stays on, as in an ordinary program. It is run before each probe, and what was
set up before the rounds is kept out of its sight.
"""

from __future__ import annotations

import gc
import inspect
import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

US = "us"
MS = "ms"
SECONDS = "s"
MB = "MB"
PER_UNIT = {US: 1e6, MS: 1e3, SECONDS: 1.0, MB: 1e-6}
"""How many of the unit are in one second, or in one byte."""

OURS = "koru-delta"

Probe = Callable[[], float | Awaitable[float]]
"""Takes one measurement, in seconds (for each operation) or in bytes."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a section is told: how thorough to be, the seed, and where it may write files."""

    quick: bool
    seed: int
    scratch: Path
    koru_delta_present: bool
    embeddings: Path | None = None
    """A folder with base.npy and queries.npy."""
    million: bool = False

    def rounds(self, full: int, quick: int = 3) -> int:
        return quick if self.quick else full

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that sections do not disturb each other."""
        return random.Random(f"{self.seed}/{purpose}")


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class RatioTarget:
    """`contestant`'s figure over `against`'s ("at most"), or the inverse ("at least" as fast)."""

    operation: str
    against: str
    limit: float
    sense: Literal["at most", "at least"] = "at most"
    contestant: str = OURS

    def ratio(self, ours: float, theirs: float) -> float:
        return ours / theirs if self.sense == "at most" else theirs / ours


@dataclass(frozen=True, slots=True)
class AbsoluteTarget:
    """`contestant`'s figure is at most (or at least) `limit`, in the operation's unit."""

    operation: str
    limit: float
    contestant: str = OURS
    sense: Literal["at most", "at least"] = "at most"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table of targets."""

    operation: str
    contestant: str
    value: str
    against: str
    ratio: float | None
    spread: tuple[float, float] | None
    target: str
    met: bool | None
    """None where it could not be measured."""


@dataclass(slots=True)
class Section:
    """The operations of one section, their probes, what they measured and what is asked of it."""

    title: str
    operations: Sequence[Operation]
    sizes: Mapping[str, object]
    ratio_targets: Sequence[RatioTarget] = ()
    absolute_targets: Sequence[AbsoluteTarget] = ()
    notes: list[str] = field(default_factory=list)
    order: Sequence[str] = ()
    """Contestants in the order of their rows; others follow as they were entered."""
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _probes: list[tuple[Operation, str, Probe]] = field(default_factory=list)

    def add(self, operation: str, contestant: str, probe: Probe) -> None:
        found = next(known for known in self.operations if known.name == operation)
        self._probes.append((found, contestant, probe))

    async def run_rounds(
        self, rounds: int, generator: random.Random, operations: Sequence[Operation] = ()
    ) -> None:
        """Runs every probe (of `operations`, or all) once unrecorded, then `rounds` times."""
        gc.collect()
        gc.freeze()  # What was set up so far does not make anybody's collections slower.
        try:
            for operation in operations or self.operations:
                for turn in range(rounds + 1):
                    await self._run_round(operation, generator, record=turn > 0)
        finally:
            gc.unfreeze()

    async def _run_round(
        self, operation: Operation, generator: random.Random, *, record: bool
    ) -> None:
        probes = [(who, probe) for known, who, probe in self._probes if known == operation]
        for contestant, probe in generator.sample(probes, len(probes)):
            gc.collect()
            value = await measured(probe)
            if record:
                self.record(operation.name, contestant, value * PER_UNIT[operation.unit])

    def record(self, operation: str, contestant: str, value: float) -> None:
        """Adds a figure, already in the operation's unit."""
        self.samples.setdefault((operation, contestant), []).append(value)

    def median(self, operation: str, contestant: str) -> float | None:
        values = self.samples.get((operation, contestant))
        return statistics.median(values) if values else None

    def contestants(self) -> list[str]:
        """Those with figures: in the order asked for, then as entered, then as recorded."""
        entered = [who for _, who, _ in self._probes]
        mentioned = [*self.order, *entered, *(who for _, who in self.samples)]
        measured = {who for _, who in self.samples}
        return [who for who in dict.fromkeys(mentioned) if who in measured]

    def verdicts(self) -> list[Verdict]:
        units = {operation.name: operation.unit for operation in self.operations}
        ratios = [
            self._ratio_verdict(target, units[target.operation]) for target in self.ratio_targets
        ]
        return ratios + [
            self._absolute_verdict(target, units[target.operation])
            for target in self.absolute_targets
        ]

    def _ratio_verdict(self, target: RatioTarget, unit: str) -> Verdict:
        ours = self.median(target.operation, target.contestant)
        theirs = self.median(target.operation, target.against)
        ratio: float | None = None
        spread: tuple[float, float] | None = None
        met: bool | None = None
        if ours is not None and theirs is not None:
            ratio = target.ratio(ours, theirs)
            spread = percentiles(
                [
                    target.ratio(one, other)
                    for one, other in zip(
                        self.samples[target.operation, target.contestant],
                        self.samples[target.operation, target.against],
                        strict=True,
                    )
                ]
            )
            met = ratio <= target.limit if target.sense == "at most" else ratio >= target.limit
        sign = "<=" if target.sense == "at most" else ">="
        against = f"{target.against}: {show(theirs)} {unit}"
        if target.sense == "at least":
            against += " (times as fast)"
        return Verdict(
            target.operation,
            target.contestant,
            f"{show(ours)} {unit}",
            against,
            ratio,
            spread,
            f"{sign} {target.limit:g}",
            met,
        )

    def _absolute_verdict(self, target: AbsoluteTarget, unit: str) -> Verdict:
        ours = self.median(target.operation, target.contestant)
        met: bool | None = None
        if ours is not None:
            met = ours <= target.limit if target.sense == "at most" else ours >= target.limit
        sign = "<=" if target.sense == "at most" else ">="
        return Verdict(
            target.operation,
            target.contestant,
            f"{show(ours)} {unit}".strip(),
            "",
            None,
            None,
            f"{sign} {target.limit:g} {unit}".strip(),
            met,
        )

    def as_json(self) -> dict[str, object]:
        return {
            "title": self.title,
            "sizes": dict(self.sizes),
            "notes": self.notes,
            "samples": [
                {"operation": operation, "contestant": contestant, "values": values}
                for (operation, contestant), values in self.samples.items()
            ],
            "units": {operation.name: operation.unit for operation in self.operations},
            "targets": [
                {
                    "operation": verdict.operation,
                    "contestant": verdict.contestant,
                    "against": verdict.against,
                    "value": verdict.value,
                    "ratio": verdict.ratio,
                    "spread": verdict.spread,
                    "target": verdict.target,
                    "met": verdict.met,
                }
                for verdict in self.verdicts()
            ],
        }


async def measured(probe: Probe) -> float:
    figure = probe()
    return await figure if inspect.isawaitable(figure) else figure


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile (the ends, where there are too few values)."""
    if len(values) < 3:
        return min(values), max(values)
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return tenths[0], tenths[-1]


def show(value: float | None) -> str:
    """Three digits that count; thousands in groups; nothing where nothing was measured."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table whose columns also line up in a terminal."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def render(section: Section) -> str:
    """The section as text: sizes, medians, targets, notes."""
    sizes = ", ".join(f"{name} {value}" for name, value in section.sizes.items())
    columns = [f"{operation.name} {operation.unit}".strip() for operation in section.operations]
    rows = [
        [who, *(_cell(section.median(operation.name, who)) for operation in section.operations)]
        for who in section.contestants()
    ]
    parts = [f"## {section.title}", f"Sizes: {sizes}.", "Medians:"]
    parts.append(render_table(["", *columns], rows))
    verdicts = section.verdicts()
    if verdicts:
        parts.append("Targets:")
        header = [
            "operation",
            "contestant",
            "value",
            "against",
            "ratio",
            "p10 to p90",
            "target",
            "verdict",
        ]
        parts.append(render_table(header, [_verdict_row(verdict) for verdict in verdicts]))
    parts += [f"Note: {note}" for note in section.notes]
    return "\n\n".join(parts)


def _cell(value: float | None) -> str:
    return "" if value is None else show(value)


def _verdict_row(verdict: Verdict) -> list[str]:
    ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
    spread = ""
    if verdict.spread is not None:
        spread = f"{verdict.spread[0]:.2f} to {verdict.spread[1]:.2f}"
    words = {True: "met", False: "NOT MET", None: "not measured"}
    return [
        verdict.operation,
        verdict.contestant,
        verdict.value,
        verdict.against,
        ratio,
        spread,
        verdict.target,
        words[verdict.met],
    ]
