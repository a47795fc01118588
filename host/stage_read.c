/* SPDX-License-Identifier: MIT */
/* Readers of the staging store: journal entries with their devices' names. */
#include <stdlib.h>
#include <string.h>

#include "stage_state.h"

struct tern_stage_reader {
    struct tern_stage *stage;
    struct tern_journal_reader *journal;
    enum { NO_STATES, BEFORE_STATES, IN_STATES } states; /* that are wanted */
};

int tern_stage_reader_open(struct tern_stage *stage, uint64_t position, struct tern_stage_reader **out)
{
    struct tern_stage_reader *reader = calloc(1, sizeof *reader);
    *out = NULL;
    if (reader == NULL)
        return TERN_HOST_E_SYSTEM;
    reader->stage = stage;
    int status = tern_journal_reader_open(stage->journal, position, &reader->journal);
    if (status != TERN_HOST_OK) {
        free(reader);
        return status;
    }
    *out = reader;
    return TERN_HOST_OK;
}

void tern_stage_reader_close(struct tern_stage_reader *reader)
{
    if (reader == NULL)
        return;
    tern_journal_reader_close(reader->journal);
    free(reader);
}

static const char *device_name(struct tern_stage *stage, uint32_t number)
{
    pthread_mutex_lock(&stage->mutex);
    const struct tern_device *device = number < stage->device_limit ? stage->devices[number] : NULL;
    pthread_mutex_unlock(&stage->mutex);
    return device == NULL ? NULL : device->id;
}

/* False for entries that are not for readers. */
static bool translate(struct tern_stage *stage, const struct tern_journal_entry *from,
                      struct tern_entry *entry)
{
    struct tern_record record;
    if (!tern_record_decode(from->body, from->size, &record) || record.kind == TERN_ENTRY_DEVICE)
        return false;
    const char *device = device_name(stage, record.device);
    if (device == NULL)
        return false;
    *entry = (struct tern_entry){
        .position = from->position,
        .end = from->end,
        .kind = record.kind,
        .lane = record.lane,
        .reason = record.reason,
        .commits = record.commits,
        .device = device,
        .received = record.received,
        .epoch = record.epoch,
        .base = record.base,
        .first = record.first,
        .last = record.next - 1,
        .run_first = record.run,
        .run_before = record.run_before,
        .rest = record.rest,
        .chunk_first = record.chunk_first,
        .chunk_offset = record.chunk_offset,
        .chunk_before = record.chunk_before,
        .hash = record.hash,
        .data = record.data,
        .size = record.size,
    };
    return true;
}

static bool is_wanted(struct tern_stage_reader *reader, const struct tern_entry *entry)
{
    bool is_state = entry->kind == TERN_ENTRY_STATE;
    if (is_state && reader->states == BEFORE_STATES)
        reader->states = IN_STATES;
    /* Schemas stand between the states of one file. */
    if (!is_state && entry->kind != TERN_ENTRY_SCHEMA && reader->states == IN_STATES)
        reader->states = NO_STATES;
    return !is_state || reader->states == IN_STATES;
}

int tern_stage_read(struct tern_stage_reader *reader, struct tern_entry *entry)
{
    struct tern_journal_entry found;
    int status;
    do {
        status = tern_journal_read(reader->journal, &found);
    } while (status == 1 && (!translate(reader->stage, &found, entry) || !is_wanted(reader, entry)));
    return status;
}

void tern_stage_reader_states(struct tern_stage_reader *reader)
{
    reader->states = BEFORE_STATES;
}

uint64_t tern_stage_reader_position(const struct tern_stage_reader *reader)
{
    return tern_journal_reader_position(reader->journal);
}

int tern_stage_fetch(struct tern_stage_reader *reader, uint64_t position, struct tern_entry *entry)
{
    struct tern_journal_entry found;
    int status = tern_journal_fetch(reader->journal, position, &found);
    if (status != TERN_HOST_OK)
        return status;
    return translate(reader->stage, &found, entry) ? TERN_HOST_OK : TERN_HOST_E_CORRUPT;
}

int tern_stage_chunk(struct tern_stage_reader *reader, const struct tern_entry *last,
                     uint8_t chunk[TERN_CHUNK_MAX])
{
    struct tern_entry entry = *last;
    int whole = (int)(last->chunk_offset + last->size);
    for (;;) {
        memcpy(chunk + entry.chunk_offset, entry.data, entry.size);
        uint32_t offset = entry.chunk_offset, first = entry.chunk_first;
        if (offset == 0)
            return whole;
        int status = tern_stage_fetch(reader, entry.chunk_before, &entry);
        if (status != TERN_HOST_OK)
            return status;
        bool fits = (entry.kind == TERN_ENTRY_CHUNK || entry.kind == TERN_ENTRY_STATE) &&
                    entry.chunk_first == first && entry.chunk_offset < offset &&
                    entry.chunk_offset + entry.size == offset;
        if (!fits)
            return TERN_HOST_E_CORRUPT;
    }
}

void tern_stage_wait(struct tern_stage *stage, uint64_t position, int milliseconds)
{
    tern_journal_wait(stage->journal, position, milliseconds);
}

void tern_stage_wake(struct tern_stage *stage)
{
    tern_journal_wake(stage->journal);
}

uint64_t tern_stage_end(struct tern_stage *stage)
{
    return tern_journal_end(stage->journal);
}
