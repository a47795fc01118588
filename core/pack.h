/* SPDX-License-Identifier: MIT */
/* Records packed (PROTOCOL.md section 5, PACK.md): each column modelled against the rows before it, and
 * coded by an adaptive binary range coder. The same walk over the models writes and reads; pack.c is the
 * codec for chunks, the reading side is unpack.h. */
#ifndef TERN_PACK_H
#define TERN_PACK_H

#include "bytes.h"
#include "chunk.h"
#include "tern.h"

/* A context is 16 bits: the probability of a 1, of 4096, in the upper twelve, how often it was used, up to
 * 15, in the lower four. These are a column's, and where each group of them begins. */
enum tern_pack_context {
    TERN_PACK_NULL = 0,    /* is the value NULL */
    TERN_PACK_CHANGED = 1, /* [no value before; it was as expected; it was not] */
    TERN_PACK_LENGTH = 4, /* is the magnitude longer than 1, 2 ... bits; the last one counts for all beyond */
    TERN_PACK_SIGN = 12,  /* [the change before was downwards] */
    TERN_PACK_MANTISSA = 14, /* the bit below the top one; all below that */
    TERN_PACK_CONTEXTS = 16
};

/* What is known of one column: 48 bytes. */
struct tern_pack_column {
    int64_t last;     /* the value before; of a text its length */
    int32_t step;     /* of a time: the mean difference, in 1/16; else 0 */
    uint8_t known;    /* 0: no value before; 1: it was as expected; 2: it was not */
    uint8_t was_down; /* the last change was downwards */
    uint8_t behind;   /* of a text: where in the history the one before begins */
    uint16_t context[TERN_PACK_CONTEXTS];
};

struct tern_pack;

/* Codes the bytes of a text or bytes value; how many there are is in value->number. */
typedef void tern_pack_text_coder(struct tern_pack *pack, struct tern_pack_column *model,
                                  struct tern_value *value);

enum tern_pack_text_context {
    TERN_PACK_LITERAL = 0, /* a tree of a byte's upper five bits; the first one for the others */
    TERN_PACK_HIT = 32,    /* is the byte as predicted; by whether the two before were */
    TERN_PACK_TEXT_CONTEXTS = 36
};

/* What the text and bytes columns of a chunk share. */
struct tern_pack_text {
    uint8_t *output; /* decoder: where the next text goes */
    uint8_t *output_end;
    uint8_t end; /* of the history: where the next byte goes */
    uint16_t context[TERN_PACK_TEXT_CONTEXTS];
    uint8_t behind[64];   /* where in the history what follows the last bytes is, by their hash */
    uint8_t history[256]; /* the newest bytes of texts, a ring */
};

/* The head of the models' memory. */
struct tern_pack {
    uint8_t is_decoder;
    int8_t failed;     /* encoder: no room; decoder: no payload. An error: nothing is coded any more */
    uint16_t position; /* of the next byte in data */
    uint16_t limit;    /* bytes in data, or that may be written there */
    uint32_t low;      /* the interval's lower end */
    uint32_t above;    /* how far its upper end, which is in it, lies below 2^32 - 1 */
    uint32_t value;    /* decoder: the coded number */
    uint8_t *data;     /* the payload; the decoder only reads it */
    void (*shift)(struct tern_pack *pack); /* writes the interval's top byte, or reads one on */
    uint16_t *context;                     /* those in use */
    tern_pack_text_coder *code_text;
    struct tern_pack_column *columns[TERN_CHUNK_TABLES_MAX + 1]; /* of each table, one behind the other */
    struct tern_pack_column kind; /* op and table of the records: a column like any other */
};

/* The open segment's payload as it can be decoded now, and its size: behind what is final stands the lower
 * end of the coder's interval, which is a number inside it, and which the next record writes over. */
uint8_t *tern_pack_peek(const struct tern_chunk *chunk, uint16_t *size);

#define TERN_PACK_TEXT ((sizeof(struct tern_pack_text) + 7u) & ~(size_t)7u)

/* ---- Both directions (pack_model.c): what is coded is `value` or `row`; a decoder puts it there. */

/* A new chunk: nothing is known. `size` bytes of models. */
void tern_pack_open(struct tern_pack *pack, size_t size);

/* The same, with text and bytes columns; `size` has room for TERN_PACK_TEXT more. */
void tern_pack_open_text(struct tern_pack *pack, tern_pack_text_coder *code_text);

/* What text and bytes columns share, where there are such. */
static inline struct tern_pack_text *tern_pack_text(struct tern_pack *pack)
{
    return (struct tern_pack_text *)(void *)(pack + 1);
}

/* A new payload. */
void tern_pack_restart(struct tern_pack *pack);

/* Table `index` is the newest. TERN_E_TOO_BIG when `size` bytes do not hold its models. */
int tern_pack_declare(struct tern_pack *pack, size_t size, const struct tern_table *table, uint8_t index);

/* A number, which may be a time. */
void tern_pack_number(struct tern_pack *pack, struct tern_pack_column *model, int64_t *number, bool is_time);

/* The bytes of a text, value->size of them. */
tern_pack_text_coder tern_pack_bytes;

/* A record's values. The encoder only reads them. */
void tern_pack_values(struct tern_pack *pack, const struct tern_table *table, uint8_t kind,
                      struct tern_value *row);

#endif
