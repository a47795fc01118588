/* SPDX-License-Identifier: MIT */
/* What a gateway may answer, at the edges of what a device takes: continuity that is lost, frames of a wrong
 * form, links that lie. */
#include "../test.h"

#include "bench.h"

#define EPOCH_LAST 0x7FFFFFFFu

static struct tern_epoch epoch_now(void)
{
    return bench.lanes[0].log.epochs[0];
}

/* A connection later: the device says HELLO, and hears that WELCOME. */
static size_t meet_again(uint32_t next, uint32_t back, uint32_t crc)
{
    size_t before = bench.ups;
    bench.session++;
    run(10);
    struct answer answer = answer_to(0, EPOCH, next);
    answer.back[0] = back;
    answer.crc[0] = crc;
    say(TERN_WELCOME, answer);
    run(100);
    return before;
}

/* ---- Continuity ------------------------------------------------------------------------------ */

static void a_store_that_is_ahead_without_proof_shares_nothing(void)
{
    push_all(30);
    size_t before = meet_again(90, 0, 0);
    CHECK_EQ(count_sent(TERN_HELLO, before), 2);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 1);
    CHECK_EQ(bench.lanes[0].log.acked, 1); /* all of it goes again, under the new name */
}

static void a_store_that_is_ahead_shares_what_it_can_prove(void)
{
    uint32_t crc = push_all(30);
    size_t before = meet_again(90, 59, crc);
    CHECK_EQ(count_sent(TERN_HELLO, before), 2);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 31);
    CHECK_EQ(bench.lanes[0].log.acked, 31);
}

/* What is gone cannot be compared, and is believed: here all that has been erased. */
static void what_has_been_erased_is_believed(void)
{
    uint32_t oldest;
    push_all(30);
    put_rows(&climate, 100, 600);
    oldest = tern_log_oldest(&bench.lanes[0].log);
    CHECK(oldest > 31);
    meet_again(31, 0, 0x12345678);
    CHECK_EQ(epoch_now().epoch, EPOCH);
    meet_again(oldest, 0, 0x12345678);
    CHECK_EQ(epoch_now().epoch, EPOCH);
    meet_again(oldest + 1, 0, 0x12345678);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == oldest);
}

/* Nor can what has been lost be compared: a sector whose erase a power cut has ended may be all that the log
 * begins with. */
static void what_has_been_lost_is_believed_and_what_is_there_is_not(void)
{
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    push_all(30);
    bench.lanes[0].chunk.is_full = 1;
    put_rows(&climate, 100, 10);
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 31, &chunk), TERN_OK);
    CHECK_EQ(chunk.first, 31);
    memset(bench.memory[0] + chunk.address, 0x55, chunk.size);
    bench.lanes[0].log.found = TERN_NO_ADDRESS;
    meet_again(41, 0, 0x12345678); /* 40, the newest, is lost */
    CHECK_EQ(epoch_now().epoch, EPOCH);
    bench.lanes[0].chunk.is_full = 1;
    put_rows(&climate, 200, 10);
    meet_again(41, 0, 0x12345678);
    CHECK_EQ(epoch_now().epoch, EPOCH);
    CHECK_EQ(bench.lanes[0].log.acked, 41);
    meet_again(42, 0, 0x12345678); /* 41 is another */
    CHECK(epoch_now().epoch == EPOCH + 8);
    open_bench(1);
    push_all(30);
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 1, &chunk), TERN_OK);
    memset(bench.memory[0] + chunk.address, 0x55, chunk.size);
    meet_again(32, 0, 0x12345678); /* 31 has not been here */
    CHECK(epoch_now().epoch == EPOCH + 8);
}

static void a_tail_of_other_records_proves_nothing(void)
{
    uint32_t crc = push_all(30);
    meet_again(31, 0, crc ^ 1);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 1);
}

static void a_tail_inside_a_segment_proves_nothing(void)
{
    uint32_t crc = push_all(30);
    meet_again(31, 5, crc);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 1);
}

static void a_store_behind_the_epochs_base_goes_on_at_its_base(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 21), TERN_OK);
    tern_log_acknowledge(&bench.lanes[0].log, 21, STORE);
    run(10);
    welcome(0, EPOCH, 5, 0);
    run(100);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 21);
    welcome(0, EPOCH + 8, 21, 0);
    run(100);
    CHECK(epoch_now().epoch == EPOCH + 8 && count_sent(TERN_PART, 0) > 0);
}

/* What the store holds beyond the end of an old epoch was parted with when the next one began: a start that
 * has forgotten the acknowledgement must not send the records behind that point under yet another one. */
