/* SPDX-License-Identifier: MIT */
/* Values that databases, loaders and files get wrong: each must come back from every destination byte for
 * byte. */
#ifndef TERN_TEST_AWKWARD_H
#define TERN_TEST_AWKWARD_H

#include "../core/schema.h"

struct piece {
    const char *bytes;
    size_t size;
};
#define PIECE(text)                                                                                          \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

/* As text and as bytes. */
static const struct piece pieces[] = {PIECE(""),
                                      PIECE(" "),
                                      PIECE("NULL"),
                                      PIECE("null"),
                                      PIECE("\\N"),
                                      PIECE("\\."),
                                      PIECE("\\"),
                                      PIECE("\\\\"),
                                      PIECE("\\n"),
                                      PIECE("\n"),
                                      PIECE("\r"),
                                      PIECE("\r\n"),
                                      PIECE("\t"),
                                      PIECE("a\tb\nc\rd\\e"),
                                      PIECE("'"),
                                      PIECE("''"),
                                      PIECE("\""),
                                      PIECE("\"\""),
                                      PIECE(","),
                                      PIECE(";--"),
                                      PIECE("$1"),
                                      PIECE("?1"),
                                      PIECE("%s"),
                                      PIECE("{1,2}"),
                                      PIECE("\\x41"),
                                      PIECE("\\000"),
                                      PIECE("\x01"),
                                      PIECE("\x7f"),
                                      PIECE("\b\f\v"),
                                      PIECE("caf\xc3\xa9"),
                                      PIECE("e\xcc\x81"),
                                      PIECE("\xe2\x82\xac"),
                                      PIECE("\xf0\x9f\x8c\x8a"),
                                      PIECE("\xef\xbb\xbf"
                                            "bom"),
                                      PIECE("\xef\xbf\xbf"),
                                      PIECE("trail "),
                                      PIECE(" lead"),
                                      PIECE("0x10"),
                                      PIECE("1e5"),
                                      PIECE("\n\\.\n"),
                                      PIECE("\\N\n\\N"),
                                      PIECE("Robert'); DROP TABLE awkward;--")};
#define PIECES (sizeof pieces / sizeof pieces[0])
_Static_assert(PIECES >= 40, "the table of awkward values has 40");

/* As bytes only: text cannot be these. */
static const struct piece raw_pieces[] = {PIECE("\0"), PIECE("a\0b"), PIECE("\xff\xfe"), PIECE("\xc3"),
                                          PIECE("\\\0\\")};
#define RAW_PIECES (sizeof raw_pieces / sizeof raw_pieces[0])

/* ---- The ends of every type of numbers ------------------------------------------------------- */

static const struct tern_column edge_columns[] = {
    {"n", TERN_I32, TERN_KEY},   {"i8", TERN_I8, 0},  {"i16", TERN_I16, 0},       {"i32", TERN_I32, 0},
    {"i64", TERN_I64, 0},        {"u8", TERN_U8, 0},  {"u16", TERN_U16, 0},       {"u32", TERN_U32, 0},
    {"u64", TERN_U64, 0},        {"b", TERN_BOOL, 0}, {"d0", TERN_DECIMAL(0), 0}, {"d2", TERN_DECIMAL(2), 0},
    {"d18", TERN_DECIMAL(18), 0}};
static const struct tern_table edges = TERN_TABLE("edges", TERN_MERGE, edge_columns);

#define EDGES 3u

static const struct {
    int64_t numbers[13];
    const char *text; /* of the columns behind n, by commas */
} edge_rows[EDGES] = {
    {{1, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN, 0, 0, 0, 0, 0, INT64_MIN, INT64_MIN, INT64_MIN},
     "-128,-32768,-2147483648,-9223372036854775808,0,0,0,0,0,-9223372036854775808,-92233720368547758.08,"
     "-9.223372036854775808"},
    {{2, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX, UINT8_MAX, UINT16_MAX, UINT32_MAX, -1, 1, INT64_MAX,
      INT64_MAX, INT64_MAX},
     "127,32767,2147483647,9223372036854775807,255,65535,4294967295,18446744073709551615,1,"
     "9223372036854775807,"
     "92233720368547758.07,9.223372036854775807"},
    {{3, -1, -1, -1, -1, 1, 1, 1, INT64_MIN, 1, -1, 1234567890123457, 1234567890123456789},
     "-1,-1,-1,-1,1,1,1,9223372036854775808,1,-1,12345678901234.57,1.234567890123456789"}};

/* The row's values, one a column. */
static inline void edge_values(unsigned row, struct tern_value values[13])
{
    for (unsigned i = 0; i < 13; i++)
        values[i] = tern_int(edge_rows[row].numbers[i]);
}

#endif
