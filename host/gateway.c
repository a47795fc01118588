/* SPDX-License-Identifier: MIT */
/* The reference gateway: the library, options, a log on standard error, and signals. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* signalfd */
#endif
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "log.h"

#define VERSION       "0.1.0"
#define DRAIN_DEFAULT 30  /* seconds; a service manager usually kills after 90 */
#define DRAIN_SLICE   100 /* milliseconds until a second signal is seen */

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct gateway {
    struct tern_options options;
    struct tern_host *host;
    int signals;
};

static atomic_int log_level = TERN_INFO;

static void log_event(void *context, enum tern_level level, const char *event, const char *fields)
{
    struct timespec now;
    (void)context;
    if ((int)level < atomic_load(&log_level))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    tern_log_line(STDERR_FILENO, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level, event, fields);
}

static const struct tern_report report = {log_event, NULL};

static void log_message(enum tern_level level, const char *event, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&report, level, event, &fields);
}

static int complain(int status, const char *message)
{
    fprintf(stderr, "tern-gateway: %s\n", message);
    return status;
}

/* ---- Options --------------------------------------------------------------------------------- */

static void set_log_level(const struct tern_options *options)
{
    enum tern_level level = TERN_INFO;
    const char *name = tern_options_text(options, TERN_OPTION_LOG_LEVEL);
    if (name != NULL)
        tern_level_find(name, &level);
    atomic_store(&log_level, (int)level);
}

static bool read_options(struct tern_options *options, int argc, char **argv)
{
    memset(options, 0, sizeof *options);
    if (!tern_options_parse(options, argc, argv))
        return false;
    const char *file = tern_options_text(options, TERN_OPTION_CONFIG);
    return file == NULL || tern_options_read(options, file);
}

/* Reads everything again; what cannot change while running is named. */
static void reload(struct gateway *gateway, int argc, char **argv)
{
    struct tern_options fresh;
    struct tern_fields fields;
    char kept[256] = "";
    if (!read_options(&fresh, argc, argv)) {
        log_message(TERN_ERROR, "reload-failed", fresh.error);
        tern_options_free(&fresh);
        return;
    }
    for (int i = 0; i < TERN_OPTION_COUNT; i++)
        if (i != TERN_OPTION_LOG_LEVEL && !tern_options_equal(&fresh, &gateway->options, (enum tern_option)i))
            snprintf(kept + strlen(kept), sizeof kept - strlen(kept), "%s%s", kept[0] == '\0' ? "" : " ",
                     tern_option_name((enum tern_option)i));
    set_log_level(&fresh);
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "log_level", tern_level_name((enum tern_level)atomic_load(&log_level)));
    if (kept[0] != '\0') {
        tern_fields_text(&fields, "unchanged", kept);
        tern_fields_text(&fields, "msg", "only log-level is reloaded; restart the gateway for the others");
    }
    tern_report_event(&report, TERN_WARN, "reloaded", &fields); /* so that it is seen at nearly every level */
    tern_options_free(&fresh);
}

