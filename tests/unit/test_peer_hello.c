/* SPDX-License-Identifier: MIT */
/* The protocol state machine: who is welcomed, and what counts in the session that this begins. */
#include "peer_bench.h"

/* ---- HELLO and WELCOME ----------------------------------------------------------------------- */

static void a_hello_is_welcomed_when_it_is_durable(void)
{
    setup();
    client_put_hello(&rig.out, &client_good_hello);
    send_out();
    hear();
    CHECK_EQ(rig.answers.welcomes, 0);
    CHECK(sync_and_hear());
    CHECK_EQ(rig.answers.welcomes, 1);
    CHECK_EQ(rig.answers.bad, 0);
    CHECK(rig.answers.nonce == client_good_hello.nonce);
    CHECK(rig.answers.store == tern_stage_id(rig.stage));
    CHECK_EQ(rig.answers.time, rig.now.wall);
    CHECK_EQ(rig.answers.epoch, CLIENT_EPOCH);
    CHECK_EQ(rig.answers.next, 1);
    CHECK_EQ(rig.answers.last_crc, 0);
    hear();
    CHECK_EQ(rig.answers.welcomes, 1);
    teardown();
}

static void a_device_without_an_epoch_is_given_one(void)
{
    setup();
    struct client_hello hello = client_good_hello;
    hello.epoch = 0;
    hello.lane = 3;
    client_put_hello(&rig.out, &hello);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, 1);
    CHECK_EQ(rig.answers.lane, 3);
    CHECK(rig.answers.epoch != 0);
    CHECK_EQ(rig.answers.epoch & 7, 3);
    uint32_t given = rig.answers.epoch;
    connect_peer(); /* the WELCOME was lost */
    client_put_hello(&rig.out, &hello);
    send_and_hear();
    CHECK_EQ(rig.answers.epoch, given + 16);
    teardown();
}

/* They come late, or a recorded session is replayed: a first HELLO is then given another epoch, and what
 * followed it is of the old one. */
static void records_of_another_epoch_are_dropped(void)
{
    setup();
    greet_with_schema("dev1");
    connect_peer();
    struct client_hello hello = client_good_hello;
    hello.epoch = 0;
    client_put_hello(&rig.out, &hello);
    send_and_hear();
    uint32_t given = rig.answers.epoch;
    client_epochs[0] = CLIENT_EPOCH;
    client_put_chunk(&rig.out, 1, 3, 512);
    client_put_gap(&rig.out, 0, 1, 9, TERN_GAP_OVERFLOW);
    take(rig.out.bytes, rig.out.size);
    rig.out.size = 0;
    client_epochs[0] = given;
    CHECK_EQ(rig.peer.counts.bad_frames, 2);
    CHECK_EQ(rig.peer.ranges[0].stage->taken.next, 1);
    client_put_chunk(&rig.out, 1, 3, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 4);
    CHECK_EQ(rig.answers.bad, 0);
    teardown();
}

/* The neighbours above all: what a device had under way when its epoch changed, and what comes when its clock
 * or a copy runs ahead. */
static void records_of_the_epochs_before_and_behind_are_dropped(void)
{
    static const uint32_t others[] = {CLIENT_EPOCH - 16,
                                      CLIENT_EPOCH - 8,
                                      CLIENT_EPOCH - 1,
                                      CLIENT_EPOCH + 1,
                                      CLIENT_EPOCH + 8,
                                      CLIENT_EPOCH + 16,
                                      0};
    setup();
    struct client_hello hello = client_good_hello;
    hello.epoch = CLIENT_EPOCH - 8;
    client_put_hello(&rig.out, &hello);
    client_put_chunk(&rig.out, 1, 1, 512);
    send_and_hear();
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 2);
    client_put_hello(&rig.out, &client_good_hello);
    client_put_chunk(&rig.out, 1, 5, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 6);
    unsigned acks = rig.answers.acks;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        client_epochs[0] = others[i];
        client_put_chunk(&rig.out, 6, 3, 512);
        client_put_gap(&rig.out, 0, 6, 9, TERN_GAP_OVERFLOW);
        client_put_part(&rig.out, 0, 1, 500, NULL, 0);
        send_out();
        client_epochs[0] = CLIENT_EPOCH;
        CHECK(sync_and_hear());
        if (!CHECK_EQ(rig.peer.counts.bad_frames, 3 * (i + 1)) ||
            !CHECK_EQ(rig.peer.ranges[0].stage->taken.next, 6))
            printf("    epoch %lu\n", (unsigned long)others[i]);
    }
    CHECK_EQ(rig.answers.acks, acks);
    client_put_chunk(&rig.out, 6, 3, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 9);
    teardown();
}

