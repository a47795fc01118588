/* SPDX-License-Identifier: MIT */
/* Gateways: the real peer, staging store and importers, served as server.c serves them. A process dies at any
 * file or database operation; what it had acknowledged must be there when the next one starts. */
#include <stdio.h>
#include <string.h>

#include "../../host/stage_state.h"
#include "sim.h"

#define RETRY_MS  1000
#define DIRECTORY "/stage"

struct sim_gateway sim_gateways[SIM_GATEWAYS];

static void report(void *context, enum tern_level level, const char *event, const char *fields)
{
    const struct sim_gateway *gateway = context;
    (void)level;
    TRACE("gateway %u: %s %s", gateway->number, event, fields);
}

/* Runs the gateway's code on the main stack; it returns early when the gateway crashes. */
static void in_gateway(struct sim_gateway *gateway, void (*code)(struct sim_gateway *gateway, void *context),
                       void *context)
{
    sim.here = gateway;
    gateway->on_main = true;
    if (setjmp(gateway->escape) == 0)
        code(gateway, context);
    gateway->on_main = false;
    sim.here = NULL;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

void sim_gateways_reset(void)
{
    for (unsigned i = 0; i < SIM_GATEWAYS; i++) {
        memset(&sim_gateways[i], 0, sizeof sim_gateways[i]);
        sim_gateways[i].number = i;
        sim_gateways[i].sync_at = SIM_NEVER;
        sim_memory_reset(i);
        sim_disk_reset(i);
    }
}

static void begin(struct sim_gateway *gateway, void *context)
{
    (void)context;
    struct tern_stage_config config = {
        .directory = DIRECTORY, .report = {report, gateway}, .file_bytes = 4096u << sim_below(5)};
    int status = tern_stage_open(&gateway->stage, &config);
    if (status != TERN_HOST_OK) {
        TRACE("gateway %u cannot open its store: %d", gateway->number, status);
        if (status != TERN_HOST_E_SYSTEM)
            sim_violate("gateway %u cannot recover its store: %d", gateway->number, status);
        gateway->stage = NULL;
        gateway->up_at = sim.now + RETRY_MS;
        return;
    }
    sim_each_ack(gateway->number, gateway->stage);
    gateway->peers = (struct tern_peer_config){
        .stage = gateway->stage, .report = {report, gateway}, .window = 1024u << sim_below(8)};
    for (unsigned i = 0; i < sim.destination_count; i++) {
        char url[16];
        struct tern_import_config import = {.report = {report, gateway},
                                            .rows = 1 + sim_below(200),
                                            .milliseconds = 50,
                                            .workers = 1 + sim_below(3)};
        snprintf(url, sizeof url, "sim:%u", i);
        if (tern_import_open(&gateway->imports[i], gateway->stage, url, &import) != TERN_HOST_OK)
            sim_violate("gateway %u cannot begin to import", gateway->number);
    }
    gateway->is_up = true;
    gateway->sync_at = SIM_NEVER;
    TRACE("gateway %u is up", gateway->number);
}

static void drop_connections(struct sim_gateway *gateway)
{
    for (int i = 0; i < SIM_CONNECTIONS; i++)
        if (gateway->connections[i].is_open) {
            gateway->connections[i].is_open = false;
            sim_link_ended(gateway->number, i);
        }
}

static void forget(struct sim_gateway *gateway)
{
    sim_fibers_kill(gateway);
    sim_sinks_drop(gateway);
    sim_memory_reset(gateway->number);
    gateway->is_up = gateway->has_crashed = gateway->touched = false;
    gateway->stage = NULL;
    memset(gateway->imports, 0, sizeof gateway->imports);
    drop_connections(gateway);
    gateway->up_at = sim.now + sim_below(20000);
}

void sim_gateways_bury(void)
{
    for (unsigned i = 0; i < sim.gateway_count; i++)
        if (sim_gateways[i].has_crashed) {
            sim_disk_crash(i);
            forget(&sim_gateways[i]);
        }
}

static void end(struct sim_gateway *gateway, void *context)
{
    (void)context;
    for (unsigned i = 0; i < sim.destination_count; i++)
        tern_import_close(gateway->imports[i]);
    for (int i = 0; i < SIM_CONNECTIONS; i++)
        if (gateway->connections[i].is_open)
            tern_peer_close(&gateway->connections[i].peer);
    tern_stage_close(gateway->stage);
}

/* A clean stop leaves nothing behind in memory. */
static void stop(struct sim_gateway *gateway)
{
    TRACE("gateway %u stops", gateway->number);
    in_gateway(gateway, end, NULL);
    if (!gateway->has_crashed && !sim.is_over && sim_memory_live(gateway->number) != 0)
        sim_violate("gateway %u leaks %u blocks of memory", gateway->number,
                    (unsigned)sim_memory_live(gateway->number));
    if (gateway->has_crashed)
        sim_disk_crash(gateway->number);
    else
        sim_disk_stop(gateway->number);
    forget(gateway);
}

void sim_gateways_stop(void)
{
    for (unsigned i = 0; i < sim.gateway_count; i++)
        if (sim_gateways[i].is_up)
            stop(&sim_gateways[i]);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void close_peer(struct sim_gateway *gateway, void *context)
{
    (void)gateway;
    tern_peer_close(context);
}

void sim_disconnect(unsigned number, int connection)
{
    struct sim_gateway *gateway = &sim_gateways[number];
    struct sim_connection *one = &gateway->connections[connection];
    if (!one->is_open)
        return;
    in_gateway(gateway, close_peer, &one->peer);
    one->is_open = false;
}

int sim_connect(unsigned number, int device, uint32_t session)
{
    struct sim_gateway *gateway = &sim_gateways[number];
    int first = (int)sim_below(SIM_CONNECTIONS);
    for (int k = 0; k < 2 * SIM_CONNECTIONS && gateway->is_up; k++) {
        int i = (first + k) % SIM_CONNECTIONS;
        struct sim_connection *one = &gateway->connections[i];
        /* In the second round those whose other end nobody holds give way. */
        if (one->is_open && (k < SIM_CONNECTIONS || !sim_link_is_loose(number, i)))
            continue;
        if (one->is_open)
            sim_disconnect(number, i);
        one->is_open = true;
        one->device = device;
        one->session = session;
        one->sessions = 0;
        tern_peer_open(&one->peer, &gateway->peers, "sim");
        return i;
    }
    return -1;
}

/* The newest session of a device wins. */
static void claim(struct sim_gateway *gateway, const struct sim_connection *winner)
{
    for (int i = 0; i < SIM_CONNECTIONS; i++) {
        struct sim_connection *one = &gateway->connections[i];
        if (!one->is_open || one == winner || one->peer.device != winner->peer.device)
            continue;
        tern_peer_close(&one->peer);
        one->is_open = false;
        sim_link_ended(gateway->number, i);
    }
}

struct taking {
    struct sim_connection *one;
    const uint8_t *data;
    size_t size;
};

static void take(struct sim_gateway *gateway, void *context)
{
    const struct taking *taking = context;
    struct sim_connection *one = taking->one;
    struct tern_moment now = {sim.now, tern_stage_now()};
    tern_peer_take(&one->peer, taking->data, taking->size, &now);
    if (one->peer.sessions != one->sessions && one->peer.device != NULL)
        claim(gateway, one);
    one->sessions = one->peer.sessions;
    gateway->touched = true;
}

void sim_deliver(unsigned number, int connection, const uint8_t *data, size_t size)
{
    struct sim_gateway *gateway = &sim_gateways[number];
    struct sim_connection *one = &gateway->connections[connection];
    while (size != 0 && gateway->is_up && one->is_open && !gateway->has_crashed) {
        size_t piece = sim_below(3) == 0 ? 1 + sim_below((uint32_t)size) : size;
        struct taking taking = {one, data, piece};
        in_gateway(gateway, take, &taking);
        data += piece;
        size -= piece;
    }
}

/* ---- The turn -------------------------------------------------------------------------------- */

/* What the frames that go out now say is durable, and must be after any crash. */
static void note_acks(const struct sim_gateway *gateway, const struct tern_peer *peer)
{
    for (uint8_t i = 0; i < peer->range_count; i++) {
        const struct tern_peer_range *range = &peer->ranges[i];
        if (range->open && range->said_next != 0)
            sim_heard_ack(gateway->number, tern_device_id(peer->device), range->stage->lane,
                          range->stage->epoch, range->said_next);
    }
}

static void answer(struct sim_gateway *gateway, int index)
{
    uint8_t buffer[2048];
    struct sim_connection *one = &gateway->connections[index];
    struct tern_moment now = {sim.now, tern_stage_now()};
    size_t size;
    size_t capacity = TERN_PEER_GIVE_MIN + sim_below(sizeof buffer - TERN_PEER_GIVE_MIN);
    while (one->is_open && (size = tern_peer_give(&one->peer, &now, buffer, capacity)) != 0) {
        note_acks(gateway, &one->peer);
        sim_link_down(gateway->number, index, buffer, size);
    }
    if (one->is_open && tern_peer_is_over(&one->peer) && sim_below(2) == 0) {
        tern_peer_close(&one->peer);
        one->is_open = false;
        sim_link_ended(gateway->number, index);
    }
}

static void turn(struct sim_gateway *gateway, void *context)
{
    (void)context;
    bool good = tern_stage_sync(gateway->stage) == TERN_HOST_OK;
    gateway->sync_at = good ? SIM_NEVER : sim.now + RETRY_MS;
    gateway->touched = false;
    for (int i = 0; i < SIM_CONNECTIONS; i++) {
        struct tern_peer *peer = &gateway->connections[i].peer;
        if (!gateway->connections[i].is_open)
            continue;
        if (good)
            tern_peer_synced(peer);
        else if (peer->device != NULL)
            tern_peer_refuse(peer, TERN_REFUSED_STORE, "the staging store cannot write");
        answer(gateway, i);
    }
}

int64_t sim_gateways_due(void)
{
    int64_t due = SIM_NEVER;
    for (unsigned i = 0; i < sim.gateway_count; i++) {
        const struct sim_gateway *gateway = &sim_gateways[i];
        int64_t at = !gateway->is_up ? gateway->up_at : gateway->touched ? sim.now : gateway->sync_at;
        if (at < due)
            due = at;
    }
    return due;
}

void sim_gateways_step(void)
{
    for (unsigned i = 0; i < sim.gateway_count; i++) {
        struct sim_gateway *gateway = &sim_gateways[i];
        if (gateway->is_up && sim_happens(HOST_CLOCK))
            gateway->wall = (int64_t)sim_below(2000000000) * 1000 - 1500000000000ll * (sim_below(4) == 0);
        if (gateway->is_up && sim_happens(HOST_STOP))
            stop(gateway);
        else if (!gateway->is_up && gateway->up_at <= sim.now)
            in_gateway(gateway, begin, NULL);
        else if (gateway->is_up && !gateway->has_crashed && (gateway->touched || gateway->sync_at <= sim.now))
            in_gateway(gateway, turn, NULL);
        sim_gateways_bury();
    }
}

static void look(struct sim_gateway *gateway, void *context)
{
    bool *is_idle = context;
    for (unsigned k = 0; k < sim.destination_count; k++) {
        struct tern_import_status status;
        tern_import_status(gateway->imports[k], &status);
        *is_idle = *is_idle && !status.failing && status.held == 0 && status.cursor >= status.end;
    }
}

bool sim_gateways_are_idle(void)
{
    bool is_idle = true;
    for (unsigned i = 0; i < sim.gateway_count && is_idle; i++) {
        struct sim_gateway *gateway = &sim_gateways[i];
        is_idle = gateway->is_up && !gateway->touched;
        if (is_idle)
            in_gateway(gateway, look, &is_idle);
    }
    return is_idle;
}

static void tell(struct sim_gateway *gateway, void *context)
{
    (void)context;
    for (unsigned k = 0; k < sim.destination_count; k++) {
        struct tern_import_status status;
        tern_import_status(gateway->imports[k], &status);
        TRACE("gateway %u to destination %u: cursor %llu of %llu, failing %d, held %u, %s", gateway->number,
              k, (unsigned long long)status.cursor, (unsigned long long)status.end, status.failing,
              status.held, status.error);
    }
}

void sim_gateways_tell(void)
{
    for (unsigned i = 0; i < sim.gateway_count; i++)
        if (sim_gateways[i].is_up)
            in_gateway(&sim_gateways[i], tell, NULL);
}
