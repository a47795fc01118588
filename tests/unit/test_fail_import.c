/* SPDX-License-Identifier: MIT */
/* The importer while any call into the C library or SQLite's library fails: it tries again by itself, and in
 * the end the destination holds what it holds when nothing fails, once. */
#include "../test.h"

#include "../../host/import.h"
#include "../../host/import_retry.h"
#include "../fail/fail_each.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine */

static struct tern_import *import;
static char url[200];
static const char *tool; /* that compresses segments, NULL: none */
static unsigned errors;
static bool patient; /* the fault ends by itself: the import is to converge before it is closed */

static void count_errors(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (getenv("FAIL_TRACE") != NULL && level >= TERN_WARN)
        printf("  %s %s\n", event, fields);
    errors += level >= TERN_WARN;
}

static const struct tern_report report = {count_errors, NULL};

#include "../fail/fail_rig.h"

/* ---- Scenarios ------------------------------------------------------------------------------- */

static char expected_first[4000], expected_all[4000];
static bool has_all;

static int open_import(void)
{
    struct tern_import_config config = {
        .report = report, .rows = 4, .segment_bytes = 300, .segment_tool = tool};
    return tern_import_open(&import, stage, url, &config);
}

static void close_all(void)
{
    tern_import_close(import);
    tern_stage_close(stage);
    import = NULL;
    stage = NULL;
}

static void begin(const char *scheme, const char *name, bool all)
{
    folder_fresh();
    errors = 0;
    has_all = all;
    snprintf(url, sizeof url, "%s%s", scheme, folder_path(name));
}

static void prepare_first(void)
{
    begin("sqlite:", "out.db", false);
    fill_store(false);
}

/* A destination that has something, and a trigger that refuses some rows. */
static void prepare_rest(void)
{
    begin("sqlite:", "out.db", true);
    fill_store(true);
    execute(
        "CREATE TABLE climate(device TEXT NOT NULL, tern_id INTEGER NOT NULL, at INTEGER NOT NULL, celsius "
        "NUMERIC, note TEXT, PRIMARY KEY(device, at)) WITHOUT ROWID; CREATE TRIGGER no BEFORE INSERT ON "
        "climate WHEN "
        "NEW.note='poison' BEGIN SELECT RAISE(ABORT,'no'); END");
}

static void run_import(void)
{
    if (open_import() == TERN_HOST_OK)
        tern_import_drain(import, patient ? WAIT : 30);
}

