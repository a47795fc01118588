/* SPDX-License-Identifier: MIT */
/* The four functions that tern and the compiler call, for images that link no C library. Small, not fast.
 * Compile with -fno-tree-loop-distribute-patterns, or the compiler makes of each loop a call to itself. */
#include "memory.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    while (size-- != 0)
        *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out < (uintptr_t)in)
        return memcpy(to, from, size);
    while (size-- != 0)
        out[size] = in[size];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    uint8_t *out = to;
    while (size-- != 0)
        *out++ = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (; size-- != 0; left++, right++)
        if (*left != *right)
            return *left < *right ? -1 : 1;
    return 0;
}
