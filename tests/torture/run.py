"""Long runs: what the suites show in seconds, shown again for hours. Prints figures; fails loudly.

python tests/torture/run.py                    everything, with the figures that are promised
python tests/torture/run.py crash --count 500  one of them, shorter
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import os
import platform
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

# What to run, and how much of it.
RUNS = {
    "crash": 50_000,
    "kill": 2_000,
    "strace": 2_000,
    "fuel": 4_000,
    "hammer": 20,
    "abi": 100_000,
    "soak": 2_000_000,
    "tenants": 1_000,
}


def machine() -> str:
    """The kind of machine, in one line."""
    release = Path("/etc/os-release")
    names = [line for line in release.read_text().splitlines() if line.startswith("PRETTY_NAME")]
    system = names[0].split("=")[1].strip('"') if names else platform.platform()
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(RUNS)}; all if none is given")
    parser.add_argument("--count", type=int, help="how much of it")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    unknown = set(arguments.names) - RUNS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"torture: {today}, {machine()}, seed {arguments.seed}", flush=True)
    for name in arguments.names or RUNS:
        start = time.perf_counter()
        module = importlib.import_module(f"long_{name}")
        figures = module.run(arguments.count or RUNS[name], arguments.seed)
        print(f"{name}: {figures} ({time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
