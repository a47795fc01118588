#!/bin/sh
# SPDX-License-Identifier: MIT
# Each fuzz target for so many seconds with libFuzzer, or with AFL++ where FUZZER=afl: from seeds that the project's own encoders make. Prints
# executions a second a target. An input that breaks something is kept under fuzz/regressions/, and replayed by every run before.
seconds=${1:-60}
out=${B:-build}/${FUZZER:-libfuzzer}
mkdir -p "$out" fuzz/regressions
passed=0 failed=0
host=$(ls host/*.c host/sql/*.c | grep -v -E 'host/(gateway|cmd).*\.c')
core=$(ls core/*.c)
fast=$(ls core/*.c | grep -v crc32c) # the host has a faster CRC of its own

# Seeds of the target, in a folder.
seed() { # name, folder
    source=fuzz/seed_${1#fuzz_}.c
    case $1 in fuzz_csv | fuzz_chunk | fuzz_frame) source=fuzz/seed_schema.c ;; esac
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O1 "$source" tests/nor.c $core -o "$out/seed_$1" && "$out/seed_$1" "$2"
}

build() { # name: the target with its sanitizers
    sources=$core
    [ "$1" = fuzz_peer ] && sources="$fast $host"
    if [ "${FUZZER:-libfuzzer}" = afl ]; then
        # shellcheck disable=SC2086
        AFL_QUIET=1 AFL_USE_ASAN=1 afl-clang-fast -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer "fuzz/$1.c" $sources -pthread -ldl -lm -o "$out/$1"
    else
        # shellcheck disable=SC2086
        clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined "fuzz/$1.c" $sources -pthread -ldl -lm -o "$out/$1"
    fi
}

run_afl() { # name
    AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
        timeout $((seconds + 30)) afl-fuzz -V "$seconds" -i "$out/corpus/$1" -o "$out/found/$1" "$out/$1" >"$out/$1.log" 2>&1
    stats=$out/found/$1/default/fuzzer_stats
    awk -v name="$1" '/^execs_per_sec/ { printf "%s %d executions/s\n", name, $3 }' "$stats"
    for crash in "$out/found/$1"/default/crashes/id*; do
        [ -e "$crash" ] && cp "$crash" "fuzz/regressions/$1-$(basename "$crash" | tr -c 'a-zA-Z0-9\n' _)"
    done
    [ "$(awk '/^saved_crashes/ { print $3 }' "$stats")" = 0 ]
}

run_libfuzzer() { # name
    "$out/$1" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="fuzz/regressions/$1-" "$out/corpus/$1" >"$out/$1.log" 2>&1 || return 1
    awk -v name="$1" '/average_exec_per_sec/ { printf "%s %d executions/s\n", name, $2 }' "$out/$1.log"
}

for source in fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    mkdir -p "$out/corpus/$name"
    if build "$name" && seed "$name" "$out/corpus/$name" && { [ -z "$(ls fuzz/regressions/"$name"-* 2>/dev/null)" ] ||
        "$out/$name" fuzz/regressions/"$name"-* >"$out/$name.log" 2>&1; } && "run_${FUZZER:-libfuzzer}" "$name"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 30 "$out/$name.log" 2>/dev/null
    fi
done
rmdir fuzz/regressions 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
