#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything: what `make check` runs, the freestanding builds, sanitizers, both compilers, layout, property tests, power cuts, fuzz
# smoke. A tool that is missing is a failure here. Closes with the sum of all counts.
passed=0 failed=0 skipped=0
make=${MAKE:-make}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

add() { # counts of a closing line
    passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + ${5:-0}))
}

step() { # name, command...: closes with counts of its own, or is one test
    name=$1
    shift
    echo "==== $name"
    start=$(date +%s)
    "$@" >"$log" 2>&1
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
    grep -v -E '^[0-9]+ passed, [0-9]+ failed' "$log" | if [ "$status" -eq 0 ]; then grep -v '^make\|^cc \|^clang \|^gcc \|^ar '; else cat; fi
    if [ -n "$line" ]; then
        # shellcheck disable=SC2046
        add $(echo "$line" | tr -d ,)
        [ "$status" -eq 0 ] || echo "$line" | grep -q ' 0 failed' && [ "$status" -ne 0 ] && failed=$((failed + 1))
    elif [ "$status" -eq 0 ]; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name (status $status)"
        failed=$((failed + 1))
    fi
    echo "---- $name: $(($(date +%s) - start)) s"
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 && continue
        echo "FAIL $tool is missing: .ci/run installs it"
        failed=$((failed + 1))
    done
}

need gcc clang clang-format clang-tidy cppcheck valgrind arm-none-eabi-gcc riscv64-unknown-elf-gcc avr-gcc simavr python3 qemu-system-arm qemu-system-riscv32 qemu-ppc powerpc-linux-gnu-gcc
need gzip zstd afl-fuzz
export TERN_NO_SKIP=1

# CI has just run it.
if [ -n "${CHECK_LOG:-}" ]; then
    step "check" cat "$CHECK_LOG"
else
    step "check" $make -s check
fi
step "freestanding" sh tests/freestanding.sh
step "clang builds it without a warning" $make -s -j2 B=build/clang CC=clang all tests
step "layout" $make -s format-check
step "lint" sh tests/lint.sh
step "sanitizers" $make -s -j2 sanitize
step "threads" $make -s -j2 threads
step "memory" $make -s memcheck
# Two at a time; most wait for a server or an emulator.
# shellcheck disable=SC2046
step "property tests" sh tests/run.sh $(find build/tests/property -type f -perm -u+x | sort)
step "power cuts" $make -s powercut
step "scripts" sh tests/run.sh tests/all/[t-z]*.sh tests/all/[a-s]*.sh
step "fuzz smoke" $make -s fuzz SECONDS=5
step "size" python3 tests/size/size.py
step "demo" $make -s demo
if [ "$skipped" -ne 0 ]; then
    echo "FAIL $skipped tests were skipped; nothing may be skipped here"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
