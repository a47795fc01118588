/* SPDX-License-Identifier: MIT */
/* The list of destinations. */
#include "sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fanout.h"
#include "log.h"

static const struct tern_sink_ops *const sinks[] = {&tern_sink_sqlite,   &tern_sink_postgresql,
                                                    &tern_sink_postgres, &tern_sink_mysql,
                                                    &tern_sink_mariadb,  &tern_sink_csv};
#define SINKS (sizeof sinks / sizeof sinks[0])

int tern_sink_fail(struct tern_sink *sink, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sink->error, sizeof sink->error, format, arguments);
    va_end(arguments);
    return status;
}

/* How much of the URL may be logged: one that is refused may hold a password. */
static int open_size(const char *url)
{
    const char *user = strstr(url, "://"), *password = tern_fanout_password(url);
    user = user == NULL ? url : user + 3;
    const char *end = user + strcspn(user, ":/?"), *at = strchr(end, '@');
    if (*end != ':' || at == NULL)
        end = url + strcspn(url, "?");
    return (int)((password != NULL && password < end ? password : end) - url);
}

static int refuse(const struct tern_sink_config *config, int status, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "sink", "%.*s", open_size(config->url), config->url);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&config->report, TERN_ERROR, "sink-refused", &fields);
    return status;
}

int tern_sink_open(struct tern_sink **sink, const struct tern_sink_config *config)
{
    char error[256] = "";
    *sink = NULL;
    for (size_t i = 0; i < SINKS; i++) {
        size_t size = strlen(sinks[i]->scheme);
        if (strncmp(config->url, sinks[i]->scheme, size) != 0 || config->url[size] != ':')
            continue;
        struct tern_sink_config inner = *config;
        inner.rest = config->url + size + 1;
        int status = sinks[i]->open(sink, &inner, error);
        if (status != TERN_HOST_OK)
            return refuse(config, status, error);
        (*sink)->ops = sinks[i];
        (*sink)->report = config->report;
        return TERN_HOST_OK;
    }
    return refuse(config, TERN_HOST_E_ARGUMENT,
                  "no destination of this kind: use sqlite:FILE, postgresql://USER@HOST/DATABASE, "
                  "mysql://USER@HOST/DATABASE or csv:DIR");
}
