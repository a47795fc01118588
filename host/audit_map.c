/* SPDX-License-Identifier: MIT */
#include "audit_map.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scan.h"

uint64_t tern_audit_mix(const struct tern_audit_row *row)
{
    uint64_t digest = tern_digest(TERN_DIGEST_BEGIN, row->device, strlen(row->device));
    digest = tern_digest(digest, &row->id, sizeof row->id);
    return tern_digest(digest, &row->digest, sizeof row->digest);
}

static struct tern_audit_row *place(const struct tern_audit_map *map, const struct tern_audit_row *row)
{
    uint64_t hash = ((uint64_t)(uintptr_t)row->device ^ (uint64_t)row->id << 20) * 0x9E3779B97F4A7C15u;
    size_t index = (size_t)(hash >> 20) & (map->room - 1);
    while (map->rows[index].device != NULL &&
           (map->rows[index].device != row->device || map->rows[index].id != row->id))
        index = (index + 1) & (map->room - 1);
    return &map->rows[index];
}

static bool grow(struct tern_audit_map *map)
{
    struct tern_audit_map bigger = {NULL, map->count, map->room == 0 ? 1024 : map->room * 2};
    bigger.rows = calloc(bigger.room, sizeof *bigger.rows);
    if (bigger.rows == NULL)
        return false;
    for (size_t i = 0; i < map->room; i++)
        if (map->rows[i].device != NULL)
            *place(&bigger, &map->rows[i]) = map->rows[i];
    free(map->rows);
    *map = bigger;
    return true;
}

bool tern_audit_add(struct tern_audit_map *map, const struct tern_audit_row *row)
{
    if (2 * map->count >= map->room && !grow(map))
        return false;
    struct tern_audit_row *to = place(map, row);
    map->count += to->device == NULL;
    *to = *row;
    return true;
}

struct tern_audit_row *tern_audit_find(const struct tern_audit_map *map, const struct tern_audit_row *row)
{
    struct tern_audit_row *found = map->room == 0 ? NULL : place(map, row);
    return found == NULL || found->device == NULL ? NULL : found;
}

void tern_audit_walk(const struct tern_audit_map *map,
                     void (*call)(void *context, const struct tern_audit_row *row), void *context)
{
    for (size_t i = 0; i < map->room; i++)
        if (map->rows[i].device != NULL)
            call(context, &map->rows[i]);
}

void tern_audit_clear(struct tern_audit_map *map)
{
    if (map->room != 0)
        memset(map->rows, 0, map->room * sizeof *map->rows);
    map->count = 0;
}

void tern_audit_free(struct tern_audit_map *map)
{
    free(map->rows);
    memset(map, 0, sizeof *map);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about, (void)kind, (void)place;
    (void)remove(path); /* what stays is in a temporary folder */
    return 0;
}

void tern_audit_remove(const char *folder)
{
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
