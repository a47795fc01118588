/* SPDX-License-Identifier: MIT */
#include "import_retry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../core/csv.h"
#include "buffer.h"
#include "journal_file.h"
#include "import_turn.h"
#include "rejects.h"

#define FIELDS 7

/* A line of a file. Texts point into the file's copy, unquoted in place. */
struct line {
    const uint8_t *begin, *end; /* as it stands in the file */
    char *fields[FIELDS];       /* ended by NUL */
    size_t sizes[FIELDS];
    int64_t id;
    size_t row; /* in the turn, SIZE_MAX: none */
    bool stays;
};

struct retry {
    struct tern_import *import;
    struct tern_retry_result *result;
    uint8_t *text, *copy; /* the file, and where fields are unquoted */
    size_t size;
    struct line *lines;
    size_t count;
    int status; /* of the destination, where no record is at fault */
};

/* ---- The file -------------------------------------------------------------------------------- */

static bool take_fields(struct line *line, struct tern_input *input, uint8_t *copy)
{
    bool good = true;
    for (int i = 0; good && i < FIELDS; i++) {
        struct tern_csv_field field;
        good = tern_csv_field(input, &field) == TERN_OK && field.last == (i == FIELDS - 1);
        if (!good)
            break;
        uint8_t *to = copy + (field.data - line->begin);
        line->fields[i] = (char *)to;
        for (size_t k = 0; k < field.size; k++) {
            *to++ = field.data[k];
            k += field.doubled && field.data[k] == '"';
        }
        line->sizes[i] = (size_t)(to - (uint8_t *)line->fields[i]);
    }
    return good;
}

/* Lines that are none are kept as they are. */
static bool read_lines(struct retry *retry)
{
    struct tern_input input = {retry->text, retry->size, false};
    size_t room = 0;
    while (input.size != 0) {
        struct tern_input rest = input;
        if (retry->count == room) {
            room = room == 0 ? 64 : room * 2;
            struct line *lines = realloc(retry->lines, room * sizeof *lines);
            if (lines == NULL)
                return false;
            retry->lines = lines;
        }
        struct line *line = &retry->lines[retry->count++];
        memset(line, 0, sizeof *line);
        line->row = SIZE_MAX;
        line->begin = input.data;
        line->stays = !take_fields(line, &input, retry->copy + (input.data - retry->text));
        if (line->stays) {
            const uint8_t *end = memchr(rest.data, '\n', rest.size);
            size_t size = end == NULL ? rest.size : (size_t)(end - rest.data) + 1;
            input = (struct tern_input){rest.data + size, rest.size - size, false};
        }
        line->end = input.data;
        for (int i = 0; !line->stays && i < FIELDS; i++)
            line->fields[i][line->sizes[i]] = '\0'; /* where a comma, a quote or the line's end was */
        line->id = line->stays ? 0 : strtoll(line->fields[1], NULL, 10);
    }
    return true;
}

static bool read_file(struct retry *retry, int descriptor)
{
    off_t size = lseek(descriptor, 0, SEEK_END);
    retry->text = size < 0 ? NULL : malloc((size_t)size + 1);
    retry->copy = size < 0 ? NULL : malloc((size_t)size + 1);
    if (retry->text == NULL || retry->copy == NULL ||
        tern_journal_pread(descriptor, retry->text, (size_t)size, 0, &retry->size) != 0)
        return false;
    return read_lines(retry);
}

/* ---- The turn -------------------------------------------------------------------------------- */

/* The row into the open run. False: it does not follow its schema. */
static bool add_row(struct retry *retry, struct line *line, const char *device)
{
    struct tern_turn *turn = &retry->import->turn;
    uint32_t hash = (uint32_t)strtoul(line->fields[3], NULL, 16);
    const struct tern_schema *schema = tern_stage_find_schema(retry->import->stage, device, hash);
    const struct tern_table *table = schema == NULL ? NULL : &schema->table;
    struct tern_csv_record record = {0, 0, 0};
    struct tern_value values[TERN_COLUMNS_MAX];
    uint8_t *text = tern_turn_room(turn, line->sizes[6] + 1),
            *scratch = tern_turn_room(turn, line->sizes[6] + 1);
    if (table == NULL || text == NULL || scratch == NULL)
        return false;
    memcpy(text, line->fields[6], line->sizes[6]);
    text[line->sizes[6]] = '\n';
    struct tern_input input = {text, line->sizes[6] + 1, false};
    if (tern_csv_read(&input, &table, 1, &record, values, scratch) != TERN_OK || input.size != 0 ||
        (record.op <= TERN_OP_DELETE && tern_row_check(table, record.op, values) != TERN_OK))
        return false;
    struct tern_sink *sink = retry->import->sink;
    int status = sink->ops->prepare(sink, table, hash, record.op == TERN_OP_DELETE);
    if (status != TERN_HOST_OK && status != TERN_HOST_E_ARGUMENT)
        retry->status = status;
    if (status != TERN_HOST_OK)
        return false;
    line->row = turn->row_count;
    tern_turn_add(turn, (uint32_t)line->id, schema, hash, record.op, values);
    return !turn->failed;
}

