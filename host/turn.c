/* SPDX-License-Identifier: MIT */
#include "turn.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE  (1u << 20)
#define BLOCKS_KEPT 96 /* after a turn: more was needed for one huge batch only */

struct tern_turn_block {
    struct tern_turn_block *next;
    size_t used;
    uint64_t bytes[BLOCK_SIZE / 8];
};

/* ---- Memory ---------------------------------------------------------------------------------- */

static void free_blocks(struct tern_turn_block *block)
{
    while (block != NULL) {
        struct tern_turn_block *next = block->next;
        free(block);
        block = next;
    }
}

static struct tern_turn_block *next_block(struct tern_turn *turn)
{
    struct tern_turn_block **place = turn->block == NULL ? &turn->blocks : &turn->block->next;
    if (*place == NULL) {
        *place = malloc(sizeof **place);
        if (*place == NULL)
            return NULL;
        (*place)->next = NULL;
    }
    (*place)->used = 0;
    turn->block = *place;
    return turn->block;
}

/* `size` is far below BLOCK_SIZE: a row's values or one text. */
static void *allocate(struct tern_turn *turn, size_t size)
{
    size = (size + 7) / 8 * 8;
    struct tern_turn_block *block = turn->block;
    if (block == NULL || block->used + size > BLOCK_SIZE)
        block = next_block(turn);
    if (block == NULL) {
        turn->failed = true;
        return NULL;
    }
    void *memory = (uint8_t *)block->bytes + block->used;
    block->used += size;
    return memory;
}

/* Room for one more element. */
static bool grow(struct tern_turn *turn, void **list, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room == 0 ? 64 : *room * 2;
    void *bigger = realloc(*list, more * size);
    if (bigger == NULL) {
        turn->failed = true;
        return false;
    }
    *list = bigger;
    *room = more;
    return true;
}

