/* SPDX-License-Identifier: MIT */
#include "stage_entry.h"

#include <string.h>

enum { FLAG_COMMITS = 1, FLAG_GRANTED = 2, FLAG_LOST = 4, FLAG_HIGHEST = 8, FLAG_TAILS = 16, FLAG_REST = 32 };

static void write_place(struct tern_output *output, const struct tern_record *record)
{
    tern_write8(output,
                (uint8_t)((record->commits ? FLAG_COMMITS : 0) | (record->granted ? FLAG_GRANTED : 0) |
                          (record->lost != 0 ? FLAG_LOST : 0) | (record->highest != 0 ? FLAG_HIGHEST : 0) |
                          (record->tail_count != 0 ? FLAG_TAILS : 0) | (record->rest != 0 ? FLAG_REST : 0)));
    tern_write8(output, record->lane);
    tern_write_varint(output, record->epoch);
    tern_write_varint(output, record->base);
    if (record->lost != 0)
        tern_write_varint64(output, record->lost);
    if (record->highest != 0)
        tern_write_varint(output, record->highest);
    if (record->rest != 0)
        tern_write_varint(output, record->rest);
    if (record->tail_count == 0)
        return;
    tern_write_varint(output, record->tail_count);
    for (size_t i = 0; i < TERN_STAGE_TAILS; i++) {
        tern_write_varint(output, record->tails[i].next);
        tern_write32(output, record->tails[i].crc);
    }
}

static void read_place(struct tern_input *input, struct tern_record *record)
{
    uint8_t flags = tern_read8(input);
    record->commits = (flags & FLAG_COMMITS) != 0;
    record->granted = (flags & FLAG_GRANTED) != 0;
    record->lane = tern_read8(input);
    record->epoch = tern_read_varint(input);
    record->base = tern_read_varint(input);
    record->lost = (flags & FLAG_LOST) != 0 ? tern_read_varint64(input) : 0;
    record->highest = (flags & FLAG_HIGHEST) != 0 ? tern_read_varint(input) : 0;
    record->rest = (flags & FLAG_REST) != 0 ? tern_read_varint(input) : 0;
    if ((flags & FLAG_TAILS) == 0)
        return;
    record->tail_count = tern_read_varint(input);
    for (size_t i = 0; i < TERN_STAGE_TAILS; i++) {
        record->tails[i].next = tern_read_varint(input);
        record->tails[i].crc = tern_read32(input);
    }
}

static void write_fields(struct tern_output *output, const struct tern_record *record)
{
    switch (record->kind) {
    case TERN_ENTRY_CHUNK:
        write_place(output, record);
        tern_write_varint(output, record->first);
        tern_write_varint(output, record->next - record->first);
        tern_write_varint(output, record->run);
        tern_write_varint(output, record->chunk_first);
        tern_write_varint(output, record->chunk_offset);
        break;
    case TERN_ENTRY_GAP:
        write_place(output, record);
        tern_write_varint(output, record->first);
        tern_write_varint(output, record->next - record->first);
        tern_write_varint(output, record->run);
        tern_write8(output, record->reason);
        break;
    case TERN_ENTRY_STATE:
        write_place(output, record);
        tern_write_varint(output, record->next);
        tern_write_varint(output, record->run);
        tern_write32(output, record->hash);
        tern_write_varint(output, record->chunk_first);
        break;
    case TERN_ENTRY_ANCHOR:
        write_place(output, record);
        tern_write_varint(output, record->boot);
        tern_write_varint64(output, record->uptime);
        break;
    case TERN_ENTRY_SCHEMA:
        tern_write32(output, record->hash);
        break;
    default:
        break;
    }
}

static bool read_fields(struct tern_input *input, struct tern_record *record)
{
    switch (record->kind) {
    case TERN_ENTRY_CHUNK:
    case TERN_ENTRY_GAP:
        read_place(input, record);
        record->first = tern_read_varint(input);
        record->next = record->first + tern_read_varint(input);
        record->run = tern_read_varint(input);
        if (record->kind == TERN_ENTRY_GAP) {
            record->reason = tern_read8(input);
            return true;
        }
        record->chunk_first = tern_read_varint(input);
        record->chunk_offset = tern_read_varint(input);
        return true;
    case TERN_ENTRY_STATE:
        read_place(input, record);
        record->next = tern_read_varint(input);
        record->run = tern_read_varint(input);
        record->hash = tern_read32(input);
        record->chunk_first = tern_read_varint(input);
        return true;
    case TERN_ENTRY_ANCHOR:
        read_place(input, record);
        record->boot = tern_read_varint(input);
        record->uptime = tern_read_varint64(input);
        return true;
    case TERN_ENTRY_SCHEMA:
        record->hash = tern_read32(input);
        return true;
    default:
        return record->kind == TERN_ENTRY_DEVICE;
    }
}

size_t tern_record_encode(const struct tern_record *record, uint8_t body[TERN_JOURNAL_BODY_MAX])
{
    struct tern_output output = {body, 0, TERN_JOURNAL_BODY_MAX, false};
    uint8_t references = record->run_before != 0 ? 2 : record->chunk_before != 0 ? 1 : 0;
    tern_write8(&output, record->kind);
    tern_write8(&output, references);
    if (references > 0)
        tern_write64(&output, record->chunk_before);
    if (references > 1)
        tern_write64(&output, record->run_before);
    tern_write_varint(&output, record->device);
    tern_write_varint64(&output, (uint64_t)record->received);
    write_fields(&output, record);
    if (record->size != 0)
        tern_write_bytes(&output, record->data, record->size);
    return output.failed ? 0 : output.size;
}

bool tern_record_decode(const uint8_t *body, size_t size, struct tern_record *record)
{
    struct tern_input input = {body, size, false};
    memset(record, 0, sizeof *record);
    record->kind = tern_read8(&input);
    uint8_t references = tern_read8(&input);
    if (references > 0)
        record->chunk_before = tern_read64(&input);
    if (references > 1)
        record->run_before = tern_read64(&input);
    record->device = tern_read_varint(&input);
    record->received = (int64_t)tern_read_varint64(&input);
    if (references > 2 || !read_fields(&input, record) || input.failed ||
        record->rest > record->next - record->first)
        return false;
    record->data = input.data;
    record->size = input.size;
    return record->lane < TERN_LANES_MAX && record->size <= TERN_CHUNK_MAX &&
           record->chunk_offset <= TERN_CHUNK_MAX - record->size;
}
