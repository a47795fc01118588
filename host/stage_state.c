/* SPDX-License-Identifier: MIT */
/* Devices, ranges and schemas in memory; into a new journal file, and back at recovery. */
#include "stage_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/crc32c.h"

/* ---- Devices --------------------------------------------------------------------------------- */

static struct tern_device **bucket(const struct tern_stage *stage, const char *id)
{
    uint32_t hash = tern_crc32c(0, id, strlen(id));
    return (struct tern_device **)&stage->buckets[hash & (TERN_STAGE_BUCKETS - 1)];
}

struct tern_device *tern_stage_lookup(const struct tern_stage *stage, const char *id)
{
    struct tern_device *device = *bucket(stage, id);
    while (device != NULL && strcmp(device->id, id) != 0)
        device = device->next;
    return device;
}

static bool reserve_number(struct tern_stage *stage, uint32_t number)
{
    if (number < stage->device_capacity)
        return true;
    uint32_t capacity = stage->device_capacity == 0 ? 64 : stage->device_capacity;
    while (capacity <= number)
        capacity *= 2;
    struct tern_device **devices = realloc(stage->devices, capacity * sizeof(struct tern_device *));
    if (devices == NULL)
        return false;
    for (uint32_t i = stage->device_capacity; i < capacity; i++)
        devices[i] = NULL;
    stage->devices = devices;
    stage->device_capacity = capacity;
    return true;
}

struct tern_device *tern_stage_add_device(struct tern_stage *stage, const char *id, uint32_t number)
{
    struct tern_device *device = calloc(1, sizeof *device);
    if (device == NULL || number >= TERN_STAGE_DEVICES_MAX || strlen(id) > TERN_ID_MAX) {
        free(device);
        return NULL;
    }
    memcpy(device->id, id, strlen(id));
    device->number = number;
    device->stage = stage;
    pthread_mutex_lock(&stage->mutex);
    bool room = reserve_number(stage, number) && stage->devices[number] == NULL;
    if (room) {
        struct tern_device **head = bucket(stage, id);
        device->next = *head;
        *head = device;
        stage->devices[number] = device;
        if (stage->device_limit <= number)
            stage->device_limit = number + 1;
        tern_stage_adopt(stage, device);
    }
    pthread_mutex_unlock(&stage->mutex);
    if (!room) {
        free(device);
        return NULL;
    }
    return device;
}

static void free_device(struct tern_device *device)
{
    for (size_t i = 0; i < device->range_count; i++) {
        free(device->ranges[i]->bytes);
        free(device->ranges[i]);
    }
    free(device->ranges);
    free(device->schemas);
    free(device->wants);
    free(device->arriving);
    free(device);
}

