/* SPDX-License-Identifier: MIT */
/* Little-endian loads and stores, and varints (PROTOCOL.md section 1). Byte by byte: any alignment, any byte
 * order. */
#ifndef TERN_BYTES_H
#define TERN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Freestanding C promises no <string.h>; a compiler asks for these four all the same. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#define TERN_VARINT32_MAX 5
#define TERN_VARINT64_MAX 10

void tern_store16(uint8_t bytes[2], uint16_t value);
void tern_store32(uint8_t bytes[4], uint32_t value);
void tern_store64(uint8_t bytes[8], uint64_t value);
uint16_t tern_load16(const uint8_t bytes[2]);
uint32_t tern_load32(const uint8_t bytes[4]);
uint64_t tern_load64(const uint8_t bytes[8]);

/* Writes `value` and returns how many bytes it took, 1 to 5. */
size_t tern_store_varint(uint8_t bytes[TERN_VARINT32_MAX], uint32_t value);

/* Reading a message field by field. After a read past the end, or of a varint that is too long, too large or
 * not in its shortest form, `failed` is set, stays set, and every read gives 0. Check it once, after the last
 * field. */
struct tern_input {
    const uint8_t *data;
    size_t size; /* bytes left */
    bool failed;
};

uint8_t tern_read8(struct tern_input *input);
uint16_t tern_read16(struct tern_input *input);
uint32_t tern_read32(struct tern_input *input);
uint64_t tern_read64(struct tern_input *input);
uint32_t tern_read_varint(struct tern_input *input);
uint64_t tern_read_varint64(struct tern_input *input);
/* `size` bytes in place, or NULL when fewer are left. */
const uint8_t *tern_read_bytes(struct tern_input *input, size_t size);

/* Writing a message field by field into a buffer of fixed size; `failed` as above, and nothing is written
 * past the end. */
struct tern_output {
    uint8_t *data;
    size_t size; /* bytes written */
    size_t capacity;
    bool failed;
};

void tern_write8(struct tern_output *output, uint8_t value);
void tern_write16(struct tern_output *output, uint16_t value);
void tern_write32(struct tern_output *output, uint32_t value);
void tern_write64(struct tern_output *output, uint64_t value);
void tern_write_varint(struct tern_output *output, uint32_t value);
void tern_write_varint64(struct tern_output *output, uint64_t value);
void tern_write_bytes(struct tern_output *output, const void *bytes, size_t size);

#endif
