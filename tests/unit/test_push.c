/* SPDX-License-Identifier: MIT */
/* The device's side of the protocol against a gateway that this test plays by hand. */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/frame.h"
#include "../../core/log.h"
#include "../../core/push.h"
#include "../../core/schema.h"

#define SECTOR  1024u
#define SECTORS 4u
#define EPOCH   0x01000000u
#define STORE   0x1122334455667788u

/* ---- A device on the bench -------------------------------------------------------------------------------------------------- */

struct frame {
    uint8_t data[TERN_FRAME_MAX];
    size_t size;
};

struct bench {
    struct tern tern;
    struct tern_config config;
    struct tern_lane lanes[2];
    struct tern_flash flash[2];
    struct tern_link link;
    struct tern_clock clock;
    uint8_t memory[2][SECTOR * SECTORS];
    uint8_t chunk[2][512];
    uint8_t frame[1100];
    uint32_t now, session, noise;
    struct frame up[256]; /* what the device has sent */
    size_t ups;
    struct tern_cobs cobs;
    uint8_t decoded[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    uint8_t down[4096]; /* stream bytes on their way to the device */
    size_t down_size, down_at;
    bool busy; /* the link takes nothing */
};

static struct bench bench;

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}};
static const struct tern_table climate = TERN_TABLE("climate", TERN_MERGE, columns);
static const struct tern_table alarms = {"alarms", columns, &tern_csv, 2, TERN_MERGE, 0, 0};
static const struct tern_table bulk = {"bulk", columns, &tern_csv, 2, TERN_MERGE, 0, 1};

static int flash_read(void *context, uint32_t address, void *data, uint32_t size)
{
    memcpy(data, (uint8_t *)context + address, size);
    return 0;
}

static int flash_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    memcpy((uint8_t *)context + address, data, size);
    return 0;
}

static int flash_erase(void *context, uint32_t address)
{
    memset((uint8_t *)context + address, 0xFF, SECTOR);
    return 0;
}

static uint32_t link_session(void *context)
{
    (void)context;
    return bench.session;
}

static void keep_frame(const uint8_t *data, size_t size)
{
    CHECK(tern_frame_check(data, size, tern_push_epoch(&bench.lanes[data[1] % 2])) == TERN_OK &&
          size <= TERN_FRAME_MAX);
    if (bench.ups < sizeof(bench.up) / sizeof(bench.up[0])) {
        memcpy(bench.up[bench.ups].data, data, size);
        bench.up[bench.ups++].size = size;
    }
}

static int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    if (bench.busy)
        return 0;
    if (bench.link.datagram != 0) {
        CHECK(size <= bench.link.datagram);
        keep_frame(data, size);
        return (int32_t)size;
    }
    uint32_t taken = size > 100 ? 100 : size; /* a link with a small buffer */
    for (uint32_t i = 0; i < taken; i++) {
        int got = tern_cobs_take(&bench.cobs, data[i]);
        CHECK(got >= 0);
        if (got > 0)
            keep_frame(bench.decoded, (size_t)got);
    }
    return (int32_t)taken;
}

static int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    size_t left = bench.down_size - bench.down_at;
    size_t taken = left < size ? left : size;
    memcpy(data, bench.down + bench.down_at, taken);
    bench.down_at += taken;
    return (int32_t)taken;
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return bench.now;
}

static uint32_t clock_random(void *context)
{
    (void)context;
    return bench.noise++ * 2654435761u;
}

static void reopen(void)
{
    bench.lanes[0].overflow = bench.lanes[1].overflow = TERN_DROP_OLDEST;
    CHECK_EQ(tern_open(&bench.tern, &bench.config), TERN_OK);
}

static void open_bench(uint8_t lanes)
{
    memset(&bench, 0, sizeof(bench));
    memset(bench.memory, 0xFF, sizeof(bench.memory));
    bench.session = 1;
    bench.cobs.buffer = bench.decoded;
    bench.cobs.capacity = sizeof(bench.decoded);
    bench.link = (struct tern_link){NULL, link_session, link_send, link_receive, 0};
    bench.clock = (struct tern_clock){NULL, clock_now, clock_random};
    for (int i = 0; i < 2; i++) {
        bench.flash[i] = (struct tern_flash){
            bench.memory[i], flash_read, flash_program, flash_erase, SECTOR, SECTORS, 1, 0};
        bench.lanes[i].flash = &bench.flash[i];
        bench.lanes[i].chunk_data = bench.chunk[i];
        bench.lanes[i].chunk_size = 512;
    }
    bench.config = (struct tern_config){.id = "dev1",
                                        .lanes = bench.lanes,
                                        .lane_count = lanes,
                                        .link = &bench.link,
                                        .clock = &bench.clock,
                                        .frame = bench.frame,
                                        .frame_size = sizeof(bench.frame),
                                        .boot = 3};
    reopen();
}

