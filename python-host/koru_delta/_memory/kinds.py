"""Episodes, facts and procedures of an agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from koru_delta._arguments import MISSING, check_text
from koru_delta._memory.arguments import (
    FACT,
    PROCEDURE,
    check_content,
    episode_id,
    episode_value,
    fact_value,
    procedure_value,
)
from koru_delta._memory.store import Cause, Store
from koru_delta._memory.turns import pause
from koru_delta._results.memories import Memory
from koru_delta._results.versions import Version
from koru_delta.errors import ConflictError, ValidationError

if TYPE_CHECKING:
    from koru_delta._times import Time

_T = TypeVar("_T")
_RETRIES: Final = 20
_LONGEST_WAIT_SECONDS: Final = 0.1


class Episodes:
    """What happened to an agent."""

    def __init__(self, store: Store) -> None:
        """Bind the agent."""
        self._store = store

    async def remember(
        self,
        content: str,
        importance: float = 0.5,
        tags: Iterable[str] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        caused_by: Cause | Iterable[Cause] = (),
    ) -> str:
        """Remember something that happened. One commit, durable when it returns.

        Args:
            content: What happened.
            importance: From 0 to 1.
            tags: Tags, which recalls can ask for.
            metadata: A JSON object, which recalls can filter by.
            caused_by: Ids of memories, or versions, that it comes from.

        Returns:
            The memory's id.

        Raises:
            ValidationError: For empty content, an importance outside 0 to 1, bad tags or metadata,
                or a cause that does not exist. Nothing was written.
            Exception: What the embedder raised. Nothing was written.

        Example:
            >>> episode = await memory.episodes.remember("Bob asked for dark mode", tags=["ui"])
            >>> episode.startswith("episode/")
            True
        """
        value = episode_value(content, importance, tags, metadata)
        return await self._store.write(episode_id(), value, caused_by)

    async def remember_many(
        self,
        contents: Iterable[str],
        importance: float = 0.5,
        tags: Iterable[str] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Remember several things that happened, in one commit: all or none.

        Args:
            contents: What happened, up to 100,000 texts. Importance, tags and metadata are those
                of each of them.
            importance: From 0 to 1.
            tags: Tags.
            metadata: A JSON object.

        Returns:
            The memories' ids, in order.

        Raises:
            ValidationError: As :meth:`remember`.
            LimitExceededError: For too many at a time.
            Exception: What the embedder raised. Nothing was written.

        Example:
            >>> len(await memory.episodes.remember_many(["Carol called", "Carol called again"]))
            2
        """
        if isinstance(contents, str | bytes) or not isinstance(contents, Iterable):
            raise ValidationError(
                f"contents is of type {type(contents).__name__}", suggestion="give a list of str"
            )
        shared = episode_value("-", importance, tags, metadata)
        values = {
            episode_id(): shared | {"content": check_content(f"contents[{index}]", content)}
            for index, content in enumerate(contents)
        }
        await self._store.write_many(values)
        return list(values)


class Facts:
    """What an agent knows, each fact under a key of its own.

    Learning a fact again is a new version of it: :meth:`history` and recalls of the past keep what
    was known before.
    """

    def __init__(self, store: Store) -> None:
        """Bind the agent."""
        self._store = store

    async def learn(
        self,
        key: str,
        content: str,
        tags: Iterable[str] | None = None,
        *,
        importance: float = 0.9,
        metadata: Mapping[str, Any] | None = None,
        caused_by: Cause | Iterable[Cause] = (),
    ) -> str:
        """Learn a fact, or learn it anew. One commit, durable when it returns.

        Args:
            key: What the fact is about, such as ``bob.timezone``: recalls find it by these words
                too.
            content: What is known.
            tags: Tags. Those of the version before are not kept.
            importance: From 0 to 1.
            metadata: A JSON object.
            caused_by: Ids of memories, or versions, that it was learned from; an id stands for
                the memory's present version.

        Returns:
            The memory's id: ``fact/`` and the key.

        Raises:
            ValidationError: For an empty key or content, an importance outside 0 to 1, bad tags or
                metadata, or a cause that does not exist. Nothing was written.
            Exception: What the embedder raised. Nothing was written.

        Example:
            >>> await memory.facts.learn("bob.theme", "Bob prefers dark mode", caused_by=episode)
            'fact/bob.theme'
        """
        value = fact_value(key, content, importance, tags, metadata)
        return await self._store.write(FACT + key, value, caused_by)

    @overload
    async def get(self, key: str, *, at: Time | None = None) -> Memory: ...
    @overload
    async def get(self, key: str, default: _T, *, at: Time | None = None) -> Memory | _T: ...
    async def get(self, key: str, default: Any = MISSING, *, at: Time | None = None) -> Any:
        """A fact by its key, now or as of a time. It does not count as a recall.

        Args:
            key: The key.
            default: What to return for a fact that is not known, instead of raising.
            at: As of this time.

        Raises:
            KeyNotFoundError: If it is not known (then).
            ValidationError: For a bad key or time.

        Example:
            >>> (await memory.facts.get("bob.theme")).content
            'Bob prefers dark mode'
        """
        return await self._store.get(FACT + check_text("the key", key), default, at)

    async def history(self, key: str) -> list[Version]:
        """The versions of a fact, oldest first, deletions included.

        In ``Version.value`` the ``content`` begins with the key and a colon.

        Example:
            >>> [version.value["content"] for version in await memory.facts.history("bob.theme")]
            ['bob.theme: Bob prefers dark mode']
        """
        return await self._store.history(FACT + check_text("the key", key))


