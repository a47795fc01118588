/* SPDX-License-Identifier: MIT */
/* Rows whose keys come in any order: which of them go into the table without a look, from run to run, and
 * what comes of wrong guesses. import_seen URL [SEED]. */
#include "server_rig.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 6000
#define MOST 4000 /* of them, that come in no order */

static const struct tern_column columns[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_I32, 0}};
static const struct tern_table readings = TERN_TABLE("readings", TERN_MERGE, columns);
static const struct tern_table whole = TERN_TABLE("whole_list", TERN_OVERWRITE, columns);

static int32_t model[KEYS]; /* value of each key, 0: no row */
static uint32_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void put(int32_t k, int32_t v)
{
    struct tern_value row[2] = {tern_int(k), tern_int(v)};
    send(&readings, row);
    model[k] = v;
}

/* So many keys that were never sent, in no order. */
static void put_new(unsigned count)
{
    while (count > 0) {
        int32_t k = (int32_t)below(MOST);
        if (model[k] != 0)
            continue;
        put(k, k + 1);
        count--;
    }
}

static void bring(void)
{
    flush();
    drain();
}

static void compare(void)
{
    char expected[100];
    int64_t count = 0, keys = 0, sum = 0;
    for (int32_t k = 0; k < KEYS; k++) {
        count += model[k] != 0;
        keys += model[k] != 0 ? k : 0;
        sum += (int64_t)model[k] * (k % 97 + 1);
    }
    snprintf(expected, sizeof expected, "%lld %lld %lld", (long long)count, (long long)keys, (long long)sum);
    CHECK_TEXT(ask(by("SELECT count(*)||' '||sum(k)||' '||sum(v::bigint*(k%97+1)) FROM readings",
                      "SELECT CONCAT(COUNT(*),' ',SUM(k),' ',SUM(v*(k%97+1))) FROM readings")),
               expected);
}

/* How many transactions of each path there were, and how many had to be done again: "straight=3 again=0". */
static const char *paths(void)
{
    static char said[200];
    snprintf(said, sizeof said, "straight=%s", ask("SELECT count(*) FROM tern_batch WHERE path='straight'"));
    snprintf(said + strlen(said), sizeof said - strlen(said), " merge=%s",
             ask("SELECT count(*) FROM tern_batch WHERE path='merge'"));
    snprintf(said + strlen(said), sizeof said - strlen(said), " again=%s",
             ask("SELECT count(*) FROM tern_batch WHERE retries>0"));
    return said;
}

static void start(void)
{
    memset(model, 0, sizeof model);
    begin(&readings);
}

static uint32_t epoch; /* of the range, while the store is closed */

static void stop(void)
{
    epoch = range->epoch;
    done();
}

static void go_on(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] =
        (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = next, .acked = 1};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], 0, &range),
             TERN_HOST_OK);
    open_import();
}

static void new_keys_in_any_order_go_straight_in_the_next_run_too(void)
{
    start();
    for (unsigned i = 0; i < 6; i++) {
        put_new(100);
        bring();
        if (i != 2)
            continue;
        stop();
        go_on();
    }
    compare();
    CHECK_TEXT(paths(), "straight=6 merge=0 again=0");
    for (int32_t k = 0; k < KEYS; k++)
        if (model[k] != 0 && k % 3 == 0)
            put(k, 7);
    bring();
    compare();
    CHECK_TEXT(paths(), "straight=6 merge=1 again=0");
    done();
}

/* A process that is killed while it imports. What it brought in, and what it was about to, the next one holds
 * for there. */
