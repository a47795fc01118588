/* SPDX-License-Identifier: MIT */
/*
 * The whole system in one deterministic process (README.md beside this): real devices on simulated flash,
 * simulated links, the real peer, staging store and importers on a simulated disk, simulated destinations,
 * and an oracle that knows what was committed. One seed decides everything; time is virtual.
 */
#ifndef TERN_SIM_H
#define TERN_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../core/log.h"
#include "../../core/tern.h"
#include "../../host/import.h"
#include "../../host/peer.h"
#include "../../host/sink.h"
#include "../nor.h"

#define SIM_DEVICES      8
#define SIM_GATEWAYS     2
#define SIM_DESTINATIONS 2
#define SIM_LANES        2
#define SIM_RECORDS      16384u
#define SIM_BATCHES      8192u
#define SIM_KEYS         8u
#define SIM_CONNECTIONS  16
#define SIM_MARKS        512u
#define SIM_GAPS         4096u
#define SIM_TRANSACTIONS 8192u
#define SIM_NEVER        INT64_MAX

/* ---- Faults ---------------------------------------------------------------------------------- */

/* Each with a switch and a rate of its own; sim_faults.c has their names and what a rate counts. */
enum sim_fault {
    LINK_LOSS,
    LINK_DUPLICATE,
    LINK_REORDER,
    LINK_DELAY,
    LINK_CORRUPT,
    LINK_TRUNCATE,
    LINK_STALL,
    LINK_HALF_OPEN,
    LINK_HANGUP,
    LINK_ROAM,
    LINK_LATE,
    LINK_REPLAY,
    LINK_HOSTILE,
    LINK_FORGED,
    HOST_CRASH,
    HOST_TORN,
    HOST_STOP,
    HOST_FULL,
    HOST_FSYNC,
    HOST_CLOCK,
    SINK_CRASH,
    SINK_DOWN,
    SINK_SLOW,
    SINK_DEADLOCK,
    SINK_UNKNOWN,
    SINK_RESTORE,
    SINK_POISON,
    DEVICE_CUT,
    DEVICE_RESET,
    DEVICE_CLOCK,
    DEVICE_FACTORY,
    DEVICE_FIRMWARE,
    DEVICE_CLONE,
    DEVICE_ROT,
    DEVICE_FLASH,
    DEVICE_PROGRAM,
    DEVICE_AIMED,
    SIM_FAULTS
};

/* Promises that can be broken on purpose, to see that the oracle notices. */
enum sim_broken {
    BREAK_NOTHING,
    BREAK_ACK_BEFORE_FSYNC,
    BREAK_CHECKPOINT_OUTSIDE,
    BREAK_BLOOM_DECIDES,
    BREAK_ERASE_BEFORE_ACK,
    BREAK_NO_VERSION_GUARD
};

struct sim_gateway;

struct sim {
    uint64_t seed, random;
    int64_t now;    /* virtual milliseconds since the beginning */
    bool trace;     /* print what happens */
    bool is_calm;   /* faults have stopped */
    bool is_over;   /* a promise was broken: the run ends */
    char what[400]; /* and how */
    enum sim_broken broken;
    uint32_t rates[SIM_FAULTS]; /* in a million opportunities */
    uint64_t counts[SIM_FAULTS];
    unsigned device_count, gateway_count, destination_count;
    struct sim_gateway *here; /* whose code is running; NULL: nobody's of the host */
    bool is_blurred;          /* a clone or lost bits: not everything can be told apart any more */
};

extern struct sim sim;

/* 64 random bits; a number below `limit`. */
uint64_t sim_random(void);
uint32_t sim_below(uint32_t limit);

/* Whether the fault happens at this opportunity; counts and traces it. Never once faults have stopped. */
bool sim_happens(enum sim_fault fault);

const char *sim_fault_name(enum sim_fault fault);
bool sim_find_fault(const char *name, size_t size, enum sim_fault *fault);
/* Draws every rate from the seed. */
void sim_draw_rates(void);

