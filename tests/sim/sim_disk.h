/* SPDX-License-Identifier: MIT */
/* Shared by sim_disk.c, which keeps the bytes, and sim_files.c, which is the system calls. */
#ifndef TERN_SIM_DISK_H
#define TERN_SIM_DISK_H

#include "sim.h"

#define DISK_INODES      192
#define DISK_NAMES       128
#define DISK_DESCRIPTORS 48
#define DISK_PENDING     64
#define DISK_CHANGES     64

struct sim_write {
    size_t offset, size;
};

struct sim_inode {
    bool is_used;
    int lock; /* descriptor index + 1 */
    size_t size, durable_size, capacity;
    uint8_t *data, *durable; /* as programs see it; as it would be after a crash */
    unsigned pending_count;
    struct sim_write pending[DISK_PENDING]; /* written, and not durable */
};

struct sim_name {
    char name[40];
    int inode;      /* as a change: -1 takes the name away */
    bool is_joined; /* as a change: happens together with the one before */
};

enum sim_descriptor_kind { DESCRIPTOR_FILE, DESCRIPTOR_FOLDER, DESCRIPTOR_RANDOM };

struct sim_descriptor {
    bool is_used;
    enum sim_descriptor_kind kind;
    int inode;
    size_t at;
};

struct sim_disk {
    struct sim_inode inodes[DISK_INODES];
    struct sim_name names[DISK_NAMES], durable[DISK_NAMES];
    struct sim_name changes[DISK_CHANGES]; /* of names, not durable, in order */
    uint32_t change_count;
    struct sim_descriptor descriptors[DISK_DESCRIPTORS];
    int64_t full_until;
    bool has_folder;
};

/* Of the gateway whose code runs. */
struct sim_disk *sim_disk_here(void);

int sim_disk_inode(struct sim_disk *disk); /* a new file without a name, or -1 */
void sim_disk_write(struct sim_inode *inode, size_t offset, const void *data, size_t size);
void sim_disk_truncate(struct sim_inode *inode, size_t size);
void sim_disk_sync(struct sim_inode *inode);
/* After an fdatasync that failed: what was written reads well and never gets to the disk. */
void sim_disk_forget(struct sim_inode *inode);

int sim_disk_find(const struct sim_disk *disk, const char *name); /* inode, or -1 */
void sim_disk_name(struct sim_disk *disk, const char *name, int inode, bool joined);
void sim_disk_sync_names(struct sim_disk *disk);

#endif
