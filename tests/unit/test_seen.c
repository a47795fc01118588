/* SPDX-License-Identifier: MIT */
/* Which rows are held for surely new. */
#include "../test.h"

#include <string.h>

#include "../../core/tern.h"
#include "../../host/seen.h"

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY}, {"n", TERN_I32, 0}};
static const struct tern_table merged = TERN_TABLE("merged", TERN_MERGE, columns);
static const struct tern_column loose[] = {{"n", TERN_I32, 0}};
static const struct tern_table appended = TERN_TABLE("appended", TERN_APPEND, loose);

static int64_t highest; /* that the destination has */
static unsigned asked;

static int is_above(struct tern_sink *sink, const struct tern_table *table, const struct tern_sink_row *row,
                    bool *above)
{
    (void)sink;
    (void)table;
    asked++;
    *above = row->values[0].number > highest;
    return TERN_HOST_OK;
}

static const struct tern_sink_ops ops = {.is_above = is_above};
static struct tern_sink sink = {.ops = &ops};
static struct tern_seen *seen;

/* Judges rows first..last of the device; which of them are fresh: "001". */
static const char *judge(const char *device, int64_t first, int64_t last)
{
    static char verdict[64];
    static struct tern_value values[64][2];
    static struct tern_sink_row rows[64], *list[64];
    size_t count = 0;
    for (int64_t at = first; at <= last; at++, count++) {
        values[count][0] = tern_int(at);
        rows[count] = (struct tern_sink_row){.device = device, .values = values[count], .op = TERN_OP_PUT};
        list[count] = &rows[count];
    }
    CHECK_EQ(tern_seen_judge(seen, &sink, &merged, list, count), TERN_HOST_OK);
    for (size_t i = 0; i < count; i++)
        verdict[i] = rows[i].fresh ? '1' : '0';
    verdict[count] = '\0';
    return verdict;
}

static void fresh(int64_t value)
{
    tern_seen_close(seen);
    seen = tern_seen_open();
    highest = value;
    asked = 0;
}

static const char a[] = "a", b[] = "b";

static void what_is_above_the_highest_key_is_new_and_is_asked_for_once(void)
{
    fresh(10);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 11, 13), "111") == 0);
    CHECK_EQ(asked, 1);
    tern_seen_commit(seen);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 12, 15), "0011") == 0);
    CHECK(strcmp(judge(a, 14, 16), "001") == 0); /* another version of the table in the same transaction */
    CHECK_EQ(asked, 1);
    CHECK(strcmp(judge(b, 11, 11), "1") == 0);
    CHECK_EQ(asked, 2);
    tern_seen_commit(seen);
}

static void what_was_rolled_back_does_not_count(void)
{
    fresh(10);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 11, 13), "111") == 0);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 11, 12), "11") == 0);
    tern_seen_commit(seen);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 12, 13), "01") == 0);
}

static void rows_across_the_highest_key_merge_once(void)
{
    fresh(10);
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 9, 12), "0000") == 0);
    tern_seen_commit(seen);
    highest = 12;
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 13, 14), "11") == 0);
    /* Where even the last is not above, nobody is asked for a while. */
    fresh(100);
    for (unsigned i = 0; i < 10; i++) {
        tern_seen_begin(seen, false);
        CHECK(strcmp(judge(a, 11, 12), "00") == 0);
        tern_seen_commit(seen);
    }
    CHECK_EQ(asked, 2);
}

static void a_device_that_is_wrong_is_asked_for_again_and_rests_when_it_keeps_being_wrong(void)
{
    fresh(10);
    for (unsigned i = 0; i < 3; i++) {
        tern_seen_begin(seen, false);
        CHECK(strcmp(judge(a, 11, 12), "11") == 0);
        tern_seen_begin(seen, true); /* the careful try */
        tern_seen_commit(seen);
    }
    asked = 0;
    for (unsigned i = 0; i < 200; i++) {
        tern_seen_begin(seen, false);
        CHECK(strcmp(judge(a, 11, 12), "00") == 0);
        tern_seen_commit(seen);
    }
    CHECK_EQ(asked, 0);
    for (unsigned i = 0; i < 100; i++) {
        tern_seen_begin(seen, false);
        tern_seen_commit(seen);
    }
    tern_seen_begin(seen, false);
    CHECK(strcmp(judge(a, 11, 12), "11") == 0);
}

static void records_of_append_tables_are_new_as_the_checkpoint_says(void)
{
    struct tern_value value[1] = {tern_int(1)};
    struct tern_sink_row row = {.device = a, .values = value, .op = TERN_OP_PUT}, *list[1] = {&row};
    fresh(0);
    tern_seen_begin(seen, false);
    CHECK_EQ(tern_seen_judge(seen, &sink, &appended, list, 1), TERN_HOST_OK);
    CHECK(row.fresh);
    CHECK_EQ(asked, 0);
}

static void thousands_of_devices_are_told_apart(void)
{
    static char devices[5000];
    fresh(0);
    for (int64_t turn = 0; turn < 3; turn++) {
        tern_seen_begin(seen, false);
        for (size_t i = 0; i < sizeof devices; i++)
            CHECK(strcmp(judge(&devices[i], 1 + turn * (int64_t)(i % 3), 1 + turn * (int64_t)(i % 3)),
                         turn == 0 || i % 3 != 0 ? "1" : "0") == 0);
        tern_seen_commit(seen);
    }
    CHECK_EQ(asked, 5000);
}

int main(void)
{
    RUN(what_is_above_the_highest_key_is_new_and_is_asked_for_once);
    RUN(what_was_rolled_back_does_not_count);
    RUN(rows_across_the_highest_key_merge_once);
    RUN(a_device_that_is_wrong_is_asked_for_again_and_rests_when_it_keeps_being_wrong);
    RUN(records_of_append_tables_are_new_as_the_checkpoint_says);
    RUN(thousands_of_devices_are_told_apart);
    tern_seen_close(seen);
    return test_report();
}
