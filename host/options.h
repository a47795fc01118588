/* SPDX-License-Identifier: MIT */
/* The gateway's options: from the command line, and from a file with the same names. */
#ifndef TERN_OPTIONS_H
#define TERN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tern_option {
    TERN_OPTION_LISTEN,
    TERN_OPTION_STAGE,
    TERN_OPTION_SINK,
    TERN_OPTION_CONFIG,
    TERN_OPTION_LOG_LEVEL,
    TERN_OPTION_WINDOW,
    TERN_OPTION_CONNECTIONS,
    TERN_OPTION_HELLO_SECONDS,
    TERN_OPTION_IDLE_SECONDS,
    TERN_OPTION_SEGMENT_SECONDS,
    TERN_OPTION_SEGMENT_BYTES,
    TERN_OPTION_SEGMENT_COMPRESS,
    TERN_OPTION_DRAIN_SECONDS,
    TERN_OPTION_KEEP_DAYS,
    TERN_OPTION_KEEP_BYTES,
    TERN_OPTION_JOURNAL_BYTES,
    TERN_OPTION_FILTER_BYTES,
    TERN_OPTION_HELD_HOURS,
    TERN_OPTION_DISK_RESERVE,
    TERN_OPTION_WHEN_FULL,
    TERN_OPTION_FROM,
    TERN_OPTION_WORKERS,
    TERN_OPTION_DELETE,
    TERN_OPTION_DDL,
    TERN_OPTION_NAME,
    TERN_OPTION_PAUSE,
    TERN_OPTION_RESUME,
    TERN_OPTION_FORGET,
    TERN_OPTION_SINCE,
    TERN_OPTION_UNTIL,
    TERN_OPTION_TABLE,
    TERN_OPTION_DEVICE,
    TERN_OPTION_REPAIR,
    TERN_OPTION_FIRST,
    TERN_OPTION_LAST,
    TERN_OPTION_KEY,
    TERN_OPTION_APPEND,
    TERN_OPTION_TYPES,
    TERN_OPTION_SCHEMA,
    TERN_OPTION_JSON,
    TERN_OPTION_RETRY,
    TERN_OPTION_HELP,
    TERN_OPTION_VERSION,
    TERN_OPTION_COUNT
};

/* Which words follow `tern-gateway`: each command has options of its own. */
enum tern_command {
    TERN_COMMAND_SERVE,
    TERN_COMMAND_STATUS,
    TERN_COMMAND_SINKS,
    TERN_COMMAND_REPLAY,
    TERN_COMMAND_REJECTS,
    TERN_COMMAND_DDL,
    TERN_COMMAND_CHECK,
    TERN_COMMAND_AUDIT,
    TERN_COMMAND_IMPORT
};

#define TERN_OPTION_VALUES_MAX 16 /* times that one option may be given */

struct tern_option_values {
    char *values[TERN_OPTION_VALUES_MAX];
    size_t count;
};

/* All zeros to begin with. */
struct tern_options {
    enum tern_command command; /* set before the functions below are called */
    struct tern_option_values of[TERN_OPTION_COUNT];
    char **operands; /* words without dashes, where the command takes them */
    size_t operand_count;
    char error[400]; /* why a function below said false: one line, without an end */
    bool is_failure; /* and it was not the words' fault: a file cannot be read */
};

/* Reads the command line. False: a word is not known, a value is missing or cannot be right, or a URL holds a
 * password, which everybody on the machine could read. */
bool tern_options_parse(struct tern_options *options, int argc, char **argv);

/* Reads a file of lines `name = value` with # comments. Options that `options` already has are left as they
 * are: the command line wins. Options of other commands are checked and passed over, so that one file serves
 * all. False as above, with file and line in the error, or when the file cannot be read. */
bool tern_options_read(struct tern_options *options, const char *path);

/* The option's value, or NULL. */
const char *tern_options_text(const struct tern_options *options, enum tern_option option);
/* The option's number, or 0 when it is not given. */
uint64_t tern_options_number(const struct tern_options *options, enum tern_option option);

/* Whether the option has the same values in both. */
bool tern_options_equal(const struct tern_options *a, const struct tern_options *b, enum tern_option option);
const char *tern_option_name(enum tern_option option);

/* Prints the options of a command. */
void tern_options_list(enum tern_command command);

void tern_options_free(struct tern_options *options);

#endif
