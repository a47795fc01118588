#!/bin/sh
# SPDX-License-Identifier: MIT
# Bad input of every kind: a message that says what, where and what to do; status 2 for usage, 1 for failure; nothing half-written.
. tests/e2e/common.sh

# fails STATUS PATTERN COMMAND...: the command ends with that status, and says PATTERN in at most three lines.
fails() {
    wanted=$1
    pattern=$2
    shift 2
    "$@" >"$WORK/said" 2>&1 </dev/null
    status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -q -e "$pattern" "$WORK/said" || [ "$(wc -l <"$WORK/said")" -gt 3 ]; then
        echo "    status $status, expected $wanted and '$pattern'; it said:"
        sed 's/^/    /' "$WORK/said"
        return 1
    fi
}

absent() {
    [ ! -e "$1" ]
}

gateway() {
    bounded 20 "$BUILD/tern-gateway" "$@"
}

device() {
    bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 --flash "$WORK/flash" --table climate --quiet --wait 20 "$@"
}

without_sqlite() {
    TERN_SQLITE_LIBRARY="$WORK/no.so" bounded 20 "$BUILD/tern-gateway" "$@"
}

# ---- Words of the command line ----------------------------------------------------------------------------------------------------

check "gateway: an unknown word, and the nearest option" fails 2 "'--lisen'.*--listen" gateway --lisen tcp://127.0.0.1:0
check "gateway: a word without dashes" fails 2 "'start'" gateway start
check "gateway: a value is missing" fails 2 "--stage needs a value" gateway --stage
check "gateway: no staging folder" fails 2 "--stage DIR is missing" gateway --listen tcp://127.0.0.1:0
check "gateway: no word at all" fails 2 "--stage DIR is missing" gateway
check "gateway: nowhere to listen" fails 2 "--listen URL is missing" gateway --stage "$WORK/none"
check "gateway: a number that is none" fails 2 "window must be a number.*'many'" gateway --window many
check "gateway: a number out of range" fails 2 "from 1 to 86400" gateway --idle-seconds 0
check "gateway: an unknown log level" fails 2 "not 'loud'" gateway --log-level loud
check "gateway: the same option twice" fails 2 "stage may be given" gateway --stage a --stage b
check "gateway: a password on the command line" fails 2 "password" gateway --sink postgresql://me:secret@host/db
check "gateway: the password is not repeated" sh -c "! grep -q secret '$WORK/said'"
check "gateway: a place to listen at that cannot be" fails 2 "tcp://ADDRESS:PORT" gateway --stage "$WORK/s0" --listen tcp://nowhere
check "gateway: a destination that is not known" fails 2 "ftp" gateway --stage "$WORK/s1" --listen tcp://127.0.0.1:0 --sink ftp://host/
check "gateway: --help" fails 0 "takes records from devices" sh -c "'$BUILD/tern-gateway' --help | head -n 1"
check "gateway: --version" fails 0 "^tern-gateway [0-9]" gateway --version
check "gateway: nothing was made for a usage error" absent "$WORK/none"

echo "lisen = tcp://127.0.0.1:0" >"$WORK/config"
check "gateway: an unknown name in the file" fails 2 "config:1: .*'lisen'; did you mean listen" gateway --config "$WORK/config"
echo "listen tcp://127.0.0.1:0" >"$WORK/config"
check "gateway: a line that is no option" fails 2 "config:1: .*name = value" gateway --config "$WORK/config"
check "gateway: a file that is not there" fails 1 "cannot read .*nowhere" gateway --config "$WORK/nowhere"

check "device: an unknown word" fails 2 "--conect" "$BUILD/tern-device" --conect tcp://127.0.0.1:1 x.csv
check "device: nothing to connect to" fails 2 "--connect" "$BUILD/tern-device" --id dev1 --flash "$WORK/f" --table t --key at x.csv
printf 'at,celsius\n1,2.0\n' >"$WORK/good.csv"
check "device: an identity that cannot be" fails 2 "id" "$BUILD/tern-device" --connect tcp://127.0.0.1:1 --id "no good" --flash "$WORK/f" \
    --table t --key at "$WORK/good.csv"

# ---- The gateway's surroundings ---------------------------------------------------------------------------------------------------

start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "csv:$WORK/out" || exit 1
check "gateway: the port is in use" fails 1 "in use" gateway --listen "tcp://127.0.0.1:$PORT" --stage "$WORK/s2"
check "gateway: the staging folder is in use" fails 1 "stage" gateway --listen tcp://127.0.0.1:0 --stage "$WORK/stage"

mkdir "$WORK/old"
printf 'tern-stage 9 62da92e56e51f258 083bfa7e\n' >"$WORK/old/store"
cp "$WORK/old/store" "$WORK/old.before"
check "gateway: a staging folder of another version" fails 1 "version" gateway --listen tcp://127.0.0.1:0 --stage "$WORK/old"
check "gateway: and it is as it was" cmp "$WORK/old/store" "$WORK/old.before"
check "gateway: and nothing was added" test "$(ls "$WORK/old" | grep -v -e '^lock$' | wc -l)" -eq 1

