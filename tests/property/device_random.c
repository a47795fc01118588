/* SPDX-License-Identifier: MIT */
/* The whole device, of one to three lanes, against a gateway that loses frames, hangs up and is slow, with
 * restarts between any two flash operations: what was committed arrives in order and once, or is in a gap of
 * just that size (DESIGN.md, promises 1 to 3). Some lanes begin so late that their count begins again in the
 * next epoch. */
#include "../test.h"

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/csv.h"
#include "../../core/frame.h"
#include "../../core/log.h"
#include "../../core/schema.h"

#define FLASH_MAX (1u << 18)
#define LANES     3u
#define IDS_MAX   20000u
#define STORE     7u
#define EPOCH     0x01000000u
#define HALF      0x80000000u /* sequences of an epoch after which the next one may begin */

struct device {
    struct tern tern;
    struct tern_config config;
    struct tern_lane lanes[LANES];
    struct tern_flash flash[LANES];
    struct tern_link link;
    struct tern_clock clock;
    uint8_t memory[LANES][FLASH_MAX];
    uint8_t chunk[LANES][512];
    uint8_t frame[1100];
    uint32_t now, session;
};

/* What the gateway holds of a lane: everything below next. */
struct range {
    uint8_t lane;
    uint8_t chunk[TERN_CHUNK_MAX];
    uint32_t chunk_first, chunk_size;
    struct tern_walk walk;
    bool walked;
    uint32_t next, last_crc, epoch;
};

struct gateway {
    struct tern_cobs cobs;
    uint8_t buffer[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    struct range ranges[LANES];
    uint64_t nonce;
    uint8_t down[1 << 16];
    size_t down_size, down_at;
};

/* What must be in a lane, by sequence, from `base` on; 0: refused, or never put. A record above log->next is
 * not committed. */
struct oracle {
    int64_t ids[IDS_MAX];
    uint32_t base;
    uint32_t end;      /* behind the newest put */
    uint32_t settled;  /* behind the newest that is known to be committed */
    uint32_t refused;  /* puts, of this epoch */
    uint32_t restarts; /* which may forget some of these */
};

static struct device device;
static struct gateway gateway;
static struct oracle oracles[LANES];
static bool
    commit_waits; /* it has been asked for, and any later put may complete it: ask for it again first */
static uint64_t state;
static unsigned loss; /* frames in a thousand that are lost, either way */
static unsigned long delivered, lost_records, refused_records, begun_again;

static const struct tern_column columns[] = {{"at", TERN_I64, TERN_KEY}, {"note", TERN_TEXT(60), 0}};
static const struct tern_table tables[LANES] = {
    {"a", columns, &tern_csv, 2, TERN_MERGE, 0, 0},
    {"b", columns, &tern_csv, 2, TERN_MERGE, 0, 1},
    {"c", columns, &tern_csv, 2, TERN_MERGE, 0, 2},
};

static unsigned chance(unsigned limit)
{
    return (unsigned)(test_random(&state) % limit);
}

static int64_t *id_of(uint8_t lane, uint32_t sequence)
{
    static int64_t nowhere;
    uint32_t index = sequence - oracles[lane].base;
    return CHECK(index < IDS_MAX) ? &oracles[lane].ids[index] : &nowhere;
}

/* ---- Flash that tells when it is misused ----------------------------------------------------- */

static int flash_read(void *context, uint32_t address, void *data, uint32_t size)
{
    const struct tern_flash *flash = context;
    CHECK(address + size <= flash->sector_size * flash->sector_count);
    memcpy(data, device.memory[flash - device.flash] + address, size);
    return 0;
}

static int flash_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    const struct tern_flash *flash = context;
    uint8_t *memory = device.memory[flash - device.flash];
    CHECK(address % flash->program_unit == 0 && size % flash->program_unit == 0);
    CHECK(address / flash->sector_size == (address + size - 1) / flash->sector_size);
    for (uint32_t i = 0; i < size; i++)
        CHECK(memory[address + i] == 0xFF);
    memcpy(memory + address, data, size);
    return 0;
}

static int flash_erase(void *context, uint32_t address)
{
    const struct tern_flash *flash = context;
    CHECK(address % flash->sector_size == 0);
    memset(device.memory[flash - device.flash] + address, 0xFF, flash->sector_size);
    return chance(4) == 0 ? TERN_AGAIN : 0;
}

