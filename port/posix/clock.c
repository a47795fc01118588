/* SPDX-License-Identifier: MIT */
#include "posix.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static uint32_t milliseconds(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u);
}

static uint32_t random_bits(void *context)
{
    uint32_t bits = milliseconds(context) * 2654435761u ^ (uint32_t)getpid();
    uint32_t fresh;
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, &fresh, sizeof(fresh)) == (ssize_t)sizeof(fresh))
        bits = fresh;
    if (file >= 0)
        close(file);
    return bits;
}

const struct tern_clock tern_posix_clock = {NULL, milliseconds, random_bits};