static void an_old_epoch_that_is_shared_to_its_end_is_not_left_twice(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH + 8, 11), TERN_OK);
    run(10);
    /* The session is about the old epoch, which ends at 11; the store has 31, with our own CRC. */
    uint32_t crc;
    CHECK_EQ(tern_log_segment_crc(&bench.lanes[0].log, 31, &crc), TERN_OK);
    struct answer answer = answer_to(0, EPOCH, 31);
    answer.crc[0] = crc;
    size_t before = bench.ups;
    say(TERN_WELCOME, answer);
    run(100);
    CHECK(epoch_now().epoch == EPOCH + 8 && epoch_now().base == 11);
    CHECK_EQ(bench.lanes[0].log.acked, 11);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    welcome(0, EPOCH + 8, 11, 0);
    run(100);
    CHECK(count_sent(TERN_PART, before) > 0);
}

/* Of the old epoch they share less than its end: the records from there on, and those of the epoch in force,
 * go by a new one. */
static void an_old_epoch_that_is_not_shared_to_its_end_gives_way_to_a_third(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH + 8, 21), TERN_OK);
    run(10);
    size_t before = bench.ups;
    welcome(0, EPOCH, 31, 0x12345678);
    run(100);
    CHECK(epoch_now().epoch == EPOCH + 16 && epoch_now().base == 1);
    CHECK_EQ(bench.lanes[0].log.epochs[1].epoch, 0);
    CHECK_EQ(bench.lanes[0].log.acked, 1);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    before = bench.ups;
    welcome(0, EPOCH + 16, 1, 0);
    run(100);
    uint32_t crc;
    CHECK_EQ(assemble(before, &crc), 30);
}

static void a_tail_that_is_cut_off_opens_no_epoch(void)
{
    uint8_t bare[128];
    for (int cut = 0; cut < 2; cut++) {
        uint32_t crc = push_all(30);
        size_t before = bench.ups;
        bench.session++;
        run(10);
        struct answer answer = answer_to(0, EPOCH, cut ? 31 : 90);
        answer.crc[0] = crc ^ 1;
        size_t size = write_answer(bare, TERN_WELCOME, &answer) - 4 - 1;
        send_down(bare, tern_frame_seal(bare, size, EPOCH));
        run(100);
        CHECK_EQ(count_sent(TERN_HELLO, before), 1);
        CHECK_EQ(epoch_now().epoch, EPOCH);
    }
}

/* The lane's last epoch but one has not been acknowledged, and no third can be kept: the device stays where
 * it is. */
static void an_epoch_that_flash_does_not_take_is_not_opened(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH_LAST & ~7u, 1), TERN_OK);
    run(10);
    welcome(0, EPOCH_LAST & ~7u, 90, 0); /* there is no epoch above */
    run(100);
    CHECK(epoch_now().epoch == (EPOCH_LAST & ~7u) && count_sent(TERN_HELLO, 0) == 1);
}

static void the_greatest_epoch_is_taken_and_no_greater(void)
{
    open_bench(1);
    put_rows(&climate, 1, 3);
    run(10);
    welcome(0, (EPOCH_LAST & ~7u) + 8, 1, 0);
    run(10);
    CHECK_EQ(epoch_now().epoch, 0);
    welcome(0, EPOCH_LAST & ~7u, 1, 0);
    run(10);
    CHECK_EQ(epoch_now().epoch, EPOCH_LAST & ~7u);
}

static void a_welcome_about_another_epoch_than_ours_is_not_followed(void)
{
    push_all(30);
    put_rows(&climate, 100, 10);
    size_t before = bench.ups;
    bench.session++;
    bench.lanes[0].sender.state = 0; /* as after a start: nothing goes out on trust */
    run(10);
    welcome(0, EPOCH + 8, 1, 0);
    run(100);
    CHECK_EQ(epoch_now().epoch, EPOCH);
    CHECK_EQ(count_sent(TERN_PART, before), 0);
    CHECK_EQ(bench.lanes[0].log.acked, 31);
}

