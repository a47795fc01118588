/* SPDX-License-Identifier: MIT */
/* How a device sends: what it says of itself, how much is under way, how long it waits, what it looks for in
 * its flash, and what it does when a chunk is lost in the middle of being sent. */
#define _DEFAULT_SOURCE

#include "../test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static struct tern_lane *lane(void)
{
    return &bench.lanes[0];
}

/* A HELLO about what the log holds now. */
static void greet(void)
{
    bench.session++;
    bench.ups = 0;
    run(10);
    CHECK_EQ(count_sent(TERN_HELLO, 0), 1);
}

/* A device with so many records in flash, of which the gateway has heard nothing, and a session that begins
 * with `epoch`. */
static void open_with(int rows, uint32_t epoch)
{
    open_bench(1);
    put_rows(&climate, 1, rows);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, epoch, 1), TERN_OK);
    greet();
}

static size_t bytes_since(size_t from)
{
    size_t bytes = 0;
    for (size_t i = 0; sent(TERN_PART, i, from) != NULL; i++)
        bytes += read_part(sent(TERN_PART, i, from)).size;
    return bytes;
}

static uint32_t same_number(void *context)
{
    (void)context;
    return 0x12345678;
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static void a_hello_names_the_store_that_acknowledged(void)
{
    open_with(10, EPOCH);
    CHECK_EQ(read_hello(0, 0).store, 0);
    welcome(0, EPOCH, 1, 0);
    run(10);
    ack(0, 6);
    run(10);
    size_t before = bench.ups;
    bench.session++;
    run(10);
    struct said said = read_hello(0, before);
    CHECK(said.store == STORE && said.acked == 6 && said.next == 11);
}

static void a_nonce_is_random_and_never_the_same(void)
{
    uint64_t nonces[4];
    uint32_t number = same_number(NULL);
    uint8_t bytes[4]; /* which go out in the machine's order */
    memcpy(bytes, &number, sizeof bytes);
    open_bench(1);
    bench.clock.random = same_number;
    put_rows(&climate, 1, 1);
    for (int i = 0; i < 4; i++) {
        size_t before = bench.ups;
        bench.session++;
        tern_poll(&bench.tern); /* at the same time each */
        while (count_sent(TERN_HELLO, before) == 0)
            CHECK_EQ(tern_poll(&bench.tern), 0);
        nonces[i] = read_hello(0, before).nonce;
        CHECK_EQ((uint32_t)nonces[i], tern_load32(bytes));
        for (int k = 0; k < i; k++)
            CHECK(nonces[k] != nonces[i]);
    }
}

/* Without random numbers two starts differ by when they were. */
static void without_random_numbers_a_nonce_depends_on_the_time(void)
{
    uint64_t nonces[2];
    for (int i = 0; i < 2; i++) {
        open_bench(1);
        bench.clock.random = NULL;
        bench.now = 5000 + 1000 * (uint32_t)i;
        put_rows(&climate, 1, 1);
        run(10);
        nonces[i] = last_nonce();
    }
    CHECK(nonces[0] != nonces[1]);
}

static void the_greatest_epoch_of_all_is_taken(void)
{
    open_bench(8);
    put_rows(&climate, 1, 1);
    run(10);
    welcome(7, 0x7FFFFFFF, 1, 0);
    run(10);
    CHECK_EQ(bench.lanes[7].log.epochs[0].epoch, 0x7FFFFFFF);
}

/* The lanes stand where memory ends. */
static void no_lane_behind_the_last_is_looked_at(void)
{
    uint8_t bare[128];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (sizeof(struct tern_lane) + page - 1) / page * page;
    uint8_t *pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(pages != MAP_FAILED && mprotect(pages + room, page, PROT_NONE) == 0))
        return;
    open_bench(1);
    struct tern_lane *last = (void *)(pages + room - sizeof(struct tern_lane));
    *last = bench.lanes[0];
    bench.config.lanes = last;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_OK);
    put_rows(&climate, 1, 10);
    bench.lanes[0].log.epochs[0].epoch = EPOCH; /* for the bench's own checks */
    run(100);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK(count_sent(TERN_PART, 0) > 0);
    uint16_t bad = bench.tern.bad_frames;
    struct tern_output output = message(bare, TERN_WANT, 1);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
    CHECK_EQ(bench.tern.bad_frames, bad + 1);
    output = message(bare, TERN_REFUSED, 0xFF);
    finish(&output);
    run(100);
    CHECK_EQ(bench.tern.refused, 0xFF);
    munmap(pages, room + page);
}

