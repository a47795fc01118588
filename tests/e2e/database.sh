# SPDX-License-Identifier: MIT
# The gateway and its commands with a database: ddl, --ddl=off, rejects, check, names, the log. Sourced behind common.sh with $URL and
#   sql STATEMENT       prints its rows, columns by `|`
#   run_file FILE       executes what ddl printed, with the database's own tool
#   empty               no table is left
# $NOWHERE is an URL without a database, $DROP_INDEX drops the index `alone` of hall, $CLASH is how a row that clashes with it is refused.

command() {
    "$BUILD/tern-gateway" "$@"
}

push() { # id table file types
    "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id "$1" --flash "$WORK/$1.flash" --table "$2" --key at --types "$4" \
        --quiet "$3" 2>>"$WORK/device.log"
}

# becomes VALUE STATEMENT: the answer is that, now or soon.
becomes() {
    tries=0
    until [ "$(sql "$2" 2>/dev/null)" = "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "    $2: $(sql "$2")"; return 1; }
        nap 0.1
    done
}

logged() {
    tries=0
    until grep -q -e "$1" "$WORK/started.log"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { tail -n 5 "$WORK/started.log"; return 1; }
        nap 0.1
    done
}

says() { # text command...
    text=$1
    shift
    "$@" >"$WORK/said" 2>&1
    grep -q -e "$text" "$WORK/said" || { cat "$WORK/said"; return 1; }
}

print_ddl() {
    command ddl --stage "$WORK/stage" --sink "$URL" >"$WORK/ddl.sql" 2>"$WORK/ddl.err"
}

statements() {
    grep -c -e 'CREATE TABLE' -e 'ALTER TABLE' "$WORK/ddl.sql"
}

rows() { # first last value: a file of rows at,v
    { echo at,v; awk -v a="$1" -v b="$2" -v v="$3" 'BEGIN { for (i = a; i <= b; i++) print i "," v + i }'; } >"$WORK/rows.csv"
    echo "$WORK/rows.csv"
}

# ---- ddl ----------------------------------------------------------------------------------------------------------------------------

empty
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "$URL" --ddl off --log-level debug || exit 1
check "a device pushes" push dev1 room "$(rows 1 20 0)" v=u8
check "an empty database is waited for, and ddl is named" logged 'event=sink-failed.*tern-gateway ddl'
check "ddl prints tern's tables and the device's" print_ddl
check "each of them" test "$(statements)" -eq 8
check "the database's own tool takes them" run_file "$WORK/ddl.sql"
check "and the rows go in, without a restart" becomes 20 "SELECT count(*) FROM room"
check "rows of a table that is not there" push dev1 hall "$(rows 1 5 0)" v=u32
check "are held, and ddl is named" logged 'event=records-held.*tern-gateway ddl'
check "others of the same device" push dev1 room "$(rows 21 30 0)" v=u8
check "go in" becomes 30 "SELECT count(*) FROM room"
check "what is held is a gap" becomes 'table|5' "SELECT reason,last-first+1 FROM tern_gap"
{ echo at,v,note; echo 31,70000,wide; } >"$WORK/wide.csv"
check "a schema with a wider type and a new column" push dev1 room "$WORK/wide.csv" 'v=u32,note=text(9)?'
check "is held too" becomes 6 "SELECT sum(last-first+1) FROM tern_gap"
print_ddl
check "ddl prints how to alter the table" grep -q 'ALTER TABLE .room. ADD COLUMN .note.' "$WORK/ddl.sql"
check "and not what is there" sh -c "! grep -q -e tern_cursor -e 'EXISTS .room' '$WORK/ddl.sql'"
check "the tool takes that" run_file "$WORK/ddl.sql"
check "and the rest goes in" becomes '31|70000|wide|31' "SELECT max(at),max(v),max(note),count(*) FROM room"
check "without a gap" becomes 0 "SELECT count(*) FROM tern_gap"
check "of the other table too" becomes 5 "SELECT count(*) FROM hall"
print_ddl
check "then there is nothing to print" test "$(statements)" -eq 0
check "without a database it prints all, table by table and version by version" \
    says 'ALTER TABLE .room. ADD COLUMN .note.' command ddl --stage "$WORK/stage" --sink "$NOWHERE"
check "and says so" grep -q '^-- without a look' "$WORK/said"
check "it names what failed" test "$(statements <"$WORK/said"; grep -c 'tern-gateway: ' "$WORK/said")" != 0

# ---- check --------------------------------------------------------------------------------------------------------------------------

command check --stage "$WORK/stage" --sink "$URL" --ddl off >"$WORK/check.log" 2>&1
check "check finds the tables good" test "$(grep -c '^good table' "$WORK/check.log")" -eq 4
check "and no permission lacking" sh -c "! grep -q '^bad  permissions' '$WORK/check.log'"
sql "ALTER TABLE hall RENAME TO hall_away" >/dev/null
check "it misses a table" says '^bad  table hall: is missing.*tern-gateway ddl' command check --stage "$WORK/stage" --sink "$URL" --ddl off
check "which a gateway would make" says '^good table hall: will be made' command check --stage "$WORK/stage" --sink "$URL"
check "and made none" sh -c "! grep -q hall_away '$WORK/said'"
sql "CREATE TABLE hall(device VARCHAR(32) PRIMARY KEY, at BIGINT, v BIGINT, tern_id BIGINT)" >/dev/null
check "it finds a key that is not tern's" says '^bad  table hall: .*another primary key' command check --stage "$WORK/stage" --sink "$URL"
sql "DROP TABLE hall" >/dev/null
sql "ALTER TABLE hall_away RENAME TO hall" >/dev/null
check "a server that is away is told of" says '^bad  connection to' command check --stage "$WORK/stage" --sink "$NOWHERE"

# ---- rejects ------------------------------------------------------------------------------------------------------------------------

sql "CREATE UNIQUE INDEX alone ON hall(v)" >/dev/null
{ echo at,v; printf '6,6\n7,3\n8,8\n9,4\n10,10\n11,5\n'; } >"$WORK/rows.csv"
check "rows of which some clash" push dev1 hall "$WORK/rows.csv" v=u32
check "are refused one by one, and the others go in" becomes 8 "SELECT count(*) FROM hall"
check "each is a gap" becomes '3|3' "SELECT count(*),sum(last-first+1) FROM tern_gap WHERE reason='rejected'"
check "and a line of the file" test "$(grep -c '^dev1,' "$WORK/stage/rejects/hall.csv")" -eq 3
check "with its reason" test "$(grep -i -c -e "$CLASH" "$WORK/stage/rejects/hall.csv")" -eq 3
check "the log tells of them" test "$(grep -c 'event=record-rejected.*table hall' "$WORK/started.log")" -eq 3
{ echo at,v; echo 9,99; } >"$WORK/rows.csv"
check "a newer row of a refused one's key" push dev1 hall "$WORK/rows.csv" v=u32
check "goes in" becomes 9 "SELECT count(*) FROM hall"
check "a retry finds that one was outvoted, and the others refused" says ': 0 loaded, 1 superseded by newer ones, 0 there already, 2 refused again' \
    command rejects --stage "$WORK/stage" --sink "$URL" --retry
check "which is told" grep -q 'event=reject-superseded' "$WORK/said"
sed -i.old 's/+0,7,3/+0,7,77/' "$WORK/stage/rejects/hall.csv"
check "one is mended in its file" says ': 1 loaded, .* 1 refused again' command rejects --stage "$WORK/stage" --sink "$URL" --retry
check "and is there as it was mended" becomes 77 "SELECT v FROM hall WHERE at=7"
check "the other is a gap" becomes '1|1' "SELECT count(*),sum(last-first+1) FROM tern_gap WHERE reason='rejected'"
sql "$DROP_INDEX" >/dev/null
check "until the database is mended" says ': 1 loaded, 0 superseded by newer ones, 0 there already, 0 refused' \
    command rejects --stage "$WORK/stage" --sink "$URL" --retry
check "the newer row stays" becomes '99|5' "SELECT max(CASE WHEN at=9 THEN v END),max(CASE WHEN at=11 THEN v END) FROM hall"
check "no gap is left" becomes 0 "SELECT count(*) FROM tern_gap"
check "nor a line" test "$(grep -c '^dev1,' "$WORK/stage/rejects/hall.csv")" -eq 0
check "so there is nothing more to do" says ': 0 loaded, 0 superseded by newer ones, 0 there already, 0 refused' \
    command rejects --stage "$WORK/stage" --sink "$URL" --retry
check "no command left anything in the way of the gateway" stop_gateway

# ---- audit --------------------------------------------------------------------------------------------------------------------------

audit() {
    command audit --stage "$WORK/stage" --sink "$URL" "$@"
}
check "an audit finds what the mended line changed, and nothing else" says '^42 rows compared, 1 differences' audit
check "and names it" grep -q '^hall: the row of dev1 .* has other values' "$WORK/said"
sql "UPDATE hall SET v=3 WHERE at=7" >/dev/null
check "back as the device sent it, it is none" says '^42 rows compared, 0 differences' audit
sql "DELETE FROM room WHERE at=5" >/dev/null
check "a row that is gone is missing" says '^room: the row of dev1 .*record 5) is missing' audit
check "of the hours before it was sent there is nothing to compare" says '^0 rows compared, 0 differences' audit --until 2026-01-02
check "nor of another device" says '^0 rows compared, 0 differences' audit --device nobody
sql "UPDATE hall SET tern_id=tern_id+100000 WHERE at=8" >/dev/null
check "one under a tern_id that it never had is missing, too" says '^42 rows compared, 2 differences' audit
sql "ALTER TABLE hall RENAME TO hall_away" >/dev/null
check "a table that is not there cannot be compared, which the log says" says 'event=audit-failed .*hall' audit
sql "ALTER TABLE hall_away RENAME TO hall" >/dev/null

# ---- The log ------------------------------------------------------------------------------------------------------------------------

check "a transaction is a line" grep -q 'level=debug event=batch sink=.* rows=[0-9]* bytes=[0-9]* ms=[0-9]* path=[a-z]* retries=[0-9]*' "$WORK/gateway.log"
check "and a row of tern_batch" becomes 0 \
    "SELECT count(*) FROM tern_batch WHERE tern_batch.rows<0 OR bytes<tern_batch.rows OR milliseconds<0 OR retries<0 OR path NOT IN('straight','merge','both')"
check "which count every record" becomes 43 "SELECT sum(tern_batch.rows) FROM tern_batch"

# ---- Names --------------------------------------------------------------------------------------------------------------------------

empty
printf 'sink = %s\nname = room=rooms\nname = room.v=value\n' "$URL" >"$WORK/names.conf"
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage2" --config "$WORK/names.conf" || exit 1
check "with names in the configuration file" push dev2 room "$(rows 1 20 0)" v=u8
check "the database has these" becomes '20|1|20' "SELECT count(*),min(value),max(value) FROM rooms"
check "an audit with these finds them as they were sent" says '^20 rows compared, 0 differences' \
    command audit --stage "$WORK/stage2" --sink "$URL" --name room=rooms --name room.v=value
check "and the gateway stops" stop_gateway
