# SPDX-License-Identifier: MIT
# PostgreSQL for bench_import.sh: psql's \copy. The server has its defaults but for room for the WAL, so that checkpoints fall on none of
# the two. Rows that update are brought in with fillfactor 50, which host/README.md advises for such tables, and two workers; new ones by one worker, and by two.
UPDATE_WORKERS=${UPDATE_WORKERS:-2}
MORE_WORKERS=${MORE_WORKERS:-2}

db_open() {
    server=$1/pg
    command -v psql >/dev/null 2>&1 || { echo "bench_import: psql is missing (Debian package postgresql-client-15)" >&2; return 1; }
    chmod 755 "$1" && mkdir "$server" || return 1
    sh tests/servers/postgres.sh start "$server" max_wal_size=8GB checkpoint_timeout=1h || return 1
    url=$(sh tests/servers/postgres.sh url "$server")
}

sql() {
    psql -X -q -v ON_ERROR_STOP=1 "$url" "$@"
}

db_fresh() {
    sql -c "SET client_min_messages=warning" -c "DROP SCHEMA public CASCADE" -c "CREATE SCHEMA public" -c CHECKPOINT
}

db_type() {
    case $1$2 in
    textkey) echo 'text COLLATE "C"' ;;
    text*) echo text ;;
    i64*) echo bigint ;;
    i32*) echo integer ;;
    float*) echo "double precision" ;;
    bool*) echo boolean ;;
    esac
}

db_bulk() {
    sql -c "CREATE TABLE bench($2)" -c "\\copy bench FROM '$1' WITH (FORMAT csv)"
}

# The postmaster, what it has waited for, and its children.
db_cpu() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v pid="$(head -n 1 "$server/data/postmaster.pid")" -v hz="$(getconf CLK_TCK)" \
        '{ own = $1 == pid; sub(/.*\) /, ""); if (own) sum += $12 + $13 + $14 + $15; else if ($2 == pid) sum += $12 + $13 } END { print sum / hz }'
}

db_before_update() {
    sql -c "ALTER TABLE bench SET (fillfactor=50)" -c "VACUUM (FULL, ANALYZE) bench" -c CHECKPOINT
}

db_settings() {
    sql -At -c "SELECT '# postgresql '||split_part(version(),' ',2)||', shared_buffers '||current_setting('shared_buffers')||
        ', synchronous_commit '||current_setting('synchronous_commit')||', fsync '||current_setting('fsync')||
        ', max_wal_size '||current_setting('max_wal_size')||'; updates: fillfactor 50, $UPDATE_WORKERS workers; $(nproc) cores'"
}

db_close() {
    [ -z "${server:-}" ] || sh tests/servers/postgres.sh stop "$server"
}
