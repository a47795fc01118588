#!/bin/sh
# SPDX-License-Identifier: MIT
# MariaDB: a server of its own in a temporary folder; the client, values, the importer under kills, and servers that are away.
SERVER_SCRIPT=mariadb.sh
# The machine stays up, so that the disk need not be waited for.
SERVER_SETTINGS=innodb_flush_log_at_trx_commit=2
. tests/servers/begin.sh

part "$BUILD/tests/servers/mysql_client" "$URL"
part "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_outage" "$URL" "$SERVER stop '$FOLDER'" "$SERVER start '$FOLDER'"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" "${SCHEDULES:-3}"
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" "$SEED" "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'"
check "a gateway makes a staging store" start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage"
stop_gateway
"$BUILD/tern-gateway" check --stage "$WORK/stage" --sink "$URL" >"$WORK/check.log" 2>&1
check "check tells that this server does not wait for its disk" grep -q '^[^g].*innodb_flush_log_at_trx_commit: 2' "$WORK/check.log"
check "and that the doublewrite buffer is there" grep -q '^good innodb_doublewrite: 1' "$WORK/check.log"
"$BUILD/tern-gateway" ddl --stage "$WORK/stage" --sink "$URL" >"$WORK/ddl.sql" 2>&1
check "the database's own tool takes what ddl prints" sh -c "mariadb --no-defaults --socket='$FOLDER/data/socket' -u root tern <'$WORK/ddl.sql'"
report
