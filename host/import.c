/* SPDX-License-Identifier: MIT */
/* The importer's thread: connect, read a turn, bring it in, wait; and after any failure the same again from the destination's cursor. */
#include "import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deadline.h"
#include "filter.h"
#include "import_turn.h"
#include "log.h"

#define ROWS          100000u
#define MILLISECONDS  1000u
#define IDLE_WAIT     1000 /* milliseconds without news until files' ages are looked at */
#define BACKOFF_FIRST 100u /* milliseconds after the first failure, doubled each time */
#define BACKOFF_MAX   30000u
#define PROGRESS      5000 /* milliseconds between two events of a long backlog */

int64_t tern_import_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t tern_import_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool tern_import_stops(struct tern_import *import)
{
    pthread_mutex_lock(&import->mutex);
    bool stops = import->stop;
    pthread_mutex_unlock(&import->mutex);
    return stops;
}

void tern_import_report(struct tern_import *import, enum tern_level level, const char *event,
                        const char *device, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", import->url);
    if (device != NULL)
        tern_fields_text(&fields, "device", device);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&import->config.report, level, event, &fields);
}

/* ---- Connecting --------------------------------------------------------------------------------------------------------------- */

static void disconnect(struct tern_import *import)
{
    if (import->connected)
        import->sink->ops->disconnect(import->sink);
    import->connected = false;
    tern_stage_reader_close(import->reader);
    import->reader = NULL;
    import->table_count = 0;
    import->hold_count = 0;
    import->is_ready = import->has_later = import->more = false;
}

/* Begins to read at the destination's cursor. One that lies beyond the journal's end is from a store that was set back: everything
 * is read, and what is there already is known by the marks. */
static int open_reader(struct tern_import *import)
{
    uint64_t cursor = UINT64_MAX;
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < import->slot_count && status == TERN_HOST_OK; i++) {
        uint64_t found = 0;
        status = import->sink->ops->read_cursor(import->sink, tern_stage_id(import->stage), import->slots[i],
                                                &found);
        cursor = found < cursor ? found : cursor;
    }
    if (status != TERN_HOST_OK)
        return status;
    if (cursor > tern_stage_end(import->stage)) {
        tern_import_report(
            import, TERN_WARN, "cursor-beyond-store", NULL,
            "the destination has seen more of this staging store than the store holds: the store was set "
            "back; reading it from its beginning");
        cursor = 0;
    }
    if (import->config.replay != NULL)
        cursor = 0;
    if (cursor == 0)
        cursor = import->config.from;
    if (!import->resumed && import->config.remembered != 0 && cursor > import->config.remembered)
        cursor = import->config.remembered;
    import->resumed = true;
    import->past_oldest = cursor < tern_stage_oldest(import->stage);
    status = tern_stage_reader_open(import->stage, cursor, &import->reader);
    if (status != TERN_HOST_OK)
        return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "the journal cannot be opened for reading");
    if (import->past_oldest)
        tern_stage_reader_states(import->reader);
    import->position = import->written = import->applied = cursor;
    for (unsigned i = 0; i < TERN_IMPORT_CHUNKS; i++)
        import->chunks[i].device = NULL;
    return TERN_HOST_OK;
}

static void learn_epoch(void *context, const char *device, uint32_t epoch)
{
    tern_stage_learn(context, device, epoch);
}

/* What other gateways gave to devices, or one whose staging folder is gone. One worker asks for all. */
static int learn_epochs(struct tern_import *import)
{
    if (import->index != 0 || import->config.replay != NULL || import->sink->ops->list_epochs == NULL)
        return TERN_HOST_OK;
    return import->sink->ops->list_epochs(import->sink, learn_epoch, import->stage);
}

static int connect_sink(struct tern_import *import)
{
    if (import->connected)
        return TERN_HOST_OK;
    int status = import->sink->ops->connect(import->sink);
    if (status != TERN_HOST_OK)
        return status;
    import->connected = import->asks = true;
    status = tern_import_look_back(import);
    if (status == TERN_HOST_OK)
        status = tern_seen_connect(import->keys, import->sink);
    if (status == TERN_HOST_OK)
        status = learn_epochs(import);
    return status == TERN_HOST_OK ? open_reader(import) : status;
}

