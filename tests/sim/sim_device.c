/* SPDX-License-Identifier: MIT */
/* Devices: the real core on simulated flash, and all that cuts its power or takes its flash away. */
#include <stdio.h>
#include <string.h>

#include "sim_device.h"

static struct device devices[SIM_DEVICES];

unsigned sim_device_index(const struct device *device)
{
    return (unsigned)(device - devices);
}

const char *sim_device_id(unsigned device)
{
    static const char *const ids[SIM_DEVICES] = {"dev-0", "dev-1", "dev-2", "dev-3",
                                                 "dev-4", "dev-5", "dev-6", "dev-7"};
    return ids[device % SIM_DEVICES];
}

/* ---- Ports ----------------------------------------------------------------------------------- */

/* The power is one for all flashes of a device. */
static int port_read(void *context, uint32_t address, void *data, uint32_t size)
{
    const struct port *port = context;
    return port->device->is_off ? -1 : port->nor->flash.read(port->nor, address, data, size);
}

static int port_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    const struct port *port = context;
    int status = port->device->is_off ? -1 : port->nor->flash.program(port->nor, address, data, size);
    TRACE("device %u lane %u: programs %u bytes at %u in sector %u: %d%s", sim_device_index(port->device),
          (unsigned)(port - port->device->ports), size, address % port->nor->flash.sector_size,
          address / port->nor->flash.sector_size, status, port->nor->off ? ", no power" : "");
    port->device->is_off |= port->nor->off;
    return status;
}

static int port_erase(void *context, uint32_t address)
{
    const struct port *port = context;
    int status = port->device->is_off ? -1 : port->nor->flash.erase(port->nor, address);
    TRACE("device %u lane %u: erases sector %u: %d%s", sim_device_index(port->device),
          (unsigned)(port - port->device->ports), address / port->nor->flash.sector_size, status,
          port->nor->off ? ", no power" : "");
    if (port->nor->off && !port->device->is_off)
        sim_lives[port->device->life].has_half_erased[port - port->device->ports] = true;
    port->device->is_off |= port->nor->off;
    return status;
}

static uint32_t tick_now(void *context)
{
    const struct device *device = context;
    return (uint32_t)sim.now + device->clock;
}

static uint32_t tick_random(void *context)
{
    (void)context;
    return (uint32_t)sim_random();
}

/* ---- Life ------------------------------------------------------------------------------------ */

static uint16_t new_life(struct device *device)
{
    if (sim_life_count == SIM_LIVES) {
        sim_violate("the simulation has too many lives");
        return 0;
    }
    struct sim_life *life = &sim_lives[sim_life_count];
    memset(life, 0, sizeof *life);
    life->device = (uint8_t)(device - devices);
    life->name = device->name;
    for (unsigned i = 0; i < SIM_LANES; i++)
        life->may_drop[i] = device->overflow[i] == TERN_DROP_OLDEST;
    return (uint16_t)sim_life_count++;
}

static void open_flash(struct device *device, unsigned lane)
{
    struct nor *nor = &device->nors[lane];
    device->ports[lane] = (struct port){device, nor};
    device->flashes[lane] = nor->flash;
    device->flashes[lane].context = &device->ports[lane];
    device->flashes[lane].read = port_read;
    device->flashes[lane].program = port_program;
    device->flashes[lane].erase = port_erase;
}

