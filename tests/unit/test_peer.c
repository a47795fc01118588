/* SPDX-License-Identifier: MIT */
/* The protocol state machine: records, gaps and schemas, what is answered to them, and the stream they come
 * in. */
#include "peer_bench.h"

/* ---- Records --------------------------------------------------------------------------------- */

static void records_of_an_unknown_schema_wait_for_it(void)
{
    setup();
    greet_as("dev1");
    CHECK_EQ(rig.answers.window, TERN_FIRST_WINDOW);
    client_put_chunk(&rig.out, 1, 20, 100);
    send_and_hear();
    CHECK_EQ(rig.answers.wants, 1);
    CHECK_EQ(rig.answers.hash, tern_schema_hash(&client_table));
    CHECK_EQ(rig.answers.hash_offset, 0);
    CHECK_EQ(rig.answers.next, 1);
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 21); /* nothing had to be sent twice */
    CHECK_EQ(rig.answers.wants, 1);
    CHECK_EQ(rig.answers.window, 65536);
    teardown();
}

/* The session ends before the schema comes: the store has all bytes of the chunk, and the device none to
 * send. */
static void what_waits_for_a_schema_is_asked_for_in_the_next_session(void)
{
    setup();
    greet_as("dev1");
    client_put_chunk(&rig.out, 1, 4, 512);
    send_and_hear();
    connect_peer();
    greet_as("dev1");
    CHECK_EQ(rig.answers.next, 1);
    CHECK_EQ(rig.answers.first, 1);
    CHECK(rig.answers.offset > 20);
    client_put_part(&rig.out, 0, 1, rig.answers.offset, NULL, 0);
    send_and_hear();
    CHECK_EQ(rig.answers.wants, 1);
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 5);
    teardown();
}

/* The device's flash has lost the schema: it says that the records are gone, and what comes behind them is
 * taken. */
static void records_whose_schema_is_lost_become_a_gap(void)
{
    setup();
    greet_as("dev1");
    client_put_chunk(&rig.out, 1, 4, 512);
    client_put_chunk(&rig.out, 5, 2, 512);
    client_put_gap(&rig.out, 0, 7, 9, 3);
    send_and_hear();
    CHECK_EQ(rig.answers.wants, 1);
    CHECK_EQ(rig.answers.next, 1);
    client_put_gap(&rig.out, 0, 1, 4, 3);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 5);
    client_put_chunk(&rig.out, 5, 2, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.wants, 2);
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 7);
    teardown();
}

/* Newest first, the further back the fewer, and only what is durable. */
static void a_welcome_says_where_a_log_can_be_compared(void)
{
    setup();
    greet_with_schema("dev1");
    uint32_t crc = 0;
    for (uint32_t first = 2; first < 40; first++) {
        client_put_chunk(&rig.out, first, 1, 512);
        send_and_hear();
        connect_peer();
        greet_as("dev1");
        CHECK_EQ(rig.answers.next, first + 1);
        if (first > 2 && CHECK(rig.answers.tails > 0) && rig.answers.tail_back[0] == 1)
            CHECK_EQ(rig.answers.tail_crc[0], crc);
        crc = rig.answers.last_crc;
    }
    CHECK(rig.answers.tails >= 3);
    for (uint32_t i = 1; i < rig.answers.tails; i++)
        CHECK(rig.answers.tail_back[i] > rig.answers.tail_back[i - 1]);
    CHECK(rig.answers.tail_back[rig.answers.tails - 1] > 7);
    teardown();
}

static void a_schema_may_come_in_pieces(void)
{
    uint8_t schema[TERN_SCHEMA_MAX];
    struct tern_output whole = {schema, 0, sizeof schema, false};
    uint32_t hash = tern_schema_hash(&client_table);
    setup();
    tern_schema_encode(&client_table, client_collect, &whole);
    greet_as("dev1");
    client_put_chunk(&rig.out, 1, 4, 512);
    for (size_t i = 0; i < whole.size; i++)
        client_put_schema(&rig.out, hash, (uint32_t)i, schema + i, 1);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 5);
    teardown();
}

