/* SPDX-License-Identifier: MIT */
/* The device of the fault tests: three batches of two tables, flash in memory, a clock that runs fast, and
 * what must be found in the destinations in the end. */
#ifndef TERN_FAULT_DEVICE_H
#define TERN_FAULT_DEVICE_H

#include <stdint.h>

#define BATCHES 3u

void device_open(void);
void device_close(void);

/* Where the gateway listens now, 0: nowhere. */
void device_port(uint16_t port);

/* Puts and commits a batch. */
void device_batch(unsigned number);

/* Does what can be done within about a millisecond. */
void device_poll(void);

/* Records that are not acknowledged. */
uint32_t device_backlog(void);

/* The lines of a table's segments, and the rows of the table itself as dbdump prints them. Table 0: climate,
 * 1: event. Valid until the next call. */
const char *device_expected_csv(unsigned table);
const char *device_expected_rows(unsigned table);

#endif
