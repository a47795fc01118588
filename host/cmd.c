/* SPDX-License-Identifier: MIT */
#include "cmd.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

int tern_cmd_complain(int status, const char *message)
{
    fprintf(stderr, "tern-gateway: %s\n", message);
    return status;
}

bool tern_cmd_begin(struct tern_options *options, enum tern_command command, const char *usage, int argc,
                    char **argv, int *status)
{
    memset(options, 0, sizeof *options);
    options->command = command;
    bool good = tern_options_parse(options, argc, argv);
    const char *file = tern_options_text(options, TERN_OPTION_CONFIG);
    good = good && (file == NULL || tern_options_read(options, file));
    *status = TERN_EXIT_OK;
    if (good && tern_options_text(options, TERN_OPTION_HELP) != NULL) {
        printf("%s\n\n", usage);
        tern_options_list(command);
        good = false;
    } else if (!good) {
        *status = tern_cmd_complain(options->is_failure ? TERN_EXIT_FAILED : TERN_EXIT_USAGE, options->error);
    } else if (tern_options_text(options, TERN_OPTION_STAGE) == NULL) {
        *status = tern_cmd_complain(TERN_EXIT_USAGE, "--stage DIR is missing: the gateway's staging folder");
        good = false;
    }
    if (!good)
        tern_options_free(options);
    return good;
}

static bool is(const struct tern_options *options, enum tern_option option, const char *word)
{
    const char *text = tern_options_text(options, option);
    return text != NULL && strcmp(text, word) == 0;
}

struct tern_host_style tern_cmd_style(const struct tern_options *options)
{
    struct tern_host_style style = {
        .soft_delete = is(options, TERN_OPTION_DELETE, "soft"),
        .no_ddl = is(options, TERN_OPTION_DDL, "off"),
        .workers = (uint32_t)tern_options_number(options, TERN_OPTION_WORKERS),
        .names = (const char *const *)options->of[TERN_OPTION_NAME].values,
        .name_count = options->of[TERN_OPTION_NAME].count,
    };
    return style;
}

int64_t tern_cmd_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool tern_cmd_time(const struct tern_options *options, enum tern_option option, int64_t *milliseconds)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};
    const char *text = tern_options_text(options, option), *end = NULL;
    struct tm utc;
    *milliseconds = 0;
    if (text == NULL)
        return true;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && (end == NULL || *end != '\0'); i++) {
        memset(&utc, 0, sizeof utc);
        end = strptime(text, forms[i], &utc);
    }
    if (end != NULL && *end == '\0') {
        *milliseconds = (int64_t)timegm(&utc) * 1000;
        return true;
    }
    fprintf(stderr, "tern-gateway: --%s must be a time in UTC as 2026-11-01T00:00:00Z, not '%s'\n",
            tern_option_name(option), text);
    return false;
}

static void log_event(void *context, enum tern_level level, const char *event, const char *fields)
{
    struct timespec now;
    enum tern_level least = TERN_WARN;
    const char *name = context;
    if (name != NULL)
        tern_level_find(name, &least);
    if (level < least)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    tern_log_line(STDERR_FILENO, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level, event, fields);
}

struct tern_report tern_cmd_report(const struct tern_options *options)
{
    return (struct tern_report){log_event, options->of[TERN_OPTION_LOG_LEVEL].values[0]};
}
