/* SPDX-License-Identifier: MIT */
/* The importer with SQLite: a batch is there whole or not at all, and every record that is missing is in a
 * gap, also those that a damaged journal has lost. */
#include "import_bench.h"

#include "../../host/journal.h"

static void send_chunk(struct tern_stage_range *range, uint32_t first, uint32_t last, bool is_end,
                       bool is_batch)
{
    struct chunk_bytes made;
    chunks_open(&made, first);
    for (uint32_t at = first; at <= last; at++)
        chunks_put(&made, &chunks_table, at, "b");
    tern_chunk_finish(&made.chunk, is_end, is_batch);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
}

/* Records `first` to `last`, each a row of its own number, in one commit. */
static void send_rows(struct tern_stage_range *range, uint32_t first, uint32_t last)
{
    send_chunk(range, first, last, true, false);
}

/* The same as a part of an explicit batch, which goes on unless this is its end. */
static void send_part(struct tern_stage_range *range, uint32_t first, uint32_t last, bool is_end)
{
    send_chunk(range, first, last, is_end, true);
}

static void a_batch_over_several_chunks_appears_whole(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    struct tern_stage_range *other = chunks_device(stage, "dev2");
    for (uint32_t i = 0; i < 5; i++) {
        send_part(range, 1 + 10 * i, 10 + 10 * i, i == 4);
        if (i < 4) {
            drain();
            CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"),
                       i == 0 ? "no such table: climate" : "0");
            send_rows(other, 1 + 10 * i, 10 + 10 * i);
        }
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"), "50");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev2'"), "40");
    done();
}

static void a_batch_with_a_gap_is_left_out_whole(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    send_rows(range, 1, 5);
    send_part(range, 6, 10, false);
    CHECK_EQ(tern_stage_gap(stage, range, 11, 15, TERN_GAP_DAMAGED | TERN_GAP_LEADS), TERN_HOST_OK);
    send_part(range, 16, 20, true);
    send_rows(range, 21, 25);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,21,22,23,24,25");
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "6-20 damaged");
    CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "25");
    done();
}

/* Its other half is in another store, or was dropped: the commit that follows is not its own, and must not
 * bring in what is here. */
static void a_gap_ends_the_batch_that_it_cuts_off(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    send_rows(range, 1, 5);
    send_part(range, 6, 10, false);
    CHECK_EQ(range->taken.run, 6);
    CHECK_EQ(tern_stage_gap(stage, range, 11, 15, TERN_GAP_HELD), TERN_HOST_OK);
    CHECK_EQ(range->taken.run, 16);
    send_rows(range, 16, 20);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,3,4,5,16,17,18,19,20");
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "6-15 held");
    done();
}

/* The oldest were dropped: what is left of a batch is left out, what stands alone is not. */
static void a_batch_without_its_head_is_left_out(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(tern_stage_gap(stage, range, 1, 5, TERN_GAP_OVERFLOW | TERN_GAP_LEADS), TERN_HOST_OK);
    chunks_open(&made, 6);
    chunks_put(&made, &chunks_table, 6, "b");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_put(&made, &chunks_table, 7, "c");
    tern_chunk_finish(&made.chunk, true, true);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 8, 9, TERN_GAP_OVERFLOW | TERN_GAP_LEADS), TERN_HOST_OK);
    send_rows(range, 10, 12);
    drain();
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "7,10,11,12");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"),
               "1-6 overflow,8-9 overflow");
    done();
}

/* The device told another gateway of records 3 to 5 and goes on here in the middle of its chunk: the commit
 * of record 4 comes behind the gap. */
static void a_commit_behind_what_another_store_holds_ends_its_run(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 1, "a");
    chunks_put(&made, &chunks_table, 2, "a");
    tern_chunk_finish(&made.chunk, false, false);
    chunks_send(stage, range, &made, 0);
    CHECK_EQ(tern_stage_gap(stage, range, 3, 5, TERN_GAP_HELD), TERN_HOST_OK);
    chunks_open(&made, 4);
    chunks_put(&made, &chunks_table, 4, "b");
    tern_chunk_finish(&made.chunk, true, false);
    uint32_t sent = made.chunk.size;
    chunks_send(stage, range, &made, 0);
    for (int64_t at = 5; at < 8; at++)
        chunks_put(&made, &chunks_table, at, "c");
    tern_chunk_finish(&made.chunk, true, false);
    chunks_send(stage, range, &made, sent);
    drain();
    CHECK_TEXT(last_event, "");
    CHECK_TEXT(ask("SELECT group_concat(at) FROM climate"), "1,2,6,7");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"), "3-5 held");
    done();
}

