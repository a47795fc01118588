/* SPDX-License-Identifier: MIT */
#include "style.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

#define LENGTH_MAX 63 /* of a name in a database: what the strictest takes */

static int refuse(const struct tern_import_config *config, const char *name, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "name", name);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&config->report, TERN_ERROR, "bad-config", &fields);
    return TERN_HOST_E_ARGUMENT;
}

/* tern's own names would be mistaken for tern's own tables and columns. */
static bool is_allowed(const char *name)
{
    size_t size = strlen(name);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return size >= 1 && size <= LENGTH_MAX && strncmp(name, "tern_", 5) != 0 && strcmp(name, "device") != 0;
}

static bool is_taken(const struct tern_import_config *config, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(config->names[i].from, config->names[index].from) == 0)
            return true;
    return false;
}

int tern_style_apply(const struct tern_host_style *style, struct tern_import_config *config)
{
    struct tern_sink_name *names = calloc(style->name_count + 1, sizeof *names);
    config->soft_delete = style->soft_delete != 0;
    config->no_ddl = style->no_ddl != 0;
    config->workers = style->workers;
    config->names = names;
    if (names == NULL)
        return tern_report_no_start(&config->report, "names");
    for (size_t i = 0; i < style->name_count; i++) {
        char *from = strdup(style->names[i]), *equals = from == NULL ? NULL : strchr(from, '=');
        names[config->name_count++].from = from;
        if (from == NULL)
            return tern_report_no_start(&config->report, "names");
        if (equals == NULL || equals == from || !is_allowed(equals + 1))
            return refuse(config, style->names[i],
                          "a name is given as table=name or table.column=name, with at most 63 characters, "
                          "not \"device\" "
                          "and not beginning with tern_");
        *equals = '\0';
        names[i].to = equals + 1;
        if (is_taken(config, i))
            return refuse(config, style->names[i], "it has two names");
    }
    return TERN_HOST_OK;
}

void tern_style_free(struct tern_import_config *config)
{
    for (size_t i = 0; i < config->name_count; i++)
        free((char *)(uintptr_t)config->names[i].from);
    free((void *)(uintptr_t)config->names);
    config->names = NULL;
    config->name_count = 0;
}
