/* SPDX-License-Identifier: MIT */
/* The policy TERN_REFUSE: what was taken and committed stays, whatever was refused in between, and each
 * refusal is one missing sequence number (DESIGN.md, promise 1). */
#include "../test.h"

#include <string.h>

#include "../../core/log.h"
#include "../nor.h"

#define CHUNK 128

static const struct tern_column columns[] = {{"at", TERN_I32, TERN_KEY}, {"note", TERN_TEXT(30), 0}};
static const struct tern_table table = TERN_TABLE("t", TERN_MERGE, columns);

static struct nor nor;
static struct tern tern;
static struct tern_config config;
static struct tern_lane lane;
static uint8_t chunk[CHUNK];
static uint32_t taken, refused;

static void restart(void)
{
    nor_start(&nor);
    memset(&lane.batch, 0, sizeof(lane) - offsetof(struct tern_lane, batch));
    CHECK_EQ(tern_open(&tern, &config), TERN_OK);
    while (tern_poll(&tern) == 0)
        ;
}

static void start_unknown(uint32_t sectors)
{
    nor_close(&nor);
    nor_open(&nor, 1024, sectors, 4);
    memset(&lane, 0, sizeof(lane));
    lane.flash = &nor.flash;
    lane.chunk_data = chunk;
    lane.chunk_size = sizeof(chunk);
    lane.overflow = TERN_REFUSE;
    config = (struct tern_config){.id = "dev", .lanes = &lane, .lane_count = 1};
    taken = refused = 0;
    restart();
}

/* A device that has met its gateway. */
static void start(uint32_t sectors)
{
    start_unknown(sectors);
    CHECK_EQ(tern_log_set_epoch(&lane.log, 8, 1), TERN_OK);
}

static int put(void)
{
    struct tern_value row[] = {tern_int((int64_t)taken), tern_text("some twenty-five bytes..")};
    int status = tern_put(&tern, &table, row);
    taken += status == TERN_OK;
    refused += status == TERN_E_FULL;
    CHECK(status == TERN_OK || status == TERN_E_FULL);
    return status;
}

/* How many records are in the log from `sequence` on. */
static uint32_t count_from(uint32_t sequence)
{
    struct tern_log_chunk found;
    uint32_t count = 0;
    found.address = TERN_NO_ADDRESS;
    while (sequence < lane.log.next && tern_log_find(&lane.log, sequence, &found) == TERN_OK) {
        uint32_t from = found.first > sequence ? found.first : sequence;
        count += found.next - from;
        sequence = found.next;
    }
    return count;
}

static void make_room(void)
{
    tern_log_acknowledge(&lane.log, lane.log.next, 1);
    while (tern_poll(&tern) == 0)
        ;
}

static void fill(void)
{
    for (unsigned i = 0; put() == TERN_OK; i++)
        if (i % 3 == 2)
            CHECK_EQ(tern_commit(&tern), TERN_OK);
}

static void what_was_taken_before_a_refusal_is_committed(void)
{
    for (uint32_t sectors = 3; sectors < 6; sectors++) {
        start(sectors);
        fill();
        CHECK_EQ(tern_commit(&tern), TERN_OK);
        CHECK_EQ(count_from(1), taken);
    }
}

static void a_refusal_in_the_middle_of_a_batch_voids_nothing_of_it(void)
{
    for (uint32_t before = 0; before < 12; before++) {
        start(4);
        fill();
        CHECK_EQ(tern_commit(&tern), TERN_OK);
        make_room();
        for (uint32_t i = 0; i < before; i++)
            (void)put();
        CHECK_EQ(tern_commit(&tern), TERN_OK);
        uint32_t base = lane.log.next, had = taken;
        while (put() == TERN_OK)
            ;
        (void)put();
        make_room();
        for (unsigned i = 0; i < 5; i++)
            (void)put();
        CHECK_EQ(tern_commit(&tern), TERN_OK);
        CHECK_EQ(count_from(base), taken - had);
    }
}

static void every_refusal_is_one_missing_number(void)
{
    start(4);
    fill();
    (void)put();
    (void)put();
    CHECK_EQ(tern_commit(&tern), TERN_OK);
    make_room();
    CHECK_EQ(put(), TERN_OK);
    CHECK_EQ(tern_commit(&tern), TERN_OK);
    while (lane.refused != 0) { /* counted with the next chunk */
        CHECK_EQ(put(), TERN_OK);
        CHECK_EQ(tern_commit(&tern), TERN_OK);
    }
    CHECK(refused >= 3);
    CHECK_EQ(lane.log.next, 1 + taken + refused);
}

/* Full, with a part of a batch that is given up, and a cut in each program of that: `spent` starts of which
 * none comes further. */
static bool fill_and_cut(uint8_t overflow, enum nor_tear tear, unsigned spent)
{
    start_unknown(4);
    lane.overflow = overflow;
    struct tern_value row[] = {tern_int(1), tern_text("some twenty-five bytes..")};
    for (unsigned i = 0; tern_put(&tern, &table, row) == TERN_OK; i++) {
        if (i % 3 == 2 && i < 60)
            CHECK_EQ(tern_commit(&tern), TERN_OK);
        while (tern_poll(&tern) == 0)
            ;
    }
    CHECK_EQ(tern_abort(&tern), TERN_OK);
    for (unsigned i = 0; i < spent; i++) {
        nor.cut_at = nor.changes + 1 + i % 2;
        nor.tear = tear;
        nor.extent = 1;
        (void)tern_put(&tern, &table, row);
        for (unsigned polls = 0; polls < 10 && !nor.off; polls++)
            (void)tern_poll(&tern);
        nor_age(&nor);
        restart();
        lane.overflow = overflow;
    }
    return tern_log_set_epoch(&lane.log, 8, 1) == TERN_OK;
}

/* Without one nothing could be sent, and nothing acknowledged. */
static void a_ring_that_filled_up_before_its_first_epoch_has_room_for_it(void)
{
    for (uint8_t overflow = TERN_REFUSE; overflow <= TERN_WAIT; overflow++)
        for (unsigned tear = NOR_PREFIX; tear <= NOR_RISING; tear++)
            for (unsigned spent = 0; spent < 12; spent++)
                if (!CHECK(fill_and_cut(overflow, (enum nor_tear)tear, spent)))
                    return;
}

int main(void)
{
    RUN(what_was_taken_before_a_refusal_is_committed);
    RUN(a_refusal_in_the_middle_of_a_batch_voids_nothing_of_it);
    RUN(every_refusal_is_one_missing_number);
    RUN(a_ring_that_filled_up_before_its_first_epoch_has_room_for_it);
    nor_close(&nor);
    return test_report();
}
