"""The vector contestants, each through its ordinary public Python API.

All are asked for the best ten by cosine, of rows of length 1, one query at a time in one thread.
Graphs are built with what their libraries do by themselves (all cores), M = 16, efConstruction =
200, and searched with ef = 64, but chromadb as it comes. Those that keep metadata (koru-delta,
chromadb, sqlite-vec, lancedb) get a document for each row, {"i": n, "group": n % 100}; koru-delta
and chromadb hand it back with each hit.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOP = 10
GROUPS = 100
"""A filter on one group keeps 1 % of the rows."""

M = 16
EF_BUILD = 200
EF_SEARCH = 64
NAMESPACE = "bench"

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""NumPy and faiss read these when they are imported."""


class Peer(Protocol):
    """What koru-delta is measured beside. Some also have `open` and `query_group`."""

    def build(self, rows: Any) -> None:
        """Takes all rows, writes them to files, and is ready to be searched."""

    def query(self, query: Any) -> list[int]:
        """The numbers of the ten nearest rows."""

    def close(self) -> None:
        """Leaves the files and frees the memory."""


def limit_threads() -> None:
    """One thread for matrix products; to be called before NumPy is imported."""
    for name in ONE_THREAD:
        os.environ[name] = "1"


def documents(count: int) -> list[dict[str, int]]:
    return [{"i": number, "group": number % GROUPS} for number in range(count)]


class NumpyScan:
    """A matrix product and argpartition."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "rows.npy"
        self.numpy = importlib.import_module("numpy")

    def build(self, rows: Any) -> None:
        self.rows = rows.copy()
        self.numpy.save(self.file, rows)

    def open(self) -> None:
        self.rows = self.numpy.load(self.file)

    def query(self, query: Any) -> list[int]:
        scores = self.rows @ query
        best = self.numpy.argpartition(scores, -TOP)[-TOP:]
        found: list[int] = best[self.numpy.argsort(-scores[best])].tolist()
        return found

    def close(self) -> None:
        del self.rows


class FaissFlat:
    """Every row compared, in faiss's own kernels."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "flat.faiss")
        self.faiss = importlib.import_module("faiss")
        self.faiss.omp_set_num_threads(1)

    def build(self, rows: Any) -> None:
        self.index = self.faiss.IndexFlatIP(rows.shape[1])
        self.index.add(rows)
        self.faiss.write_index(self.index, self.file)

    def open(self) -> None:
        self.index = self.faiss.read_index(self.file)

    def query(self, query: Any) -> list[int]:
        found: list[int] = self.index.search(query[None], TOP)[1][0].tolist()
        return found

    def close(self) -> None:
        del self.index


