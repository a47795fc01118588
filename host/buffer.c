/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"

uint8_t *tern_buffer_reserve(struct tern_buffer *buffer, size_t size)
{
    if (size > buffer->room - buffer->size) {
        size_t room = buffer->room == 0 ? 256 : buffer->room;
        while (room - buffer->size < size)
            room *= 2;
        uint8_t *data = realloc(buffer->data, room);
        if (data == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->room = room;
    }
    return buffer->data + buffer->size;
}

void tern_buffer_put(struct tern_buffer *buffer, const void *bytes, size_t size)
{
    uint8_t *to = tern_buffer_reserve(buffer, size);
    if (to == NULL || size == 0)
        return;
    memcpy(to, bytes, size);
    buffer->size += size;
}

void tern_buffer_put8(struct tern_buffer *buffer, uint8_t value)
{
    tern_buffer_put(buffer, &value, 1);
}

void tern_buffer_put32(struct tern_buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    tern_store32(bytes, value);
    tern_buffer_put(buffer, bytes, sizeof bytes);
}

void tern_buffer_put64(struct tern_buffer *buffer, uint64_t value)
{
    uint8_t bytes[8];
    tern_store64(bytes, value);
    tern_buffer_put(buffer, bytes, sizeof bytes);
}

void tern_buffer_put_text(struct tern_buffer *buffer, const char *text)
{
    size_t size = strlen(text) > 255 ? 255 : strlen(text);
    tern_buffer_put8(buffer, (uint8_t)size);
    tern_buffer_put(buffer, text, size);
}

void tern_buffer_clear(struct tern_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void tern_buffer_free(struct tern_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}
