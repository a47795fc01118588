/* SPDX-License-Identifier: MIT */
/*
 * An import that is killed at random moments, into a server that is killed too: afterwards the tables of
 * every mode equal a model that was computed from the input.
 *
 *     import_kill URL KILLS WORKERS [SEED [RESTART COMMAND ...]]
 *
 * Each further argument is a command that kills and starts the server; they take turns, after every
 * fifth kill, or 20 times in all. With several workers another
 * program changes the same rows, in any order: deadlocks.
 */
#include "../test.h"

#include <signal.h>
#include <sys/wait.h>

#include "../../host/import.h"
#include "../unit/chunks.h"
#include "database.h"

#define DEVICES  8
#define KEYS     400
#define RECORDS  3000 /* that each round adds */
#define RESTARTS 20
#define WAIT     600000 /* milliseconds: a bound for a slow machine */
#define EPOCH    8000u

static const struct tern_column merge_columns[] = {{"k", TERN_I32, TERN_KEY},
                                                   {"name", TERN_TEXT(12), TERN_KEY},
                                                   {"v", TERN_I64, TERN_NULLABLE},
                                                   {"note", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_column append_columns[] = {{"level", TERN_U8, 0}, {"line", TERN_TEXT(40), 0}};
static const struct tern_column whole_columns[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, 0}};
static const struct tern_column sum_columns[] = {
    {"k", TERN_I32, TERN_KEY},     {"lo", TERN_I32, TERN_NULLABLE | TERN_MIN},
    {"hi", TERN_I32, TERN_MAX},    {"born", TERN_I32, TERN_FIRST},
    {"total", TERN_I32, TERN_ADD}, {"now", TERN_I32, 0}};
static const struct tern_table merged = TERN_TABLE("merged", TERN_MERGE, merge_columns);
static const struct tern_table appended = TERN_TABLE("appended", TERN_APPEND, append_columns);
static const struct tern_table replaced = TERN_TABLE("replaced", TERN_OVERWRITE, whole_columns);
static const struct tern_table summed = TERN_TABLE("summed", TERN_MERGE, sum_columns);

/* ---- The model ------------------------------------------------------------------------------- */

struct merged_row {
    int64_t id; /* 0: there is no such row */
    int64_t v;
    char note[40];
    bool v_null, note_null;
};

struct summed_row {
    int64_t id;
    int32_t lo, hi, born, now;
    int64_t total;
    bool lo_null;
};

struct replaced_row {
    int64_t id;
    int32_t v;
};

struct device {
    char id[16];
    uint32_t next;
    struct tern_stage_range *range;
    struct chunk_bytes made;
    bool open, batch;
    struct merged_row merged[KEYS];
    struct summed_row summed[KEYS];
    struct replaced_row replaced[KEYS];
};

static struct device devices[DEVICES];
static struct lines appended_rows;
static struct tern_stage *stage;
static uint64_t seed;
static const char *url;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(test_random(&seed) % limit);
}

static int64_t record_id(const struct device *device)
{
    return (int64_t)((uint64_t)EPOCH << 32 | device->next);
}

/* ---- Records --------------------------------------------------------------------------------- */

static void send_chunk(struct device *device, bool commit)
{
    if (!device->open)
        return;
    tern_chunk_finish(&device->made.chunk, commit, device->batch);
    CHECK_EQ(chunks_send(stage, device->range, &device->made, 0), TERN_HOST_OK);
    device->open = false;
}

/* Where a chunk is full in the middle of a batch, its segment ends without a commit. */
static void put(struct device *device, const struct tern_table *table, uint8_t op,
                const struct tern_value *row)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!device->open)
            chunks_open(&device->made, device->next);
        device->open = true;
        if (tern_chunk_put(&device->made.chunk, table, op, row) == TERN_OK) {
            device->next++;
            return;
        }
        send_chunk(device, false);
    }
    CHECK(false);
}