/* A broken promise: the run ends, with this text. */
void sim_violate(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define TRACE(...)                                                                                           \
    do {                                                                                                     \
        if (sim.trace)                                                                                       \
            sim_trace(__VA_ARGS__);                                                                          \
    } while (0)

/* ---- The host's surroundings: memory, threads, files (sim_memory.c, sim_fiber.c, sim_disk.c) ---- */

void sim_memory_reset(unsigned gateway); /* everything allocated by that gateway is gone */
size_t sim_memory_live(unsigned gateway);

/* Threads of gateways are fibers: they run until they wait. */
void sim_fibers_reset(void);
void sim_fibers_kill(struct sim_gateway *gateway);
/* When the next fiber wants to run, SIM_NEVER: none does. */
int64_t sim_fibers_due(void);
/* Runs each fiber that is due once. */
void sim_fibers_run(void);
/* The running fiber sleeps; on the main stack nothing happens. */
void sim_sleep(int64_t milliseconds);
/* A process ends here and now; does not return. */
_Noreturn void sim_crash(void);
/* Called where the host's code does what can end its process. */
void sim_crash_point(enum sim_fault fault);

struct sim_disk;
void sim_disk_reset(unsigned gateway); /* an empty disk */
void sim_disk_crash(unsigned gateway); /* what was not durable may be gone */
void sim_disk_stop(unsigned gateway);  /* a clean end: descriptors and locks are closed */
void sim_disk_calm(unsigned gateway);  /* there is room again */

/* ---- Records and the oracle (sim_oracle.c) --------------------------------------------------- */

enum sim_table { TABLE_EVENTS, TABLE_STATE, TABLE_ALARMS, TABLE_LIST, SIM_TABLES };
enum sim_fate { FATE_PENDING, FATE_MAYBE, FATE_COMMITTED, FATE_FORGOTTEN };

struct sim_record {
    uint32_t sequence;
    uint32_t batch; /* 0: none */
    uint32_t group; /* which commit took it */
    uint16_t life;  /* which flash content of which device */
    uint8_t lane;
    uint8_t table;
    uint8_t key;
    uint8_t op;
    uint8_t fate;
    uint8_t version; /* of the schema */
    bool poison;
    bool is_dropped; /* the device gave it up, unacknowledged, for want of room */
};

/* One content of a flash: from an erased chip to the next, or a clone's own history. */
struct sim_life {
    uint8_t device;  /* whose */
    uint8_t name;    /* index of the device whose id it bears */
    bool ended;      /* by a factory reset: what had not been acknowledged is gone */
    bool is_branch;  /* shares its beginning with another life */
    bool has_branch; /* another life shares its beginning */
    uint16_t epoch_count[SIM_LANES];
    struct tern_epoch epochs[SIM_LANES][256]; /* as they came into force */
    uint32_t acked[SIM_LANES];                /* the device was told that records below are safe */
    bool may_drop[SIM_LANES];                 /* the oldest, where room is wanted */
    uint32_t floor[SIM_LANES];                /* its log has begun here or earlier */
    bool has_half_erased[SIM_LANES]; /* power was cut in an erase: what is left of that sector may be the
                                        oldest again */
    bool is_damaged; /* its flash lost bits: what stood last in it may be gone without a trace (LOG.md) */
};

extern struct sim_record sim_records[SIM_RECORDS];
extern uint32_t sim_record_count;
#define SIM_LIVES 64
extern struct sim_life sim_lives[SIM_LIVES];
extern uint32_t sim_life_count;
/* A batch's records have numbers in this range; others' stand between. */
extern struct sim_batch {
    uint32_t first, last;
} sim_batches[SIM_BATCHES];
extern uint32_t sim_batch_count;
/* Of each commit, the last sequence. */
extern uint32_t sim_groups[SIM_RECORDS];
extern uint32_t sim_group_count;
/* Whether a commit lost a record so. */
extern bool sim_group_dropped[SIM_RECORDS];
/* Whether the record is a row that stays; others come and go. */
bool sim_is_event(const struct sim_record *record);
/* Of a device of which bits were lost, or that has a clone, not everything can be told apart. */
bool sim_is_blurred(const char *device);

void sim_oracle_reset(void);
uint32_t sim_new_record(void); /* index from 1, 0: no more */
/* What device and lane's log say now: epochs and what is acknowledged. */
void sim_watch_lane(unsigned life, unsigned lane, const struct tern_log *log);
/* A gateway tells that it holds everything below `next`, and remembers after a restart what it told. */
void sim_heard_ack(unsigned gateway, const char *device, uint8_t lane, uint32_t epoch, uint32_t next);
/* Whether the gateway has told that it holds anything of the epoch. */
bool sim_has_heard(unsigned gateway, const char *device, uint8_t lane, uint32_t epoch);
/* Each range that the gateway told about is known to the store that it opened. */
void sim_each_ack(unsigned gateway, const struct tern_stage *stage);
/* After the faults: everything must be where it belongs. */
void sim_check_end(void);

/* Fills the text of a record's note: a function of its number alone. */
size_t sim_note(uint32_t number, char note[64]);

/* ---- Destinations (sim_sink.c) --------------------------------------------------------------- */

struct sim_row {
    int64_t id; /* 0: not there */
};

struct sim_kept {
    int64_t id;
    uint32_t number; /* of the record; 0: none yet */
    bool is_deleted;
};

struct sim_mark {
    char device[TERN_ID_MAX + 1];
    uint8_t lane;
    uint32_t epoch, applied;
};

struct sim_gap {
    uint16_t mark;
    uint8_t reason;
    uint32_t first, last;
};

struct sim_cursor {
    uint64_t store, position, batch;
    uint32_t slot;
};

/* Plain bytes, so that a backup is a copy. */
struct sim_state {
    struct sim_row events[SIM_RECORDS]; /* both APPEND tables, by record number */
    struct sim_kept state[SIM_DEVICES][SIM_KEYS];
    struct sim_kept list[SIM_DEVICES][SIM_KEYS]; /* OVERWRITE */
    int64_t snapshots[SIM_DEVICES];              /* with which it was replaced last; 0: never */
    struct sim_mark marks[SIM_MARKS];
    struct sim_gap gaps[SIM_GAPS];
    struct sim_cursor cursors[64];
    uint64_t batches[SIM_TRANSACTIONS]; /* those made last */
    uint32_t mark_count, gap_count, cursor_count, batch_count;
};

struct sim_destination {
    struct sim_state now, backup;
    bool has_backup;
    bool is_broken_half; /* with the checkpoint outside: rows are in, marks are not */
    int64_t down_until;
    uint32_t era; /* grows when connections die */
    int lock_holder[SIM_MARKS];
};

extern struct sim_destination sim_destinations[SIM_DESTINATIONS];

void sim_sinks_reset(void);
void sim_sinks_calm(void);
/* Faults between transactions: a backup is made, or comes back. */
void sim_sinks_step(void);
/* A gateway's transactions and locks are gone. */
void sim_sinks_drop(struct sim_gateway *gateway);
const struct sim_mark *sim_find_mark(const struct sim_state *state, const char *device, uint8_t lane,
                                     uint32_t epoch);
/* The gap that covers the sequence, or NULL. */
const struct sim_gap *sim_find_gap(const struct sim_state *state, const struct sim_mark *mark,
                                   uint32_t sequence);

/* ---- Gateways (sim_gateway.c) ---------------------------------------------------------------- */

struct sim_connection {
    bool is_open;
    int device;        /* -1: a stranger */
    uint32_t session;  /* of the device's link */
    uint32_t sessions; /* of the peer, as last seen */
    struct tern_peer peer;
};

struct sim_gateway {
    unsigned number;
    bool is_up;
    bool has_crashed; /* its process is to be cleared away */
    bool touched;
    jmp_buf escape; /* where a crash on the main stack leads */
    bool on_main;
    int64_t up_at;
    int64_t sync_at;
    int64_t wall; /* what its clock shows too much */
    struct tern_peer_config peers;
    struct tern_stage *stage;
    struct tern_import *imports[SIM_DESTINATIONS];
    struct sim_connection connections[SIM_CONNECTIONS];
};

extern struct sim_gateway sim_gateways[SIM_GATEWAYS];

void sim_gateways_reset(void);
int64_t sim_gateways_due(void);
void sim_gateways_step(void);
/* Clears away what a crash has left. */
void sim_gateways_bury(void);
bool sim_gateways_are_idle(void);
void sim_gateways_tell(void);
/* A connection of a device's link (or a stranger's, device -1). Its index, or -1: the gateway is down or
 * full. */
int sim_connect(unsigned gateway, int device, uint32_t session);
void sim_disconnect(unsigned gateway, int connection);
void sim_deliver(unsigned gateway, int connection, const uint8_t *data, size_t size);
/* Stops all gateways cleanly: what is then still allocated is a leak. */
void sim_gateways_stop(void);

/* ---- Links (sim_link.c) ---------------------------------------------------------------------- */

void sim_links_reset(void);
void sim_link_open(unsigned device, struct tern_link *link);
void sim_link_restart(unsigned device); /* the device has lost its memory */
void sim_link_late(unsigned device);    /* the first contact takes its time */
unsigned sim_link_gateway(unsigned device);
void sim_links_faults(unsigned device); /* once a step of the device */
int64_t sim_links_due(void);
void sim_links_step(void);
void sim_links_calm(void);
/* What a gateway sends on a connection. */
void sim_link_down(unsigned gateway, int connection, const uint8_t *data, size_t size);
/* Whether no device holds the other end. */
bool sim_link_is_loose(unsigned gateway, int connection);
/* The gateway has ended the connection. */
void sim_link_ended(unsigned gateway, int connection);

/* ---- Devices (sim_device.c) ------------------------------------------------------------------ */

void sim_devices_reset(void);
/* What the lane's newest records go by, 0: nothing yet. */
uint32_t sim_device_epoch(unsigned device, unsigned lane);
/* A second life asks for its first epoch where the life before is known (README.md beside this). */
bool sim_device_must_stay(unsigned device);
bool sim_device_is_off(unsigned device); /* its power went in the middle of a call */
int64_t sim_devices_due(void);
void sim_devices_step(void);
void sim_devices_wake(unsigned device, int64_t at); /* bytes arrive then */
void sim_devices_calm(void);
bool sim_devices_are_idle(void);
void sim_devices_tell(void); /* what is not, into the trace */
const char *sim_device_id(unsigned device);

#endif
