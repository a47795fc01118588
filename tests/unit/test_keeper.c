/* SPDX-License-Identifier: MIT */
/* Destinations from run to run, and what of the journal is kept for them. */
#include "../test.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>

#include "../../host/journal.h"
#include "../../host/keeper.h"
#include "../../host/sink.h"
#include "../../host/sql/sqlite_api.h"
#include "chunks.h"

#define WAIT       20000
#define FILE_BYTES 8192
#define NEVER_FULL 4096

/* The disk as the keeper sees it: so many of 100 MiB are free, -1: as it is. Stands in for the C
 * library's. */
static int free_percent = -1;

int statvfs(const char *restrict path, struct statvfs *restrict disk)
{
    struct statfs real;
    (void)path;
    memset(disk, 0, sizeof *disk);
    disk->f_bsize = disk->f_frsize = 4096;
    if (free_percent >= 0) {
        disk->f_blocks = 25600;
        disk->f_bavail = disk->f_bfree = (fsblkcnt_t)free_percent * 256;
        return 0;
    }
    if (statfs(path, &real) != 0)
        return -1;
    disk->f_frsize = (unsigned long)real.f_bsize;
    disk->f_blocks = real.f_blocks;
    disk->f_bavail = disk->f_bfree = real.f_bavail;
    return 0;
}

static struct tern_stage *stage;
static struct tern_keeper *keeper;
static struct tern_import *import;
static struct tern_stage_range *range;
static uint32_t epoch; /* of the range */
static char url[900];
static char events[4096]; /* names of all that were reported */

/* The worker stops behind its next transaction, until it may go on. */
static atomic_bool stops_behind_batch;
static sem_t worker_stopped, worker_goes_on;

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context, (void)level, (void)fields;
    size_t size = strlen(events);
    snprintf(events + size, sizeof events - size, "%s ", event);
    if (strcmp(event, "batch") == 0 && atomic_exchange(&stops_behind_batch, false)) {
        sem_post(&worker_stopped);
        sem_wait(&worker_goes_on);
    }
}

static const struct tern_report report = {remember, NULL};

static int saw(const char *event)
{
    return strstr(events, event) != NULL;
}

