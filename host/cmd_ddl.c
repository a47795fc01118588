/* SPDX-License-Identifier: MIT */
/* tern-gateway ddl and check: what a database needs, and whether it has it. Both connect and make nothing
 * that stays, but for an SQLite file. */
#include "cmd.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sink.h"
#include "style.h"

static void print(const char *text)
{
    fputs(text, stdout);
}

/* A sink that makes no tables by itself, not connected. NULL: what is to be said has been. */
static struct tern_sink *open_sink(const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink;
    struct tern_sink_config config = {.url = url,
                                      .report = style->report,
                                      .soft_delete = style->soft_delete,
                                      .no_ddl = true,
                                      .names = style->names,
                                      .name_count = style->name_count};
    return tern_sink_open(&sink, &config) == TERN_HOST_OK ? sink : NULL;
}

static int complain(const char *url, const char *message)
{
    fprintf(stderr, "tern-gateway: %s: %s\n", url, message);
    return TERN_EXIT_FAILED;
}

/* Without a store no device's table is known. */
static const struct tern_schema *schema_at(struct tern_stage *stage, size_t index)
{
    return stage == NULL ? NULL : tern_stage_schema_at(stage, index);
}

/* ---- ddl ------------------------------------------------------------------------------------- */

/* A table that cannot be is told of, and the others are printed. */
static int print_tables(struct tern_sink *sink, struct tern_stage *stage, const char *url, bool offline)
{
    const struct tern_schema *schema;
    int error = sink->ops->describe(sink, NULL, offline, true, print), status = TERN_EXIT_OK;
    for (size_t i = 0; error == TERN_HOST_OK && (schema = schema_at(stage, i)) != NULL; i++) {
        error = sink->ops->describe(sink, &schema->table, offline, true, print);
        if (error == TERN_HOST_E_ARGUMENT)
            status = complain(url, sink->error);
        error = error == TERN_HOST_E_ARGUMENT ? TERN_HOST_OK : error;
    }
    return error == TERN_HOST_OK ? status : complain(url, sink->error);
}

static int ddl(struct tern_stage *stage, const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink = open_sink(style, url);
    if (sink == NULL)
        return TERN_EXIT_FAILED;
    int status = TERN_EXIT_OK;
    if (sink->ops->describe == NULL) {
        printf("%s: nothing to do\n", url);
    } else {
        bool offline = sink->ops->connect(sink) != TERN_HOST_OK;
        const char *begin = sink->ops->ddl_begin(sink);
        if (offline) {
            complain(url, sink->error);
            print("-- without a look at the database: what the schemas of the staging folder lead to, one "
                  "after the other\n");
        }
        if (stage == NULL)
            print("-- the staging folder holds no store yet, so that these are tern's own tables alone: a "
                  "device "
                  "brings its tables' schemas\n-- when it connects. Start the gateway with --ddl=off, let "
                  "devices "
                  "connect, and run this again\n");
        print(begin == NULL ? "" : begin);
        status = print_tables(sink, stage, url, offline);
        if (!offline)
            sink->ops->disconnect(sink);
    }
    sink->ops->close(sink);
    return status;
}

/* ---- check ----------------------------------------------------------------------------------- */

static unsigned statements; /* that describe() has printed */

static void count_statement(const char *text)
{
    (void)text;
    statements++;
}

/* tern's own tables (NULL), or a table of the folder, as a gateway would find it, without making anything:
 * its key and its columns. */
