"""What the package says about the protocol is what the engine says: numbers, sizes, limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from koru_delta import _arguments, _json, _times
from koru_delta import _protocol as op
from koru_delta._hosts import wasmtime_host
from koru_delta._results import versions

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "core-wasm" / "src"
CONSTANT = re.compile(r"^\s*(?:pub )?const (\w+): (?:u32|u64|usize) =\s*([^;]+);", re.MULTILINE)
VARIANT = re.compile(r"^    (\w+) = (\d+),$", re.MULTILINE)


def constants(file: str) -> dict[str, int]:
    """The whole numbers that a Rust file defines; one may be made of those before it."""
    found: dict[str, int] = {}
    for name, text in CONSTANT.findall((ENGINE / file).read_text()):
        expression = text.replace("u64::MAX", "(2**64 - 1)")
        found[name] = int(eval(expression, {}, found))
    return found


def variants(file: str, name: str) -> dict[str, int]:
    """The numbers of an enumeration's variants, named as Python names constants."""
    text = (ENGINE / file).read_text()
    body = text.split(f"enum {name} {{", 1)[1].split("\n}", 1)[0]
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "_", variant).upper(): int(number)
        for variant, number in VARIANT.findall(body)
    }


PROTOCOL = constants("protocol.rs")
LIMITS = constants("limits.rs")


OPCODES = {
    name: number
    for name, number in PROTOCOL.items()
    if not name.startswith(("FLAG_", "REPLY_", "REQUEST_")) and name not in ("ABI_VERSION", "NOW")
}


def test_both_sides_have_the_same_numbers() -> None:
    engine = {name: n for name, n in PROTOCOL.items() if not name.endswith("_HEADER_BYTES")}
    package = {name: n for name, n in vars(op).items() if name.isupper() and isinstance(n, int)}
    assert package == engine
    assert len(engine) > 20


def test_no_two_opcodes_and_no_two_flags_of_a_kind_are_the_same() -> None:
    names = [name for name in PROTOCOL if not name.endswith("_HEADER_BYTES")]
    names = [name for name in names if name not in ("ABI_VERSION", "NOW")]
    for prefix in ("FLAG_", "REPLY_"):
        flags = [PROTOCOL[name] for name in names if name.startswith(prefix)]
        assert len(set(flags)) == len(flags)
        assert all(flag.bit_count() == 1 for flag in flags)
    opcodes = [PROTOCOL[name] for name in names if not name.startswith(("FLAG_", "REPLY_"))]
    assert sorted(opcodes) == list(range(1, len(opcodes) + 1))


def test_headers_have_the_same_sizes() -> None:
    assert op.REQUEST_HEADER.size == PROTOCOL["REQUEST_HEADER_BYTES"]
    assert op.REPLY_HEADER.size == PROTOCOL["REPLY_HEADER_BYTES"]
    assert op.BATCH_ITEM.size == 4 * 4
    assert versions.RECORD.size == constants("log/record.rs")["RECORD_HEADER_BYTES"]


def test_everything_is_little_endian_without_gaps() -> None:
    for layout in (op.REQUEST_HEADER, op.REPLY_HEADER, op.BATCH_ITEM, versions.RECORD):
        assert layout.format.startswith("<")


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (_json.MAX_DEPTH, LIMITS["MAX_JSON_DEPTH"]),
        (_json.MAX_INT, PROTOCOL["NOW"]),
        (_json.MIN_INT, -(2**63)),
        (_arguments._MAX_BATCH_ITEMS, LIMITS["MAX_BATCH_ITEMS"]),
        (_times._MAX_US, LIMITS["MAX_TIMESTAMP_US"]),
    ],
    ids=["JSON depth", "largest integer", "smallest integer", "batch items", "time"],
)
def test_limits_are_the_same(here: int, there: int) -> None:
    assert here == there


def test_the_host_knows_when_the_module_gives_its_buffer_back() -> None:
    kept = constants("abi/mod.rs")["KEPT_REQUEST_BYTES"]
    assert kept == wasmtime_host._KEPT_REQUEST_BYTES


