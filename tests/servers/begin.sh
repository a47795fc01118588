# SPDX-License-Identifier: MIT
# The beginning of a script that tests with a server of its own: sourced from the top folder, with the server's script and its settings as
# SERVER_SCRIPT and SERVER_SETTINGS. Sets SERVER, FOLDER and URL; SEED=N repeats a run, KILLS=200 makes a long one.
. tests/e2e/common.sh

SEED=${SEED:-$(date +%s)}
KILLS=${KILLS:-40}
SERVER="sh tests/servers/$SERVER_SCRIPT"
FOLDER=$WORK/server
mkdir "$FOLDER"
stop_server() {
    $SERVER stop "$FOLDER"
    cleanup
}
trap stop_server EXIT
chmod 755 "$WORK"
# shellcheck disable=SC2086
$SERVER start "$FOLDER" $SERVER_SETTINGS || exit 1
URL=$($SERVER url "$FOLDER")
echo "seed $SEED"

# finds LINE [URL]: check prints it of the tables that tests/e2e/database.sh leaves, and does not end well.
finds() {
    "$BUILD/tern-gateway" check --stage "$WORK/stage2" --sink "${2:-$URL}" --name room=rooms --name room.v=value >"$WORK/said" 2>&1 && return 1
    grep -q -e "$1" "$WORK/said" || { cat "$WORK/said"; return 1; }
}
