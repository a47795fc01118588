/* SPDX-License-Identifier: MIT */
#include "port_check.h"

#include <stdbool.h>

#include "memory.h"

#define SECTOR_MIN  128u
#define SECTOR_MAX  262144u
#define UNIT_MAX    32u
#define PIECE_MAX   96u /* bytes programmed or read at once */
#define GUARD       8u  /* bytes kept around a buffer */
#define GUARD_BYTE  0xA5u
#define TURNS_MAX   20000000u /* of waiting, where there is no clock to measure it */
#define FAR_LOOKS   512u      /* bytes of a sector that are programmed looking at all of it */
#define NEAR        512u
#define ERASE_MS    30000u
#define CLOCK_TURNS 200u
#define LOOP_SIZE   512u
#define SILENCE_MS  500u /* a slow link's bytes come, one by one; none come for so long behind the last */

struct check {
    const struct tern_flash *flash;
    const struct tern_clock *clock;
    struct tern_port_report *report;
    uint32_t unit;
    bool is_between; /* the next TERN_AGAIN of erase() is the time to use sector 0 */
    uint8_t buffer[PIECE_MAX + 2 * GUARD];
};

/* ---- Helpers --------------------------------------------------------------------------------- */

/* What the byte at an address is given: neighbours, sectors and powers of two all differ. */
static uint8_t pattern(uint32_t address)
{
    uint32_t mixed = (address + 1) * 2654435761u;
    return (uint8_t)(mixed >> 24 ^ mixed >> 13);
}

static uint32_t now(const struct check *check)
{
    return check->clock == NULL ? 0 : check->clock->milliseconds(check->clock->context);
}

static enum tern_port_fault fault_at(const struct check *check, uint32_t address, enum tern_port_fault fault)
{
    check->report->address = address;
    return fault;
}

static bool guards_hold(const struct check *check, uint32_t size)
{
    for (uint32_t i = 0; i < GUARD; i++)
        if (check->buffer[i] != GUARD_BYTE || check->buffer[GUARD + size + i] != GUARD_BYTE)
            return false;
    return true;
}

/* Reads into the middle of the buffer, and looks whether the bytes around it are as they were. */
static enum tern_port_fault read(struct check *check, uint32_t address, uint32_t size)
{
    memset(check->buffer, GUARD_BYTE, sizeof(check->buffer));
    if (check->flash->read(check->flash->context, address, check->buffer + GUARD, size) != 0)
        return fault_at(check, address, TERN_PORT_READ_FAILS);
    return guards_hold(check, size) ? TERN_PORT_GOOD : fault_at(check, address, TERN_PORT_READ_PAST);
}

/* Whether the bytes from `address` on are all FF, or all the pattern; `fault` if not. */
static enum tern_port_fault expect(struct check *check, uint32_t address, uint32_t size, bool erased,
                                   uint32_t step, enum tern_port_fault fault)
{
    while (size != 0) {
        uint32_t piece = size < step ? size : step;
        enum tern_port_fault found = read(check, address, piece);
        if (found != TERN_PORT_GOOD)
            return found;
        for (uint32_t i = 0; i < piece; i++)
            if (check->buffer[GUARD + i] != (erased ? 0xFFu : pattern(address + i)))
                return fault_at(check, address + i, fault);
        address += piece;
        size -= piece;
    }
    return TERN_PORT_GOOD;
}

/* ---- Flash ----------------------------------------------------------------------------------- */

static enum tern_port_fault check_geometry(struct check *check)
{
    const struct tern_flash *flash = check->flash;
    uint32_t size = flash->sector_size;
    check->unit = flash->program_unit == 0 ? 1 : flash->program_unit;
    if (check->unit > UNIT_MAX || (check->unit & (check->unit - 1)) != 0 || size < SECTOR_MIN ||
        size > SECTOR_MAX || (size & (check->unit - 1)) != 0 || flash->sector_count < 2)
        return TERN_PORT_GEOMETRY;
    uint32_t ring = 0;
    for (uint32_t i = 0; i < flash->sector_count; i++, ring += size)
        if (ring + size < ring)
            return TERN_PORT_GEOMETRY;
    return TERN_PORT_GOOD;
}

