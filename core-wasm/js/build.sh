#!/usr/bin/env bash
# Builds the npm package into .build/npm/package: the engine with its JavaScript face by wasm-pack, the
# layer around it by TypeScript. Fetches nothing: `make edge` sets up what it needs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
package=$root/.build/npm/package
pack=$root/.build/npm/wasm-pack

# For size: it is what a page or a worker loads. ARCHITECTURE.md says what that costs. Hashing, a large
# part of each write, stays fast.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=s KORU_INLINE_THRESHOLD=10 KORU_INLINEHINT_THRESHOLD=50
# wasm-pack takes wasm-bindgen and wasm-opt from PATH.
PATH=$root/.build/cargo/bin:$root/pyodide/node_modules/.bin:$PATH
KORU_TARGET_DIR=$root/core-wasm/target/js "$root/core-wasm/build.sh" run \
  wasm-pack --quiet build "$root/core-wasm" --mode no-install --release --target web --no-pack \
  --no-typescript --out-dir "$pack" -- --locked --features js \
  --config profile.release.package.blake3.opt-level=3

rm -rf "$package"
mkdir -p "$package"
# Comments go with the types, where editors show them.
"$here/node_modules/.bin/tsc" -p "$here" --outDir "$package/dist" --declaration false --removeComments
"$here/node_modules/.bin/tsc" -p "$here" --outDir "$package/dist" --emitDeclarationOnly
# Nobody can import these, and no other speaks of their types.
(cd "$package/dist" && rm {arguments,instance,load,protocol,short,web}.d.ts)
node "$here/glue.mjs" "$pack/koru_delta_core.js" >"$package/dist/glue.js"
cp "$pack/koru_delta_core_bg.wasm" "$package/dist/koru_delta_core.wasm"
cp "$here/README.md" "$root/LICENSE-MIT" "$root/LICENSE-APACHE" "$package"
# What npm publishes is not concerned with how it was made.
node -e '
  const { devDependencies, ...manifest } = JSON.parse(require("fs").readFileSync(0, "utf8"));
  console.log(JSON.stringify(manifest, null, 2));
' <"$here/package.json" >"$package/package.json"

mkdir -p "$root/dist"
(cd "$package" && npm pack --silent --pack-destination "$root/dist" >/dev/null)
