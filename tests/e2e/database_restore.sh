# SPDX-License-Identifier: MIT
# Promise 4 with a database: it is set back in one transaction, to where it was after 1,800 of 3,000 rows, and the staging folder is lost. What the
# flash of the device still holds comes again. Sourced behind database.sh.

# Acknowledgements are marked once a sector: in a flash that holds less than all rows, sectors are taken again when their rows have been
# acknowledged, so that the device knows after a start how far the lost store was. It still holds the last 1,400 rows or so. Small commits,
# each waiting for the disk, leave the gateway time to answer before the first sector is full: else no mark tells of the last push.
push_small() { # file
    "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev9 --flash "$WORK/dev9.flash" --table room --key at --types v=u32 \
        --sector 4096 --sectors 7 --chunk 512 --commit 10 --sync --quiet "$1" 2>>"$WORK/device.log"
}

empty
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage3" --sink "$URL" || exit 1
for first in 1 1001 2001; do
    push_small "$(rows $first $((first + 999)) 0)"
done
check "everything is there" becomes '3000|3000' "SELECT count(*),max(v) FROM room"
check "the gateway stops" stop_gateway
HALF="BEGIN; DELETE FROM room WHERE at>1800; UPDATE tern_checkpoint SET applied=1800; DELETE FROM tern_cursor;
DELETE FROM tern_batch; COMMIT;"
check "the database is set back" sql "$HALF"
check "to what it had then" becomes '1800|1800' "SELECT count(*),max(v) FROM room"
rm -rf "$WORK/stage3"
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage3" --sink "$URL" --held-hours 0 || exit 1
check "the device comes with a new row" push_small "$(rows 3001 3001 0)"
check "of what the lost store had nothing is known" becomes 3001 "SELECT applied FROM tern_checkpoint"
push_small "$(rows 3002 3002 0)"
check "the device is asked for it" logged 'event=device-asked-back device=dev9 .* first=1801 last=[0-9]*'
push_small "$(rows 3003 3003 0)"
check "promise 4: no row is missing" becomes '3000|1200' "SELECT count(*),sum(CASE WHEN at>1800 THEN 1 ELSE 0 END) FROM room WHERE at<=3000 AND v=at"
check "and no gap is left" becomes 0 "SELECT count(*) FROM tern_gap"
check "the gateway stops" stop_gateway
