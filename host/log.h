/* SPDX-License-Identifier: MIT */
/* Events as logfmt: building an event's fields, and writing a line. The library only builds and reports; the
 * gateway writes. */
#ifndef TERN_HOST_LOG_H
#define TERN_HOST_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "tern_host.h"

/* The fields of one event, NAME=VALUE with a space between. What does not fit is left out, and the text ends
 * with "truncated=1": a log line is for people and need not grow with what a peer sends. */
struct tern_fields {
    size_t size;
    bool full;
    char text[1024]; /* ended by NUL */
};

/* Begins with no field. */
void tern_fields_begin(struct tern_fields *fields);

/* A value as it is when it is one plain word, else in quotes with \" \\ \n \r \t \xNN, so that a line stays a
 * line whatever a value holds. UTF-8 passes through, other bytes from 80 on are escaped. */
void tern_fields_text(struct tern_fields *fields, const char *name, const char *value);
void tern_fields_bytes(struct tern_fields *fields, const char *name, const void *value, size_t size);
void tern_fields_number(struct tern_fields *fields, const char *name, int64_t value);

/* A value written as by printf; at most 500 bytes of it. */
void tern_fields_format(struct tern_fields *fields, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Gives the event to the report's callback, if there is one. */
void tern_report_event(const struct tern_report *report, enum tern_level level, const char *event,
                       const struct tern_fields *fields);

/* Reports that `what` cannot be begun, with what errno says. Returns TERN_HOST_E_SYSTEM. */
int tern_report_no_start(const struct tern_report *report, const char *what);

/* The name of a level, as in a log line; "debug" to "error". */
const char *tern_level_name(enum tern_level level);

/* The level of that name. False when there is none. */
bool tern_level_find(const char *name, enum tern_level *level);

/* Writes the line `time=2026-11-21T09:30:00.125Z level=info event=EVENT FIELDS` to a descriptor, with one
 * write(2), so that lines of several threads and processes do not mix. Errors are ignored: a full log disk
 * must not stop the gateway. */
void tern_log_line(int descriptor, int64_t unix_milliseconds, enum tern_level level, const char *event,
                   const char *fields);

#endif
