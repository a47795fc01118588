/* SPDX-License-Identifier: MIT */
/* Which rows are held for surely new. */
#include "../test.h"

#include <string.h>

#include "../../core/tern.h"
#include "../../host/filter.h"
#include "../../host/seen.h"
#include "chunks.h"

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
    seen = tern_seen_open(0);
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
    static char devices[5000][8];
    fresh(0);
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        snprintf(devices[i], sizeof devices[i], "%zu", i);
    for (int64_t turn = 0; turn < 3; turn++) {
        tern_seen_begin(seen, false);
        for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
            CHECK(strcmp(judge(devices[i], 1 + turn * (int64_t)(i % 3), 1 + turn * (int64_t)(i % 3)),
                         turn == 0 || i % 3 != 0 ? "1" : "0") == 0);
        tern_seen_commit(seen);
    }
    CHECK_EQ(asked, 5000);
}

/* ---- Keys out of order ----------------------------------------------------------------------- */

static const struct tern_column text_columns[] = {{"k", TERN_TEXT(8), TERN_KEY}, {"n", TERN_I32, 0}};
static const struct tern_table texts = TERN_TABLE("texts", TERN_MERGE, text_columns);
static const struct tern_table snapshots = TERN_TABLE("snapshots", TERN_OVERWRITE, columns);

#define KEYS 65536

static struct {
    bool has[4][KEYS], excused[4][KEYS]; /* rows of a device; keys that were called "maybe" by mistake */
    bool was_set_back;
    uint64_t batch;
    unsigned looks;
} there;

static unsigned device_of(const char *device)
{
    return (unsigned)(device[0] - 'a');
}

static int model_is_above(struct tern_sink *to, const struct tern_table *table,
                          const struct tern_sink_row *row, bool *above)
{
    (void)to;
    (void)table;
    there.looks++;
    *above = true;
    for (int64_t key = row->values[0].number; key < KEYS; key++)
        *above = *above && !there.has[device_of(row->device)][key];
    return TERN_HOST_OK;
}

static int model_has_rows(struct tern_sink *to, const struct tern_table *table, const char *device, bool *has)
{
    (void)to;
    (void)table;
    there.looks++;
    *has = false;
    for (size_t key = 0; key < KEYS; key++)
        *has = *has || there.has[device_of(device)][key];
    return TERN_HOST_OK;
}

static int model_find_batch(struct tern_sink *to, uint64_t batch, bool *found)
{
    (void)to;
    *found = !there.was_set_back && batch <= there.batch;
    return TERN_HOST_OK;
}

static const struct tern_sink_ops model_ops = {
    .is_above = model_is_above, .has_rows = model_has_rows, .find_batch = model_find_batch};
static struct tern_sink model = {.ops = &model_ops};

static void start(uint32_t bytes)
{
    struct tern_seen_config config = {folder_path("."), "postgresql://x", 77, 0, 1};
    tern_seen_close(seen);
    seen = tern_seen_open(bytes);
    CHECK(seen != NULL);
    tern_seen_keep(seen, &config);
    CHECK_EQ(tern_seen_connect(seen, &model), TERN_HOST_OK);
}

static void blank(void)
{
    folder_fresh();
    memset(&there, 0, sizeof there);
    start(65536);
}

#define ROWS 64

static struct tern_value batch_values[ROWS][2];
static struct tern_sink_row batch_rows[ROWS], *batch_list[ROWS];
static size_t batch_count;

static int compare_rows(const void *x, const void *y)
{
    int64_t one = (*(struct tern_sink_row *const *)x)->values[0].number;
    int64_t other = (*(struct tern_sink_row *const *)y)->values[0].number;
    return (one > other) - (one < other);
}

/* Judges rows of these keys, which come in this order; a key comes once. Which are fresh, in order of
 * keys. */
static const char *sight(const struct tern_table *table, const char *device, const int64_t *keys,
                         size_t count, uint8_t op)
{
    static char verdict[ROWS + 1];
    static int64_t id;
    for (size_t i = 0; i < count; i++) {
        batch_values[i][0] = tern_int(keys[i]);
        batch_rows[i] =
            (struct tern_sink_row){.id = ++id, .device = device, .values = batch_values[i], .op = op};
        batch_list[i] = &batch_rows[i];
    }
    batch_count = count;
    qsort(batch_list, count, sizeof batch_list[0], compare_rows);
    CHECK_EQ(tern_seen_judge(seen, &model, table, batch_list, count), TERN_HOST_OK);
    for (size_t i = 0; i < count; i++)
        verdict[i] = batch_list[i]->fresh ? '1' : '0';
    verdict[count] = '\0';
    return verdict;
}

