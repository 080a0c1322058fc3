"""A support assistant that remembers: several runs, one file, and questions about its own past.

    python 02_agent_memory.py [DIRECTORY]

On each day of a week the assistant is started, opens its memory, notes what customers say and
learns from it. Things change: a customer moves, and the assistant learns that anew. Then it is
asked what it knows, what it knew before, and where it has that from. At the end of the week it
tidies up, takes that back, and tidies up for good. The week passes in a second. No model is needed:
memories are found by their words; with `embedder=` they are found by their meaning too. Without a
directory a temporary one is used; with one the file stays, and the next run begins it anew.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from koru_delta import AgentMemory, Database, MemoryRecall

AGENT = "support-assistant"

# The log of a help desk: customer, importance, tags, and what was said.
MONDAY = [
    (
        "alice",
        0.8,
        ["bug", "export"],
        "Alice reports that exporting an invoice to PDF fails with error 504",
    ),
    (
        "alice",
        0.4,
        ["account"],
        "Alice mentions that her team works in Berlin, on Central European Time",
    ),
    ("bob", 0.5, ["billing"], "Bob asks why he was charged twice in March"),
    (
        "bob",
        0.6,
        ["billing"],
        "Bob's second charge was a yearly plan that his colleague had ordered",
    ),
    ("carol", 0.2, ["feedback"], "Carol says that she likes the new dark theme"),
    (
        "alice",
        0.8,
        ["bug"],
        "Alice reports that exporting an invoice to PDF fails with the error 504",
    ),
]
TUESDAY = [
    (
        "dave",
        0.7,
        ["bug", "export"],
        "Dave cannot export invoices either: error 504 after half a minute",
    ),
    (
        "dave",
        0.9,
        ["bug", "export"],
        "The export of invoices works again once the page size is set to A4",
    ),
    ("carol", 0.2, ["feedback"], "Carol says that she likes the new dark theme"),
    ("erin", 0.3, ["sales"], "Erin asks for a discount for schools and is told to write to sales"),
]
WEDNESDAY = [
    ("alice", 0.7, ["account"], "Alice writes that her team has moved from Berlin to Lisbon"),
    ("carol", 0.2, ["feedback"], "Carol says she likes the new dark theme"),
    ("bob", 0.1, ["chat"], "Bob wishes everybody a good weekend"),
]


def title(text: str) -> None:
    print(f"\n{text}")


def say(line: str) -> None:
    print(f"  {line}")


def show(hits: list[MemoryRecall]) -> None:
    for hit in hits:
        content = textwrap.shorten(hit.content.splitlines()[0], 72, placeholder=" ...")
        say(f"  {hit.score:.2f}  {hit.memory_type:9}  {content}")
    if not hits:
        say("  nothing")


@asynccontextmanager
async def run(path: Path, name: str) -> AsyncIterator[AgentMemory]:
    """One run of the assistant: it opens its memory, works, and closes it."""
    title(f"{name}: the assistant starts")
    async with Database.for_agent(AGENT, path) as memory:
        stats = await memory.stats()
        say(f"it remembers {stats.episodes} episodes and {stats.facts} facts")
        yield memory


async def listen(memory: AgentMemory, log: list[tuple[str, float, list[str], str]]) -> list[str]:
    """Remember what was said; the ids of the memories."""
    ids = [
        await memory.remember(said, importance, tags, metadata={"customer": customer})
        for customer, importance, tags, said in log
    ]
    say(f"{len(ids)} things were said, and each is durable once it is remembered")
    return ids


async def monday(path: Path) -> None:
    async with run(path, "Monday") as memory:
        said = await listen(memory, MONDAY)
        await memory.facts.learn("alice.location", "Alice's team is in Berlin", caused_by=said[1])
        await memory.facts.learn(
            "bob.plan", "Bob's company has a yearly plan", ["billing"], caused_by=said[2:4]
        )
        say("it learned where Alice's team is, and what plan Bob has")
        question = "Who reports that exporting invoices fails?"
        say(f"asked: {question} (the answers: score, kind, content)")
        show(await memory.recall(question, min_relevance=0.1))


async def tuesday(path: Path) -> None:
    async with run(path, "Tuesday") as memory:
        said = await listen(memory, TUESDAY)
        await memory.procedures.learn(
            "help with error 504 when invoices are exported",
            ["ask for the page size", "have them set it to A4", "export once more"],
            success_rate=1.0,
            caused_by=said[:2],
        )
        rate = await memory.procedures.record_outcome(
            "help with error 504 when invoices are exported", True
        )
        say(f"it learned how to help with error 504; that has worked in {rate:.0%} of the cases")
        [how] = await memory.recall("what helps with error 504?", 1, memory_type="procedure")
        for number, step in enumerate(how.steps, 1):
            say(f"  {number}. {step}")
        question = "Why was Bob charged twice?"
        say(f"asked, of what is tagged billing: {question}")
        show(await memory.recall(question, tags=["billing"]))
        say("asked, of what Dave has said: Which error was it?")
        show(await memory.recall("Which error was it?", metadata={"customer": "dave"}))


async def wednesday(path: Path) -> datetime:
    """The run in which something that was known changes; a time before the change."""
    async with run(path, "Wednesday") as memory:
        before = datetime.now(UTC)
        said = await listen(memory, WEDNESDAY)
        await memory.facts.learn("alice.location", "Alice's team is in Lisbon", caused_by=said[0])
        say("it learned that Alice's team is somewhere else now")
        question = "What was error 504 with invoices?"
        say(f"asked: {question}")
        show(await memory.recall(question, limit=3))
        return before


async def look_back(path: Path, before: datetime) -> None:
    async with run(path, "Thursday") as memory:
        question = "Where is Alice's team?"
        say(f"asked: {question}")
        show(await memory.recall(question, 1, memory_type="fact"))
        say(f"and what would it have said at {before:%H:%M:%S.%f}, before Wednesday's talk?")
        show(await memory.recall(question, 1, memory_type="fact", at=before))

        title("What it knew about Alice's location, and where it has that from")
        for version in await memory.facts.history("alice.location"):
            fact = await memory.facts.get("alice.location", at=version)
            say(f"{version.timestamp:%H:%M:%S.%f}  {fact.content}")
            for cause in await memory.db.lineage(version):
                say(f"    because: {cause.value['content']}")
        steps = await memory.lineage("procedure/help with error 504 when invoices are exported")
        say("what it knows about error 504 goes back to")
        for cause in steps:
            if cause.key.startswith("episode/"):
                say(f"    {cause.value['content']}")

        title("What was recalled most often, in all runs")
        records = await memory.db.query(f"memory-accesses/{AGENT}", order_by="-count", limit=3)
        for record in records:
            found = await memory.get(record.key)
            say(f"{found.access_count} times: {found.content.splitlines()[0]}")


async def tidy_up(path: Path) -> None:
    async with run(path, "Friday") as memory:
        title("Tidying up: near-duplicates are merged, small talk is forgotten")
        count = (await memory.stats()).episodes
        report = await memory.consolidate(similarity=0.85, min_importance=0.15)
        for group in report.merged:
            kept = await memory.get(group.id)
            say(f"{len(group.merged) + 1} memories became one: {kept.content}")
        for version_id in report.forgotten_versions:
            gone = await memory.db.version(version_id)
            say(f"forgotten: {gone.value['content']}")
        say(f"{count} episodes became {(await memory.stats()).episodes}")
        question = "Who likes the dark theme?"
        say(f"asked: {question}")
        show(await memory.recall(question, min_relevance=0.1))

        title("Taking it back")
        restored = await memory.undo(report)
        say(f"{restored} memories are as they were: {(await memory.stats()).episodes} episodes")
        show(await memory.recall(question, min_relevance=0.1))
        report = await memory.consolidate(similarity=0.85, min_importance=0.15)
        say(f"and tidied up once more: {(await memory.stats()).episodes} episodes")
        check = await memory.db.verify()
        say(f"verify: {check.versions} versions, {check.commits} commits, ok: {check.ok}")


async def week(path: Path) -> None:
    await monday(path)
    await tuesday(path)
    before = await wednesday(path)
    await look_back(path, before)
    await tidy_up(path)


def main(path: Path) -> None:
    path.unlink(missing_ok=True)
    start = time.perf_counter()
    asyncio.run(week(path))
    took, size = time.perf_counter() - start, path.stat().st_size / 1000
    print(f"\nDone in {took:.1f} s; all of the week is in one file of {size:.0f} kB.")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]).absolute() / "assistant.koru")
    else:
        with tempfile.TemporaryDirectory(prefix="koru-delta-") as directory:
            main(Path(directory) / "assistant.koru")
