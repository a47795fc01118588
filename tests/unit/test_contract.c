/* SPDX-License-Identifier: MIT */
/* What a caller may count on (tern.h, "Port calls"): the port's calls are counted for each call of the
 * application, over long random lives of each program unit and policy. Each bound is reached, or nearly: a
 * table that says too much is wrong, too. */
#include "../test.h"

#include <string.h>

#include "../../core/log.h"
#include "../../core/schema.h"
#include "../nor.h"

#define CHUNK 256u

static const struct tern_column columns[] = {{"at", TERN_I64, TERN_KEY}, {"note", TERN_TEXT(60), 0}};
static const struct tern_table tables[] = {TERN_TABLE("first", TERN_MERGE, columns),
                                           TERN_TABLE("second", TERN_MERGE, columns)};

static struct nor nor;
static struct tern tern;
static struct tern_lane lane;
static struct tern_config config;
static uint8_t chunk[CHUNK], frame[200];
static uint64_t state;
static uint32_t sends, now;
static bool is_up;

static uint32_t link_session(void *context)
{
    (void)context;
    return is_up;
}

static int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    for (uint32_t i = 0; i < size; i++)
        sends += data[i] == 0 && i != 0; /* a frame's end; one may stand before it */
    return (int32_t)size;
}

static int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return 0;
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return now;
}

static const struct tern_link link = {NULL, link_session, link_send, link_receive, 0};
static const struct tern_clock ticks = {NULL, clock_now, NULL};

static unsigned chance(unsigned limit)
{
    return (unsigned)(test_random(&state) % limit);
}

static void start(uint8_t unit, uint8_t overflow)
{
    nor_close(&nor);
    nor_open(&nor, 2048, 4, unit);
    nor.busy = 3;
    memset(&lane, 0, sizeof lane);
    lane.flash = &nor.flash;
    lane.chunk_data = chunk;
    lane.chunk_size = CHUNK;
    lane.overflow = overflow;
    config = (struct tern_config){.id = "dev",
                                  .lanes = &lane,
                                  .lane_count = 1,
                                  .link = &link,
                                  .clock = &ticks,
                                  .frame = frame,
                                  .frame_size = sizeof frame};
    is_up = true;
    CHECK_EQ(tern_open(&tern, &config), TERN_OK);
}

/* Port calls of one call, and the most so far. */
struct calls {
    uint32_t programs, erases, bytes;
};

static struct calls most_put, most_commit, most_poll, most_open;

static void begin(void)
{
    memset(nor.counts, 0, sizeof nor.counts);
    memset(nor.bytes, 0, sizeof nor.bytes);
    sends = 0;
}

static void end(struct calls *most)
{
    if (nor.counts[NOR_PROGRAM] > most->programs)
        most->programs = nor.counts[NOR_PROGRAM];
    if (nor.counts[NOR_ERASE] > most->erases)
        most->erases = nor.counts[NOR_ERASE];
    if (nor.bytes[NOR_PROGRAM] > most->bytes)
        most->bytes = nor.bytes[NOR_PROGRAM];
}

/* The pieces of a schema of these tables in flash, two programs each. */
static uint32_t schema_programs(void)
{
    return 2 * (((uint32_t)tern_schema_size(&tables[1]) + 6 + 31) / 32);
}

static void put(void)
{
    char note[60];
    struct tern_value row[] = {tern_int((int64_t)test_random(&state)), tern_bytes(note, chance(60))};
    memset(note, 'n', sizeof note);
    uint16_t rows = lane.chunk.segment_rows, size = lane.chunk.size;
    bool was_due = lane.due != 0;
    begin();
    int status = tern_put(&tern, &tables[chance(8) == 0], row);
    end(&most_put);
    CHECK(status == TERN_OK || status == (lane.overflow == TERN_REFUSE ? TERN_E_FULL : TERN_AGAIN));
    CHECK_EQ(nor.counts[NOR_ERASE], 0);
    /* RAM only, except where the chunk it found was full, or a chunk waited for a sector. */
    if (status == TERN_OK && size != 0 && lane.chunk.size == size && lane.chunk.segment_rows == rows + 1)
        CHECK(was_due || nor.changes == 0 || nor.counts[NOR_PROGRAM] == 0);
    else if (rows == 0 && !was_due)
        CHECK_EQ(nor.counts[NOR_PROGRAM], 0);
}

static void commit(void)
{
    bool is_ahead = lane.log.ready_at != 0;
    uint32_t generation = lane.log.generation;
    uint32_t newest = lane.log.newest;
    begin();
    int status = tern_commit(&tern);
    end(&most_commit);
    CHECK(status == TERN_OK || status == TERN_AGAIN);
    /* No erase where an erased sector stood ahead and still does. */
    CHECK(nor.counts[NOR_ERASE] == 0 || !is_ahead || lane.log.newest != newest);
    CHECK(nor.counts[NOR_ERASE] <= 1 && lane.log.generation - generation <= 1);
}

static void poll(void)
{
    begin();
    int32_t wait = tern_poll(&tern);
    end(&most_poll);
    if (wait == TERN_E_TOO_BIG)
        CHECK_EQ(tern_abort(&tern), TERN_OK);
    now += wait > 0 ? (uint32_t)wait : 0;
    CHECK(nor.counts[NOR_ERASE] + (nor.counts[NOR_PROGRAM] != 0) + (sends != 0) <= 1);
    CHECK(nor.bytes[NOR_READ] <= 3 * 8192 || sends != 0);
    CHECK(sends <= 1);
}