/* ---- The window ------------------------------------------------------------------------------ */

/* What has been sent since a mark that has been acknowledged, and since the one before it, is under way; a
 * new mark is set when the last one has been reached. */
static void what_is_under_way_is_what_two_marks_say(void)
{
    uint32_t crc;
    open_with(150, EPOCH);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.window = 600;
    say(TERN_WELCOME, answer);
    run(100);
    size_t before = bench.ups;
    uint32_t first = assemble(0, &crc);
    CHECK(first > 40 && first < 120);
    answer.next = 11; /* a part of it: all is still under way, and the mark stands behind it */
    say(TERN_ACK, answer);
    run(100);
    answer.next = 21; /* the mark has not been reached */
    say(TERN_ACK, answer);
    run(100);
    CHECK_EQ(bench.ups, before);
    answer.next = first + 1; /* just reached */
    say(TERN_ACK, answer);
    run(100);
    CHECK(bytes_since(before) >= 600);
    before = bench.ups;
    answer.next = first + 2;
    say(TERN_ACK, answer);
    run(100);
    CHECK_EQ(bench.ups, before);
}

/* ---- Patience -------------------------------------------------------------------------------- */

/* Milliseconds until the next HELLO, up to a limit. */
static uint32_t silence(uint32_t limit)
{
    size_t before = bench.ups;
    uint32_t start = bench.now;
    while (count_sent(TERN_HELLO, before) == 0 && bench.now - start < limit)
        run(20);
    return bench.now - start;
}

static uint32_t no_jitter(void *context)
{
    (void)context;
    return 0;
}

static void an_answer_has_four_seconds_and_twice_that_after_each_that_did_not_come(void)
{
    open_bench(1);
    bench.clock.random = no_jitter;
    put_rows(&climate, 1, 5);
    while (count_sent(TERN_HELLO, 0) == 0)
        CHECK(tern_poll(&bench.tern) >= 0);
    for (uint32_t wait = 4000; wait <= 128000; wait *= 2)
        CHECK_EQ(silence(200000) / 40, wait / 40);
    CHECK_EQ(silence(200000) / 40, 128000 / 40); /* and no longer */
}

static void an_answer_ends_the_growth_of_patience(void)
{
    for (int by_ack = 0; by_ack < 2; by_ack++) {
        open_bench(1);
        bench.clock.random = no_jitter;
        put_rows(&climate, 1, 5);
        run(10);
        if (by_ack) {
            welcome(0, EPOCH, 1, 0);
            run(10);
        }
        silence(10000);
        silence(10000);
        CHECK(silence(100000) > 15000);
        if (by_ack)
            ack(0, 3);
        else
            welcome(0, EPOCH, 1, 0);
        CHECK(silence(100000) < 4100);
    }
}

/* A gateway that says the same again and again has lost something. */
static void an_ack_that_acknowledges_nothing_new_is_no_answer(void)
{
    open_with(5, EPOCH);
    welcome(0, EPOCH, 1, 0);
    run(10);
    ack(0, 3);
    run(10);
    size_t before = bench.ups;
    for (int i = 0; i < 60; i++) {
        ack(0, 3);
        run(100);
    }
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    CHECK_EQ(bench.tern.bad_frames, 0);
}

