/* SPDX-License-Identifier: MIT */
/* A turn into the destination: what is new, the newest of each key, in order of the key, in one transaction. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import_turn.h"

/* ---- What is new ---------------------------------------------------------------------------------------------------------------- */

static void take_unit(struct tern_import *import, const struct tern_turn_unit *unit, int64_t now,
                      size_t *taken)
{
    struct tern_turn *turn = &import->turn;
    struct tern_mark *mark = &turn->ranges[unit->range].mark;
    if (unit->rejected) {
        tern_mark_miss(mark, unit->first, unit->last, TERN_GAP_REJECTED, now);
        return;
    }
    size_t gap = unit->gaps;
    for (size_t i = unit->rows; i < unit->rows_end; i++) {
        struct tern_turn_row *row = &turn->rows[i];
        for (; gap < unit->gaps_end && turn->gaps[gap].first < row->sequence; gap++)
            tern_mark_miss(mark, turn->gaps[gap].first, turn->gaps[gap].last, turn->gaps[gap].reason, now);
        if (row->sink.rejected)
            tern_mark_miss(mark, row->sequence, row->sequence, TERN_GAP_REJECTED, now);
        else if (tern_mark_take(mark, row->sequence, now))
            import->order[(*taken)++] = &row->sink;
    }
    for (; gap < unit->gaps_end; gap++)
        tern_mark_miss(mark, turn->gaps[gap].first, turn->gaps[gap].last, turn->gaps[gap].reason, now);
}

/* ---- Order ------------------------------------------------------------------------------------------------------------------------ */

/* What rows are sorted by, in front of the row itself: most comparisons end here. */
struct item {
    uint64_t major; /* schema, device */
    uint64_t minor; /* the beginning of the key */
    struct tern_sink_row *row;
    const struct tern_table *table;
};

static const struct tern_column *first_key(const struct tern_table *table, uint8_t *index)
{
    for (*index = 0; *index < table->column_count; (*index)++)
        if ((table->columns[*index].flags & TERN_KEY) != 0)
            return &table->columns[*index];
    return NULL;
}

static bool is_text(const struct tern_column *column)
{
    return TERN_TYPE_KIND(column->type) >= TERN_KIND_TEXT;
}

/* Numbers in order as unsigned ones; unsigned 64-bit columns among them are stored by bit pattern, and any order serves. */
static uint64_t key_start(const struct tern_table *table, const struct tern_sink_row *row)
{
    uint8_t index;
    const struct tern_column *column = first_key(table, &index);
    if (column == NULL)
        return (uint64_t)row->id;
    const struct tern_value *value = &row->values[index];
    if (!is_text(column))
        return (uint64_t)value->number ^ 1ull << 63;
    uint64_t start = 0;
    for (unsigned i = 0; i < 8; i++)
        start = start << 8 | (i < value->size ? ((const uint8_t *)value->data)[i] : 0u);
    return start;
}

static int compare_texts(const struct tern_value *a, const struct tern_value *b)
{
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common == 0 ? 0 : memcmp(a->data, b->data, common);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare_keys(const struct tern_table *table, const struct tern_sink_row *a,
                        const struct tern_sink_row *b)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct tern_value *x = &a->values[i], *y = &b->values[i];
        if ((table->columns[i].flags & TERN_KEY) == 0)
            continue;
        int order = is_text(&table->columns[i]) ? compare_texts(x, y)
                                                : (x->number > y->number) - (x->number < y->number);
        if (order != 0)
            return order;
    }
    return 0;
}

static bool has_one_key(const struct item *a, const struct item *b)
{
    return a->major == b->major && a->minor == b->minor &&
           (a->table->mode != TERN_APPEND && compare_keys(a->table, a->row, b->row) == 0);
}

static int compare_items(const void *x, const void *y)
{
    const struct item *a = x, *b = y;
    if (a->major != b->major)
        return a->major < b->major ? -1 : 1;
    if (a->minor != b->minor)
        return a->minor < b->minor ? -1 : 1;
    int order = compare_keys(a->table, a->row, b->row);
    return order != 0 ? order : (a->row->id < b->row->id) - (a->row->id > b->row->id);
}

static int compare_schemas(const void *x, const void *y)
{
    const struct tern_turn_schema *a = *(struct tern_turn_schema *const *)x,
                                  *b = *(struct tern_turn_schema *const *)y;
    int order = strcmp(a->schema->table.name, b->schema->table.name);
    return order != 0 ? order : (a->hash > b->hash) - (a->hash < b->hash);
}

