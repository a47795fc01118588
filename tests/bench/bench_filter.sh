#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench_filter.sh DATABASE [ROWS] [ROUNDS]. New rows from a staging store into an empty database, with the importer's filter of keys and
# without it, in turns. Prints how many times as fast it is with it, by the clock and by CPU seconds of client and server; medians.
# DATA: the rows, as for bench_import.sh.
set -e
cd "$(dirname "$0")/../.."
build=${B:-build}
database=${1:-postgresql} rows=${2:-1000000} rounds=${3:-5}
data=${DATA:-random}
db_cpu() { echo 0; }
. "tests/bench/import_$database.sh"

folder=$(mktemp -d "${TERN_BENCH:-/tmp}/tern-bench-XXXXXX")
trap 'db_close; rm -rf "$folder"' EXIT INT TERM
if ! db_open "$folder"; then exit 1; fi
"$build/tests/bench/bench_import" make "$folder" "$rows" 500 1 "$data" csv
rm -rf "$folder/update" "$folder/rows.csv"

measured() { # with or without
    db_fresh
    rm -rf "$folder/store"
    cp -R "$folder/new" "$folder/store"
    before=$(db_cpu)
    "$build/tests/bench/bench_import" load "$folder/store" "$url" 1 $1 >"$folder/measured"
    echo "$(cat "$folder/measured") $before $(db_cpu)" | awk '{ printf "%.3f %.3f\n", $1, $2 + $4 - $3 }'
}

round=1
while [ "$round" -le "$rounds" ]; do
    without=$(measured no-filter)
    echo "$without $(measured)"
    round=$((round + 1))
done >"$folder/rounds"
db_settings
sed 's/^/# seconds and CPU seconds, without and with: /' "$folder/rounds" >&2
median() { # name expression
    awk "{ print $2 }" "$folder/rounds" | sort -g | awk -v n="$1_${database}_$data" '{ v[NR] = $1 } END { printf "%s %.2f x\n", n, v[int((NR + 1) / 2)] }'
}
median import_filter_ratio '$1 / $3'
median import_filter_cpu_ratio '$2 / $4'
