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
kill -HUP "$GATEWAY"
check "SIGHUP with the same file changes nothing" has 'event=reloaded log_level=info$'
check "SIGHUP with a changed file" sh -c "sed -e s/warn/debug/ -e s/out/other/ -e '\$a connections = 9' '$WORK/config' >'$WORK/new' && mv '$WORK/new' '$WORK/config' && kill -HUP $GATEWAY"
check "says what was reloaded and what was not" has 'event=reloaded log_level=info unchanged="\(sink connections\|connections sink\)"'
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

# A destination that cannot be reached: the folder it needs is a file.
touch "$WORK/file"
late() { # seconds
    start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "csv:$WORK/out" --sink "csv:$WORK/file/out" --drain-seconds "$1" --from "$2"
}
check "a gateway starts while a destination is away" late 60 start
kill -TERM "$GATEWAY"
check "and waits for it when it is to stop" has 'event=draining'
kill -HUP "$GATEWAY"
kill -TERM "$GATEWAY"
check "a second signal stops it at once, with status 0" wait "$GATEWAY"
check "and it says that something is left" has 'event=stopped msg="a destination is behind'
GATEWAY=
late 1 start
check "without a second one it waits no longer than it was told" stop_gateway
check "and says the same" has 'event=stopped msg="a destination is behind'

# From now on alone.
rm "$WORK/file"
printf 'at,celsius\n3,4.0\n' >"$WORK/rows.csv"
start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "csv:$WORK/out" --sink "csv:$WORK/new" --from now
check "a device comes with one more row" bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 \
    --flash "$WORK/flash" --table climate --key at --quiet --wait 20 "$WORK/rows.csv"
check "the gateway stops" stop_gateway
check "a new destination with --from now has that row alone" sh -c "cat '$WORK'/new/*.csv | grep '^dev1,' | cut -d, -f3- | grep -q -x 'put,3,4.0' && test \$(cat '$WORK'/new/*.csv | grep -c '^dev1,') -eq 1"
check "the one before has all" sh -c "test \$(cat '$WORK'/out/*.csv | grep -c '^dev1,') -eq 3"
report
