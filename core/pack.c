/* SPDX-License-Identifier: MIT */
/* The codecs for packed chunks (PACK.md): what pack_model.c codes, in the payload of a segment. */
#include "pack.h"

/* What tern.h tells applications. */
typedef char
    models_size_holds[TERN_MODELS_SIZE(1) >= sizeof(struct tern_pack) + sizeof(struct tern_pack_column) ? 1
                                                                                                        : -1];
typedef char
    column_size_holds[TERN_MODELS_SIZE(2) - TERN_MODELS_SIZE(1) >= sizeof(struct tern_pack_column) ? 1 : -1];
typedef char text_size_holds[TERN_MODELS_TEXT >= TERN_PACK_TEXT ? 1 : -1];

static void write_byte(struct tern_pack *pack)
{
    if (pack->position < pack->limit)
        pack->data[pack->position++] = (uint8_t)(pack->low >> 24);
    else
        pack->failed = TERN_E_TOO_BIG;
}

static void refuse_text(struct tern_pack *pack, struct tern_pack_column *model, struct tern_value *value)
{
    (void)model;
    (void)value;
    pack->failed = TERN_E_ARGUMENT;
}

/* Without room for its own part there is nothing; declare() says so. */
static void open_numbers(struct tern_chunk *chunk)
{
    struct tern_pack *pack = chunk->models;
    if (chunk->models_size < sizeof(*pack))
        return;
    tern_pack_open(pack, chunk->models_size);
    pack->shift = write_byte;
    pack->code_text = refuse_text;
}

static void open_with_text(struct tern_chunk *chunk)
{
    struct tern_pack *pack = chunk->models;
    open_numbers(chunk);
    if (chunk->models_size < sizeof(*pack) + TERN_PACK_TEXT)
        return;
    tern_pack_open_text(pack, tern_pack_bytes);
}

static int declare(struct tern_chunk *chunk, uint8_t index)
{
    return tern_pack_declare(chunk->models, chunk->models_size, chunk->tables[index], index);
}

static int put(struct tern_chunk *chunk, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
               const struct tern_value *row)
{
    struct tern_pack *pack = chunk->models;
    uint32_t low = pack->low;
    uint32_t above = pack->above;
    int64_t kind = op << 3 | index;
    uint16_t position = pack->position;
    if (room == 0)
        return TERN_E_TOO_BIG;
    pack->data = payload;
    pack->limit = (uint16_t)(room - 1); /* the last byte is for finish() */
    tern_pack_number(pack, &pack->kind, &kind, false);
    tern_pack_values(pack, chunk->tables[index], (uint8_t)kind,
                     (struct tern_value *)(uintptr_t)row); /* which is only read */
    if (pack->failed == 0) {
        chunk->payload = (uint16_t)(pack->position + 1);
        return TERN_OK;
    }
    pack->low = low;
    pack->above = above;
    pack->position = position;
    return pack->failed;
}

/* Of all numbers in the interval the one with the fewest bytes: those behind the payload count as zeros.
 * One byte always suffices, since both ends differ in it. */
static uint16_t finish(struct tern_chunk *chunk, uint8_t *payload)
{
    struct tern_pack *pack = chunk->models;
    uint16_t size = pack->position;
    if (pack->low != 0)
        payload[size++] = (uint8_t)(~pack->above >> 24);
    tern_pack_restart(pack);
    return size;
}

uint8_t *tern_pack_peek(const struct tern_chunk *chunk, uint16_t *size)
{
    const struct tern_pack *pack = chunk->models;
    uint8_t *payload = tern_chunk_payload(chunk);
    for (uint8_t i = 0; i < 4; i++)
        payload[pack->position + i] = (uint8_t)(pack->low >> (24 - 8 * i));
    *size = (uint16_t)(pack->position + 4);
    return payload;
}

const struct tern_codec tern_packed = {8, open_numbers, declare, put, finish};
const struct tern_codec tern_packed_text = {8, open_with_text, declare, put, finish};
