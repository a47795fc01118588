/* SPDX-License-Identifier: MIT */
#include "keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "journal.h"
#include "log.h"

#define DAYS_DEFAULT    7
#define RESERVE_DEFAULT (16ull << 20)
#define WRITE_EVERY     5 /* ticks between two notes of the cursors, and two looks for files to remove */
/* 2025-01-01: a clock before that has not been set, and nothing gets old by it */
#define CLOCK_FLOOR 1735689600

struct tern_keeper {
    struct tern_keeper_config config;
    char *directory, *when_full;
    struct tern_fanout fanout;
    struct tern_import *imports[TERN_FANOUT_MAX]; /* by entry; NULL: not open */
    uint64_t rows[TERN_FANOUT_MAX];               /* of the import, that are counted already */
    uint64_t rejected[TERN_FANOUT_MAX];
    uint32_t restored[TERN_FANOUT_MAX];
    unsigned ticks;
    bool alarmed; /* the disk is more than 80 % full */
    bool full;    /* its reserve is reached */
    bool holding; /* and nothing more is taken */
    bool changed;
};

static void report_entry(const struct tern_keeper *keeper, enum tern_level level, const char *event,
                         const struct tern_fanout_entry *entry, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", entry->url);
    tern_fields_format(&fields, "cursor", "%" PRIu64, entry->cursor);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&keeper->config.report, level, event, &fields);
}

/* ---- Cursors --------------------------------------------------------------------------------- */

static int64_t now_seconds(void)
{
    return (int64_t)time(NULL);
}

static void look_at_import(struct tern_keeper *keeper, size_t index)
{
    struct tern_fanout_entry *entry = &keeper->fanout.entries[index];
    struct tern_import_status status;
    tern_import_status(keeper->imports[index], &status);
    /* What a destination that was set back is to be filled with must stay. */
    if (status.cursor > entry->cursor || status.restored != keeper->restored[index]) {
        entry->cursor = status.cursor;
        entry->at = now_seconds() * 1000;
        keeper->changed = true;
    }
    if (status.rows != keeper->rows[index] || status.rejected != keeper->rejected[index])
        keeper->changed = true;
    entry->rows += status.rows - keeper->rows[index];
    entry->rejected += status.rejected - keeper->rejected[index];
    keeper->rows[index] = status.rows;
    keeper->restored[index] = status.restored;
    keeper->rejected[index] = status.rejected;
    bool caught_up = entry->cursor >= tern_stage_oldest(keeper->config.stage);
    if (entry->state == TERN_FANOUT_DETACHED && caught_up && !keeper->full) {
        entry->state = TERN_FANOUT_ACTIVE;
        keeper->changed = true;
        report_entry(keeper, TERN_INFO, "destination-attached", entry,
                     "the destination has what is still there; the store keeps records for it again");
    }
}

static void write_down(struct tern_keeper *keeper)
{
    for (size_t i = 0; i < keeper->fanout.count; i++)
        if (keeper->imports[i] != NULL)
            look_at_import(keeper, i);
    if (keeper->changed)
        keeper->changed =
            tern_fanout_write(&keeper->fanout, keeper->directory, &keeper->config.report) != TERN_HOST_OK;
}

/* ---- Room ------------------------------------------------------------------------------------ */

/* Before this every destination that counts has everything; 0 while there is none. */
static uint64_t slowest(const struct tern_keeper *keeper)
{
    uint64_t position = 0;
    bool any = false;
    for (size_t i = 0; i < keeper->fanout.count; i++) {
        const struct tern_fanout_entry *entry = &keeper->fanout.entries[i];
        if (entry->state == TERN_FANOUT_DETACHED)
            continue;
        position = !any || entry->cursor < position ? entry->cursor : position;
        any = true;
    }
    return position;
}

/* `all`: whatever is not needed goes, however young. */
static size_t trim(struct tern_keeper *keeper, bool all)
{
    int64_t now = now_seconds(),
            days = keeper->config.keep_days == 0 ? DAYS_DEFAULT : keeper->config.keep_days;
    struct tern_journal_limits limits = {.position = slowest(keeper),
                                         .before = now < CLOCK_FLOOR ? 0 : now - days * 86400,
                                         .bytes = all ? 1 : keeper->config.keep_bytes};
    return limits.position == 0 ? 0 : tern_stage_trim(keeper->config.stage, &limits);
}