static void live(unsigned steps)
{
    while (steps-- != 0) {
        unsigned what = chance(100);
        if (what < 50)
            put();
        else if (what < 70)
            commit();
        else if (what < 72) {
            begin();
            CHECK_EQ(tern_abort(&tern), TERN_OK);
            CHECK_EQ(nor.counts[NOR_PROGRAM] + nor.counts[NOR_ERASE], 0);
        } else if (what < 73) {
            nor.counts[NOR_PROGRAM] = 0;
            begin();
            CHECK_EQ(tern_open(&tern, &config), TERN_OK);
            end(&most_open);
        } else if (what < 75) {
            tern_log_acknowledge(&lane.log, lane.log.next, 1);
        } else {
            poll();
        }
    }
}

static void no_call_makes_more_port_calls_than_it_says(void)
{
    for (uint8_t unit = 1; unit <= 32; unit = (uint8_t)(unit * 2))
        for (uint8_t overflow = TERN_DROP_OLDEST; overflow <= TERN_WAIT; overflow++) {
            start(unit, overflow);
            live(20000);
            CHECK_EQ(nor.violations, 0);
        }
    uint32_t schemas = 2 * schema_programs();
    uint32_t place = 1 + 4 + schemas; /* a unit burnt, a head twice, two schemas */
    printf("    put: %u programs, %u bytes; commit: %u programs, %u bytes; poll: %u programs\n",
           most_put.programs, most_put.bytes, most_commit.programs, most_commit.bytes, most_poll.programs);
    CHECK_EQ(most_open.programs + most_open.erases, 0);
    CHECK(most_put.programs <= place + 2 && most_put.programs >= place - schemas / 2);
    CHECK(most_put.bytes <= 3 * 32 + 2 * 128 + CHUNK);
    CHECK(most_commit.programs <= place + 2 + 5 && most_commit.programs >= place - schemas / 2);
    CHECK(most_commit.bytes <= 3 * 32 + 2 * 128 + CHUNK + 3 * 32);
    CHECK(most_poll.programs <= 5 && most_poll.programs >= 2);
    CHECK_EQ(most_poll.erases, 1);
}

/* While a sector is being erased, puts and commits go on, and none waits for it. */
static void an_erase_that_takes_long_holds_nobody(void)
{
    start(4, TERN_DROP_OLDEST);
    nor.busy = 200;
    nor.waiting = 200;
    uint32_t waited = 0;
    for (unsigned i = 0; i < 3000; i++) {
        struct tern_value row[] = {tern_int(i), tern_bytes("twenty bytes of note", 20)};
        uint32_t polls = 0;
        while (tern_put(&tern, &tables[0], row) == TERN_AGAIN && polls++ < 1000)
            poll();
        waited += polls != 0;
        commit();
        for (unsigned k = 0; k < 10; k++)
            poll();
    }
    CHECK(nor.erases[0] > 10);
    CHECK_EQ(waited, 1); /* before the first sector */
}

/* What a record costs: its bytes, and of erases its share. */
static void wear_is_as_it_says(void)
{
    uint32_t records = 0, rows = 0;
    start(1, TERN_DROP_OLDEST);
    while (lane.log.stats.erases < 200) {
        struct tern_value row[] = {tern_int(records), tern_bytes("twenty bytes of note", 20)};
        uint32_t before = lane.chunk.size;
        if (tern_put(&tern, &tables[0], row) == TERN_OK) {
            CHECK_EQ(tern_commit(&tern), TERN_OK);
            uint32_t grown = lane.chunk.size - before;
            rows += lane.chunk.rows == 1 ? 0 : grown;
            CHECK(lane.chunk.rows == 1 || (grown >= 31 && grown <= 36)); /* 26 to 29 of CSV, a tag, a CRC */
            records++;
        }
        poll();
    }
    const struct tern_log_stats *stats = &lane.log.stats;
    CHECK(stats->programmed <= (stats->erases + 1) * 2048u && stats->programmed >= stats->erases * 1800u);
    CHECK(rows > stats->programmed * 3 / 4);
    for (unsigned i = 1; i < 4; i++)
        CHECK(nor.erases[i] - nor.erases[0] + 1 <= 2);
}

/* The early warning of a power failure: what one commit programs is known beforehand. */
static void the_most_that_a_commit_programs_is_known(void)
{
    start(8, TERN_WAIT);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned k = chance(4); k != 0; k--)
            put();
        uint32_t tail = (uint32_t)lane.chunk.capacity + 2 * 128 + 3 * 32;
        begin();
        (void)tern_commit(&tern);
        CHECK(nor.bytes[NOR_PROGRAM] <= tail + 32);
        poll();
        tern_log_acknowledge(&lane.log, lane.log.next, 1);
    }
}

int main(int argc, char **argv)
{
    state = test_seed(argc, argv);
    RUN(no_call_makes_more_port_calls_than_it_says);
    RUN(an_erase_that_takes_long_holds_nobody);
    RUN(wear_is_as_it_says);
    RUN(the_most_that_a_commit_programs_is_known);
    nor_close(&nor);
    return test_report();
}
