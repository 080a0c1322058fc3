"""The agent memories, each through its ordinary public Python API, with one fixed table of vectors.

Each remembers a text with a user and an importance, one at a time, and recalls the best ten for a
question. koru-delta ranks by words, vector, age and importance; the peers rank by vector alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
from typing import TYPE_CHECKING, Any

from harness import OURS
from vector_stores import sqlite_with_extensions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from memory_data import Table

TOP = 10
AGENT = "bench"
BATCH = 1_000

OURS_DURABLE = f"{OURS}, a synced file"
CHROMA = "chromadb, persistent"
MEM0 = "mem0ai with faiss"
IN_MEMORY = "LangGraph InMemoryStore"
SQLITE = "LangGraph SqliteStore"


class KoruDelta:
    """One database with one agent; in memory, or a file that is synced for each memory.

    Its embedder is async: one that blocks is called in a worker thread, and the way there and back
    takes longer than looking a vector up.
    """

    is_durable = False

    def __init__(self, table: Table, folder: Path) -> None:
        async def embedder(texts: list[str]) -> list[Any]:
            return table.arrays(texts)

        self.module: Any = importlib.import_module("koru_delta")
        self.embedder = embedder
        self.path = folder / "memory.koru" if self.is_durable else None

    async def open(self) -> None:
        self.database = await self.module.Database.create(self.path)
        self.memory = self.database.agent_memory(AGENT, self.embedder)

    async def fill(self, texts: list[str]) -> None:
        """Remembers many; of the rest, what is done once is done now."""
        for start in range(0, len(texts), BATCH):
            importance = (start // BATCH % 10) / 10
            await self.memory.episodes.remember_many(texts[start : start + BATCH], importance)
        await self.memory.recall(texts[0], TOP)

    async def add(self, text: str, importance: float) -> None:
        await self.memory.remember(text, importance, metadata={"user": "bob"})

    async def recall(self, question: str) -> list[str]:
        return [hit.content for hit in await self.memory.recall(question, TOP)]

    async def close(self) -> None:
        await self.database.close()


class KoruDeltaDurable(KoruDelta):
    is_durable = True

    async def disk_bytes(self) -> int:
        size: int = (await self.database.stats()).disk_bytes
        return size


class Chroma:
    """A collection on disk, with the vectors given beside the texts."""

    most = 50_000

    def __init__(self, table: Table, folder: Path) -> None:
        self.table = table
        self.folder = folder
        self.count = 0

    def open(self) -> None:
        chromadb: Any = importlib.import_module("chromadb")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(str(self.folder), settings)
        self.collection = self.client.create_collection(
            AGENT, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def put(self, texts: list[str], importance: float) -> None:
        ids = [str(self.count + number) for number in range(len(texts))]
        self.count += len(texts)
        metadatas = [{"user": "bob", "importance": importance}] * len(texts)
        self.collection.add(
            ids=ids, documents=texts, embeddings=self.table.arrays(texts), metadatas=metadatas
        )

    def fill(self, texts: list[str]) -> None:
        for start in range(0, len(texts), BATCH):
            self.put(texts[start : start + BATCH], 0.5)

    def add(self, text: str, importance: float) -> None:
        self.put([text], importance)

    def recall(self, question: str) -> list[str]:
        found = self.collection.query(
            query_embeddings=[self.table.rows[question]],
            n_results=TOP,
            include=["documents", "metadatas", "distances"],
        )
        documents: list[str] = found["documents"][0]
        return documents

    def close(self) -> None:
        self.client.clear_system_cache()


class Mem0:
    """Without its language model: memories as they are given, and the vectors of the table."""

    most = 1_000
    """Each memory rewrites the whole index."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.table = table
        self.folder = folder

    def open(self) -> None:
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(self.folder)
        logging.getLogger("mem0").setLevel(logging.ERROR)  # It advises to install more.
        mem0: Any = importlib.import_module("mem0")
        main: Any = importlib.import_module("mem0.memory.main")
        table = self.table

        class Embedder:
            def embed(self, text: str, _action: object = None) -> list[float]:
                return table.lists([text])[0]

            def embed_batch(self, texts: list[str], _action: object = None) -> list[list[float]]:
                return table.lists(texts)

        main.EmbedderFactory.create = lambda *_args, **_fields: Embedder()
        main.LlmFactory.create = lambda *_args, **_fields: None
        config = {
            "vector_store": {
                "provider": "faiss",
                "config": {
                    "path": str(self.folder / "faiss"),
                    "embedding_model_dims": 384,
                    "distance_strategy": "cosine",
                },
            },
            "history_db_path": str(self.folder / "history.db"),
        }
        self.memory = mem0.Memory.from_config(config)

    def fill(self, texts: list[str]) -> None:
        for text in texts:
            self.add(text, 0.5)

    def add(self, text: str, importance: float) -> None:
        self.memory.add(text, user_id="bob", metadata={"importance": importance}, infer=False)

    def recall(self, question: str) -> list[str]:
        found = self.memory.search(question, top_k=TOP, filters={"user_id": "bob"})
        return [hit["memory"] for hit in found["results"]]

    def close(self) -> None:
        self.memory.close()


