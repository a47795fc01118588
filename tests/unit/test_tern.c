/* SPDX-License-Identifier: MIT */
/* What tern.h promises of opening, putting, batches and polling: above all what happens when something is
 * wrong. */
#include "../test.h"

#include "bench.h"

static const struct tern_table listed = {"listed", columns, &tern_csv, 2, TERN_OVERWRITE, 0, 0};
static const struct tern_column event_columns[] = {{"code", TERN_U16, 0}};
static const struct tern_table events = TERN_TABLE("events", TERN_APPEND, event_columns);

static int fail_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    (void)context;
    (void)address;
    (void)data;
    (void)size;
    return -1;
}

static int fail_erase(void *context, uint32_t address)
{
    (void)context;
    (void)address;
    return -1;
}

static void open_store(uint8_t lanes)
{
    open_bench(lanes);
    bench.config.link = NULL;
    while (tern_poll(&bench.tern) == 0)
        ;
}

static int put_one(const struct tern_table *table, int64_t at)
{
    struct tern_value row[] = {tern_int(at), tern_int(7)};
    return tern_put(&bench.tern, table, row);
}

/* Committed records of the lane, by a look into the log. */
static uint32_t stored(uint8_t lane)
{
    return bench.lanes[lane].log.next - 1;
}

/* A store in use, with an erased sector ahead in each lane. Returns how many records each holds. */
static uint32_t open_used(uint8_t lanes)
{
    open_store(lanes);
    put_rows(&climate, 1, 40);
    if (lanes > 1)
        put_rows(&bulk, 1, 40);
    while (tern_poll(&bench.tern) == 0)
        ;
    for (uint8_t i = 0; i < lanes; i++)
        CHECK(bench.lanes[i].log.ready_at != 0);
    return 40;
}

static void opening_tells_what_is_wrong_with_any_lane(void)
{
    open_bench(2);
    bench.flash[1].sector_size = 8;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_E_GEOMETRY);
    bench.flash[1].sector_size = SECTOR;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_OK);
    bench.flash[0].sector_size = 8;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_E_GEOMETRY);
}

static void a_wrong_row_changes_nothing(void)
{
    struct tern_value nulls[] = {tern_null(), tern_int(1)};
    open_store(1);
    CHECK_EQ(put_one(&climate, 1), TERN_OK);
    CHECK_EQ(put_one(&bulk, 1), TERN_E_ARGUMENT); /* of a lane that is not there */
    CHECK_EQ(tern_put(&bench.tern, &climate, nulls), TERN_E_ROW);
    CHECK_EQ(tern_delete(&bench.tern, &climate, nulls), TERN_E_ROW);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 1);
}

static void each_operation_has_its_modes(void)
{
    struct tern_value key[] = {tern_int(5)};
    open_store(1);
    CHECK_EQ(tern_delete(&bench.tern, &events, key), TERN_E_ARGUMENT);
    CHECK_EQ(tern_delete(&bench.tern, &listed, key), TERN_E_ARGUMENT);
    CHECK_EQ(tern_snapshot_begin(&bench.tern, &climate), TERN_E_ARGUMENT);
    CHECK_EQ(tern_snapshot_end(&bench.tern, &climate), TERN_E_ARGUMENT);
    CHECK_EQ(tern_snapshot_begin(&bench.tern, &events), TERN_E_ARGUMENT);
    CHECK_EQ(tern_snapshot_end(&bench.tern, &events), TERN_E_ARGUMENT);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 0);
}

static void a_snapshot_and_a_delete_are_records_in_their_order(void)
{
    static const char lines[] = "[1\n+1,5,0.07\n]1\n-0,9\n";
    struct tern_value key[] = {tern_int(9)};
    open_store(1);
    CHECK_EQ(put_one(&listed, 1), TERN_OK);
    CHECK_EQ(put_one(&alarms, 1), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    CHECK_EQ(tern_snapshot_begin(&bench.tern, &listed), TERN_OK);
    CHECK_EQ(put_one(&listed, 5), TERN_OK);
    CHECK_EQ(tern_snapshot_end(&bench.tern, &listed), TERN_OK);
    CHECK_EQ(tern_delete(&bench.tern, &alarms, key), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 6);
    struct tern_walk walk;
    struct tern_segment segment;
    const uint8_t *data = bench.chunk[0];
    CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(data), bench.lanes[0].chunk.size), TERN_OK);
    do
        CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
    while (walk.offset != bench.lanes[0].chunk.size && !test_faults);
    CHECK(segment.rows == 4 && segment.batch && segment.commit && segment.size == strlen(lines));
    CHECK(memcmp(data + segment.payload, lines, strlen(lines)) == 0);
}