static void more_than_can_be_held_is_asked_for_again(void)
{
    setup();
    greet_as("dev1");
    uint32_t first = 1;
    for (int i = 0; i < 12; i++, first += 60)
        client_put_chunk(&rig.out, first, 60, 1000);
    CHECK(rig.out.size > TERN_HOLD_MAX);
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, 2);
    uint32_t next = rig.answers.next;
    CHECK(next > 1 && next < first);
    for (first = 1; first < 720; first += 60)
        client_put_chunk(&rig.out, first, 60, 1000);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 721);
    teardown();
}

static void a_schema_that_nobody_asked_for_is_dropped(void)
{
    setup();
    greet_as("dev1");
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.peer.counts.stray, 1);
    CHECK(tern_stage_find_schema(rig.stage, "dev1", tern_schema_hash(&client_table)) == NULL);
    teardown();
}

static void a_wrong_schema_ends_the_session(void)
{
    uint8_t wrong[40] = {1, 2, 3};
    setup();
    greet_as("dev1");
    client_put_chunk(&rig.out, 1, 1, 512);
    client_put_schema(&rig.out, tern_schema_hash(&client_table), 0, wrong, sizeof wrong);
    send_and_hear();
    CHECK_EQ(rig.answers.reason, TERN_REFUSED_SCHEMA);
    CHECK(rig.peer.device == NULL);
    teardown();
}

static void an_ack_never_comes_before_the_sync(void)
{
    setup();
    greet_with_schema("dev1");
    unsigned acks = rig.answers.acks;
    client_put_chunk(&rig.out, 2, 10, 512);
    send_out();
    hear();
    CHECK_EQ(rig.answers.acks, acks);
    CHECK_EQ(rig.answers.next, 2);
    disk_fails = true;
    CHECK(!sync_and_hear());
    CHECK(!sync_and_hear());
    CHECK_EQ(rig.answers.acks, acks);
    CHECK_EQ(rig.answers.next, 2);
    disk_fails = false;
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.next, 12);
    teardown();
}

/* An answer that is due for another reason, while records wait for the disk: a repetition of what is there,
 * and a WELCOME that had to wait. */
static void what_waits_for_the_disk_is_in_no_answer(void)
{
    setup();
    greet_with_schema("dev1");
    client_put_chunk(&rig.out, 2, 4, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 6);
    unsigned acks = rig.answers.acks;
    client_put_chunk(&rig.out, 6, 4, 512);
    client_put_chunk(&rig.out, 2, 4, 512);
    send_out();
    hear();
    CHECK_EQ(rig.answers.acks, acks + 1);
    CHECK_EQ(rig.answers.next, 6);
    connect_peer();
    struct client_hello hello = client_good_hello;
    hello.id = "dev1";
    client_put_hello(&rig.out, &hello);
    send_out();
    CHECK_EQ(tern_stage_sync(rig.stage), TERN_HOST_OK);
    tern_peer_synced(&rig.peer);
    client_put_chunk(&rig.out, 10, 4, 512);
    send_out();
    hear();
    CHECK_EQ(rig.answers.welcomes, 1);
    CHECK_EQ(rig.answers.next, 10);
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.next, 14);
    teardown();
}

static void a_welcome_never_comes_before_the_sync(void)
{
    setup();
    client_put_hello(&rig.out, &client_good_hello);
    send_out();
    disk_fails = true;
    CHECK(!sync_and_hear());
    CHECK_EQ(rig.answers.welcomes, 0);
    disk_fails = false;
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.welcomes, 1);
    teardown();
}

static void what_was_acknowledged_is_there_after_a_restart(void)
{
    setup();
    greet_with_schema("dev1");
    client_put_chunk(&rig.out, 2, 10, 512);
    send_and_hear();
    uint32_t acknowledged = rig.answers.next;
    client_put_chunk(&rig.out, 12, 10, 512);
    send_out(); /* not synced */
    tern_peer_close(&rig.peer);
    tern_stage_close(rig.stage);
    open_stage();
    connect_peer();
    greet_as("dev1");
    CHECK_EQ(acknowledged, 12);
    CHECK_EQ(rig.answers.next, 12);
    CHECK(rig.answers.last_crc != 0);
    teardown();
}

