"""Fixtures of the Python suites.

A suite is a set of functions of (host, storage): it asks for `open_database` or `db` and runs once
for each row of BACKENDS. A new host or storage is a new row.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from koru_delta import Config, Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

# Under Pyodide a path is the name of a database in the browser's storage; node has none.
KEPT_IN = os.environ.get("KORU_KEPT_IN") if sys.platform == "emscripten" else "file"
HOST = "pyodide" if sys.platform == "emscripten" else "wasmtime"

settings.register_profile(
    "default",
    # Each write is a transaction of some milliseconds in IndexedDB.
    max_examples=15 if KEPT_IN == "indexeddb" else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=2000)
settings.load_profile("default")


@dataclass(frozen=True)
class Backend:
    """One row of the table: who runs the module, and where the bytes are kept."""

    host: str
    storage: str
    path_in: Callable[[Path], Path | None]

    def __str__(self) -> str:
        return f"{self.host}-{self.storage}"


def _no_path(_directory: Path) -> None:
    return None


def _one_file(directory: Path) -> Path:
    return directory / "data.koru"


BACKENDS = [
    Backend(HOST, "memory", _no_path),
    *([Backend(HOST, KEPT_IN, _one_file)] if KEPT_IN else []),
]


class Opener:
    """Opens databases of one backend in one directory and closes what a test leaves open."""

    def __init__(self, backend: Backend, directory: Path) -> None:
        self._backend = backend
        self._directory = directory
        self._opened: list[Database] = []

    async def __call__(self, **fields: Any) -> Database:
        """A fresh database; the fields are those of Config."""
        directory = self._directory / f"database-{len(self._opened)}"
        directory.mkdir()
        return await self._open(self._backend.path_in(directory), fields)

    async def _open(self, path: Path | None, fields: dict[str, Any]) -> Database:
        db = await Database.create(Config(path=path, **fields))
        self._opened.append(db)
        return db

    async def close_all(self) -> None:
        for db in self._opened:
            await db.close()


class FileOpener(Opener):
    """Opens one and the same file again and again."""

    def __init__(self, path: Path) -> None:
        if not KEPT_IN:
            pytest.skip("nothing is kept here")
        super().__init__(Backend(HOST, str(KEPT_IN), _one_file), path.parent)
        self.path = path

    async def __call__(self, **fields: Any) -> Database:
        return await self._open(self.path, fields)


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """The host and the storage that the suite is run on."""
    row: Backend = request.param
    return row


@pytest.fixture
async def open_database(backend: Backend, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens databases of the backend: `await open_database(max_memory_mb=16)`."""
    opener = Opener(backend, tmp_path)
    yield opener
    await opener.close_all()


@pytest.fixture
async def db(open_database: Opener) -> Database:
    """An open, empty database of the backend."""
    return await open_database()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's database file goes; nothing is there yet."""
    return tmp_path / "data.koru"


@pytest.fixture
async def open_file(path: Path) -> AsyncIterator[FileOpener]:
    """Opens the database file at `path`, as often as a test wants: `await open_file()`."""
    opener = FileOpener(path)
    yield opener
    await opener.close_all()


@pytest.fixture
def reopen(open_file: FileOpener) -> Callable[..., Any]:
    """Closes a file database and opens it again: `db = await reopen(db)`."""

    async def close_and_open(db: Database, **fields: Any) -> Database:
        await db.close()
        return await open_file(**fields)

    return close_and_open
