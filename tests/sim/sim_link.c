/* SPDX-License-Identifier: MIT */
/* Links: a connection as TCP gives it, in order and whole until it breaks, or a line on which frames are
 * lost, torn, doubled and late. */
#include <string.h>

#include "../../core/frame.h"
#include "sim.h"
#include "sim_link.h"

#define PACKETS     48
#define PACKET_SIZE 1400u

struct packet {
    bool is_used;
    int64_t at;
    uint32_t order;
    uint16_t size, taken;
    uint8_t data[PACKET_SIZE];
};

enum direction { UP, DOWN };

struct flow {
    struct packet packets[PACKETS];
    int64_t stalled_until;
    int64_t last_at;
    uint16_t size; /* of the frame that is not whole yet */
    uint8_t frame[PACKET_SIZE];
};

struct line {
    unsigned device;
    bool is_wire;      /* frames may be lost; there is no connection to lose */
    uint32_t session;  /* of a connection, 0: none */
    uint32_t sessions; /* so far */
    unsigned gateway;
    int connection; /* -1: none */
    int64_t connect_at;
    int64_t half_open_until;
    int64_t late_until; /* no way to a gateway yet */
    uint32_t latency;
    uint32_t order;
    struct flow flows[2];
};

static struct line lines[SIM_DEVICES];

/* ---- Packets --------------------------------------------------------------------------------- */

static struct packet *free_packet(struct flow *flow)
{
    for (unsigned i = 0; i < PACKETS; i++)
        if (!flow->packets[i].is_used)
            return &flow->packets[i];
    return NULL;
}

/* The packet that is next: the earliest, in order of sending. */
static struct packet *next_packet(struct flow *flow)
{
    struct packet *next = NULL;
    for (unsigned i = 0; i < PACKETS; i++) {
        struct packet *one = &flow->packets[i];
        if (one->is_used &&
            (next == NULL || one->at < next->at || (one->at == next->at && one->order < next->order)))
            next = one;
    }
    return next;
}

static void clear_flow(struct flow *flow)
{
    for (unsigned i = 0; i < PACKETS; i++)
        flow->packets[i].is_used = false;
    flow->size = 0;
}

static void enqueue(struct line *line, enum direction way, const uint8_t *data, size_t size, int64_t at)
{
    struct flow *flow = &line->flows[way];
    struct packet *packet = free_packet(flow);
    if (packet == NULL || size > PACKET_SIZE)
        return; /* a buffer that overflows */
    packet->is_used = true;
    packet->at = at;
    packet->order = line->order++;
    packet->taken = 0;
    packet->size = (uint16_t)size;
    memcpy(packet->data, data, size);
    if (way == DOWN)
        sim_devices_wake(line->device, at);
}

/* One frame of a wire, with what may happen to it. */
static void send_frame(struct line *line, enum direction way, const uint8_t *data, size_t size)
{
    uint8_t copy[PACKET_SIZE];
    int64_t at = sim.now + line->latency;
    if (sim_happens(LINK_LOSS))
        return;
    memcpy(copy, data, size);
    if (sim_happens(LINK_CORRUPT))
        for (uint32_t i = 1 + sim_below(3); i != 0; i--)
            copy[sim_below((uint32_t)size)] ^= (uint8_t)(1u << sim_below(8));
    if (sim_happens(LINK_TRUNCATE))
        size = sim_below((uint32_t)size);
    if (sim_happens(LINK_DELAY))
        at += sim_below(3000);
    if (!sim_happens(LINK_REORDER) && at < line->flows[way].last_at)
        at = line->flows[way].last_at;
    if (at > line->flows[way].last_at)
        line->flows[way].last_at = at;
    enqueue(line, way, copy, size, at);
    if (sim_happens(LINK_DUPLICATE))
        enqueue(line, way, copy, size, at + sim_below(sim_below(4) == 0 ? 20000 : 10));
}

/* Bytes of a wire go on as frames. */
static void send_wire(struct line *line, enum direction way, const uint8_t *data, size_t size)
{
    struct flow *flow = &line->flows[way];
    for (size_t i = 0; i < size; i++) {
        if (flow->size < PACKET_SIZE)
            flow->frame[flow->size++] = data[i];
        if (data[i] != 0)
            continue;
        send_frame(line, way, flow->frame, flow->size);
        flow->size = 0;
    }
}

