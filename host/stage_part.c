/* SPDX-License-Identifier: MIT */
/* Parts put together into whole segments, and gaps: what a device sends, into journal entries. */
#include <stdlib.h>
#include <string.h>

#include "stage_state.h"

#define CHUNK_HEAD_MAX 6u /* bytes: a format and a varint */

bool tern_range_append(struct tern_range *range, const uint8_t *data, size_t size)
{
    size_t end = range->size + size;
    if (end > range->capacity) {
        size_t capacity = range->capacity == 0 ? 512 : range->capacity;
        while (capacity < end)
            capacity *= 2;
        uint8_t *bytes = realloc(range->bytes, capacity);
        if (bytes == NULL)
            return false;
        range->bytes = bytes;
        range->capacity = (uint16_t)capacity;
    }
    if (size != 0)
        memcpy(range->bytes + range->size, data, size);
    range->size = (uint16_t)end;
    range->face.taken.offset = range->size;
    return true;
}

void tern_range_begin(struct tern_range *range, uint32_t first)
{
    range->size = 0;
    range->written = 0;
    range->entry = 0;
    range->is_walked = false;
    range->face.taken.first = first;
    range->face.taken.offset = 0;
}

/* ---- Walking --------------------------------------------------------------------------------- */

static int begin_walk(struct tern_range *range)
{
    int status = tern_walk_begin(&range->walk, tern_source_memory(range->bytes), range->size);
    if (status == TERN_OK && range->walk.sequence != range->face.taken.first)
        status = TERN_E_CORRUPT;
    range->is_walked = status == TERN_OK;
    return status;
}

static bool schemas_are_known(const struct tern_range *range, const struct tern_segment *segment,
                              uint32_t *want)
{
    for (uint8_t i = 0; i < segment->new_tables; i++) {
        uint32_t hash = tern_segment_hash(segment, range->bytes, i);
        if (!tern_device_has_schema(range->face.device, hash)) {
            *want = hash;
            return false;
        }
    }
    return true;
}

/* Each second segment in the first place, each fourth in the second, and so on: a device that has lost its
 * log's end finds where it still agrees, however far back. */
static void remember_tail(struct tern_stage_range *face, const struct tern_stage_position *taken)
{
    uint32_t count = ++face->tail_count, place = 0;
    while (place + 1 < TERN_STAGE_TAILS && (count >> place & 1) == 0)
        place++;
    face->tails[place] = (struct tern_stage_tail){taken->next, taken->last_crc};
}

/* The walk is behind a segment. What repeats records that are held changes nothing. */
static void count_segment(struct tern_range *range, const struct tern_segment *segment)
{
    struct tern_stage_position *taken = &range->face.taken;
    if (range->walk.sequence > taken->next) {
        taken->next = range->walk.sequence;
        taken->last_crc = segment->crc;
        /* Where histories part a new epoch begins, and no batch may lie across. */
        if (segment->commit)
            remember_tail(&range->face, taken);
    }
    if (segment->commit && range->walk.sequence > taken->run)
        taken->run = range->walk.sequence;
}

