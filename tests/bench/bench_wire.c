/* SPDX-License-Identifier: MIT */
/*
 * Bytes a row of a CSV file, packed and in the forms that are usual, everything counted. Types are inferred,
 * whether quoted or not: the first increasing integer or ISO time is the time; integers, decimals and text
 * otherwise; an empty field without quotes is NULL. Usage: bench_wire FILE.csv     (bench_wire --pack
 * FILE.csv only packs, for callgrind) Needs zlib and liblzma: Debian's zlib1g-dev and
 * liblzma-dev. */
#include <inttypes.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "../unit/packed.h"

#define PLAIN_HEAD 12 /* bytes of head and CRC that a chunk of the other forms is given */

static void fail(const char *why)
{
    fprintf(stderr, "bench_wire: %s\n", why);
    exit(1);
}

static void *room(size_t size)
{
    void *memory = calloc(1, size + 1);
    if (memory == NULL)
        fail("out of memory");
    return memory;
}

/* ---- The file -------------------------------------------------------------------------------- */

struct field {
    const char *text; /* ended by NUL */
    size_t size;
    bool quoted;
};

static struct field names[TERN_COLUMNS_MAX];
static struct field *fields; /* row after row */
static size_t columns, rows, capacity;

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail("cannot read the file");
    size_t size = (size_t)ftell(file), used = 0;
    char *text = room(size + 1);
    rewind(file);
    size = fread(text, 1, size, file);
    fclose(file);
    for (size_t i = 0; i < size; i++)
        if (text[i] != '\r')
            text[used++] = text[i];
    if (used != 0 && text[used - 1] != '\n')
        text[used++] = '\n';
    text[used] = '\0';
    return text;
}

/* Takes a field off the text, in place; *last says that a line ended with it. */
static struct field take_field(char **text, bool *last)
{
    char *from = *text, *to = *text;
    struct field field = {from, 0, *from == '"'};
    bool inside = field.quoted;
    from += inside;
    for (; *from != '\0' && (inside || (*from != ',' && *from != '\n')); from++) {
        if (inside && *from == '"' && from[1] != '"')
            inside = false;
        else
            *to++ = from[inside && *from == '"' ? 1 : 0], from += inside && *from == '"';
    }
    *last = *from != ',';
    *text = from + (*from != '\0');
    *to = '\0';
    field.size = (size_t)(to - field.text);
    return field;
}

static size_t take_line(char **text, struct field *line, size_t most)
{
    size_t count = 0;
    bool last = false;
    while (!last) {
        if (count == most)
            fail("a line has more fields than the header, or more than 64");
        line[count++] = take_field(text, &last);
    }
    return count;
}

static void parse(char *text)
{
    columns = take_line(&text, names, TERN_COLUMNS_MAX);
    while (*text != '\0') {
        if (rows == capacity) {
            capacity = capacity * 2 + 1024;
            fields = realloc(fields, capacity * columns * sizeof(*fields));
            if (fields == NULL)
                fail("out of memory");
        }
        struct field *line = fields + rows * columns;
        size_t count = take_line(&text, line, columns);
        if (count == 1 && line[0].size == 0)
            continue;
        if (count != columns)
            fail("a line has fewer fields than the header");
        rows++;
    }
    if (rows == 0)
        fail("the file has no rows");
}

/* ---- Types and values ------------------------------------------------------------------------ */

static struct tern_column schema[TERN_COLUMNS_MAX];
static struct tern_table table;
static struct tern_value *values;

/* Digits behind the point, or -1 when it is no number of at most 18 digits, or one with zeros in front. */
static int decimals_of(const char *text)
{
    int digits = 0, behind = -1;
    text += *text == '-';
    if (text[0] == '0' && text[1] >= '0' && text[1] <= '9')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text == '.' && behind < 0)
            behind = 0;
        else if (*text < '0' || *text > '9' || ++digits > 18)
            return -1;
        else if (behind >= 0)
            behind++;
    }
    return digits == 0 ? -1 : behind < 0 ? 0 : behind;
}

