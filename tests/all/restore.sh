#!/bin/sh
# SPDX-License-Identifier: MIT
# Promise 4: a database that is set back to a backup is filled again from the staging store, then from what the flash of devices still holds;
# what is gone is in tern_gap. Twice: the staging store has let go of what is missing, and the staging store is lost with the database.
. tests/e2e/common.sh

need_sqlite restore

# big and third keep everything, the flash of small holds some thousand rows; what third sent last drives the others out of the journal.
push() { # id file
    sectors=256
    [ "$1" = small ] && sectors=8
    bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --quiet --wait 30 --id "$1" --flash "$WORK/$1.flash" \
        --sector 4096 --sectors $((sectors * 4)) --chunk 512 --commit 100 --table room --key at "$WORK/$2.csv" 2>>"$WORK/device.log"
}

start() {
    start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" --sink "sqlite:$WORK/other.db" \
        --journal-bytes 65536 --keep-bytes 1048576 "$@"
}

ask() {
    "$TOOLS/dbdump" "$WORK/x.db" "$1"
}

# until SECONDS COMMAND...: tries the command again and again.
until_true() {
    left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        nap 0.1
    done
}

gone() {
    [ ! -e "$WORK/stage/journal-00000001.tern" ] && [ ! -e "$WORK/stage/journal-00000002.tern" ]
}

# A new reading brings a device's session; the device is asked for what is missing in it.
settled() { # id
    serial=$((serial + 1))
    "$TOOLS/sensors" 1 7 $((1900000000 + 60 * serial)) >"$WORK/news.csv"
    push "$1" news || return 1
    tail -n +2 "$WORK/news.csv" >>"$WORK/$1.sent"
    nap 0.5
    [ "$(ask "SELECT sum(applied) FROM tern_checkpoint WHERE device = '$1'")" -eq "$(wc -l <"$WORK/$1.sent")" ] &&
        [ "$(ask "SELECT count(*) FROM tern_gap WHERE device = '$1' AND reason IN ('retention', 'held')")" -eq 0 ]
}

# The rows of a device, as they were sent.
rows_are() { # id first
    sort -t, -k1,1n "$WORK/$1.sent" | tail -n +"$2" >"$WORK/expected"
    ask "SELECT at, celsius, humidity, co2, note FROM room WHERE device = '$1' ORDER BY at" | tail -n +"$2" >"$WORK/found"
    awk -f tests/e2e/compare.awk "$WORK/expected" "$WORK/found"
}

# Each record is a row or in a gap, and never both.
adds_up() { # id
    rows=$(ask "SELECT count(*) FROM room WHERE device = '$1'")
    lost=$(ask "SELECT coalesce(sum(last - first + 1), 0) FROM tern_gap WHERE device = '$1'")
    sent=$(wc -l <"$WORK/$1.sent")
    echo "    $sent sent, $rows rows, $lost in gaps"
    [ $((rows + lost)) -eq "$sent" ] && [ "$(ask "SELECT sum(applied) FROM tern_checkpoint WHERE device = '$1'")" -eq "$sent" ] &&
        [ "$(ask "SELECT count(*) FROM room JOIN tern_gap USING (device) WHERE device = '$1' AND tern_id >> 32 = epoch AND
            tern_id & 4294967295 BETWEEN first AND last")" -eq 0 ]
}

serial=0
start || exit 1
for id in big small third; do
    "$TOOLS/sensors" 1000 1 >"$WORK/a.csv"
    tail -n +2 "$WORK/a.csv" >"$WORK/$id.sent"
    push "$id" a
done
stop_gateway
cp "$WORK/x.db" "$WORK/backup.db"

start || exit 1
"$TOOLS/sensors" 20000 2 1800000000 >"$WORK/b.csv"
for id in big small third; do
    push "$id" b
    tail -n +2 "$WORK/b.csv" >>"$WORK/$id.sent"
done
check "the staging store lets go of what every destination has" until_true 20 gone
stop_gateway
check "everything is in the database" test "$(ask 'SELECT count(*) FROM room')" -eq 63000

restore() {
    rm -f "$WORK"/x.db*
    cp "$WORK/backup.db" "$WORK/x.db"
}

restore
start || exit 1
check "the gateway notices that the database is another" until_true 10 grep -q 'event=sink-restored' "$WORK/started.log"
check "the device is asked to go back" until_true 20 settled big
check "and said to have been" grep -q 'event=device-asked-back device=big' "$WORK/started.log"
check "promise 4: every row is there again" rows_are big 1
check "without a gap" test "$(ask "SELECT count(*) FROM tern_gap WHERE device = 'big'")" -eq 0
check "a device with little flash gives what it has" until_true 20 settled small
check "promise 4: each of its records is a row or in a gap" adds_up small
check "what its flash has lost is lost by overflow" test "$(ask "SELECT DISTINCT reason FROM tern_gap WHERE device = 'small'")" = overflow
check "the other destination took nothing twice" test "$("$TOOLS/dbdump" "$WORK/other.db" "SELECT count(*) FROM room")" -eq \
    "$(cat "$WORK"/*.sent | wc -l)"
check "devices are asked once" test "$(grep -c 'event=device-asked-back' "$WORK/started.log")" -eq 2
stop_gateway

# The machine is lost: a new staging folder, the old backup. What the lost store had acknowledged it may still bring, for all that the new one knows.
restore
rm -rf "$WORK/stage" "$WORK/other.db"*
start --held-hours 0 || exit 1
settled big
check "another store: the device is asked to go back" until_true 20 settled big
check "promise 4: every row is there again" rows_are big 1
check "without a gap" test "$(ask "SELECT count(*) FROM tern_gap WHERE device = 'big'")" -eq 0
settled small
check "a device with little flash gives what it has" until_true 20 settled small
check "promise 4: each of its records is a row or in a gap" adds_up small
check "the new destination, too, has what the device had" test \
    "$("$TOOLS/dbdump" "$WORK/other.db" "SELECT count(*) FROM room WHERE device = 'big'")" -eq "$(wc -l <"$WORK/big.sent")"
stop_gateway
[ "$failed" -eq 0 ] || tail -n 30 "$WORK/gateway.log"
report
