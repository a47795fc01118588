/* SPDX-License-Identifier: MIT */
#include "seen.h"

#include <stdlib.h>
#include <string.h>

#define WRONG_MAX 3u   /* times in a row that a device may be wrong */
#define REST      256u /* transactions that it then merges */

struct entry {
    const char *device; /* NULL: free */
    const char *table;
    int64_t highest, pending;
    uint64_t asks; /* at this transaction again: what is not above is not asked for each time */
    uint32_t wrong;
    bool known, touched, held; /* held: rows were said to be fresh in this try */
};

struct tern_seen {
    struct entry *entries; /* by hash; at least half are free */
    size_t room, count;
    size_t *touched;
    size_t touched_count, touched_room;
    uint64_t turn;
};

struct tern_seen *tern_seen_open(void)
{
    return calloc(1, sizeof(struct tern_seen));
}

void tern_seen_forget(struct tern_seen *seen)
{
    if (seen->room != 0)
        memset(seen->entries, 0, seen->room * sizeof *seen->entries);
    seen->count = seen->touched_count = 0;
}

void tern_seen_close(struct tern_seen *seen)
{
    if (seen == NULL)
        return;
    free(seen->entries);
    free(seen->touched);
    free(seen);
}

/* ---- Entries ------------------------------------------------------------------------------------------------------------------------ */

static size_t place_of(const struct tern_seen *seen, const char *device, const char *table)
{
    uint64_t hash = (uint64_t)(uintptr_t)device;
    for (const char *c = table; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001B3u;
    size_t place = (size_t)(hash * 0x9E3779B97F4A7C15u >> 32) & (seen->room - 1);
    while (seen->entries[place].device != NULL &&
           (seen->entries[place].device != device || strcmp(seen->entries[place].table, table) != 0))
        place = (place + 1) & (seen->room - 1);
    return place;
}

static bool grow(struct tern_seen *seen)
{
    struct tern_seen bigger = *seen;
    bigger.room = seen->room == 0 ? 1024 : seen->room * 2;
    bigger.entries = calloc(bigger.room, sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return false;
    for (size_t i = 0; i < seen->room; i++)
        if (seen->entries[i].device != NULL)
            bigger.entries[place_of(&bigger, seen->entries[i].device, seen->entries[i].table)] =
                seen->entries[i];
    free(seen->entries);
    *seen = bigger;
    /* The places of touched ones have changed. */
    seen->touched_count = 0;
    for (size_t i = 0; i < seen->room; i++)
        if (seen->entries[i].touched)
            seen->touched[seen->touched_count++] = i;
    return true;
}

static struct entry *find(struct tern_seen *seen, const char *device, const char *table)
{
    if (2 * seen->count >= seen->room && !grow(seen))
        return NULL;
    if (seen->touched_count == seen->touched_room) {
        size_t room = seen->touched_room == 0 ? 1024 : seen->touched_room * 2;
        size_t *touched = realloc(seen->touched, room * sizeof *touched);
        if (touched == NULL)
            return NULL;
        seen->touched = touched;
        seen->touched_room = room;
    }
    size_t place = place_of(seen, device, table);
    struct entry *entry = &seen->entries[place];
    if (entry->device == NULL) {
        entry->device = device;
        entry->table = table;
        seen->count++;
    }
    if (!entry->touched) {
        entry->touched = true;
        entry->held = false;
        entry->pending = entry->highest;
        seen->touched[seen->touched_count++] = place;
    }
    return entry;
}

/* ---- Transactions ---------------------------------------------------------------------------------------------------------------------- */

void tern_seen_begin(struct tern_seen *seen, bool wrong)
{
    for (size_t i = 0; i < seen->touched_count; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        if (wrong && entry->held) {
            entry->known = false;
            entry->wrong++;
            entry->asks = seen->turn + (entry->wrong < WRONG_MAX ? 1 : REST);
        }
        entry->touched = entry->held = false;
    }
    seen->touched_count = 0;
    seen->turn++;
}

void tern_seen_commit(struct tern_seen *seen)
{
    for (size_t i = 0; i < seen->touched_count; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        entry->highest = entry->pending;
        if (entry->held)
            entry->wrong = 0;
        entry->touched = entry->held = false;
    }
    seen->touched_count = 0;
}

/* ---- Judging ---------------------------------------------------------------------------------------------------------------------------- */

/* The first key column, when its values are numbers in the database's order whatever the version of the schema. */
static int first_key(const struct tern_table *table)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        unsigned kind = TERN_TYPE_KIND(table->columns[i].type);
        if ((table->columns[i].flags & TERN_KEY) == 0)
            continue;
        bool plain = kind == TERN_KIND_SIGNED || kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS ||
                     (kind == TERN_KIND_UNSIGNED && TERN_TYPE_PARAMETER(table->columns[i].type) < 64);
        return plain ? i : -1;
    }
    return -1;
}

/* Whether everything from `rows` on is above what the destination has; asked only when it is not known. */
static int ask(struct tern_seen *seen, struct tern_sink *sink, const struct tern_table *table,
               struct entry *entry, struct tern_sink_row *const *rows, size_t count, int key)
{
    bool above = false;
    int status = sink->ops->is_above(sink, table, rows[0], &above);
    if (status == TERN_HOST_OK && above) {
        entry->known = true;
        entry->pending = rows[0]->values[key].number - 1;
        return status;
    }
    if (status == TERN_HOST_OK)
        status = sink->ops->is_above(sink, table, rows[count - 1], &above);
    if (status == TERN_HOST_OK && above) {
        /* Its highest is somewhere among these: they merge, and what is above the last is new next time. */
        entry->known = true;
        entry->pending = rows[count - 1]->values[key].number;
    } else {
        entry->asks = seen->turn + 16;
    }
    return status;
}

static void set_all(struct tern_sink_row *const *rows, size_t count, bool fresh)
{
    for (size_t i = 0; i < count; i++)
        rows[i]->fresh = fresh;
}

int tern_seen_judge(struct tern_seen *seen, struct tern_sink *sink, const struct tern_table *table,
                    struct tern_sink_row *const *rows, size_t count)
{
    int key = table->mode == TERN_APPEND ? -1 : first_key(table), status = TERN_HOST_OK;
    /* Where tern_id is the key, the checkpoint has said that it is new. */
    set_all(rows, count, table->mode == TERN_APPEND);
    struct entry *entry =
        key < 0 || sink->ops->is_above == NULL ? NULL : find(seen, rows[0]->device, table->name);
    if (entry == NULL)
        return TERN_HOST_OK;
    if (entry->wrong >= WRONG_MAX && entry->asks <= seen->turn)
        entry->wrong = 0;
    if (!entry->known && entry->asks <= seen->turn)
        status = ask(seen, sink, table, entry, rows, count, key);
    if (status != TERN_HOST_OK || !entry->known)
        return status;
    for (size_t i = 0; i < count; i++) {
        rows[i]->fresh = rows[i]->op == TERN_OP_PUT && rows[i]->values[key].number > entry->pending;
        entry->held = entry->held || rows[i]->fresh;
    }
    if (rows[count - 1]->values[key].number > entry->pending)
        entry->pending = rows[count - 1]->values[key].number;
    return status;
}
