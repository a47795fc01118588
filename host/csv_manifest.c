/* SPDX-License-Identifier: MIT */
#include "csv_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/bytes.h"
#include "../core/crc32c.h"
#include "journal_file.h"

#define NAME       ".tern-manifest"
#define NAME_NEW   ".tern-manifest.new"
#define MAGIC_SIZE 8u
#define HEAD       8u           /* of a record: size, crc */
#define RECORD_MAX (256u << 20) /* bytes; ten thousand devices need one */
#define TRIM_SIZE  (1u << 20)   /* a shorter file is not worth rewriting */
#define BUCKETS    4096u        /* of marks, a power of two */

enum { ITEM_CURSOR = 1, ITEM_MARK, ITEM_SEGMENT, ITEM_COMPLETE, ITEM_NUMBER };

static const char magic[MAGIC_SIZE + 1] = "terncsv1";

struct tern_csv_mark {
    struct tern_csv_mark *next;
    char device[TERN_ID_MAX + 1];
    struct tern_mark mark;
};

/* ---- Marks ----------------------------------------------------------------------------------- */

static struct tern_csv_mark **bucket(const struct tern_csv_manifest *manifest, const char *device,
                                     uint8_t lane, uint32_t epoch)
{
    return &manifest->marks[(tern_crc32c(0, device, strlen(device)) ^ lane ^ epoch >> 3) & (BUCKETS - 1)];
}

static struct tern_csv_mark *find_mark(const struct tern_csv_manifest *manifest, const char *device,
                                       uint8_t lane, uint32_t epoch)
{
    struct tern_csv_mark *known = *bucket(manifest, device, lane, epoch);
    while (known != NULL &&
           (known->mark.lane != lane || known->mark.epoch != epoch || strcmp(known->device, device) != 0))
        known = known->next;
    return known;
}

static struct tern_csv_mark *add_mark(struct tern_csv_manifest *manifest, const char *device, uint8_t lane,
                                      uint32_t epoch)
{
    struct tern_csv_mark *known = calloc(1, sizeof *known);
    if (known == NULL)
        return NULL;
    struct tern_csv_mark **head = bucket(manifest, device, lane, epoch);
    snprintf(known->device, sizeof known->device, "%s", device);
    known->mark.device = known->device;
    known->mark.lane = lane;
    known->mark.epoch = epoch;
    known->next = *head;
    *head = known;
    return known;
}

bool tern_csv_manifest_read_mark(const struct tern_csv_manifest *manifest, struct tern_mark *mark)
{
    const struct tern_csv_mark *known = find_mark(manifest, mark->device, mark->lane, mark->epoch);
    if (known == NULL)
        return true;
    mark->known = true;
    mark->applied = known->mark.applied;
    for (size_t i = 0; i < known->mark.gaps.count; i++)
        tern_mark_add_read(mark, &known->mark.gaps.list[i]);
    return !mark->failed;
}

void tern_csv_manifest_list(const struct tern_csv_manifest *manifest,
                            void (*call)(void *context, const struct tern_mark *mark), void *context)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct tern_csv_mark *known = manifest->marks[i]; known != NULL; known = known->next)
            call(context, &known->mark);
}

uint64_t tern_csv_manifest_cursor(const struct tern_csv_manifest *manifest, uint64_t store, uint32_t slot)
{
    for (size_t i = 0; i < manifest->cursor_count; i++)
        if (manifest->cursors[i].store == store && manifest->cursors[i].slot == slot)
            return manifest->cursors[i].position;
    return 0;
}

/* ---- Items taking effect --------------------------------------------------------------------- */

static bool read_name(struct tern_input *input, char *name, size_t most)
{
    size_t size = tern_read8(input);
    const uint8_t *bytes = size > most ? NULL : tern_read_bytes(input, size);
    if (bytes == NULL)
        return false;
    memcpy(name, bytes, size);
    name[size] = '\0';
    return true;
}

static bool apply_cursor(struct tern_csv_manifest *manifest, struct tern_input *input)
{
    struct tern_csv_cursor cursor;
    cursor.store = tern_read64(input);
    cursor.slot = tern_read32(input);
    cursor.position = tern_read64(input);
    for (size_t i = 0; i < manifest->cursor_count; i++) {
        if (manifest->cursors[i].store == cursor.store && manifest->cursors[i].slot == cursor.slot) {
            manifest->cursors[i] = cursor;
            return true;
        }
    }
    struct tern_csv_cursor *cursors =
        realloc(manifest->cursors, (manifest->cursor_count + 1) * sizeof *cursors);
    if (cursors == NULL)
        return false;
    cursors[manifest->cursor_count++] = cursor;
    manifest->cursors = cursors;
    return true;
}

