# SPDX-License-Identifier: MIT
# What the tests of images in emulators share. Sourced behind tests/e2e/common.sh.
SEED=${SEED:-$(date +%s)}
CUTS=${CUTS:-50}

# run_firmware TARGET IMAGE ROWS TABLE DRIVER...: drives the image until it has recorded ROWS rows through CUTS cuts, then waits until
# TABLE has as many. The driver ends when its standard input does.
run_firmware() {
    target=$1 image=$2 rows=$3 table=$4
    shift 4
    echo "seed $SEED"
    start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "sqlite:$WORK/x.db" || return 1
    mkfifo "$WORK/hold"
    "$@" "$target" "$image" "$PORT" "$CUTS" "$SEED" "$rows" "$WORK/flash" <"$WORK/hold" >"$WORK/driver.log" 2>&1 &
    DEVICE=$!
    exec 9>"$WORK/hold"
    waited=0
    while kill -0 "$DEVICE" 2>/dev/null && [ "$(arrived "$table")" -lt "$rows" ] && [ $waited -lt 400 ]; do
        nap 0.25
        waited=$((waited + 1))
    done
    exec 9>&-
    wait "$DEVICE"
    status=$?
    DEVICE=
    cat "$WORK/driver.log"
    check "after each of $CUTS cuts the log held every committed record" test "$status" -eq 0
    check "the gateway stops with status 0" stop_gateway
}

arrived() { # table
    "$TOOLS/dbdump" "$WORK/x.db" "SELECT count(*) FROM $1" 2>/dev/null | grep . || echo 0
}

# check_query SENTENCE EXPECTED SQL
check_query() {
    "$TOOLS/dbdump" "$WORK/x.db" "$3" >"$WORK/answer" 2>&1
    check "$1" test "$(cat "$WORK/answer")" = "$2"
    [ "$(cat "$WORK/answer")" = "$2" ] || echo "    the answer: $(cat "$WORK/answer"), expected: $2"
}
