/* SPDX-License-Identifier: MIT */
/* The importer with a real server that others use too: deletes, deadlocks, lost sessions, a server that is
 * away. import_outage URL [STOP-COMMAND START-COMMAND [SAVE-COMMAND RESTORE-COMMAND]]. */
#include "server_rig.h"

#include <pthread.h>
#include <time.h>

/* ---- Deletes --------------------------------------------------------------------------------- */

/* Two gateways with stores of their own: the one in use is in the variables, and the other one here. */
static struct gateway {
    struct tern_stage *stage;
    struct tern_import *import;
    struct tern_stage_range *range;
    uint32_t next;
} other_gateway;

static void change_gateway(void)
{
    struct gateway used = {stage, import, range, next};
    stage = other_gateway.stage;
    import = other_gateway.import;
    range = other_gateway.range;
    next = other_gateway.next;
    other_gateway = used;
}

/* Another gateway, which holds an older epoch of the device and comes late. */
static void open_late(void)
{
    struct tern_stage_config config = {.directory = folder_path("late"), .report = report};
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    uint32_t newest = range->epoch;
    change_gateway();
    hello.ranges[0] = (struct tern_hello_range){.epoch = 8, .base = 1, .oldest = 1, .next = 3};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, device, &texts), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK(range->epoch < newest);
    open_import();
    next = 1;
}

static void send_late(void)
{
    open_late();
    put_text("a", "late", 4);
    put_text("c", "late", 4);
    flush();
    drain();
    done();
    change_gateway();
}

static void a_deleted_row_stays_deleted(void)
{
    struct tern_value key[1] = {tern_text("a")};
    begin(&texts);
    put_text("a", "one", 3);
    put_text("b", "two", 3);
    flush();
    drain();
    send_op(&texts, TERN_OP_DELETE, key);
    flush();
    drain();
    CHECK_TEXT(ask_all("k", "k", "texts"), "b");
    send_late();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "b=two c=late");
    put_text("a", "back", 4);
    flush();
    drain();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "a=back b=two c=late");
    done();
}

/* So many that the database's bulk path takes them; a key was deleted, and one row is refused. */
static void many_rows_are_merged(void)
{
    char k[16];
    struct tern_value gone[1] = {tern_text("k0003")};
    begin(&texts);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 1000; i += 1 + round) {
            snprintf(k, sizeof k, "k%04u", i);
            put_text(k, round == 0 ? "one\\" : round == 1 ? "\ttwo" : "n\nop", 4);
        }
        flush();
        drain();
        if (round == 0)
            send_op(&texts, TERN_OP_DELETE, gone);
        if (round == 1)
            CHECK(database_execute(
                &database, "ALTER TABLE texts ADD CONSTRAINT no CHECK(k<>'k0006' OR v NOT LIKE 'n%')"));
    }
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "1000");
    CHECK_TEXT(ask("SELECT count(*) FROM texts WHERE v LIKE 'one_'"), "333");
    CHECK_TEXT(ask("SELECT count(*) FROM texts WHERE v LIKE '_two'"), "334");
    CHECK_TEXT(ask("SELECT count(*) FROM texts WHERE v LIKE 'n_op'"), "333");
    CHECK_TEXT(ask("SELECT v FROM texts WHERE k='k0003'"), "n\nop");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "1");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 1);
    done();
}

/* ---- Others at the same tables --------------------------------------------------------------- */

/* How many sessions wait for a lock. MariaDB looks anew when nobody has asked for a tenth of a second. */
static int waiting(void)
{
    usleep(is_mysql() ? 150000 : 10000);
    return atoi(ask(by("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'",
                       "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state='LOCK WAIT'")));
}

static bool somebody_waits(void)
{
    return waiting() != 0;
}

/* A late row is in its transaction, which nobody else sees, when the other gateway deletes its key: the first
 * delete of the table, before which nothing is known of deleted keys. `loaded`: the row is in the table, and
 * the commit waits; if not, it waits behind a row of a lower key. */
