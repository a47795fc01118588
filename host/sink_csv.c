/* SPDX-License-Identifier: MIT */
/*
 * csv:DIR. Every record becomes a line of a segment: a file TABLE-NUMBER-TIME.csv that is complete and never
 * changes. While it grows it is hidden (.TABLE-NUMBER.open), and as much of it counts as the manifest says
 * (csv_manifest.h): a transaction writes lines, makes them durable, and is committed by one record of the
 * manifest with lengths, marks and cursor together. Whatever stands behind a committed length is cut off when
 * the folder is opened again. A segment is complete at a size, at an age and at a drain; the manifest says so
 * before the file gets its name.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../core/frame.h"
#include "csv_compress.h"
#include "csv_manifest.h"
#include "csv_rows.h"
#include "journal_file.h"
#include "log.h"
#include "scan.h"

#define SEGMENT_SECONDS 60u
#define SEGMENT_BYTES   (64ull << 20)
#define SEGMENTS_MAX    256u       /* open at once: each is a descriptor */
#define FLUSH_SIZE      (1u << 20) /* lines go to the file in pieces of this size */
#define NAME_ROOM       160u       /* a table's name is at most 63 characters */

struct csv_sink {
    struct tern_sink sink; /* first */
    char *directory;
    int folder; /* -1: not connected */
    int lock;
    uint32_t segment_seconds;
    uint64_t segment_bytes;
    const char *tool; /* that compresses closed segments, NULL: none */
    struct tern_csv_manifest manifest;
    bool unsure; /* whether the last record of the manifest counts is known only when it is read again */
    bool folder_changed; /* a file was made since the folder was last made durable */
};

static int fail(struct csv_sink *csv, const char *doing, const char *name)
{
    return tern_sink_fail(&csv->sink, TERN_HOST_E_SYSTEM, "%s %s/%s: %s", doing, csv->directory, name,
                          strerror(errno));
}

static int64_t now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void open_name(char name[NAME_ROOM], const struct tern_csv_segment *segment)
{
    snprintf(name, NAME_ROOM, ".%s-%08" PRIu32 ".open", segment->table, segment->number);
}

static void final_name(char name[NAME_ROOM], const struct tern_csv_segment *segment)
{
    char stamp[32] = "19700101T000000Z";
    time_t seconds = (time_t)(segment->created / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, NAME_ROOM, "%s-%08" PRIu32 "-%s.csv", segment->table, segment->number, stamp);
}

/* ---- Segments -------------------------------------------------------------------------------- */

static int flush(struct csv_sink *csv, struct tern_csv_segment *segment)
{
    char name[NAME_ROOM];
    if (segment->buffer.failed)
        return tern_sink_fail(&csv->sink, TERN_HOST_E_SYSTEM, "out of memory");
    if (tern_journal_pwrite(segment->descriptor, segment->buffer.data, segment->buffer.size,
                            segment->written) != 0) {
        open_name(name, segment);
        return fail(csv, "cannot write", name);
    }
    segment->written += segment->buffer.size;
    tern_buffer_clear(&segment->buffer);
    return TERN_HOST_OK;
}

static struct tern_csv_segment *open_segment(const struct csv_sink *csv, const struct tern_table *table,
                                             uint32_t hash)
{
    struct tern_csv_segment *segment = csv->manifest.segments;
    while (segment != NULL &&
           (segment->hash != hash || segment->is_complete || strcmp(segment->table, table->name) != 0))
        segment = segment->next;
    return segment;
}