static void reopen_stage(void)
{
    struct tern_stage_config config = {
        .directory = folder_path("stage"), .report = report, .file_bytes = FILE_BYTES};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

static void open_stage(void)
{
    reopen_stage();
    range = chunks_device(stage, "dev1");
    epoch = range == NULL ? 0 : range->epoch;
}

static void open_keeper(const struct tern_keeper_config *like)
{
    struct tern_keeper_config config = *like;
    config.stage = stage;
    config.directory = folder_path("stage");
    config.report = report;
    if (config.reserve_bytes == 0)
        config.reserve_bytes = NEVER_FULL;
    CHECK_EQ(tern_keeper_open(&keeper, &config), TERN_HOST_OK);
}

static void open_url(uint32_t rows)
{
    struct tern_import_config config = {.report = report, .rows = rows};
    if (!tern_keeper_admits(keeper, url, &config))
        return;
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    CHECK_EQ(tern_keeper_watch(keeper, url, config.from, import), TERN_HOST_OK);
}

/* A destination csv:NAME. */
static void open_sink(const char *name)
{
    snprintf(url, sizeof url, "csv:%s", folder_path(name));
    open_url(0);
}

/* A destination sqlite:NAME: one that can be set back. */
static void open_database(const char *name)
{
    snprintf(url, sizeof url, "sqlite:%s", folder_path(name));
    open_url(50);
}

static void fresh(const struct tern_keeper_config *config)
{
    folder_fresh();
    events[0] = '\0';
    open_stage();
    open_keeper(config);
    open_sink("out");
}

static void close_all(void)
{
    tern_keeper_finish(keeper);
    tern_import_close(import);
    tern_keeper_close(keeper);
    tern_stage_close(stage);
    import = NULL;
    range = NULL;
}

static void send_rows(unsigned chunks)
{
    for (unsigned i = 0; i < chunks; i++) {
        struct chunk_bytes made;
        chunks_fill(&made, range->taken.next, 50);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
}

static void drain(void)
{
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

static void tick(unsigned count)
{
    while (count-- > 0)
        tern_keeper_tick(keeper);
}

static unsigned files(void)
{
    unsigned count = 0;
    DIR *listing = opendir(folder_path("stage"));
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count += strncmp(entry->d_name, "journal-", 8) == 0;
    closedir(listing);
    return count;
}

/* All journal files were written so many days ago. */
static void age(unsigned days)
{
    DIR *listing = opendir(folder_path("stage"));
    struct timespec times[2] = {{time(NULL) - (time_t)days * 86400 - 60, 0}, {0, 0}};
    times[1] = times[0];
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        if (strncmp(entry->d_name, "journal-", 8) == 0)
            utimensat(dirfd(listing), entry->d_name, times, 0);
    closedir(listing);
}

/* What the destination says of the range: applied, and its gaps. */
static void read_mark(const char *name, struct tern_mark *mark)
{
    struct tern_sink_config config = {.url = url, .report = report};
    struct tern_sink *sink;
    snprintf(url, sizeof url, "csv:%s", folder_path(name));
    memset(mark, 0, sizeof *mark);
    mark->device = "dev1";
    mark->epoch = epoch;
    CHECK_EQ(tern_sink_open(&sink, &config), TERN_HOST_OK);
    if (CHECK_EQ(sink->ops->connect(sink), TERN_HOST_OK)) {
        tern_mark_reset(mark, 1);
        sink->ops->read_marks(sink, &mark, 1);
        sink->ops->disconnect(sink);
    }
    sink->ops->close(sink);
}

/* ---- Removing -------------------------------------------------------------------------------- */

static void young_files_stay_and_old_ones_go(void)
{
    fresh(&(struct tern_keeper_config){0});
    send_rows(60);
    unsigned before = files();
    CHECK(before > 4);
    drain();
    tick(5);
    CHECK_EQ(files(), before);
    age(6);
    tick(5);
    CHECK_EQ(files(), before);
    age(7);
    tick(5);
    CHECK_EQ(files(), 2);
    CHECK(saw("journal-removed"));
    /* The store opens, knows what it held, and goes on. */
    uint32_t next = range->durable.next;
    close_all();
    reopen_stage();
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
    uint32_t last = 0;
    while (tern_stage_read(reader, &entry) == 1)
        if (entry.kind == TERN_ENTRY_CHUNK)
            last = entry.last;
    CHECK_EQ(last, next - 1);
    tern_stage_reader_close(reader);
    tern_stage_close(stage);
}

static void a_size_limit_takes_the_oldest(void)
{
    fresh(&(struct tern_keeper_config){.keep_bytes = 5 * FILE_BYTES});
    send_rows(60);
    drain();
    tick(5);
    CHECK(files() >= 3 && files() <= 6);
    close_all();
}

static void what_a_destination_has_not_got_stays(void)
{
    fresh(&(struct tern_keeper_config){.keep_bytes = 1});
    drain();
    tick(5);
    tern_keeper_finish(keeper);
    tern_import_close(import); /* it is away, and remembered */
    import = NULL;
    open_sink("second");
    send_rows(60);
    unsigned before = files();
    drain();
    tick(5);
    CHECK_EQ(files(), before);
    close_all();
}

static void copy_to(const char *from, const char *to)
{
    char command[2000];
    snprintf(command, sizeof command, "cp '%s' '%s'", folder_path(from), folder_path(to));
    CHECK_EQ(system(command), 0);
}

/* A run in which the database gets all that one device sends. */
static void run_with_database(const char *device, unsigned chunks)
{
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){0});
    open_database("out.db");
    range = chunks_device(stage, device);
    send_rows(chunks);
    drain();
    close_all();
}

/* Its cursor falls back while the keeper remembers one far ahead: that one counts no more. */
static void what_a_destination_that_was_set_back_needs_stays(void)
{
    folder_fresh();
    events[0] = '\0';
    run_with_database("dev1", 1);
    copy_to("out.db", "backup");
    run_with_database("dev2", 60);
    copy_to("backup", "out.db");
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){.keep_bytes = 1});
    unsigned before = files();
    CHECK(before > 4);
    atomic_store(&stops_behind_batch, true);
    open_database("out.db");
    sem_wait(&worker_stopped); /* 50 of the 3,000 rows are in */
    tick(5);
    CHECK(saw("sink-restored"));
    CHECK_EQ(files(), before);
    sem_post(&worker_goes_on);
    drain();
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.restored, 1);
    CHECK_EQ(status.rows, 3000);
    tick(5);
    CHECK_EQ(files(), 2);
    close_all();
}