/* ---- The gateway ----------------------------------------------------------------------------- */

static void send_down(uint8_t *bare, size_t size, uint32_t epoch)
{
    uint8_t stream[256];
    if (chance(1000) < loss)
        return;
    size = tern_frame_seal(bare, size, epoch);
    memcpy(stream + TERN_COBS_OFFSET(size), bare, size);
    size_t length = tern_cobs_encode(stream, TERN_COBS_OFFSET(size), size);
    if (gateway.down_at == gateway.down_size)
        gateway.down_at = gateway.down_size = 0;
    if (gateway.down_size + length > sizeof(gateway.down))
        return;
    memcpy(gateway.down + gateway.down_size, stream, length);
    gateway.down_size += length;
}

static bool is_bare(const struct range *range)
{
    return range->walked && range->walk.rows == 0 && range->walk.offset > 6;
}

static void send_position(const struct range *range, uint8_t kind)
{
    uint8_t bare[128];
    struct tern_output output = {bare, 0, sizeof(bare) - 4, false};
    bool known = range->chunk_first != 0 && !is_bare(range) && chance(2) == 0;
    tern_write8(&output, kind);
    tern_write8(&output, range->lane);
    tern_write_varint(&output, range->next);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, known ? range->chunk_first : 0);
    tern_write_varint(&output, known ? range->chunk_size : 0);
    tern_write_varint(&output, 512u << chance(6));
    tern_write_varint(&output, chance(20) == 0 ? 100 : 0);
    if (kind == TERN_WELCOME) {
        tern_write64(&output, gateway.nonce);
        tern_write64(&output, STORE);
        tern_write64(&output, 0);
        tern_write_varint(&output, range->epoch);
        if (range->last_crc != 0) {
            tern_write_varint(&output, 0);
            tern_write_varint(&output, range->last_crc);
        }
    }
    send_down(bare, output.size, range->epoch);
}

static void take_segment(struct range *range, const struct tern_segment *segment)
{
    static uint8_t scratch[TERN_CHUNK_MAX];
    const struct tern_table *const known[] = {&tables[range->lane]};
    struct tern_value row[TERN_COLUMNS_MAX];
    struct tern_csv_record record;
    struct tern_input input = {range->chunk + segment->payload, segment->size, false};
    for (uint32_t sequence = segment->first; input.size != 0; sequence++) {
        if (!CHECK_EQ(tern_csv_read(&input, known, 1, &record, row, scratch), TERN_OK))
            return;
        if (sequence == range->next) {
            CHECK(sequence < oracles[range->lane].settled);
            CHECK_EQ(*id_of(range->lane, sequence), row[0].number);
            delivered++;
            range->next++;
            range->last_crc = 0;
        }
    }
    if (segment->rows != 0 && range->next == segment->first + segment->rows)
        range->last_crc = segment->crc;
}

static void take_part(struct range *range, struct tern_input *input)
{
    struct tern_segment segment;
    uint32_t first = tern_read_varint(input);
    uint32_t offset = tern_read_varint(input);
    if (first != range->chunk_first || (offset == 0 && is_bare(range))) {
        if (offset != 0 || first > range->next || first < range->chunk_first)
            return;
        range->chunk_first = first;
        range->chunk_size = 0;
        range->walked = false;
    }
    if (offset > range->chunk_size || offset + input->size <= range->chunk_size)
        return;
    memcpy(range->chunk + offset, input->data, input->size);
    range->chunk_size = offset + (uint32_t)input->size;
    if (!range->walked) {
        int status = tern_walk_begin(&range->walk, tern_source_memory(range->chunk), range->chunk_size);
        if (status == TERN_AGAIN || !CHECK_EQ(status, TERN_OK))
            return;
        range->walked = true;
    }
    range->walk.limit = (uint16_t)range->chunk_size;
    int status;
    while ((status = tern_walk_next(&range->walk, &segment)) == TERN_OK)
        take_segment(range, &segment);
    CHECK_EQ(status, TERN_AGAIN);
}