static void a_batch_is_opened_once_in_a_lane_that_is_there(void)
{
    open_store(2);
    CHECK_EQ(tern_begin(&bench.tern, 2), TERN_E_ARGUMENT);
    CHECK_EQ(tern_begin(&bench.tern, 1), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 1), TERN_E_ARGUMENT);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 1), TERN_OK);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 1), TERN_OK);
}

static void a_batch_begins_behind_what_was_put_before(void)
{
    open_store(1);
    CHECK_EQ(put_one(&climate, 1), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    CHECK_EQ(stored(0), 1);
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 1);
}

static void volatile_flash_is_told_at_every_commit(void)
{
    open_store(2);
    bench.flash[0].is_volatile = 1;
    CHECK_EQ(tern_commit(&bench.tern), TERN_VOLATILE);
    CHECK_EQ(put_one(&climate, 1), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_VOLATILE);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_E_ARGUMENT); /* it is open */
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_VOLATILE);
    CHECK_EQ(stored(0), 2);
    CHECK_EQ(tern_begin(&bench.tern, 1), TERN_OK);
    bench.flash[0].is_volatile = 0;
    bench.flash[1].is_volatile = 1;
    CHECK_EQ(tern_commit(&bench.tern), TERN_VOLATILE);
}

static void an_error_outweighs_and_every_lane_is_tried(void)
{
    for (int bad = 0; bad < 2; bad++)
        for (int is_volatile = 0; is_volatile < 2; is_volatile++) {
            uint32_t before = open_used(2);
            CHECK_EQ(put_one(&climate, 1), TERN_OK);
            CHECK_EQ(put_one(&bulk, 1), TERN_OK);
            bench.flash[bad].program = fail_program;
            bench.flash[!bad].is_volatile = (uint8_t)is_volatile;
            CHECK_EQ(tern_commit(&bench.tern), TERN_E_FLASH);
            CHECK(stored(0) == before + (bad != 0) && stored(1) == before + (bad == 0));
        }
}

/* After TERN_E_FLASH the records are forgotten, and may be put again. */
static void what_flash_refused_is_put_again(void)
{
    uint32_t before = open_used(1);
    bench.flash[0].program = fail_program;
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_E_FLASH);
    CHECK_EQ(stored(0), before);
    bench.flash[0].program = flash_program;
    while (tern_poll(&bench.tern) == 0)
        ;
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), before);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK); /* the one that failed opened none */
    CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(2), tern_int(7)}), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), before + 1);
    reopen();
    CHECK_EQ(stored(0), before + 1);
}

/* Of a batch whose chunk could not be written when it was full, nothing stays. */
static void a_spill_that_fails_forgets_the_batch(void)
{
    int status = TERN_OK, rows = 0;
    uint32_t before = open_used(1);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    for (; rows < 3; rows++)
        CHECK_EQ(put_one(&climate, rows), TERN_OK);
    bench.flash[0].program = fail_program;
    for (; rows < 100 && status == TERN_OK; rows++)
        status = put_one(&climate, rows);
    CHECK_EQ(status, TERN_E_FLASH);
    bench.flash[0].program = flash_program;
    while (tern_poll(&bench.tern) == 0)
        ;
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), before);
    CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(2), tern_int(7)}), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), before + 1);
}

/* As by an abort: what is put again belongs to no batch unless one is begun. */
static void a_batch_that_flash_refused_is_over(void)
{
    for (int by_put = 0; by_put < 2; by_put++) {
        int status = TERN_OK;
        uint32_t before = open_used(1);
        CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
        CHECK_EQ(put_one(&climate, 1), TERN_OK);
        bench.flash[0].program = fail_program;
        for (int rows = 0; by_put && rows < 100 && status == TERN_OK; rows++)
            status = put_one(&climate, rows);
        CHECK_EQ(by_put ? status : tern_commit(&bench.tern), TERN_E_FLASH);
        bench.flash[0].program = flash_program;
        while (tern_poll(&bench.tern) == 0)
            ;
        CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
        CHECK_EQ(put_one(&climate, 1), TERN_OK);
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK_EQ(stored(0), before + 1);
    }
}

