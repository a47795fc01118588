/* SPDX-License-Identifier: MIT */
/*
 * Compares a destination with the journal. What the journal says is found by bringing it into an empty
 * destination of the same kind, as far as the audited one has it by its own checkpoint: so every merge rule,
 * delete and snapshot counts as it does there, and no second copy of those rules can be wrong. Then both are
 * read back, row by row.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_map.h"
#include "import_turn.h"
#include "log.h"
#include "scan.h"
#include "style.h"

#define PATIENCE 3600000 /* milliseconds for the journal to be brought in */

/* A range of a device, and what of it is compared. */
struct scope {
    struct tern_mark mark;      /* the destination's */
    struct tern_mark reference; /* that of what the journal could give */
    uint32_t base;
    uint32_t first, last; /* came in at the hours asked for; first > last: nothing */
};

struct table {
    char name[TERN_NAME_MAX + 1];
    struct tern_column columns[TERN_COLUMNS_MAX * 4]; /* of all versions; names live in the stage */
    size_t column_count;
    bool has_rules;
};

struct auditing {
    const struct tern_host_audit *audit;
    struct tern_host_audit_result *result;
    struct tern_import_config style; /* what the destination calls its tables, and how it deletes */
    struct tern_stage *stage;
    struct tern_sink *sink, *other; /* other: the one that is filled from the journal */
    struct scope *scopes;           /* in order of device, lane and epoch */
    size_t scope_count;
    struct table *tables;
    size_t table_count;
    struct tern_audit_map map; /* of the table being compared */
    const struct table *table;
    struct tern_host_audit_table counts;
    char folder[64];
    char url[128];
};

static int fail(const struct auditing *auditing, int status, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "sink", auditing->audit->sink);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&auditing->audit->report, TERN_ERROR, "audit-failed", &fields);
    return status;
}

/* ---- Scopes ---------------------------------------------------------------------------------- */

static void add_scope(void *context, const struct tern_stage_about *about)
{
    struct auditing *auditing = context;
    const char *device = auditing->audit->device;
    if (device != NULL && strcmp(device, about->device) != 0)
        return;
    struct scope *scopes = realloc(auditing->scopes, (auditing->scope_count + 1) * sizeof *scopes);
    if (scopes == NULL) {
        auditing->result->failed = 1;
        return;
    }
    auditing->scopes = scopes;
    struct scope *scope = &scopes[auditing->scope_count++];
    memset(scope, 0, sizeof *scope);
    scope->mark.device = scope->reference.device = about->device;
    scope->mark.lane = scope->reference.lane = about->lane;
    scope->mark.epoch = scope->reference.epoch = about->epoch;
    scope->base = about->first;
    scope->first = 1;
    scope->last = auditing->audit->since == 0 && auditing->audit->until == 0 ? UINT32_MAX : 0;
}