static void make(struct device *device)
{
    static const uint8_t units[] = {1, 2, 4, 8, 16, 32};
    device->name = (uint8_t)(device - devices);
    device->lane_count = (uint8_t)(1 + sim_below(2));
    device->codec = (uint8_t)sim_below(2);
    device->chunk_size = (uint16_t)(256 + sim_below(sim_below(4) == 0 ? CHUNK - 255 : 257));
    device->is_eager = sim_below(2) == 0;
    device->frame_size = (uint16_t)(TERN_FRAME_SIZE_MIN + sim_below(1000));
    device->interval = 100u << sim_below(4);
    for (unsigned i = 0; i < device->lane_count; i++) {
        struct nor *nor = &device->nors[i];
        uint8_t unit = units[sim_below(6)];
        nor_close(nor);
        nor_open(nor, 1024u << sim_below(3), 3 + sim_below(6), unit);
        nor->random = sim_random();
        nor->busy = (uint8_t)sim_below(3);
        nor->ecc = sim_below(4) == 0;
        open_flash(device, i);
        device->overflow[i] = (uint8_t)sim_below(3);
    }
    device->is_used = true;
    device->life = new_life(device);
    if (sim_happens(LINK_LATE))
        sim_link_late((unsigned)(device - devices));
    device->up_at = sim.now + sim_below(3000);
}

void sim_devices_reset(void)
{
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        for (unsigned k = 0; k < SIM_LANES; k++)
            nor_close(&devices[i].nors[k]);
        memset(&devices[i], 0, sizeof devices[i]);
    }
    for (unsigned i = 0; i < sim.device_count; i++)
        make(&devices[i]);
}

/* Every record that a commit said to be safe must be in the log again. Of a commit that was cut, bits in
 * between may say no now and yes at the next start, as long as nothing has been written. */
static void check_mounted(struct device *device)
{
    for (uint32_t i = 1; i < sim_record_count; i++) {
        const struct sim_record *record = &sim_records[i];
        if (record->life != device->life)
            continue;
        bool is_there = record->sequence < device->lanes[record->lane].log.next;
        if (record->fate == FATE_COMMITTED && !is_there && !sim_lives[device->life].is_damaged)
            sim_violate("device %s lane %u: record %u, sequence %u, was committed and is gone after a start: "
                        "the log ends at %u",
                        sim_device_id(device->name), record->lane, i, record->sequence,
                        device->lanes[record->lane].log.next);
    }
}

static void start(struct device *device)
{
    memset(&device->tern, (int)sim_below(256), sizeof device->tern);
    memset(device->lanes, (int)sim_below(256), sizeof device->lanes);
    for (unsigned i = 0; i < device->lane_count; i++) {
        nor_start(&device->nors[i]);
        device->lanes[i].flash = &device->flashes[i];
        device->lanes[i].chunk_data = device->chunks[i];
        device->lanes[i].chunk_size = device->chunk_size;
        device->lanes[i].models = device->models[i];
        device->lanes[i].models_size = MODELS;
        device->lanes[i].overflow = device->overflow[i];
        device->batch[i] = 0;
        device->pending_count[i] = 0;
    }
    sim_link_open((unsigned)(device - devices), &device->link);
    sim_link_restart((unsigned)(device - devices));
    device->tick = (struct tern_clock){device, tick_now, tick_random};
    device->config = (struct tern_config){.id = sim_device_id(device->name),
                                          .lanes = device->lanes,
                                          .lane_count = device->lane_count,
                                          .link = &device->link,
                                          .clock = &device->tick,
                                          .frame = device->frame,
                                          .frame_size = device->frame_size,
                                          .boot = ++device->boot};
    device->is_off = device->commit_waits = false;
    int status = tern_open(&device->tern, &device->config);
    if (status != TERN_OK)
        sim_violate("device %s does not start: %d", sim_device_id(device->name), status);
    device->is_up = true;
    device->poll_at = device->app_at = sim.now;
    check_mounted(device);
    TRACE("device %u starts: log ends at %u, epoch %u", (unsigned)(device - devices),
          device->lanes[0].log.next, device->lanes[0].log.epochs[0].epoch);
}