/* ---- State for others ----------------------------------------------------------------------------------------------------------- */

static void show(struct tern_import *import, bool failing)
{
    uint64_t end = tern_stage_end(import->stage);
    pthread_mutex_lock(&import->mutex);
    import->status.cursor = import->applied;
    import->status.end = end;
    import->status.failing = failing;
    import->status.held = (uint32_t)import->hold_count;
    snprintf(import->status.error, sizeof import->status.error, "%s", failing ? import->sink->error : "");
    pthread_mutex_unlock(&import->mutex);
}

static void report_state(struct tern_import *import, enum tern_level level, const char *event,
                         const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", import->url);
    tern_fields_format(&fields, "cursor", "%" PRIu64, import->applied);
    if (level != TERN_INFO)
        tern_fields_number(&fields, "retry_ms", import->backoff);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&import->config.report, level, event, &fields);
}

static void succeed(struct tern_import *import)
{
    if (import->alarmed)
        report_state(import, TERN_INFO, "sink-back", "the destination takes records again");
    import->alarmed = false;
    import->backoff = 0;
    show(import, false);
}

/* Waits on the condition, at most so long, or until stop. */
static void pause_thread(struct tern_import *import, uint32_t milliseconds)
{
    struct timespec until = tern_deadline(milliseconds);
    pthread_mutex_lock(&import->mutex);
    for (int error = 0; error == 0 && !import->stop;)
        error = pthread_cond_timedwait(&import->changed, &import->mutex, &until);
    pthread_mutex_unlock(&import->mutex);
}

static void fail(struct tern_import *import)
{
    import->backoff = import->backoff == 0 ? BACKOFF_FIRST : import->backoff * 2;
    if (import->backoff > BACKOFF_MAX)
        import->backoff = BACKOFF_MAX;
    /* Once for a spell of failures, and again each time that the longest wait begins. */
    if (!import->alarmed || import->backoff == BACKOFF_MAX)
        report_state(import, TERN_ERROR, "sink-failed", import->sink->error);
    import->alarmed = true;
    show(import, true);
    disconnect(import);
    pause_thread(import, import->backoff);
}

/* ---- Turns ------------------------------------------------------------------------------------------------------------------------ */

/* Nothing is left to read: files get old, a drain may be waiting, and held ranges may have been mended. */
static int be_idle(struct tern_import *import)
{
    pthread_mutex_lock(&import->mutex);
    bool draining = import->draining;
    pthread_mutex_unlock(&import->mutex);
    bool caught_up = !import->has_later && import->position >= tern_stage_end(import->stage);
    int status = import->sink->ops->tick == NULL
                     ? TERN_HOST_OK
                     : import->sink->ops->tick(import->sink, draining && caught_up);
    bool restored = false;
    if (status == TERN_HOST_OK && caught_up)
        status = tern_import_ask_devices(import);
    if (status == TERN_HOST_OK && caught_up)
        status = tern_import_look_again(import, &restored);
    if (restored)
        disconnect(import);
    if (status != TERN_HOST_OK || restored)
        return status;
    show(import, false);
    if (draining && caught_up) {
        pthread_mutex_lock(&import->mutex);
        import->draining = false;
        import->drained = true;
        pthread_cond_broadcast(&import->changed);
        pthread_mutex_unlock(&import->mutex);
    }
    if (caught_up)
        tern_stage_wait(import->stage, import->seen, IDLE_WAIT);
    return TERN_HOST_OK;
}

