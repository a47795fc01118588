/* SPDX-License-Identifier: MIT */
/* The order in which a turn's rows are loaded: by table and version, device, key; and one row a key, where
 * the destination folds. */
#include <stdlib.h>
#include <string.h>

#include "import_apply.h"
#include "rules.h"

/* ---- Order ----------------------------------------------------------------------------------- */

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

/* Numbers in order as unsigned ones; unsigned 64-bit columns among them are stored by bit pattern, and any
 * order serves. */
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

static bool has_one_key(const struct tern_import_item *a, const struct tern_import_item *b)
{
    return a->major == b->major && a->minor == b->minor &&
           (a->table->mode != TERN_APPEND && compare_keys(a->table, a->row, b->row) == 0);
}

static int compare_items(const void *x, const void *y)
{
    const struct tern_import_item *a = x, *b = y;
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

bool tern_import_rank_schemas(struct tern_turn *turn)
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

/* ---- Folding --------------------------------------------------------------------------------- */

static bool is_sorted(const struct tern_import_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_items(&items[i - 1], &items[i]) > 0)
            return false;
    return true;
}

static size_t group_of(const struct tern_import_item *item, size_t devices)
{
    return (size_t)(item->major >> 32) * devices + (uint32_t)item->major;
}

/* Deals the items out by table and device, in the order in which they came. False: too many groups for that,
 * or no memory. */
static bool deal_items(struct tern_import_applying *applying, size_t count)
{
    const struct tern_turn *turn = &applying->import->turn;
    size_t devices = turn->range_count, groups = turn->schema_count * devices;
    struct tern_import_item *from = applying->items;
    if (groups > count)
        return false;
    /* The transaction may be done again, and with more rows: a snapshot that is refused leaves what it would
     * have replaced. */
    struct tern_import_item *to = malloc((turn->row_count + 1) * sizeof *to);
    size_t *ends = calloc(groups + 1, sizeof *ends);
    if (to == NULL || ends == NULL) {
        free(to);
        free(ends);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        ends[group_of(&from[i], devices)]++;
    for (size_t i = 0, sum = 0; i < groups; i++) {
        size_t size = ends[i];
        ends[i] = sum;
        sum += size;
    }
    for (size_t i = 0; i < count; i++)
        to[ends[group_of(&from[i], devices)]++] = from[i];
    applying->items = to;
    free(from);
    free(ends);
    return true;
}

/* Devices take turns, but each one's rows mostly come in order of their keys: what is in order once it is
 * dealt out is left as it is. */
static void sort_items(struct tern_import_applying *applying, size_t count)
{
    if (is_sorted(applying->items, count))
        return;
    if (!deal_items(applying, count)) {
        qsort(applying->items, count, sizeof *applying->items, compare_items);
        return;
    }
    struct tern_import_item *items = applying->items;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && items[end].major == items[i].major;)
            end++;
        if (!is_sorted(items + i, end - i))
            qsort(items + i, end - i, sizeof *items, compare_items);
    }
}

static bool combine(struct tern_import_applying *applying, const struct tern_table *table,
                    struct tern_turn_row *into, struct tern_value *values, struct tern_turn_row *row)
{
    struct tern_rules_row a = {into->sink.id, into->sink.first, values},
                          b = {row->sink.id, row->sink.first, row->sink.values};
    if (tern_rules_combine(table, &a, &b, values) >= 0) {
        tern_import_reject(applying, &row->sink, "its sum with others of its key does not fit into 64 bits");
        return false;
    }
    into->sink.first = row->sink.first < into->sink.first ? row->sink.first : into->sink.first;
    row->into = into;
    return true;
}

/* The row that others are to be combined into, as the newest of them. NULL: out of memory. */
static struct tern_turn_row *begin_fold(struct tern_import_applying *applying, struct tern_turn_row *newest,
                                        const struct tern_table *table, struct tern_value **values)
{
    struct tern_turn_row *row = tern_turn_copy(&applying->import->turn, newest, table->column_count, values);
    if (row != NULL)
        memcpy(*values, newest->sink.values, table->column_count * sizeof **values);
    newest->into = row;
    return row;
}