static void delete_while_a_late_row_is_under_way(bool loaded)
{
    struct tern_value key[1] = {tern_text("a")};
    struct database holder;
    char sql[200] = "UPDATE texts SET v='held' WHERE k='_'";
    begin(&texts);
    put_text("b", "two", 3);
    flush();
    drain();
    open_late();
    put_text("_", "old", 3);
    flush();
    drain();
    if (loaded)
        snprintf(sql, sizeof sql, "UPDATE tern_cursor SET position=position WHERE store='%016llx'",
                 (unsigned long long)tern_stage_id(stage));
    CHECK(database_open(&holder, url) && database_execute(&holder, by("BEGIN", "START TRANSACTION")) &&
          database_execute(&holder, sql));
    put_text("_", "new", 3);
    put_text("a", "late", 4);
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    for (unsigned i = 0; i < 200 && waiting() < 1; i++)
        continue;
    CHECK_EQ(waiting(), 1);
    change_gateway();
    send_op(&texts, TERN_OP_DELETE, key);
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    for (unsigned i = 0; i < 100 && waiting() < 2 && tern_import_drain(import, 20) != TERN_HOST_OK; i++)
        continue;
    CHECK(database_execute(&holder, "ROLLBACK"));
    database_close(&holder);
    drain();
    change_gateway();
    drain();
    done();
    change_gateway();
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "_=new b=two");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_deleted_texts"), "1");
    done();
}

static void a_late_row_in_the_moment_of_the_first_delete_does_not_come_back(void)
{
    delete_while_a_late_row_is_under_way(true);
    delete_while_a_late_row_is_under_way(false);
}

/* Another program takes the second row, waits until the importer has taken the first and waits for the
 * second, and asks for the first. PostgreSQL ends the one who waits the longer, MySQL the one who has written
 * the less: the other is made sure to be neither. */
static void *cross(void *context)
{
    struct database other;
    if (!database_open(&other, url) ||
        !database_execute(&other, by("SET deadlock_timeout='10s'; BEGIN",
                                     "START TRANSACTION; INSERT INTO heavy SELECT seq FROM seq_1_to_500")) ||
        !database_execute(&other, "UPDATE texts SET v='other' WHERE device='dev1' AND k='b'"))
        return NULL;
    *(volatile bool *)context = true;
    for (unsigned i = 0; i < 400 && !somebody_waits(); i++)
        continue;
    bool good = database_execute(&other, "UPDATE texts SET v='other' WHERE device='dev1' AND k='a'; COMMIT");
    database_close(&other);
    return good ? context : NULL;
}

static void a_deadlock_is_tried_again(void)
{
    pthread_t thread;
    volatile bool ready = false;
    void *good = NULL;
    begin(&texts);
    put_text("a", "one", 3);
    put_text("b", "two", 3);
    flush();
    drain();
    CHECK(database_execute(&database, by("ALTER DATABASE postgres SET deadlock_timeout='300ms'",
                                         "CREATE TABLE heavy(n INT) ENGINE=InnoDB")));
    tern_import_close(import);
    open_import();
    pthread_create(&thread, NULL, cross, (void *)&ready);
    while (!ready)
        usleep(1000);
    put_text("a", "three", 5);
    put_text("b", "four", 4);
    flush();
    drain();
    pthread_join(thread, &good);
    CHECK(good != NULL);
    CHECK_TEXT(ask_all("concat(k,'=',v)", "k", "texts"), "a=three b=four");
    CHECK_TEXT(ask("SELECT max(retries) FROM tern_batch"), "1");
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 0);
    CHECK(database_execute(&database,
                           by("ALTER DATABASE postgres RESET deadlock_timeout", "DROP TABLE heavy")));
    done();
}

static const struct tern_column old_columns[] = {{"k", TERN_I32, TERN_KEY}, {"v", TERN_U8, TERN_NULLABLE}};
static const struct tern_column new_columns[] = {
    {"k", TERN_I32, TERN_KEY}, {"v", TERN_U32, TERN_NULLABLE}, {"w", TERN_TEXT(9), TERN_NULLABLE}};
static const struct tern_table old_table = TERN_TABLE("crowded", TERN_MERGE, old_columns);
static const struct tern_table new_table = TERN_TABLE("crowded", TERN_MERGE, new_columns);

#define CROWD 32

