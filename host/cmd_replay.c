/* SPDX-License-Identifier: MIT */
/* tern-gateway replay: records of a staging folder into a destination once more. */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line that is overwritten on a terminal, one line a step elsewhere. */
static int show(void *context, const struct tern_host_progress *progress)
{
    uint64_t *shown = context;
    uint64_t percent = progress->end == 0 ? 100 : progress->read * 100 / progress->end;
    bool terminal = isatty(STDERR_FILENO) != 0;
    if (!terminal && percent < *shown + 10 && percent != 100)
        return 0;
    *shown = percent;
    fprintf(stderr, "%s%3" PRIu64 " %%  %" PRIu64 " rows brought in, %" PRIu64 " were there%s",
            terminal ? "\r" : "", percent, progress->rows, progress->known, terminal ? "" : "\n");
    return 0;
}

static int finish(int error, const struct tern_host_progress *done)
{
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    printf("%" PRIu64 " rows brought in, %" PRIu64 " were there, %" PRIu64 " rejected, %" PRIu32
           " ranges held\n",
           done->rows, done->known, done->rejected, done->held);
    return error == TERN_HOST_OK           ? TERN_EXIT_OK
           : error == TERN_HOST_E_ARGUMENT ? TERN_EXIT_USAGE
                                           : TERN_EXIT_FAILED;
}

int tern_cmd_replay(int argc, char **argv)
{
    static const char usage[] = "tern-gateway replay --stage DIR --sink URL [--since TIME] [--until TIME] "
                                "[--table NAME] [--device ID] [--repair]";
    struct tern_options options;
    struct tern_host_progress done;
    uint64_t shown = 0;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_REPLAY, usage, argc, argv, &status))
        return status;
    struct tern_host_replay replay = {.stage = tern_options_text(&options, TERN_OPTION_STAGE),
                                      .sink = tern_options_text(&options, TERN_OPTION_SINK),
                                      .table = tern_options_text(&options, TERN_OPTION_TABLE),
                                      .device = tern_options_text(&options, TERN_OPTION_DEVICE),
                                      .repair = tern_options_text(&options, TERN_OPTION_REPAIR) != NULL,
                                      .style = tern_cmd_style(&options),
                                      .report = tern_cmd_report(&options),
                                      .progress = show,
                                      .context = &shown};
    if (options.of[TERN_OPTION_SINK].count != 1)
        status = tern_cmd_complain(TERN_EXIT_USAGE, "one --sink URL is needed: where the records are to go");
    else if (!tern_cmd_time(&options, TERN_OPTION_SINCE, &replay.since) ||
             !tern_cmd_time(&options, TERN_OPTION_UNTIL, &replay.until))
        status = TERN_EXIT_USAGE;
    else
        status = finish(tern_host_replay(&replay, &done), &done);
    tern_options_free(&options);
    return status;
}
