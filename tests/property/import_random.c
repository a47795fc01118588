/* SPDX-License-Identifier: MIT */
/* The importer with SQLite against a model (tests/import_rig.h). Arguments: seed, schedules. */
#include "../test.h"

#include "../../host/sql/sqlite_api.h"
#include "../import_rig.h"
#include "../unit/chunks.h"

#define SCHEDULES 8u
#define STEPS     400u

static struct tern_sqlite_api api;
static char url[900];
static uint64_t seed;
static unsigned schedules;

static struct sqlite3 *open_database(void)
{
    struct sqlite3 *database = NULL;
    if (api.open_v2(folder_path("out.db"), &database, 6, NULL) != 0)
        exit(2);
    api.busy_timeout(database, 10000);
    return database;
}

static bool query(void *context, const char *sql, void (*line)(void *to, const char *text), void *to)
{
    struct sqlite3 *database = open_database();
    struct sqlite3_stmt *statement = NULL;
    (void)context;
    bool good = api.prepare_v2(database, sql, -1, &statement, NULL) == 0;
    if (!good)
        printf("    %s\n", api.errmsg(database));
    while (good && api.step(statement) == 100) {
        char text[1000];
        size_t size = 0;
        for (int i = 0; i < api.column_count(statement); i++)
            size += (size_t)snprintf(
                text + size, sizeof text - size, "%s%s", i == 0 ? "" : "|",
                api.column_type(statement, i) == 5 ? "NULL" : (const char *)api.column_text(statement, i));
        line(to, text);
    }
    api.finalize(statement);
    api.close_v2(database);
    return good;
}

static bool execute(void *context, const char *sql)
{
    struct sqlite3 *database = open_database();
    (void)context;
    bool good = api.exec(database, sql, NULL, NULL, NULL) == 0;
    api.close_v2(database);
    return good;
}

static void run_all(bool soft, unsigned count, unsigned kills)
{
    struct rig_target target = {url, soft, "CAST(ROUND(%s*100) AS INTEGER)", query, execute, NULL, 1, kills};
    for (unsigned i = 0; i < count; i++) {
        folder_fresh();
        snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
        if (!CHECK(rig_run(&target, folder, seed + i, STEPS)))
            printf("    schedule of seed %" PRIu64 "%s\n", seed + i, soft ? ", soft deletes" : "");
    }
}

static void tables_equal_the_model_with_hard_deletes(void)
{
    run_all(false, schedules, 0);
}

static void tables_equal_the_model_with_soft_deletes(void)
{
    run_all(true, schedules, 0);
}

/* 5 schedules of 40 kills. */
static void tables_equal_the_model_after_200_kills(void)
{
    run_all(false, 5, 40);
}

int main(int argc, char **argv)
{
    char error[256];
    seed = test_seed(argc, argv);
    schedules = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : SCHEDULES;
    if (tern_sqlite_load(&api, error, sizeof error) != 0) {
        SKIP(tables_equal_the_model_with_hard_deletes, error);
        return test_report();
    }
    RUN(tables_equal_the_model_with_hard_deletes);
    RUN(tables_equal_the_model_with_soft_deletes);
    RUN(tables_equal_the_model_after_200_kills);
    folder_remove();
    return test_report();
}
