/* SPDX-License-Identifier: MIT */
/* Opening the staging store, devices at HELLO, and sync. */
#include "stage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "stage_state.h"

#define EPOCH_START  1704067200ll /* 2024-01-01 UTC in Unix seconds */
#define ANCHOR_DRIFT 2000         /* milliseconds that a device's clock may go wrong between two anchors */
#define EPOCH_UNIT   16           /* seconds */
/* No clock that shows an earlier time than this is believed (2026-01-01): epochs begin here on a machine
 * without one. */
#define EPOCH_FLOOR  ((1767225600ll - EPOCH_START) / EPOCH_UNIT)
#define EPOCH_SPREAD (1u << 20) /* units, 194 days: where the epochs of a store without a clock begin */
#define EPOCH_MAX    0x7FFFFFFFu
#define EPOCH_SHIFT  4 /* the lane's three bits, and one that is 0 in epochs that are given */

int64_t tern_stage_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void make_all_durable(struct tern_stage *stage)
{
    while (stage->dirty != NULL) {
        struct tern_range *range = stage->dirty;
        stage->dirty = range->next_dirty;
        range->next_dirty = NULL;
        range->is_dirty = false;
        range->face.durable = range->face.taken;
        /* A place in a chunk that another one may take over is no place to go on from. */
        if (tern_range_is_bare(range))
            range->face.durable.first = range->face.durable.offset = 0;
    }
}

static void report_opened(const struct tern_stage *stage, const char *directory)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "path", directory);
    tern_fields_format(&fields, "store", "%016" PRIx64, tern_stage_id(stage));
    tern_fields_number(&fields, "devices", stage->device_limit);
    tern_fields_format(&fields, "position", "%" PRIu64, tern_journal_end(stage->journal));
    tern_report_event(&stage->report, TERN_INFO, "stage-opened", &fields);
    if (stage->strange == 0)
        return;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "path", directory);
    tern_fields_format(&fields, "entries", "%" PRIu64, stage->strange);
    tern_fields_text(
        &fields, "msg",
        "journal entries do not fit what stands before them; devices send what is missing again, "
        "if they still hold it");
    tern_report_event(&stage->report, TERN_ERROR, "stage-entries-unusable", &fields);
}

int tern_stage_open(struct tern_stage **out, const struct tern_stage_config *config)
{
    struct tern_stage *stage = calloc(1, sizeof *stage);
    *out = NULL;
    if (stage == NULL)
        return tern_report_no_start(&config->report, "staging store");
    stage->report = config->report;
    pthread_mutex_init(&stage->mutex, NULL);
    struct tern_journal_config journal = {.directory = config->directory,
                                          .report = config->report,
                                          .file_bytes = config->file_bytes,
                                          .read_only = config->read_only,
                                          .context = stage,
                                          .replay = tern_stage_replay,
                                          .snapshot = tern_stage_snapshot,
                                          .moved = tern_stage_moved};
    int status = tern_journal_open(&stage->journal, &journal);
    if (status != TERN_HOST_OK) {
        tern_stage_close(stage);
        return status;
    }
    make_all_durable(stage);
    if (!config->read_only)
        report_opened(stage, config->directory);
    *out = stage;
    return TERN_HOST_OK;
}

void tern_stage_close(struct tern_stage *stage)
{
    if (stage == NULL)
        return;
    tern_journal_close(stage->journal);
    tern_stage_free_devices(stage);
    pthread_mutex_destroy(&stage->mutex);
    free(stage);
}

uint64_t tern_stage_id(const struct tern_stage *stage)
{
    return tern_journal_store(stage->journal);
}

const char *tern_stage_directory(const struct tern_stage *stage)
{
    return tern_journal_directory(stage->journal);
}

/* ---- Devices --------------------------------------------------------------------------------- */

uint64_t tern_stage_append(struct tern_stage *stage, const struct tern_record *record)
{
    uint8_t body[TERN_JOURNAL_BODY_MAX];
    size_t size = tern_record_encode(record, body);
    return size == 0 ? 0 : tern_journal_append(stage->journal, body, size);
}

