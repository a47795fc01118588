/* SPDX-License-Identifier: MIT */
/* The csv destination through the importer: closed segments, exactly once across stops at any place, batches
 * whole. */
#include "../test.h"

#include <signal.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "../../host/journal_file.h"

/* The Nth call that writes, syncs or renames fails, before or after it did its work. 0: none does. Set while
 * no import is open. */
static unsigned calls_left;
static bool fails_after;

/* 0: go on; -1: fail without doing; 1: do it, then fail. */
static int fault(void)
{
    if (calls_left == 0 || --calls_left != 0)
        return 0;
    return fails_after ? 1 : -1;
}

static int failed(void)
{
    errno = EIO;
    return -1;
}

static int fake_fdatasync(int descriptor)
{
    int kind = fault();
    return kind < 0 || (fdatasync(descriptor) | kind) != 0 ? failed() : 0;
}

static int fake_fsync(int descriptor)
{
    int kind = fault();
    return kind < 0 || (fsync(descriptor) | kind) != 0 ? failed() : 0;
}

static int fake_renameat(int from, const char *name, int to, const char *other)
{
    int kind = fault();
    return kind < 0 || (renameat(from, name, to, other) | kind) != 0 ? failed() : 0;
}

static int fake_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
{
    int kind = fault();
    if (kind == 0)
        return tern_journal_pwrite(descriptor, data, size, offset);
    tern_journal_pwrite(descriptor, data, kind < 0 ? size / 2 : size, offset);
    return failed();
}

#define fdatasync           fake_fdatasync
#define fsync               fake_fsync
#define renameat            fake_renameat
#define tern_journal_pwrite fake_pwrite
#include "../../host/csv_manifest.c"
#include "../../host/sink_csv.c"
#undef fdatasync
#undef fsync
#undef renameat
#undef tern_journal_pwrite

#include "../../host/import.h"
#include "chunks.h"

#define WAIT 20000

static struct tern_stage *stage;
static struct tern_import *import;
static char last_event[64], last_fields[1024];

static bool fails_behind_batch; /* the first call behind the next transaction does */

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (fails_behind_batch && strcmp(event, "batch") == 0) {
        fails_behind_batch = fails_after = false;
        calls_left = 1;
    }
    if (level != TERN_ERROR)
        return;
    snprintf(last_event, sizeof last_event, "%s", event);
    snprintf(last_fields, sizeof last_fields, "%s", fields);
}

static const struct tern_report report = {remember, NULL};

static int open_import(uint64_t segment_bytes)
{
    char url[1000];
    struct tern_import_config config = {
        .report = report, .segment_bytes = segment_bytes, .segment_seconds = 3600};
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    return tern_import_open(&import, stage, url, &config);
}

static void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

static void fresh(void)
{
    folder_fresh();
    last_event[0] = '\0';
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
}

static void done(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
}

static void drain(void)
{
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

/* All closed segments of climate in order of number, without their header lines. */
static char text[4 << 20];
static unsigned segments, hidden;

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_segment(const char *name, size_t *size)
{
    char path[600];
    static char bytes[4 << 20];
    snprintf(path, sizeof path, "out/%.300s", name);
    FILE *file = fopen(folder_path(path), "rb");
    size_t got = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (file != NULL)
        fclose(file);
    char *line = memchr(bytes, '\n', got);
    CHECK(line != NULL && strncmp(bytes, "device,tern_id,tern_op,", 23) == 0);
    if (line == NULL)
        return;
    size_t rest = got - (size_t)(line + 1 - bytes);
    memcpy(text + *size, line + 1, rest);
    *size += rest;
}

static const char *read_segments(void)
{
    struct dirent **list;
    size_t size = 0;
    int count = scandir(folder_path("out"), &list, NULL, by_name);
    segments = hidden = 0;
    for (int i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        size_t length = strlen(name);
        hidden += length > 5 && strcmp(name + length - 5, ".open") == 0;
        if (length > 4 && strcmp(name + length - 4, ".csv") == 0 && strncmp(name, "climate-", 8) == 0) {
            segments++;
            read_segment(name, &size);
        }
        free(list[i]);
    }
    free(list);
    text[size] = '\0';
    return text;
}

/* Whether the segments hold each record of `device` from 1 to `last` once, in order. */
static void check_sequence(const char *device, uint32_t last)
{
    uint32_t next = 1;
    size_t length = strlen(device);
    for (const char *line = read_segments(); *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, device, length) != 0)
            continue;
        uint64_t id = strtoull(line + length + 1, NULL, 10);
        if (!CHECK_EQ(id & 0xFFFFFFFF, next))
            break;
        next++;
    }
    CHECK_EQ(next - 1, last);
}

