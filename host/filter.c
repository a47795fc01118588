/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../core/crc32c.h"

/* "TERSEEN1" where numbers begin with their low byte: other byte orders are foreign */
#define MAGIC       0x314E454553524554u
#define BYTES_A_KEY 16u /* of a file for each key of a half: records of few keys have larger heads */
#define BYTES_SPARE 65536u

struct header {
    uint64_t magic, identity, generation;
    uint32_t bytes, has_older;
    uint32_t reserved, crc; /* of what is before */
};

/* Followed by the zones and the keys. */
struct record {
    uint64_t batch;
    uint32_t zones, keys;
    uint32_t reserved, crc; /* of the record with 0 here, and what follows */
};

void tern_filter_open(struct tern_filter *filter, uint32_t bytes)
{
    memset(filter, 0, sizeof *filter);
    filter->bytes = bytes;
    filter->file = -1;
}

bool tern_filter_ready(struct tern_filter *filter)
{
    if (filter->memory != NULL || filter->bytes < TERN_BLOOM_MIN)
        return filter->memory != NULL;
    filter->memory = malloc(filter->bytes);
    if (filter->memory != NULL)
        tern_bloom_open(&filter->bloom, filter->memory, filter->bytes, filter->bytes / 4);
    return filter->memory != NULL;
}

bool tern_filter_has(const struct tern_filter *filter, uint64_t hash)
{
    return filter->memory != NULL && tern_bloom_has(&filter->bloom, hash);
}

bool tern_filter_add(struct tern_filter *filter, uint64_t hash)
{
    uint8_t half = filter->bloom.half;
    /* The file is as long as the keys of a half may make it. */
    if (filter->written > (uint64_t)filter->bloom.limit * BYTES_A_KEY + BYTES_SPARE)
        filter->bloom.keys = filter->bloom.limit;
    tern_bloom_add(&filter->bloom, hash);
    if (filter->bloom.half == half)
        return false;
    filter->written = 0;
    return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void name_file(const struct tern_filter *filter, const char *ending, char name[4096])
{
    snprintf(name, 4096, "%.4080s%s", filter->path, ending);
}

static void remove_files(struct tern_filter *filter)
{
    static const char *const endings[] = {"", ".old", ".new"};
    char name[4096];
    if (filter->file >= 0)
        close(filter->file);
    filter->file = -1;
    filter->has_older = false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        name_file(filter, endings[i], name);
        unlink(name);
    }
}

void tern_filter_give_up(struct tern_filter *filter)
{
    if (filter->path != NULL)
        remove_files(filter);
    free(filter->path);
    filter->path = NULL;
}

