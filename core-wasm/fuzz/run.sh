#!/usr/bin/env bash
# Runs the fuzz targets, one after the other, in .build/fuzz; a finding stays there and is an error.
#
#   run.sh [RUNS [TARGET...]]     a million executions of each target, unless told otherwise
#
# libFuzzer with rustc's coverage, on a stable toolchain. Without AddressSanitizer, which needs the
# standard library built anew: natively the engine has no unsafe code that an input could reach, and
# in the module it is held by the sandbox. Overflows and debug assertions are checked.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fuzz=$root/core-wasm/fuzz
work=$root/.build/fuzz
runs=${1:-1000000}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(json filter replay query text abi)
native=$(rustc --version --verbose | sed -n 's/^host: //p')

command -v c++ >/dev/null || "$root/core-wasm/toolchain.sh" apt g++
mkdir -p "$work"
coverage=(
  -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing
)
echo "fuzz: building the targets (some minutes the first time)"
(
  cd "$fuzz"
  # A target by name keeps the coverage out of build scripts.
  CARGO_TARGET_DIR=$work/target CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && printf '%s' "${coverage[*]}") \
    cargo build --locked --quiet --release --target "$native"
)
for target in "${targets[@]}"; do
  mkdir -p "$work/corpus/$target"
  if ! "$work/target/$native/release/$target" "$work/corpus/$target" "$fuzz/seeds/$target" \
    -dict="$fuzz/words.dict" -runs="$runs" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$work/$target-" >"$work/$target.log" 2>&1; then
    grep -m 1 -A 3 panicked "$work/$target.log" >&2 || tail -n 20 "$work/$target.log" >&2
    echo "fuzz: $target found something: the input is named at the end of $work/$target.log" >&2
    exit 1
  fi
  awk -v target="$target" '
    /number_of_executed_units/ { runs = $2 }
    /average_exec_per_sec/ { speed = $2 }
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cover = $(i + 1) }
    END { printf "fuzz: %s: %d executions, %d a second, %d edges, nothing found\n", target, runs, speed, cover }
  ' "$work/$target.log"
done
