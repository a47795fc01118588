/* SPDX-License-Identifier: MIT */
#include "mark.h"

#include <stdlib.h>
#include <string.h>

#include "../core/frame.h"

static bool reserve(struct tern_gaps *gaps)
{
    if (gaps->count < gaps->capacity)
        return true;
    size_t capacity = gaps->capacity == 0 ? 4 : gaps->capacity * 2;
    struct tern_gap *list = realloc(gaps->list, capacity * sizeof *list);
    if (list == NULL)
        return false;
    gaps->list = list;
    gaps->capacity = capacity;
    return true;
}

static void insert(struct tern_mark *mark, struct tern_gaps *gaps, size_t index, struct tern_gap gap)
{
    if (!reserve(gaps)) {
        mark->failed = true;
        return;
    }
    memmove(gaps->list + index + 1, gaps->list + index, (gaps->count - index) * sizeof gap);
    gaps->list[index] = gap;
    gaps->count++;
}

static void remove_at(struct tern_gaps *gaps, size_t index)
{
    gaps->count--;
    memmove(gaps->list + index, gaps->list + index + 1, (gaps->count - index) * sizeof gaps->list[0]);
}

void tern_mark_reset(struct tern_mark *mark, uint32_t base)
{
    mark->known = mark->changed = mark->failed = false;
    mark->applied = base - 1;
    mark->gaps.count = mark->before.count = 0;
}

void tern_mark_free(struct tern_mark *mark)
{
    free(mark->gaps.list);
    free(mark->before.list);
}

void tern_mark_add_read(struct tern_mark *mark, const struct tern_gap *gap)
{
    insert(mark, &mark->gaps, mark->gaps.count, *gap);
    insert(mark, &mark->before, mark->before.count, *gap);
}

/* The gap that holds the sequence, or NULL. */
static struct tern_gap *find_gap(const struct tern_mark *mark, uint32_t sequence)
{
    size_t low = 0, high = mark->gaps.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        struct tern_gap *gap = &mark->gaps.list[middle];
        if (sequence < gap->first)
            high = middle;
        else if (sequence > gap->last)
            low = middle + 1;
        else
            return gap;
    }
    return NULL;
}

bool tern_mark_misses(const struct tern_mark *mark, uint32_t sequence)
{
    return find_gap(mark, sequence) != NULL;
}

/* Takes one sequence out of an open gap. */
static void fill(struct tern_mark *mark, struct tern_gap *gap, uint32_t sequence)
{
    size_t index = (size_t)(gap - mark->gaps.list);
    struct tern_gap rest = *gap;
    mark->changed = true;
    if (gap->first == gap->last) {
        remove_at(&mark->gaps, index);
    } else if (sequence == gap->first) {
        gap->first++;
    } else if (sequence == gap->last) {
        gap->last--;
    } else {
        gap->last = sequence - 1;
        rest.first = sequence + 1;
        insert(mark, &mark->gaps, index + 1, rest);
    }
}

bool tern_mark_has(const struct tern_mark *mark, uint32_t sequence)
{
    return sequence <= mark->applied && find_gap(mark, sequence) == NULL;
}

bool tern_mark_take(struct tern_mark *mark, uint32_t sequence, int64_t now)
{
    if (sequence <= mark->applied) {
        struct tern_gap *gap = find_gap(mark, sequence);
        if (gap == NULL)
            return false;
        fill(mark, gap, sequence);
        return true;
    }
    if (sequence > mark->applied + 1)
        tern_mark_miss(mark, mark->applied + 1, sequence - 1, TERN_GAP_RETENTION, now);
    mark->applied = sequence;
    mark->changed = true;
    return true;
}

bool tern_mark_may_come(uint8_t reason)
{
    return reason == TERN_GAP_RETENTION || reason == TERN_GAP_HELD;
}