static void an_abort_forgets_what_is_not_committed_and_no_more(void)
{
    open_store(1);
    CHECK_EQ(put_one(&climate, 1), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    uint16_t size = bench.lanes[0].chunk.size;
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(bench.lanes[0].chunk.size, size); /* nothing to forget: the chunk stays open */
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(bench.lanes[0].chunk.size, 0);
    for (int i = 0; i < 60; i++) /* some of them in flash already */
        CHECK_EQ(put_one(&climate, i), TERN_OK);
    CHECK(bench.lanes[0].log.pending > 2);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 1);
    reopen();
    CHECK_EQ(stored(0), 1);
}

/* A device that has met its gateway. */
static void open_met(void)
{
    open_store(1);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH - 8, 1), TERN_OK);
}

/* Commits a row at a time until one finds no room. */
static int fill(uint8_t overflow)
{
    int status = TERN_OK;
    bench.lanes[0].overflow = overflow;
    for (int i = 0; i < 2000 && status == TERN_OK; i++) {
        for (int polls = 0; tern_poll(&bench.tern) == 0 && polls < 100; polls++)
            ;
        status = put_one(&climate, i);
        if (status == TERN_OK)
            status = tern_commit(&bench.tern);
    }
    return status;
}

static void a_full_ring_says_so_as_its_policy_is(void)
{
    open_met();
    CHECK_EQ(fill(TERN_WAIT), TERN_AGAIN);
    uint32_t full = stored(0);
    CHECK(full > 100);
    CHECK_EQ(put_one(&climate, 1), TERN_AGAIN);
    CHECK(bench.lanes[0].refused == 0 && bench.lanes[0].log.stats.dropped == 0);
    bench.lanes[0].overflow = TERN_REFUSE;
    CHECK_EQ(put_one(&climate, 1), TERN_E_FULL);
    CHECK(bench.lanes[0].refused == 1 && bench.lanes[0].log.stats.dropped == 1);
    bench.lanes[0].overflow = TERN_DROP_OLDEST;
    CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(2), tern_int(7)}), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), full + 2); /* the refused one has a number */
    CHECK(bench.lanes[0].log.stats.dropped > 10);
}

/* A ring in which a finished segment waits: the place meant for its chunk has gone to a note, and no sector
 * is ahead. */
static bool let_a_commit_wait(uint8_t overflow)
{
    static uint32_t found;
    open_met();
    if (found == 0 && fill(TERN_WAIT) != TERN_AGAIN)
        return false;
    for (uint32_t rows = found != 0 ? found : stored(0); rows > 0; rows--) {
        open_met();
        bench.lanes[0].overflow = TERN_WAIT;
        for (uint32_t i = 0; i < rows; i++) {
            for (int polls = 0; tern_poll(&bench.tern) == 0 && polls < 100; polls++)
                ;
            if (put_one(&climate, i) != TERN_OK || tern_commit(&bench.tern) != TERN_OK)
                break;
        }
        if (stored(0) != rows)
            continue;
        bench.lanes[0].chunk.is_full = 1; /* as if it were: the next record opens another */
        if (put_one(&climate, 1) != TERN_OK || tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1) != TERN_OK)
            continue;
        bench.lanes[0].overflow = overflow;
        if (tern_commit(&bench.tern) == TERN_AGAIN && bench.lanes[0].due != 0)
            return CHECK_EQ(stored(0), found = rows);
    }
    return false;
}

static void make_room(void)
{
    tern_log_acknowledge(&bench.lanes[0].log, bench.lanes[0].log.next, STORE);
    for (int polls = 0; tern_poll(&bench.tern) == 0 && polls < 100; polls++)
        ;
}

static void a_commit_that_waits_for_room_is_completed_by_the_next(void)
{
    if (!CHECK(let_a_commit_wait(TERN_WAIT)))
        return;
    uint32_t before = stored(0);
    CHECK_EQ(tern_commit(&bench.tern), TERN_AGAIN);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_AGAIN);
    CHECK(bench.lanes[0].batch == 0);
    CHECK_EQ(put_one(&climate, 2), TERN_AGAIN);
    make_room();
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), before + 1);
    reopen();
    CHECK_EQ(stored(0), before + 1);
}