/* Each device of the crowd sends a record of the table, to be imported by eight workers of two gateways. */
static void send_crowd(struct tern_stage *const *stages, const struct tern_table *table, int64_t k)
{
    struct tern_stage *before = stage;
    struct tern_stage_range *before_range = range;
    static struct tern_stage_range *ranges[CROWD];
    struct tern_value row[3] = {tern_int(k), tern_int(k), tern_text("w")};
    for (unsigned i = 0; i < CROWD; i++) {
        char id[16];
        snprintf(id, sizeof id, "crowd%u", i);
        stage = stages[i % 2];
        if (k == 1)
            ranges[i] = chunks_device(stage, id);
        range = ranges[i];
        give_schema(table);
        next = (uint32_t)k;
        send(table, row);
        flush();
    }
    stage = before;
    range = before_range;
}

/* None of them holds anything for a table or column that another is making. */
static void workers_meet_new_tables_and_columns_at_once(void)
{
    for (unsigned round = 0; round < 5; round++) {
        struct tern_import_config config = {.report = report, .workers = 8};
        struct tern_stage_config staging = {.directory = folder_path("other"), .report = report};
        struct tern_stage *stages[2];
        struct tern_import *imports[2];
        begin(&texts);
        tern_import_close(import);
        stages[0] = stage;
        CHECK_EQ(tern_stage_open(&stages[1], &staging), TERN_HOST_OK);
        for (int64_t k = 1; k <= 2; k++) {
            send_crowd(stages, k == 1 ? &old_table : &new_table, k);
            for (unsigned i = 0; i < 2; i++) {
                CHECK_EQ(tern_stage_sync(stages[i]), TERN_HOST_OK);
                CHECK_EQ(tern_import_open(&imports[i], stages[i], url, &config), TERN_HOST_OK);
            }
            for (unsigned i = 0; i < 2; i++)
                CHECK_EQ(tern_import_drain(imports[i], WAIT), TERN_HOST_OK);
            for (unsigned i = 0; i < 2; i++)
                tern_import_close(imports[i]);
        }
        CHECK_TEXT(ask("SELECT count(*),count(w) FROM crowded"), "64|32");
        CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
        CHECK_TEXT(events, "");
        tern_stage_close(stages[1]);
        tern_stage_close(stages[0]);
    }
}

static const struct tern_mysql_api *library;
static bool is_refused; /* the lock, as by a server that lacks memory */

/* The lock is waited for one second. */
static int query_hastily(struct st_mysql *connection, const char *sql, unsigned long size)
{
    static const char none[] = "SELECT NULL", wait[] = ",60),20)";
    char hasty[200];
    if (strstr(sql, "GET_LOCK(") == NULL || size >= sizeof hasty)
        return library->real_query(connection, sql, size);
    if (is_refused)
        return library->real_query(connection, none, sizeof none - 1);
    memcpy(hasty, sql, size);
    hasty[size] = '\0';
    char *place = strstr(hasty, wait);
    if (CHECK(place != NULL))
        memcpy(place, ",60), 1)", sizeof wait - 1);
    return library->real_query(connection, hasty, size);
}

/* A table is not made while another session makes one, and nothing is lost by it. */
static void the_lock_to_make_tables_is_waited_for(void)
{
    static struct tern_mysql_api hasty;
    static const char *const reasons[] = {"another session has held the lock", "GET_LOCK says NULL"};
    library = tern_mysql_library;
    hasty = *library;
    hasty.real_query = query_hastily;
    for (unsigned i = 0; i < 2; i++) {
        struct tern_import_status status;
        begin(&texts);
        tern_import_close(import);
        is_refused = i == 1;
        tern_mysql_library = &hasty;
        open_import();
        CHECK(database_execute(&database, "SELECT GET_LOCK('tern tern',0)"));
        put_text("a", "one", 3);
        flush();
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        CHECK(tern_import_drain(import, 2000) != TERN_HOST_OK);
        tern_import_status(import, &status);
        if (!CHECK(strstr(status.error, reasons[i]) != NULL))
            printf("    %s\n", status.error);
        CHECK_TEXT(ask("SELECT count(*) FROM information_schema.tables WHERE table_name='texts'"), "0");
        CHECK(database_execute(&database, "SELECT RELEASE_LOCK('tern tern')"));
        is_refused = false;
        drain();
        CHECK_TEXT(ask("SELECT count(*) FROM texts"), "1");
        CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
        tern_mysql_library = library;
        done();
    }
}

