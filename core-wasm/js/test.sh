#!/usr/bin/env bash
# Tests the npm package as whoever installs it has it: test.sh PACKAGE
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
package=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
user=$root/.build/npm/user
PATH=$here/node_modules/.bin:$PATH

rm -rf "$user"
mkdir -p "$user"
cd "$user"
echo '{"name": "user", "private": true, "type": "module"}' >package.json
npm install --offline --silent --no-audit --no-fund "$package"
cp "$here"/tests/*.m?s .

KORU_ROOT=$root README=$here/README.md node --test --test-reporter=spec ./*.test.mjs
tsc --noEmit --strict --module nodenext --target es2023 --skipLibCheck false \
  --lib es2024,esnext.disposable,dom types.mts
publint --strict "$root/.build/npm/package"
attw --profile esm-only --exclude-entrypoints ./core.wasm -- "$package"
if [ -z "${KORU_CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
  "$root/core-wasm/toolchain.sh" apt chromium
fi
node "$here/tests/browser/run.mjs" "$user/node_modules/koru-delta/dist" "$root/.build/npm/browser"
"$root/.venv/bin/python" -m pytest "$root/tests/edge/package.py"
cp "$here"/figures/*.mjs .
node figures.mjs "$here/node_modules/.bin/workerd" "$package"
