/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_flash, made by the core: rings with records, batches and acknowledgements, in the form that
 * the target reads. Usage: seed_flash DIR */
#include <stdio.h>
#include <string.h>

#include "../core/log.h"
#include "../tests/nor.h"

static const struct tern_column columns[] = {{"at", TERN_I64, TERN_KEY},
                                             {"note", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table table = TERN_TABLE("t", TERN_MERGE, columns);

static void fill(struct nor *nor, uint32_t records)
{
    static uint8_t chunk[512];
    struct tern tern;
    struct tern_lane lane = {.flash = &nor->flash, .chunk_data = chunk, .chunk_size = sizeof chunk};
    struct tern_config config = {.id = "fuzz", .lanes = &lane, .lane_count = 1};
    if (tern_open(&tern, &config) != TERN_OK)
        return;
    for (uint32_t i = 0; i < records; i++) {
        struct tern_value row[] = {tern_int(i), i % 3 == 0 ? tern_null() : tern_text("a note")};
        (void)tern_put(&tern, &table, row);
        if (i % 4 == 3)
            (void)tern_commit(&tern);
        if (i == records / 2) {
            (void)tern_log_set_epoch(&lane.log, 0x01000000u, 1);
            tern_log_acknowledge(&lane.log, i / 2, 7);
        }
        (void)tern_poll(&tern);
    }
}

int main(int argc, char **argv)
{
    static uint8_t out[20 + 8192];
    for (uint8_t i = 0; argc > 1 && i < 24; i++) {
        struct nor nor;
        char path[1000];
        uint8_t head[20] = {
            i, (uint8_t)(i / 3), (uint8_t)(i % 6), i, 0, 3, 5, 1, 2, 3, 6, 7, 0, 0, 3, 5, 5, 4, 0, 3};
        memcpy(out, head, sizeof head);
        nor_open(&nor, 512u << i % 3, 2u + i / 3 % 3, (uint8_t)(1u << i % 6));
        fill(&nor, 2u + i * 7u);
        memcpy(out + sizeof head, nor.cells, nor.size);
        snprintf(path, sizeof path, "%s/made-%u", argv[1], (unsigned)i);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(out, 1, sizeof head + nor.size, file) != sizeof head + nor.size ||
            fclose(file) != 0)
            perror(path);
        nor_close(&nor);
    }
    return argc > 1 ? 0 : 2;
}
