/* SPDX-License-Identifier: MIT */
/* tern_port_check() finds each lie that a port may tell, and none in a port that tells none. */
#include "../../port/port_check.h"
#include "../test.h"

#include <string.h>

enum lie {
    NO_LIE,
    ERASES_NOTHING,
    ERASES_HALF,
    ERASES_TWO,
    ERASE_STAYS_BUSY,
    ERASE_IS_AN_ERROR,
    READS_STATUS_WHILE_BUSY,
    PROGRAMS_NOTHING_WHILE_BUSY,
    PROGRAMS_NOTHING,
    PROGRAMS_WIDER_UNITS,
    WRAPS_AT_PAGE,
    DROPS_ADDRESS_LINE,
    PROGRAM_IS_AN_ERROR,
    ROUNDS_SOURCE_DOWN,
    READS_PAST,
    READS_WORDS,
    READ_IS_AN_ERROR,
    STANDS_STILL,
    RUNS_BACK,
    WRAPS_AT_16_BITS,
    SAME_RANDOM,
    TAKES_MORE_THAN_GIVEN,
    TAKES_MORE_THAN_SAID,
    LOSES_A_BYTE,
    GIVES_MORE_THAN_ASKED,
    WRITES_PAST_WHAT_IT_GIVES,
    NEW_SESSION_EACH_TIME
};

enum { RING = 16384 };

static struct {
    enum lie lie;
    uint8_t cells[RING];
    uint32_t sector, unit, busy;
    uint32_t now, drawn, sessions;
    uint8_t wire[2048];
    uint32_t head, tail;
    bool loop;
    uint32_t pause, heard; /* milliseconds that a byte takes; when the last one came */
} device;

/* ---- A port ---------------------------------------------------------------------------------- */

static int read_cells(void *context, uint32_t address, void *data, uint32_t size)
{
    (void)context;
    CHECK(size != 0 && address + size <= RING);
    if (device.lie == READ_IS_AN_ERROR)
        return -5;
    if (device.lie == READS_WORDS && (address & 3u) != 0)
        address &= ~3u;
    memcpy(data, device.cells + address, size);
    if (device.lie == READS_STATUS_WHILE_BUSY && device.busy % 3 != 0)
        memset(data, 0x80, size);
    if (device.lie == READS_PAST && (size & 3u) != 0)
        memset((uint8_t *)data + size, 0, 4 - (size & 3u));
    return 0;
}

static int program_cells(void *context, uint32_t address, const void *data, uint32_t size)
{
    const uint8_t *from = data;
    (void)context;
    CHECK((address & (device.unit - 1)) == 0 && (size & (device.unit - 1)) == 0 && size != 0);
    CHECK((address & (device.sector - 1)) + size <= device.sector);
    if (device.lie == PROGRAM_IS_AN_ERROR)
        return -5;
    if (device.lie == PROGRAMS_NOTHING_WHILE_BUSY && device.busy % 3 != 0)
        return 0;
    if (device.lie == ROUNDS_SOURCE_DOWN)
        from = (const uint8_t *)((uintptr_t)from & ~(uintptr_t)3);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t at = address + i;
        if (device.lie == WRAPS_AT_PAGE)
            at = (address & ~255u) | (at & 255u);
        if (device.lie == DROPS_ADDRESS_LINE)
            at &= ~4096u;
        if (device.lie != PROGRAMS_NOTHING)
            device.cells[at] &= from[i];
    }
    if (device.lie == PROGRAMS_WIDER_UNITS && (address + size) % 8 != 0)
        memset(device.cells + address + size, 0, 8 - (address + size) % 8);
    return 0;
}

static int erase_cells(void *context, uint32_t address)
{
    (void)context;
    CHECK((address & (device.sector - 1)) == 0 && address < RING);
    if (device.lie == ERASE_IS_AN_ERROR)
        return -5;
    if (device.lie == ERASE_STAYS_BUSY || ++device.busy % 3 != 0)
        return TERN_AGAIN;
    uint32_t size = device.lie == ERASES_HALF ? device.sector / 2 : device.sector;
    if (device.lie == ERASES_TWO && address + 2 * size <= RING)
        size *= 2;
    if (device.lie != ERASES_NOTHING)
        memset(device.cells + address, 0xFF, size);
    return 0;
}

static uint32_t milliseconds(void *context)
{
    (void)context;
    device.now++;
    if (device.lie == STANDS_STILL)
        return 7;
    if (device.lie == WRAPS_AT_16_BITS)
        return (0xFFC0u + device.now / 3) & 0xFFFFu;
    if (device.lie == RUNS_BACK && device.now % 100 == 0)
        return device.now / 3 - 2;
    return 0xFFFFFFF0u + device.now / 3; /* a true one may wrap at 2^32 */
}