static void set_state(enum tern_fanout_state state)
{
    struct tern_fanout fanout;
    CHECK_EQ(tern_fanout_read(&fanout, folder_path("stage"), &report), TERN_HOST_OK);
    struct tern_fanout_entry *entry = tern_fanout_find(&fanout, url);
    if (CHECK(entry != NULL))
        entry->state = state;
    CHECK_EQ(tern_fanout_write(&fanout, folder_path("stage"), &report), TERN_HOST_OK);
}

static void what_a_paused_destination_has_not_got_stays(void)
{
    fresh(&(struct tern_keeper_config){0});
    send_rows(1);
    drain();
    close_all();
    set_state(TERN_FANOUT_PAUSED);
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){.keep_bytes = 1});
    open_sink("out");
    CHECK(import == NULL && saw("destination-paused"));
    open_sink("second");
    range = chunks_device(stage, "dev2");
    send_rows(60);
    drain();
    unsigned before = files();
    CHECK(before > 4);
    tick(10);
    CHECK_EQ(files(), before);
    close_all();
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    set_state(TERN_FANOUT_ACTIVE);
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){.keep_bytes = 1});
    open_sink("out");
    drain();
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rows, 3000);
    tick(5);
    CHECK_EQ(files(), 2);
    close_all();
}

static void an_open_batch_stays_whole(void)
{
    fresh(&(struct tern_keeper_config){.keep_bytes = 1});
    struct tern_stage_range *batch = chunks_device(stage, "dev2");
    struct chunk_bytes made;
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 1, "first of the batch");
    tern_chunk_finish(&made.chunk, false, true);
    CHECK_EQ(chunks_send(stage, batch, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    send_rows(60);
    unsigned before = files();
    drain();
    tick(5);
    CHECK_EQ(files(), before);
    chunks_open(&made, 2);
    chunks_put(&made, &chunks_table, 2, "last");
    tern_chunk_finish(&made.chunk, true, true);
    CHECK_EQ(chunks_send(stage, batch, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    drain();
    tick(5);
    CHECK(files() < before);
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rows, 60 * 50 + 2);
    close_all();
}

/* ---- Destinations ---------------------------------------------------------------------------- */

static void a_new_destination_says_what_the_store_no_longer_has(void)
{
    fresh(&(struct tern_keeper_config){.keep_bytes = 1});
    send_rows(60);
    drain();
    tick(5);
    CHECK(files() <= 3);
    tern_keeper_finish(keeper);
    tern_import_close(import);
    open_sink("late");
    drain();
    close_all();
    struct tern_mark mark;
    read_mark("late", &mark);
    CHECK_EQ(mark.applied, 3000);
    if (CHECK_EQ(mark.gaps.count, 1)) {
        CHECK_EQ(mark.gaps.list[0].first, 1);
        CHECK(mark.gaps.list[0].last < 3000 && mark.gaps.list[0].last > 1000);
        CHECK_EQ(mark.gaps.list[0].reason, TERN_GAP_RETENTION);
    }
    tern_mark_free(&mark);
}

static void a_destination_from_now_on_gets_only_what_comes(void)
{
    fresh(&(struct tern_keeper_config){.from_now = true});
    tern_keeper_finish(keeper);
    tern_import_close(import);
    send_rows(4);
    open_sink("fresh");
    send_rows(2);
    drain();
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rows, 100);
    close_all();
    struct tern_mark mark;
    read_mark("fresh", &mark);
    CHECK_EQ(mark.applied, 300);
    if (CHECK_EQ(mark.gaps.count, 1))
        CHECK_EQ(mark.gaps.list[0].last, 200);
    tern_mark_free(&mark);
    /* After a restart it goes on, without asking anew what now is. */
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){.from_now = true});
    open_sink("fresh");
    drain();
    tern_import_status(import, &status);
    CHECK_EQ(status.known + status.rows, 0);
    close_all();
}

static void the_list_outlives_a_restart(void)
{
    struct tern_fanout fanout;
    fresh(&(struct tern_keeper_config){0});
    send_rows(2);
    drain();
    close_all();
    CHECK_EQ(tern_fanout_read(&fanout, folder_path("stage"), &report), TERN_HOST_OK);
    if (CHECK_EQ(fanout.count, 1)) {
        CHECK_EQ(fanout.entries[0].rows, 100);
        fanout.entries[0].state = TERN_FANOUT_PAUSED;
        CHECK_EQ(tern_fanout_write(&fanout, folder_path("stage"), &report), TERN_HOST_OK);
    }
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){0});
    open_sink("out");
    CHECK(import == NULL && saw("destination-paused"));
    close_all();
    FILE *file = fopen(folder_path("stage/destinations"), "a");
    fputs("active what\n", file);
    fclose(file);
    CHECK_EQ(tern_fanout_read(&fanout, folder_path("stage"), &report), TERN_HOST_E_CORRUPT);
}