static int begin_segment(struct csv_sink *csv, const struct tern_table *table, uint32_t hash,
                         struct tern_csv_segment **out)
{
    char name[NAME_ROOM];
    struct tern_csv_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return tern_sink_fail(&csv->sink, TERN_HOST_E_SYSTEM, "out of memory");
    segment->number = csv->manifest.next_number++;
    segment->hash = hash;
    segment->created = now_milliseconds();
    snprintf(segment->table, sizeof segment->table, "%s", table->name);
    open_name(name, segment);
    segment->descriptor = openat(csv->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (segment->descriptor < 0) {
        free(segment);
        return fail(csv, "cannot make", name);
    }
    csv->folder_changed = true;
    segment->next = csv->manifest.segments;
    csv->manifest.segments = segment;
    tern_csv_put_header(&segment->buffer, table);
    *out = segment;
    return TERN_HOST_OK;
}

/* Under its name, compressed: never both, so that no loader takes its lines twice. */
static bool compress(struct csv_sink *csv, const char *hidden, const char *name)
{
    char whole[NAME_ROOM + 8];
    struct tern_fields fields;
    snprintf(whole, sizeof whole, "%s%s", name, tern_csv_suffix(csv->tool));
    if (tern_csv_compress(&csv->sink, csv->folder, csv->tool, hidden, whole) && fsync(csv->folder) == 0)
        return unlinkat(csv->folder, hidden, 0) == 0;
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", "%s/%s", csv->directory, name);
    tern_fields_text(&fields, "error", csv->sink.error);
    tern_fields_text(&fields, "msg", "the segment cannot be compressed and stays plain");
    tern_report_event(&csv->sink.report, TERN_WARN, "segment-not-compressed", &fields);
    unlinkat(csv->folder, whole, 0);
    return false;
}

static int finish_segment(struct csv_sink *csv, const char *hidden, const char *name)
{
    /* Where it is not there, it has its name already. */
    bool there = fchmodat(csv->folder, hidden, 0440, 0) == 0;
    if (!there && errno != ENOENT)
        return fail(csv, "cannot make read-only", hidden);
    if (!there || (csv->tool != NULL && compress(csv, hidden, name)))
        return TERN_HOST_OK;
    /* A run before may have compressed it, and ended before it took the plain one away. */
    static const char *const suffixes[] = {".gz", ".zst"};
    for (unsigned i = 0; i < 2; i++) {
        char whole[NAME_ROOM + 8];
        snprintf(whole, sizeof whole, "%s%s", name, suffixes[i]);
        if (unlinkat(csv->folder, whole, 0) != 0 && errno != ENOENT)
            return fail(csv, "cannot remove", whole);
    }
    return renameat(csv->folder, hidden, csv->folder, name) == 0 ? TERN_HOST_OK
                                                                 : fail(csv, "cannot rename to", name);
}

/* Gives complete segments their names. They leave memory; the manifest's file forgets them when it is next
 * rewritten. */
static int finish_segments(struct csv_sink *csv)
{
    bool renamed = false;
    for (struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL;
         segment = segment->next) {
        char hidden[NAME_ROOM], name[NAME_ROOM];
        if (!segment->is_complete)
            continue;
        open_name(hidden, segment);
        final_name(name, segment);
        int status = finish_segment(csv, hidden, name);
        if (status != TERN_HOST_OK)
            return status;
        renamed = true;
    }
    if (renamed && fsync(csv->folder) != 0)
        return fail(csv, "cannot make durable", "");
    for (struct tern_csv_segment *segment = csv->manifest.segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        if (segment->is_complete)
            tern_csv_manifest_drop(&csv->manifest, segment);
    }
    return renamed ? tern_csv_manifest_trim(&csv->manifest, &csv->sink) : TERN_HOST_OK;
}

/* Marks what is complete in the record being put together. */
static void complete_segments(struct csv_sink *csv, bool all)
{
    int64_t now = now_milliseconds();
    unsigned count = 0;
    for (const struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL;
         segment = segment->next) {
        /* Segments that this record itself lists count as well. */
        bool listed = segment->is_listed || segment->is_touched;
        bool old = now - segment->created >= (int64_t)csv->segment_seconds * 1000 || now < segment->created;
        if (listed && !segment->is_complete &&
            (all || old || segment->written >= csv->segment_bytes || ++count > SEGMENTS_MAX))
            tern_csv_record_complete(&csv->manifest, segment->number);
    }
}

/* ---- The folder ------------------------------------------------------------------------------ */

static int lock_folder(struct csv_sink *csv)
{
    if (mkdir(csv->directory, 0750) != 0 && errno != EEXIST)
        return fail(csv, "cannot make", "");
    csv->folder = open(csv->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (csv->folder < 0)
        return fail(csv, "cannot open", "");
    csv->lock = openat(csv->folder, ".tern-lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (csv->lock < 0)
        return fail(csv, "cannot open", ".tern-lock");
    if (flock(csv->lock, LOCK_EX | LOCK_NB) != 0)
        return tern_sink_fail(&csv->sink, TERN_HOST_E_IN_USE,
                              "another process writes to %s: stop it, or use another folder", csv->directory);
    return TERN_HOST_OK;
}

/* Opens a segment as the manifest knows it, and cuts off what was not committed. */
static int reopen_segment(struct csv_sink *csv, struct tern_csv_segment *segment)
{
    char name[NAME_ROOM];
    struct stat about;
    open_name(name, segment);
    segment->descriptor = openat(csv->folder, name, O_RDWR | O_CLOEXEC);
    /* It has its name already; whoever takes segments away may even have taken it. */
    if (segment->descriptor < 0 && errno == ENOENT && segment->is_complete)
        return TERN_HOST_OK;
    if (segment->descriptor < 0 || fstat(segment->descriptor, &about) != 0)
        return fail(csv, "cannot open", name);
    if ((uint64_t)about.st_size < segment->length)
        return tern_sink_fail(&csv->sink, TERN_HOST_E_CORRUPT,
                              "%s/%s is shorter than what was committed: restore it from a copy",
                              csv->directory, name);
    if ((uint64_t)about.st_size > segment->length &&
        (ftruncate(segment->descriptor, (off_t)segment->length) != 0 || fdatasync(segment->descriptor) != 0))
        return fail(csv, "cannot cut", name);
    segment->written = segment->length;
    return TERN_HOST_OK;
}

/* Files of segments that were never committed. */
static int remove_strays(struct csv_sink *csv)
{
    DIR *listing = opendir(csv->directory);
    if (listing == NULL)
        return fail(csv, "cannot list", "");
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        bool open = size > 5 && strcmp(entry->d_name + size - 5, ".open") == 0;
        bool aside = size > 5 && strcmp(entry->d_name + size - 4, ".new") == 0 &&
                     strstr(entry->d_name, ".csv.") != NULL;
        bool known = entry->d_name[0] != '.' || (!open && !aside);
        for (struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL && !known;
             segment = segment->next) {
            char name[NAME_ROOM];
            open_name(name, segment);
            known = strcmp(name, entry->d_name) == 0;
        }
        if (!known)
            unlinkat(csv->folder, entry->d_name, 0);
    }
    closedir(listing);
    return TERN_HOST_OK;
}

static void disconnect(struct tern_sink *sink)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    tern_csv_manifest_close(&csv->manifest);
    if (csv->lock >= 0)
        close(csv->lock);
    if (csv->folder >= 0)
        close(csv->folder);
    csv->lock = csv->folder = -1;
}

static int recover(struct csv_sink *csv)
{
    int status = tern_csv_manifest_open(&csv->manifest, csv->folder, &csv->sink);
    csv->unsure = false;
    /* After a failed fdatasync, perhaps of a process before, the file may read well and yet not be on the
     * disk. */
    if (status == TERN_HOST_OK)
        status = tern_csv_manifest_rewrite(&csv->manifest, &csv->sink);
    if (status == TERN_HOST_OK)
        status = remove_strays(csv);
    for (struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL && status == TERN_HOST_OK;
         segment = segment->next)
        status = reopen_segment(csv, segment);
    return status == TERN_HOST_OK ? finish_segments(csv) : status;
}

static int connect_folder(struct tern_sink *sink)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    int status = lock_folder(csv);
    if (status == TERN_HOST_OK)
        status = recover(csv);
    if (status != TERN_HOST_OK)
        disconnect(sink);
    return status;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static int read_cursor(struct tern_sink *sink, uint64_t store, uint32_t slot, uint64_t *cursor)
{
    *cursor = tern_csv_manifest_cursor(&((struct csv_sink *)sink)->manifest, store, slot);
    return TERN_HOST_OK;
}

/* Writes TABLE-HASH.schema beside the segments, once. */
static int prepare(struct tern_sink *sink, const struct tern_table *table, uint32_t hash, bool deletes)
{
    (void)deletes;
    struct csv_sink *csv = (struct csv_sink *)sink;
    char name[NAME_ROOM], temporary[NAME_ROOM + 8];
    snprintf(name, sizeof name, "%s-%08" PRIx32 ".schema", table->name, hash);
    snprintf(temporary, sizeof temporary, ".%s.new", name);
    if (faccessat(csv->folder, name, F_OK, 0) == 0)
        return TERN_HOST_OK;
    struct tern_buffer text = {NULL, 0, 0, false};
    tern_csv_put_schema(&text, table, hash);
    int descriptor = openat(csv->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = !text.failed && descriptor >= 0 &&
                tern_journal_pwrite(descriptor, text.data, text.size, 0) == 0 && fdatasync(descriptor) == 0 &&
                renameat(csv->folder, temporary, csv->folder, name) == 0;
    int status = good ? TERN_HOST_OK : fail(csv, "cannot write", name);
    if (descriptor >= 0)
        close(descriptor);
    tern_buffer_free(&text);
    csv->folder_changed = true;
    return status;
}

static int begin(struct tern_sink *sink)
{
    tern_csv_record_begin(&((struct csv_sink *)sink)->manifest);
    return TERN_HOST_OK;
}

static int read_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    for (size_t i = 0; i < count; i++)
        if (!tern_csv_manifest_read_mark(&csv->manifest, marks[i]))
            return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
    return TERN_HOST_OK;
}

struct listing {
    void (*gap)(void *context, const struct tern_mark *mark, const struct tern_gap *gap);
    void (*epoch)(void *context, const char *device, uint32_t epoch);
    void *context;
};

/* Not what another gateway's store holds: that goes into segments of its own. */
static void list_mark(void *context, const struct tern_mark *mark)
{
    const struct listing *listing = context;
    for (size_t i = 0; i < mark->gaps.count && listing->gap != NULL; i++)
        if (mark->gaps.list[i].reason == TERN_GAP_RETENTION)
            listing->gap(listing->context, mark, &mark->gaps.list[i]);
    if (listing->epoch != NULL)
        listing->epoch(listing->context, mark->device, mark->epoch);
}

static int list_gaps(struct tern_sink *sink,
                     void (*call)(void *context, const struct tern_mark *mark, const struct tern_gap *gap),
                     void *context)
{
    struct listing listing = {call, NULL, context};
    tern_csv_manifest_list(&((struct csv_sink *)sink)->manifest, list_mark, &listing);
    return TERN_HOST_OK;
}

static int list_epochs(struct tern_sink *sink,
                       void (*call)(void *context, const char *device, uint32_t epoch), void *context)
{
    struct listing listing = {NULL, call, context};
    tern_csv_manifest_list(&((struct csv_sink *)sink)->manifest, list_mark, &listing);
    return TERN_HOST_OK;
}

static int load(struct tern_sink *sink, const struct tern_sink_load *load)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    struct tern_csv_segment *segment = open_segment(csv, load->table, load->hash);
    int status = segment != NULL ? TERN_HOST_OK : begin_segment(csv, load->table, load->hash, &segment);
    if (status != TERN_HOST_OK)
        return status;
    segment->is_touched = true;
    for (size_t i = 0; i < load->count && status == TERN_HOST_OK; i++) {
        tern_csv_put_row(&segment->buffer, load->table, load->rows[i]);
        if (segment->buffer.size >= FLUSH_SIZE)
            status = flush(csv, segment);
    }
    return status;
}

