/* SPDX-License-Identifier: MIT */
/* The device's side of the protocol against a gateway that this test plays by hand. */
#include "../test.h"

#include "bench.h"

/* ---- Tests ----------------------------------------------------------------------------------- */

static void first_contact_gives_the_epoch_and_then_everything_goes(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 100, 50);
    run(100);
    CHECK(count_sent(TERN_HELLO, 0) == 1 && count_sent(TERN_PART, 0) == 0);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(0, &crc), 50);
    CHECK_EQ(tern_backlog(&bench.tern), 50);
    CHECK(tern_committed(&bench.tern, 0) == 50 && tern_acknowledged(&bench.tern, 0) == 0);
    CHECK_EQ(bench.lanes[0].log.epochs[0].epoch, EPOCH);
    ack(0, 51);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    CHECK(bench.tern.time == 1700000000000u && bench.tern.bad_frames == 0);
    reopen();
    CHECK_EQ(bench.lanes[0].log.epochs[0].epoch, EPOCH);
}

static void nothing_leaves_before_its_commit(void)
{
    uint32_t crc;
    open_bench(1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    for (int i = 0; i < 60; i++)
        CHECK_EQ(tern_put(&bench.tern, &climate, row), TERN_OK);
    run(100);
    CHECK_EQ(count_sent(TERN_PART, 0), 0);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    run(100);
    CHECK_EQ(assemble(0, &crc), 60);
}

static void aborted_records_never_leave_and_their_sequence_is_used_again(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 5);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    for (int i = 0; i < 60; i++)
        CHECK_EQ(tern_put(&bench.tern, &climate, row), TERN_OK);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    put_rows(&climate, 50, 3);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(0, &crc), 8);
    CHECK_EQ(bench.lanes[0].log.next, 9);
}

static void a_lost_answer_is_asked_for_again_with_growing_patience(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(60000);
    size_t hellos = count_sent(TERN_HELLO, 0);
    CHECK(hellos >= 4 && hellos <= 6);
    run(600000);
    CHECK(count_sent(TERN_HELLO, 0) - hellos <= 6);
}

static void lost_parts_are_sent_again_from_where_the_gateway_is(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 100);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    size_t before = bench.ups;
    struct part part = read_part(sent(TERN_PART, 0, 0));
    run(5000); /* no ack comes */
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    CHECK_EQ(assemble(before, &crc), 100);
    reopen(); /* the position is not known any more, and not believed */
    before = bench.ups;
    run(100);
    CHECK(count_sent(TERN_HELLO, before) == 1 && count_sent(TERN_PART, before) == 0);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.first = part.first;
    answer.offset = 20;
    say(TERN_WELCOME, answer);
    run(100);
    part = read_part(sent(TERN_PART, 0, before));
    CHECK(part.first == 1 && part.offset == 20);
}

static void a_growing_chunk_goes_on_where_it_was(void)
{
    uint32_t crc;
    open_bench(1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    for (int i = 0; i < 8; i++) {
        put_rows(&climate, i * 10, 2);
        run(50);
        ack(0, (uint32_t)(i * 2 + 3));
        run(50);
    }
    CHECK_EQ(assemble(0, &crc), 16);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    CHECK(read_part(sent(TERN_PART, 1, 0)).first == 1 && read_part(sent(TERN_PART, 1, 0)).offset != 0);
}

static void an_ack_above_what_was_sent_is_dropped(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(10);
    ack(0, 7);
    ack(3, 6);
    ack(0x80, 6);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 5);
    CHECK_EQ(tern_committed(&bench.tern, 0) - tern_acknowledged(&bench.tern, 0) +
                 (tern_committed(&bench.tern, 1) - tern_acknowledged(&bench.tern, 1)),
             5);
    CHECK(bench.tern.bad_frames >= 1);
    ack(0, 4);
    ack(0, 2);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 2);
}

