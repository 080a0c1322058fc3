"""The query contestants: documents as JSON, asked for by their fields.

As in kv_stores.py every store offers whole loops, ours as coroutines. Both hand back Python
objects, for which sqlite3's rows are decoded by `json.loads`. It gets what a careful user would
give it: a table with rowids (faster to reach from an index than one without), indexes on the very
expressions that the queries have, and the key behind the age in its index, because equals are
ordered by key.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Document = dict[str, Any]
Pair = tuple[str, Document]
Rows = list[tuple[str, Document]]
"""Key and document of each hit."""
Range = tuple[int, int]
"""From, and up to but without."""

NAMESPACE = "bench"
INDEXED = ("email", "city", "age")
MEAN = "mean"
PAGE = 10

encode = json.JSONEncoder(separators=(",", ":")).encode
decode = json.loads


def extract(field: str) -> str:
    return f"json_extract(value, '$.{field}')"


class SqliteJson:
    """A table of keys and JSON texts in memory, and SQLite's JSON functions."""

    PUT = (
        "INSERT INTO documents VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )
    SELECT = "SELECT key, value FROM documents WHERE"
    TAGS_OF = "json_each(documents.value, '$.tags') AS tag"
    TAGGED = f"{SELECT} EXISTS (SELECT 1 FROM {TAGS_OF} WHERE tag.value = ?)"
    BETWEEN = f"{extract('age')} >= ? AND {extract('age')} < ?"
    RANGED = f"{SELECT} {BETWEEN} ORDER BY {extract('age')}, key LIMIT {PAGE}"
    COUNTED = f"SELECT count(*) FROM documents WHERE {BETWEEN}"
    GROUPED = f"SELECT {extract('city')}, count(*), avg({extract('age')}) FROM documents GROUP BY 1"

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute(
            "CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )

    @staticmethod
    def present() -> bool:
        """Whether SQLite has its JSON functions here."""
        try:
            sqlite3.connect(":memory:").execute("SELECT json_extract('{}', '$.a')")
        except sqlite3.OperationalError:
            return False
        return True

    def fill(self, pairs: Sequence[Pair]) -> None:
        connection = self.connection
        connection.execute("BEGIN")
        connection.executemany(self.PUT, ((key, encode(document)) for key, document in pairs))
        connection.execute("COMMIT")

    def create_index(self, field: str) -> None:
        behind = ", key" if field == "age" else ""
        self.connection.execute(f"CREATE INDEX by_{field} ON documents ({extract(field)}{behind})")

    def drop_index(self, field: str) -> None:
        self.connection.execute(f"DROP INDEX by_{field}")

    def puts(self, pairs: Sequence[Pair]) -> None:
        connection = self.connection
        for key, document in pairs:
            connection.execute(self.PUT, (key, encode(document)))

    def _rows(self, statement: str, arguments: tuple[Any, ...]) -> Rows:
        found = self.connection.execute(statement, arguments)
        return [(key, decode(value)) for key, value in found]

    def equals(self, field: str, values: Sequence[str]) -> Rows:
        statement = f"{self.SELECT} {extract(field)} = ?"
        found: Rows = []
        for value in values:
            found = self._rows(statement, (value,))
        return found

    def tagged(self, tags: Sequence[str]) -> Rows:
        found: Rows = []
        for tag in tags:
            found = self._rows(self.TAGGED, (tag,))
        return found

    def ranged(self, ranges: Sequence[Range]) -> Rows:
        found: Rows = []
        for bounds in ranges:
            found = self._rows(self.RANGED, bounds)
        return found

    def counted(self, ranges: Sequence[Range]) -> int:
        count = 0
        for bounds in ranges:
            count = self.connection.execute(self.COUNTED, bounds).fetchone()[0]
        return count

    def grouped(self) -> list[tuple[Any, ...]]:
        return self.connection.execute(self.GROUPED).fetchall()

    def close(self) -> None:
        self.connection.close()


class KoruDelta:
    """koru-delta in memory, through its async API."""

    def __init__(self) -> None:
        module: Any = importlib.import_module("koru_delta")
        # The cap is lifted: documents are written again and again, and all are kept.
        self.database: Any = module.Database(module.Config(max_memory_mb=0))

    async def open(self) -> KoruDelta:
        await self.database.__aenter__()
        return self

    async def fill(self, pairs: Sequence[Pair]) -> None:
        await self.database.put_batch([(NAMESPACE, key, document) for key, document in pairs])

    async def create_index(self, field: str) -> None:
        await self.database.create_index(NAMESPACE, field)

    async def drop_index(self, field: str) -> None:
        await self.database.drop_index(NAMESPACE, field)

    async def create_view(self) -> None:
        """Half of the documents, ordered by a field that many of them share."""
        await self.database.create_view("active", NAMESPACE, {"active": True}, order_by="-age")

    async def puts(self, pairs: Sequence[Pair]) -> None:
        db = self.database
        for key, document in pairs:
            await db.put(NAMESPACE, key, document)

    async def equals(self, field: str, values: Sequence[str]) -> Rows:
        db = self.database
        found: Rows = []
        for value in values:
            hits = await db.query(NAMESPACE, {field: value})
            found = [(hit.key, hit.value) for hit in hits]
        return found

    async def tagged(self, tags: Sequence[str]) -> Rows:
        return await self.equals("tags", tags)

    async def ranged(self, ranges: Sequence[Range]) -> Rows:
        db = self.database
        found: Rows = []
        for low, high in ranges:
            where = {"age": {"$gte": low, "$lt": high}}
            hits = await db.query(NAMESPACE, where, order_by="age", limit=PAGE)
            found = [(hit.key, hit.value) for hit in hits]
        return found

    async def counted(self, ranges: Sequence[Range]) -> int:
        db = self.database
        count = 0
        for low, high in ranges:
            count = await db.count(NAMESPACE, {"age": {"$gte": low, "$lt": high}})
        return count

    async def grouped(self) -> list[dict[str, Any]]:
        spec = {"n": {"$count": True}, MEAN: {"$avg": "age"}}
        found: list[dict[str, Any]] = await self.database.aggregate(
            NAMESPACE, spec, group_by="city"
        )
        return found

    async def watched(self, count: int, since: Any) -> str:
        """Follows the changes after a moment until it was told so many; the key of the last."""
        key = ""
        async for change in self.database.watch(NAMESPACE, since=since):
            key = change.key
            count -= 1
            if not count:
                break
        return key

    async def close(self) -> None:
        await self.database.close()


def groups_of(found: Sequence[Any]) -> list[tuple[str, int, float]]:
    """The groups of any contestant in one form; means to nine digits."""
    groups = [
        group if isinstance(group, tuple) else (group["city"], group["n"], group[MEAN])
        for group in found
    ]
    return sorted((city, count, round(mean, 9)) for city, count, mean in groups)
