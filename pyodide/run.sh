#!/usr/bin/env bash
# Runs suites under Pyodide: in node, and in Chromium on OPFS and IndexedDB; then what only a browser
# can show, and the playground.
#
#   run.sh quick|shared WHEEL
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
suites=$1
wheel=$2
site=.build/pyodide/site
results=.build/pyodide/results
playground=.build/playground

if [ -z "${KORU_CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
  core-wasm/toolchain.sh apt chromium
fi
rm -rf "$results"
run_suites() {
  local said
  said=$(timeout 2400 node pyodide/run-suites.mjs "$site" "$results" "$1" "$suites" 2>&1) || {
    printf 'pyodide: %s in %s failed\n%s\n' "$suites" "$1" "$said"
    return 1
  }
  printf 'pyodide: %s in %s\n%s\n' "$suites" "$1" "$said"
}

# Two at a time; what each says is printed when it has ended.
failed=0
run_suites node &
in_node=$!
run_suites chromium-indexeddb || failed=1
run_suites chromium-opfs || failed=1
wait "$in_node" || failed=1
[ "$failed" = 0 ]

echo "pyodide: scenarios in Chromium"
.venv/bin/python - .build/pyodide/cpython.koru <<'PYTHON'
import sys
from pathlib import Path
from koru_delta import SyncDatabase

Path(sys.argv[1]).unlink(missing_ok=True)
with SyncDatabase(sys.argv[1]) as db:
    db.put("users", "alice", {"age": 30})
    db.put("users", "alice", {"age": 31})
PYTHON
timeout 900 node pyodide/scenarios.mjs "$site" "$results" .build/pyodide/cpython.koru

echo "pyodide: the playground in Chromium"
.venv/bin/python web-demo/site.py "$playground/site" "$wheel" >/dev/null
timeout 900 node pyodide/playground.mjs "$playground/site" "$results" "$playground/screenshots"
