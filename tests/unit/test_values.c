/* SPDX-License-Identifier: MIT */
/* Awkward values through the importer into SQLite and csv, byte for byte (tests/servers/import_values.c: into
 * servers). */
#include "../test.h"

#include <stdlib.h>

#include "../../host/import.h"
#include "../../host/sql/sqlite_api.h"
#include "../awkward.h"
#include "chunks.h"

#define WAIT 20000 /* milliseconds: a bound for a slow machine, not an expectation */

static const struct tern_column awkward_columns[] = {{"n", TERN_I32, TERN_KEY},
                                                     {"note", TERN_TEXT(200), TERN_NULLABLE},
                                                     {"raw", TERN_BYTES(200), TERN_NULLABLE}};
static const struct tern_table awkward = TERN_TABLE("awkward", TERN_MERGE, awkward_columns);

static struct tern_stage *stage;
static struct tern_stage_range *range;
static struct chunk_bytes made;
static uint32_t next, epoch;
static bool is_open;

static void flush(void)
{
    if (!is_open)
        return;
    tern_chunk_finish(&made.chunk, true, false);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    is_open = false;
}

static void send(const struct tern_table *table, const struct tern_value *row)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!is_open)
            chunks_open(&made, next);
        is_open = true;
        if (tern_chunk_put(&made.chunk, table, TERN_OP_PUT, row) == TERN_OK) {
            next++;
            return;
        }
        flush();
    }
    CHECK(false);
}

/* All of it into the destination: each piece as text and as bytes, those that are no UTF-8 too, NULL beside
 * them, and the edges. */
static void fill(const char *url)
{
    struct tern_stage_config staging = {.directory = folder_path("stage")};
    struct tern_import_config config = {0};
    struct tern_import *import;
    struct tern_value row[13];
    folder_fresh();
    CHECK_EQ(tern_stage_open(&stage, &staging), TERN_HOST_OK);
    range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &awkward), TERN_HOST_OK);
    CHECK_EQ(chunks_schema(stage, range->device, &edges), TERN_HOST_OK);
    epoch = range->epoch;
    next = 1;
    is_open = false;
    for (size_t i = 0; i < PIECES + RAW_PIECES + 1; i++) {
        const struct piece *piece = i < PIECES ? &pieces[i] : &raw_pieces[i - PIECES];
        bool is_null = i == PIECES + RAW_PIECES;
        row[0] = tern_int((int64_t)i);
        row[1] = row[2] = is_null ? tern_null() : tern_bytes(piece->bytes, piece->size);
        send(&awkward, row);
    }
    for (unsigned i = 0; i < EDGES; i++) {
        edge_values(i, row);
        send(&edges, row);
    }
    flush();
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    tern_import_close(import);
    tern_stage_close(stage);
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

static struct tern_sqlite_api api;

static bool is_same(struct sqlite3_stmt *statement, int column, const struct piece *piece, int type)
{
    const void *found =
        type == 3 ? (const void *)api.column_text(statement, column) : api.column_blob(statement, column);
    return api.column_type(statement, column) == type &&
           api.column_bytes(statement, column) == (int)piece->size &&
           (piece->size == 0 || memcmp(found, piece->bytes, piece->size) == 0);
}

static void sqlite_gives_every_byte_back(void)
{
    char url[1000], text[400];
    struct sqlite3 *database;
    struct sqlite3_stmt *statement;
    folder_fresh();
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    fill(url);
    CHECK_EQ(api.open_v2(folder_path("out.db"), &database, 2, NULL), 0);
    CHECK_EQ(api.prepare_v2(database, "SELECT note,raw FROM awkward ORDER BY n", -1, &statement, NULL), 0);
    for (size_t i = 0; i < PIECES + RAW_PIECES; i++) {
        const struct piece *piece = i < PIECES ? &pieces[i] : &raw_pieces[i - PIECES];
        CHECK_EQ(api.step(statement), 100);
        if (!CHECK(is_same(statement, 0, piece, 3) && is_same(statement, 1, piece, 4)))
            printf("    value %zu: %s\n", i, piece->bytes);
    }
    CHECK_EQ(api.step(statement), 100);
    CHECK(api.column_type(statement, 0) == 5 && api.column_type(statement, 1) == 5);
    CHECK_EQ(api.step(statement), 101);
    api.finalize(statement);
    CHECK_EQ(api.prepare_v2(database,
                            "SELECT i8,i16,i32,i64,u8,u16,u32,u64,b,d0,d2,d18 FROM edges ORDER BY n", -1,
                            &statement, NULL),
             0);
    for (unsigned i = 0; i < EDGES; i++) {
        CHECK_EQ(api.step(statement), 100);
        text[0] = '\0';
        for (int k = 0; k < 12; k++) {
            strcat(text, k == 0 ? "" : ",");
            strcat(text, (const char *)api.column_text(statement, k));
        }
        if (!CHECK(strcmp(text, edge_rows[i].text) == 0))
            printf("    %s\n", text);
    }
    api.finalize(statement);
    api.close_v2(database);
}

