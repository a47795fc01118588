/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_schema, fuzz_csv, fuzz_chunk and fuzz_frame, made by the encoders.
 * Usage: seed_schema DIR TARGET */
#include <stdio.h>

#include "../tests/unit/client.h"

static void save(const char *folder, unsigned number, const uint8_t *bytes, size_t size)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/made-%u", folder, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        perror(path);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[TERN_CHUNK_MAX];
    static struct client_stream stream;
    struct tern_output out = {bytes, 0, sizeof bytes, false};
    struct tern_value row[3] = {tern_int(1700000000), tern_int(-2150), tern_text("a,\"b\"\n")};
    if (argc < 3)
        return 2;
    if (strstr(argv[2], "schema") != NULL) {
        tern_schema_encode(&client_table, client_collect, &out);
        save(argv[1], 0, bytes, out.size);
    } else if (strstr(argv[2], "csv") != NULL) {
        save(argv[1], 0, bytes, tern_csv_record(bytes, sizeof bytes, &client_table, 0, TERN_OP_PUT, row));
    } else if (strstr(argv[2], "chunk") != NULL) {
        for (unsigned i = 1; i < 8; i++)
            save(argv[1], i, bytes, client_chunk(bytes, 512, i * 100, i));
    } else {
        client_put_hello(&stream, &client_good_hello);
        client_put_chunk(&stream, 1, 5, 100);
        client_put_table(&stream);
        client_put_gap(&stream, 0, 6, 9, 1);
        save(argv[1], 0, stream.bytes, stream.size);
    }
    return 0;
}
