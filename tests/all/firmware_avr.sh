#!/bin/sh
# SPDX-License-Identifier: MIT
# The AVR image in simavr, its log in EEPROM, over its UART to a gateway, into SQLite; the chip is reset at 50 random moments, which
# may tear the byte being written; the first ten before it has a link, so that the log is full when it first meets the gateway. Every committed row is there, once. SEED=N repeats the moments as far as time allows.
. tests/e2e/common.sh
. tests/firmware/common.sh

mcu=${MCU:-atmega328p}
rows=1000
image=${IMAGE_FOLDER:-$BUILD/firmware}/test/avr.elf
runner=$BUILD/tests/firmware/avr_run
mkdir -p "$(dirname "$runner")"
mkdir -p "$(dirname "$image")"
make -s -C port/avr MCU="$mcu" OUT="$(realpath "$(dirname "$image")")" DEFINES="-DPERIOD_MS=10 -DREADINGS=$rows" >"$WORK/make.log" 2>&1 || cat "$WORK/make.log"
"${CC:-cc}" -O2 -g -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror tests/firmware/avr_run.c -o "$runner" -lsimavr -lelf || exit 1

address() { # symbol
    avr-nm "$image" | awk -v symbol="$1" '$3 == symbol { print $1 }'
}

drive() { # as tests/firmware/drive.py
    exec "$runner" "$2" "$mcu" "$3" "$4" "$5" "$6" "$(address kept)" "$(address recorded)" "$(address _end)"
}

run_firmware avr "$image" $rows climate drive
check_query "$rows rows, each number once" "$rows,$rows,0,$((rows - 1))" "SELECT count(*), count(DISTINCT number), min(number), max(number) FROM climate"
check_query "every value is what the firmware measured" 0 "SELECT count(*) FROM (SELECT celsius, (number * 2654435761) & 4294967295 AS noise FROM climate)
    WHERE round(celsius * 100) <> 1800 + (noise >> 22)"
check_query "no gap is reported" 0 "SELECT count(*) FROM tern_gap"
[ "$failed" -eq 0 ] || { echo "repeat with SEED=$SEED; the gateway's log ends:"; tail -n 20 "$WORK/gateway.log"; }
report
