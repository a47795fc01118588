#!/bin/sh
# SPDX-License-Identifier: MIT
# MariaDB: a server of its own in a temporary folder; the client, values, and the importer under kills of itself and of the server.
# SEED=N repeats a run; KILLS=200 makes a long one.
. tests/e2e/common.sh

SEED=${SEED:-$(date +%s)}
KILLS=${KILLS:-40}
SERVER="sh tests/servers/mariadb.sh"
FOLDER=$WORK/my
mkdir "$FOLDER"
stop_server() {
    $SERVER stop "$FOLDER"
    cleanup
}
trap stop_server EXIT
chmod 755 "$WORK"
$SERVER start "$FOLDER" || exit 1
URL=$($SERVER url "$FOLDER")
echo "seed $SEED"

part "$BUILD/tests/servers/mysql_client" "$URL"
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" "$SEED" "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'"
report
