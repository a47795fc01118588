#!/bin/sh
# SPDX-License-Identifier: MIT
# The simulation: 1,000 runs with every fault, and each promise broken on purpose, which must be noticed within 1,000 runs.
sim=build/tests/sim/sim
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0
check() { # name, status
    if [ "$2" -eq 0 ]; then
        echo "ok   $1"
        passed=$((passed + 1))
    else
        echo "FAIL $1"
        cat "$log"
        failed=$((failed + 1))
    fi
}

"$sim" --seeds 1000 --jobs 2 >"$log" 2>&1
grep count "$log"
violations=$(awk '/^violations/ { print $2 }' "$log")
[ "${violations:-1000}" -eq 0 ]
check "none of 1,000 runs of the simulation breaks a promise" $?
broken() { # promise, what the oracle says
    ! "$sim" --seeds 1000 --first --jobs 2 --break "$1" >"$log" 2>&1 && grep -qE "^seed [0-9]+: $2" "$log"
    status=$?
    grep -E "^seed" "$log" | head -n 1
    check "the simulation notices $1 within 1,000 runs" $status
}
broken ack-before-fsync '(gateway [0-9] cannot recover|gateway [0-9] acknowledged|it does not settle)'
broken checkpoint-outside 'record [0-9]+ arrives twice'
broken bloom-decides '(batch [0-9]+ is there without|.* is lost, without a gap)'
broken erase-before-ack '.* in a gap that nothing excuses'
broken no-version-guard 'older data overwrites newer'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
