#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL: a server of its own in a temporary folder; the client, values, the importer under kills, and gateways in front of it.
SERVER_SCRIPT=postgres.sh
# The machine stays up, so that the disk need not be waited for.
SERVER_SETTINGS=fsync=off
. tests/servers/begin.sh

part "$BUILD/tests/servers/postgres_client" "$URL"
part "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_tables" "$URL"
part "$BUILD/tests/servers/import_outage" "$URL" "$SERVER stop '$FOLDER'" "$SERVER start '$FOLDER'" \
    "$SERVER save '$FOLDER'" "$SERVER restore '$FOLDER'"
part "$BUILD/tests/servers/import_seen" "$URL" "$SEED"
part env FAIL_STRIDE="${SERVER_STRIDE:-61}" "$BUILD/tests/servers/import_fail" "$URL"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" "${SCHEDULES:-3}"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" 1 4
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" 1 "$SEED" \
    "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'" "$SERVER crash '$FOLDER'"
part "$BUILD/tests/servers/import_kill" "$URL" $((KILLS / 2)) 4 "$SEED" \
    "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'" "$SERVER crash '$FOLDER'"

# ---- The gateway and its commands -----------------------------------------------------------------------------------------------------

NOWHERE="postgresql://tern@/postgres?host=/nonexistent"
DROP_INDEX="DROP INDEX alone"
CLASH="duplicate key value"
sql() {
    psql -qAtX "$URL" -c "$1"
}
run_file() {
    psql -qX -v ON_ERROR_STOP=1 "$URL" -f "$1"
}
empty() {
    sql "SET client_min_messages=error; DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public"
}
. tests/e2e/database.sh

WEAK="postgresql://weak@/postgres?host=$FOLDER/data"
check "check finds that this server does not wait for its disk" finds '^bad  fsync: off'
sql "ALTER DATABASE postgres SET synchronous_commit=off" >/dev/null
check "nor with a commit" finds '^bad  synchronous_commit: off'
sql "ALTER DATABASE postgres SET synchronous_commit=local" >/dev/null
sql "CREATE ROLE weak LOGIN PASSWORD 'hidden7' ; REVOKE TEMPORARY ON DATABASE postgres FROM public" >/dev/null
check "that a role may make no table" finds '^bad  permissions: CREATE TABLE.*permission denied' "$WEAK"
check "nor put rows" finds '^bad  permissions: rows: permission denied for table tern_' "$WEAK"
check "nor make temporary ones" finds '^bad  temporary tables: 0' "$WEAK"
sql "GRANT ALL ON ALL TABLES IN SCHEMA public TO weak; REVOKE DELETE ON rooms FROM weak" >/dev/null
check "nor delete from one" finds '^bad  permissions: rows: permission denied for table rooms' "$WEAK"
sed -i '1i local all weak scram-sha-256' "$FOLDER/data/pg_hba.conf"
sql "ALTER SYSTEM SET full_page_writes=off" && sql "SELECT pg_reload_conf()" >/dev/null && nap 0.5
check "that a page may be torn" finds '^bad  full_page_writes: off'
check "without a password there is no connection" finds '^bad  connection to' "$WEAK"
printf 'wrong' >"$WORK/pass"
check "nor with a wrong one" env PGPASSWORD=hidden8 sh -c "! '$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$WEAK' >'$WORK/wrong.log' 2>&1"
check "one in the environment is taken" env PGPASSWORD=hidden7 sh -c "'$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$WEAK' >'$WORK/right.log' 2>&1; grep -q '^good connection' '$WORK/right.log'"
printf '*:*:*:weak:hidden7\n' >"$WORK/pgpass" && chmod 600 "$WORK/pgpass"
check "one in a password file too" env PGPASSFILE="$WORK/pgpass" sh -c "'$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$WEAK' >>'$WORK/right.log' 2>&1; test \"\$(grep -c '^good connection' '$WORK/right.log')\" -eq 2"
printf 'sink = postgresql://weak:hidden7@/postgres?host=%s\n' "$FOLDER/data" >"$WORK/hidden.conf"
check "one in an URL is refused, in a file too" sh -c "! '$BUILD/tern-gateway' check --stage '$WORK/stage2' --config '$WORK/hidden.conf' >'$WORK/refused.log' 2>&1"
check "with the reason" grep -q -i password "$WORK/refused.log"
check "and no log holds one" sh -c "! grep -q 'hidden[78]' '$WORK'/*.log '$WORK/said' '$FOLDER/data/server.log'"
sql "ALTER SYSTEM RESET full_page_writes"
sql "ALTER DATABASE postgres RESET synchronous_commit"
$SERVER stop "$FOLDER" && $SERVER start "$FOLDER" fsync=on
check "a server as it should be is good" sh -c "'$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$URL' --name room=rooms --name room.v=value >'$WORK/said' 2>&1"
. tests/e2e/database_restore.sh

# ---- Backups and restores by the database's own tools ---------------------------------------------------------------------------------

ask() {
    sql "$1" | tr '|' ','
}
backup() {
    pg_dump -d "$URL" >"$1"
}
restore() {
    empty && { [ ! -e "$1" ] || psql -qX "$URL" -f "$1" >/dev/null; }
}
. tests/e2e/restore_sweep.sh
sweep_setup
sweep_point 0 2 lost
sweep_point 1 3 kept
sweep_point 1 3 lost
report