/* Programs the pattern from an odd place in RAM, and looks at it and at what stands around it. */
static enum tern_port_fault program(struct check *check, uint32_t sector, uint32_t offset, uint32_t size,
                                    uint32_t ahead)
{
    uint32_t behind = check->flash->sector_size - offset - size;
    uint32_t address = sector + offset;
    for (uint32_t i = 0; i < size; i++)
        check->buffer[1 + i] = pattern(address + i);
    if (check->flash->program(check->flash->context, address, check->buffer + 1, size) != 0)
        return fault_at(check, address, TERN_PORT_PROGRAM_FAILS);
    enum tern_port_fault fault = expect(check, address, size, false, PIECE_MAX, TERN_PORT_PROGRAM_DIFFERS);
    uint32_t back = offset < PIECE_MAX ? offset : PIECE_MAX;
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, address - back, back, false, PIECE_MAX, TERN_PORT_PROGRAM_ELSEWHERE);
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, address + size, behind < ahead ? behind : ahead, true, PIECE_MAX,
                       TERN_PORT_PROGRAM_ELSEWHERE);
    return fault;
}

/* Sector 0 is erased, and takes its first unit while another is being erased. */
static enum tern_port_fault use_between(struct check *check)
{
    check->is_between = false;
    enum tern_port_fault fault = program(check, 0, 0, check->unit, PIECE_MAX);
    return fault == TERN_PORT_GOOD ? fault : TERN_PORT_ERASE_BLOCKS;
}

static enum tern_port_fault erase(struct check *check, uint32_t sector)
{
    uint32_t begin = now(check);
    for (uint32_t turn = 0; turn < TURNS_MAX && now(check) - begin < ERASE_MS; turn++) {
        int status = check->flash->erase(check->flash->context, sector);
        if (status == 0)
            return expect(check, sector, check->flash->sector_size, true, PIECE_MAX,
                          TERN_PORT_ERASE_LEAVES_BITS);
        if (status != TERN_AGAIN)
            return fault_at(check, sector, TERN_PORT_ERASE_FAILS);
        if (check->is_between && use_between(check) != TERN_PORT_GOOD)
            return TERN_PORT_ERASE_BLOCKS;
    }
    return fault_at(check, sector, TERN_PORT_ERASE_NEVER_ENDS);
}

static enum tern_port_fault erase_all(struct check *check)
{
    enum tern_port_fault fault = TERN_PORT_GOOD;
    uint32_t sector = 0;
    for (uint32_t i = 0; i < check->flash->sector_count && fault == TERN_PORT_GOOD; i++) {
        fault = erase(check, sector);
        sector += check->flash->sector_size;
    }
    return fault;
}

/* Fills a sector with pieces of one unit, two units, and so on, so that they begin and end everywhere in a
 * page. To look at all of a large sector after each of them would take hours: after the first ones only at
 * what follows closely. */
static enum tern_port_fault fill(struct check *check, uint32_t sector)
{
    uint32_t offset = 0;
    uint32_t piece = check->unit;
    enum tern_port_fault fault = TERN_PORT_GOOD;
    while (offset < check->flash->sector_size && fault == TERN_PORT_GOOD) {
        uint32_t left = check->flash->sector_size - offset;
        uint32_t size = piece < left ? piece : left;
        fault = program(check, sector, offset, size, offset < FAR_LOOKS ? SECTOR_MAX : NEAR);
        offset += size;
        piece = piece + check->unit > PIECE_MAX ? check->unit : piece + check->unit;
    }
    return fault;
}

static enum tern_port_fault fill_all(struct check *check)
{
    enum tern_port_fault fault = TERN_PORT_GOOD;
    uint32_t sector = 0;
    for (uint32_t i = 0; i < check->flash->sector_count && fault == TERN_PORT_GOOD; i++) {
        fault = fill(check, sector);
        sector += check->flash->sector_size;
    }
    return fault;
}

