/* SPDX-License-Identifier: MIT */
/* What the host asks of the C library and of SQLite's library, counted; and one of the calls fails. A test
 * that uses it is named tests/unit/test_fail_*.c: the Makefile links those with --wrap for every function in
 * fail_calls.c. */
#ifndef TERN_FAIL_H
#define TERN_FAIL_H

#include <stdbool.h>

#include "../../host/sql/sqlite_api.h"

/* Which calls count. */
enum fail_group {
    FAIL_MEMORY = 1,   /* malloc, calloc, realloc, strdup give NULL */
    FAIL_READ = 2,     /* EIO: opening for reading, reading, listing, asking about files */
    FAIL_WRITE = 4,    /* ENOSPC: making, writing, syncing, renaming, removing */
    FAIL_SOCKET = 8,   /* EMFILE or ENOBUFS: sockets, epoll, timers */
    FAIL_PROCESS = 16, /* EAGAIN: threads, pipes, other programs */
    FAIL_SQLITE = 32,  /* a function of the library behind fail_sqlite() */
    FAIL_FOLDER =
        64, /* EIO: fsync, which makes names durable: the part of FAIL_WRITE that a test may want alone */
    FAIL_SERVER = 128 /* a function of libpq or libmariadb: fail_server.h */
};

enum fail_how {
    FAIL_ONCE,      /* that call alone */
    FAIL_ON,        /* that call and all behind it */
    FAIL_HALF,      /* that call moves half of the bytes that it could: reading and writing alone count */
    FAIL_INTERRUPT, /* that call is interrupted by a signal (EINTR): calls that wait or move bytes alone
                     * count */
    FAIL_UNHEARD    /* that call does its work and then says that it failed: SQLite and syncing */
};

/* The `nth` call of the groups from now on, from 1, fails. Waits of other threads become short as long as
 * this lasts. */
void fail_at(unsigned groups, enum fail_how how, unsigned nth);

/* Ends it. Whether there was such a call. */
bool fail_end(void);

/* While off, calls of this thread neither count nor fail: for the test's own. */
void fail_off(bool off);

/* For tests of an order. */
typedef void fail_watcher(void *context, const char *call, int descriptor, const char *name);
/* Is told of every call that changes a disk, before it is done: what it is called, the file or folder, the
 * name in the folder or NULL. */
void fail_watch(fail_watcher *watcher, void *context);

/* SQLite's library with its calls counted, or NULL where it is missing: tern_sqlite_library is set to it. */
const struct tern_sqlite_api *fail_sqlite(void);

/* For fail_sqlite.c: whether this call is to fail (1), to be done and then fail (2), or to be done (0). */
int fail_strikes(unsigned group);

#endif
