/* SPDX-License-Identifier: MIT */
/* Watches the rows of one device come into a database, and prints how fast: watch FILE ROWS STEP. A step's
 * time is interpolated between the looks around it; the first step begins with the look before the first
 * row. */
#include "../../host/sql/sqlite_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { OPEN_READONLY = 1, ROW = 100, LOOK_US = 20000, STEPS_MAX = 1000, GIVE_UP_SECONDS = 600 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The checkpoint stands in the transaction of the rows, and is found without reading them; 0 while there is
 * none. */
static long long look(const struct tern_sqlite_api *api, const char *file)
{
    struct sqlite3 *database = NULL;
    struct sqlite3_stmt *statement = NULL;
    long long rows = 0;
    if (api->open_v2(file, &database, OPEN_READONLY, NULL) == 0 &&
        api->prepare_v2(database, "SELECT max(applied) FROM tern_checkpoint", -1, &statement, NULL) == 0 &&
        api->step(statement) == ROW)
        rows = api->column_int64(statement, 0);
    if (statement != NULL)
        api->finalize(statement);
    api->close_v2(database);
    return rows;
}

int main(int argc, char **argv)
{
    struct tern_sqlite_api api;
    double at[STEPS_MAX + 1], start = now(), before = start;
    long long seen = 0, next = 0;
    char error[400];
    if (argc != 4 || tern_sqlite_load(&api, error, sizeof error) != 0)
        return 2;
    long long rows = atoll(argv[2]), step = atoll(argv[3]), steps = 0;
    while (seen < rows && now() - start < GIVE_UP_SECONDS && steps < STEPS_MAX) {
        usleep(LOOK_US);
        long long found = look(&api, argv[1]);
        double time = now();
        if (seen == 0 && found != 0) {
            at[0] = before;
            next = step;
        }
        for (; next != 0 && next <= found && steps < STEPS_MAX; next += step)
            at[++steps] = before + (time - before) * (double)(next - seen) / (double)(found - seen);
        seen = found;
        before = time;
    }
    if (seen < rows || steps < 2)
        return 1;
    for (long long i = 1; i <= steps; i++)
        printf("e2e_million_%lld %.0f rows/s\n", i, (double)step / (at[i] - at[i - 1]));
    printf("e2e_rows_per_second %.0f rows/s\n", (double)rows / (before - start));
    printf("e2e_last_to_first_million %.2f x\n", (at[1] - at[0]) / (at[steps] - at[steps - 1]));
    return 0;
}
