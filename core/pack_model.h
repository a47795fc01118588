/* SPDX-License-Identifier: MIT */
/*
 * What a packed payload says of each column (PACK.md). The model is described here once and compiled twice:
 * pack.c includes this file to write, unpack.c to read. Before, each of them defines
 *
 *     CODE(pack, context, bit)   one decision: the encoder writes `bit`, the decoder sets it
 *     CODE_TEXT(pack)            what codes a text; the encoder names no function here, so that it is
 *                                linked only where it is wanted
 *     IS_DECODER                 0 or 1: what the encoder was told it need not find out
 */

/* What is special about the numbers of a column. */
enum way { BY_CHANGE, BY_DIGITS, BY_STEPS };

/* Tens and last digit are coded apart while one of the last COARSE_ROWS changes was larger than COARSE. */
#define COARSE      16u
#define COARSE_ROWS 16u

#define NARROW      0x40000000u /* a change beyond it is coded as WIDE, and then by itself */
#define WIDE        0x50000000
#define TEXT_LIMIT  0x100000u /* bytes of text that are coded in a chunk, so that decoding one is never long */
#define TENS_ORIGIN 0x50000000u /* a multiple of ten, so that what is divided is not negative */

/* ---- Numbers ------------------------------------------------------------------------------------------------------------ */

/* The bits of `value` from `mask` down: by a tree of contexts, of which contexts[1] is the root, down to
 * node `modelled`, and evenly below. Gives them behind a leading 1. */
static uint32_t code_bits(struct tern_pack *pack, uint16_t *contexts, uint32_t modelled, uint32_t value,
                          uint32_t mask)
{
    uint32_t node = 1;
    for (; mask != 0; mask >>= 1) {
        uint16_t even = 0;
        unsigned bit = (value & mask) != 0;
        CODE(pack, node < modelled ? &contexts[node] : &even, bit);
        node = node << 1 | bit;
    }
    return node;
}

/* A number of any size, nothing known about it: its sign folded into the lowest bit, byte by byte from the
 * lowest, and above each of them whether more follow. */
static uint64_t code_wide(struct tern_pack *pack, uint64_t value)
{
    uint64_t rest = value << 1 ^ (0 - (value >> 63));
    uint64_t result = 0;
    uint8_t shift = 0;
    uint32_t part;
    do {
        part = (uint32_t)rest & 0xFFu;
        rest >>= 8;
        if (rest != 0)
            part |= 0x100;
        part = code_bits(pack, NULL, 0, part, 0x100);
        if (IS_DECODER)
            result |= (uint64_t)(part & 0xFFu) << shift;
        shift = (uint8_t)(shift + 8);
    } while ((part & 0x100) != 0 && shift < 64);
    return IS_DECODER ? result >> 1 ^ (0 - (result & 1)) : value;
}

/* A magnitude of one or more: its size in bits, one by one, then the bits below its top one. `size` is how
 * many bits are known to be too few. */
static uint32_t code_magnitude(struct tern_pack *pack, struct tern_pack_column *model, uint32_t number,
                               uint32_t size)
{
    uint16_t *contexts = &model->of.context[TERN_PACK_LENGTH];
    uint32_t top = 1;
    unsigned longer;
    do {
        longer = number >> 1 >= top;
        CODE(pack, &contexts[size < TERN_PACK_LENGTHS ? size : TERN_PACK_LENGTHS - 1], longer);
        top <<= longer;
        size++;
    } while (longer != 0 && top >> 31 == 0);
    contexts += TERN_PACK_MANTISSA - TERN_PACK_LENGTH + (top > 2) - 1;
    return code_bits(pack, contexts, 4, number, top >> 1);
}