static void take_gap(struct range *range, struct tern_input *input)
{
    uint32_t first = tern_read_varint(input);
    uint32_t last = tern_read_varint(input);
    uint8_t reason = tern_read8(input) & (uint8_t)~TERN_GAP_LEADS;
    if (first > range->next || last < range->next)
        return;
    CHECK(last < device.lanes[range->lane].log.next);
    for (uint32_t sequence = range->next; sequence <= last; sequence++) {
        bool is_record = *id_of(range->lane, sequence) != 0;
        lost_records += is_record;
        /* What was taken is only ever lost where the oldest is dropped. */
        CHECK(!is_record ||
              (reason == TERN_GAP_OVERFLOW && device.lanes[range->lane].overflow == TERN_DROP_OLDEST));
    }
    range->next = last + 1;
    range->last_crc = 0;
    range->chunk_first = 0;
    range->walked = false;
}

/* The device has begun to count again: what it had is here. */
static void note_epoch(struct range *range, uint32_t epoch)
{
    if (epoch != range->epoch + 8)
        return;
    CHECK(range->next >= HALF);
    range->epoch = epoch;
    range->next = 1;
    range->last_crc = 0;
    range->chunk_first = 0;
    range->walked = false;
}

static void take_hello(struct tern_input *input)
{
    (void)tern_read8(input);
    for (int i = 0; i < 3; i++)
        (void)tern_read_varint(input);
    gateway.nonce = tern_read64(input);
    (void)tern_read_bytes(input, tern_read8(input));
    while (input->size != 0) {
        uint8_t lane = tern_read8(input);
        uint32_t epoch = tern_read_varint(input);
        for (int i = 0; i < 5; i++)
            (void)tern_read_varint(input);
        (void)tern_read64(input);
        if (!CHECK(!input->failed && lane < device.config.lane_count))
            return;
        note_epoch(&gateway.ranges[lane], epoch);
        send_position(&gateway.ranges[lane], TERN_WELCOME);
    }
}

static void take_frame(const uint8_t *frame, size_t size)
{
    struct range *range = &gateway.ranges[frame[0] == TERN_HELLO ? 0 : frame[1] % LANES];
    /* Behind a HELLO that was lost, what goes out on trust may be of another epoch. */
    bool is_known = tern_frame_check(frame, size, range->epoch) == TERN_OK;
    CHECK(is_known || device.lanes[range->lane].log.epochs[0].epoch != range->epoch);
    if (!is_known || chance(1000) < loss)
        return;
    struct tern_input input = {frame + 1, size - TERN_FRAME_MIN, false};
    if (frame[0] == TERN_HELLO) {
        take_hello(&input);
        return;
    }
    (void)tern_read8(&input);
    if (frame[0] == TERN_PART)
        take_part(range, &input);
    else if (frame[0] == TERN_GAP)
        take_gap(range, &input);
    if (chance(3) == 0)
        send_position(range, chance(10) == 0 ? TERN_WELCOME : TERN_ACK);
}

/* ---- Link and clock -------------------------------------------------------------------------- */

static uint32_t link_session(void *context)
{
    (void)context;
    return device.session;
}

static int32_t link_send(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    uint32_t taken = chance(8) == 0 ? 0 : 1 + chance(size);
    for (uint32_t i = 0; i < taken; i++) {
        int got = tern_cobs_take(&gateway.cobs, data[i]);
        if (got > 0)
            take_frame(gateway.buffer, (size_t)got);
    }
    return (int32_t)taken;
}

static int32_t link_receive(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    size_t left = gateway.down_size - gateway.down_at;
    size_t taken = left < size ? left : size;
    memcpy(data, gateway.down + gateway.down_at, taken);
    gateway.down_at += taken;
    return (int32_t)taken;
}

static uint32_t clock_now(void *context)
{
    (void)context;
    return device.now;
}

static uint32_t clock_random(void *context)
{
    (void)context;
    return (uint32_t)test_random(&state);
}

static void hang_up(void)
{
    device.session++;
    gateway.down_at = gateway.down_size = 0;
    gateway.cobs = (struct tern_cobs){gateway.buffer, sizeof(gateway.buffer), 0};
}

/* ---- The device's life ----------------------------------------------------------------------- */