/* Lines from `from` on that are one unit: a record, or a batch. */
static size_t end_of_unit(const struct retry *retry, size_t from)
{
    const struct line *first = &retry->lines[from];
    size_t end = from + 1;
    while (first->fields[4][0] != '\0' && end < retry->count && !retry->lines[end].stays &&
           strcmp(retry->lines[end].fields[0], first->fields[0]) == 0 &&
           strcmp(retry->lines[end].fields[2], first->fields[2]) == 0 &&
           strcmp(retry->lines[end].fields[4], first->fields[4]) == 0 &&
           retry->lines[end].id >> 32 == first->id >> 32)
        end++;
    return end;
}

static void keep(struct retry *retry, size_t from, size_t end, bool refused)
{
    for (size_t i = from; i < end; i++) {
        retry->lines[i].stays = true;
        retry->lines[i].row = SIZE_MAX;
        retry->result->refused += refused;
    }
}

/* A batch must be there whole: each of its records, in order. */
static bool is_whole(const struct retry *retry, size_t from, size_t end)
{
    uint32_t first = 0, last = 0;
    const struct line *line = &retry->lines[from];
    if (line->fields[4][0] == '\0')
        return true;
    if (sscanf(line->fields[4], "%" SCNu32 "-%" SCNu32, &first, &last) != 2 || last - first + 1 != end - from)
        return false;
    for (size_t i = from; i < end; i++)
        if ((uint32_t)retry->lines[i].id != first + (uint32_t)(i - from))
            return false;
    return true;
}

static void add_unit(struct retry *retry, size_t from, size_t end)
{
    struct tern_turn *turn = &retry->import->turn;
    struct line *line = &retry->lines[from];
    struct tern_device *known = tern_stage_find_device(retry->import->stage, line->fields[0]);
    uint32_t epoch = (uint32_t)(line->id >> 32), first = (uint32_t)line->id;
    size_t rows = turn->row_count;
    bool good = known != NULL && line->id > 0 && is_whole(retry, from, end);
    if (good) {
        const char *device = tern_device_id(known);
        uint32_t range = tern_turn_find_range(turn, device, (uint8_t)(epoch & 7), epoch, 1);
        tern_turn_begin(turn, range, first);
        for (size_t i = from; i < end && good; i++)
            good = !turn->failed && add_row(retry, &retry->lines[i], device);
        if (good)
            tern_turn_commit(turn, first + (uint32_t)(end - from), line->fields[4][0] != '\0');
        tern_turn_end(turn);
    }
    if (!good) {
        turn->row_count = rows;
        keep(retry, from, end, true);
    }
}

static int compare_places(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = (x->stays > y->stays) - (x->stays < y->stays);
    if (order == 0 && !x->stays)
        order = strcmp(x->fields[0], y->fields[0]);
    return order != 0       ? order
           : x->id != y->id ? (x->id > y->id) - (x->id < y->id)
                            : (x->begin > y->begin) - (x->begin < y->begin);
}

/* ---- What became of them --------------------------------------------------------------------- */

static int settle(struct retry *retry)
{
    struct tern_import *import = retry->import;
    int status = TERN_HOST_OK;
    for (size_t i = 0; i < retry->count && status == TERN_HOST_OK; i++) {
        struct line *line = &retry->lines[i];
        bool outvoted = false;
        if (line->row == SIZE_MAX)
            continue;
        const struct tern_turn_row *row = &import->turn.rows[line->row];
        const struct tern_table *table = &import->turn.schemas[row->schema].schema->table;
        line->stays = row->sink.rejected || (!row->taken && row->refused);
        retry->result->refused += line->stays;
        retry->result->known += !line->stays && !row->taken;
        if (line->stays || !row->taken)
            continue;
        if (import->sink->ops->is_outvoted != NULL && row->sink.op <= TERN_OP_DELETE)
            status = import->sink->ops->is_outvoted(import->sink, table, &row->sink, &outvoted);
        retry->result->superseded += outvoted;
        retry->result->loaded += !outvoted;
        if (outvoted)
            tern_import_report(
                import, TERN_WARN, "reject-superseded", row->sink.device,
                "a record that had been refused is in, without effect: a newer one of its key was there");
    }
    return status;
}