/* Records that went out right behind the HELLO: the WELCOME may be behind them, in them or ahead. */
static void records_sent_on_trust_are_called_back_only_where_they_do_not_fit(void)
{
    static const struct {
        uint32_t next;
        bool again;
    } cases[] = {{31, false}, {36, false}, {41, false}, {21, true}, {1, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        push_all(30);
        put_rows(&climate, 100, 10);
        size_t before = bench.ups;
        bench.session++;
        run(10);
        CHECK(count_sent(TERN_PART, before) == 1); /* all of it */
        before = bench.ups;
        welcome(0, EPOCH, cases[i].next, 0);
        run(100);
        CHECK_EQ(count_sent(TERN_PART, before) != 0, cases[i].again);
        CHECK_EQ(bench.lanes[0].log.acked, cases[i].next);
    }
}

/* What went out on trust ends at the first window: a store that has more already goes on from there. */
static void a_store_ahead_of_what_went_out_on_trust_is_followed(void)
{
    push_all(10);
    put_rows(&climate, 100, 200);
    size_t before = bench.ups;
    bench.session++;
    run(10);
    uint32_t sent_on_trust = bench.lanes[0].sender.sequence;
    CHECK(sent_on_trust > 11 && sent_on_trust < 211);
    welcome(0, EPOCH, 211, 0);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    CHECK_EQ(bench.lanes[0].sender.sequence, 211);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
}

/* Chunks of the next epoch are not sent in the session of the one before, not even from its very end on. */
static void an_old_epoch_ends_before_the_first_record_of_the_next(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    bench.lanes[0].chunk.is_full = 1;
    put_rows(&climate, 100, 10);
    CHECK_EQ(bench.lanes[0].chunk.first, 31);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH + 8, 31), TERN_OK);
    bench.session++; /* a HELLO that is about the old one */
    bench.ups = 0;
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK(count_sent(TERN_PART, 0) > 0 && count_sent(TERN_GAP, 0) == 0);
    for (size_t i = 0; i < count_sent(TERN_PART, 0); i++)
        CHECK(read_part(sent(TERN_PART, i, 0)).first < 31);
}

static size_t bytes_sent_into(uint32_t window)
{
    size_t bytes = 0;
    open_bench(1);
    put_rows(&climate, 1, 150);
    run(10);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.window = window;
    say(TERN_WELCOME, answer);
    run(100);
    for (size_t i = 0; i < count_sent(TERN_PART, 0); i++)
        bytes += read_part(sent(TERN_PART, i, 0)).size;
    return bytes;
}

/* A chunk once begun is finished, and no other begun in a window that is full. */
static void a_window_is_full_when_so_many_bytes_are_under_way(void)
{
    size_t one = bytes_sent_into(1);
    CHECK(one > 100);
    CHECK_EQ(bytes_sent_into((uint32_t)one), one);
    CHECK(bytes_sent_into((uint32_t)one + 1) > one);
    CHECK_EQ(bytes_sent_into(0), 0);
}

/* A store that has more of the chunk than the log has kept: it is compared from its start. */
static void a_part_behind_the_chunks_end_begins_it_anew(void)
{
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    open_bench(1);
    put_rows(&climate, 1, 20);
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 1, &chunk), TERN_OK);
    for (uint32_t more = 0; more < 2; more++) {
        reopen();
        size_t before = bench.ups;
        run(10);
        struct answer answer = answer_to(0, EPOCH, 1);
        answer.first = 1;
        answer.offset = chunk.size + more;
        say(TERN_WELCOME, answer);
        run(100);
        struct part part = read_part(sent(TERN_PART, 0, before));
        CHECK_EQ(part.offset, more ? 0 : chunk.size);
        CHECK_EQ(part.size, more ? chunk.size : 0);
    }
}

/* ---- Form ------------------------------------------------------------------------------------ */

static void every_cut_of_an_answer_is_bad(void)
{
    uint8_t bare[128];
    static const uint8_t kinds[] = {TERN_WELCOME, TERN_ACK};
    for (int kind = 0; kind < 2; kind++) {
        open_bench(1);
        put_rows(&climate, 1, 5);
        run(10);
        struct answer answer = answer_to(0, EPOCH, 1);
        if (kind == 1) {
            say(TERN_WELCOME, answer);
            run(10);
            answer.next = 6;
        }
        size_t whole = write_answer(bare, kinds[kind], &answer) - 4;
        uint16_t bad = 0;
        for (size_t size = 1; size < whole; size++, bad++) {
            send_down(bare, tern_frame_seal(bare, size, EPOCH));
            write_answer(bare, kinds[kind], &answer);
            run(10);
        }
        CHECK_EQ(bench.tern.bad_frames, bad);
        CHECK_EQ(tern_backlog(&bench.tern), 5);
        CHECK(kind == 1 || epoch_now().epoch == 0);
        send_down(bare, whole + 4);
        run(10);
        CHECK_EQ(bench.tern.bad_frames, bad);
        CHECK_EQ(tern_backlog(&bench.tern), kind == 1 ? 0 : 5);
    }
}

