/* SPDX-License-Identifier: MIT */
/* Which of the records that merge rules have combined is at fault: they are loaded again in pieces, combined
 * anew, in a transaction that will be rolled back. */
#include <stdlib.h>

#include "import_apply.h"

static int compare_rows(const void *x, const void *y)
{
    const struct tern_turn_row *a = *(struct tern_turn_row *const *)x, *b = *(struct tern_turn_row *const *)y;
    uintptr_t p = (uintptr_t)a->into, q = (uintptr_t)b->into;
    return p != q ? (p > q) - (p < q) : (a->sink.id < b->sink.id) - (a->sink.id > b->sink.id);
}

/* Every record of a row that was refused, row by row, newest first. */
static size_t gather(struct tern_turn *turn, struct tern_turn_row **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < turn->row_count; i++)
        if (turn->rows[i].into != NULL && turn->rows[i].into->sink.rejected)
            rows[count++] = &turn->rows[i];
    qsort(rows, count, sizeof(struct tern_turn_row *), compare_rows);
    return count;
}

/* The records of one row. What the database takes stays, because a record may be refused for what another one
 * has brought. */
static int unfold_row(struct tern_import_applying *applying, struct tern_turn_row **rows, size_t count)
{
    size_t piece = count / 2, refused = applying->refused;
    int status = TERN_HOST_OK;
    for (size_t first = 0; first < count && status == TERN_HOST_OK;) {
        size_t size = count - first < piece ? count - first : piece, before = applying->refused;
        struct tern_sink_row *row = tern_import_combine(applying, rows + first, size);
        if (row == NULL && before == applying->refused)
            return tern_sink_fail(applying->import->sink, TERN_HOST_E_SYSTEM, "out of memory");
        if (row != NULL) {
            row->fresh = false;
            status = tern_import_load(applying, &row, 1, true);
        }
        bool stays = row != NULL && row->rejected && size > 1;
        first += stays ? 0 : size;
        piece = stays ? size / 2 : piece * 2;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i]->into = NULL;
        rows[i]->apart = rows[i]->apart || refused == applying->refused;
    }
    applying->unfolds = applying->unfolds || refused == applying->refused;
    return status;
}

int tern_import_unfold(struct tern_import_applying *applying)
{
    struct tern_turn *turn = &applying->import->turn;
    struct tern_turn_row **rows = malloc((turn->row_count + 1) * sizeof(struct tern_turn_row *));
    int status = TERN_HOST_OK;
    if (rows == NULL)
        return tern_sink_fail(applying->import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    size_t count = gather(turn, rows);
    for (size_t i = 0, end; i < count && status == TERN_HOST_OK; i = end) {
        const struct tern_turn_row *whole = rows[i]->into;
        for (end = i + 1; end < count && rows[end]->into == whole;)
            end++;
        status = unfold_row(applying, rows + i, end - i);
    }
    free(rows);
    return status;
}
