#!/bin/sh
# SPDX-License-Identifier: MIT
# From tern-device to rows in SQLite over loopback, one device, one stream: ROWS rows (5 million) with a time-series key. The clock runs
# from the start of the device, whose flash holds everything by then or takes it while it sends, to the last row in the table.
set -u
BUILD=${BUILD:-build}
TOOLS=${TOOLS:-$BUILD/tests/e2e}
ROWS=${ROWS:-5000000}
STEP=${STEP:-$((ROWS / 5))}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/tern-bench-XXXXXX") || exit 1
GATEWAY=
DEVICE=

cleanup() {
    for pid in $GATEWAY $DEVICE; do
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
    echo "bench-e2e: $*" >&2
    cat "$WORK"/*.log >&2
    exit 1
}

resident() {
    awk '/^VmRSS:/ { print $2 }' "/proc/$GATEWAY/status"
}

"$TOOLS/dbdump" :memory: 'SELECT 1' >/dev/null || fail "SQLite's library is needed"
"$TOOLS/sensors" "$ROWS" 1 >"$WORK/rows.csv" || fail "cannot write the rows"
"$BUILD/tern-gateway" --listen tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" 2>"$WORK/gateway.log" &
GATEWAY=$!
until grep -q event=listening "$WORK/gateway.log"; do
    kill -0 "$GATEWAY" || fail "the gateway did not start"
    sleep 0.1
done
PORT=$(sed -n 's/.*event=listening url=tcp:[^ ]*:\([0-9]*\).*/\1/p' "$WORK/gateway.log")
echo "gateway_rss_start $(resident) KiB"

"$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id bench --flash "$WORK/flash" --table climate --key at \
    --types 'celsius=decimal(2),humidity=decimal(1),note=text(24)?' "$WORK/rows.csv" 2>"$WORK/device.log" &
DEVICE=$!
# When which row is in the table: read from the database itself, without disturbing it much.
"$TOOLS/watch" "$WORK/x.db" "$ROWS" "$STEP" >"$WORK/times" || fail "the rows did not all arrive"
wait "$DEVICE" || fail "the device did not end well"
DEVICE=
echo "gateway_rss_end $(resident) KiB"
cat "$WORK/times"
kill -TERM "$GATEWAY"
wait "$GATEWAY" || fail "the gateway did not stop well"
GATEWAY=
