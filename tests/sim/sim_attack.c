/* SPDX-License-Identifier: MIT */
/* Sessions that are replayed, strangers that speak the protocol, frames to the device that no gateway
 * sent. */
#include <string.h>

#include "../../core/frame.h"
#include "sim_link.h"

#define TAPES     6
#define TAPE_SIZE 6000u

/* What a device sent since a session began. */
static struct tape {
    uint32_t size;
    unsigned device;
    uint8_t data[TAPE_SIZE];
} tapes[TAPES], running[SIM_DEVICES];

void sim_attacks_reset(void)
{
    for (unsigned i = 0; i < TAPES; i++)
        tapes[i].size = 0;
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        running[i].size = 0;
        running[i].device = i;
    }
}

void sim_record_bytes(unsigned device, const uint8_t *data, size_t size)
{
    struct tape *tape = &running[device];
    if (sim.rates[LINK_REPLAY] == 0 && sim.rates[LINK_HOSTILE] == 0)
        return;
    if (size > TAPE_SIZE)
        size = TAPE_SIZE;
    if (tape->size + size > TAPE_SIZE) {
        tapes[sim_below(TAPES)] = *tape;
        tape->size = 0;
    }
    memcpy(tape->data + tape->size, data, size);
    tape->size += (uint32_t)size;
}

static const struct tape *any_tape(void)
{
    const struct tape *tape = &tapes[sim_below(TAPES)];
    return tape->size != 0 ? tape : &running[sim_below(sim.device_count)];
}

void sim_replay(void)
{
    const struct tape *tape = any_tape();
    unsigned gateway = sim_below(sim.gateway_count);
    if (tape->size == 0)
        return;
    if (sim_below(2) == 0 && sim_link_is_wire(tape->device)) {
        sim_link_inject(tape->device, tape->data, tape->size);
        return;
    }
    int connection = sim_connect(gateway, -1, 0);
    if (connection >= 0)
        sim_deliver(gateway, connection, tape->data, tape->size);
    sim_gateways_bury();
}

static size_t to_stream(uint8_t *stream, struct tern_output *bare, uint32_t epoch)
{
    uint8_t sealed[TERN_FRAME_MAX];
    size_t size = bare->size;
    memcpy(sealed, bare->data, size);
    size = tern_frame_seal(sealed, size, epoch);
    memcpy(stream + TERN_COBS_OFFSET(size), sealed, size);
    return tern_cobs_encode(stream, TERN_COBS_OFFSET(size), size);
}

