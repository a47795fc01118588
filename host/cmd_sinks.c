/* SPDX-License-Identifier: MIT */
/* tern-gateway sinks: which destinations a staging folder remembers, and what it does for them. Between runs
 * of the gateway. */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>

#include "fanout.h"
#include "stage.h"

static int not_known(const char *url)
{
    fprintf(stderr, "tern-gateway: the staging folder does not know the destination %s\n", url);
    return TERN_EXIT_FAILED;
}

static int set_state(struct tern_fanout *fanout, const struct tern_option_values *urls,
                     enum tern_fanout_state state)
{
    for (size_t i = 0; i < urls->count; i++) {
        struct tern_fanout_entry *entry = tern_fanout_find(fanout, urls->values[i]);
        if (entry == NULL)
            return not_known(urls->values[i]);
        entry->state = state;
    }
    return TERN_EXIT_OK;
}

static int forget(struct tern_fanout *fanout, const struct tern_option_values *urls)
{
    for (size_t i = 0; i < urls->count; i++) {
        struct tern_fanout_entry *entry = tern_fanout_find(fanout, urls->values[i]);
        if (entry == NULL)
            return not_known(urls->values[i]);
        tern_fanout_remove(fanout, entry);
    }
    return TERN_EXIT_OK;
}

static int change(const struct tern_options *options, const struct tern_report *report)
{
    const char *directory = tern_options_text(options, TERN_OPTION_STAGE);
    struct tern_fanout fanout;
    if (tern_fanout_read(&fanout, directory, report) != TERN_HOST_OK)
        return TERN_EXIT_FAILED;
    int status = set_state(&fanout, &options->of[TERN_OPTION_PAUSE], TERN_FANOUT_PAUSED);
    if (status == TERN_EXIT_OK)
        status = set_state(&fanout, &options->of[TERN_OPTION_RESUME], TERN_FANOUT_ACTIVE);
    if (status == TERN_EXIT_OK)
        status = forget(&fanout, &options->of[TERN_OPTION_FORGET]);
    if (status == TERN_EXIT_OK && tern_fanout_write(&fanout, directory, report) != TERN_HOST_OK)
        status = TERN_EXIT_FAILED;
    return status;
}

static int list(const struct tern_options *options, const struct tern_report *report)
{
    struct tern_fanout fanout;
    if (tern_fanout_read(&fanout, tern_options_text(options, TERN_OPTION_STAGE), report) != TERN_HOST_OK)
        return TERN_EXIT_FAILED;
    for (size_t i = 0; i < fanout.count; i++)
        printf("%-8s %12" PRIu64 "  %s\n", tern_fanout_state_name(fanout.entries[i].state),
               fanout.entries[i].cursor, fanout.entries[i].url);
    return TERN_EXIT_OK;
}

int tern_cmd_sinks(int argc, char **argv)
{
    static const char usage[] = "tern-gateway sinks --stage DIR [--pause URL] [--resume URL] [--forget URL]";
    struct tern_options options;
    struct tern_stage *stage;
    int status;
    if (!tern_cmd_begin(&options, TERN_COMMAND_SINKS, usage, argc, argv, &status))
        return status;
    struct tern_report report = tern_cmd_report(&options);
    bool changes = options.of[TERN_OPTION_PAUSE].count + options.of[TERN_OPTION_RESUME].count +
                       options.of[TERN_OPTION_FORGET].count !=
                   0;
    /* A gateway that runs would write its own list over this one: opening the store takes the lock. */
    struct tern_stage_config config = {
        .directory = tern_options_text(&options, TERN_OPTION_STAGE), .report = report, .read_only = !changes};
    status = TERN_EXIT_FAILED;
    if (tern_stage_open(&stage, &config) == TERN_HOST_OK) {
        status = changes ? change(&options, &report) : TERN_EXIT_OK;
        if (status == TERN_EXIT_OK)
            status = list(&options, &report);
        tern_stage_close(stage);
    }
    tern_options_free(&options);
    return status;
}