static bool apply_mark(struct tern_csv_manifest *manifest, struct tern_input *input)
{
    char device[TERN_ID_MAX + 1];
    if (!read_name(input, device, TERN_ID_MAX))
        return false;
    uint8_t lane = tern_read8(input);
    uint32_t epoch = tern_read32(input), applied = tern_read32(input), count = tern_read32(input);
    struct tern_csv_mark *known = find_mark(manifest, device, lane, epoch);
    if (known == NULL)
        known = add_mark(manifest, device, lane, epoch);
    if (known == NULL)
        return false;
    known->mark.applied = applied;
    known->mark.gaps.count = known->mark.before.count = 0;
    for (uint32_t i = 0; i < count && !input->failed; i++) {
        struct tern_gap gap;
        gap.first = tern_read32(input);
        gap.last = tern_read32(input);
        gap.reason = tern_read8(input);
        gap.at = (int64_t)tern_read64(input);
        tern_mark_add_read(&known->mark, &gap);
    }
    return !known->mark.failed;
}

static struct tern_csv_segment *find_segment(const struct tern_csv_manifest *manifest, uint32_t number)
{
    struct tern_csv_segment *segment = manifest->segments;
    while (segment != NULL && segment->number != number)
        segment = segment->next;
    return segment;
}

static bool apply_segment(struct tern_csv_manifest *manifest, struct tern_input *input)
{
    char table[TERN_NAME_MAX + 1];
    uint32_t number = tern_read32(input);
    if (!read_name(input, table, TERN_NAME_MAX))
        return false;
    struct tern_csv_segment *segment = find_segment(manifest, number);
    if (segment == NULL) {
        segment = calloc(1, sizeof *segment);
        if (segment == NULL)
            return false;
        segment->number = number;
        segment->descriptor = -1;
        memcpy(segment->table, table, sizeof table);
        segment->next = manifest->segments;
        manifest->segments = segment;
    }
    segment->hash = tern_read32(input);
    segment->created = (int64_t)tern_read64(input);
    segment->length = tern_read64(input);
    segment->is_listed = true;
    if (manifest->next_number <= number)
        manifest->next_number = number + 1;
    return true;
}

static bool apply_item(struct tern_csv_manifest *manifest, struct tern_input *input)
{
    uint32_t number;
    struct tern_csv_segment *segment;
    switch (tern_read8(input)) {
    case ITEM_CURSOR:
        return apply_cursor(manifest, input);
    case ITEM_MARK:
        return apply_mark(manifest, input);
    case ITEM_SEGMENT:
        return apply_segment(manifest, input);
    case ITEM_COMPLETE:
        segment = find_segment(manifest, tern_read32(input));
        if (segment != NULL)
            segment->is_complete = true;
        return true;
    case ITEM_NUMBER:
        number = tern_read32(input);
        if (manifest->next_number < number)
            manifest->next_number = number;
        return true;
    default:
        return false;
    }
}

/* The record's items take effect in memory: after it was written, and when it is read back. */
static bool apply(struct tern_csv_manifest *manifest, const uint8_t *items, size_t size)
{
    struct tern_input input = {items, size, false};
    while (input.size != 0)
        if (!apply_item(manifest, &input) || input.failed)
            return false;
    return true;
}

void tern_csv_manifest_drop(struct tern_csv_manifest *manifest, struct tern_csv_segment *segment)
{
    struct tern_csv_segment **place = &manifest->segments;
    while (*place != segment)
        place = &(*place)->next;
    *place = segment->next;
    if (segment->descriptor >= 0)
        close(segment->descriptor);
    tern_buffer_free(&segment->buffer);
    free(segment);
}

/* ---- Records --------------------------------------------------------------------------------- */

void tern_csv_record_begin(struct tern_csv_manifest *manifest)
{
    tern_buffer_clear(&manifest->record);
    tern_buffer_put64(&manifest->record, 0); /* size and crc */
}

bool tern_csv_record_is_empty(const struct tern_csv_manifest *manifest)
{
    return manifest->record.size <= HEAD;
}

void tern_csv_record_cursor(struct tern_csv_manifest *manifest, uint64_t store, uint32_t slot,
                            uint64_t position)
{
    tern_buffer_put8(&manifest->record, ITEM_CURSOR);
    tern_buffer_put64(&manifest->record, store);
    tern_buffer_put32(&manifest->record, slot);
    tern_buffer_put64(&manifest->record, position);
}