/* What is in flash and committed stays, whatever comes. */
static void settle(uint8_t lane)
{
    struct oracle *oracle = &oracles[lane];
    uint32_t next = device.lanes[lane].log.next;
    if (oracle->base != 1 && next < oracle->base) {
        /* The count has begun again, which it may where the gateway had all. */
        CHECK_EQ(gateway.ranges[lane].next, oracle->settled);
        memset(oracle, 0, sizeof(*oracle));
        oracle->base = oracle->end = oracle->settled = 1;
        begun_again++;
    }
    CHECK(next >= oracle->settled);
    for (; oracle->settled < next; oracle->settled++)
        if (oracle->settled >= oracle->end)
            *id_of(lane, oracle->settled) = 0;
}

/* Nothing that waited for a commit is there any more. */
static void forget(void)
{
    for (uint8_t i = 0; i < device.config.lane_count; i++) {
        struct oracle *oracle = &oracles[i];
        settle(i);
        for (; oracle->end > oracle->settled; oracle->end--)
            *id_of(i, oracle->end - 1) = 0;
    }
    commit_waits = false;
}

static bool anything_is_open(void)
{
    for (uint8_t i = 0; i < device.config.lane_count; i++)
        if (oracles[i].end > oracles[i].settled)
            return true;
    return false;
}

static void start(void)
{
    CHECK_EQ(tern_open(&device.tern, &device.config), TERN_OK);
    for (uint8_t i = 0; i < device.config.lane_count; i++) {
        struct tern_log *log = &device.lanes[i].log;
        if (log->newest == TERN_NO_ADDRESS)
            log->next = log->pending = log->acked = log->floor = oracles[i].base;
        oracles[i].restarts++;
    }
    forget();
    hang_up();
}

static void poll(void)
{
    int32_t wait = tern_poll(&device.tern);
    if (wait < 0 && CHECK_EQ(wait, TERN_E_TOO_BIG)) {
        CHECK_EQ(tern_abort(&device.tern), TERN_OK);
        forget();
    }
    device.now += wait > 0 ? (uint32_t)wait : 0;
}

static void put(uint8_t lane, int64_t id)
{
    char note[61];
    size_t size = chance(chance(10) == 0 ? 60 : 8);
    memset(note, 'x', size);
    struct tern_value row[] = {tern_int(id), tern_bytes(note, size)};
    struct oracle *oracle = &oracles[lane];
    int status = tern_put(&device.tern, &tables[lane], row);
    settle(lane);
    if (status == TERN_OK) {
        uint32_t next = tern_chunk_next(&device.lanes[lane].chunk);
        CHECK(next > oracle->end);
        for (; oracle->end < next - 1; oracle->end++)
            *id_of(lane, oracle->end) = 0; /* refused before it */
        *id_of(lane, oracle->end++) = id;
    } else if (status == TERN_E_FULL && CHECK_EQ(device.lanes[lane].overflow, TERN_REFUSE)) {
        oracle->refused++;
        refused_records++;
    } else {
        CHECK_EQ(status, TERN_AGAIN);
    }
}

static void commit(void)
{
    int status = tern_commit(&device.tern);
    commit_waits = status == TERN_AGAIN;
    for (uint8_t i = 0; i < device.config.lane_count; i++) {
        settle(i);
        CHECK(commit_waits || oracles[i].settled >= oracles[i].end);
    }
    CHECK(commit_waits || status == TERN_OK);
}

static void step(int64_t id)
{
    unsigned what = commit_waits ? 530 + chance(470) : chance(1000);
    if (commit_waits && what >= 560 && what < 570)
        what = 999;
    uint8_t lane = (uint8_t)chance(device.config.lane_count);
    if (what < 500)
        put(lane, id);
    else if (what < 560)
        commit();
    else if (what < 565 && !anything_is_open())
        (void)tern_begin(&device.tern, lane);
    else if (what < 570) {
        CHECK_EQ(tern_abort(&device.tern), TERN_OK);
        forget();
    } else if (what < 573)
        start();
    else if (what < 576)
        hang_up();
    else
        poll();
}

