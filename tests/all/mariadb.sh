#!/bin/sh
# SPDX-License-Identifier: MIT
# MariaDB: a server of its own in a temporary folder; the client, values, the importer under kills, and servers that are away.
SERVER_SCRIPT=mariadb.sh
# The machine stays up, so that the disk need not be waited for.
SERVER_SETTINGS=innodb_flush_log_at_trx_commit=2
. tests/servers/begin.sh

part "$BUILD/tests/servers/mysql_client" "$URL"
part "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_tables" "$URL"
part env NO_ARRAYS=1 "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_outage" "$URL" "$SERVER stop '$FOLDER'" "$SERVER start '$FOLDER'"
part "$BUILD/tests/servers/import_seen" "$URL" "$SEED"
part env FAIL_STRIDE="${SERVER_STRIDE:-61}" "$BUILD/tests/servers/import_fail" "$URL"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" "${SCHEDULES:-3}"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" 1 4
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" 1 "$SEED" "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'"
part "$BUILD/tests/servers/import_kill" "$URL" $((KILLS / 2)) 4 "$SEED" "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'"

# ---- The gateway and its commands -----------------------------------------------------------------------------------------------------

NOWHERE="mariadb://root@/tern?socket=/nonexistent"
DROP_INDEX="DROP INDEX alone ON hall"
CLASH="unique index"
client() {
    mariadb --no-defaults --socket="$FOLDER/data/socket" -u root -N -B tern "$@"
}
sql() {
    client -e "$1" | tr '\t' '|'
}
run_file() {
    client <"$1"
}
empty() {
    client -e "DROP DATABASE tern; CREATE DATABASE tern"
}
. tests/e2e/database.sh

WEAK="mysql://weak@/tern?socket=$FOLDER/data/socket"
check "check finds that this server does not wait for its disk" finds '^bad  innodb_flush_log_at_trx_commit: 2'
check "that the doublewrite buffer is there" grep -q '^good innodb_doublewrite: 1' "$WORK/said"
sql "CREATE USER weak IDENTIFIED BY 'hidden7'; GRANT SELECT,INSERT,UPDATE ON tern.* TO weak" >/dev/null
check "without a password there is no connection" finds '^bad  connection to' "$WEAK"
check "nor with a wrong one" env MYSQL_PWD=hidden8 sh -c "! '$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$WEAK' >'$WORK/wrong.log' 2>&1"
export MYSQL_PWD=hidden7
check "with one in the environment it finds that a user may make no table" finds '^bad  permissions: CREATE TABLE.*denied' "$WEAK"
unset MYSQL_PWD
sql "SET GLOBAL read_only=1"
check "that a server takes nothing" finds '^bad  read_only: 1'
sql "SET GLOBAL read_only=0"
mkdir "$WORK/home" && printf '[client]\npassword=hidden7\n' >"$WORK/home/.my.cnf"
check "with one in a file, that the user may not delete" env HOME="$WORK/home" sh -c "'$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$WEAK' >'$WORK/right.log' 2>&1; grep -q '^bad  permissions: rows: DELETE command denied' '$WORK/right.log'"
printf 'sink = mysql://weak:hidden7@/tern?socket=%s\n' "$FOLDER/data/socket" >"$WORK/hidden.conf"
check "one in an URL is refused, in a file too" sh -c "! '$BUILD/tern-gateway' check --stage '$WORK/stage2' --config '$WORK/hidden.conf' >'$WORK/refused.log' 2>&1"
check "with the reason" grep -q -i password "$WORK/refused.log"
check "and no log holds one" sh -c "! grep -q 'hidden[78]' '$WORK'/*.log '$WORK/said' '$FOLDER/data/server.log'"
$SERVER stop "$FOLDER" && $SERVER start "$FOLDER" innodb_flush_log_at_trx_commit=1 innodb_doublewrite=0 log_bin=log sync_binlog=0
check "that the binary log does not wait for its disk" finds '^bad  sync_binlog: 0'
check "that pages may be torn" grep -q '^bad  innodb_doublewrite: 0' "$WORK/said"
$SERVER stop "$FOLDER" && $SERVER start "$FOLDER" innodb_flush_log_at_trx_commit=1 log_bin=log sync_binlog=1
check "a server as it should be is good" sh -c "'$BUILD/tern-gateway' check --stage '$WORK/stage2' --sink '$URL' --name room=rooms --name room.v=value >'$WORK/said' 2>&1"
. tests/e2e/database_restore.sh

# ---- Backups and restores by the database's own tools ---------------------------------------------------------------------------------

ask() {
    sql "$1" | tr '|' ','
}
backup() {
    mariadb-dump --no-defaults --socket="$FOLDER/data/socket" -u root tern >"$1"
}
restore() {
    empty && { [ ! -e "$1" ] || run_file "$1"; }
}
. tests/e2e/restore_sweep.sh
sweep_setup
sweep_point 0 2 lost
sweep_point 1 3 kept
sweep_point 1 3 lost
report
