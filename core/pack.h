/* SPDX-License-Identifier: MIT */
/* Records packed (PROTOCOL.md section 5, PACK.md): each column modelled against the rows before it, and
 * coded by an adaptive binary range coder. The encoder is a codec for chunks; the decoder is unpack.h. */
#ifndef TERN_PACK_H
#define TERN_PACK_H

#include "bytes.h"
#include "chunk.h"
#include "tern.h"

/* A context is 16 bits: the probability of a 1, of 4096, in the upper twelve, how often it was used, up to
 * 15, in the lower four. These are a column's, and where each group of them begins. */
enum tern_pack_context {
    TERN_PACK_NULL = 0,    /* [the value before was NULL] */
    TERN_PACK_CHANGED = 2, /* [the value before had changed] */
    TERN_PACK_LENGTH = 4, /* is the magnitude longer than 1, 2 ... bits; the last one counts for all beyond */
    TERN_PACK_SIGN = 13,  /* [the change before was downwards] */
    TERN_PACK_MANTISSA = 15, /* the bits below the top one: of 2 bits one, of more two */
    TERN_PACK_DIGIT = 19,    /* the last decimal digit: 8 or more, a tree of 8, 9 */
    TERN_PACK_CONTEXTS = 28
};

#define TERN_PACK_LENGTHS 9u

/* What is known of one column: 72 bytes. */
struct tern_pack_column {
    uint8_t coarse;      /* for how many more changes the last digit is coded apart */
    uint8_t digit;       /* the last decimal digit of the value before, counted from the first value */
    uint8_t is_known;    /* there is a value before */
    uint8_t has_changed; /* and it differed from its expectation */
    uint8_t was_down;    /* the last change was downwards */
    uint8_t was_null;
    int64_t last; /* the value before; of a text its length */
    union {
        uint16_t context[TERN_PACK_CONTEXTS];
        struct {
            uint16_t others[TERN_PACK_DIGIT + 1];
            int32_t step; /* mean difference in 1/16 */
        } time;
        struct {
            uint16_t others[TERN_PACK_DIGIT + 1];
            uint16_t same;    /* context: is it the text before */
            uint8_t position; /* where in the history the text before begins */
        } text;
    } of;
};

struct tern_pack;

/* What the text and bytes columns of a chunk share. */
struct tern_pack_text {
    /* Encoder: codes one value that is not NULL. */
    void (*code)(struct tern_pack *pack, struct tern_pack_column *model, uint16_t limit,
                 struct tern_value *value);
    uint8_t *output; /* decoder: where the next text goes */
    uint8_t *output_end;
    uint32_t coded;       /* bytes of texts so far that differed from the one before */
    uint8_t history[256]; /* the newest bytes of texts that differed from the one before, a ring */
    uint16_t hit[4];      /* contexts: is the byte as predicted, by how many in a row were */
    uint16_t literal[32]; /* contexts: a tree of a byte's upper five bits */
    uint8_t end;          /* of the history: where the next byte goes */
};

/* The head of the models' memory. The columns' models follow, table after table as they were declared; the
 * tail is struct tern_pack_text, where there is one. */
struct tern_pack {
    struct tern_pack_text *text; /* NULL: no table has text or bytes columns */
    uint8_t *data;               /* the payload; the decoder only reads it */
    uint32_t low;   /* encoder: lower end of the interval; decoder: how far above it the coded number lies */
    uint32_t range; /* size of the interval */
    uint16_t position; /* of the next byte in data */
    uint16_t limit;    /* bytes in data, or that may be written there */
    uint16_t mark;     /* encoder: position when the record began */
    uint8_t carried;   /* encoder: a carry went past the mark */
    uint8_t failed;    /* encoder: no room; decoder: no payload. Nothing is written or read any more */
    struct tern_pack_column kind; /* op and table of the records: a column like any other */
};

/* The open segment's payload as it can be decoded now, and its size: behind what is final stands the lower end of the coder's
 * interval, which is a number inside it, and which the next record writes over. */
uint8_t *tern_pack_peek(const struct tern_chunk *chunk, uint16_t *size);

#define TERN_PACK_HEAD ((sizeof(struct tern_pack) + 7u) & ~(size_t)7u)
#define TERN_PACK_TEXT ((sizeof(struct tern_pack_text) + 7u) & ~(size_t)7u)

#endif
