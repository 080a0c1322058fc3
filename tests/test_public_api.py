"""The public names are pinned, documented, and the same in both APIs."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import inspect
import pickle
from typing import Any

import pytest
from calls import public_methods

import koru_delta
from koru_delta import Database, Namespace, SyncDatabase, Version

KEY_VALUE_NAMES = {
    "Config",
    "ConflictError",
    "CorruptionError",
    "Database",
    "DatabaseClosedError",
    "DatabaseLockedError",
    "Health",
    "KeyNotFoundError",
    "KoruDeltaError",
    "LimitExceededError",
    "Match",
    "Namespace",
    "SerializationError",
    "Stats",
    "StorageError",
    "SyncDatabase",
    "UnsupportedFormatError",
    "ValidationError",
    "Version",
}

VERSION_FIELDS = {
    "namespace",
    "key",
    "value",
    "version_id",
    "timestamp",
    "timestamp_us",
    "previous",
    "caused_by",
    "deleted",
    "embedding",
    "model",
}

# The parameters of each operation, in order; those after the star by keyword only.
SIGNATURES = {
    "put": "namespace key value * embedding model caused_by expected_version",
    "put_batch": "items",
    "get": "namespace key default * at",
    "get_many": "namespace keys * at",
    "get_at": "namespace key timestamp",
    "history": "namespace key * limit",
    "version": "version_id",
    "diff": "namespace key v1 v2",
    "restore": "namespace key version_id",
    "delete": "namespace key",
    "contains": "namespace key * at",
    "list_keys": "namespace * prefix start_after limit at",
    "list_namespaces": "",
    "lineage": "version_id * depth",
    "effects": "version_id * depth",
    "erase": "namespace key",
    "embed": "namespace key embedding metadata * model",
    "embed_batch": "namespace keys embeddings metadata * model progress",
    "similar": "namespace query top_k * threshold where model at exact",
    "similar_batch": "namespace queries top_k * threshold where model at exact",
    "vector": "namespace key * at",
    "stats": "",
    "health": "",
    "verify": "",
    "compact": "* keep_versions keep_history",
    "export_to": "target * overwrite",
}


def parameters_of(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters if p.name != "self"]


def test_the_public_names_are_there() -> None:
    assert set(koru_delta.__all__) >= KEY_VALUE_NAMES
    assert len(koru_delta.__all__) == len(set(koru_delta.__all__))
    for name in koru_delta.__all__:
        assert getattr(koru_delta, name) is not None


def test_every_public_name_is_listed() -> None:
    defined = {
        name
        for name, value in vars(koru_delta).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "").startswith("koru_delta")
        and not inspect.ismodule(value)
    }
    assert defined <= set(koru_delta.__all__)


def test_public_classes_say_where_they_are_imported_from() -> None:
    for name in KEY_VALUE_NAMES:
        assert getattr(koru_delta, name).__name__ == name


def documented(owner: str, member: Any) -> list[str]:
    """The names, if any, that lack a docstring of their own."""
    target = member.fget if isinstance(member, property) else member
    return [] if (inspect.getdoc(target) or "").strip() else [owner]


def test_every_public_name_is_documented() -> None:
    missing: list[str] = []
    for name in koru_delta.__all__:
        value = getattr(koru_delta, name)
        if not isinstance(value, type):
            continue
        generated = f"{name}("
        if not value.__doc__ or value.__doc__.startswith(generated):
            missing.append(name)
        for member_name, member in vars(value).items():
            public = not member_name.startswith("_")
            if public and (inspect.isroutine(member) or isinstance(member, property)):
                missing += documented(f"{name}.{member_name}", member)
    assert missing == []
    assert koru_delta.__doc__


@pytest.mark.parametrize(("name", "parameters"), SIGNATURES.items(), ids=SIGNATURES.keys())
def test_an_operation_takes_the_documented_parameters(name: str, parameters: str) -> None:
    positional, _, by_keyword = parameters.partition("*")
    found = parameters_of(getattr(Database, name))
    positions = [n for n, kind, _ in found if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    keywords = {n for n, kind, _ in found if kind is inspect.Parameter.KEYWORD_ONLY}
    assert positions == positional.split()
    assert keywords >= set(by_keyword.split())
    assert inspect.iscoroutinefunction(getattr(Database, name))


ONLY_BLOCKING = {("watch", "timeout")}


def test_the_blocking_api_has_every_method_with_the_same_parameters() -> None:
    blocking = dict(public_methods(SyncDatabase))
    for name, method in public_methods(Database):
        if name in ("create", "for_agent"):
            continue
        assert name in blocking, name
        parameters = [p for p in parameters_of(blocking[name]) if (name, p[0]) not in ONLY_BLOCKING]
        assert parameters == parameters_of(method), name
        assert not inspect.iscoroutinefunction(blocking[name]), name
    assert isinstance(inspect.getattr_static(SyncDatabase, "head"), property)


def test_the_blocking_api_has_no_method_of_its_own() -> None:
    names = {name for name, _ in public_methods(Database)}
    assert {name for name, _ in public_methods(SyncDatabase)} <= names


def test_a_namespace_has_the_methods_with_one_parameter_less() -> None:
    methods = dict(public_methods(Namespace))
    for name, parameters in SIGNATURES.items():
        if not parameters.startswith("namespace"):
            continue
        expected = parameters_of(getattr(Database, name))
        assert parameters_of(methods[name]) == [p for p in expected if p[0] != "namespace"], name
    assert inspect.iscoroutinefunction(methods["all"])


def test_every_signature_is_annotated() -> None:
    missing: list[str] = []
    for cls in (Database, SyncDatabase, Namespace):
        for name, method in public_methods(cls):
            signature = inspect.signature(method)
            if signature.return_annotation is signature.empty:
                missing.append(f"{cls.__name__}.{name} return")
            missing += [
                f"{cls.__name__}.{name}({p.name})"
                for p in signature.parameters.values()
                if p.annotation is p.empty and p.name not in ("self", "cls")
            ]
    assert missing == []


async def test_a_version_is_a_frozen_slotted_dataclass() -> None:
    async with Database() as db:
        version = await db.put("a", "key", {"x": 1})
        same = await db.version(version.version_id)
        other = await db.put("a", "key", {"x": 1})
    assert dataclasses.is_dataclass(Version)
    assert {field.name for field in dataclasses.fields(Version)} <= set(dir(version))
    assert set(dir(version)) >= VERSION_FIELDS
    assert not hasattr(version, "__dict__")
    for name in (*VERSION_FIELDS, "anything"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(version, name, None)
    assert version == same
    assert version != other
    assert isinstance(version.timestamp, datetime.datetime)
    assert isinstance(version.timestamp_us, int)
    assert version.version_id in repr(version)


async def test_a_version_can_be_copied_and_pickled() -> None:
    async with Database() as db:
        version = await db.put("a", "key", {"x": [1, None]})
        await db.delete("a", "key")
        for original in (await db.version(version.version_id), *await db.history("a", "key")):
            assert pickle.loads(pickle.dumps(original)) == original
            assert copy.deepcopy(original) == original
            as_dict = dataclasses.asdict(original)
            assert as_dict["value"] == original.value
            assert as_dict["version_id"] == original.version_id


@pytest.mark.parametrize("name", ["Stats", "Health"])
async def test_results_are_frozen_slotted_dataclasses(name: str) -> None:
    cls = getattr(koru_delta, name)
    assert dataclasses.is_dataclass(cls)
    async with Database() as db:
        for result in (await db.stats(), await db.health(), await db.verify()):
            assert dataclasses.is_dataclass(result)
            assert not hasattr(result, "__dict__")
            field = dataclasses.fields(result)[0].name
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(result, field, None)


def test_the_package_knows_its_version_and_is_typed() -> None:
    from importlib.resources import files

    assert koru_delta.__version__.split(".")[0] == "2"
    assert files("koru_delta").joinpath("py.typed").is_file()
