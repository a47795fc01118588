/* SPDX-License-Identifier: MIT */
/* Between sim_sink.c, which is the database as the importer sees it, and sim_rows.c, which is what it does
 * with rows. */
#ifndef TERN_SIM_SINK_H
#define TERN_SIM_SINK_H

#include "sim.h"

#define CHANGES   4096u
#define LOCK_WAIT 5000 /* virtual milliseconds */
#define LOCK_STEP 7

enum change_kind {
    CHANGE_EVENT,
    CHANGE_LIST,
    CHANGE_REPLACE,
    CHANGE_STATE,
    CHANGE_MARK,
    CHANGE_REMOVE_GAP,
    CHANGE_ADD_GAP
};

struct change {
    enum change_kind kind;
    int64_t id;
    uint32_t number; /* of the record */
    uint32_t applied;
    int mark; /* or the device */
    struct sim_gap gap;
    bool is_deleted;
};

/* A connection to a destination, and its transaction. */
struct sim_sink {
    struct tern_sink sink; /* first */
    struct sim_destination *destination;
    struct sim_gateway *gateway;
    int id;
    bool is_connected, in_transaction;
    uint32_t era;
    struct change *changes;
    uint32_t change_count;
    uint64_t seen; /* of the Bloom filter that decides, if that promise is broken */
};

/* Room for one more change of the transaction. */
struct change *sim_add_change(struct sim_sink *one, enum change_kind kind);
/* Whether a row that is said to be new would violate a unique key. */
bool sim_is_wrongly_fresh(const struct sim_sink *one, const struct tern_sink_load *load,
                          const struct tern_sink_row *row);
void sim_load_row(struct sim_sink *one, const struct tern_sink_load *load, struct tern_sink_row *row);
/* Rows, the rest, or both. */
void sim_apply(struct sim_sink *one, bool rows, bool marks);
/* The device's place, -1: none of ours. */
int sim_device_place(const char *id);
int sim_column(const struct tern_table *table, const char *name);

#endif
