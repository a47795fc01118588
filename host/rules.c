/* SPDX-License-Identifier: MIT */
#include "rules.h"

#include <string.h>

bool tern_has_rules(const struct tern_table *table)
{
    for (uint8_t i = 0; i < table->column_count; i++)
        if (tern_rule(&table->columns[i]) != 0)
            return true;
    return false;
}

static int compare(const struct tern_column *column, const struct tern_value *a, const struct tern_value *b)
{
    unsigned kind = TERN_TYPE_KIND(column->type);
    if (kind == TERN_KIND_TEXT || kind == TERN_KIND_BYTES) {
        size_t common = a->size < b->size ? a->size : b->size;
        int order = common == 0 ? 0 : memcmp(a->data, b->data, common);
        return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
    }
    if (kind == TERN_KIND_UNSIGNED)
        return ((uint64_t)a->number > (uint64_t)b->number) - ((uint64_t)a->number < (uint64_t)b->number);
    return (a->number > b->number) - (a->number < b->number);
}

static bool add(const struct tern_column *column, const struct tern_value *a, const struct tern_value *b,
                struct tern_value *out)
{
    uint64_t sum;
    *out = *a;
    if (TERN_TYPE_KIND(column->type) != TERN_KIND_UNSIGNED)
        return !__builtin_add_overflow(a->number, b->number, &out->number);
    bool fits = !__builtin_add_overflow((uint64_t)a->number, (uint64_t)b->number, &sum);
    memcpy(&out->number, &sum, sizeof sum);
    return fits;
}

int tern_rules_combine(const struct tern_table *table, const struct tern_rules_row *a,
                       const struct tern_rules_row *b, struct tern_value *out)
{
    for (uint8_t i = 0; i < table->column_count; i++) {
        const struct tern_column *column = &table->columns[i];
        const struct tern_value x = a->values[i], y = b->values[i];
        unsigned rule = tern_rule(column);
        if (rule == 0)
            out[i] = a->id > b->id ? x : y;
        else if (rule == TERN_FIRST)
            out[i] = a->first < b->first ? x : y;
        else if (x.is_null || y.is_null)
            out[i] = x.is_null ? y : x;
        else if (rule == TERN_ADD && !add(column, &x, &y, &out[i]))
            return i;
        else if (rule != TERN_ADD)
            out[i] = (compare(column, &x, &y) < 0) == (rule == TERN_MIN) ? x : y;
    }
    return -1;
}