/* A difference that is not zero. */
static int32_t code_signed(struct tern_pack *pack, struct tern_pack_column *model, int32_t number,
                           uint32_t size)
{
    unsigned minus = number < 0;
    CODE(pack, &model->of.context[TERN_PACK_SIGN + model->was_down], minus);
    uint32_t sign = 0u - (uint32_t)minus;
    uint32_t magnitude = code_magnitude(pack, model, ((uint32_t)number ^ sign) - sign, size);
    return IS_DECODER ? (int32_t)((magnitude ^ sign) - sign) : number;
}

/* number / 10 by shifts and adds; a division would link 300 bytes on a Cortex-M0+. */
static uint32_t divide_by_ten(uint32_t number)
{
    uint32_t quotient = (number >> 1) + (number >> 2);
    quotient += quotient >> 4;
    quotient += quotient >> 8;
    quotient += quotient >> 16;
    quotient >>= 3;
    return quotient + (number - quotient * 10 > 9);
}

static uint32_t code_digit(struct tern_pack *pack, uint16_t *contexts, uint32_t digit)
{
    unsigned high = digit >= 8;
    CODE(pack, &contexts[0], high);
    if (high == 0)
        return code_bits(pack, contexts, 8, digit, 4) - 8;
    high = digit & 1u;
    CODE(pack, &contexts[8], high);
    return 8 + high;
}

/* The tens as a difference, and the last decimal digit by itself, since sensors and their drivers prefer
 * some. The digit is that of the distance to the chunk's first value: which ones are preferred is learnt,
 * whatever they are called. */
static int32_t code_tens(struct tern_pack *pack, struct tern_pack_column *model, int32_t number)
{
    uint32_t before = model->digit;
    uint32_t from = (uint32_t)number + before + TENS_ORIGIN;
    uint32_t tens = divide_by_ten(from);
    uint32_t digit = from - tens * 10;
    int32_t change = (int32_t)(tens - TENS_ORIGIN / 10);
    unsigned far = change != 0;
    CODE(pack, &model->of.context[TERN_PACK_LENGTH + 2], far);
    change = far != 0 ? code_signed(pack, model, change, 3) : 0;
    digit = code_digit(pack, &model->of.context[TERN_PACK_DIGIT], digit);
    model->digit = (uint8_t)digit;
    return IS_DECODER ? (int32_t)((uint32_t)change * 10 + digit - before) : number;
}

/* Moves the mean step. What was expected wrong by more than half a step was a pause, or is the first: the
 * next is expected to be like it. */
static void learn_step(struct tern_pack_column *model, int32_t expected, int32_t error)
{
    int32_t step = (int32_t)((uint32_t)expected + (uint32_t)error);
    int32_t half = step >> 1;
    if (error > half || error < -half)
        model->of.time.step = (int32_t)((uint32_t)step << 4);
    else
        model->of.time.step = (int32_t)((uint32_t)model->of.time.step + (uint32_t)error);
}

static uint64_t code_change(struct tern_pack *pack, struct tern_pack_column *model, enum way way,
                            uint64_t change)
{
    int32_t number = change + NARROW < 2 * (uint64_t)NARROW ? (int32_t)change : WIDE;
    unsigned changed = number != 0;
    CODE(pack, &model->of.context[TERN_PACK_CHANGED + model->has_changed], changed);
    model->has_changed = (uint8_t)changed;
    if (changed == 0)
        return 0;
    if (way == BY_DIGITS && model->coarse != 0)
        number = code_tens(pack, model, number);
    else
        number = code_signed(pack, model, number, 0);
    model->was_down = number < 0;
    if ((uint32_t)number + COARSE > 2 * COARSE)
        model->coarse = COARSE_ROWS;
    else if (model->coarse != 0)
        model->coarse--;
    return (uint32_t)number + NARROW < 2 * NARROW ? (uint64_t)(int64_t)number : code_wide(pack, change);
}