static void gaps_are_rows_and_shrink_when_their_records_come(void)
{
    fresh();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    CHECK_EQ(tern_stage_gap(stage, range, 1, 30, TERN_GAP_HELD), TERN_HOST_OK);
    send_rows(range, 31, 40);
    drain();
    CHECK_TEXT(ask("SELECT first || '-' || last || ' ' || reason FROM tern_gap"), "1-30 held");
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "10");
    /* Another gateway with its own store brings the middle of it. */
    done();
    struct tern_stage_config config = {.directory = folder_path("other"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    struct tern_device *device = tern_stage_device(stage, "dev1");
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = 41};
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    chunks_schema(stage, device, &chunks_table);
    CHECK_EQ(tern_stage_gap(stage, range, 1, 10, TERN_GAP_OVERFLOW), TERN_HOST_OK);
    send_rows(range, 11, 20);
    send_rows(range, 21, 40);
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "30");
    CHECK_TEXT(ask("SELECT group_concat(first || '-' || last) FROM tern_gap"), "1-10");
    done();
}

/* A range of an epoch that goes on with the count of the one before, in the store that is open. */
static struct tern_stage_range *go_on(const char *id, uint32_t epoch, uint32_t base)
{
    struct tern_device *device = tern_stage_device(stage, id);
    struct tern_stage_range *range = NULL;
    struct tern_hello hello = {.id = id, .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){
        .epoch = epoch, .base = base, .oldest = base, .next = base, .acked = base, .newest = epoch};
    CHECK_EQ(chunks_schema(stage, device, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    return range;
}

/* The store that had the rest of the epoch before is gone, or is another gateway's that is late: then it
 * fills the gap. */
static void what_an_epoch_lacks_when_the_next_begins_is_a_gap(void)
{
    static const char gaps[] =
        "SELECT group_concat(device || epoch || ' ' || first || '-' || last || ' ' || reason) FROM tern_gap";
    struct chunk_bytes made;
    fresh();
    chunks_fill(&made, 1, 30);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 800, 1), &made, 0), TERN_HOST_OK);
    drain();
    done();
    struct tern_stage_config config = {.directory = folder_path("other"), .report = report};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    chunks_fill(&made, 61, 10);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 808, 61), &made, 0), TERN_HOST_OK);
    CHECK_EQ(chunks_send(stage, go_on("dev2", 808, 61), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev1800 31-60 held,dev2800 1-60 held");
    chunks_fill(&made, 71, 10);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 808, 61), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev1800 31-60 held,dev2800 1-60 held");
    done();
    open_stage();
    open_import(0);
    chunks_fill(&made, 31, 30);
    CHECK_EQ(chunks_send(stage, go_on("dev1", 800, 1), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev2800 1-60 held");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev1'"), "80");
    /* It held two epochs, of which the first one's records were taken for the second one's. */
    chunks_fill(&made, 41, 20);
    CHECK_EQ(chunks_send(stage, go_on("dev2", 800, 41), &made, 0), TERN_HOST_OK);
    drain();
    CHECK_TEXT(ask(gaps), "dev2792 1-40 held");
    done();
}

/* The database is set back to nothing when the store has let go of an epoch whole, and of the beginning of
 * the next: all of that is told. */
static void what_the_store_let_go_of_is_a_gap_in_every_epoch(void)
{
    struct tern_stage_config config = {
        .directory = folder_path("stage"), .report = report, .file_bytes = 1500};
    struct tern_journal_limits limits = {.bytes = 1};
    struct chunk_bytes made;
    char expected[100];
    fresh();
    done();
    folder_clear(folder_path("stage"));
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    open_import(0);
    for (uint32_t first = 1; first <= 298; first += 3) {
        struct tern_stage_range *range = first <= 58 ? go_on("dev1", 800, 1) : go_on("dev1", 808, 61);
        chunks_fill(&made, first, 3);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
    drain();
    CHECK_TEXT(ask("SELECT count(*) FROM climate"), "300");
    tern_import_close(import);
    limits.position = tern_stage_end(stage);
    CHECK(tern_stage_trim(stage, &limits) != 0);
    unlink(folder_path("out.db"));
    open_import(0);
    drain();
    CHECK_TEXT(ask("SELECT first || '-' || last || reason FROM tern_gap WHERE epoch=800"), "1-60retention");
    CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE tern_id<800<<32|61"), "0");
    CHECK_TEXT(ask("SELECT min(tern_id)-(808<<32) FROM climate"),
               ask("SELECT last+1 FROM tern_gap WHERE epoch=808 AND first=61 AND reason='retention'"));
    CHECK_TEXT(ask("SELECT count(*)+(SELECT sum(last-first+1) FROM tern_gap) FROM climate"), "300");
    CHECK(atoi(ask("SELECT count(*) FROM climate")) > 0);
    struct tern_stage_range *range = go_on("dev1", 808, 61);
    snprintf(expected, sizeof expected, "%s", ask("SELECT count(*) FROM tern_gap"));
    CHECK_TEXT(expected, "2");
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->taken.next, 61);
    done();
}

