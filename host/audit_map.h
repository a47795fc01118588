/* SPDX-License-Identifier: MIT */
/* The rows of one table that an audit expects, found by device and tern_id. */
#ifndef TERN_AUDIT_MAP_H
#define TERN_AUDIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tern_audit_row {
    const char *device; /* the same pointer for the same device; NULL: free */
    int64_t id;
    uint64_t digest; /* of its values */
    bool seen;
};

/* All zeros: empty. */
struct tern_audit_map {
    struct tern_audit_row *rows;
    size_t count, room;
};

/* False: out of memory. */
bool tern_audit_add(struct tern_audit_map *map, const struct tern_audit_row *row);

/* The row of that device and id, or NULL. */
struct tern_audit_row *tern_audit_find(const struct tern_audit_map *map, const struct tern_audit_row *row);

void tern_audit_walk(const struct tern_audit_map *map,
                     void (*call)(void *context, const struct tern_audit_row *row), void *context);

/* A number for the row as a whole; the sum of them is a digest of a set, whatever its order. */
uint64_t tern_audit_mix(const struct tern_audit_row *row);

void tern_audit_clear(struct tern_audit_map *map);
void tern_audit_free(struct tern_audit_map *map);

/* Removes a folder with all that is in it. */
void tern_audit_remove(const char *folder);

#endif
