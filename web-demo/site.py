"""Puts the page together in one folder, and serves it.

    python web-demo/site.py FOLDER WHEEL [PORT]

The folder holds everything that the page needs: any static host can serve it as it is. Without a
port it is made and not served.
"""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).resolve().parent
RUNTIME = HERE.parent / "pyodide" / "node_modules" / "pyodide"
NEEDED = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
)
PAGE = ("*.html", "*.css", "*.js", "*.svg", "embedder.py", "playground.py")
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


class Handler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on, and no line for each."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}

    def end_headers(self) -> None:
        """A changed file is seen at the next load."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def assemble(folder: Path, wheel: Path) -> None:
    """Write everything that the page needs into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "pyodide").mkdir(parents=True)
    for name in NEEDED:
        if (RUNTIME / name).exists():
            shutil.copy2(RUNTIME / name, folder / "pyodide" / name)
    for pattern in PAGE:
        for path in HERE.glob(pattern):
            shutil.copy2(path, folder / path.name)
    data = folder / "data"
    data.mkdir()
    for path in (HERE / "data").iterdir():
        if path.suffix != ".py":
            shutil.copy2(path, data / path.name)
    shutil.copy2(wheel, folder / wheel.name)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    (folder / "site.json").write_text(json.dumps({"wheel": wheel.name, "files": files}) + "\n")


def serve(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder on this machine alone; `serve_forever` runs it."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(folder)))


def main() -> None:
    """Make the folder, and serve it if there is a port."""
    folder, wheel, *rest = sys.argv[1:]
    assemble(Path(folder), Path(wheel))
    print(f"web: the page is in {folder}; any static host can serve it")
    if not rest:
        return
    server = serve(Path(folder), int(rest[0]))
    print(f"web: http://127.0.0.1:{server.server_port}/ (Ctrl+C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