static void records_become_lines_of_a_closed_segment(void)
{
    struct chunk_bytes made;
    char expected[600];
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_value key[1] = {tern_int(2)};
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 1, NULL);
    chunks_put(&made, &chunks_table, 2, "");
    chunks_put(&made, &chunks_table, 3, "a,\"b\"\r\n");
    chunks_put(&made, &chunks_table, 721, "NULL");
    tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, key);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    long long id = (long long)range->epoch << 32;
    snprintf(expected, sizeof expected,
             "dev1,%lld,put,1,0.01,\ndev1,%lld,put,2,0.02,\"\"\ndev1,%lld,put,3,0.03,\"a,\"\"b\"\"\r\n\"\n"
             "dev1,%lld,put,721,7.21,NULL\ndev1,%lld,delete,2,,\n",
             id + 1, id + 2, id + 3, id + 4, id + 5);
    CHECK(strcmp(read_segments(), expected) == 0);
    CHECK_EQ(segments, 1);
    CHECK_EQ(hidden, 0);
    char name[64];
    snprintf(name, sizeof name, "out/climate-%08x.schema", (unsigned)tern_schema_hash(&chunks_table));
    CHECK(file_bytes(folder_path(name)) > 100);
    done();
}

static void segments_close_by_size_and_go_on_after_a_restart(void)
{
    struct chunk_bytes made;
    uint32_t next = 1, epoch;
    folder_fresh();
    open_stage();
    CHECK_EQ(open_import(5000), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    epoch = range->epoch;
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 5; i++, next += 40) {
            chunks_fill(&made, next, 40);
            chunks_send(stage, range, &made, 0);
        }
        if (round % 2 == 0)
            drain();
        else
            tern_stage_sync(stage);
        done();
        open_stage();
        CHECK_EQ(open_import(5000), TERN_HOST_OK);
        struct tern_hello hello = {.id = "dev1", .range_count = 1};
        hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = next};
        CHECK_EQ(
            tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], 0, &range),
            0);
    }
    drain();
    check_sequence("dev1", next - 1);
    CHECK(segments > 2);
    done();
}

static void a_lost_cursor_repeats_nothing(void)
{
    /* A destination that knows the marks but reads from the beginning: a second staging store of the same
     * records. */
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    chunks_fill(&made, 1, 50);
    chunks_send(stage, range, &made, 0);
    drain();
    done();
    struct tern_stage_config config = {.directory = folder_path("other"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = 61};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    chunks_schema(stage, device, &chunks_table);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 51, 10);
    chunks_send(stage, range, &made, 0);
    drain();
    check_sequence("dev1", 60);
    done();
}

/* Of records that this folder lacks and the journal has no more; but not of those that another store gives to
 * a folder of its own. */
static void devices_are_asked_for_what_is_missing(void)
{
    static const uint8_t reasons[] = {TERN_GAP_HELD, TERN_GAP_OVERFLOW, TERN_GAP_RETENTION};
    struct chunk_bytes made;
    for (size_t i = 0; i < sizeof reasons; i++) {
        fresh();
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        chunks_fill(&made, 1, 10);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_gap(stage, range, 11, 20, reasons[i]), TERN_HOST_OK);
        chunks_fill(&made, 21, 10);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        drain();
        CHECK_EQ(tern_stage_go_back(stage, range, INT64_MAX), reasons[i] == TERN_GAP_RETENTION);
        CHECK_EQ(range->taken.next, reasons[i] == TERN_GAP_RETENTION ? 11 : 31);
        if (reasons[i] == TERN_GAP_RETENTION) {
            chunks_fill(&made, 11, 10);
            CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
            drain();
            unsigned lines = 0;
            for (const char *line = read_segments(); *line != '\0'; line = strchr(line, '\n') + 1)
                lines++;
            CHECK_EQ(lines, 30);
        }
        done();
    }
}