static void send_bytes(struct line *line, enum direction way, const uint8_t *data, size_t size)
{
    struct flow *flow = &line->flows[way];
    if (line->half_open_until > sim.now || line->late_until > sim.now)
        return;
    if (line->is_wire) {
        send_wire(line, way, data, size);
        return;
    }
    int64_t at = sim.now + line->latency + (sim_happens(LINK_DELAY) ? sim_below(3000) : 0);
    if (at < flow->last_at)
        at = flow->last_at;
    flow->last_at = at;
    for (; size > PACKET_SIZE; data += PACKET_SIZE, size -= PACKET_SIZE)
        enqueue(line, way, data, PACKET_SIZE, at);
    enqueue(line, way, data, size, at);
}

/* ---- Connections ----------------------------------------------------------------------------- */

/* The device's end; the gateway's may live on without it. */
static void lose(struct line *line)
{
    line->session = 0;
    line->connection = -1;
    line->connect_at = sim.now + sim_below(4000);
    clear_flow(&line->flows[UP]);
    clear_flow(&line->flows[DOWN]);
    sim_devices_wake(line->device, line->connect_at);
}

static void hang_up(struct line *line)
{
    if (line->connection >= 0 && (line->is_wire || sim_below(3) != 0))
        sim_disconnect(line->gateway, line->connection);
    lose(line);
}

void sim_link_ended(unsigned gateway, int connection)
{
    for (unsigned i = 0; i < sim.device_count; i++) {
        struct line *line = &lines[i];
        if (line->gateway != gateway || line->connection != connection)
            continue;
        line->connection = -1;
        if (line->is_wire)
            continue;
        if (!sim.is_calm && sim_below(4) == 0)
            line->half_open_until = sim.now + sim_below(30000); /* nobody has told the device */
        else
            lose(line);
    }
}

static void connect_line(struct line *line)
{
    if (line->connection >= 0 || line->connect_at > sim.now || line->late_until > sim.now)
        return;
    line->connection = sim_connect(line->gateway, (int)line->device, line->session);
    line->connect_at = sim.now + 200 + sim_below(1000);
    if (line->connection >= 0 && !line->is_wire) {
        line->session = ++line->sessions;
        line->flows[UP].last_at = line->flows[DOWN].last_at = sim.now;
    }
}

/* ---- The device's port ----------------------------------------------------------------------- */

static uint32_t port_session(void *context)
{
    struct line *line = context;
    if (line->is_wire)
        return 1;
    if (line->session == 0)
        connect_line(line);
    return line->session;
}

static int32_t port_send(void *context, const uint8_t *data, uint32_t size)
{
    struct line *line = context;
    if (!line->is_wire && line->session == 0)
        return -1;
    if (sim_device_is_off(line->device))
        return (int32_t)size;
    if (size > PACKET_SIZE)
        size = PACKET_SIZE;
    if (free_packet(&line->flows[UP]) == NULL || (!sim.is_calm && sim_below(16) == 0))
        return 0;
    if (!sim.is_calm && sim_below(16) == 0)
        size = 1 + sim_below(size);
    sim_record_bytes(line->device, data, size);
    send_bytes(line, UP, data, size);
    return (int32_t)size;
}

static int32_t port_receive(void *context, uint8_t *data, uint32_t size)
{
    struct line *line = context;
    struct flow *flow = &line->flows[DOWN];
    struct packet *packet = next_packet(flow);
    if (!line->is_wire && line->session == 0)
        return -1;
    if (packet == NULL || packet->at > sim.now || flow->stalled_until > sim.now)
        return 0;
    uint32_t left = (uint32_t)packet->size - packet->taken;
    uint32_t taken = left < size ? left : size;
    memcpy(data, packet->data + packet->taken, taken);
    packet->taken = (uint16_t)(packet->taken + taken);
    if (packet->taken == packet->size)
        packet->is_used = false;
    return (int32_t)taken;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void sim_links_reset(void)
{
    memset(lines, 0, sizeof lines);
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        lines[i].device = i;
        lines[i].is_wire = sim_below(2) == 0;
        lines[i].gateway = sim_below(sim.gateway_count);
        lines[i].connection = -1;
        lines[i].latency = sim_below(4) == 0 ? sim_below(800) : sim_below(20);
    }
    sim_attacks_reset();
}

void sim_link_open(unsigned device, struct tern_link *link)
{
    *link = (struct tern_link){&lines[device], port_session, port_send, port_receive, 0};
}

