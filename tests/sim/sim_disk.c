/* SPDX-License-Identifier: MIT */
/* A gateway's disk: one folder. What was written is durable after an fdatasync, a name after an fsync of the
 * folder; at a crash any of what is not may be gone, by sectors. By the linker's --wrap: sim_files.c turns
 * system calls into these operations. */
#include "sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u

static struct sim_disk disks[SIM_GATEWAYS];

struct sim_disk *sim_disk_here(void)
{
    return &disks[sim.here->number];
}

/* ---- Files ----------------------------------------------------------------------------------- */

static bool is_named(const struct sim_disk *disk, int inode)
{
    for (unsigned i = 0; i < DISK_NAMES; i++)
        if ((disk->names[i].name[0] != '\0' && disk->names[i].inode == inode) ||
            (disk->durable[i].name[0] != '\0' && disk->durable[i].inode == inode))
            return true;
    for (unsigned i = 0; i < DISK_DESCRIPTORS; i++)
        if (disk->descriptors[i].is_used && disk->descriptors[i].inode == inode)
            return true;
    return false;
}

static void clear_inode(struct sim_inode *inode)
{
    inode->is_used = false;
    inode->size = inode->durable_size = 0;
    inode->pending_count = 0;
    inode->lock = 0;
}

int sim_disk_inode(struct sim_disk *disk)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < DISK_INODES; i++)
            if (!disk->inodes[i].is_used) {
                disk->inodes[i].is_used = true;
                return i;
            }
        for (int i = 0; i < DISK_INODES; i++)
            if (!is_named(disk, i))
                clear_inode(&disk->inodes[i]);
    }
    sim_violate("the simulated disk has too many files");
    return -1;
}

static void reserve(struct sim_inode *inode, size_t size)
{
    size_t capacity = inode->capacity == 0 ? 16384 : inode->capacity;
    while (capacity < size)
        capacity *= 2;
    if (capacity == inode->capacity)
        return;
    struct sim_gateway *here = sim.here;
    sim.here = NULL;
    inode->data = realloc(inode->data, capacity);
    inode->durable = realloc(inode->durable, capacity);
    sim.here = here;
    inode->capacity = capacity;
    if (inode->data == NULL || inode->durable == NULL)
        abort();
}

static void make_pending(struct sim_inode *inode, size_t offset, size_t size)
{
    if (inode->pending_count == DISK_PENDING) {
        /* Rare: two become one, with what lies between. */
        struct sim_write *last = &inode->pending[DISK_PENDING - 1];
        size_t from = offset < last->offset ? offset : last->offset;
        size_t end = offset + size > last->offset + last->size ? offset + size : last->offset + last->size;
        *last = (struct sim_write){from, end - from};
        return;
    }
    inode->pending[inode->pending_count++] = (struct sim_write){offset, size};
}

void sim_disk_write(struct sim_inode *inode, size_t offset, const void *data, size_t size)
{
    size_t end = offset + size;
    reserve(inode, end);
    if (offset > inode->size)
        memset(inode->data + inode->size, 0, offset - inode->size);
    memcpy(inode->data + offset, data, size);
    if (end > inode->size)
        inode->size = end;
    make_pending(inode, offset, size);
}

void sim_disk_truncate(struct sim_inode *inode, size_t size)
{
    reserve(inode, size);
    if (size > inode->size)
        memset(inode->data + inode->size, 0, size - inode->size);
    inode->size = size;
    make_pending(inode, size, 0);
}

static void persist(struct sim_inode *inode, size_t from, size_t end)
{
    if (end > inode->size)
        end = inode->size;
    if (from >= end)
        return;
    if (inode->durable_size < from)
        memset(inode->durable + inode->durable_size, 0, from - inode->durable_size);
    memcpy(inode->durable + from, inode->data + from, end - from);
    if (inode->durable_size < end)
        inode->durable_size = end;
}

void sim_disk_sync(struct sim_inode *inode)
{
    for (unsigned i = 0; i < inode->pending_count; i++)
        persist(inode, inode->pending[i].offset, inode->pending[i].offset + inode->pending[i].size);
    if (inode->durable_size > inode->size)
        inode->durable_size = inode->size;
    inode->pending_count = 0;
}

void sim_disk_forget(struct sim_inode *inode)
{
    inode->pending_count = 0;
}

/* ---- Names ----------------------------------------------------------------------------------- */

