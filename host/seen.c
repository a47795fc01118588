/* SPDX-License-Identifier: MIT */
#include "seen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../core/crc32c.h"
#include "filter.h"

#define WRONG_MAX 3u         /* times in a row that a device may be wrong */
#define REST      256u       /* transactions that it then merges */
#define NEVER     UINT64_MAX /* asked for */
#define NONE      INT64_MIN  /* the mark of an entry without keys in the generation before */
#define UNKNOWN   INT64_MAX  /* and of one that a run before this made */

struct entry {
    uint64_t id;              /* of device and table, 0: free */
    int64_t highest, pending; /* of what was brought in and what is asked for; with this transaction */
    int64_t low, high;        /* the zone; of an entry that is not covered it ends at the highest */
    int64_t mark;             /* the highest when the filter's generation began */
    uint64_t asks;            /* at this transaction again: what is not above is not asked for each time */
    uint32_t wrong;
    bool known;                 /* the destination has nothing above the highest */
    bool covered;               /* the filter has all keys outside of the zone */
    bool probed;                /* the destination was asked whether it has any row of it */
    bool changed;               /* the zone is to be written down */
    bool touched, held, judged; /* in this try: held: rows were said to be fresh */
};

struct tern_seen {
    struct entry *entries; /* by hash; at least half are free */
    size_t room, count;
    size_t *touched;
    size_t touched_count, touched_room;
    uint64_t turn;
    struct tern_filter filter;
    uint64_t *hashes; /* of keys that this transaction brings in */
    size_t hash_count, hash_room;
    bool is_kept; /* from a run before this, and not compared with the destination yet */
};

struct tern_seen *tern_seen_open(uint32_t bytes)
{
    struct tern_seen *seen = calloc(1, sizeof *seen);
    if (seen != NULL)
        tern_filter_open(&seen->filter, bytes);
    return seen;
}

static void clear(struct tern_seen *seen)
{
    if (seen->room != 0)
        memset(seen->entries, 0, seen->room * sizeof *seen->entries);
    seen->count = seen->touched_count = seen->hash_count = 0;
    seen->is_kept = false;
}

void tern_seen_forget(struct tern_seen *seen)
{
    clear(seen);
    tern_filter_forget(&seen->filter);
}

void tern_seen_close(struct tern_seen *seen)
{
    if (seen == NULL)
        return;
    tern_filter_close(&seen->filter);
    free(seen->entries);
    free(seen->touched);
    free(seen->hashes);
    free(seen);
}

/* ---- Entries --------------------------------------------------------------------------------- */

static uint64_t id_of(const char *device, const char *table)
{
    uint64_t id = tern_bloom_hash(tern_bloom_hash(0, device, strlen(device) + 1), table, strlen(table));
    return id == 0 ? 1 : id;
}

static size_t place_of(const struct tern_seen *seen, uint64_t id)
{
    size_t place = (size_t)(id * 0x9E3779B97F4A7C15u >> 32) & (seen->room - 1);
    while (seen->entries[place].id != 0 && seen->entries[place].id != id)
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
        if (seen->entries[i].id != 0)
            bigger.entries[place_of(&bigger, seen->entries[i].id)] = seen->entries[i];
    free(seen->entries);
    *seen = bigger;
    /* The places of touched ones have changed. */
    seen->touched_count = 0;
    for (size_t i = 0; i < seen->room; i++)
        if (seen->entries[i].touched)
            seen->touched[seen->touched_count++] = i;
    return true;
}

static struct entry *find(struct tern_seen *seen, uint64_t id)
{
    if (2 * seen->count >= seen->room && !grow(seen))
        return NULL;
    struct entry *entry = &seen->entries[place_of(seen, id)];
    if (entry->id == 0) {
        *entry = (struct entry){.id = id, .highest = INT64_MIN, .low = INT64_MIN, .mark = NONE};
        seen->count++;
    }
    return entry;
}

static struct entry *touch(struct tern_seen *seen, uint64_t id)
{
    if (seen->touched_count == seen->touched_room) {
        size_t room = seen->touched_room == 0 ? 1024 : seen->touched_room * 2;
        size_t *touched = realloc(seen->touched, room * sizeof *touched);
        if (touched == NULL)
            return NULL;
        seen->touched = touched;
        seen->touched_room = room;
    }
    struct entry *entry = find(seen, id);
    if (entry != NULL && !entry->touched) {
        entry->touched = true;
        entry->pending = entry->highest;
        seen->touched[seen->touched_count++] = (size_t)(entry - seen->entries);
    }
    return entry;
}

