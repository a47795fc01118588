/* SPDX-License-Identifier: MIT */
/* A database by its URL, to look at what an import has left there: through the client that the importer
 * uses. */
#ifndef TERN_TEST_DATABASE_H
#define TERN_TEST_DATABASE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../host/sql/sql.h"
#include "../../host/sql/sql_mysql.h"
#include "../../host/sql/sql_postgres.h"
#include "../../host/sql/sql_sqlite.h"

struct database {
    struct tern_sql_client *client;
    const struct database_kind *kind;
    const char *file; /* behind the URL's colon; the URL must outlive it */
};

/* What differs from database to database. */
struct database_kind {
    const char *scheme;
    const struct tern_sql_client_ops *ops;
    const char *empty;   /* removes every table; NULL: the file goes */
    const char *hundred; /* a whole number from a decimal with two digits */
};

static const struct database_kind database_kinds[] = {
    {"postgresql:", &tern_sql_client_postgres, "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
     "CAST(ROUND(%s*100) AS BIGINT)"},
    {"mysql:", &tern_sql_client_mysql, "DROP DATABASE tern; CREATE DATABASE tern; USE tern",
     "CAST(ROUND(%s*100) AS SIGNED)"},
    {"sqlite:", &tern_sql_client_sqlite, NULL, "CAST(ROUND(%s*100) AS INTEGER)"},
};

/* The rows of a query as lines, columns by `|`, NULL as NULL. */
struct lines {
    char **list;
    size_t count, room;
};

static inline bool database_open(struct database *database, const char *url)
{
    struct tern_sink_config config = {.url = url, .rest = strchr(url, ':') + 1};
    char error[256] = "no client for this URL";
    database->kind = NULL;
    database->file = config.rest;
    for (size_t i = 0; i < sizeof database_kinds / sizeof database_kinds[0]; i++)
        if (strncmp(url, database_kinds[i].scheme, strlen(database_kinds[i].scheme)) == 0)
            database->kind = &database_kinds[i];
    database->client = NULL;
    if (database->kind == NULL || database->kind->ops->open(&database->client, &config, error) != 0) {
        printf("    %s: %s\n", url, error);
        return false;
    }
    if (database->kind->ops->connect(database->client) == 0)
        return true;
    printf("    %s: %s\n", url, database->client->error);
    return false;
}

static inline void database_close(struct database *database)
{
    if (database->client != NULL)
        database->client->ops->close(database->client);
    database->client = NULL;
}

static inline void lines_add(struct lines *lines, const char *text)
{
    if (lines->count == lines->room) {
        lines->room = lines->room == 0 ? 1024 : lines->room * 2;
        lines->list = realloc(lines->list, lines->room * sizeof(char *));
    }
    lines->list[lines->count++] = strdup(text);
}

static inline void lines_free(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->list[i]);
    free(lines->list);
    memset(lines, 0, sizeof *lines);
}

static inline int lines_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void lines_sort(struct lines *lines)
{
    if (lines->count > 1)
        qsort(lines->list, lines->count, sizeof(char *), lines_compare);
}

static inline int database_take(void *context, const struct tern_sql_value *values, size_t count)
{
    char line[2000];
    size_t used = 0;
    line[0] = '\0';
    for (size_t i = 0; i < count && used < sizeof line - 400; i++) {
        const char *between = i == 0 ? "" : "|";
        if (values[i].kind == TERN_SQL_INTEGER)
            used += (size_t)snprintf(line + used, 100, "%s%lld", between, (long long)values[i].integer);
        else if (values[i].kind == TERN_SQL_REAL)
            used += (size_t)snprintf(line + used, 100, "%s%.15g", between, values[i].real);
        else if (values[i].kind == TERN_SQL_NULL)
            used += (size_t)snprintf(line + used, 100, "%sNULL", between);
        else
            used += (size_t)snprintf(line + used, 400, "%s%.*s", between,
                                     (int)(values[i].size < 380 ? values[i].size : 380),
                                     (const char *)values[i].data);
    }
    lines_add(context, line);
    return 0;
}

/* Adds the query's rows. False: it failed, and why is printed. */
static inline bool database_ask(struct database *database, const char *sql, struct lines *lines)
{
    void *statement = NULL;
    int status = database->client->ops->prepare(database->client, sql, &statement);
    if (status == 0)
        status = database->client->ops->run(database->client, statement, NULL, 0, database_take, lines);
    if (status != 0)
        printf("    %s: %s\n", sql, database->client->error);
    return status == 0;
}

/* The first row of a query as text, or why there is none. Valid until the eighth call after it. */
static inline const char *database_text(struct database *database, const char *sql)
{
    static char answers[8][400];
    static unsigned turn;
    char *answer = answers[turn++ % 8];
    struct lines lines = {0};
    bool good = database_ask(database, sql, &lines);
    snprintf(answer, sizeof answers[0], "%s",
             !good              ? database->client->error
             : lines.count == 0 ? "no row"
                                : lines.list[0]);
    lines_free(&lines);
    return answer;
}

static inline bool database_execute(struct database *database, const char *sql)
{
    bool good = database->client->ops->execute(database->client, sql) == 0;
    if (!good)
        printf("    %s: %s\n", sql, database->client->error);
    return good;
}

/* With what belongs to it. The URL's file must not be in use. */
static inline bool database_remove_file(struct database *database, const char *file)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[1100];
    database->client->ops->disconnect(database->client);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%.1000s%s", file, ends[i]);
        unlink(name);
    }
    return database->client->ops->connect(database->client) == 0;
}

static inline bool database_empty(struct database *database)
{
    if (database->kind->empty == NULL)
        return database_remove_file(database, database->file);
    return database_execute(database, database->kind->empty);
}

/* Whether both have the same lines; the first that differ are printed. Sorts both. */
static inline bool lines_equal(const char *what, struct lines *expected, struct lines *found)
{
    size_t i = 0, k = 0, differences = 0;
    lines_sort(expected);
    lines_sort(found);
    while ((i < expected->count || k < found->count)) {
        int order = i == expected->count ? 1
                    : k == found->count  ? -1
                                         : strcmp(expected->list[i], found->list[k]);
        if (order != 0 && differences++ < 6)
            printf("    %s: %s %s\n", what, order < 0 ? "missing" : "not expected",
                   order < 0 ? expected->list[i] : found->list[k]);
        i += order <= 0;
        k += order >= 0;
    }
    if (differences != 0)
        printf("    %s: %zu rows expected, %zu found, %zu differ\n", what, expected->count, found->count,
               differences);
    return differences == 0;
}

#endif
