/* SPDX-License-Identifier: MIT */
#include "journal_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/bytes.h"
#include "../core/crc32c.h"
#include "log.h"

static const char magic[8] = {'t', 'e', 'r', 'n', 'j', 'r', 'n', 'l'};

void tern_journal_name(char name[TERN_JOURNAL_NAME_MAX], uint32_t number)
{
    snprintf(name, TERN_JOURNAL_NAME_MAX, "journal-%08u.tern", (unsigned)number);
}

int tern_journal_pread(int descriptor, void *data, size_t size, uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t count = pread(descriptor, (uint8_t *)data + *got, size - *got, (off_t)(offset + *got));
        if (count == 0)
            return 0;
        if (count < 0 && errno != EINTR)
            return -1;
        if (count > 0)
            *got += (size_t)count;
    }
    return 0;
}

int tern_journal_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = pwrite(descriptor, (const uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno != EINTR)
            return -1;
        if (count > 0)
            done += (size_t)count;
    }
    return 0;
}

void tern_journal_encode_header(uint8_t bytes[TERN_JOURNAL_HEADER], const struct tern_journal_header *header)
{
    memset(bytes, 0, TERN_JOURNAL_HEADER);
    memcpy(bytes, magic, sizeof magic);
    tern_store32(bytes + 8, header->version);
    tern_store32(bytes + 12, header->number);
    tern_store64(bytes + 16, header->store);
    tern_store64(bytes + 24, header->base);
    tern_store64(bytes + 32, header->state);
    tern_store64(bytes + 40, header->state_end);
    tern_store32(bytes + 60, tern_crc32c(0, bytes, 60));
}

bool tern_journal_decode_header(const uint8_t bytes[TERN_JOURNAL_HEADER], struct tern_journal_header *header)
{
    header->version = tern_load32(bytes + 8);
    header->number = tern_load32(bytes + 12);
    header->store = tern_load64(bytes + 16);
    header->base = tern_load64(bytes + 24);
    header->state = tern_load64(bytes + 32);
    header->state_end = tern_load64(bytes + 40);
    return memcmp(bytes, magic, sizeof magic) == 0 && tern_load32(bytes + 60) == tern_crc32c(0, bytes, 60) &&
           header->state >= header->base + TERN_JOURNAL_HEADER && header->state_end >= header->state &&
           header->base % 8 == 0 && header->state % 8 == 0;
}

size_t tern_journal_entry_size(size_t size)
{
    return (TERN_JOURNAL_ENTRY + size + 7) / 8 * 8;
}

static uint32_t entry_crc(const uint8_t *bytes, size_t size, uint64_t store, uint64_t position)
{
    uint8_t head[28];
    tern_store64(head, store);
    tern_store64(head + 8, position);
    memcpy(head + 16, bytes, 4);
    memcpy(head + 20, bytes + 8, 8);
    return tern_crc32c(tern_crc32c(0, head, sizeof head), bytes + TERN_JOURNAL_ENTRY, size);
}

void tern_journal_seal_entry(uint8_t *bytes, size_t size, uint64_t store, uint64_t position, uint32_t back)
{
    size_t whole = tern_journal_entry_size(size);
    memset(bytes + TERN_JOURNAL_ENTRY + size, 0, whole - TERN_JOURNAL_ENTRY - size);
    tern_store32(bytes, (uint32_t)size);
    tern_store32(bytes + 8, back);
    tern_store32(bytes + 12, 0);
    tern_store32(bytes + 4, entry_crc(bytes, size, store, position));
}

int tern_journal_scan_open(struct tern_journal_scan *scan, int descriptor, uint64_t store, uint64_t base,
                           size_t ahead)
{
    memset(scan, 0, sizeof *scan);
    scan->descriptor = descriptor;
    scan->store = store;
    scan->base = base;
    scan->position = base + TERN_JOURNAL_HEADER;
    scan->ahead = ahead;
    scan->buffer = malloc(ahead);
    return scan->buffer == NULL ? TERN_HOST_E_SYSTEM : TERN_HOST_OK;
}

void tern_journal_scan_close(struct tern_journal_scan *scan)
{
    free(scan->buffer);
    scan->buffer = NULL;
}

/* Makes `size` bytes at the scan's position available. How many are: fewer at the end of the file. -1: an
 * error. */
static int load(struct tern_journal_scan *scan, size_t size, const uint8_t **bytes, size_t *available)
{
    uint64_t left = scan->end > scan->position ? scan->end - scan->position : 0;
    if (size > left)
        size = (size_t)left;
    if (scan->position < scan->loaded || scan->position + size > scan->loaded + scan->filled) {
        size_t want = left < scan->ahead ? (size_t)left : scan->ahead;
        scan->loaded = scan->position;
        scan->filled = 0;
        if (tern_journal_pread(scan->descriptor, scan->buffer, want, scan->position - scan->base,
                               &scan->filled) != 0)
            return -1;
    }
    uint64_t there = scan->loaded + scan->filled - scan->position;
    *bytes = scan->buffer + (scan->position - scan->loaded);
    *available = size < there ? size : (size_t)there;
    return 0;
}

static bool body_is_sound(const uint8_t *body, size_t size)
{
    return size >= 2 && body[1] <= 2 && size >= TERN_JOURNAL_BODY_HEAD(body[1]);
}

int tern_journal_scan_next(struct tern_journal_scan *scan, struct tern_journal_found *found)
{
    const uint8_t *bytes;
    size_t available;
    if (load(scan, TERN_JOURNAL_ENTRY, &bytes, &available) != 0)
        return TERN_HOST_E_SYSTEM;
    if (available == 0)
        return 0;
    if (available < TERN_JOURNAL_ENTRY)
        return TERN_HOST_E_CORRUPT;
    size_t size = tern_load32(bytes);
    if (size > TERN_JOURNAL_BODY_MAX || size < 2)
        return TERN_HOST_E_CORRUPT;
    size_t whole = tern_journal_entry_size(size);
    if (load(scan, whole, &bytes, &available) != 0)
        return TERN_HOST_E_SYSTEM;
    uint32_t back = available < whole ? 0 : tern_load32(bytes + 8);
    if (available < whole || back > scan->position ||
        tern_load32(bytes + 4) != entry_crc(bytes, size, scan->store, scan->position) ||
        !body_is_sound(bytes + TERN_JOURNAL_ENTRY, size))
        return TERN_HOST_E_CORRUPT;
    *found =
        (struct tern_journal_found){scan->position, scan->position - back, bytes + TERN_JOURNAL_ENTRY, size};
    scan->position += whole;
    return 1;
}

int tern_journal_scan_resume(struct tern_journal_scan *scan)
{
    for (scan->position += 8; scan->position < scan->end; scan->position += 8) {
        struct tern_journal_found found;
        uint64_t position = scan->position;
        int status = tern_journal_scan_next(scan, &found);
        scan->position = position;
        if (status != TERN_HOST_E_CORRUPT)
            return status;
    }
    return 0;
}

void tern_journal_report(const struct tern_journal *journal, enum tern_level level, const char *event,
                         const char *file, int error, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", file[0] == '\0' ? "%s%s" : "%s/%s", journal->directory, file);
    if (error != 0)
        tern_fields_text(&fields, "error", strerror(error));
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&journal->config.report, level, event, &fields);
}
