/* SPDX-License-Identifier: MIT */
/* What is known of devices, and what of the journal must be kept. */
#include <stdlib.h>
#include <string.h>

#include "stage_state.h"

void tern_stage_list(struct tern_stage *stage,
                     void (*call)(void *context, const struct tern_stage_about *about), void *context)
{
    for (uint32_t i = 0; i < stage->device_limit; i++) {
        const struct tern_device *device = stage->devices[i];
        for (size_t k = 0; device != NULL && k < device->range_count; k++) {
            const struct tern_range *range = device->ranges[k];
            struct tern_stage_about about = {device->id,
                                             range->face.lane,
                                             range->face.epoch,
                                             range->face.base,
                                             tern_range_end(range),
                                             range->lost,
                                             range->face.taken.run < range->face.taken.next,
                                             range->heard};
            call(context, &about);
        }
    }
}

uint32_t tern_stage_newest(const struct tern_device *device)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < device->range_count; i++)
        if (device->ranges[i]->face.epoch > newest)
            newest = device->ranges[i]->face.epoch;
    return newest;
}

void tern_stage_hold(struct tern_stage *stage, bool held)
{
    tern_journal_hold(stage->journal, held);
}

uint64_t tern_stage_oldest(struct tern_stage *stage)
{
    return tern_journal_oldest(stage->journal);
}

/* The first entry of the run that `position` belongs to, or what of it can still be found. */
static uint64_t run_begin(struct tern_stage *stage, struct tern_stage_reader *reader, uint64_t position)
{
    struct tern_entry entry;
    if (position >= tern_stage_end(stage))
        return 0; /* it waits for the disk */
    while (tern_stage_fetch(reader, position, &entry) == TERN_HOST_OK && entry.run_before != 0 &&
           entry.run_before < position)
        position = entry.run_before;
    return position;
}

/* Where the oldest batch that is still open begins; `position` when none is open before it. 0: it cannot be
 * known now. */
static uint64_t oldest_batch(struct tern_stage *stage, uint64_t position)
{
    struct tern_stage_reader *reader;
    if (tern_stage_reader_open(stage, 0, &reader) != TERN_HOST_OK)
        return 0;
    for (uint32_t i = 0; i < stage->device_limit; i++) {
        const struct tern_device *device = stage->devices[i];
        for (size_t k = 0; device != NULL && k < device->range_count; k++) {
            uint64_t begin = device->ranges[k]->run_entry == 0
                                 ? position
                                 : run_begin(stage, reader, device->ranges[k]->run_entry);
            if (begin < position)
                position = begin;
        }
    }
    tern_stage_reader_close(reader);
    return position;
}

size_t tern_stage_trim(struct tern_stage *stage, const struct tern_journal_limits *limits)
{
    struct tern_journal_limits mine = *limits;
    if (tern_journal_spare(stage->journal, &mine) == 0)
        return 0;
    mine.position = oldest_batch(stage, mine.position);
    return tern_journal_trim(stage->journal, &mine);
}
