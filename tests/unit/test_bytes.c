/* SPDX-License-Identifier: MIT */
#include "../test.h"

#include <string.h>

#include "../../core/bytes.h"
#include "../../core/crc32c.h"

/* The core's small CRC under another name, beside the host's fast one. */
#define tern_crc32c small_crc32c
#include "../../core/crc32c.c"
#undef tern_crc32c

static void loads_undo_stores(void)
{
    uint8_t bytes[9];
    tern_store16(bytes + 1, 0xBEEF);
    CHECK_EQ(tern_load16(bytes + 1), 0xBEEF);
    tern_store32(bytes + 1, 0x89ABCDEF);
    CHECK_EQ(tern_load32(bytes + 1), 0x89ABCDEF);
    tern_store64(bytes + 1, 0xFEDCBA9876543210u);
    CHECK(tern_load64(bytes + 1) == 0xFEDCBA9876543210u);
    CHECK(memcmp(bytes + 1, "\x10\x32\x54\x76\x98\xBA\xDC\xFE", 8) == 0);
}

static void varints_come_back(void)
{
    static const uint32_t values[] = {0, 1, 127, 128, 300, 16383, 16384, 0x0FFFFFFF, 0x10000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t bytes[TERN_VARINT32_MAX];
        size_t size = tern_store_varint(bytes, values[i]);
        struct tern_input input = {bytes, size, false};
        CHECK_EQ(tern_read_varint(&input), values[i]);
        CHECK(!input.failed && input.size == 0);
        struct tern_input wide = {bytes, size, false};
        CHECK(tern_read_varint64(&wide) == values[i] && !wide.failed);
        for (size_t cut = 0; cut < size; cut++) {
            struct tern_input less = {bytes, cut, false};
            CHECK(tern_read_varint(&less) == 0 && less.failed);
        }
    }
}

static bool varint_is_refused(const char *bytes, size_t size, bool wide)
{
    struct tern_input input = {(const uint8_t *)bytes, size, false};
    if (wide)
        tern_read_varint64(&input);
    else
        tern_read_varint(&input);
    return input.failed;
}

