#!/bin/sh
# SPDX-License-Identifier: MIT
# A staging folder's commands: status, replay, repair, sinks.
. tests/e2e/common.sh

gateway() {
    "$BUILD/tern-gateway" "$@"
}

push() { # id file table
    "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id "$1" --flash "$WORK/$1.flash" --table "$3" --key at \
        --quiet "$WORK/$2" 2>>"$WORK/device.log"
}

dump() { # database
    "$TOOLS/dbdump" "$WORK/$1" "SELECT * FROM room ORDER BY device, at" >"$WORK/$2"
    "$TOOLS/dbdump" "$WORK/$1" "SELECT * FROM hall ORDER BY device, at" >>"$WORK/$2"
    "$TOOLS/dbdump" "$WORK/$1" "SELECT device, lane, epoch, applied FROM tern_checkpoint ORDER BY 1, 2, 3" >>"$WORK/$2"
    "$TOOLS/dbdump" "$WORK/$1" "SELECT * FROM tern_gap" >>"$WORK/$2"
}

epoch() { # device
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT epoch FROM tern_checkpoint WHERE device = '$1'"
}

says() { # text command...
    text=$1
    shift
    "$@" >"$WORK/said" 2>&1
    grep -q -- "$text" "$WORK/said" || { cat "$WORK/said"; return 1; }
}

need_sqlite e2e_store

"$TOOLS/sensors" 3000 1 >"$WORK/a.csv"
"$TOOLS/sensors" 500 2 >"$WORK/b.csv"
"$TOOLS/sensors" 500 3 1767300000 >"$WORK/c.csv"

start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" --sink "csv:$WORK/out" || exit 1
check "three devices push" push dev1 a.csv room
check "into two tables" push dev2 b.csv hall
check "and again" push dev3 c.csv room
check "status beside the running gateway" says 'dev2 .* 500 ' gateway status --stage "$WORK/stage"
check "sinks cannot be changed meanwhile" says 'in use' gateway sinks --stage "$WORK/stage" --pause "csv:$WORK/out"
check "the gateway stops" stop_gateway
check "status knows the rows of a destination" says "\"rows\":4000" gateway status --stage "$WORK/stage" --json
check "and that nothing is behind" says "\"lag_rows\":0" gateway status --stage "$WORK/stage" --json
command -v python3 >/dev/null 2>&1 &&
    check "its JSON is JSON" python3 -c "import json, sys; json.load(open(sys.argv[1]))" "$WORK/said"

dump x.db first
check "replay into an empty database" says '^4000 rows brought in, 0 were there' gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/y.db"
dump y.db second
check "gives the same tables, checkpoints and gaps" cmp "$WORK/first" "$WORK/second"
check "replay into a filled one" says '^0 rows brought in, 4000 were there' gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/x.db"
check "once more" says '^0 rows brought in, 4000 were there' gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/x.db"
dump x.db third
check "changes no row" cmp "$WORK/first" "$WORK/third"

audit() { # sink, more
    sink=$1
    shift
    gateway audit --stage "$WORK/stage" --sink "$sink" "$@"
}

finds() { # text sink more: differences, and the exit status says so
    text=$1
    shift
    if audit "$@" >"$WORK/said" 2>&1; then return 1; fi
    grep -q -- "$text" "$WORK/said" || { cat "$WORK/said"; return 1; }
}

check "an audit of the database finds no difference" says '^4000 rows compared, 0 differences' audit "sqlite:$WORK/x.db"
check "nor one of the csv segments" says '^4000 rows compared, 0 differences' audit "csv:$WORK/out"
check "nor one of a device and a range" says '^100 rows compared, 0 differences' audit "sqlite:$WORK/x.db" --device dev2 \
    --first "$(epoch dev2):101" --last "$(epoch dev2):200"
check "nor one of hours" says '^4000 rows compared, 0 differences' audit "sqlite:$WORK/x.db" --since 2026-01-02
check "in which something came in" says '^0 rows compared, 0 differences' audit "sqlite:$WORK/x.db" --until 2026-01-02
cp "$WORK/x.db" "$WORK/bad.db"
"$TOOLS/dbdump" "$WORK/bad.db" "DELETE FROM hall WHERE tern_id = (SELECT min(tern_id) + 7 FROM hall)"
check "a missing row is found" finds 'hall: .*dev2 .*record 8) is missing' "sqlite:$WORK/bad.db"
"$TOOLS/dbdump" "$WORK/bad.db" "UPDATE room SET co2 = co2 + 1 WHERE device = 'dev3' AND tern_id % 500 = 9"
check "a changed value is found" finds 'room: .*dev3 .* has other values' "sqlite:$WORK/bad.db"
"$TOOLS/dbdump" "$WORK/bad.db" "UPDATE room SET note = NULL WHERE device = 'dev1' AND note = ''"
check "an empty string that became NULL is found" finds 'room: .*dev1 .* has other values' "sqlite:$WORK/bad.db"
cp -r "$WORK/out" "$WORK/badout"
chmod -R u+w "$WORK/badout"
sed -i '5d' "$WORK"/badout/hall-*.csv
check "a missing line is found" finds 'hall: .* is missing' "csv:$WORK/badout"

