/* SPDX-License-Identifier: MIT */
/* Whether the destination still has what was committed, and what it lacks that only devices may have. */
#include "../core/frame.h"
#include "import_turn.h"

#define LOOK_EVERY 10000 /* milliseconds until an idle destination is seen to have what was committed */
#define HELD_WAIT  86400 /* seconds that what another store holds is waited for */

/* ---- Set back -------------------------------------------------------------------------------- */

/* Looks for the batch that was committed last, and for one whose commit had no answer. Where the first is
 * missing, the database was restored, failed over, or lost a commit; it tells itself by its cursor from where
 * on it must be filled again. */
int tern_import_look_back(struct tern_import *import)
{
    struct tern_remember *remember = &import->remember;
    bool found = true;
    int status = TERN_HOST_OK;
    import->looked = tern_import_clock();
    if (import->sink->ops->find_batch == NULL)
        return status;
    if (remember->unsure != 0 && remember->unsure != remember->batch)
        status = import->sink->ops->find_batch(import->sink, remember->unsure, &found);
    if (status == TERN_HOST_OK && found && remember->unsure != 0)
        tern_remember_batch(remember, remember->unsure);
    remember->unsure = status == TERN_HOST_OK ? 0 : remember->unsure;
    if (status == TERN_HOST_OK && remember->batch != 0)
        status = import->sink->ops->find_batch(import->sink, remember->batch, &found);
    if (status != TERN_HOST_OK || found || remember->batch == 0)
        return status;
    tern_import_report(
        import, TERN_WARN, "sink-restored", NULL,
        "the destination has lost a batch that was committed: it was restored or failed over; what the "
        "staging store holds behind its cursor is brought in again");
    pthread_mutex_lock(&import->mutex);
    import->status.restored++;
    import->status.cursor = 0; /* what it is to be filled with must stay, until it has said where it is */
    pthread_mutex_unlock(&import->mutex);
    tern_remember_batch(remember, 0);
    tern_seen_forget(import->keys);
    return status;
}

/* ---- What the destination lacks -------------------------------------------------------------- */

static void want_gap(void *context, const struct tern_mark *mark, const struct tern_gap *gap)
{
    struct tern_import *import = context;
    struct tern_stage_want want = {mark->lane, mark->epoch, gap->first, gap->last, 0, import->position};
    int64_t wait = import->config.held_seconds == 0 ? HELD_WAIT : import->config.held_seconds;
    /* Another store brings it in, unless this destination had it and was set back. */
    if (gap->reason == TERN_GAP_HELD && import->status.restored == 0 && wait > 0)
        want.due = gap->at + wait * 1000;
    if (tern_import_takes(import, mark->device))
        tern_stage_want(import->stage, mark->device, &want);
}

/* When all that the store has is in: what is missing then, devices may still have. Where the destination
 * began later than the store, it is not to have what was before. */
int tern_import_ask_devices(struct tern_import *import)
{
    if (!import->asks || import->config.replay != NULL || import->config.from != 0 ||
        import->sink->ops->list_gaps == NULL)
        return TERN_HOST_OK;
    import->asks = false;
    return import->sink->ops->list_gaps(import->sink, want_gap, import);
}

int tern_import_look_again(struct tern_import *import, bool *restored)
{
    uint32_t before = import->status.restored;
    if (tern_import_clock() - import->looked < LOOK_EVERY)
        return TERN_HOST_OK;
    int status = tern_import_look_back(import);
    *restored = import->status.restored != before;
    return status;
}