static void fill_config(struct tern_host_config *config, const struct tern_options *options)
{
    memset(config, 0, sizeof *config);
    config->stage = tern_options_text(options, TERN_OPTION_STAGE);
    config->sinks = (const char *const *)options->of[TERN_OPTION_SINK].values;
    config->sink_count = options->of[TERN_OPTION_SINK].count;
    config->report = report;
    config->window = (uint32_t)tern_options_number(options, TERN_OPTION_WINDOW);
    config->connections = (uint32_t)tern_options_number(options, TERN_OPTION_CONNECTIONS);
    config->hello_seconds = (uint32_t)tern_options_number(options, TERN_OPTION_HELLO_SECONDS);
    config->idle_seconds = (uint32_t)tern_options_number(options, TERN_OPTION_IDLE_SECONDS);
    config->segment_seconds = (uint32_t)tern_options_number(options, TERN_OPTION_SEGMENT_SECONDS);
    config->segment_bytes = tern_options_number(options, TERN_OPTION_SEGMENT_BYTES);
    config->segment_tool = tern_options_text(options, TERN_OPTION_SEGMENT_COMPRESS);
    config->keep_days = (uint32_t)tern_options_number(options, TERN_OPTION_KEEP_DAYS);
    config->keep_bytes = tern_options_number(options, TERN_OPTION_KEEP_BYTES);
    config->journal_bytes = tern_options_number(options, TERN_OPTION_JOURNAL_BYTES);
    config->held_hours = (int32_t)tern_options_number(options, TERN_OPTION_HELD_HOURS);
    if (tern_options_text(options, TERN_OPTION_HELD_HOURS) != NULL && config->held_hours == 0)
        config->held_hours = -1;
    config->filter_bytes = (uint32_t)tern_options_number(options, TERN_OPTION_FILTER_BYTES);
    if (tern_options_text(options, TERN_OPTION_FILTER_BYTES) != NULL && config->filter_bytes == 0)
        config->filter_bytes = 1;
    config->reserve_bytes = tern_options_number(options, TERN_OPTION_DISK_RESERVE);
    config->when_full = tern_options_text(options, TERN_OPTION_WHEN_FULL);
    const char *from = tern_options_text(options, TERN_OPTION_FROM);
    config->style = tern_cmd_style(options);
    config->from_now = from != NULL && strcmp(from, "now") == 0;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Signals become readable events, and threads started later inherit that they are blocked. */
static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    signal(SIGPIPE, SIG_IGN); /* a log reader that goes away must not take the gateway with it */
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* The next signal that has arrived, 0: none. */
static int take_signal(const struct gateway *gateway)
{
    struct signalfd_siginfo info;
    return read(gateway->signals, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

/* A connection costs a descriptor: take as many as the system lets this process have. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_host(struct gateway *gateway)
{
    struct tern_host_config config;
    const struct tern_option_values *places = &gateway->options.of[TERN_OPTION_LISTEN];
    fill_config(&config, &gateway->options);
    int error = tern_host_open(&gateway->host, &config);
    for (size_t i = 0; error == TERN_HOST_OK && i < places->count; i++)
        error = tern_host_listen(gateway->host, places->values[i]);
    if (error == TERN_HOST_OK)
        return EXIT_STOPPED;
    log_message(TERN_ERROR, "not-started", "the gateway could not start; the line before says why");
    return error == TERN_HOST_E_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

static int serve(struct gateway *gateway, int argc, char **argv)
{
    for (;;) {
        struct pollfd ready[2] = {{gateway->signals, POLLIN, 0},
                                  {tern_host_descriptor(gateway->host), POLLIN, 0}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) {
            log_message(TERN_ERROR, "failed", strerror(errno));
            return EXIT_FAILED;
        }
        int caught = take_signal(gateway);
        if (caught == SIGHUP)
            reload(gateway, argc, argv);
        else if (caught != 0)
            return EXIT_STOPPED;
        if (tern_host_step(gateway->host, 0) != TERN_HOST_OK) {
            log_message(TERN_ERROR, "failed", "the gateway cannot go on; the lines before say why");
            return EXIT_FAILED;
        }
    }
}

static bool is_stop(int caught)
{
    return caught == SIGTERM || caught == SIGINT;
}

static int drain(struct gateway *gateway)
{
    uint64_t seconds = tern_options_number(&gateway->options, TERN_OPTION_DRAIN_SECONDS);
    uint64_t slices = (seconds != 0 ? seconds : DRAIN_DEFAULT) * 1000 / DRAIN_SLICE;
    log_message(TERN_INFO, "draining",
                "takes no more records and waits for the destinations; a second signal stops at once");
    for (; slices > 0; slices--) {
        if (tern_host_drain(gateway->host, DRAIN_SLICE) == TERN_HOST_OK) {
            log_message(TERN_INFO, "stopped", "every destination has everything");
            return EXIT_STOPPED;
        }
        if (is_stop(take_signal(gateway)))
            break;
    }
    log_message(
        TERN_WARN, "stopped",
        "a destination is behind; nothing is lost, the staging folder has the rest for the next start");
    return EXIT_STOPPED;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"status", tern_cmd_status, "destinations and devices of a staging folder"},
    {"rejects", tern_cmd_rejects, "lists records that destinations refused, or brings them in again"},
    {"ddl", tern_cmd_ddl, "prints the SQL that makes the tables of a staging folder"},
    {"check", tern_cmd_check, "connects to destinations and says what is wrong there"},
    {"replay", tern_cmd_replay, "brings records of a staging folder into a destination once more"},
    {"audit", tern_cmd_audit, "compares a destination with the staging folder"},
    {"import", tern_cmd_import, "CSV files into the staging folder"},
    {"sinks", tern_cmd_sinks, "pauses, resumes and forgets destinations of a staging folder"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void help(void)
{
    printf("tern-gateway takes records from devices, keeps them in a staging folder and merges them into "
           "databases.\n\n"
           "  tern-gateway --listen tcp://127.0.0.1:7766 --stage stage --sink sqlite:climate.db\n\n");
    tern_options_list(TERN_COMMAND_SERVE);
    printf("\nSIGTERM and SIGINT: stop when the destinations have caught up; a second one: at once. SIGHUP: "
           "read the\n"
           "file again (log-level). Exit status: 0 stopped, 1 failure, 2 usage. The log goes to standard "
           "error.\n\nOther commands (each has --help):\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  tern-gateway %-9s %s\n", commands[i].name, commands[i].help);
}

/* The exit status of the command that the first word names; -1: it names none. */
static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < COMMANDS && argc > 1; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return -1;
}

int main(int argc, char **argv)
{
    static struct gateway gateway;
    int command = run_command(argc, argv);
    if (command >= 0)
        return command;
    if (!read_options(&gateway.options, argc, argv))
        return complain(gateway.options.is_failure ? EXIT_FAILED : EXIT_USAGE, gateway.options.error);
    if (tern_options_text(&gateway.options, TERN_OPTION_HELP) != NULL) {
        help();
        return EXIT_STOPPED;
    }
    if (tern_options_text(&gateway.options, TERN_OPTION_VERSION) != NULL) {
        puts("tern-gateway " VERSION);
        return EXIT_STOPPED;
    }
    if (tern_options_text(&gateway.options, TERN_OPTION_STAGE) == NULL)
        return complain(
            EXIT_USAGE,
            "--stage DIR is missing: the folder where records are kept (--help shows an example)");
    if (gateway.options.of[TERN_OPTION_LISTEN].count == 0)
        return complain(EXIT_USAGE, "--listen URL is missing: where devices arrive, as tcp://127.0.0.1:7766");
    set_log_level(&gateway.options);
    raise_file_limit();
    gateway.signals = catch_signals();
    int status = gateway.signals < 0 ? EXIT_FAILED : open_host(&gateway);
    if (status == EXIT_STOPPED)
        status = serve(&gateway, argc, argv);
    if (status == EXIT_STOPPED)
        status = drain(&gateway);
    tern_host_close(gateway.host);
    tern_options_free(&gateway.options);
    return status;
}