/* From now on the filter takes its keys. What is there before them is the zone. */
static void cover(struct tern_seen *seen, struct entry *entry)
{
    if (!tern_filter_ready(&seen->filter))
        return;
    entry->covered = entry->changed = true;
    entry->high = entry->pending;
    entry->mark = NONE;
}

/* The destination has, or may have, what is neither in the filter nor in the zone. */
static void uncover(struct entry *entry)
{
    entry->changed = entry->changed || entry->covered;
    entry->covered = false;
    entry->low = INT64_MIN;
}

/* ---- Kept from run to run -------------------------------------------------------------------- */

static struct tern_filter_zone zone_of(const struct entry *entry)
{
    struct tern_filter_zone zone = {entry->id, INT64_MIN, INT64_MAX};
    if (entry->covered) {
        zone.low = entry->low;
        zone.high = entry->high;
    }
    return zone;
}

/* The zones that have changed in this try, and the keys that it brings in. Without memory for that the file
 * goes. */
static void write_changes(struct tern_seen *seen, uint64_t batch)
{
    size_t count = 0;
    struct tern_filter_zone *zones = malloc((seen->touched_count + 1) * sizeof *zones);
    for (size_t i = 0; i < seen->touched_count && zones != NULL; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        if (entry->changed)
            zones[count++] = zone_of(entry);
        entry->changed = false;
    }
    if (zones != NULL)
        tern_filter_write(&seen->filter, batch, zones, count, seen->hashes, seen->hash_count);
    else
        tern_filter_give_up(&seen->filter);
    free(zones);
}

/* All zones, into the file of a new generation. */
static void write_all(struct tern_seen *seen)
{
    size_t count = 0;
    struct tern_filter_zone *zones = malloc((seen->count + 1) * sizeof *zones);
    for (size_t i = 0; i < seen->room && zones != NULL; i++) {
        if (seen->entries[i].covered)
            zones[count++] = zone_of(&seen->entries[i]);
        seen->entries[i].changed = false;
    }
    if (zones != NULL)
        tern_filter_turn(&seen->filter, zones, count);
    else
        tern_filter_give_up(&seen->filter);
    free(zones);
}

static void take_zone(void *context, const struct tern_filter_zone *zone)
{
    struct entry *entry = zone->id == 0 ? NULL : find(context, zone->id);
    if (entry == NULL)
        return;
    entry->covered = zone->low != INT64_MIN || zone->high != INT64_MAX;
    entry->low = zone->low;
    entry->high = zone->high;
    entry->mark = UNKNOWN;
}

void tern_seen_keep(struct tern_seen *seen, const struct tern_seen_config *config)
{
    char path[4096];
    uint64_t identity[] = {config->store, (uint64_t)config->worker << 32 | config->workers};
    if (seen->filter.bytes == 0)
        return;
    snprintf(path, sizeof path, "%.4000s/seen", config->directory);
    mkdir(path, 0750);
    snprintf(path, sizeof path, "%.4000s/seen/%08" PRIx32 "-%" PRIu32, config->directory,
             tern_crc32c(0, config->url, strlen(config->url)), config->worker);
    uint64_t hash =
        tern_bloom_hash(tern_bloom_hash(0, config->url, strlen(config->url)), identity, sizeof identity);
    seen->is_kept = tern_filter_keep(&seen->filter, path, hash, take_zone, seen);
    if (!seen->is_kept)
        clear(seen);
}

int tern_seen_connect(struct tern_seen *seen, struct tern_sink *sink)
{
    bool found = !seen->is_kept;
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < TERN_FILTER_BATCHES && !found && sink->ops->find_batch != NULL; i++)
        if (seen->filter.batches[i] != 0) {
            status = sink->ops->find_batch(sink, seen->filter.batches[i], &found);
            if (status != TERN_HOST_OK)
                return status;
        }
    if (!found)
        tern_seen_forget(seen);
    seen->is_kept = false;
    for (size_t i = 0; i < seen->room; i++) {
        seen->entries[i].known = seen->entries[i].touched = false;
        seen->entries[i].asks = 0;
    }
    seen->touched_count = seen->hash_count = 0;
    return status;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static void release(struct tern_seen *seen)
{
    for (size_t i = 0; i < seen->touched_count; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        entry->touched = entry->held = entry->judged = false;
    }
    seen->touched_count = seen->hash_count = 0;
}

void tern_seen_begin(struct tern_seen *seen, bool wrong)
{
    seen->hash_count = 0;
    for (size_t i = 0; i < seen->touched_count; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        if (!wrong || !entry->held)
            continue;
        uncover(entry);
        entry->known = false;
        entry->wrong++;
        entry->asks = seen->turn + (entry->wrong < WRONG_MAX ? 1 : REST);
    }
    if (wrong)
        write_changes(seen, 0);
    release(seen);
    seen->turn++;
}