void tern_stage_free_devices(struct tern_stage *stage)
{
    for (uint32_t i = 0; i < stage->device_limit; i++)
        if (stage->devices[i] != NULL)
            free_device(stage->devices[i]);
    free(stage->devices);
    free(stage->early);
    free(stage->learned);
    while (stage->schemas != NULL) {
        struct tern_stage_schema *schema = stage->schemas;
        stage->schemas = schema->next;
        free(schema);
    }
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

struct tern_range *tern_stage_find_range(const struct tern_device *device, uint8_t lane, uint32_t epoch)
{
    for (size_t i = 0; i < device->range_count; i++)
        if (device->ranges[i]->face.epoch == epoch && device->ranges[i]->face.lane == lane)
            return device->ranges[i];
    return NULL;
}

bool tern_range_is_unused(const struct tern_range *range)
{
    return range->granted && range->face.taken.next == range->face.base && range->face.taken.offset == 0;
}

/* Those of which nothing came go first: a device whose answers get lost is given one after the other. */
static bool goes_before(const struct tern_range *one, const struct tern_range *other)
{
    bool unused = tern_range_is_unused(one);
    return unused != tern_range_is_unused(other) ? unused : one->face.epoch < other->face.epoch;
}

/* The range of the oldest epoch, emptied. Its pointer may still be known to a session, but to one from long
 * ago. */
static struct tern_range *reuse_oldest(struct tern_device *device)
{
    struct tern_range *oldest = device->ranges[0];
    for (size_t i = 1; i < device->range_count; i++)
        if (goes_before(device->ranges[i], oldest))
            oldest = device->ranges[i];
    bool was_dirty = oldest->is_dirty;
    struct tern_range *next_dirty = oldest->next_dirty;
    free(oldest->bytes);
    memset(oldest, 0, sizeof *oldest);
    oldest->is_dirty = was_dirty;
    oldest->next_dirty = next_dirty;
    return oldest;
}

static struct tern_range *new_range(struct tern_device *device)
{
    if (device->range_count >= TERN_STAGE_RANGES_MAX)
        return reuse_oldest(device);
    struct tern_range **ranges =
        realloc(device->ranges, (device->range_count + 1) * sizeof(struct tern_range *));
    if (ranges == NULL)
        return NULL;
    device->ranges = ranges;
    struct tern_range *range = calloc(1, sizeof *range);
    if (range != NULL)
        ranges[device->range_count++] = range;
    return range;
}

struct tern_range *tern_stage_add_range(struct tern_device *device, uint8_t lane, uint32_t epoch,
                                        uint32_t base)
{
    struct tern_range *range = new_range(device);
    if (range == NULL)
        return NULL;
    range->face.device = device;
    range->face.lane = lane;
    range->face.epoch = epoch;
    range->face.base = base;
    range->face.taken.next = base;
    range->face.durable.next = base;
    range->face.durable.run = base;
    range->face.taken.run = base;
    return range;
}

void tern_range_mark(struct tern_range *range)
{
    struct tern_stage *stage = range->face.device->stage;
    if (range->is_dirty)
        return;
    range->is_dirty = true;
    range->next_dirty = stage->dirty;
    stage->dirty = range;
}

void tern_range_anchor(struct tern_range *range, const struct tern_record *record)
{
    range->anchor_boot = record->boot;
    range->anchor_start = record->received - (int64_t)record->uptime;
}

/* ---- Schemas --------------------------------------------------------------------------------- */

static struct tern_stage_schema *find_schema(const struct tern_device *device, uint32_t hash)
{
    for (size_t i = 0; i < device->schema_count; i++)
        if (device->schemas[i]->hash == hash)
            return device->schemas[i];
    return NULL;
}

bool tern_device_has_schema(const struct tern_device *device, uint32_t hash)
{
    return find_schema(device, hash) != NULL;
}

/* The one copy of these bytes. */
static struct tern_stage_schema *intern(struct tern_stage *stage, uint32_t hash, const uint8_t *bytes,
                                        size_t size, int *status)
{
    for (struct tern_stage_schema *schema = stage->schemas; schema != NULL; schema = schema->next)
        if (schema->hash == hash && schema->size == size && memcmp(schema->bytes, bytes, size) == 0)
            return schema;
    struct tern_stage_schema *schema = malloc(sizeof *schema);
    *status = TERN_HOST_E_SYSTEM;
    if (schema == NULL)
        return NULL;
    if (tern_schema_decode(&schema->decoded, bytes, size) != TERN_OK) {
        *status = TERN_HOST_E_PROTOCOL;
        free(schema);
        return NULL;
    }
    schema->hash = hash;
    schema->size = (uint16_t)size;
    memcpy(schema->bytes, bytes, size);
    schema->next = stage->schemas;
    stage->schemas = schema;
    return schema;
}

int tern_stage_add_schema(struct tern_device *device, uint32_t hash, const uint8_t *bytes, size_t size)
{
    int status = TERN_HOST_OK;
    if (size > TERN_SCHEMA_MAX || tern_crc32c(0, bytes, size) != hash)
        return TERN_HOST_E_PROTOCOL;
    if (find_schema(device, hash) != NULL)
        return TERN_HOST_OK;
    if (device->schema_count >= TERN_STAGE_SCHEMAS_MAX)
        return TERN_HOST_E_LIMIT;
    struct tern_stage_schema *schema = intern(device->stage, hash, bytes, size, &status);
    if (schema == NULL)
        return status;
    pthread_mutex_lock(&device->stage->mutex);
    size_t count = device->schema_count + 1;
    struct tern_stage_schema **schemas = realloc(device->schemas, count * sizeof(struct tern_stage_schema *));
    if (schemas != NULL) {
        device->schemas = schemas;
        schemas[device->schema_count++] = schema;
    }
    pthread_mutex_unlock(&device->stage->mutex);
    return schemas == NULL ? TERN_HOST_E_SYSTEM : TERN_HOST_OK;
}

/* The list has the newest first. */
const struct tern_schema *tern_stage_schema_at(struct tern_stage *stage, size_t index)
{
    size_t count = 0;
    pthread_mutex_lock(&stage->mutex);
    const struct tern_stage_schema *schema = stage->schemas;
    for (; schema != NULL; schema = schema->next)
        count++;
    schema = index < count ? stage->schemas : NULL;
    for (size_t i = count; schema != NULL && --i > index;)
        schema = schema->next;
    pthread_mutex_unlock(&stage->mutex);
    return schema == NULL ? NULL : &schema->decoded;
}

const struct tern_schema *tern_stage_find_schema(struct tern_stage *stage, const char *device, uint32_t hash)
{
    pthread_mutex_lock(&stage->mutex);
    const struct tern_device *known = tern_stage_lookup(stage, device);
    const struct tern_stage_schema *schema = known == NULL ? NULL : find_schema(known, hash);
    pthread_mutex_unlock(&stage->mutex);
    return schema == NULL ? NULL : &schema->decoded;
}

/* ---- Into a new file ------------------------------------------------------------------------- */

static uint64_t put_state(struct tern_journal_state *state, const struct tern_record *record)
{
    uint8_t body[TERN_JOURNAL_BODY_MAX];
    size_t size = tern_record_encode(record, body);
    return size == 0 ? 0 : tern_journal_put_state(state, body, size);
}

static bool put_range(struct tern_journal_state *state, struct tern_range *range)
{
    const struct tern_stage_range *face = &range->face;
    size_t whole = range->is_walked ? range->walk.offset : 0;
    struct tern_record record = {
        .kind = TERN_ENTRY_STATE,
        .lane = face->lane,
        .granted = range->granted,
        .device = face->device->number,
        .epoch = face->epoch,
        .base = face->base,
        .next = face->taken.next,
        .run = range->face.taken.run,
        .lost = range->lost,
        .highest = range->highest > range->face.taken.run ? range->highest : 0,
        .received = range->heard,
        .hash = face->taken.last_crc,
        .chunk_first = whole != 0 ? face->taken.first : 0,
        .run_before = range->run_entry,
        .data = range->bytes,
        .size = whole,
        .tail_count = face->tail_count,
    };
    memcpy(record.tails, face->tails, sizeof record.tails);
    range->staged = put_state(state, &record);
    return range->staged != 0;
}

static bool put_device(struct tern_journal_state *state, struct tern_device *device)
{
    struct tern_record record = {.kind = TERN_ENTRY_DEVICE,
                                 .device = device->number,
                                 .data = (const uint8_t *)device->id,
                                 .size = strlen(device->id)};
    if (put_state(state, &record) == 0)
        return false;
    for (size_t i = 0; i < device->schema_count; i++) {
        record = (struct tern_record){.kind = TERN_ENTRY_SCHEMA,
                                      .device = device->number,
                                      .hash = device->schemas[i]->hash,
                                      .data = device->schemas[i]->bytes,
                                      .size = device->schemas[i]->size};
        if (put_state(state, &record) == 0)
            return false;
    }
    for (size_t i = 0; i < device->range_count; i++)
        if (!put_range(state, device->ranges[i]))
            return false;
    return true;
}

int tern_stage_snapshot(void *context, struct tern_journal_state *state)
{
    struct tern_stage *stage = context;
    for (uint32_t i = 0; i < stage->device_limit; i++)
        if (stage->devices[i] != NULL && !put_device(state, stage->devices[i]))
            return TERN_HOST_E_SYSTEM;
    return TERN_HOST_OK;
}

void tern_stage_moved(void *context, uint64_t from, uint64_t delta)
{
    struct tern_stage *stage = context;
    for (uint32_t i = 0; i < stage->device_limit; i++) {
        struct tern_device *device = stage->devices[i];
        for (size_t k = 0; device != NULL && k < device->range_count; k++) {
            struct tern_range *range = device->ranges[k];
            range->entry = range->staged;
            range->written = (uint16_t)(range->is_walked ? range->walk.offset : 0);
            if (range->run_entry >= from)
                range->run_entry += delta;
        }
    }
}

/* ---- Recovery -------------------------------------------------------------------------------- */

static struct tern_range *replay_range(struct tern_stage *stage, const struct tern_record *record)
{
    struct tern_device *device = record->device < stage->device_limit ? stage->devices[record->device] : NULL;
    if (device == NULL)
        return NULL;
    struct tern_range *range = tern_stage_find_range(device, record->lane, record->epoch);
    if (range == NULL)
        range = tern_stage_add_range(device, record->lane, record->epoch, record->base);
    if (range != NULL)
        range->granted |= record->granted;
    if (range != NULL && record->received > range->heard)
        range->heard = record->received;
    return range;
}

/* Takes the chunk's bytes up again, so that it can go on growing. Where its head is missing (damage), the
 * chunk is forgotten: the device sends it from its head again. */
static bool replay_bytes(struct tern_range *range, uint64_t position, const struct tern_record *record)
{
    uint32_t want;
    if (record->chunk_offset == 0)
        tern_range_begin(range, record->chunk_first);
    if (record->chunk_first == 0)
        return true;
    if (range->face.taken.first != record->chunk_first || range->size != record->chunk_offset ||
        !tern_range_append(range, record->data, record->size) ||
        tern_range_walk(range, false, &want) != TERN_OK || range->walk.offset != range->size) {
        tern_range_begin(range, 0);
        range->face.taken.last_crc = 0;
        return false;
    }
    range->written = range->size;
    range->entry = position;
    return true;
}

static bool replay_chunk(struct tern_stage *stage, uint64_t position, const struct tern_record *record)
{
    struct tern_range *range = replay_range(stage, record);
    if (range == NULL)
        return false;
    if (record->first < range->face.taken.next) { /* records that came again */
        range->face.taken.next = record->first;
        range->face.taken.last_crc = 0;
        range->face.taken.run = record->run;
    }
    uint32_t run = range->face.taken.run;
    if (!replay_bytes(range, position, record))
        run = record->commits ? record->next - record->rest : record->run;
    else if (record->commits)
        run = range->face.taken.run;
    range->face.taken.next = record->next;
    range->face.taken.run = run;
    range->run_entry = run < record->next ? position : 0;
    tern_range_rise(range);
    tern_range_mark(range);
    return true;
}

static bool replay_gap(struct tern_stage *stage, uint64_t position, const struct tern_record *record)
{
    struct tern_range *range = replay_range(stage, record);
    if (range == NULL)
        return false;
    range->lost += tern_range_loss(range, record->first, record->next);
    range->face.taken.next = record->next;
    range->face.taken.last_crc = 0;
    range->face.taken.run = record->commits ? record->next : record->run;
    range->run_entry = record->commits ? 0 : position;
    tern_range_rise(range);
    tern_range_begin(range, 0);
    tern_range_mark(range);
    return true;
}

static bool replay_state(struct tern_stage *stage, uint64_t position, const struct tern_record *record)
{
    struct tern_range *range = replay_range(stage, record);
    if (range == NULL)
        return false;
    bool good = replay_bytes(range, position, record);
    range->face.taken.next = record->next;
    range->face.taken.last_crc = record->hash;
    range->face.taken.run = record->run;
    range->run_entry = record->run_before;
    range->lost = record->lost;
    range->highest = record->highest;
    range->face.tail_count = record->tail_count;
    memcpy(range->face.tails, record->tails, sizeof record->tails);
    tern_range_rise(range);
    tern_range_mark(range);
    return good;
}

static bool replay_device(struct tern_stage *stage, const struct tern_record *record)
{
    char id[TERN_ID_MAX + 1] = {0};
    if (record->size == 0 || record->size > TERN_ID_MAX)
        return false;
    memcpy(id, record->data, record->size);
    const struct tern_device *known = tern_stage_lookup(stage, id);
    if (known != NULL)
        return known->number == record->device;
    return tern_stage_add_device(stage, id, record->device) != NULL;
}

static bool replay_schema(struct tern_stage *stage, const struct tern_record *record)
{
    struct tern_device *device = record->device < stage->device_limit ? stage->devices[record->device] : NULL;
    return device != NULL &&
           tern_stage_add_schema(device, record->hash, record->data, record->size) == TERN_HOST_OK;
}

static bool replay_anchor(struct tern_stage *stage, const struct tern_record *record)
{
    struct tern_range *range = replay_range(stage, record);
    if (range != NULL)
        tern_range_anchor(range, record);
    return range != NULL;
}

static bool replay_record(struct tern_stage *stage, uint64_t position, const struct tern_record *record)
{
    switch (record->kind) {
    case TERN_ENTRY_DEVICE:
        return replay_device(stage, record);
    case TERN_ENTRY_SCHEMA:
        return replay_schema(stage, record);
    case TERN_ENTRY_ANCHOR:
        return replay_anchor(stage, record);
    case TERN_ENTRY_CHUNK:
        return replay_chunk(stage, position, record);
    case TERN_ENTRY_GAP:
        return replay_gap(stage, position, record);
    default:
        return replay_state(stage, position, record);
    }
}

/* What memory is too small for must not be taken for what the store does not know. */
int tern_stage_replay(void *context, uint64_t position, const uint8_t *body, size_t size)
{
    struct tern_stage *stage = context;
    struct tern_record record;
    bool good = tern_record_decode(body, size, &record) && record.device < TERN_STAGE_DEVICES_MAX;
    errno = 0;
    /* The number of a device whose own entry was lost must not be given to another one. */
    if (good && record.device >= stage->device_limit && reserve_number(stage, record.device))
        stage->device_limit = record.device + 1;
    if (!good || !replay_record(stage, position, &record))
        stage->strange++;
    return errno == ENOMEM ? TERN_HOST_E_SYSTEM : TERN_HOST_OK;
}
