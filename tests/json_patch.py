"""RFC 6902 and RFC 6901, written from their text: the oracle for `diff`."""

from __future__ import annotations

import copy
from typing import Any

from json_values import equal_as_json


class PatchError(Exception):
    """The patch is malformed or does not fit the document."""


def apply_patch(document: Any, patch: list[dict[str, Any]]) -> Any:
    """The document after every operation of the patch; the original stays as it is."""
    result = copy.deepcopy(document)
    for operation in patch:
        result = _apply(result, operation)
    return result


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    tokens = _tokens(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, tokens, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, tokens)
        case "replace":
            return _add(_remove(document, tokens), tokens, copy.deepcopy(operation["value"]))
        case "move":
            source = _tokens(operation["from"])
            if tokens[: len(source)] == source and tokens != source:
                raise PatchError(f"a location cannot be moved into its child: {operation}")
            moved = copy.deepcopy(_find(document, source))
            return _add(_remove(document, source), tokens, moved)
        case "copy":
            return _add(
                document, tokens, copy.deepcopy(_find(document, _tokens(operation["from"])))
            )
        case "test":
            if not equal_as_json(_find(document, tokens), operation["value"]):
                raise PatchError(f"test failed: {operation}")
            return document
        case other:
            raise PatchError(f"unknown operation {other!r}")


def _tokens(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise PatchError(f"a pointer starts with a slash: {pointer!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _index(token: str, length: int) -> int:
    if not token.isascii() or not token.isdigit() or (len(token) > 1 and token.startswith("0")):
        raise PatchError(f"not an array index: {token!r}")
    if int(token) >= length:
        raise PatchError(f"no element {token} in an array of {length}")
    return int(token)


def _find(document: Any, tokens: list[str]) -> Any:
    for token in tokens:
        if isinstance(document, list):
            document = document[_index(token, len(document))]
        elif isinstance(document, dict) and token in document:
            document = document[token]
        else:
            raise PatchError(f"nothing at {token!r}")
    return document


def _add(document: Any, tokens: list[str], value: Any) -> Any:
    if not tokens:
        return value
    parent = _find(document, tokens[:-1])
    if isinstance(parent, list):
        end = len(parent)
        parent.insert(end if tokens[-1] == "-" else _index(tokens[-1], end + 1), value)
    elif isinstance(parent, dict):
        parent[tokens[-1]] = value
    else:
        raise PatchError(f"a scalar has no member {tokens[-1]!r}")
    return document


def _remove(document: Any, tokens: list[str]) -> Any:
    _find(document, tokens)
    if not tokens:
        return None
    parent = _find(document, tokens[:-1])
    if isinstance(parent, list):
        del parent[_index(tokens[-1], len(parent))]
    else:
        del parent[tokens[-1]]
    return document