static void a_varint_has_one_spelling(void)
{
    CHECK(varint_is_refused("\x80\x00", 2, false));
    CHECK(varint_is_refused("\xFF\x80\x00", 3, false));
    CHECK(varint_is_refused("\x80\x80\x80\x80\x10", 5, false));
    CHECK(varint_is_refused("\xFF\xFF\xFF\xFF\xFF\x01", 6, false));
    CHECK(!varint_is_refused("\xFF\xFF\xFF\xFF\x0F", 5, false));
    CHECK(varint_is_refused("\x80\x00", 2, true));
    CHECK(varint_is_refused("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10, true));
    CHECK(!varint_is_refused("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10, true));
}

static void sixty_four_bit_varints_come_back(void)
{
    static const uint64_t values[] = {0, 127, 128, UINT32_MAX, UINT64_C(1) << 35, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t bytes[TERN_VARINT64_MAX];
        struct tern_output output = {bytes, 0, sizeof(bytes), false};
        tern_write_varint64(&output, values[i]);
        struct tern_input input = {bytes, output.size, false};
        CHECK(tern_read_varint64(&input) == values[i] && !input.failed && input.size == 0);
        for (size_t cut = 0; cut < output.size; cut++) {
            struct tern_input less = {bytes, cut, false};
            CHECK(tern_read_varint64(&less) == 0 && less.failed);
        }
    }
}

static void reading_past_the_end_fails_and_stays_failed(void)
{
    const uint8_t bytes[7] = {1, 2, 3, 4, 5, 6, 7};
    struct tern_input input = {bytes, sizeof(bytes), false};
    CHECK_EQ(tern_read32(&input), 0x04030201);
    CHECK(tern_read64(&input) == 0 && input.failed);
    CHECK(tern_read8(&input) == 0 && tern_read16(&input) == 0 && tern_read_bytes(&input, 0) == NULL);
}

/* A value of which the last byte is missing is not read in part. */
static void each_width_is_read_whole_or_not_at_all(void)
{
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        struct tern_input of8 = {bytes, size, false}, of16 = of8, of32 = of8, of64 = of8;
        CHECK_EQ(tern_read8(&of8), size < 1 ? 0 : 1);
        CHECK_EQ(tern_read16(&of16), size < 2 ? 0 : 0x0201);
        CHECK_EQ(tern_read32(&of32), size < 4 ? 0 : 0x04030201);
        CHECK(tern_read64(&of64) == (size < 8 ? 0 : 0x0807060504030201u));
        CHECK(of8.failed == (size < 1) && of16.failed == (size < 2) && of32.failed == (size < 4) &&
              of64.failed == (size < 8));
        CHECK(of16.size == (size < 2 ? size : size - 2) && of16.data == bytes + (size < 2 ? 0 : 2));
    }
}

static void each_width_is_written_whole_or_not_at_all(void)
{
    for (size_t capacity = 0; capacity <= 8; capacity++) {
        uint8_t bytes[9] = {0};
        struct tern_output output = {bytes, 0, capacity, false};
        tern_write64(&output, 0x0807060504030201u);
        CHECK(output.failed == (capacity < 8) && output.size == (capacity < 8 ? 0 : 8));
        CHECK(memcmp(bytes, capacity < 8 ? "\0\0\0\0\0\0\0\0" : "\1\2\3\4\5\6\7\10", 8) == 0 &&
              bytes[8] == 0);
        memset(bytes, 0, sizeof(bytes));
        output = (struct tern_output){bytes, 0, capacity, false};
        tern_write32(&output, 0x04030201);
        CHECK(output.failed == (capacity < 4) && output.size == (capacity < 4 ? 0 : 4));
        CHECK(memcmp(bytes, capacity < 4 ? "\0\0\0\0" : "\1\2\3\4", 4) == 0);
    }
}

static void varints_are_written_as_they_are_stored(void)
{
    static const uint32_t values[] = {0, 127, 128, 16383, 16384, 0x10000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        uint8_t stored[TERN_VARINT32_MAX], written[TERN_VARINT32_MAX];
        size_t size = tern_store_varint(stored, values[i]);
        struct tern_output output = {written, 0, size, false};
        tern_write_varint(&output, values[i]);
        CHECK(!output.failed && output.size == size && memcmp(stored, written, size) == 0);
        output = (struct tern_output){written, 0, size - 1, false};
        tern_write_varint(&output, values[i]);
        CHECK(output.failed);
    }
}

static void writing_past_the_end_writes_nothing(void)
{
    uint8_t bytes[6] = {0, 0, 0, 0, 0, 0xAA};
    struct tern_output output = {bytes, 0, 5, false};
    tern_write16(&output, 0x0201);
    tern_write8(&output, 3);
    tern_write32(&output, 0xFFFFFFFF);
    CHECK(output.failed && output.size == 3 && memcmp(bytes, "\1\2\3", 3) == 0);
    tern_write8(&output, 9);
    CHECK(output.size == 3 && bytes[3] == 0 && bytes[5] == 0xAA);
}

/* RFC 3720, appendix B.4, and the usual check word. */
static void crc_agrees_with_published_values(void)
{
    uint8_t block[32];
    CHECK_EQ(small_crc32c(0, "123456789", 9), 0xE3069283);
    memset(block, 0, sizeof(block));
    CHECK_EQ(small_crc32c(0, block, 32), 0x8A9136AA);
    memset(block, 0xFF, sizeof(block));
    CHECK_EQ(small_crc32c(0, block, 32), 0x62A8AB43);
    for (uint8_t i = 0; i < 32; i++)
        block[i] = i;
    CHECK_EQ(small_crc32c(0, block, 32), 0x46DD794E);
}

static void the_fast_crc_equals_the_small_one(void)
{
    uint8_t bytes[300];
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)test_random(&state);
    for (size_t start = 0; start < 9; start++)
        for (size_t size = 0; start + size <= sizeof(bytes); size++)
            if (!CHECK_EQ(tern_crc32c(7, bytes + start, size), small_crc32c(7, bytes + start, size)))
                return;
}

static void crc_goes_on_from_piece_to_piece(void)
{
    CHECK_EQ(tern_crc32c(tern_crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
    CHECK_EQ(small_crc32c(small_crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

int main(void)
{
    RUN(loads_undo_stores);
    RUN(varints_come_back);
    RUN(a_varint_has_one_spelling);
    RUN(sixty_four_bit_varints_come_back);
    RUN(reading_past_the_end_fails_and_stays_failed);
    RUN(each_width_is_read_whole_or_not_at_all);
    RUN(each_width_is_written_whole_or_not_at_all);
    RUN(varints_are_written_as_they_are_stored);
    RUN(writing_past_the_end_writes_nothing);
    RUN(crc_agrees_with_published_values);
    RUN(the_fast_crc_equals_the_small_one);
    RUN(crc_goes_on_from_piece_to_piece);
    return test_report();
}
