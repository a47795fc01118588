/* SPDX-License-Identifier: MIT */
/* The importer with SQLite: records that the database refuses are written down, become a gap, and hold up
 * nothing else. */
#include "import_bench.h"

#include "../../core/bytes.h"
#include "../../core/crc32c.h"
#include "../../host/import_retry.h"

/* Lines of the file that hold the text. */
static int count_lines(const char *name, const char *text)
{
    char line[2000];
    int count = 0;
    FILE *file = fopen(folder_path(name), "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

/* A transaction may be done again with more rows than before: those that the snapshot would have replaced. */
static void a_snapshot_that_is_refused_replaces_nothing(void)
{
    static const struct tern_table list = TERN_TABLE("list", TERN_OVERWRITE, chunks_columns);
    struct chunk_bytes made;
    uint32_t next = 1;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &list), TERN_HOST_OK);
    chunks_open(&made, next);
    chunks_put(&made, &chunks_table, next++, "n");
    chunks_put(&made, &list, next++, "n");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute(
        "CREATE TRIGGER no BEFORE INSERT ON list WHEN NEW.note='bad' BEGIN SELECT RAISE(ABORT,'no'); END");
    tern_import_close(import);
    for (unsigned i = 0; i < 8; i++) {
        chunks_open(&made, next);
        for (unsigned k = 0; k < 50; k++, next++)
            chunks_put(&made, &list, 10000 - (int64_t)next, "n");
        for (unsigned k = 0; k < 3; k++, next++)
            chunks_put(&made, &chunks_table, 10000 - (int64_t)next, "n");
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    chunks_open(&made, next);
    CHECK_EQ(tern_chunk_put(&made.chunk, &list, TERN_OP_SNAPSHOT_BEGIN, NULL), TERN_OK);
    chunks_put(&made, &list, 1, "bad");
    CHECK_EQ(tern_chunk_put(&made.chunk, &list, TERN_OP_SNAPSHOT_END, NULL), TERN_OK);
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM list"), "401");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "25");
    CHECK_TEXT(ask("SELECT first || ' ' || last || ' ' || reason FROM tern_gap"), "427 429 rejected");
    done();
}

static void a_refused_row_becomes_a_gap_and_the_rest_goes_in(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.at IN (5,9) BEGIN SELECT RAISE(ABORT,'not "
            "five'); END");
    chunks_fill(&made, 4, 4);
    chunks_send(stage, range, &made, 0);
    chunks_open(&made, 8);
    for (int64_t at = 8; at < 11; at++)
        chunks_put(&made, &chunks_table, at, "whole");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    chunks_fill(&made, 11, 2);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,6,7,11,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "5-5 rejected,8-10 rejected");
    CHECK_TEXT(last_event, "record-rejected");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 5);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "not five"), 2);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ",,"), 1); /* of no batch */
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ",8-10,"), 3);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "\"+0,5,0.05,n\""), 1);
    /* Refused once more, they are not written again. */
    tern_import_close(import);
    execute("DELETE FROM tern_cursor");
    open_import(0);
    drain();
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 5);
    /* Nor when the transaction is repeated from the beginning; and what is mended in the database goes in
     * then. */
    tern_import_close(import);
    execute("DELETE FROM tern_cursor; DROP TRIGGER no");
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "12");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* Else a crash between the two would leave a gap, and nowhere the record. */
static void what_cannot_be_written_down_is_not_left_out(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.at=5 BEGIN SELECT RAISE(ABORT,'no'); END");
    FILE *obstacle = fopen(folder_path("stage/rejects"), "w");
    CHECK(obstacle != NULL && fclose(obstacle) == 0);
    chunks_fill(&made, 4, 4);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK(tern_import_drain(import, 500) != TERN_HOST_OK);
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_TEXT(ask("SELECT max(applied) FROM tern_checkpoint"), "3");
    remove(folder_path("stage/rejects"));
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,6,7");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 2);
    done();
}

/* Nothing puts the rows aside here before they are inserted: each that is refused is found where it
 * stands. */
static void an_index_of_the_users_refuses_just_the_rows_that_break_it(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 3);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE UNIQUE INDEX pairs ON climate(at/2) WHERE at>3");
    chunks_fill(&made, 4, 9);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,6,8,10,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "5-5 rejected,7-7 rejected,9-9 rejected,11-11 rejected");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "UNIQUE constraint failed"), 4);
    CHECK_TEXT(ask("SELECT count(*) || ' ' || retries FROM tern_batch WHERE rows=5"), "1 0");
    done();
}

/* One record is mended in the file, a batch by the database; one was outvoted meanwhile, and one is refused
 * again. */