/* A date, or a date and a time with or without seconds and their fraction; a zone behind it is not read. */
static bool iso_time(const char *text, int64_t *milliseconds)
{
    int year, month, day, hour = 0, minute = 0, second = 0, thousandths = 0, end = 0;
    char divider = ' ';
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end < 8)
        return false;
    text += end;
    if (*text != '\0' && (sscanf(text, "%c%2d:%2d%n", &divider, &hour, &minute, &end) != 3 ||
                          (divider != ' ' && divider != 'T')))
        return false;
    text += *text != '\0' ? end : 0;
    if (*text == ':' && sscanf(text, ":%2d%n", &second, &end) == 1)
        text += end;
    for (int unit = 100, at = 1; *text == '.' && unit != 0 && text[at] >= '0' && text[at] <= '9'; unit /= 10)
        thousandths += (text[at++] - '0') * unit;
    int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    *milliseconds = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + thousandths;
    return true;
}

static int64_t scaled(const char *text, int decimals)
{
    bool minus = *text == '-';
    int64_t number = 0;
    int behind = -1;
    for (text += minus; *text != '\0'; text++) {
        if (*text == '.')
            behind = 0;
        else
            number = number * 10 + (*text - '0'), behind += behind >= 0;
    }
    for (behind = behind < 0 ? 0 : behind; behind < decimals; behind++)
        number *= 10;
    return minus ? -number : number;
}

struct seen {
    size_t empty, iso, numbers, binary, longest;
    bool fractions; /* of a second */
    int decimals;
};

static struct seen look(size_t column)
{
    struct seen seen = {0};
    for (size_t i = 0; i < rows; i++) {
        const struct field *field = &fields[i * columns + column];
        int decimals = decimals_of(field->text);
        int64_t time = 0;
        seen.empty += field->size == 0 && !field->quoted;
        seen.iso += iso_time(field->text, &time);
        seen.fractions |= time % 1000 != 0;
        seen.numbers += decimals >= 0;
        seen.binary += strcmp(field->text, "0") == 0 || strcmp(field->text, "1") == 0;
        seen.decimals = decimals > seen.decimals ? decimals : seen.decimals;
        seen.longest = field->size > seen.longest ? field->size : seen.longest;
    }
    return seen;
}

static void set_values(size_t column, bool iso, bool number, const struct seen *seen)
{
    for (size_t i = 0; i < rows; i++) {
        const struct field *field = &fields[i * columns + column];
        struct tern_value *value = &values[i * columns + column];
        if (field->size == 0 && !field->quoted)
            *value = tern_null();
        else if (iso && iso_time(field->text, &value->number))
            value->number /= seen->fractions ? 1 : 1000;
        else if (number)
            *value = tern_int(scaled(field->text, seen->decimals));
        else
            *value = tern_bytes(field->text, field->size);
    }
}

/* A clock that was set back once or a file put together of parts still counts as increasing. */
static bool increasing(size_t column)
{
    size_t up = 0;
    for (size_t i = 1; i < rows; i++)
        up += values[i * columns + column].number > values[(i - 1) * columns + column].number;
    return rows > 1 && up * 20 >= (rows - 1) * 19;
}

static void infer(void)
{
    bool has_time = false, has_text = false;
    values = room(rows * columns * sizeof(*values));
    for (size_t c = 0; c < columns; c++) {
        struct seen seen = look(c);
        bool iso = seen.iso != 0 && seen.iso + seen.empty == rows;
        bool number = seen.numbers != 0 && seen.numbers + seen.empty == rows;
        set_values(c, iso, number, &seen);
        schema[c].name = names[c].text;
        schema[c].flags = seen.empty != 0 ? TERN_NULLABLE : 0;
        schema[c].type = seen.decimals != 0    ? TERN_DECIMAL(seen.decimals)
                         : seen.binary == rows ? TERN_BOOL
                                               : TERN_I64;
        if (!iso && !number) {
            if (seen.longest > 4095)
                fail("a text is longer than 4095 bytes");
            schema[c].type = TERN_TEXT(seen.longest + (seen.longest == 0));
            has_text = true;
        } else if (!has_time && seen.empty == 0 && seen.decimals == 0 && increasing(c)) {
            schema[c].type = seen.fractions ? TERN_TIME_MS : TERN_TIME_S;
            has_time = true;
        }
    }
    table = (struct tern_table){
        "bench", schema, has_text ? &tern_packed_text : &tern_packed, (uint8_t)columns, TERN_APPEND, 0, 0};
}

