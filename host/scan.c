/* SPDX-License-Identifier: MIT */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv_compress.h"
#include "journal_file.h"

uint64_t tern_digest(uint64_t digest, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ from[i]) * 0x100000001B3u;
    return digest;
}

/* ---- Segments -------------------------------------------------------------------------------- */

/* The record's end: a newline outside of quotes, or the end of the bytes. */
static size_t record_size(const uint8_t *bytes, size_t size)
{
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '"')
            quoted = !quoted;
        else if (bytes[i] == '\n' && !quoted)
            return i + 1;
    }
    return size;
}

static int scan_record(const struct tern_sink_scan *scan, const uint8_t *bytes, size_t size)
{
    const uint8_t *comma = memchr(bytes, ',', size);
    char number[24] = "";
    struct tern_scan_row row = {.device = (const char *)bytes};
    if (comma == NULL)
        return TERN_HOST_E_CORRUPT;
    row.device_size = (size_t)(comma - bytes);
    const uint8_t *end = memchr(comma + 1, ',', size - row.device_size - 1);
    if (end == NULL || (size_t)(end - comma) > sizeof number)
        return TERN_HOST_E_CORRUPT;
    memcpy(number, comma + 1, (size_t)(end - comma) - 1);
    number[end - comma - 1] = '\0';
    row.id = strtoll(number, NULL, 10);
    row.digest = tern_digest(TERN_DIGEST_BEGIN, end, (size_t)(bytes + size - end));
    bool wanted = row.id >= scan->first && row.id <= scan->last &&
                  (scan->device == NULL || (strlen(scan->device) == row.device_size &&
                                            memcmp(scan->device, row.device, row.device_size) == 0));
    return wanted ? scan->row(scan->context, &row) : TERN_HOST_OK;
}

static uint8_t *read_plain(struct tern_sink *sink, int folder, const char *name, size_t *got)
{
    struct stat about;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool good = file >= 0 && fstat(file, &about) == 0;
    uint8_t *bytes = good ? malloc((size_t)about.st_size + 1) : NULL;
    good = bytes != NULL && tern_journal_pread(file, bytes, (size_t)about.st_size, 0, got) == 0;
    if (!good)
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot read %s: %s", name, strerror(errno));
    if (file >= 0)
        close(file);
    if (good)
        return bytes;
    free(bytes);
    return NULL;
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name), length = strlen(end);
    return size > length && strcmp(name + size - length, end) == 0;
}

static int scan_file(struct tern_sink *sink, int folder, const char *name, const struct tern_sink_scan *scan)
{
    size_t got = 0;
    bool plain = ends_with(name, ".csv") || ends_with(name, ".open");
    uint8_t *bytes = plain ? read_plain(sink, folder, name, &got) : tern_csv_expand(sink, folder, name, &got);
    bool good = bytes != NULL;
    int status = good ? TERN_HOST_OK : TERN_HOST_E_SYSTEM;
    for (size_t at = good ? record_size(bytes, got) : 0; good && at < got && status == TERN_HOST_OK;) {
        size_t size = record_size(bytes + at, got - at);
        status = scan_record(scan, bytes + at, size);
        if (status == TERN_HOST_E_CORRUPT)
            tern_sink_fail(sink, status, "%s at %zu: not a record", name, at);
        at += size;
    }
    free(bytes);
    return status;
}

/* TABLE-00000001-20261121T093000Z.csv or .TABLE-00000001.open: no table's name has a minus sign. */
static bool is_segment(const char *name, const char *table)
{
    size_t length = strlen(table);
    bool open = name[0] == '.' && ends_with(name, ".open");
    bool closed = ends_with(name, ".csv") || ends_with(name, ".csv.gz") || ends_with(name, ".csv.zst");
    name += open;
    return (open || closed) && strncmp(name, table, length) == 0 && name[length] == '-';
}

int tern_csv_scan(struct tern_sink *sink, int folder, const struct tern_sink_scan *scan)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    int status = TERN_HOST_OK;
    if (listing == NULL)
        return tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot list the folder: %s", strerror(errno));
    for (struct dirent *entry; status == TERN_HOST_OK && (errno = 0, entry = readdir(listing)) != NULL;)
        if (is_segment(entry->d_name, scan->table))
            status = scan_file(sink, folder, entry->d_name, scan);
    if (status == TERN_HOST_OK && errno != 0)
        status = tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot list the folder: %s", strerror(errno));
    closedir(listing);
    return status;
}