/* A line for each transaction, and in a long backlog, every few seconds, how far it is and how long it will take. */
static void tell(struct tern_import *import, int64_t begun)
{
    int64_t now = tern_import_clock();
    const struct tern_turn *turn = &import->turn;
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", import->url);
    tern_fields_format(&fields, "rows", "%zu", turn->row_count);
    tern_fields_format(&fields, "bytes", "%" PRIu64, turn->bytes);
    tern_fields_format(&fields, "ms", "%" PRId64, now - begun);
    tern_fields_text(&fields, "path", import->path);
    tern_fields_number(&fields, "retries", import->retries);
    tern_report_event(&import->config.report, TERN_DEBUG, "batch", &fields);
    if (!import->more || import->told == 0) {
        import->told = import->more ? now : 0;
        import->told_cursor = import->applied;
        import->told_rows = 0;
        return;
    }
    import->told_rows += turn->row_count;
    if (now - import->told < PROGRESS || import->applied <= import->told_cursor)
        return;
    uint64_t left = tern_stage_end(import->stage) - import->applied, took = (uint64_t)(now - import->told);
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", import->url);
    tern_fields_format(&fields, "rows_per_second", "%" PRIu64, import->told_rows * 1000 / took);
    tern_fields_format(&fields, "bytes_left", "%" PRIu64, left);
    tern_fields_format(&fields, "seconds_left", "%" PRIu64,
                       left / (import->applied - import->told_cursor) * took / 1000 +
                           left % (import->applied - import->told_cursor) * took /
                               (import->applied - import->told_cursor) / 1000);
    tern_report_event(&import->config.report, TERN_INFO, "progress", &fields);
    import->told = now;
    import->told_cursor = import->applied;
    import->told_rows = 0;
}

static void *read_ahead(void *context)
{
    struct tern_import *import = context;
    import->is_ready = tern_import_read(import) == TERN_HOST_OK;
    return NULL;
}

/* Brings the turn in, and reads the next one meanwhile. */
static int apply_and_read(struct tern_import *import)
{
    pthread_t thread;
    import->overlaps = import->more && import->config.replay == NULL;
    bool started = import->overlaps && pthread_create(&thread, NULL, read_ahead, import) == 0;
    int status = tern_import_apply(import);
    if (started) {
        pthread_join(thread, NULL);
        if (status == TERN_HOST_OK && !import->is_ready)
            status = tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "the journal cannot be read");
    }
    import->overlaps = false;
    return status;
}

/* What is held may have been mended: then everything from there on is read again. */
static int retry_holds(struct tern_import *import)
{
    bool mended = false;
    int status = tern_import_look_at_holds(import, &mended);
    if (status != TERN_HOST_OK || !mended)
        return status;
    disconnect(import);
    return connect_sink(import);
}

static int take_turn(struct tern_import *import)
{
    int status = connect_sink(import);
    if (status == TERN_HOST_OK)
        status = retry_holds(import);
    if (status == TERN_HOST_OK && !import->is_ready)
        status = tern_import_read(import);
    if (status != TERN_HOST_OK)
        return status;
    struct tern_turn turn = import->turn;
    import->turn = import->ahead;
    import->ahead = turn;
    import->is_ready = false;
    if (import->turn.unit_count == 0) {
        import->applied = import->turn.cursor;
        return be_idle(import);
    }
    int64_t begun = tern_import_clock();
    status = apply_and_read(import);
    if (status == TERN_HOST_OK) {
        import->written = import->applied = import->turn.cursor;
        tell(import, begun);
        if (import->sink->ops->tick != NULL)
            status = import->sink->ops->tick(import->sink, false);
    }
    return status;
}

static void *run(void *context)
{
    struct tern_import *import = context;
    while (!tern_import_stops(import)) {
        if (take_turn(import) == TERN_HOST_OK)
            succeed(import);
        else
            fail(import);
    }
    disconnect(import);
    return NULL;
}

/* ---- Workers ---------------------------------------------------------------------------------------------------------------------- */

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

/* A destination with one writer has one cursor, too. A replay has one of its own, so that the gateway's stays where it is. */
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
    int error = pthread_create(&import->thread, NULL, run, import);
    import->started = error == 0;
    if (error == 0)
        return TERN_HOST_OK;
    tern_import_report(import, TERN_ERROR, "thread-failed", NULL, strerror(error));
    return TERN_HOST_E_SYSTEM;
}

/* ---- The face --------------------------------------------------------------------------------------------------------------------- */

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
        disconnect(import);
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