#define GROW(turn, name)                                                                                     \
    grow((turn), (void **)&(turn)->name##s, (turn)->name##_count, &(turn)->name##_room,                      \
         sizeof *(turn)->name##s)

void tern_turn_reset(struct tern_turn *turn)
{
    struct tern_turn_block *block = turn->blocks;
    for (unsigned i = 1; block != NULL && i < BLOCKS_KEPT; i++)
        block = block->next;
    if (block != NULL) {
        free_blocks(block->next);
        block->next = NULL;
    }
    for (size_t i = 0; i < turn->range_count; i++)
        tern_mark_free(&turn->ranges[i].mark);
    turn->range_count = turn->row_count = turn->schema_count = turn->gap_count = turn->unit_count = 0;
    turn->block = NULL;
    turn->bytes = 0;
    turn->failed = false;
    if (turn->place_count != 0)
        memset(turn->places, 0, turn->place_count * sizeof *turn->places);
    memset(&turn->open, 0, sizeof turn->open);
}

void tern_turn_free(struct tern_turn *turn)
{
    tern_turn_reset(turn);
    free_blocks(turn->blocks);
    free(turn->ranges);
    free(turn->places);
    free(turn->rows);
    free(turn->schemas);
    free(turn->gaps);
    free(turn->units);
    memset(turn, 0, sizeof *turn);
}

/* ---- Ranges and schemas ---------------------------------------------------------------------- */

static bool is_range(const struct tern_turn_range *range, const char *device, uint8_t lane, uint32_t epoch)
{
    return range->mark.device == device && range->mark.lane == lane && range->mark.epoch == epoch;
}

/* The range's place in the table, or the free one where it belongs. */
static uint32_t *find_place(const struct tern_turn *turn, const char *device, uint8_t lane, uint32_t epoch)
{
    uint64_t hash = ((uint64_t)(uintptr_t)device ^ epoch ^ (uint64_t)lane << 40) * 0x9E3779B97F4A7C15u;
    size_t index = (size_t)(hash >> 32) & (turn->place_count - 1);
    while (turn->places[index] != 0 && !is_range(&turn->ranges[turn->places[index] - 1], device, lane, epoch))
        index = (index + 1) & (turn->place_count - 1);
    return &turn->places[index];
}

static bool grow_places(struct tern_turn *turn)
{
    if (turn->place_count > 2 * turn->range_count + 1)
        return true;
    size_t count = turn->place_count == 0 ? 256 : turn->place_count * 4;
    uint32_t *places = calloc(count, sizeof *places);
    if (places == NULL) {
        turn->failed = true;
        return false;
    }
    free(turn->places);
    turn->places = places;
    turn->place_count = count;
    for (size_t i = 0; i < turn->range_count; i++) {
        const struct tern_mark *mark = &turn->ranges[i].mark;
        *find_place(turn, mark->device, mark->lane, mark->epoch) = (uint32_t)i + 1;
    }
    return true;
}

uint32_t tern_turn_find_range(struct tern_turn *turn, const char *device, uint8_t lane, uint32_t epoch,
                              uint32_t base)
{
    if (!grow_places(turn) || !GROW(turn, range))
        return 0;
    uint32_t *place = find_place(turn, device, lane, epoch);
    if (*place != 0 && turn->ranges[*place - 1].base < base)
        turn->ranges[*place - 1].base = base;
    if (*place != 0)
        return *place - 1;
    struct tern_turn_range *range = &turn->ranges[turn->range_count];
    memset(range, 0, sizeof *range);
    range->mark.device = device;
    range->mark.lane = lane;
    range->mark.epoch = epoch;
    range->base = base;
    *place = (uint32_t)++turn->range_count;
    return *place - 1;
}

static uint32_t find_schema(struct tern_turn *turn, const struct tern_schema *schema, uint32_t hash)
{
    for (size_t i = turn->schema_count; i-- > 0;)
        if (turn->schemas[i].schema == schema)
            return (uint32_t)i;
    if (!GROW(turn, schema))
        return 0;
    turn->schemas[turn->schema_count] = (struct tern_turn_schema){schema, hash, 0};
    return (uint32_t)turn->schema_count++;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

void tern_turn_begin(struct tern_turn *turn, uint32_t range, uint32_t first)
{
    turn->open = (struct tern_turn_unit){.range = range,
                                         .first = first,
                                         .rows = turn->row_count,
                                         .rows_end = turn->row_count,
                                         .gaps = turn->gap_count,
                                         .gaps_end = turn->gap_count};
}

static bool copy_value(struct tern_turn *turn, struct tern_value *to, const struct tern_value *from)
{
    *to = *from;
    turn->bytes += from->is_null ? 0 : from->size == 0 ? 8 : from->size;
    if (from->is_null || from->size == 0)
        return true;
    void *bytes = allocate(turn, from->size);
    if (bytes == NULL)
        return false;
    memcpy(bytes, from->data, from->size);
    to->data = bytes;
    return true;
}

/* Values for all columns: a delete brings those of the key only, a snapshot's mark none. */
static struct tern_value *copy_values(struct tern_turn *turn, const struct tern_table *table, uint8_t op,
                                      const struct tern_value *values)
{
    struct tern_value *copy = allocate(turn, table->column_count * sizeof *copy);
    if (copy == NULL)
        return NULL;
    for (uint8_t i = 0; i < table->column_count; i++) {
        bool given = op == TERN_OP_PUT || (op == TERN_OP_DELETE && (table->columns[i].flags & TERN_KEY) != 0);
        if (!given)
            copy[i] = tern_null();
        else if (!copy_value(turn, &copy[i], values++))
            return NULL;
    }
    return copy;
}

void tern_turn_add(struct tern_turn *turn, uint32_t sequence, const struct tern_schema *schema, uint32_t hash,
                   uint8_t op, const struct tern_value *values)
{
    if (!GROW(turn, row))
        return;
    const struct tern_mark *mark = &turn->ranges[turn->open.range].mark;
    int64_t id = (int64_t)((uint64_t)mark->epoch << 32 | sequence);
    struct tern_value *copy = copy_values(turn, &schema->table, op, values);
    turn->rows[turn->row_count++] = (struct tern_turn_row){
        .sink = {.id = id, .first = id, .device = mark->device, .values = copy, .op = op},
        .schema = find_schema(turn, schema, hash),
        .range = turn->open.range,
        .sequence = sequence,
    };
    turn->open.snapshots = turn->open.snapshots || op >= TERN_OP_SNAPSHOT_BEGIN;
}

void *tern_turn_room(struct tern_turn *turn, size_t size)
{
    return size > BLOCK_SIZE ? NULL : allocate(turn, size);
}

struct tern_turn_row *tern_turn_copy(struct tern_turn *turn, const struct tern_turn_row *row, uint8_t columns,
                                     struct tern_value **values)
{
    struct tern_turn_row *copy = allocate(turn, sizeof *copy);
    *values = allocate(turn, columns * sizeof **values);
    if (copy == NULL || *values == NULL)
        return NULL;
    *copy = *row;
    copy->sink.values = *values;
    return copy;
}

void tern_turn_miss(struct tern_turn *turn, uint32_t first, uint32_t last, uint8_t reason)
{
    if (GROW(turn, gap))
        turn->gaps[turn->gap_count++] = (struct tern_turn_gap){first, last, reason};
}

void tern_turn_commit(struct tern_turn *turn, uint32_t next, bool batch)
{
    struct tern_turn_unit *open = &turn->open;
    if (turn->row_count == open->rows && turn->gap_count == open->gaps)
        return;
    if (!GROW(turn, unit))
        return;
    batch = batch || open->batch || open->snapshots;
    struct tern_turn_gap rest = {0, 0, 0};
    if (batch && turn->gap_count > open->gaps) {
        rest = turn->gaps[turn->gap_count - 1];
        turn->row_count = open->rows;
        turn->gap_count = open->gaps + 1;
        turn->gaps[open->gaps].first = open->first;
        turn->gaps[open->gaps].last = next - 1;
    }
    open->batch = batch;
    open->last = next - 1;
    open->rows_end = turn->row_count;
    open->gaps_end = turn->gap_count;
    turn->units[turn->unit_count++] = *open;
    tern_turn_begin(turn, open->range, next);
    /* A gap may reach into the next run. */
    if (rest.last >= next)
        tern_turn_miss(turn, next, rest.last, rest.reason);
}

void tern_turn_end(struct tern_turn *turn)
{
    turn->row_count = turn->open.rows;
    turn->gap_count = turn->open.gaps;
    turn->open = (struct tern_turn_unit){.rows = turn->row_count, .gaps = turn->gap_count};
}