/* A new file without the lines that are done. */
static bool write_rest(const struct retry *retry, const char *path)
{
    char temporary[4200];
    qsort(retry->lines, retry->count, sizeof *retry->lines, compare_places);
    snprintf(temporary, sizeof temporary, "%.4090s.new", path);
    FILE *file = fopen(temporary, "w");
    if (file == NULL)
        return false;
    bool good = true;
    for (const struct line *line = retry->lines; line < retry->lines + retry->count; line++)
        if (line->stays)
            good = fwrite(line->begin, 1, (size_t)(line->end - line->begin), file) ==
                       (size_t)(line->end - line->begin) &&
                   good;
    good = fflush(file) == 0 && fsync(fileno(file)) == 0 && good;
    good = fclose(file) == 0 && good;
    return good && rename(temporary, path) == 0;
}

static int retry_lines(struct retry *retry, const char *path)
{
    struct tern_import *import = retry->import;
    for (size_t i = 0; i < retry->count; i++)
        retry->lines[i].stays = retry->lines[i].stays || retry->lines[i].id <= 0 ||
                                strcmp(retry->lines[i].fields[2], import->url) != 0;
    qsort(retry->lines, retry->count, sizeof *retry->lines, compare_lines);
    tern_turn_reset(&import->turn);
    for (size_t i = 0, end; i < retry->count && !retry->lines[i].stays; i = end) {
        end = end_of_unit(retry, i);
        add_unit(retry, i, end);
    }
    int status = retry->status;
    if (import->turn.failed)
        status = tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "out of memory");
    if (status != TERN_HOST_OK || import->turn.unit_count == 0)
        return status;
    status = tern_import_apply(import);
    if (status == TERN_HOST_OK)
        status = settle(retry);
    if (status == TERN_HOST_OK && !write_rest(retry, path))
        status =
            tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "cannot write %s: %s", path, strerror(errno));
    return status;
}

static int cannot(struct tern_import *import, const char *what, const char *path)
{
    return tern_sink_fail(import->sink, TERN_HOST_E_SYSTEM, "cannot %s %s: %s", what, path, strerror(errno));
}

static int retry_file(struct tern_import *import, const char *path, struct tern_retry_result *result)
{
    struct retry retry = {.import = import, .result = result};
    int descriptor = open(path, O_RDWR | O_CLOEXEC), status;
    if (descriptor < 0)
        return cannot(import, "open", path);
    /* A gateway that runs appends under the same lock. */
    if (flock(descriptor, LOCK_EX) != 0)
        status = cannot(import, "lock", path);
    else if (read_file(&retry, descriptor))
        status = retry_lines(&retry, path);
    else
        status = cannot(import, "read", path);
    close(descriptor);
    free(retry.text);
    free(retry.copy);
    free(retry.lines);
    return status;
}

int tern_import_retry(struct tern_stage *stage, const char *url, const struct tern_import_config *config,
                      struct tern_retry_result *result)
{
    struct tern_import *import;
    char folder[4000], path[4300];
    memset(result, 0, sizeof *result);
    int status = tern_import_open_one(&import, stage, url, config);
    if (status != TERN_HOST_OK)
        return status;
    snprintf(folder, sizeof folder, "%.3900s/rejects", tern_stage_directory(stage));
    DIR *listing = opendir(folder);
    if (listing == NULL && errno != ENOENT)
        status = cannot(import, "list", folder);
    else if (listing != NULL)
        status = import->sink->ops->connect(import->sink);
    import->connected = status == TERN_HOST_OK && listing != NULL;
    for (struct dirent *entry;
         listing != NULL && status == TERN_HOST_OK && (errno = 0, entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size < 5 || strcmp(entry->d_name + size - 4, ".csv") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%.255s", folder, entry->d_name);
        status = retry_file(import, path, result);
    }
    if (listing != NULL && status == TERN_HOST_OK && errno != 0)
        status = cannot(import, "list", folder);
    if (listing != NULL)
        closedir(listing);
    if (status != TERN_HOST_OK)
        tern_import_report(import, TERN_ERROR, "retry-failed", NULL, import->sink->error);
    tern_import_close(import);
    return status;
}
