"""What every operation works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from koru_delta._session import Session
from koru_delta._upkeep.upkeep import Upkeep

if TYPE_CHECKING:
    from koru_delta.config import Config


class Operations:
    """A session, and how it was configured."""

    def __init__(self, config: Config) -> None:
        """Prepare; nothing is opened."""
        self._config = config
        self._session = Session(config)
        self._upkeep = self._session.upkeep = Upkeep(self._session)