static void kills_leave_a_filter_that_is_right(void)
{
    start();
    put_new(50);
    bring();
    for (unsigned kill_number = 0; kill_number < 8; kill_number++) {
        for (unsigned i = 0; i < 4; i++) {
            put_new(60);
            flush();
        }
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        stop();
        pid_t child = fork();
        if (child == 0) {
            struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
            struct tern_import_config small = {.report = report, .rows = 20};
            if (tern_stage_open(&stage, &config) == TERN_HOST_OK &&
                tern_import_open(&import, stage, url, &small) == TERN_HOST_OK)
                tern_import_drain(import, WAIT);
            _exit(0);
        }
        usleep(20000 + below(60000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        go_on();
        drain();
        compare();
        put((int32_t)below(MOST), 9);
    }
    bring();
    compare();
    CHECK_TEXT(ask("SELECT count(*) FROM tern_batch WHERE retries>0"), "0");
    done();
}

/* Another program has put rows where the filter knows of none: the guess costs a rollback. */
static void a_wrong_guess_costs_time_and_no_row(void)
{
    char sql[200];
    start();
    for (unsigned i = 0; i < 3; i++) {
        put_new(100);
        bring();
    }
    int32_t k = 1;
    while (model[k] != 0)
        k++;
    snprintf(sql, sizeof sql, "INSERT INTO readings(device,tern_id,k,v) VALUES('dev1',%d,%d,5)", 1, k);
    CHECK(database_execute(&database, sql));
    put(k, 6);
    put_new(100);
    bring();
    compare();
    CHECK_TEXT(paths(), "straight=3 merge=1 again=1");
    put_new(100);
    bring();
    compare();
    CHECK_TEXT(ask("SELECT count(*) FROM tern_batch WHERE retries>0"), "1");
    done();
}

static void take_away(int32_t k)
{
    struct tern_value key[1] = {tern_int(k)};
    send_op(&readings, TERN_OP_DELETE, key);
    model[k] = 0;
}

static bool is_held; /* this connection holds up the newer gateway's commit until the late one is under way */

/* Another gateway, which holds an older epoch of the device and comes late, with keys from `first` on. */
static void send_late(const struct tern_table *table, int32_t first, unsigned count)
{
    struct tern_stage *newest_stage = stage;
    struct tern_import *newest_import = import;
    struct tern_stage_range *newest = range;
    uint32_t behind = next;
    struct tern_stage_config config = {.directory = folder_path("late"), .report = report};
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 1 + count};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, device, table), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK(range->epoch < newest->epoch);
    open_import();
    next = 1;
    for (unsigned i = 0; i < count; i++) {
        struct tern_value row[2] = {tern_int(first + (int32_t)i), tern_int(4)};
        send(table, row);
    }
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    if (is_held) {
        usleep(1500000);
        CHECK(database_execute(&database, "COMMIT"));
    }
    drain();
    done();
    stage = newest_stage;
    import = newest_import;
    range = newest;
    next = behind;
}

static void rows_pass_tombstones_and_do_not_come_back_by_it(void)
{
    start();
    put_new(100);
    for (int32_t k = 0; k < 4; k++)
        put(5000 + k, 3);
    bring();
    for (int32_t k = 0; k < 4; k++)
        take_away(5000 + k);
    bring();
    CHECK_TEXT(paths(), "straight=1 merge=1 again=0");
    put_new(100);
    bring();
    CHECK_TEXT(paths(), "straight=2 merge=1 again=0");
    /* So few merge sooner. */
    put_new(60);
    bring();
    CHECK_TEXT(paths(), "straight=2 merge=2 again=0");
    compare();
    /* Above all that the table has, and older than what is deleted. */
    send_late(&readings, 5000, 100);
    for (int32_t k = 4; k < 100; k++)
        model[5000 + k] = 4;
    compare();
    /* Newer than that. */
    for (int32_t k = 0; k < 4; k++)
        put(5000 + k, 6);
    put_new(80);
    bring();
    compare();
    /* More tombstones than are looked at. */
    for (unsigned i = 0; i < 1001; i++)
        take_away((int32_t)(i * 3));
    bring();
    unsigned long merges = strtoul(ask("SELECT count(*) FROM tern_batch WHERE path='merge'"), NULL, 10);
    put_new(100);
    bring();
    compare();
    CHECK_EQ(strtoul(ask("SELECT count(*) FROM tern_batch WHERE path='merge'"), NULL, 10), merges + 1);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_batch WHERE retries>0"), "0");
    done();
}

static void hold(void)
{
    CHECK(database_execute(&database, "BEGIN"));
    CHECK_TEXT(ask("SELECT count(*) FROM (SELECT store FROM tern_cursor WHERE slot=0 FOR UPDATE) AS c"), "1");
}

