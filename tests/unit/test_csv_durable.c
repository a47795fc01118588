/* SPDX-License-Identifier: MIT */
/* The csv destination on a disk that may lose whatever was not made durable: in which order it writes and
 * syncs. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../host/journal_file.h"

/* What a power cut could still take, by file. The worker alone writes here while a test waits for it. */
static struct {
    ino_t file;
    bool is_lost; /* there are bytes that no sync covers */
} files[64];
static size_t file_count;
static bool names_are_lost; /* a file was made, renamed or removed, and the folder not synced since */
static bool notes_are_lost; /* the same of the manifest's bytes */
static unsigned commits, early_commits, early_ends;

static bool *state_of(int descriptor)
{
    struct stat about;
    fstat(descriptor, &about);
    size_t i = 0;
    while (i < file_count && files[i].file != about.st_ino)
        i++;
    if (i == file_count && file_count < 63)
        files[file_count++].file = about.st_ino;
    return &files[i].is_lost;
}

static bool rows_are_lost(void)
{
    bool lost = false;
    for (size_t i = 0; i < file_count; i++)
        lost = lost || files[i].is_lost;
    return lost;
}

static int row_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
{
    *state_of(descriptor) = true;
    return tern_journal_pwrite(descriptor, data, size, offset);
}

static int row_fdatasync(int descriptor)
{
    *state_of(descriptor) = false;
    return fdatasync(descriptor);
}

static int folder_fsync(int descriptor)
{
    names_are_lost = false;
    return fsync(descriptor);
}

static int folder_renameat(int from, const char *name, int to, const char *other)
{
    names_are_lost = true;
    return renameat(from, name, to, other);
}

static int row_openat(int folder_there, const char *name, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = (flags & O_CREAT) != 0 ? va_arg(list, int) : 0;
    va_end(list);
    bool is_lock = strcmp(name, ".tern-lock") == 0;
    names_are_lost = names_are_lost || ((flags & O_CREAT) != 0 && !is_lock);
    return openat(folder_there, name, flags, mode);
}

/* The record that says how far the destination is: it may be there after a power cut from here on. */
static int note_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
{
    commits++;
    early_commits += rows_are_lost() || names_are_lost;
    notes_are_lost = true;
    return tern_journal_pwrite(descriptor, data, size, offset);
}

static int note_fdatasync(int descriptor)
{
    notes_are_lost = false;
    return fdatasync(descriptor);
}

/* A manifest that is written anew takes the place of one that is durable. */
static int note_renameat(int from, const char *name, int to, const char *other)
{
    early_commits += notes_are_lost;
    return folder_renameat(from, name, to, other);
}

#define fsync               folder_fsync
#define renameat            note_renameat
#define fdatasync           note_fdatasync
#define tern_journal_pwrite note_pwrite
#include "../../host/csv_manifest.c"
#undef renameat
#undef fdatasync
#undef tern_journal_pwrite
#define renameat            folder_renameat
#define fdatasync           row_fdatasync
#define tern_journal_pwrite row_pwrite
#define openat              row_openat
#include "../../host/sink_csv.c"
#undef fsync
#undef renameat
#undef fdatasync
#undef tern_journal_pwrite
#undef openat

#include "../../host/import.h"
#include "chunks.h"

#define WAIT 20000

static struct tern_stage *stage;
static struct tern_import *import;
static unsigned batches;

/* Said when the transaction is behind us: from here on the journal may let go of its records. */
static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context, (void)level, (void)fields;
    if (strcmp(event, "batch") != 0)
        return;
    batches++;
    early_ends += rows_are_lost() || names_are_lost || notes_are_lost;
}

static void open_import(void)
{
    char url[1000];
    struct tern_import_config config = {
        .report = {remember, NULL}, .rows = 20, .segment_bytes = 1500, .segment_seconds = 3600};
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
}

static void send_rows(struct tern_stage_range *range, uint32_t first)
{
    struct chunk_bytes made;
    for (uint32_t end = first + 100; first < end; first += 20) {
        chunks_fill(&made, first, 20);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    }
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
}

/* Ten transactions of 20 rows in several segments, with a restart between. */
static void rows_are_durable_before_what_counts_them_and_all_is_before_the_end(void)
{
    folder_fresh();
    struct tern_stage_config config = {.directory = folder_path("stage")};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    for (uint32_t first = 1; first <= 101; first += 100) {
        send_rows(range, first);
        open_import();
        CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
        tern_import_close(import);
    }
    tern_stage_close(stage);
    CHECK_EQ(batches, 10);
    CHECK(commits > batches);
    CHECK(file_count > 3);
    CHECK_EQ(early_commits, 0);
    CHECK_EQ(early_ends, 0);
    CHECK(!rows_are_lost() && !names_are_lost && !notes_are_lost);
}

int main(void)
{
    RUN(rows_are_durable_before_what_counts_them_and_all_is_before_the_end);
    folder_remove();
    return test_report();
}