int tern_range_walk(struct tern_range *range, bool schemas, uint32_t *want)
{
    int status = range->is_walked ? TERN_OK : begin_walk(range);
    *want = 0;
    range->walk.source = tern_source_memory(range->bytes);
    range->walk.limit = range->size;
    while (status == TERN_OK) {
        struct tern_walk before = range->walk;
        struct tern_segment segment;
        status = tern_walk_next(&range->walk, &segment);
        if (status == TERN_OK && schemas && !schemas_are_known(range, &segment, want)) {
            range->walk = before;
            return TERN_OK;
        }
        if (status == TERN_OK)
            count_segment(range, &segment);
    }
    return status == TERN_AGAIN ? TERN_OK : status;
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* Records of an entry from `first` to before `next` that stand behind its last commit. */
static uint32_t rest_of(const struct tern_stage_position *taken, uint32_t first)
{
    return taken->next - (taken->run > first ? taken->run : first);
}

/* Writes what the walk added. `next` and `run` are what they were before it. */
static int write_growth(struct tern_stage *stage, struct tern_range *range, uint32_t next, uint32_t run)
{
    const struct tern_stage_range *face = &range->face;
    if (face->taken.next == next && range->face.taken.run == run)
        return TERN_HOST_OK;
    struct tern_record record = {
        .kind = TERN_ENTRY_CHUNK,
        .lane = face->lane,
        .commits = range->face.taken.run != run,
        .device = face->device->number,
        .epoch = face->epoch,
        .base = face->base,
        .first = next,
        .next = face->taken.next,
        .run = run,
        .rest = face->taken.run != run ? rest_of(&face->taken, next) : 0,
        .chunk_first = face->taken.first,
        .chunk_offset = range->written,
        .received = tern_stage_now(),
        .chunk_before = range->entry,
        .run_before = run < next ? range->run_entry : 0,
        .data = range->bytes + range->written,
        .size = range->walk.offset - range->written,
    };
    uint64_t position = tern_stage_append(stage, &record);
    if (position == 0)
        return TERN_HOST_E_SYSTEM;
    range->heard = record.received;
    range->entry = range->newest = position;
    range->written = (uint16_t)range->walk.offset;
    range->run_entry = range->face.taken.run < face->taken.next ? position : 0;
    tern_range_rise(range);
    return TERN_HOST_OK;
}

/* Takes all that is whole into the journal; bytes that are no segment are dropped. */
static int take_segments(struct tern_stage *stage, struct tern_range *range, uint32_t *want)
{
    uint32_t next = range->face.taken.next, run = range->face.taken.run;
    int walked = tern_range_walk(range, true, want);
    int status = write_growth(stage, range, next, run);
    if (walked != TERN_OK && range->is_walked) {
        range->size = (uint16_t)range->walk.offset;
        range->face.taken.offset = range->size;
    } else if (walked != TERN_OK) {
        tern_range_begin(range, 0);
    }
    tern_range_return(range, false);
    /* A repeat of what is durable leaves nothing that waits for the disk. */
    if (memcmp(&range->face.taken, &range->face.durable, sizeof range->face.taken) != 0)
        tern_range_mark(range);
    return status == TERN_HOST_OK && walked != TERN_OK ? TERN_HOST_E_PROTOCOL : status;
}

bool tern_range_is_bare(const struct tern_range *range)
{
    return range->is_walked && range->walk.rows == 0 && range->walk.offset > CHUNK_HEAD_MAX;
}

/* Whether a part at offset 0 begins a chunk that may hold the expected sequence. One that begins before the
 * unfinished chunk is an old one come late: within an epoch a device's chunks never change. One that begins
 * with the same sequence is another chunk only where the unfinished one is bare: a commit without a record,
 * whose place the next chunk takes. */
static bool begins_chunk(const struct tern_range *range, uint32_t first, uint32_t offset)
{
    const struct tern_stage_position *taken = &range->face.taken;
    bool is_later =
        taken->first == 0 || first > taken->first || (first == taken->first && tern_range_is_bare(range));
    return offset == 0 && first <= taken->next && is_later;
}

int tern_stage_part(struct tern_stage *stage, struct tern_stage_range *face, uint32_t first, uint32_t offset,
                    const uint8_t *data, size_t size, uint32_t *want)
{
    struct tern_range *range = (struct tern_range *)face;
    *want = 0;
    if (first == 0 || offset > TERN_CHUNK_MAX || size > TERN_CHUNK_MAX - offset)
        return TERN_HOST_E_PROTOCOL;
    if (!tern_journal_has_room(stage->journal))
        return TERN_HOST_E_SYSTEM;
    if (begins_chunk(range, first, offset))
        tern_range_begin(range, first);
    else if (face->taken.first != first)
        return TERN_HOST_OK;
    if (offset > range->size)
        return TERN_HOST_OK;
    size_t repeated = range->size - offset;
    if (repeated < size && !tern_range_append(range, data + repeated, size - repeated))
        return TERN_HOST_E_SYSTEM;
    return take_segments(stage, range, want);
}

/* ---- Gaps ------------------------------------------------------------------------------------ */

int tern_stage_gap(struct tern_stage *stage, struct tern_stage_range *face, uint32_t first, uint32_t last,
                   uint8_t reason)
{
    struct tern_range *range = (struct tern_range *)face;
    uint32_t next = face->taken.next;
    if (first == 0 || last < first || last == UINT32_MAX || reason == 0)
        return TERN_HOST_E_PROTOCOL;
    if (first > next || last < next)
        return TERN_HOST_OK;
    bool leads = (reason & TERN_GAP_LEADS) != 0, in_run = range->face.taken.run < next;
    struct tern_record record = {
        .kind = TERN_ENTRY_GAP,
        .lane = face->lane,
        .commits = !leads,
        .reason = reason & (uint8_t)~TERN_GAP_LEADS,
        .device = face->device->number,
        .epoch = face->epoch,
        .base = face->base,
        .first = next,
        .next = last + 1,
        .run = range->face.taken.run,
        .received = tern_stage_now(),
        .run_before = in_run ? range->run_entry : 0,
    };
    uint64_t position = tern_stage_append(stage, &record);
    if (position == 0)
        return TERN_HOST_E_SYSTEM;
    range->heard = record.received;
    range->newest = position;
    range->lost += tern_range_loss(range, next, last + 1);
    face->taken.next = last + 1;
    face->taken.last_crc = 0;
    range->face.taken.run = leads ? range->face.taken.run : last + 1;
    range->run_entry = leads ? position : 0;
    tern_range_begin(range, 0);
    tern_range_rise(range);
    tern_range_return(range, false);
    tern_range_mark(range);
    return TERN_HOST_OK;
}

/* ---- Schemas --------------------------------------------------------------------------------- */

static int whole_schema(struct tern_stage *stage, struct tern_device *device, uint32_t hash)
{
    struct tern_record record = {.kind = TERN_ENTRY_SCHEMA,
                                 .device = device->number,
                                 .hash = hash,
                                 .received = tern_stage_now(),
                                 .data = device->arriving,
                                 .size = device->arriving_size};
    bool known = tern_device_has_schema(device, hash);
    int status = tern_stage_add_schema(device, hash, device->arriving, device->arriving_size);
    device->arriving_hash = device->arriving_size = 0;
    if (status == TERN_HOST_OK && !known && tern_stage_append(stage, &record) == 0)
        status = TERN_HOST_E_SYSTEM;
    /* Bytes may be waiting for it. */
    for (size_t i = 0; status == TERN_HOST_OK && i < device->range_count; i++) {
        uint32_t want;
        if (device->ranges[i]->size == 0 || !tern_journal_has_room(stage->journal))
            continue;
        take_segments(stage, device->ranges[i], &want);
    }
    return status;
}

/* False while the bytes stop inside an encoded schema. */
static bool is_whole_schema(const uint8_t *bytes, size_t size)
{
    struct tern_input input = {bytes, size, false};
    tern_read_bytes(&input, 3);
    tern_read_bytes(&input, tern_read8(&input));
    for (uint8_t columns = tern_read8(&input); columns != 0; columns--) {
        tern_read_bytes(&input, 3);
        tern_read_bytes(&input, tern_read8(&input));
    }
    return !input.failed;
}

int tern_stage_schema(struct tern_stage *stage, struct tern_device *device, uint32_t hash, uint32_t offset,
                      const uint8_t *data, size_t size, bool *done)
{
    *done = false;
    if (offset > TERN_SCHEMA_MAX || size > TERN_SCHEMA_MAX - offset)
        return TERN_HOST_E_PROTOCOL;
    if (!tern_journal_has_room(stage->journal))
        return TERN_HOST_E_SYSTEM;
    if (device->arriving == NULL && (device->arriving = malloc(TERN_SCHEMA_MAX)) == NULL)
        return TERN_HOST_E_SYSTEM;
    if (device->arriving_hash != hash) {
        device->arriving_hash = hash;
        device->arriving_size = 0;
    }
    if (offset > device->arriving_size || offset + size <= device->arriving_size)
        return TERN_HOST_OK;
    size_t repeated = device->arriving_size - offset;
    memcpy(device->arriving + device->arriving_size, data + repeated, size - repeated);
    device->arriving_size = offset + (uint32_t)size;
    if (device->arriving_size < TERN_SCHEMA_MAX && !is_whole_schema(device->arriving, device->arriving_size))
        return TERN_HOST_OK;
    int status = whole_schema(stage, device, hash);
    *done = status == TERN_HOST_OK;
    return status;
}
