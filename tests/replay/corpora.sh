#!/bin/sh
# SPDX-License-Identifier: MIT
# Each fuzz target without a fuzzer: the seeds that the project's own encoders make, changed in a few hundred ways each, and every input that
# ever broke something (fuzz/regressions).
set -u
out=${BUILD:-${B:-build}}/fuzz
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    seed=$out/seed_${name#fuzz_}
    [ -x "$seed" ] || seed=$out/seed_schema
    mkdir "$work/$name"
    if "$seed" "$work/$name" "$name" && [ -n "$(ls "$work/$name")" ] &&
        "$out/$name" --changes "${CHANGES:-300}" "$work/$name"/* $(ls fuzz/regressions/"$name"-* 2>/dev/null) >"$work/log" 2>&1; then
        echo "ok   $name: $(cat "$work/log")"
        passed=$((passed + 1))
    else
        echo "FAIL $name"
        tail -n 5 "$work/log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
