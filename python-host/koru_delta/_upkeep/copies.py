"""Copies of a database as one file, and databases made of them; the file read again to check it."""

from __future__ import annotations

import contextlib
import json
import os
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from koru_delta import _protocol as op
from koru_delta._fetching import Fetcher
from koru_delta._protocol import pack
from koru_delta._replies import raise_error
from koru_delta._results.reports import ExportReport
from koru_delta._storage.commit_log import CommitLog
from koru_delta._storage.file import FileStorage, failure, sync_directory, sync_file
from koru_delta._storage.memory import MemoryStorage
from koru_delta._upkeep.compaction import begin_replacement, commit
from koru_delta._upkeep.snapshots import (
    PART_BYTES,
    BegunAnewError,
    Snapshot,
    call_held,
    holding,
    take_apart,
)
from koru_delta.errors import CorruptionError, KoruDeltaError, StorageError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from koru_delta._hosts.base import Host
    from koru_delta._session import Session
    from koru_delta._storage.base import Storage

_ATTEMPTS: Final = 3


def export_to(
    session: Session, target: str | os.PathLike[str] | BinaryIO, *, overwrite: bool
) -> ExportReport:
    """Write everything as one file. See :meth:`koru_delta.Database.export_to`."""
    if not isinstance(target, str | os.PathLike):
        return _export_to_file(session, target)
    path = Path(target).expanduser().resolve()
    own = session.config.file_path
    if own is not None and path in (own, own.with_name(own.name + ".lock")):
        raise ValidationError(f"{path} is the database itself", suggestion="export to another path")
    with new_file(path, overwrite=overwrite) as file:
        for attempt in range(_ATTEMPTS + 1):
            file.seek(0)
            file.truncate()
            try:
                return _export(session, file.write, hold=attempt == _ATTEMPTS)
            except BegunAnewError:
                continue
    raise AssertionError("what is held from begin to end is not begun anew")