class Procedures:
    """What an agent knows how to do."""

    def __init__(self, store: Store) -> None:
        """Bind the agent."""
        self._store = store

    async def learn(
        self,
        name: str,
        steps: Iterable[str],
        success_rate: float | None = None,
        tags: Iterable[str] | None = None,
        *,
        importance: float = 0.7,
        metadata: Mapping[str, Any] | None = None,
        caused_by: Cause | Iterable[Cause] = (),
    ) -> str:
        """Learn how to do something, or learn it anew. One commit, durable when it returns.

        Args:
            name: What it does.
            steps: How, one text for each step.
            success_rate: How often it works, from 0 to 1; None if that is not known.
            tags: Tags.
            importance: From 0 to 1.
            metadata: A JSON object.
            caused_by: Ids of memories, or versions, that it was learned from.

        Returns:
            The memory's id: ``procedure/`` and the name.

        Raises:
            ValidationError: For an empty name, no steps or an empty one, a success_rate or
                importance outside 0 to 1, bad tags or metadata, or a cause that does not exist.
                Nothing was written.
            Exception: What the embedder raised. Nothing was written.

        Example:
            >>> await memory.procedures.learn("reset a password", ["verify the email", "send link"])
            'procedure/reset a password'
        """
        value = procedure_value(name, steps, success_rate, importance, tags, metadata)
        return await self._store.write(PROCEDURE + name, value, caused_by)

    @overload
    async def get(self, name: str, *, at: Time | None = None) -> Memory: ...
    @overload
    async def get(self, name: str, default: _T, *, at: Time | None = None) -> Memory | _T: ...
    async def get(self, name: str, default: Any = MISSING, *, at: Time | None = None) -> Any:
        """A procedure by its name, now or as of a time. It does not count as a recall.

        Raises:
            KeyNotFoundError: If it is not known (then), and there is no default.
            ValidationError: For a bad name or time.

        Example:
            >>> (await memory.procedures.get("reset a password")).steps
            ['verify the email', 'send link']
        """
        return await self._store.get(PROCEDURE + check_text("the name", name), default, at)

    async def history(self, name: str) -> list[Version]:
        """The versions of a procedure, oldest first, deletions included.

        Example:
            >>> history = await memory.procedures.history("reset a password")
            >>> [version.value["success_rate"] for version in history]
            [None, 1.0]
        """
        return await self._store.history(PROCEDURE + check_text("the name", name))

    async def record_outcome(self, name: str, success: bool) -> float:
        """Note that a procedure was carried out, and whether it worked.

        The success rate becomes the share of outcomes that were successes; the rate that was given
        when it was learned counts as one outcome. It is a new version of the procedure.

        Returns:
            The success rate.

        Raises:
            KeyNotFoundError: If there is no such procedure.
            ValidationError: If ``success`` is neither True nor False.
            ConflictError: If others kept changing the procedure meanwhile.

        Example:
            >>> await memory.procedures.record_outcome("reset a password", True)
            1.0
        """
        if not isinstance(success, bool):
            raise ValidationError(f"success is {success!r:.60}", suggestion="give True or False")
        memory_id = PROCEDURE + check_text("the name", name)
        for attempt in range(_RETRIES):
            with suppress(ConflictError):
                return await self._record(memory_id, success)
            # A version can be read when it is durable: whoever was first may be waiting for that.
            seconds = min(0.001 * 2**attempt, _LONGEST_WAIT_SECONDS)
            await pause(self._store.db._session, seconds)
        return await self._record(memory_id, success)

    async def _record(self, memory_id: str, success: bool) -> float:
        before = await self._store.present(memory_id)
        rate, outcomes = before.value["success_rate"] or 0.0, before.value["outcomes"]
        rate = (rate * outcomes + success) / (outcomes + 1)
        value = {**before.value, "success_rate": rate, "outcomes": outcomes + 1}
        await self._store.rewrite(before, value, caused_by=(before,))
        return float(rate)
