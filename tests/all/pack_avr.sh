#!/bin/sh
# SPDX-License-Identifier: MIT
# The packed codec on an AVR (16-bit int, in simavr) writes the bytes and reads the values that it does on the PC.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
core="core/chunk.c core/pack.c core/pack_model.c core/unpack.c core/schema.c core/bytes.c core/crc32c.c"
# shellcheck disable=SC2086
${CC:-cc} -std=gnu99 -O1 tests/firmware/pack_avr.c $core -o "$work/pc" && "$work/pc" >"$work/pc.txt"
# shellcheck disable=SC2086
avr-gcc -mmcu=atmega1284p -std=gnu99 -Os tests/firmware/pack_avr.c $core -o "$work/avr.elf" &&
    timeout 60 simavr -m atmega1284p -f 16000000 "$work/avr.elf" >"$work/raw.txt" 2>&1
# simavr prints a coloured line with two dots behind each line of the UART, in place of its end.
plain() { sed 's/\x1b\[[0-9;]*m//g; s/\.*$//' "$1" | grep -aE '^(rows [0-9]+ bytes|[0-9a-f]+$|[0-9] [01] [0-9a-f]{16}|end$)' | sed 's/ *$//'; }
plain "$work/pc.txt" >"$work/pc"
plain "$work/raw.txt" >"$work/avr"
passed=0 failed=0
check() { # name, command...
    name=$1
    shift
    if "$@"; then echo "ok   $name"; passed=$((passed + 1)); else echo "FAIL $name"; failed=$((failed + 1)); fi
}
check "the PC reads back more than thirty rows" [ "$(grep -c '^5 0 ' "$work/pc")" -gt 30 ]
check "the AVR's chunk and values are the PC's" cmp "$work/pc" "$work/avr"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
