/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fanout.h"
#include "log.h"

#define LINE_SIZE 4096

enum value { NOTHING, TEXT, URL, NUMBER, LEVEL, FROM, KIND, SWITCH };

#define BIT(command) (1u << (command))
#define ALL          (~0u)
#define WRITERS                                                                                              \
    (BIT(TERN_COMMAND_SERVE) | BIT(TERN_COMMAND_REPLAY) | BIT(TERN_COMMAND_REJECTS) |                        \
     BIT(TERN_COMMAND_DDL) | BIT(TERN_COMMAND_CHECK))

static const struct option {
    const char *name, *argument, *help;
    enum value value;
    bool several;
    uint64_t least, most; /* of a number */
    unsigned commands;    /* that have it, by bit; 0: the gateway itself alone */
} table[TERN_OPTION_COUNT] = {
    [TERN_OPTION_LISTEN] = {"listen", "URL",
                            "where devices arrive: tcp://ADDRESS:PORT (port 0: any free one)\n"
                            "or serial:DEVICE?baud=N; may be given several times",
                            URL, true, 0, 0, 0},
    [TERN_OPTION_STAGE] = {"stage", "DIR", "the staging folder, made if missing", TEXT, false, 0, 0, ALL},
    [TERN_OPTION_SINK] = {"sink", "URL",
                          "a destination: sqlite:FILE, postgresql://USER@HOST/DATABASE,\n"
                          "mysql://USER@HOST/DATABASE or csv:DIR; may be given several times;\n"
                          "without one, records are staged only",
                          URL, true, 0, 0, WRITERS | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_CONFIG] = {"config", "FILE", "lines `name = value` with the names of these options", TEXT,
                            false, 0, 0, ALL},
    [TERN_OPTION_LOG_LEVEL] = {"log-level", "LEVEL", "debug, info (default), warn or error", LEVEL, false, 0,
                               0, ALL},
    [TERN_OPTION_WINDOW] = {"window", "BYTES", "what a device may have under way (524288)", NUMBER, false,
                            1024, 1048576, 0},
    [TERN_OPTION_CONNECTIONS] = {"connections", "N", "at most at once (16384)", NUMBER, false, 1, 1000000, 0},
    [TERN_OPTION_HELLO_SECONDS] = {"hello-seconds", "N", "a connection must say who it is by then (10)",
                                   NUMBER, false, 1, 86400, 0},
    [TERN_OPTION_IDLE_SECONDS] = {"idle-seconds", "N", "a silent connection is closed after that (300)",
                                  NUMBER, false, 1, 86400, 0},
    [TERN_OPTION_SEGMENT_SECONDS] = {"segment-seconds", "N", "csv: a file is closed at this age (60)", NUMBER,
                                     false, 1, 86400, 0},
    [TERN_OPTION_SEGMENT_BYTES] = {"segment-bytes", "N", "csv: and at this size (67108864)", NUMBER, false,
                                   4096, (uint64_t)1 << 40, 0},
    [TERN_OPTION_SEGMENT_COMPRESS] = {"segment-compress", "TOOL", "csv: closed files go through gzip or zstd",
                                      TEXT, false, 0, 0, 0},
    [TERN_OPTION_DRAIN_SECONDS] = {"drain-seconds", "N", "how long SIGTERM waits for the destinations (30)",
                                   NUMBER, false, 1, 86400, 0},
    [TERN_OPTION_KEEP_DAYS] = {"keep-days", "N", "what every destination has stays so long (7)", NUMBER,
                               false, 1, 36500, 0},
    [TERN_OPTION_KEEP_BYTES] = {"keep-bytes", "N", "but at most so many bytes of it (no limit)", NUMBER,
                                false, 1 << 20, (uint64_t)1 << 60, 0},
    [TERN_OPTION_JOURNAL_BYTES] = {"journal-bytes", "N", "a journal file is closed at this size (67108864)",
                                   NUMBER, false, 1 << 16, (uint64_t)1 << 40, 0},
    [TERN_OPTION_FILTER_BYTES] = {"filter-bytes", "N",
                                  "of each worker's filter of keys that come out of order, 0: none (8388608)",
                                  NUMBER, false, 0, (uint64_t)1 << 29, 0},
    [TERN_OPTION_HELD_HOURS] = {"held-hours", "N",
                                "what another gateway's store holds is waited for so long; then the\n"
                                "device is asked for it (24)",
                                NUMBER, false, 0, 87600, 0},
    [TERN_OPTION_DISK_RESERVE] = {"disk-reserve", "BYTES", "of the disk that stay free (16777216)", NUMBER,
                                  false, 4096, (uint64_t)1 << 60, 0},
    [TERN_OPTION_WHEN_FULL] = {"when-full", "RULE",
                               "hold (default): take no more records; or detach=URL: give that\n"
                               "destination up, so that what it misses becomes a gap",
                               TEXT, false, 0, 0, 0},
    [TERN_OPTION_FROM] = {"from", "WHEN", "where a new destination begins: start (default) or now", FROM,
                          false, 0, 0, 0},
    [TERN_OPTION_WORKERS] = {"workers", "N", "connections for each database that can have several (1)",
                             NUMBER, false, 1, 16, 0},
    [TERN_OPTION_DELETE] = {"delete", "KIND",
                            "hard (default): a deleted row goes; soft: its key and tern_deleted stay", KIND,
                            false, 0, 0, WRITERS | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_DDL] = {"ddl", "SWITCH",
                         "on (default): tables and columns are made on first sight; off: somebody\n"
                         "else makes them (`tern-gateway ddl` prints the SQL)",
                         SWITCH, false, 0, 0, WRITERS | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_NAME] = {"name", "FROM=TO",
                          "what databases call a table, or table.column, instead; may be given\n"
                          "several times",
                          TEXT, true, 0, 0, WRITERS | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_PAUSE] = {"pause", "URL", "give it nothing, and keep its records", URL, true, 0, 0,
                           BIT(TERN_COMMAND_SINKS)},
    [TERN_OPTION_RESUME] = {"resume", "URL", "go on with it", URL, true, 0, 0, BIT(TERN_COMMAND_SINKS)},
    [TERN_OPTION_FORGET] = {"forget", "URL", "keep nothing for it any more", URL, true, 0, 0,
                            BIT(TERN_COMMAND_SINKS)},
    [TERN_OPTION_SINCE] = {"since", "TIME", "records that came in then or later, as 2026-11-01T00:00:00Z",
                           TEXT, false, 0, 0, BIT(TERN_COMMAND_REPLAY) | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_UNTIL] = {"until", "TIME", "and before then", TEXT, false, 0, 0,
                           BIT(TERN_COMMAND_REPLAY) | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_TABLE] = {"table", "NAME", "of this table alone", TEXT, false, 0, 0,
                           BIT(TERN_COMMAND_IMPORT) | BIT(TERN_COMMAND_REPLAY)},
    [TERN_OPTION_DEVICE] = {"device", "ID", "of this device alone", TEXT, false, 0, 0,
                            BIT(TERN_COMMAND_IMPORT) | BIT(TERN_COMMAND_REPLAY) | BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_REPAIR] = {"repair", NULL,
                            "load what the checkpoint says is there, too: for a table whose rows\nwere lost",
                            NOTHING, false, 0, 0, BIT(TERN_COMMAND_REPLAY)},
    [TERN_OPTION_FIRST] = {"first", "ID", "rows from this tern_id on, or EPOCH:RECORD", TEXT, false, 0, 0,
                           BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_LAST] = {"last", "ID", "and up to this one", TEXT, false, 0, 0, BIT(TERN_COMMAND_AUDIT)},
    [TERN_OPTION_KEY] = {"key", "COLUMNS", "the columns that say which row a record is, with commas", TEXT,
                         false, 0, 0, BIT(TERN_COMMAND_IMPORT)},
    [TERN_OPTION_APPEND] = {"append", NULL, "no key: every line is a row; a file is brought once", NOTHING,
                            false, 0, 0, BIT(TERN_COMMAND_IMPORT)},
    [TERN_OPTION_TYPES] = {"types", "LIST", "as at=time_s,note=text(16)?; others are found from the values",
                           TEXT, false, 0, 0, BIT(TERN_COMMAND_IMPORT)},
    [TERN_OPTION_SCHEMA] = {"schema", "FILE", "table, types and key from a TABLE-HASH.schema file", TEXT,
                            false, 0, 0, BIT(TERN_COMMAND_IMPORT)},
    [TERN_OPTION_JSON] = {"json", NULL, "for programs: one JSON object", NOTHING, false, 0, 0,
                          BIT(TERN_COMMAND_STATUS)},
    [TERN_OPTION_RETRY] = {"retry", NULL, "bring them in again, once they or the destination were mended",
                           NOTHING, false, 0, 0, BIT(TERN_COMMAND_REJECTS)},
    [TERN_OPTION_HELP] = {"help", NULL, "this text", NOTHING, false, 0, 0, ALL},
    [TERN_OPTION_VERSION] = {"version", NULL, "the version", NOTHING, false, 0, 0, 0},
};