/* It is of the epoch before: what it calls durable was other records. */
static void an_ack_of_another_epoch_is_dropped(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    say(TERN_ACK, answer_to(0, EPOCH + 8, 31));
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 30);
    CHECK_EQ(bench.tern.bad_frames, 1);
    ack(0, 31);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
}

static void a_welcome_to_another_hello_is_dropped(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.nonce ^= 1;
    say(TERN_WELCOME, answer);
    run(100);
    CHECK_EQ(count_sent(TERN_PART, 0), 0);
    CHECK_EQ(bench.lanes[0].log.epochs[0].epoch, 0);
    CHECK_EQ(bench.tern.bad_frames, 1);
}

static void an_epoch_of_another_lane_is_not_taken(void)
{
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    welcome(0, EPOCH | 3, 1, 0);
    welcome(0, 0x80000000u, 1, 0);
    welcome(0, 0, 1, 0);
    run(10);
    CHECK(bench.lanes[0].log.epochs[0].epoch == 0 && count_sent(TERN_PART, 0) == 0);
}

static void a_new_connection_is_greeted_at_once_and_repeats_nothing(void)
{
    uint32_t crc = push_all(30);
    size_t before = bench.ups;
    bench.session = 0;
    run(1000);
    CHECK_EQ(bench.ups, before);
    bench.session = 2;
    run(1000);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    welcome(0, EPOCH, 31, crc);
    run(100);
    CHECK_EQ(count_sent(TERN_PART, before), 0);
}

static void a_rewind_is_followed(void)
{
    uint32_t crc = push_all(30);
    size_t before = bench.ups;
    bench.session = 2;
    run(100);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(before, &crc), 30);
}

static void a_batch_larger_than_the_log_is_refused(void)
{
    int status = TERN_OK;
    open_bench(1);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    for (int i = 0; i < 2000 && status >= 0; i++) {
        status = tern_put(&bench.tern, &climate, row);
        if (status == TERN_AGAIN)
            status = tern_poll(&bench.tern);
    }
    CHECK_EQ(status, TERN_E_TOO_BIG);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    put_rows(&climate, 1, 10);
    CHECK_EQ(tern_backlog(&bench.tern), 10);
}

static void a_second_welcome_calls_back_what_was_lost(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 100);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    size_t before = bench.ups;
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 0);
    CHECK_EQ(assemble(before, &crc), 100);
}

/* It was on its way when the gateway asked for everything again: sent twice, the records would never be
 * acknowledged twice. */
static void an_ack_from_before_a_rewind_counts(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 100);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    uint32_t sent_all = bench.lanes[0].sender.sequence;
    CHECK_EQ(sent_all, 101);
    size_t before = bench.ups;
    welcome(0, EPOCH, 1, 0);
    ack(0, sent_all);
    put_rows(&climate, 200, 1);
    run(100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 0);
    CHECK(read_part(sent(TERN_PART, 0, before)).first > 1); /* the chunk that grew */
    CHECK_EQ(assemble(before, &crc), 102 - read_part(sent(TERN_PART, 0, before)).first);
}

/* Their numbers would be used again after a start that comes before. */
static void refused_records_are_told_with_the_chunk_behind_them(void)
{
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    int status = TERN_OK;
    open_bench(1);
    run(10);
    bench.lanes[0].overflow = TERN_REFUSE;
    while (status == TERN_OK) {
        status = put_row(&climate, row);
        if (status == TERN_OK)
            CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    }
    uint32_t full = bench.lanes[0].log.next;
    CHECK_EQ(status, TERN_E_FULL);
    CHECK_EQ(put_row(&climate, row), TERN_E_FULL);
    CHECK(full > 50 && bench.lanes[0].log.stats.dropped == 2);
    welcome(0, EPOCH, 1, 0);
    run(100);
    ack(0, full);
    run(100);
    CHECK_EQ(put_row(&climate, row), TERN_OK);
    CHECK_EQ(bench.lanes[0].log.next, full);
    CHECK_EQ(tern_abort(&bench.tern), TERN_OK);
    CHECK_EQ(put_row(&climate, row), TERN_OK);
    run(100);
    CHECK_EQ(count_sent(TERN_GAP, 0), 0);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    run(100);
    const struct frame *gap = sent(TERN_GAP, 0, 0);
    if (!CHECK(gap != NULL))
        return;
    struct tern_input input = {gap->data + 2, gap->size - 6, false};
    CHECK_EQ(tern_read_varint(&input), full);
    CHECK_EQ(tern_read_varint(&input), full + 1);
    CHECK_EQ(tern_read8(&input), TERN_GAP_REFUSED);
}

