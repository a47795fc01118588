/* SPDX-License-Identifier: MIT */
/* What the tests of the importer with a real server share: a store, a device that sends, a database to
 * ask. */
#ifndef TERN_TEST_SERVER_RIG_H
#define TERN_TEST_SERVER_RIG_H

#include "../test.h"

#include "../../host/import.h"
#include "../../host/sql/mysql_api.h"
#include "../unit/chunks.h"
#include "database.h"

#define WAIT 120000 /* milliseconds: a bound for a slow machine, not an expectation */

static const char *url;
static struct tern_stage *stage;
static struct tern_import *import;
static struct tern_stage_range *range;
static struct database database;
static char events[65536];

static inline void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    size_t used = strlen(events);
    if (level >= TERN_WARN && used + strlen(event) + strlen(fields) + 3 < sizeof events)
        snprintf(events + used, sizeof events - used, "%s %s\n", event, fields);
}

static const struct tern_report report = {remember, NULL};

static inline void open_import(void)
{
    struct tern_import_config config = {.report = report};
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static inline void give_schema(const struct tern_table *table)
{
    CHECK_EQ(chunks_schema(stage, range->device, table), TERN_HOST_OK);
}

/* An empty store and an empty database. */
static inline void fresh(const struct tern_table *table)
{
    folder_fresh();
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    events[0] = '\0';
    CHECK(database_empty(&database));
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    range = chunks_device(stage, "dev1");
    give_schema(table);
    open_import();
}

static inline void done(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
}

static inline void drain(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    if (!CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK)) {
        struct tern_import_status status;
        tern_import_status(import, &status);
        printf("    %s\n%s", status.error, events);
    }
}

static inline const char *ask(const char *sql)
{
    return database_text(&database, sql);
}

#define CHECK_TEXT(a, b) check_text((a), (b), __LINE__)

static inline void check_text(const char *a, const char *b, int line)
{
    if (!test_check(strcmp(a, b) == 0, "texts differ", __FILE__, line))
        printf("    \"%s\", \"%s\"\n", a, b);
}

/* ---- Sending --------------------------------------------------------------------------------- */

static struct chunk_bytes made;
static uint32_t next;
static bool is_open;

static inline void flush(void)
{
    if (!is_open)
        return;
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    is_open = false;
}

static inline void send_op(const struct tern_table *table, uint8_t op, const struct tern_value *row)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!is_open)
            chunks_open(&made, next);
        is_open = true;
        if (tern_chunk_put(&made.chunk, table, op, row) == TERN_OK) {
            next++;
            return;
        }
        flush();
    }
    CHECK(false);
}

static inline void send(const struct tern_table *table, const struct tern_value *row)
{
    send_op(table, TERN_OP_PUT, row);
}

static inline void begin(const struct tern_table *table)
{
    fresh(table);
    next = 1;
    is_open = false;
}

/* ---- SQL that differs ------------------------------------------------------------------------ */

static inline bool is_mysql(void)
{
    return strcmp(database.kind->scheme, "mysql:") == 0;
}

static inline const char *by(const char *postgres, const char *mysql)
{
    return is_mysql() ? mysql : postgres;
}

/* An expression over all rows, in the order of another one, with blanks between. */
static inline const char *ask_all(const char *expression, const char *order, const char *from)
{
    char sql[500];
    snprintf(sql, sizeof sql,
             by("SELECT string_agg(%s,' ' ORDER BY %s) FROM %s",
                "SELECT GROUP_CONCAT(%s ORDER BY %s SEPARATOR ' ') FROM %s"),
             expression, order, from);
    return ask(sql);
}

/* ---- A table of texts ------------------------------------------------------------------------ */

static const struct tern_column text_columns[] = {{"k", TERN_TEXT(40), TERN_KEY},
                                                  {"v", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table texts = TERN_TABLE("texts", TERN_MERGE, text_columns);

static inline void put_text(const char *k, const void *v, size_t size)
{
    struct tern_value row[2] = {tern_text(k), tern_bytes(v, size)};
    send(&texts, row);
}

/* As with MySQL's library: rows go by LOAD DATA. */
static inline void use_no_arrays(void)
{
    static struct tern_mysql_api api;
    char error[256];
    if (tern_mysql_load(&api, error, sizeof error) != 0)
        return;
    api.get_info = NULL;
    tern_mysql_library = &api;
}

static inline bool open_url(int argc, char **argv)
{
    url = argc > 1 ? argv[1] : "";
    if (getenv("NO_ARRAYS") != NULL)
        use_no_arrays();
    if (database_open(&database, url))
        return true;
    printf("FAIL no connection\n0 passed, 1 failed\n");
    return false;
}

static inline int close_url(void)
{
    database_close(&database);
    folder_remove();
    return test_report();
}

#endif
