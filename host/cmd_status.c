/* SPDX-License-Identifier: MIT */
/* tern-gateway status: how far destinations and devices of a staging folder are. Reads beside a gateway that
 * runs. */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fanout.h"
#include "stage.h"
#include "log.h"

/* What a destination has not got yet. */
struct lag {
    uint64_t rows;
    int64_t oldest; /* Unix milliseconds when the first of them came, 0: none, or not known */
};

struct view {
    struct tern_stage *stage;
    struct tern_fanout fanout;
    struct lag lags[TERN_FANOUT_MAX];
    int64_t now;
    bool json;
    size_t devices;
};

static bool measure(const struct view *view, uint64_t cursor, struct lag *lag)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    int status = 0;
    if (cursor > tern_stage_end(view->stage) ||
        tern_stage_reader_open(view->stage, cursor, &reader) != TERN_HOST_OK)
        return cursor > tern_stage_end(view->stage);
    while ((status = tern_stage_read(reader, &entry)) == 1) {
        if (entry.kind != TERN_ENTRY_CHUNK && entry.kind != TERN_ENTRY_GAP)
            continue;
        lag->rows += entry.kind == TERN_ENTRY_CHUNK ? entry.last + 1 - entry.first : 0;
        if (lag->oldest == 0)
            lag->oldest = entry.received;
    }
    tern_stage_reader_close(reader);
    return status == 0;
}

static int64_t seconds_since(const struct view *view, int64_t milliseconds)
{
    return milliseconds <= 0 || milliseconds > view->now ? 0 : (view->now - milliseconds) / 1000;
}

/* "2026-11-21T09:30:00Z", or "-". */
static const char *stamp(int64_t milliseconds, char text[32])
{
    time_t seconds = (time_t)(milliseconds / 1000);
    struct tm utc;
    snprintf(text, 32, "-");
    if (milliseconds > 0 && gmtime_r(&seconds, &utc) != NULL)
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

/* ---- For programs ---------------------------------------------------------------------------- */

static void put_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void put_json_sink(const struct view *view, size_t i)
{
    const struct tern_fanout_entry *entry = &view->fanout.entries[i];
    printf("%s{\"url\":", i == 0 ? "" : ",");
    put_json_text(entry->url);
    printf(",\"state\":\"%s\",\"cursor\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"rejected\":%" PRIu64
           ",\"lag_bytes\":%" PRIu64 ",\"lag_rows\":%" PRIu64 ",\"lag_seconds\":%" PRId64 "}",
           tern_fanout_state_name(entry->state), entry->cursor, entry->rows, entry->rejected,
           tern_stage_end(view->stage) > entry->cursor ? tern_stage_end(view->stage) - entry->cursor : 0,
           view->lags[i].rows, seconds_since(view, view->lags[i].oldest));
}

static void put_json_device(void *context, const struct tern_stage_about *about)
{
    struct view *view = context;
    printf("%s{\"device\":", view->devices++ == 0 ? "" : ",");
    put_json_text(about->device);
    printf(",\"lane\":%u,\"epoch\":%" PRIu32 ",\"first\":%" PRIu32 ",\"next\":%" PRIu32 ",\"lost\":%" PRIu64
           ",\"in_batch\":%s,\"heard_ms\":%" PRId64 "}",
           about->lane, about->epoch, about->first, about->next, about->lost,
           about->in_batch ? "true" : "false", about->heard);
}

static void put_json(struct view *view)
{
    printf("{\"store\":\"%016" PRIx64 "\",\"end\":%" PRIu64 ",\"oldest\":%" PRIu64 ",\"destinations\":[",
           tern_stage_id(view->stage), tern_stage_end(view->stage), tern_stage_oldest(view->stage));
    for (size_t i = 0; i < view->fanout.count; i++)
        put_json_sink(view, i);
    printf("],\"devices\":[");
    tern_stage_list(view->stage, put_json_device, view);
    printf("]}\n");
}

/* ---- For people ------------------------------------------------------------------------------ */

static void put_device(void *context, const struct tern_stage_about *about)
{
    struct view *view = context;
    char heard[32];
    if (view->devices++ == 0)
        printf("\n%-32s %4s %10s %10s %10s %s\n", "device", "lane", "epoch", "records", "lost",
               "last contact");
    printf("%-32s %4u %10" PRIu32 " %10" PRIu64 " %10" PRIu64 " %s%s\n", about->device, about->lane,
           about->epoch, (uint64_t)about->next - about->first - about->lost, about->lost,
           stamp(about->heard, heard), about->in_batch ? " (in a batch)" : "");
}

static void put_table(struct view *view)
{
    printf("store %016" PRIx64 ", %.1f MB kept\n", tern_stage_id(view->stage),
           (double)(tern_stage_end(view->stage) - tern_stage_oldest(view->stage)) / 1e6);
    if (view->fanout.count != 0)
        printf("\n%-8s %10s %10s %10s %10s  %s\n", "state", "lag rows", "seconds", "rows", "rejected",
               "destination");
    for (size_t i = 0; i < view->fanout.count; i++) {
        const struct tern_fanout_entry *entry = &view->fanout.entries[i];
        printf("%-8s %10" PRIu64 " %10" PRId64 " %10" PRIu64 " %10" PRIu64 "  %s\n",
               tern_fanout_state_name(entry->state), view->lags[i].rows,
               seconds_since(view, view->lags[i].oldest), entry->rows, entry->rejected, entry->url);
    }
    tern_stage_list(view->stage, put_device, view);
}

static int show(struct view *view)
{
    for (size_t i = 0; i < view->fanout.count; i++)
        if (!measure(view, view->fanout.entries[i].cursor, &view->lags[i]))
            return tern_cmd_complain(TERN_EXIT_FAILED, "the journal cannot be read");
    if (view->json)
        put_json(view);
    else
        put_table(view);
    return fflush(stdout) == 0 ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

int tern_cmd_status(int argc, char **argv)
{
    static const char usage[] = "tern-gateway status --stage DIR [--json]";
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_STATUS, usage, argc, argv, &status))
        return status;
    struct view *view = calloc(1, sizeof *view);
    struct tern_report report = tern_cmd_report(&options);
    struct tern_stage_config config = {
        .directory = tern_options_text(&options, TERN_OPTION_STAGE), .report = report, .read_only = true};
    status = TERN_EXIT_FAILED;
    /* The list first: a cursor read after the journal could be beyond what was read of it. */
    if (view != NULL && tern_fanout_read(&view->fanout, config.directory, &report) == TERN_HOST_OK &&
        tern_stage_open(&view->stage, &config) == TERN_HOST_OK) {
        view->now = (int64_t)time(NULL) * 1000;
        view->json = tern_options_text(&options, TERN_OPTION_JSON) != NULL;
        status = show(view);
        tern_stage_close(view->stage);
    } else if (view == NULL) {
        tern_report_no_start(&report, "status");
    }
    free(view);
    tern_options_free(&options);
    return status;
}