static void a_welcome_says_where_to_go_on(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    welcome(0, EPOCH, 0, 0);
    run(10);
    CHECK(bench.tern.bad_frames == 1 && epoch_now().epoch == 0);
    welcome(0, EPOCH, 1, 0);
    run(10);
    CHECK(bench.tern.bad_frames == 1 && epoch_now().epoch == EPOCH);
}

/* Between a HELLO that is due and one that is out: there is no session that it could be about. */
static void a_welcome_to_nobody_is_dropped(void)
{
    uint8_t bare[128];
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    struct tern_output output = message(bare, TERN_REFUSED, TERN_REFUSED_BUSY);
    finish(&output);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(10);
    CHECK(bench.tern.bad_frames == 1 && epoch_now().epoch == 0);
    CHECK_EQ(bench.tern.refused, TERN_REFUSED_BUSY);
}

static void an_answer_of_unknown_kind_or_lane_is_bad(void)
{
    uint8_t bare[128];
    push_all(5);
    struct tern_output output = message(bare, 0x45, 0);
    tern_write8(&output, 1); /* as an ACK of record 0 would be, which is well formed */
    for (int i = 0; i < 5; i++)
        tern_write8(&output, 0);
    finish(&output);
    run(10);
    CHECK_EQ(bench.tern.bad_frames, 1);
    output = message(bare, TERN_WANT, 1);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(10);
    CHECK_EQ(bench.tern.bad_frames, 2);
    CHECK_EQ(count_sent(TERN_SCHEMA, 0), 0);
}

static void an_ack_before_any_welcome_changes_nothing(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    run(10);
    ack(0, 6);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 5);
    CHECK_EQ(bench.tern.bad_frames, 0);
}

static void bad_frames_are_counted_to_the_end(void)
{
    push_all(5);
    bench.tern.bad_frames = UINT16_MAX - 1;
    for (int i = 0; i < 3; i++) {
        ack(0, 100);
        run(10);
        CHECK_EQ(bench.tern.bad_frames, UINT16_MAX);
    }
}

static void a_device_refused_for_ever_asks_every_ten_minutes_at_the_latest(void)
{
    uint8_t bare[128];
    open_bench(1);
    put_rows(&climate, 1, 1);
    run(10);
    for (int i = 0; i < 12; i++) {
        struct tern_output output = message(bare, TERN_REFUSED, TERN_REFUSED_IDENTITY);
        finish(&output);
        size_t before = bench.ups;
        run(16000u * 32 + 4096 + 100);
        CHECK(count_sent(TERN_HELLO, before) >= 1);
    }
}

/* A WELCOME of so many bytes, full of tails that nobody asks for; to a device that hears streams or
 * datagrams. */
static void welcome_of(size_t size, uint16_t datagram)
{
    uint8_t bare[128];
    open_bench(1);
    bench.link.datagram = datagram;
    put_rows(&climate, 1, 5);
    run(100);
    CHECK_EQ(bench.tern.bad_frames, 0); /* where nothing has come, nothing is wrong */
    struct answer answer = answer_to(0, EPOCH, 1);
    struct tern_output output = message(bare, TERN_WELCOME, 0);
    output.size = write_answer(bare, TERN_WELCOME, &answer) - 4;
    size_t left = size - 4 - output.size;
    for (; left != 0; left -= left % 6 == 0 ? 6 : 7) {
        tern_write_varint(&output, left % 6 == 0 ? 0 : 200);
        tern_write_varint(&output, UINT32_MAX);
    }
    CHECK_EQ(tern_frame_seal(bare, output.size, EPOCH), size);
    if (datagram == 0) {
        send_down(bare, size);
    } else {
        memcpy(bench.down, bare, size);
        bench.down_size = size;
    }
    run(100);
}

static void what_a_device_says_that_it_receives_it_does_and_no_more(void)
{
    for (uint16_t datagram = 0; datagram <= 200; datagram = (uint16_t)(datagram + 200)) {
        welcome_of(TERN_RECEIVE_SIZE, datagram);
        CHECK(epoch_now().epoch == EPOCH && bench.tern.bad_frames == 0);
        welcome_of(TERN_RECEIVE_SIZE + 2, datagram);
        CHECK(epoch_now().epoch == 0 && bench.tern.bad_frames != 0);
    }
}

/* ---- Schemas that are wanted ----------------------------------------------------------------- */

static void want(uint32_t hash, uint32_t offset)
{
    uint8_t bare[128];
    struct tern_output output = message(bare, TERN_WANT, 0);
    tern_write_varint(&output, hash);
    tern_write_varint(&output, offset);
    finish(&output);
}