struct tern_sink_row *tern_import_combine(struct tern_import_applying *applying,
                                          struct tern_turn_row *const *rows, size_t count)
{
    const struct tern_table *table = &applying->import->turn.schemas[rows[0]->schema].schema->table;
    struct tern_value *values;
    struct tern_turn_row *row = count == 1 ? rows[0] : begin_fold(applying, rows[0], table, &values);
    for (size_t i = 1; i < count && row != NULL; i++)
        if (!combine(applying, table, row, values, rows[i]))
            return NULL;
    return row == NULL ? NULL : &row->sink;
}

/* The rows of one key, newest first, into one: by the rules, or the newest alone. NULL: out of memory, or one
 * was rejected. */
static struct tern_sink_row *fold_key(struct tern_import_applying *applying,
                                      const struct tern_import_item *items, size_t count)
{
    const struct tern_table *table = items[0].table;
    struct tern_turn_row *newest = (struct tern_turn_row *)items[0].row;
    struct tern_value *values;
    newest->into = NULL;
    if (count == 1 || !tern_has_rules(table))
        return items[0].row;
    struct tern_turn_row *row = begin_fold(applying, newest, table, &values);
    for (size_t i = 1; i < count && row != NULL; i++)
        if (!combine(applying, table, row, values, (struct tern_turn_row *)items[i].row))
            return NULL;
    return row == NULL ? NULL : &row->sink;
}

static size_t end_of_key(const struct tern_import_item *items, size_t count, size_t first)
{
    size_t end = first + 1;
    while (end < count && has_one_key(&items[first], &items[end]))
        end++;
    return end;
}

static bool is_apart(const struct tern_import_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (((const struct tern_turn_row *)items[i].row)->apart)
            return true;
    return false;
}

/* `count` sorted items into import->order, but for the keys that stand apart. Returns how many rows it holds,
 * SIZE_MAX: out of memory. */
static size_t fold_keys(struct tern_import_applying *applying, size_t count)
{
    const struct tern_import_item *items = applying->items;
    size_t kept = 0;
    applying->apart = 0;
    for (size_t i = 0, end; i < count; i = end) {
        end = end_of_key(items, count, i);
        if (applying->unfolds && is_apart(items + i, end - i)) {
            applying->apart += end - i;
            continue;
        }
        struct tern_sink_row *row = fold_key(applying, items + i, end - i);
        if (row == NULL && applying->rejected == 0)
            return SIZE_MAX;
        if (row != NULL)
            applying->import->order[kept++] = row;
    }
    return kept;
}

/* The keys that stand apart behind the others. Items of a key stand newest first. */
static void add_apart(struct tern_import_applying *applying, size_t count, size_t kept)
{
    const struct tern_import_item *items = applying->items;
    for (size_t i = 0, end; i < count && applying->apart != 0; i = end) {
        end = end_of_key(items, count, i);
        for (size_t k = end; is_apart(items + i, end - i) && k-- > i;) {
            ((struct tern_turn_row *)items[k].row)->into = NULL;
            items[k].row->fresh = false;
            applying->import->order[kept++] = items[k].row;
        }
    }
}

bool tern_import_fold(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    struct tern_import_item *items = applying->items;
    size_t count = 0;
    for (size_t i = 0; i < applying->count; i++) {
        struct tern_sink_row *row = import->order[i];
        const struct tern_turn_row *whole = (const struct tern_turn_row *)row;
        const struct tern_turn_schema *schema = &import->turn.schemas[whole->schema];
        items[count++] =
            (struct tern_import_item){(uint64_t)schema->rank << 32 | applying->device_ranks[whole->range],
                                      key_start(&schema->schema->table, row), row, &schema->schema->table};
    }
    sort_items(applying, count);
    size_t kept = fold_keys(applying, count);
    if (kept == SIZE_MAX)
        return false;
    add_apart(applying, count, kept);
    applying->count = kept + applying->apart;
    return true;
}

void tern_import_group(struct tern_import_applying *applying)
{
    struct tern_import *import = applying->import;
    for (size_t i = 0; i < applying->count; i++) {
        const struct tern_turn_row *whole = (const struct tern_turn_row *)import->order[i];
        const struct tern_turn_schema *schema = &import->turn.schemas[whole->schema];
        applying->items[i] = (struct tern_import_item){schema->rank, i, import->order[i], NULL};
    }
    size_t kept = 0;
    for (uint64_t rank = 0; rank < import->turn.schema_count; rank++)
        for (size_t i = 0; i < applying->count; i++)
            if (applying->items[i].major == rank)
                import->order[kept++] = applying->items[i].row;
}
