/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_device: what a gateway says in a session, in the form that the target reads: a length, the
 * place of the nonce, a frame. Usage: seed_device DIR */
#include <stdio.h>
#include <string.h>

#include "../core/frame.h"

static uint8_t out[1024];
static size_t out_size;

static void put(const struct tern_output *bare, uint8_t nonce_at)
{
    out[out_size++] = (uint8_t)(bare->size + 1);
    out[out_size++] = nonce_at;
    memcpy(out + out_size, bare->data, bare->size);
    out_size += bare->size;
}

static void put_position(struct tern_output *bare, uint8_t kind, uint32_t next)
{
    tern_write8(bare, kind);
    tern_write8(bare, 0);
    tern_write_varint(bare, next);
    tern_write_varint(bare, next % 2);
    tern_write_varint(bare, 0);
    tern_write_varint(bare, 0);
    tern_write_varint(bare, 2048);
    tern_write_varint(bare, 0);
}

static void put_session(uint32_t number)
{
    uint8_t bytes[96];
    struct tern_output bare = {bytes, 0, sizeof bytes, false};
    put_position(&bare, TERN_WELCOME, 1);
    uint8_t nonce_at = (uint8_t)bare.size;
    tern_write64(&bare, 0);
    tern_write64(&bare, 77);
    tern_write64(&bare, 1790000000000u);
    tern_write_varint(&bare, 0x01000000u + number * 8);
    put(&bare, nonce_at);
    for (uint32_t next = 2; next < 4 + number; next++) {
        bare.size = 0;
        put_position(&bare, TERN_ACK, next);
        put(&bare, 0);
    }
    bare.size = 0;
    tern_write8(&bare, TERN_WANT);
    tern_write8(&bare, 0);
    tern_write_varint(&bare, number * 77777);
    tern_write_varint(&bare, 0);
    put(&bare, 0);
    bare.size = 0;
    tern_write8(&bare, TERN_REFUSED);
    tern_write8(&bare, 5);
    tern_write8(&bare, 0);
    tern_write_bytes(&bare, "full", 4);
    put(&bare, 0);
}

int main(int argc, char **argv)
{
    for (uint32_t i = 0; argc > 1 && i < 6; i++) {
        char path[1000];
        out_size = 0;
        put_session(i);
        snprintf(path, sizeof path, "%s/made-%u", argv[1], (unsigned)i);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(out, 1, out_size, file) != out_size || fclose(file) != 0)
            perror(path);
    }
    return argc > 1 ? 0 : 2;
}