static void a_staging_folder_that_begins_anew_gives_newer_epochs(void)
{
    struct chunk_bytes made;
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    struct tern_stage_range *range;
    uint32_t ahead = 1600000000;
    fresh();
    hello.ranges[0] = (struct tern_hello_range){.epoch = ahead, .base = 1, .oldest = 1, .next = 11};
    struct tern_device *device = tern_stage_device(stage, "dev1");
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    CHECK_EQ(chunks_schema(stage, device, &chunks_table), TERN_HOST_OK);
    chunks_fill(&made, 1, 10);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    drain();
    done();
    folder_clear(folder_path("stage"));
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    CHECK_EQ(chunks_device(stage, "dev1")->epoch, ahead + 16);
    CHECK(chunks_device(stage, "dev2")->epoch < ahead);
    done();
}

/* What a process that dies at any place leaves: the folder is opened again, and goes on. */
static void kills_at_random_moments_lose_and_repeat_nothing(void)
{
    struct chunk_bytes made;
    folder_fresh();
    open_stage();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t next = 1;
    for (unsigned i = 0; i < 400; i++, next += 50) {
        chunks_fill(&made, next, 50);
        chunks_send(stage, range, &made, 0);
        if (i % 7 == 0)
            tern_stage_sync(stage);
    }
    tern_stage_sync(stage);
    tern_stage_close(stage);
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        if (child == 0) {
            char url[1000];
            struct tern_import_config config = {.rows = 500, .segment_bytes = 60000};
            struct tern_stage_config staging = {.directory = folder_path("stage")};
            snprintf(url, sizeof url, "csv:%s", folder_path("out"));
            if (tern_stage_open(&stage, &staging) != 0 || tern_import_open(&import, stage, url, &config) != 0)
                _exit(1);
            tern_import_drain(import, WAIT);
            _exit(0);
        }
        usleep(2000 + round * 700);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    check_sequence("dev1", next - 1);
    CHECK_EQ(hidden, 0);
    done();
}

/* ---- Trouble --------------------------------------------------------------------------------- */

/* Three transactions, each with a record of the manifest. Returns the manifest's size. */
static long three_records(char manifest[1000])
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t i = 0; i < 3; i++) {
        chunks_fill(&made, 1 + 10 * i, 10);
        chunks_send(stage, range, &made, 0);
        drain();
    }
    done();
    snprintf(manifest, 1000, "%s", folder_path("out/.tern-manifest"));
    return file_bytes(manifest);
}

static void a_torn_record_is_cut(void)
{
    char manifest[1000];
    three_records(manifest);
    FILE *file = fopen(manifest, "ab");
    fwrite("\x40\0\0\0torn", 1, 8, file);
    fclose(file);
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    check_sequence("dev1", 30);
    done();
}

static void damage_before_valid_records_is_reported_and_never_cut(void)
{
    char manifest[1000];
    long size = three_records(manifest);
    FILE *file = fopen(manifest, "r+b");
    fseek(file, 40, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, 40, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    CHECK(strstr(last_fields, "damaged") != NULL);
    CHECK_EQ(file_bytes(manifest), size);
    done();
}

/* Whole records with a byte that cannot be: the manifest is taken or refused with a reason, and nothing else
 * happens. */
static void records_that_make_no_sense_are_refused_with_a_reason(void)
{
    static uint8_t bytes[8192];
    char path[1000];
    three_records(path);
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file), refused = 0, tried = 0, record;
    fclose(file);
    int out = open(folder_path("out"), O_RDONLY | O_DIRECTORY);
    for (size_t at = MAGIC_SIZE; (record = valid_record(bytes, size, at)) != 0; at += record) {
        for (size_t i = at + HEAD; i < at + record; i++) {
            struct tern_csv_manifest manifest;
            struct tern_sink sink = {.error = ""};
            uint8_t kept = bytes[i];
            bytes[i] = tried++ % 2 == 0 ? 0xFF : (uint8_t)(kept + 1);
            tern_store32(bytes + at + 4, record_crc(bytes + at, record - HEAD));
            file = fopen(path, "wb");
            fwrite(bytes, 1, size, file);
            fclose(file);
            int status = tern_csv_manifest_open(&manifest, out, &sink);
            CHECK(status == TERN_HOST_OK || (status == TERN_HOST_E_CORRUPT && sink.error[0] != '\0'));
            refused += status != TERN_HOST_OK;
            tern_csv_manifest_close(&manifest);
            bytes[i] = kept;
        }
        tern_store32(bytes + at + 4, record_crc(bytes + at, record - HEAD));
    }
    close(out);
    CHECK(tried > 100 && refused > 10);
}

