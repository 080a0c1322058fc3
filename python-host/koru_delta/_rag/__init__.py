"""What retrieval is made of: cutting texts into chunks."""

from __future__ import annotations

from koru_delta._rag.chunking import Chunk, chunk

__all__ = ["Chunk", "chunk"]