static void a_put_completes_a_commit_that_waits(void)
{
    if (!CHECK(let_a_commit_wait(TERN_REFUSE)))
        return;
    uint32_t before = stored(0);
    CHECK_EQ(put_one(&climate, 2), TERN_E_FULL); /* counted, as the ring has no room for it */
    CHECK_EQ(bench.lanes[0].refused, 1);
    make_room();
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(stored(0), before + 1);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK(stored(0) >= before + 2);
}

static int chunk_room(const struct tern_chunk *chunk)
{
    return chunk->capacity - chunk->front - chunk->payload - 4;
}

/* A batch's chunk that is full but for `left` bytes waits for room, in a ring that held so many records
 * before. */
static bool let_a_spill_wait(uint32_t before, int left)
{
    struct tern_lane *lane = &bench.lanes[0];
    open_met();
    lane->overflow = TERN_WAIT;
    for (uint32_t i = 0; i < before; i++) {
        for (int polls = 0; tern_poll(&bench.tern) == 0 && polls < 100; polls++)
            ;
        if (put_one(&climate, 1) != TERN_OK || tern_commit(&bench.tern) != TERN_OK)
            return false;
    }
    lane->chunk.is_full = 1;
    if (tern_begin(&bench.tern, 0) != TERN_OK || put_one(&climate, 1) != TERN_OK)
        return false;
    while (chunk_room(&lane->chunk) - left > 27)
        CHECK_EQ(put_one(&climate, 1), TERN_OK);
    int64_t at = 1; /* "+0,1,0.07" and the line's end are ten bytes */
    for (int more = chunk_room(&lane->chunk) - left - 10; more > 0; more--)
        at *= 10;
    CHECK_EQ(put_one(&climate, at), TERN_OK);
    CHECK_EQ(chunk_room(&lane->chunk), left);
    return tern_log_set_epoch(&lane->log, EPOCH, 1) == TERN_OK && put_one(&climate, 1) == TERN_AGAIN &&
           lane->due != 0;
}

/* The chunk has no room for it. */
static void a_commit_behind_a_spill_that_waits_is_in_a_chunk_of_its_own(void)
{
    open_met();
    (void)fill(TERN_WAIT);
    uint32_t full = stored(0);
    for (int left = 0; left < 8; left++) {
        uint32_t before = full + 20;
        while (before > full - 100 && !let_a_spill_wait(before, left))
            before--;
        struct tern_lane *lane = &bench.lanes[0];
        if (!CHECK(before > full - 100))
            return;
        uint32_t rows = tern_chunk_next(&lane->chunk) - before - 1;
        CHECK_EQ(tern_commit(&bench.tern), TERN_AGAIN);
        make_room();
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK(lane->chunk.size <= lane->chunk.capacity && lane->chunk.rows == 0);
        CHECK_EQ(stored(0), before + rows);
        reopen();
        CHECK_EQ(stored(0), before + rows);
    }
}

static void an_abort_gives_a_commit_that_waits_up(void)
{
    if (!CHECK(let_a_commit_wait(TERN_WAIT)))
        return;
    uint32_t before = stored(0);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    make_room();
    bench.flash[0].program = fail_program; /* for there is nothing to program */
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    bench.flash[0].program = flash_program;
    CHECK_EQ(stored(0), before);
}

static void a_commit_that_waits_may_fail(void)
{
    for (int by_put = 0; by_put < 2; by_put++) {
        if (!CHECK(let_a_commit_wait(TERN_WAIT)))
            return;
        struct tern_log *log = &bench.lanes[0].log;
        uint32_t before = stored(0);
        make_room();
        /* Epochs take the sector that was made for it, too, until another is made. */
        for (uint32_t epoch = EPOCH + 8; epoch < EPOCH + 800; epoch += 8) {
            CHECK_EQ(tern_log_set_epoch(log, epoch, 1), TERN_OK);
            make_room();
            if (log->ready_at != 0 && log->write - log->newest < 300)
                break;
        }
        CHECK(log->ready_at != 0 && bench.lanes[0].due != 0);
        bench.flash[0].program = fail_program;
        CHECK_EQ(by_put ? put_one(&climate, 2) : tern_commit(&bench.tern), TERN_E_FLASH);
        bench.flash[0].program = flash_program;
        make_room();
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK_EQ(stored(0), before);
    }
}

