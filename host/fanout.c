/* SPDX-License-Identifier: MIT */
#include "fanout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define NAME      "destinations"
#define FIRST     "tern-destinations 1\n"
#define LINE_ROOM (TERN_FANOUT_URL_ROOM + 200)

static const char *const states[] = {"active", "paused", "detached"};

const char *tern_fanout_state_name(enum tern_fanout_state state)
{
    return states[state];
}

static int fail(const struct tern_report *report, const char *directory, int status, int error,
                const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", "%s/" NAME, directory);
    if (error != 0)
        tern_fields_text(&fields, "error", strerror(error));
    tern_fields_text(&fields, "msg", message);
    tern_report_event(report, TERN_ERROR, "destinations-failed", &fields);
    return status;
}

/* ---- Passwords ------------------------------------------------------------------------------- */

/* The character that the text begins with, perhaps as %XX. Returns its bytes. */
static size_t read_character(const char *text, char *c)
{
    *c = *text;
    if (*text != '%' || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
        return 1;
    const char digits[3] = {text[1], text[2], '\0'};
    *c = (char)strtoul(digits, NULL, 16);
    return 3;
}

/* Bytes of `password=` that the text begins with. 0: it does not. */
static size_t password_size(const char *text)
{
    size_t size = 0;
    for (const char *word = "password="; *word != '\0'; word++) {
        char c;
        size_t step = read_character(text + size, &c);
        if (c != *word)
            return 0;
        size += step;
    }
    return size;
}

const char *tern_fanout_password(const char *url)
{
    while (*url != '\0' && password_size(url) == 0)
        url++;
    return *url == '\0' ? NULL : url;
}

/* Copies what is before `end`, but for user:PASSWORD@ and password=WORD. */
bool tern_fanout_plain(const char *url, char plain[TERN_FANOUT_URL_ROOM])
{
    size_t size = 0;
    const char *authority = strstr(url, "://");
    const char *begin = authority == NULL ? url + strlen(url) : authority + 3;
    const char *end = begin + strcspn(begin, "/?#");
    const char *colon = memchr(begin, ':', (size_t)(end - begin));
    const char *at = colon == NULL ? NULL : memchr(colon, '@', (size_t)(end - colon));
    for (const char *from = url; *from != '\0'; from++) {
        if (at != NULL && from == colon)
            from = at;
        if (password_size(from) != 0) {
            from += strcspn(from, "& ;");
            if (*from == '\0')
                break;
        }
        if (size + 1 >= TERN_FANOUT_URL_ROOM || *from == '\n')
            return false;
        plain[size++] = *from;
    }
    plain[size] = '\0';
    return true;
}

/* ---- The list -------------------------------------------------------------------------------- */

struct tern_fanout_entry *tern_fanout_find(struct tern_fanout *fanout, const char *url)
{
    char plain[TERN_FANOUT_URL_ROOM];
    if (!tern_fanout_plain(url, plain))
        return NULL;
    for (size_t i = 0; i < fanout->count; i++)
        if (strcmp(fanout->entries[i].url, plain) == 0)
            return &fanout->entries[i];
    return NULL;
}

struct tern_fanout_entry *tern_fanout_add(struct tern_fanout *fanout, const char *url)
{
    if (fanout->count == TERN_FANOUT_MAX)
        return NULL;
    struct tern_fanout_entry *entry = &fanout->entries[fanout->count];
    memset(entry, 0, sizeof *entry);
    if (!tern_fanout_plain(url, entry->url))
        return NULL;
    fanout->count++;
    return entry;
}

void tern_fanout_remove(struct tern_fanout *fanout, struct tern_fanout_entry *entry)
{
    size_t index = (size_t)(entry - fanout->entries);
    fanout->count--;
    memmove(entry, entry + 1, (fanout->count - index) * sizeof *entry);
}

/* ---- The file -------------------------------------------------------------------------------- */

static bool read_line(struct tern_fanout *fanout, char *line)
{
    struct tern_fanout_entry entry;
    char state[16];
    int at = 0;
    memset(&entry, 0, sizeof entry);
    if (sscanf(line, "%15s %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %n", state,
               &entry.cursor, &entry.from, &entry.at, &entry.rows, &entry.rejected, &at) != 6 ||
        at == 0 || strlen(line + at) >= sizeof entry.url || fanout->count == TERN_FANOUT_MAX)
        return false;
    snprintf(entry.url, sizeof entry.url, "%s", line + at);
    entry.url[strcspn(entry.url, "\n")] = '\0';
    for (unsigned i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(state, states[i]) != 0)
            continue;
        entry.state = (enum tern_fanout_state)i;
        fanout->entries[fanout->count++] = entry;
        return entry.url[0] != '\0';
    }
    return false;
}

int tern_fanout_read(struct tern_fanout *fanout, const char *directory, const struct tern_report *report)
{
    char path[4096], line[LINE_ROOM];
    fanout->count = 0;
    snprintf(path, sizeof path, "%s/" NAME, directory);
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT)
        return TERN_HOST_OK;
    if (file == NULL)
        return fail(report, directory, TERN_HOST_E_SYSTEM, errno, "cannot read the list of destinations");
    bool good = fgets(line, sizeof line, file) != NULL && strcmp(line, FIRST) == 0;
    while (good && fgets(line, sizeof line, file) != NULL)
        good = read_line(fanout, line);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return fail(report, directory, TERN_HOST_E_SYSTEM, EIO, "cannot read the list of destinations");
    return good ? TERN_HOST_OK
                : fail(report, directory, TERN_HOST_E_CORRUPT, 0,
                       "the list of destinations is damaged: restore it, or remove it: destinations that are "
                       "not "
                       "configured are then forgotten");
}

static size_t print_all(const struct tern_fanout *fanout, char *text, size_t room)
{
    size_t size = (size_t)snprintf(text, room, FIRST);
    for (size_t i = 0; i < fanout->count; i++) {
        const struct tern_fanout_entry *entry = &fanout->entries[i];
        size += (size_t)snprintf(text + size, room - size,
                                 "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %s\n",
                                 states[entry->state], entry->cursor, entry->from, entry->at, entry->rows,
                                 entry->rejected, entry->url);
    }
    return size;
}

static bool write_all(int descriptor, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(descriptor, text + done, size - done);
        if (count < 0 && errno != EINTR)
            return false;
        done += count > 0 ? (size_t)count : 0;
    }
    return fdatasync(descriptor) == 0;
}

int tern_fanout_write(const struct tern_fanout *fanout, const char *directory,
                      const struct tern_report *report)
{
    size_t room = (TERN_FANOUT_MAX + 1) * LINE_ROOM;
    char *text = malloc(room);
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = folder < 0 ? -1 : openat(folder, NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = text != NULL && file >= 0 && write_all(file, text, print_all(fanout, text, room)) &&
                renameat(folder, NAME ".new", folder, NAME) == 0 && fsync(folder) == 0;
    int error = errno;
    if (file >= 0)
        close(file);
    if (folder >= 0)
        close(folder);
    free(text);
    return good ? TERN_HOST_OK
                : fail(report, directory, TERN_HOST_E_SYSTEM, error, "cannot write the list of destinations");
}
