#!/bin/sh
# SPDX-License-Identifier: MIT
# The ports to micro:bit and RISC-V pass the self-test that a porter runs, in their emulators.
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for target in microbit riscv; do
    if make -s -C "port/$target" MAIN="../../tests/firmware/self_test.c -I. ../port_check.c" OUT="$work" >"$work/make.log" 2>&1 &&
        python3 tests/firmware/self_test.py "$target" "$work/$target.elf" "$work/flash"; then
        passed=$((passed + 1))
        echo "ok   port/$target passes the self-test"
    else
        failed=$((failed + 1))
        cat "$work/make.log"
        echo "FAIL port/$target passes the self-test"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
