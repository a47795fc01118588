#!/bin/sh
# SPDX-License-Identifier: MIT
# A CSV file goes from tern-device through tern-gateway into SQLite and CSV files, and every value is compared with the file's text.
. tests/e2e/common.sh

DATA=${DATA:-../shared/data/occupancy.csv}
if [ ! -r "$DATA" ]; then
    DATA=$WORK/occupancy.csv
    "$TOOLS/sensors" 20560 7 | awk -F, -v OFS=, 'NR > 1 { print $1, $2, $3, $4 } NR == 1 { print "at,temperature,humidity,co2" }' >"$DATA"
fi

# The rows of a table's closed CSV segments, without their headers, in order.
segment_rows() {
    find "$WORK/out" -name "*.csv" | grep "/$1[/.-]" | sort | while read -r file; do tail -n +2 "$file"; done
}

push() {
    bounded 120 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --quiet --wait 60 "$@"
}

sinks="--sink csv:$WORK/out"
if have_sqlite; then
    sinks="--sink sqlite:$WORK/x.db $sinks"
else
    echo "skip what needs SQLite: $(cat "$WORK/sqlite.txt")"
fi

# shellcheck disable=SC2086
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" $sinks || exit 1
check "the device pushes the file" push --id dev1 --flash "$WORK/dev1.flash" --table occupancy --key at "$DATA"
check "a second push of the same file from the same flash sends nothing twice" \
    push --id dev1 --flash "$WORK/dev1.flash" --table occupancy --key at "$DATA"

cat >"$WORK/words.csv" <<'WORDS'
at,celsius,note
1,21.50,
2,-0.05,""
3,,plain
4,0.00,"with, comma"
5,-12.34,"a ""quote"""
6,99.99,"two
lines"
7,1.00,NULL
8,2.00,\N
9,3.00,\.
10,4.00,'; DROP TABLE words; --
11,5.00,Grüße € 你好
12,6.00, spaces 
WORDS
check "the device pushes awkward words" push --id "00:1A:2b" --flash "$WORK/dev2.flash" --table words --key at \
    --types 'celsius=decimal(2)?,note=text(40)?' "$WORK/words.csv"
check "the gateway stops with status 0" stop_gateway

tail -n +2 "$DATA" | tr -d '\r' >"$WORK/expected"
columns=$(head -n 1 "$DATA" | tr -d '\r')
segment_rows occupancy >"$WORK/segments"
check "every value is in the CSV segments" awk -v skip=3 -f tests/e2e/compare.awk "$WORK/expected" "$WORK/segments"
tail -n +2 "$WORK/words.csv" >"$WORK/words.expected"
segment_rows words | sed 's/^00:1A:2b,[0-9]*,[^,]*,//' >"$WORK/words.segments"
check "awkward words are in the CSV segments, byte for byte" cmp "$WORK/words.expected" "$WORK/words.segments"

if have_sqlite; then
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT $columns FROM occupancy WHERE device = 'dev1' ORDER BY tern_id" >"$WORK/rows"
    check "every value is in the SQLite table" awk -f tests/e2e/compare.awk "$WORK/expected" "$WORK/rows"
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT at, printf('%.2f', celsius), note FROM words WHERE at <> 3 UNION ALL SELECT at, celsius, note FROM words WHERE at = 3 ORDER BY at" >"$WORK/words.rows"
    check "awkward words are in the SQLite table, NULL and empty apart" cmp "$WORK/words.expected" "$WORK/words.rows"
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*), min(typeof(tern_id)) FROM occupancy" >"$WORK/count"
    check "no row is there twice" grep -q "^$(wc -l <"$WORK/expected" | tr -d ' '),integer$" "$WORK/count"
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*) FROM tern_gap" >"$WORK/gaps"
    check "no gap is reported" grep -q '^0$' "$WORK/gaps"
fi
report