void tern_csv_record_mark(struct tern_csv_manifest *manifest, const struct tern_mark *mark)
{
    struct tern_buffer *record = &manifest->record;
    tern_buffer_put8(record, ITEM_MARK);
    tern_buffer_put_text(record, mark->device);
    tern_buffer_put8(record, mark->lane);
    tern_buffer_put32(record, mark->epoch);
    tern_buffer_put32(record, mark->applied);
    tern_buffer_put32(record, (uint32_t)mark->gaps.count);
    for (size_t i = 0; i < mark->gaps.count; i++) {
        tern_buffer_put32(record, mark->gaps.list[i].first);
        tern_buffer_put32(record, mark->gaps.list[i].last);
        tern_buffer_put8(record, mark->gaps.list[i].reason);
        tern_buffer_put64(record, (uint64_t)mark->gaps.list[i].at);
    }
}

void tern_csv_record_segment(struct tern_csv_manifest *manifest, const struct tern_csv_segment *segment)
{
    struct tern_buffer *record = &manifest->record;
    tern_buffer_put8(record, ITEM_SEGMENT);
    tern_buffer_put32(record, segment->number);
    tern_buffer_put_text(record, segment->table);
    tern_buffer_put32(record, segment->hash);
    tern_buffer_put64(record, (uint64_t)segment->created);
    tern_buffer_put64(record, segment->written);
}

void tern_csv_record_complete(struct tern_csv_manifest *manifest, uint32_t number)
{
    tern_buffer_put8(&manifest->record, ITEM_COMPLETE);
    tern_buffer_put32(&manifest->record, number);
}

static uint32_t record_crc(const uint8_t *record, size_t size)
{
    return tern_crc32c(tern_crc32c(0, record, 4), record + HEAD, size);
}

static void seal(struct tern_buffer *record)
{
    tern_store32(record->data, (uint32_t)(record->size - HEAD));
    tern_store32(record->data + 4, record_crc(record->data, record->size - HEAD));
}

int tern_csv_record_write(struct tern_csv_manifest *manifest, struct tern_sink *sink)
{
    struct tern_buffer *record = &manifest->record;
    if (record->failed || record->size > RECORD_MAX)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory for the manifest");
    seal(record);
    if (tern_journal_pwrite(manifest->descriptor, record->data, record->size, manifest->size) != 0 ||
        fdatasync(manifest->descriptor) != 0)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot write %s: %s", NAME, strerror(errno));
    manifest->size += record->size;
    if (!apply(manifest, record->data + HEAD, record->size - HEAD))
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory for the manifest");
    return TERN_HOST_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Size of the record at `offset`, head included; 0: there is no valid one. */
static size_t valid_record(const uint8_t *bytes, size_t size, size_t offset)
{
    if (size - offset < HEAD)
        return 0;
    size_t items = tern_load32(bytes + offset);
    if (items == 0 || items > RECORD_MAX || items > size - offset - HEAD ||
        tern_load32(bytes + offset + 4) != record_crc(bytes + offset, items))
        return 0;
    return HEAD + items;
}

static int replay(struct tern_csv_manifest *manifest, struct tern_sink *sink, const uint8_t *bytes,
                  size_t size)
{
    size_t offset = MAGIC_SIZE, record;
    while ((record = valid_record(bytes, size, offset)) != 0) {
        if (!apply(manifest, bytes + offset + HEAD, record - HEAD))
            return tern_sink_fail(sink, TERN_HOST_E_CORRUPT, "%s at %zu: a record that cannot be used", NAME,
                                  offset);
        offset += record;
    }
    for (size_t after = offset + 1; after + HEAD < size; after++)
        if (valid_record(bytes, size, after) != 0)
            return tern_sink_fail(
                sink, TERN_HOST_E_CORRUPT,
                "%s is damaged at %zu, before valid records: restore it from a copy, or move the folder "
                "away and let it be filled again",
                NAME, offset);
    manifest->size = offset;
    if (offset < size &&
        (ftruncate(manifest->descriptor, (off_t)offset) != 0 || fdatasync(manifest->descriptor) != 0))
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot cut the torn end of %s: %s", NAME,
                              strerror(errno));
    return TERN_HOST_OK;
}