def test_errors_have_the_same_numbers() -> None:
    package = {name: n for name, n in vars(op.Status).items() if name.isupper()}
    assert package == variants("error.rs", "Kind")
    assert len(package) == 9


def test_kinds_of_values_have_the_same_numbers() -> None:
    package = {
        "JSON": versions.JSON_VALUE,
        "BYTES": versions.BYTES_VALUE,
        "DELETED": versions._DELETED,
    }
    assert package == variants("log/record.rs", "ValueKind")


def test_the_documents_name_the_same_opcodes() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("| opcode |", 1)[1].split("\n\n", 1)[0]
    documented = {
        name.upper(): int(n) for n, name in re.findall(r"^\| (\d+) \| (\w+) ", table, re.MULTILINE)
    }
    names = [name for name in PROTOCOL if not name.startswith(("FLAG_", "REPLY_", "REQUEST_"))]
    assert documented == {n: PROTOCOL[n] for n in names if n not in ("ABI_VERSION", "NOW")}


def test_the_page_for_embedders_names_the_same_opcodes() -> None:
    text = (ROOT / "docs" / "abi.md").read_text(encoding="utf-8").split("## Opcodes", 1)[1]
    documented = {
        name.upper(): int(n) for n, name in re.findall(r"^\| (\d+) \| (\w+) \|", text, re.MULTILINE)
    }
    assert documented == OPCODES


def test_the_page_for_embedders_names_every_control() -> None:
    text = (ROOT / "docs" / "abi.md").read_text(encoding="utf-8")
    table = text.split("## Opcodes", 1)[1]
    control = (ENGINE / "dispatch" / "control.rs").read_text(encoding="utf-8")
    structs = re.findall(r"struct (\w+Control) \{\n(.*?)^\}", control, re.MULTILINE | re.DOTALL)
    assert len(structs) > 10
    for name, body in structs:
        for field in re.findall(r"^    (?:pub\(super\) )?(\w+): ", body, re.MULTILINE):
            assert f"`{field}`" in table, (name, field)


def test_the_npm_package_has_the_same_numbers() -> None:
    text = (ROOT / "core-wasm" / "js" / "src" / "protocol.ts").read_text(encoding="utf-8")
    objects = {
        name: {key: int(n) for key, n in re.findall(r"(\w+): (\d+)", body)}
        for name, body in re.findall(r"export const (\w+) = \{(.*?)\} as const", text, re.DOTALL)
    }
    assert objects["Op"].items() <= {name.lower(): n for name, n in OPCODES.items()}.items()
    assert {f"FLAG_{name.upper()}": n for name, n in objects["Flag"].items()} == {
        name: n for name, n in PROTOCOL.items() if name.startswith("FLAG_")
    }
    assert {f"REPLY_{name.upper()}": n for name, n in objects["ReplyFlag"].items()} == {
        name: n
        for name, n in PROTOCOL.items()
        if (name.startswith("REPLY_") and not name.endswith("_BYTES")) or name == "REPLY_BYTES"
    }
    kinds = {re.sub(r"([A-Z])", r"_\1", name).upper(): n for name, n in objects["Status"].items()}
    assert kinds == variants("error.rs", "Kind")
    assert {name.upper(): n for name, n in objects["Kind"].items()} == variants(
        "log/record.rs", "ValueKind"
    )
    numbers = dict(re.findall(r"export const (\w+) = (\d+);", text))
    assert int(numbers["ABI_VERSION"]) == PROTOCOL["ABI_VERSION"]
    assert int(numbers["REQUEST_HEADER_BYTES"]) == PROTOCOL["REQUEST_HEADER_BYTES"]
    assert int(numbers["REPLY_HEADER_BYTES"]) == PROTOCOL["REPLY_HEADER_BYTES"]
    assert int(numbers["RECORD_HEADER_BYTES"]) == versions.RECORD.size
    assert int(numbers["ITEM_HEADER_BYTES"]) == op.BATCH_ITEM.size