/* ---- csv ------------------------------------------------------------------------------------- */

static size_t add_field(char *out, const struct piece *piece, bool is_text)
{
    size_t size = 0;
    bool quoted = is_text && (piece->size == 0 || memchr(piece->bytes, '"', piece->size) != NULL ||
                              memchr(piece->bytes, ',', piece->size) != NULL ||
                              memchr(piece->bytes, '\n', piece->size) != NULL ||
                              memchr(piece->bytes, '\r', piece->size) != NULL);
    if (!is_text && piece->size == 0) {
        memcpy(out, "\"\"", 2);
        return 2;
    }
    if (quoted)
        out[size++] = '"';
    for (size_t i = 0; i < piece->size; i++) {
        if (!is_text)
            size += (size_t)sprintf(out + size, "%02x", (unsigned char)piece->bytes[i]);
        else {
            if (piece->bytes[i] == '"')
                out[size++] = '"';
            out[size++] = piece->bytes[i];
        }
    }
    if (quoted)
        out[size++] = '"';
    return size;
}

/* The lines that must be there, behind the heading. */
static size_t expect(char *out)
{
    const long long before = (long long)((uint64_t)epoch << 32);
    size_t size = 0;
    for (size_t i = 0; i < PIECES + RAW_PIECES + 1; i++) {
        const struct piece *piece = i < PIECES ? &pieces[i] : &raw_pieces[i - PIECES];
        bool is_null = i == PIECES + RAW_PIECES;
        size += (size_t)sprintf(out + size, "dev1,%lld,put,%zu,", before + (long long)i + 1, i);
        size += is_null ? 0 : add_field(out + size, piece, true);
        out[size++] = ',';
        size += is_null ? 0 : add_field(out + size, piece, false);
        out[size++] = '\n';
    }
    return size;
}

/* The closed segment of the table. */
static size_t read_segment(const char *table, char *out, size_t room)
{
    char command[1200];
    snprintf(command, sizeof command, "cat '%s'/%s-*.csv", folder_path("out"), table);
    FILE *file = popen(command, "r");
    size_t size = file == NULL ? 0 : fread(out, 1, room, file);
    CHECK_EQ(file == NULL ? -1 : pclose(file), 0);
    return size;
}

static void csv_gives_every_byte_back(void)
{
    static char expected[32768], found[32768];
    char url[1000], line[600];
    folder_fresh();
    snprintf(url, sizeof url, "csv:%s", folder_path("out"));
    fill(url);
    size_t size = read_segment("awkward", found, sizeof found), wanted = expect(expected);
    char *begin = memchr(found, '\n', size);
    size_t heading = begin == NULL ? 0 : (size_t)(begin - found) + 1;
    CHECK_EQ(size - heading, wanted);
    CHECK(size - heading == wanted && memcmp(found + heading, expected, wanted) == 0);
    found[read_segment("edges", found, sizeof found - 1)] = '\0';
    for (unsigned i = 0; i < EDGES; i++) {
        snprintf(line, sizeof line, ",put,%u,%s\n", i + 1, edge_rows[i].text);
        if (!CHECK(strstr(found, line) != NULL))
            printf("    %s", line);
    }
}

int main(void)
{
    char error[256];
    CHECK(PIECES >= 40);
    if (tern_sqlite_load(&api, error, sizeof error) == 0)
        RUN(sqlite_gives_every_byte_back);
    else
        SKIP(sqlite_gives_every_byte_back, error);
    RUN(csv_gives_every_byte_back);
    folder_remove();
    return test_report();
}
