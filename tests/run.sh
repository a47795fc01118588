#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs tests (programs, or scripts ending in .sh), each of which closes with `N passed, N failed[, N skipped]`, and closes with the sum.
# UNDER="valgrind ..." runs the programs under it.
# A test that ends without that line, or with a status that does not agree with it, counts as a failure.
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for test in "$@"; do
    echo "== $test"
    case $test in
    *.sh) sh "$test" >"$log" 2>&1 ;;
    *) ${UNDER:-} "$test" >"$log" 2>&1 ;;
    esac
    status=$?
    grep -v -E '^[0-9]+ passed, [0-9]+ failed' "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
    # shellcheck disable=SC2086
    set_counts() { p=$1 f=$3 s=${5:-0}; }
    if [ -z "$line" ]; then
        echo "FAIL $test ended with status $status and no closing line"
        failed=$((failed + 1))
        continue
    fi
    set_counts $(echo "$line" | tr -d ,)
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        echo "FAIL $test ended with status $status"
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
if [ "$skipped" -ne 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -ne 0 ]
