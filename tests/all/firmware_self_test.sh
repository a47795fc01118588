#!/bin/sh
# SPDX-License-Identifier: MIT
# The three bare-metal ports pass the self-test that a porter runs, in their emulators, the UART's two wires joined.
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

run() { # target
    case $1 in
    avr)
        "${CC:-cc}" -O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror tests/firmware/avr_run.c -o "$work/avr_run" -lsimavr -lelf &&
            "$work/avr_run" "$work/avr.elf" atmega328p "$(address finished 0)" "$(address fault 0)" "$(address report 8)"
        ;;
    *) python3 tests/firmware/self_test.py "$1" "$work/$1.elf" "$work/flash" ;;
    esac
}

address() { # symbol, offset
    at=$(avr-nm "$work/avr.elf" | awk -v symbol="$1" '$3 == symbol { print $1 }')
    printf '%x' $((0x$at + $2))
}

for target in microbit riscv avr; do
    if make -s -C "port/$target" MAIN="../../tests/firmware/self_test.c -I. ../port_check.c" OUT="$work" >"$work/make.log" 2>&1 && run "$target"; then
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
