/* SPDX-License-Identifier: MIT */
/* Reading the journal from other threads: only what is durable, through descriptors of their own. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

#define FETCH_AHEAD (2u * TERN_JOURNAL_BODY_MAX) /* one entry */

struct tern_journal_reader {
    struct tern_journal *journal;
    struct tern_journal_scan scan;  /* descriptor -1: no file is open */
    struct tern_journal_scan fetch; /* single entries elsewhere */
    uint32_t number;                /* of the scan's file */
    uint32_t fetch_number;
};

/* A file of the list, as a reader needs it. */
struct place {
    uint32_t number;
    uint64_t base;
    uint64_t end; /* of its durable entries */
    bool newest;
};

/* The file that holds `position`; the oldest one when the position is before it. */
static struct place find_place(struct tern_journal *journal, uint64_t position)
{
    pthread_mutex_lock(&journal->mutex);
    size_t i = journal->file_count - 1;
    while (i > 0 && journal->files[i].base > position)
        i--;
    bool newest = i + 1 == journal->file_count;
    struct place place = {journal->files[i].number, journal->files[i].base,
                          newest ? journal->durable : journal->files[i + 1].base, newest};
    pthread_mutex_unlock(&journal->mutex);
    return place;
}

static int open_place(struct tern_journal *journal, struct tern_journal_scan *scan, const struct place *place)
{
    char name[TERN_JOURNAL_NAME_MAX];
    tern_journal_name(name, place->number);
    int descriptor = openat(journal->folder, name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        tern_journal_report(journal, TERN_ERROR, "journal-read-failed", name, errno,
                            "cannot open a journal file");
        return TERN_HOST_E_SYSTEM;
    }
    if (scan->descriptor >= 0)
        close(scan->descriptor);
    scan->descriptor = descriptor;
    scan->base = place->base;
    scan->end = place->end;
    scan->filled = 0;
    return TERN_HOST_OK;
}

int tern_journal_reader_open(struct tern_journal *journal, uint64_t position,
                             struct tern_journal_reader **out)
{
    *out = NULL;
    if (position > tern_journal_end(journal))
        return TERN_HOST_E_ARGUMENT;
    struct tern_journal_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return TERN_HOST_E_SYSTEM;
    reader->journal = journal;
    reader->fetch.descriptor = -1;
    int status = tern_journal_scan_open(&reader->scan, -1, journal->store, 0, TERN_JOURNAL_AHEAD);
    if (status == TERN_HOST_OK)
        status = tern_journal_scan_open(&reader->fetch, -1, journal->store, 0, FETCH_AHEAD);
    struct place place = find_place(journal, position);
    if (status == TERN_HOST_OK)
        status = open_place(journal, &reader->scan, &place);
    reader->number = place.number;
    uint64_t first = place.base + TERN_JOURNAL_HEADER;
    reader->scan.position = position > first ? position : first;
    if (status != TERN_HOST_OK) {
        tern_journal_reader_close(reader);
        return status;
    }
    *out = reader;
    return TERN_HOST_OK;
}

void tern_journal_reader_close(struct tern_journal_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->scan.descriptor >= 0)
        close(reader->scan.descriptor);
    if (reader->fetch.descriptor >= 0)
        close(reader->fetch.descriptor);
    tern_journal_scan_close(&reader->scan);
    tern_journal_scan_close(&reader->fetch);
    free(reader);
}

static int skip_damage(struct tern_journal_reader *reader)
{
    struct tern_journal_scan *scan = &reader->scan;
    char name[TERN_JOURNAL_NAME_MAX];
    uint64_t from = scan->position;
    int status = tern_journal_scan_resume(scan);
    if (status == 0)
        scan->position = scan->end;
    struct tern_fields fields;
    tern_journal_name(name, reader->number);
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", "%s/%s", reader->journal->directory, name);
    tern_fields_format(&fields, "from", "%" PRIu64, from - scan->base);
    tern_fields_format(&fields, "to", "%" PRIu64, scan->position - scan->base);
    tern_fields_text(&fields, "msg",
                     "journal entries here are damaged and were passed over: their records become gaps");
    tern_report_event(&reader->journal->config.report, TERN_ERROR, "journal-corrupt", &fields);
    return status < 0 ? status : 1;
}

/* The scan stands at the end that it knows. 1: there is more, here or in the next file; 0: not yet. */
static int extend(struct tern_journal_reader *reader)
{
    struct tern_journal_scan *scan = &reader->scan;
    struct place place = find_place(reader->journal, scan->base);
    if (place.number != reader->number) {
        struct tern_fields fields;
        tern_fields_begin(&fields);
        tern_fields_number(&fields, "file", reader->number);
        tern_fields_text(&fields, "msg", "removed while it was read: a reader was given up by retention");
        tern_report_event(&reader->journal->config.report, TERN_WARN, "journal-passed-over", &fields);
        return TERN_HOST_E_SYSTEM;
    }
    if (place.end > scan->position) {
        if (scan->end == place.end)
            return skip_damage(reader); /* the file is shorter than it was */
        scan->end = place.end;
        return 1;
    }
    if (place.newest)
        return 0;
    place = find_place(reader->journal, place.end);
    int status = open_place(reader->journal, scan, &place);
    if (status != TERN_HOST_OK)
        return status;
    reader->number = place.number;
    scan->position = place.base + TERN_JOURNAL_HEADER;
    return 1;
}

int tern_journal_read(struct tern_journal_reader *reader, struct tern_journal_entry *entry)
{
    struct tern_journal_found found;
    for (;;) {
        int status = tern_journal_scan_next(&reader->scan, &found);
        if (status == 1) {
            *entry =
                (struct tern_journal_entry){found.position, reader->scan.position, found.body, found.size};
            return 1;
        }
        if (status == TERN_HOST_E_CORRUPT)
            status = skip_damage(reader);
        else if (status == 0)
            status = extend(reader);
        if (status != 1)
            return status;
    }
}

uint64_t tern_journal_reader_position(const struct tern_journal_reader *reader)
{
    return reader->scan.position;
}

int tern_journal_fetch(struct tern_journal_reader *reader, uint64_t position,
                       struct tern_journal_entry *entry)
{
    struct tern_journal_scan *scan = &reader->fetch;
    struct tern_journal_found found;
    struct place place = find_place(reader->journal, position);
    if (position < place.base + TERN_JOURNAL_HEADER || position >= place.end || position % 8 != 0)
        return TERN_HOST_E_CORRUPT;
    if (scan->descriptor < 0 || reader->fetch_number != place.number) {
        int status = open_place(reader->journal, scan, &place);
        if (status != TERN_HOST_OK)
            return status;
        reader->fetch_number = place.number;
    }
    scan->position = position;
    scan->end = place.end;
    int status = tern_journal_scan_next(scan, &found);
    if (status != 1)
        return status == 0 ? TERN_HOST_E_CORRUPT : status;
    *entry = (struct tern_journal_entry){found.position, scan->position, found.body, found.size};
    return TERN_HOST_OK;
}
