#!/bin/sh
# SPDX-License-Identifier: MIT
# The core's unit tests on a big-endian machine (PowerPC under qemu-user), with the same golden bytes. Tests that need the host
# side are left out: it runs on Linux, and is not what a big-endian microcontroller links.
CC=powerpc-linux-gnu-gcc
out=${B:-build}/big-endian
passed=0 failed=0
mkdir -p "$out"

uses_host() { # source
    "$CC" -MM "$1" | grep -q ' host/\|/host/\|port/posix'
}

objects=
for source in core/*.c port/port_check.c tests/*.c; do
    uses_host "$source" && continue
    object=$out/$(echo "$source" | tr / _).o
    "$CC" -std=gnu11 -O2 -g -Wall -Wextra -c "$source" -o "$object" || exit 1
    objects="$objects $object"
done

for test in tests/unit/test_*.c; do
    uses_host "$test" && continue
    name=$(basename "$test" .c)
    # shellcheck disable=SC2086
    if ! "$CC" -std=gnu11 -D_GNU_SOURCE -O2 -g "$test" $objects -static -lm -o "$out/$name" 2>"$out/$name.log"; then
        tail -n 5 "$out/$name.log"
        echo "FAIL $name does not link"
        failed=$((failed + 1))
        continue
    fi
    qemu-ppc "$out/$name" >"$out/$name.log" 2>&1
    status=$?
    grep -v '^ok ' "$out/$name.log" | grep -v -E '^[0-9]+ passed, 0 failed$' | sed "s/^/$name: /"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$out/$name.log" | tail -n 1)
    if [ -z "$line" ] || [ "$status" -ne 0 ]; then
        echo "FAIL $name ended with status $status"
        failed=$((failed + 1))
    else
        echo "ok   $name: $line"
        passed=$((passed + ${line%% *}))
    fi
done

# The machine is what it is said to be, or the run shows nothing.
printf '#include <stdint.h>\nint main(void) { uint16_t one = 1; return *(uint8_t *)&one; }\n' >"$out/probe.c"
"$CC" -static "$out/probe.c" -o "$out/probe" && qemu-ppc "$out/probe" || { echo "FAIL the machine is not big-endian"; failed=$((failed + 1)); }
[ -x "$out/test_golden" ] || { echo "FAIL the golden bytes were not among the tests"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