/* The part of the gap from `first` to `last` has another reason. */
static void change_reason(struct tern_mark *mark, size_t index, struct tern_gap part)
{
    struct tern_gap whole = mark->gaps.list[index];
    mark->changed = true;
    mark->gaps.list[index] = part;
    if (whole.last > part.last) {
        struct tern_gap rest = whole;
        rest.first = part.last + 1;
        insert(mark, &mark->gaps, index + 1, rest);
    }
    if (whole.first < part.first) {
        struct tern_gap rest = whole;
        rest.last = part.first - 1;
        insert(mark, &mark->gaps, index, rest);
        index++;
    }
    struct tern_gap *before = index == 0 ? NULL : &mark->gaps.list[index - 1];
    if (before != NULL && before->last == part.first - 1 && before->reason == part.reason) {
        before->last = part.last;
        remove_at(&mark->gaps, index);
    }
}

/* Gaps whose records will not come after all. */
static void give_up(struct tern_mark *mark, uint32_t first, uint32_t last, uint8_t reason, int64_t now)
{
    for (size_t i = mark->gaps.count; i-- > 0 && !tern_mark_may_come(reason) && !mark->failed;) {
        const struct tern_gap *gap = &mark->gaps.list[i];
        struct tern_gap part = {gap->first > first ? gap->first : first, gap->last < last ? gap->last : last,
                                reason, now};
        bool gives_way = tern_mark_may_come(gap->reason) ||
                         (reason == TERN_GAP_REJECTED && gap->reason != TERN_GAP_REJECTED);
        if (gives_way && part.first <= part.last)
            change_reason(mark, i, part);
    }
}

/* A gap from the watermark to `last`, which is the new watermark. */
static void miss_to(struct tern_mark *mark, uint32_t last, uint8_t reason, int64_t now)
{
    uint32_t first = mark->applied + 1;
    mark->applied = last;
    mark->changed = true;
    struct tern_gap *newest = mark->gaps.count == 0 ? NULL : &mark->gaps.list[mark->gaps.count - 1];
    if (newest != NULL && newest->last == first - 1 && newest->reason == reason)
        newest->last = last;
    else
        insert(mark, &mark->gaps, mark->gaps.count, (struct tern_gap){first, last, reason, now});
}

void tern_mark_miss(struct tern_mark *mark, uint32_t first, uint32_t last, uint8_t reason, int64_t now)
{
    give_up(mark, first, last, reason, now);
    if (last <= mark->applied)
        return;
    if (first > mark->applied + 1)
        miss_to(mark, first - 1, TERN_GAP_RETENTION, now);
    miss_to(mark, last, reason, now);
}

bool tern_mark_clip(struct tern_mark *mark, uint32_t base)
{
    bool clipped = false;
    while (mark->gaps.count != 0 && mark->gaps.list[0].first < base) {
        clipped = mark->changed = true;
        if (mark->gaps.list[0].last >= base)
            mark->gaps.list[0].first = base;
        else
            remove_at(&mark->gaps, 0);
    }
    return clipped;
}

static bool is_same(const struct tern_gap *a, const struct tern_gap *b)
{
    return a->first == b->first && a->last == b->last && a->reason == b->reason;
}

/* Calls `call` for each gap of `from` that `other` does not have. */
static int subtract(const struct tern_gaps *from, const struct tern_gaps *other,
                    int (*call)(void *context, const struct tern_gap *gap), void *context)
{
    size_t k = 0;
    for (size_t i = 0; i < from->count; i++) {
        while (k < other->count && other->list[k].first < from->list[i].first)
            k++;
        if (k < other->count && is_same(&from->list[i], &other->list[k]))
            continue;
        int status = call(context, &from->list[i]);
        if (status != 0)
            return status;
    }
    return 0;
}

int tern_mark_difference(const struct tern_mark *mark,
                         int (*remove_gap)(void *context, const struct tern_gap *gap),
                         int (*add)(void *context, const struct tern_gap *gap), void *context)
{
    int status = subtract(&mark->before, &mark->gaps, remove_gap, context);
    return status != 0 ? status : subtract(&mark->gaps, &mark->before, add, context);
}
