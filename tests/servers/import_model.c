/* SPDX-License-Identifier: MIT */
/* The importer with a server against a model (tests/import_rig.h). import_model URL [SEED [SCHEDULES
 * [WORKERS]]]. */
#include "../test.h"

#include "../import_rig.h"
#include "../unit/chunks.h"
#include "database.h"

#define SCHEDULES 3u
#define STEPS     400u

static struct database database;
static const char *url;
static uint64_t seed;
static unsigned schedules;
static uint32_t workers;

static bool query(void *context, const char *sql, void (*line)(void *to, const char *text), void *to)
{
    struct lines lines = {0};
    (void)context;
    bool good = database_ask(&database, sql, &lines);
    for (size_t i = 0; i < lines.count; i++)
        line(to, lines.list[i]);
    lines_free(&lines);
    return good;
}

static bool execute(void *context, const char *sql)
{
    (void)context;
    return database_execute(&database, sql);
}

static void run_all(bool soft)
{
    struct rig_target target = {url, soft, database.kind->hundred, query, execute, NULL, workers, 0};
    for (unsigned i = 0; i < schedules; i++) {
        folder_fresh();
        CHECK(database_empty(&database));
        if (!CHECK(rig_run(&target, folder, seed + i, STEPS)))
            printf("    schedule of seed %" PRIu64 "%s\n", seed + i, soft ? ", soft deletes" : "");
    }
}

static void tables_equal_the_model_with_hard_deletes(void)
{
    run_all(false);
}

static void tables_equal_the_model_with_soft_deletes(void)
{
    run_all(true);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    url = argv[1];
    seed = test_seed(argc - 1, argv + 1);
    schedules = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : SCHEDULES;
    workers = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 0) : 1;
    if (!database_open(&database, url)) {
        printf("FAIL no connection\n0 passed, 1 failed\n");
        return 1;
    }
    RUN(tables_equal_the_model_with_hard_deletes);
    RUN(tables_equal_the_model_with_soft_deletes);
    database_close(&database);
    folder_remove();
    return test_report();
}
