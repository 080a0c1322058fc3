"""Histories of one key, checked: did reads and writes happen one at a time, each in its interval?

Every operation is noted with the moments at which it was asked for and answered. The database says
in which order the writes of a key happened, so what is left to check is that this order and the
reads fit the intervals (a register whose order of writes is known; Gibbons and Korach, 1997):

- what ended before another began comes first;
- a read sees a write that had begun before the read ended, and none that had been overwritten, by a
  write that had ended, before the read began;
- reads never go back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = -1
"""The place of the value that was there before the first write: none."""


@dataclass(frozen=True)
class Operation:
    """A read or a write, from asking to the answer; one that was never answered ends never."""

    kind: str
    value: str | None
    asked: float
    answered: float = math.inf


@dataclass
class History:
    """What was done to one key."""

    operations: list[Operation] = field(default_factory=list)

    def wrote(self, value: str, asked: float, answered: float = math.inf) -> None:
        self.operations.append(Operation("write", value, asked, answered))

    def read(self, value: str | None, asked: float, answered: float) -> None:
        self.operations.append(Operation("read", value, asked, answered))


def problems(history: History, order: Sequence[str]) -> list[str]:
    """What cannot have happened, given the values of the key's versions in order.

    Every written value is another one. A write without an answer may have happened or not.
    """
    place = {value: index for index, value in enumerate(order)}
    if len(place) != len(order):
        return ["a write happened twice"]
    writes = [op for op in history.operations if op.kind == "write"]
    reads = [op for op in history.operations if op.kind == "read"]
    found = [
        f"the acknowledged write {op.value!r} is lost"
        for op in writes
        if op.answered < math.inf and op.value not in place
    ]
    known = {op.value for op in writes}
    found += [f"nobody wrote {value!r}" for value in order if value not in known]
    found += [f"nobody wrote {op.value!r}, which was read" for op in reads if _unknown(op, place)]
    if found:
        return found
    events = [
        (op, place[op.value] if op.value is not None else NOTHING)
        for op in history.operations
        if op.value is None or op.value in place
    ]
    return _out_of_order(events)


def _unknown(read: Operation, place: dict[str, int]) -> bool:
    return read.value is not None and read.value not in place


def _out_of_order(events: list[tuple[Operation, int]]) -> list[str]:
    """One that ended before another began must not stand behind it."""
    found = []
    by_answer = sorted(events, key=lambda event: event[0].answered)
    latest: tuple[int, Operation] | None = None
    begun = sorted(events, key=lambda event: event[0].asked)
    ended = 0
    for op, index in begun:
        while ended < len(by_answer) and by_answer[ended][0].answered < op.asked:
            before, at = by_answer[ended]
            if latest is None or at > latest[0]:
                latest = (at, before)
            ended += 1
        # A write must stand behind all that ended before it; a read may see the last of them.
        if latest is not None and (
            index < latest[0] or (op.kind == "write" and index == latest[0])
        ):
            found.append(f"{op} happened before {latest[1]}, which had ended")
    for op, index in events:
        if op.kind == "read" and index != NOTHING:
            (write,) = (w for w, at in events if w.kind == "write" and at == index)
            if write.asked > op.answered:
                found.append(f"{op} saw {write}, which had not begun")
    return found
