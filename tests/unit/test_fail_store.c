/* SPDX-License-Identifier: MIT */
/* The staging store while any call into the C library fails: nothing crashes, what was acknowledged is there
 * after the next open, and the reason is reported. */
#include "../test.h"

#include "../../host/journal.h"
#include "../../host/log.h"
#include "../fail/fail_each.h"
#include "chunks.h"

#define CHUNKS     14u
#define CHUNK_ROWS 20u

static struct tern_stage *stage;
static struct tern_stage_range *range;
static uint32_t epoch, acknowledged; /* records below it */
static unsigned errors;
static char last_fields[1024];
static bool trims;

static void count_errors(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    (void)event;
    if (level >= TERN_WARN) {
        errors++;
        snprintf(last_fields, sizeof last_fields, "%s", fields);
    }
}

static int open_stage(void)
{
    struct tern_stage_config config = {
        .directory = folder_path("stage"), .report = {count_errors, NULL}, .file_bytes = 2000};
    return tern_stage_open(&stage, &config);
}

/* A HELLO as the device would say it that has records from `acknowledged` on. */
static int say_hello(void)
{
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = epoch, .base = 1, .oldest = acknowledged, .next = 1 + CHUNKS * CHUNK_ROWS};
    if (device == NULL)
        return TERN_HOST_E_SYSTEM;
    int status = tern_stage_hello(stage, device, &hello, &hello.ranges[0], 1700000000000, &range);
    return status != TERN_HOST_OK ? status : chunks_schema(stage, device, &chunks_table);
}

/* Half a chunk, then the rest of it: a chunk of which a part is held. */
static int send_chunk(uint32_t first)
{
    static struct chunk_bytes made;
    uint32_t want, half;
    chunks_open(&made, first);
    for (uint32_t i = 0; i < CHUNK_ROWS; i++) {
        chunks_put(&made, &chunks_table, first + i, "n");
        tern_chunk_finish(&made.chunk, true, false);
    }
    half = made.chunk.size / 2;
    int status = tern_stage_part(stage, range, first, 0, made.bytes, half, &want);
    return status != TERN_HOST_OK ? status : chunks_send(stage, range, &made, half);
}

static bool sync_stage(void)
{
    if (tern_stage_sync(stage) != TERN_HOST_OK)
        return false;
    epoch = range->epoch;
    CHECK(range->durable.next >= acknowledged); /* or the store has forgotten what it acknowledged */
    acknowledged = range->durable.next;
    return true;
}

/* A device with a whole backlog; the session ends at the first error. */
static void send_all(void)
{
    if (say_hello() != TERN_HOST_OK || !sync_stage())
        return;
    for (uint32_t i = (acknowledged - 1) / CHUNK_ROWS; i < CHUNKS; i++) {
        uint32_t first = 1 + i * CHUNK_ROWS;
        int status = i % 5 == 3
                         ? tern_stage_gap(stage, range, first, first + CHUNK_ROWS - 1, TERN_GAP_OVERFLOW)
                         : send_chunk(first);
        if (status != TERN_HOST_OK || !sync_stage())
            return;
        struct tern_journal_limits limits = {.position = tern_stage_end(stage), .bytes = 6000};
        if (trims)
            tern_stage_trim(stage, &limits);
    }
}

static void prepare_empty(void)
{
    folder_fresh();
    epoch = errors = 0;
    acknowledged = 1;
    stage = NULL;
}

/* Every error of opening is reported. */
static void open_and_send(void)
{
    int status = open_stage();
    if (status == TERN_HOST_OK)
        send_all();
    else
        CHECK(errors != 0 || status == TERN_HOST_E_SYSTEM);
    if (status == TERN_HOST_OK)
        tern_stage_close(stage);
    stage = NULL;
}

/* Reads the store and counts on that every record from `from` to what was acknowledged is there, once, as a
 * record or a gap. */