static void an_ack_that_acknowledges_a_little_is_one(void)
{
    open_with(15, EPOCH);
    welcome(0, EPOCH, 1, 0);
    run(10);
    size_t before = bench.ups;
    for (uint32_t i = 2; i < 15; i++) {
        ack(0, i);
        run(1000);
    }
    CHECK_EQ(count_sent(TERN_HELLO, before), 0);
}

/* A pause may be asked for at any time. */
static void an_ack_that_only_asks_for_a_pause_is_one(void)
{
    open_with(5, EPOCH);
    welcome(0, EPOCH, 1, 0);
    run(10);
    ack(0, 3);
    run(10);
    struct answer answer = answer_to(0, EPOCH, 3);
    answer.pause = 20000;
    say(TERN_ACK, answer);
    run(10);
    size_t before = bench.ups;
    put_rows(&climate, 100, 1);
    run(19900);
    CHECK(bench.ups == before && bench.tern.bad_frames == 0);
    run(200);
    CHECK_EQ(count_sent(TERN_PART, before), 1);
}

static void a_device_refused_again_and_again_waits_eight_minutes(void)
{
    uint8_t bare[128];
    open_bench(1);
    bench.clock.random = no_jitter;
    put_rows(&climate, 1, 1);
    run(10);
    for (uint32_t i = 0; i < 8; i++) {
        struct tern_output output = message(bare, TERN_REFUSED, TERN_REFUSED_IDENTITY);
        finish(&output);
        CHECK_EQ(silence(1000000) / 40, (16000u << (i < 5 ? i : 5)) / 40);
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void a_device_that_has_sent_all_does_not_read_its_flash(void)
{
    uint8_t bare[128];
    open_with(30, EPOCH);
    welcome(0, EPOCH, 1, 0);
    run(100);
    struct tern_output output = message(bare, TERN_WANT, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
    CHECK_EQ(count_sent(TERN_SCHEMA, 0), 1);
    bench.reads = 0;
    run(2000);
    CHECK_EQ(bench.reads, 0);
    ack(0, 31);
    run(1000);
    bench.reads = 0;
    run(100000);
    CHECK_EQ(bench.reads, 0);
}

/* The commit that ends a batch may hold no record, and stand behind them all. */
static void a_commit_without_a_record_is_sent(void)
{
    static const struct tern_column text[] = {{"note", TERN_TEXT(1000), 0}};
    static const struct tern_table notes = TERN_TABLE("notes", TERN_APPEND, text);
    static uint8_t bytes[1000] = {'x'};
    const struct tern_value row[] = {tern_text("short")}, large[] = {tern_bytes(bytes, sizeof(bytes))};
    for (int waits = 0; waits < 2; waits++) {
        uint32_t from = 1;
        open_bench(1);
        run(10);
        welcome(0, EPOCH, 1, 0);
        run(10);
        if (waits) { /* it has looked behind its newest record before, in vain */
            put_rows(&climate, 1, 5);
            from = 6;
            run(100);
            lane()->chunk.is_full = 1;
        }
        bench.busy = true;
        CHECK_EQ(put_row(&notes, row), TERN_OK);
        CHECK_EQ(put_row(&notes, large), TERN_E_TOO_BIG);
        CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        CHECK_EQ(lane()->log.next, from + 1);
        bench.busy = false;
        size_t before = bench.ups;
        run(100);
        CHECK_EQ(count_sent(TERN_PART, before), 2);
        struct part part = read_part(sent(TERN_PART, 1, before));
        CHECK_EQ(part.first, from + 1);
        struct tern_walk walk;
        struct tern_segment segment;
        CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(part.data), (uint32_t)part.size), TERN_OK);
        CHECK_EQ(tern_walk_next(&walk, &segment), TERN_OK);
        CHECK(segment.commit && segment.rows == 0);
        run(1000);
        CHECK_EQ(count_sent(TERN_PART, before), 2); /* once */
    }
}

/* ---- Chunks that grow, and chunks that go ---------------------------------------------------- */

static void a_chunk_that_went_out_on_trust_goes_on_where_it_was(void)
{
    open_bench(1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(10);
    put_rows(&climate, 1, 10);
    run(10);
    ack(0, 11);
    run(10);
    put_rows(&climate, 100, 5);
    bench.session++;
    run(10);
    CHECK_EQ(lane()->sender.sequence, 16);
    welcome(0, EPOCH, 16, 0); /* all that was sent on trust has come */
    run(10);
    size_t before = bench.ups;
    put_rows(&climate, 200, 1);
    run(10);
    struct part part = read_part(sent(TERN_PART, 0, before));
    CHECK(part.first == 1 && part.offset != 0);
}

/* What has been erased is believed, whatever older tails say. */
static void the_border_of_what_has_been_erased_is_believed(void)
{
    open_with(600, EPOCH);
    uint32_t oldest = tern_log_oldest(&lane()->log);
    CHECK(oldest > 20);
    struct answer answer = answer_to(0, EPOCH, oldest);
    answer.crc[0] = 0x12345678;
    answer.back[1] = 7;
    answer.crc[1] = 0x12345678;
    say(TERN_WELCOME, answer);
    run(100);
    CHECK_EQ(lane()->log.epochs[0].epoch, EPOCH);
    CHECK(lane()->log.acked == oldest && count_sent(TERN_PART, 0) > 0);
}

static void a_tail_that_is_cut_off_is_not_followed(void)
{
    uint8_t bare[128];
    open_with(30, EPOCH);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.crc[0] = 0x12345678;
    size_t size = write_answer(bare, TERN_WELCOME, &answer) - 4;
    send_down(bare, tern_frame_seal(bare, size - 1, EPOCH));
    run(100);
    CHECK_EQ(count_sent(TERN_PART, 0), 0);
    CHECK_EQ(lane()->log.epochs[0].epoch, EPOCH);
}

/* One frame of the first chunk is out, and the link then takes nothing. */
static size_t open_in_the_middle(int rows)
{
    open_bench(1);
    bench.config.frame_size = TERN_FRAME_SIZE_MIN;
    put_rows(&climate, 1, rows);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, EPOCH, 1), TERN_OK);
    greet();
    welcome(0, EPOCH, 1, 0);
    while (count_sent(TERN_PART, 0) == 0)
        CHECK(tern_poll(&bench.tern) >= 0);
    CHECK(lane()->sender.offset != 0 && lane()->sender.offset < lane()->sender.chunk.size);
    bench.busy = true;
    return bench.ups;
}