@contextlib.contextmanager
def new_file(path: Path, *, overwrite: bool | None) -> Generator[BinaryIO]:
    """A file to write, which appears at a path when it is whole and synced, or not at all.

    ``overwrite`` is None where nobody is asked whether a file may be replaced.

    Raises:
        StorageError: If it cannot be written, or something is there and may not be replaced.
    """
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.partial")
    try:
        _refuse_existing(path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            sync_file(file.fileno())
        _refuse_existing(path, overwrite=overwrite)
        os.replace(temporary, path)
        sync_directory(path)
    except KoruDeltaError:
        raise
    except OSError as error:
        raise failure(path, "write", error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _export_to_file(session: Session, file: BinaryIO) -> ExportReport:
    """Export to a file object. Held to the end, since what was written cannot be taken back."""
    write = getattr(file, "write", None)
    if write is None:
        raise ValidationError(
            f"cannot export to an object of type {type(file).__name__}",
            suggestion="give a path, or a file that is open for writing in binary",
        )
    try:
        return _export(session, write, hold=True)
    except (TypeError, UnsupportedOperation) as error:
        reason = "it is not open for writing" if isinstance(error, OSError) else error
        raise ValidationError(
            f"the file does not take bytes: {reason}", suggestion="open it in binary, as with 'wb'"
        ) from error
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write the export: {error}", suggestion="check the file and its disk"
        ) from error


def _refuse_existing(path: Path, *, overwrite: bool | None) -> None:
    if path.is_dir() or (path.exists() and not overwrite):
        advice = "give another path, or remove it"
        if overwrite is not None:
            advice = "give another path, remove it, or pass overwrite=True to replace a file"
        raise StorageError(f"{path} exists already", suggestion=advice)


def _export(session: Session, write: Callable[[bytes], object], *, hold: bool) -> ExportReport:
    """Write a snapshot with an id of its own, of a moment during the call."""
    snapshot = Snapshot(session, write, new_id=os.urandom(16))
    if not hold:
        snapshot.catch_up()
    with holding(session, flush=True) as host:
        snapshot.end(host)
        head = call_held(session, host, op.HEAD, {})[2].decode()
    return ExportReport(bytes=snapshot.size, versions=snapshot.progress["versions"], head=head)


def existing_file(path: Path) -> FileStorage:
    """A file that is only read from, and has to be there.

    Raises:
        StorageError: If it is not, or cannot be read.
    """
    advice = "check the path: give a database file, or one that export_to wrote"
    return FileStorage(path, read_only=True, preallocate=False, if_missing=advice)


def source_of(source: str | os.PathLike[str] | BinaryIO) -> Storage:
    """A file, or what is read from one, as a log that is only read.

    Raises:
        StorageError: If it cannot be read.
        ValidationError: If it is neither a path nor a file in binary.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser().resolve()
        return existing_file(path)
    read = getattr(source, "read", None)
    try:
        data = read() if read is not None else None
    except UnsupportedOperation as error:
        raise ValidationError(
            "the file gives no bytes: it is not open for reading",
            suggestion="open it in binary, as with 'rb'",
        ) from error
    except OSError as error:
        raise StorageError(f"cannot read the file: {error}", suggestion="check it") from error
    if not isinstance(data, bytes):
        raise ValidationError(
            f"cannot import from an object of type {type(source).__name__}",
            suggestion="give a path, or a file that is open for reading in binary",
        )
    return MemoryStorage(data)


def load_import(session: Session, source: str | os.PathLike[str] | BinaryIO) -> tuple[Host, int]:
    """What a new session begins with when it is made of a file; see :func:`import_into`."""
    log = source_of(source)
    try:
        return import_into(session, log)
    except KoruDeltaError as error:
        if isinstance(log, FileStorage) and isinstance(error, CorruptionError):
            error.name_file(str(log.path))
        raise
    finally:
        log.close()


def import_into(session: Session, source: Storage) -> tuple[Host, int]:
    """An instance with what a source holds, every id and link of it checked.

    With a storage, which must be empty, it is written there first, with an id of its own.

    Raises:
        CorruptionError: If anything of the source does not hold.
        StorageError: If the storage has something, or cannot be written.
    """
    storage = session.storage
    if storage is not None and storage.exists:
        raise StorageError(
            "there is a database already", suggestion="import to a path where nothing is"
        )
    check_log(session, source)
    host = session._new_host()
    try:
        sequence, _, dropped = session._replay(
            host, source, verify=False, keeps_storage=storage is not None
        )
        session.recovered_bytes += dropped
        if storage is None:
            return host, sequence
        write_copy(host, source, storage)
    except BaseException:
        host.close()
        raise
    host.close()
    return session._load()


def write_copy(host: Host, source: Storage, storage: Storage) -> None:
    """Write what an instance of nobody's made of a source to an empty storage, atomically."""
    replacement = begin_replacement(storage)
    try:
        for data in snapshot_of(host, source):
            replacement.append(data)
        if (unclean := commit(replacement)) is not None:
            raise unclean
    finally:
        replacement.abandon()


def snapshot_of(host: Host, source: Storage) -> Generator[bytes]:
    """The parts of a snapshot of an instance of nobody's made of a source, with a new id."""
    fetcher = Fetcher(source)
    control: dict[str, Any] = {
        "new_id": os.urandom(16).hex(), "max_bytes": PART_BYTES, "last": True
    }  # fmt: skip
    progress: dict[str, Any] = {}
    while not progress.get("ended"):
        reply = fetcher.answer(host, op.SNAPSHOT, pack(control=json.dumps(control).encode()))
        if reply[0]:
            raise_error(reply)
        data, progress = take_apart(reply[2])
        control["after"] = progress["next"]
        yield data


class FileCheck(NamedTuple):
    """What reading the file again came to."""

    commits: int
    problem: str | None


def check_log(session: Session, storage: Storage) -> int:
    """Read a log with every id and link recomputed; the number of links.

    Raises:
        CorruptionError: If one does not hold.
    """
    host = session._new_host()
    try:
        session._replay(host, storage, verify=True)
        commits: int = json.loads(session._checked(host, op.STATS, pack())[2])["commits"]
        return commits
    finally:
        host.close()


def verify_file(session: Session) -> FileCheck:
    """Read the file of a session again with every id and link recomputed."""
    if session.storage is None:
        return FileCheck(commits=0, problem=None)
    with session._lock:
        if isinstance(session.log, CommitLog):
            session.log.flush()
        try:
            return FileCheck(commits=check_log(session, session.storage), problem=None)
        except CorruptionError as error:
            return FileCheck(commits=0, problem=error.message)
