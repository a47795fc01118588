/* SPDX-License-Identifier: MIT */
/* Dedup against an exact model of the final tables: random puts, deletes, commits, aborts, restarts and power
 * cuts, with values that come back, and filters so small that nearly every put is compared. A reader takes
 * the committed records out of the log, as a gateway would; what it then holds must be what the application
 * put (core/DEDUP.md: no state is ever lost). */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/log.h"
#include "../../core/schema.h"
#include "../../core/unpack.h"
#include "../nor.h"

#define NODES    24 /* keys of the keyed table */
#define CODES    48 /* different rows of the other one */
#define PENDING  4096
#define CHUNK    256
#define ABSENT   INT64_MIN
#define COLUMNS  3
#define FILL_MAX 20

/* A state of the tables: the value of each node, and which events were seen. `carrier` is the sequence of the
 * record that says so. */
struct state {
    int64_t value[NODES];
    uint32_t carrier[NODES];
    bool seen[CODES];
    uint32_t event_carrier[CODES];
};

static const struct tern_column node_columns[] = {
    {"node", TERN_U16, TERN_KEY}, {"value", TERN_I32, TERN_NULLABLE}, {"note", TERN_TEXT(20), TERN_NULLABLE}};
static const struct tern_column event_columns[] = {{"code", TERN_U16, 0}, {"note", TERN_TEXT(20), 0}};
static const struct tern_table nodes = {"nodes", node_columns, &tern_packed_text, 3, TERN_MERGE, TERN_DEDUP,
                                        0};
static const struct tern_table events = {
    "events", event_columns, &tern_packed_text, 2, TERN_APPEND, TERN_DEDUP, 0};
static const struct tern_table filler = TERN_TABLE_PACKED_TEXT("filler", TERN_APPEND, event_columns);
static const struct tern_table *const tables[] = {&nodes, &events, &filler};

static struct nor nor;
static struct tern tern;
static struct tern_config config;
static struct tern_lane lane;
static struct tern_dedup dedup;
static uint8_t chunk[CHUNK], buffer[CHUNK], filter[256], texts[64];
static uint64_t models[128], more_models[128], reader_models[128];
static struct tern_value values[COLUMNS];

static struct state put_state, committed, arrived; /* with the open batch; without; what the reader holds */
static uint32_t next_read;
static uint32_t lost_from, lost_to; /* records that went in a gap since the last comparison */
static uint64_t random_state;
static uint64_t put_count, suppressed, unfounded, cuts, gaps, restarts;

static unsigned chance(unsigned limit)
{
    return (unsigned)(test_random(&random_state) % limit);
}

/* ---- The reader ------------------------------------------------------------------------------ */

static void take_record(const struct tern_unpack *unpack, const struct tern_unpack_record *record,
                        const struct tern_value *row, uint32_t sequence)
{
    const struct tern_table *table = unpack->tables[record->index];
    if (table == &filler)
        return;
    uint64_t at = (uint64_t)row[0].number;
    if (table == &events) {
        if (CHECK(at < CODES))
            arrived.seen[at] = true;
        return;
    }
    if (!CHECK(at < NODES))
        return;
    arrived.value[at] = record->op == TERN_OP_DELETE ? ABSENT : row[1].is_null ? ABSENT + 1 : row[1].number;
    arrived.carrier[at] = sequence;
}

static void take_segment(struct tern_unpack *unpack, const uint8_t *data, const struct tern_segment *segment)
{
    struct tern_value row[TERN_COLUMNS_MAX];
    struct tern_unpack_record record;
    for (uint8_t i = 0; i < segment->new_tables; i++)
        for (unsigned k = 0; k < 3; k++)
            if (tern_schema_hash(tables[k]) == tern_segment_hash(segment, data, i))
                CHECK_EQ(tern_unpack_table(unpack, tables[k]), TERN_OK);
    tern_unpack_segment(unpack, data + segment->payload, segment->size, segment->rows);
    for (uint32_t i = 0; i < segment->rows; i++) {
        if (!CHECK_EQ(tern_unpack_next(unpack, &record, row), TERN_OK))
            return;
        if (segment->first + i >= next_read)
            take_record(unpack, &record, row, segment->first + i);
    }
}

static void take_chunk(const struct tern_log_chunk *found)
{
    static uint8_t data[TERN_CHUNK_MAX], more_texts[64];
    struct tern_unpack unpack;
    struct tern_walk walk;
    struct tern_segment segment;
    CHECK_EQ(tern_log_read(&lane.log, found, 0, data, found->size), TERN_OK);
    CHECK_EQ(tern_walk_begin(&walk, tern_source_memory(data), found->size), TERN_OK);
    CHECK_EQ(tern_unpack_open(&unpack, reader_models, sizeof(reader_models), more_texts, sizeof(more_texts)),
             TERN_OK);
    while (test_faults == 0 && tern_walk_next(&walk, &segment) == TERN_OK)
        take_segment(&unpack, data, &segment);
}

