#!/bin/sh
# SPDX-License-Identifier: MIT
# The glue for Zephyr, ESP-IDF, FreeRTOS and Arduino compiles against what those systems document (declared in tests/glue), with both
# compilers, and runs.
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"

try() { # sentence, command...
    sentence=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok   $sentence"
    else
        failed=$((failed + 1))
        echo "FAIL $sentence"
    fi
}

for cc in gcc clang; do
    for source in port/zephyr/tern_zephyr.c port/esp-idf/tern/tern_esp.c port/freertos/tern_freertos.c; do
        system=$(echo "$source" | cut -d/ -f2)
        # shellcheck disable=SC2086
        try "$source compiles with $cc" "$cc" -std=gnu11 $warnings -Wconversion -Itests/glue/$system -Icore -c "$source" -o "$work/object.o"
    done
done
for cxx in g++ clang++; do
    # shellcheck disable=SC2086
    try "port/arduino compiles with $cxx as C++11" "$cxx" -std=c++11 $warnings -Itests/glue/arduino -Iport/arduino/src -Icore -c port/arduino/src/TernDevice.cpp -o "$work/object.o"
done

mkdir "$work/core"
for source in core/*.c tests/nor.c; do
    gcc -std=gnu11 -O1 -c "$source" -o "$work/core/$(basename "$source").o" || exit 1
done
# shellcheck disable=SC2086
try "the FreeRTOS task links" gcc -std=gnu11 $warnings -Itests/glue/freertos -Icore tests/glue/freertos/run.c port/freertos/tern_freertos.c "$work"/core/*.o -o "$work/freertos"
try "the FreeRTOS task commits what the queue brings" "$work/freertos"
# shellcheck disable=SC2086
try "the Arduino sketch links" g++ -std=c++11 $warnings -Itests/glue/arduino -Iport/arduino/src -Icore tests/glue/arduino/run.cpp port/arduino/src/TernDevice.cpp "$work"/core/*.o -o "$work/arduino"
try "the Arduino sketch counts on after a reset" "$work/arduino"
# shellcheck disable=SC2086
try "the Zephyr module links" gcc -std=gnu11 $warnings -Itests/glue/zephyr -Icore tests/glue/zephyr/run.c port/zephyr/tern_zephyr.c port/port_check.c -o "$work/zephyr"
try "the Zephyr module passes the self-test, and refuses what it cannot serve" "$work/zephyr"
# shellcheck disable=SC2086
try "the ESP-IDF component links" gcc -std=gnu11 $warnings -Itests/glue/esp-idf -Icore tests/glue/esp-idf/run.c port/esp-idf/tern/tern_esp.c port/port_check.c -o "$work/esp"
try "the ESP-IDF component passes the self-test, and refuses what it cannot serve" "$work/esp"
# Debian's package is for Debian's python3, which need not be the first in PATH.
try "what the README says turns the Zephyr module on, all of it is needed" /usr/bin/python3 tests/glue/zephyr/kconfig.py
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