/* DESIGN.md, Log: the gap follows at once, and not when the gateway has missed the records. */
static void a_chunk_that_is_dropped_while_it_is_sent_becomes_a_gap(void)
{
    size_t before = open_in_the_middle(40);
    for (int i = 0; i < 8; i++) {
        put_rows(&climate, 1000 * i, 100);
        run(100);
    }
    CHECK(tern_log_oldest(&lane()->log) > 41);
    bench.busy = false;
    run(100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 0);
    struct gap gap = read_gap(0, before);
    CHECK(gap.first == 1 && gap.last == tern_log_oldest(&lane()->log) - 1);
    for (size_t i = 0; i < bench.ups - before && bench.up[before + i].data[0] != TERN_GAP; i++)
        CHECK(read_part(&bench.up[before + i]).first == 1); /* the frame that the link would not take */
}

/* All that is left has been damaged: the gap goes up to the newest record. */
static void records_lost_at_the_end_become_a_gap(void)
{
    uint8_t kept[SECTOR * SECTORS];
    size_t before = open_in_the_middle(5);
    struct tern_log_chunk other = {.address = TERN_NO_ADDRESS};
    uint32_t address = lane()->sender.chunk.address;
    memcpy(kept, bench.memory[0], sizeof(kept));
    memset(bench.memory[0] + address, 0x55, lane()->sender.chunk.size);
    CHECK_EQ(tern_log_find(&lane()->log, 1, &other), TERN_AGAIN);
    lane()->log.found = TERN_NO_ADDRESS; /* as after another search */
    bench.busy = false;
    run(100);
    struct gap gap = read_gap(0, before);
    CHECK(gap.first == 1 && gap.last == 5 && (gap.reason & 7) == TERN_GAP_DAMAGED);
    CHECK_EQ(lane()->sender.sequence, 6);
    /* Even if it comes back, it has been given up. */
    memcpy(bench.memory[0], kept, sizeof(kept));
    CHECK_EQ(tern_log_find(&lane()->log, 1, &other), TERN_OK);
    before = bench.ups;
    run(1000);
    CHECK_EQ(count_sent(TERN_PART, before), 0);
    ack(0, 6); /* which is behind any chunk that was found */
    run(100);
    CHECK(tern_backlog(&bench.tern) == 0 && bench.tern.bad_frames == 0);
}