static void expect_acknowledged(void)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    uint8_t chunk[TERN_CHUNK_MAX];
    uint32_t next = 0;
    CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
    int status;
    while ((status = tern_stage_read(reader, &entry)) == 1) {
        if (entry.kind != TERN_ENTRY_CHUNK && entry.kind != TERN_ENTRY_GAP)
            continue;
        if (next == 0)
            next = trims ? entry.first : 1;
        if (entry.epoch != epoch)
            continue;
        CHECK_EQ(entry.first, next);
        next = entry.last + 1;
        if (entry.kind == TERN_ENTRY_CHUNK)
            CHECK(tern_stage_chunk(reader, &entry, chunk) > 0);
    }
    CHECK_EQ(status, 0);
    CHECK(next >= acknowledged || acknowledged == 1);
    tern_stage_reader_close(reader);
}

static void inspect_store(void)
{
    if (!CHECK_EQ(open_stage(), TERN_HOST_OK)) {
        printf("    %s\n", last_fields);
        return;
    }
    expect_acknowledged();
    /* The device comes back and the rest goes in. */
    send_all();
    CHECK_EQ(acknowledged, 1 + CHUNKS * CHUNK_ROWS);
    expect_acknowledged();
    tern_stage_close(stage);
}

static void each(const char *name, unsigned groups, enum fail_how how, void (*prepare)(void),
                 void (*act)(void))
{
    fail_each(&(struct fail_scenario){name, groups, how, false, prepare, act, inspect_store});
}

static void what_is_acknowledged_outlasts_any_call_that_fails(void)
{
    trims = false;
    each("memory", FAIL_MEMORY, FAIL_ONCE, prepare_empty, open_and_send);
    each("memory from then on", FAIL_MEMORY, FAIL_ON, prepare_empty, open_and_send);
    each("reading", FAIL_READ, FAIL_ONCE, prepare_empty, open_and_send);
    each("writing", FAIL_WRITE, FAIL_ONCE, prepare_empty, open_and_send);
    each("a full disk", FAIL_WRITE, FAIL_ON, prepare_empty, open_and_send);
    each("syncing that worked", FAIL_WRITE, FAIL_UNHEARD, prepare_empty, open_and_send);
}

static void what_is_acknowledged_outlasts_them_while_files_are_removed_too(void)
{
    trims = true;
    each("reading", FAIL_READ, FAIL_ONCE, prepare_empty, open_and_send);
    each("writing", FAIL_WRITE, FAIL_ONCE, prepare_empty, open_and_send);
    trims = false;
}

static void calls_that_are_cut_short_or_interrupted_are_not_noticed(void)
{
    each("halves", FAIL_READ | FAIL_WRITE, FAIL_HALF, prepare_empty, open_and_send);
    each("signals", FAIL_READ | FAIL_WRITE, FAIL_INTERRUPT, prepare_empty, open_and_send);
}

/* A store whose process died while it wrote. */
static void prepare_torn(void)
{
    char path[1000];
    unsigned number = 0;
    prepare_empty();
    CHECK_EQ(open_stage(), TERN_HOST_OK);
    send_all();
    tern_stage_close(stage);
    errors = 0;
    for (unsigned i = 1; i < 100; i++) {
        snprintf(path, sizeof path, "%s/journal-%08u.tern", folder_path("stage"), i);
        number = access(path, F_OK) == 0 ? i : number;
    }
    snprintf(path, sizeof path, "%s/journal-%08u.tern", folder_path("stage"), number);
    FILE *file = fopen(path, "ab");
    fputs("half an entry that was never acknowledged", file);
    fclose(file);
}

static void recovery_that_fails_at_any_call_can_be_done_again(void)
{
    each("memory", FAIL_MEMORY, FAIL_ONCE, prepare_torn, open_and_send);
    each("reading", FAIL_READ, FAIL_ONCE, prepare_torn, open_and_send);
    each("writing", FAIL_WRITE, FAIL_ONCE, prepare_torn, open_and_send);
    each("a full disk", FAIL_WRITE, FAIL_ON, prepare_torn, open_and_send);
    each("halves", FAIL_READ | FAIL_WRITE, FAIL_HALF, prepare_torn, open_and_send);
}

/* ---- A power cut ----------------------------------------------------------------------------- */

/* A name that was made and then removed may be there again after a power cut, as long as the folder was not
 * synced. */
static char kept[64];

static void keep_name(void *context, const char *call, int descriptor, const char *name)
{
    (void)context;
    if (strcmp(call, "unlinkat") == 0 && strncmp(name, "journal-", 8) == 0 && kept[0] == '\0' &&
        linkat(descriptor, name, descriptor, "kept", 0) == 0)
        snprintf(kept, sizeof kept, "stage/%s", name);
}