static bool rank_schemas(struct tern_turn *turn)
{
    struct tern_turn_schema **sorted = malloc((turn->schema_count + 1) * sizeof(struct tern_turn_schema *));
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < turn->schema_count; i++)
        sorted[i] = &turn->schemas[i];
    qsort(sorted, turn->schema_count, sizeof(struct tern_turn_schema *), compare_schemas);
    for (size_t i = 0; i < turn->schema_count; i++)
        sorted[i]->rank = (uint32_t)i;
    free(sorted);
    return true;
}

static int compare_ranges(const void *x, const void *y)
{
    const struct tern_mark *a = &(*(struct tern_turn_range *const *)x)->mark,
                           *b = &(*(struct tern_turn_range *const *)y)->mark;
    int order = a->device == b->device ? 0 : strcmp(a->device, b->device);
    if (order == 0)
        order = (a->lane > b->lane) - (a->lane < b->lane);
    return order != 0 ? order : (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

/* ---- Loading ----------------------------------------------------------------------------------------------------------------------- */

struct applying {
    struct tern_import *import;
    struct tern_turn_range **ranges; /* in order of device, lane, epoch */
    uint32_t *device_ranks;          /* by range index */
    struct item *items;
    size_t count;
    size_t rejected;
    int64_t now;
    int64_t begun;
};

static bool is_sorted(const struct item *items, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_items(&items[i - 1], &items[i]) > 0)
            return false;
    return true;
}

/* Sorts import->order, and leaves the newest record of each key. Marks of snapshots are no rows. */
static void fold(struct applying *applying)
{
    struct tern_import *import = applying->import;
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < applying->count; i++) {
        struct tern_sink_row *row = import->order[i];
        const struct tern_turn_row *whole = (const struct tern_turn_row *)row;
        const struct tern_turn_schema *schema = &import->turn.schemas[whole->schema];
        if (row->op != TERN_OP_PUT && row->op != TERN_OP_DELETE)
            continue;
        applying->items[count++] =
            (struct item){(uint64_t)schema->rank << 32 | applying->device_ranks[whole->range],
                          key_start(&schema->schema->table, row), row, &schema->schema->table};
    }
    if (!is_sorted(applying->items, count))
        qsort(applying->items, count, sizeof applying->items[0], compare_items);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !has_one_key(&applying->items[i - 1], &applying->items[i]))
            import->order[kept++] = applying->items[i].row;
    applying->count = kept;
}

/* Groups import->order by schema, and leaves the order of arrival within each. */
static void group(struct applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < applying->count; i++) {
        const struct tern_turn_row *whole = (const struct tern_turn_row *)import->order[i];
        const struct tern_turn_schema *schema = &import->turn.schemas[whole->schema];
        applying->items[i] = (struct item){schema->rank, i, import->order[i], NULL};
    }
    size_t kept = 0;
    for (uint64_t rank = 0; rank < import->turn.schema_count; rank++)
        for (size_t i = 0; i < applying->count; i++)
            if (applying->items[i].major == rank)
                import->order[kept++] = applying->items[i].row;
}

static void reject(void *context, struct tern_sink_row *row, const char *reason)
{
    struct applying *applying = context;
    struct tern_turn *turn = &applying->import->turn;
    const struct tern_turn_row *whole = (const struct tern_turn_row *)row;
    char message[512];
    snprintf(message, sizeof message, "table %s refuses the record with tern_id %" PRId64 ": %s",
             turn->schemas[whole->schema].schema->table.name, row->id, reason);
    tern_import_report(applying->import, TERN_ERROR, "record-rejected", row->device, message);
    row->rejected = true;
    applying->rejected++;
    pthread_mutex_lock(&applying->import->mutex);
    applying->import->status.rejected++;
    pthread_mutex_unlock(&applying->import->mutex);
    for (size_t i = 0; i < turn->unit_count; i++) {
        struct tern_turn_unit *unit = &turn->units[i];
        if (unit->batch && &turn->rows[unit->rows] <= whole && whole < &turn->rows[unit->rows_end])
            unit->rejected = true;
    }
}

static int load_all(struct applying *applying)
{
    struct tern_import *import = applying->import;
    const struct tern_turn *turn = &import->turn;
    for (size_t i = 0, end; i < applying->count; i = end) {
        uint32_t schema = ((const struct tern_turn_row *)import->order[i])->schema;
        for (end = i; end < applying->count; end++)
            if (((const struct tern_turn_row *)import->order[end])->schema != schema)
                break;
        struct tern_sink_load load = {&turn->schemas[schema].schema->table,
                                      turn->schemas[schema].hash,
                                      import->order + i,
                                      end - i,
                                      reject,
                                      applying};
        int status = import->sink->ops->load(import->sink, &load);
        if (status != TERN_HOST_OK)
            return status;
    }
    return TERN_HOST_OK;
}

