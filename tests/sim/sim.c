/* SPDX-License-Identifier: MIT */
/* usage: sim SEED --trace       one run, told step by step
 *        sim --seeds N [--from SEED] [--jobs N] [--faults a,b | --without a,b] [--break PROMISE] [--quiet]
 *
 * Closes with `seeds N count` and `violations N count`; a violation prints the line that repeats it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

#define PIECE      25u      /* seeds a process */
#define CALM_LIMIT 14400000 /* virtual milliseconds in which everything must settle after the faults */

static const char *const promises[] = {"nothing",       "ack-before-fsync", "checkpoint-outside",
                                       "bloom-decides", "erase-before-ack", "no-version-guard"};

static struct options {
    uint64_t from;
    unsigned long seeds;
    unsigned jobs;
    bool only, without, quiet, trace, stop_at_first;
    bool chosen[SIM_FAULTS];
    enum sim_broken broken;
    const char *extra; /* what a replay needs beside the seed */
} options = {.from = 1, .seeds = 100, .jobs = 1, .extra = ""};

/* ---- One run --------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void step(void)
{
    int64_t due =
        earlier(earlier(sim_devices_due(), sim_links_due()), earlier(sim_gateways_due(), sim_fibers_due()));
    if (due > sim.now)
        sim.now = due;
    sim_devices_step();
    sim_links_step();
    sim_gateways_step();
    sim_fibers_run();
    sim_gateways_bury();
    sim_sinks_step();
}

static void prepare(uint64_t seed)
{
    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.random = seed * 0x9E3779B97F4A7C15u + 1;
    sim.trace = options.trace;
    sim.broken = options.broken;
    sim_draw_rates();
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        if ((options.only && !options.chosen[i]) || (options.without && options.chosen[i]))
            sim.rates[i] = 0;
    sim.device_count = 1 + sim_below(sim_below(4) == 0 ? SIM_DEVICES : 3);
    sim.gateway_count = 1 + sim_below(SIM_GATEWAYS);
    sim.destination_count = 1 + sim_below(SIM_DESTINATIONS);
    sim_oracle_reset();
    sim_fibers_reset();
    sim_sinks_reset();
    sim_gateways_reset();
    sim_links_reset();
    sim_devices_reset();
}

static void calm(void)
{
    TRACE("the faults stop");
    sim.is_calm = true;
    sim_devices_calm();
    sim_links_calm();
    sim_sinks_calm();
    for (unsigned i = 0; i < sim.gateway_count; i++)
        sim_disk_calm(i);
    /* An importer that has nothing to bring in does not look whether its destination has been set back: a
     * start does. */
    if (sim.counts[SINK_RESTORE] != 0)
        sim_gateways_stop();
}

static bool run(uint64_t seed)
{
    prepare(seed);
    TRACE("%u devices, %u gateways, %u destinations", sim.device_count, sim.gateway_count,
          sim.destination_count);
    for (unsigned i = 0; sim.trace && i < SIM_FAULTS; i++)
        if (sim.rates[i] != 0)
            TRACE("rate of %s: %u in a million", sim_fault_name((enum sim_fault)i), sim.rates[i]);
    int64_t end = 10000 + sim_below(120000);
    while (sim.now < end && !sim.is_over)
        step();
    calm();
    bool is_idle = false;
    for (int64_t limit = sim.now + CALM_LIMIT; sim.now < limit && !sim.is_over && !is_idle;) {
        step();
        is_idle = sim_devices_are_idle() && sim_gateways_are_idle();
    }
    sim_devices_tell();
    sim_gateways_tell();
    if (!is_idle && !sim.is_blurred)
        sim_violate("it does not settle within %d s after the faults stopped", CALM_LIMIT / 1000);
    if (!sim.is_over)
        sim_check_end();
    if (!sim.is_over)
        sim_gateways_stop();
    return !sim.is_over;
}

/* ---- Many runs: pieces of seeds, a process each, so that one run's crash is one run's -------- */

static void say_violation(uint64_t seed)
{
    printf("seed %llu: %s\n    replay: build/tests/sim/sim %llu --trace%s\n", (unsigned long long)seed,
           sim.what, (unsigned long long)seed, options.extra);
    fflush(stdout);
}