static void promise_4_a_device_is_asked_back_only_when_it_is_welcomed(void)
{
    setup();
    greet_with_schema("dev1");
    client_put_chunk(&rig.out, 2, 40, 512);
    send_and_hear();
    const struct tern_stage_want want = {0, rig.answers.epoch, 10, 20, 0, UINT64_MAX};
    uint32_t end = rig.answers.next;
    tern_stage_want(rig.stage, "dev1", &want);
    connect_peer();
    greet_as("dev1");
    /* The first WELCOME can be compared with the log; the second one says where to go on. */
    CHECK_EQ(rig.answers.welcomes, 2);
    CHECK_EQ(rig.answers.next, 10);
    CHECK_EQ(rig.answers.last_crc, 0);
    client_put_chunk(&rig.out, 10, 20, 512);
    send_out();
    hear();
    CHECK_EQ(rig.answers.next, 10); /* not before it is durable */
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.welcomes, 3);
    CHECK_EQ(rig.answers.next, end);
    /* And in the middle of a session. */
    tern_stage_want(rig.stage, "dev1", &want);
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.welcomes, 4);
    CHECK_EQ(rig.answers.next, 10);
    teardown();
}

/* Rows first..last of a batch, as a chunk of their own. */
static void put_batch(uint32_t first, uint32_t last, bool commit)
{
    uint8_t data[TERN_CHUNK_MAX];
    struct tern_chunk chunk = {.data = data, .capacity = sizeof data};
    tern_chunk_open(&chunk, &tern_csv, first, 0);
    for (uint32_t i = first; i <= last; i++) {
        struct tern_value row[3] = {tern_int(i), tern_int(i), tern_null()};
        CHECK_EQ(tern_chunk_put(&chunk, &client_table, TERN_OP_PUT, row), TERN_OK);
    }
    tern_chunk_finish(&chunk, commit, true);
    client_put_part(&rig.out, 0, first, 0, data, chunk.size);
    send_and_hear();
}

/* A device that starts again goes back to where its last commit ended: only the store knows how many records
 * wait behind that. */
static void answers_within_a_batch_say_how_many_records_wait_for_its_commit(void)
{
    setup();
    greet_with_schema("dev1");
    CHECK_EQ(rig.answers.open, 0);
    put_batch(2, 4, false);
    CHECK_EQ(rig.answers.next, 5);
    CHECK_EQ(rig.answers.open, 3);
    unsigned acks = rig.answers.acks;
    put_batch(5, 11, false);
    CHECK_EQ(rig.answers.acks, acks + 1);
    CHECK_EQ(rig.answers.next, 12);
    CHECK_EQ(rig.answers.open, 10);
    connect_peer();
    greet_as("dev1");
    CHECK_EQ(rig.answers.welcomes, 1);
    CHECK_EQ(rig.answers.next, 12);
    CHECK_EQ(rig.answers.open, 10);
    tern_peer_close(&rig.peer);
    tern_stage_close(rig.stage);
    open_stage();
    connect_peer();
    greet_as("dev1");
    CHECK_EQ(rig.answers.next, 12);
    CHECK_EQ(rig.answers.open, 10);
    put_batch(12, 13, true);
    CHECK_EQ(rig.answers.next, 14);
    CHECK_EQ(rig.answers.open, 0);
    /* A gap within a batch waits as well; one that ends it leaves nothing that waits. */
    put_batch(14, 15, false);
    client_put_gap(&rig.out, 0, 16, 20, TERN_GAP_DAMAGED | TERN_GAP_LEADS);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 21);
    CHECK_EQ(rig.answers.open, 7);
    client_put_gap(&rig.out, 0, 21, 25, TERN_GAP_DAMAGED);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 26);
    CHECK_EQ(rig.answers.open, 0);
    teardown();
}

static void a_gap_counts_when_it_is_durable(void)
{
    setup();
    greet_with_schema("dev1");
    client_put_gap(&rig.out, 0, 2, 99, TERN_GAP_OVERFLOW);
    send_out();
    hear();
    CHECK_EQ(rig.answers.next, 2);
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.next, 100);
    teardown();
}