/* Turns a byte of the text around, wherever the journal holds it. */
static void spoil_journal(const char *text)
{
    static uint8_t bytes[65536];
    FILE *file = fopen(folder_path("stage/journal-00000001.tern"), "r+b");
    size_t size = fread(bytes, 1, sizeof bytes, file), found = 0;
    for (size_t i = 0; i + strlen(text) < size; i++)
        if (memcmp(bytes + i, text, strlen(text)) == 0) {
            fseek(file, (long)i, SEEK_SET);
            fputc(bytes[i] ^ 0x20, file);
            found++;
        }
    fclose(file);
    CHECK_EQ(found, 1);
}

/* What dev1 sends of records 1 to 5, each in a chunk of its own: 2 to 4 are a batch. */
static const char *const batch_notes[] = {"before", "first", "second", "third", "behind"};

static void send_batch(struct tern_stage_range *range, uint32_t from, uint32_t to)
{
    for (uint32_t i = from - 1; i < to; i++) {
        struct chunk_bytes made;
        chunks_open(&made, 1 + i);
        chunks_put(&made, &chunks_table, i, batch_notes[i]);
        tern_chunk_finish(&made.chunk, i == 0 || i >= 3, i >= 1 && i <= 3);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
}

/* dev1's range as it is found again by a device that goes on. */
static struct tern_stage_range *come_back(uint32_t epoch, uint32_t next)
{
    struct tern_stage_range *range = NULL;
    struct tern_hello hello = {.id = "dev1", .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = 1, .oldest = 1, .next = next};
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, "dev1"), &hello, &hello.ranges[0], 0, &range),
             0);
    return range;
}

#define GAPS "SELECT group_concat(first || '-' || last || ' ' || reason) FROM tern_gap"
#define ROWS "SELECT group_concat(note) FROM (SELECT note FROM climate WHERE device='dev1' ORDER BY at)"

/* The journal's own bytes are damaged: what is there of the batch never appears, all of it is a gap, once,
 * and what stands behind it and other devices go on. The device is asked, and fills the gap. */
static void a_batch_of_which_the_journal_has_lost_an_entry_is_a_gap_that_the_device_fills(void)
{
    for (unsigned spoilt = 1; spoilt <= 3; spoilt++) {
        struct tern_import_status status;
        struct chunk_bytes made;
        fresh();
        tern_import_close(import);
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        uint32_t epoch = range->epoch;
        send_batch(range, 1, 5);
        range = chunks_device(stage, "dev2");
        chunks_fill(&made, 1, 5);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        tern_stage_close(stage);
        spoil_journal(batch_notes[spoilt]);
        for (unsigned start = 0; start < 2; start++) {
            open_stage();
            open_import(0);
            drain();
            tern_import_status(import, &status);
            CHECK_EQ(status.held, 0);
            CHECK_TEXT(last_event, start == 1 ? "" : spoilt < 3 ? "records-lost" : "journal-corrupt");
            CHECK_TEXT(ask(ROWS), "before,behind");
            CHECK_TEXT(ask(GAPS), "2-4 retention");
            CHECK_TEXT(ask("SELECT count(*) FROM climate WHERE device='dev2'"), "5");
            last_event[0] = '\0';
            if (start == 0)
                done();
        }
        range = come_back(epoch, 6);
        CHECK_EQ(range->taken.next, 6);
        CHECK(tern_stage_go_back(stage, range, 0));
        CHECK_EQ(range->taken.next, 2);
        send_batch(range, 2, 4);
        CHECK_EQ(range->taken.next, 6);
        drain();
        CHECK_TEXT(ask(ROWS), "before,first,second,third,behind");
        CHECK_TEXT(ask(GAPS), "NULL");
        CHECK_TEXT(last_event, "");
        done();
    }
}

/* One chunk in three pieces: its head is lost with the first, so that the others cannot be put together. The
 * second one's last record, or the third's, begins a batch that ends in the next chunk: not to be cut. */