touch "$WORK/file"
check "gateway: a staging folder that cannot be made" fails 1 "$WORK/file" gateway --listen tcp://127.0.0.1:0 --stage "$WORK/file/stage"

check "gateway: SQLite's library is missing" fails 1 "libsqlite3" without_sqlite --listen tcp://127.0.0.1:0 --stage "$WORK/s3" --sink "sqlite:$WORK/y.db"
check "gateway: and no database was begun" absent "$WORK/y.db"

# ---- The device's file ------------------------------------------------------------------------------------------------------------

# file TEXT: the CSV file of the next case.
file() {
    printf "$1" >"$WORK/bad.csv"
}

rm -f "$WORK/bad.csv"
check "device: a file that is not there" fails 1 "bad.csv.*No such file" device --key at "$WORK/bad.csv"
file ''
check "device: an empty file" fails 1 "bad.csv" device --key at "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n2,3.0,4\n'
check "device: a row with too many fields" fails 1 "bad.csv.*3" device --key at "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n2\n'
check "device: a row with too few fields" fails 1 "bad.csv.*3" device --key at "$WORK/bad.csv"
file 'at,note\n1,abc\n2,abcdef\n'
check "device: a text too long for its column" fails 1 "bad.csv.*3.*note" device --key at --types 'note=text(4)' "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n2,warm\n'
check "device: a number that does not parse" fails 1 "bad.csv.*3.*celsius" device --key at --types 'celsius=decimal(2)' "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n2,2.125\n'
check "device: more digits than declared" fails 1 "bad.csv.*3.*celsius" device --key at --types 'celsius=decimal(2)' "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n,3.0\n'
check "device: a key without a value" fails 1 "bad.csv.*3.*at" device --key at "$WORK/bad.csv"
file 'at,note\n1,"abc\n'
check "device: a quote that is not closed" fails 1 "bad.csv" device --key at "$WORK/bad.csv"
file 'at,celsius\n1,2.0\n'
check "device: a key column that is not there" fails 1 "when" device --key when "$WORK/bad.csv"
check "device: a type that is not known" fails 1 "celsius.*volts\|volts" device --key at --types 'celsius=volts' "$WORK/bad.csv"

small() { # flash sector sectors
    flash=$1 sector=$2 sectors=$3
    shift 3
    bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --id dev1 --flash "$WORK/$flash" --table climate --key at --quiet \
        --wait 20 --sector "$sector" --sectors "$sectors" "$@"
}
awk 'BEGIN { print "at,celsius"; for (i = 0; i < 300; i++) print 1767225600 + i * 60 "," i ".25" }' >"$WORK/many.csv"
printf 'at,note\n1,%064d\n' 1 | sed 's/,0/,n/' >"$WORK/words.csv"
check "device: a commit of more than the flash holds" fails 1 "smaller --commit" small ring 1024 2 --chunk 512 --commit 300 "$WORK/many.csv"
check "device: a sector too small for a row" fails 1 "many.csv:2: .*--sector of more than 287 " small sector 160 2 --chunk 64 --unit 32 "$WORK/many.csv"
check "device: a chunk too small for a row" fails 1 "words.csv:2: .*--chunk" small chunk 4096 2 --chunk 64 "$WORK/words.csv"

# ---- Nothing of all that was stored, and nobody was disturbed -----------------------------------------------------------------------

file 'at,celsius\n1,2.0\n2,3.5\n'
{ head -c 3000 /dev/zero | tr '\0' 'x'; printf '\000'; } >"$WORK/long.frame"
check "gateway: a frame over the limit is dropped" sh -c "'$TOOLS/rawsend' $PORT <'$WORK/long.frame' >'$WORK/answer'"
check "gateway: and not answered" test ! -s "$WORK/answer"
head -c 300000 "$BUILD/tern-gateway" >"$WORK/garbage"
"$TOOLS/rawsend" "$PORT" <"$WORK/garbage" >/dev/null &
sender=$!
check "gateway: a device is not disturbed by another's garbage" device --key at "$WORK/bad.csv"
wait "$sender"
check "gateway: the garbage is in the log" grep -q 'event=bad-frame' "$WORK/started.log"
check "gateway: stops with status 0" stop_gateway
find "$WORK/out" -name '*.csv' | grep '/climate[/.-]' | sort | while read -r one; do tail -n +2 "$one"; done | cut -d, -f4- >"$WORK/stored"
printf '1,2.0\n2,3.5\n' >"$WORK/wanted"
check "nothing of the bad files was stored" cmp "$WORK/wanted" "$WORK/stored"
report
