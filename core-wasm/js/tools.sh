#!/usr/bin/env bash
# Builds wasm-pack and wasm-bindgen's command line into .build/cargo, unless they are there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/.build/cargo
wasm_pack=0.15.1
wasm_bindgen=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' "$root/core-wasm/Cargo.lock")

# install NAME VERSION: with what its author locked, or where a version of that is gone, without.
install() {
  cargo install --quiet --root "$tools" --locked "$1" --version "=$2" ||
    cargo install --quiet --root "$tools" "$1" --version "=$2"
}

install wasm-bindgen-cli "$wasm_bindgen"
install wasm-pack "$wasm_pack"
