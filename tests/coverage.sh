#!/bin/sh
# SPDX-License-Identifier: MIT
# Branches taken a file, by the unit and property tests, the simulation and the power cuts: a line `branch_coverage_FILE V percent` for
# each, and for core/ and host/ as a whole.
#
#     sh tests/coverage.sh [--only PATTERN] [BEGINNING ...]
#
# BEGINNING: the files alone whose path begins so (core/log, host/sql/), by the tests alone that include a header of core/ or host/ as
# they do, and the lines that hold a branch not taken. --only: the tests alone whose name holds the pattern of grep -E (test_csv). The
# long tests run in a short form, which takes the same branches, but for those of failing calls: each call fails. FULL=1 runs all whole. A branch that no test can take has a comment on
# its line: uncovered: and why; how many such lines there are is printed.
set -u
out=build/coverage
only=.
[ "${1:-}" = --only ] && only=$2 && shift 2
command -v gcov >/dev/null 2>&1 || {
    echo "coverage: gcov is missing; it comes with the package gcc"
    exit 1
}
mkdir -p "$out"
case "$*" in
*core*) tests=$(grep -L '"\(../\)*host/\|"../import_rig' tests/unit/test_*.c tests/property/*.c) ;;
esac
case "$*" in
*host* | '') tests=$(ls tests/unit/test_*.c tests/property/*.c) ;;
esac
case "$*" in
host*) tests="$tests tests/sim/sim.c" ;;
core*) tests="$tests tests/sim/powercut.c" ;;
*) tests="$tests tests/sim/powercut.c tests/sim/sim.c" ;;
esac
tests=$(echo "$tests" | tr ' ' '\n' | grep -E "$only" | sed "s|^|$out/|; s|\.c\$||")

# What is measured, in the libraries, taken into a test whole or in tern.h, is built as it is written; the rest of the tests may be fast. A child
# process writes its counts as it exits, and only then.
make=${MAKE:-make}
# The gateway's own program, its commands, and the clients of servers are taken by scripts: where a server is installed.
scripts= tools=
case "$*" in
*host* | '')
    scripts="tests/e2e/e2e_bad_input.sh tests/e2e/e2e_gateway.sh tests/e2e/e2e_occupancy.sh tests/e2e/e2e_store.sh tests/all/segments.sh"
    command -v pg_config >/dev/null 2>&1 && scripts="$scripts tests/all/postgres.sh"
    command -v mariadbd >/dev/null 2>&1 && scripts="$scripts tests/all/mariadb.sh"
    scripts=$(echo "$scripts" | tr ' ' '\n' | grep -E "$only")
    [ -z "$scripts" ] || tools=$(ls tests/e2e/*.c tests/servers/*.c | sed "s|^|$out/|; s|\.c\$||")
    ;;
esac
including=$(grep -l -E '#include "../../(core|host)/(.*\.c|tern\.h)"' tests/unit/*.c | sed "s|^|$out/|; s|c$|o|")
# shellcheck disable=SC2086
{
    $make -s -j2 B="$out" CC=gcc CFLAGS="-O0 -g --coverage" "$out/libtern.a" "$out/libtern_host.a" "$out/tern-gateway" "$out/tern-device" $including &&
        $make -s -j2 B="$out" CC=gcc CFLAGS="-O1 -g -D_exit=exit" LIBS="-pthread -ldl -lm --coverage" $tests $tools
} || exit 1
find "$out" -name '*.gcda' -delete

arguments() {
    [ -n "${FULL:-}" ] && return
    case $1 in
    */powercut) echo quick ;;
    */sim) echo --seeds 40 --jobs 1 ;;
    */import_random) echo 1 1 ;;
    */device_random) echo 1 100 ;;
    */dedup_random) echo 1 20000 ;;
    */pack_random) echo 1 100000 ;;
    esac
}
[ -n "${FULL:-}" ] || export FAIL_STRIDE="${FAIL_STRIDE:-1}" SERVER_STRIDE="${SERVER_STRIDE:-31}" KILLS=2 SCHEDULES=1
export BUILD="$out"
runs=$(mktemp)
trap 'rm -f "$runs"' EXIT
slow='fail_|import|powercut|sink_csv|server|bloom|keeper|replay|stage'
for test in $(echo "$tests" | grep -E "$slow") $(echo "$tests" | grep -v -E "$slow"); do
    echo "$test" "$(arguments "$test")"
done >"$runs"
for script in $scripts; do
    echo "sh $script"
done >>"$runs"
# Two at a time: the counts are files, and are added to under a lock.
xargs -P 2 -I '{}' sh -c 'log=$(mktemp)
    {} >"$log" 2>&1 </dev/null || { echo "coverage: {} failed"; tail -n 5 "$log"; rm -f "$log"; exit 1; }
    rm -f "$log"' <"$runs"
failed=$?
# One who works on a part wants its figures all the same.
[ "$failed" -eq 0 ] || [ $# -ne 0 ] || exit 1
python3 tests/coverage.py "$out" "$@" && [ "$failed" -eq 0 ]