/* ---- Packed ---------------------------------------------------------------------------------- */

static struct packed packed;
static uint8_t *chunks;
static uint32_t *chunk_ends;
static size_t chunk_count;

/* All rows into chunks of `size` bytes; with `each` a commit after every row. Returns the bytes of all
 * chunks. */
static uint64_t pack(uint16_t size, uint8_t unit_log2, bool each)
{
    uint64_t bytes = 0;
    chunk_count = 0;
    for (size_t i = 0; i < rows;) {
        size_t first = i;
        packed.chunk.capacity = size;
        tern_chunk_open(&packed.chunk, table.codec, (uint32_t)i + 1, unit_log2);
        for (;
             i < rows && tern_chunk_put(&packed.chunk, &table, TERN_OP_PUT, values + i * columns) == TERN_OK;
             i++)
            if (each)
                tern_chunk_finish(&packed.chunk, true, false);
        if (i == first)
            fail("a row does not fit into a chunk");
        if (!each)
            tern_chunk_finish(&packed.chunk, true, false);
        memcpy(chunks + bytes, packed.data, packed.chunk.size);
        bytes += packed.chunk.size;
        chunk_ends[chunk_count++] = (uint32_t)bytes;
    }
    return bytes;
}

/* Reads all chunks back. Counts the rows, and compares them where `compare`. */
static size_t unpack_all(bool compare)
{
    static uint64_t models[TERN_UNPACK_SIZE(TERN_COLUMNS_MAX) / 8 + 1];
    static uint8_t texts[TERN_COLUMNS_MAX * 4095];
    struct tern_unpack unpack;
    struct tern_unpack_record record;
    struct tern_value row[TERN_COLUMNS_MAX];
    struct tern_walk walk;
    struct tern_segment segment;
    size_t count = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        const uint8_t *chunk = chunks + (i == 0 ? 0 : chunk_ends[i - 1]);
        tern_walk_begin(&walk, tern_source_memory(chunk), (uint32_t)(chunks + chunk_ends[i] - chunk));
        tern_unpack_open(&unpack, models, TERN_UNPACK_SIZE(columns), texts, sizeof(texts));
        tern_unpack_table(&unpack, &table);
        while (tern_walk_next(&walk, &segment) == TERN_OK) {
            tern_unpack_segment(&unpack, chunk + segment.payload, segment.size, segment.rows);
            for (; tern_unpack_next(&unpack, &record, row) == TERN_OK; count++) {
                for (size_t c = 0; compare && c < columns; c++) {
                    const struct tern_value *was = &values[count * columns + c];
                    if (row[c].number != was->number || row[c].is_null != was->is_null ||
                        row[c].size != was->size ||
                        (was->size != 0 && memcmp(row[c].data, was->data, was->size) != 0))
                        fail("what was unpacked differs from what was packed");
                }
            }
        }
    }
    return count;
}

/* Of one core, whatever else the machine does. */
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void speeds(void)
{
    size_t count = 0;
    double start = seconds(), took;
    do {
        count += unpack_all(false);
        took = seconds() - start;
    } while (took < 1);
    printf("unpack_rows_per_second %.0f rows/s\n", (double)count / took);
    start = seconds();
    count = 0;
    do {
        pack(512, 0, false);
        count += rows;
        took = seconds() - start;
    } while (took < 1);
    printf("pack_rows_per_second %.0f rows/s\n", (double)count / took);
}

static void instructions(const char *program, const char *path)
{
    char command[1024], line[256];
    unsigned long long counted = 0;
    snprintf(command, sizeof command,
             "valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=tern_chunk_put '%s' "
             "--pack '%s' 2>&1",
             program, path);
    FILE *run = popen(command, "r");
    while (run != NULL && fgets(line, sizeof line, run) != NULL)
        if (strstr(line, "Collected :") != NULL)
            counted = strtoull(strstr(line, ":") + 1, NULL, 10);
    if (run != NULL)
        pclose(run);
    if (counted == 0)
        printf("pack_instructions_per_row skipped: valgrind is missing, install package valgrind\n");
    else
        printf("pack_instructions_per_row %.0f instructions\n", (double)counted / (double)rows);
}