class Hnswlib:
    """The graph alone."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "graph.hnswlib")
        self.hnswlib = importlib.import_module("hnswlib")

    def build(self, rows: Any) -> None:
        self.index = self.hnswlib.Index(space="cosine", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), ef_construction=EF_BUILD, M=M)
        self.index.add_items(rows)
        self.index.set_ef(EF_SEARCH)
        self.index.save_index(self.file)

    def open(self, dimension: int) -> None:
        self.index = self.hnswlib.Index(space="cosine", dim=dimension)
        self.index.load_index(self.file)
        self.index.set_ef(EF_SEARCH)

    def query(self, query: Any) -> list[int]:
        found: list[int] = self.index.knn_query(query, k=TOP, num_threads=1)[0][0].tolist()
        return found

    def close(self) -> None:
        del self.index


class Usearch:
    """The graph over its default numbers of 16 bits."""

    def __init__(self, folder: Path) -> None:
        self.file = str(folder / "graph.usearch")
        self.module = importlib.import_module("usearch.index")

    def build(self, rows: Any) -> None:
        numpy = importlib.import_module("numpy")
        self.index = self.module.Index(
            ndim=rows.shape[1],
            metric="cos",
            connectivity=M,
            expansion_add=EF_BUILD,
            expansion_search=EF_SEARCH,
        )
        self.index.add(numpy.arange(len(rows)), rows)
        self.index.save(self.file)

    def open(self) -> None:
        self.index = self.module.Index.restore(self.file)
        self.index.expansion_search = EF_SEARCH

    def query(self, query: Any) -> list[int]:
        found: list[int] = self.index.search(query, TOP, threads=1).keys.tolist()
        return found

    def close(self) -> None:
        self.index.reset()


class Chroma:
    """A persistent collection, everything as it comes but for the metric."""

    def __init__(self, folder: Path) -> None:
        chromadb = importlib.import_module("chromadb")
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(path=str(folder / "chroma"), settings=settings)

    def build(self, rows: Any) -> None:
        self.collection = self.client.create_collection(
            NAMESPACE, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        ids = [f"{number:07d}" for number in range(len(rows))]
        metadatas = documents(len(rows))
        step = self.client.get_max_batch_size()
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            self.collection.add(ids=ids[part], embeddings=rows[part], metadatas=metadatas[part])

    def open(self) -> None:
        self.collection = self.client.get_collection(NAMESPACE, embedding_function=None)

    def query(self, query: Any) -> list[int]:
        return self._found(self.collection.query(query_embeddings=[query], n_results=TOP))

    def query_group(self, query: Any, group: int) -> list[int]:
        return self._found(
            self.collection.query(query_embeddings=[query], n_results=TOP, where={"group": group})
        )

    @staticmethod
    def _found(answer: Any) -> list[int]:
        return [document["i"] for document in answer["metadatas"][0]]

    def close(self) -> None:
        del self.collection, self.client


def sqlite_with_extensions() -> str | None:
    """The module of SQLite that loads extensions; many a Python's own does not."""
    for name in ("sqlite3", "pysqlite3"):
        if importlib.util.find_spec(name) is not None:
            connection = importlib.import_module(name).Connection
            if hasattr(connection, "enable_load_extension"):
                return name
    return None


class SqliteVec:
    """The virtual table: every row compared, from a file."""

    def __init__(self, folder: Path) -> None:
        module = sqlite_with_extensions()
        self.connection = importlib.import_module(str(module)).connect(folder / "vec.sqlite")
        self.connection.enable_load_extension(True)
        importlib.import_module("sqlite_vec").load(self.connection)

    def build(self, rows: Any) -> None:
        self.connection.execute(
            "CREATE VIRTUAL TABLE items USING vec0"
            f"(part INTEGER, embedding float[{rows.shape[1]}] distance_metric=cosine)"
        )
        self.connection.executemany(
            "INSERT INTO items(rowid, part, embedding) VALUES (?, ?, ?)",
            ((number, number % GROUPS, row) for number, row in enumerate(rows)),
        )
        self.connection.commit()

    def query(self, query: Any) -> list[int]:
        return self._found("embedding MATCH ? AND k = ?", query, TOP)

    def query_group(self, query: Any, group: int) -> list[int]:
        return self._found("embedding MATCH ? AND k = ? AND part = ?", query, TOP, group)

    def _found(self, condition: str, *values: Any) -> list[int]:
        rows = self.connection.execute(f"SELECT rowid FROM items WHERE {condition}", values)
        return [row[0] for row in rows]

    def close(self) -> None:
        self.connection.close()