static void dedup_without_memory_for_it_stores_everything(void)
{
    static const struct tern_table declared = {"declared", columns, &tern_csv, 2, TERN_MERGE, TERN_DEDUP, 0};
    open_store(1);
    CHECK_EQ(put_one(&declared, 1), TERN_OK);
    CHECK_EQ(put_one(&declared, 1), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 2);
}

/* However full the ring was when the batch began: a batch whose puts were taken can be committed. */
static void what_a_full_ring_has_taken_can_be_committed(void)
{
    unsigned batches = 0;
    open_met();
    (void)fill(TERN_WAIT);
    uint32_t full = stored(0);
    for (uint32_t before = full - 80; before < full; before++) {
        open_met();
        bench.lanes[0].overflow = TERN_REFUSE;
        for (uint32_t i = 0; i < before; i++) {
            while (tern_poll(&bench.tern) == 0)
                ;
            CHECK(put_one(&climate, i) == TERN_OK && tern_commit(&bench.tern) == TERN_OK);
        }
        int status = TERN_OK;
        uint32_t rows = 0;
        for (; status == TERN_OK && rows < 500; rows += status == TERN_OK) {
            while (tern_poll(&bench.tern) == 0)
                ;
            status = put_one(rows % 2 == 0 ? &climate : &alarms, rows);
        }
        CHECK_EQ(status, TERN_E_FULL);
        if (rows == 0)
            continue;
        batches += bench.lanes[0].log.pending != bench.lanes[0].log.next;
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        if (!CHECK(stored(0) >= before + rows))
            return;
    }
    CHECK(batches > 0);
}

/* A batch of which all is in flash and nothing in RAM, in a ring without a place for the commit. */
static void a_commit_without_a_place_waits_for_one(void)
{
    unsigned waited = 0;
    open_met();
    (void)fill(TERN_WAIT);
    uint32_t full = stored(0);
    for (uint32_t before = full - 80; before < full; before++) {
        struct tern_lane *lane = &bench.lanes[0];
        open_met();
        lane->overflow = TERN_WAIT;
        for (uint32_t i = 0; i < before; i++) {
            while (tern_poll(&bench.tern) == 0)
                ;
            CHECK(put_one(&climate, i) == TERN_OK && tern_commit(&bench.tern) == TERN_OK);
        }
        uint32_t rows = 0;
        while (put_one(&climate, rows) == TERN_OK && rows < 500)
            rows++;
        if (lane->chunk.size != 0 || lane->log.pending == lane->log.next || lane->due != 0)
            continue;
        waited++;
        CHECK_EQ(tern_commit(&bench.tern), TERN_AGAIN);
        CHECK_EQ(tern_commit(&bench.tern), TERN_AGAIN);
        CHECK_EQ(stored(0), before);
        make_room();
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK_EQ(stored(0), before + rows);
        reopen();
        CHECK_EQ(stored(0), before + rows);
    }
    CHECK(waited > 0);
}

/* Nothing but what is open: a note that is due waits for a poll. */
static void a_commit_with_a_sector_ahead_does_nothing_else(void)
{
    unsigned seen = 0;
    for (int before = 1; before < 60; before++) {
        open_store(1);
        put_rows(&climate, 1, before);
        while (tern_poll(&bench.tern) == 0)
            ;
        struct tern_log *log = &bench.lanes[0].log;
        for (int i = 0; log->pending == log->next; i++)
            CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(i), tern_int(7)}), TERN_OK);
        CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
        if (log->ready_at == 0)
            continue;
        uint32_t programmed = log->stats.programmed;
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK_EQ(log->stats.programmed, programmed);
        CHECK_EQ(tern_poll(&bench.tern), 0);
        CHECK(log->stats.programmed > programmed);
        seen++;
    }
    CHECK(seen > 0);
}

/* A number that a refused record is due is taken before a batch's first chunk, and not between its chunks. */
static void refused_records_do_not_stand_inside_a_batch(void)
{
    open_store(1);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(i), tern_int(7)}), TERN_OK);
        if (i == 5)
            bench.lanes[0].refused = 3;
    }
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 60);
    bench.lanes[0].chunk.is_full = 1;
    CHECK_EQ(put_row(&climate, (struct tern_value[]){tern_int(1), tern_int(7)}), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 64);
}

