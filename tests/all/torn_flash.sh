#!/bin/sh
# SPDX-License-Identifier: MIT
# A PC's power cut, played on the flash file: tern-device is killed while it fills its flash, the last program is torn, and
# it goes on with a gateway. No commit before the last is gone from the flash, and every row of the file is in the table once. SEED=N repeats a run.
. tests/e2e/common.sh

SEED=${SEED:-$(date +%s)}
TEARS=${TEARS:-12}
echo "seed $SEED"
"$TOOLS/sensors" 20000 3 >"$WORK/rows.csv"
tail -n +2 "$WORK/rows.csv" | wc -l | tr -d ' ' >"$WORK/count"

tear() { # flash file, seed: the last programmed bytes, all of the last commit, become erased, or noise
    python3 - "$1" "$2" <<'PYTHON'
import random, sys
path, seed = sys.argv[1], int(sys.argv[2])
random.seed(seed)
data = bytearray(open(path, "rb").read())
end = len(data.rstrip(b"\xff"))
ahead = end // 65536 * 65536
if end - ahead <= 64:  # the head of the sector that is made ready; the newest commit is in the one before
    end = len(data[:ahead].rstrip(b"\xff"))
cut = max(0, end - random.randrange(1, 60))
for at in range(cut, end):
    data[at] = 0xFF if seed % 2 else data[at] | random.randrange(256)
open(path, "r+b").write(data)
PYTHON
}

# The rows that a copy of the flash still has after a start.
rows_kept() { # flash file
    rm -f "$WORK/copy.flash" "$WORK/copy.flash.job"
    cp "$1" "$WORK/copy.flash"
    cp "$1.job" "$WORK/copy.flash.job"
    bounded 60 "$BUILD/tern-device" --wait 1 --connect tcp://127.0.0.1:1 --id copy --flash "$WORK/copy.flash" --table torn --key at --commit 7 \
        --sectors 64 "$WORK/rows.csv" 2>&1 | sed -n 's/.*goes on behind row //p' | head -n 1
}

start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" || exit 1
torn=0
for i in $(seq "$TEARS"); do
    flash=$WORK/torn$i.flash
    "$BUILD/tern-device" --connect tcp://127.0.0.1:1 --id "torn$i" --flash "$flash" --table torn --key at --commit 7 --sectors 64 --sync --quiet \
        "$WORK/rows.csv" 2>/dev/null &
    victim=$!
    nap "0.$((i % 4 + 1))$((i % 7))"
    kill -9 "$victim"
    wait "$victim" 2>/dev/null
    before=$(rows_kept "$flash")
    tear "$flash" $((SEED + i))
    after=$(rows_kept "$flash")
    check "of ${before:-0} rows the torn flash has all but the last commit: ${after:-0}" test $((${after:-0} + 7)) -ge "${before:-0}"
    torn=$((torn + (${after:-0} < ${before:-0})))
    check "device torn$i goes on from its torn flash" bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id "torn$i" --flash "$flash" \
        --table torn --key at --quiet --sectors 64 "$WORK/rows.csv"
done
check "the last commit was hit: $torn of $TEARS times" test $((torn * 3)) -ge "$TEARS"
check "the gateway stops with status 0" stop_gateway
rows=$("$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*) FROM torn" | tail -n 1)
check "every row is there once: $rows" test "$rows" -eq $(($(cat "$WORK/count") * TEARS))
losses=$("$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*) FROM tern_gap" | tail -n 1)
check "no gap is reported: $losses" test "$losses" -eq 0
report
