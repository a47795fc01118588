/* SPDX-License-Identifier: MIT */
/* A device in a test's hands: frames written field by field, so that each can be wrong on purpose, and
 * answers read back. */
#ifndef TERN_CLIENT_H
#define TERN_CLIENT_H

#include <string.h>

#include "../../core/chunk.h"
#include "../../core/csv.h"
#include "../../core/frame.h"
#include "../../core/schema.h"

#define CLIENT_EPOCH 0x01000000u /* low three bits: lane 0 */

static const struct tern_column client_columns[] = {
    {"at", TERN_TIME_S, TERN_KEY},
    {"celsius", TERN_DECIMAL(2), 0},
    {"note", TERN_TEXT(16), TERN_NULLABLE},
};
static const struct tern_table client_table = TERN_TABLE("climate", TERN_MERGE, client_columns);

/* Bytes of a stream, built piece by piece. */
struct client_stream {
    uint8_t bytes[65536];
    size_t size;
};

/* The epoch of each lane's session: of the HELLO written last, or given by the WELCOME read last. */
static uint32_t client_epochs[TERN_LANES_MAX];

/* Appends `size` bytes of kind and body as a frame. */
static inline void client_frame(struct client_stream *stream, const uint8_t *bare, size_t size)
{
    uint8_t frame[4200 + 40];
    memcpy(frame, bare, size);
    size = tern_frame_seal(frame, size, client_epochs[size < 2 ? 0 : frame[1] % TERN_LANES_MAX]);
    uint8_t *to = stream->bytes + stream->size;
    memcpy(to + TERN_COBS_OFFSET(size), frame, size);
    stream->size += tern_cobs_encode(to, TERN_COBS_OFFSET(size), size);
}

struct client_hello {
    uint8_t version;
    uint64_t nonce;
    uint32_t receive;
    const char *id;
    uint8_t lane;
    uint32_t epoch, base, oldest, next;
    uint32_t newest; /* beyond epoch */
    size_t lanes;    /* this one and those behind it, all alike */
};

static const struct client_hello client_good_hello = {
    TERN_PROTOCOL_VERSION, 0x1122334455667788u, 96, "dev1", 0, CLIENT_EPOCH, 1, 1, 1, 0, 1};

static inline void client_put_hello(struct client_stream *stream, const struct client_hello *hello)
{
    uint8_t bare[1200];
    struct tern_output out = {bare, 0, sizeof bare, false};
    tern_write8(&out, TERN_HELLO);
    tern_write8(&out, hello->version);
    tern_write_varint(&out, 7);
    tern_write_varint(&out, 1234);
    tern_write_varint(&out, hello->receive);
    tern_write64(&out, hello->nonce);
    tern_write8(&out, (uint8_t)strlen(hello->id));
    tern_write_bytes(&out, hello->id, strlen(hello->id));
    for (size_t i = 0; i < hello->lanes; i++) {
        uint32_t epoch = hello->epoch == 0 ? 0 : hello->epoch + (uint32_t)i;
        client_epochs[(hello->lane + i) % TERN_LANES_MAX] = epoch;
        tern_write8(&out, (uint8_t)(hello->lane + i));
        tern_write_varint(&out, epoch);
        tern_write_varint(&out, epoch == 0 ? 0 : hello->base);
        tern_write_varint(&out, hello->oldest);
        tern_write_varint(&out, 1);
        tern_write_varint(&out, hello->next);
        tern_write_varint(&out, epoch + hello->newest);
        tern_write64(&out, 0);
    }
    client_frame(stream, bare, out.size);
}

static inline void client_put_part(struct client_stream *stream, uint8_t lane, uint32_t first,
                                   uint32_t offset, const uint8_t *data, size_t size)
{
    uint8_t bare[4200];
    struct tern_output out = {bare, 0, sizeof bare, false};
    tern_write8(&out, TERN_PART);
    tern_write8(&out, lane);
    tern_write_varint(&out, first);
    tern_write_varint(&out, offset);
    if (size != 0)
        tern_write_bytes(&out, data, size);
    client_frame(stream, bare, out.size);
}

static inline void client_put_gap(struct client_stream *stream, uint8_t lane, uint32_t first, uint32_t last,
                                  uint8_t reason)
{
    uint8_t bare[32];
    struct tern_output out = {bare, 0, sizeof bare, false};
    tern_write8(&out, TERN_GAP);
    tern_write8(&out, lane);
    tern_write_varint(&out, first);
    tern_write_varint(&out, last);
    tern_write8(&out, reason);
    client_frame(stream, bare, out.size);
}

static inline void client_put_schema(struct client_stream *stream, uint32_t hash, uint32_t offset,
                                     const uint8_t *data, size_t size)
{
    uint8_t bare[1200];
    struct tern_output out = {bare, 0, sizeof bare, false};
    tern_write8(&out, TERN_SCHEMA);
    tern_write8(&out, 0);
    tern_write_varint(&out, hash);
    tern_write_varint(&out, offset);
    if (size != 0)
        tern_write_bytes(&out, data, size);
    client_frame(stream, bare, out.size);
}

static inline void client_collect(void *context, const void *data, size_t size)
{
    tern_write_bytes(context, data, size);
}