static void put_merged(struct device *device)
{
    uint32_t k = below(KEYS);
    struct merged_row *row = &device->merged[k];
    char name[16], note[40];
    int64_t id = record_id(device);
    snprintf(name, sizeof name, "n%u", k % 7);
    snprintf(note, sizeof note, "%s %u", k % 3 == 0 ? "it's\\N\t\"" : "", device->next);
    struct tern_value values[4] = {tern_int(k), tern_text(name), tern_int(id * 7), tern_text(note)};
    if (below(10) == 0) {
        put(device, &merged, TERN_OP_DELETE, values);
        memset(row, 0, sizeof *row);
        return;
    }
    *row = (struct merged_row){.id = id, .v = id * 7, .v_null = below(9) == 0, .note_null = below(7) == 0};
    snprintf(row->note, sizeof row->note, "%s", below(8) == 0 ? "" : note);
    if (row->v_null)
        values[2] = tern_null();
    values[3] = row->note_null ? tern_null() : tern_text(row->note);
    put(device, &merged, TERN_OP_PUT, values);
}

static void put_appended(struct device *device)
{
    char line[100], text[40];
    snprintf(text, sizeof text, "line %u", device->next);
    struct tern_value values[2] = {tern_int(device->next % 250), tern_text(text)};
    snprintf(line, sizeof line, "%s|%lld|%u|%s", device->id, (long long)record_id(device), device->next % 250,
             text);
    lines_add(&appended_rows, line);
    put(device, &appended, TERN_OP_PUT, values);
}

static void put_summed(struct device *device)
{
    uint32_t k = below(KEYS / 4);
    struct summed_row *row = &device->summed[k];
    int32_t n = (int32_t)below(2000) - 1000;
    bool is_null = below(5) == 0, known = row->id != 0;
    struct tern_value values[6] = {
        tern_int(k), is_null ? tern_null() : tern_int(n), tern_int(n), tern_int(n), tern_int(n), tern_int(n)};
    if (!is_null && (!known || row->lo_null || n < row->lo))
        row->lo = n;
    row->lo_null = is_null && (!known || row->lo_null);
    row->hi = !known || n > row->hi ? n : row->hi;
    row->born = known ? row->born : n;
    row->total += n;
    row->now = n;
    row->id = record_id(device);
    put(device, &summed, TERN_OP_PUT, values);
}

static void put_snapshot(struct device *device)
{
    memset(device->replaced, 0, sizeof device->replaced);
    device->batch = true;
    put(device, &replaced, TERN_OP_SNAPSHOT_BEGIN, NULL);
    uint32_t rows = below(4) == 0 ? 0 : below(KEYS);
    for (uint32_t k = 0; k < rows; k++) {
        device->replaced[k] = (struct replaced_row){record_id(device), (int32_t)below(1000000)};
        struct tern_value values[2] = {tern_int(k), tern_int(device->replaced[k].v)};
        put(device, &replaced, TERN_OP_PUT, values);
    }
    put(device, &replaced, TERN_OP_SNAPSHOT_END, NULL);
    send_chunk(device, true);
    device->batch = false;
}

static void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage")};
    if (!CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK))
        exit(1);
    for (struct device *device = devices; device < devices + DEVICES; device++) {
        struct tern_hello hello = {.id = device->id, .range_count = 1};
        struct tern_device *known = tern_stage_device(stage, device->id);
        hello.ranges[0] =
            (struct tern_hello_range){.epoch = EPOCH, .base = 1, .oldest = 1, .next = device->next};
        CHECK_EQ(chunks_schema(stage, known, &merged), TERN_HOST_OK);
        CHECK_EQ(chunks_schema(stage, known, &appended), TERN_HOST_OK);
        CHECK_EQ(chunks_schema(stage, known, &replaced), TERN_HOST_OK);
        CHECK_EQ(chunks_schema(stage, known, &summed), TERN_HOST_OK);
        CHECK_EQ(tern_stage_hello(stage, known, &hello, &hello.ranges[0], 0, &device->range), TERN_HOST_OK);
    }
}

static void add_records(void)
{
    open_stage();
    for (unsigned i = 0; i < RECORDS;) {
        struct device *device = &devices[below(DEVICES)];
        for (uint32_t rows = 1 + below(60); rows != 0; rows--, i++) {
            uint32_t kind = below(10);
            if (kind < 5)
                put_merged(device);
            else if (kind < 8)
                put_appended(device);
            else
                put_summed(device);
        }
        send_chunk(device, true);
        if (below(40) == 0)
            put_snapshot(device);
    }
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    tern_stage_close(stage);
}