int sim_disk_find(const struct sim_disk *disk, const char *name)
{
    for (unsigned i = 0; i < DISK_NAMES; i++)
        if (strcmp(disk->names[i].name, name) == 0)
            return disk->names[i].inode;
    return -1;
}

static void apply(struct sim_name *names, const struct sim_name *change)
{
    struct sim_name *place = NULL;
    for (unsigned i = 0; i < DISK_NAMES; i++)
        if (strcmp(names[i].name, change->name) == 0)
            place = &names[i];
    for (unsigned i = 0; i < DISK_NAMES && place == NULL; i++)
        if (names[i].name[0] == '\0')
            place = &names[i];
    if (place == NULL)
        sim_violate("the simulated folder is full");
    else if (change->inode < 0)
        place->name[0] = '\0';
    else
        *place = *change;
}

void sim_disk_name(struct sim_disk *disk, const char *name, int inode, bool joined)
{
    struct sim_name change = {.inode = inode, .is_joined = joined};
    strncpy(change.name, name, sizeof change.name - 1);
    apply(disk->names, &change);
    if (disk->change_count == DISK_CHANGES) {
        apply(disk->durable, &disk->changes[0]);
        memmove(disk->changes, disk->changes + 1, (DISK_CHANGES - 1) * sizeof change);
        disk->change_count--;
    }
    disk->changes[disk->change_count++] = change;
}

void sim_disk_sync_names(struct sim_disk *disk)
{
    memcpy(disk->durable, disk->names, sizeof disk->durable);
    disk->change_count = 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void sim_disk_reset(unsigned gateway)
{
    struct sim_disk *disk = &disks[gateway];
    for (unsigned i = 0; i < DISK_INODES; i++)
        clear_inode(&disk->inodes[i]);
    memset(disk->descriptors, 0, sizeof disk->descriptors);
    memset(disk->names, 0, sizeof disk->names);
    memset(disk->durable, 0, sizeof disk->durable);
    disk->change_count = 0;
    disk->full_until = 0;
    disk->has_folder = false;
}

void sim_disk_calm(unsigned gateway)
{
    disks[gateway].full_until = 0;
}

void sim_disk_stop(unsigned gateway)
{
    struct sim_disk *disk = &disks[gateway];
    for (unsigned i = 0; i < DISK_DESCRIPTORS; i++)
        disk->descriptors[i].is_used = false;
    for (unsigned i = 0; i < DISK_INODES; i++)
        disk->inodes[i].lock = 0;
}

/* Each sector of each write is there or not; with `torn` false, all that was written is there. */
static void settle(struct sim_inode *inode, bool torn)
{
    uint32_t odds = sim_below(5) * 250; /* in a thousand */
    for (unsigned i = 0; torn && i < inode->pending_count; i++) {
        size_t end = inode->pending[i].offset + inode->pending[i].size;
        for (size_t at = inode->pending[i].offset; at < end;) {
            size_t next = (at / SECTOR + 1) * SECTOR;
            if (sim_below(1000) < odds)
                persist(inode, at, next < end ? next : end);
            at = next;
        }
    }
    if (!torn)
        sim_disk_sync(inode);
    inode->pending_count = 0;
    if (inode->durable_size > inode->capacity)
        abort();
    if (inode->durable_size != 0)
        memcpy(inode->data, inode->durable, inode->durable_size);
    inode->size = inode->durable_size;
}

/* The process alone dies, and what it wrote is safe; or the machine does, and what was not durable is not. */
void sim_disk_crash(unsigned gateway)
{
    struct sim_disk *disk = &disks[gateway];
    bool torn = sim.rates[HOST_TORN] != 0 && sim_below(1000000) < sim.rates[HOST_TORN];
    TRACE("gateway %u: %s", gateway, torn ? "the machine went down" : "the process was killed");
    sim_disk_stop(gateway);
    if (!torn)
        return;
    uint32_t kept = sim_below(disk->change_count + 1);
    while (kept < disk->change_count && disk->changes[kept].is_joined)
        kept++;
    for (uint32_t i = 0; i < kept; i++)
        apply(disk->durable, &disk->changes[i]);
    memcpy(disk->names, disk->durable, sizeof disk->names);
    disk->change_count = 0;
    for (unsigned i = 0; i < DISK_INODES; i++)
        if (disk->inodes[i].is_used)
            settle(&disk->inodes[i], torn);
}