static int run_piece(uint64_t first, unsigned long count)
{
    unsigned bad = 0;
    for (unsigned long i = 0; i < count; i++) {
        if (!run(first + i)) {
            bad++;
            say_violation(first + i);
            if (options.stop_at_first)
                break;
        }
    }
    return bad > 250 ? 250 : (int)bad;
}

static unsigned long reap(uint64_t *pieces, unsigned *running)
{
    int status;
    pid_t pid = wait(&status);
    (*running)--;
    (void)pieces;
    if (WIFEXITED(status))
        return (unsigned long)WEXITSTATUS(status);
    printf("process %d died of signal %d\n", (int)pid, WTERMSIG(status));
    return 1;
}

static int run_all(void)
{
    unsigned long violations = 0, done = 0;
    unsigned running = 0;
    while (done < options.seeds && !(options.stop_at_first && violations != 0)) {
        unsigned long count = options.seeds - done < PIECE ? options.seeds - done : PIECE;
        if (running == options.jobs)
            violations += reap(NULL, &running);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            _exit(run_piece(options.from + done, count));
        running++;
        done += count;
    }
    while (running != 0)
        violations += reap(NULL, &running);
    printf("seeds %lu count\nviolations %lu count\n", done, violations);
    return violations == 0 ? 0 : 1;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool choose(const char *list)
{
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        enum sim_fault fault;
        if (!sim_find_fault(list, size, &fault))
            return false;
        options.chosen[fault] = true;
        list += size + (list[size] == ',');
    }
    return true;
}

static bool find_promise(const char *name)
{
    for (unsigned i = 0; i < sizeof promises / sizeof promises[0]; i++)
        if (strcmp(promises[i], name) == 0) {
            options.broken = (enum sim_broken)i;
            return true;
        }
    return false;
}

static bool read_option(const char *name, const char *value)
{
    if (strcmp(name, "--seeds") == 0)
        options.seeds = strtoul(value, NULL, 0);
    else if (strcmp(name, "--from") == 0)
        options.from = strtoull(value, NULL, 0);
    else if (strcmp(name, "--jobs") == 0)
        options.jobs = (unsigned)strtoul(value, NULL, 0);
    else if (strcmp(name, "--faults") == 0)
        return (options.only = choose(value));
    else if (strcmp(name, "--without") == 0)
        return (options.without = choose(value));
    else if (strcmp(name, "--break") == 0)
        return find_promise(value);
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv, bool *single)
{
    static char extra[400];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options.trace = true;
        else if (strcmp(argv[i], "--first") == 0)
            options.stop_at_first = true;
        else if (argv[i][0] != '-') {
            options.from = strtoull(argv[i], NULL, 0);
            *single = true;
        } else if (i + 1 == argc || !read_option(argv[i], argv[i + 1]))
            return false;
        else {
            bool repeats = strcmp(argv[i], "--faults") == 0 || strcmp(argv[i], "--without") == 0 ||
                           strcmp(argv[i], "--break") == 0;
            size_t used = strlen(extra);
            if (repeats)
                snprintf(extra + used, sizeof extra - used, " %s %s", argv[i], argv[i + 1]);
            i++;
        }
    }
    options.extra = extra;
    return options.jobs != 0;
}

int main(int argc, char **argv)
{
    bool single = false;
    /* The same addresses each time: some tables are ordered by them. */
    if ((personality(0xFFFFFFFF) & ADDR_NO_RANDOMIZE) == 0 && getenv("SIM_AGAIN") == NULL) {
        setenv("SIM_AGAIN", "1", 1);
        if (personality(ADDR_NO_RANDOMIZE) != -1)
            execv("/proc/self/exe", argv);
    }
    if (!read_options(argc, argv, &single)) {
        fprintf(stderr, "usage: sim SEED [--trace] [--faults a,b | --without a,b] [--break PROMISE]\n"
                        "       sim --seeds N [--from SEED] [--jobs N] [--first] [...]\n");
        return 2;
    }
    if (!single)
        return run_all();
    bool good = run(options.from);
    if (!good)
        say_violation(options.from);
    printf("seeds 1 count\nviolations %d count\n", !good);
    return good ? 0 : 1;
}