/* Where nobody polls, each commit does a step towards the next sector. */
static void a_device_that_never_polls_goes_on_storing(void)
{
    int waits = 0, status;
    open_bench(1);
    bench.config.link = NULL;
    for (int i = 0; i < 600; i++) {
        while ((status = put_one(&climate, i)) == TERN_AGAIN && waits < 100) {
            waits++;
            (void)tern_commit(&bench.tern);
        }
        CHECK_EQ(status, TERN_OK);
        CHECK(tern_commit(&bench.tern) >= TERN_OK);
    }
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(stored(0), 600);
    CHECK(waits < 30);
}

static void a_poll_does_one_thing(void)
{
    open_bench(1);
    put_rows(&climate, 1, 60);
    bench.session = 2;
    for (int i = 0; i < 200; i++) {
        size_t frames = bench.ups;
        uint32_t erases = bench.lanes[0].log.stats.erases, programmed = bench.lanes[0].log.stats.programmed;
        if (i == 20)
            welcome(0, EPOCH, 1, 0);
        if (tern_poll(&bench.tern) != 0)
            bench.now += 20;
        unsigned done = bench.ups != frames;
        done += bench.lanes[0].log.stats.erases != erases;
        CHECK(done <= 1 && bench.ups - frames <= 1);
        CHECK(i == 20 || bench.ups == frames || bench.lanes[0].log.stats.programmed == programmed);
    }
    CHECK(count_sent(TERN_PART, 0) > 0 && bench.lanes[0].log.stats.erases > 0);
}

static void the_backlog_is_of_all_lanes(void)
{
    open_store(2);
    CHECK_EQ(put_one(&climate, 1), TERN_OK);
    CHECK_EQ(put_one(&climate, 2), TERN_OK);
    CHECK_EQ(put_one(&bulk, 1), TERN_OK);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(tern_backlog(&bench.tern), 3);
    tern_log_acknowledge(&bench.lanes[0].log, 2, STORE);
    CHECK_EQ(tern_backlog(&bench.tern), 2);
}

static void without_a_link_polling_looks_after_the_flash_alone(void)
{
    open_bench(1);
    bench.config.link = NULL;
    bench.config.clock = NULL;
    int steps = 0;
    while (tern_poll(&bench.tern) == 0)
        steps++;
    CHECK(steps >= 2 && bench.lanes[0].log.stats.erases == 1); /* an erase a call, at most */
    CHECK_EQ(tern_poll(&bench.tern), 60000);
    bench.flash[0].erase = fail_erase;
    reopen();
    put_rows(&climate, 1, 30);
    int errors = 0;
    for (int i = 0; i < 20; i++)
        errors += tern_poll(&bench.tern) == TERN_E_FLASH;
    CHECK(errors > 0 && bench.lanes[0].log.stats.errors > 0);
}

int main(void)
{
    RUN(opening_tells_what_is_wrong_with_any_lane);
    RUN(a_wrong_row_changes_nothing);
    RUN(each_operation_has_its_modes);
    RUN(a_snapshot_and_a_delete_are_records_in_their_order);
    RUN(a_batch_is_opened_once_in_a_lane_that_is_there);
    RUN(a_batch_begins_behind_what_was_put_before);
    RUN(volatile_flash_is_told_at_every_commit);
    RUN(an_error_outweighs_and_every_lane_is_tried);
    RUN(what_flash_refused_is_put_again);
    RUN(a_spill_that_fails_forgets_the_batch);
    RUN(a_batch_that_flash_refused_is_over);
    RUN(an_abort_forgets_what_is_not_committed_and_no_more);
    RUN(a_full_ring_says_so_as_its_policy_is);
    RUN(a_commit_that_waits_for_room_is_completed_by_the_next);
    RUN(a_put_completes_a_commit_that_waits);
    RUN(a_commit_behind_a_spill_that_waits_is_in_a_chunk_of_its_own);
    RUN(an_abort_gives_a_commit_that_waits_up);
    RUN(a_commit_that_waits_may_fail);
    RUN(dedup_without_memory_for_it_stores_everything);
    RUN(what_a_full_ring_has_taken_can_be_committed);
    RUN(a_commit_without_a_place_waits_for_one);
    RUN(a_commit_with_a_sector_ahead_does_nothing_else);
    RUN(refused_records_do_not_stand_inside_a_batch);
    RUN(a_device_that_never_polls_goes_on_storing);
    RUN(a_poll_does_one_thing);
    RUN(the_backlog_is_of_all_lanes);
    RUN(without_a_link_polling_looks_after_the_flash_alone);
    return test_report();
}
