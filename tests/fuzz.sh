#!/bin/sh
# SPDX-License-Identifier: MIT
# Each fuzz target for so many seconds with libFuzzer, or with AFL++ where FUZZER=afl, two at a time: from seeds that the project's own
# encoders make. Prints executions a second a target. An input that breaks something is kept under fuzz/regressions/, and replayed by every run
# before, and by make check. Usage: fuzz.sh [SECONDS [TARGET]]
seconds=${1:-60}
fuzzer=${FUZZER:-libfuzzer}
build=${B:-build}
out=$build/$fuzzer

case $fuzzer in
afl) cc=afl-clang-fast flags='-g -O1' ;;
*) cc=clang flags='-g -O1 -fsanitize=fuzzer-no-link,address,undefined' ;;
esac
export AFL_QUIET=1 AFL_USE_ASAN=1

# The libraries with sanitizers, once for all targets.
libraries() {
    make -s -j2 B="$out" CC=$cc CFLAGS="$flags" "$out/libtern.a" "$out/libtern_host.a"
}

build() { # name
    # shellcheck disable=SC2086
    $cc -std=gnu11 -D_GNU_SOURCE $flags -fsanitize=fuzzer "fuzz/$1.c" "$out/libtern_host.a" -pthread -ldl -lm -o "$out/$1"
}

seed() { # name: the encoders' inputs into the corpus
    seed=$build/fuzz/seed_${1#fuzz_}
    [ -x "$seed" ] || seed=$build/fuzz/seed_schema
    mkdir -p "$out/corpus/$1" && "$seed" "$out/corpus/$1" "$1"
}

replay() { # name: what once broke it
    [ -z "$(ls fuzz/regressions/"$1"-* 2>/dev/null)" ] || "$out/$1" fuzz/regressions/"$1"-* >"$out/$1.log" 2>&1
}

run_afl() { # name
    AFL_SKIP_CPUFREQ=1 AFL_AUTORESUME=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 \
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

mkdir -p "$out/found" fuzz/regressions
if [ $# -gt 1 ]; then
    { [ -n "${LIBRARIES:-}" ] || libraries; } && build "$2" && seed "$2" && replay "$2" && "run_$fuzzer" "$2" && exit 0
    echo "FAIL $2"
    tail -n 30 "$out/$2.log" 2>/dev/null
    exit 1
fi
libraries || exit 1
export LIBRARIES=built
targets=$(ls fuzz/fuzz_*.c | xargs -n 1 basename -s .c)
echo "$targets" | xargs -P 2 -I {} sh "$0" "$seconds" {} | tee "$out/lines"
rmdir fuzz/regressions 2>/dev/null
passed=$(grep -c 'executions/s$' "$out/lines") failed=$(($(echo "$targets" | wc -l) - $(grep -c 'executions/s$' "$out/lines")))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