/* The whole schema of client_table. */
static inline void client_put_table(struct client_stream *stream)
{
    uint8_t schema[TERN_SCHEMA_MAX];
    struct tern_output out = {schema, 0, sizeof schema, false};
    tern_schema_encode(&client_table, client_collect, &out);
    client_put_schema(stream, tern_schema_hash(&client_table), 0, schema, out.size);
}

/* Builds a chunk of `rows` rows from sequence `first` on, a commit each. Returns its size. */
static inline size_t client_chunk(uint8_t *data, size_t capacity, uint32_t first, uint32_t rows)
{
    struct tern_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    chunk.data = data;
    chunk.capacity = (uint16_t)capacity;
    tern_chunk_open(&chunk, &tern_csv, first, 0);
    for (uint32_t i = 0; i < rows; i++) {
        struct tern_value row[3] = {tern_int(1423072260 + (int64_t)first + i), tern_int(2150 + i),
                                    i % 2 == 0 ? tern_null() : tern_text("ok")};
        if (tern_chunk_put(&chunk, &client_table, TERN_OP_PUT, row) != TERN_OK)
            return 0;
        tern_chunk_finish(&chunk, true, false);
    }
    return chunk.size;
}

/* A session that knows its epoch: HELLO, schema and one chunk of `rows` rows in parts of `part` bytes, sent
 * without waiting. The schema comes when it is asked for: see client_put_table(). */
static inline void client_put_chunk(struct client_stream *stream, uint32_t first, uint32_t rows, size_t part)
{
    uint8_t data[TERN_CHUNK_MAX];
    size_t size = client_chunk(data, sizeof data, first, rows);
    for (size_t offset = 0; offset < size; offset += part)
        client_put_part(stream, 0, first, (uint32_t)offset, data + offset,
                        size - offset < part ? size - offset : part);
}

/* ---- Answers --------------------------------------------------------------------------------- */

struct client_answers {
    struct tern_cobs cobs;
    uint8_t frame[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
    unsigned welcomes, acks, wants, refusals, bad;
    uint64_t nonce, store, time;
    uint8_t lane;
    uint32_t epoch, last_crc;
    uint32_t next, open, first, offset, window; /* of the last WELCOME or ACK */
    uint32_t hash, hash_offset;
    uint8_t reason;
    char text[64];
    uint32_t tails, tail_back[8], tail_crc[8]; /* of the last WELCOME */
};

static inline void client_forget(struct client_answers *answers)
{
    memset(answers, 0, sizeof *answers);
    answers->cobs.buffer = answers->frame;
    answers->cobs.capacity = sizeof answers->frame;
}

static inline void client_read_state(struct client_answers *answers, struct tern_input *body)
{
    answers->lane = tern_read8(body);
    answers->next = tern_read_varint(body);
    answers->open = tern_read_varint(body);
    answers->first = tern_read_varint(body);
    answers->offset = tern_read_varint(body);
    answers->window = tern_read_varint(body);
    tern_read_varint(body);
}

static inline void client_read_welcome(struct client_answers *answers, struct tern_input *body)
{
    answers->welcomes++;
    client_read_state(answers, body);
    answers->nonce = tern_read64(body);
    answers->store = tern_read64(body);
    answers->time = tern_read64(body);
    answers->epoch = tern_read_varint(body);
    client_epochs[answers->lane % TERN_LANES_MAX] = answers->epoch;
    answers->last_crc = answers->tails = 0;
    while (body->size != 0 && !body->failed && answers->tails < 8) {
        uint32_t back = tern_read_varint(body), crc = tern_read_varint(body);
        if (back == 0) {
            answers->last_crc = crc;
            continue;
        }
        answers->tail_back[answers->tails] = back;
        answers->tail_crc[answers->tails++] = crc;
    }
}

static inline void client_read_ack(struct client_answers *answers, struct tern_input *body)
{
    answers->acks++;
    client_read_state(answers, body);
}

static inline void client_read_refused(struct client_answers *answers, struct tern_input *body)
{
    answers->refusals++;
    answers->reason = tern_read8(body);
    tern_read8(body);
    size_t size = body->size < sizeof answers->text ? body->size : sizeof answers->text - 1;
    memcpy(answers->text, tern_read_bytes(body, size), size);
    answers->text[size] = '\0';
}

static inline void client_read_frame(struct client_answers *answers, size_t size)
{
    struct tern_input body = {answers->frame + 1, size - 5, false};
    if (tern_frame_check(answers->frame, size, client_epochs[answers->frame[1] % TERN_LANES_MAX]) != 0 ||
        size > 96) {
        answers->bad++;
        return;
    }
    switch (answers->frame[0]) {
    case TERN_WELCOME:
        client_read_welcome(answers, &body);
        break;
    case TERN_ACK:
        client_read_ack(answers, &body);
        break;
    case TERN_WANT:
        answers->wants++;
        answers->lane = tern_read8(&body);
        answers->hash = tern_read_varint(&body);
        answers->hash_offset = tern_read_varint(&body);
        break;
    case TERN_REFUSED:
        client_read_refused(answers, &body);
        break;
    default:
        body.failed = true;
    }
    if (body.failed || body.size != 0)
        answers->bad++;
}

static inline void client_read(struct client_answers *answers, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int got = tern_cobs_take(&answers->cobs, bytes[i]);
        if (got > 0)
            client_read_frame(answers, (size_t)got);
        else if (got < 0)
            answers->bad++;
    }
}

#endif
