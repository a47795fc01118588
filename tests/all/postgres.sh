#!/bin/sh
# SPDX-License-Identifier: MIT
# PostgreSQL: a server of its own in a temporary folder; the client, values, the importer under kills, and gateways in front of it.
SERVER_SCRIPT=postgres.sh
# The machine stays up, so that the disk need not be waited for.
SERVER_SETTINGS=fsync=off
. tests/servers/begin.sh

part "$BUILD/tests/servers/postgres_client" "$URL"
part "$BUILD/tests/servers/import_values" "$URL"
part "$BUILD/tests/servers/import_outage" "$URL" "$SERVER stop '$FOLDER'" "$SERVER start '$FOLDER'" \
    "$SERVER save '$FOLDER'" "$SERVER restore '$FOLDER'"
part "$BUILD/tests/servers/import_model" "$URL" "$SEED" "${SCHEDULES:-3}"
part "$BUILD/tests/servers/import_kill" "$URL" "$KILLS" "$SEED" \
    "$SERVER kill '$FOLDER' && $SERVER start '$FOLDER'" "$SERVER crash '$FOLDER'"
report