/* The first sector is erased, and used while the second one is; the others keep what they hold. */
static enum tern_port_fault check_erases(struct check *check, uint32_t ring)
{
    uint32_t size = check->flash->sector_size;
    enum tern_port_fault fault = erase(check, 0);
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, size, ring - size, false, PIECE_MAX, TERN_PORT_ERASE_ELSEWHERE);
    check->is_between = true;
    if (fault == TERN_PORT_GOOD)
        fault = erase(check, size);
    if (fault == TERN_PORT_GOOD && check->is_between) /* it never said TERN_AGAIN */
        fault = use_between(check);
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, 0, check->unit, false, PIECE_MAX, TERN_PORT_ERASE_ELSEWHERE);
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, check->unit, size - check->unit, true, PIECE_MAX, TERN_PORT_ERASE_ELSEWHERE);
    if (fault == TERN_PORT_GOOD)
        fault = expect(check, 2 * size, ring - 2 * size, false, PIECE_MAX, TERN_PORT_ERASE_ELSEWHERE);
    return fault;
}

static enum tern_port_fault check_flash(struct check *check)
{
    static const uint8_t steps[] = {PIECE_MAX, 1, 7, 33};
    enum tern_port_fault fault = check_geometry(check);
    uint32_t size = check->flash->sector_size;
    if (fault == TERN_PORT_GOOD)
        fault = erase_all(check);
    if (fault == TERN_PORT_GOOD)
        fault = fill_all(check);
    if (fault != TERN_PORT_GOOD)
        return fault;
    uint32_t ring = size * check->flash->sector_count;
    fault = expect(check, 0, ring, false, PIECE_MAX, TERN_PORT_PROGRAM_ELSEWHERE);
    for (uint32_t i = 1; i < sizeof(steps) && fault == TERN_PORT_GOOD; i++)
        fault = expect(check, 0, size, false, steps[i], TERN_PORT_READ_DIFFERS);
    if (fault == TERN_PORT_GOOD)
        fault = check_erases(check, ring);
    return fault != TERN_PORT_GOOD ? fault : erase_all(check);
}

/* ---- Clock ----------------------------------------------------------------------------------- */

static enum tern_port_fault check_clock(const struct check *check)
{
    uint32_t before = now(check);
    uint32_t steps = 0;
    for (uint32_t turn = 0; turn < TURNS_MAX && steps < CLOCK_TURNS; turn++) {
        uint32_t after = now(check);
        if (after - before >= (uint32_t)1 << 31)
            return TERN_PORT_CLOCK_RUNS_BACK;
        steps += after != before;
        before = after;
    }
    if (steps < CLOCK_TURNS)
        return TERN_PORT_CLOCK_STANDS_STILL;
    if (check->clock->random == NULL)
        return TERN_PORT_GOOD;
    uint32_t first = check->clock->random(check->clock->context);
    for (uint32_t i = 0; i < 8; i++)
        if (check->clock->random(check->clock->context) != first)
            return TERN_PORT_GOOD;
    return TERN_PORT_RANDOM_REPEATS;
}

/* ---- Link ------------------------------------------------------------------------------------ */

struct loop {
    uint32_t sent, received;
};

static enum tern_port_fault send_some(struct check *check, const struct tern_link *link, struct loop *loop)
{
    uint32_t size = LOOP_SIZE - loop->sent;
    uint32_t most = link->datagram != 0 ? 32u : 1u + (loop->sent & 63u);
    size = size < most ? size : most;
    if (size == 0)
        return TERN_PORT_GOOD;
    for (uint32_t i = 0; i < size; i++)
        check->buffer[i] = pattern(loop->sent + i);
    int32_t taken = link->send(link->context, check->buffer, size);
    if (taken > (int32_t)size)
        return TERN_PORT_LINK_TAKES_TOO_MUCH;
    loop->sent += taken < 0 ? 0 : (uint32_t)taken;
    return TERN_PORT_GOOD;
}

