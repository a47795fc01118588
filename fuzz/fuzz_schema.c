/* SPDX-License-Identifier: MIT */
/* A schema of any bytes: one that decodes is allowed, and encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "../core/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    uint8_t data[TERN_SCHEMA_MAX];
    size_t size;
};

static void collect(void *context, const void *data, size_t size)
{
    struct bytes *bytes = context;
    if (size > sizeof(bytes->data) - bytes->size)
        abort();
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tern_schema schema;
    struct bytes bytes = {.size = 0};
    if (tern_schema_decode(&schema, data, size) != TERN_OK)
        return 0;
    tern_schema_encode(&schema.table, collect, &bytes);
    if (bytes.size != size || memcmp(bytes.data, data, size) != 0)
        abort();
    return 0;
}
