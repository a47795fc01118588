/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_peer, made by a test's device: sessions with HELLO, parts, schema and gaps, in the form that
 * the target reads. Usage: seed_peer DIR */
#include <stdio.h>

#include "../tests/unit/client.h"

static uint8_t out[65536];
static size_t out_size;

/* The stream's frames, each as length and body; behind each an answer. */
static void put_frames(const struct client_stream *stream)
{
    static uint8_t frame[TERN_FRAME_MAX];
    struct tern_cobs cobs = {.buffer = frame, .capacity = sizeof frame};
    for (size_t i = 0; i < stream->size; i++) {
        int got = tern_cobs_take(&cobs, stream->bytes[i]);
        if (got <= 4 || got - 4 > 255)
            continue;
        out[out_size++] = (uint8_t)(got - 4);
        memcpy(out + out_size, frame, (size_t)got - 4);
        out_size += (size_t)got - 4;
        out[out_size++] = 0;
    }
}

static void save(const char *folder, unsigned number)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/made-%u", folder, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(out, 1, out_size, file) != out_size || fclose(file) != 0)
        perror(path);
    out_size = 0;
}

int main(int argc, char **argv)
{
    static struct client_stream stream;
    for (unsigned i = 0; argc > 1 && i < 16; i++) {
        struct client_hello hello = client_good_hello;
        hello.epoch = i % 4 == 0 ? 0 : CLIENT_EPOCH;
        hello.lanes = 1;
        stream.size = 0;
        client_put_hello(&stream, &hello);
        client_put_chunk(&stream, 1, 1 + i % 5, i % 2 == 0 ? 200 : 30);
        if (i % 3 != 0)
            client_put_table(&stream);
        if (i % 5 == 0)
            client_put_gap(&stream, 0, 2 + i % 5, 9, (uint8_t)(1 + i % 3));
        client_put_chunk(&stream, 10, 3, 200);
        put_frames(&stream);
        save(argv[1], i);
    }
    return argc > 1 ? 0 : 2;
}
