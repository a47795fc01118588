/* SPDX-License-Identifier: MIT */
/* Merge rules: what two rows of one key become. Whole rows, in any order, with the same result. */
#ifndef TERN_RULES_H
#define TERN_RULES_H

#include <stdbool.h>

#include "../core/tern.h"

/* A row with the records that are in it: the highest tern_id, which `last` columns follow, and the lowest,
 * for `first`. */
struct tern_rules_row {
    int64_t id;
    int64_t first;
    const struct tern_value *values; /* one a column */
};

/* The rule of a column: 0 (last), TERN_FIRST, TERN_MIN, TERN_MAX, TERN_ADD. */
static inline unsigned tern_rule(const struct tern_column *column)
{
    return column->flags & ~(unsigned)(TERN_KEY | TERN_NULLABLE);
}

/* Whether any column has a rule other than last. */
bool tern_has_rules(const struct tern_table *table);

/* Both rows into `out` (one value a column; it may be the values of either). A NULL is a value for `last` and
 * `first`, and none for the others. Texts are pointed to, not copied. -1, or the column whose sum does not
 * fit; `out` is then undefined. */
int tern_rules_combine(const struct tern_table *table, const struct tern_rules_row *a,
                       const struct tern_rules_row *b, struct tern_value *out);

#endif
