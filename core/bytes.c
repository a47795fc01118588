/* SPDX-License-Identifier: MIT */
#include "bytes.h"

void tern_store16(uint8_t bytes[2], uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

void tern_store32(uint8_t bytes[4], uint32_t value)
{
    tern_store16(bytes, (uint16_t)value);
    tern_store16(bytes + 2, (uint16_t)(value >> 16));
}

void tern_store64(uint8_t bytes[8], uint64_t value)
{
    tern_store32(bytes, (uint32_t)value);
    tern_store32(bytes + 4, (uint32_t)(value >> 32));
}

uint16_t tern_load16(const uint8_t bytes[2])
{
    return (uint16_t)(bytes[0] | (uint16_t)((uint16_t)bytes[1] << 8));
}

uint32_t tern_load32(const uint8_t bytes[4])
{
    return tern_load16(bytes) | (uint32_t)tern_load16(bytes + 2) << 16;
}

uint64_t tern_load64(const uint8_t bytes[8])
{
    return tern_load32(bytes) | (uint64_t)tern_load32(bytes + 4) << 32;
}

size_t tern_store_varint(uint8_t bytes[TERN_VARINT32_MAX], uint32_t value)
{
    size_t size = 0;
    for (; value > 0x7F; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    return size;
}

const uint8_t *tern_read_bytes(struct tern_input *input, size_t size)
{
    const uint8_t *bytes = input->data;
    if (input->failed || size > input->size) {
        input->failed = true;
        return NULL;
    }
    input->data += size;
    input->size -= size;
    return bytes;
}

uint8_t tern_read8(struct tern_input *input)
{
    const uint8_t *bytes = tern_read_bytes(input, 1);
    return bytes == NULL ? 0 : bytes[0];
}

uint16_t tern_read16(struct tern_input *input)
{
    const uint8_t *bytes = tern_read_bytes(input, 2);
    return bytes == NULL ? 0 : tern_load16(bytes);
}

uint32_t tern_read32(struct tern_input *input)
{
    const uint8_t *bytes = tern_read_bytes(input, 4);
    return bytes == NULL ? 0 : tern_load32(bytes);
}

uint64_t tern_read64(struct tern_input *input)
{
    const uint8_t *bytes = tern_read_bytes(input, 8);
    return bytes == NULL ? 0 : tern_load64(bytes);
}

uint32_t tern_read_varint(struct tern_input *input)
{
    uint32_t value = 0;
    uint8_t shift = 0;
    uint8_t byte;
    do {
        byte = tern_read8(input);
        /* The fifth byte has room for four bits; a last byte of zero would be a longer spelling of the same
         * value. */
        if ((shift == 28 && byte > 0x0F) || (shift != 0 && byte == 0))
            input->failed = true;
        if (input->failed)
            return 0;
        value |= (uint32_t)(byte & 0x7F) << shift;
        shift = (uint8_t)(shift + 7);
    } while (byte & 0x80);
    return value;
}

uint64_t tern_read_varint64(struct tern_input *input)
{
    uint64_t value = 0;
    uint8_t shift = 0;
    uint8_t byte;
    do {
        byte = tern_read8(input);
        if ((shift == 63 && byte > 1) || (shift != 0 && byte == 0))
            input->failed = true;
        if (input->failed)
            return 0;
        value |= (uint64_t)(byte & 0x7F) << shift;
        shift = (uint8_t)(shift + 7);
    } while (byte & 0x80);
    return value;
}

void tern_write_bytes(struct tern_output *output, const void *bytes, size_t size)
{
    if (output->failed || size > output->capacity - output->size) {
        output->failed = true;
        return;
    }
    memcpy(output->data + output->size, bytes, size);
    output->size += size;
}

void tern_write8(struct tern_output *output, uint8_t value)
{
    tern_write_bytes(output, &value, 1);
}

void tern_write16(struct tern_output *output, uint16_t value)
{
    uint8_t bytes[2];
    tern_store16(bytes, value);
    tern_write_bytes(output, bytes, sizeof(bytes));
}

void tern_write32(struct tern_output *output, uint32_t value)
{
    uint8_t bytes[4];
    tern_store32(bytes, value);
    tern_write_bytes(output, bytes, sizeof(bytes));
}

void tern_write64(struct tern_output *output, uint64_t value)
{
    uint8_t bytes[8];
    tern_store64(bytes, value);
    tern_write_bytes(output, bytes, sizeof(bytes));
}

void tern_write_varint(struct tern_output *output, uint32_t value)
{
    uint8_t bytes[TERN_VARINT32_MAX];
    tern_write_bytes(output, bytes, tern_store_varint(bytes, value));
}

void tern_write_varint64(struct tern_output *output, uint64_t value)
{
    for (; value > 0x7F; value >>= 7)
        tern_write8(output, (uint8_t)(value | 0x80));
    tern_write8(output, (uint8_t)value);
}
