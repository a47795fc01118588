/* SPDX-License-Identifier: MIT */
/* The port to POSIX systems: flash in a file, TCP and serial links, the clock. */
#ifndef TERN_POSIX_H
#define TERN_POSIX_H

#include <stdbool.h>
#include <stddef.h>

#include "../port.h"

/* ---- Flash: a file that behaves as NOR ------------------------------------------------------- */

struct tern_posix_flash {
    struct tern_flash flash; /* for struct tern_lane */
    uint8_t *cells;          /* the file, mapped */
    int file;
    bool sync; /* fdatasync after each program and erase: survives a power cut of the PC, not only the end of
                  the process */
};

/* Opens `path`, or makes it, all erased. Programs only clear bits and erases go by sector, as in the chip;
 * programming a unit twice is an error. Locked against a second process. Returns 0, or -1 with a sentence in
 * `message`. */
int tern_posix_flash_open(struct tern_posix_flash *flash, const char *path, uint32_t sector_size,
                          uint32_t sector_count, uint8_t program_unit, char *message, size_t size);
void tern_posix_flash_close(struct tern_posix_flash *flash);

/* ---- Links ----------------------------------------------------------------------------------- */

struct tern_posix_link {
    struct tern_link link; /* for struct tern_config */
    int socket;            /* -1: not connected; to be watched by poll(2) */
    bool connecting;
    bool is_full; /* the last send() left something over: to be watched for room */
    bool is_serial;
    uint32_t session;
    uint32_t sessions; /* connections so far */
    uint32_t retry_at; /* when to try the next one, by the clock below */
    uint32_t retry_ms;
    int baud;
    char host[256]; /* or the serial device */
    char port[16];
};

/* `tcp://HOST:PORT` or `serial:DEVICE?baud=N`. Connects in the background, again and again. 0, or -1 with a
 * sentence in `message`. */
int tern_posix_link_open(struct tern_posix_link *link, const char *url, char *message, size_t size);
void tern_posix_link_close(struct tern_posix_link *link);

/* ---- Clock ----------------------------------------------------------------------------------- */

extern const struct tern_clock tern_posix_clock;

#endif