/* What a cut left of them stands in flash: it is void, and no number that is counted may bring it back. */
static void refused_records_do_not_revive_spilled_ones(void)
{
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    struct tern_log_chunk found = {.address = TERN_NO_ADDRESS};
    open_bench(1);
    put_rows(&climate, 1, 5);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    for (int i = 0; i < 60; i++)
        CHECK_EQ(tern_put(&bench.tern, &climate, row), TERN_OK);
    CHECK(bench.lanes[0].log.pending > 6);
    reopen();
    bench.lanes[0].refused = 3;
    CHECK_EQ(tern_put(&bench.tern, &climate, row), TERN_OK);
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 6, &found), TERN_AGAIN);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    CHECK_EQ(tern_log_find(&bench.lanes[0].log, 6, &found), TERN_OK);
    CHECK(found.first == 9 && found.next == 10);
}

static void what_was_dropped_becomes_a_gap(void)
{
    open_bench(1);
    put_rows(&climate, 1, 600);
    run(10);
    uint32_t oldest = 1;
    welcome(0, EPOCH, 1, 0);
    run(100);
    const struct frame *gap = sent(TERN_GAP, 0, 0);
    if (!CHECK(gap != NULL))
        return;
    struct tern_input input = {gap->data + 1, gap->size - 5, false};
    CHECK_EQ(tern_read8(&input), 0);
    CHECK_EQ(tern_read_varint(&input), oldest);
    uint32_t last = tern_read_varint(&input);
    CHECK_EQ(tern_read8(&input), TERN_GAP_OVERFLOW | TERN_GAP_LEADS); /* fifty records are a commit */
    CHECK_EQ(read_part(sent(TERN_PART, 0, 0)).first, last + 1);
    uint32_t crc;
    CHECK_EQ(assemble(0, &crc), 600 - last);
}

static void a_commit_without_a_record_does_not_hide_the_record_behind_it(void)
{
    static const struct tern_column text[] = {{"note", TERN_TEXT(1000), 0}};
    static const struct tern_table notes = TERN_TABLE("notes", TERN_APPEND, text);
    static uint8_t bytes[1000] = {'x'};
    const struct tern_value row[] = {tern_text("short")}, large[] = {tern_bytes(bytes, sizeof(bytes))};
    uint32_t crc;
    uint32_t last = 0;
    open_bench(1);
    CHECK_EQ(put_row(&notes, row), TERN_OK);
    CHECK_EQ(put_row(&notes, large), TERN_E_TOO_BIG);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    put_rows(&climate, 1, 1); /* another table, and therefore another chunk */
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(0, &last), 2);
    CHECK(tern_log_segment_crc(&bench.lanes[0].log, 3, &crc) == TERN_OK && crc == last);
    CHECK_EQ(tern_log_find_schema(&bench.lanes[0].log, tern_schema_hash(&climate), &crc, &last), TERN_OK);
}