static void refused_records_are_brought_in_once_they_are_mended(void)
{
    struct tern_import_config config = {.report = report};
    struct tern_retry_result result;
    struct chunk_bytes made;
    char command[2000];
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 1);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.note IN ('bad','batch','old','worse') BEGIN "
            "SELECT "
            "RAISE(ABORT,'no'); END");
    static const char *const notes[] = {"bad", "old", "worse"};
    for (uint32_t i = 0; i < 3; i++) {
        chunks_open(&made, 2 + i);
        chunks_put(&made, &chunks_table, 2 + i, notes[i]);
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    chunks_open(&made, 5);
    chunks_put(&made, &chunks_table, 5, "fine");
    chunks_put(&made, &chunks_table, 6, "batch");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    drain();
    chunks_open(&made, 7);
    chunks_put(&made, &chunks_table, 3, "newer");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at || note) FROM climate"), "1n,3newer");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 6);
    execute("DROP TRIGGER no; CREATE TRIGGER no BEFORE INSERT ON climate WHEN NEW.note IN ('bad','worse') "
            "BEGIN SELECT "
            "RAISE(ABORT,'no'); END");
    snprintf(command, sizeof command, "sed -i 's/0.02,bad/0.02,good/' %s",
             folder_path("stage/rejects/climate.csv"));
    CHECK_EQ(system(command), 0);
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 3);
    CHECK_EQ(result.superseded, 1);
    CHECK_EQ(result.refused, 1);
    CHECK_EQ(result.known, 0);
    CHECK_TEXT(ask("SELECT group_concat(at || note) FROM climate"), "1n,2good,3newer,5fine,6batch");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last) FROM tern_gap"), "4-4");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 2);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "device,tern_id"), 1);
    CHECK_EQ(count_lines("stage/rejects/climate.csv", "worse"), 1);
    execute("DROP TRIGGER no");
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 1);
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    CHECK_EQ(count_lines("stage/rejects/climate.csv", ""), 1);
    done();
}

static const struct tern_column meter_columns[] = {{"k", TERN_U16, TERN_KEY},
                                                   {"total", TERN_I32, TERN_ADD},
                                                   {"peak", TERN_I32, TERN_MAX},
                                                   {"note", TERN_TEXT(20), 0}};
static const struct tern_table meters = TERN_TABLE("meters", TERN_MERGE, meter_columns);

static void put_meter(struct chunk_bytes *made, int64_t k, int64_t number)
{
    struct tern_value row[4] = {tern_int(k), tern_int(number), tern_int(number), tern_text("n")};
    CHECK_EQ(tern_chunk_put(&made->chunk, &meters, TERN_OP_PUT, row), TERN_OK);
}

/* Twenty records of two keys are two rows: one record of each is at fault, and one of an explicit batch. */
static void of_combined_records_only_the_refused_one_is_left_out(void)
{
    struct tern_import_config config = {.report = report};
    struct tern_retry_result result;
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &meters), TERN_HOST_OK);
    chunks_open(&made, 1);
    put_meter(&made, 0, 1);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute(
        "CREATE TRIGGER no BEFORE INSERT ON meters WHEN NEW.peak>500 BEGIN SELECT RAISE(ABORT,'high'); END");
    for (unsigned part = 0; part < 2; part++) {
        chunks_open(&made, 2 + 10 * part);
        for (int64_t i = 0; i < 10; i++)
            put_meter(&made, i % 2,
                      part == 0 && (i == 4 || i == 7) ? 1000 + i
                      : part == 1 && i == 3           ? 2000
                                                      : i + 1);
        tern_chunk_finish(&made.chunk, true, part == 1);
        chunks_send(stage, range, &made, 0);
    }
    drain();
    CHECK_TEXT(
        ask("SELECT group_concat(k || '=' || total || ',' || peak || '@' || (tern_id & 255)) FROM meters"),
        "0=21,9@10,1=22,10@11");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "6-6 rejected,9-9 rejected,12-21 rejected");
    CHECK_EQ(count_lines("stage/rejects/meters.csv", ",\"no"), 0);
    CHECK_EQ(count_lines("stage/rejects/meters.csv", "high"), 3);
    CHECK_EQ(count_lines("stage/rejects/meters.csv", ",12-21,"), 10);
    struct tern_import_status status;
    tern_import_status(import, &status);
    CHECK_EQ(status.rejected, 3);
    execute("DROP TRIGGER no");
    CHECK_EQ(tern_import_retry(stage, url, &config, &result), TERN_HOST_OK);
    CHECK_EQ(result.loaded, 12);
    CHECK_EQ(result.refused, 0);
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total || ',' || peak) FROM meters"),
               "0=1050,1004,1=3055,2000");
    CHECK_TEXT(ask("SELECT count(*) FROM tern_gap"), "0");
    done();
}

