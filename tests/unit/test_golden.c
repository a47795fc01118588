/* SPDX-License-Identifier: MIT */
/* The examples of core/PROTOCOL.md, byte for byte. A change that fails here is a new format version. */
#include "../test.h"

#include <ctype.h>
#include <string.h>

#include "../../core/chunk.h"
#include "../../core/frame.h"
#include "../../core/schema.h"

static const struct tern_column columns[] = {
    {"at", TERN_TIME_S, TERN_KEY},
    {"celsius", TERN_DECIMAL(2), TERN_NULLABLE},
    {"note", TERN_TEXT(16), TERN_NULLABLE},
};
static const struct tern_table climate = TERN_TABLE("climate", TERN_MERGE, columns);

static char document[1 << 17];

/* Every example stands in the document as a line of its own: hex behind four blanks. */
static bool is_documented(const uint8_t *bytes, size_t size)
{
    char line[1024] = "\n   ";
    size_t at = 4;
    for (size_t i = 0; i < size && at + 4 < sizeof(line); i++)
        at += (size_t)snprintf(line + at, sizeof(line) - at, " %02x", bytes[i]);
    snprintf(line + at, sizeof(line) - at, "\n");
    bool found = strstr(document, line) != NULL;
    if (!found)
        printf("    not in core/PROTOCOL.md:%s", line);
    return found;
}

struct bytes {
    uint8_t data[512];
    size_t size;
};

static void collect(void *context, const void *data, size_t size)
{
    struct bytes *bytes = context;
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void the_schema_has_its_golden_bytes(void)
{
    struct bytes bytes = {.size = 0};
    uint8_t hash[4];
    tern_schema_encode(&climate, collect, &bytes);
    tern_store32(hash, tern_schema_hash(&climate));
    CHECK(is_documented(bytes.data, bytes.size));
    CHECK(is_documented(hash, sizeof(hash)));
}

static size_t build_chunk(uint8_t *data, uint8_t unit_log2)
{
    struct tern_chunk chunk = {.data = data, .capacity = 256};
    struct tern_value full[] = {tern_int(1423072260), tern_int(2318), tern_text("a \"b\"")};
    struct tern_value sparse[] = {tern_int(1423072320), tern_null(), tern_text("")};
    struct tern_value last[] = {tern_int(1423072380), tern_int(-5), tern_null()};
    tern_chunk_open(&chunk, &tern_csv, 501, unit_log2);
    tern_chunk_put(&chunk, &climate, TERN_OP_PUT, full);
    tern_chunk_put(&chunk, &climate, TERN_OP_PUT, sparse);
    tern_chunk_finish(&chunk, true, true);
    tern_chunk_put(&chunk, &climate, TERN_OP_PUT, last);
    tern_chunk_finish(&chunk, true, false);
    return chunk.size;
}

static void a_plain_chunk_has_its_golden_bytes(void)
{
    uint8_t data[256];
    CHECK(is_documented(data, build_chunk(data, 0)));
    CHECK(is_documented(data, build_chunk(data, 3)));
}

static struct tern_output begin(struct bytes *bytes, uint8_t kind)
{
    struct tern_output output = {bytes->data, 0, sizeof(bytes->data) - 4, false};
    tern_write8(&output, kind);
    return output;
}

static void check_frame(struct tern_output *output)
{
    CHECK(!output->failed &&
          is_documented(output->data, tern_frame_seal(output->data, output->size, 0x0B000000)));
}

static void messages_up_have_their_golden_bytes(void)
{
    struct bytes bytes;
    struct tern_output output = begin(&bytes, TERN_HELLO);
    tern_write8(&output, TERN_PROTOCOL_VERSION);
    tern_write_varint(&output, 3);
    tern_write_varint(&output, 1000);
    tern_write_varint(&output, 96);
    tern_write64(&output, 0x0807060504030201u);
    tern_write8(&output, 4);
    tern_write_bytes(&output, "dev1", 4);
    tern_write8(&output, 0);
    tern_write_varint(&output, 0x0B000000);
    tern_write_varint(&output, 1);
    tern_write_varint(&output, 401);
    tern_write_varint(&output, 501);
    tern_write_varint(&output, 504);
    tern_write_varint(&output, 0x0B000000);
    tern_write64(&output, 0x1122334455667788u);
    check_frame(&output);
    output = begin(&bytes, TERN_PART);
    tern_write8(&output, 0);
    tern_write_varint(&output, 501);
    tern_write_varint(&output, 0);
    tern_write_bytes(&output, "...", 3);
    check_frame(&output);
    output = begin(&bytes, TERN_GAP);
    tern_write8(&output, 0);
    tern_write_varint(&output, 301);
    tern_write_varint(&output, 400);
    tern_write8(&output, TERN_GAP_OVERFLOW);
    check_frame(&output);
    output = begin(&bytes, TERN_SCHEMA);
    tern_write8(&output, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    tern_write_bytes(&output, "...", 3);
    check_frame(&output);
}

static void messages_down_have_their_golden_bytes(void)
{
    struct bytes bytes;
    struct tern_output output = begin(&bytes, TERN_WELCOME);
    tern_write8(&output, 0);
    tern_write_varint(&output, 501);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, 501);
    tern_write_varint(&output, 20);
    tern_write_varint(&output, 65536);
    tern_write_varint(&output, 0);
    tern_write64(&output, 0x0807060504030201u);
    tern_write64(&output, 0x1122334455667788u);
    tern_write64(&output, 1795251600000u);
    tern_write_varint(&output, 0x0B000000);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, 0x89ABCDEF);
    tern_write_varint(&output, 100);
    tern_write_varint(&output, 0x01234567);
    check_frame(&output);
    output = begin(&bytes, TERN_ACK);
    tern_write8(&output, 0);
    tern_write_varint(&output, 504);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, 0);
    tern_write_varint(&output, 65536);
    tern_write_varint(&output, 0);
    check_frame(&output);
    output = begin(&bytes, TERN_WANT);
    tern_write8(&output, 0);
    tern_write_varint(&output, tern_schema_hash(&climate));
    tern_write_varint(&output, 0);
    check_frame(&output);
    output = begin(&bytes, TERN_REFUSED);
    tern_write8(&output, TERN_REFUSED_IDENTITY);
    tern_write8(&output, 0);
    tern_write_bytes(&output, "unknown device", 14);
    check_frame(&output);
}

static void a_stream_frame_has_its_golden_bytes(void)
{
    uint8_t buffer[64];
    uint8_t bare[16] = {TERN_WANT, 0x00, 0x11, 0x00, 0x00, 0x00};
    size_t size = tern_frame_seal(bare, 6, 0x0B000000);
    memcpy(buffer + TERN_COBS_OFFSET(size), bare, size);
    CHECK(is_documented(bare, size));
    CHECK(is_documented(buffer, tern_cobs_encode(buffer, TERN_COBS_OFFSET(size), size)));
}

int main(void)
{
    FILE *file = fopen("core/PROTOCOL.md", "rb");
    size_t size = file == NULL ? 0 : fread(document, 1, sizeof(document) - 1, file);
    if (file != NULL)
        fclose(file);
    if (size == 0)
        printf("core/PROTOCOL.md cannot be read: run this from the project's top folder\n");
    for (size_t i = 0; i < size; i++)
        document[i] = (char)tolower((unsigned char)document[i]);
    RUN(the_schema_has_its_golden_bytes);
    RUN(a_plain_chunk_has_its_golden_bytes);
    RUN(messages_up_have_their_golden_bytes);
    RUN(messages_down_have_their_golden_bytes);
    RUN(a_stream_frame_has_its_golden_bytes);
    return test_report();
}