/* DESIGN.md, Epoch: what the device cannot match moves to the next epoch, behind the last shared point. */
static void lost_continuity_opens_the_next_epoch(void)
{
    uint32_t crc = push_all(30);
    put_rows(&climate, 500, 10);
    run(100);
    size_t before = bench.ups;
    bench.session = 2;
    run(10);
    struct answer answer = answer_to(0, EPOCH, 36); /* it holds five records that are not ours */
    answer.crc[0] = crc ^ 1;
    answer.back[1] = 5; /* but up to 31 it holds the same */
    answer.crc[1] = crc;
    say(TERN_WELCOME, answer);
    run(100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 2);
    CHECK_EQ(bench.lanes[0].log.epochs[0].epoch, EPOCH + 8);
    CHECK_EQ(bench.lanes[0].log.epochs[0].base, 31);
    welcome(0, EPOCH + 8, 31, 0);
    run(100);
    /* The chunk goes on across the border: the gateway skips what lies before the epoch's base. */
    struct part part = read_part(sent(TERN_PART, count_sent(TERN_PART, 0) - 1, 0));
    CHECK(part.first == 1 && part.lane == 0);
}

/* tern_config_check() counts on it. */
static void no_hello_is_longer_than_its_size_says(void)
{
    open_bench(1);
    put_rows(&climate, 1, 30);
    struct tern_log *log = &bench.lanes[0].log;
    bench.config.id = "abcdefghijklmnopqrstuvwxyz012345";
    bench.config.boot = UINT32_MAX;
    bench.now = UINT32_MAX - 5;
    log->epochs[0].epoch = 0x7FFFFFF8;
    log->epochs[0].base = log->acked = log->next = UINT32_MAX;
    size_t before = bench.ups;
    bench.session++;
    run(1);
    const struct frame *hello = sent(TERN_HELLO, 0, before); /* all but the oldest record at its longest */
    CHECK(hello != NULL && hello->size <= TERN_HELLO_SIZE(32, 1) && hello->size + 6 > TERN_HELLO_SIZE(32, 1));
}

/* It may go on with another gateway, which must be given the whole of the batch. */
static void what_waits_for_its_commit_is_not_acknowledged(void)
{
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    open_bench(1);
    put_rows(&climate, 1, 5);
    CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
    for (int i = 0; i < 60; i++)
        CHECK_EQ(tern_put(&bench.tern, &climate, row), TERN_OK);
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    struct answer answer = answer_to(0, EPOCH, 40);
    answer.open = 34;
    say(TERN_ACK, answer);
    run(100);
    CHECK_EQ(bench.lanes[0].log.acked, 6);
    size_t before = bench.ups;
    bench.session = 2;
    run(100);
    struct said said = read_hello(0, before);
    CHECK(said.acked == 6 && said.next == 66);
    answer = answer_to(0, EPOCH, 66);
    answer.open = 66; /* no record can be open before the first */
    say(TERN_WELCOME, answer);
    run(100);
    CHECK_EQ(bench.lanes[0].log.acked, 6);
    CHECK_EQ(bench.tern.bad_frames, 1);
    answer.open = 0;
    say(TERN_WELCOME, answer);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
}

/* Whether the batch that comes next has lost its beginning is what the gap says. */
static void a_gap_says_whether_a_batch_lost_its_head(void)
{
    struct tern_value row[] = {tern_int(1), tern_int(2)};
    for (int singles = 0; singles < 2; singles++) {
        open_bench(1);
        for (int i = 0; i < 900; i++) {
            if (!singles && i % 90 == 0)
                CHECK_EQ(tern_begin(&bench.tern, 0), TERN_OK);
            CHECK_EQ(put_row(&climate, row), TERN_OK);
            if (singles || i % 90 == 89)
                CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
        }
        run(10);
        welcome(0, EPOCH, 1, 0);
        run(100);
        const struct frame *gap = sent(TERN_GAP, 0, 0);
        if (!CHECK(gap != NULL))
            return;
        struct tern_input input = {gap->data + 2, gap->size - 6, false};
        tern_read_varint(&input);
        bool is_inside = !singles && tern_read_varint(&input) % 90 != 0;
        CHECK_EQ(gap->data[gap->size - 5],
                 is_inside ? TERN_GAP_OVERFLOW | TERN_GAP_LEADS : TERN_GAP_OVERFLOW);
        CHECK(singles || is_inside);
    }
}