static void commit(void)
{
    tern_seen_write(seen, ++there.batch);
    for (size_t i = 0; i < batch_count; i++)
        there.has[device_of(batch_rows[i].device)][batch_rows[i].values[0].number] = true;
    tern_seen_commit(seen);
}

static const char *bring(const char *device, const int64_t *keys, size_t count)
{
    tern_seen_begin(seen, false);
    const char *verdict = sight(&merged, device, keys, count, TERN_OP_PUT);
    commit();
    return verdict;
}

#define BRING(device, ...)                                                                                   \
    bring(device, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void keys_out_of_order_are_new_once(void)
{
    blank();
    CHECK(strcmp(BRING("a", 500, 100, 300), "111") == 0);
    CHECK(strcmp(BRING("a", 400, 50, 300, 600), "1011") == 0);
    CHECK(strcmp(BRING("a", 400, 50, 300, 600), "0000") == 0);
    /* In order at first: what came then is a zone. */
    CHECK(strcmp(BRING("b", 100, 110), "11") == 0);
    CHECK(strcmp(BRING("b", 120, 130), "11") == 0);
    CHECK(strcmp(BRING("b", 115, 90, 200), "101") == 0);
    CHECK(strcmp(BRING("b", 170, 90, 91, 125), "0101") == 0);
    /* One that was deleted counts like others. */
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){77}, 1, TERN_OP_DELETE), "0") == 0);
    commit();
    CHECK(strcmp(BRING("a", 78, 77), "01") == 0);
    CHECK_EQ(there.looks, 2);
}

static void of_rows_that_were_there_nothing_below_the_highest_is_new(void)
{
    blank();
    there.has[0][1000] = there.has[0][10] = true;
    CHECK(strcmp(BRING("a", 500, 900), "00") == 0);
    for (unsigned i = 0; i < 20; i++)
        tern_seen_begin(seen, false);
    unsigned looks = there.looks;
    CHECK(strcmp(BRING("a", 1001, 1010), "11") == 0);
    CHECK(strcmp(BRING("a", 1005, 999, 1020), "001") == 0);
    CHECK(strcmp(BRING("a", 1015, 998, 1005, 1018), "0011") == 0);
    CHECK(strcmp(BRING("a", 1015, 1016), "01") == 0);
    CHECK_EQ(there.looks, looks + 1);
}

static void what_was_known_is_known_in_the_next_run(void)
{
    blank();
    BRING("a", 500, 100, 300);
    BRING("a", 200, 600);
    start(65536);
    CHECK(strcmp(BRING("a", 200, 250, 300, 700), "0101") == 0);
    /* Written, and then no commit. */
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){150, 160}, 2, TERN_OP_PUT), "11") == 0);
    tern_seen_write(seen, there.batch + 1);
    start(65536);
    CHECK(strcmp(BRING("a", 150, 170, 300), "010") == 0);
    /* Another size, another number of workers: nothing is known, and nothing wrong is said. */
    start(32768);
    CHECK(strcmp(BRING("a", 180, 300), "00") == 0);
}

static void a_destination_that_was_set_back_or_is_another_one_is_met_anew(void)
{
    blank();
    BRING("a", 500, 100, 300);
    BRING("a", 200, 600);
    there.was_set_back = true;
    memset(there.has, 0, sizeof there.has);
    start(65536);
    CHECK(strcmp(BRING("a", 200, 300, 100), "111") == 0);
    there.was_set_back = false;
    tern_seen_forget(seen);
    memset(there.has, 0, sizeof there.has);
    CHECK(strcmp(BRING("a", 200, 300, 100), "111") == 0);
}

