#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL: a server of its own in a temporary folder; the client, values, the importer under kills, and gateways in front of it.
# SEED=N repeats a run; KILLS=200 makes a long one.
. tests/e2e/common.sh

SEED=${SEED:-$(date +%s)}
KILLS=${KILLS:-40}
SERVER="sh tests/servers/postgres.sh"
FOLDER=$WORK/pg
mkdir "$FOLDER"
stop_server() {
    $SERVER stop "$FOLDER"
    cleanup
}
trap stop_server EXIT
chmod 755 "$WORK"
# The machine stays up, so that the disk need not be waited for.
$SERVER start "$FOLDER" fsync=off || exit 1
URL=$($SERVER url "$FOLDER")
echo "seed $SEED"

part "$BUILD/tests/servers/postgres_client" "$URL"
part "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_outage" "$URL" "$SERVER stop '$FOLDER'" "$SERVER start '$FOLDER'" \
    "$SERVER save '$FOLDER'" "$SERVER restore '$FOLDER'"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" "${SCHEDULES:-3}"
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" "$SEED" \
    "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'" "$SERVER crash '$FOLDER'"
report
