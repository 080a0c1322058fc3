#!/usr/bin/env bash
# Puts .build/pyodide/site together: Pyodide, the wheels that the tests need, the package, the tests.
#
#   build.sh PYTHON WHEEL
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
wheel=$2
wheels=.build/pyodide/wheels

if [ ! "$wheels/.stamp" -nt pyodide/requirements.txt ]; then
  echo "setup: downloading the pure wheels for Pyodide"
  rm -rf "$wheels"
  "$python" -m pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: \
    --python-version 3.14 --platform any --dest "$wheels" -r pyodide/requirements.txt
  touch "$wheels/.stamp"
fi
"$python" pyodide/build_index.py .build/pyodide/site \
  --runtime pyodide/node_modules/pyodide --wheels "$wheels" "$wheel"