void tern_seen_write(struct tern_seen *seen, uint64_t batch)
{
    if (seen->filter.path != NULL && seen->filter.memory != NULL)
        write_changes(seen, batch);
}

/* The filter has forgotten what it took before this generation's predecessor began. */
static void age(struct tern_seen *seen)
{
    for (size_t i = 0; i < seen->room; i++) {
        struct entry *entry = &seen->entries[i];
        if (!entry->covered)
            continue;
        if (entry->mark == UNKNOWN) {
            uncover(entry);
        } else if (entry->mark != NONE) {
            entry->low = INT64_MIN;
            entry->high = entry->mark > entry->high ? entry->mark : entry->high;
        }
        entry->mark = entry->highest;
    }
}

void tern_seen_commit(struct tern_seen *seen)
{
    bool aged = false;
    for (size_t i = 0; i < seen->touched_count; i++) {
        struct entry *entry = &seen->entries[seen->touched[i]];
        entry->highest = entry->pending;
        if (entry->held)
            entry->wrong = 0;
    }
    for (size_t i = 0; i < seen->hash_count; i++)
        if (tern_filter_add(&seen->filter, seen->hashes[i])) {
            age(seen);
            aged = true;
        }
    release(seen);
    if (aged)
        write_all(seen);
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* What is looked at: rows of one device and one table, in order of the key. */
struct sight {
    struct tern_seen *seen;
    struct tern_sink *sink;
    const struct tern_table *table;
    struct tern_sink_row *const *rows;
    size_t count;
    struct entry *entry;
    int first; /* the first key column, -1: there is none; NO_NUMBER: it has no order here */
};

#define NO_NUMBER (-2)

/* The first key column, when its values are numbers in the database's order whatever the version of the
 * schema. */
static int first_key(const struct tern_table *table)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        unsigned kind = TERN_TYPE_KIND(table->columns[i].type);
        if ((table->columns[i].flags & TERN_KEY) == 0)
            continue;
        bool plain = kind == TERN_KIND_SIGNED || kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS ||
                     (kind == TERN_KIND_UNSIGNED && TERN_TYPE_PARAMETER(table->columns[i].type) < 64);
        return plain ? i : NO_NUMBER;
    }
    return -1;
}

static int64_t number_of(const struct sight *sight, size_t row)
{
    return sight->first < 0 ? 0 : sight->rows[row]->values[sight->first].number;
}

static uint64_t hash_of(const struct sight *sight, const struct tern_sink_row *row)
{
    uint64_t hash = sight->entry->id;
    for (uint8_t i = 0; i < sight->table->column_count; i++) {
        const struct tern_value *value = &row->values[i];
        if ((sight->table->columns[i].flags & TERN_KEY) == 0)
            continue;
        uint64_t size = value->size;
        if (TERN_TYPE_KIND(sight->table->columns[i].type) < TERN_KIND_TEXT) {
            hash = tern_bloom_hash(hash, &value->number, sizeof value->number);
        } else {
            hash = tern_bloom_hash(hash, value->data, value->size);
            hash = tern_bloom_hash(hash, &size, sizeof size);
        }
    }
    return hash;
}

/* Whether the device has no row at all; asked once. */
static int probe(const struct sight *sight)
{
    struct entry *entry = sight->entry;
    const struct tern_sink_ops *ops = sight->sink->ops;
    bool any = true;
    int status = TERN_HOST_OK;
    if (entry->probed || ops->has_rows == NULL || sight->table->mode != TERN_MERGE ||
        sight->seen->filter.bytes == 0)
        return status;
    status = ops->has_rows(sight->sink, sight->table, sight->rows[0]->device, &any);
    entry->probed = status == TERN_HOST_OK;
    if (!any) {
        entry->known = true;
        entry->highest = entry->pending = INT64_MIN;
        entry->low = INT64_MAX;
    }
    return status;
}

/* Whether everything from `rows` on is above what the destination has; asked only when it is not known. */
static int ask(const struct sight *sight)
{
    struct entry *entry = sight->entry;
    bool above = false;
    int64_t first = number_of(sight, 0);
    int status = sight->sink->ops->is_above(sight->sink, sight->table, sight->rows[0], &above);
    if (status == TERN_HOST_OK && above && first != INT64_MIN) {
        entry->known = true;
        entry->highest = entry->pending = first - 1;
        return status;
    }
    if (status == TERN_HOST_OK)
        status = sight->sink->ops->is_above(sight->sink, sight->table, sight->rows[sight->count - 1], &above);
    if (status == TERN_HOST_OK && above) {
        /* Its highest is somewhere among these: they merge, and what is above the last is new next time. */
        entry->known = true;
        entry->highest = entry->pending = number_of(sight, sight->count - 1);
    } else {
        entry->asks = sight->seen->turn + 16;
    }
    return status;
}

