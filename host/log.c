/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRUNCATED   " truncated=1"
#define FIELDS_ROOM (sizeof((struct tern_fields *)0)->text - sizeof TRUNCATED)

void tern_fields_begin(struct tern_fields *fields)
{
    fields->size = 0;
    fields->full = false;
    fields->text[0] = '\0';
}

static void append(struct tern_fields *fields, const char *text, size_t size)
{
    if (fields->full || size > FIELDS_ROOM - fields->size) {
        fields->full = true;
        return;
    }
    memcpy(fields->text + fields->size, text, size);
    fields->size += size;
    fields->text[fields->size] = '\0';
}

/* Takes a half-written field back when it did not fit, so that what is there stays parseable. */
static void end_field(struct tern_fields *fields, size_t start, bool was_full)
{
    if (!fields->full)
        return;
    fields->size = start;
    if (!was_full)
        memcpy(fields->text + start, &TRUNCATED[start == 0], sizeof TRUNCATED - (start == 0));
}

static void begin_field(struct tern_fields *fields, const char *name)
{
    if (fields->size != 0)
        append(fields, " ", 1);
    append(fields, name, strlen(name));
    append(fields, "=", 1);
}

/* Bytes of the UTF-8 character at `text`, 0 when it is none (overlong forms and surrogates are none). */
static size_t utf8_size(const unsigned char *text, size_t size)
{
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
        (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    /* U+0080 to U+009F are control characters that a terminal obeys. */
    return text[0] == 0xC2 && text[1] < 0xA0 ? 0 : length;
}

static bool is_plain(const unsigned char *value, size_t size)
{
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++)
        if (value[i] <= ' ' || value[i] == '"' || value[i] == '=' || value[i] == '\\' || value[i] >= 0x7F)
            return false;
    return true;
}

/* Appends the character at `value`, escaped where needed, and returns how many bytes of the value it was. */
static size_t append_quoted(struct tern_fields *fields, const unsigned char *value, size_t size)
{
    static const char escaped[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
    const char *found = value[0] == 0 ? NULL : strchr(escaped, value[0]);
    char text[8];
    if (found != NULL) {
        text[0] = '\\';
        text[1] = letters[found - escaped];
        append(fields, text, 2);
        return 1;
    }
    size_t length = value[0] >= 0x80 ? utf8_size(value, size) : value[0] >= ' ' && value[0] != 0x7F;
    if (length != 0) {
        append(fields, (const char *)value, length);
        return length;
    }
    snprintf(text, sizeof text, "\\x%02x", value[0]);
    append(fields, text, 4);
    return 1;
}

void tern_fields_bytes(struct tern_fields *fields, const char *name, const void *value, size_t size)
{
    const unsigned char *bytes = value;
    size_t start = fields->size;
    bool was_full = fields->full;
    begin_field(fields, name);
    if (is_plain(bytes, size)) {
        append(fields, value, size);
    } else {
        append(fields, "\"", 1);
        for (size_t i = 0; i < size && !fields->full;)
            i += append_quoted(fields, bytes + i, size - i);
        append(fields, "\"", 1);
    }
    end_field(fields, start, was_full);
}

void tern_fields_text(struct tern_fields *fields, const char *name, const char *value)
{
    tern_fields_bytes(fields, name, value, strlen(value));
}

void tern_fields_number(struct tern_fields *fields, const char *name, int64_t value)
{
    tern_fields_format(fields, name, "%lld", (long long)value);
}

void tern_fields_format(struct tern_fields *fields, const char *name, const char *format, ...)
{
    char value[501];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    tern_fields_text(fields, name, value);
}

void tern_report_event(const struct tern_report *report, enum tern_level level, const char *event,
                       const struct tern_fields *fields)
{
    if (report != NULL && report->call != NULL)
        report->call(report->context, level, event, fields == NULL ? "" : fields->text);
}

int tern_report_no_start(const struct tern_report *report, const char *what)
{
    struct tern_fields fields;
    const char *error = strerror(errno);
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "what", what);
    tern_fields_text(&fields, "error", error);
    tern_fields_text(&fields, "msg", "memory or descriptors are used up: this cannot be begun");
    tern_report_event(report, TERN_ERROR, "no-start", &fields);
    return TERN_HOST_E_SYSTEM;
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

const char *tern_level_name(enum tern_level level)
{
    return level_names[level];
}

bool tern_level_find(const char *name, enum tern_level *level)
{
    for (int i = TERN_DEBUG; i <= TERN_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum tern_level)i;
            return true;
        }
    }
    return false;
}

void tern_log_line(int descriptor, int64_t unix_milliseconds, enum tern_level level, const char *event,
                   const char *fields)
{
    char line[2048], when[32];
    time_t seconds = (time_t)(unix_milliseconds / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    int size = snprintf(line, sizeof line - 1, "time=%s.%03dZ level=%s event=%s%s%s", when,
                        (int)(unix_milliseconds % 1000), level_names[level], event,
                        fields[0] == '\0' ? "" : " ", fields);
    if (size < 0)
        return;
    if ((size_t)size > sizeof line - 2)
        size = (int)sizeof line - 2;
    line[size] = '\n';
    ssize_t ignored = write(descriptor, line, (size_t)size + 1);
    (void)ignored;
}