static void a_schema_is_sent_from_where_it_is_wanted_and_not_from_its_end(void)
{
    uint32_t size = (uint32_t)tern_schema_size(&climate);
    push_all(5);
    want(tern_schema_hash(&climate), size - 1);
    run(100);
    CHECK_EQ(count_sent(TERN_SCHEMA, 0), 1);
    const struct frame *frame = sent(TERN_SCHEMA, 0, 0);
    CHECK(frame != NULL && frame->data[frame->size - 5] == 's'); /* celsius */
    struct tern_input input = {frame->data + 2, frame->size - 6, false};
    CHECK_EQ(tern_read_varint(&input), tern_schema_hash(&climate));
    CHECK_EQ(tern_read_varint(&input), size - 1);
    CHECK_EQ(input.size, 1);
    want(tern_schema_hash(&climate), size);
    want(tern_schema_hash(&climate), size + 1);
    want(tern_schema_hash(&climate), UINT32_MAX);
    want(tern_schema_hash(&climate) ^ 1, 0);
    want(0, 0);
    run(100);
    CHECK_EQ(count_sent(TERN_SCHEMA, 0), 1);
    CHECK_EQ(bench.tern.bad_frames, 0);
}

static void a_schema_is_sent_as_often_as_it_is_wanted_and_from_the_lane_that_is_asked(void)
{
    uint8_t bare[128];
    open_bench(2);
    put_rows(&climate, 1, 5);
    put_rows(&bulk, 1, 5);
    run(10);
    welcome(0, EPOCH, 1, 0);
    welcome(1, EPOCH + 1, 1, 0);
    run(100);
    for (size_t i = 0; i < 3; i++) {
        struct tern_output output = message(bare, TERN_WANT, 1);
        tern_write_varint(&output, tern_schema_hash(&bulk));
        tern_write_varint(&output, 0);
        send_down(bare, tern_frame_seal(bare, output.size, EPOCH + 1));
        run(100);
        CHECK_EQ(count_sent(TERN_SCHEMA, 0), i + 1);
        const struct frame *frame = sent(TERN_SCHEMA, i, 0);
        CHECK(frame != NULL && frame->data[1] == 1);
        CHECK(frame != NULL && frame->size > tern_schema_size(&bulk));
    }
}

/* The schema of the first table is lost, and firmware has not written it again. */
static void open_without_schema(int rows)
{
    uint32_t address, size;
    open_bench(1);
    put_rows(&climate, 1, rows);
    reopen();
    CHECK_EQ(tern_log_find_schema(&bench.lanes[0].log, tern_schema_hash(&climate), &address, &size), TERN_OK);
    bench.memory[0][address + 5] ^= 4;
}

static void a_chunk_is_given_up_only_where_the_gateway_waits_at_it(void)
{
    open_without_schema(30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    run(10);
    want(tern_schema_hash(&climate), 0); /* before any WELCOME: where it waits is not known */
    run(100);
    CHECK_EQ(count_sent(TERN_GAP, 0), 0);
    welcome(0, EPOCH, 1, 0);
    run(100);
    ack(0, 31);
    run(100);
    want(tern_schema_hash(&climate), 0); /* it waits for nothing */
    run(100);
    CHECK_EQ(count_sent(TERN_GAP, 0), 0);
    put_rows(&alarms, 1, 10);
    run(100);
    want(tern_schema_hash(&climate), 0); /* it waits at a chunk of another table */
    run(100);
    CHECK_EQ(count_sent(TERN_GAP, 0), 0);
}

/* What it waits at has been dropped since: that is another gap, which the log tells by itself. */
static void a_chunk_behind_a_hole_is_not_given_up(void)
{
    uint32_t address, size;
    open_bench(1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(10);
    bench.busy = true;
    put_rows(&climate, 1, 600);
    struct tern_log *log = &bench.lanes[0].log;
    CHECK(tern_log_oldest(log) > 1);
    while (tern_log_find_schema(log, tern_schema_hash(&climate), &address, &size) == TERN_OK)
        bench.memory[0][address + 5] ^= 4;
    want(tern_schema_hash(&climate), 0);
    bench.busy = false;
    size_t before = bench.ups;
    run(100);
    CHECK_EQ(count_sent(TERN_GAP, before), 1);
    const struct frame *gap = sent(TERN_GAP, 0, before);
    CHECK(gap != NULL && gap->data[gap->size - 5] == (TERN_GAP_OVERFLOW | TERN_GAP_LEADS));
}

/* A chunk that goes on across the border of an epoch is given up in each epoch's session by itself. */
static void what_is_given_up_of_an_old_epoch_ends_with_it(void)
{
    static const struct {
        uint32_t base, last; /* of the epoch in force, of the gap */
    } cases[] = {{21, 20}, {30, 29}, {31, 30}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_without_schema(30);
        CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
        CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH + 8, cases[i].base), TERN_OK);
        run(10);
        welcome(0, EPOCH, 1, 0);
        run(100);
        size_t before = bench.ups;
        want(tern_schema_hash(&climate), 0);
        run(100);
        const struct frame *gap = sent(TERN_GAP, 0, before);
        if (!CHECK(gap != NULL))
            return;
        struct tern_input input = {gap->data + 2, gap->size - 6, false};
        CHECK_EQ(tern_read_varint(&input), 1);
        CHECK_EQ(tern_read_varint(&input), cases[i].last);
    }
}

