#!/bin/sh
# SPDX-License-Identifier: MIT
# A PostgreSQL server of a test's own, in a folder of its own and on a Unix socket there only; as root it runs as an unprivileged user.
#
#   postgres.sh start FOLDER [SETTING=VALUE ...]   makes the cluster on first sight; ends when the server takes connections
#   postgres.sh stop FOLDER                        as an administrator stops it
#   postgres.sh kill FOLDER                        as a power cut stops it: nothing is written any more
#   postgres.sh crash FOLDER                       SIGKILLs one of the server's sessions: it throws out all, and recovers
#   postgres.sh save FOLDER                        takes a backup: the server is stopped for it
#   postgres.sh restore FOLDER                     goes back to it
#   postgres.sh url FOLDER                         prints its URL
set -u
command=$1
folder=$2
shift 2
data=$folder/data
PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

. "$(dirname "$0")/common.sh"
need initdb pg_ctl postgresql-15
be postgres

make_cluster() {
    make_folder
    unprivileged initdb -D "$data" -U tern -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$folder/initdb.log" 2>&1 ||
        { cat "$folder/initdb.log" >&2; exit 1; }
    # Durability stays as it is by default.
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$data'" "max_connections = 40" >>"$data/postgresql.conf"
}

start_server() {
    unprivileged pg_ctl -D "$data" -w -t 60 -l "$data/server.log" start >"$folder/start.log" 2>&1 ||
        { cat "$folder/start.log" "$data/server.log" >&2; exit 1; }
}
stop_server() { # smart, fast or immediate
    unprivileged pg_ctl -D "$data" -w -t 60 -m "$1" stop >/dev/null 2>&1
}

case $command in
start)
    [ -f "$data/PG_VERSION" ] || make_cluster
    for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'" >>"$data/postgresql.conf"; done
    start_server
    ;;
stop) stop_server fast ;;
kill) stop_server immediate ;;
save) stop_server fast && rm -rf "$folder/saved" && cp -a "$data" "$folder/saved" && start_server ;;
restore) stop_server fast && rm -rf "$data" && cp -a "$folder/saved" "$data" && start_server ;;
crash)
    # A session's process, if there is one; otherwise the one that writes the WAL.
    postmaster=$(head -n 1 "$data/postmaster.pid")
    victim=$(ps -o pid=,args= --ppid "$postmaster" | grep -E 'postgres: (tern .* \[local\]|walwriter)' | sort -k 3 | head -n 1 | awk '{ print $1 }')
    [ -n "$victim" ] && kill -9 "$victim"
    ;;
url) echo "postgresql://tern@/postgres?host=$data" ;;
*) exit 2 ;;
esac