static void a_wrong_guess_takes_away_what_was_known(void)
{
    blank();
    BRING("a", 500, 100, 300);
    BRING("b", 500, 100, 300);
    there.has[0][400] = true; /* another gateway */
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){400, 450}, 2, TERN_OP_PUT), "11") == 0);
    tern_seen_begin(seen, true);
    commit();
    CHECK(strcmp(BRING("a", 460, 410), "00") == 0);
    start(65536);
    CHECK(strcmp(BRING("a", 465, 415), "00") == 0);
    CHECK(strcmp(BRING("b", 465, 415), "11") == 0);
    for (unsigned i = 0; i < 20; i++)
        tern_seen_begin(seen, false);
    CHECK(strcmp(BRING("a", 501, 510), "11") == 0);
    BRING("a", 505, 520);
    CHECK(strcmp(BRING("a", 515, 505), "01") == 0);
}

/* It is written down before the second try, which may be the last that this run does. */
static void a_wrong_guess_is_known_in_the_next_run_whatever_ended_this_one(void)
{
    blank();
    BRING("a", 500, 100, 300);
    BRING("a", 200, 600);
    there.has[0][400] = true; /* another gateway */
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){400, 450}, 2, TERN_OP_PUT), "11") == 0);
    tern_seen_begin(seen, true);
    start(65536);
    CHECK(strcmp(BRING("a", 460, 410), "00") == 0);
}

static void two_versions_of_a_table_in_a_transaction_do_not_both_take_a_key(void)
{
    blank();
    BRING("a", 500, 100, 300);
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){400, 200}, 2, TERN_OP_PUT), "11") == 0);
    CHECK(strcmp(sight(&merged, "a", (const int64_t[]){400, 250, 600}, 3, TERN_OP_PUT), "001") == 0);
    commit();
    CHECK(strcmp(BRING("a", 250), "0") == 0);
}

static const char *bring_text(const char *text)
{
    struct tern_value values[2] = {tern_text(text), tern_int(1)};
    struct tern_sink_row row = {.device = "a", .values = values, .op = TERN_OP_PUT}, *list[1] = {&row};
    tern_seen_begin(seen, false);
    CHECK_EQ(tern_seen_judge(seen, &model, &texts, list, 1), TERN_HOST_OK);
    tern_seen_write(seen, ++there.batch);
    tern_seen_commit(seen);
    return row.fresh ? "1" : "0";
}

static void keys_that_are_texts_are_known_of_devices_without_rows(void)
{
    blank();
    CHECK(strcmp(bring_text("b"), "1") == 0);
    CHECK(strcmp(bring_text("b"), "0") == 0);
    CHECK(strcmp(bring_text("a"), "1") == 0);
    CHECK(strcmp(bring_text(""), "1") == 0);
    CHECK(strcmp(bring_text(""), "0") == 0);
    start(65536);
    CHECK(strcmp(bring_text("a"), "0") == 0);
    CHECK(strcmp(bring_text("c"), "1") == 0);
    blank();
    there.has[0][1] = true;
    CHECK(strcmp(bring_text("b"), "0") == 0);
    CHECK(strcmp(bring_text("c"), "0") == 0);
    CHECK_EQ(there.looks, 1);
}

static void snapshots_and_runs_without_a_filter_go_by_the_highest_key_alone(void)
{
    blank();
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&snapshots, "a", (const int64_t[]){30, 20}, 2, TERN_OP_PUT), "11") == 0);
    commit();
    tern_seen_begin(seen, false);
    CHECK(strcmp(sight(&snapshots, "a", (const int64_t[]){25, 35}, 2, TERN_OP_PUT), "01") == 0);
    commit();
    memset(&there, 0, sizeof there);
    start(0);
    CHECK(strcmp(BRING("a", 500, 100), "11") == 0);
    CHECK(strcmp(BRING("a", 300, 600), "01") == 0);
}

/* Every second key, and the one between it and the last one 40 later. */
static void a_full_filter_holds_what_it_forgets_for_there(void)
{
    unsigned straight = 0;
    blank();
    start(1024);
    BRING("a", 3, 1);
    for (int64_t key = 5; key < 4000; key += 2) {
        const char *verdict = key > 45 ? BRING("a", key, key - 41) : BRING("a", key);
        straight += verdict[0] == '1';
    }
    CHECK(straight > 1900);
    for (int64_t key = 1; key < 3900; key += 97)
        CHECK(strcmp(BRING("a", key), "0") == 0);
    /* Texts have no order: what is forgotten may be any. */
    char text[9];
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(text, sizeof text, "%u", i);
        bring_text(text);
    }
    CHECK(strcmp(bring_text("0"), "0") == 0);
    CHECK(strcmp(bring_text("new"), "0") == 0);
}

