#!/bin/sh
# SPDX-License-Identifier: MIT
# What tern does, within a minute: three devices push sensor readings through a gateway into an SQLite database, while the gateway and
# one of the devices are killed without warning. Everything is in build/demo/ afterwards.
set -u
BUILD=${BUILD:-build}
TOOLS=${TOOLS:-$BUILD/tests/e2e}
DEMO=$BUILD/demo
ROWS=${ROWS:-5000}
COMMIT=4
GATEWAY=
DEVICES=

cleanup() {
    for pid in $GATEWAY $DEVICES; do
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
    echo "demo: $*" >&2
    [ -r "$DEMO/gateway.log" ] && tail -n 3 "$DEMO/gateway.log" >&2
    exit 1
}

nap() {
    sleep "$1" 2>/dev/null || sleep 1
}

query() {
    "$TOOLS/dbdump" "$DEMO/climate.db" "$@" || fail "the database cannot be read"
}

start_gateway() { # port
    : >>"$DEMO/gateway.log" # there before the gateway has begun
    seen=$(grep -c 'event=listening' "$DEMO/gateway.log")
    "$BUILD/tern-gateway" --listen "tcp://127.0.0.1:$1" --stage "$DEMO/stage" --sink "sqlite:$DEMO/climate.db" \
        2>>"$DEMO/gateway.log" &
    GATEWAY=$!
    tries=0
    while [ "$(grep -c 'event=listening' "$DEMO/gateway.log")" -le "$seen" ]; do
        tries=$((tries + 1))
        [ $tries -gt 200 ] && fail "the gateway did not start"
        kill -0 "$GATEWAY" 2>/dev/null || fail "the gateway did not start"
        nap 0.05
    done
    PORT=$(sed -n 's/.*event=listening url=tcp:[^ ]*:\([0-9]*\).*/\1/p' "$DEMO/gateway.log" | tail -n 1)
}

start_device() { # name; its process is then in $!
    "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id "$1" --flash "$DEMO/$1.flash" --table climate --key at \
        --types 'celsius=decimal(2),humidity=decimal(1),note=text(24)?' --commit $COMMIT --sync --quiet \
        "$DEMO/$1.csv" >>"$DEMO/$1.log" 2>&1 &
}

# ---- What is needed -----------------------------------------------------------------------------------------------------------------

rm -rf "$DEMO"
mkdir -p "$DEMO" || exit 1
if ! "$TOOLS/dbdump" :memory: 'SELECT 1' >/dev/null 2>"$DEMO/sqlite.txt"; then
    cat "$DEMO/sqlite.txt" >&2
    fail "SQLite's library is needed: install the package libsqlite3-0 (Debian, Ubuntu), sqlite-libs (Fedora, Alpine) or sqlite (Arch)"
fi

# ---- The story ----------------------------------------------------------------------------------------------------------------------

echo "Three rooms, $ROWS readings each: $DEMO/kitchen.csv, office.csv, cellar.csv. The office's begin:"
seed=1
for room in kitchen office cellar; do
    "$TOOLS/sensors" "$ROWS" $seed >"$DEMO/$room.csv" || fail "cannot write $DEMO/$room.csv"
    seed=$((seed + 1))
done
head -n 4 "$DEMO/office.csv" | sed 's/^/    /'

start_gateway 0
echo "A gateway listens at tcp://127.0.0.1:$PORT, stages in $DEMO/stage and merges into $DEMO/climate.db."
start_device kitchen; KITCHEN=$!
start_device office; OFFICE=$!
start_device cellar; CELLAR=$!
DEVICES="$KITCHEN $OFFICE $CELLAR"
echo "Three devices push: each writes its readings to a flash of its own, and sends them from there."

nap 0.4
kill -9 "$GATEWAY"
wait "$GATEWAY" 2>/dev/null
GATEWAY=
echo "The gateway is killed (SIGKILL). $(query 'SELECT count(*) FROM climate' 2>/dev/null || echo 0) rows have come through so far."
nap 0.3
start_gateway "$PORT"
echo "It is back. The devices connect again by themselves."

nap 0.2
if kill -9 "$OFFICE" 2>/dev/null; then
    wait "$OFFICE" 2>/dev/null
    echo "The office's device is killed (SIGKILL) in the middle of its work."
    nap 0.3
else
    wait "$OFFICE"
    echo "The office's device was too quick to be killed; it starts once more all the same."
fi
start_device office; OFFICE=$!
DEVICES="$KITCHEN $OFFICE $CELLAR"
echo "It is started again, and goes on from its flash."

for pid in $KITCHEN $OFFICE $CELLAR; do
    wait "$pid" || fail "a device did not end well: see the logs in $DEMO"
done
DEVICES=
echo "Every device has ended: all its records are acknowledged."
kill -TERM "$GATEWAY"
wait "$GATEWAY" || fail "the gateway did not stop well"
GATEWAY=
echo "The gateway has drained and stopped."

# ---- The proof ----------------------------------------------------------------------------------------------------------------------

echo
echo "What is in the table:"
query "SELECT 'device' AS device, 'at', 'celsius', 'humidity', 'co2', 'note', 'tern_id'
       UNION ALL SELECT * FROM (SELECT device, at, celsius, humidity, co2, note, tern_id FROM climate
                                WHERE note IS NOT NULL ORDER BY at, device LIMIT 6)" "	" | sed 's/^/    /'
echo
query "SELECT device, count(*), min(at), max(at) FROM climate GROUP BY device" "	" |
    awk -F '\t' '{ printf "    %-8s %6d rows, %s to %s\n", $1, $2, $3, $4 }'
echo

# Each reading as its file has it, against each row as the table has it: sorted, so that lost and doubled ones stand out.
for room in kitchen office cellar; do
    tail -n +2 "$DEMO/$room.csv" | sed "s/^/$room,/"
done | sort >"$DEMO/sent"
query "SELECT device, at, printf('%.2f', celsius), printf('%.1f', humidity), co2, note FROM climate" | sort >"$DEMO/stored"
sent=$(wc -l <"$DEMO/sent" | tr -d ' ')
stored=$(wc -l <"$DEMO/stored" | tr -d ' ')
lost=$(comm -23 "$DEMO/sent" "$DEMO/stored" | wc -l | tr -d ' ')
doubled=$(comm -13 "$DEMO/sent" "$DEMO/stored" | wc -l | tr -d ' ')
echo "demo: $sent records sent, $stored rows stored, $lost lost, $doubled duplicated"
[ "$lost" -eq 0 ] && [ "$doubled" -eq 0 ] && [ "$sent" -eq "$stored" ]