/* ---- Killing --------------------------------------------------------------------------------- */

static void print_event(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level == TERN_ERROR && getenv("SHOW") != NULL)
        printf("    %s %s\n", event, fields);
}

static uint32_t workers;

static bool try_execute(struct database *database, const char *sql)
{
    return database->client->ops->execute(database->client, sql) == 0;
}

/* Holds a row and asks for one of a lower key, which an importer may hold that waits for the first: it takes
 * them in order. MySQL ends the one who has written the less, so this one writes much. Nothing of it
 * stays. */
static bool cross(struct database *database)
{
    bool is_mysql = strcmp(database->kind->scheme, "mysql:") == 0;
    uint32_t device = below(DEVICES);
    char sql[200];
    if (!try_execute(database, is_mysql ? "START TRANSACTION; INSERT INTO heavy SELECT seq FROM seq_1_to_5000"
                                        : "BEGIN"))
        return false;
    for (uint32_t i = 2; i-- > 0;) {
        snprintf(sql, sizeof sql, "UPDATE merged SET v=v WHERE device='dev%u' AND k BETWEEN %u AND %u",
                 device, i * KEYS / 2 + below(KEYS / 4), i * KEYS / 2 + KEYS / 4 + below(KEYS / 4));
        if (!try_execute(database, sql))
            return false;
        usleep(i == 0 ? 0 : 2000 + below(10000));
    }
    return try_execute(database, "ROLLBACK");
}

/* Until it is killed. */
static void disturb(void)
{
    struct database database = {0};
    for (;;) {
        if (database.client == NULL && database_open(&database, url) &&
            strcmp(database.kind->scheme, "mysql:") == 0)
            (void)try_execute(&database, "CREATE TABLE IF NOT EXISTS heavy(n INT) ENGINE=InnoDB");
        if (database.client != NULL && !cross(&database))
            database_close(&database);
        usleep(below(10000));
    }
}

static pid_t start_disturbing(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
    seed += 1;
    freopen("/dev/null", "w", stdout);
    disturb();
    _exit(0);
}

/* A gateway without devices. Ends with 0 when all is in. */
static pid_t start_import(void)
{
    uint32_t rows = 200 + below(3000);
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
    struct tern_import *import;
    struct tern_stage_config staging = {.directory = folder_path("stage")};
    struct tern_import_config config = {.rows = rows, .report = {print_event, NULL}, .workers = workers};
    if (tern_stage_open(&stage, &staging) != 0 || tern_import_open(&import, stage, url, &config) != 0)
        _exit(1);
    int drained = tern_import_drain(import, WAIT);
    struct tern_import_status now;
    tern_import_status(import, &now);
    if (drained != TERN_HOST_OK)
        printf("    not drained at %llu of %llu: %s\n", (unsigned long long)now.cursor,
               (unsigned long long)now.end, now.error);
    fflush(stdout);
    _exit(drained == TERN_HOST_OK ? 0 : 2);
}

