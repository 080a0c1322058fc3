"""Turns of the event loop that a task gives to others."""

from __future__ import annotations

import asyncio
import os

_IS_INDEXEDDB = os.environ.get("KORU_KEPT_IN") == "indexeddb"


async def give_a_turn() -> None:
    """Let others run, as a loop of reads by itself need not.

    Events of a browser's database have no turn at all while a task polls without a pause: see
    docs/browser.md.
    """
    await asyncio.sleep(0.004 if _IS_INDEXEDDB else 0)
