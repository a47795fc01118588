/* SPDX-License-Identifier: MIT */
/* A self-test for a new port, to be run on the device before anything else: it finds a port that says one
 * thing and does another. */
#ifndef TERN_PORT_CHECK_H
#define TERN_PORT_CHECK_H

#include "port.h"

enum tern_port_fault {
    TERN_PORT_GOOD = 0,
    TERN_PORT_GEOMETRY,          /* sector size, count or program unit are outside what tern.h allows */
    TERN_PORT_ERASE_FAILS,       /* erase() returned an error */
    TERN_PORT_ERASE_NEVER_ENDS,  /* erase() goes on saying TERN_AGAIN */
    TERN_PORT_ERASE_LEAVES_BITS, /* a sector is not all FF after its erase */
    TERN_PORT_ERASE_ELSEWHERE,   /* erasing one sector changed another */
    TERN_PORT_ERASE_BLOCKS,    /* while erase() said TERN_AGAIN, another sector did not read or program as it
                                  should */
    TERN_PORT_PROGRAM_FAILS,   /* program() returned an error for erased units */
    TERN_PORT_PROGRAM_DIFFERS, /* what was programmed does not read back */
    TERN_PORT_PROGRAM_ELSEWHERE,   /* programming changed bytes before or behind, or in another sector */
    TERN_PORT_READ_FAILS,          /* read() returned an error */
    TERN_PORT_READ_DIFFERS,        /* reading in other pieces gives other bytes */
    TERN_PORT_READ_PAST,           /* read() wrote outside the buffer that it was given */
    TERN_PORT_CLOCK_STANDS_STILL,  /* milliseconds() does not rise */
    TERN_PORT_CLOCK_RUNS_BACK,     /* milliseconds() fell, other than by wrapping at 2^32 */
    TERN_PORT_RANDOM_REPEATS,      /* random() gives the same again and again */
    TERN_PORT_LINK_SESSION,        /* session() changes from call to call */
    TERN_PORT_LINK_TAKES_TOO_MUCH, /* send() says that it took more than it was given */
    TERN_PORT_LINK_GIVES_TOO_MUCH, /* receive() says that it gave more than was asked for */
    TERN_PORT_LINK_WRITES_PAST,    /* receive() wrote behind the bytes that it says it gave, or outside the
                                      buffer */
    TERN_PORT_LINK_DIFFERS         /* with a loop: what came back is not what send() said it took */
};

struct tern_port_report {
    uint32_t address; /* where in the flash the fault was seen */
    uint32_t spent;   /* milliseconds, by the port's clock: compare them with a watch */
    uint32_t looped;  /* bytes that came back over the link; 0: there is no loop, and the link's content was
                         not checked */
};

/* Checks what is given; any of the three may be NULL. The flash is erased, filled, and erased again:
 * EVERYTHING IN IT IS LOST, and each sector has aged by two erases, the first two by three. For the link,
 * join its two wires (a loop), or leave it alone: it is sent 512 bytes, which a gateway takes for noise.
 * Blocks until it is done: as long as erasing the flash twice takes, and the link's 512 bytes, and a second.
 * Returns the first fault found. */
enum tern_port_fault tern_port_check(const struct tern_flash *flash, const struct tern_link *link,
                                     const struct tern_clock *clock, struct tern_port_report *report);

/* A sentence for a person: what was found, and where to look. Linked only if it is called. */
const char *tern_port_fault_text(enum tern_port_fault fault);

#endif
