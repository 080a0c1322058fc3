"""Conformance vectors: requests with their time, and the replies and log bytes that they come to.

`tests/vectors/*.json` is for hosts in any language; docs/abi.md tells how to run them. They are
generated from the specification (`conformance_spec.py`), never from an engine:

    python tests/conformance.py

writes them again, and `test_conformance.py` fails when they differ from what this makes.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance_spec import NOW, Reply, SpecDatabase, file_header

from koru_delta import _protocol as op

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = Path(__file__).parent / "vectors"
DATABASE_ID = bytes(range(1, 17))
START_US = 1_700_000_000_000_000
OPCODE_NAMES = {
    number: name.lower()
    for name, number in vars(op).items()
    if name.isupper()
    and isinstance(number, int)
    and not name.startswith(("FLAG_", "REPLY_"))
    and name not in ("ABI_VERSION", "NOW")
}


class Script:
    """Writes the steps of one file of vectors."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = about
        self.steps: list[dict[str, Any]] = []
        self.spec = SpecDatabase(DATABASE_ID)
        self.log = b""
        self.now_us = START_US

    def request(
        self,
        opcode: int,
        namespace: str = "",
        key: str = "",
        *,
        control: Any = None,
        payload: bytes = b"",
        flags: int = 0,
        at: int = NOW,
        vector: bytes = b"",
        acknowledged: int | None = None,
        synced: int | None = None,
        later_us: int = 1_000,
    ) -> dict[str, Any]:
        """A request, in words and in bytes; the specification takes its time and sequences."""
        self.now_us += later_us
        spec = self.spec
        acknowledged = spec.sequence if acknowledged is None else acknowledged
        synced = acknowledged if synced is None else synced
        spec.begin(self.now_us, acknowledged, synced)
        space, name = namespace.encode(), key.encode()
        options = b"" if control is None else json.dumps(control, ensure_ascii=False).encode()
        lengths = (len(space), len(name), len(options), len(payload), flags, len(vector))
        header = op.REQUEST_HEADER.pack(self.now_us, acknowledged, at, *lengths, synced)
        words = {
            "opcode": opcode,
            "operation": OPCODE_NAMES.get(opcode, "none"),
            "time_us": self.now_us,
            "acknowledged": acknowledged,
            "as_of": None if at == NOW else at,
            "namespace": namespace,
            "key": key,
            "control": control,
            "flags": flags,
            "synced": synced,
        }
        request = header + space + name + options + payload + vector
        return {**words, "bytes": request.hex()}

    def expect(
        self, about: str, request: dict[str, Any], reply: Reply, *, fill: bytes | None = None
    ) -> None:
        """Add a step. With `fill` the payload says where those bytes belong: nobody foresees it."""
        self.log += reply.journal
        expected: dict[str, Any] = {"status": reply.status, "flags": reply.flags}
        if reply.status:
            expected["error"] = reply.details
        else:
            expected["payload"] = reply.payload.hex()
        expected["journal"] = reply.journal.hex()
        expected["sequence"] = self.spec.sequence
        step = {"about": about, "request": request, "reply": expected}
        if fill is not None:
            del expected["payload"]
            step["fill"] = fill.hex()
        self.steps.append(step)

    def open(self, **control: Any) -> None:
        """The step with which most files begin."""
        options = {"database_id": DATABASE_ID.hex(), "journal": True, "memory_budget": 0, **control}
        request = self.request(op.OPEN, control=options)
        self.expect("open an empty database", request, Reply(journal=file_header(DATABASE_ID)))

    def put(
        self, namespace: str, key: str, value: Any, *, about: str = "", **options: Any
    ) -> bytes:
        """A put of JSON, or of bytes; the id of its version."""
        is_bytes = isinstance(value, bytes)
        data = value if is_bytes else json.dumps(value, ensure_ascii=False).encode()
        control = options.get("control") or {}
        vector = options.get("vector", b"")
        options.setdefault("flags", op.FLAG_BYTES if is_bytes else 0)
        request = self.request(op.PUT, namespace, key, payload=data, **options)
        causes = dict.fromkeys(bytes.fromhex(one) for one in control.get("caused_by", []))
        [version] = self.spec.write(
            {
                "namespace": namespace, "key": key, "value": data, "kind": int(is_bytes),
                "vector": vector, "causes": tuple(causes), "model": control.get("model", ""),
            }
        )  # fmt: skip
        reply = Reply(payload=version.record, journal=self.spec.journal)
        self.expect(about or f"put {namespace}/{key}", request, reply)
        return version.id

    def document(self) -> dict[str, Any]:
        """The whole file."""
        return {
            "format": 1,
            "abi_version": op.ABI_VERSION,
            "name": self.name,
            "about": self.about,
            "steps": self.steps,
            "log": self.log.hex(),
        }


