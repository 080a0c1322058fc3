"""The runtimes that the module is tried on: how each runs the vectors, and a host of ours.

A host opens a database that CPython made, reads, searches and writes, prints what it found as JSON,
and hands back the bytes of the next file.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import wasmtime
from conformance import run_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "python-host" / "koru_delta" / "koru_delta_core.wasm"
HOSTS = ROOT / "examples" / "hosts"
VECTORS = ROOT / "tests" / "vectors"
TOOLS = ROOT / "core-wasm" / "js" / "node_modules"
START_SECONDS = 30


def output(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def last_json(text: str) -> Any:
    """The last line that is JSON."""
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])


@dataclass(frozen=True)
class Runtime:
    """One runtime."""

    name: str
    version: Callable[[], str]
    run_vectors: Callable[[], dict[str, Any]]
    visit: Callable[[Path, Path], dict[str, Any]] | None
    """Run the host on a database: what it found. The next file is at the second path."""

    def __str__(self) -> str:
        return self.name


def script_runtime(
    name: str, version: Callable[[], str], run: list[str | Path], host: str
) -> Runtime:
    """A runtime of JavaScript that runs scripts."""
    return Runtime(
        name,
        version,
        lambda: last_json(output(*run, ROOT / "tests/edge/vectors.mjs", MODULE, VECTORS)),
        lambda source, target: last_json(output(*run, HOSTS / host, MODULE, source, target)),
    )


@contextmanager
def worker(config: Path) -> Iterator[str]:
    """The address of a worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        TOOLS / ".bin" / "workerd", "serve", config, "-I", MODULE.parent,
        "--socket-addr", f"http={address}",
    ]  # fmt: skip
    with subprocess.Popen([str(part) for part in command], cwd=ROOT) as process:
        try:
            _wait_for(address, process)
            yield f"http://{address}/"
        finally:
            process.terminate()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    host, port = address.split(":")
    for _ in range(START_SECONDS * 10):
        assert process.poll() is None, "workerd has ended"
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("workerd does not listen")


def post(address: str, body: bytes) -> tuple[bytes, Any]:
    """The body and the headers of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=120) as answer:
            return answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def workerd_vectors() -> dict[str, Any]:
    documents = [json.loads(path.read_text("utf-8")) for path in sorted(VECTORS.glob("*.json"))]
    with worker(ROOT / "tests/edge/vectors_worker.capnp") as address:
        found: dict[str, Any] = json.loads(post(address, json.dumps(documents).encode())[0])
        return found


def workerd_visit(source: Path, target: Path) -> dict[str, Any]:
    with worker(HOSTS / "worker.capnp") as address:
        body, headers = post(address, source.read_bytes())
    target.write_bytes(body)
    told: dict[str, Any] = json.loads(headers["x-told"])
    return told


def wazero_visit(source: Path, target: Path) -> Any:
    return last_json(output("go", "run", ".", MODULE, source, target, cwd=HOSTS / "go"))


def wazero_vectors() -> Any:
    places = (f"MODULE={MODULE}", f"VECTORS={VECTORS}")
    return last_json(output("env", *places, "go", "test", "-v", "-count=1", ".", cwd=HOSTS / "go"))


def wazero_version() -> str:
    return output("go", "list", "-m", "github.com/tetratelabs/wazero", cwd=HOSTS / "go").split()[1][
        1:
    ]


def wasmtime_visit(source: Path, target: Path) -> Any:
    return last_json(output(sys.executable, HOSTS / "wasmtime_host.py", MODULE, source, target))


def wasmtime_vectors() -> dict[str, Any]:
    sys.path.insert(0, str(HOSTS))
    from wasmtime_host import Engine

    engine = wasmtime.Engine()
    module = wasmtime.Module.from_file(engine, str(MODULE))
    documents = [json.loads(path.read_text("utf-8")) for path in sorted(VECTORS.glob("*.json"))]
    wrong = []
    for document in documents:
        one = Engine(engine, module)

        def fill(address: int, content: bytes, one: Engine = one) -> None:
            one.memory.write(one.store, content, address)

        wrong.append(run_document(document, one.call, fill))
    return {
        "files": len(documents),
        "steps": sum(len(document["steps"]) for document in documents),
        "wrong": [line for lines in wrong for line in lines],
    }


def native_vectors() -> dict[str, Any]:
    command = (
        ". ../.build/toolchain.env && cargo test --locked --quiet --test conformance -- --nocapture"
    )
    found: dict[str, Any] = last_json(output("bash", "-c", command, cwd=ROOT / "core-wasm"))
    return found


def pyodide_vectors() -> dict[str, Any]:
    """The suite of the vectors, which is a test for each file, in node."""
    results = ROOT / ".build" / "pyodide" / "edge-results"
    output(
        "node", "pyodide/run-suites.mjs", ".build/pyodide/site", results, "node", "test_conformance"
    )
    [report] = results.glob("*.xml")
    cases = list(ElementTree.parse(report).iter("testcase"))
    wrong = [case.get("name", "") for case in cases if len(case)]
    documents = [json.loads(path.read_text("utf-8")) for path in sorted(VECTORS.glob("*.json"))]
    ran = [case for case in cases if "test_the_host_passes" in case.get("name", "")]
    assert len(ran) == len(documents)
    return {
        "files": len(ran),
        "steps": sum(len(document["steps"]) for document in documents),
        "wrong": wrong,
    }


def pyodide_version() -> str:
    manifest = ROOT / "pyodide" / "node_modules" / "pyodide" / "package.json"
    found: str = json.loads(manifest.read_text("utf-8"))["version"]
    return found


RUNTIMES = [
    Runtime(
        "native",
        lambda: output("bash", "-c", ". .build/toolchain.env && rustc --version").split()[1],
        native_vectors,
        None,
    ),
    Runtime("Pyodide in node", pyodide_version, pyodide_vectors, None),
    Runtime(
        "wasmtime",
        lambda: version("wasmtime"),
        wasmtime_vectors,
        wasmtime_visit,
    ),
    script_runtime("node", lambda: output("node", "--version")[1:], ["node"], "node.mjs"),
    script_runtime(
        "Deno", lambda: output(TOOLS / ".bin/deno", "--version").split()[1],
        [TOOLS / ".bin/deno", "run", "--allow-read", "--allow-write"], "deno.ts",
    ),
    script_runtime(
        "Bun", lambda: output(TOOLS / ".bin/bun", "--version"), [TOOLS / ".bin/bun"], "node.mjs"
    ),
    Runtime(
        "workerd", lambda: output(TOOLS / ".bin/workerd", "--version").split()[-1],
        workerd_vectors, workerd_visit,
    ),
    Runtime("wazero", wazero_version, wazero_vectors, wazero_visit),
]  # fmt: skip
