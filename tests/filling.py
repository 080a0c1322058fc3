"""Writing until a cap takes effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koru_delta import LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def written_until_full(write: Callable[[int], Awaitable[object]], most: int) -> int:
    """Writes numbers from 0 on, at most so many; how many there are when one is refused."""
    for number in range(most):
        try:
            await write(number)
        except LimitExceededError:
            return number
    raise AssertionError("the cap never took effect")