#define DISTANCE_NAME_MAX 32

static bool belongs(enum tern_option option, enum tern_command command)
{
    unsigned commands = table[option].commands == 0 ? BIT(TERN_COMMAND_SERVE) : table[option].commands;
    return (commands & BIT(command)) != 0;
}

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance: letters to change, add or leave out. Long words are near nothing. */
static size_t distance(const char *a, const char *b)
{
    size_t row[DISTANCE_NAME_MAX + 1], size = strlen(b);
    if (size > DISTANCE_NAME_MAX)
        return size;
    for (size_t j = 0; j <= size; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < size; j++) {
            size_t above = row[j + 1];
            row[j + 1] = least_of(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[size];
}

/* Writes a question about the nearest name, or nothing when none is near. */
static void suggest(enum tern_command command, char *text, size_t size, const char *dashes, const char *word)
{
    size_t best = TERN_OPTION_HELP, length = strlen(word);
    for (size_t i = 0; i < TERN_OPTION_COUNT; i++)
        if (belongs((enum tern_option)i, command) &&
            distance(table[i].name, word) < distance(table[best].name, word))
            best = i;
    text[0] = '\0';
    if (distance(table[best].name, word) <= (length > 6 ? 3 : length / 2))
        snprintf(text, size, "; did you mean %s%s?", dashes, table[best].name);
}

static bool find_option(const char *name, enum tern_option *option)
{
    for (int i = 0; i < TERN_OPTION_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *option = (enum tern_option)i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

/* scheme://user:password@... */
static bool has_password(const char *url)
{
    const char *authority = strstr(url, "://");
    if (authority == NULL)
        return tern_fanout_password(url) != NULL;
    authority += 3;
    size_t size = strcspn(authority, "/?#");
    const char *at = memchr(authority, '@', size);
    const char *colon = memchr(authority, ':', size);
    return (at != NULL && colon != NULL && colon < at) || tern_fanout_password(authority + size) != NULL;
}

static bool check_value(struct tern_options *options, const struct option *option, const char *value)
{
    enum tern_level level;
    uint64_t number;
    char *error = options->error;
    size_t size = sizeof options->error;
    if (option->value == NUMBER &&
        (!parse_number(value, &number) || number < option->least || number > option->most))
        snprintf(error, size, "%s must be a number from %llu to %llu, not '%s'", option->name,
                 (unsigned long long)option->least, (unsigned long long)option->most, value);
    else if (option->value == LEVEL && !tern_level_find(value, &level))
        snprintf(error, size, "%s must be debug, info, warn or error, not '%s'", option->name, value);
    else if (option->value == FROM && strcmp(value, "start") != 0 && strcmp(value, "now") != 0)
        snprintf(error, size, "%s must be start or now, not '%s'", option->name, value);
    else if (option->value == KIND && strcmp(value, "hard") != 0 && strcmp(value, "soft") != 0)
        snprintf(error, size, "%s must be hard or soft, not '%s'", option->name, value);
    else if (option->value == SWITCH && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        snprintf(error, size, "%s must be on or off, not '%s'", option->name, value);
    else if (value[0] == '\0')
        snprintf(error, size, "%s needs a value", option->name);
    else
        return true;
    return false;
}

static bool lack_memory(struct tern_options *options)
{
    options->is_failure = true; /* the words may be right */
    snprintf(options->error, sizeof options->error, "out of memory");
    return false;
}

static bool add_value(struct tern_options *options, enum tern_option option, const char *value)
{
    struct tern_option_values *values = &options->of[option];
    if (!check_value(options, &table[option], value))
        return false;
    if (values->count == TERN_OPTION_VALUES_MAX || (values->count == 1 && !table[option].several)) {
        snprintf(options->error, sizeof options->error, "%s may be given at most %d times",
                 table[option].name, table[option].several ? TERN_OPTION_VALUES_MAX : 1);
        return false;
    }
    values->values[values->count] = strdup(value);
    if (values->values[values->count] == NULL)
        return lack_memory(options);
    values->count++;
    return true;
}

static bool unknown_word(struct tern_options *options, const char *word, const char *name)
{
    char question[64];
    suggest(options->command, question, sizeof question, "--", name);
    snprintf(options->error, sizeof options->error, "unknown word '%.100s'%s (--help lists the options)",
             word, question);
    return false;
}

static bool takes_operands(enum tern_command command)
{
    return command == TERN_COMMAND_IMPORT;
}

static bool add_operand(struct tern_options *options, const char *word)
{
    char **operands = realloc(options->operands, (options->operand_count + 1) * sizeof(char *));
    if (operands != NULL)
        options->operands = operands;
    if (operands == NULL || (operands[options->operand_count] = strdup(word)) == NULL)
        return lack_memory(options);
    options->operand_count++;
    return true;
}

/* Takes one option off the command line and moves *at behind it. */
static bool take_word(struct tern_options *options, int argc, char **argv, int *at)
{
    char name[DISTANCE_NAME_MAX + 1];
    enum tern_option option;
    const char *word = argv[(*at)++];
    const char *begin = word + strspn(word, "-");
    size_t size = strcspn(begin, "=");
    if (begin == word && takes_operands(options->command))
        return add_operand(options, word);
    if (size > DISTANCE_NAME_MAX)
        return unknown_word(options, word, "");
    memcpy(name, begin, size);
    name[size] = '\0';
    if (strncmp(word, "--", 2) != 0 || begin != word + 2 || !find_option(name, &option) ||
        !belongs(option, options->command))
        return unknown_word(options, word, name);
    const char *value = begin[size] == '=' ? begin + size + 1 : NULL;
    if (table[option].value == NOTHING)
        return value == NULL ? add_value(options, option, "yes") : unknown_word(options, word, name);
    if (value == NULL && *at < argc)
        value = argv[(*at)++];
    if (value == NULL) {
        snprintf(options->error, sizeof options->error, "--%s needs a value: --%s %s", name, name,
                 table[option].argument);
        return false;
    }
    if (table[option].value == URL && has_password(value)) {
        snprintf(
            options->error, sizeof options->error,
            "--%s holds a password, which every user of this machine can read, and logs too; leave it out: "
            "the "
            "database's client finds it in its environment variable or password file (PGPASSFILE, ~/.my.cnf)",
            name);
        return false;
    }
    return add_value(options, option, value);
}

bool tern_options_parse(struct tern_options *options, int argc, char **argv)
{
    for (int at = 1; at < argc;)
        if (!take_word(options, argc, argv, &at))
            return false;
    return true;
}

/* ---- The file -------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t size = strlen(text);
    while (size > 0 && strchr(space, text[size - 1]) != NULL)
        size--;
    text[size] = '\0';
    return text;
}

/* A line's option goes into `found`, which has the file's values only. */
static bool take_line(struct tern_options *found, char *line)
{
    enum tern_option option;
    char *text = trim(line);
    if (text[0] == '\0' || text[0] == '#')
        return true;
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        snprintf(found->error, sizeof found->error, "not a line of the form `name = value`");
        return false;
    }
    *equals = '\0';
    char *name = trim(text);
    if (!find_option(name, &option) || table[option].value == NOTHING || option == TERN_OPTION_CONFIG) {
        char question[64];
        suggest(TERN_COMMAND_SERVE, question, sizeof question, "", name);
        snprintf(found->error, sizeof found->error, "unknown name '%.60s'%s", name, question);
        return false;
    }
    return add_value(found, option, trim(equals + 1));
}

/* Moves what `options` does not have yet and can have. */
static void merge(struct tern_options *options, struct tern_options *found)
{
    for (int i = 0; i < TERN_OPTION_COUNT; i++) {
        if (options->of[i].count == 0 && belongs((enum tern_option)i, options->command)) {
            options->of[i] = found->of[i];
            found->of[i].count = 0;
        }
    }
}

bool tern_options_read(struct tern_options *options, const char *path)
{
    char line[LINE_SIZE];
    struct tern_options found = {.error = ""};
    unsigned number = 0;
    bool good = true;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        options->is_failure = true;
        snprintf(options->error, sizeof options->error, "cannot read %.200s: %s", path, strerror(errno));
        return false;
    }
    while (good && fgets(line, sizeof line, file) != NULL) {
        number++;
        good = take_line(&found, line);
    }
    if (good && ferror(file)) {
        snprintf(found.error, sizeof found.error, "cannot read it: %s", strerror(errno));
        good = false;
    }
    fclose(file);
    if (good)
        merge(options, &found);
    else
        snprintf(options->error, sizeof options->error, "%.120s:%u: %.250s", path, number, found.error);
    tern_options_free(&found);
    return good;
}

/* ---- Values ---------------------------------------------------------------------------------- */

const char *tern_options_text(const struct tern_options *options, enum tern_option option)
{
    return options->of[option].count == 0 ? NULL : options->of[option].values[0];
}

uint64_t tern_options_number(const struct tern_options *options, enum tern_option option)
{
    uint64_t number = 0;
    const char *text = tern_options_text(options, option);
    if (text != NULL)
        parse_number(text, &number);
    return number;
}

bool tern_options_equal(const struct tern_options *a, const struct tern_options *b, enum tern_option option)
{
    if (a->of[option].count != b->of[option].count)
        return false;
    for (size_t i = 0; i < a->of[option].count; i++)
        if (strcmp(a->of[option].values[i], b->of[option].values[i]) != 0)
            return false;
    return true;
}

const char *tern_option_name(enum tern_option option)
{
    return table[option].name;
}

static void help_line(const struct option *option)
{
    char head[40];
    const char *help = option->help;
    snprintf(head, sizeof head, "--%s %s", option->name, option->argument == NULL ? "" : option->argument);
    printf("  %-22s ", head);
    for (; *help != '\0'; help++) {
        putchar(*help);
        if (*help == '\n')
            printf("  %-22s ", "");
    }
    putchar('\n');
}

void tern_options_list(enum tern_command command)
{
    for (size_t i = 0; i < TERN_OPTION_COUNT; i++)
        if (belongs((enum tern_option)i, command))
            help_line(&table[i]);
}

void tern_options_free(struct tern_options *options)
{
    for (size_t i = 0; i < TERN_OPTION_COUNT; i++)
        while (options->of[i].count > 0)
            free(options->of[i].values[--options->of[i].count]);
    while (options->operand_count > 0)
        free(options->operands[--options->operand_count]);
    free(options->operands);
    options->operands = NULL;
}