static void report_disk(const struct tern_keeper *keeper, enum tern_level level, const char *event,
                        const struct statvfs *disk, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "path", keeper->directory);
    tern_fields_format(&fields, "free", "%" PRIu64, (uint64_t)disk->f_bavail * disk->f_frsize);
    tern_fields_format(&fields, "size", "%" PRIu64, (uint64_t)disk->f_blocks * disk->f_frsize);
    for (size_t i = 0; i < keeper->fanout.count; i++)
        if (keeper->fanout.entries[i].state != TERN_FANOUT_DETACHED &&
            keeper->fanout.entries[i].cursor == slowest(keeper)) {
            tern_fields_text(&fields, "slowest", keeper->fanout.entries[i].url);
            break;
        }
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&keeper->config.report, level, event, &fields);
}

/* True when a destination was given up. */
static bool detach(struct tern_keeper *keeper)
{
    const char *rule = keeper->when_full;
    struct tern_fanout_entry *entry =
        rule == NULL || strncmp(rule, "detach=", 7) != 0 ? NULL : tern_fanout_find(&keeper->fanout, rule + 7);
    if (entry == NULL || entry->state == TERN_FANOUT_DETACHED)
        return false;
    entry->state = TERN_FANOUT_DETACHED;
    keeper->changed = true;
    report_entry(
        keeper, TERN_ERROR, "destination-detached", entry,
        "the disk is full and records are no longer kept for this destination: what it misses becomes a "
        "gap with reason retention");
    write_down(keeper);
    return true;
}

static void hold(struct tern_keeper *keeper, const struct statvfs *disk, bool full)
{
    if (full == keeper->holding)
        return;
    keeper->holding = full;
    tern_stage_hold(keeper->config.stage, full);
    if (full)
        report_disk(
            keeper, TERN_ERROR, "stage-full", disk,
            "the disk's reserve is reached: no more records are taken, and devices keep theirs; make room, "
            "or see why the slowest destination is behind");
    else
        report_disk(keeper, TERN_INFO, "stage-has-room", disk, "records are taken again");
}

static void watch_disk(struct tern_keeper *keeper)
{
    struct statvfs disk;
    uint64_t reserve = keeper->config.reserve_bytes == 0 ? RESERVE_DEFAULT : keeper->config.reserve_bytes;
    if (statvfs(keeper->directory, &disk) != 0)
        return;
    bool full = (uint64_t)disk.f_bavail * disk.f_frsize < reserve;
    keeper->full = full;
    if (full && (trim(keeper, true) != 0 || detach(keeper)))
        return; /* the next tick sees what it brought */
    hold(keeper, &disk, full);
    /* Two thresholds, so that a disk about at 80 % is told of once. */
    bool alarm = disk.f_bavail < disk.f_blocks / (keeper->alarmed ? 4 : 5);
    if (alarm && !keeper->alarmed)
        report_disk(keeper, TERN_WARN, "disk-filling", &disk,
                    "the disk of the staging folder is more than 80 % full");
    keeper->alarmed = alarm;
}

void tern_keeper_tick(struct tern_keeper *keeper)
{
    watch_disk(keeper);
    if (++keeper->ticks % WRITE_EVERY != 0)
        return;
    write_down(keeper);
    trim(keeper, false);
}

/* ---- Destinations ---------------------------------------------------------------------------- */

bool tern_keeper_admits(struct tern_keeper *keeper, const char *url, struct tern_import_config *config)
{
    const struct tern_fanout_entry *entry = tern_fanout_find(&keeper->fanout, url);
    config->remembered = entry != NULL ? entry->cursor : 0;
    config->from = entry != NULL             ? entry->from
                   : keeper->config.from_now ? tern_stage_end(keeper->config.stage)
                                             : 0;
    if (entry == NULL || entry->state != TERN_FANOUT_PAUSED)
        return true;
    report_entry(keeper, TERN_WARN, "destination-paused", entry,
                 "it gets nothing until `tern-gateway sinks --resume`, and its records are kept");
    return false;
}