/* Takes everything that is committed, and acknowledges some of it. */
static void read_log(void)
{
    struct tern_log_chunk found;
    found.address = TERN_NO_ADDRESS;
    while (next_read < lane.log.next && test_faults == 0) {
        if (!CHECK_EQ(tern_log_find(&lane.log, next_read, &found), TERN_OK))
            return;
        if (found.first > next_read) {
            CHECK(lane.overflow == TERN_DROP_OLDEST);
            lost_from = lost_from == 0 ? next_read : lost_from;
            lost_to = found.first;
            gaps++;
        }
        take_chunk(&found);
        next_read = found.next;
    }
    tern_log_acknowledge(&lane.log, next_read - (chance(2) ? 0 : chance(next_read)), 1);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool is_lost(uint32_t carrier)
{
    return carrier >= lost_from && carrier < lost_to;
}

static bool states_equal(const struct state *want)
{
    for (unsigned i = 0; i < NODES; i++)
        if (want->value[i] != arrived.value[i] && !is_lost(want->carrier[i]))
            return false;
    for (unsigned i = 0; i < CODES; i++)
        if (want->seen[i] != arrived.seen[i] && !is_lost(want->event_carrier[i]))
            return false;
    return true;
}

/* What was lost in a gap is lost for both from here on. */
static void settle(void)
{
    memcpy(arrived.seen, committed.seen, sizeof(arrived.seen));
    memcpy(arrived.value, committed.value, sizeof(arrived.value));
    lost_from = lost_to = 0;
}

static void compare(void)
{
    read_log();
    CHECK(states_equal(&committed));
    settle();
}

/* ---- The device ------------------------------------------------------------------------------ */

static void start(void)
{
    tern_dedup_open(&dedup, filter, 16u << chance(5));
    if (chance(3) != 0)
        dedup.bloom.limit = UINT32_MAX; /* soon all of its bits are set: everything is "maybe" */
    dedup.reach = (uint8_t)(1 + chance(6));
    CHECK_EQ(tern_open(&tern, &config), TERN_OK);
}

/* The power has gone: the batch that was being committed is there whole, or not at all. */
static void restart(bool committing)
{
    nor_start(&nor);
    start();
    read_log();
    if (committing && !states_equal(&committed))
        committed = put_state;
    CHECK(states_equal(&committed));
    settle();
    put_state = committed;
    restarts++;
}

static bool is_off(bool committing)
{
    if (!nor.off)
        return false;
    cuts++;
    restart(committing);
    return true;
}

/* Makes room where the policy is to wait. */
static void make_room(void)
{
    read_log();
    tern_log_acknowledge(&lane.log, next_read, 1);
    for (int i = 0; i < 40 && !nor.off; i++)
        (void)tern_poll(&tern);
}

/* Returns whether the record was taken, stored or not; `*carrier` is changed if it was stored. */
static bool put(const struct tern_table *table, const struct tern_value *row, bool is_delete,
                uint32_t *carrier)
{
    for (int tries = 0; tries < 3; tries++) {
        uint32_t before = dedup.checks[TERN_DEDUP_SUPPRESSED];
        int status = is_delete ? tern_delete(&tern, table, row) : tern_put(&tern, table, row);
        if (is_off(false))
            return false;
        if (status == TERN_OK) {
            if (dedup.checks[TERN_DEDUP_SUPPRESSED] == before)
                *carrier = tern_chunk_next(&lane.chunk) - 1;
            else
                suppressed++;
            return true;
        }
        if (!CHECK_EQ(status, TERN_AGAIN))
            return false;
        make_room();
        if (is_off(false))
            return false;
    }
    /* The open batch fills the ring. */
    CHECK_EQ(tern_abort(&tern), TERN_OK);
    put_state = committed;
    return false;
}

static void put_node(void)
{
    unsigned node = chance(NODES);
    int64_t value = chance(3);
    struct tern_value row[3] = {tern_int(node), value == 2 ? tern_null() : tern_int(value), tern_null()};
    bool is_delete = chance(20) == 0;
    put_count += !is_delete;
    if (put(&nodes, row, is_delete, &put_state.carrier[node]))
        put_state.value[node] = is_delete ? ABSENT : value == 2 ? ABSENT + 1 : value;
}

static void put_event(void)
{
    unsigned code = chance(CODES);
    char note[8];
    snprintf(note, sizeof(note), "e%u", code % 7);
    struct tern_value row[2] = {tern_int(code), tern_text(note)};
    put_count++;
    if (put(&events, row, false, &put_state.event_carrier[code]))
        put_state.seen[code] = true;
}

static void put_filler(void)
{
    uint32_t carrier;
    struct tern_value row[2] = {tern_int(chance(1000)),
                                tern_bytes("abcdefghijklmnopqrstuvwxyz", chance(FILL_MAX))};
    (void)put(&filler, row, false, &carrier);
}

/* Where the oldest records are dropped, so many at times that the reader comes too late. */
static void put_fillers(void)
{
    for (unsigned i = lane.overflow == TERN_DROP_OLDEST ? chance(40) : 1; i != 0; i--)
        put_filler();
}

static void commit(void)
{
    int status = tern_commit(&tern);
    if (is_off(true))
        return;
    for (int i = 0; i < 3 && status == TERN_AGAIN; i++) {
        make_room();
        if (is_off(true))
            return;
        status = tern_commit(&tern);
        if (is_off(true))
            return;
    }
    if (status == TERN_AGAIN) {
        CHECK_EQ(tern_abort(&tern), TERN_OK);
        put_state = committed;
        return;
    }
    CHECK_EQ(status, TERN_OK);
    committed = put_state;
}

static void step(void)
{
    unsigned what = chance(1000);
    if (what < 600)
        put_node();
    else if (what < 780)
        put_event();
    else if (what < 790)
        put_fillers();
    else if (what < 900)
        commit();
    else if (what < 910) {
        CHECK_EQ(tern_abort(&tern), TERN_OK);
        put_state = committed;
    } else if (what < 912)
        restart(false);
    else if (what < (lane.overflow == TERN_WAIT ? 920 : 913))
        compare();
    else if (what < 924) {
        nor.cut_at = nor.changes + 1 + chance(6);
        nor.tear = (enum nor_tear)chance(3);
        nor.extent = chance(64);
    } else
        (void)tern_poll(&tern);
    (void)is_off(false);
}

static void open_run(void)
{
    static const uint8_t units[] = {1, 2, 4, 8, 16, 32};
    nor_close(&nor);
    unsigned overflow = chance(2) ? TERN_WAIT : TERN_DROP_OLDEST;
    uint32_t sectors = overflow == TERN_WAIT ? 3 + chance(6) : 3; /* few, so that records are dropped */
    nor_open(&nor, 1024u << chance(2), sectors, units[chance(6)]);
    nor.random = test_random(&random_state);
    memset(&lane, 0, sizeof(lane));
    memset(&arrived, 0, sizeof(arrived));
    for (unsigned i = 0; i < NODES; i++)
        arrived.value[i] = ABSENT;
    committed = put_state = arrived;
    next_read = 1;
    lost_from = lost_to = 0;
    dedup = (struct tern_dedup){.tables = tables,
                                .table_count = 3,
                                .models = more_models,
                                .models_size = sizeof(more_models),
                                .buffer = buffer,
                                .values = values,
                                .texts = texts,
                                .texts_size = sizeof(texts)};
    lane.flash = &nor.flash;
    lane.chunk_data = chunk;
    lane.chunk_size = (uint16_t)(96 + chance(CHUNK - 96));
    lane.models = models;
    lane.models_size = sizeof(models);
    lane.dedup = &dedup;
    lane.overflow = (uint8_t)overflow;
    config = (struct tern_config){.id = "dev", .lanes = &lane, .lane_count = 1};
    start();
}

static void run(uint64_t seed)
{
    random_state = seed;
    open_run();
    for (unsigned i = 0; i < 30000 && test_faults == 0; i++) {
        step();
        unfounded += dedup.checks[TERN_DEDUP_UNFOUNDED];
        dedup.checks[TERN_DEDUP_UNFOUNDED] = 0;
    }
    if (test_faults == 0) {
        commit();
        compare();
    }
    CHECK_EQ(nor.violations, 0);
    if (test_faults != 0)
        printf("    replay with seed %llu and 1 put\n", (unsigned long long)seed);
}

static uint64_t first_seed, wanted = 1000000;

static void no_state_is_ever_lost(void)
{
    for (uint64_t seed = first_seed; put_count < wanted && test_faults == 0; seed++)
        run(seed);
    CHECK(wanted < 1000000 || (suppressed > put_count / 10 && cuts > 1000 && gaps > 50));
}

int main(int argc, char **argv)
{
    first_seed = test_seed(argc, argv);
    if (argc > 2)
        wanted = strtoull(argv[2], NULL, 0);
    RUN(no_state_is_ever_lost);
    printf("puts %llu count\nsuppressed %llu count\nunfounded_checks %llu count\nrestarts %llu "
           "count\npower_cuts %llu count\ngaps %llu count\n",
           (unsigned long long)put_count, (unsigned long long)suppressed, (unsigned long long)unfounded,
           (unsigned long long)restarts, (unsigned long long)cuts, (unsigned long long)gaps);
    nor_close(&nor);
    return test_report();
}
