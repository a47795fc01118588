/* SPDX-License-Identifier: MIT */
/* An importer is opened with its workers, a thread each, asked how far it is, drained and closed. */
#include "import.h"

#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "filter.h"
#include "import_turn.h"
#include "log.h"

#define ROWS         100000u
#define MILLISECONDS 1000u

/* ---- Workers --------------------------------------------------------------------------------- */

static uint32_t slot_of(const char *device)
{
    uint32_t hash = 2166136261u;
    for (; *device != '\0'; device++)
        hash = (hash ^ (uint8_t)*device) * 16777619u;
    return (hash ^ hash >> 16) % TERN_SINK_SLOTS;
}

bool tern_import_takes(const struct tern_import *import, const char *device)
{
    return import->workers == 1 || slot_of(device) % import->workers == import->index;
}

/* A destination with one writer has one cursor, too. A replay has one of its own, so that the gateway's stays
 * where it is. */
static void assign_slots(struct tern_import *import, uint32_t index, uint32_t workers)
{
    import->index = index;
    import->workers = workers;
    import->slots[0] = import->config.replay == NULL ? 0 : TERN_SINK_SLOTS;
    import->slot_count = 1;
    if (import->sink->ops->single || import->config.replay != NULL)
        return;
    import->slot_count = 0;
    for (uint32_t slot = index; slot < TERN_SINK_SLOTS; slot += workers)
        import->slots[import->slot_count++] = slot;
}

static struct tern_import *allocate(struct tern_stage *stage, const char *url,
                                    const struct tern_import_config *config)
{
    struct tern_import *import = calloc(1, sizeof *import);
    if (import == NULL)
        return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&import->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&import->mutex, NULL);
    import->stage = stage;
    import->config = *config;
    if (import->config.rows == 0)
        import->config.rows = ROWS;
    if (import->config.milliseconds == 0)
        import->config.milliseconds = MILLISECONDS;
    import->url = strdup(url);
    import->chunks = calloc(TERN_IMPORT_CHUNKS, sizeof *import->chunks);
    import->decoder = tern_decoder_open();
    uint32_t filter = config->filter_bytes == 0                       ? TERN_FILTER_BYTES
                      : config->filter_bytes == TERN_IMPORT_NO_FILTER ? 0
                                                                      : config->filter_bytes;
    import->keys = tern_seen_open(filter);
    if (import->url != NULL && import->chunks != NULL && import->decoder != NULL && import->keys != NULL)
        return import;
    tern_import_close(import);
    return NULL;
}

/* What a worker remembers from run to run. */
static void remember(struct tern_import *import, uint32_t worker, uint32_t workers)
{
    const char *directory = tern_stage_directory(import->stage);
    struct tern_seen_config kept = {directory, import->url, tern_stage_id(import->stage), worker, workers};
    bool is_replay = import->config.replay != NULL;
    tern_remember_open(&import->remember, directory, import->url, is_replay ? TERN_SINK_SLOTS : worker);
    if (!is_replay && !import->sink->ops->plain)
        tern_seen_keep(import->keys, &kept);
}

int tern_import_open_sink(const struct tern_import *import, struct tern_sink **sink)
{
    const struct tern_import_config *config = &import->config;
    struct tern_sink_config wanted = {.url = import->url,
                                      .report = config->report,
                                      .segment_seconds = config->segment_seconds,
                                      .segment_bytes = config->segment_bytes,
                                      .segment_tool = config->segment_tool,
                                      .soft_delete = config->soft_delete,
                                      .no_ddl = config->no_ddl,
                                      .names = config->names,
                                      .name_count = config->name_count};
    return tern_sink_open(sink, &wanted);
}

static int open_worker(struct tern_import **out, struct tern_stage *stage, const char *url,
                       const struct tern_import_config *config)
{
    struct tern_import *import = allocate(stage, url, config);
    if (import == NULL) {
        tern_report_no_start(&config->report, "importer");
        return TERN_HOST_E_SYSTEM;
    }
    int status = tern_import_open_sink(import, &import->sink);
    if (status != TERN_HOST_OK) {
        tern_import_close(import);
        return status;
    }
    *out = import;
    return TERN_HOST_OK;
}

int tern_import_open_one(struct tern_import **out, struct tern_stage *stage, const char *url,
                         const struct tern_import_config *config)
{
    int status = open_worker(out, stage, url, config);
    if (status != TERN_HOST_OK)
        return status;
    (*out)->workers = 1;
    (*out)->slots[0] = TERN_SINK_SLOTS;
    (*out)->only_gaps = true;
    return TERN_HOST_OK;
}

static int start(struct tern_import *import)
{
    int error = pthread_create(&import->thread, NULL, tern_import_run, import);
    import->started = error == 0;
    if (error == 0)
        return TERN_HOST_OK;
    tern_import_report(import, TERN_ERROR, "thread-failed", NULL, strerror(error));
    return TERN_HOST_E_SYSTEM;
}