static int put_row(const struct tern_table *table, const struct tern_value *row)
{
    int status;
    while ((status = tern_put(&bench.tern, table, row)) == TERN_AGAIN)
        if (!CHECK(tern_poll(&bench.tern) >= 0))
            break;
    return status;
}

static void put_rows(const struct tern_table *table, int64_t from, int count)
{
    for (int i = 0; i < count; i++) {
        struct tern_value row[] = {tern_int(from + i), tern_int(2000 + i)};
        CHECK_EQ(put_row(table, row), TERN_OK);
        if (i % 50 == 49)
            CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
    }
    CHECK_EQ(tern_commit(&bench.tern), TERN_OK);
}

/* Lets the device run for some milliseconds. */
static void run(uint32_t milliseconds)
{
    uint32_t end = bench.now + milliseconds;
    for (int steps = 0; steps < 100000; steps++) {
        int32_t wait = tern_poll(&bench.tern);
        CHECK(wait >= 0);
        if (wait <= 0)
            continue;
        uint32_t left = end - bench.now;
        if (left == 0)
            return;
        bench.now += (uint32_t)wait < left ? (uint32_t)wait : left;
    }
    CHECK_EQ(0, 1); /* the device never rests */
}

/* ---- The gateway by hand ---------------------------------------------------------------------------------------------------- */

static void send_down(const uint8_t *bare, size_t size)
{
    uint8_t stream[256];
    memcpy(stream + TERN_COBS_OFFSET(size), bare, size);
    size_t length = tern_cobs_encode(stream, TERN_COBS_OFFSET(size), size);
    if (bench.down_at == bench.down_size)
        bench.down_at = bench.down_size = 0;
    memcpy(bench.down + bench.down_size, stream, length);
    bench.down_size += length;
}

static struct tern_output message(uint8_t *bare, uint8_t kind, uint8_t lane)
{
    struct tern_output output = {bare, 0, 124, false};
    tern_write8(&output, kind);
    tern_write8(&output, lane);
    return output;
}

static void finish(struct tern_output *output)
{
    send_down(output->data, tern_frame_seal(output->data, output->size, EPOCH));
}

static uint64_t last_nonce(void)
{
    for (size_t i = bench.ups; i-- != 0;)
        if (bench.up[i].data[0] == TERN_HELLO) {
            struct tern_input input = {bench.up[i].data + 2, bench.up[i].size - 6, false};
            for (int k = 0; k < 3; k++)
                tern_read_varint(&input);
            return tern_read64(&input);
        }
    return 0;
}

/* What a WELCOME or an ACK says. */
struct answer {
    uint8_t lane;
    uint32_t next, first, offset, window, pause;
    uint64_t nonce;
    uint32_t epoch;
    uint32_t back[2], crc[2]; /* tails; CRC 0: none */
};

static struct answer answer_to(uint8_t lane, uint32_t epoch, uint32_t next)
{
    struct answer answer = {.lane = lane, .next = next, .window = 65536, .epoch = epoch};
    answer.nonce = last_nonce();
    return answer;
}

static size_t write_answer(uint8_t *bare, uint8_t kind, const struct answer *answer)
{
    struct tern_output output = message(bare, kind, answer->lane);
    tern_write_varint(&output, answer->next);
    tern_write_varint(&output, answer->first);
    tern_write_varint(&output, answer->offset);
    tern_write_varint(&output, answer->window);
    tern_write_varint(&output, answer->pause);
    if (kind == TERN_WELCOME) {
        tern_write64(&output, answer->nonce);
        tern_write64(&output, STORE);
        tern_write64(&output, 1700000000000u);
        tern_write_varint(&output, answer->epoch);
        for (int i = 0; i < 2 && answer->crc[i] != 0; i++) {
            tern_write_varint(&output, answer->back[i]);
            tern_write_varint(&output, answer->crc[i]);
        }
    }
    return tern_frame_seal(bare, output.size, answer->epoch);
}

static void say(uint8_t kind, struct answer answer)
{
    uint8_t bare[128];
    send_down(bare, write_answer(bare, kind, &answer));
}

static void welcome(uint8_t lane, uint32_t epoch, uint32_t next, uint32_t last_crc)
{
    struct answer answer = answer_to(lane, epoch, next);
    answer.crc[0] = last_crc;
    say(TERN_WELCOME, answer);
}