class LangGraph:
    """A store of LangGraph with an index of one field."""

    store: Any
    most = 10_000

    def __init__(self, table: Table, folder: Path) -> None:
        # The store in memory reads `fields`, as is documented, the one of SQLite `text_fields`.
        fields = ["content"]
        self.index = {
            "dims": 384, "embed": table.lists, "fields": fields, "text_fields": fields,
        }  # fmt: skip
        self.folder = folder
        self.count = 0

    def open(self) -> None:
        module: Any = importlib.import_module("langgraph.store.memory")
        self.store = module.InMemoryStore(index=self.index)

    def fill(self, texts: list[str]) -> None:
        base: Any = importlib.import_module("langgraph.store.base")
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            self.store.batch(
                [
                    base.PutOp((AGENT,), str(self.count + number), self.value(text, 0.5))
                    for number, text in enumerate(batch)
                ]
            )
            self.count += len(batch)

    @staticmethod
    def value(text: str, importance: float) -> dict[str, Any]:
        return {"content": text, "user": "bob", "importance": importance}

    def add(self, text: str, importance: float) -> None:
        self.store.put((AGENT,), str(self.count), self.value(text, importance))
        self.count += 1

    def recall(self, question: str) -> list[str]:
        found = self.store.search((AGENT,), query=question, limit=TOP)
        return [hit.value["content"] for hit in found]

    def close(self) -> None:
        self.store = None


class LangGraphSqlite(LangGraph):
    """The same in a file, searched by sqlite-vec."""

    def open(self) -> None:
        module: Any = importlib.import_module("langgraph.store.sqlite")
        sqlite: Any = importlib.import_module(sqlite_with_extensions() or "sqlite3")
        self.connection: Any = sqlite.connect(
            str(self.folder / "store.db"), check_same_thread=False, isolation_level=None
        )
        self.store = module.SqliteStore(self.connection, index=self.index)
        self.store.setup()

    def close(self) -> None:
        self.connection.close()


STORES: dict[str, Callable[[Table, Path], Any]] = {
    OURS: KoruDelta,
    OURS_DURABLE: KoruDeltaDurable,
    CHROMA: Chroma,
    MEM0: Mem0,
    IN_MEMORY: LangGraph,
    SQLITE: LangGraphSqlite,
}
NEEDED = {
    CHROMA: ("chromadb",),
    MEM0: ("mem0", "faiss"),
    IN_MEMORY: ("langgraph", "numpy"),
    SQLITE: ("langgraph", "sqlite_vec"),
}


def installed_stores(*, ours: bool) -> tuple[dict[str, Callable[[Table, Path], Any]], list[str]]:
    """Those that can be used here, and a note for each that cannot."""
    found: dict[str, Callable[[Table, Path], Any]] = {}
    notes: list[str] = []
    for name, store in STORES.items():
        missing = [one for one in NEEDED.get(name, ()) if importlib.util.find_spec(one) is None]
        if missing:
            notes.append(f"{name} is left out: {', '.join(missing)} is not installed.")
        elif name == SQLITE and sqlite_with_extensions() is None:
            notes.append(f"{name} is left out: no sqlite3 here loads extensions.")
        elif name not in (OURS, OURS_DURABLE) or ours:
            found[name] = store
    return found, notes


def new_folder(parent: Path, name: str) -> Path:
    """An empty folder."""
    folder = parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