static int fail_read(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    (void)address;
    (void)data;
    (void)size;
    return -1;
}

/* Flash that cannot be read now: nothing false is sent, and all of it later. */
static void what_cannot_be_read_is_sent_when_it_can(void)
{
    uint32_t crc;
    push_all(5);
    put_rows(&climate, 100, 20);
    size_t before = bench.ups;
    struct tern_log_chunk chunk = {.address = TERN_NO_ADDRESS};
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 6, &chunk), TERN_OK);
    bench.lanes[0].sender.chunk = chunk; /* found, and then not to be read */
    bench.lanes[0].sender.offset = 0;
    bench.lanes[0].sender.first = chunk.first;
    bench.flash[0].read = fail_read;
    want(tern_schema_hash(&climate), 0);
    run(100);
    CHECK_EQ(bench.ups, before);
    bench.flash[0].read = flash_read;
    run(100);
    CHECK(assemble(before, &crc) >= 20);
}

/* ---- Links that lie -------------------------------------------------------------------------- */

static int32_t takes_more;

static int32_t lying_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    (void)data;
    return takes_more == 0 ? -1 : (int32_t)size + takes_more;
}

static int32_t lying_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    (void)data;
    return (int32_t)size + 1;
}

static void a_link_that_takes_more_than_it_was_given_has_taken_nothing(void)
{
    for (takes_more = 0; takes_more < 2; takes_more++) {
        open_bench(1);
        bench.link.send = lying_send;
        put_rows(&climate, 1, 5);
        run(100);
        CHECK_EQ(bench.tern.frame_next, 0);
        bench.link.send = link_send;
        run(100);
        CHECK_EQ(count_sent(TERN_HELLO, 0), 1);
    }
}

static void a_datagram_longer_than_its_buffer_is_none(void)
{
    open_bench(1);
    bench.link.datagram = 200;
    bench.link.receive = lying_receive;
    put_rows(&climate, 1, 5);
    run(100);
    CHECK_EQ(bench.tern.bad_frames, 0);
    CHECK_EQ(count_sent(TERN_HELLO, 0), 1);
}

/* The largest frame that a device takes, and one byte more, as datagrams and in a stream. */
static void a_frame_that_is_too_long_is_bad_and_the_next_one_is_taken(void)
{
    uint8_t bare[200] = {TERN_WELCOME};
    for (int is_stream = 0; is_stream < 2; is_stream++) {
        open_bench(1);
        bench.link.datagram = is_stream ? 0 : 200;
        put_rows(&climate, 1, 5);
        run(10);
        for (size_t size = TERN_RECEIVE_SIZE; size <= TERN_RECEIVE_SIZE + 20; size++) {
            memset(bare + 1, 7, sizeof(bare) - 1);
            tern_frame_seal(bare, size - 4, 0);
            bench.down_at = bench.down_size = 0;
            if (is_stream)
                send_down(bare, size);
            else
                memcpy(bench.down, bare, bench.down_size = size);
            run(10);
        }
        CHECK(bench.tern.bad_frames > 0 && epoch_now().epoch == 0);
        bench.down_at = bench.down_size = 0;
        struct answer answer = answer_to(0, EPOCH, 1);
        size_t size = write_answer(bare, TERN_WELCOME, &answer);
        if (is_stream)
            send_down(bare, size);
        else
            memcpy(bench.down, bare, bench.down_size = size);
        run(10);
        CHECK_EQ(epoch_now().epoch, EPOCH);
    }
}

/* A frame buffer smaller than the link's datagrams is filled, and no more. */
static void frames_are_as_long_as_buffer_and_datagram_allow(void)
{
    for (uint16_t datagram = DATAGRAM_LEAST; datagram <= 200; datagram += 8) {
        size_t longest = 0;
        open_bench(1);
        bench.link.datagram = datagram;
        bench.config.frame_size = 120;
        put_rows(&climate, 1, 40);
        run(10);
        uint8_t bare[128];
        struct answer answer = answer_to(0, EPOCH, 1);
        memcpy(bench.down, bare, bench.down_size = write_answer(bare, TERN_WELCOME, &answer));
        run(100);
        for (size_t i = 0; i < bench.ups; i++)
            longest = bench.up[i].size > longest ? bench.up[i].size : longest;
        CHECK_EQ(longest, datagram < 116 ? datagram : 116);
    }
}

