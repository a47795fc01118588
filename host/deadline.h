/* SPDX-License-Identifier: MIT */
/* When a bounded wait on a condition ends. */
#ifndef TERN_DEADLINE_H
#define TERN_DEADLINE_H

#include <stdint.h>
#include <time.h>

/* `milliseconds` (0 or more) from now by the monotonic clock, for pthread_cond_timedwait() on a condition of
 * that clock. */
struct timespec tern_deadline(int64_t milliseconds);

#endif