static void a_manifest_of_another_version_is_left_alone(void)
{
    char path[1000];
    three_records(path);
    FILE *file = fopen(path, "r+b");
    fputs("terncsv9", file);
    fclose(file);
    open_stage();
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    CHECK(strstr(last_fields, "another version") != NULL);
    done();
}

static void a_call_that_fails_at_any_place_loses_and_repeats_nothing(void)
{
    struct chunk_bytes made;
    for (unsigned n = 1; n <= 60; n++) {
        calls_left = 0;
        folder_fresh();
        open_stage();
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        for (uint32_t first = 1; first <= 61; first += 20) {
            chunks_fill(&made, first, 20);
            chunks_send(stage, range, &made, 0);
        }
        tern_stage_sync(stage);
        char url[1000];
        struct tern_import_config config = {
            .report = report, .rows = 20, .segment_bytes = 1500, .segment_seconds = 3600};
        snprintf(url, sizeof url, "csv:%s", folder_path("out"));
        fails_after = n % 2 == 0;
        calls_left = n;
        CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
        drain();
        check_sequence("dev1", 80);
        CHECK_EQ(hidden, 0);
        done();
    }
}

/* The journal lets go of what is before the cursor: records that were only read ahead must not be. */
static void what_is_read_and_not_committed_is_not_before_the_cursor(void)
{
    struct chunk_bytes made;
    char url[1000], cursor[40];
    struct tern_import_config config = {.report = report, .rows = 20, .segment_seconds = 3600};
    folder_fresh();
    open_stage();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t first = 1; first <= 81; first += 20) {
        chunks_fill(&made, first, 20);
        chunks_send(stage, range, &made, 0);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        if (first == 1)
            snprintf(cursor, sizeof cursor, "cursor=%" PRIu64 " ", tern_stage_end(stage));
    }
    last_fields[0] = '\0';
    fails_behind_batch = true;
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    drain();
    CHECK(strcmp(last_event, "sink-failed") == 0);
    if (!CHECK(strstr(last_fields, cursor) != NULL))
        printf("    %s, not in %s\n", cursor, last_fields);
    check_sequence("dev1", 100);
    done();
}

/* ---- Segments between two runs --------------------------------------------------------------- */

static char open_name_found[300];

/* The only open segment's path, or NULL. */
static const char *path_of_open(void)
{
    DIR *listing = opendir(folder_path("out"));
    open_name_found[0] = '\0';
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > 5 && strcmp(entry->d_name + size - 5, ".open") == 0 && entry->d_name[0] == '.')
            snprintf(open_name_found, sizeof open_name_found, "out/%.255s", entry->d_name);
    }
    closedir(listing);
    return open_name_found[0] == '\0' ? NULL : folder_path(open_name_found);
}

/* A segment that is left open with a hundred records. */
static void leave_open(void)
{
    struct chunk_bytes made;
    struct tern_import_status status = {.rows = 0};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 100);
    chunks_send(stage, range, &made, 0);
    tern_stage_sync(stage);
    for (int i = 0; i < WAIT && status.rows < 100; i++) {
        usleep(1000);
        tern_import_status(import, &status);
    }
    CHECK_EQ(status.rows, 100);
    tern_import_close(import);
    CHECK(path_of_open() != NULL);
}

static void what_was_not_committed_of_an_open_segment_is_cut_off(void)
{
    leave_open();
    FILE *file = fopen(path_of_open(), "ab");
    fputs("dev1,1,put,99,0.99,never committed\n", file);
    fclose(file);
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    check_sequence("dev1", 100);
    CHECK(strstr(read_segments(), "never committed") == NULL && hidden == 0);
    done();
}

static void a_segment_that_lost_committed_bytes_is_not_written_to(void)
{
    leave_open();
    char path[600], kept[600], command[1300];
    snprintf(path, sizeof path, "%s", path_of_open());
    snprintf(kept, sizeof kept, "%s", folder_path("kept"));
    snprintf(command, sizeof command, "cp '%s' '%s'", path, kept);
    CHECK_EQ(system(command), 0);
    CHECK_EQ(truncate(path, file_bytes(path) - 1), 0);
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    CHECK(tern_import_drain(import, 100) != TERN_HOST_OK);
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK(strstr(status.error, "is shorter than what was committed: restore it from a copy") != NULL);
    tern_import_close(import);
    CHECK_EQ(rename(kept, path), 0);
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    check_sequence("dev1", 100);
    done();
}