/* ---- At random ------------------------------------------------------------------------------- */

static uint32_t random_state, seed;

static uint32_t below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/* Devices whose clocks go on and whose rows come late or in any order, some of them twice; runs that end
 * before or behind a commit. The only one that writes is never wrong, but about what the filter itself
 * mistook. */
static void who_alone_writes_is_not_wrong(void)
{
    static const char *const devices[] = {"a", "b", "c", "d"};
    static const uint32_t late[] = {0, 20, 2000, KEYS};
    static int64_t clocks[4];
    unsigned wrong = 0, fresh_rows = 0, new_rows = 0;
    blank();
    start(16384);
    there.has[1][500] = there.has[1][7] = true;
    memset(clocks, 0, sizeof clocks);
    for (unsigned turn = 0; turn < 6000; turn++) {
        unsigned d = below(4);
        int64_t keys[ROWS];
        size_t count = 0;
        for (size_t i = 1 + below(20); i > 0; i--) {
            clocks[d] += 1 + below(2);
            int64_t key = clocks[d] - (late[d] == 0 ? 0 : (int64_t)below(late[d]));
            key = late[d] == KEYS || key < 0 ? (int64_t)below(KEYS) : key % KEYS;
            bool twice = false;
            for (size_t k = 0; k < count; k++)
                twice = twice || keys[k] == key;
            if (!twice)
                keys[count++] = key;
        }
        tern_seen_begin(seen, false);
        const char *verdict = sight(&merged, devices[d], keys, count, TERN_OP_PUT);
        bool failed = false;
        for (size_t i = 0; i < count; i++) {
            int64_t key = batch_list[i]->values[0].number;
            bool is_there = there.has[d][key];
            new_rows += !is_there;
            fresh_rows += verdict[i] == '1';
            failed = failed || (is_there && verdict[i] == '1');
            wrong += is_there && verdict[i] == '1' && !there.excused[d][key];
            there.excused[d][key] = there.excused[d][key] || (!is_there && verdict[i] == '0');
        }
        if (failed)
            tern_seen_begin(seen, true);
        unsigned end = below(300);
        if (end == 0) {
            tern_seen_write(seen, there.batch + 1); /* and then no commit */
            start(16384);
        } else if (end == 1) {
            tern_seen_begin(seen, false); /* a deadlock: rolled back, and not done again by this one */
        } else {
            commit();
            if (end == 2)
                start(16384);
        }
        if (clocks[d] > KEYS - 100)
            clocks[d] = 0;
    }
    printf("    seed %u: %u new rows, %u taken for new, %u of them wrongly\n", seed, new_rows, fresh_rows,
           wrong);
    CHECK_EQ(wrong, 0);
    CHECK(fresh_rows > new_rows / 4);
}

int main(int argc, char **argv)
{
    random_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20261121u;
    seed = random_state;
    RUN(keys_out_of_order_are_new_once);
    RUN(of_rows_that_were_there_nothing_below_the_highest_is_new);
    RUN(what_was_known_is_known_in_the_next_run);
    RUN(a_destination_that_was_set_back_or_is_another_one_is_met_anew);
    RUN(a_wrong_guess_takes_away_what_was_known);
    RUN(a_wrong_guess_is_known_in_the_next_run_whatever_ended_this_one);
    RUN(two_versions_of_a_table_in_a_transaction_do_not_both_take_a_key);
    RUN(keys_that_are_texts_are_known_of_devices_without_rows);
    RUN(snapshots_and_runs_without_a_filter_go_by_the_highest_key_alone);
    RUN(a_full_filter_holds_what_it_forgets_for_there);
    RUN(who_alone_writes_is_not_wrong);
    RUN(what_is_above_the_highest_key_is_new_and_is_asked_for_once);
    RUN(what_was_rolled_back_does_not_count);
    RUN(rows_across_the_highest_key_merge_once);
    RUN(a_device_that_is_wrong_is_asked_for_again_and_rests_when_it_keeps_being_wrong);
    RUN(records_of_append_tables_are_new_as_the_checkpoint_says);
    RUN(thousands_of_devices_are_told_apart);
    tern_seen_close(seen);
    folder_remove();
    return test_report();
}
