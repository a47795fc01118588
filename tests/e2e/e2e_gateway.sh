#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway as a process: configuration file, signals, several gateways in a row on one staging folder.
. tests/e2e/common.sh

has() {
    tries=0
    until grep -q -e "$1" "$WORK/started.log"; do
        tries=$((tries + 1))
        [ $tries -gt 100 ] && return 1
        nap 0.05
    done
}

interrupt_gateway() {
    kill -INT "$GATEWAY"
    wait "$GATEWAY"
}

cat >"$WORK/config" <<CONFIG
# The gateway of this test.
stage = $WORK/stage
sink = csv:$WORK/out
log-level = warn
CONFIG
printf 'at,celsius\n1,2.0\n2,3.5\n' >"$WORK/rows.csv"

check "options come from a file, and the command line wins" start_gateway tcp://127.0.0.1:0 --config "$WORK/config" --log-level info
check "SIGHUP with a changed file" sh -c "sed -e s/warn/debug/ -e s/out/other/ '$WORK/config' >'$WORK/new' && mv '$WORK/new' '$WORK/config' && kill -HUP $GATEWAY"
check "says what was reloaded and what was not" has 'event=reloaded log_level=info unchanged=sink'
echo "nonsense" >>"$WORK/config"
kill -HUP "$GATEWAY"
check "a file that is bad at SIGHUP is said to be, and the gateway goes on" has 'event=reload-failed msg=.*name = value'
check "a device is served after that" bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 \
    --flash "$WORK/flash" --table climate --key at --quiet --wait 20 "$WORK/rows.csv"
check "SIGINT drains and stops with status 0" interrupt_gateway
check "and says so" has 'event=stopped'
GATEWAY=
check "what was acknowledged is in the destination" sh -c "cat \$(find '$WORK/out' -name '*.csv') | grep -q '^dev1,[0-9]*,[^,]*,2,3.5'"

check "a gateway starts again on the same port at once" start_gateway "tcp://127.0.0.1:$PORT" --stage "$WORK/stage"
kill -STOP "$GATEWAY"
kill -TERM "$GATEWAY"
kill -INT "$GATEWAY"
kill -CONT "$GATEWAY"
check "two signals stop it, too" wait "$GATEWAY"
GATEWAY=
report