static enum tern_port_fault receive_some(struct check *check, const struct tern_link *link, struct loop *loop)
{
    uint32_t size = link->datagram != 0 ? PIECE_MAX : 1u + (loop->received & 31u);
    memset(check->buffer, GUARD_BYTE, sizeof(check->buffer));
    int32_t given = link->receive(link->context, check->buffer + GUARD, size);
    if (given > (int32_t)size)
        return TERN_PORT_LINK_GIVES_TOO_MUCH;
    uint32_t got = given < 0 ? 0 : (uint32_t)given;
    if (!guards_hold(check, got))
        return TERN_PORT_LINK_WRITES_PAST;
    for (uint32_t i = 0; i < got; i++, loop->received++)
        if (loop->received >= loop->sent || check->buffer[GUARD + i] != pattern(loop->received))
            return TERN_PORT_LINK_DIFFERS;
    return TERN_PORT_GOOD;
}

static enum tern_port_fault check_link(struct check *check, const struct tern_link *link)
{
    struct loop loop = {0, 0};
    enum tern_port_fault fault = TERN_PORT_GOOD;
    uint32_t session = link->session(link->context);
    uint32_t heard = now(check);
    if (session == 0)
        return TERN_PORT_GOOD; /* not connected: nothing can be said */
    for (uint32_t turn = 0; turn < TURNS_MAX && now(check) - heard < SILENCE_MS && fault == TERN_PORT_GOOD;
         turn++) {
        uint32_t before = loop.received + loop.sent;
        if (link->session(link->context) != session)
            return TERN_PORT_LINK_SESSION;
        fault = send_some(check, link, &loop);
        if (fault == TERN_PORT_GOOD)
            fault = receive_some(check, link, &loop);
        if (loop.received + loop.sent != before)
            heard = now(check);
    }
    check->report->looped = loop.received;
    if (fault == TERN_PORT_GOOD && loop.received != 0 && loop.received != loop.sent)
        return TERN_PORT_LINK_DIFFERS;
    return fault;
}

enum tern_port_fault tern_port_check(const struct tern_flash *flash, const struct tern_link *link,
                                     const struct tern_clock *clock, struct tern_port_report *report)
{
    struct check check = {flash, NULL, report, 1, false, {0}};
    enum tern_port_fault fault = TERN_PORT_GOOD;
    memset(report, 0, sizeof(*report));
    check.clock = clock;
    uint32_t begin = now(&check);
    if (clock != NULL)
        fault = check_clock(&check);
    if (fault == TERN_PORT_GOOD && flash != NULL)
        fault = check_flash(&check);
    if (fault == TERN_PORT_GOOD && link != NULL)
        fault = check_link(&check, link);
    report->spent = now(&check) - begin;
    return fault;
}

const char *tern_port_fault_text(enum tern_port_fault fault)
{
    static const char *const texts[] = {
        "the port does what it says",
        "sector_size, sector_count or program_unit are not allowed: see struct tern_flash",
        "erase() returns an error: is the flash unlocked, the address right?",
        "erase() goes on saying TERN_AGAIN: is the busy bit the right one?",
        "a sector is not all FF after its erase: is sector_size the chip's?",
        "erasing a sector changes another: is sector_size the chip's?",
        "while erase() says TERN_AGAIN, read() and program() of other sectors fail: let them wait",
        "program() returns an error: is program_unit the chip's, is the flash unlocked?",
        "what was programmed does not read back: program_unit, page borders, byte order?",
        "programming changes other bytes: program_unit, page borders, address lines?",
        "read() returns an error",
        "reading in other pieces gives other bytes: does read() take any address and size?",
        "read() writes outside its buffer: does it round the size up?",
        "milliseconds() does not rise: does the timer run, do its interrupts come?",
        "milliseconds() falls: it must count up to 2^32 - 1, whatever the timer's width",
        "random() repeats: nonces need 32 bits that differ",
        "session() changes: it says the same as long as the connection lasts",
        "send() says that it took more than it was given",
        "receive() says that it gave more than was asked for",
        "receive() writes behind the bytes that it gave",
        "what comes back is not what send() said it took: bytes lost, doubled or changed",
    };
    return (unsigned)fault < sizeof(texts) / sizeof(texts[0]) ? texts[fault] : "not a fault's number";
}