static void a_gap_that_a_device_may_not_report_is_dropped(void)
{
    static const struct {
        uint32_t first, last;
        uint8_t reason;
    } bad[] = {{2, 9, 0}, {2, 9, TERN_GAP_RETENTION}, {2, 9, TERN_GAP_HELD}, {0, 9, 1}, {5, 4, 1}};
    setup();
    greet_with_schema("dev1");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        client_put_gap(&rig.out, 0, bad[i].first, bad[i].last, bad[i].reason);
    send_and_hear();
    CHECK_EQ(rig.peer.counts.bad_frames, 5);
    CHECK_EQ(rig.answers.next, 2);
    teardown();
}

/* A part field by field: each wrong by itself, and none has an effect. */
static void a_part_that_cannot_be_is_dropped(void)
{
    static uint8_t data[4096];
    static const struct {
        uint32_t first, offset;
        size_t size;
    } bad[] = {
        {0, 0, 10}, {2, 0, 0}, {2, TERN_CHUNK_MAX + 1, 1}, {2, TERN_CHUNK_MAX, 1}, {2, UINT32_MAX, 10}};
    setup();
    greet_with_schema("dev1");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        client_put_part(&rig.out, 0, bad[i].first, bad[i].offset, data, bad[i].size);
    send_and_hear();
    CHECK_EQ(rig.peer.counts.bad_frames, 5);
    client_put_part(&rig.out, 3, 2, 0, data, 10); /* a lane that was not greeted */
    client_put_gap(&rig.out, 3, 2, 9, 1);
    client_put_schema(&rig.out, 0, 0, data, 10);
    client_put_schema(&rig.out, 77, 5, data, 10);
    send_and_hear();
    CHECK(rig.peer.counts.stray >= 3);
    CHECK_EQ(rig.answers.next, 2);
    CHECK_EQ(rig.answers.refusals, 0);
    teardown();
}

static void a_hole_is_answered_once_with_the_way_back(void)
{
    setup();
    greet_with_schema("dev1");
    unsigned welcomes = rig.answers.welcomes;
    for (uint32_t first = 5; first < 50; first += 5)
        client_put_chunk(&rig.out, first, 5, 512); /* 2 to 4 were lost */
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, welcomes + 1);
    CHECK_EQ(rig.answers.next, 2);
    client_put_chunk(&rig.out, 50, 5, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, welcomes + 1);
    rig.now.monotonic += 1000;
    client_put_chunk(&rig.out, 55, 5, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, welcomes + 2);
    client_put_chunk(&rig.out, 2, 3, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 5);
    teardown();
}

static void a_repetition_is_acknowledged_again(void)
{
    setup();
    greet_with_schema("dev1");
    unsigned acks = rig.answers.acks;
    client_put_chunk(&rig.out, 1, 1, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.acks, acks + 1);
    CHECK_EQ(rig.answers.next, 2);
    teardown();
}

static void a_chunk_that_is_none_is_refused_in_the_end(void)
{
    uint8_t data[TERN_CHUNK_MAX];
    setup();
    greet_with_schema("dev1");
    for (int i = 0; i < 40 && rig.answers.refusals == 0; i++) {
        size_t size = client_chunk(data, sizeof data, 2, 5);
        data[size / 2] ^= 1;
        client_put_part(&rig.out, 0, 2, 0, data, size);
        send_and_hear();
        rig.now.monotonic += 2000;
    }
    CHECK_EQ(rig.answers.reason, TERN_REFUSED_LIMIT);
    CHECK(rig.peer.counts.bad_chunks <= 16);
    teardown();
}

/* ---- The stream ------------------------------------------------------------------------------ */

/* HELLO, two chunks with the schema between, a gap, another chunk: 1 to 60 held, 31 to 40 of them lost. */
static void put_session(struct client_stream *out, const char *id)
{
    struct client_hello hello = client_good_hello;
    hello.id = id;
    client_put_hello(out, &hello);
    client_put_chunk(out, 1, 15, 60);
    client_put_table(out);
    client_put_chunk(out, 16, 15, 200);
    client_put_gap(out, 0, 31, 40, TERN_GAP_DAMAGED);
    client_put_chunk(out, 41, 20, 1000);
}

