"""What comes before the payload of a request about what a namespace holds now.

It depends on the namespace, the payload's length and what is acknowledged. While nothing is written
in between, the same few heads are asked for again and again: finding one is quicker than making it.
"""

from __future__ import annotations

from typing import Final

from koru_delta._protocol import NOW, REQUEST_HEADER
from koru_delta._refusal import refuse_names

_MOST: Final = 64
"""Namespaces, and lengths of payloads for each, of which heads are kept."""


class Heads:
    """The heads of one moment of a database."""

    def __init__(self) -> None:
        """Begin empty."""
        self.moment = -1
        """The sequence that was acknowledged."""
        self.kept: dict[str, dict[int, bytes]] = {}
        """By namespace and length."""

    def restart(self, moment: int) -> None:
        """Forget those of another moment."""
        self.moment = moment
        self.kept = {}

    def make(self, namespace: str, size: int) -> bytes:
        """A head that is not kept, and is from now on.

        Raises:
            ValidationError: If the namespace is no text.
        """
        try:
            space = namespace.encode()
        except (UnicodeEncodeError, AttributeError):
            refuse_names(namespace, "")
        head = REQUEST_HEADER.pack(0, self.moment, NOW, len(space), 0, 0, size, 0, 0, 0) + space
        if len(self.kept) > _MOST:
            self.kept.clear()
        heads = self.kept.setdefault(namespace, {})
        if len(heads) < _MOST:
            heads[size] = head
        return head
