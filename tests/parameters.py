"""How parameters are named in the ids of tests: the same in every process."""

from __future__ import annotations

import re


def shown(value: object) -> str:
    """What `ascii` gives, but for addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", ascii(value))