static int read_marks(struct applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < import->turn.range_count; i++) {
        struct tern_turn_range *range = applying->ranges[i];
        tern_mark_reset(&range->mark, range->base);
        range->mark.skipped = import->past_oldest || import->config.from != 0 ? TERN_GAP_RETENTION : 0;
        int status = import->sink->ops->read_mark(import->sink, &range->mark);
        if (status != TERN_HOST_OK)
            return status;
    }
    return TERN_HOST_OK;
}

static int write_marks(struct applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < import->turn.range_count; i++) {
        const struct tern_mark *mark = &applying->ranges[i]->mark;
        if (mark->failed)
            return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
        int status = mark->changed ? import->sink->ops->write_mark(import->sink, mark) : TERN_HOST_OK;
        if (status != TERN_HOST_OK)
            return status;
    }
    return TERN_HOST_OK;
}

static int commit(struct applying *applying)
{
    struct tern_import *import = applying->import;
    struct tern_sink_commit made = {.store = tern_stage_id(import->stage),
                                    .slot = import->slot,
                                    .cursor = tern_import_cursor(import),
                                    .at = applying->now,
                                    .rows = applying->count,
                                    .milliseconds = (uint64_t)(tern_import_clock() - applying->begun)};
    FILE *random = fopen("/dev/urandom", "rb");
    bool good = random != NULL && fread(&made.batch, sizeof made.batch, 1, random) == 1;
    if (random != NULL)
        fclose(random);
    if (!good)
        return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "cannot read /dev/urandom");
    return import->sink->ops->commit(import->sink, &made);
}

/* One transaction. Rejected rows end it without an error: it is to be rolled back and done again without them. */
static int transact(struct applying *applying)
{
    struct tern_import *import = applying->import;
    size_t fresh = 0;
    int status = import->sink->ops->begin(import->sink);
    if (status == TERN_HOST_OK)
        status = read_marks(applying);
    if (status != TERN_HOST_OK)
        return status;
    for (size_t i = 0; i < import->turn.unit_count; i++)
        take_unit(import, &import->turn.units[i], applying->now, &fresh);
    applying->count = fresh;
    applying->rejected = 0;
    if (import->sink->ops->folds)
        fold(applying);
    else
        group(applying);
    status = load_all(applying);
    if (status != TERN_HOST_OK || applying->rejected != 0)
        return status;
    status = write_marks(applying);
    if (status == TERN_HOST_OK)
        status = commit(applying);
    if (status == TERN_HOST_OK) {
        pthread_mutex_lock(&import->mutex);
        import->status.known += import->turn.row_count - fresh;
        import->status.rows += fresh;
        import->status.batches++;
        pthread_mutex_unlock(&import->mutex);
    }
    return status;
}

/* ---- Memory for it ----------------------------------------------------------------------------------------------------------------- */

static bool reserve_order(struct tern_import *import)
{
    if (import->turn.row_count <= import->order_room)
        return true;
    size_t room = import->turn.row_count + import->turn.row_count / 4;
    struct tern_sink_row **order = realloc(import->order, room * sizeof(struct tern_sink_row *));
    if (order == NULL)
        return false;
    import->order = order;
    import->order_room = room;
    return true;
}

static bool arrange(struct applying *applying)
{
    struct tern_turn *turn = &applying->import->turn;
    size_t count = turn->range_count;
    applying->ranges = malloc((count + 1) * sizeof(struct tern_turn_range *));
    applying->device_ranks = malloc((count + 1) * sizeof *applying->device_ranks);
    applying->items = malloc((turn->row_count + 1) * sizeof *applying->items);
    if (applying->ranges == NULL || applying->device_ranks == NULL || applying->items == NULL ||
        !rank_schemas(turn) || !reserve_order(applying->import))
        return false;
    for (size_t i = 0; i < count; i++)
        applying->ranges[i] = &turn->ranges[i];
    qsort(applying->ranges, count, sizeof(struct tern_turn_range *), compare_ranges);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        rank += i != 0 && applying->ranges[i]->mark.device != applying->ranges[i - 1]->mark.device;
        applying->device_ranks[applying->ranges[i] - turn->ranges] = rank;
    }
    return true;
}

int tern_import_apply(struct tern_import *import)
{
    struct applying applying = {.import = import, .now = tern_import_now(), .begun = tern_import_clock()};
    int status = TERN_HOST_OK;
    if (!arrange(&applying))
        status = tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    while (status == TERN_HOST_OK) {
        status = transact(&applying);
        if (status == TERN_HOST_OK && applying.rejected == 0)
            break;
        import->sink->ops->rollback(import->sink);
    }
    free(applying.ranges);
    free(applying.device_ranks);
    free(applying.items);
    return status;
}