static int write_marks(struct tern_sink *sink, struct tern_mark *const *marks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tern_csv_record_mark(&((struct csv_sink *)sink)->manifest, marks[i]);
    return TERN_HOST_OK;
}

/* Lines first: durable before the record that counts them. */
static int make_durable(struct csv_sink *csv)
{
    for (struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL;
         segment = segment->next) {
        char name[NAME_ROOM];
        if (!segment->is_touched)
            continue;
        int status = flush(csv, segment);
        if (status != TERN_HOST_OK)
            return status;
        open_name(name, segment);
        if (fdatasync(segment->descriptor) != 0)
            return fail(csv, "cannot make durable", name);
        tern_csv_record_segment(&csv->manifest, segment);
    }
    if (csv->folder_changed && fsync(csv->folder) != 0)
        return fail(csv, "cannot make durable", "");
    csv->folder_changed = false;
    return TERN_HOST_OK;
}

static int commit(struct tern_sink *sink, const struct tern_sink_commit *commit)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    int status = make_durable(csv);
    if (status != TERN_HOST_OK)
        return status;
    for (size_t i = 0; i < commit->slot_count; i++)
        tern_csv_record_cursor(&csv->manifest, commit->store, commit->slots[i], commit->cursor);
    complete_segments(csv, false);
    csv->unsure = true;
    status = tern_csv_record_write(&csv->manifest, sink);
    csv->unsure = status != TERN_HOST_OK;
    for (struct tern_csv_segment *segment = csv->manifest.segments; segment != NULL; segment = segment->next)
        segment->is_touched = false;
    if (status == TERN_HOST_OK)
        status = finish_segments(csv);
    return status == TERN_HOST_OK ? tern_csv_manifest_trim(&csv->manifest, sink) : status;
}