/* ---- The face -------------------------------------------------------------------------------- */

int tern_import_open(struct tern_import **out, struct tern_stage *stage, const char *url,
                     const struct tern_import_config *config)
{
    struct tern_import *first, **place = &first;
    uint32_t workers = config->workers == 0 ? 1 : config->workers;
    *out = NULL;
    int status = open_worker(&first, stage, url, config);
    if (status != TERN_HOST_OK)
        return status;
    if (first->sink->ops->single || config->replay != NULL)
        workers = 1;
    workers = workers > TERN_SINK_SLOTS ? TERN_SINK_SLOTS : workers;
    for (uint32_t i = 0; i < workers && status == TERN_HOST_OK; i++, place = &(*place)->next) {
        if (i != 0)
            status = open_worker(place, stage, url, config);
        if (status == TERN_HOST_OK) {
            assign_slots(*place, i, workers);
            remember(*place, i, workers);
        } else {
            break;
        }
    }
    for (struct tern_import *import = first; import != NULL && status == TERN_HOST_OK; import = import->next)
        status = start(import);
    if (status != TERN_HOST_OK) {
        tern_import_close(first);
        return status;
    }
    *out = first;
    return TERN_HOST_OK;
}

void tern_import_status(struct tern_import *import, struct tern_import_status *status)
{
    uint64_t end = tern_stage_end(import->stage);
    memset(status, 0, sizeof *status);
    status->cursor = UINT64_MAX;
    for (; import != NULL; import = import->next) {
        pthread_mutex_lock(&import->mutex);
        const struct tern_import_status *one = &import->status;
        status->cursor = one->cursor < status->cursor ? one->cursor : status->cursor;
        status->rows += one->rows;
        status->batches += one->batches;
        status->known += one->known;
        status->held += one->held;
        status->rejected += one->rejected;
        status->restored += one->restored;
        status->failing = status->failing || one->failing;
        if (one->error[0] != '\0')
            memcpy(status->error, one->error, sizeof status->error);
        pthread_mutex_unlock(&import->mutex);
    }
    status->end = end;
}

static void ask_to_drain(struct tern_import *import)
{
    pthread_mutex_lock(&import->mutex);
    import->draining = true;
    import->drained = false;
    pthread_mutex_unlock(&import->mutex);
}

static bool wait_drained(struct tern_import *import, const struct timespec *until)
{
    pthread_mutex_lock(&import->mutex);
    for (int error = 0; error == 0 && !import->drained;)
        error = pthread_cond_timedwait(&import->changed, &import->mutex, until);
    bool drained = import->drained;
    import->draining = false;
    pthread_mutex_unlock(&import->mutex);
    return drained;
}

int tern_import_drain(struct tern_import *import, int milliseconds)
{
    struct timespec until = tern_deadline(milliseconds);
    bool drained = true;
    for (struct tern_import *worker = import; worker != NULL; worker = worker->next)
        ask_to_drain(worker);
    tern_stage_wake(import->stage);
    for (struct tern_import *worker = import; worker != NULL; worker = worker->next)
        drained = wait_drained(worker, &until) && drained;
    return drained ? TERN_HOST_OK : TERN_HOST_E_LIMIT;
}

static void ask_to_stop(struct tern_import *import)
{
    pthread_mutex_lock(&import->mutex);
    import->stop = true;
    pthread_cond_broadcast(&import->changed);
    pthread_mutex_unlock(&import->mutex);
}

static void close_worker(struct tern_import *import)
{
    if (import->started) {
        tern_stage_wake(import->stage);
        pthread_join(import->thread, NULL);
    }
    if (!import->started && import->connected)
        tern_import_disconnect(import);
    if (import->sink != NULL)
        import->sink->ops->close(import->sink);
    tern_remember_close(&import->remember);
    tern_turn_free(&import->turn);
    tern_turn_free(&import->ahead);
    tern_decoder_close(import->decoder);
    tern_seen_close(import->keys);
    pthread_mutex_destroy(&import->mutex);
    pthread_cond_destroy(&import->changed);
    free(import->holds);
    free(import->told_holds);
    free(import->tables);
    free(import->chain);
    free(import->order);
    for (size_t i = 0; import->chunks != NULL && i < TERN_IMPORT_CHUNKS; i++) {
        free(import->chunks[i].bytes);
        tern_decode_place_free(&import->chunks[i].place);
    }
    free(import->chunks);
    free(import->url);
    free(import);
}

void tern_import_close(struct tern_import *import)
{
    for (struct tern_import *worker = import; worker != NULL; worker = worker->next)
        ask_to_stop(worker);
    while (import != NULL) {
        struct tern_import *next = import->next;
        close_worker(import);
        import = next;
    }
}
