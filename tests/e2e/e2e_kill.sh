#!/bin/sh
# SPDX-License-Identifier: MIT
# Gateway and device are killed with SIGKILL 20 times each while a file is pushed; afterwards every row is there once, in SQLite and
# in the CSV segments. SEED=N repeats a run.
. tests/e2e/common.sh

KILLS=${KILLS:-20}
SEED=${SEED:-$(date +%s)}
echo "seed $SEED"

DATA=${DATA:-../shared/data/occupancy.csv}
if [ ! -r "$DATA" ]; then
    DATA=$WORK/occupancy.csv
    "$TOOLS/sensors" 20560 7 | awk -F, -v OFS=, 'NR > 1 { print $1, $2, $3, $4 } NR == 1 { print "at,temperature,humidity,co2" }' >"$DATA"
fi
sinks="--sink csv:$WORK/out"
have_sqlite && sinks="--sink sqlite:$WORK/x.db $sinks"

# Small commits, each made durable, draw the push out; a device that ends before the last kill is followed by another.
number=1
start_device() {
    "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id "dev$number" --flash "$WORK/dev$number.flash" \
        --table occupancy --key at --commit 4 --sync --quiet "$DATA" 2>>"$WORK/device.log" &
    DEVICE=$!
}

finish_device() {
    wait "$DEVICE"
    status=$?
    DEVICE=
    return $status
}

# shellcheck disable=SC2086
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" $sinks || exit 1
start_device

# Who is killed after how long: KILLS of each in random order.
plan=$(awk -v seed="$SEED" -v kills="$KILLS" 'BEGIN {
    srand(seed)
    gateway = device = kills
    while (gateway + device > 0) {
        victim = rand() * (gateway + device) < gateway ? "gateway" : "device"
        if (victim == "gateway") gateway--; else device--
        printf "%s:%.3f ", victim, 0.01 + rand() * rand() * 0.4
    }
}')

gateways=0
devices=0
for step in $plan; do
    nap "${step#*:}"
    if ! kill -0 "$DEVICE" 2>/dev/null; then
        check "device $number ended with everything acknowledged" finish_device
        number=$((number + 1))
        start_device
        nap "${step#*:}"
    fi
    if [ "${step%:*}" = gateway ]; then
        kill_gateway
        gateways=$((gateways + 1))
        # shellcheck disable=SC2086
        start_gateway "tcp://127.0.0.1:$PORT" --stage "$WORK/stage" $sinks || exit 1
    else
        kill -9 "$DEVICE" 2>/dev/null && devices=$((devices + 1))
        wait "$DEVICE" 2>/dev/null
        start_device
    fi
done
echo "     $gateways kills of the gateway, $devices of a device, $number devices"
check "the gateway was killed $KILLS times" test "$gateways" -eq "$KILLS"
check "a device was killed $KILLS times" test "$devices" -eq "$KILLS"
check "device $number ends with everything acknowledged" finish_device
check "the gateway stops with status 0" stop_gateway

tail -n +2 "$DATA" | tr -d '\r' >"$WORK/expected"
columns=$(head -n 1 "$DATA" | tr -d '\r')
find "$WORK/out" -name "*.csv" | grep "/occupancy[/.-]" | sort | while read -r file; do tail -n +2 "$file"; done >"$WORK/all"
for i in $(seq "$number"); do
    grep "^dev$i," "$WORK/all" >"$WORK/segments"
    check "every value of device $i is in the CSV segments, once" \
        awk -v skip=3 -f tests/e2e/compare.awk "$WORK/expected" "$WORK/segments"
    have_sqlite || continue
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT $columns FROM occupancy WHERE device = 'dev$i' ORDER BY tern_id" >"$WORK/rows"
    check "every value of device $i is in the SQLite table, once" awk -f tests/e2e/compare.awk "$WORK/expected" "$WORK/rows"
done
if have_sqlite; then
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*) FROM tern_gap" >"$WORK/gaps"
    check "no gap is reported" grep -q '^0$' "$WORK/gaps"
fi
[ "$failed" -eq 0 ] || { echo "repeat with SEED=$SEED; the logs end:"; tail -n 20 "$WORK/gateway.log" "$WORK/device.log"; }
report