static int64_t code_number(struct tern_pack *pack, struct tern_pack_column *model, enum way way,
                           int64_t number)
{
    int32_t step = 0;
    if (way == BY_STEPS)
        step = (int32_t)((uint32_t)model->of.time.step + 8) >> 4;
    uint64_t change = (uint64_t)number - (uint64_t)model->last - (uint64_t)(int64_t)step;
    if (model->is_known == 0) {
        model->is_known = 1;
        change = code_wide(pack, change);
    } else {
        change = code_change(pack, model, way, change);
        if (way == BY_STEPS)
            learn_step(model, step, (int32_t)change);
    }
    if (IS_DECODER)
        number = (int64_t)(change + (uint64_t)model->last + (uint64_t)(int64_t)step);
    model->last = number;
    return number;
}

/* ---- Texts --------------------------------------------------------------------------------------------------------------- */

/* The newest place in the history behind the two bytes that it ends with; its end where there is none. */
static uint8_t find(const struct tern_pack_text *text)
{
    uint8_t end = text->end;
    uint8_t at = (uint8_t)(end - 1);
    uint8_t last = text->history[at];
    uint8_t before = text->history[(uint8_t)(end - 2)];
    do {
        at--;
    } while (at != end && (text->history[at] != last || text->history[(uint8_t)(at - 1)] != before));
    return at == end ? end : (uint8_t)(at + 1);
}

/* The bytes of a text that is not the one before. The bytes from `from` on in the history are the first
 * guess; after a wrong guess it is what followed the same two bytes the last time, or else the byte behind
 * the guess. */
static void code_bytes(struct tern_pack *pack, const uint8_t *bytes, uint16_t size, uint8_t from)
{
    struct tern_pack_text *text = pack->text;
    uint8_t right = 0;
    text->coded += size;
    if (text->coded > TEXT_LIMIT)
        pack->failed = 1;
    for (; size != 0 && pack->failed == 0; size--) {
        uint8_t guess = text->history[from++];
        uint8_t byte = IS_DECODER ? guess : *bytes++;
        unsigned hit = byte == guess;
        CODE(pack, &text->hit[right], hit);
        right = (uint8_t)(right + (right < 3));
        if (hit == 0)
            byte = (uint8_t)code_bits(pack, text->literal, 32, byte, 0x80);
        text->history[text->end++] = byte;
        if (IS_DECODER)
            *text->output++ = byte;
        if (hit == 0) {
            uint8_t found = find(text);
            from = found != text->end ? found : from;
            right = 0;
        }
    }
}

static bool is_same(const struct tern_pack_text *text, const struct tern_value *value, uint8_t from)
{
    const uint8_t *bytes = value->data;
    for (uint16_t i = 0; i < value->size; i++)
        if (bytes[i] != text->history[from++])
            return false;
    return true;
}

static void copy_same(struct tern_pack_text *text, uint16_t size, uint8_t from)
{
    for (; size != 0; size--)
        *text->output++ = text->history[from++];
}

static void code_text(struct tern_pack *pack, struct tern_pack_column *model, uint16_t limit,
                      struct tern_value *value)
{
    struct tern_pack_text *text = pack->text;
    uint8_t from = model->of.text.position;
    int64_t size = value->size;
    unsigned same = !IS_DECODER && size == model->last && is_same(text, value, from);
    CODE(pack, &model->of.text.same, same);
    if (same != 0)
        size = model->last;
    else
        size = code_number(pack, model, BY_CHANGE, size);
    if (IS_DECODER) {
        if (size < 0 || size > limit || size > text->output_end - text->output) {
            pack->failed = 1;
            return;
        }
        value->data = text->output;
        value->size = (uint16_t)size;
    }
    if (same == 0) {
        model->of.text.position = text->end;
        code_bytes(pack, value->data, value->size, from);
    } else if (IS_DECODER) {
        copy_same(text, value->size, from);
    }
}

/* ---- Records ------------------------------------------------------------------------------------------------------------ */