def all_scripts() -> Iterator[Script]:
    """The scripts of every file, in their order."""
    import conformance_derived
    import conformance_files
    import conformance_ranked
    import conformance_scripts

    parts = (conformance_scripts, conformance_derived, conformance_ranked, conformance_files)
    for module in parts:
        yield from (make() for make in module.SCRIPTS)


def can_run_without_memory(document: dict[str, Any]) -> bool:
    """Whether a host that does not reach the engine's memory can run a file."""
    return not any("fill" in step for step in document["steps"])


def text_of(document: dict[str, Any]) -> str:
    """A file of vectors: a line for each step, so that a change can be read."""
    head = {name: value for name, value in document.items() if name not in ("steps", "log")}
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    steps = [f"    {json.dumps(step, ensure_ascii=False)}" for step in document["steps"]]
    log = f'  "log": {json.dumps(document["log"])}'
    return "\n".join(["{", *lines, '  "steps": [', ",\n".join(steps), "  ],", log, "}", ""])


def run_document(
    document: dict[str, Any],
    call: Callable[[int, bytes], Any],
    fill: Callable[[int, bytes], Any] | None = None,
) -> list[str]:
    """Carry out the steps of one file on a new instance; what was not as it should be.

    Args:
        document: The file.
        call: Carries out a request.
        fill: Copies bytes to an address, for files that need it.
    """
    log = b""
    wrong: list[str] = []
    for number, step in enumerate(document["steps"], 1):
        opcode, request = step["request"]["opcode"], bytes.fromhex(step["request"]["bytes"])
        status, flags, payload, journal, sequence = call(opcode, request)
        log += journal
        found = {"status": status, "flags": flags, "journal": journal.hex(), "sequence": sequence}
        if status:
            error = json.loads(payload)
            is_told = bool(error.get("message")) and bool(error.get("suggestion"))
            found["error"] = (
                {name: error.get(name) for name in step["reply"].get("error", {})}
                if is_told
                else error
            )
        else:
            found["payload"] = payload.hex()
            if fill is not None and "fill" in step:
                _fill(fill, payload, bytes.fromhex(step["fill"]))
        wrong += [
            f"{document['name']}, step {number} ({step['about']}): {name} is {found.get(name)!r}, "
            f"not {expected!r}"
            for name, expected in step["reply"].items()
            if found.get(name) != expected
        ]
    if log.hex() != document["log"]:
        wrong.append(f"{document['name']}: the log differs")
    return wrong


def _fill(fill: Callable[[int, bytes], Any], stretches: bytes, content: bytes) -> None:
    """Copy bytes across the stretches that a payload names."""
    for address, length in struct.iter_unpack("<II", stretches):
        fill(address, content[:length])
        content = content[length:]


def main() -> None:
    """Write the files."""
    VECTORS.mkdir(exist_ok=True)
    for script in all_scripts():
        document = script.document()
        path = VECTORS / f"{script.name}.json"
        path.write_text(text_of(document), encoding="utf-8")
        print(f"{path.name}: {len(script.steps)} steps")


if __name__ == "__main__":
    main()
