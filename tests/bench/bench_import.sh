#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench_import.sh DATABASE [ROWS] [ROUNDS]. Rows from a staging store into the database, new and then all of them again as updates, beside the
# database's own tool loading the same file into an identical table, in turns. Prints the ratios' medians. What differs from database to
# database is in import_DATABASE.sh, which defines
#   db_open FOLDER    starts what is needed, or says why it cannot and returns 1
#   db_fresh          an empty database; sets $url
#   db_bulk FILE      makes a table like tern's (device, tern_id, ts, temperature, humidity, light, count; key device and ts)
#                     and loads the file into it with the database's own tool
#   db_before_update  may prepare the table for rows that update; not timed
#   MORE_WORKERS      may be set: new rows are then brought in by so many workers too
#   db_settings       a line with versions and settings
#   db_close
set -e
cd "$(dirname "$0")/../.."
build=${B:-build}
database=${1:-sqlite} rows=${2:-1000000} rounds=${3:-5}
db_before_update() { :; }
. "tests/bench/import_$database.sh"

folder=$(mktemp -d "${TERN_BENCH:-/tmp}/tern-bench-XXXXXX")
trap 'db_close; rm -rf "$folder"' EXIT INT TERM
if ! db_open "$folder"; then exit 1; fi
"$build/tests/bench/bench_import" make "$folder" "$rows" 500 "${VISIT:-1}"

now() { date +%s.%N; }
round=1
while [ "$round" -le "$rounds" ]; do
    db_fresh
    begun=$(now)
    db_bulk "$folder/rows.csv"
    bulk=$(echo "$begun $(now)" | awk '{ printf "%.3f", $2 - $1 }')
    db_fresh
    new=$("$build/tests/bench/bench_import" load "$folder/new" "$url" "${WORKERS:-1}")
    db_before_update
    update=$("$build/tests/bench/bench_import" load "$folder/update" "$url" "${UPDATE_WORKERS:-${WORKERS:-1}}")
    more=-
    if [ -n "${MORE_WORKERS:-}" ]; then
        db_fresh
        more=$("$build/tests/bench/bench_import" load "$folder/new" "$url" "$MORE_WORKERS")
    fi
    echo "# round $round: own tool $bulk s, new $new s, update $update s, new with ${MORE_WORKERS:-no} workers $more s" >&2
    echo "$bulk $new $update $more"
    round=$((round + 1))
done >"$folder/rounds"
db_settings
awk '{ print $1 / $2 }' "$folder/rounds" | sort -n | awk -v n="import_new_ratio_$database" '{ v[NR] = $1 } END { printf "%s %.2f x\n", n, v[int((NR + 1) / 2)] }'
awk '{ print $1 / $3 }' "$folder/rounds" | sort -n | awk -v n="import_update_ratio_$database" '{ v[NR] = $1 } END { printf "%s %.2f x\n", n, v[int((NR + 1) / 2)] }'
if [ -n "${MORE_WORKERS:-}" ]; then
    awk '{ print $1 / $4 }' "$folder/rounds" | sort -n | awk -v n="import_new_ratio_${database}_${MORE_WORKERS}_workers" '{ v[NR] = $1 } END { printf "%s %.2f x\n", n, v[int((NR + 1) / 2)] }'
fi