/* Ends every session but the test's. One may be gone before its turn comes. */
static void end_sessions(void)
{
    struct lines ids = {0};
    char sql[64];
    CHECK(database_ask(
        &database,
        by("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='tern-gateway' "
           "AND pid<>pg_backend_pid()",
           "SELECT id FROM information_schema.processlist WHERE db='tern' AND id<>connection_id()"),
        &ids));
    for (size_t i = 0; i < ids.count && is_mysql(); i++) {
        snprintf(sql, sizeof sql, "KILL %s", ids.list[i]);
        (void)database.client->ops->execute(database.client, sql);
    }
    lines_free(&ids);
}

static void a_terminated_session_is_replaced(void)
{
    char key[16];
    begin(&texts);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 50; k++) {
            snprintf(key, sizeof key, "k%u", i * 50 + k);
            put_text(key, "v", 1);
        }
        flush();
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        usleep(20000);
        end_sessions();
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "1000");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "1000");
    done();
}

/* ---- A long backlog -------------------------------------------------------------------------- */

#define BACKLOG 30000u

struct progress {
    pthread_mutex_t mutex;
    unsigned long long rate, bytes, seconds;
    bool told;
};

static void take_progress(void *context, enum tern_level level, const char *event, const char *fields)
{
    struct progress *progress = context;
    const char *rate = strstr(fields, "rows_per_second=");
    if (level != TERN_INFO || strcmp(event, "progress") != 0 || rate == NULL)
        return;
    pthread_mutex_lock(&progress->mutex);
    progress->told = sscanf(rate, "rows_per_second=%llu bytes_left=%llu seconds_left=%llu", &progress->rate,
                            &progress->bytes, &progress->seconds) == 3;
    pthread_mutex_unlock(&progress->mutex);
}

/* A row a transaction, so that the backlog lasts. What is told must agree with what is there. */
static void a_long_backlog_tells_its_rate_and_the_time_left(void)
{
    struct progress progress = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tern_import_config config = {.report = {take_progress, &progress}, .rows = 1};
    struct tern_import_status status;
    char key[16];
    bool told = false;
    begin(&texts);
    tern_import_close(import);
    for (unsigned i = 0; i < BACKLOG; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(key, "v", 1);
        if (i % 3 == 2)
            flush();
    }
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    for (unsigned i = 0; i < 400 && !told; i++) {
        usleep(50000);
        pthread_mutex_lock(&progress.mutex);
        told = progress.told;
        pthread_mutex_unlock(&progress.mutex);
    }
    tern_import_status(import, &status);
    done();
    if (!CHECK(told))
        return;
    uint64_t left = BACKLOG - status.rows;
    CHECK(progress.rate > 0 && progress.bytes > 0 && progress.bytes < status.end);
    CHECK(progress.rate > status.rows / 12 && progress.rate < status.rows);
    CHECK(progress.seconds + 2 > left / progress.rate / 2 && progress.seconds < 2 * left / progress.rate + 2);
}

/* ---- A database that is set back ------------------------------------------------------------- */

/* Keeps the tables as they are, or makes them as they were kept. */
static void copy_tables(bool restore)
{
    static const char *const names[] = {"texts", "tern_checkpoint", "tern_cursor", "tern_batch", "tern_gap"};
    char sql[200];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(sql, sizeof sql,
                 restore ? "DELETE FROM %s; INSERT INTO %s SELECT * FROM kept_%s"
                         : "CREATE TABLE kept_%s AS SELECT * FROM %s",
                 names[i], names[i], names[i]);
        CHECK(database_execute(&database, sql));
    }
}