/* No record is at fault: the database takes each of them, and not what they make together. */
static void records_that_are_refused_only_when_combined_go_in_one_by_one(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &meters), TERN_HOST_OK);
    chunks_open(&made, 1);
    put_meter(&made, 0, 1);
    put_meter(&made, 1, 1);
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, 0);
    drain();
    execute("CREATE TRIGGER step BEFORE UPDATE ON meters WHEN NEW.total-OLD.total>12 BEGIN SELECT "
            "RAISE(ABORT,'too much at once'); END");
    for (unsigned part = 0; part < 2; part++) {
        chunks_open(&made, 3 + 20 * part);
        for (int64_t i = 0; i < 20; i++)
            put_meter(&made, i % 4 == 0, part == 1 && i == 3 ? 50 : 5);
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
    }
    drain();
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total || ',' || peak) FROM meters"), "0=146,5,1=51,5");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "26-26 rejected");
    done();
}

static void a_sum_beyond_64_bits_refuses_the_record_that_leads_there(void)
{
    static const struct tern_column columns[] = {{"k", TERN_U8, TERN_KEY}, {"total", TERN_I64, TERN_ADD}};
    static const struct tern_table large = TERN_TABLE("large", TERN_MERGE, columns);
    static const int64_t numbers[] = {INT64_MAX - 5, 3, 100, 1};
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &large), TERN_HOST_OK);
    for (uint32_t part = 0; part < 2; part++) {
        chunks_open(&made, 1 + 4 * part);
        for (int64_t i = 0; i < 4; i++) {
            struct tern_value row[2] = {tern_int(part == 0 || i == 1 ? 0 : i),
                                        tern_int(part == 0 ? numbers[i] : 1)};
            CHECK_EQ(tern_chunk_put(&made.chunk, &large, TERN_OP_PUT, row), TERN_OK);
        }
        tern_chunk_finish(&made.chunk, true, false);
        chunks_send(stage, range, &made, 0);
        drain();
    }
    /* The newest come first: what they leave no room for is the oldest. */
    CHECK_TEXT(ask("SELECT group_concat(k || '=' || total) FROM large"), "0=106,2=1,3=1");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "1-1 rejected");
    CHECK_EQ(
        count_lines("stage/rejects/large.csv", "its sum with others of its key does not fit into 64 bits"),
        1);
    done();
}

/* Three commits; the payload of the second is spoilt before its CRC is made: a fault in a device's
 * firmware. */
static void records_that_are_no_csv_become_a_gap_and_the_others_go_in(void)
{
    struct chunk_bytes made;
    uint32_t ends[4] = {0};
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    for (uint32_t i = 0; i < 3; i++) {
        chunks_put(&made, &chunks_table, 10 * i + 1, "n");
        chunks_put(&made, &chunks_table, 10 * i + 2, "spoil");
        tern_chunk_finish(&made.chunk, true, false);
        ends[i + 1] = made.chunk.size;
    }
    uint8_t *spoil = made.bytes + ends[2] - 4 - strlen("spoil\n");
    CHECK(memcmp(spoil, "spoil\n", 6) == 0);
    memcpy(spoil, "\"poil\n", 6); /* a quote that does not end */
    for (uint32_t i = 1, crc = 0; i <= 3; i++) {
        crc = tern_crc32c(crc, made.bytes + ends[i - 1], ends[i] - 4 - ends[i - 1]);
        tern_store32(made.bytes + ends[i] - 4, crc);
    }
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(range->taken.next, 7);
    drain();
    CHECK_TEXT(last_event, "records-undecodable");
    CHECK(strstr(last_fields, "records 4 to 4 of epoch") != NULL &&
          strstr(last_fields, "a fault in the firmware") != NULL);
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,11,21,22");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "4-4 rejected");
    done();
}

int main(void)
{
    const char *missing = import_begin();
    RUN_OR_SKIP(missing, a_snapshot_that_is_refused_replaces_nothing);
    RUN_OR_SKIP(missing, a_refused_row_becomes_a_gap_and_the_rest_goes_in);
    RUN_OR_SKIP(missing, what_cannot_be_written_down_is_not_left_out);
    RUN_OR_SKIP(missing, an_index_of_the_users_refuses_just_the_rows_that_break_it);
    RUN_OR_SKIP(missing, refused_records_are_brought_in_once_they_are_mended);
    RUN_OR_SKIP(missing, of_combined_records_only_the_refused_one_is_left_out);
    RUN_OR_SKIP(missing, records_that_are_refused_only_when_combined_go_in_one_by_one);
    RUN_OR_SKIP(missing, a_sum_beyond_64_bits_refuses_the_record_that_leads_there);
    RUN_OR_SKIP(missing, records_that_are_no_csv_become_a_gap_and_the_others_go_in);
    folder_remove();
    return test_report();
}