static int compare_scopes(const void *x, const void *y)
{
    const struct tern_mark *a = &((const struct scope *)x)->mark, *b = &((const struct scope *)y)->mark;
    int order = strcmp(a->device, b->device);
    if (order == 0)
        order = (a->lane > b->lane) - (a->lane < b->lane);
    return order != 0 ? order : (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

static struct scope *find_scope(const struct auditing *auditing, const char *device, size_t size,
                                uint32_t epoch)
{
    char name[TERN_ID_MAX + 1];
    if (size > TERN_ID_MAX)
        return NULL;
    memcpy(name, device, size);
    name[size] = '\0';
    struct scope key = {.mark = {.device = name, .lane = epoch & 7u, .epoch = epoch}};
    return auditing->scope_count == 0
               ? NULL
               : bsearch(&key, auditing->scopes, auditing->scope_count, sizeof key, compare_scopes);
}

/* Which records came in at the hours asked for. */
static int read_hours(struct auditing *auditing)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    struct tern_import_replay hours = {.since = auditing->audit->since, .until = auditing->audit->until};
    if (hours.since == 0 && hours.until == 0)
        return TERN_HOST_OK;
    int status = tern_stage_reader_open(auditing->stage, 0, &reader);
    if (status != TERN_HOST_OK)
        return status;
    while ((status = tern_stage_read(reader, &entry)) == 1) {
        if (entry.kind != TERN_ENTRY_CHUNK || entry.last < entry.first || !tern_replay_wants(&hours, &entry))
            continue;
        struct scope *scope = find_scope(auditing, entry.device, strlen(entry.device), entry.epoch);
        if (scope == NULL)
            continue;
        scope->first = scope->last == 0 ? entry.first : scope->first;
        scope->last = entry.last;
    }
    tern_stage_reader_close(reader);
    return status;
}

static int read_marks(struct auditing *auditing, struct tern_sink *sink, bool is_reference)
{
    struct tern_mark **marks = malloc((auditing->scope_count + 1) * sizeof(struct tern_mark *));
    if (marks == NULL)
        return TERN_HOST_E_SYSTEM;
    for (size_t i = 0; i < auditing->scope_count; i++) {
        marks[i] = is_reference ? &auditing->scopes[i].reference : &auditing->scopes[i].mark;
        tern_mark_reset(marks[i], auditing->scopes[i].base);
    }
    int status = sink->ops->read_marks(sink, marks, auditing->scope_count);
    free(marks);
    return status;
}

/* Whether the destination says that it has the record. */
static bool wants(void *context, const struct tern_mark *mark, uint32_t sequence)
{
    const struct scope *scope = find_scope(context, mark->device, strlen(mark->device), mark->epoch);
    return scope != NULL && tern_mark_has(&scope->mark, sequence);
}

/* ---- The reference --------------------------------------------------------------------------- */

static struct table *find_table(struct auditing *auditing, const char *name)
{
    for (size_t i = 0; i < auditing->table_count; i++)
        if (strcmp(auditing->tables[i].name, name) == 0)
            return &auditing->tables[i];
    struct table *tables = realloc(auditing->tables, (auditing->table_count + 1) * sizeof *tables);
    if (tables == NULL)
        return NULL;
    auditing->tables = tables;
    struct table *table = &tables[auditing->table_count++];
    memset(table, 0, sizeof *table);
    snprintf(table->name, sizeof table->name, "%s", name);
    return table;
}

static bool add_table(struct auditing *auditing, const struct tern_table *schema)
{
    struct table *table = find_table(auditing, schema->name);
    for (uint8_t i = 0; table != NULL && i < schema->column_count; i++) {
        size_t k = 0;
        while (k < table->column_count && strcmp(table->columns[k].name, schema->columns[i].name) != 0)
            k++;
        table->has_rules |= (schema->columns[i].flags & TERN_ADD) != 0;
        if (k == table->column_count && k < sizeof table->columns / sizeof table->columns[0])
            table->columns[table->column_count++] = schema->columns[i];
    }
    return table != NULL;
}

/* Brings the journal in, and keeps which tables it has. */
static int fill_reference(struct auditing *auditing)
{
    struct tern_import_replay replay = {
        .device = auditing->audit->device, .wants = wants, .context = auditing};
    struct tern_import_config config = auditing->style;
    config.replay = &replay;
    config.no_ddl = false; /* the reference has no tables yet */
    struct tern_import *import;
    struct tern_import_status about;
    int status = tern_import_open(&import, auditing->stage, auditing->url, &config);
    if (status != TERN_HOST_OK)
        return status;
    status = tern_import_drain(import, PATIENCE);
    tern_import_status(import, &about);
    for (size_t i = 0; status == TERN_HOST_OK && i < import->table_count; i++)
        if (!import->tables[i].refused && !add_table(auditing, &import->tables[i].schema->table))
            status = TERN_HOST_E_SYSTEM;
    auditing->result->held = about.held;
    tern_import_close(import);
    return status;
}

static struct tern_sink_config sink_config(const struct auditing *auditing, const char *url)
{
    return (struct tern_sink_config){.url = url,
                                     .report = auditing->audit->report,
                                     .soft_delete = auditing->style.soft_delete,
                                     .names = auditing->style.names,
                                     .name_count = auditing->style.name_count};
}

static int open_reference(struct auditing *auditing)
{
    struct tern_sink_config config = sink_config(auditing, auditing->url);
    int status = tern_sink_open(&auditing->other, &config);
    if (status == TERN_HOST_OK)
        status = auditing->other->ops->connect(auditing->other);
    if (status == TERN_HOST_OK)
        status = auditing->other->ops->begin(auditing->other);
    return status == TERN_HOST_OK ? read_marks(auditing, auditing->other, true) : status;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void tell(struct auditing *auditing, const char *device, int64_t id, const char *what)
{
    auditing->counts.differences++;
    auditing->result->differences++;
    if (auditing->audit->difference != NULL)
        auditing->audit->difference(auditing->audit->context, auditing->table->name, device, id, what);
}

static bool is_compared(const struct auditing *auditing, const struct scope *scope, uint32_t sequence)
{
    (void)auditing;
    return scope != NULL && sequence >= scope->first && sequence <= scope->last &&
           tern_mark_has(&scope->mark, sequence);
}

static int take_reference(void *context, const struct tern_scan_row *row)
{
    struct auditing *auditing = context;
    const struct scope *scope =
        find_scope(auditing, row->device, row->device_size, (uint32_t)((uint64_t)row->id >> 32));
    if (!is_compared(auditing, scope, (uint32_t)row->id))
        return TERN_HOST_OK;
    struct tern_audit_row kept = {scope->mark.device, row->id, row->digest, false};
    auditing->counts.journal_rows++;
    auditing->counts.journal_digest += tern_audit_mix(&kept);
    return tern_audit_add(&auditing->map, &kept) ? TERN_HOST_OK : TERN_HOST_E_SYSTEM;
}

/* A row that the journal does not lead to: from before what it still has, or a difference. */
static void take_stranger(struct auditing *auditing, const struct scope *scope,
                          const struct tern_audit_row *row)
{
    const struct tern_gaps *gaps = &scope->reference.gaps;
    for (size_t i = 0; i < gaps->count; i++)
        if ((uint32_t)row->id >= gaps->list[i].first && (uint32_t)row->id <= gaps->list[i].last) {
            auditing->counts.older++;
            return;
        }
    if ((uint32_t)row->id > scope->reference.applied)
        auditing->counts.older++;
    else
        tell(auditing, row->device, row->id, "is in the destination, and by the journal it should not be");
}

static int take_row(void *context, const struct tern_scan_row *row)
{
    struct auditing *auditing = context;
    const struct scope *scope =
        find_scope(auditing, row->device, row->device_size, (uint32_t)((uint64_t)row->id >> 32));
    if (!is_compared(auditing, scope, (uint32_t)row->id))
        return TERN_HOST_OK;
    struct tern_audit_row here = {scope->mark.device, row->id, row->digest, false};
    struct tern_audit_row *known = tern_audit_find(&auditing->map, &here);
    if (known == NULL) {
        take_stranger(auditing, scope, &here);
        return TERN_HOST_OK;
    }
    /* What merge rules made of records that the journal no longer has is not known. */
    if (auditing->table->has_rules && tern_stage_oldest(auditing->stage) != 0)
        here.digest = known->digest;
    auditing->counts.sink_rows++;
    auditing->counts.sink_digest += tern_audit_mix(&here);
    if (known->seen)
        tell(auditing, here.device, here.id, "is there twice");
    else if (known->digest != here.digest)
        tell(auditing, here.device, here.id, "has other values than in the journal");
    known->seen = true;
    return TERN_HOST_OK;
}

static void take_missing(void *context, const struct tern_audit_row *row)
{
    if (!row->seen)
        tell(context, row->device, row->id, "is missing in the destination");
}

static int compare_table(struct auditing *auditing, const struct table *table)
{
    struct tern_sink_scan scan = {.table = table->name,
                                  .columns = table->columns,
                                  .column_count = table->column_count,
                                  .device = auditing->audit->device,
                                  .first = auditing->audit->first,
                                  .last = auditing->audit->last == 0 ? INT64_MAX : auditing->audit->last,
                                  .row = take_reference,
                                  .context = auditing};
    auditing->table = table;
    memset(&auditing->counts, 0, sizeof auditing->counts);
    auditing->counts.table = table->name;
    tern_audit_clear(&auditing->map);
    int status = auditing->other->ops->scan(auditing->other, &scan);
    if (status != TERN_HOST_OK)
        return fail(auditing, status, auditing->other->error);
    scan.row = take_row;
    status = auditing->sink->ops->scan(auditing->sink, &scan);
    if (status != TERN_HOST_OK)
        return fail(auditing, status, auditing->sink->error);
    tern_audit_walk(&auditing->map, take_missing, auditing);
    auditing->result->rows += auditing->counts.journal_rows;
    if (auditing->audit->table != NULL)
        auditing->audit->table(auditing->audit->context, &auditing->counts);
    return TERN_HOST_OK;
}

/* ---- The face -------------------------------------------------------------------------------- */

/* In this order: the journal is then at least as new as what the destination's checkpoint says. */
static int open_both(struct auditing *auditing)
{
    struct tern_sink_config config = sink_config(auditing, auditing->audit->sink);
    config.no_ddl = auditing->style.no_ddl;
    struct tern_stage_config stage = {
        .directory = auditing->audit->stage, .report = auditing->audit->report, .read_only = true};
    int status = tern_sink_open(&auditing->sink, &config);
    if (status != TERN_HOST_OK)
        return status;
    if (auditing->sink->ops->scan == NULL)
        return fail(auditing, TERN_HOST_E_ARGUMENT, "this kind of destination cannot be read back");
    status = auditing->sink->ops->connect(auditing->sink);
    if (status == TERN_HOST_OK)
        status = auditing->sink->ops->begin(auditing->sink);
    if (status != TERN_HOST_OK)
        return fail(auditing, status, auditing->sink->error);
    status = tern_stage_open(&auditing->stage, &stage);
    if (status != TERN_HOST_OK)
        return status;
    tern_stage_list(auditing->stage, add_scope, auditing);
    if (auditing->scope_count != 0)
        qsort(auditing->scopes, auditing->scope_count, sizeof *auditing->scopes, compare_scopes);
    status = read_marks(auditing, auditing->sink, false);
    return status == TERN_HOST_OK ? read_hours(auditing) : fail(auditing, status, auditing->sink->error);
}

static int make_folder(struct auditing *auditing)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(auditing->folder, sizeof auditing->folder, "%.30s/tern-audit-XXXXXX",
             temporary == NULL ? "/tmp" : temporary);
    if (mkdtemp(auditing->folder) == NULL) {
        auditing->folder[0] = '\0';
        return fail(auditing, TERN_HOST_E_SYSTEM, "cannot make a temporary folder: set TMPDIR");
    }
    snprintf(auditing->url, sizeof auditing->url, "%s:%s/reference",
             auditing->sink->ops->folds ? "sqlite" : "csv", auditing->folder);
    return TERN_HOST_OK;
}

static void close_sink(struct tern_sink *sink)
{
    if (sink == NULL)
        return;
    sink->ops->rollback(sink);
    sink->ops->disconnect(sink);
    sink->ops->close(sink);
}

static void close_all(struct auditing *auditing)
{
    close_sink(auditing->other);
    close_sink(auditing->sink);
    for (size_t i = 0; i < auditing->scope_count; i++) {
        tern_mark_free(&auditing->scopes[i].mark);
        tern_mark_free(&auditing->scopes[i].reference);
    }
    if (auditing->stage != NULL)
        tern_stage_close(auditing->stage);
    if (auditing->folder[0] != '\0')
        tern_audit_remove(auditing->folder);
    tern_audit_free(&auditing->map);
    tern_style_free(&auditing->style);
    free(auditing->scopes);
    free(auditing->tables);
}

int tern_host_audit(const struct tern_host_audit *audit, struct tern_host_audit_result *result)
{
    struct auditing auditing = {.audit = audit, .result = result};
    memset(result, 0, sizeof *result);
    if (audit->stage == NULL || audit->sink == NULL)
        return TERN_HOST_E_ARGUMENT;
    auditing.style.report = audit->report;
    int status = tern_style_apply(&audit->style, &auditing.style);
    if (status == TERN_HOST_OK)
        status = open_both(&auditing);
    if (status == TERN_HOST_OK)
        status = make_folder(&auditing);
    if (status == TERN_HOST_OK)
        status = fill_reference(&auditing);
    if (status == TERN_HOST_OK)
        status = open_reference(&auditing);
    for (size_t i = 0; i < auditing.table_count && status == TERN_HOST_OK; i++)
        status = compare_table(&auditing, &auditing.tables[i]);
    if (status == TERN_HOST_OK && result->failed)
        status = TERN_HOST_E_SYSTEM;
    close_all(&auditing);
    return status;
}