static void parts_without_an_epoch_wait_for_the_welcome(void)
{
    setup();
    greet_with_schema("dev1");
    connect_peer();
    struct client_hello hello = client_good_hello;
    hello.epoch = 0;
    hello.id = "dev1";
    client_put_hello(&rig.out, &hello);
    client_put_chunk(&rig.out, 1, 3, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 1);
    CHECK(rig.peer.counts.stray != 0);
    client_put_chunk(&rig.out, 1, 3, 512);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 4);
    teardown();
}

static void parts_right_behind_a_hello_are_taken(void)
{
    setup();
    greet_with_schema("dev1");
    connect_peer();
    client_put_hello(&rig.out, &client_good_hello);
    client_put_chunk(&rig.out, 2, 5, 100);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, 1);
    CHECK_EQ(rig.answers.next, 7);
    teardown();
}

static void each_lane_is_welcomed(void)
{
    setup();
    struct client_hello hello = client_good_hello;
    hello.lanes = 8;
    client_put_hello(&rig.out, &hello);
    send_and_hear();
    CHECK_EQ(rig.answers.welcomes, 8);
    CHECK_EQ(rig.answers.lane, 7);
    CHECK_EQ(rig.answers.bad, 0);
    teardown();
}

static void identities_keep_to_their_grammar(void)
{
    static const char *const good[] = {"a", "Z9", "00:1A:2b:3C", "x.y_z-1",
                                       "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {
        "",    ".a",   ":a",  "-a", "_a",    "a b", "a/b",
        "a\n", "../x", "a\"", "ä",  "a\x01", "a%",  "abcdefghijklmnopqrstuvwxyz0123456"};
    setup();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        connect_peer();
        greet_as(good[i]);
        CHECK_EQ(rig.answers.welcomes, 1);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        connect_peer();
        greet_as(bad[i]);
        CHECK_EQ(rig.answers.welcomes, 0);
        CHECK_EQ(rig.answers.refusals, 1);
        CHECK_EQ(rig.answers.reason, TERN_REFUSED_IDENTITY);
        CHECK(tern_peer_is_over(&rig.peer));
    }
    teardown();
}

static void another_version_is_refused(void)
{
    setup();
    struct client_hello hello = client_good_hello;
    hello.version = 1;
    client_put_hello(&rig.out, &hello);
    send_and_hear();
    CHECK_EQ(rig.answers.reason, TERN_REFUSED_VERSION);
    CHECK(strstr(rig.answers.text, "version 2") != NULL);
    teardown();
}

/* Each is dropped and counted, and has no effect. */
static void a_malformed_hello_has_no_effect(void)
{
    struct client_hello bad[9];
    for (size_t i = 0; i < 9; i++)
        bad[i] = client_good_hello;
    bad[0].newest = 1; /* an epoch of another lane */
    bad[1].receive = 63;
    bad[2].base = 0;
    bad[3].base = 2; /* above next */
    bad[4].newest = 0u - 8u;
    bad[5].epoch = CLIENT_EPOCH + 1; /* of another lane */
    bad[6].epoch = 0x80000000u;
    bad[7].lane = 1; /* with lane 0's epoch */
    bad[8].next = 0;
    setup();
    for (size_t i = 0; i < 9; i++) {
        connect_peer();
        client_put_hello(&rig.out, &bad[i]);
        send_and_hear();
        CHECK_EQ(rig.peer.counts.bad_frames, 1);
        CHECK_EQ(rig.answers.welcomes + rig.answers.refusals, 0);
        CHECK(rig.peer.device == NULL);
    }
    teardown();
}

int main(void)
{
    RUN(a_hello_is_welcomed_when_it_is_durable);
    RUN(a_device_without_an_epoch_is_given_one);
    RUN(records_of_another_epoch_are_dropped);
    RUN(records_of_the_epochs_before_and_behind_are_dropped);
    RUN(parts_without_an_epoch_wait_for_the_welcome);
    RUN(parts_right_behind_a_hello_are_taken);
    RUN(each_lane_is_welcomed);
    RUN(identities_keep_to_their_grammar);
    RUN(another_version_is_refused);
    RUN(a_malformed_hello_has_no_effect);
    return test_report();
}
