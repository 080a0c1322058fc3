#!/usr/bin/env bash
# Builds the engine's WebAssembly module into the Python package, with its SHA-256 beside it.
#
#   build.sh                     the release module
#   build.sh CARGO-COMMAND ...   that cargo command, for the same target with the same flags
#   build.sh run COMMAND ...     any command, with the toolchain and the flags in its environment
#
# The same sources and compiler give the same bytes wherever the project is; files that did not
# change are left untouched.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=wasm32-unknown-unknown
module=$root/python-host/koru_delta/koru_delta_core.wasm
wasm_opt=$root/pyodide/node_modules/.bin/wasm-opt
# The features are rustc's for this target, and SIMD: all of it runs on node 20 and wasmtime. The
# exports removed are two addresses that the linker adds and no host needs.
wasm_opt_flags=(
  '--remove-exports=__*,memcmp,bcmp' -O3 --enable-bulk-memory --enable-multivalue --enable-mutable-globals
  --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext --enable-simd
)

"$root/core-wasm/toolchain.sh"
# shellcheck source=/dev/null
. "$root/.build/toolchain.env"
cd "$root/core-wasm"

# Fetched first, so that the directories that hold the dependencies exist and can be left out of the
# panic messages in the module.
cargo fetch --locked --quiet --target "$target"
flags=(
  ${KORU_RUSTFLAGS[@]+"${KORU_RUSTFLAGS[@]}"}
  -Ctarget-feature=+simd128
  # Less inlining than by default takes a quarter off the module. What loops call that have to be fast
  # asks for it by #[inline(always)]; a plain #[inline] raises the threshold to the second one.
  "-Cllvm-args=-inline-threshold=${KORU_INLINE_THRESHOLD:-25}"
  "-Cllvm-args=-inlinehint-threshold=${KORU_INLINEHINT_THRESHOLD:-200}"
  -Clink-arg=--max-memory=4294967296
  -Clink-arg=-zstack-size=1048576
  "--remap-path-prefix=$root/core-wasm=core-wasm"
)
for directory in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
  flags+=("--remap-path-prefix=${directory%/}=crates")
done
# Unlike RUSTFLAGS, which it overrides, this form allows spaces in paths.
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR=${KORU_TARGET_DIR:-$root/core-wasm/target}

if [ "${1:-}" = run ]; then
  shift
  exec "$@"
fi
if [ $# -gt 0 ]; then
  command=$1
  shift
  exec cargo "$command" --locked --target "$target" "$@"
fi

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

if [ ! -x "$wasm_opt" ]; then
  echo "build: wasm-opt is missing: run 'make module', which installs it first" >&2
  exit 1
fi
cargo build --locked --quiet --release --target "$target" --lib
raw=$CARGO_TARGET_DIR/$target/release/koru_delta_core.wasm

# Optimising takes seconds: skipped when it would repeat the last run.
key="$(sha256 "$raw") $("$wasm_opt" --version) ${wasm_opt_flags[*]}"
key_file=$root/.build/module.key
if [ -f "$module" ] && [ -f "$module.sha256" ] && [ "$(cat "$key_file" 2>/dev/null)" = "$key" ] &&
  [ "$(sha256 "$module")" = "$(cat "$module.sha256")" ]; then
  exit 0
fi
optimised=$root/.build/module.wasm
"$wasm_opt" "${wasm_opt_flags[@]}" "$raw" -o "$optimised"
digest=$(sha256 "$optimised")
if [ ! -f "$module" ] || [ "$(sha256 "$module")" != "$digest" ]; then
  mv "$optimised" "$module"
  echo "build: wrote ${module#"$root"/} ($(wc -c <"$module" | tr -d ' ') bytes)" >&2
fi
if [ "$(cat "$module.sha256" 2>/dev/null)" != "$digest" ]; then
  printf '%s\n' "$digest" >"$module.sha256"
fi
rm -f "$optimised"
printf '%s\n' "$key" >"$key_file"
