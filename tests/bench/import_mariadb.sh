# SPDX-License-Identifier: MIT
# MariaDB for bench_import.sh: the client's LOAD DATA LOCAL INFILE. The server has its defaults but for a buffer pool and a redo log in which
# the table has room, as anybody has who loads so much. Rows that update are brought in with two workers; new ones by one worker, and by two.
UPDATE_WORKERS=${UPDATE_WORKERS:-2}
MORE_WORKERS=${MORE_WORKERS:-2}

db_open() {
    server=$1/my
    command -v mariadb >/dev/null 2>&1 || { echo "bench_import: mariadb is missing (Debian package mariadb-client)" >&2; return 1; }
    chmod 755 "$1" && mkdir "$server" || return 1
    sh tests/servers/mariadb.sh start "$server" innodb_buffer_pool_size=1G innodb_log_file_size=1G || return 1
    url=$(sh tests/servers/mariadb.sh url "$server")
}

sql() {
    mariadb --no-defaults --local-infile=1 --socket="$server/data/socket" -u root "$@"
}

db_fresh() {
    sql -e "DROP DATABASE tern; CREATE DATABASE tern"
}

db_type() {
    case $1$2 in
    textkey) echo "VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" ;;
    text*) echo "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" ;;
    i64*) echo BIGINT ;;
    i32*) echo INT ;;
    float*) echo DOUBLE ;;
    bool*) echo BOOLEAN ;;
    esac
}

db_bulk() {
    sql tern -e "CREATE TABLE bench($2) ENGINE=InnoDB;
        LOAD DATA LOCAL INFILE '$1' INTO TABLE bench FIELDS TERMINATED BY ','"
}

db_cpu() {
    sed 's/.*) //' "/proc/$(cat "$server/data/pid")/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) / hz }'
}

db_settings() {
    sql -N -e "SELECT CONCAT('# mariadb ', @@version, ', buffer pool ', @@innodb_buffer_pool_size DIV 1048576, ' MiB, log ',
        @@innodb_log_file_size DIV 1048576, ' MiB, innodb_flush_log_at_trx_commit ', @@innodb_flush_log_at_trx_commit, ', log_bin ',
        @@log_bin, '; updates: $UPDATE_WORKERS workers; $(nproc) cores')"
}

db_close() {
    [ -z "${server:-}" ] || sh tests/servers/mariadb.sh stop "$server"
}
