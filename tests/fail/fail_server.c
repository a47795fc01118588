/* SPDX-License-Identifier: MIT */
/* libpq and libmariadb with every call that speaks to a server counted. */
#include "fail_server.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NONE, BEFORE, AFTER };

/* ---- PostgreSQL ------------------------------------------------------------------------------ */

static struct tern_postgres_api pg, pg_shim;
static bool refuses;

void fail_server_refuses(bool on)
{
    refuses = on;
}

/* The connection breaks before or after the call; or the library itself refuses it. Whether the call is to be
 * done. */
static bool pg_before(const struct pg_conn *connection, int *strike)
{
    *strike = fail_strikes(FAIL_SERVER);
    if (*strike == BEFORE && !refuses)
        shutdown(pg.socket(connection), SHUT_RDWR);
    return *strike != BEFORE || !refuses;
}

static void pg_after(const struct pg_conn *connection, int strike)
{
    if (strike == AFTER)
        shutdown(pg.socket(connection), SHUT_RDWR);
}

#define PG_CALL(refusal, type, call)                                                                         \
    int strike;                                                                                              \
    if (!pg_before(connection, &strike))                                                                     \
        return refusal;                                                                                      \
    type result = call;                                                                                      \
    pg_after(connection, strike);                                                                            \
    return result;

static struct pg_conn *pg_start(const char *const *keywords, const char *const *values, int expand)
{
    return refuses && fail_strikes(FAIL_SERVER) != NONE ? NULL
                                                        : pg.connectStartParams(keywords, values, expand);
}
static unsigned pg_poll(struct pg_conn *connection)
{
    PG_CALL(0, unsigned, pg.connectPoll(connection))
}
static int pg_query(struct pg_conn *connection, const char *sql)
{
    PG_CALL(0, int, pg.sendQuery(connection, sql))
}
static int pg_prepare(struct pg_conn *connection, const char *name, const char *sql, int count,
                      const unsigned *types)
{
    PG_CALL(0, int, pg.sendPrepare(connection, name, sql, count, types))
}
static int pg_run(struct pg_conn *connection, const char *name, int count, const char *const *values,
                  const int *sizes, const int *formats, int result_format)
{
    PG_CALL(0, int, pg.sendQueryPrepared(connection, name, count, values, sizes, formats, result_format))
}
static int pg_consume(struct pg_conn *connection)
{
    PG_CALL(0, int, pg.consumeInput(connection))
}
static int pg_copy(struct pg_conn *connection, const char *bytes, int size)
{
    PG_CALL(-1, int, pg.putCopyData(connection, bytes, size))
}
static int pg_copy_end(struct pg_conn *connection, const char *error)
{
    PG_CALL(-1, int, pg.putCopyEnd(connection, error))
}

static const struct tern_postgres_api *fail_postgres(char error[256])
{
    if (tern_postgres_load(&pg, error, 256) != 0)
        return NULL;
    pg_shim = pg;
    pg_shim.connectStartParams = pg_start;
    pg_shim.connectPoll = pg_poll;
    pg_shim.sendQuery = pg_query;
    pg_shim.sendPrepare = pg_prepare;
    pg_shim.sendQueryPrepared = pg_run;
    pg_shim.consumeInput = pg_consume;
    pg_shim.putCopyData = pg_copy;
    pg_shim.putCopyEnd = pg_copy_end;
    return &pg_shim;
}

/* ---- MariaDB --------------------------------------------------------------------------------- */

static struct tern_mysql_api my, my_shim;
static _Thread_local bool lost; /* the last call failed by the test */

static bool my_before(int *strike)
{
    *strike = fail_strikes(FAIL_SERVER);
    lost = *strike != NONE;
    return *strike != BEFORE;
}

static struct st_mysql *my_init(struct st_mysql *connection)
{
    int strike;
    return my_before(&strike) ? my.init(connection) : NULL;
}
static struct st_mysql *my_connect(struct st_mysql *connection, const char *host, const char *user,
                                   const char *password, const char *database, unsigned port,
                                   const char *socket, unsigned long flags)
{
    int strike;
    return my_before(&strike)
               ? my.real_connect(connection, host, user, password, database, port, socket, flags)
               : NULL;
}
static int my_query(struct st_mysql *connection, const char *sql, unsigned long size)
{
    int strike, result = my_before(&strike) ? my.real_query(connection, sql, size) : 1;
    return strike != NONE ? 1 : result;
}
static int my_prepare(struct st_mysql_stmt *statement, const char *sql, unsigned long size)
{
    int strike, result = my_before(&strike) ? my.stmt_prepare(statement, sql, size) : 1;
    return strike != NONE ? 1 : result;
}
static int my_execute(struct st_mysql_stmt *statement)
{
    int strike, result = my_before(&strike) ? my.stmt_execute(statement) : 1;
    return strike != NONE ? 1 : result;
}
static struct st_mysql_res *my_use(struct st_mysql *connection)
{
    int strike;
    return my_before(&strike) || strike == AFTER ? my.use_result(connection) : NULL;
}
static int my_next(struct st_mysql *connection)
{
    int strike, result = my_before(&strike) ? my.next_result(connection) : 1;
    return strike != NONE ? 1 : result;
}
static char **my_row(struct st_mysql_res *result)
{
    int strike;
    char **row = my_before(&strike) ? my.fetch_row(result) : NULL;
    return strike != NONE ? NULL : row;
}
static unsigned my_number(struct st_mysql *connection)
{
    return lost ? 2013 : my.error_number(connection);
}
static const char *my_state(struct st_mysql *connection)
{
    return lost ? "HY000" : my.sqlstate(connection);
}
static const char *my_error(struct st_mysql *connection)
{
    return lost ? "lost by the test" : my.error(connection);
}

static const struct tern_mysql_api *fail_mysql(char error[256])
{
    if (tern_mysql_load(&my, error, 256) != 0)
        return NULL;
    my_shim = my;
    my_shim.init = my_init;
    my_shim.real_connect = my_connect;
    my_shim.real_query = my_query;
    my_shim.stmt_prepare = my_prepare;
    my_shim.stmt_execute = my_execute;
    my_shim.use_result = my_use;
    my_shim.next_result = my_next;
    my_shim.fetch_row = my_row;
    my_shim.error_number = my_number;
    my_shim.sqlstate = my_state;
    my_shim.error = my_error;
    return &my_shim;
}

bool fail_server(const char *url)
{
    char error[256] = "not a server's URL";
    if (strncmp(url, "postgres", 8) == 0)
        tern_postgres_library = fail_postgres(error);
    else
        tern_mysql_library = fail_mysql(error);
    if (tern_postgres_library != NULL || tern_mysql_library != NULL)
        return true;
    printf("    %s\n", error);
    return false;
}
