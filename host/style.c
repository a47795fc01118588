/* SPDX-License-Identifier: MIT */
#include "style.h"

#include <stdlib.h>
#include <string.h>

#include "../core/tern.h"
#include "log.h"

#define LENGTH_MAX TERN_NAME_MAX /* of a name in a database: what the strictest takes */

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

/* A device's name of a table or column, as tern_schema_check() takes it. */
static bool is_declared(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') ||
              (i != 0 && ((name[i] >= '0' && name[i] <= '9') || name[i] == '_'))))
            return false;
    return size >= 1 && size <= TERN_NAME_MAX && (size < 5 || memcmp(name, "tern_", 5) != 0);
}

/* Whether a device may have what is renamed: `table` or `table.column`. */
static bool can_match(const char *from)
{
    size_t size = strcspn(from, ".");
    if (!is_declared(from, size))
        return false;
    const char *column = from + size + 1;
    return from[size] == '\0' || (is_declared(column, strlen(column)) && strcmp(column, "device") != 0);
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
        if (!can_match(from))
            return refuse(
                config, style->names[i],
                "no device can have this table or column: their names begin with a to z, go on with a to "
                "z, 0 to 9 and _, have at most 63 characters, do not begin with tern_, and no column is "
                "called device");
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