/* ---- The usual forms ------------------------------------------------------------------------- */

static bool is_text(size_t column)
{
    return TERN_TYPE_KIND(schema[column].type) >= TERN_KIND_TEXT;
}

static size_t csv_row(const struct tern_value *row, char *line)
{
    uint8_t bytes[1 << 17];
    size_t size = tern_csv_record(bytes, sizeof(bytes), &table, 0, TERN_OP_PUT, row);
    if (size < 3)
        fail("a row is too long");
    memcpy(line, bytes + 3, size - 3); /* without op and table */
    return size - 3;
}

static size_t json_row(const struct tern_value *row, char *line)
{
    size_t size = 1;
    char text[TERN_NUMBER_MAX];
    (void)line;
    for (size_t c = 0; c < columns; c++) {
        size += strlen(schema[c].name) + 4; /* quotes, colon, comma or brace */
        if (row[c].is_null != 0)
            size += 4;
        else if (is_text(c))
            size += row[c].size + 2u;
        else
            size += tern_csv_number(text, schema[c].type, row[c].number);
    }
    return size + 1;
}

static size_t varint_size(uint64_t number)
{
    size_t size = 1;
    while (number >>= 7)
        size++;
    return size;
}

/* Field numbers in order, sint64 for numbers, uint64 for times and booleans, NULL left out, one length
 * before each message. */
static size_t protobuf_row(const struct tern_value *row, char *line)
{
    size_t size = 0;
    (void)line;
    for (size_t c = 0; c < columns; c++) {
        unsigned kind = TERN_TYPE_KIND(schema[c].type);
        uint64_t number = (uint64_t)row[c].number;
        bool plain = kind == TERN_KIND_BOOL || kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS;
        if (row[c].is_null != 0)
            continue;
        size += c < 15 ? 1 : 2;
        if (is_text(c))
            size += varint_size(row[c].size) + row[c].size;
        else
            size += varint_size(plain ? number : number << 1 ^ (0 - (number >> 63)));
    }
    return size + varint_size(size);
}

static size_t cbor_head(uint64_t number)
{
    return number < 24 ? 1 : number < 256 ? 2 : number < 65536 ? 3 : number <= UINT32_MAX ? 5 : 9;
}

static size_t cbor_row(const struct tern_value *row, char *line)
{
    size_t size = cbor_head(columns);
    (void)line;
    for (size_t c = 0; c < columns; c++) {
        uint64_t number = (uint64_t)row[c].number;
        if (row[c].is_null != 0)
            size += 1;
        else if (is_text(c))
            size += cbor_head(row[c].size) + row[c].size;
        else
            size += cbor_head(number >> 63 != 0 ? ~number : number);
    }
    return size;
}

/* Whole rows into chunks of `size` bytes. */
static double chunked(size_t (*row_size)(const struct tern_value *, char *), size_t size)
{
    static char line[1 << 17];
    size_t used = PLAIN_HEAD, bytes = 0;
    for (size_t i = 0; i < rows; i++) {
        size_t more = row_size(values + i * columns, line);
        if (used + more > size && used > PLAIN_HEAD) {
            bytes += used;
            used = PLAIN_HEAD;
        }
        used += more;
    }
    return (double)(bytes + used) / (double)rows;
}

static char *whole;       /* all rows as CSV */
static size_t *line_ends; /* of row i - 1 at i */

static void render(void)
{
    static char line[1 << 17];
    size_t used = 0, most = 1 << 20;
    whole = room(most);
    line_ends = room((rows + 1) * sizeof(*line_ends));
    for (size_t i = 0; i < rows; i++) {
        size_t size = csv_row(values + i * columns, line);
        if (used + size > most && (whole = realloc(whole, most = (used + size) * 2)) == NULL)
            fail("out of memory");
        memcpy(whole + used, line, size);
        used += size;
        line_ends[i + 1] = used;
    }
}