/* ---- Connections and patience ---------------------------------------------------------------- */

static void a_half_frame_is_forgotten_with_its_connection(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    welcome(0, EPOCH, 1, 0);
    bench.down_size -= 10;
    run(10);
    CHECK_EQ(epoch_now().epoch, 0);
    bench.down_at = bench.down_size = 0;
    bench.session++;
    run(10);
    uint8_t bare[128];
    struct answer answer = answer_to(0, EPOCH, 1);
    size_t size = write_answer(bare, TERN_WELCOME, &answer);
    send_down(bare, size);
    bench.down_at = 1; /* without the leading zero, which would have ended the half frame */
    run(10);
    CHECK(epoch_now().epoch == EPOCH && bench.tern.bad_frames == 0);
}

/* As a serial line brings it: a few bytes between one poll and the next. */
static void a_frame_may_come_in_pieces(void)
{
    for (size_t piece = 1; piece < 20; piece++) {
        open_bench(1);
        put_rows(&climate, 1, 5);
        run(10);
        welcome(0, EPOCH, 1, 0);
        size_t whole = bench.down_size;
        for (bench.down_size = 0; bench.down_size < whole; run(20))
            bench.down_size = bench.down_size + piece < whole ? bench.down_size + piece : whole;
        CHECK(epoch_now().epoch == EPOCH && bench.tern.bad_frames == 0);
    }
}

static void a_wish_is_forgotten_with_its_connection(void)
{
    push_all(5);
    bench.busy = true;
    put_rows(&climate, 100, 1);
    run(10);
    want(tern_schema_hash(&climate), 0);
    run(10);
    bench.session++;
    bench.busy = false;
    run(100);
    CHECK_EQ(count_sent(TERN_SCHEMA, 0), 0);
}

static void run_minutes(int minutes)
{
    for (; minutes > 0; minutes--)
        run(60000);
}

static void patience_and_pause_end_with_their_connection(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run_minutes(60);
    bench.session++;
    size_t before = bench.ups = 0;
    run(10);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    run(5100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 2);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.pause = 600000;
    say(TERN_WELCOME, answer);
    run(1000);
    CHECK_EQ(count_sent(TERN_PART, 0), 0);
    bench.session++;
    before = bench.ups;
    run(10);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
}

static void patience_grows_to_two_minutes_and_no_further(void)
{
    uint32_t hellos = 0;
    open_bench(1);
    put_rows(&climate, 1, 5);
    run_minutes(10);
    for (int hour = 0; hour < 6; hour++) {
        bench.ups = 0;
        run_minutes(60);
        hellos += (uint32_t)count_sent(TERN_HELLO, 0);
    }
    CHECK(hellos >= 6 * 3600 / 130 && hellos <= 6 * 3600 / 128);
}

static void a_device_that_is_owed_nothing_is_silent(void)
{
    push_all(5);
    size_t before = bench.ups;
    run_minutes(60);
    CHECK_EQ(bench.ups, before);
    CHECK_EQ(tern_poll(&bench.tern), 1000);
}

/* What is no answer does not make a device wait longer for one. */
static void garbage_is_no_answer(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    size_t before = bench.ups;
    for (int i = 0; i < 60; i++) {
        memcpy(bench.down, "\0garbage\0", bench.down_size = 9);
        bench.down_at = 0;
        run(100);
    }
    CHECK(bench.tern.bad_frames >= 60 && count_sent(TERN_HELLO, before) == 1);
}

static unsigned zeros;

static int32_t babbling_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    (void)size;
    data[0] = 0;
    return zeros++ < 1000 ? 1 : 0;
}

static void a_babbling_link_does_not_hold_the_caller(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    bench.link.receive = babbling_receive;
    for (zeros = 0; zeros < 100;) {
        unsigned before = zeros;
        bench.now += 20;
        CHECK(tern_poll(&bench.tern) >= 0);
        CHECK_EQ(zeros - before, 8);
    }
}

static void nothing_is_asked_of_a_link_that_is_down(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    bench.session = 0;
    run(10);
    bench.ups = 0;
    zeros = 0;
    bench.link.receive = babbling_receive;
    for (int i = 0; i < 10; i++) {
        bench.now += 1000;
        CHECK_EQ(tern_poll(&bench.tern), 1000);
    }
    CHECK(zeros == 0 && bench.ups == 0);
}