static void an_old_epoch_is_brought_to_its_end_before_the_next(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 30);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH, 1), TERN_OK);
    CHECK_EQ(tern_log_set_epoch(&bench.lanes[0].log, EPOCH + 8, 31), TERN_OK);
    bench.session = 0;
    run(10); /* the log makes room */
    put_rows(&climate, 500, 10);
    size_t before = bench.ups;
    bench.session = 2;
    run(1100);
    struct said said = read_hello(0, before);
    CHECK(said.epoch == EPOCH && said.newest == EPOCH + 8 && said.base == 1 && said.next == 31);
    welcome(0, EPOCH, 21, 0);
    run(100);
    CHECK_EQ(count_sent(TERN_HELLO, before), 1);
    CHECK_EQ(read_part(sent(TERN_PART, 0, before)).first, 1); /* the chunk that holds record 21 */
    before = bench.ups;
    ack(0, 31);
    run(1100);
    said = read_hello(0, before);
    CHECK(said.epoch == EPOCH + 8 && said.newest == EPOCH + 8 && said.base == 31 && said.next == 41);
    CHECK_EQ(said.acked, 31);
    welcome(0, EPOCH + 8, 31, 0);
    run(100);
    CHECK_EQ(assemble(before, &crc),
             40); /* the chunk that holds 31 begins with 1, and goes again from its start */
    CHECK(count_sent(TERN_GAP, 0) == 0 && bench.tern.bad_frames == 0);
    ack(0, 41);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
}

