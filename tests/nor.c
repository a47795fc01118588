/* SPDX-License-Identifier: MIT */
#include "nor.h"

#include <stdlib.h>
#include <string.h>

enum { ERASED, PROGRAMMED, TORN };

static uint32_t draw(struct nor *nor)
{
    uint64_t z = (nor->random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static void violate(struct nor *nor, const char *what)
{
    if (nor->violations++ == 0)
        nor->violation = what;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool planned(struct nor *nor, enum nor_operation operation)
{
    uint32_t count = ++nor->counts[operation];
    uint32_t from = nor->fail_at[operation];
    return from != 0 && count >= from && count - from < nor->fail_count;
}

static int nor_read(void *context, uint32_t address, void *data, uint32_t size)
{
    struct nor *nor = context;
    bool fails = planned(nor, NOR_READ);
    nor->bytes[NOR_READ] += size;
    if (nor->off)
        return -1;
    if (address > nor->size || size > nor->size - address) {
        violate(nor, "read outside the flash");
        return -1;
    }
    if (fails)
        return -1;
    if (nor->ecc)
        for (uint32_t unit = address / nor->unit; unit * nor->unit < address + size; unit++)
            if (nor->states[unit] == TORN)
                return -1;
    memcpy(data, nor->cells + address, size);
    return 0;
}

/* ---- Changing -------------------------------------------------------------------------------- */

/* One bit mask of what a cut operation has done to byte `i` of `size`. */
static uint8_t torn_mask(struct nor *nor, uint32_t i)
{
    if (nor->tear == NOR_PREFIX)
        return i < nor->extent ? 0xFF : 0;
    if (nor->tear == NOR_SUFFIX)
        return i >= nor->extent ? 0xFF : 0;
    if (nor->tear == NOR_RANDOM)
        return (uint8_t)draw(nor);
    return nor->tear == NOR_FADING ? 0xFF : 0;
}

static void change(struct nor *nor, uint32_t address, const uint8_t *data, uint32_t size, bool cut)
{
    for (uint32_t i = 0; i < size; i++) {
        uint8_t *cell = &nor->cells[address + i];
        uint8_t mask = cut ? torn_mask(nor, i) : 0xFF;
        uint8_t target = data == NULL ? 0xFF : data[i] & *cell;
        uint8_t moving = (uint8_t)(*cell ^ target);
        uint8_t *weak = &nor->weak[address + i];
        /* A programmed zero is firm whatever the cell was before; a one over a weak bit leaves it weak. */
        *weak = data == NULL ? 0 : (uint8_t)(*weak & data[i]);
        if (cut && (nor->tear == NOR_FADING || nor->tear == NOR_RISING))
            *weak |= moving;
        *cell = (uint8_t)((*cell & ~mask) | (target & mask));
    }
}

static void set_states(struct nor *nor, uint32_t address, uint32_t size, bool is_erase, bool cut)
{
    for (uint32_t at = 0; at < size; at += nor->unit) {
        uint8_t *state = &nor->states[(address + at) / nor->unit];
        bool before = cut && nor->tear == NOR_PREFIX && at + nor->unit <= nor->extent;
        bool behind = cut && nor->tear == NOR_PREFIX && at >= nor->extent;
        if (behind && !is_erase)
            continue;
        *state = cut && !before ? TORN : is_erase ? ERASED : PROGRAMMED;
    }
}

static bool all_are(const uint8_t *data, uint32_t size, uint8_t byte)
{
    for (uint32_t i = 0; i < size; i++)
        if (data[i] != byte)
            return false;
    return true;
}

/* A unit is programmed once. Only zeros, over one that reads as erased after a torn attempt, may go there
 * again. */
static void check_units(struct nor *nor, uint32_t address, const uint8_t *data, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += nor->unit) {
        uint32_t unit = (address + at) / nor->unit;
        bool torn = nor->states[unit] == TORN;
        if (nor->states[unit] == ERASED || (torn && all_are(data + at, nor->unit, 0)))
            continue;
        violate(nor, torn ? "a torn unit was programmed" : "a unit was programmed twice");
    }
}

/* Counts a change; whether the power goes in it. */
static bool is_cut(struct nor *nor, uint32_t size)
{
    if (++nor->changes != nor->cut_at)
        return false;
    nor->last_size = size;
    nor->off = true;
    return true;
}

static bool is_bad(const struct nor *nor, uint32_t address)
{
    return nor->bad_sector != 0 && address / nor->flash.sector_size == nor->bad_sector - 1;
}

static int nor_program(void *context, uint32_t address, const void *data, uint32_t size)
{
    struct nor *nor = context;
    uint32_t sector = nor->flash.sector_size;
    if (nor->off)
        return -1;
    bool fails = planned(nor, NOR_PROGRAM) || is_bad(nor, address);
    nor->bytes[NOR_PROGRAM] += size;
    if (size == 0 || size > sector || address >= nor->size || address % nor->unit != 0 ||
        size % nor->unit != 0 || address / sector != (address + size - 1) / sector) {
        violate(nor, "a program of this address and size is not allowed");
        return -1;
    }
    if (!fails || nor->fault != NOR_NOTHING)
        check_units(nor, address, data, size);
    bool cut = is_cut(nor, size);
    if (fails && !cut) {
        if (nor->fault == NOR_HALF) {
            change(nor, address, data, size / 2, false);
            set_states(nor, address, size / 2 / nor->unit * nor->unit, false, false);
            if (size / 2 % nor->unit != 0)
                nor->states[(address + size / 2) / nor->unit] = TORN;
        }
        return nor->fault == NOR_ERROR ? -1 : 0;
    }
    change(nor, address, data, size, cut);
    set_states(nor, address, size, false, cut);
    return cut ? -1 : 0;
}

/* Where a cut erase has left what reads as erased, nobody can tell that the next one did nothing and said
 * that it did. */
static void forgive(struct nor *nor, uint32_t address)
{
    for (uint32_t at = address; at < address + nor->flash.sector_size; at += nor->unit)
        if (nor->states[at / nor->unit] == TORN && all_are(nor->cells + at, nor->unit, 0xFF))
            nor->states[at / nor->unit] = ERASED;
}

static int nor_erase(void *context, uint32_t address)
{
    struct nor *nor = context;
    uint32_t sector = nor->flash.sector_size;
    if (nor->off)
        return -1;
    if (nor->waiting != 0) {
        nor->waiting--;
        return TERN_AGAIN;
    }
    nor->waiting = nor->busy;
    bool fails = planned(nor, NOR_ERASE) || is_bad(nor, address);
    nor->bytes[NOR_ERASE] += sector;
    if (address >= nor->size || address % sector != 0) {
        violate(nor, "an erase of this address is not allowed");
        return -1;
    }
    nor->erases[address / sector]++;
    bool cut = is_cut(nor, sector);
    if (fails && !cut) {
        if (nor->fault == NOR_HALF) {
            change(nor, address, NULL, sector / 2, false);
            set_states(nor, address, sector / 2, true, false);
        }
        if (nor->fault != NOR_ERROR)
            forgive(nor, address);
        return nor->fault == NOR_ERROR ? -1 : 0;
    }
    change(nor, address, NULL, sector, cut);
    set_states(nor, address, sector, true, cut);
    return cut ? -1 : 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void nor_open(struct nor *nor, uint32_t sector_size, uint32_t sectors, uint8_t unit)
{
    memset(nor, 0, sizeof(*nor));
    nor->unit = unit;
    nor->size = sector_size * sectors;
    nor->units = nor->size / unit;
    nor->cells = malloc(nor->size);
    nor->weak = calloc(nor->size, 1);
    nor->states = calloc(nor->units, 1);
    nor->erases = calloc(sectors, sizeof(*nor->erases));
    memset(nor->cells, 0xFF, nor->size);
    nor->flash.context = nor;
    nor->flash.read = nor_read;
    nor->flash.program = nor_program;
    nor->flash.erase = nor_erase;
    nor->flash.sector_size = sector_size;
    nor->flash.sector_count = sectors;
    nor->flash.program_unit = unit;
}

void nor_close(struct nor *nor)
{
    free(nor->cells);
    free(nor->weak);
    free(nor->states);
    free(nor->erases);
}

void nor_start(struct nor *nor)
{
    nor->off = false;
    nor->cut_at = 0;
    memset(nor->fail_at, 0, sizeof(nor->fail_at));
    nor->bad_sector = 0;
    nor->waiting = nor->busy;
    nor->changes = 0;
    memset(nor->counts, 0, sizeof(nor->counts));
    memset(nor->bytes, 0, sizeof(nor->bytes));
}

void nor_age(struct nor *nor)
{
    for (uint32_t i = 0; i < nor->size; i++) {
        uint8_t weak = nor->weak[i];
        if (weak == 0)
            continue;
        /* Charge leaks one way: what reads as programmed ends as erased, what reads as erased may end as
         * either. */
        nor->cells[i] = (uint8_t)(nor->cells[i] ^ (weak & (~nor->cells[i] | draw(nor))));
        nor->weak[i] = 0;
    }
}

void nor_copy(struct nor *to, const struct nor *from)
{
    uint8_t *cells = to->cells, *weak = to->weak, *states = to->states;
    uint32_t *erases = to->erases;
    *to = *from;
    to->cells = cells;
    to->weak = weak;
    to->states = states;
    to->erases = erases;
    to->flash.context = to;
    memcpy(cells, from->cells, from->size);
    memcpy(weak, from->weak, from->size);
    memcpy(states, from->states, from->units);
    memcpy(erases, from->erases, from->flash.sector_count * sizeof(*erases));
}