static void passwords_are_not_written_down(void)
{
    char plain[TERN_FANOUT_URL_ROOM];
    static const char *const pairs[][2] = {
        {"postgresql://me:secret@host:5432/db?x=1", "postgresql://me@host:5432/db?x=1"},
        {"mysql://host:3306/db", "mysql://host:3306/db"},
        {"postgresql://me@host/db?password=secret&a=b", "postgresql://me@host/db?&a=b"},
        {"postgresql:host=a password=secret", "postgresql:host=a "},
        {"postgresql://me@host/db?pass%77ord=secret&a=b", "postgresql://me@host/db?&a=b"},
        {"csv:/a:b@c", "csv:/a:b@c"}};
    for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        CHECK(tern_fanout_plain(pairs[i][0], plain));
        if (!CHECK(strcmp(plain, pairs[i][1]) == 0))
            printf("    %s\n", plain);
    }
}

static void a_store_that_was_set_back_and_grew_again_skips_nothing(void)
{
    char command[2000];
    fresh(&(struct tern_keeper_config){0});
    send_rows(3);
    drain();
    close_all();
    snprintf(command, sizeof command, "cp -r '%s' '%s'", folder_path("stage"), folder_path("copy"));
    CHECK_EQ(system(command), 0);
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){0});
    open_sink("out");
    range = chunks_device(stage, "dev2");
    send_rows(20);
    drain();
    close_all();
    /* The copy comes back, and grows beyond what the destination has seen while that cannot be reached. */
    folder_clear(folder_path("stage"));
    snprintf(command, sizeof command, "rm -r '%s' && mv '%s' '%s'", folder_path("stage"), folder_path("copy"),
             folder_path("stage"));
    CHECK_EQ(system(command), 0);
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){0});
    range = chunks_device(stage, "dev3");
    send_rows(60);
    open_sink("out");
    drain();
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rows, 3000);
    close_all();
}

/* ---- A full disk ----------------------------------------------------------------------------- */

static void a_full_disk_holds_and_goes_on(void)
{
    struct chunk_bytes made;
    fresh(&(struct tern_keeper_config){.reserve_bytes = 1ull << 60});
    send_rows(30);
    drain();
    tick(5); /* the cursor is noted, and then what everyone has goes */
    tick(3);
    CHECK(files() <= 3);
    CHECK(saw("stage-full"));
    chunks_fill(&made, range->taken.next, 5);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_E_SYSTEM);
    close_all();
    reopen_stage();
    tern_stage_hold(stage, true);
    CHECK(chunks_device(stage, "dev3") == NULL);
    tern_stage_hold(stage, false);
    CHECK(chunks_device(stage, "dev3") != NULL);
    tern_stage_close(stage);
}

static void a_destination_can_be_given_up_when_the_disk_is_full(void)
{
    char rule[1000];
    folder_fresh();
    snprintf(rule, sizeof rule, "detach=csv:%s", folder_path("slow"));
    fresh(&(struct tern_keeper_config){.reserve_bytes = 1ull << 60, .when_full = rule});
    tern_keeper_finish(keeper);
    tern_import_close(import);
    open_sink("slow");
    tern_keeper_finish(keeper);
    tern_import_close(import);
    open_sink("out");
    send_rows(60);
    drain();
    unsigned before = files();
    tick(8);
    CHECK(saw("destination-detached"));
    CHECK(files() < before);
    close_all();
    /* It comes back, gets what is left, and says what it missed. */
    reopen_stage();
    open_keeper(&(struct tern_keeper_config){0});
    open_sink("slow");
    drain();
    tick(5);
    CHECK(saw("destination-attached"));
    close_all();
    struct tern_mark mark;
    read_mark("slow", &mark);
    CHECK_EQ(mark.applied, 3000);
    if (CHECK_EQ(mark.gaps.count, 1))
        CHECK_EQ(mark.gaps.list[0].reason, TERN_GAP_RETENTION);
    tern_mark_free(&mark);
}

