#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzz targets build and run with AFL++, too: one of them, for a few seconds.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
make -s "${B:-build}/fuzz/seed_schema" "${B:-build}/fuzz/fuzz_frame" >"$log" 2>&1 && FUZZER=afl sh tests/fuzz.sh 5 fuzz_frame >"$log" 2>&1
status=$?
cat "$log"
if [ "$status" -eq 0 ]; then
    echo "ok   AFL++ runs fuzz_frame"
    echo "1 passed, 0 failed"
else
    echo "FAIL AFL++ runs fuzz_frame"
    echo "0 passed, 1 failed"
    exit 1
fi
