/* SPDX-License-Identifier: MIT */
/* Records that a destination lacks and the journal has no more: a restored database, a store that was lost.
 * The range goes back to the first of them, the device sends from there what its flash still holds, and
 * behind the last the range goes on where it was. In the journal such records stand once more, behind what
 * came after them; destinations that have them pass over them. Nothing of this is written down: after a
 * restart the range stands at the newest entry, and the destination's gap asks again. */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "stage_state.h"

#define WANTS_MAX 64u    /* ranges of a device */
#define EARLY_MAX 65536u /* wants of devices that were never here */

/* ---- Wants ----------------------------------------------------------------------------------- */

static bool is_of_range(const struct tern_stage_want *want, uint8_t lane, uint32_t epoch)
{
    return want->lane == lane && want->epoch == epoch;
}

/* One a range: everything from the first record that any destination lacks to the last. */
static void widen(struct tern_stage_want *want, const struct tern_stage_want *by)
{
    want->first = by->first < want->first ? by->first : want->first;
    want->last = by->last > want->last ? by->last : want->last;
    want->due = by->due < want->due ? by->due : want->due;
    want->position = by->position > want->position ? by->position : want->position;
}

static void add_want(struct tern_stage *stage, struct tern_device *device, const struct tern_stage_want *want)
{
    for (size_t i = 0; i < device->want_count; i++)
        if (is_of_range(&device->wants[i], want->lane, want->epoch)) {
            widen(&device->wants[i], want);
            return;
        }
    struct tern_stage_want *wants = device->want_count == WANTS_MAX
                                        ? NULL
                                        : realloc(device->wants, (device->want_count + 1) * sizeof *wants);
    if (wants == NULL)
        return; /* it is told again */
    device->wants = wants;
    wants[device->want_count++] = *want;
    stage->want_count++;
}

static void add_early(struct tern_stage *stage, const char *device, const struct tern_stage_want *want)
{
    for (size_t i = 0; i < stage->early_count; i++)
        if (is_of_range(&stage->early[i].want, want->lane, want->epoch) &&
            strcmp(stage->early[i].device, device) == 0) {
            widen(&stage->early[i].want, want);
            return;
        }
    struct tern_stage_early *early = stage->early_count == EARLY_MAX || strlen(device) > TERN_ID_MAX
                                         ? NULL
                                         : realloc(stage->early, (stage->early_count + 1) * sizeof *early);
    if (early == NULL)
        return; /* it is told again */
    stage->early = early;
    memset(&early[stage->early_count], 0, sizeof *early);
    memcpy(early[stage->early_count].device, device, strlen(device));
    early[stage->early_count++].want = *want;
}

void tern_stage_want(struct tern_stage *stage, const char *device, const struct tern_stage_want *want)
{
    pthread_mutex_lock(&stage->mutex);
    struct tern_device *known = tern_stage_lookup(stage, device);
    if (known != NULL)
        add_want(stage, known, want);
    else
        add_early(stage, device, want);
    stage->want_news++;
    pthread_mutex_unlock(&stage->mutex);
}

uint32_t tern_stage_wants(struct tern_stage *stage)
{
    pthread_mutex_lock(&stage->mutex);
    uint32_t news = stage->want_news;
    pthread_mutex_unlock(&stage->mutex);
    return news;
}

void tern_stage_adopt(struct tern_stage *stage, struct tern_device *device)
{
    for (size_t i = 0; i < stage->early_count;) {
        if (strcmp(stage->early[i].device, device->id) != 0) {
            i++;
            continue;
        }
        add_want(stage, device, &stage->early[i].want);
        stage->early[i] = stage->early[--stage->early_count];
    }
}

/* Takes the range's want out of the list, if it is due. */
static bool take_want(struct tern_stage *stage, const struct tern_stage_range *face, int64_t now,
                      struct tern_stage_want *out)
{
    struct tern_device *device = face->device;
    bool found = false;
    pthread_mutex_lock(&stage->mutex);
    for (size_t i = 0; i < device->want_count && !found; i++) {
        struct tern_stage_want *want = &device->wants[i];
        if (!is_of_range(want, face->lane, face->epoch) || (want->due != 0 && want->due > now))
            continue;
        *out = *want;
        *want = device->wants[--device->want_count];
        stage->want_count--;
        found = true;
    }
    pthread_mutex_unlock(&stage->mutex);
    return found;
}

/* ---- Back, and forth again ------------------------------------------------------------------- */

void tern_range_rise(struct tern_range *range)
{
    if (range->face.taken.run > range->highest)
        range->highest = range->face.taken.run;
}

uint32_t tern_range_end(const struct tern_range *range)
{
    return range->highest > range->face.taken.next ? range->highest : range->face.taken.next;
}

uint32_t tern_range_loss(const struct tern_range *range, uint32_t first, uint32_t next)
{
    first = first < range->highest ? range->highest : first;
    return first < next ? next - first : 0;
}

static uint32_t crc_before(const struct tern_stage_range *face, uint32_t next)
{
    for (size_t i = 0; i < TERN_STAGE_TAILS; i++)
        if (face->tails[i].next == next)
            return face->tails[i].crc;
    return 0;
}

/* Unfinished chunks and batches on either side come whole again. */
static void move(struct tern_range *range, uint32_t next, uint32_t crc)
{
    tern_range_begin(range, 0);
    range->face.taken.next = next;
    range->face.taken.last_crc = crc;
    range->face.taken.run = next;
    range->run_entry = 0;
    range->face.moves++;
}

void tern_range_return(struct tern_range *range, bool anyway)
{
    struct tern_stage_range *face = &range->face;
    bool done =
        range->again != 0 && face->taken.next > range->again && range->face.taken.run == face->taken.next;
    if (!done && !anyway)
        return;
    range->again = 0;
    range->returned = range->newest;
    if (face->taken.next < range->highest)
        move(range, range->highest, crc_before(face, range->highest));
}

static void report_back(const struct tern_stage *stage, const struct tern_range *range, uint32_t first)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "device", range->face.device->id);
    tern_fields_number(&fields, "lane", range->face.lane);
    tern_fields_number(&fields, "epoch", range->face.epoch);
    tern_fields_number(&fields, "first", first);
    tern_fields_number(&fields, "last", range->again);
    tern_fields_text(
        &fields, "msg",
        "a destination lacks these records, and this store has them no more: the device is asked "
        "for what it still holds");
    tern_report_event(&stage->report, TERN_INFO, "device-asked-back", &fields);
}

bool tern_stage_go_back(struct tern_stage *stage, struct tern_stage_range *face, int64_t now)
{
    struct tern_range *range = (struct tern_range *)face;
    struct tern_stage_want want;
    /* The beginning of an open batch may be here alone. */
    bool busy = range->is_dirty || range->face.taken.run != face->taken.next;
    if (busy || face->device->want_count == 0 || !take_want(stage, face, now, &want))
        return false;
    if (want.first < face->base)
        want.first = face->base;
    /* What comes again already, or is to come at all, needs no asking. */
    if (range->again != 0 && want.first >= face->taken.next && want.last > range->again)
        range->again = want.last;
    bool under_way = range->again != 0 && want.last <= range->again;
    bool is_stale = want.position <= range->returned; /* the destination had not read yet what came again */
    if (under_way || is_stale || want.first > want.last || want.first >= face->taken.next)
        return false;
    tern_range_rise(range);
    move(range, want.first, 0);
    range->again = want.last > range->again ? want.last : range->again;
    face->durable = face->taken;
    report_back(stage, range, want.first);
    return true;
}
