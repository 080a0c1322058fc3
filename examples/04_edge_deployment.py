"""An agent at the edge: knowledge that arrives as one file, little memory, and a deadline.

    python 04_edge_deployment.py [DIRECTORY]

A hub keeps the knowledge of a help desk in a database and exports it as one file. A small device
gets that file and opens it read-only: it answers questions, asks what was known before, and cannot
change a thing. What the device itself notes goes into a database of its own, with a small cap on
memory, a small cap on the file, and a deadline for each operation. All three are hit here on
purpose: each is a clear error, and nothing that was acknowledged is lost. What the device
noted goes back to the hub, and the next export comes. Without a directory a temporary one is used;
with one the files stay, and the next run begins anew.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from koru_delta import (
    Config,
    Database,
    KoruDeltaError,
    LimitExceededError,
    StorageError,
)

MEMORY_MB = 16
DISK_MB = 1
DEADLINE_SECONDS = 0.25
QUESTION = "The printer is offline after an update, what now?"

ARTICLES = {
    "printer-offline": "If the printer is offline, restart the print service, then the printer.",
    "printer-paper": "Paper jams: open the rear tray, pull the sheet out slowly, close the tray.",
    "vpn-slow": "If the VPN is slow, choose the gateway of your own region in its settings.",
    "password-reset": "Passwords are reset in the portal; the link in the mail holds one hour.",
    "badge-lost": "A lost badge is blocked at the front desk; a new one takes one working day.",
    "meeting-room": "Rooms are booked in the calendar; a room that is not used is given away.",
}
CORRECTION = "If the printer is offline after an update, install driver 7.2; a restart won't help."

steps: list[float] = []


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n{title}")
    start = time.perf_counter()
    yield
    steps.append(time.perf_counter() - start)
    print(f"  took {steps[-1] * 1000:,.1f} ms")


def say(line: str) -> None:
    print(f"  {line}")


def refused(error: KoruDeltaError) -> None:
    """Print an error as a program would log it: what happened, and what to do."""
    say(f"{type(error).__name__}: {error.message}")
    for line in textwrap.wrap(f"what to do: {error.suggestion}", 90):
        say(f"  {line}")


def size(path: Path) -> str:
    return f"{path.name}: {path.stat().st_size:,} bytes"


async def answer(db: Database, question: str, at: datetime | None = None) -> str:
    """The best article for a question."""
    [best, *_] = await db.search("articles", question, top_k=1, at=at)
    return f"{best.key}: {best.value['text']}"


# At the hub.


async def write_articles(hub: Database) -> datetime:
    """What is known on the first day; the moment at which all of it was there."""
    articles = [("articles", key, {"text": text}) for key, text in ARTICLES.items()]
    say(f"{await hub.put_batch(articles)} articles")
    return (await hub.history("articles", "badge-lost"))[-1].timestamp


async def publish(hub: Database, parcel: Path) -> str:
    """Export everything to one file; the hash of its last commit, to be sent another way."""
    await hub.export_to(parcel, overwrite=True)
    say(f"{size(parcel)}, head {hub.head[:16]}")
    return hub.head


def deliver(parcel: Path, replica: Path) -> None:
    """Put the file where the device reads it: whole, or not at all."""
    arriving = replica.with_suffix(".part")
    shutil.copyfile(parcel, arriving)
    arriving.replace(replica)


# On the device.


def reading(replica: Path) -> Config:
    return Config(
        path=replica, read_only=True, max_memory_mb=MEMORY_MB, operation_timeout=DEADLINE_SECONDS
    )


def noting(notes: Path) -> Config:
    return Config(
        path=notes,
        max_memory_mb=MEMORY_MB,
        max_disk_mb=DISK_MB,
        operation_timeout=DEADLINE_SECONDS,
    )


async def answer_offline(replica: Path, head: str, before: datetime) -> None:
    """Answer from the replica, and try to change it."""
    async with Database(reading(replica)) as db:
        if db.head != head:
            raise SystemExit("this is not the file that the hub exported")
        say(f"asked: {QUESTION}")
        say(f"now    {await answer(db, QUESTION)}")
        say(f"before {await answer(db, QUESTION, at=before)}")
        try:
            await db.put("articles", "mine", {"text": "written on the device"})
        except StorageError as error:
            refused(error)
        assert "mine" not in await db.list_keys("articles")


async def fill_memory() -> None:
    """Hold more than the memory cap lets: an error before anything is half done."""
    async with Database(Config(max_memory_mb=MEMORY_MB)) as db:
        kept = 0
        try:
            while True:
                await db.put("readings", f"{kept:06}", {"text": "sensor reading " * 4_000})
                kept += 1
        except LimitExceededError as error:
            refused(error)
        assert len(await db.list_keys("readings")) == kept
        await db.get("readings", f"{kept - 1:06}")
        for key in await db.list_keys("readings", limit=20):
            await db.erase("readings", key)
        await db.put("readings", "after", {"text": "there is room again"})
        say(f"all {kept} readings were there; 20 erased, and writing goes on")


async def fill_disk(notes: Path) -> int:
    """Write more than the file may hold; how many notes were acknowledged."""
    kept = 0
    async with Database(noting(notes)) as db:
        try:
            while True:
                await db.put(
                    "notes", f"{kept:04}", {"text": f"visitor {kept}: " + "hello " * 2_000}
                )
                kept += 1
        except LimitExceededError as error:
            refused(error)
    say(f"{size(notes)} of at most {DISK_MB} MiB")
    return kept


async def miss_deadline(reports: Path) -> None:
    """Compare ever larger reports, until that would take longer than an operation may."""
    fields = 20_000
    async with Database(Config(path=reports, operation_timeout=DEADLINE_SECONDS)) as db:
        kept = await db.put("reports", "kept", {"text": "acknowledged before"})
        try:
            while True:
                for suffix in ("", "x"):
                    value = {f"{field}{suffix}": field for field in range(fields)}
                    await db.put("reports", "large", value)
                await db.diff("reports", "large")
                fields *= 2
        except LimitExceededError as error:
            refused(error)
    async with Database(reports) as db:
        assert (await db.version(kept.version_id)).value == kept.value
        say(f"the file is whole: verify {(await db.verify()).ok}")


async def return_notes(notes: Path, parcel: Path, hub: Database, expected: int) -> None:
    """Send what the device noted to the hub, which takes it in and knows where it is from."""
    async with Database(Config(path=notes, read_only=True)) as db:
        assert len(await db.list_keys("notes")) == expected
        await db.export_to(parcel, overwrite=True)
    async with await Database.import_from(parcel) as arrived:
        found = await arrived.namespace("notes").all()
        await hub.put_batch([("notes/kiosk-7", key, value) for key, value in found.items()])
        say(f"{len(found)} notes arrived, none lost; from head {arrived.head[:16]}")


async def deploy(directory: Path) -> None:
    parcel, replica = directory / "knowledge.koru", directory / "replica.koru"
    notes, returned = directory / "notes.koru", directory / "returned.koru"
    reports = directory / "reports.koru"
    for old in (directory / "hub.koru", parcel, replica, notes, returned, reports):
        old.unlink(missing_ok=True)
    async with Database(directory / "hub.koru") as hub:
        with step("The hub writes what it knows"):
            before = await write_articles(hub)
            await hub.put("articles", "printer-offline", {"text": CORRECTION})
        with step("It exports all of it, history included, as one file"):
            head = await publish(hub, parcel)
        with step("The device opens that file read-only"):
            deliver(parcel, replica)
            await answer_offline(replica, head, before)
        with step(f"The device reaches its cap of {MEMORY_MB} MiB of memory"):
            await fill_memory()
        with step(f"Its own file reaches {DISK_MB} MiB"):
            kept = await fill_disk(notes)
        with step("An operation takes longer than it may"):
            await miss_deadline(reports)
        with step("What the device noted goes back to the hub"):
            await return_notes(notes, returned, hub, kept)
        with step("The next export replaces the replica"):
            await hub.put("articles", "printer-color", {"text": "Color prints need a PIN."})
            head = await publish(hub, parcel)
            deliver(parcel, replica)
            async with Database(reading(replica)) as db:
                say(f"the same head: {db.head == head}; {await answer(db, 'color print')}")
    print(f"\nDone in {sum(steps):.1f} s: one file there, {kept} notes back, nothing lost.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="koru-delta-") as temporary:
        asyncio.run(deploy(Path(*sys.argv[1:] or [temporary]).absolute()))