/* Both transactions are open at once: the one that deletes has done so, the other one looks for its
 * tombstone. */
static void a_late_row_waits_for_the_delete_that_is_under_way(void)
{
    for (unsigned is_many = 0; is_many < 2; is_many++) {
        start();
        for (int32_t k = 0; k < 3; k++)
            put(5000 + k, 3);
        bring();
        take_away(5002);
        bring();
        hold();
        take_away(5001);
        flush();
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        usleep(1000000);
        is_held = true;
        send_late(&readings, 5001, is_many ? 100 : 1);
        is_held = false;
        drain();
        for (int32_t k = 3; k < 101 && is_many; k++)
            model[5000 + k] = 4;
        compare();
        done();
    }
}

/* The same with the first snapshot of a table. */
static void a_late_row_waits_for_the_snapshot_that_is_under_way(void)
{
    struct tern_value row[2] = {tern_int(3), tern_int(3)}, none[2] = {tern_int(0), tern_int(0)};
    begin(&whole);
    send(&whole, row);
    bring();
    hold();
    send_op(&whole, TERN_OP_SNAPSHOT_BEGIN, none);
    row[0] = tern_int(1);
    send(&whole, row);
    send_op(&whole, TERN_OP_SNAPSHOT_END, none);
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    usleep(1000000);
    is_held = true;
    send_late(&whole, 7, 3);
    is_held = false;
    drain();
    CHECK_TEXT(ask_all(by("k::text", "k"), "k", "whole_list"), "1");
    done();
}

static long cut_filter(long size)
{
    char command[900];
    snprintf(command, sizeof command, "truncate -s %ld %s/*-0 2>/dev/null", size, folder_path("stage/seen"));
    return system(command);
}

/* What a power cut may leave: the filter's end is lost, and so are keys that are in the table. */
static void a_filter_whose_end_is_lost_loses_no_row(void)
{
    start();
    put_new(100);
    bring();
    put_new(100);
    bring();
    tern_import_close(import);
    CHECK_EQ(cut_filter(300), 0);
    open_import();
    for (int32_t k = 0; k < KEYS; k++)
        if (model[k] != 0)
            put(k, 8);
    put_new(50);
    bring();
    compare();
    done();
}

static void copy_tables(bool restore)
{
    static const char *const names[] = {"readings", "tern_checkpoint", "tern_cursor", "tern_batch",
                                        "tern_gap"};
    char sql[200];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(sql, sizeof sql,
                 restore ? "DELETE FROM %s; INSERT INTO %s SELECT * FROM kept_%s"
                         : "CREATE TABLE kept_%s AS SELECT * FROM %s",
                 names[i], names[i], names[i]);
        CHECK(database_execute(&database, sql));
    }
}

static void a_restored_database_is_another_incarnation(void)
{
    start();
    put_new(100);
    bring();
    copy_tables(false);
    for (unsigned i = 0; i < 3; i++) {
        put_new(100);
        bring();
    }
    tern_import_close(import);
    copy_tables(true);
    open_import();
    put_new(100);
    bring();
    compare();
    put_new(100);
    bring();
    compare();
    CHECK(strstr(events, "sink-restored") != NULL);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_batch WHERE retries>0"), "0");
    done();
}

int main(int argc, char **argv)
{
    random_state = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) | 1u : 20261121u;
    printf("seed %u\n", random_state);
    if (!open_url(argc, argv))
        return 1;
    RUN(new_keys_in_any_order_go_straight_in_the_next_run_too);
    RUN(kills_leave_a_filter_that_is_right);
    RUN(a_wrong_guess_costs_time_and_no_row);
    RUN(rows_pass_tombstones_and_do_not_come_back_by_it);
    RUN(a_late_row_waits_for_the_delete_that_is_under_way);
    RUN(a_late_row_waits_for_the_snapshot_that_is_under_way);
    RUN(a_filter_whose_end_is_lost_loses_no_row);
    RUN(a_restored_database_is_another_incarnation);
    return close_url();
}
