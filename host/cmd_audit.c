/* SPDX-License-Identifier: MIT */
/* tern-gateway audit: whether a destination has what the journal says. Exit status 0: it has; 1: it has not,
 * or cannot be compared. */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void show_difference(void *context, const char *table, const char *device, int64_t id,
                            const char *what)
{
    (void)context;
    printf("%s: the row of %s with tern_id %" PRId64 " (epoch %" PRId64 ", record %" PRId64 ") %s\n", table,
           device, id, id >> 32, id & 0xFFFFFFFF, what);
}

static void show_table(void *context, const struct tern_host_audit_table *table)
{
    (void)context;
    printf("%s: %" PRIu64 " rows by the journal with digest %016" PRIx64 ", %" PRIu64
           " in the destination with digest %016" PRIx64 ", %" PRIu64 " differences",
           table->table, table->journal_rows, table->journal_digest, table->sink_rows, table->sink_digest,
           table->differences);
    if (table->older != 0)
        printf(" (%" PRIu64 " older rows than the journal has were not compared)", table->older);
    putchar('\n');
}

/* EPOCH:RECORD, or a plain tern_id. */
static bool read_id(const struct tern_options *options, enum tern_option option, int64_t *id)
{
    const char *text = tern_options_text(options, option);
    char *end = NULL;
    *id = 0;
    if (text == NULL)
        return true;
    *id = strtoll(text, &end, 10);
    if (end != text && *end == ':') {
        const char *record = end + 1;
        *id = (int64_t)((uint64_t)*id << 32 | (strtoull(record, &end, 10) & 0xFFFFFFFF));
        end = end == record ? NULL : end;
    }
    if (end != NULL && end != text && *end == '\0' && *id >= 0)
        return true;
    fprintf(stderr, "tern-gateway: --%s must be a tern_id, or EPOCH:RECORD, not '%s'\n",
            tern_option_name(option), text);
    return false;
}

static int compare(const struct tern_host_audit *audit)
{
    struct tern_host_audit_result result;
    int error = tern_host_audit(audit, &result);
    if (error != TERN_HOST_OK)
        return tern_cmd_complain(error == TERN_HOST_E_ARGUMENT ? TERN_EXIT_USAGE : TERN_EXIT_FAILED,
                                 "the audit could not be made; the line before says why");
    printf("%" PRIu64 " rows compared, %" PRIu64 " differences", result.rows, result.differences);
    if (result.held != 0)
        printf("; %" PRIu32 " ranges cannot be brought in and were not compared", result.held);
    putchar('\n');
    return result.differences == 0 && result.held == 0 ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

int tern_cmd_audit(int argc, char **argv)
{
    static const char usage[] =
        "tern-gateway audit --stage DIR --sink URL [--device ID] [--first ID] [--last ID] "
        "[--since TIME] [--until TIME] [--name FROM=TO] [--delete KIND]";
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_AUDIT, usage, argc, argv, &status))
        return status;
    struct tern_host_audit audit = {.stage = tern_options_text(&options, TERN_OPTION_STAGE),
                                    .sink = tern_options_text(&options, TERN_OPTION_SINK),
                                    .device = tern_options_text(&options, TERN_OPTION_DEVICE),
                                    .style = tern_cmd_style(&options),
                                    .report = tern_cmd_report(&options),
                                    .difference = show_difference,
                                    .table = show_table};
    if (options.of[TERN_OPTION_SINK].count != 1)
        status = tern_cmd_complain(TERN_EXIT_USAGE, "one --sink URL is needed: the destination to look at");
    else if (!tern_cmd_time(&options, TERN_OPTION_SINCE, &audit.since) ||
             !tern_cmd_time(&options, TERN_OPTION_UNTIL, &audit.until) ||
             !read_id(&options, TERN_OPTION_FIRST, &audit.first) ||
             !read_id(&options, TERN_OPTION_LAST, &audit.last))
        status = TERN_EXIT_USAGE;
    else
        status = compare(&audit);
    tern_options_free(&options);
    return status;
}
