#!/usr/bin/env bash
# Finds or installs what the engine is built with, and records it in .build/toolchain.env.
#
#   toolchain.sh                   Rust with the WebAssembly target, clippy, rustfmt; a C compiler
#   toolchain.sh apt PACKAGE...    Debian packages that another step needs
#
# rustup's Rust comes first. Where there is none, or it cannot download the target, Debian's packages
# are installed and the target's standard library is built from its source into .build/sysroot, so
# that nothing outside the project changes but the packages. Both forms take a moment when nothing is
# missing, so every build runs them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/.build
env_file=$build/toolchain.env
target=wasm32-unknown-unknown
cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin

say() { printf 'toolchain: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# --no-remove: a package that conflicts with something on this machine is an error, not a swap.
apt_install() {
  local missing=() package log=$build/apt.log
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing the Debian packages ${missing[*]}"
  mkdir -p "$build"
  if ! { as_root apt-get update &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install \
      -y --no-install-recommends --no-remove "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    return 1
  fi
}

has_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

# Rust 1.N of the rustc in a directory is at least the rust-version in Cargo.toml.
is_new_enough() {
  local have want
  have=$("$1/rustc" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  want=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' "$root/core-wasm/Cargo.toml")
  [ -n "$have" ] && [ "$have" -ge "$want" ]
}

# record DIRECTORY STD FLAG...: cargo's directory, where the target's std is, what rustc needs for it.
# The cargo directory goes to the end of PATH too: cargo would put it first where it is absent, and
# then find rustup's clippy for Debian's compiler.
record() {
  local directory=$1 std=$2
  shift 2
  mkdir -p "$build"
  {
    printf 'PATH=%q:$PATH:%q\n' "$directory" "$cargo_bin"
    printf 'KORU_RUSTC=%q\n' "$("$directory/rustc" --version --verbose)"
    printf 'KORU_STD=%q\n' "$std"
    printf 'KORU_RUSTFLAGS=('
    [ $# -eq 0 ] || printf ' %q' "$@"
    printf ' )\n'
  } >"$env_file.new"
  mv "$env_file.new" "$env_file"
}

recorded_is_current() (
  [ -f "$env_file" ] || return 1
  # shellcheck source=/dev/null
  . "$env_file"
  [ -d "$KORU_STD" ] && [ "$(rustc --version --verbose 2>/dev/null)" = "$KORU_RUSTC" ]
)

use_rustup() {
  local directory
  directory=$(dirname "$(command -v rustup || echo "$cargo_bin/rustup")")
  [ -x "$directory/rustup" ] || return 1
  if ! is_new_enough "$directory"; then
    say "rustup's Rust is missing or older than Cargo.toml asks for ('rustup update stable' helps)"
    return 1
  fi
  local targets components
  targets=$("$directory/rustup" target list --installed)
  components=$("$directory/rustup" component list --installed)
  case $targets in
  *$target*) ;;
  *)
    say "adding the target $target to rustup's Rust"
    "$directory/rustup" --quiet target add "$target" || return 1
    ;;
  esac
  case $components in
  *clippy*rustfmt*) ;;
  *)
    say "adding clippy and rustfmt to rustup's Rust"
    "$directory/rustup" --quiet component add clippy rustfmt || return 1
    ;;
  esac
  record "$directory" "$("$directory/rustc" --print target-libdir --target "$target")"
}

# Builds the standard library for the target, as cargo's -Zbuild-std does it, from a throw-away crate.
# RUSTC_BOOTSTRAP is for this step alone: the project itself uses nothing unstable.
build_sysroot() {
  local linker=$1 sysroot=$build/sysroot work=$build/sysroot-work
  local source=/usr/lib/rustlib/src/rust/library
  say "building the standard library for $target (about a minute, once)"
  rm -rf "$sysroot" "$work"
  mkdir -p "$work/src" "$work/.cargo" "$sysroot/lib/rustlib/$target/lib"
  cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "throw_away"
edition = "2021"
[workspace]
[profile.release]
panic = "abort"
TOML
  echo 'fn main() {}' >"$work/src/main.rs"
  cat >"$work/.cargo/config.toml" <<TOML
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "$source/vendor"
TOML
  if ! (
    cd "$work"
    unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
      RUSTFLAGS="-Clinker=$linker --remap-path-prefix=$source=library" \
      /usr/bin/cargo build --release --target "$target" -Zbuild-std=std,panic_abort --offline
  ) </dev/null >"$build/sysroot.log" 2>&1; then
    tail -n 20 "$build/sysroot.log" >&2
    return 1
  fi
  cp "$work/target/$target/release/deps"/*.rlib "$sysroot/lib/rustlib/$target/lib/"
  rm -rf "$work" "$sysroot/lib/rustlib/$target/lib"/libthrow_away*
}

use_debian() {
  has_apt || return 1
  apt_install rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web lld-22 libc6-dev || return 1
  is_new_enough /usr/bin || return 1
  build_sysroot wasm-ld-22 || return 1
  record /usr/bin "$build/sysroot/lib/rustlib/$target/lib" "--sysroot=$build/sysroot" -Clinker=wasm-ld-22
}

need_c_compiler() {
  command -v cc >/dev/null && return 0
  has_apt || die "a C compiler is missing: install one (on macOS: xcode-select --install)"
  apt_install gcc libc6-dev
}

if [ "${1:-}" = apt ]; then
  shift
  has_apt || die "this machine lacks what Debian calls $*: install it and run this again"
  apt_install "$@"
  exit
fi

recorded_is_current && exit
need_c_compiler
use_rustup || use_debian ||
  die "no usable Rust: install it from https://rustup.rs and run this again"
