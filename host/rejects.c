/* SPDX-License-Identifier: MIT */
#include "rejects.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/csv.h"

#define PATH_ROOM 200 /* behind the folder's name */
#define FIELDS    7

/* FNV-1a over the first three fields, commas included. */
static uint64_t identify(const char *line, size_t size)
{
    uint64_t hash = 14695981039346656037u;
    unsigned commas = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        quoted = quoted != (line[i] == '"');
        commas += line[i] == ',' && !quoted;
        if (commas == 3)
            break;
        hash = (hash ^ (uint8_t)line[i]) * 1099511628211u;
    }
    return hash;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool add_known(struct tern_rejects *rejects, size_t *room, uint64_t identity)
{
    if (rejects->known_count == *room) {
        *room = *room == 0 ? 256 : *room * 2;
        uint64_t *known = realloc(rejects->known, *room * sizeof *known);
        if (known == NULL)
            return false;
        rejects->known = known;
    }
    rejects->known[rejects->known_count++] = identity;
    return true;
}

/* Whether this is a record's line as tern_rejects_add() writes it. */
static bool is_whole(const uint8_t *line, size_t size)
{
    struct tern_input input = {line, size, false};
    struct tern_csv_field field = {0};
    bool good = true;
    for (int i = 0; good && i < FIELDS; i++)
        good = tern_csv_field(&input, &field) == TERN_OK && field.last == (i == FIELDS - 1);
    return good && field.quoted && input.size == 0;
}

static bool closes_quotes(const char *line, size_t size)
{
    bool quoted = false;
    for (size_t i = 0; i < size; i++)
        quoted = quoted != (line[i] == '"');
    return !quoted;
}

/* A record goes on behind a line end within quotes; a line that is whole by itself ends what was cut off
 * before it. */
static bool read_known(struct tern_rejects *rejects, FILE *file)
{
    struct tern_buffer *record = &rejects->tail;
    char *line = NULL;
    size_t room = 0, known_room = 0;
    ssize_t size;
    bool good = true, open = false, ended = true;
    while (good && (size = getline(&line, &room, file)) > 0) {
        bool closed = closes_quotes(line, (size_t)size);
        if (open && !is_whole((const uint8_t *)line, (size_t)size))
            closed = !closed;
        else
            tern_buffer_clear(record);
        tern_buffer_put(record, line, (size_t)size);
        rejects->size += (size_t)size;
        open = !closed;
        ended = line[size - 1] == '\n';
        good = !record->failed;
        if (good && closed && is_whole(record->data, record->size))
            good = add_known(rejects, &known_room, identify((const char *)record->data, record->size));
    }
    free(line);
    if (ended && !open)
        tern_buffer_clear(record);
    if (rejects->known_count != 0)
        qsort(rejects->known, rejects->known_count, sizeof *rejects->known, compare);
    return good && !ferror(file);
}

bool tern_rejects_open(struct tern_rejects *rejects, const char *directory, const char *table)
{
    size_t room = strlen(directory) + PATH_ROOM;
    memset(rejects, 0, sizeof *rejects);
    rejects->path = malloc(room);
    if (rejects->path == NULL)
        return false;
    snprintf(rejects->path, room, "%s/rejects", directory);
    if (mkdir(rejects->path, 0750) != 0 && errno != EEXIST)
        return false;
    snprintf(rejects->path, room, "%s/rejects/%s.csv", directory, table);
    FILE *file = fopen(rejects->path, "r");
    if (file == NULL) {
        tern_buffer_put(&rejects->lines, TERN_REJECTS_HEADER, strlen(TERN_REJECTS_HEADER));
        return errno == ENOENT;
    }
    bool good = read_known(rejects, file);
    fclose(file);
    return good;
}

static void put_quoted(struct tern_buffer *lines, const char *text, size_t size)
{
    tern_buffer_put8(lines, '"');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            tern_buffer_put8(lines, '"');
        tern_buffer_put8(lines, (uint8_t)text[i]);
    }
    tern_buffer_put8(lines, '"');
}

void tern_rejects_add(struct tern_rejects *rejects, const char *device, int64_t id, const char *sink,
                      uint32_t schema, const char *batch, const char *reason, const uint8_t *row, size_t size)
{
    char text[64];
    struct tern_buffer *lines = &rejects->lines;
    size_t begin = lines->size;
    int length = snprintf(text, sizeof text, "%s,%" PRId64 ",", device, id);
    tern_buffer_put(lines, text, (size_t)length);
    /* An URL may name several hosts. */
    if (sink[strcspn(sink, ",\"\r\n")] == '\0')
        tern_buffer_put(lines, sink, strlen(sink));
    else
        put_quoted(lines, sink, strlen(sink));
    if (lines->failed)
        return;
    uint64_t identity = identify((const char *)lines->data + begin, lines->size - begin);
    if (rejects->known_count != 0 &&
        bsearch(&identity, rejects->known, rejects->known_count, sizeof identity, compare) != NULL) {
        lines->size = begin;
        return;
    }
    length = snprintf(text, sizeof text, ",%08" PRIx32 ",%s,", schema, batch);
    tern_buffer_put(lines, text, (size_t)length);
    put_quoted(lines, reason, strcspn(reason, "\r\n"));
    tern_buffer_put8(lines, ',');
    put_quoted(lines, (const char *)row, size != 0 && row[size - 1] == '\n' ? size - 1 : size);
    tern_buffer_put8(lines, '\n');
    const struct tern_buffer *tail = &rejects->tail;
    rejects->cuts |= !lines->failed && tail->size != 0 && tail->size <= lines->size - begin &&
                     memcmp(tail->data, lines->data + begin, tail->size) == 0;
}

/* Behind the lock the file may be another one: a retry has put a new one in its place. */
static int open_locked(const char *path)
{
    for (;;) {
        struct stat mine, there;
        int descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (descriptor < 0)
            return -1;
        if (flock(descriptor, LOCK_EX) != 0 || fstat(descriptor, &mine) != 0 ||
            (stat(path, &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev))
            return descriptor;
        close(descriptor);
    }
}

/* The file's end, behind a line's end. */
static bool end_lines(const struct tern_rejects *rejects, int descriptor)
{
    off_t end = lseek(descriptor, 0, SEEK_END);
    char last = '\n';
    if (rejects->cuts && end == (off_t)rejects->size)
        return ftruncate(descriptor, end - (off_t)rejects->tail.size) == 0;
    return (end <= 0 || pread(descriptor, &last, 1, end - 1) == 1) &&
           (last == '\n' || write(descriptor, "\n", 1) == 1);
}

/* One write, so that a crash leaves at most one torn line at the end. */
bool tern_rejects_write(struct tern_rejects *rejects)
{
    if (rejects->lines.failed) {
        errno = ENOMEM;
        return false;
    }
    int descriptor = open_locked(rejects->path);
    if (descriptor < 0)
        return false;
    bool good = end_lines(rejects, descriptor);
    if (good && rejects->lines.size != 0)
        good = write(descriptor, rejects->lines.data, rejects->lines.size) == (ssize_t)rejects->lines.size;
    good = good && fsync(descriptor) == 0;
    int error = errno;
    close(descriptor);
    errno = error;
    return good;
}

void tern_rejects_close(struct tern_rejects *rejects)
{
    free(rejects->path);
    free(rejects->known);
    tern_buffer_free(&rejects->lines);
    tern_buffer_free(&rejects->tail);
    memset(rejects, 0, sizeof *rejects);
}