static void finish_import(void)
{
    if (import == NULL)
        CHECK_EQ(open_import(), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
}

static void inspect_database(void)
{
    finish_import();
    close_all();
    const char *found = read_database(has_all), *expected = has_all ? expected_all : expected_first;
    if (!CHECK(strcmp(found, expected) == 0))
        printf("    found\n%s    expected\n%s", found, expected);
}

static void each(const char *name, unsigned groups, enum fail_how how, bool all)
{
    patient = how != FAIL_ON;
    fail_each(&(struct fail_scenario){name, groups, how, true, all ? prepare_rest : prepare_first, run_import,
                                      inspect_database});
}

static void the_expected_rows_are_those_of_a_run_without_faults(void)
{
    prepare_first();
    finish_import();
    close_all();
    snprintf(expected_first, sizeof expected_first, "%s", read_database(false));
    prepare_rest();
    finish_import();
    close_all();
    snprintf(expected_all, sizeof expected_all, "%s", read_database(true));
    CHECK(strstr(expected_first, "a line") != NULL);
    CHECK(strstr(expected_all, "wide") != NULL && strstr(expected_all, "|117|") != NULL);
    CHECK(strstr(expected_all, "19|19|rejected|") != NULL && strstr(expected_all, "22|23|rejected|") != NULL);
    if (getenv("FAIL_TRACE") != NULL)
        printf("%s\n%s", expected_first, expected_all);
}

static void sqlite_has_everything_once_whatever_call_of_its_library_fails(void)
{
    each("tables made, from then on", FAIL_SQLITE, FAIL_ON, false);
    each("library", FAIL_SQLITE, FAIL_ONCE, true);
    each("library, after its work", FAIL_SQLITE, FAIL_UNHEARD, true);
}

static void sqlite_has_everything_once_whatever_memory_is_refused(void)
{
    each("memory", FAIL_MEMORY, FAIL_ONCE, true);
    each("memory from then on", FAIL_MEMORY, FAIL_ON, true);
}

static void sqlite_has_everything_once_whatever_file_or_thread_is_refused(void)
{
    each("reading", FAIL_READ, FAIL_ONCE, true);
    each("writing", FAIL_WRITE, FAIL_ONCE, true);
    each("threads", FAIL_PROCESS, FAIL_ONCE, true);
    each("halves", FAIL_READ | FAIL_WRITE, FAIL_HALF, true);
}

/* ---- Segments -------------------------------------------------------------------------------- */

static char expected_lines[8000], found_lines[8000];

static void prepare_csv(void)
{
    begin("csv:", "out", true);
    fill_store(true);
}

/* The records of all closed segments, sorted: each once. */
static void read_segments(char *to)
{
    char command[500];
    snprintf(command, sizeof command,
             "cd %s/out && { cat *.csv 2>/dev/null; for f in *.gz; do gzip -dc $f 2>/dev/null; done; } | "
             "grep '^dev1' | "
             "sort",
             folder);
    FILE *pipe = popen(command, "r");
    to[0] = '\0';
    if (!CHECK(pipe != NULL))
        return;
    to[fread(to, 1, sizeof found_lines - 1, pipe)] = '\0';
    pclose(pipe);
}

static void inspect_segments(void)
{
    finish_import();
    close_all();
    read_segments(found_lines);
    if (!CHECK(strcmp(found_lines, expected_lines) == 0))
        printf("    found\n%s    expected\n%s", found_lines, expected_lines);
}

static void each_csv(const char *name, unsigned groups, enum fail_how how)
{
    patient = how != FAIL_ON;
    fail_each(&(struct fail_scenario){name, groups, how, true, prepare_csv, run_import, inspect_segments});
}

static void expect_lines(void)
{
    tool = NULL;
    prepare_csv();
    finish_import();
    close_all();
    read_segments(expected_lines);
    CHECK(strstr(expected_lines, ",wide,") != NULL && strstr(expected_lines, "poison") != NULL);
}

static void segments_hold_every_record_once_whatever_call_fails(void)
{
    expect_lines();
    each_csv("memory", FAIL_MEMORY, FAIL_ONCE);
    each_csv("reading", FAIL_READ, FAIL_ONCE);
    each_csv("writing", FAIL_WRITE, FAIL_ONCE);
    each_csv("a full disk", FAIL_WRITE, FAIL_ON);
    each_csv("syncing that worked", FAIL_WRITE, FAIL_UNHEARD);
    each_csv("halves", FAIL_READ | FAIL_WRITE, FAIL_HALF);
    each_csv("signals", FAIL_READ | FAIL_WRITE, FAIL_INTERRUPT);
}

static void compressed_segments_do_too(void)
{
    expect_lines();
    tool = "gzip";
    each_csv("compressed, memory", FAIL_MEMORY, FAIL_ONCE);
    each_csv("compressed, reading", FAIL_READ, FAIL_ONCE);
    each_csv("compressed, writing", FAIL_WRITE, FAIL_ONCE);
    each_csv("compressed, programs", FAIL_PROCESS, FAIL_ONCE);
    each_csv("compressed, signals", FAIL_READ | FAIL_WRITE | FAIL_PROCESS, FAIL_INTERRUPT);
    tool = NULL;
}

int main(void)
{
    fail_folder(folder);
    api = fail_sqlite();
#define RUN_OR_SKIP(test)                                                                                    \
    (api != NULL ? (void)(RUN(test)) : (void)(SKIP(test, "SQLite's library is missing")))
    RUN_OR_SKIP(the_expected_rows_are_those_of_a_run_without_faults);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_call_of_its_library_fails);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_memory_is_refused);
    RUN_OR_SKIP(sqlite_has_everything_once_whatever_file_or_thread_is_refused);
    RUN(segments_hold_every_record_once_whatever_call_fails);
    if (system("gzip --version >/dev/null 2>&1") == 0)
        RUN(compressed_segments_do_too);
    else
        SKIP(compressed_segments_do_too, "gzip is not installed");
    folder_remove();
    return test_report();
}