static void import_and_kill(unsigned *killed)
{
    int status;
    pid_t child = start_import();
    usleep(below(3) == 0 ? below(15000) : below(150000));
    *killed += waitpid(child, &status, WNOHANG) == 0;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void import_while_the_server_restarts(const char *command)
{
    int status = -1;
    pid_t child = start_import();
    usleep(below(60000));
    CHECK_EQ(system(command), 0);
    if (below(2) == 0)
        kill(child, SIGKILL);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void expect_rows(struct lines *merged_rows, struct lines *summed_rows, struct lines *replaced_rows)
{
    char line[300];
    for (const struct device *device = devices; device < devices + DEVICES; device++)
        for (unsigned k = 0; k < KEYS; k++) {
            const struct merged_row *m = &device->merged[k];
            const struct summed_row *s = &device->summed[k];
            const struct replaced_row *r = &device->replaced[k];
            char v[32], lo[32];
            snprintf(v, sizeof v, "%lld", (long long)m->v);
            snprintf(lo, sizeof lo, "%d", s->lo);
            snprintf(line, sizeof line, "%.15s|%u|n%u|%lld|%s|%.39s", device->id, k, k % 7, (long long)m->id,
                     m->v_null ? "NULL" : v, m->note_null ? "NULL" : m->note);
            if (m->id != 0)
                lines_add(merged_rows, line);
            snprintf(line, sizeof line, "%.15s|%u|%lld|%s|%d|%d|%lld|%d", device->id, k, (long long)s->id,
                     s->lo_null ? "NULL" : lo, s->hi, s->born, (long long)s->total, s->now);
            if (s->id != 0)
                lines_add(summed_rows, line);
            snprintf(line, sizeof line, "%.15s|%u|%lld|%d", device->id, k, (long long)r->id, r->v);
            if (r->id != 0)
                lines_add(replaced_rows, line);
        }
}

static void compare(struct database *database, const char *what, struct lines *expected, const char *sql)
{
    struct lines found = {0};
    CHECK(database_ask(database, sql, &found));
    CHECK(lines_equal(what, expected, &found));
    printf("     %s: %zu rows\n", what, found.count);
    lines_free(&found);
    lines_free(expected);
}

static void compare_all(void)
{
    struct database database;
    struct lines merged_rows = {0}, summed_rows = {0}, replaced_rows = {0};
    if (!CHECK(database_open(&database, url)))
        return;
    expect_rows(&merged_rows, &summed_rows, &replaced_rows);
    compare(&database, "merged", &merged_rows, "SELECT device,k,name,tern_id,v,note FROM merged");
    compare(&database, "summed", &summed_rows, "SELECT device,k,tern_id,lo,hi,born,total,now FROM summed");
    compare(&database, "replaced", &replaced_rows, "SELECT device,k,tern_id,v FROM replaced");
    compare(&database, "appended", &appended_rows, "SELECT device,tern_id,level,line FROM appended");
    CHECK(strcmp(database_text(&database, "SELECT count(*) FROM tern_gap"), "0") == 0);
    printf("     %s transactions, %s repeated\n", database_text(&database, "SELECT count(*) FROM tern_batch"),
           database_text(&database, "SELECT count(*) FROM tern_batch WHERE retries>0"));
    for (const struct device *device = devices; device < devices + DEVICES; device++) {
        char sql[200], expected[40];
        snprintf(sql, sizeof sql, "SELECT applied FROM tern_checkpoint WHERE device='%.15s'", device->id);
        snprintf(expected, sizeof expected, "%u", device->next - 1);
        CHECK(strcmp(database_text(&database, sql), expected) == 0);
    }
    database_close(&database);
}

static unsigned kills;
static char **restarts;
static int restart_count;

static void kills_leave_what_a_model_expects(void)
{
    struct database database;
    unsigned killed = 0, restarted = 0;
    folder_fresh();
    CHECK(database_open(&database, url) && database_empty(&database));
    if (strcmp(database.kind->scheme, "postgresql:") == 0)
        CHECK(database_execute(&database, "ALTER DATABASE postgres SET deadlock_timeout='50ms'"));
    database_close(&database);
    for (unsigned i = 0; i < DEVICES; i++) {
        memset(&devices[i], 0, sizeof devices[i]);
        snprintf(devices[i].id, sizeof devices[i].id, "dev%u", i);
        devices[i].next = 1;
    }
    pid_t other = workers > 1 ? start_disturbing() : 0;
    unsigned every = kills / RESTARTS < 5 ? 5 : kills / RESTARTS;
    for (unsigned round = 0; killed < kills; round++) {
        add_records();
        import_and_kill(&killed);
        if (restart_count != 0 && restarted < RESTARTS && round % every == every - 1)
            import_while_the_server_restarts(restarts[restarted++ % (unsigned)restart_count]);
    }
    int status = -1;
    pid_t child = start_import();
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (other != 0) {
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
    }
    printf("     %u kills in the middle of an import of %u workers, %u restarts of the server\n", killed,
           workers, restarted);
    compare_all();
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    url = argv[1];
    kills = (unsigned)strtoul(argv[2], NULL, 10);
    workers = (uint32_t)strtoul(argv[3], NULL, 10);
    seed = test_seed(argc - 3, argv + 3);
    restarts = argv + 5;
    restart_count = argc > 5 ? argc - 5 : 0;
    RUN(kills_leave_what_a_model_expects);
    folder_remove();
    return test_report();
}
