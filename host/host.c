/* SPDX-License-Identifier: MIT */
/* The face of the library: one staging store, one server, an importer for each destination. */
#include "tern_host.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "import.h"
#include "keeper.h"
#include "log.h"
#include "server.h"
#include "stage.h"
#include "style.h"

#define SINKS_MAX 16 /* each has a thread and a connection */

struct tern_host {
    struct tern_report report; /* the application's */
    pthread_mutex_t report_lock;
    struct tern_stage *stage;
    struct tern_server *server;
    struct tern_keeper *keeper;
    struct tern_import *imports[SINKS_MAX];
    size_t import_count;
    struct tern_import_config style; /* with names that live as long as the importers */
};

/* Threads report too, and the application is promised one call at a time. */
static void report_in_turn(void *context, enum tern_level level, const char *event, const char *fields)
{
    struct tern_host *host = context;
    pthread_mutex_lock(&host->report_lock);
    host->report.call(host->report.context, level, event, fields);
    pthread_mutex_unlock(&host->report_lock);
}

static struct tern_report report_of(struct tern_host *host)
{
    struct tern_report report = {host->report.call == NULL ? NULL : report_in_turn, host};
    return report;
}

static int refuse(const struct tern_report *report, const char *name, const char *value, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    if (value != NULL)
        tern_fields_text(&fields, name, value);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(report, TERN_ERROR, "bad-config", &fields);
    return TERN_HOST_E_ARGUMENT;
}

static int check_config(const struct tern_host_config *config)
{
    if (config->stage == NULL || config->stage[0] == '\0')
        return refuse(&config->report, "stage", NULL, "a staging folder is required");
    if (config->sink_count > SINKS_MAX)
        return refuse(&config->report, "sink", config->sinks[SINKS_MAX], "more than 16 destinations");
    for (size_t i = 0; i < config->sink_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(config->sinks[i], config->sinks[j]) == 0)
                return refuse(&config->report, "sink", config->sinks[i], "the destination is given twice");
    return TERN_HOST_OK;
}

/* The name in memory that stays; one that is not known goes on to the sink, which refuses it. */
static const char *known_tool(const char *tool)
{
    static const char *const tools[] = {"gzip", "zstd"};
    for (size_t i = 0; tool != NULL && i < sizeof tools / sizeof tools[0]; i++)
        if (strcmp(tool, tools[i]) == 0)
            return tools[i];
    return tool;
}

static int open_sink(struct tern_host *host, const struct tern_host_config *config, const char *url)
{
    struct tern_import_config import = host->style;
    import.held_seconds = (int64_t)config->held_hours * 3600;
    import.filter_bytes = config->filter_bytes;
    import.segment_seconds = config->segment_seconds;
    import.segment_bytes = config->segment_bytes;
    import.segment_tool = known_tool(config->segment_tool);
    if (!tern_keeper_admits(host->keeper, url, &import))
        return TERN_HOST_OK;
    struct tern_import **place = &host->imports[host->import_count];
    int error = tern_import_open(place, host->stage, url, &import);
    if (error != TERN_HOST_OK)
        return error;
    host->import_count++;
    return tern_keeper_watch(host->keeper, url, import.from, *place);
}

static void tick(void *context)
{
    tern_keeper_tick(context);
}

static int open_keeper(struct tern_host *host, const struct tern_host_config *config)
{
    struct tern_keeper_config keeper = {.stage = host->stage,
                                        .directory = config->stage,
                                        .report = report_of(host),
                                        .keep_days = config->keep_days,
                                        .keep_bytes = config->keep_bytes,
                                        .reserve_bytes = config->reserve_bytes,
                                        .when_full = config->when_full,
                                        .from_now = config->from_now != 0};
    return tern_keeper_open(&host->keeper, &keeper);
}

static int open_parts(struct tern_host *host, const struct tern_host_config *config)
{
    struct tern_stage_config stage = {
        .directory = config->stage, .report = report_of(host), .file_bytes = config->journal_bytes};
    int error = tern_stage_open(&host->stage, &stage);
    if (error != TERN_HOST_OK)
        return error;
    error = open_keeper(host, config);
    if (error != TERN_HOST_OK)
        return error;
    struct tern_server_config server = {.stage = host->stage,
                                        .report = report_of(host),
                                        .window = config->window,
                                        .connections = config->connections,
                                        .hello_seconds = config->hello_seconds,
                                        .idle_seconds = config->idle_seconds,
                                        .tick = tick,
                                        .tick_context = host->keeper};
    error = tern_server_open(&host->server, &server);
    for (size_t i = 0; error == TERN_HOST_OK && i < config->sink_count; i++)
        error = open_sink(host, config, config->sinks[i]);
    if (error == TERN_HOST_OK)
        tern_keeper_ready(host->keeper);
    return error;
}

int tern_host_open(struct tern_host **out, const struct tern_host_config *config)
{
    *out = NULL;
    int error = check_config(config);
    if (error != TERN_HOST_OK)
        return error;
    struct tern_host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return tern_report_no_start(&config->report, "gateway");
    host->report = config->report;
    pthread_mutex_init(&host->report_lock, NULL);
    host->style.report = report_of(host);
    error = tern_style_apply(&config->style, &host->style);
    if (error == TERN_HOST_OK)
        error = open_parts(host, config);
    if (error == TERN_HOST_OK)
        *out = host;
    else
        tern_host_close(host);
    return error;
}

int tern_host_listen(struct tern_host *host, const char *url)
{
    return tern_server_listen(host->server, url);
}

uint16_t tern_host_port(const struct tern_host *host)
{
    return tern_server_port(host->server);
}

int tern_host_descriptor(const struct tern_host *host)
{
    return tern_server_descriptor(host->server);
}

int tern_host_step(struct tern_host *host, int milliseconds)
{
    return tern_server_step(host->server, milliseconds);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int tern_host_drain(struct tern_host *host, int milliseconds)
{
    int64_t end = now_ms() + milliseconds;
    int result = TERN_HOST_OK;
    tern_server_stop(host->server);
    /* Every destination is asked, even when the time is over: one that has everything closes its files
     * then. */
    for (size_t i = 0; i < host->import_count; i++) {
        int64_t left = end - now_ms();
        int error = tern_import_drain(host->imports[i], left > 0 ? (int)left : 0);
        if (error != TERN_HOST_OK)
            result = error;
    }
    if (result == TERN_HOST_OK)
        tern_keeper_finish(host->keeper);
    return result;
}

void tern_host_close(struct tern_host *host)
{
    if (host == NULL)
        return;
    tern_server_close(host->server);
    tern_keeper_finish(host->keeper);
    for (size_t i = 0; i < host->import_count; i++)
        tern_import_close(host->imports[i]);
    tern_keeper_close(host->keeper);
    tern_stage_close(host->stage);
    pthread_mutex_destroy(&host->report_lock);
    tern_style_free(&host->style);
    free(host);
}