"$TOOLS/dbdump" "$WORK/x.db" "DELETE FROM hall WHERE at / 60 % 3 = 0"
dump x.db third
check "rows of a table are lost" test "$(wc -l <"$WORK/third")" -lt "$(wc -l <"$WORK/first")"
check "a repair must name its table" says 'must name its table' gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" --repair
check "repair of a table whose rows were lost" says '^500 rows brought in' gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" --table hall --repair
dump x.db third
check "brings them back" cmp "$WORK/first" "$WORK/third"

check "one device alone" says '^500 rows brought in' gateway replay --stage "$WORK/stage" --sink "csv:$WORK/one" --device dev3
check "nothing that came in before yesterday" says '^0 rows brought in' gateway replay --stage "$WORK/stage" --sink "csv:$WORK/none" --until 2026-01-02
check "everything since then" says '^4000 rows brought in' gateway replay --stage "$WORK/stage" --sink "csv:$WORK/all" --since 2026-01-02T00:00:00Z
check "a time that is none is a usage error" says 'must be a time' gateway replay --stage "$WORK/stage" --sink "csv:$WORK/none" --since yesterday
check "a folder without a store is an error" says 'cannot open the staging folder' gateway status --stage "$WORK/nothing"

check "a destination can be paused" says '^paused .*out' gateway sinks --stage "$WORK/stage" --pause "csv:$WORK/out"
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" --sink "csv:$WORK/out" || exit 1
"$TOOLS/sensors" 500 3 1767400000 >"$WORK/d.csv"
push dev4 d.csv room
stop_gateway
check "gets nothing then" says '^paused  *500 ' gateway status --stage "$WORK/stage"
gateway sinks --stage "$WORK/stage" --resume "csv:$WORK/out" >/dev/null
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "csv:$WORK/out" || exit 1
stop_gateway
check "and all of it when it is resumed" test "$(cat "$WORK"/out/room-*.csv | grep -c '^dev4,')" -eq 500
check "a destination that is away is told of" grep -q 'event=destination-absent sink=sqlite' "$WORK/gateway.log"
check "and can be forgotten" says '^active .*out' gateway sinks --stage "$WORK/stage" --forget "sqlite:$WORK/x.db"

# Files that came another way.
check "a file of an SD card is imported" says '^500 rows are in' gateway import --stage "$WORK/sd" --table room --key at "$WORK/c.csv"
check "and again" says '^500 rows are in' gateway import --stage "$WORK/sd" --table room --key at "$WORK/c.csv"
check "its rows are there once" says '^1000 rows brought in' gateway replay --stage "$WORK/sd" --sink "sqlite:$WORK/sd.db"
check "by their key" test "$("$TOOLS/dbdump" "$WORK/sd.db" 'SELECT count(*) FROM room')" -eq 500
check "lines without a key, once a file" says '^500 rows are in .* 0 were' gateway import --stage "$WORK/sd" --table lines --append "$WORK/b.csv"
check "however often it is imported" says '^0 rows are in .* 500 were' gateway import --stage "$WORK/sd" --table lines --append "$WORK/b.csv"
check "types from a schema file" says '^500 rows are in' gateway import --stage "$WORK/sd" --schema "$(ls "$WORK"/out/room-*.schema | head -n 1)" "$WORK/c.csv"
check "without a table it says what is needed" says 'table NAME' gateway import --stage "$WORK/sd" "$WORK/b.csv"
check "csv segments are imported" says '^4500 rows are in' gateway import --stage "$WORK/again" "$WORK"/out/*.csv
check "a second time they are known" says '^0 rows are in .* 4500 were' gateway import --stage "$WORK/again" "$WORK"/out/*.csv
gateway replay --stage "$WORK/stage" --sink "sqlite:$WORK/one.db" >/dev/null 2>&1
gateway replay --stage "$WORK/again" --sink "sqlite:$WORK/two.db" >/dev/null 2>&1
dump one.db first_life
dump two.db second_life
check "and give the same tables, with every tern_id" cmp "$WORK/first_life" "$WORK/second_life"
printf 'x' >>"$(ls "$WORK"/badout/hall-*.csv | head -n 1)"
check "a torn one is an error" says 'no record' gateway import --stage "$WORK/torn" "$WORK"/badout/*.csv
[ "$failed" -eq 0 ] || tail -n 20 "$WORK/gateway.log" "$WORK/device.log"
report
