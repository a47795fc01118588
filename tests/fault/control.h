/* SPDX-License-Identifier: MIT */
/* What a test and the preloaded library (preload.c) tell each other, in a file that both map: FAULT_CONTROL
 * names it. Only calls about files below FAULT_ROOT and about sockets count. */
#ifndef TERN_FAULT_CONTROL_H
#define TERN_FAULT_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

/* Kinds of calls. */
enum {
    FAULT_WRITE = 1,    /* write, pwrite, ftruncate */
    FAULT_SYNC = 2,     /* fsync, fdatasync */
    FAULT_NAME = 4,     /* rename, unlink, mkdir, chmod */
    FAULT_OPEN = 8,     /* open of a file that is there */
    FAULT_CREATE = 16,  /* open that may make one */
    FAULT_SOCKET = 32,  /* send, and read of a socket */
    FAULT_FREEING = 64, /* ftruncate, unlink: a full disk does not refuse them */
    FAULT_ALL = 127
};

/* What happens at a call. */
enum {
    FAULT_NONE,
    FAULT_KILL,  /* SIGKILL in place of the call; of a write the half is done */
    FAULT_CUT,   /* the power goes: SIGKILL, and whatever no sync made durable is undone */
    FAULT_SOME,  /* the same, but of that each change is undone or not, by chance */
    FAULT_ERROR, /* the call fails; a failed sync loses what was written before it, as some kernels do */
    FAULT_SHORT  /* a write does the half, and the next one fails */
};

struct fault_control {
    atomic_uint_fast64_t calls; /* counted since the start */
    atomic_uint_fast64_t hits;
    atomic_uint cut;     /* 1: FAULT_CUT now */
    atomic_uint healthy; /* 1: no more faults */
    uint64_t at;         /* the call that it happens at, from 1 */
    uint32_t kinds;      /* that count */
    uint32_t what;
    int32_t error;    /* errno */
    uint32_t lasting; /* and every call after it, until `healthy` */
    uint64_t seed;
    char hit[200]; /* the call that was hit first */
};

#endif
