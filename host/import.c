/* SPDX-License-Identifier: MIT */
/* The importer's thread: connect, read a turn, bring it in, wait; and after any failure the same again from
 * the destination's cursor. */
#include "import.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "deadline.h"
#include "import_turn.h"
#include "log.h"

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

/* ---- Connecting ------------------------------------------------------------------------------ */

void tern_import_disconnect(struct tern_import *import)
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

/* Begins to read at the destination's cursor. One that lies beyond the journal's end is from a store that was
 * set back: everything is read, and what is there already is known by the marks. */
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

/* ---- State for others ------------------------------------------------------------------------ */

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
    tern_import_disconnect(import);
    pause_thread(import, import->backoff);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

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
        tern_import_disconnect(import);
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

/* A line for each transaction, and in a long backlog, every few seconds, how far it is and how long it will
 * take. */
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
    tern_import_disconnect(import);
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

void *tern_import_run(void *context)
{
    struct tern_import *import = context;
    while (!tern_import_stops(import)) {
        if (take_turn(import) == TERN_HOST_OK)
            succeed(import);
        else
            fail(import);
    }
    tern_import_disconnect(import);
    return NULL;
}