/* The chunk that was sent last ends below what the gateway acknowledges. */
static void a_gap_behind_the_newest_chunk_is_acknowledged(void)
{
    struct tern_log_chunk second = {.address = TERN_NO_ADDRESS};
    open_with(5, EPOCH);
    lane()->chunk.is_full = 1;
    put_rows(&climate, 100, 5);
    CHECK_EQ(tern_log_find(&lane()->log, 6, &second), TERN_OK);
    CHECK_EQ(second.first, 6);
    memset(bench.memory[0] + second.address, 0x55, second.size);
    lane()->log.found = TERN_NO_ADDRESS;
    welcome(0, EPOCH, 1, 0);
    run(100);
    struct gap gap = read_gap(0, 0);
    CHECK(gap.first == 6 && gap.last == 10);
    ack(0, 11);
    run(100);
    CHECK(tern_backlog(&bench.tern) == 0 && bench.tern.bad_frames == 0);
}

/* Nor does it say that a batch lost its head where no record of the same epoch follows. */
static void a_gap_ends_with_its_epoch(void)
{
    open_bench(1);
    put_rows(&climate, 1, 20);
    lane()->chunk.is_full = 1;
    put_rows(&climate, 100, 20);
    lane()->chunk.is_full = 1;
    put_rows(&climate, 200, 20);
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    CHECK_EQ(tern_log_find(&lane()->log, 21, &chunk), TERN_OK);
    CHECK(chunk.first == 21 && chunk.next == 41);
    memset(bench.memory[0] + chunk.address, 0x55, chunk.size);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, EPOCH, 1), TERN_OK);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, EPOCH + 8, 31), TERN_OK);
    greet();
    welcome(0, EPOCH, 1, 0);
    run(100);
    struct gap gap = read_gap(0, 0);
    CHECK(gap.first == 21 && gap.last == 30);
    CHECK_EQ(gap.reason, TERN_GAP_DAMAGED);
}

/* The gateway takes none of what stands behind the gap: all of it goes again. */
static void what_stands_behind_a_chunk_that_is_given_up_goes_again(void)
{
    uint32_t address, size;
    open_bench(1);
    put_rows(&climate, 1, 3);
    reopen();
    bench.config.frame_size = TERN_FRAME_SIZE_MIN;
    put_rows(&alarms, 1, 20);
    lane()->chunk.is_full = 1;
    put_rows(&alarms, 100, 20);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, EPOCH, 1), TERN_OK);
    greet();
    CHECK_EQ(tern_log_find_schema(&lane()->log, tern_schema_hash(&climate), &address, &size), TERN_OK);
    bench.memory[0][address + 5] ^= 4;
    welcome(0, EPOCH, 1, 0);
    while (lane()->sender.chunk.first < 20)
        CHECK(tern_poll(&bench.tern) >= 0);
    CHECK(lane()->sender.offset != 0 && lane()->sender.offset < lane()->sender.chunk.size);
    size_t before = bench.ups;
    uint8_t bare[128];
    struct tern_output output = message(bare, TERN_WANT, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
    struct gap gap = read_gap(0, before);
    CHECK(gap.first == 1 && gap.last == 3);
    size_t at = before;
    while (at < bench.ups && bench.up[at].data[0] != TERN_GAP)
        at++;
    struct part part = read_part(sent(TERN_PART, 0, at));
    CHECK(part.first == 4 && part.offset == 0);
    uint32_t crc;
    CHECK_EQ(assemble(at, &crc), 40);
    ack(0, 4); /* the gap alone */
    run(10);
    CHECK(lane()->log.acked == 4 && bench.tern.bad_frames == 0);
}

