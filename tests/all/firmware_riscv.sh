#!/bin/sh
# SPDX-License-Identifier: MIT
# The RISC-V image in QEMU, its log in the machine's NOR flash, over its UART to a gateway, into SQLite; the emulator is killed at 50
# random moments and started again with the same flash file. Every committed row is there, once. SEED=N repeats the moments as far
# as time allows.
. tests/e2e/common.sh
. tests/firmware/common.sh

rows=8000
image=${IMAGE_FOLDER:-$BUILD/firmware}/test/riscv.elf
mkdir -p "$(dirname "$image")"
make -s -C port/riscv OUT="$(realpath "$(dirname "$image")")" DEFINES="-DPERIOD_MS=20 -DEVENTS=$rows" >"$WORK/make.log" 2>&1 || cat "$WORK/make.log"
run_firmware riscv "$image" $rows events python3 tests/firmware/drive.py
check_query "$rows rows, each number once" "$rows,$rows,0,$((rows - 1))" "SELECT count(*), count(DISTINCT number), min(number), max(number) FROM events"
check_query "every level is what the firmware recorded" 0 "SELECT count(*) FROM events WHERE level <> (number & 7) - 4"
"$TOOLS/dbdump" "$WORK/x.db" "SELECT number, message FROM events ORDER BY number" >"$WORK/messages" 2>&1
check "every message is what the firmware recorded" python3 -c '
import sys
count = 0
for line in open(sys.argv[1]):
    number, message = line.rstrip("\n").split(",")
    noise, text = int(number), ""
    for _ in range(112):
        noise = (noise * 1664525 + 1013904223) & 0xFFFFFFFF
        text += "%x" % (noise >> 28)
    assert text == message.strip("\""), number
    count += 1
assert count == int(sys.argv[2]), count
' "$WORK/messages" "$rows"
check_query "no gap is reported" 0 "SELECT count(*) FROM tern_gap"
[ "$failed" -eq 0 ] || { echo "repeat with SEED=$SEED; the gateway's log ends:"; tail -n 20 "$WORK/gateway.log"; }
report