static void open_and_send_until_the_power_is_cut(void)
{
    char from[1000], to[1000];
    kept[0] = '\0';
    fail_watch(keep_name, NULL);
    open_and_send();
    fail_watch(NULL, NULL);
    snprintf(from, sizeof from, "%s", folder_path("stage/kept"));
    snprintf(to, sizeof to, "%s", folder_path(kept));
    fail_off(true);
    if (kept[0] != '\0' && access(to, F_OK) != 0)
        CHECK_EQ(rename(from, to), 0);
    fail_off(false);
}

static void a_file_whose_name_may_be_durable_costs_nothing_that_is_acknowledged(void)
{
    each("writing", FAIL_WRITE, FAIL_ONCE, prepare_empty, open_and_send_until_the_power_is_cut);
    each("folders from then on", FAIL_FOLDER, FAIL_ON, prepare_empty, open_and_send_until_the_power_is_cut);
}

/* ---- The order of calls ---------------------------------------------------------------------- */

/* What is on the disk for certain, as POSIX has it: a name after a sync of its folder, bytes after a sync of
 * their file. */
static struct {
    bool name_waits; /* a journal file was renamed, its folder not synced since */
    bool bytes_wait; /* something was written, its file not synced since */
    unsigned renames, folder_syncs;
} disk;

static void follow(void *context, const char *call, int descriptor, const char *name)
{
    struct stat about;
    (void)context;
    if (strcmp(call, "renameat") == 0 && strncmp(name, "journal-", 8) == 0) {
        CHECK(!disk.bytes_wait);
        disk.name_waits = true;
        disk.renames++;
    }
    if (strcmp(call, "pwrite") == 0)
        disk.bytes_wait = true;
    if (strcmp(call, "fdatasync") == 0)
        disk.bytes_wait = false;
    if (strcmp(call, "fsync") == 0 && fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode)) {
        disk.name_waits = false;
        disk.folder_syncs++;
    }
}

static void expect_durable(void)
{
    CHECK(!disk.name_waits);
    CHECK(!disk.bytes_wait);
}

static void nothing_is_acknowledged_before_its_bytes_and_its_files_name_are_durable(void)
{
    prepare_empty();
    memset(&disk, 0, sizeof disk);
    fail_watch(follow, NULL);
    CHECK_EQ(open_stage(), TERN_HOST_OK);
    expect_durable();
    CHECK_EQ(say_hello(), TERN_HOST_OK);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        CHECK_EQ(send_chunk(1 + i * CHUNK_ROWS), TERN_HOST_OK);
        CHECK(sync_stage());
        expect_durable();
    }
    CHECK(disk.renames > 2);
    tern_stage_close(stage);
    fail_watch(NULL, NULL);
}

/* The process before died between the rename and the folder's sync, which nobody can see: the name is made
 * durable before anything is taken into the file. */
static void the_name_of_a_file_that_is_taken_up_again_is_made_durable_first(void)
{
    prepare_empty();
    CHECK_EQ(open_stage(), TERN_HOST_OK);
    send_all();
    tern_stage_close(stage);
    memset(&disk, 0, sizeof disk);
    disk.name_waits = true;
    fail_watch(follow, NULL);
    CHECK_EQ(open_stage(), TERN_HOST_OK);
    CHECK_EQ(disk.renames, 0);
    CHECK(disk.folder_syncs != 0);
    expect_durable();
    tern_stage_close(stage);
    fail_watch(NULL, NULL);
}

int main(void)
{
    fail_folder(folder);
    RUN(what_is_acknowledged_outlasts_any_call_that_fails);
    RUN(what_is_acknowledged_outlasts_them_while_files_are_removed_too);
    RUN(calls_that_are_cut_short_or_interrupted_are_not_noticed);
    RUN(recovery_that_fails_at_any_call_can_be_done_again);
    RUN(a_file_whose_name_may_be_durable_costs_nothing_that_is_acknowledged);
    RUN(nothing_is_acknowledged_before_its_bytes_and_its_files_name_are_durable);
    RUN(the_name_of_a_file_that_is_taken_up_again_is_made_durable_first);
    folder_remove();
    return test_report();
}
