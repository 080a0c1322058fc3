"""Arguments of memories as people give them, checked and made into values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Final

from koru_delta._arguments import check_text
from koru_delta._results.memories import MemoryType
from koru_delta.errors import ValidationError

EPISODE: Final = "episode/"
FACT: Final = "fact/"
PROCEDURE: Final = "procedure/"
MAX_AGENT_ID_BYTES: Final = 900
_KINDS: Final = ", ".join(kind.value for kind in MemoryType)


def agent_namespaces(agent_id: str) -> tuple[str, str]:
    """The namespaces of an agent's memories and of their accesses."""
    size = len(check_text("the agent's id", agent_id).encode())
    if not agent_id.strip() or size > MAX_AGENT_ID_BYTES or "\0" in agent_id:
        raise ValidationError(
            f"the agent's id {agent_id!r:.60} is empty, too long, or contains NUL",
            suggestion=f"give a name of 1 to {MAX_AGENT_ID_BYTES} bytes of UTF-8 without NUL",
        )
    return f"memory/{agent_id}", f"memory-accesses/{agent_id}"


def episode_id() -> str:
    """A new id."""
    return EPISODE + os.urandom(8).hex()


def episode_value(
    content: str, importance: float, tags: Iterable[str] | None, metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The value of an episode."""
    return {
        "type": "episode",
        "content": check_content("the content", content),
        "importance": check_share("importance", importance),
        "tags": [] if tags is None else check_tags(tags),
        "metadata": {} if metadata is None else check_metadata(metadata),
    }


def fact_value(
    key: str,
    content: str,
    importance: float,
    tags: Iterable[str] | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The value of a fact. Its key is searched with it: it often says what the fact is about."""
    check_content("the fact's key", key)
    value = episode_value(content, importance, tags, metadata)
    return value | {"type": "fact", "content": f"{key}: {content}", "name": key}


def procedure_value(
    name: str,
    steps: Iterable[str],
    success_rate: float | None,
    importance: float,
    tags: Iterable[str] | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The value of a procedure."""
    check_content("the procedure's name", name)
    parts = _check_steps(steps)
    rate = None if success_rate is None else check_share("success_rate", success_rate)
    value = episode_value("\n".join([name, *parts]), importance, tags, metadata)
    outcomes = 0 if rate is None else 1
    return value | {
        "type": "procedure",
        "name": name,
        "steps": parts,
        "success_rate": rate,
        "outcomes": outcomes,
    }


def _check_steps(steps: Any) -> list[str]:
    if isinstance(steps, str | bytes | dict) or not hasattr(steps, "__iter__"):
        raise ValidationError(
            f"steps is {steps!r:.60}", suggestion="give a list of str, one for each step"
        )
    found = [check_content(f"steps[{index}]", step) for index, step in enumerate(steps)]
    if not found:
        raise ValidationError("there are no steps", suggestion="give a list of at least one str")
    return found


def check_content(what: str, text: str) -> str:
    """Text with something in it; the codec finds lone surrogates."""
    if not isinstance(text, str):
        raise ValidationError(f"{what} is of type {type(text).__name__}", suggestion="give a str")
    if not text or text.isspace():
        raise ValidationError(f"{what} is empty", suggestion="give text")
    return text


def check_share(what: str, number: float) -> float:
    """A number from 0 to 1."""
    if type(number) is float and 0.0 <= number <= 1.0:
        return number
    try:
        value = inf if isinstance(number, bool | str | bytes) else float(number)
    except (TypeError, ValueError, OverflowError):
        value = inf
    if not 0.0 <= value <= 1.0:
        raise ValidationError(
            f"{what} is {number!r:.60}; it must be 0 to 1", suggestion="give a number from 0 to 1"
        )
    return value


def check_tags(tags: Iterable[str], what: str = "tags") -> list[str]:
    """Tags as a list, each once."""
    if not isinstance(tags, list | tuple | set | frozenset):
        raise ValidationError(
            f"{what} is of type {type(tags).__name__}", suggestion='give a list, such as ["home"]'
        )
    for index, tag in enumerate(tags):
        check_content(f"{what}[{index}]", tag)
    return sorted(tags) if isinstance(tags, set | frozenset) else list(dict.fromkeys(tags))


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata; the codec finds what is no JSON in it."""
    if not isinstance(metadata, dict):
        raise ValidationError(
            f"metadata is of type {type(metadata).__name__}", suggestion="give a dict"
        )
    return metadata


def check_memory_type(memory_type: MemoryType | str | None) -> str | None:
    """The name of a kind of memory; None for all."""
    if memory_type is None:
        return None
    try:
        return MemoryType(memory_type).value
    except ValueError:
        raise ValidationError(
            f"memory_type is {memory_type!r:.60}", suggestion=f"give one of {_KINDS}, or None"
        ) from None


def check_seconds(what: str, span: timedelta | float, *, zero: bool = False) -> float:
    """A span of time in seconds: positive, or zero where that is allowed."""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < inf or (seconds == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ValidationError(
            f"{what} is {span!r:.60}",
            suggestion=f"give a timedelta, or a number of seconds, of {least}",
        )
    return float(seconds)
