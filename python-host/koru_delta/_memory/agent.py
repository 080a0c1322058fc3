"""An agent's memory: recalling, forgetting and tidying up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from koru_delta import _protocol as op
from koru_delta._arguments import MISSING, check_text
from koru_delta._memory.kinds import Episodes, Facts, Procedures
from koru_delta._memory.ranking import (
    HALF_LIFE,
    MIN_COSINE,
    VECTOR_SHARE,
    WEIGHTS,
    Question,
    Ranking,
    RecallWeights,
    recall_hits,
)
from koru_delta._memory.store import Cause, Store
from koru_delta._protocol import NOW
from koru_delta._results.memories import (
    ConsolidationReport,
    Memory,
    MemoryRecall,
    MemoryStats,
    MemoryType,
    recalls,
)
from koru_delta._results.versions import Version
from koru_delta._times import to_datetime
from koru_delta.errors import KeyNotFoundError

if TYPE_CHECKING:
    from koru_delta._times import Time
    from koru_delta.database import Database

_T = TypeVar("_T")
_COUNTS: Final = {
    "count": {"$count": True},
    "oldest": {"$first": "$timestamp"},
    "newest": {"$last": "$timestamp"},
}


class AgentMemory:
    """What one agent remembers: episodes, facts and procedures, recalled by what fits.

    Made by :meth:`Database.agent_memory`, or with a database of its own by
    :meth:`Database.for_agent`. Agents of one database are kept apart. Everything is a versioned
    value in the namespace :attr:`namespace`, so ``at=`` asks what the agent knew then, and nothing
    is lost by learning anew, forgetting or consolidating.

    Args:
        db: The database.
        agent_id: Name of the agent: 1 to 900 bytes of UTF-8 without NUL.
        embedder: A function from a list of texts to as many vectors, blocking or async, or an
            object with ``embed_documents`` and ``embed_query``, or one with ``encode``. None:
            memories are found by their words alone.
        half_life: After this time, a timedelta or seconds, recency has halved.
        weights: How much relevance, recency and importance count; see :class:`RecallWeights`.
        vector_share: How much of the relevance is nearness of vectors, where there are any, and
            not words: from 0 to 1.
        min_cosine: From which cosine on a memory fits a question of which it has no word: from 0
            to 1. It depends on the model: most sentence encoders give unrelated texts 0 to 0.2.

    Attributes:
        db: The database.
        agent_id: Name of the agent.
        namespace: Where its memories are.
        episodes: What happened.
        facts: What it knows.
        procedures: What it knows how to do.

    Raises:
        ValidationError: For a bad id, embedder or setting.

    Example:
        >>> memory = db.agent_memory("assistant-42")
        >>> episode = await memory.remember("Alice moved from Berlin to Lisbon", importance=0.8)
        >>> await memory.facts.learn("alice.home", "Alice lives in Lisbon", caused_by=episode)
        'fact/alice.home'
        >>> [hit.content for hit in await memory.recall("Where does Alice live?", limit=1)]
        ['Alice lives in Lisbon']
    """

    def __init__(
        self,
        db: Database,
        agent_id: str,
        embedder: object = None,
        *,
        half_life: timedelta | float = HALF_LIFE,
        weights: RecallWeights = WEIGHTS,
        vector_share: float = VECTOR_SHARE,
        min_cosine: float = MIN_COSINE,
    ) -> None:
        """Bind the agent; nothing is read or written."""
        self._ranking = Ranking(half_life, weights, vector_share, min_cosine)
        self._store = Store(db, agent_id, embedder)
        self.episodes = Episodes(self._store)
        self.facts = Facts(self._store)
        self.procedures = Procedures(self._store)

    @property
    def db(self) -> Database:
        """The database."""
        return self._store.db

    @property
    def agent_id(self) -> str:
        """Name of the agent."""
        return self._store.agent_id

    @property
    def namespace(self) -> str:
        """The namespace of the agent's memories."""
        return self._store.namespace

    def __repr__(self) -> str:
        """The agent and the database."""
        return f"<{type(self).__name__} {self.agent_id!r} of {self.db!r}>"

    async def remember(
        self,
        content: str,
        importance: float = 0.5,
        tags: Iterable[str] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        caused_by: Cause | Iterable[Cause] = (),
    ) -> str:
        """Remember something that happened: :meth:`Episodes.remember`.

        Example:
            >>> call = await memory.remember("Bob called about his invoice", metadata={"of": "bob"})
        """
        return await self.episodes.remember(
            content, importance, tags, metadata=metadata, caused_by=caused_by
        )

    async def recall(
        self,
        query: str,
        limit: int = 10,
        min_relevance: float = 0.0,
        memory_type: MemoryType | str | None = None,
        *,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        at: Time | None = None,
    ) -> list[MemoryRecall]:
        """The memories that fit a question best, best first.

        A memory fits if it has a word of the question, or with an embedder a meaning near to it;
        others are not returned, however recent and important. Those that fit are ranked by
        relevance, lowered for what is old and unimportant (:class:`RecallWeights`). Each memory
        that is returned counts as accessed.

        Args:
            query: A question in plain words. Of a long one the first 4 KiB of words count.
            limit: At most so many, 1 to 10,000.
            min_relevance: Only memories whose relevance is at least this, from 0 to 1.
            memory_type: Only memories of this kind.
            tags: Only memories that have all of these.
            metadata: Only memories whose metadata match this filter, as :meth:`Database.query`
                takes them: ``{"user": "bob", "score": {"$gte": 3}}``.
            since: Only memories that were last written at this time or later.
            until: Only memories that were last written at this time or earlier.
            at: What the agent knew at this time, with the contents and importance of then and ages
                as of then. It counts as no access.

        Returns:
            The memories; none for a query without words.

        Raises:
            ValidationError: For a bad argument; a query that is not a str, for one.
            Exception: What the embedder raised.

        Example:
            >>> hits = await memory.recall("Which theme does Bob like?", memory_type="fact")
            >>> hits[0].id, hits[0].content
            ('fact/bob.theme', 'Bob prefers dark mode')
        """
        question = Question(
            query, limit, min_relevance, memory_type, tags, metadata, since, until, at
        )
        store = self._store
        vector, model = None, None
        if store.embedder is not None and not query.isspace() and query:
            vector, model = await store.embedder.query(query), store.embedder.model
        hits = await recall_hits(store.db, store.namespace, self._ranking, question, vector, model)
        if not hits:
            return []
        ids = [hit.id for hit in hits]
        if question.at_us == NOW:
            accesses = await store.accesses.count(store.db, ids, time_ns() // 1000)
        else:
            accesses = await store.accesses.then(store.db, ids, to_datetime(question.at_us))
        return recalls(hits, accesses)

    @overload
    async def get(self, memory_id: str, *, at: Time | None = None) -> Memory: ...
    @overload
    async def get(self, memory_id: str, default: _T, *, at: Time | None = None) -> Memory | _T: ...
    async def get(self, memory_id: str, default: Any = MISSING, *, at: Time | None = None) -> Any:
        """A memory by its id, now or as of a time. It does not count as a recall.

        Raises:
            KeyNotFoundError: If there is no such memory (then), and no default.
            ValidationError: For a bad id or time.

        Example:
            >>> (await memory.get(call)).metadata
            {'of': 'bob'}
        """
        return await self._store.get(memory_id, default, at)

    async def history(self, memory_id: str) -> list[Version]:
        """The versions of a memory, oldest first, deletions included; see ``Version.value``.

        Example:
            >>> [version.value["importance"] for version in await memory.history(call)]
            [0.5]
        """
        return await self._store.history(memory_id)

    async def lineage(
        self, memory_id: Memory | Version | str, *, depth: int | None = None
    ) -> list[Version]:
        """What led to a memory, along ``caused_by``, nearest first, each once.

        Args:
            memory_id: A memory or its id, which stands for its newest version that is no deletion;
                or a version.
            depth: At most so many steps; None for all.

        Raises:
            KeyNotFoundError: If there never was such a memory, or version.
            ValidationError: For a bad id or depth.

        Example:
            >>> [version.value["content"] for version in await memory.lineage("fact/bob.theme")]
            ['Bob asked for dark mode']
        """
        if isinstance(memory_id, Memory):
            return await self.db.lineage(memory_id.version_id, depth=depth)
        if isinstance(memory_id, Version):
            return await self.db.lineage(memory_id, depth=depth)
        version = await self._store.last_version(check_text("the memory's id", memory_id))
        if version is None:
            raise KeyNotFoundError(
                f"agent {self.agent_id!r} never had a memory {memory_id!r:.100}",
                suggestion="give what remember or learn returned",
                namespace=self.namespace,
                key=memory_id,
            )
        return await self.db.lineage(version, depth=depth)

    async def forget(self, memory_id: Memory | str, *, erase: bool = False) -> bool:
        """Forget a memory. Its history stays, and recalls of the past find it.

        Args:
            memory_id: A memory or its id.
            erase: Remove it for good, with all its versions and its counts.

        Returns:
            Whether there was such a memory.

        Raises:
            ValidationError: For a bad id.

        Example:
            >>> await memory.forget(call), await memory.get(call, None)
            (True, None)
        """
        one = memory_id.id if isinstance(memory_id, Memory) else memory_id
        if not erase:
            return await self.db.delete(self.namespace, check_text("the memory's id", one))
        versions = await self.db.erase(self.namespace, check_text("the memory's id", one))
        await self._store.accesses.erase(self.db, one)
        return versions > 0

    async def consolidate(
        self,
        *,
        max_age: timedelta | float | None = None,
        min_importance: float | None = None,
        similarity: float | None = 0.95,
        summarize: Callable[[list[str]], str | Awaitable[str]] | None = None,
        types: Iterable[MemoryType | str] = (MemoryType.EPISODE,),
    ) -> ConsolidationReport:
        """Merge near-duplicates among the episodes, and forget what is old and unimportant.

        Of each group of near-duplicates the newest stays, with the greatest importance, all tags
        and all metadata of the group (the newest value of each), and the whole group as its causes;
        the others are deleted. :meth:`undo` takes all of it back, and histories keep it. Everything
        is found out before anything is written, so if ``summarize`` or the embedder raises, nothing
        has changed.

        Args:
            max_age: Forget memories that were last written longer ago than this, a timedelta or
                seconds; with ``min_importance`` too, only those that are both old and unimportant.
            min_importance: Forget memories that are less important than this; with ``max_age``
                too, only those that are both. Given neither, nothing is forgotten.
            similarity: How near a memory must be to the newest of its group: with an embedder the
                cosine of their vectors, else the share of words that they have in common (Jaccard).
                None merges nothing.
            summarize: A function, blocking or async, from the contents of a group, oldest first,
                to the content of the merged memory. None keeps the newest content.
            types: Kinds of memories that may be forgotten for age and unimportance.

        Returns:
            What was done.

        Raises:
            ValidationError: For a bad argument, or a summary that is no text.
            Exception: What ``summarize`` or the embedder raised. Nothing was changed.
            StorageError: If the log could not be written.

        Example:
            >>> ids = await memory.episodes.remember_many(["The backup ran"] * 3)
            >>> report = await memory.consolidate()
            >>> [len(group.merged) for group in report.merged], (await memory.stats()).episodes
            ([2], 3)
        """
        # Here: importing it takes as long as all the rest of this.
        from koru_delta._memory.consolidation import Policy, consolidate

        policy = Policy(max_age, min_importance, similarity, summarize, types)
        await self.flush()
        return await consolidate(self._store, policy)

    async def undo(self, report: ConsolidationReport) -> int:
        """Take a consolidation back: everything that it changed is as before it.

        Memories that were changed, learned or erased since then stay as they are. What comes back
        is a new version of each memory, equal to the one before the consolidation; its age counts
        from now.

        Args:
            report: What :meth:`consolidate` returned.

        Returns:
            How many memories came back.

        Raises:
            ValidationError: If it is not a report of this agent's.
            StorageError: If the log could not be written.

        Example:
            >>> await memory.undo(report)
            3
        """
        from koru_delta._memory.undoing import undo

        return await undo(self._store, report)

    async def stats(self) -> MemoryStats:
        """How much the agent remembers. Linear in the number of memories.

        Example:
            >>> stats = await memory.stats()
            >>> stats.episodes, stats.facts, stats.procedures
            (5, 2, 1)
        """
        store = self._store
        await store.accesses.flush(store.db)
        groups = await store.db.aggregate(
            store.namespace, _COUNTS, group_by="type", order_by="$timestamp"
        )
        counts = {group["type"]: group["count"] for group in groups}
        [stored] = await store.db.aggregate(
            store.accesses.namespace, {"accesses": {"$sum": "count"}}
        )
        oldest = min((group["oldest"] for group in groups), default=None)
        newest = max((group["newest"] for group in groups), default=None)
        return MemoryStats(
            episodes=counts.get("episode", 0),
            facts=counts.get("fact", 0),
            procedures=counts.get("procedure", 0),
            accesses=stored["accesses"] + store.accesses.unwritten,
            oldest=None if oldest is None else to_datetime(oldest),
            newest=None if newest is None else to_datetime(newest),
        )

    async def flush(self) -> None:
        """Write the counts of accesses now; closing the database does it too.

        Raises:
            StorageError: If the log could not be written.

        Example:
            >>> await memory.flush()
        """
        store = self._store
        await store.db._session.read(op.HEAD)  # On a closed database this says so.
        await store.accesses.flush(store.db)


class OpenAgent:
    """A database with one agent's memory: what :meth:`Database.for_agent` gives to ``async with``.

    Entering opens the database and gives the :class:`AgentMemory`; leaving closes it.
    """

    def __init__(self, db: Database, agent_id: str, embedder: object, **settings: Any) -> None:
        """Check the arguments; nothing is opened."""
        self._memory = AgentMemory(db, agent_id, embedder, **settings)

    async def __aenter__(self) -> AgentMemory:
        """Open the database."""
        await self._memory.db.__aenter__()
        return self._memory

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the database."""
        await self._memory.db.__aexit__(kind, error, traceback)
