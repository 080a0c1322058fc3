"""A host clock that stands where a test wants it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def stop_clock_at(patch: pytest.MonkeyPatch, seconds: int) -> None:
    """The wall clock reads `seconds` since 1970, for the package and for everybody else."""
    real_time, real_time_ns = time.time, time.time_ns
    package = [module for name, module in sys.modules.items() if name.startswith("koru_delta")]
    for module in [time, *package]:
        for name, value in list(vars(module).items()):
            if value is real_time:
                patch.setattr(module, name, lambda: float(seconds))
            elif value is real_time_ns:
                patch.setattr(module, name, lambda: seconds * 10**9)