struct tern_device *tern_stage_device(struct tern_stage *stage, const char *id)
{
    struct tern_device *device = tern_stage_lookup(stage, id);
    if (device != NULL || !tern_journal_has_room(stage->journal))
        return device;
    device = tern_stage_add_device(stage, id, stage->device_limit);
    if (device == NULL)
        return NULL;
    struct tern_record record = {
        .kind = TERN_ENTRY_DEVICE, .device = device->number, .data = (const uint8_t *)id, .size = strlen(id)};
    tern_stage_append(stage, &record);
    return device;
}

struct tern_device *tern_stage_find_device(struct tern_stage *stage, const char *id)
{
    return tern_stage_lookup(stage, id);
}

const char *tern_device_id(const struct tern_device *device)
{
    return device->id;
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

/* The newest epoch of any lane that the store, a destination or the device knows. */
static uint32_t newest_epoch(struct tern_stage *stage, const struct tern_device *device,
                             const struct tern_hello *hello)
{
    uint32_t newest = tern_stage_learned(stage, device->id);
    for (size_t i = 0; i < device->range_count; i++)
        if (device->ranges[i]->face.epoch > newest)
            newest = device->ranges[i]->face.epoch;
    for (size_t i = 0; i < hello->range_count; i++) {
        const struct tern_hello_range *range = &hello->ranges[i];
        uint32_t said = range->newest > range->epoch ? range->newest : range->epoch;
        newest = said > newest ? said : newest;
    }
    return newest;
}

/* An even number of units. A device that parts from a store takes the next number by itself, an odd one:
 * never one that was given to somebody else, be it a replayed session, of which the store would hold another
 * beginning. 0: there is none left. */
static uint32_t next_epoch(struct tern_stage *stage, const struct tern_device *device,
                           const struct tern_hello *hello, uint8_t lane, int64_t now)
{
    int64_t unit = (now / 1000 - EPOCH_START) / EPOCH_UNIT;
    int64_t after = (int64_t)(newest_epoch(stage, device, hello) >> EPOCH_SHIFT) + 1;
    /* Without a clock every fresh store would begin alike, and two of them would give a device one epoch for
     * different records. */
    if (unit < EPOCH_FLOOR)
        unit = EPOCH_FLOOR + (int64_t)(tern_stage_id(stage) % EPOCH_SPREAD);
    if (unit < after)
        unit = after;
    return unit > (int64_t)(EPOCH_MAX >> EPOCH_SHIFT) ? 0 : (uint32_t)unit << EPOCH_SHIFT | lane;
}

static uint32_t newest_of_lane(const struct tern_device *device, uint8_t lane)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < device->range_count; i++)
        if (device->ranges[i]->face.lane == lane && device->ranges[i]->face.epoch > newest &&
            !tern_range_is_unused(device->ranges[i]))
            newest = device->ranges[i]->face.epoch;
    return newest;
}

/* An epoch that was never seen here and is older than the lane's newest is sound only when the device knows
 * the newest too. */
static bool is_out_of_line(const struct tern_device *device, const struct tern_hello_range *range)
{
    uint32_t newest = newest_of_lane(device, range->lane);
    return range->epoch < newest && range->newest < newest;
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static bool is_sound(const struct tern_hello_range *range)
{
    return range->lane < TERN_LANES_MAX && range->epoch <= EPOCH_MAX && range->base >= 1 &&
           range->base <= range->oldest && range->oldest <= range->next &&
           (range->epoch == 0 || (range->epoch & 7u) == range->lane) &&
           (range->store == 0 || range->acked <= range->next);
}

static void report_quarantine(const struct tern_stage *stage, const struct tern_device *device,
                              const struct tern_hello_range *range)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "device", device->id);
    tern_fields_number(&fields, "lane", range->lane);
    tern_fields_number(&fields, "epoch", range->epoch);
    tern_fields_number(&fields, "newest", newest_of_lane(device, range->lane));
    tern_fields_text(
        &fields, "msg",
        "the device offers records of an epoch that is older than the newest and was never seen here: a "
        "clone "
        "or a restored flash; they are not taken. Give the device another id, or erase its flash");
    tern_report_event(&stage->report, TERN_ERROR, "epoch-quarantined", &fields);
}