static uint32_t random_bits(void *context)
{
    (void)context;
    return device.lie == SAME_RANDOM ? 4 : ++device.drawn * 2654435761u;
}

static uint32_t session(void *context)
{
    (void)context;
    return device.lie == NEW_SESSION_EACH_TIME ? ++device.sessions : 1;
}

static int32_t send_bytes(void *context, const uint8_t *data, uint32_t size)
{
    uint32_t taken = size < 5 ? size : 5;
    (void)context;
    if (device.lie == TAKES_MORE_THAN_GIVEN)
        return (int32_t)size + 1;
    uint32_t kept = device.lie == TAKES_MORE_THAN_SAID ? size : taken;
    for (uint32_t i = 0; i < kept && device.loop && device.head < sizeof(device.wire); i++)
        if (device.lie != LOSES_A_BYTE || device.now % 50 != 0 || i != 1)
            device.wire[device.head++] = data[i];
    return (int32_t)taken;
}

static int32_t receive_bytes(void *context, uint8_t *data, uint32_t size)
{
    uint32_t given = device.head - device.tail < size ? device.head - device.tail : size;
    (void)context;
    if (device.pause != 0 && given != 0) {
        given = device.now / 3 - device.heard >= device.pause;
        device.heard = given != 0 ? device.now / 3 : device.heard;
    }
    if (device.lie == GIVES_MORE_THAN_ASKED)
        return (int32_t)size + 3;
    memcpy(data, device.wire + device.tail, given);
    device.tail += given;
    if (device.lie == WRITES_PAST_WHAT_IT_GIVES)
        data[given] = 0;
    return (int32_t)given;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static struct tern_port_report report;
static uint32_t pause; /* for struct device */

static enum tern_port_fault examine(enum lie lie, uint8_t unit, uint32_t sector, bool loop)
{
    const struct tern_flash flash = {NULL,   read_cells,    program_cells, erase_cells,
                                     sector, RING / sector, unit,          0};
    const struct tern_link link = {NULL, session, send_bytes, receive_bytes, 0};
    const struct tern_clock clock = {NULL, milliseconds, random_bits};
    memset(&device, 0, sizeof(device));
    for (uint32_t i = 0; i < RING; i++)
        device.cells[i] = (uint8_t)(i * 7);
    device.lie = lie;
    device.unit = unit;
    device.sector = sector;
    device.loop = loop;
    device.pause = pause;
    return tern_port_check(&flash, &link, &clock, &report);
}

static enum tern_port_fault found(enum lie lie)
{
    enum tern_port_fault fault = examine(lie, 4, 1024, true);
    CHECK(strcmp(tern_port_fault_text(fault), tern_port_fault_text(TERN_PORT_GOOD)) != 0);
    return fault;
}

static void a_true_port_passes_whatever_its_units_and_sectors(void)
{
    for (unsigned unit = 1; unit <= 32; unit *= 2)
        for (uint32_t sector = 128; sector <= 8192; sector *= 2) {
            CHECK_EQ(examine(NO_LIE, (uint8_t)unit, sector, true), TERN_PORT_GOOD);
            CHECK_EQ(report.looped, 512);
            CHECK(report.spent > 0);
            for (uint32_t i = 0; i < RING; i++)
                CHECK_EQ(device.cells[i], 0xFF);
        }
}

static void without_a_loop_the_link_passes_and_the_report_says_so(void)
{
    CHECK_EQ(examine(NO_LIE, 4, 1024, false), TERN_PORT_GOOD);
    CHECK_EQ(report.looped, 0);
}

static void a_slow_link_has_time_to_bring_all_of_it(void)
{
    pause = 8; /* 1,200 baud */
    CHECK_EQ(examine(NO_LIE, 4, 1024, true), TERN_PORT_GOOD);
    CHECK_EQ(report.looped, 512);
    CHECK_EQ(found(LOSES_A_BYTE), TERN_PORT_LINK_DIFFERS);
    pause = 0;
}

static void an_impossible_geometry_is_found(void)
{
    CHECK_EQ(examine(NO_LIE, 3, 1024, true), TERN_PORT_GEOMETRY);
    CHECK_EQ(examine(NO_LIE, 64, 1024, true), TERN_PORT_GEOMETRY);
    CHECK_EQ(examine(NO_LIE, 1, 64, true), TERN_PORT_GEOMETRY);
    CHECK_EQ(examine(NO_LIE, 1, RING, true), TERN_PORT_GEOMETRY); /* one sector */
}

static void an_erase_that_lies_is_found(void)
{
    CHECK_EQ(found(ERASES_NOTHING), TERN_PORT_ERASE_LEAVES_BITS);
    CHECK_EQ(found(ERASES_HALF), TERN_PORT_ERASE_LEAVES_BITS);
    CHECK_EQ(report.address, 512);
    CHECK_EQ(found(ERASES_TWO), TERN_PORT_ERASE_ELSEWHERE);
    CHECK_EQ(found(ERASE_STAYS_BUSY), TERN_PORT_ERASE_NEVER_ENDS);
    CHECK_EQ(found(ERASE_IS_AN_ERROR), TERN_PORT_ERASE_FAILS);
    CHECK_EQ(found(READS_STATUS_WHILE_BUSY), TERN_PORT_ERASE_BLOCKS);
    CHECK_EQ(found(PROGRAMS_NOTHING_WHILE_BUSY), TERN_PORT_ERASE_BLOCKS);
}

static void a_program_that_lies_is_found(void)
{
    CHECK_EQ(found(PROGRAMS_NOTHING), TERN_PORT_PROGRAM_DIFFERS);
    CHECK_EQ(found(PROGRAMS_WIDER_UNITS), TERN_PORT_PROGRAM_ELSEWHERE);
    CHECK_EQ(found(WRAPS_AT_PAGE), TERN_PORT_PROGRAM_DIFFERS);
    CHECK_EQ(found(DROPS_ADDRESS_LINE), TERN_PORT_PROGRAM_DIFFERS);
    CHECK_EQ(found(PROGRAM_IS_AN_ERROR), TERN_PORT_PROGRAM_FAILS);
    CHECK_EQ(found(ROUNDS_SOURCE_DOWN), TERN_PORT_PROGRAM_DIFFERS);
}

static void a_read_that_lies_is_found(void)
{
    CHECK_EQ(found(READS_PAST), TERN_PORT_READ_PAST);
    CHECK_EQ(found(READS_WORDS), TERN_PORT_READ_DIFFERS);
    CHECK_EQ(found(READ_IS_AN_ERROR), TERN_PORT_READ_FAILS);
}

static void a_clock_that_lies_is_found(void)
{
    CHECK_EQ(found(STANDS_STILL), TERN_PORT_CLOCK_STANDS_STILL);
    CHECK_EQ(found(RUNS_BACK), TERN_PORT_CLOCK_RUNS_BACK);
    CHECK_EQ(found(WRAPS_AT_16_BITS), TERN_PORT_CLOCK_RUNS_BACK);
    CHECK_EQ(found(SAME_RANDOM), TERN_PORT_RANDOM_REPEATS);
}

static void a_link_that_lies_is_found(void)
{
    CHECK_EQ(found(TAKES_MORE_THAN_GIVEN), TERN_PORT_LINK_TAKES_TOO_MUCH);
    CHECK_EQ(found(TAKES_MORE_THAN_SAID), TERN_PORT_LINK_DIFFERS);
    CHECK_EQ(found(LOSES_A_BYTE), TERN_PORT_LINK_DIFFERS);
    CHECK_EQ(found(GIVES_MORE_THAN_ASKED), TERN_PORT_LINK_GIVES_TOO_MUCH);
    CHECK_EQ(found(WRITES_PAST_WHAT_IT_GIVES), TERN_PORT_LINK_WRITES_PAST);
    CHECK_EQ(found(NEW_SESSION_EACH_TIME), TERN_PORT_LINK_SESSION);
}

static void every_fault_has_its_sentence(void)
{
    for (int fault = 0; fault <= TERN_PORT_LINK_DIFFERS; fault++)
        CHECK(strcmp(tern_port_fault_text((enum tern_port_fault)fault), "not a fault's number") != 0);
    CHECK(strcmp(tern_port_fault_text((enum tern_port_fault)99), "not a fault's number") == 0);
}

int main(void)
{
    RUN(a_true_port_passes_whatever_its_units_and_sectors);
    RUN(without_a_loop_the_link_passes_and_the_report_says_so);
    RUN(a_slow_link_has_time_to_bring_all_of_it);
    RUN(an_impossible_geometry_is_found);
    RUN(an_erase_that_lies_is_found);
    RUN(a_program_that_lies_is_found);
    RUN(a_read_that_lies_is_found);
    RUN(a_clock_that_lies_is_found);
    RUN(a_link_that_lies_is_found);
    RUN(every_fault_has_its_sentence);
    return test_report();
}