/* What was written behind the committed lengths is cut off. Where that fails the descriptor goes too, so that
 * the next transaction fails and the folder is opened again. Nothing is cut while it is not known whether the
 * commit counts: opening again tells. */
static void rollback(struct tern_sink *sink)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    if (csv->unsure)
        return;
    for (struct tern_csv_segment *segment = csv->manifest.segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        tern_buffer_clear(&segment->buffer);
        segment->is_touched = false;
        if (segment->written > segment->length &&
            ftruncate(segment->descriptor, (off_t)segment->length) != 0) {
            close(segment->descriptor);
            segment->descriptor = -1;
        }
        segment->written = segment->length;
        if (!segment->is_listed)
            tern_csv_manifest_drop(&csv->manifest, segment);
    }
}

static int tick(struct tern_sink *sink, bool finish)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    tern_csv_record_begin(&csv->manifest);
    complete_segments(csv, finish);
    if (tern_csv_record_is_empty(&csv->manifest))
        return TERN_HOST_OK;
    int status = tern_csv_record_write(&csv->manifest, sink);
    return status == TERN_HOST_OK ? finish_segments(csv) : status;
}

/* ---- The face -------------------------------------------------------------------------------- */

static int open_csv(struct tern_sink **sink, const struct tern_sink_config *config, char error[256])
{
    if (config->rest[0] == '\0') {
        snprintf(error, 256, "csv: needs the name of a folder, as in csv:out");
        return TERN_HOST_E_ARGUMENT;
    }
    if (config->segment_tool != NULL && tern_csv_suffix(config->segment_tool) == NULL) {
        snprintf(error, 256, "csv: segments can be compressed with gzip or zstd, not with '%.50s'",
                 config->segment_tool);
        return TERN_HOST_E_ARGUMENT;
    }
    struct csv_sink *csv = calloc(1, sizeof *csv);
    if (csv == NULL || (csv->directory = strdup(config->rest)) == NULL) {
        free(csv);
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    csv->folder = csv->lock = csv->manifest.descriptor = -1;
    csv->segment_seconds = config->segment_seconds == 0 ? SEGMENT_SECONDS : config->segment_seconds;
    csv->segment_bytes = config->segment_bytes == 0 ? SEGMENT_BYTES : config->segment_bytes;
    csv->tool = config->segment_tool;
    *sink = &csv->sink;
    return TERN_HOST_OK;
}

static int scan(struct tern_sink *sink, const struct tern_sink_scan *scan)
{
    return tern_csv_scan(sink, ((struct csv_sink *)sink)->folder, scan);
}

static void close_csv(struct tern_sink *sink)
{
    struct csv_sink *csv = (struct csv_sink *)sink;
    disconnect(sink);
    free(csv->directory);
    free(csv);
}

const struct tern_sink_ops tern_sink_csv = {
    .scheme = "csv",
    .folds = false,
    .single = true,
    .open = open_csv,
    .connect = connect_folder,
    .disconnect = disconnect,
    .read_cursor = read_cursor,
    .prepare = prepare,
    .begin = begin,
    .read_marks = read_marks,
    .list_gaps = list_gaps,
    .list_epochs = list_epochs,
    .load = load,
    .write_marks = write_marks,
    .commit = commit,
    .rollback = rollback,
    .tick = tick,
    .scan = scan,
    .close = close_csv,
};