static int make_range(struct tern_stage *stage, struct tern_device *device, const struct tern_hello *hello,
                      const struct tern_hello_range *range, int64_t now, struct tern_range **out)
{
    uint32_t epoch = range->epoch != 0 ? range->epoch : next_epoch(stage, device, hello, range->lane, now);
    if (epoch == 0)
        return TERN_HOST_E_LIMIT;
    if (range->epoch != 0 && is_out_of_line(device, range)) {
        report_quarantine(stage, device, range);
        return TERN_HOST_E_PROTOCOL;
    }
    *out = tern_stage_add_range(device, range->lane, epoch, range->base);
    if (*out == NULL)
        return TERN_HOST_E_SYSTEM;
    (*out)->granted = range->epoch == 0;
    return TERN_HOST_OK;
}

/* Whether the HELLO says more of the device's time than the one before: another start, or a clock that went
 * differently. */
static bool is_news(const struct tern_range *range, const struct tern_hello *hello, int64_t now)
{
    int64_t drift = (now - (int64_t)hello->uptime) - range->anchor_start;
    if (hello->boot == 0 && hello->uptime == 0)
        return false;
    return range->anchor_start == 0 || hello->boot != range->anchor_boot ||
           (now != 0 && (drift > ANCHOR_DRIFT || drift < -ANCHOR_DRIFT));
}

static void report_set_back(const struct tern_stage *stage, const struct tern_device *device,
                            const struct tern_hello_range *range, uint32_t next)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "device", device->id);
    tern_fields_number(&fields, "lane", range->lane);
    tern_fields_number(&fields, "epoch", range->epoch);
    tern_fields_number(&fields, "acknowledged", range->acked);
    tern_fields_number(&fields, "next", next);
    tern_fields_text(
        &fields, "msg",
        "this store has acknowledged records that it does not hold: the staging folder was set back to "
        "an older copy, or two gateways use copies of one; the device sends what it still has");
    tern_report_event(&stage->report, TERN_ERROR, "store-set-back", &fields);
}

static void write_anchor(struct tern_stage *stage, struct tern_range *range, const struct tern_hello *hello,
                         int64_t now)
{
    struct tern_record record = {.kind = TERN_ENTRY_ANCHOR,
                                 .lane = range->face.lane,
                                 .granted = range->granted,
                                 .device = range->face.device->number,
                                 .epoch = range->face.epoch,
                                 .base = range->face.base,
                                 .boot = hello->boot,
                                 .uptime = hello->uptime,
                                 .received = now};
    tern_stage_append(stage, &record);
    tern_range_anchor(range, &record);
    tern_range_mark(range);
}

int tern_stage_hello(struct tern_stage *stage, struct tern_device *device, const struct tern_hello *hello,
                     const struct tern_hello_range *range, int64_t now, struct tern_stage_range **out)
{
    *out = NULL;
    if (!is_sound(range))
        return TERN_HOST_E_PROTOCOL;
    if (!tern_journal_has_room(stage->journal))
        return TERN_HOST_E_SYSTEM;
    /* An epoch is never given twice, though the WELCOME with it may be lost: the device may have filled it at
     * another gateway, and forgotten. */
    struct tern_range *known =
        range->epoch == 0 ? NULL : tern_stage_find_range(device, range->lane, range->epoch);
    bool is_new = known == NULL;
    int status = is_new ? make_range(stage, device, hello, range, now, &known) : TERN_HOST_OK;
    if (status != TERN_HOST_OK)
        return status;
    if (is_new || is_news(known, hello, now))
        write_anchor(stage, known, hello, now);
    *out = &known->face;
    if (range->store == tern_stage_id(stage) && range->acked > tern_range_end(known))
        report_set_back(stage, device, range, tern_range_end(known));
    bool held =
        range->store != 0 && range->store != tern_stage_id(stage) && range->acked > tern_range_end(known);
    if (held)
        tern_range_return(known, true);
    if (held && tern_journal_has_room(stage->journal))
        status = tern_stage_gap(stage, &known->face, known->face.taken.next, range->acked - 1, TERN_GAP_HELD);
    return status;
}

bool tern_stage_waits(const struct tern_device *device)
{
    for (size_t i = 0; i < device->range_count; i++)
        if (device->ranges[i]->is_dirty)
            return true;
    return false;
}

/* ---- Sync ------------------------------------------------------------------------------------ */

int tern_stage_sync(struct tern_stage *stage)
{
    int status = tern_journal_sync(stage->journal);
    if (status == TERN_HOST_OK)
        make_all_durable(stage);
    return status;
}