static int add_entry(struct tern_keeper *keeper, const char *url, uint64_t from,
                     struct tern_fanout_entry **entry)
{
    *entry = tern_fanout_add(&keeper->fanout, url);
    if (*entry == NULL) {
        struct tern_fields fields;
        tern_fields_begin(&fields);
        tern_fields_text(&fields, "msg",
                         "too many destinations are remembered, or an URL is too long: forget some with "
                         "`tern-gateway sinks`");
        tern_report_event(&keeper->config.report, TERN_ERROR, "destinations-failed", &fields);
        return TERN_HOST_E_LIMIT;
    }
    (*entry)->from = (*entry)->cursor = from;
    (*entry)->at = now_seconds() * 1000;
    report_entry(keeper, TERN_INFO, "destination-added", *entry,
                 keeper->config.from_now ? "gets what comes from now on" : "gets everything that is there");
    return tern_fanout_write(&keeper->fanout, keeper->directory, &keeper->config.report);
}

int tern_keeper_watch(struct tern_keeper *keeper, const char *url, uint64_t from, struct tern_import *import)
{
    struct tern_fanout_entry *entry = tern_fanout_find(&keeper->fanout, url);
    int status = entry != NULL ? TERN_HOST_OK : add_entry(keeper, url, from, &entry);
    if (status == TERN_HOST_OK)
        keeper->imports[entry - keeper->fanout.entries] = import;
    return status;
}

/* Destinations that are remembered and not used: the store keeps records for them. */
static void report_absent(const struct tern_keeper *keeper)
{
    for (size_t i = 0; i < keeper->fanout.count; i++)
        if (keeper->imports[i] == NULL && keeper->fanout.entries[i].state == TERN_FANOUT_ACTIVE)
            report_entry(
                keeper, TERN_WARN, "destination-absent", &keeper->fanout.entries[i],
                "not configured in this run; its records are kept until `tern-gateway sinks --forget`");
}

void tern_keeper_finish(struct tern_keeper *keeper)
{
    if (keeper == NULL)
        return;
    write_down(keeper);
    memset(keeper->imports, 0, sizeof keeper->imports);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static bool rule_is_good(const char *rule)
{
    return rule == NULL || strcmp(rule, "hold") == 0 || (strncmp(rule, "detach=", 7) == 0 && rule[7] != '\0');
}

static int open_keeper(struct tern_keeper *keeper, const struct tern_keeper_config *config)
{
    keeper->config = *config;
    keeper->directory = strdup(config->directory);
    keeper->when_full = config->when_full == NULL ? NULL : strdup(config->when_full);
    if (!rule_is_good(config->when_full)) {
        struct tern_fields fields;
        tern_fields_begin(&fields);
        tern_fields_text(&fields, "when_full", config->when_full);
        tern_fields_text(&fields, "msg", "must be hold, or detach=URL with the URL of a destination");
        tern_report_event(&config->report, TERN_ERROR, "bad-config", &fields);
        return TERN_HOST_E_ARGUMENT;
    }
    if (keeper->directory == NULL || (config->when_full != NULL && keeper->when_full == NULL))
        return tern_report_no_start(&config->report, "keeper");
    return tern_fanout_read(&keeper->fanout, keeper->directory, &config->report);
}

int tern_keeper_open(struct tern_keeper **out, const struct tern_keeper_config *config)
{
    struct tern_keeper *keeper = calloc(1, sizeof *keeper);
    *out = NULL;
    int status =
        keeper == NULL ? tern_report_no_start(&config->report, "keeper") : open_keeper(keeper, config);
    if (status != TERN_HOST_OK) {
        tern_keeper_close(keeper);
        return status;
    }
    *out = keeper;
    return TERN_HOST_OK;
}

void tern_keeper_ready(struct tern_keeper *keeper)
{
    report_absent(keeper);
}

void tern_keeper_close(struct tern_keeper *keeper)
{
    if (keeper == NULL)
        return;
    free(keeper->directory);
    free(keeper->when_full);
    free(keeper);
}