static void a_session_may_come_byte_by_byte(void)
{
    setup();
    put_session(&rig.out, "dev1");
    for (size_t i = 0; i < rig.out.size; i++) {
        take(rig.out.bytes + i, 1);
        if (i % 7 == 0)
            CHECK(sync_and_hear());
    }
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.next, 61);
    CHECK_EQ(rig.peer.counts.bad_frames, 0);
    teardown();
}

static void a_session_may_be_cut_anywhere(void)
{
    static struct client_stream session;
    char id[24];
    setup();
    session.size = 0;
    put_session(&session, "x0000");
    size_t length = session.size;
    for (size_t cut = 0; cut < length; cut++) {
        snprintf(id, sizeof id, "x%04zu", cut);
        session.size = 0;
        put_session(&session, id);
        connect_peer();
        take(session.bytes, cut);
        CHECK(sync_and_hear());
        uint32_t acknowledged = rig.answers.next;
        connect_peer();
        take(session.bytes, session.size);
        CHECK(sync_and_hear());
        CHECK_EQ(rig.answers.next, 61);
        CHECK(acknowledged <= 61);
        CHECK_EQ(rig.answers.bad, 0);
    }
    teardown();
}

static void garbage_between_frames_costs_nothing_else(void)
{
    static struct client_stream session;
    uint64_t random = 5;
    setup();
    session.size = 0;
    put_session(&session, "dev1");
    size_t from = 0;
    for (size_t i = 1; i < session.size; i++) {
        /* Frames begin and end with a zero: between two zeros there is room. */
        if (session.bytes[i] != 0 || session.bytes[i - 1] != 0)
            continue;
        take(session.bytes + from, i - from);
        from = i;
        for (int j = 0; j < 300; j++) {
            uint8_t byte = (uint8_t)test_random(&random);
            take(&byte, 1);
        }
    }
    take(session.bytes + from, session.size - from);
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.next, 61);
    CHECK(rig.peer.counts.bad_frames > 5);
    teardown();
}

static void no_flipped_bit_has_an_effect(void)
{
    setup();
    greet_with_schema("dev1");
    client_put_chunk(&rig.out, 2, 4, 512);
    for (size_t bit = 0; bit < rig.out.size * 8; bit++) {
        rig.out.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 != 0 && bit / 8 != rig.out.size - 1) {
            take(rig.out.bytes, rig.out.size);
            CHECK(sync_and_hear());
            CHECK_EQ(rig.answers.next, 2);
        }
        rig.out.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    send_and_hear();
    CHECK_EQ(rig.answers.next, 6);
    teardown();
}

static void a_frame_over_the_limit_is_dropped_and_the_next_taken(void)
{
    uint8_t data[3000];
    setup();
    greet_with_schema("dev1");
    memset(data, 'x', sizeof data);
    client_put_part(&rig.out, 0, 2, 0, data, sizeof data);
    client_put_chunk(&rig.out, 2, 5, 512);
    send_and_hear();
    CHECK_EQ(rig.peer.counts.bad_frames, 1);
    CHECK_EQ(rig.answers.next, 7);
    teardown();
}

static void frames_without_a_session_are_strays(void)
{
    setup();
    client_put_chunk(&rig.out, 1, 3, 512);
    client_put_gap(&rig.out, 0, 1, 9, 1);
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.peer.counts.stray, 3);
    CHECK_EQ(rig.peer.last_frame, 0);
    CHECK_EQ(rig.answers.welcomes + rig.answers.acks, 0);
    teardown();
}

static void messages_the_wrong_way_round_are_bad_frames(void)
{
    static const uint8_t kinds[] = {0x00,         0x05, TERN_WELCOME, TERN_ACK, TERN_WANT,
                                    TERN_REFUSED, 0x7F, 0x80,         0x82,     0xFF};
    setup();
    greet_as("dev1");
    for (size_t i = 0; i < sizeof kinds; i++) {
        uint8_t bare[20] = {kinds[i], 1, 1, 1};
        client_frame(&rig.out, bare, sizeof bare);
    }
    send_and_hear();
    CHECK_EQ(rig.peer.counts.bad_frames, sizeof kinds);
    CHECK_EQ(rig.answers.refusals, 0);
    teardown();
}

