#!/bin/sh
# SPDX-License-Identifier: MIT
# SQLite: the importer under kills. SEED=N repeats a run; KILLS=200 makes a long one.
. tests/e2e/common.sh

SEED=${SEED:-$(date +%s)}
part "$BUILD/tests/servers/import_kill" "sqlite:$WORK/killed.db" "${KILLS:-40}" 1 "$SEED"
report