static void open_lane(uint8_t lane)
{
    static const uint8_t units[] = {1, 2, 4, 8, 16, 32};
    static const uint8_t policies[] = {TERN_WAIT, TERN_REFUSE, TERN_DROP_OLDEST, TERN_DROP_OLDEST};
    device.flash[lane] =
        (struct tern_flash){&device.flash[lane], flash_read,    flash_program,    flash_erase,
                            1024u << chance(4),  2 + chance(8), units[chance(6)], 0};
    device.lanes[lane].flash = &device.flash[lane];
    device.lanes[lane].chunk_data = device.chunk[lane];
    device.lanes[lane].chunk_size = (uint16_t)(192 + chance(320));
    device.lanes[lane].overflow = policies[chance(4)];
    struct oracle *oracle = &oracles[lane];
    oracle->base = oracle->end = oracle->settled = chance(4) == 0 ? HALF - chance(1000) : 1;
    gateway.ranges[lane].lane = lane;
    gateway.ranges[lane].next = oracle->base;
    gateway.ranges[lane].epoch = EPOCH | lane;
}

static void open_run(void)
{
    memset(&device, 0, sizeof(device));
    memset(&gateway, 0, sizeof(gateway));
    memset(&oracles, 0, sizeof(oracles));
    memset(device.memory, 0xFF, sizeof(device.memory));
    device.link = (struct tern_link){NULL, link_session, link_send, link_receive, 0};
    device.clock = (struct tern_clock){NULL, clock_now, clock_random};
    uint8_t lanes = (uint8_t)(chance(2) == 0 ? 1 : 1 + chance(LANES));
    device.config = (struct tern_config){.id = "dev",
                                         .lanes = device.lanes,
                                         .lane_count = lanes,
                                         .link = &device.link,
                                         .clock = &device.clock,
                                         .frame = device.frame,
                                         .frame_size = (uint16_t)(TERN_FRAME_SIZE_MIN + 40 + chance(960))};
    for (uint8_t i = 0; i < lanes; i++)
        open_lane(i);
    loss = chance(4) * 50;
    start();
}

static bool everything_is_there(void)
{
    for (uint8_t i = 0; i < device.config.lane_count; i++)
        if (gateway.ranges[i].next != device.lanes[i].log.next)
            return false;
    return tern_backlog(&device.tern) == 0;
}

/* Faults stop: everything must arrive. */
static void converge(void)
{
    loss = 0;
    for (int i = 0; i < 400000; i++) {
        if (anything_is_open())
            commit();
        else if (everything_is_there())
            return;
        poll();
    }
    CHECK_EQ(0, 1); /* it does not converge */
    for (uint8_t i = 0; i < device.config.lane_count; i++)
        printf("    lane %u: %u of %u\n", i, gateway.ranges[i].next, device.lanes[i].log.next);
}

/* Every number that holds no record is a put that was refused. */
static void count_refused(uint8_t lane)
{
    const struct oracle *oracle = &oracles[lane];
    uint32_t holes = device.lanes[lane].refused;
    for (uint32_t sequence = oracle->base; sequence < oracle->settled; sequence++)
        holes += *id_of(lane, sequence) == 0;
    if (oracle->restarts == 1)
        CHECK_EQ(holes, oracle->refused);
    else
        CHECK(holes <= oracle->refused);
}

static void run(uint64_t seed)
{
    state = seed;
    open_run();
    unsigned steps = 2000 + chance(8000);
    for (unsigned i = 0; i < steps && test_faults == 0; i++)
        step((int64_t)i + 1);
    if (test_faults == 0)
        converge();
    for (uint8_t i = 0; i < device.config.lane_count && test_faults == 0; i++)
        count_refused(i);
    if (test_faults != 0)
        printf("    replay with seed %llu and 1 run\n", (unsigned long long)seed);
}

static uint64_t first_seed;
static unsigned runs = 400;

static void committed_records_arrive_once_and_in_order_or_are_in_a_gap(void)
{
    for (unsigned i = 0; i < runs && test_faults == 0; i++)
        run(first_seed + i);
    CHECK(runs < 100 ||
          (delivered > 10000 && lost_records > 100 && refused_records > 1000 && begun_again > 10));
}

int main(int argc, char **argv)
{
    first_seed = test_seed(argc, argv);
    if (argc > 2)
        runs = (unsigned)strtoul(argv[2], NULL, 0);
    RUN(committed_records_arrive_once_and_in_order_or_are_in_a_gap);
    printf("runs %u count\nrecords_delivered %lu count\nrecords_in_gaps %lu count\nputs_refused %lu count\n"
           "counts_begun_again %lu count\n",
           runs, delivered, lost_records, refused_records, begun_again);
    return test_report();
}
