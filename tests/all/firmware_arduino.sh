#!/bin/sh
# SPDX-License-Identifier: MIT
# The Arduino library that `make dist` writes, and its example, built with Arduino's own core for an ATmega2560 and run in simavr, over its UART
# to a gateway, into SQLite; the chip is reset at 20 random moments. Every committed row is there, once,
# or in a reported gap. SEED=N repeats the moments
# as far as time allows.
CUTS=${CUTS:-20}
. tests/e2e/common.sh
. tests/firmware/common.sh

rows=100
mcu=atmega2560
arduino=${ARDUINO:-/usr/share/arduino/hardware/arduino/avr}
library=$WORK/dist/arduino/tern
objects=$WORK/objects
image=$WORK/arduino.elf
runner=$WORK/avr_run
mkdir -p "$objects"

build() { # the options of Arduino's platform.txt; its core's own warnings are not ours
    flags="-mmcu=$mcu -DF_CPU=16000000L -DARDUINO=10819 -DARDUINO_AVR_MEGA2560 -DARDUINO_ARCH_AVR -g -Os -ffunction-sections -fdata-sections"
    flags="$flags -I$arduino/cores/arduino -I$arduino/variants/mega -I$arduino/libraries/EEPROM/src -I$library/src -I$library"
    cxx="-std=gnu++11 -fpermissive -fno-exceptions -fno-threadsafe-statics"
    for source in "$arduino"/cores/arduino/*.c "$arduino"/cores/arduino/*.cpp; do
        object=$objects/$(basename "$source").o
        # shellcheck disable=SC2086
        case $source in
        */WString.cpp) ;; # does not compile with Debian's avr-gcc, and is not called
        *.c) avr-gcc $flags -std=gnu11 -w -c "$source" -o "$object" || return 1 ;;
        *) avr-g++ $flags $cxx -w -c "$source" -o "$object" || return 1 ;;
        esac
    done
    # shellcheck disable=SC2086
    avr-gcc $flags -std=gnu11 -Wall -Wextra -Werror -c "$library/src/tern.c" -o "$objects/tern.o" &&
        avr-g++ $flags $cxx -Wall -Wextra -Werror -c "$library/src/TernDevice.cpp" -o "$objects/device.o" &&
        avr-g++ $flags $cxx -Wall -Wextra -Werror -c tests/firmware/arduino.cpp -o "$objects/sketch.o" &&
        avr-gcc -mmcu=$mcu -Os -Wl,--gc-sections "$objects"/*.o -lm -o "$image" && avr-size "$image"
}

address() { # symbol
    avr-nm "$image" | awk -v symbol="$1" '$3 == symbol { print $1 }'
}

drive() { # as tests/firmware/drive.py
    exec "$runner" "$2" "$mcu" "$3" "$4" "$5" "$6" "$(address kept)" "$(address recorded)" "$(address _end)"
}

[ -d "$arduino" ] || echo "$arduino is missing: .ci/run installs the package arduino-core-avr"
python3 tests/dist/dist.py "$WORK/dist"
for field in name version author maintainer sentence paragraph category architectures includes; do
    grep -q "^$field=." "$library/library.properties" || echo "$field"
done >"$WORK/fields"
check "library.properties has the fields that Arduino's tools ask for" test ! -s "$WORK/fields"
build >"$WORK/build.log" 2>&1
status=$?
[ "$status" -eq 0 ] && tail -n 1 "$WORK/build.log" | awk '{ print "     text " $1 ", data " $2 ", bss " $3 }' || cat "$WORK/build.log"
check "the library and its example build with Arduino's core" test "$status" -eq 0
"${CC:-cc}" -O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror tests/firmware/avr_run.c -o "$runner" -lsimavr -lelf || exit 1
run_firmware arduino "$image" $rows readings drive
check_query "each number is there once" "1,1,0" "SELECT count(*) >= $rows, count(*) = count(DISTINCT number), min(number) FROM readings"
# The example drops the oldest readings when the EEPROM is full, which a slow machine may bring about.
check_query "each number is a row, or in a gap that is reported" 1 "SELECT max(number) + 1 = count(*) + (SELECT coalesce(sum(last - first + 1), 0) FROM tern_gap) FROM readings"
[ "$failed" -eq 0 ] || { echo "repeat with SEED=$SEED; the gateway's log ends:"; tail -n 20 "$WORK/gateway.log"; }
report