/* Right CRCs, random bodies: what a hostile device can send. */
static void random_bodies_do_no_harm(void)
{
    static const uint8_t kinds[] = {TERN_HELLO, TERN_PART, TERN_GAP, TERN_SCHEMA};
    uint64_t random = 20261121;
    setup();
    greet_with_schema("dev1");
    for (int i = 0; i < 20000; i++) {
        uint8_t bare[80];
        size_t size = 1 + test_random(&random) % (sizeof bare - 1);
        for (size_t j = 0; j < size; j++)
            bare[j] =
                (uint8_t)(test_random(&random) % 3 == 0 ? test_random(&random) : test_random(&random) % 4);
        bare[0] = kinds[test_random(&random) % 4];
        client_frame(&rig.out, bare, size);
        if (i % 50 == 0)
            send_and_hear();
    }
    send_and_hear();
    CHECK_EQ(rig.answers.bad, 0);
    connect_peer();
    greet_as("dev2");
    CHECK_EQ(rig.answers.welcomes, 1);
    teardown();
}

static void a_small_buffer_gets_it_piece_by_piece(void)
{
    uint8_t bytes[TERN_PEER_GIVE_MIN];
    struct client_hello hello = client_good_hello;
    size_t size;
    setup();
    hello.lanes = 8;
    client_put_hello(&rig.out, &hello);
    send_out();
    CHECK_EQ(tern_stage_sync(rig.stage), TERN_HOST_OK);
    tern_peer_synced(&rig.peer);
    while ((size = tern_peer_give(&rig.peer, &rig.now, bytes, sizeof bytes)) != 0)
        client_read(&rig.answers, bytes, size);
    CHECK_EQ(rig.answers.welcomes, 8);
    CHECK_EQ(rig.answers.bad, 0);
    teardown();
}

static void a_hello_after_a_refusal_begins_anew(void)
{
    setup();
    greet_as("no good");
    CHECK(tern_peer_is_over(&rig.peer));
    greet_as("good");
    CHECK(!tern_peer_is_over(&rig.peer));
    CHECK_EQ(rig.answers.welcomes, 1);
    teardown();
}

int main(void)
{
    RUN(records_of_an_unknown_schema_wait_for_it);
    RUN(records_whose_schema_is_lost_become_a_gap);
    RUN(what_waits_for_a_schema_is_asked_for_in_the_next_session);
    RUN(a_welcome_says_where_a_log_can_be_compared);
    RUN(a_schema_may_come_in_pieces);
    RUN(more_than_can_be_held_is_asked_for_again);
    RUN(a_schema_that_nobody_asked_for_is_dropped);
    RUN(a_wrong_schema_ends_the_session);
    RUN(an_ack_never_comes_before_the_sync);
    RUN(what_waits_for_the_disk_is_in_no_answer);
    RUN(a_welcome_never_comes_before_the_sync);
    RUN(what_was_acknowledged_is_there_after_a_restart);
    RUN(promise_4_a_device_is_asked_back_only_when_it_is_welcomed);
    RUN(answers_within_a_batch_say_how_many_records_wait_for_its_commit);
    RUN(a_gap_counts_when_it_is_durable);
    RUN(a_gap_that_a_device_may_not_report_is_dropped);
    RUN(a_part_that_cannot_be_is_dropped);
    RUN(a_hole_is_answered_once_with_the_way_back);
    RUN(a_repetition_is_acknowledged_again);
    RUN(a_chunk_that_is_none_is_refused_in_the_end);
    RUN(a_session_may_come_byte_by_byte);
    RUN(a_session_may_be_cut_anywhere);
    RUN(garbage_between_frames_costs_nothing_else);
    RUN(no_flipped_bit_has_an_effect);
    RUN(a_frame_over_the_limit_is_dropped_and_the_next_taken);
    RUN(frames_without_a_session_are_strays);
    RUN(messages_the_wrong_way_round_are_bad_frames);
    RUN(random_bodies_do_no_harm);
    RUN(a_small_buffer_gets_it_piece_by_piece);
    RUN(a_hello_after_a_refusal_begins_anew);
    return test_report();
}
