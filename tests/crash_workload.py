"""Random workloads over a simulated disk, and what must be found after each crash.

A workload is run once. Its log, cut behind each commit, tells what a database shows after that
commit; the heads of the chain tell the commits apart. After a compaction there is another log. An
image of a crash is good if it opens, shows one of these states exactly, and not an earlier one than
was acknowledged before the crash.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from log_format import COMMIT, FRAME_HEADER_BYTES, HEADER_BYTES, SNAPSHOT
from simulated_storage import KINDS, SimulatedStorage, crash_image, moments

from koru_delta import Config, Database, KoruDeltaError, SyncDatabase
from koru_delta.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACES = ["a", "b"]
KEYS = [f"key-{i}" for i in range(6)]
MEMORY_MB = 16
State = dict[str, Any]


@dataclass
class Run:
    """A workload that was carried out."""

    storage: SimulatedStorage
    sync: bool
    acknowledged: list[tuple[int, str]] = field(default_factory=list)
    """How many calls the storage had seen when everything up to a head was acknowledged."""
    ids: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, db: Database) -> None:
        self.acknowledged.append((len(self.storage.calls), db.head))

    def head_at(self, calls: int) -> str | None:
        """The last head that was acknowledged before so many calls."""
        return next((head for count, head in reversed(self.acknowledged) if count <= calls), None)


def _value(random: Random) -> Any:
    size = random.choice([0, 3, 40, 400, random.randrange(4000)])
    document = {"n": random.randrange(10), "text": "".join(random.choices("abc de", k=size))}
    return random.choice([document, document, random.randbytes(size), [random.random()], None])


def _name(random: Random) -> tuple[str, str]:
    return random.choice(NAMESPACES), random.choice(KEYS)


async def _put(db: Database, run: Run, random: Random) -> None:
    name = _name(random)
    version = await db.put(*name, _value(random))
    run.ids.setdefault(name, []).append(version.version_id)


async def _put_together(db: Database, run: Run, random: Random) -> None:
    await asyncio.gather(*(_put(db, run, random) for _ in range(random.randint(2, 12))))


async def _batch(db: Database, _run: Run, random: Random) -> None:
    count = random.choice([1, 3, 10, 40])
    await db.put_batch([(*_name(random), _value(random)) for _ in range(count)])


async def _delete(db: Database, _run: Run, random: Random) -> None:
    await db.delete(*_name(random))


async def _erase(db: Database, run: Run, random: Random) -> None:
    name = _name(random)
    await db.erase(*name)
    run.ids.pop(name, None)


def _vector(random: Random) -> list[float]:
    return [random.uniform(-1, 1) for _ in range(8)]


async def _embed(db: Database, _run: Run, random: Random) -> None:
    namespace, key = _name(random)
    value = {"n": random.randrange(10)} if random.random() < 0.5 else None
    await db.embed(namespace, key, _vector(random), value)


async def _embed_batch(db: Database, _run: Run, random: Random) -> None:
    keys = random.sample(KEYS, random.randint(1, len(KEYS)))
    await db.embed_batch(random.choice(NAMESPACES), keys, [_vector(random) for _ in keys])


async def _restore(db: Database, run: Run, random: Random) -> None:
    if run.ids:
        name = random.choice(sorted(run.ids))
        with contextlib.suppress(KoruDeltaError):  # A key may have been erased by a batch's end.
            await db.restore(*name, random.choice(run.ids[name]))


async def _index(db: Database, _run: Run, random: Random) -> None:
    make = random.random() < 0.7
    await (db.create_index if make else db.drop_index)(random.choice(NAMESPACES), "n")


async def _view(db: Database, _run: Run, random: Random) -> None:
    name = random.choice(["small", "all"])
    if random.random() < 0.7:
        with contextlib.suppress(KoruDeltaError):  # It may be there already, of other content.
            await db.create_view(name, random.choice(NAMESPACES), {"n": {"$lt": 5}})
    else:
        await db.drop_view(name)


async def _compact(db: Database, _run: Run, _random: Random) -> None:
    await db.compact()


STEPS = [
    _put, _put, _put, _put_together, _batch, _delete, _erase, _embed, _embed_batch, _restore,
    _index, _view, _compact,
]  # fmt: skip


async def _carry_out(run: Run, random: Random, steps: int) -> None:
    config = Config(storage=run.storage, sync_on_write=run.sync, max_memory_mb=MEMORY_MB)
    async with Database(config) as db:
        run.note(db)
        for _ in range(steps):
            await random.choice(STEPS)(db, run, random)
            run.note(db)
    # Closing syncs whatever was not.
    head = commits_of(bytes(run.storage.live))[-1][1]
    run.acknowledged.append((len(run.storage.calls), head))


def run_workload(random: Random, *, steps: int, sync: bool = True, start: bytes = b"") -> Run:
    """Carries out random steps, on an empty disk or on what a crash has left."""
    run = Run(SimulatedStorage(start), sync)
    asyncio.run(_carry_out(run, random, steps))
    return run


def commits_of(content: bytes) -> list[tuple[int, str]]:
    """Where each commit of a sound log ends, and its head; first where the log begins with."""
    begins, at = content[44] == 1, HEADER_BYTES
    found = [] if begins else [(HEADER_BYTES, "0" * 64)]
    while at < len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        kind, body = content[at + 8], at + FRAME_HEADER_BYTES
        at += FRAME_HEADER_BYTES + length + -(FRAME_HEADER_BYTES + length) % 8
        if kind == SNAPSHOT:
            found.append((at, content[body : body + 32].hex()))
            begins = False
        elif kind == COMMIT and not begins:
            # A commit frame ends with the head, and needs no zeros to be a multiple of eight.
            found.append((at, content[at - 32 : at].hex()))
    return found


def logs_of(storage: SimulatedStorage) -> list[bytes]:
    """What each log of a storage came to: the first, and one for each compaction."""
    logs, live = [], bytearray(storage.start)
    for call in storage.calls:
        if call.name == "append":
            live += call.data
        elif call.name == "truncate":
            del live[call.offset :]
        elif call.name == "create":
            logs.append(bytes(live))
            live[:] = call.data
    return [log for log in [*logs, bytes(live)] if log]


def state_of(db: SyncDatabase) -> State:
    """Everything that a database shows."""
    state: State = {}
    for namespace in db.list_namespaces():
        for key in db.list_keys(namespace):
            state[f"{namespace}/{key}"] = [
                (version.version_id, version.value, version.deleted, version.timestamp_us)
                for version in db.history(namespace, key)
            ]
        state[f"{namespace} small"] = [row.key for row in db.query(namespace, {"n": {"$lt": 5}})]
    state["indexes"] = [(index.namespace, index.field) for index in db.list_indexes()]
    state["views"] = [(view.name, view.namespace) for view in db.list_views()]
    state["head"] = db.head
    return state


def open_image(image: bytes) -> tuple[State, bytes]:
    """What a database shows that is opened from an image, and the log that it then has."""
    place = MemoryStorage(image)
    with SyncDatabase(Config(storage=place, max_memory_mb=MEMORY_MB)) as db:
        return state_of(db), bytes(place.data)


@dataclass
class Expected:
    """What a workload's images may show."""

    heads: list[str]
    prefixes: dict[str, list[bytes]]
    """What a log may be at each head: more than one, if it was compacted there."""
    states: dict[str, State] = field(default_factory=dict)

    @classmethod
    def of(cls, *logs: bytes) -> Expected:
        prefixes: dict[str, list[bytes]] = {}
        for log in logs:
            for end, head in commits_of(log):
                prefixes.setdefault(head, []).append(log[:end])
        return cls(list(prefixes), prefixes)

    @classmethod
    def of_run(cls, run: Run) -> Expected:
        return cls.of(*logs_of(run.storage))

    def state(self, head: str) -> State:
        """What was shown after the commit with this head: a log's whole prefix, opened."""
        if head not in self.states:
            self.states[head], _ = open_image(self.prefixes[head][0])
        return self.states[head]


def check_image(image: bytes, expected: Expected, at_least: str | None) -> str:
    """Opens an image: the head found, which is one of the commits and holds what it must."""
    if not image:
        assert at_least is None, "an acknowledged creation is lost"
        return ""
    found, log = open_image(image)
    head = found["head"]
    assert head in expected.heads, "half a commit, or none that was made"
    index = expected.heads.index(head)
    if at_least is not None:
        lost = expected.heads.index(at_least) - index
        assert lost <= 0, f"{lost} acknowledged commits are lost"
    assert found == expected.state(head), "the state is not that of its commit"
    assert log in expected.prefixes[head], "the rest was cut off"
    return str(head)


def images(run: Run, random: Random, kinds: list[str] | None = None) -> Iterator[tuple[int, bytes]]:
    """An image of each kind for each call of a run, with the number of the call."""
    for index, moment in enumerate(moments(run.storage)):
        for kind in kinds or KINDS:
            yield index, crash_image(moment, kind, random)