/* In the middle of being sent: no more of it follows. */
static void nothing_follows_of_a_chunk_that_is_given_up(void)
{
    uint32_t address, size;
    uint8_t bare[128];
    open_bench(1);
    put_rows(&climate, 1, 20);
    reopen();
    bench.config.frame_size = TERN_FRAME_SIZE_MIN;
    put_rows(&alarms, 1, 3);
    CHECK_EQ(tern_log_set_epoch(&lane()->log, EPOCH, 1), TERN_OK);
    greet();
    CHECK_EQ(tern_log_find_schema(&lane()->log, tern_schema_hash(&climate), &address, &size), TERN_OK);
    bench.memory[0][address + 5] ^= 4;
    welcome(0, EPOCH, 1, 0);
    while (lane()->sender.offset == 0)
        CHECK(tern_poll(&bench.tern) >= 0);
    CHECK(lane()->sender.first == 1 && lane()->sender.offset < lane()->sender.chunk.size);
    struct tern_output output = message(bare, TERN_WANT, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
    struct gap gap = read_gap(0, 0);
    CHECK(gap.first == 1 && gap.last == 20);
    size_t at = 0;
    while (at < bench.ups && bench.up[at].data[0] != TERN_GAP)
        at++;
    struct part part = read_part(sent(TERN_PART, 0, at));
    CHECK(part.first == 21 && part.offset == 0);
}

int main(void)
{
    RUN(a_hello_names_the_store_that_acknowledged);
    RUN(a_nonce_is_random_and_never_the_same);
    RUN(without_random_numbers_a_nonce_depends_on_the_time);
    RUN(the_greatest_epoch_of_all_is_taken);
    RUN(no_lane_behind_the_last_is_looked_at);
    RUN(what_is_under_way_is_what_two_marks_say);
    RUN(an_answer_has_four_seconds_and_twice_that_after_each_that_did_not_come);
    RUN(an_answer_ends_the_growth_of_patience);
    RUN(an_ack_that_acknowledges_nothing_new_is_no_answer);
    RUN(an_ack_that_acknowledges_a_little_is_one);
    RUN(an_ack_that_only_asks_for_a_pause_is_one);
    RUN(a_device_refused_again_and_again_waits_eight_minutes);
    RUN(a_device_that_has_sent_all_does_not_read_its_flash);
    RUN(a_commit_without_a_record_is_sent);
    RUN(a_chunk_that_went_out_on_trust_goes_on_where_it_was);
    RUN(the_border_of_what_has_been_erased_is_believed);
    RUN(a_tail_that_is_cut_off_is_not_followed);
    RUN(a_chunk_that_is_dropped_while_it_is_sent_becomes_a_gap);
    RUN(records_lost_at_the_end_become_a_gap);
    RUN(a_gap_behind_the_newest_chunk_is_acknowledged);
    RUN(a_gap_ends_with_its_epoch);
    RUN(what_stands_behind_a_chunk_that_is_given_up_goes_again);
    RUN(nothing_follows_of_a_chunk_that_is_given_up);
    return test_report();
}
