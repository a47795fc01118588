/* SPDX-License-Identifier: MIT */
/* The rule of what is new, against a model that remembers every record by itself. */
#include "../test.h"

#include <string.h>

#include "../../core/frame.h"
#include "../../host/mark.h"

#define RECORDS 200

struct model {
    uint32_t applied;
    uint8_t reason[RECORDS + 1]; /* 0: there, or not yet reached */
};

static void miss(struct model *model, uint32_t first, uint32_t last, uint8_t reason)
{
    for (uint32_t i = model->applied + 1; i < first; i++)
        model->reason[i] = TERN_GAP_RETENTION;
    for (uint32_t i = first > model->applied ? first : model->applied + 1; i <= last; i++)
        model->reason[i] = reason;
    if (last > model->applied)
        model->applied = last;
}

/* A reason that is final takes the place of one that is not. */
static void give_up(struct model *model, uint32_t first, uint32_t last, uint8_t reason)
{
    for (uint32_t i = first; i <= last && i <= model->applied && reason < TERN_GAP_HELD; i++) {
        bool may_come = model->reason[i] == TERN_GAP_RETENTION || model->reason[i] == TERN_GAP_HELD;
        bool refused = model->reason[i] != 0 && reason == TERN_GAP_REJECTED;
        if (reason != TERN_GAP_RETENTION && (may_come || refused))
            model->reason[i] = reason;
    }
}

static bool take(struct model *model, uint32_t sequence)
{
    bool is_new = sequence > model->applied || model->reason[sequence] != 0;
    miss(model, sequence, sequence, 0);
    model->reason[sequence] = 0;
    return is_new;
}

static void check_same(const struct tern_mark *mark, const struct model *model)
{
    uint8_t reason[RECORDS + 1] = {0};
    uint32_t before = 0;
    CHECK_EQ(mark->applied, model->applied);
    for (size_t i = 0; i < mark->gaps.count; i++) {
        const struct tern_gap *gap = &mark->gaps.list[i];
        CHECK(gap->first > before && gap->first <= gap->last && gap->last <= model->applied);
        before = gap->last;
        for (uint32_t k = gap->first; k <= gap->last && k <= RECORDS; k++)
            reason[k] = gap->reason;
    }
    CHECK(memcmp(reason, model->reason, sizeof reason) == 0);
}

/* The gaps as a destination's table would have them. */
static uint8_t table[RECORDS + 1][RECORDS + 1];

static int remove_gap(void *context, const struct tern_gap *gap)
{
    (void)context;
    CHECK_EQ(table[gap->first][gap->last], gap->reason);
    table[gap->first][gap->last] = 0;
    return 0;
}

static int add_gap(void *context, const struct tern_gap *gap)
{
    (void)context;
    CHECK_EQ(table[gap->first][gap->last], 0);
    table[gap->first][gap->last] = gap->reason;
    return 0;
}

/* Writes the mark as a transaction's end does, and reads it as the next one does. */
static void write_and_read(struct tern_mark *mark)
{
    uint32_t applied = mark->applied;
    CHECK_EQ(tern_mark_difference(mark, remove_gap, add_gap, NULL), 0);
    tern_mark_reset(mark, 1);
    mark->applied = applied;
    for (uint32_t first = 1; first <= RECORDS; first++)
        for (uint32_t last = first; last <= RECORDS; last++)
            if (table[first][last] != 0)
                tern_mark_add_read(mark, &(struct tern_gap){first, last, table[first][last], 0});
}

static uint64_t seed;

static void random_orders_agree_with_a_model(void)
{
    for (unsigned round = 0; round < 300; round++) {
        struct model model = {0};
        struct tern_mark mark = {.device = "dev1"};
        memset(table, 0, sizeof table);
        tern_mark_reset(&mark, 1);
        for (unsigned step = 0; step < 100; step++) {
            uint32_t first = 1 + (uint32_t)(test_random(&seed) % RECORDS);
            uint32_t last = first + (uint32_t)(test_random(&seed) % 20);
            last = last > RECORDS ? RECORDS : last;
            /* Mostly near the front, as records come. */
            if (test_random(&seed) % 4 != 0 && model.applied < RECORDS)
                first = last = model.applied + 1;
            if (test_random(&seed) % 5 == 0) {
                uint8_t reason = (uint8_t)(1 + test_random(&seed) % 6);
                tern_mark_miss(&mark, first, last, reason, 0);
                give_up(&model, first, last, reason);
                miss(&model, first, last, reason);
            } else {
                for (uint32_t i = first; i <= last; i++)
                    CHECK_EQ(tern_mark_take(&mark, i, 0), take(&model, i));
            }
            check_same(&mark, &model);
            if (test_random(&seed) % 8 == 0)
                write_and_read(&mark);
        }
        tern_mark_free(&mark);
    }
}

static void the_last_sequence_of_all_can_be_taken(void)
{
    struct tern_mark mark = {.device = "dev1"};
    tern_mark_reset(&mark, UINT32_MAX - 1);
    CHECK(tern_mark_take(&mark, UINT32_MAX, 0));
    CHECK(!tern_mark_take(&mark, UINT32_MAX, 0));
    CHECK(tern_mark_take(&mark, UINT32_MAX - 1, 0));
    CHECK_EQ(mark.gaps.count, 0);
    tern_mark_free(&mark);
}

int main(int argc, char **argv)
{
    seed = test_seed(argc, argv);
    RUN(random_orders_agree_with_a_model);
    RUN(the_last_sequence_of_all_can_be_taken);
    return test_report();
}
