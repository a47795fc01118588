#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: bench_import.sh DATABASE [ROWS] [ROUNDS]. Rows from a staging store into the database, new and then all of them again as updates, beside the
# database's own tool loading the same file into an identical table, in turns. Prints the ratios' medians, and the CPU seconds for a million
# rows: the client's (the own tool, or tern's importer) and the server's. DATA=narrow, random, text or wide and FORMAT=csv or packed choose
# the rows: see bench_import.c. What differs from database to database is in import_DATABASE.sh, which defines
#   db_open FOLDER    starts what is needed, or says why it cannot and returns 1
#   db_fresh          an empty database; sets $url
#   db_type TYPE KEY  a column's type, as tern has it; TYPE: text, i64, i32, float, bool; KEY: key or -
#   db_bulk FILE COLUMNS   makes a table like tern's (COLUMNS: device, tern_id, and those of the data, for a CREATE TABLE)
#                     and loads the file into it with the database's own tool
#   db_before_update  may prepare the table for rows that update; not timed
#   MORE_WORKERS      may be set: new rows are then brought in by so many workers too
#   db_settings       a line with versions and settings
#   db_cpu            CPU seconds that the server has used
#   db_close
set -e
cd "$(dirname "$0")/../.."
build=${B:-build}
database=${1:-sqlite} rows=${2:-1000000} rounds=${3:-5}
data=${DATA:-narrow} format=${FORMAT:-csv}
db_before_update() { :; }
db_cpu() { echo 0; }
. "tests/bench/import_$database.sh"

folder=$(mktemp -d "${TERN_BENCH:-/tmp}/tern-bench-XXXXXX")
trap 'db_close; rm -rf "$folder"' EXIT INT TERM
if ! db_open "$folder"; then exit 1; fi
"$build/tests/bench/bench_import" make "$folder" "$rows" 500 "${VISIT:-1}" "$data" "$format"

# device, tern_id and the data's columns with the database's types, and the key.
keys=device
columns="device $(db_type text key) NOT NULL, tern_id $(db_type i64 -) NOT NULL"
"$build/tests/bench/bench_import" columns "$data" >"$folder/columns"
while read -r name type key; do
    columns="$columns, $name $(db_type "$type" "$key")"
    [ "$key" = - ] || { columns="$columns NOT NULL"; keys="$keys, $name"; }
done <"$folder/columns"
columns="$columns, PRIMARY KEY($keys)"

now() { date +%s.%N; }
# User and system time of this shell's children so far, into $folder/$1: not in a subshell, which has none.
client_cpu() { times >"$folder/$1"; }
# seconds, CPU seconds of the client and of the server
bulk() {
    server_before=$(db_cpu)
    client_cpu before
    begun=$(now)
    db_bulk "$folder/rows.csv" "$columns"
    ended=$(now)
    client_cpu after
    client=$(sed -n 2p "$folder/before" "$folder/after" -s | tr 'ms' '  ' | awk '{ used = $1 * 60 + $2 + $3 * 60 + $4 - used } END { print used }')
    measured=$(echo "$begun $ended $client $server_before $(db_cpu)" | awk '{ printf "%.3f %.3f %.3f", $2 - $1, $3, $5 - $4 }')
}
tern() { # store workers
    server_before=$(db_cpu)
    measured=$("$build/tests/bench/bench_import" load "$folder/$1" "$url" "$2")
    measured="$measured $(echo "$server_before $(db_cpu)" | awk '{ printf "%.3f", $2 - $1 }')"
}

round=1
while [ "$round" -le "$rounds" ]; do
    db_fresh
    bulk
    line=$measured
    db_fresh
    tern new "${WORKERS:-1}"
    line="$line $measured"
    db_before_update
    tern update "${UPDATE_WORKERS:-${WORKERS:-1}}"
    line="$line $measured"
    if [ -n "${MORE_WORKERS:-}" ]; then
        db_fresh
        tern new "$MORE_WORKERS"
        line="$line $measured"
    fi
    echo "$line" | awk -v r="$round" '{ printf "# round %s: seconds, CPU of client and server: own tool %s %s %s, new %s %s %s, update %s %s %s, more workers %s %s %s\n",
        r, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 }' >&2
    echo "$line"
    round=$((round + 1))
done >"$folder/rounds"
db_settings
echo "# data $data in chunks of $format, $rows rows of 500 devices that take turns, medians of $rounds; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"

name=$database
[ "$data" = narrow ] || name=${name}_$data
[ "$format" = csv ] || name=${name}_$format
median() { # name unit awk-expression
    awk "{ print $3 }" "$folder/rounds" | sort -g | awk -v n="$1" -v u="$2" '{ v[NR] = $1 } END { printf "%s %.2f %s\n", n, v[int((NR + 1) / 2)], u }'
}
median "import_new_ratio_$name" x '$1 / $4'
median "import_update_ratio_$name" x '$1 / $7'
[ -z "${MORE_WORKERS:-}" ] || median "import_new_ratio_${name}_${MORE_WORKERS}_workers" x '$1 / $10'
million="* 1000000 / $rows"
set -- tool 2 new 5 update 8
[ -z "${MORE_WORKERS:-}" ] || set -- "$@" "new_${MORE_WORKERS}_workers" 11
while [ $# -gt 0 ]; do
    median "import_cpu_$1_client_$name" s/Mrow "\$$2 $million"
    [ "$database" = sqlite ] || median "import_cpu_$1_server_$name" s/Mrow "\$$(($2 + 1)) $million"
    shift 2
done
