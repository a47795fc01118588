# SPDX-License-Identifier: MIT
# What the end-to-end scripts share. Sourced from the top folder: programs are in $BUILD, files go to a folder of their own that is
# removed at the end, and only processes that the script started are stopped.
set -u
BUILD=${BUILD:-build}
TOOLS=${TOOLS:-$BUILD/tests/e2e}
passed=0
failed=0
GATEWAY=
DEVICE=

WORK=$(mktemp -d "${TMPDIR:-/tmp}/tern-e2e-XXXXXX") || exit 1

cleanup() {
    for pid in $GATEWAY $DEVICE; do
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    [ -n "${KEEP:-}" ] && echo "kept: $WORK" || rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# check SENTENCE COMMAND...: counts whether the command succeeds.
check() {
    sentence=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok   $sentence"
    else
        failed=$((failed + 1))
        echo "FAIL $sentence"
        echo "    $*"
    fi
}

report() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# A program that closes with counts of its own.
part() {
    "$@" >"$WORK/part.log" 2>&1
    status=$?
    grep -v -E '^[0-9]+ passed, [0-9]+ failed' "$WORK/part.log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$WORK/part.log" | tail -n 1)
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [ -n "$line" ] || { echo "FAIL $1 ended with status $status and no closing line"; p=0 f=1; }
    [ "$status" -eq 0 ] || [ "$f" -ne 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f))
}

# A sleep of less than a second; busyboxes without fractions wait a second.
nap() {
    sleep "$1" 2>/dev/null || sleep 1
}

# start_gateway URL ARGUMENT...: starts one that listens at URL, sets GATEWAY and PORT when it does. Its log is $WORK/gateway.log.
start_gateway() {
    listen=$1
    shift
    : >"$WORK/started.log"
    "$BUILD/tern-gateway" --listen "$listen" "$@" 2>"$WORK/started.log" &
    GATEWAY=$!
    tries=0
    until grep -q 'event=listening' "$WORK/started.log"; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 "$GATEWAY" 2>/dev/null; then
            echo "the gateway did not start:"
            cat "$WORK/started.log"
            return 1
        fi
        nap 0.05
    done
    PORT=$(sed -n 's/.*event=listening url=tcp:[^ ]*:\([0-9]*\).*/\1/p' "$WORK/started.log" | head -n 1)
}

# SIGTERM, and its exit status.
stop_gateway() {
    kill -TERM "$GATEWAY"
    wait "$GATEWAY"
    status=$?
    cat "$WORK/started.log" >>"$WORK/gateway.log"
    GATEWAY=
    return $status
}

# SIGKILL.
kill_gateway() {
    kill -9 "$GATEWAY" 2>/dev/null
    wait "$GATEWAY" 2>/dev/null
    cat "$WORK/started.log" >>"$WORK/gateway.log"
    GATEWAY=
}

# bounded SECONDS COMMAND...: as the command, but a hang is a failure.
bounded() {
    limit=$1
    shift
    if command -v timeout >/dev/null 2>&1; then
        timeout "$limit" "$@"
    else
        "$@"
    fi
}

have_sqlite() {
    "$TOOLS/dbdump" :memory: 'SELECT 1' >/dev/null 2>"$WORK/sqlite.txt"
}

# For a script that can show nothing without it: it ends here, skipped.
need_sqlite() { # its name
    have_sqlite && return
    echo "skip $1: $(cat "$WORK/sqlite.txt")"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
