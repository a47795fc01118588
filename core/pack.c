/* SPDX-License-Identifier: MIT */
/* The packing side: a binary range coder that writes, and the codecs made of it (PACK.md). */
#include "pack.h"

#include "pack_coder.h"

/* What tern.h tells applications. The history's place is rounded down to eight bytes, hence the seven. */
typedef char
    models_size_holds[TERN_MODELS_SIZE(1) >= TERN_PACK_HEAD + sizeof(struct tern_pack_column) ? 1 : -1];
typedef char column_size_holds[sizeof(struct tern_pack_column) <= 72 ? 1 : -1];
typedef char text_size_holds[TERN_MODELS_TEXT >= TERN_PACK_TEXT + 7 ? 1 : -1];

/* Adds one to the number that the bytes before `position` are the end of. The first byte is never passed:
 * what is coded stays below one. Whether a byte before the mark changed is remembered, so that a record can
 * be taken back. */
static void carry(struct tern_pack *pack)
{
    uint16_t at = pack->position;
    do {
        at--;
    } while (++pack->data[at] == 0);
    if (at < pack->mark)
        pack->carried = 1;
}

static void add(struct tern_pack *pack, uint32_t amount)
{
    pack->low += amount;
    if (pack->low < amount)
        carry(pack);
}

static void encode(struct tern_pack *pack, uint16_t *context, unsigned bit)
{
    if (pack->failed != 0)
        return;
    uint32_t range = pack->range;
    uint32_t state = *context ^ UNUSED;
    uint32_t bound = (range >> 12) * (state >> 4);
    *context = (uint16_t)(adapted(state, bit) ^ UNUSED);
    range -= bound;
    if (bit != 0)
        range = bound;
    else
        add(pack, bound);
    for (; range < RANGE_MIN; range <<= 8) {
        if (pack->position >= pack->limit) {
            pack->failed = 1;
            return;
        }
        pack->data[pack->position++] = (uint8_t)(pack->low >> 24);
        pack->low <<= 8;
    }
    pack->range = range;
}

#define IS_DECODER               0
#define CODE_TEXT(pack)          ((pack)->text->code)
#define CODE(pack, context, bit) encode(pack, context, bit)
#include "pack_model.h"

/* The bytes before the mark as they were: the one carry that can have passed it goes back. */
static void uncarry(struct tern_pack *pack)
{
    uint16_t at = pack->mark;
    do {
        at--;
    } while (pack->data[at]-- == 0);
}

static void open_numbers(struct tern_chunk *chunk)
{
    struct tern_pack *pack = chunk->models;
    if (chunk->models_size < TERN_PACK_HEAD)
        return; /* declare() says so */
    open_models(pack, chunk->models_size);
}

/* Without room for the texts' part there is none, and declare() refuses text columns. */
static void open_with_text(struct tern_chunk *chunk)
{
    struct tern_pack *pack = chunk->models;
    open_numbers(chunk);
    if (chunk->models_size < TERN_PACK_HEAD + TERN_PACK_TEXT)
        return;
    pack->text = text_of(pack, chunk->models_size);
    pack->text->code = code_text;
}

static int declare(struct tern_chunk *chunk, uint8_t index)
{
    return declare_columns(chunk->models, chunk->models_size, chunk->tables, index);
}

static int put(struct tern_chunk *chunk, uint8_t *payload, uint16_t room, uint8_t index, uint8_t op,
               const struct tern_value *row)
{
    struct tern_pack *pack = chunk->models;
    uint32_t low = pack->low;
    uint32_t range = pack->range;
    if (room == 0)
        return TERN_E_TOO_BIG;
    pack->data = payload;
    pack->limit = (uint16_t)(room - 1); /* the last byte is for finish() */
    pack->mark = pack->position;
    pack->carried = 0;
    code_kind(pack, (uint8_t)(op << 3 | index));
    code_values(pack, chunk->tables, index, op, (struct tern_value *)(uintptr_t)row); /* which is only read */
    if (pack->failed == 0) {
        chunk->payload = (uint16_t)(pack->position + 1);
        return TERN_OK;
    }
    if (pack->carried != 0)
        uncarry(pack);
    pack->position = pack->mark;
    pack->low = low;
    pack->range = range;
    return TERN_E_TOO_BIG;
}

/* Of all numbers in the interval the one with the fewest bytes: those behind the payload count as zeros.
 * One byte always suffices, since the interval is larger than 2^24. */
static uint16_t finish(struct tern_chunk *chunk, uint8_t *payload)
{
    struct tern_pack *pack = chunk->models;
    uint32_t end = 0; /* or rather 2^32 */
    if (0 - pack->low >= pack->range)
        end = (pack->low + 0xFFFFFFu) & 0xFF000000u;
    pack->data = payload;
    add(pack, end - pack->low);
    payload[pack->position++] = (uint8_t)(end >> 24);
    uint16_t size = pack->position;
    while (size != 0 && payload[size - 1] == 0)
        size--;
    restart(pack);
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