/* Everything in memory as one record, behind the magic. */
static void write_state(struct tern_csv_manifest *manifest)
{
    tern_csv_record_begin(manifest);
    tern_buffer_put8(&manifest->record, ITEM_NUMBER);
    tern_buffer_put32(&manifest->record, manifest->next_number);
    for (size_t i = 0; i < manifest->cursor_count; i++)
        tern_csv_record_cursor(manifest, manifest->cursors[i].store, manifest->cursors[i].slot,
                               manifest->cursors[i].position);
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct tern_csv_mark *known = manifest->marks[i]; known != NULL; known = known->next)
            tern_csv_record_mark(manifest, &known->mark);
    for (const struct tern_csv_segment *segment = manifest->segments; segment != NULL;
         segment = segment->next) {
        struct tern_csv_segment committed = *segment;
        committed.written = segment->length;
        if (segment->is_listed)
            tern_csv_record_segment(manifest, &committed);
        if (segment->is_complete)
            tern_csv_record_complete(manifest, segment->number);
    }
}

int tern_csv_manifest_rewrite(struct tern_csv_manifest *manifest, struct tern_sink *sink)
{
    write_state(manifest);
    if (manifest->record.failed)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory for the manifest");
    seal(&manifest->record);
    int descriptor = openat(manifest->folder, NAME_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (descriptor < 0 || tern_journal_pwrite(descriptor, magic, MAGIC_SIZE, 0) != 0 ||
        tern_journal_pwrite(descriptor, manifest->record.data, manifest->record.size, MAGIC_SIZE) != 0 ||
        fdatasync(descriptor) != 0 || renameat(manifest->folder, NAME_NEW, manifest->folder, NAME) != 0 ||
        fsync(manifest->folder) != 0) {
        int error = errno;
        if (descriptor >= 0)
            close(descriptor);
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot write %s: %s", NAME, strerror(error));
    }
    if (manifest->descriptor >= 0)
        close(manifest->descriptor);
    manifest->descriptor = descriptor;
    manifest->size = manifest->size_when_new = MAGIC_SIZE + manifest->record.size;
    return TERN_HOST_OK;
}

int tern_csv_manifest_trim(struct tern_csv_manifest *manifest, struct tern_sink *sink)
{
    if (manifest->size < TRIM_SIZE || manifest->size < 4 * manifest->size_when_new)
        return TERN_HOST_OK;
    return tern_csv_manifest_rewrite(manifest, sink);
}

static int read_file(struct tern_csv_manifest *manifest, struct tern_sink *sink)
{
    struct stat about;
    size_t got = 0;
    if (fstat(manifest->descriptor, &about) != 0 || about.st_size > (off_t)4 * RECORD_MAX)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "%s cannot be read, or is too long", NAME);
    uint8_t *bytes = malloc((size_t)about.st_size + 1);
    if (bytes == NULL ||
        tern_journal_pread(manifest->descriptor, bytes, (size_t)about.st_size, 0, &got) != 0) {
        free(bytes);
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot read %s", NAME);
    }
    int status = TERN_HOST_OK;
    if (got < MAGIC_SIZE || memcmp(bytes, magic, MAGIC_SIZE) != 0)
        status = tern_sink_fail(
            sink, TERN_HOST_E_VERSION,
            "%s is of another version or damaged, and was left untouched: use another folder", NAME);
    if (status == TERN_HOST_OK)
        status = replay(manifest, sink, bytes, got);
    free(bytes);
    manifest->size_when_new = manifest->size;
    return status;
}

int tern_csv_manifest_open(struct tern_csv_manifest *manifest, int folder, struct tern_sink *sink)
{
    memset(manifest, 0, sizeof *manifest);
    manifest->folder = folder;
    manifest->next_number = 1;
    manifest->marks = calloc(BUCKETS, sizeof(struct tern_csv_mark *));
    manifest->descriptor = openat(folder, NAME, O_RDWR | O_CLOEXEC);
    if (manifest->marks == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "out of memory");
    if (manifest->descriptor >= 0)
        return read_file(manifest, sink);
    if (errno != ENOENT)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot open %s: %s", NAME, strerror(errno));
    return tern_csv_manifest_rewrite(manifest, sink);
}

void tern_csv_manifest_close(struct tern_csv_manifest *manifest)
{
    while (manifest->segments != NULL)
        tern_csv_manifest_drop(manifest, manifest->segments);
    for (size_t i = 0; manifest->marks != NULL && i < BUCKETS; i++) {
        while (manifest->marks[i] != NULL) {
            struct tern_csv_mark *known = manifest->marks[i];
            manifest->marks[i] = known->next;
            tern_mark_free(&known->mark);
            free(known);
        }
    }
    if (manifest->descriptor >= 0)
        close(manifest->descriptor);
    free(manifest->marks);
    free(manifest->cursors);
    tern_buffer_free(&manifest->record);
    memset(manifest, 0, sizeof *manifest);
    manifest->descriptor = -1;
}