class Lancedb:
    """A table with its graph index (from 10,000 rows on; it compares all of fewer)."""

    INDEX_FROM = 10_000

    def __init__(self, folder: Path) -> None:
        self.connection = importlib.import_module("lancedb").connect(str(folder / "lance"))

    def build(self, rows: Any) -> None:
        arrow = importlib.import_module("pyarrow")
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
        made = documents(len(rows))
        columns = {name: [document[name] for document in made] for name in made[0]}
        table = arrow.table({**columns, "vector": vectors})
        self.table = self.connection.create_table(NAMESPACE, table)
        if len(rows) >= self.INDEX_FROM:
            self.table.create_index(
                metric="cosine",
                index_type="IVF_HNSW_SQ",
                num_partitions=1,
                m=M,
                ef_construction=EF_BUILD,
            )

    def query(self, query: Any) -> list[int]:
        return self._found(self.table.search(query))

    def query_group(self, query: Any, group: int) -> list[int]:
        return self._found(self.table.search(query).where(f"`group` = {group}", prefilter=True))

    @staticmethod
    def _found(search: Any) -> list[int]:
        asked = search.distance_type("cosine").ef(EF_SEARCH).select(["i", "_distance"]).limit(TOP)
        found: list[int] = asked.to_arrow()["i"].to_pylist()
        return found

    def close(self) -> None:
        del self.table, self.connection


class KoruDelta:
    """The public async API, documents included."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        module = importlib.import_module("koru_delta")
        # The cap is lifted, so that a million fits; memory is taken as it is needed.
        config = module.Config(path, max_memory_mb=0, max_disk_mb=0, read_only=read_only)
        self.database = module.Database(config)

    async def open(self) -> None:
        await self.database.__aenter__()

    async def build(self, rows: Any, first: int = 0) -> None:
        made = [
            {"i": number, "group": number % GROUPS} for number in range(first, first + len(rows))
        ]
        keys = [f"{number:07d}" for number in range(first, first + len(rows))]
        await self.database.embed_batch(NAMESPACE, keys, rows, made)

    async def index_groups(self) -> None:
        await self.database.create_index(NAMESPACE, "group")

    async def query(self, query: Any) -> list[int]:
        return [match.value["i"] for match in await self.database.similar(NAMESPACE, query, TOP)]

    async def query_exact(self, query: Any) -> list[int]:
        hits = await self.database.similar(NAMESPACE, query, TOP, exact=True)
        return [match.value["i"] for match in hits]

    async def query_group(self, query: Any, group: int) -> list[int]:
        hits = await self.database.similar(NAMESPACE, query, TOP, where={"group": group})
        return [match.value["i"] for match in hits]

    async def close(self) -> None:
        await self.database.close()


NUMPY = "numpy matrix product"
FAISS = "faiss flat"
HNSWLIB = "hnswlib, ef 64"
USEARCH = "usearch, 16-bit, ef 64"
CHROMA = "chromadb persistent"
SQLITE_VEC = "sqlite-vec"
LANCEDB = "lancedb IVF-HNSW-SQ"

PEERS: dict[str, tuple[str, Callable[[Path], Peer]]] = {
    NUMPY: ("numpy", NumpyScan),
    FAISS: ("faiss", FaissFlat),
    HNSWLIB: ("hnswlib", Hnswlib),
    USEARCH: ("usearch", Usearch),
    CHROMA: ("chromadb", Chroma),
    SQLITE_VEC: ("sqlite_vec", SqliteVec),
    LANCEDB: ("lancedb", Lancedb),
}
"""Name to the module it needs, and what makes one whose files are in the folder given."""


def folder_of(scratch: Path, name: str, size: int) -> Path:
    """Where a contestant's files of so many rows are; another section may have made them."""
    return scratch / f"vectors-{size}-{name.partition(',')[0].replace(' ', '-')}"


EXACT = (NUMPY, FAISS, SQLITE_VEC)


def installed_peers() -> tuple[dict[str, Callable[[Path], Peer]], list[str]]:
    """Those that can be imported, and a note for each that cannot."""
    found: dict[str, Callable[[Path], Peer]] = {}
    notes: list[str] = []
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            notes.append(f"{name}: {module} is not installed.")
        elif make is SqliteVec and sqlite_with_extensions() is None:
            notes.append(f"{name}: sqlite3 loads no extensions here, and there is no pysqlite3.")
        else:
            found[name] = make
    return found, notes