static unsigned times(const char *event)
{
    unsigned count = 0;
    for (const char *at = events; (at = strstr(at, event)) != NULL; at++)
        count++;
    return count;
}

/* At 80 % an alarm, once, until there is room to spare; at the reserve nothing more is taken, until there is
 * room again. */
static void a_disk_that_fills_is_told_of_and_records_are_taken_again_when_it_has_room(void)
{
    struct chunk_bytes made;
    fresh(&(struct tern_keeper_config){.reserve_bytes = 10u << 20});
    send_rows(3);
    drain();
    free_percent = 21;
    tick(1);
    CHECK_EQ(times("disk-filling"), 0);
    free_percent = 19;
    tick(3);
    CHECK_EQ(times("disk-filling"), 1);
    free_percent = 24;
    tick(2);
    free_percent = 19;
    tick(2);
    CHECK_EQ(times("disk-filling"), 1);
    free_percent = 26;
    tick(1);
    free_percent = 19;
    tick(1);
    CHECK_EQ(times("disk-filling"), 2);
    CHECK_EQ(times("stage-full"), 0);
    free_percent = 9;
    tick(3);
    CHECK_EQ(times("stage-full"), 1);
    chunks_fill(&made, range->taken.next, 5);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_E_SYSTEM);
    free_percent = 11;
    tick(3);
    CHECK_EQ(times("stage-has-room"), 1);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    free_percent = -1;
    close_all();
}

/* The rule names a destination that nobody has, or one that was given up before. */
static void with_nothing_to_give_up_records_are_held(void)
{
    fresh(&(struct tern_keeper_config){.reserve_bytes = 10u << 20, .when_full = "detach=csv:nobody"});
    send_rows(3);
    free_percent = 5;
    tick(3);
    CHECK(saw("stage-full") && !saw("destination-detached"));
    free_percent = -1;
    close_all();
    char rule[1000];
    snprintf(rule, sizeof rule, "detach=csv:%s", folder_path("out"));
    fresh(&(struct tern_keeper_config){.reserve_bytes = 10u << 20, .when_full = rule});
    send_rows(3);
    drain();
    free_percent = 5;
    tick(9);
    CHECK_EQ(times("destination-detached"), 1);
    CHECK(saw("stage-full"));
    free_percent = -1;
    tick(9);
    CHECK(saw("destination-attached"));
    close_all();
}

static void a_rule_that_is_none_is_refused(void)
{
    folder_fresh();
    open_stage();
    struct tern_keeper_config config = {.stage = stage, .directory = folder_path("stage"), .report = report};
    static const char *const bad[] = {"drop", "detach", "detach=", "holds", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config.when_full = bad[i];
        CHECK_EQ(tern_keeper_open(&keeper, &config), TERN_HOST_E_ARGUMENT);
    }
    config.when_full = "hold";
    CHECK_EQ(tern_keeper_open(&keeper, &config), TERN_HOST_OK);
    tern_keeper_close(keeper);
    tern_stage_close(stage);
}

int main(void)
{
    static struct tern_sqlite_api api;
    char missing[256];
    bool has_sqlite = tern_sqlite_load(&api, missing, sizeof missing) == 0;
    tern_sqlite_library = has_sqlite ? &api : NULL;
    sem_init(&worker_stopped, 0, 0);
    sem_init(&worker_goes_on, 0, 0);
    RUN(young_files_stay_and_old_ones_go);
    RUN(a_size_limit_takes_the_oldest);
    RUN(what_a_destination_has_not_got_stays);
    RUN(what_a_paused_destination_has_not_got_stays);
    if (has_sqlite)
        RUN(what_a_destination_that_was_set_back_needs_stays);
    else
        SKIP(what_a_destination_that_was_set_back_needs_stays, missing);
    RUN(an_open_batch_stays_whole);
    RUN(a_new_destination_says_what_the_store_no_longer_has);
    RUN(a_destination_from_now_on_gets_only_what_comes);
    RUN(the_list_outlives_a_restart);
    RUN(a_store_that_was_set_back_and_grew_again_skips_nothing);
    RUN(passwords_are_not_written_down);
    RUN(a_full_disk_holds_and_goes_on);
    RUN(a_destination_can_be_given_up_when_the_disk_is_full);
    RUN(a_disk_that_fills_is_told_of_and_records_are_taken_again_when_it_has_room);
    RUN(with_nothing_to_give_up_records_are_held);
    RUN(a_rule_that_is_none_is_refused);
    folder_remove();
    return test_report();
}
