#!/bin/sh
# SPDX-License-Identifier: MIT
# The property tests in a short form: for builds and tools that make them slow. UNDER="valgrind ..." runs them under it, shorter still, and
# without the importer's, which kills 200 processes, and dedup's, which fills filters first: a minute each there; both run with the sanitizers.
set -u
build=${BUILD:-build}/tests/property
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
set -- "import_random 1 1" "device_random 1 30" "dedup_random 1 1500" "pack_random 1 8000" "stage_random 1 100"
[ -z "${UNDER:-}" ] || set -- "device_random 1 15" "pack_random 1 3000" "stage_random 1 50"
for test in "$@"; do
    # shellcheck disable=SC2086
    if ${UNDER:-} "$build"/$test >"$log" 2>&1; then
        echo "ok   $test"
        passed=$((passed + 1))
    else
        echo "FAIL $test"
        tail -n 30 "$log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
