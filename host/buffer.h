/* SPDX-License-Identifier: MIT */
/* Bytes that grow. */
#ifndef TERN_BUFFER_H
#define TERN_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tern_buffer {
    uint8_t *data;
    size_t size;
    size_t room;
    bool failed; /* out of memory: what was put since is missing */
};

/* Room for `size` more bytes behind the end, or NULL. They count once buffer->size is moved. */
uint8_t *tern_buffer_reserve(struct tern_buffer *buffer, size_t size);

void tern_buffer_put(struct tern_buffer *buffer, const void *bytes, size_t size);
void tern_buffer_put8(struct tern_buffer *buffer, uint8_t value);
void tern_buffer_put32(struct tern_buffer *buffer, uint32_t value);
void tern_buffer_put64(struct tern_buffer *buffer, uint64_t value);
/* Length in one byte, then the text: at most 255 bytes of it. */
void tern_buffer_put_text(struct tern_buffer *buffer, const char *text);

/* Empty, and no failure; the memory stays. */
void tern_buffer_clear(struct tern_buffer *buffer);
void tern_buffer_free(struct tern_buffer *buffer);

#endif
