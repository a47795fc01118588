/* SPDX-License-Identifier: MIT */
/* What the tests of the clients share: two connections to one server, and the first row of an answer. */
#ifndef TERN_TEST_CLIENT_RIG_H
#define TERN_TEST_CLIENT_RIG_H

#include "../test.h"

#include <string.h>

#include "../../host/sql/sql.h"

static struct tern_sql_client *client, *other;

/* NULL: the URL or the library is wrong; `*status` says which. */
static inline struct tern_sql_client *open_url(const struct tern_sql_client_ops *ops, const char *url,
                                               int *status)
{
    struct tern_sink_config config = {.url = url, .rest = strchr(url, ':') + 1};
    struct tern_sql_client *made = NULL;
    char error[256] = "";
    *status = ops->open(&made, &config, error);
    return made;
}

/* False: what is wrong has been said, and the closing line. */
static inline bool open_both(const struct tern_sql_client_ops *ops, const char *url)
{
    int status;
    client = open_url(ops, url, &status);
    other = open_url(ops, url, &status);
    if (client != NULL && other != NULL && ops->connect(client) == 0 && ops->connect(other) == 0)
        return true;
    printf("FAIL no connection: %s\n0 passed, 1 failed\n", client == NULL ? url : client->error);
    return false;
}

static inline int close_both(void)
{
    client->ops->close(client);
    other->ops->close(other);
    return test_report();
}

static inline int execute(const char *sql)
{
    return client->ops->execute(client, sql);
}

struct answer {
    char text[8][64];
    int64_t integers[8];
    double real;
    int kinds[8];
    size_t columns, rows;
};

static inline int take(void *context, const struct tern_sql_value *values, size_t count)
{
    struct answer *answer = context;
    answer->rows++;
    answer->columns = count;
    for (size_t i = 0; i < count; i++) {
        answer->kinds[i] = (int)values[i].kind;
        answer->integers[i] = values[i].integer;
        if (values[i].kind == TERN_SQL_REAL)
            answer->real = values[i].real;
        snprintf(answer->text[i], sizeof answer->text[i], "%.*s", (int)values[i].size,
                 values[i].kind == TERN_SQL_TEXT ? (const char *)values[i].data : "");
    }
    return 0;
}

static inline int ask(const char *sql, const struct tern_sql_value *values, size_t count,
                      struct answer *answer)
{
    void *statement = NULL;
    memset(answer, 0, sizeof *answer);
    int status = client->ops->prepare(client, sql, &statement);
    return status != 0 ? status : client->ops->run(client, statement, values, count, take, answer);
}

static inline struct tern_sql_value text(const char *bytes, size_t size)
{
    return (struct tern_sql_value){.kind = TERN_SQL_TEXT, .data = bytes, .size = size};
}

#endif