static int check_table(struct tern_sink *sink, const struct tern_table *table, bool makes)
{
    const char *name = table == NULL ? "tern's own" : table->name;
    statements = 0;
    if (sink->ops->describe(sink, table, false, false, count_statement) != TERN_HOST_OK) {
        printf("bad  table %s: %s\n", name, sink->error);
        return TERN_EXIT_FAILED;
    }
    if (statements != 0 && makes)
        printf("good table %s: will be made, or get more or wider columns\n", name);
    else if (statements != 0)
        printf("bad  table %s: is missing, or lacks columns or width: `tern-gateway ddl` prints the SQL\n",
               name);
    else if (table == NULL || sink->ops->check(sink, table, makes, print) == TERN_HOST_OK)
        printf("good table %s\n", name);
    else
        return TERN_EXIT_FAILED;
    return statements == 0 || makes ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

static int check_connected(struct tern_sink *sink, struct tern_stage *stage, bool makes)
{
    const struct tern_schema *schema;
    int status = sink->ops->check(sink, NULL, makes, print) == TERN_HOST_OK ? TERN_EXIT_OK : TERN_EXIT_FAILED;
    if (check_table(sink, NULL, makes) != TERN_EXIT_OK)
        status = TERN_EXIT_FAILED;
    for (size_t i = 0; (schema = schema_at(stage, i)) != NULL; i++)
        if (check_table(sink, &schema->table, makes) != TERN_EXIT_OK)
            status = TERN_EXIT_FAILED;
    return status;
}

static int check(struct tern_stage *stage, const struct tern_import_config *style, const char *url)
{
    struct tern_sink *sink = open_sink(style, url);
    int status = TERN_EXIT_OK;
    if (sink == NULL)
        return TERN_EXIT_FAILED;
    if (sink->ops->check == NULL) {
        printf("%s: nothing to do\n", url);
    } else if (sink->ops->connect(sink) != TERN_HOST_OK) {
        printf("bad  connection to %s: %s\n", url, sink->error);
        status = TERN_EXIT_FAILED;
    } else {
        printf("good connection to %s\n", url);
        status = check_connected(sink, stage, !style->no_ddl);
        sink->ops->disconnect(sink);
    }
    sink->ops->close(sink);
    return status;
}

/* ---- The folder before the first start ------------------------------------------------------- */

/* Whether a gateway would begin a store there: nothing is made here, and a folder that is missing is as good
 * as an empty one. */
static bool is_unused(const char *directory)
{
    DIR *folder = opendir(directory);
    bool unused = true;
    if (folder == NULL)
        return errno == ENOENT;
    for (const struct dirent *entry; unused && (errno = 0, entry = readdir(folder)) != NULL;)
        unused = strcmp(entry->d_name, "store") != 0 && strncmp(entry->d_name, "journal-", 8) != 0;
    unused = unused && errno == 0;
    closedir(folder);
    return unused;
}

/* A gateway makes the folder, but no parent of it. */
static int check_unused(const char *directory)
{
    char copy[4096]; /* a longer path is none to the system either */
    bool there = access(directory, F_OK) == 0;
    snprintf(copy, sizeof copy, "%s", directory);
    bool good = access(there ? directory : dirname(copy), W_OK | X_OK) == 0;
    if (good)
        printf("good staging folder %s: %s, so that no device's table is known yet\n", directory,
               there ? "holds no store" : "will be made");
    else
        printf("bad  staging folder %s: %s\n", directory,
               there ? "cannot be written to" : "its parent must exist and be writable");
    return good ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

/* ---- Both ------------------------------------------------------------------------------------ */

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
    bool known = false; /* what is in the folder */
    int status = TERN_EXIT_OK;
    if (urls->count == 0)
        status = tern_cmd_complain(TERN_EXIT_USAGE, "--sink URL is missing: which database");
    else if (tern_style_apply(&style, &config) != TERN_HOST_OK)
        status = TERN_EXIT_USAGE;
    else
        known = is_unused(staging.directory) || tern_stage_open(&stage, &staging) == TERN_HOST_OK;
    if (status == TERN_EXIT_OK && (!known || (stage == NULL && call == check)))
        status = known ? check_unused(staging.directory) : TERN_EXIT_FAILED;
    for (size_t i = 0; known && i < urls->count; i++)
        if (call(stage, &config, urls->values[i]) != TERN_EXIT_OK)
            status = TERN_EXIT_FAILED;
    tern_stage_close(stage); /* NULL too */
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
