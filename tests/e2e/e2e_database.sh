#!/bin/sh
# SPDX-License-Identifier: MIT
# The gateway's commands with SQLite: tests/e2e/database.sh.
. tests/e2e/common.sh

need_sqlite e2e_database

URL=sqlite:$WORK/x.db
NOWHERE=sqlite:$WORK/nowhere/x.db
DROP_INDEX="DROP INDEX alone"
CLASH="unique"
sql() {
    "$TOOLS/dbdump" "$WORK/x.db" "$1" '|'
}
run_file() {
    "$TOOLS/dbdump" "$WORK/x.db" "$(cat "$1")"
}
empty() {
    rm -f "$WORK"/x.db*
}
. tests/e2e/database.sh
[ "$failed" -eq 0 ] || tail -n 20 "$WORK/gateway.log" "$WORK/device.log"
report
