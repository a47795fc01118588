/* SPDX-License-Identifier: MIT */
/* tern-gateway ddl and check: what a database needs, and whether it has it. Both connect and make nothing that stays. */
#include "cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"
#include "style.h"

static void print(const char *text)
{
    fputs(text, stdout);
}

/* A connection that makes no tables by itself. NULL: what is to be said has been. */
static struct tern_sink *connect_sink(const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink;
    struct tern_sink_config config = {.url = url,
                                      .report = style->report,
                                      .soft_delete = style->soft_delete,
                                      .no_ddl = true,
                                      .names = style->names,
                                      .name_count = style->name_count};
    if (tern_sink_open(&sink, &config) != TERN_HOST_OK)
        return NULL;
    if (sink->ops->describe != NULL && sink->ops->connect(sink) == TERN_HOST_OK)
        return sink;
    if (sink->ops->describe == NULL)
        printf("%s: nothing to do\n", url);
    else
        fprintf(stderr, "tern-gateway: %s: %s\n", url, sink->error);
    sink->ops->close(sink);
    return NULL;
}

static void disconnect(struct tern_sink *sink)
{
    sink->ops->disconnect(sink);
    sink->ops->close(sink);
}

/* ---- ddl -------------------------------------------------------------------------------------------------------------------------- */

/* All versions of a table in one: each column as the first version has it. */
struct whole {
    struct tern_table table;
    struct tern_column columns[TERN_COLUMNS_MAX];
};

static bool has_column(const struct whole *whole, const char *name)
{
    for (uint8_t i = 0; i < whole->table.column_count; i++)
        if (strcmp(whole->columns[i].name, name) == 0)
            return true;
    return false;
}

static void add_version(struct whole *whole, const struct tern_table *table)
{
    if (whole->table.name == NULL) {
        whole->table = *table;
        whole->table.column_count = 0;
        whole->table.columns = whole->columns;
    }
    for (uint8_t i = 0; i < table->column_count && whole->table.column_count < TERN_COLUMNS_MAX; i++)
        if (!has_column(whole, table->columns[i].name))
            whole->columns[whole->table.column_count++] = table->columns[i];
}

/* False for a version of a table that has been printed. */
static bool gather(struct tern_stage *stage, size_t index, struct whole *whole)
{
    const struct tern_schema *first = tern_stage_schema_at(stage, index), *schema;
    memset(whole, 0, sizeof *whole);
    for (size_t i = 0; (schema = tern_stage_schema_at(stage, i)) != NULL; i++) {
        if (strcmp(schema->table.name, first->table.name) != 0)
            continue;
        if (i < index)
            return false;
        add_version(whole, &schema->table);
    }
    return true;
}

static int print_tables(struct tern_sink *sink, struct tern_stage *stage)
{
    struct whole whole;
    int error = sink->ops->describe(sink, NULL, false, print);
    for (size_t i = 0; error == TERN_HOST_OK && tern_stage_schema_at(stage, i) != NULL; i++)
        if (gather(stage, i, &whole))
            error = sink->ops->describe(sink, &whole.table, true, print);
    if (error != TERN_HOST_OK)
        fprintf(stderr, "tern-gateway: %s\n", sink->error);
    return error == TERN_HOST_OK ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

static int ddl(struct tern_stage *stage, const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink = connect_sink(style, url);
    if (sink == NULL)
        return TERN_EXIT_FAILED;
    int status = print_tables(sink, stage);
    disconnect(sink);
    return status;
}

/* ---- check ------------------------------------------------------------------------------------------------------------------------ */

/* Every table of the folder as a gateway would make it ready, without making anything: its key and its columns. */
static int check_tables(struct tern_sink *sink, struct tern_stage *stage, bool makes)
{
    const struct tern_schema *schema;
    int status = TERN_EXIT_OK;
    for (size_t i = 0; (schema = tern_stage_schema_at(stage, i)) != NULL; i++) {
        bool good = sink->ops->prepare(sink, &schema->table, 0, false) == TERN_HOST_OK;
        if (!good && makes && strstr(sink->error, "--ddl=off") != NULL) {
            printf("good table %s: will be made, or get more columns\n", schema->table.name);
            continue;
        }
        printf("%s table %s%s%s\n", good ? "good" : "bad ", schema->table.name, good ? "" : ": ",
               good ? "" : sink->error);
        status = good ? status : TERN_EXIT_FAILED;
    }
    return status;
}

static int check(struct tern_stage *stage, const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink = connect_sink(style, url);
    if (sink == NULL)
        return TERN_EXIT_FAILED;
    printf("good connection to %s\n", url);
    int status =
        sink->ops->check(sink, !style->no_ddl, print) == TERN_HOST_OK ? TERN_EXIT_OK : TERN_EXIT_FAILED;
    if (check_tables(sink, stage, !style->no_ddl) != TERN_EXIT_OK)
        status = TERN_EXIT_FAILED;
    disconnect(sink);
    return status;
}

/* ---- Both ------------------------------------------------------------------------------------------------------------------------- */

static int for_all(struct tern_options *options,
                   int (*call)(struct tern_stage *stage, const struct tern_import_config *style,
                               const char *url))
{
    const struct tern_option_values *urls = &options->of[TERN_OPTION_SINK];
    struct tern_import_config config = {.report = tern_cmd_report(options)};
    struct tern_host_style style = tern_cmd_style(options);
    struct tern_stage_config staging = {.directory = tern_options_text(options, TERN_OPTION_STAGE),
                                        .report = config.report,
                                        .read_only = true};
    struct tern_stage *stage = NULL;
    int status = TERN_EXIT_OK;
    if (urls->count == 0)
        status = tern_cmd_complain(TERN_EXIT_USAGE, "--sink URL is missing: which database");
    else if (tern_style_apply(&style, &config) != TERN_HOST_OK)
        status = TERN_EXIT_USAGE;
    else if (tern_stage_open(&stage, &staging) != TERN_HOST_OK)
        status = TERN_EXIT_FAILED;
    for (size_t i = 0; stage != NULL && i < urls->count; i++)
        if (call(stage, &config, urls->values[i]) != TERN_EXIT_OK)
            status = TERN_EXIT_FAILED;
    tern_stage_close(stage);
    tern_style_free(&config);
    tern_options_free(options);
    return status;
}

int tern_cmd_ddl(int argc, char **argv)
{
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_DDL,
                        "tern-gateway ddl --stage DIR --sink URL [--delete KIND] [--name FROM=TO]", argc,
                        argv, &status))
        return status;
    return for_all(&options, ddl);
}

int tern_cmd_check(int argc, char **argv)
{
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_CHECK,
                        "tern-gateway check --stage DIR --sink URL [--name FROM=TO]", argc, argv, &status))
        return status;
    return for_all(&options, check);
}
