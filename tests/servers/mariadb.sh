#!/bin/sh
# SPDX-License-Identifier: MIT
# A MariaDB server of a test's own, in a folder of its own and on a Unix socket there only; as root it runs as an unprivileged user.
#
#   mariadb.sh start FOLDER [SETTING=VALUE ...]    makes the data folder on first sight; the settings stay for later starts;
#                                                  ends when the server takes connections
#   mariadb.sh stop FOLDER                         as an administrator stops it
#   mariadb.sh kill FOLDER                         SIGKILL: nothing is written any more
#   mariadb.sh url FOLDER                          prints its URL
set -u
command=$1
folder=$2
shift 2
data=$folder/data
PATH=$PATH:/usr/sbin:/usr/local/sbin

. "$(dirname "$0")/common.sh"
need mariadbd mariadb-install-db mariadb-server
be mysql

make_data() {
    make_folder
    unprivileged mariadb-install-db --no-defaults --datadir="$data" --skip-test-db --auth-root-authentication-method=normal \
        >"$folder/install.log" 2>&1 || { cat "$folder/install.log" >&2; exit 1; }
}

is_gone() { ! kill -0 "$1" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

wait_gone() { # pid
    for _ in $(seq 600); do
        is_gone "$1" && return 0
        sleep 0.1
    done
    return 1
}

case $command in
start)
    [ -d "$data/mysql" ] || make_data
    [ $# -eq 0 ] || echo "$@" >"$folder/settings"
    options=
    [ ! -f "$folder/settings" ] || for setting in $(cat "$folder/settings"); do options="$options --$setting"; done
    # shellcheck disable=SC2086
    unprivileged mariadbd --no-defaults --datadir="$data" --socket="$data/socket" --pid-file="$data/pid" --skip-networking \
        --log-error="$data/server.log" $options </dev/null >/dev/null 2>&1 &
    started=$!
    for _ in $(seq 600); do
        mariadb --no-defaults --socket="$data/socket" -u root -e 'CREATE DATABASE IF NOT EXISTS tern' >/dev/null 2>&1 && exit 0
        is_gone "$started" && break
        sleep 0.1
    done
    tail -n 20 "$data/server.log" >&2
    exit 1
    ;;
stop | kill)
    pid=$(cat "$data/pid" 2>/dev/null) || exit 0
    if [ "$command" = stop ]; then kill "$pid"; else kill -9 "$pid"; fi 2>/dev/null
    wait_gone "$pid"
    rm -f "$data/pid"
    ;;
url) echo "mysql://root@/tern?socket=$data/socket" ;;
*) exit 2 ;;
esac
