/* SPDX-License-Identifier: MIT */
/* What cannot be brought in now: ranges and tables that are held, what the log is told of them, and when they
 * are tried again. */
#include <stdlib.h>
#include <string.h>

#include "../core/crc32c.h"
#include "import_turn.h"

#define RANGES_RETRY  60000 /* milliseconds until a range that is held is read again */
#define TABLES_RETRY  2000  /* until a table that refuses records is looked at again */
#define SESSION_RETRY 10000 /* until that is done by a session of its own */

/* ---- Telling --------------------------------------------------------------------------------- */

static struct tern_import_told *find_told(const struct tern_import *import,
                                          const struct tern_import_told *told)
{
    for (size_t i = 0; i < import->told_hold_count; i++) {
        struct tern_import_told *known = &import->told_holds[i];
        if (known->what == told->what && known->lane == told->lane && known->epoch == told->epoch)
            return known;
    }
    return NULL;
}

/* Once, however often the connection is made anew: until it is taken, or held for another reason. */
static void tell(struct tern_import *import, struct tern_import_told told, const char *device,
                 const char *message)
{
    struct tern_import_told *known = find_told(import, &told);
    told.words = tern_crc32c(0, message, strlen(message));
    if (known != NULL && known->words == told.words)
        return;
    tern_import_report(import, TERN_ERROR, "records-held", device, message);
    if (known == NULL) {
        struct tern_import_told *all =
            realloc(import->told_holds, (import->told_hold_count + 1) * sizeof *all);
        if (all == NULL)
            return; /* it is told again */
        import->told_holds = all;
        known = &all[import->told_hold_count++];
    }
    *known = told;
}

void tern_import_take_table(struct tern_import *import, const struct tern_schema *schema)
{
    const struct tern_import_told table = {.what = schema};
    struct tern_import_told *told = find_told(import, &table);
    if (told != NULL)
        *told = import->told_holds[--import->told_hold_count];
}

/* ---- Holding --------------------------------------------------------------------------------- */

bool tern_import_holds(const struct tern_import *import, const struct tern_entry *entry)
{
    for (size_t i = 0; i < import->hold_count; i++) {
        const struct tern_import_hold *hold = &import->holds[i];
        if (hold->device == entry->device && hold->lane == entry->lane && hold->epoch == entry->epoch)
            return true;
    }
    return false;
}

static bool add_hold(struct tern_import *import, const struct tern_entry *entry, const char *device)
{
    struct tern_import_hold *holds = realloc(import->holds, (import->hold_count + 1) * sizeof *holds);
    if (holds == NULL)
        return false;
    holds[import->hold_count++] =
        (struct tern_import_hold){device, entry->epoch, entry->lane, entry->position};
    import->holds = holds;
    return true;
}

bool tern_import_hold_range(struct tern_import *import, const struct tern_entry *entry, const char *message)
{
    const struct tern_import_told range = {.what = entry->device, .epoch = entry->epoch, .lane = entry->lane};
    if (!add_hold(import, entry, entry->device))
        return false;
    import->holds_tried = tern_import_clock();
    tell(import, range, entry->device, message);
    return true;
}

bool tern_import_hold_table(struct tern_import *import, const struct tern_entry *entry,
                            const struct tern_schema *schema)
{
    const struct tern_import_told table = {.what = schema};
    if (!add_hold(import, entry, NULL))
        return false;
    import->tables_tried = import->session_tried = tern_import_clock();
    tell(import, table, entry->device, import->sink->error);
    return true;
}

uint64_t tern_import_cursor(const struct tern_import *import)
{
    uint64_t cursor = import->position;
    for (size_t i = 0; i < import->hold_count; i++)
        if (import->holds[i].position < cursor)
            cursor = import->holds[i].position;
    return cursor;
}

/* ---- Looking again --------------------------------------------------------------------------- */

static bool holds_a_range(const struct tern_import *import)
{
    for (size_t i = 0; i < import->hold_count; i++)
        if (import->holds[i].device != NULL)
            return true;
    return false;
}

/* Whether a table that refused records takes them now. */
static int look_at_tables(const struct tern_import *import, struct tern_sink *sink, bool *mended)
{
    for (size_t i = 0; i < import->table_count && !*mended; i++) {
        const struct tern_import_table *table = &import->tables[i];
        if (!table->refused)
            continue;
        int status = sink->ops->prepare(sink, &table->schema->table, table->hash, table->deletes);
        *mended = status == TERN_HOST_OK;
        if (status != TERN_HOST_OK && status != TERN_HOST_E_ARGUMENT)
            return status;
    }
    return TERN_HOST_OK;
}

/* A database may settle what a user may do when the session begins, and a grant then says nothing to this
 * one. That the other one cannot be had, or fails, changes nothing. */
static void look_by_another_session(struct tern_import *import, bool *mended)
{
    struct tern_sink *sink;
    import->session_tried = tern_import_clock();
    if (tern_import_open_sink(import, &sink) != TERN_HOST_OK)
        return;
    if (sink->ops->connect(sink) == TERN_HOST_OK) {
        (void)look_at_tables(import, sink, mended);
        sink->ops->disconnect(sink);
    }
    sink->ops->close(sink);
}

int tern_import_look_at_holds(struct tern_import *import, bool *mended)
{
    int64_t now = tern_import_clock();
    if (import->hold_count == 0)
        return TERN_HOST_OK;
    *mended = holds_a_range(import) && now - import->holds_tried >= RANGES_RETRY;
    if (*mended || now - import->tables_tried < TABLES_RETRY)
        return TERN_HOST_OK;
    import->tables_tried = now;
    int status = look_at_tables(import, import->sink, mended);
    if (status == TERN_HOST_OK && !*mended && !import->sink->ops->single &&
        now - import->session_tried >= SESSION_RETRY)
        look_by_another_session(import, mended);
    return status;
}