static void a_restored_database_is_filled_again(void)
{
    char key[16];
    struct tern_import_status status;
    begin(&texts);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "k%u", i % 200);
        put_text(key, i < 200 ? "old" : "new", 3);
        if (i % 100 != 99)
            continue;
        flush();
        drain();
        if (i == 99)
            copy_tables(false);
    }
    tern_import_close(import);
    copy_tables(true);
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "100");
    open_import();
    put_text("last", "new", 3);
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "201");
    CHECK_TEXT(ask("SELECT count(*) FROM texts WHERE v='new'"), "101");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "301");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    tern_import_status(import, &status);
    CHECK_EQ(status.restored, 1);
    done();
}

/* ---- A server that is away ------------------------------------------------------------------- */

static const char *stop_command, *start_command;

static void a_server_that_is_away_holds_only_its_own_destination(void)
{
    char file[900], key[16];
    struct tern_import *other;
    struct tern_import_config config = {.report = report};
    struct tern_import_status status;
    begin(&texts);
    snprintf(file, sizeof file, "csv:%s", folder_path("out"));
    CHECK_EQ(tern_import_open(&other, stage, file, &config), TERN_HOST_OK);
    put_text("before", "v", 1);
    flush();
    drain();
    database_close(&database);
    CHECK_EQ(system(stop_command), 0);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%u", i);
        put_text(key, "v", 1);
    }
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(other, WAIT), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    tern_import_status(import, &status);
    CHECK(status.failing && status.error[0] != '\0');
    tern_import_status(other, &status);
    CHECK(!status.failing && status.rows == 501);
    CHECK_EQ(system(start_command), 0);
    CHECK(database_open(&database, url));
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM texts"), "501");
    tern_import_close(other);
    done();
}

/* Closing does not wait for a server that does not answer. */
static void a_stop_does_not_wait_for_a_server_that_is_away(void)
{
    struct timespec from, to;
    begin(&texts);
    database_close(&database);
    CHECK_EQ(system(stop_command), 0);
    put_text("k", "v", 1);
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 500), TERN_HOST_E_LIMIT);
    clock_gettime(CLOCK_MONOTONIC, &from);
    done();
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(to.tv_sec - from.tv_sec < 3);
    CHECK_EQ(system(start_command), 0);
    CHECK(database_open(&database, url));
}

static const char *save_command, *restore_command;

/* The importer runs on while its database becomes an older one: everything is there again, once. */
static void a_database_that_was_set_back_is_filled_again(void)
{
    char key[16];
    begin(&texts);
    for (unsigned i = 0; i < 900; i++) {
        if (i == 300 || i == 600) {
            flush();
            drain();
            database_close(&database);
            CHECK_EQ(system(i == 300 ? save_command : restore_command), 0);
            CHECK(database_open(&database, url));
            CHECK_TEXT(ask("SELECT count(*) FROM texts"), "300");
        }
        snprintf(key, sizeof key, "k%u", i % 450);
        put_text(key, i < 450 ? "old" : "new", 3);
    }
    flush();
    drain();
    CHECK_TEXT(ask("SELECT count(*),min(v),max(v),count(DISTINCT tern_id) FROM texts"), "450|new|new|450");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "900");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK(strstr(events, "sink-restored") != NULL);
    done();
}

int main(int argc, char **argv)
{
    if (!open_url(argc, argv))
        return 1;
    stop_command = argc > 3 ? argv[2] : NULL;
    start_command = argc > 3 ? argv[3] : NULL;
    save_command = argc > 5 ? argv[4] : NULL;
    restore_command = argc > 5 ? argv[5] : NULL;
    RUN(a_deleted_row_stays_deleted);
    RUN(many_rows_are_merged);
    RUN(a_late_row_in_the_moment_of_the_first_delete_does_not_come_back);
    RUN(a_deadlock_is_tried_again);
    RUN(workers_meet_new_tables_and_columns_at_once);
    if (is_mysql())
        RUN(the_lock_to_make_tables_is_waited_for);
    RUN(a_terminated_session_is_replaced);
    if (!is_mysql())
        RUN(a_long_backlog_tells_its_rate_and_the_time_left);
    RUN(a_restored_database_is_filled_again);
    if (stop_command != NULL) {
        RUN(a_server_that_is_away_holds_only_its_own_destination);
        RUN(a_stop_does_not_wait_for_a_server_that_is_away);
    }
    if (save_command != NULL)
        RUN(a_database_that_was_set_back_is_filled_again);
    return close_url();
}
