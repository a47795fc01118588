/* SPDX-License-Identifier: MIT */
/* tern-gateway rejects: records that destinations refused. */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "import_retry.h"
#include "style.h"

static int retry(struct tern_stage *stage, const char *url, const struct tern_import_config *config)
{
    struct tern_retry_result result;
    int error = tern_import_retry(stage, url, config, &result);
    printf("%s: %" PRIu64 " loaded, %" PRIu64 " superseded by newer ones, %" PRIu64 " there already, %" PRIu64
           " refused again\n",
           url, result.loaded, result.superseded, result.known, result.refused);
    return error == TERN_HOST_OK && result.refused == 0 ? TERN_EXIT_OK : TERN_EXIT_FAILED;
}

static int retry_all(const struct tern_options *options, struct tern_import_config *config)
{
    const struct tern_option_values *urls = &options->of[TERN_OPTION_SINK];
    struct tern_stage_config staging = {.directory = tern_options_text(options, TERN_OPTION_STAGE),
                                        .report = config->report,
                                        .read_only = true};
    struct tern_stage *stage;
    int status = TERN_EXIT_OK;
    if (tern_stage_open(&stage, &staging) != TERN_HOST_OK)
        return TERN_EXIT_FAILED;
    for (size_t i = 0; i < urls->count; i++)
        if (retry(stage, urls->values[i], config) != TERN_EXIT_OK)
            status = TERN_EXIT_FAILED;
    tern_stage_close(stage);
    return status;
}

int tern_cmd_rejects(int argc, char **argv)
{
    static const char usage[] =
        "tern-gateway rejects --stage DIR --sink URL --retry\n\n"
        "The records stand in rejects/TABLE.csv of the folder, with the reason; they may be mended there.";
    struct tern_options options;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_REJECTS, usage, argc, argv, &status))
        return status;
    struct tern_import_config config = {.report = tern_cmd_report(&options)};
    struct tern_host_style style = tern_cmd_style(&options);
    if (options.of[TERN_OPTION_SINK].count == 0 || tern_options_text(&options, TERN_OPTION_RETRY) == NULL)
        status = tern_cmd_complain(TERN_EXIT_USAGE,
                                   "--retry and --sink URL are needed: the destination that refused them");
    else if (tern_style_apply(&style, &config) != TERN_HOST_OK)
        status = TERN_EXIT_USAGE;
    else
        status = retry_all(&options, &config);
    tern_style_free(&config);
    tern_options_free(&options);
    return status;
}