static void ack(uint8_t lane, uint32_t next)
{
    say(TERN_ACK, answer_to(lane, tern_push_epoch(&bench.lanes[lane]), next));
}

/* The nth frame of that kind since `from`, or NULL. */
static const struct frame *sent(uint8_t kind, size_t nth, size_t from)
{
    for (size_t i = from; i < bench.ups; i++)
        if (bench.up[i].data[0] == kind && nth-- == 0)
            return &bench.up[i];
    return NULL;
}

static size_t count_sent(uint8_t kind, size_t from)
{
    size_t count = 0;
    while (sent(kind, count, from) != NULL)
        count++;
    return count;
}

struct part {
    uint8_t lane;
    uint32_t first, offset;
    const uint8_t *data;
    size_t size;
};

static struct part read_part(const struct frame *frame)
{
    struct part part = {0, 0, 0, NULL, 0};
    if (!CHECK(frame != NULL))
        return part;
    struct tern_input input = {frame->data + 1, frame->size - 5, false};
    part.lane = tern_read8(&input);
    part.first = tern_read_varint(&input);
    part.offset = tern_read_varint(&input);
    part.data = input.data;
    part.size = input.size;
    CHECK(!input.failed);
    return part;
}

/* Puts the parts since `from` together, chunk by chunk, as a gateway does, and counts the records. */
static uint32_t assemble(size_t from, uint32_t *last_crc)
{
    static uint8_t chunk[TERN_CHUNK_MAX];
    struct tern_walk walk;
    struct tern_segment segment;
    uint32_t records = 0, size = 0, first = 0;
    for (size_t i = 0; sent(TERN_PART, i, from) != NULL; i++) {
        struct part part = read_part(sent(TERN_PART, i, from));
        if (part.first != first || part.offset == 0) {
            CHECK_EQ(part.offset, 0);
            first = part.first;
            size = 0;
        }
        if (!CHECK_EQ(part.offset, size))
            return 0;
        memcpy(chunk + size, part.data, part.size);
        size += (uint32_t)part.size;
        const struct frame *next = sent(TERN_PART, i + 1, from);
        if (next != NULL && read_part(next).first == first && read_part(next).offset != 0)
            continue;
        CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(chunk), size), TERN_OK);
        while (tern_walk_next(&walk, &segment) == TERN_OK) {
            records += segment.rows;
            *last_crc = segment.crc;
        }
        CHECK_EQ(walk.offset, size);
    }
    return records;
}

/* ---- Tests -------------------------------------------------------------------------------------------------------------------- */

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

static uint32_t push_all(int rows)
{
    uint32_t crc = 0;
    open_bench(1);
    put_rows(&climate, 1, rows);
    run(10);
    welcome(0, EPOCH, 1, 0);
    run(100);
    CHECK_EQ(assemble(0, &crc), rows);
    ack(0, (uint32_t)rows + 1);
    run(10);
    CHECK_EQ(tern_backlog(&bench.tern), 0);
    return crc;
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

/* It was on its way when the gateway asked for everything again: sent twice, the records would never be acknowledged twice. */
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
    CHECK_EQ(tern_read8(&input), TERN_GAP_OVERFLOW);
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

struct said {
    uint32_t epoch, base, oldest, acked, next, newest;
};

/* The first lane's range in the nth HELLO since `from`. */
static struct said read_hello(size_t nth, size_t from)
{
    struct said said = {0, 0, 0, 0, 0, 0};
    const struct frame *frame = sent(TERN_HELLO, nth, from);
    if (!CHECK(frame != NULL))
        return said;
    struct tern_input input = {frame->data + 2, frame->size - 6, false};
    for (int i = 0; i < 3; i++)
        tern_read_varint(&input);
    tern_read64(&input);
    tern_read_bytes(&input, tern_read8(&input));
    CHECK_EQ(tern_read8(&input), 0);
    said.epoch = tern_read_varint(&input);
    said.base = tern_read_varint(&input);
    said.oldest = tern_read_varint(&input);
    said.acked = tern_read_varint(&input);
    said.next = tern_read_varint(&input);
    said.newest = tern_read_varint(&input);
    tern_read64(&input);
    CHECK(!input.failed && input.size == 0);
    return said;
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
    bench.link.datagram = TERN_DATAGRAM_MIN;
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
    RUN(lost_continuity_opens_the_next_epoch);
    RUN(an_old_epoch_is_brought_to_its_end_before_the_next);
    RUN(a_wanted_schema_is_sent_in_pieces);
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
