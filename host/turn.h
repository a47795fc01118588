/* SPDX-License-Identifier: MIT */
/* What one transaction of the importer brings in, in memory: ranges, units (what appears together), rows and
 * gaps. The memory is kept from turn to turn and does not grow with the number of records that pass. */
#ifndef TERN_TURN_H
#define TERN_TURN_H

#include "sink.h"

/* of one turn: only an explicit batch gets near it, and one that is larger is held */
#define TERN_TURN_ROWS_MAX (4u << 20)

struct tern_turn_range {
    struct tern_mark mark; /* says which range it is */
    uint32_t base;
    bool begins; /* the destination had nothing of it, or did not know where it begins */
};

struct tern_turn_row {
    struct tern_sink_row sink; /* first */
    uint32_t schema;           /* index */
    uint32_t range;            /* index */
    uint32_t sequence;
    const struct tern_turn_row *into; /* of a table with merge rules: the row that it was folded into, NULL */
    bool apart;         /* what it was folded into was refused, but it is not: it is loaded by itself */
    const char *reason; /* why it was rejected */
    bool taken;         /* it was new in the last try */
    bool refused;       /* it or its batch was */
};

struct tern_turn_schema {
    const struct tern_schema *schema;
    uint32_t hash;
    uint32_t rank; /* in order of table and version */
};

struct tern_turn_gap {
    uint32_t first;
    uint32_t last;
    uint8_t reason;
};

/* Records that were committed together: of an explicit batch, or of one commit. */
struct tern_turn_unit {
    uint32_t range;
    uint32_t first;
    uint32_t last;
    bool batch;
    bool snapshots; /* it holds their marks */
    bool rejected;  /* a row of the batch was: all of it counts as missing */
    size_t rows, rows_end;
    size_t gaps, gaps_end;
};

struct tern_turn_block;

struct tern_turn {
    struct tern_turn_range *ranges;
    struct tern_turn_row *rows;
    struct tern_turn_schema *schemas;
    struct tern_turn_gap *gaps;
    struct tern_turn_unit *units;
    size_t range_count, row_count, schema_count, gap_count, unit_count;
    size_t range_room, row_room, schema_room, gap_room, unit_room;
    struct tern_turn_block *blocks, *block;
    uint64_t cursor; /* where the destination stands with it */
    uint64_t bytes;  /* of the rows' values: 8 a number */
    bool failed;     /* out of memory */
    /* The run being read. */
    struct tern_turn_unit open;
    uint32_t *places; /* of ranges by hash: index + 1, 0 is free; more than half of them stay free */
    size_t place_count;
};

void tern_turn_reset(struct tern_turn *turn);
void tern_turn_free(struct tern_turn *turn);

/* The index of the range, made if it is new. `device` must live as long as the turn, and is the same pointer
 * for the same device. Where the base is not known it is 1, until somebody says a higher one. */
uint32_t tern_turn_find_range(struct tern_turn *turn, const char *device, uint8_t lane, uint32_t epoch,
                              uint32_t base);

/* Begins a run of records that the next commit covers, from `first` on. */
void tern_turn_begin(struct tern_turn *turn, uint32_t range, uint32_t first);

/* The run's next record, its values copied. */
void tern_turn_add(struct tern_turn *turn, uint32_t sequence, const struct tern_schema *schema, uint32_t hash,
                   uint8_t op, const struct tern_value *values);

/* A copy of the row with values of its own, all NULL, that lives as long as the turn. NULL: out of memory. */
struct tern_turn_row *tern_turn_copy(struct tern_turn *turn, const struct tern_turn_row *row, uint8_t columns,
                                     struct tern_value **values);

/* Memory that lives as long as the turn, at most 1 MiB. NULL: out of memory. */
void *tern_turn_room(struct tern_turn *turn, size_t size);

/* Records of the run that are missing. */
void tern_turn_miss(struct tern_turn *turn, uint32_t first, uint32_t last, uint8_t reason);

/* The run is committed up to `next`; what follows begins another one. A batch that misses a record is left
 * out whole: where records of one stand in a run with a gap, so is the run, since how far the batch reached
 * is not known. */
void tern_turn_commit(struct tern_turn *turn, uint32_t next, bool batch);

/* What is not committed is forgotten. */
void tern_turn_end(struct tern_turn *turn);

#endif