void sim_link_restart(unsigned device)
{
    struct line *line = &lines[device];
    if (line->is_wire) {
        line->flows[UP].size = 0;
        return;
    }
    hang_up(line);
}

unsigned sim_link_gateway(unsigned device)
{
    return lines[device].gateway;
}

static void roam(struct line *line)
{
    if (sim.gateway_count < 2 || sim_device_must_stay(line->device))
        return;
    hang_up(line);
    line->gateway = 1 - line->gateway;
    TRACE("device %u goes to gateway %u", line->device, line->gateway);
}

void sim_link_late(unsigned device)
{
    struct line *line = &lines[device];
    line->late_until = sim.now + sim_below(sim_below(4) == 0 ? 100000 : 20000);
}

void sim_links_faults(unsigned device)
{
    struct line *line = &lines[device];
    if (sim_happens(LINK_STALL))
        line->flows[sim_below(2)].stalled_until = sim.now + sim_below(20000);
    if (sim_happens(LINK_HALF_OPEN))
        line->half_open_until = sim.now + sim_below(30000);
    if (sim_happens(LINK_HANGUP))
        hang_up(line);
    if (sim_happens(LINK_ROAM))
        roam(line);
    if (sim_happens(LINK_REPLAY))
        sim_replay();
    if (sim_happens(LINK_HOSTILE))
        sim_hostile();
    if (sim_happens(LINK_FORGED)) {
        uint8_t frame[256];
        size_t size = sim_forge(line->device, frame);
        send_bytes(line, DOWN, frame, size);
    }
}

void sim_link_inject(unsigned device, const uint8_t *data, size_t size)
{
    for (; size > PACKET_SIZE; data += PACKET_SIZE, size -= PACKET_SIZE)
        send_bytes(&lines[device], UP, data, PACKET_SIZE);
    send_bytes(&lines[device], UP, data, size);
}

bool sim_link_is_wire(unsigned device)
{
    return lines[device].is_wire;
}

static int64_t flow_due(struct line *line)
{
    struct packet *packet = next_packet(&line->flows[UP]);
    if (packet == NULL)
        return SIM_NEVER;
    int64_t at = packet->at;
    if (at < line->flows[UP].stalled_until)
        at = line->flows[UP].stalled_until;
    if (line->connection < 0 && at < line->connect_at)
        at = line->connect_at;
    return at;
}

int64_t sim_links_due(void)
{
    int64_t due = SIM_NEVER;
    for (unsigned i = 0; i < sim.device_count; i++) {
        int64_t at = flow_due(&lines[i]);
        int64_t half_open = lines[i].half_open_until;
        if (half_open > sim.now && !lines[i].is_wire && half_open < at)
            at = half_open;
        if (at < due)
            due = at;
    }
    return due;
}

static void deliver(struct line *line)
{
    struct flow *flow = &line->flows[UP];
    struct packet *packet;
    if (line->half_open_until != 0 && line->half_open_until <= sim.now) {
        line->half_open_until = 0;
        if (!line->is_wire)
            lose(line); /* in the end somebody notices */
    }
    while (flow_due(line) <= sim.now && (packet = next_packet(flow)) != NULL) {
        if (line->is_wire)
            connect_line(line);
        packet->is_used = false;
        if (line->connection >= 0)
            sim_deliver(line->gateway, line->connection, packet->data, packet->size);
        if (sim_gateways[line->gateway].has_crashed)
            return;
    }
}

void sim_links_step(void)
{
    for (unsigned i = 0; i < sim.device_count; i++) {
        deliver(&lines[i]);
        sim_gateways_bury();
    }
}

void sim_links_calm(void)
{
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        lines[i].flows[UP].stalled_until = lines[i].flows[DOWN].stalled_until = 0;
        lines[i].late_until = 0;
        if (lines[i].half_open_until > sim.now)
            lines[i].half_open_until = sim.now;
    }
}

bool sim_link_is_loose(unsigned gateway, int connection)
{
    for (unsigned i = 0; i < sim.device_count; i++)
        if (lines[i].gateway == gateway && lines[i].connection == connection)
            return false;
    return true;
}

void sim_link_down(unsigned gateway, int connection, const uint8_t *data, size_t size)
{
    for (unsigned i = 0; i < sim.device_count; i++)
        if (lines[i].gateway == gateway && lines[i].connection == connection)
            send_bytes(&lines[i], DOWN, data, size);
}