/* The radio may be switched off when a poll that sent has returned. */
static void a_frame_leaves_in_the_poll_that_makes_it(void)
{
    open_bench(1);
    put_rows(&climate, 1, 60);
    bench.session++;
    for (int i = 0; i < 100; i++) {
        if (i == 10)
            welcome(0, EPOCH, 1, 0);
        if (tern_poll(&bench.tern) != 0)
            bench.now += 20;
        CHECK(bench.tern.frame_next >= bench.tern.frame_end);
    }
    CHECK(count_sent(TERN_PART, 0) > 0);
}

static void without_random_numbers_no_two_nonces_are_alike(void)
{
    uint64_t nonces[6];
    open_bench(1);
    bench.clock.random = NULL;
    put_rows(&climate, 1, 1);
    for (int i = 0; i < 6; i++) {
        bench.session++;
        run(10);
        nonces[i] = last_nonce();
        for (int k = 0; k < i; k++)
            CHECK(nonces[k] != nonces[i]);
    }
}

int main(void)
{
    RUN(a_store_that_is_ahead_without_proof_shares_nothing);
    RUN(a_store_that_is_ahead_shares_what_it_can_prove);
    RUN(what_has_been_erased_is_believed);
    RUN(what_has_been_lost_is_believed_and_what_is_there_is_not);
    RUN(a_tail_of_other_records_proves_nothing);
    RUN(a_tail_inside_a_segment_proves_nothing);
    RUN(a_store_behind_the_epochs_base_goes_on_at_its_base);
    RUN(an_old_epoch_that_is_shared_to_its_end_is_not_left_twice);
    RUN(an_old_epoch_that_is_not_shared_to_its_end_gives_way_to_a_third);
    RUN(a_tail_that_is_cut_off_opens_no_epoch);
    RUN(an_epoch_that_flash_does_not_take_is_not_opened);
    RUN(the_greatest_epoch_is_taken_and_no_greater);
    RUN(a_welcome_about_another_epoch_than_ours_is_not_followed);
    RUN(records_sent_on_trust_are_called_back_only_where_they_do_not_fit);
    RUN(a_store_ahead_of_what_went_out_on_trust_is_followed);
    RUN(an_old_epoch_ends_before_the_first_record_of_the_next);
    RUN(a_window_is_full_when_so_many_bytes_are_under_way);
    RUN(a_part_behind_the_chunks_end_begins_it_anew);
    RUN(every_cut_of_an_answer_is_bad);
    RUN(a_welcome_says_where_to_go_on);
    RUN(a_welcome_to_nobody_is_dropped);
    RUN(an_answer_of_unknown_kind_or_lane_is_bad);
    RUN(an_ack_before_any_welcome_changes_nothing);
    RUN(bad_frames_are_counted_to_the_end);
    RUN(a_device_refused_for_ever_asks_every_ten_minutes_at_the_latest);
    RUN(what_a_device_says_that_it_receives_it_does_and_no_more);
    RUN(a_schema_is_sent_from_where_it_is_wanted_and_not_from_its_end);
    RUN(a_schema_is_sent_as_often_as_it_is_wanted_and_from_the_lane_that_is_asked);
    RUN(a_chunk_is_given_up_only_where_the_gateway_waits_at_it);
    RUN(a_chunk_behind_a_hole_is_not_given_up);
    RUN(what_is_given_up_of_an_old_epoch_ends_with_it);
    RUN(what_cannot_be_read_is_sent_when_it_can);
    RUN(a_link_that_takes_more_than_it_was_given_has_taken_nothing);
    RUN(a_datagram_longer_than_its_buffer_is_none);
    RUN(a_frame_that_is_too_long_is_bad_and_the_next_one_is_taken);
    RUN(frames_are_as_long_as_buffer_and_datagram_allow);
    RUN(a_half_frame_is_forgotten_with_its_connection);
    RUN(a_frame_may_come_in_pieces);
    RUN(a_wish_is_forgotten_with_its_connection);
    RUN(patience_and_pause_end_with_their_connection);
    RUN(patience_grows_to_two_minutes_and_no_further);
    RUN(a_device_that_is_owed_nothing_is_silent);
    RUN(garbage_is_no_answer);
    RUN(a_babbling_link_does_not_hold_the_caller);
    RUN(nothing_is_asked_of_a_link_that_is_down);
    RUN(a_frame_leaves_in_the_poll_that_makes_it);
    RUN(without_random_numbers_no_two_nonces_are_alike);
    return test_report();
}
