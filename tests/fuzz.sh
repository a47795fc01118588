#!/bin/sh
# SPDX-License-Identifier: MIT
# Each fuzz target with libFuzzer for so many seconds; a crash is kept under fuzz/regressions/.
seconds=${1:-60}
out=${B:-build}/libfuzzer
mkdir -p "$out"
passed=0 failed=0
for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    corpus=fuzz/corpus/$name
    mkdir -p "$out/corpus/$name" "$corpus" fuzz/regressions
    # shellcheck disable=SC2046
    clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined "$source" core/*.c -o "$out/$name" || { failed=$((failed + 1)); continue; }
    seed=fuzz/seed_${name#fuzz_}.c
    if [ -e "$seed" ]; then
        ${CC:-cc} -std=gnu11 -O1 "$seed" core/*.c -o "$out/seed_$name" && "$out/seed_$name" "$out/corpus/$name" || { failed=$((failed + 1)); continue; }
    fi
    if "$out/$name" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="fuzz/regressions/$name-" "$out/corpus/$name" "$corpus" \
        >"$out/$name.log" 2>&1; then
        passed=$((passed + 1))
        awk -v name="$name" '/number_of_executed_units/ { units = $2 } /average_exec_per_sec/ { printf "%s %d executions/s\n", name, $2 }' "$out/$name.log"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 30 "$out/$name.log"
    fi
done
rmdir fuzz/corpus/* fuzz/corpus fuzz/regressions 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
