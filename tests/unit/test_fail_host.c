/* SPDX-License-Identifier: MIT */
/* A whole gateway in this process, a device on a socket and a csv folder, while any call fails: what the
 * device was told to forget is in the folder in the end, once, and a gateway that cannot start says why. */
#include "../test.h"

#include <time.h>

#include "../../host/tern_host.h"
#include "../fail/fail_each.h"
#include "chunks.h"
#include "dial.h"

#define ROWS 60u

static struct tern_host *host;
static struct device device;
static unsigned errors;
static uint32_t acknowledged; /* records below it */

static void count_errors(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (getenv("FAIL_TRACE") != NULL && level >= TERN_WARN)
        printf("  %s %s\n", event, fields);
    errors += level >= TERN_WARN;
}

static int start(void)
{
    char url[200];
    const char *sinks[] = {url};
    struct tern_host_config config = {.stage = folder_path("stage"),
                                      .sinks = sinks,
                                      .sink_count = 1,
                                      .report = {count_errors, NULL},
                                      .hello_seconds = 1,
                                      .segment_bytes = 1000};
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    int status = tern_host_open(&host, &config);
    if (status == TERN_HOST_OK)
        status = tern_host_listen(host, "tcp://127.0.0.1:0");
    return status;
}

/* The device comes with what it was not told to forget, and ends when it has been, when it is cut off, or
 * after some time. */
static void push(int turns)
{
    fail_off(true);
    bool there = dial_port(&device, tern_host_port(host), "dev1", 0);
    struct client_hello hello = client_good_hello;
    hello.id = "dev1";
    hello.next = ROWS + 1;
    hello.oldest = acknowledged;
    client_put_hello(&device.out, &hello);
    for (uint32_t first = 1; first <= ROWS; first += 20)
        if (first + 20 > acknowledged)
            client_put_chunk(&device.out, first, 20, 300);
    client_put_table(&device.out);
    for (int turn = 0; there && turn < turns && !device.ended && acknowledged <= ROWS; turn++) {
        pump(&device);
        fail_off(false);
        tern_host_step(host, turn < 50 ? 0 : 5);
        fail_off(true);
        pump(&device);
        if (device.answers.next > acknowledged)
            acknowledged = device.answers.next;
    }
    hang_up(&device);
    fail_off(false);
}

static void prepare(void)
{
    folder_fresh();
    host = NULL;
    errors = 0;
    acknowledged = 1;
}

static void act(void)
{
    int status = start();
    if (status != TERN_HOST_OK && !CHECK(errors != 0))
        printf("    the gateway does not start, and nobody says why\n");
    if (status == TERN_HOST_OK) {
        push(60);
        tern_host_drain(host, 0);
    }
}

/* The rows of closed segments: each once. */
static void expect_rows(void)
{
    char command[400], line[200];
    unsigned rows = 0, different = 0;
    snprintf(command, sizeof command, "cat %s/out/*.csv | grep '^dev1,' | sort -t, -k2n | uniq -c", folder);
    FILE *pipe = popen(command, "r");
    while (pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
        rows += (unsigned)strtoul(line, NULL, 10);
        different++;
    }
    pclose(pipe);
    CHECK_EQ(rows, ROWS);
    CHECK_EQ(different, ROWS);
}

static void inspect(void)
{
    uint32_t told = acknowledged;
    tern_host_close(host);
    host = NULL;
    if (!CHECK_EQ(start(), TERN_HOST_OK))
        return;
    for (int i = 0; i < 5 && acknowledged <= ROWS; i++)
        push(400);
    CHECK_EQ(acknowledged, ROWS + 1);
    CHECK(told <= acknowledged);
    CHECK_EQ(tern_host_drain(host, 20000), TERN_HOST_OK);
    tern_host_close(host);
    expect_rows();
}

static void each(const char *name, unsigned groups, enum fail_how how)
{
    fail_each(&(struct fail_scenario){name, groups, how, true, prepare, act, inspect});
}

static void a_session_outlasts_memory_that_is_refused(void)
{
    each("memory", FAIL_MEMORY, FAIL_ONCE);
}

static void a_session_outlasts_sockets_and_threads_that_are_refused(void)
{
    each("sockets", FAIL_SOCKET, FAIL_ONCE);
    each("sockets from then on", FAIL_SOCKET, FAIL_ON);
    each("threads", FAIL_PROCESS, FAIL_ONCE);
}

static void a_session_outlasts_files_that_are_refused(void)
{
    each("reading", FAIL_READ, FAIL_ONCE);
    each("writing", FAIL_WRITE, FAIL_ONCE);
    each("a full disk", FAIL_WRITE, FAIL_ON);
}

static void a_session_does_not_notice_calls_that_are_cut_short_or_interrupted(void)
{
    each("halves", FAIL_READ | FAIL_WRITE | FAIL_SOCKET, FAIL_HALF);
    each("signals", FAIL_READ | FAIL_WRITE | FAIL_SOCKET, FAIL_INTERRUPT);
}

static void a_configuration_that_cannot_be_right_is_refused_with_a_reason(void)
{
    static char names[17][24];
    const char *many[17], *twice[] = {"csv:a", "csv:b", "csv:a"}, *unknown[] = {"ftp:x"};
    for (int i = 0; i < 17; i++) {
        snprintf(names[i], sizeof names[i], "csv:/tmp/%d", i);
        many[i] = names[i];
    }
    prepare();
    const struct tern_host_config bad[] = {
        {.stage = NULL},
        {.stage = ""},
        {.stage = folder_path("a"), .sinks = many, .sink_count = 17},
        {.stage = folder_path("a"), .sinks = twice, .sink_count = 3},
        {.stage = folder_path("a"), .sinks = unknown, .sink_count = 1},
        {.stage = folder_path("a"), .when_full = "explode"},
        {.stage = folder_path("a"), .when_full = "detach="},
        {.stage = folder_path("a"), .sinks = twice, .sink_count = 1, .segment_tool = "rar"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tern_host_config config = bad[i];
        config.report.call = count_errors;
        errors = 0;
        if (!CHECK_EQ(tern_host_open(&host, &config), TERN_HOST_E_ARGUMENT) ||
            !CHECK(host == NULL && errors != 0))
            printf("    configuration %zu\n", i);
    }
    /* Silence is allowed, too. */
    CHECK_EQ(tern_host_open(&host, &(struct tern_host_config){.stage = NULL}), TERN_HOST_E_ARGUMENT);
}

int main(void)
{
    fail_folder(folder);
    RUN(a_configuration_that_cannot_be_right_is_refused_with_a_reason);
    RUN(a_session_outlasts_memory_that_is_refused);
    RUN(a_session_outlasts_sockets_and_threads_that_are_refused);
    RUN(a_session_outlasts_files_that_are_refused);
    RUN(a_session_does_not_notice_calls_that_are_cut_short_or_interrupted);
    folder_remove();
    return test_report();
}