static uint32_t any_number(void)
{
    static const uint32_t edges[] = {0, 1, 2, 127, 128, 4096, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    return sim_below(2) == 0 ? edges[sim_below(10)] : sim_below(1u << sim_below(31));
}

static void write_hello(struct tern_output *output)
{
    tern_write8(output, TERN_HELLO);
    tern_write8(output, sim_below(8) == 0 ? (uint8_t)sim_below(256) : TERN_PROTOCOL_VERSION);
    tern_write_varint(output, any_number());
    tern_write_varint(output, any_number());
    tern_write_varint(output, sim_below(8) == 0 ? any_number() : 96);
    tern_write64(output, sim_random());
    tern_write8(output, 8);
    tern_write_bytes(output, "stranger", 8);
    for (uint32_t i = sim_below(3); i != 0; i--) {
        uint32_t epoch = sim_below(2) == 0 ? any_number() & 0x7FFFFFF8 : 0;
        uint32_t base = 1 + sim_below(10), oldest = base + sim_below(10);
        tern_write8(output, (uint8_t)sim_below(3));
        tern_write_varint(output, epoch);
        tern_write_varint(output, base);
        tern_write_varint(output, oldest);
        tern_write_varint(output, oldest + sim_below(1000));
        tern_write_varint(output, oldest + sim_below(1000));
        tern_write_varint(output, sim_below(2) == 0 ? epoch : any_number());
        tern_write64(output, sim_random());
    }
}

/* A frame of a tape with some of its bytes changed, its CRC right. HELLOs are not taken: they would be
 * another's name. */
static bool write_mutant(struct tern_output *output)
{
    static uint8_t frame[TERN_FRAME_MAX];
    const struct tape *tape = any_tape();
    struct tern_cobs cobs = {.buffer = frame, .capacity = sizeof frame};
    uint32_t start = tape->size == 0 ? 0 : sim_below(tape->size);
    for (uint32_t i = start; i < tape->size; i++) {
        int size = tern_cobs_take(&cobs, tape->data[i]);
        if (size <= TERN_FRAME_MIN || frame[0] == TERN_HELLO)
            continue;
        for (uint32_t k = sim_below(4); k != 0; k--)
            frame[1 + sim_below((uint32_t)size - 5 + 1)] = (uint8_t)sim_below(256);
        tern_write_bytes(output, frame, (size_t)size - 4);
        return true;
    }
    return false;
}

static void write_lie(struct tern_output *output)
{
    static const uint8_t kinds[] = {TERN_PART, TERN_GAP, TERN_SCHEMA, TERN_ACK, TERN_WELCOME, TERN_WANT};
    tern_write8(output, sim_below(8) == 0 ? (uint8_t)sim_below(256) : kinds[sim_below(6)]);
    for (uint32_t i = sim_below(8); i != 0; i--)
        tern_write_varint(output, any_number());
    for (uint32_t i = sim_below(80); i != 0; i--)
        tern_write8(output, (uint8_t)sim_below(256));
}

/* What a stranger's session on that connection is about: it knows. */
static uint32_t epoch_at(unsigned gateway, int connection, uint8_t lane)
{
    const struct tern_peer *peer = &sim_gateways[gateway].connections[connection].peer;
    for (uint8_t i = 0; sim_gateways[gateway].is_up && i < peer->range_count; i++)
        if (peer->ranges[i].lane == lane)
            return peer->ranges[i].stage->epoch;
    return 0;
}

void sim_hostile(void)
{
    uint8_t bare[TERN_FRAME_MAX], stream[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    unsigned gateway = sim_below(sim.gateway_count);
    int connection = sim_connect(gateway, -1, 0);
    for (uint32_t i = 1 + sim_below(12); connection >= 0 && i != 0; i--) {
        struct tern_output output = {bare, 0, sizeof bare - 4, false};
        uint32_t what = sim_below(8);
        if (what < 2)
            write_hello(&output);
        else if (what < 6 || !write_mutant(&output))
            write_lie(&output);
        size_t size = to_stream(stream, &output, epoch_at(gateway, connection, bare[1]));
        if (sim_below(6) == 0)
            stream[sim_below((uint32_t)size)] = (uint8_t)sim_below(256);
        sim_deliver(gateway, connection, stream, size);
        sim_gateways_bury();
    }
    if (connection >= 0 && sim_below(2) == 0)
        sim_disconnect(gateway, connection);
}

size_t sim_forge(unsigned device, uint8_t stream[256])
{
    uint8_t bare[128];
    struct tern_output output = {bare, 0, sizeof bare - 4, false};
    static const uint8_t kinds[] = {TERN_ACK, TERN_WELCOME, TERN_WANT, TERN_REFUSED, TERN_HELLO};
    uint8_t kind = kinds[sim_below(5)];
    tern_write8(&output, kind);
    if (kind == TERN_ACK) { /* of more than was ever sent: one of less cannot be told from a gateway's without
                               a seal */
        tern_write8(&output, (uint8_t)sim_below(256));
        tern_write_varint(&output, 0xFFFFFFFFu - sim_below(1000));
    } else if (kind == TERN_REFUSED) {
        tern_write8(&output, (uint8_t)(1 + sim_below(5)));
        tern_write8(&output, 0);
    } else {
        tern_write32(&output, (uint32_t)sim_random());
    }
    for (uint32_t i = sim_below(30); i != 0; i--)
        tern_write_varint(&output, any_number());
    return to_stream(stream, &output, sim_device_epoch(device, bare[1]));
}
