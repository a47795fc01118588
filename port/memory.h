/* SPDX-License-Identifier: MIT */
/* What memory.c has, for toolchains without <string.h>. */
#ifndef TERN_MEMORY_H
#define TERN_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
