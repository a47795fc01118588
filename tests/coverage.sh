#!/bin/sh
# SPDX-License-Identifier: MIT
# Branches taken a file, by the unit and property tests, the simulation and the power cuts: a line `branch_coverage_FILE V percent` for each.
# `coverage.sh BEGINNING...` looks at the files alone whose path begins so (core/log, host/sql/), runs the tests alone that include a
# header of core/ or host/ as they do, and prints the lines that hold a branch not taken. The long tests run in a short form, which takes
# the same branches; FULL=1 runs them whole.
set -u
out=build/coverage
command -v gcovr >/dev/null 2>&1 || {
    echo "coverage: gcovr is missing; install the package gcovr"
    exit 1
}
mkdir -p "$out"
find "$out" -name '*.gcda' -delete
case "$*" in
*host*) tests=$(ls tests/unit/test_*.c tests/property/*.c) ;;
*core*) tests=$(grep -L '"\(../\)*host/\|"../import_rig' tests/unit/test_*.c tests/property/*.c) ;;
*) tests=$(ls tests/unit/test_*.c tests/property/*.c) ;;
esac
tests=$(echo "$tests" | sed "s|^|$out/|; s|\.c\$||")
case "$*" in
host*) ;;
core*) tests="$tests $out/tests/sim/powercut" ;;
*) tests="$tests $out/tests/sim/powercut $out/tests/sim/sim" ;;
esac
# shellcheck disable=SC2086
make -s B="$out" CC=gcc CFLAGS="-O0 -g --coverage" $tests || exit 1

arguments() {
    [ -n "${FULL:-}" ] && return
    case $1 in
    */powercut) echo quick ;;
    */sim) echo --seeds 40 --jobs 2 ;;
    */device_random) echo 1 100 ;;
    esac
}
for test in $tests; do
    # shellcheck disable=SC2046
    "$test" $(arguments "$test") >"$out/log" 2>&1 || {
        echo "coverage: $test failed"
        tail -n 5 "$out/log"
        [ -n "$*" ] || exit 1
    }
done
filters=$(for file in "${@:-core/ host/}"; do echo "$file" | sed 's/[^ ][^ ]*/--filter &/g'; done)
report() {
    # shellcheck disable=SC2086
    gcovr --root . --object-directory "$out" $filters --branches --exclude-throw-branches "$@" 2>/dev/null
}
report --csv |
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { total = $column["branch_total"]; if (total > 0) printf "branch_coverage_%s %.1f percent\n", $column["filename"], 100 * $column["branch_covered"] / total }'
[ $# -eq 0 ] || report --txt | awk '$4 != "100%" && /%/ && !/^TOTAL/ { print "not taken in " $1 ", lines " $5 }'
