# SPDX-License-Identifier: MIT
# A database that is restored, at any point of a run: sourced behind common.sh, with $URL and
#   ask STATEMENT     prints its rows, columns by a comma
#   backup FILE       of the database, by its own tool
#   restore FILE      empties the database and brings the backup back; there is none before the first batch
# Devices: plain keeps all in its flash, small a part, reset is erased before batch 3, and moved finds its flash as it was before its last ten
# rows then: they are in the store and the database alone, and another epoch begins where they did. turned is both: its flash holds nothing of the
# epoch before batch 3.

DEVICES="plain small reset moved turned"
ROWS=300
gapped= # devices that had gaps in the end, once for each point

sweep_push() { # id file
    sectors=64
    case $1 in small | turned) sectors=7 ;; esac
    bounded 60 "$BUILD/tern-device" --connect "tcp://127.0.0.1:$PORT" --quiet --wait 30 --id "$1" --flash "$WORK/$1.flash" --sector 1024 \
        --sectors $sectors --chunk 256 --commit 20 --table room --key at --types v=u32 "$2" 2>>"$WORK/device.log"
}

# Rows FIRST to before FIRST + COUNT, v after at; what a device has sent goes to its list.
sweep_rows() { # id first count list
    awk -v a="$2" -v n="$3" 'BEGIN { print "at,v"; for (i = a; i < a + n; i++) print i "," i * 7 % 100003 }' >"$WORK/$1.csv"
    tail -n +2 "$WORK/$1.csv" >>"$4"
}

sweep_send() { # id first count list
    sweep_rows "$@"
    sweep_push "$1" "$WORK/$1.csv"
}

sweep_batch() { # m
    for id in $DEVICES; do
        count=$ROWS
        case $id.$1 in
        reset.3) rm -f "$WORK"/reset.flash* ;;
        moved.3) cp "$WORK/older"/moved.* "$WORK" ;;
        turned.3) cp "$WORK/older"/turned.* "$WORK" && count=$((2 * ROWS)) ;;
        esac
        sweep_send $id $(($1 * 10000)) $count "$WORK/$id.$1"
        case $id.$1 in
        moved.2 | turned.2)
            cp "$WORK/$id".flash* "$WORK/older"
            sweep_send $id $(($1 * 10000 + ROWS)) 10 "$WORK/$id.$1"
            ;;
        esac
    done
}

sweep_start() {
    start_gateway tcp://127.0.0.1:0 --stage "$WORK/stage" --sink "$URL" --held-hours 0 "$@"
}

# The run, with a copy of everything after each batch.
sweep_setup() {
    mkdir "$WORK/older"
    rm -rf "$WORK/stage"
    restore "$WORK/none"
    sweep_start || exit 1
    for m in 1 2 3; do
        sweep_batch $m
        stop_gateway || exit 1
        mkdir "$WORK/at.$m"
        backup "$WORK/at.$m/backup"
        cp -R "$WORK/stage" "$WORK"/*.flash* "$WORK/at.$m"
        sweep_start || exit 1
    done
    stop_gateway
    check "the run is in the database" test "$(ask 'SELECT count(*) FROM room')" -eq $((16 * ROWS + 20))
}

# What must be there of a device, in $WORK/expected. What the store and the flash have lost without anybody's knowing is left out: the
# first epoch of reset, and ten rows of moved and turned.
sweep_expect() { # id k m folder
    for batch in $(seq "$3"); do
        if [ "$4" = kept ] || [ "$3" -lt 3 ] || [ "$batch" -le "$2" ] || [ "$batch" -eq 3 ]; then
            cat "$WORK/$1.$batch"
        else
            case $1.$batch in
            reset.*) ;;
            moved.2 | turned.2) head -n $ROWS "$WORK/$1.$batch" ;;
            *) cat "$WORK/$1.$batch" ;;
            esac
        fi
    done
    cat "$WORK/$1.new"
}

# Rows and gaps together are what is expected. Gaps has only what has too little flash, and moved where that knows that its first epoch was
# acknowledged, for which it cannot be asked. A row is one that was sent.
sweep_is_right() { # id k m folder
    sweep_expect "$@" | sort >"$WORK/expected"
    ask "SELECT at,v FROM room WHERE device='$1'" 2>/dev/null | sort >"$WORK/found"
    lost=$(ask "SELECT coalesce(sum(last-first+1),0) FROM tern_gap WHERE device='$1'" 2>/dev/null)
    case $1.$4 in
    small.lost | moved.lost | turned.lost) [ -z "$(comm -13 "$WORK/expected" "$WORK/found")" ] ;;
    *) [ "${lost:-0}" -eq 0 ] ;;
    esac && [ $(($(wc -l <"$WORK/found") + ${lost:-0})) -eq "$(wc -l <"$WORK/expected")" ]
}

# Each device comes with a new row until everything is right: it is asked in its session, or in the next.
sweep_settles() { # id k m folder
    for try in $(seq 6); do
        sweep_send "$1" $((40000 + try)) 1 "$WORK/$1.new"
        for _ in 1 2 3 4; do
            sweep_is_right "$@" && { [ "${lost:-0}" -eq 0 ] || gapped="$gapped $1"; } && return 0
            [ "$try" -gt 1 ] || break
            nap 0.1
        done
    done
    echo "    $1: $(wc -l <"$WORK/expected") rows expected, $(wc -l <"$WORK/found") found, $lost in gaps"
    comm -3 "$WORK/expected" "$WORK/found" | head -n 3
    ask "SELECT epoch,first,last,reason FROM tern_gap WHERE device='$1'"
    ask "SELECT epoch,applied FROM tern_checkpoint WHERE device='$1'"
    return 1
}

sweep_point() { # k m folder
    k=$1 m=$2
    rm -rf "$WORK/stage"
    [ "$3" = kept ] && cp -R "$WORK/at.$m/stage" "$WORK/stage"
    cp "$WORK/at.$m"/*.flash* "$WORK"
    restore "$WORK/at.$k/backup"
    sweep_start || exit 1
    for id in $DEVICES; do
        : >"$WORK/$id.new"
        check "backup of batch $k restored after batch $m, staging folder $3: rows and gaps of $id" sweep_settles $id "$k" "$m" "$3"
    done
    kill_gateway
}
