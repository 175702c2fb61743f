#!/usr/bin/env bash
# Fuzzes one target: fuzz/run.sh TARGET SECONDS. New inputs go to fuzz/target/corpus/TARGET, which
# is not kept; what makes the target fail is written to fuzz/corpus/TARGET, where the tests replay it.
# With `merge` for SECONDS, what was found is boiled down to the inputs that reach new code.
# Stable Rust: the flags are what nightly's -Zsanitizer would set, without a sanitizer.
set -euo pipefail
cd "$(dirname "$0")"
target="${1:?a target, such as scan: see tests/fuzz-targets/src/lib.rs}"
seconds="${2:?for how many seconds, or merge}"

export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1"
host="$(rustc -vV | sed -n 's/^host: //p')"
cargo build --release --target "$host"

export TAILGATE_FUZZ_TARGET="$target"
binary="target/$host/release/tailgate-fuzz"
found="target/corpus/$target"
mkdir -p "$found" "corpus/$target"
limits=(-max_len=4096 -timeout=20 -rss_limit_mb=1024)
if [ "$seconds" = merge ]; then
    exec "$binary" "${limits[@]}" -merge=1 "corpus/$target" "$found"
fi
exec nice "$binary" "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="corpus/$target/" "$found" "corpus/$target"
