/* SPDX-License-Identifier: MIT */
/* A staging store, an importer and an SQLite database for tests, and questions to that database. */
#ifndef TERN_TEST_IMPORT_BENCH_H
#define TERN_TEST_IMPORT_BENCH_H

#include "../test.h"

#include "../../host/import.h"
#include "../../host/sql/sqlite_api.h"
#include "chunks.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine, not an expectation */

static const struct tern_column log_columns[] = {{"level", TERN_U8, 0}, {"line", TERN_TEXT(99), 0}};
static const struct tern_table log_table = TERN_TABLE("log", TERN_APPEND, log_columns);

static struct tern_sqlite_api api;
static struct tern_stage *stage;
static struct tern_import *import;
static char url[1000];
static char last_warning[64], last_event[64], last_fields[1024];
static unsigned told_held, told_failed; /* events records-held and sink-failed */

static inline void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level == TERN_WARN)
        snprintf(last_warning, sizeof last_warning, "%s", event);
    if (level != TERN_ERROR)
        return;
    told_held += strcmp(event, "records-held") == 0;
    told_failed += strcmp(event, "sink-failed") == 0;
    snprintf(last_event, sizeof last_event, "%s", event);
    snprintf(last_fields, sizeof last_fields, "%s", fields);
}

static const struct tern_report report = {remember, NULL};

static inline void open_import(uint32_t rows)
{
    struct tern_import_config config = {.report = report, .rows = rows};
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static inline void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

static inline void fresh(void)
{
    folder_fresh();
    last_event[0] = '\0';
    open_stage();
    open_import(0);
}

static inline void done(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
}

static inline void drain(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

/* The first column of the query's first row as text, "NULL", or the error. */
static inline const char *ask(const char *sql)
{
    static char answers[8][256];
    static unsigned turn;
    char *answer = answers[turn++ % 8];
    struct sqlite3 *database = NULL;
    struct sqlite3_stmt *statement = NULL;
    strcpy(answer, "no row");
    if (api.open_v2(folder_path("out.db"), &database, 2, NULL) != 0 ||
        api.prepare_v2(database, sql, -1, &statement, NULL) != 0)
        snprintf(answer, 256, "%s", api.errmsg(database));
    else if (api.step(statement) == 100)
        snprintf(answer, 256, "%s",
                 api.column_type(statement, 0) == 5 ? "NULL" : (const char *)api.column_text(statement, 0));
    api.finalize(statement);
    api.close_v2(database);
    return answer;
}

static inline void execute(const char *sql)
{
    struct sqlite3 *database = NULL;
    CHECK_EQ(api.open_v2(folder_path("out.db"), &database, 6, NULL), 0);
    api.busy_timeout(database, 5000);
    CHECK_EQ(api.exec(database, sql, NULL, NULL, NULL), 0);
    api.close_v2(database);
}

#define CHECK_TEXT(a, b) check_text((a), (b), __LINE__)

static inline void check_text(const char *a, const char *b, int line)
{
    if (!test_check(strcmp(a, b) == 0, "texts differ", __FILE__, line))
        printf("    \"%s\", \"%s\"\n", a, b);
}

#define RUN_OR_SKIP(missing, test) ((missing) == NULL ? (void)(RUN(test)) : (void)(SKIP(test, missing)))

/* NULL, or why there is no SQLite: what is said where a test is skipped. */
static inline const char *import_begin(void)
{
    static char error[256];
    if (tern_sqlite_load(&api, error, sizeof error) != 0)
        return error;
    tern_sqlite_library = &api;
    return NULL;
}

#endif