static void a_wanted_schema_is_sent_in_pieces(void)
{
    uint8_t bare[128];
    static struct tern_schema schema;
    open_bench(1);
    bench.config.frame_size = TERN_FRAME_SIZE_MIN;
    put_rows(&climate, 1, 1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    struct tern_output output = {bare, 0, 100, false};
    tern_write8(&output, TERN_WANT);
    tern_write8(&output, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
    uint8_t whole[TERN_SCHEMA_MAX];
    size_t size = 0;
    for (size_t i = 0; sent(TERN_SCHEMA, i, 0) != NULL; i++) {
        const struct frame *frame = sent(TERN_SCHEMA, i, 0);
        struct tern_input input = {frame->data + 1, frame->size - 5, false};
        CHECK_EQ(tern_read8(&input), 0);
        CHECK_EQ(tern_read_varint(&input), tern_schema_hash(&climate));
        CHECK_EQ(tern_read_varint(&input), size);
        memcpy(whole + size, input.data, input.size);
        size += input.size;
    }
    CHECK_EQ(tern_schema_decode(&schema, whole, size), TERN_OK);
    CHECK(strcmp(schema.table.name, "climate") == 0);
}

static void want_schema(uint32_t hash)
{
    uint8_t bare[128];
    struct tern_output output = message(bare, TERN_WANT, 0);
    tern_write_varint(&output, hash);
    tern_write_varint(&output, 0);
    finish(&output);
    run(100);
}

/* What cannot be decoded is told as a gap, and the rest goes on. */
static void a_chunk_whose_schema_is_lost_is_given_up(void)
{
    open_bench(1);
    put_rows(&climate, 1, 3);
    reopen();
    put_rows(&alarms, 1, 2);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    uint32_t address, size;
    CHECK_EQ(tern_log_find_schema(&bench.lanes[0].log, tern_schema_hash(&climate), &address, &size), TERN_OK);
    bench.memory[0][address + 5] ^= 4;
    CHECK_EQ(tern_log_find_schema(&bench.lanes[0].log, tern_schema_hash(&climate), &address, &size),
             TERN_AGAIN);
    size_t before = bench.ups;
    want_schema(0x12345678); /* not what the chunk names */
    CHECK_EQ(count_sent(TERN_GAP, before), 0);
    want_schema(tern_schema_hash(&climate));
    const struct frame *gap = sent(TERN_GAP, 0, before);
    if (!CHECK(gap != NULL))
        return;
    struct tern_input input = {gap->data + 1, gap->size - 5, false};
    CHECK_EQ(tern_read8(&input), 0);
    CHECK_EQ(tern_read_varint(&input), 1);
    CHECK_EQ(tern_read_varint(&input), 3);
    CHECK_EQ(tern_read8(&input), TERN_GAP_DAMAGED | TERN_GAP_LEADS);
    welcome(0, EPOCH, 4, 0);
    run(100);
    CHECK_EQ(read_part(sent(TERN_PART, count_sent(TERN_PART, before) - 1, before)).first, 4);
    ack(0, 6);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
}

static void a_refused_device_waits_longer_and_longer(void)
{
    uint8_t bare[128];
    open_bench(1);
    put_rows(&climate, 1, 1);
    run(10);
    for (int i = 0; i < 3; i++) {
        struct tern_output output = message(bare, TERN_REFUSED, TERN_REFUSED_IDENTITY);
        tern_write8(&output, 0);
        finish(&output);
        run(1);
        bench.session++; /* the gateway hangs up, the link comes back */
        size_t before = bench.ups;
        run((16000u << i) - 100);
        CHECK_EQ(bench.ups, before);
        run(5000);
        CHECK_EQ(bench.ups, before + 1);
    }
    CHECK_EQ(bench.tern.refused, TERN_REFUSED_IDENTITY);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK(bench.tern.refused == 0 && count_sent(TERN_PART, 0) == 1);
}

static void datagrams_carry_bare_frames_within_their_size(void)
{
    uint32_t crc;
    open_bench(1);
    bench.link.datagram = DATAGRAM_LEAST;
    put_rows(&climate, 1, 40);
    run(10);
    uint8_t bare[128];
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.window = 4096;
    size_t size = write_answer(bare, TERN_WELCOME, &answer);
    memcpy(bench.down, bare, size);
    bench.down_size = size;
    run(100);
    CHECK_EQ(assemble(0, &crc), 40);
    CHECK(count_sent(TERN_PART, 0) > 5);
}

static void the_most_urgent_lane_goes_first(void)
{
    open_bench(2);
    put_rows(&bulk, 1, 200);
    put_rows(&alarms, 1, 1);
    run(10);
    welcome(1, EPOCH | 1, 1, 0);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(read_part(sent(TERN_PART, 0, 0)).lane, 0);
    CHECK_EQ(read_part(sent(TERN_PART, 1, 0)).lane, 1);
    ack(1, 201);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 1);
}

static void the_gateways_pause_is_kept(void)
{
    open_bench(1);
    put_rows(&climate, 1, 1);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(10);
    struct answer answer = answer_to(0, EPOCH, 2);
    answer.pause = 3000;
    say(TERN_ACK, answer);
    run(10);
    put_rows(&climate, 10, 1);
    size_t before = bench.ups;
    run(2900);
    CHECK_EQ(bench.ups, before);
    run(200);
    CHECK_EQ(count_sent(TERN_PART, before), 1);
}

static void a_full_window_holds_the_sender(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 150);
    run(10);
    struct answer answer = answer_to(0, EPOCH, 1);
    answer.window = 600;
    say(TERN_WELCOME, answer);
    run(100);
    uint32_t got = assemble(0, &crc);
    CHECK(got > 30 && got < 120);
    for (int i = 0; i < 10; i++) {
        answer.next = assemble(0, &crc) + 1;
        say(TERN_ACK, answer);
        run(100);
        CHECK(assemble(0, &crc) <= got + 120);
        got = assemble(0, &crc);
    }
    CHECK_EQ(got, 150);
}

