"""The database as a plain dict of lists: what every answer is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Name = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One version in the model."""

    version_id: str
    time_us: int
    value: Any
    deleted: bool


@dataclass
class Model:
    """All versions of all keys, oldest first."""

    versions: dict[Name, list[Entry]] = field(default_factory=dict)

    def write(self, name: Name, entry: Entry) -> None:
        self.versions.setdefault(name, []).append(entry)

    def erase(self, name: Name) -> int:
        return len(self.versions.pop(name, []))

    def keep_last(self, count: int) -> int:
        """Drops all but the last versions of each key; how many are gone."""
        before = self.count()
        self.versions = {name: entries[-count:] for name, entries in self.versions.items()}
        return before - self.count()

    def history(self, name: Name) -> list[Entry]:
        return self.versions.get(name, [])

    def current(self, name: Name, at_us: int | None = None) -> Entry | None:
        """What is there now or was there at a time; None where nothing is or was."""
        seen = [e for e in self.history(name) if at_us is None or e.time_us <= at_us]
        return seen[-1] if seen and not seen[-1].deleted else None

    def keys(self, namespace: str, at_us: int | None = None) -> list[str]:
        present = [
            key
            for ns, key in self.versions
            if ns == namespace and self.current((ns, key), at_us) is not None
        ]
        return sorted(present, key=lambda key: key.encode("utf-8"))

    def namespaces(self) -> list[str]:
        present = {ns for ns, key in self.versions if self.current((ns, key)) is not None}
        return sorted(present, key=lambda name: name.encode("utf-8"))

    def count(self) -> int:
        return sum(map(len, self.versions.values()))