/* What is known of the device, from the destination if need be. */
static int learn(const struct sight *sight)
{
    struct entry *entry = sight->entry;
    if (entry->wrong >= WRONG_MAX && entry->asks <= sight->seen->turn)
        entry->wrong = 0;
    if (entry->known || entry->covered || entry->asks > sight->seen->turn)
        return TERN_HOST_OK;
    int status = probe(sight);
    if (status != TERN_HOST_OK || entry->known)
        return status;
    if (sight->first >= 0)
        return ask(sight);
    entry->asks = NEVER;
    return status;
}

static bool is_in_order(const struct sight *sight)
{
    for (size_t i = 1; i < sight->count; i++)
        if (sight->rows[i]->id < sight->rows[i - 1]->id)
            return false;
    return number_of(sight, 0) > sight->entry->pending;
}

/* Whether the filter vouches for the key. What it does not have yet, it is given when the transaction is
 * committed. */
static bool is_missing(const struct sight *sight, size_t row)
{
    struct tern_seen *seen = sight->seen;
    const struct entry *entry = sight->entry;
    int64_t number = number_of(sight, row);
    if (!entry->covered || (number >= entry->low && number <= entry->high))
        return false;
    uint64_t hash = hash_of(sight, sight->rows[row]);
    if (tern_filter_has(&seen->filter, hash))
        return false;
    seen->hashes[seen->hash_count++] = hash;
    /* Another version of the table in this transaction may just have brought it. */
    return !entry->judged || number > entry->pending;
}

static bool reserve_hashes(struct tern_seen *seen, size_t count)
{
    if (seen->hash_count + count <= seen->hash_room)
        return true;
    size_t room = (seen->hash_count + count) * 2;
    uint64_t *hashes = realloc(seen->hashes, room * sizeof *hashes);
    if (hashes == NULL)
        return false;
    seen->hashes = hashes;
    seen->hash_room = room;
    return true;
}

static void judge_rows(const struct sight *sight)
{
    struct entry *entry = sight->entry;
    if (entry->covered && !reserve_hashes(sight->seen, sight->count))
        uncover(entry);
    for (size_t i = 0; i < sight->count; i++) {
        struct tern_sink_row *row = sight->rows[i];
        bool missing = is_missing(sight, i);
        bool above = sight->first >= 0 && entry->known && number_of(sight, i) > entry->pending;
        row->fresh = row->op == TERN_OP_PUT && (missing || above);
        entry->held = entry->held || row->fresh;
    }
    int64_t lowest = number_of(sight, 0), highest = number_of(sight, sight->count - 1);
    if (!entry->covered && lowest < entry->low)
        entry->low = lowest;
    if (highest > entry->pending)
        entry->pending = highest;
    entry->judged = true;
}

static void set_all(struct tern_sink_row *const *rows, size_t count, bool fresh)
{
    for (size_t i = 0; i < count; i++)
        rows[i]->fresh = fresh;
}

int tern_seen_judge(struct tern_seen *seen, struct tern_sink *sink, const struct tern_table *table,
                    struct tern_sink_row *const *rows, size_t count)
{
    struct sight sight = {seen, sink, table, rows, count, NULL, first_key(table)};
    /* Where tern_id is the key, the checkpoint has said that it is new. */
    set_all(rows, count, table->mode == TERN_APPEND);
    if (table->mode == TERN_APPEND || sight.first == -1 || sink->ops->is_above == NULL)
        return TERN_HOST_OK;
    sight.entry = touch(seen, id_of(rows[0]->device, table->name));
    if (sight.entry == NULL)
        return TERN_HOST_OK;
    struct entry *entry = sight.entry;
    bool was_known = entry->known;
    int status = learn(&sight);
    if (status != TERN_HOST_OK || (!entry->known && !entry->covered))
        return status;
    bool is_blank = entry->known && entry->low == INT64_MAX;
    if (!entry->covered && table->mode == TERN_MERGE && (was_known || is_blank) &&
        (sight.first < 0 || !is_in_order(&sight)))
        cover(seen, entry);
    if (sight.first >= 0 || entry->covered)
        judge_rows(&sight);
    return status;
}
