#!/bin/sh
# SPDX-License-Identifier: MIT
# Promise 4 at every point of a small run: three batches of five devices; a backup of the database after each batch k is restored after each
# batch m, with the staging folder as it was then, and without it. Before the third batch one device is reset to nothing, and one finds its flash
# a little older than it was, which begins another epoch.
. tests/e2e/common.sh
. tests/e2e/restore_sweep.sh

need_sqlite "restore sweep"
URL=sqlite:$WORK/x.db
ask() {
    "$TOOLS/dbdump" "$WORK/x.db" "$1"
}
backup() {
    cp "$WORK/x.db" "$1"
}
restore() {
    rm -f "$WORK"/x.db*
    [ ! -e "$1" ] || cp "$1" "$WORK/x.db"
}
sweep_setup
for m in 1 2 3; do
    for k in $(seq 0 $m); do
        sweep_point "$k" "$m" kept
        sweep_point "$k" "$m" lost
    done
done
check "what no flash held any more was in gaps" sh -c "echo '$gapped' | grep small | grep -q turned"
[ "$failed" -eq 0 ] || tail -n 30 "$WORK/gateway.log"
report
