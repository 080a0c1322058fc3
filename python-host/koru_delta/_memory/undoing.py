"""Taking a consolidation back."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

from koru_delta import _protocol as op
from koru_delta._memory.turns import Turns
from koru_delta._results.memories import ConsolidationReport
from koru_delta.errors import KeyNotFoundError, ValidationError

if TYPE_CHECKING:
    from koru_delta._memory.store import Store

_PAGE: Final = 500
_TOGETHER: Final = 64


async def undo(store: Store, report: ConsolidationReport) -> int:
    """Restore what a consolidation changed, unless it was changed since; how many memories."""
    if not isinstance(report, ConsolidationReport) or report.agent_id != store.agent_id:
        raise ValidationError(
            f"{report!r:.60} is no report of a consolidation of agent {store.agent_id!r:.60}",
            suggestion="give what consolidate of this agent's memory returned",
        )
    await store.db._session.read(op.HEAD)  # On a closed database this says so.
    turns = Turns(store.db._session)
    left: dict[str, str | None] = {}
    before: dict[str, str] = dict(zip(report.forgotten, report.forgotten_versions, strict=True))
    for group in report.merged:
        before |= zip(group.merged, group.merged_versions, strict=True)
        before[group.id] = group.previous
        left[group.id] = group.version_id
    keys = list(before)
    found: list[tuple[int, str]] = []
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        present = {one.key: one.version_id for one in await store.versions(page)}
        for key in page:
            if present.get(key) == left.get(key):
                with suppress(KeyNotFoundError):  # It was erased.
                    version = await store.db.version(before[key])
                    found.append((version.timestamp_us, key))
            await turns.give()
    # The oldest first: what was written later is still the later.
    work = iter([key for _, key in sorted(found)])
    while some := list(islice(work, _TOGETHER)):
        await store.together([store.db.restore(store.namespace, key, before[key]) for key in some])
        await turns.give()
    return len(found)
