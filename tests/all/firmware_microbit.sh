#!/bin/sh
# SPDX-License-Identifier: MIT
# The micro:bit's image in QEMU, over its UART to a gateway, into SQLite; the chip is reset at 50 random moments. Every committed row is
# there, once. BOARDS=DIR takes another copy of port/. SEED=N repeats the moments as far as time allows.
. tests/e2e/common.sh
. tests/firmware/common.sh

rows=1500
image=${IMAGE_FOLDER:-$BUILD/firmware}/test/microbit.elf
mkdir -p "$(dirname "$image")"
make -s -C "${BOARDS:-port}/microbit" OUT="$(realpath "$(dirname "$image")")" DEFINES="-DPERIOD_MS=10 -DREADINGS=$rows" >"$WORK/make.log" 2>&1 || cat "$WORK/make.log"
run_firmware microbit "$image" $rows climate python3 tests/firmware/drive.py
check_query "$rows rows, each number once" "$rows,$rows,0,$((rows - 1))" "SELECT count(*), count(DISTINCT number), min(number), max(number) FROM climate"
check_query "every value is what the firmware measured" 0 "SELECT count(*) FROM (SELECT celsius, light, (number * 2654435761) & 4294967295 AS noise FROM climate)
    WHERE round(celsius * 100) <> 1800 + (noise >> 22) OR light IS NOT CASE WHEN noise & 65536 THEN noise & 65535 END"
check_query "no gap is reported" 0 "SELECT count(*) FROM tern_gap"
[ "$failed" -eq 0 ] || { echo "repeat with SEED=$SEED; the gateway's log ends:"; tail -n 20 "$WORK/gateway.log"; }
report
