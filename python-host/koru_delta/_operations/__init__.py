"""The operations of a database, a file each kind; :class:`koru_delta.Database` is all of them."""

from __future__ import annotations
