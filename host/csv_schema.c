/* SPDX-License-Identifier: MIT */
#include "csv_schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../core/schema.h"

static const char *const kinds[] = {"boolean", "unsigned", "signed", "decimal", "float",
                                    "time_s",  "time_ms",  "text",   "bytes"};

static int fail(char error[400], const char *path, const char *message, const char *what)
{
    snprintf(error, 400, "%.250s: %s%.60s", path, message, what);
    return -1;
}

/* "decimal(2)" or "time_s". */
static int read_type(const char *word, uint16_t *type)
{
    for (unsigned kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        size_t size = strlen(kinds[kind]);
        unsigned parameter = 0;
        if (strncmp(word, kinds[kind], size) != 0 || (word[size] != '\0' && word[size] != '('))
            continue;
        if (word[size] == '(' && (sscanf(word + size, "(%4u)", &parameter) != 1 || parameter > 4095))
            return -1;
        *type = TERN_TYPE(kind, parameter);
        return 0;
    }
    return -1;
}

static int read_flag(const char *word, uint8_t *flags)
{
    static const struct {
        const char *name;
        uint8_t flag;
    } known[] = {{"key", TERN_KEY}, {"null", TERN_NULLABLE}, {"first", TERN_FIRST},
                 {"min", TERN_MIN}, {"max", TERN_MAX},       {"add", TERN_ADD}};
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i].name) == 0) {
            *flags = (uint8_t)(*flags | known[i].flag);
            return 0;
        }
    }
    return -1;
}

/* "NAME TYPE FLAG*". The three columns that every segment begins with are passed over. */
static int read_column(struct tern_csv_schema *schema, char *rest)
{
    char *place = NULL, *name = strtok_r(rest, " ", &place), *type = strtok_r(NULL, " ", &place);
    uint8_t index = schema->table.column_count;
    struct tern_column *column = &schema->columns[index];
    if (name == NULL || type == NULL || strlen(name) > TERN_NAME_MAX)
        return -1;
    if (strcmp(name, "device") == 0 || strncmp(name, "tern_", 5) == 0)
        return 0;
    if (index == TERN_COLUMNS_MAX || read_type(type, &column->type) != 0)
        return -1;
    strcpy(schema->names[index], name);
    column->name = schema->names[index];
    for (const char *word; (word = strtok_r(NULL, " ", &place)) != NULL;)
        if (read_flag(word, &column->flags) != 0)
            return -1;
    schema->table.column_count++;
    return 0;
}

static int read_line(struct tern_csv_schema *schema, char *line)
{
    static const char *const modes[] = {"merge", "append", "overwrite"};
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "column ", 7) == 0)
        return read_column(schema, line + 7);
    if (strncmp(line, "table ", 6) == 0 && strlen(line + 6) <= TERN_NAME_MAX) {
        strcpy(schema->name, line + 6);
        return 0;
    }
    for (uint8_t i = 0; strncmp(line, "mode ", 5) == 0 && i < 3; i++) {
        if (strcmp(line + 5, modes[i]) == 0) {
            schema->table.mode = i;
            return 0;
        }
    }
    return strncmp(line, "hash ", 5) == 0 ? 0 : -1;
}

int tern_csv_schema_read(struct tern_csv_schema *schema, const char *path, char error[400])
{
    char line[256];
    memset(schema, 0, sizeof *schema);
    schema->table = (struct tern_table){.name = schema->name, .columns = schema->columns, .codec = &tern_csv};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail(error, path, "cannot be read: ", strerror(errno));
    int status = 0;
    while (status == 0 && fgets(line, sizeof line, file) != NULL)
        if (read_line(schema, line) != 0)
            status = fail(error, path, "not a line of a schema: ", line);
    if (status == 0 && ferror(file))
        status = fail(error, path, "cannot be read: ", strerror(errno));
    fclose(file);
    if (status == 0 && tern_schema_check(&schema->table) != TERN_OK)
        status = fail(error, path, "the table that it describes is not allowed", "");
    return status;
}