static size_t deflated(size_t from, size_t to)
{
    uLong size = (uLong)(line_ends[to] - line_ends[from]);
    uLongf out = compressBound(size);
    Bytef *bytes = room(out);
    if (compress2(bytes, &out, (const Bytef *)whole + line_ends[from], size, 9) != Z_OK)
        fail("zlib failed");
    free(bytes);
    return out;
}

/* As many rows as fit once compressed, chunk after chunk. */
static double zlib_chunked(size_t size)
{
    size_t bytes = 0;
    for (size_t from = 0; from < rows;) {
        size_t good = 1, step = 1;
        while (from + good + step <= rows && deflated(from, from + good + step) + PLAIN_HEAD <= size) {
            good += step;
            step *= 2;
        }
        for (; step != 0; step /= 2)
            if (from + good + step <= rows && deflated(from, from + good + step) + PLAIN_HEAD <= size)
                good += step;
        bytes += deflated(from, from + good) + PLAIN_HEAD;
        from += good;
    }
    return (double)bytes / (double)rows;
}

static double xz_whole(void)
{
    size_t size = line_ends[rows], most = lzma_stream_buffer_bound(size), used = 0;
    uint8_t *out = room(most);
    if (lzma_easy_buffer_encode(9, LZMA_CHECK_CRC32, NULL, (const uint8_t *)whole, size, out, &used, most) !=
        LZMA_OK)
        fail("liblzma failed");
    free(out);
    return (double)used / (double)rows;
}

/* ---- The report ------------------------------------------------------------------------------ */

static void print_figure(const char *name, unsigned size, double value)
{
    if (size != 0)
        printf("%s_%u %.3f bytes\n", name, size, value);
    else
        printf("%s %.3f bytes\n", name, value);
}

static void compare_forms(void)
{
    static const unsigned sizes[] = {256, 512, 1024};
    for (unsigned i = 0; i < 3; i++) {
        print_figure("packed_bytes_per_row", sizes[i],
                     (double)pack((uint16_t)sizes[i], 0, false) / (double)rows);
        if (unpack_all(true) != rows)
            fail("rows are missing from what was unpacked");
        print_figure("csv_bytes_per_row", sizes[i], chunked(csv_row, sizes[i]));
        print_figure("csv_zlib_9_bytes_per_row", sizes[i], zlib_chunked(sizes[i]));
        print_figure("protobuf_bytes_per_row", sizes[i], chunked(protobuf_row, sizes[i]));
        print_figure("cbor_bytes_per_row", sizes[i], chunked(cbor_row, sizes[i]));
        print_figure("json_bytes_per_row", sizes[i], chunked(json_row, sizes[i]));
    }
    print_figure("csv_xz_9_whole_file_bytes_per_row", 0, xz_whole());
}

static void commit_each(void)
{
    static const uint8_t units[] = {0, 2, 3, 4, 5};
    for (unsigned i = 0; i < 5; i++) {
        double bytes = (double)pack(512, units[i], true);
        if (unpack_all(true) != rows)
            fail("rows are missing from what was unpacked");
        print_figure("packed_bytes_per_row_commit_each_unit", 1u << units[i], bytes / (double)rows);
    }
}

int main(int argc, char **argv)
{
    bool only_pack = argc == 3 && strcmp(argv[1], "--pack") == 0;
    if (argc != 2 && !only_pack)
        fail("usage: bench_wire FILE.csv");
    parse(read_file(argv[argc - 1]));
    infer();
    packed_open(&packed, table.codec, 512, (uint16_t)columns);
    chunks = room(rows * 4096 < 64u << 20 ? rows * 4096 : rows * 1024);
    chunk_ends = room((rows + 1) * sizeof(*chunk_ends));
    if (only_pack)
        return pack(512, 0, false) == 0;
    printf("rows %zu rows\ncolumns %zu columns\n", rows, columns);
    render();
    compare_forms();
    commit_each();
    pack(512, 0, false);
    speeds();
    instructions(argv[0], argv[1]);
    return 0;
}
