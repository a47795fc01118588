/* SPDX-License-Identifier: MIT */
/*
 * What a packed payload says of each column, and the range coder that says it (PACK.md). Each function codes
 * what it is given and returns what was coded: the encoder gives values and gets them back, the decoder
 * gives anything. So the models are described once, and linked once.
 */
#include "pack.h"

/* What a context of zeros is, one that was never used: even odds. No other ever becomes zero. */
#define UNUSED (2048u << 4)

#define LENGTHS (TERN_PACK_SIGN - TERN_PACK_LENGTH)

/* ---- The coder ------------------------------------------------------------------------------- */

/* One decision. What is added of its context's distance to it, in 1/256, goes down from 92 to 8 as the
 * context is used. */
static unsigned code(struct tern_pack *pack, unsigned index, unsigned bit)
{
    uint16_t *context = &pack->context[index];
    uint32_t state = *context;
    if (state == 0)
        state = UNUSED;
    uint32_t uses_left = ~state & 15u;
    uint32_t rate = 8 + (3 * uses_left * uses_left >> 3);
    uint32_t middle = pack->low + ((~pack->above - pack->low) >> 12) * (state >> 4);
    if (pack->is_decoder != 0)
        bit = pack->value <= middle;
    if (bit != 0) {
        pack->above = ~middle;
        state += (((0xFFFFu - state) * rate) >> 12) << 4;
    } else {
        pack->low = middle + 1;
        state -= ((state * rate) >> 12) << 4;
    }
    state += uses_left != 0;
    *context = (uint16_t)state;
    while ((pack->low ^ ~pack->above) >> 24 == 0) {
        pack->shift(pack);
        pack->low <<= 8;
        pack->above <<= 8;
    }
    return bit;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* A difference: the size of its magnitude in bits, under the length's contexts from `first` on; its sign;
 * the bits below the top one. It is not zero where `first` is 0. INT32_MIN is but its size. */
static int32_t code_signed(struct tern_pack *pack, struct tern_pack_column *model, int32_t number,
                           unsigned first)
{
    unsigned minus = number < 0;
    uint32_t magnitude = minus != 0 ? 0 - (uint32_t)number : (uint32_t)number;
    unsigned size = first == 0;
    uint32_t rest = magnitude >> size;
    while (code(pack, TERN_PACK_LENGTH + (first < LENGTHS ? first : LENGTHS - 1), rest != 0) != 0) {
        rest >>= 1;
        size++;
        first++;
        if (size == 32)
            return INT32_MIN;
    }
    if (size == 0)
        return 0;
    minus = code(pack, TERN_PACK_SIGN + (unsigned)model->was_down, minus);
    model->was_down = (uint8_t)minus;
    uint32_t result = 1;
    while (--size != 0)
        result = result << 1 | code(pack, TERN_PACK_MANTISSA + (result != 1), magnitude >> (size - 1) & 1u);
    return (int32_t)(minus != 0 ? 0 - result : result);
}

/* Moves the mean step. What was expected wrong by more than half a step was a pause, or is the first: the
 * next is expected to be like it. */
static void learn_step(struct tern_pack_column *model, int32_t expected, int32_t error)
{
    uint32_t step = (uint32_t)expected + (uint32_t)error;
    if (2 * (uint32_t)error + step > 2 * step)
        model->step = (int32_t)(step << 4);
    else
        model->step = (int32_t)((uint32_t)model->step + (uint32_t)error);
}

void tern_pack_number(struct tern_pack *pack, struct tern_pack_column *model, int64_t *number, bool is_time)
{
    pack->context = model->context;
    int32_t step = (int32_t)((uint32_t)model->step + 8) >> 4;
    uint64_t expected = (uint64_t)model->last + (uint64_t)(int64_t)step;
    int64_t difference = (int64_t)((uint64_t)*number - expected);
    int32_t change = difference == (int32_t)difference ? (int32_t)difference : INT32_MIN;
    unsigned known = model->known;
    unsigned changed = code(pack, TERN_PACK_CHANGED + known, change != 0);
    model->known = (uint8_t)(1 + changed);
    if (changed != 0)
        change = code_signed(pack, model, change, known != 0 ? 0 : LENGTHS);
    else
        change = 0;
    if (is_time && known != 0)
        learn_step(model, step, change);
    if (change == INT32_MIN) {
        uint32_t high = (uint32_t)code_signed(pack, model, (int32_t)(difference >> 32), LENGTHS);
        uint32_t low = (uint32_t)code_signed(pack, model, (int32_t)difference, LENGTHS);
        difference = (int64_t)((uint64_t)high << 32 | low);
    } else {
        difference = change;
    }
    *number = model->last = (int64_t)(expected + (uint64_t)difference);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* The upper five bits by a tree of contexts, the lower three under one. */
static uint8_t code_byte(struct tern_pack *pack, unsigned value)
{
    unsigned node = 1;
    while (node < 256) {
        value <<= 1;
        node = node << 1 | code(pack, TERN_PACK_LITERAL + (node < 32 ? node : 0), value >> 8 & 1u);
    }
    return (uint8_t)node;
}

/* The first guess for a byte is what the text before begins with; after a right one the byte behind it, after
 * a wrong one what followed the same bytes the last time. */
void tern_pack_bytes(struct tern_pack *pack, struct tern_pack_column *model, struct tern_value *value)
{
    struct tern_pack_text *text = tern_pack_text(pack);
    uint8_t *bytes = (uint8_t *)(uintptr_t)value->data; /* which an encoder only reads */
    uint8_t *behind = &model->behind;
    uint8_t guess = 0;
    unsigned hits = 0;
    unsigned last = 0;
    pack->context = text->context;
    for (uint16_t size = value->size; size != 0; size--, bytes++) {
        if ((hits & 1u) == 0)
            guess = *behind;
        *behind = text->end;
        uint8_t byte = text->history[guess++];
        unsigned hit = code(pack, TERN_PACK_HIT + hits, *bytes == byte);
        hits = (hits << 1 | hit) & 3u;
        if (hit == 0)
            byte = code_byte(pack, *bytes);
        if (pack->is_decoder != 0)
            *bytes = byte;
        text->history[text->end++] = byte;
        last = last << 3 ^ byte;
        behind = &text->behind[last % sizeof(text->behind)];
    }
}

/* ---- Records --------------------------------------------------------------------------------- */

void tern_pack_restart(struct tern_pack *pack)
{
    pack->low = 0;
    pack->above = 0;
    pack->position = 0;
}

void tern_pack_open(struct tern_pack *pack, size_t size)
{
    memset(pack, 0, size);
    pack->columns[0] = (struct tern_pack_column *)(void *)(pack + 1);
}

void tern_pack_open_text(struct tern_pack *pack, tern_pack_text_coder *code_text)
{
    pack->columns[0] = (struct tern_pack_column *)(void *)((uint8_t *)(pack + 1) + TERN_PACK_TEXT);
    pack->code_text = code_text;
}

int tern_pack_declare(struct tern_pack *pack, size_t size, const struct tern_table *table, uint8_t index)
{
    if (size < sizeof(*pack))
        return TERN_E_TOO_BIG;
    struct tern_pack_column *end = pack->columns[index] + table->column_count;
    pack->columns[index + 1] = end;
    return (size_t)((uint8_t *)end - (uint8_t *)pack) > size ? TERN_E_TOO_BIG : TERN_OK;
}

static void code_value(struct tern_pack *pack, struct tern_pack_column *model,
                       const struct tern_column *column, struct tern_value *row)
{
    struct tern_value value = *row;
    unsigned kind = TERN_TYPE_KIND(column->type);
    pack->context = model->context;
    if ((column->flags & TERN_NULLABLE) != 0)
        value.is_null = (uint8_t)code(pack, TERN_PACK_NULL, value.is_null);
    if (value.is_null == 0 && kind < TERN_KIND_TEXT) {
        tern_pack_number(pack, model, &value.number, kind >= TERN_KIND_TIME_S);
    } else if (value.is_null == 0) {
        value.number = value.size;
        tern_pack_number(pack, model, &value.number, false);
        pack->code_text(pack, model, &value);
    }
    if (pack->is_decoder != 0)
        *row = value;
}

/* A put has all columns, a delete those with TERN_KEY, a snapshot's mark none. */
void tern_pack_values(struct tern_pack *pack, const struct tern_table *table, uint8_t kind,
                      struct tern_value *row)
{
    const struct tern_column *column = table->columns;
    struct tern_pack_column *model = pack->columns[kind & 7u];
    for (uint8_t count = table->column_count; count != 0; count--, column++, model++)
        if ((column->flags & TERN_KEY) >= kind >> 3)
            code_value(pack, model, column, row++);
}