static void touch(const char *name)
{
    FILE *file = fopen(folder_path(name), "wb");
    CHECK(file != NULL && fclose(file) == 0);
}

/* Only files with names of its own making are the sink's to remove. */
static void segments_that_were_never_committed_go_and_other_files_stay(void)
{
    static const char *const strays[] = {"out/.climate-00000099-20260101T000000Z.open",
                                         "out/.climate-00000001-20260101T000000Z.csv.gz.new"};
    static const char *const others[] = {"out/notes.open", "out/.open",     "out/.hidden",
                                         "out/.new",       "out/.list.new", "out/readme.csv.new"};
    leave_open();
    for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++)
        touch(strays[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        touch(others[i]);
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    drain();
    check_sequence("dev1", 100);
    for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++)
        if (!CHECK_EQ(file_bytes(folder_path(strays[i])), -1))
            printf("    %s\n", strays[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!CHECK_EQ(file_bytes(folder_path(others[i])), 0))
            printf("    %s\n", others[i]);
    done();
}

/* Each open segment is a descriptor. */
static void many_tables_do_not_keep_as_many_files_open(void)
{
    static char names[300][16];
    struct tern_import_status status = {.rows = 0};
    struct chunk_bytes made;
    fresh();
    for (unsigned i = 0; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "dev%u", i);
        snprintf(names[i], sizeof names[i], "table%u", i);
        struct tern_table table = chunks_table;
        table.name = names[i];
        struct tern_stage_range *range = chunks_device(stage, id);
        CHECK_EQ(chunks_schema(stage, range->device, &table), TERN_HOST_OK);
        chunks_open(&made, 1);
        chunks_put(&made, &table, 1, "n");
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    tern_stage_sync(stage);
    for (int i = 0; i < WAIT && status.rows < 300; i++) {
        usleep(1000);
        tern_import_status(import, &status);
    }
    CHECK_EQ(status.rows, 300);
    read_segments();
    CHECK(hidden <= 256);
    drain();
    read_segments();
    CHECK_EQ(hidden, 0);
    for (unsigned i = 0; i < 300; i++) {
        struct dirent **list;
        char start[24];
        unsigned found = 0;
        snprintf(start, sizeof start, "table%u-0", i);
        int count = i % 50 == 0 ? scandir(folder_path("out"), &list, NULL, by_name) : 0;
        for (int k = 0; k < count; k++) {
            found += strncmp(list[k]->d_name, start, strlen(start)) == 0 &&
                     strstr(list[k]->d_name, ".csv") != NULL;
            free(list[k]);
        }
        if (count > 0) {
            CHECK_EQ(found, 1);
            free(list);
        }
    }
    done();
}

static void a_folder_in_use_is_waited_for(void)
{
    fresh();
    drain();
    struct tern_import *first = import;
    CHECK_EQ(open_import(0), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, 300), TERN_HOST_E_LIMIT);
    CHECK(strstr(last_fields, "another process") != NULL);
    tern_import_close(first);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    done();
}

int main(void)
{
    RUN(records_become_lines_of_a_closed_segment);
    RUN(segments_close_by_size_and_go_on_after_a_restart);
    RUN(a_lost_cursor_repeats_nothing);
    RUN(devices_are_asked_for_what_is_missing);
    RUN(a_staging_folder_that_begins_anew_gives_newer_epochs);
    RUN(kills_at_random_moments_lose_and_repeat_nothing);
    RUN(a_torn_record_is_cut);
    RUN(damage_before_valid_records_is_reported_and_never_cut);
    RUN(records_that_make_no_sense_are_refused_with_a_reason);
    RUN(a_manifest_of_another_version_is_left_alone);
    RUN(a_call_that_fails_at_any_place_loses_and_repeats_nothing);
    RUN(what_is_read_and_not_committed_is_not_before_the_cursor);
    RUN(what_was_not_committed_of_an_open_segment_is_cut_off);
    RUN(a_segment_that_lost_committed_bytes_is_not_written_to);
    RUN(segments_that_were_never_committed_go_and_other_files_stay);
    RUN(many_tables_do_not_keep_as_many_files_open);
    RUN(a_folder_in_use_is_waited_for);
    folder_remove();
    return test_report();
}
