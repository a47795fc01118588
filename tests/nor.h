/* SPDX-License-Identifier: MIT */
/* NOR flash in memory, with everything that can go wrong with it. Deterministic: the same seed and plan give
 * the same faults. */
#ifndef TERN_NOR_H
#define TERN_NOR_H

#include "../core/tern.h"

#include <stdbool.h>

/* What a power cut leaves of the operation that it ends. */
enum nor_tear {
    NOR_PREFIX, /* the first `extent` bytes are done */
    NOR_SUFFIX, /* all but the first `extent` bytes are done */
    NOR_RANDOM, /* of the bits that were to change, each is done or not */
    NOR_FADING, /* every bit reads as done, until nor_age() is called */
    NOR_RISING  /* every bit reads as not done, until nor_age() is called */
};

enum nor_fault {
    NOR_ERROR,
    NOR_NOTHING /* returns 0 and does nothing */,
    NOR_HALF /* does a part and returns 0 */
};

enum nor_operation { NOR_READ, NOR_PROGRAM, NOR_ERASE };

struct nor {
    struct tern_flash flash; /* give this to tern */
    uint8_t *cells;
    uint8_t *weak;   /* bits that a cut left in between; they read as in `cells` until nor_age() */
    uint8_t *states; /* a unit: erased, programmed or torn */
    uint32_t size;
    uint32_t units;
    uint8_t unit;
    bool ecc;        /* a torn unit cannot be read */
    uint8_t busy;    /* how often erase() says TERN_AGAIN first */
    uint8_t waiting; /* how often it still does */
    bool off;        /* the power is gone: every call fails */
    /* The plan. Operations are counted from 1; 0 plans nothing. */
    uint32_t cut_at; /* among programs and erases */
    enum nor_tear tear;
    uint32_t extent;
    uint32_t fail_at[3]; /* by enum nor_operation */
    uint32_t fail_count; /* how many in a row */
    enum nor_fault fault;
    uint32_t bad_sector; /* number + 1 of a sector whose programs and erases always do `fault` */
    uint64_t random;
    /* What has happened. */
    uint32_t changes; /* programs and erases */
    uint32_t counts[3];
    uint32_t bytes[3];
    uint32_t last_size; /* of the operation that was cut, in bytes */
    uint32_t violations;
    const char *violation; /* the first */
    uint32_t *erases;      /* by sector */
};

/* All erased; `sectors` of `sector_size` bytes. */
void nor_open(struct nor *nor, uint32_t sector_size, uint32_t sectors, uint8_t unit);
void nor_close(struct nor *nor);

/* Everything planned is forgotten, and the power is back. */
void nor_start(struct nor *nor);

/* Bits left in between by cuts show their other face. */
void nor_age(struct nor *nor);

/* `to` becomes like `from`; both were opened with the same geometry. */
void nor_copy(struct nor *to, const struct nor *from);

#endif