static struct tern_pack_text *text_of(struct tern_pack *pack, size_t size)
{
    return (struct tern_pack_text *)(void *)((uint8_t *)pack + ((size - TERN_PACK_TEXT) & ~(size_t)7u));
}

static void restart(struct tern_pack *pack)
{
    pack->low = 0;
    pack->range = 0xFFFFFFFFu;
    pack->position = 0;
}

/* A new chunk: nothing is known, which is all zeros. The first record is expected to be a put into
 * table 0. */
static void open_models(struct tern_pack *pack, size_t size)
{
    memset(pack, 0, size);
    restart(pack);
    pack->kind.is_known = 1;
}

/* The models of table `index`. */
static struct tern_pack_column *models_of(struct tern_pack *pack, const struct tern_table *const *tables,
                                          uint8_t index)
{
    struct tern_pack_column *model = (struct tern_pack_column *)(void *)((uint8_t *)pack + TERN_PACK_HEAD);
    while (index != 0)
        model += tables[--index]->column_count;
    return model;
}

/* Prepares the models of table `index`, the newest, in `size` bytes. TERN_E_TOO_BIG: they do not hold it;
 * TERN_E_ARGUMENT: a text or bytes column, and nothing for such. */
static int declare_columns(struct tern_pack *pack, size_t size, const struct tern_table *const *tables,
                           uint8_t index)
{
    if (size < TERN_PACK_HEAD)
        return TERN_E_TOO_BIG;
    if (pack->text != NULL)
        size -= TERN_PACK_TEXT;
    struct tern_pack_column *model = models_of(pack, tables, index);
    if (size < (size_t)((uint8_t *)(model + tables[index]->column_count) - (uint8_t *)pack))
        return TERN_E_TOO_BIG;
    for (uint8_t i = 0; i < tables[index]->column_count; i++)
        if (pack->text == NULL && TERN_TYPE_KIND(tables[index]->columns[i].type) >= TERN_KIND_TEXT)
            return TERN_E_ARGUMENT;
    return TERN_OK;
}

static void code_value(struct tern_pack *pack, struct tern_pack_column *model,
                       const struct tern_column *column, struct tern_value *value)
{
    if (IS_DECODER)
        *value = tern_int(0);
    if ((column->flags & TERN_NULLABLE) != 0) {
        unsigned is_null = value->is_null;
        CODE(pack, &model->of.context[TERN_PACK_NULL + model->was_null], is_null);
        model->was_null = (uint8_t)is_null;
        if (IS_DECODER)
            value->is_null = (uint8_t)is_null;
        if (is_null != 0)
            return;
    }
    unsigned kind = TERN_TYPE_KIND(column->type);
    if (kind >= TERN_KIND_TEXT) {
        CODE_TEXT(pack)(pack, model, TERN_TYPE_PARAMETER(column->type), value);
        return;
    }
    int64_t number = code_number(pack, model, kind >= TERN_KIND_TIME_S ? BY_STEPS : BY_DIGITS, value->number);
    if (IS_DECODER)
        value->number = number;
}

/* Op and table of a record, as one number. */
static uint8_t code_kind(struct tern_pack *pack, uint8_t kind)
{
    int64_t number = code_number(pack, &pack->kind, BY_CHANGE, kind);
    if (IS_DECODER && (number < 0 || number >= 4 * TERN_CHUNK_TABLES_MAX))
        pack->failed = 1;
    return (uint8_t)number;
}

/* A record's values. The encoder only reads them. */
static void code_values(struct tern_pack *pack, const struct tern_table *const *tables, uint8_t index,
                        uint8_t op, struct tern_value *row)
{
    const struct tern_column *column = tables[index]->columns;
    struct tern_pack_column *model = models_of(pack, tables, index);
    for (uint8_t count = tables[index]->column_count; count != 0; count--, column++, model++)
        if (op == TERN_OP_PUT || (op == TERN_OP_DELETE && (column->flags & TERN_KEY) != 0))
            code_value(pack, model, column, row++);
}