static bool append(struct tern_filter *filter, uint64_t batch, const struct tern_filter_zone *zones,
                   size_t zone_count, const uint64_t *keys, size_t key_count)
{
    struct record record = {.batch = batch, .zones = (uint32_t)zone_count, .keys = (uint32_t)key_count};
    struct iovec parts[] = {{&record, sizeof record},
                            {(void *)(uintptr_t)zones, zone_count * sizeof *zones},
                            {(void *)(uintptr_t)keys, key_count * sizeof *keys}};
    size_t size = 0;
    uint32_t crc = 0;
    for (size_t i = 0; i < 3; i++) {
        crc = tern_crc32c(crc, parts[i].iov_len == 0 ? "" : parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    record.crc = crc;
    filter->written += size;
    return writev(filter->file, parts, 3) == (ssize_t)size;
}

/* In place of the file, which becomes the older one, or goes. */
static bool begin_file(struct tern_filter *filter, const struct tern_filter_zone *zones, size_t count)
{
    char name[4096], fresh[4096], old[4096];
    name_file(filter, "", name);
    name_file(filter, ".new", fresh);
    name_file(filter, ".old", old);
    if (filter->file >= 0)
        close(filter->file);
    filter->has_older = filter->file >= 0;
    filter->file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    if (filter->file < 0)
        return false;
    struct header header = {
        MAGIC, filter->identity, ++filter->generation, filter->bytes, filter->has_older, 0, 0};
    header.crc = tern_crc32c(0, &header, offsetof(struct header, crc));
    bool good = write(filter->file, &header, sizeof header) == (ssize_t)sizeof header &&
                append(filter, filter->batches[0], zones, count, NULL, 0) &&
                (!filter->has_older || rename(name, old) == 0) && rename(fresh, name) == 0;
    filter->written = 0; /* all zones stand at the head of each file */
    return good;
}

static void note_batch(struct tern_filter *filter, uint64_t batch)
{
    if (batch == 0 || batch == filter->batches[0])
        return;
    memmove(filter->batches + 1, filter->batches, sizeof filter->batches - sizeof filter->batches[0]);
    filter->batches[0] = batch;
}

void tern_filter_write(struct tern_filter *filter, uint64_t batch, const struct tern_filter_zone *zones,
                       size_t zone_count, const uint64_t *keys, size_t key_count)
{
    if (filter->path == NULL || (zone_count == 0 && key_count == 0))
        return;
    note_batch(filter, batch);
    bool good = filter->file >= 0 || begin_file(filter, NULL, 0);
    if (!good || !append(filter, batch, zones, zone_count, keys, key_count))
        tern_filter_give_up(filter);
}

void tern_filter_turn(struct tern_filter *filter, const struct tern_filter_zone *zones, size_t count)
{
    if (filter->path != NULL && !begin_file(filter, zones, count))
        tern_filter_give_up(filter);
}

void tern_filter_forget(struct tern_filter *filter)
{
    if (filter->path != NULL)
        remove_files(filter);
    free(filter->memory);
    filter->memory = NULL;
    filter->written = 0;
    memset(filter->batches, 0, sizeof filter->batches);
}

void tern_filter_close(struct tern_filter *filter)
{
    if (filter->file >= 0)
        close(filter->file);
    free(filter->memory);
    free(filter->path);
    tern_filter_open(filter, 0);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct reading {
    struct tern_filter *filter;
    void (*call)(void *context, const struct tern_filter_zone *zone); /* NULL: zones are of no interest */
    void *context;
    int file;
    uint64_t size, good; /* of the file, and behind its last good record */
};

static bool read_all(int file, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    for (ssize_t got = 0; size != 0; at += got, size -= (size_t)got) {
        got = read(file, at, size);
        if (got <= 0)
            return false;
    }
    return true;
}

static bool open_file(struct reading *reading, const char *ending, struct header *header)
{
    const struct tern_filter *filter = reading->filter;
    char name[4096];
    struct stat about;
    name_file(filter, ending, name);
    reading->file = open(name, O_RDWR | O_APPEND | O_CLOEXEC);
    bool good = reading->file >= 0 && fstat(reading->file, &about) == 0 &&
                read_all(reading->file, header, sizeof *header) && header->magic == MAGIC &&
                header->crc == tern_crc32c(0, header, offsetof(struct header, crc)) &&
                header->identity == filter->identity && header->bytes == filter->bytes;
    reading->size = good ? (uint64_t)about.st_size : 0;
    reading->good = sizeof *header;
    if (!good && reading->file >= 0)
        close(reading->file);
    return good;
}

static void take(const struct reading *reading, const struct record *record, const uint8_t *payload)
{
    struct tern_filter_zone zone;
    uint64_t key;
    for (uint32_t i = 0; i < record->zones; i++, payload += sizeof zone) {
        memcpy(&zone, payload, sizeof zone);
        if (reading->call != NULL)
            reading->call(reading->context, &zone);
    }
    for (uint32_t i = 0; i < record->keys; i++, payload += sizeof key) {
        memcpy(&key, payload, sizeof key);
        tern_bloom_add(&reading->filter->bloom, key);
    }
    note_batch(reading->filter, record->batch);
}

/* The next record. False: there is none, or it is torn. */
static bool read_record(struct reading *reading)
{
    struct record record;
    uint64_t left = reading->size - reading->good;
    if (left < sizeof record || !read_all(reading->file, &record, sizeof record))
        return false;
    uint64_t size = record.zones * (uint64_t)sizeof(struct tern_filter_zone) + record.keys * (uint64_t)8;
    uint8_t *payload = size > left - sizeof record ? NULL : calloc(1, (size_t)size + 1);
    uint32_t crc = record.crc;
    record.crc = 0;
    bool good = payload != NULL && read_all(reading->file, payload, (size_t)size) &&
                tern_crc32c(tern_crc32c(0, &record, sizeof record), payload, (size_t)size) == crc;
    if (good) {
        take(reading, &record, payload);
        reading->filter->written +=
            reading->good == sizeof(struct header) ? 0 : sizeof record + size; /* but for the head's zones */
        reading->good += sizeof record + size;
    }
    free(payload);
    return good;
}

static void read_records(struct reading *reading)
{
    reading->filter->written = 0;
    while (read_record(reading))
        continue;
}

/* False: the files are foreign, or one of them is missing. */
static bool read_files(struct reading *reading)
{
    struct tern_filter *filter = reading->filter;
    struct header header, older;
    struct reading before = *reading;
    if (!open_file(reading, "", &header))
        return false;
    bool good = tern_filter_ready(filter);
    filter->bloom.limit = UINT32_MAX; /* generations end where the files do */
    if (good && header.has_older) {
        good = open_file(&before, ".old", &older);
        if (good) {
            before.call = NULL;
            if (older.generation + 1 == header.generation)
                read_records(&before);
            close(before.file);
            good = older.generation + 1 == header.generation;
        }
        filter->bloom.half ^= 3u;
        filter->bloom.keys = 0;
    }
    if (good)
        read_records(reading);
    filter->bloom.limit = filter->bytes / 4;
    filter->generation = header.generation;
    filter->has_older = header.has_older != 0;
    filter->file = reading->file;
    return good && (reading->good == reading->size || ftruncate(filter->file, (off_t)reading->good) == 0);
}

bool tern_filter_keep(struct tern_filter *filter, const char *path, uint64_t identity,
                      void (*call)(void *context, const struct tern_filter_zone *zone), void *context)
{
    struct reading reading = {.filter = filter, .call = call, .context = context};
    filter->identity = identity;
    filter->path = filter->bytes == 0 ? NULL : strdup(path);
    if (filter->path == NULL || read_files(&reading))
        return filter->path != NULL;
    tern_filter_forget(filter);
    return false;
}