static void garbage_from_the_link_changes_nothing(void)
{
    uint64_t state = 23;
    uint32_t crc = push_all(20);
    put_rows(&climate, 100, 20);
    for (int i = 0; i < 3000; i++) {
        bench.down_at = 0;
        bench.down_size = 1 + test_random(&state) % 200;
        for (size_t k = 0; k < bench.down_size; k++)
            bench.down[k] = (uint8_t)(test_random(&state) % 5 == 0 ? 0 : test_random(&state));
        run(1);
    }
    CHECK_EQ(tern_backlog(&bench.tern), 20);
    CHECK_EQ(bench.lanes[0].log.epochs[0].epoch, EPOCH);
    bench.down_at = bench.down_size = 0;
    bench.session = 9;
    size_t before = bench.ups = 0;
    run(100);
    welcome(0, EPOCH, 21, crc);
    run(100);
    CHECK_EQ(assemble(before, &crc),
             40); /* the chunk goes again from its start: 20 of its records are held already */
}

static void the_clock_may_wrap(void)
{
    open_bench(1);
    bench.now = UINT32_MAX - 1500;
    put_rows(&climate, 1, 5);
    run(10000);
    CHECK(count_sent(TERN_HELLO, 0) >= 2);
    welcome(0, EPOCH, 1, 0);
    run(100);
    ack(0, 6);
    run(100);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
}

static void a_busy_link_is_waited_for(void)
{
    uint32_t crc;
    open_bench(1);
    put_rows(&climate, 1, 5);
    run(10);
    welcome(0, EPOCH, 1, 0);
    bench.busy = true;
    run(1000);
    CHECK_EQ(count_sent(TERN_PART, 0), 0);
    bench.busy = false;
    run(100);
    CHECK_EQ(assemble(0, &crc), 5);
}

int main(void)
{
    RUN(first_contact_gives_the_epoch_and_then_everything_goes);
    RUN(nothing_leaves_before_its_commit);
    RUN(aborted_records_never_leave_and_their_sequence_is_used_again);
    RUN(a_lost_answer_is_asked_for_again_with_growing_patience);
    RUN(lost_parts_are_sent_again_from_where_the_gateway_is);
    RUN(a_growing_chunk_goes_on_where_it_was);
    RUN(an_ack_above_what_was_sent_is_dropped);
    RUN(an_ack_of_another_epoch_is_dropped);
    RUN(a_welcome_to_another_hello_is_dropped);
    RUN(an_epoch_of_another_lane_is_not_taken);
    RUN(a_new_connection_is_greeted_at_once_and_repeats_nothing);
    RUN(a_rewind_is_followed);
    RUN(a_batch_larger_than_the_log_is_refused);
    RUN(a_second_welcome_calls_back_what_was_lost);
    RUN(an_ack_from_before_a_rewind_counts);
    RUN(refused_records_are_told_with_the_chunk_behind_them);
    RUN(refused_records_do_not_revive_spilled_ones);
    RUN(what_was_dropped_becomes_a_gap);
    RUN(a_commit_without_a_record_does_not_hide_the_record_behind_it);
    RUN(no_hello_is_longer_than_its_size_says);
    RUN(lost_continuity_opens_the_next_epoch);
    RUN(what_waits_for_its_commit_is_not_acknowledged);
    RUN(a_gap_says_whether_a_batch_lost_its_head);
    RUN(an_old_epoch_is_brought_to_its_end_before_the_next);
    RUN(a_wanted_schema_is_sent_in_pieces);
    RUN(a_chunk_whose_schema_is_lost_is_given_up);
    RUN(a_refused_device_waits_longer_and_longer);
    RUN(datagrams_carry_bare_frames_within_their_size);
    RUN(the_most_urgent_lane_goes_first);
    RUN(the_gateways_pause_is_kept);
    RUN(a_full_window_holds_the_sender);
    RUN(garbage_from_the_link_changes_nothing);
    RUN(the_clock_may_wrap);
    RUN(a_busy_link_is_waited_for);
    return test_report();
}
