/* SPDX-License-Identifier: MIT */
/* Packs rows of every kind, prints the chunk in hex, reads it back and prints the values:
 * tests/all/pack_avr.sh compares what an AVR, where int has 16 bits, says with what the PC says. */
#include <inttypes.h>
#include <stdio.h>

#include "../../core/chunk.h"
#include "../../core/unpack.h"

#ifdef __AVR__
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static int write_uart(char c, FILE *file)
{
    (void)file;
    while ((UCSR0A & 1 << UDRE0) == 0)
        ;
    UDR0 = (uint8_t)c;
    return 0;
}
static FILE uart = FDEV_SETUP_STREAM(write_uart, NULL, _FDEV_SETUP_WRITE);
#endif

#define COLUMNS 6

static const struct tern_column columns[COLUMNS] = {{"at", TERN_TIME_S, TERN_KEY},
                                                    {"celsius", TERN_DECIMAL(2), TERN_NULLABLE},
                                                    {"u", TERN_U64, 0},
                                                    {"s", TERN_I64, 0},
                                                    {"word", TERN_TEXT(20), TERN_NULLABLE},
                                                    {"on", TERN_BOOL, 0}};
static const struct tern_table table = TERN_TABLE_CODED("every", TERN_MERGE, columns, &tern_packed_text);
static uint64_t models[(TERN_MODELS_SIZE(COLUMNS) + TERN_MODELS_TEXT) / 8 + 1];
static uint8_t data[512];

static void make_row(struct tern_value row[COLUMNS], uint16_t n)
{
    static const char *const words[] = {"motor start", "motor stop", "ok", ""};
    uint32_t random = (n + 1) * 2654435761u;
    row[0] = tern_int(1700000000 + 60 * (int64_t)n + (random >> 30));
    row[1] = (random >> 8 & 7) == 0 ? tern_null() : tern_int(2150 + (int64_t)(random >> 20 & 63));
    row[2] = tern_int((int64_t)((uint64_t)random << (random & 31)));
    row[3] = tern_int((n & 7) == 0 ? INT64_MIN + n : -(int64_t)(random & 0xFFF));
    row[4] = n % 5 == 0 ? tern_null() : tern_text(words[random >> 12 & 3]);
    row[5] = tern_int(random >> 31);
}

static void print_hex(const uint8_t *bytes, uint16_t size)
{
    for (uint16_t i = 0; i < size; i++)
        printf("%02x%s", bytes[i], i % 32 == 31 || i + 1 == size ? "\n" : "");
}

static void write_chunk(struct tern_chunk *chunk)
{
    struct tern_value row[COLUMNS];
    uint16_t n = 0;
    for (;; n++) {
        make_row(row, n);
        if (tern_chunk_put(chunk, &table, TERN_OP_PUT, row) != TERN_OK)
            break;
        if (n % 9 == 8)
            tern_chunk_finish(chunk, true, false);
    }
    if (chunk->segment_rows != 0)
        tern_chunk_finish(chunk, true, false);
    printf("rows %u bytes %u\n", (unsigned)n, (unsigned)chunk->size);
    print_hex(data, chunk->size);
}

static void read_chunk(uint16_t size)
{
    static uint8_t texts[32];
    static struct tern_value row[TERN_COLUMNS_MAX];
    struct tern_unpack unpack;
    struct tern_unpack_record record;
    struct tern_walk walk;
    struct tern_segment segment;
    tern_unpack_open(&unpack, models, sizeof(models), texts, sizeof(texts));
    tern_unpack_table(&unpack, &table);
    tern_walk_begin(&walk, tern_source_memory(data), size);
    while (tern_walk_next(&walk, &segment) == TERN_OK) {
        tern_unpack_segment(&unpack, data + segment.payload, segment.size, segment.rows);
        while (tern_unpack_next(&unpack, &record, row) == TERN_OK)
            for (uint8_t i = 0; i < COLUMNS; i++) {
                printf("%u %u %08" PRIx32 "%08" PRIx32 " ", (unsigned)i, (unsigned)row[i].is_null,
                       (uint32_t)((uint64_t)row[i].number >> 32), (uint32_t)row[i].number);
                print_hex(row[i].data, row[i].size);
                printf("\n");
            }
    }
    printf("end\n");
}

int main(void)
{
    static struct tern_chunk chunk;
#ifdef __AVR__
    UCSR0B = 1 << TXEN0;
    stdout = &uart;
#endif
    chunk.data = data;
    chunk.capacity = sizeof(data);
    chunk.models = models;
    chunk.models_size = sizeof(models);
    tern_chunk_open(&chunk, &tern_packed_text, 501, 0);
    write_chunk(&chunk);
    read_chunk(chunk.size);
#ifdef __AVR__
    cli();
    sleep_enable();
    sleep_cpu();
#endif
    return 0;
}