void sim_device_stop(struct device *device, bool in_commit)
{
    TRACE("device %u stops", (unsigned)(device - devices));
    for (unsigned i = 0; i < device->lane_count; i++) {
        /* The power may have gone in the erase of a sector whose records had been given up. */
        sim_watch_lane(device->life, i, &device->lanes[i].log);
        for (uint32_t k = 0; k < device->pending_count[i]; k++)
            sim_records[device->pending[i][k]].fate =
                in_commit || device->commit_waits ? FATE_MAYBE : FATE_FORGOTTEN;
        device->pending_count[i] = 0;
        if (sim_below(3) == 0)
            nor_age(&device->nors[i]);
    }
    device->is_up = false;
    device->up_at = sim.now + 1 + sim_below(sim_below(4) == 0 ? 20000 : 200);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void plan_cut(struct device *device)
{
    struct nor *nor = &device->nors[sim_below(device->lane_count)];
    nor->cut_at = nor->changes + 1 + sim_below(20);
    nor->tear = (enum nor_tear)sim_below(5);
    nor->extent = sim_below(sim_below(2) == 0 ? 40 : 1100);
}

/* After a failure or a new epoch the open chunk is programmed again, with all that had been committed in it:
 * the power goes in one of the programs of that. `behind`: how many changes come before. */
static void aim_cut(struct nor *nor, uint32_t behind, uint32_t size)
{
    if (nor->cut_at > nor->changes || !sim_happens(DEVICE_AIMED))
        return;
    nor->cut_at = nor->changes + behind + 1 + sim_below(16);
    nor->tear = (enum nor_tear)sim_below(5);
    nor->extent = sim_below(size + 1);
}

static void damage(struct device *device)
{
    sim_lives[device->life].is_damaged = true;
    sim.is_blurred = true;
}

static void plan_failure(struct device *device)
{
    struct nor *nor = &device->nors[sim_below(device->lane_count)];
    enum nor_operation operation = (enum nor_operation)sim_below(3);
    nor->fail_at[operation] = nor->counts[operation] + 1 + sim_below(10);
    nor->fail_count = 1 + sim_below(3);
    nor->fault = (enum nor_fault)sim_below(operation == NOR_READ ? 1 : 3);
    damage(device);
}

/* All is read back: a program or erase that fails loses nothing. */
static void plan_program_failure(struct device *device)
{
    unsigned lane = sim_below(device->lane_count);
    struct nor *nor = &device->nors[lane];
    enum nor_operation operation = sim_below(4) == 0 ? NOR_ERASE : NOR_PROGRAM;
    uint32_t behind = sim_below(10);
    nor->fail_at[operation] = nor->counts[operation] + 1 + behind;
    nor->fail_count = 1 + sim_below(3);
    nor->fault = (enum nor_fault)sim_below(3);
    aim_cut(nor, behind + 1, device->chunk_size);
}

static void rot(struct device *device)
{
    struct nor *nor = &device->nors[sim_below(device->lane_count)];
    for (uint32_t i = 1 + sim_below(3); i != 0; i--)
        nor->cells[sim_below(nor->size)] ^= (uint8_t)(1u << sim_below(8));
    damage(device);
}

static void factory_reset(struct device *device)
{
    if (device->is_up)
        sim_device_stop(device, false);
    sim_lives[device->life].ended = true;
    for (unsigned i = 0; i < device->lane_count; i++) {
        struct tern_flash flash = device->nors[i].flash;
        uint8_t busy = device->nors[i].busy;
        bool ecc = device->nors[i].ecc;
        nor_close(&device->nors[i]);
        nor_open(&device->nors[i], flash.sector_size, flash.sector_count, flash.program_unit);
        device->nors[i].random = sim_random();
        device->nors[i].busy = busy;
        device->nors[i].ecc = ecc;
        open_flash(device, i);
    }
    const struct sim_life *before = &sim_lives[device->life];
    bool has_twin = before->is_branch || before->has_branch;
    device->life = new_life(device);
    /* Two gateways may give its epoch to the other device of that name, too, which may have been reset as
     * well. */
    sim_lives[device->life].is_branch = has_twin && sim.gateway_count > 1;
    if (sim_happens(LINK_LATE))
        sim_link_late((unsigned)(device - devices));
}

/* Two gateways may give one epoch to two lives where the second does not know of the first (README.md beside
 * this). */
static bool is_known(const struct device *device)
{
    const struct sim_life *life = &sim_lives[device->life];
    unsigned gateway = sim_link_gateway((unsigned)(device - devices));
    for (uint8_t i = 0; i < device->lane_count && sim.gateway_count > 1; i++) {
        uint16_t count = life->epoch_count[i];
        if (count == 0 ||
            !sim_has_heard(gateway, sim_device_id(life->name), i, life->epochs[i][count - 1].epoch))
            return false;
    }
    return true;
}

/* Another device with the same flash, and the same name. */
static void clone(const struct device *from)
{
    if (sim.device_count == SIM_DEVICES || from->is_up)
        return;
    struct device *to = &devices[sim.device_count];
    for (unsigned i = 0; i < SIM_LANES; i++)
        nor_close(&to->nors[i]);
    *to = *from;
    for (unsigned i = 0; i < to->lane_count; i++) {
        const struct tern_flash *flash = &from->nors[i].flash;
        nor_open(&to->nors[i], flash->sector_size, flash->sector_count, flash->program_unit);
        nor_copy(&to->nors[i], &from->nors[i]);
        open_flash(to, i);
    }
    if (sim_life_count == SIM_LIVES)
        return;
    sim_lives[from->life].has_branch = true;
    sim_lives[sim_life_count] = sim_lives[from->life];
    sim_lives[sim_life_count].is_branch = true;
    to->life = (uint16_t)sim_life_count++;
    to->up_at = sim.now + sim_below(5000);
    sim.device_count++;
    sim.is_blurred = true;
}

static void faults(struct device *device)
{
    sim_links_faults((unsigned)(device - devices));
    if (sim_happens(DEVICE_CUT))
        plan_cut(device);
    if (sim_happens(DEVICE_FLASH))
        plan_failure(device);
    if (sim_happens(DEVICE_PROGRAM))
        plan_program_failure(device);
    if (sim_happens(DEVICE_ROT))
        rot(device);
    if (sim_happens(DEVICE_CLOCK))
        device->clock += sim_below(2) == 0 ? sim_below(100000) : (uint32_t)sim_random();
    if (sim_happens(DEVICE_RESET))
        sim_device_stop(device, false);
    if (sim_happens(DEVICE_FIRMWARE)) {
        if (device->is_up)
            sim_device_stop(device, false);
        device->version = !device->version;
    }
    if (sim_happens(DEVICE_CLONE)) {
        if (device->is_up)
            sim_device_stop(device, false);
        clone(device);
    }
    if (sim_happens(DEVICE_FACTORY) && is_known(device))
        factory_reset(device);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void poll(struct device *device)
{
    int32_t wait = tern_poll(&device->tern);
    if (device->is_off) {
        sim_device_stop(device, false);
        return;
    }
    if (wait == TERN_E_TOO_BIG)
        sim_app_abort(device);
    device->poll_at = sim.now + (wait > 0 ? wait : wait < 0 ? 50 : sim_below(8) == 0 ? 1 : 0);
    if (sim.broken == BREAK_ERASE_BEFORE_ACK)
        (void)tern_log_service(&device->lanes[0].log, true);
}

static void watch(struct device *device)
{
    for (unsigned i = 0; i < device->lane_count; i++) {
        const struct tern_log *log = &device->lanes[i].log;
        sim_watch_lane(device->life, i, log);
        if (log->epochs[0].epoch != device->epochs[i] && device->lanes[i].chunk.size != 0)
            aim_cut(&device->nors[i], 0, device->lanes[i].chunk.size);
        device->epochs[i] = log->epochs[0].epoch;
        if (device->nors[i].violations != 0)
            sim_violate("device %s uses its flash wrongly: %s", sim_device_id(device->name),
                        device->nors[i].violation);
    }
}

static void step(struct device *device)
{
    if (!device->is_up) {
        if (device->up_at <= sim.now)
            start(device);
        return;
    }
    if (device->app_at <= sim.now) {
        device->app_at = sim.now + 1 + sim_below(2 * device->interval);
        faults(device);
        if (device->is_up)
            sim_app_step(device);
        if (device->is_up && device->is_off)
            sim_device_stop(device, false);
        device->poll_at = sim.now;
    }
    if (device->is_up && device->poll_at <= sim.now)
        poll(device);
    if (device->is_up)
        watch(device);
}

void sim_devices_step(void)
{
    for (unsigned i = 0; i < sim.device_count; i++)
        if (devices[i].is_used)
            step(&devices[i]);
}

void sim_devices_wake(unsigned device, int64_t at)
{
    if (devices[device].poll_at > at)
        devices[device].poll_at = at;
}

int64_t sim_devices_due(void)
{
    int64_t due = SIM_NEVER;
    for (unsigned i = 0; i < sim.device_count; i++) {
        const struct device *one = &devices[i];
        int64_t at = !one->is_up ? one->up_at : one->poll_at < one->app_at ? one->poll_at : one->app_at;
        if (at < due)
            due = at;
    }
    return due;
}

void sim_devices_calm(void)
{
    for (unsigned i = 0; i < sim.device_count; i++)
        for (unsigned k = 0; k < devices[i].lane_count; k++) {
            devices[i].nors[k].cut_at = 0;
            memset(devices[i].nors[k].fail_at, 0, sizeof devices[i].nors[k].fail_at);
            devices[i].interval = 1000;
        }
}

uint32_t sim_device_epoch(unsigned device, unsigned lane)
{
    return lane < devices[device].lane_count ? devices[device].lanes[lane].log.epochs[0].epoch : 0;
}

bool sim_device_must_stay(unsigned device)
{
    const struct device *one = &devices[device];
    bool is_new = false;
    for (unsigned i = 0; i < one->lane_count; i++)
        is_new = is_new || sim_lives[one->life].epoch_count[i] == 0;
    return is_new && one->life >= sim.device_count;
}

bool sim_device_is_off(unsigned device)
{
    return devices[device].is_off;
}

bool sim_devices_are_idle(void)
{
    for (unsigned i = 0; i < sim.device_count; i++) {
        const struct device *one = &devices[i];
        if (!one->is_up || one->commit_waits || tern_backlog(&one->tern) != 0)
            return false;
        for (unsigned k = 0; k < one->lane_count; k++)
            if (one->pending_count[k] != 0)
                return false;
    }
    return true;
}

void sim_devices_tell(void)
{
    for (unsigned i = 0; i < sim.device_count; i++) {
        const struct device *one = &devices[i];
        TRACE("device %u: up %d, commit waits %d, backlog %u, refused %u", i, one->is_up, one->commit_waits,
              one->is_up ? tern_backlog(&one->tern) : 0, one->tern.refused);
        for (unsigned k = 0; k < one->lane_count; k++) {
            const struct tern_log *log = &one->lanes[k].log;
            const struct tern_sender *sender = &one->lanes[k].sender;
            TRACE("    lane %u: pending %u, acked %u, next %u, epochs %u from %u, %u from %u", k,
                  one->pending_count[k], log->acked, log->next, log->epochs[0].epoch, log->epochs[0].base,
                  log->epochs[1].epoch, log->epochs[1].base);
            TRACE(
                "    sender: state %u, sequence %u, chunk %u to %u of %u bytes, offset %u in %u, %u + %u of "
                "%u under way, mark %u",
                sender->state, sender->sequence, sender->chunk.first, sender->chunk.next, sender->chunk.size,
                sender->offset, sender->first, sender->before, sender->sent, sender->window, sender->mark);
        }
    }
}
