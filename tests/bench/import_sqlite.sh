# SPDX-License-Identifier: MIT
# SQLite for bench_import.sh: the shell's .import, with tern's own settings of journal and durability.
db_open() {
    database_file=$1/out.db
    command -v sqlite3 >/dev/null 2>&1 && return 0
    echo "bench_import: sqlite3 is missing (Debian package sqlite3)" >&2
    return 1
}

db_fresh() {
    rm -f "$database_file" "$database_file-wal" "$database_file-shm"
    url=sqlite:$database_file
}

db_type() {
    case $1 in text) echo TEXT ;; float) echo REAL ;; *) echo INTEGER ;; esac
}

db_bulk() {
    sqlite3 "$database_file" >/dev/null <<END
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
PRAGMA cache_size=-32768;
PRAGMA wal_autocheckpoint=8000;
CREATE TABLE bench($2) STRICT, WITHOUT ROWID;
.mode csv
.import $1 bench
END
}

db_settings() {
    echo "# sqlite $(sqlite3 -version | cut -d' ' -f1), WAL, synchronous=FULL, cache 32 MiB; $(nproc) cores"
}

db_close() { :; }