static void of_a_chunk_without_its_head_all_is_lost_as_far_as_it_is_committed(void)
{
    static const char *const notes[] = {"head", "middle", "begun", "rest", "end"};
    for (unsigned piece = 1; piece <= 2; piece++) {
        struct chunk_bytes made;
        uint32_t sent = 0, epoch;
        fresh();
        tern_import_close(import);
        struct tern_stage_range *range = chunks_device(stage, "dev1");
        epoch = range->epoch;
        chunks_open(&made, 1);
        for (uint32_t i = 0; i < 3; i++) {
            chunks_put(&made, &chunks_table, i, notes[i]);
            tern_chunk_finish(&made.chunk, i < 2, i == 2);
            if (i == 0 || i == piece) {
                CHECK_EQ(chunks_send(stage, range, &made, sent), TERN_HOST_OK);
                CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
                sent = made.chunk.size;
            }
        }
        if (piece == 1)
            CHECK_EQ(chunks_send(stage, range, &made, sent), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
        CHECK_EQ(range->taken.run, 3);
        tern_stage_close(stage);
        spoil_journal("head");
        open_stage();
        open_import(0);
        range = come_back(epoch, 4);
        chunks_open(&made, 4);
        chunks_put(&made, &chunks_table, 3, "rest");
        tern_chunk_finish(&made.chunk, true, true);
        chunks_put(&made, &chunks_table, 4, "end");
        tern_chunk_finish(&made.chunk, true, false);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(range->taken.next, 6);
        drain();
        CHECK_TEXT(last_event, "records-lost");
        CHECK_TEXT(ask(ROWS), "end");
        CHECK_TEXT(ask(GAPS), "1-4 retention");
        CHECK_TEXT(ask("SELECT applied FROM tern_checkpoint"), "5");
        CHECK(tern_stage_go_back(stage, range, 0));
        CHECK_EQ(range->taken.next, 1);
        chunks_open(&made, 1);
        for (uint32_t i = 0; i < 4; i++) {
            chunks_put(&made, &chunks_table, i, notes[i]);
            tern_chunk_finish(&made.chunk, i != 2, i >= 2);
        }
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        drain();
        CHECK_TEXT(ask(ROWS), "head,middle,begun,rest,end");
        CHECK_TEXT(ask(GAPS), "NULL");
        done();
    }
}

/* The schema comes again when the device sends a chunk that names it. */
static void records_whose_schema_the_journal_has_lost_are_a_gap_until_it_comes_again(void)
{
    struct chunk_bytes made;
    struct tern_import_status status;
    uint32_t want;
    fresh();
    tern_import_close(import);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    uint32_t epoch = range->epoch;
    send_batch(range, 1, 5);
    tern_stage_close(stage);
    spoil_journal("celsius");
    open_stage();
    open_import(0);
    drain();
    tern_import_status(import, &status);
    CHECK_EQ(status.held, 0);
    CHECK_TEXT(last_event, "records-lost");
    CHECK_TEXT(ask(GAPS), "1-5 retention");
    range = come_back(epoch, 6);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->taken.next, 1);
    chunks_open(&made, 1);
    chunks_put(&made, &chunks_table, 0, "before");
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(tern_stage_part(stage, range, 1, 0, made.bytes, made.chunk.size, &want), TERN_HOST_OK);
    CHECK_EQ(want, tern_schema_hash(&chunks_table));
    CHECK_EQ(chunks_schema(stage, range->device, &chunks_table), TERN_HOST_OK);
    send_batch(range, 2, 5);
    drain();
    CHECK_TEXT(ask(ROWS), "before,first,second,third,behind");
    CHECK_TEXT(ask(GAPS), "NULL");
    done();
}

int main(void)
{
    const char *missing = import_begin();
    RUN_OR_SKIP(missing, a_batch_over_several_chunks_appears_whole);
    RUN_OR_SKIP(missing, a_batch_with_a_gap_is_left_out_whole);
    RUN_OR_SKIP(missing, a_gap_ends_the_batch_that_it_cuts_off);
    RUN_OR_SKIP(missing, a_batch_without_its_head_is_left_out);
    RUN_OR_SKIP(missing, a_commit_behind_what_another_store_holds_ends_its_run);
    RUN_OR_SKIP(missing, what_an_epoch_lacks_when_the_next_begins_is_a_gap);
    RUN_OR_SKIP(missing, what_the_store_let_go_of_is_a_gap_in_every_epoch);
    RUN_OR_SKIP(missing, gaps_are_rows_and_shrink_when_their_records_come);
    RUN_OR_SKIP(missing, a_batch_of_which_the_journal_has_lost_an_entry_is_a_gap_that_the_device_fills);
    RUN_OR_SKIP(missing, of_a_chunk_without_its_head_all_is_lost_as_far_as_it_is_committed);
    RUN_OR_SKIP(missing, records_whose_schema_the_journal_has_lost_are_a_gap_until_it_comes_again);
    folder_remove();
    return test_report();
}
