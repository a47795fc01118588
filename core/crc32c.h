/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli), RFC 3720 appendix B.4. The device's version is the smallest, one bit at a time; the
 * host links a faster one of the same name (host/crc32c.c). */
#ifndef TERN_CRC32C_H
#define TERN_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0 and pass each result on: tern_crc32c(tern_crc32c(0, a, n), b, m) is the CRC of a then
 * b. */
uint32_t tern_crc32c(uint32_t crc, const void *data, size_t size);

/* What it becomes, whatever the bytes, once it has taken in the CRC of all before, stored little-endian. */
#define TERN_CRC32C_RESIDUE 0x48674BC7u

#endif
