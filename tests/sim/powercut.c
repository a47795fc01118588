/* SPDX-License-Identifier: MIT */
/* Power cuts: every operation of a life, cut at every byte and in every way, and after each the log is
 * mounted and compared with what it must hold. Prints how many distinct torn states were seen, how often each
 * way of recovering was taken, and what went wrong. `powercut [seconds]` stops opening new lives after so
 * many seconds (default 240). `powercut quick` takes some of the cuts alone: for coverage, under valgrind and
 * while something is being changed. Without either, fewer than a million states are a failure. A second
 * number is the one life to go through. */
#define _DEFAULT_SOURCE

#include "../log_rig.h"

#include "../../core/log_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- Counting -------------------------------------------------------------------------------- */

enum branch {
    EMPTY_LOG,
    TAIL_CLEAN,
    TAIL_DIRTY,
    TAIL_AT_END,
    UNCOMMITTED_VOID,
    COMMIT_KEPT,
    COMMIT_LOST,
    HEAD_SINGLE,
    MARK_GONE,
    SCHEMA_UNPROVEN,
    NOTE_UNPROVEN,
    READY_FOUND,
    READY_TORN,
    READY_REJECTED,
    UNIT_BURNT,
    WENT_ROUND_DAMAGE,
    ACK_FOUND,
    EPOCH_OLD,
    EPOCH_NEW,
    OLD_SECTOR_BACK,
    UNIT_UNREADABLE,
    MOVED_AFTER_FAILURE,
    SECTOR_RETIRED,
    ERASE_REPEATED,
    BEGUN_AGAIN,
    HEAD_GONE,
    LOSS_REPORTED,
    BRANCHES
};

static const char *const branch_names[BRANCHES] = {
    "empty_log",         "tail_clean",          "tail_dirty",     "tail_at_end",    "uncommitted_void",
    "commit_kept",       "commit_lost",         "head_single",    "mark_gone",      "schema_unproven",
    "note_unproven",     "ready_found",         "ready_torn",     "ready_rejected", "unit_burnt",
    "went_round_damage", "ack_found",           "epoch_old",      "epoch_new",      "old_sector_back",
    "unit_unreadable",   "moved_after_failure", "sector_retired", "erase_repeated", "begun_again",
    "head_gone",         "loss_reported",
};

struct result {
    uint64_t states; /* distinct */
    uint64_t visits;
    uint64_t violations;
    uint64_t lives_left; /* for which there was no time */
    uint64_t flips;      /* bits that were flipped */
    uint64_t unseen;     /* of them, those that cost more than the newest commit, and were not reported */
    uint64_t branches[BRANCHES];
    char first[300]; /* violation */
};

static struct result result;

#define SEEN_LOG2 23u
static uint64_t *seen;
static uint64_t seen_count;

static bool is_new(uint64_t hash)
{
    uint64_t mask = ((uint64_t)1 << SEEN_LOG2) - 1;
    uint64_t at = hash & mask;
    hash |= 1;
    while (seen[at] != 0 && seen[at] != hash)
        at = (at + 1) & mask;
    if (seen[at] == hash || seen_count > mask / 4 * 3)
        return false;
    seen[at] = hash;
    seen_count++;
    return true;
}

static uint64_t mix(uint64_t hash, const uint8_t *data, uint32_t size)
{
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    for (; size != 0; size--)
        hash = (hash ^ *data++) * 0x100000001B3u;
    return hash;
}

/* ---- A life ---------------------------------------------------------------------------------- */

struct life {
    uint32_t sector_size;
    uint32_t sectors;
    uint8_t unit;
    uint16_t wanted;
    bool ecc;
    bool drop;
    unsigned steps;
    unsigned deep;  /* of them, so many are cut twice */
    uint32_t first; /* sequence to begin with, where it is not 1 */
    bool moves;     /* chunks of many commits are programmed again, behind an epoch's note or for a failure */
};

static const struct life *life;
static bool quick;
static int only_life = -1;
static char story[100]; /* where we are, for a report */

static char details[2][48];

static void violation(const char *what)
{
#ifdef TEST_QUITS
    _exit(1);
#endif
    if (result.violations < 5)
        fprintf(stderr, "%s%s%s: %s\n", story, details[0], details[1], what);
    if (result.violations++ == 0)
        snprintf(result.first, sizeof(result.first), "%s: %s%s: %s", story, details[0], details[1], what);
}

enum action {
    PUT,
    PUT_THREE,
    SPILL,
    BATCH,
    ABORTED,
    SERVICE,
    ACK,
    EPOCH,
    OTHER_TABLE,
    START,
    FAIL,
    EPOCH_AMID
};

#define ACTIONS 28u

static enum action action_of(unsigned step)
{
    static const enum action usual[ACTIONS] = {
        PUT, SERVICE, PUT, PUT_THREE, OTHER_TABLE, SERVICE, BATCH,     PUT,        START, SERVICE,
        PUT, ABORTED, PUT, ACK,       SERVICE,     EPOCH,   PUT,       SERVICE,    SPILL, ABORTED,
        PUT, START,   PUT, SERVICE,   ACK,         SERVICE, PUT_THREE, OTHER_TABLE};
    static const enum action moving[ACTIONS] = {SERVICE, PUT,     PUT,     PUT,     EPOCH, PUT,   PUT,
                                                SERVICE, FAIL,    ACK,     SERVICE, PUT,   PUT,   PUT_THREE,
                                                FAIL,    PUT,     SERVICE, ACK,     PUT,   PUT,   EPOCH_AMID,
                                                PUT,     SERVICE, START,   PUT,     PUT,   EPOCH, PUT};
    return life->moves ? moving[step % ACTIONS] : usual[step % ACTIONS];
}

static void put_rows(struct rig *rig, unsigned rows, unsigned table)
{
    while (rows-- != 0)
        if (rig_put(rig, table) < 0)
            return;
}

/* The second program from here on: of a commit that is a segment's rest. */
static void fail_next(struct nor *nor, unsigned fault)
{
    if (nor->fail_at[NOR_PROGRAM] != 0)
        return;
    nor->fail_at[NOR_PROGRAM] = nor->counts[NOR_PROGRAM] + 2;
    nor->fail_count = 1;
    nor->fault = (enum nor_fault)fault;
}

static void act(struct rig *rig, enum action action)
{
    switch (action) {
    case PUT:
        put_rows(rig, 1, 0);
        break;
    case PUT_THREE:
        put_rows(rig, 3, 0);
        break;
    case OTHER_TABLE:
        put_rows(rig, 1, 1);
        put_rows(rig, 1, 0);
        break;
    case SPILL:
        put_rows(rig, 14, 0);
        break;
    case BATCH:
    case ABORTED:
        (void)rig_commit(rig);
        rig->in_batch = true;
        put_rows(rig, life->first != 0 ? 3 : 12, 0);
        if (action == ABORTED && !rig->nor->off)
            rig_abort(rig);
        break;
    case SERVICE:
        (void)rig_service(rig);
        return;
    case ACK:
        rig_acknowledge(rig, life->first == 0 ? 2 : 0);
        if (life->first != 0)
            rig_close_chunk(rig); /* the next one may begin the count again */
        return;
    case EPOCH:
        (void)rig_set_epoch(rig);
        return;
    case EPOCH_AMID:
        put_rows(rig, 1, 0);
        (void)rig_set_epoch(rig);
        put_rows(rig, 1, 0);
        break;
    case FAIL:
        put_rows(rig, 1, 0);
        fail_next(rig->nor, rig->next % 3);
        break;
    case START:
        (void)rig_mount(rig);
        return;
    }
    if (!rig->nor->off)
        (void)rig_commit(rig);
}

/* What is only seen from outside: how the log got over what it found. */
static void classify_sector(const struct rig *rig, uint32_t sector)
{
    const struct tern_log *log = &rig->log;
    struct tern_log_cursor cursor;
    unsigned counts[256] = {0};
    uint8_t kind, last = ENTRY_END;
    tern_log_look(&cursor, log);
    tern_log_enter(&cursor, sector);
    cursor.limit = sector + life->sector_size;
    cursor.damaged = false;
    while ((kind = tern_log_scan(&cursor)) != ENTRY_END) {
        counts[last = kind]++;
        if (cursor.damaged)
            result.branches[WENT_ROUND_DAMAGE]++;
        cursor.damaged = false;
    }
    bool headed = counts[ENTRY_NOTE] != 0;
    if (headed && counts[ENTRY_MARK] == 0)
        result.branches[MARK_GONE]++;
    if (counts[ENTRY_NOTE] == 1)
        result.branches[HEAD_SINGLE]++;
    if (sector == log->newest) {
        result.branches[HEAD_GONE] += !headed;
        result.branches[SCHEMA_UNPROVEN] += last == ENTRY_SCHEMA;
        result.branches[NOTE_UNPROVEN] += last == ENTRY_NOTE;
        result.branches[cursor.torn != 0 ? TAIL_DIRTY : TAIL_CLEAN]++;
        if (log->write == cursor.limit)
            result.branches[TAIL_AT_END]++;
    }
    if (log->ready_at != 0 && sector == log->ahead)
        result.branches[cursor.at == sector + tern_log_align(log, NOTE_SIZE) ? READY_FOUND : READY_TORN]++;
    else if (!headed && counts[ENTRY_MARK] == 0)
        result.branches[READY_REJECTED]++;
    for (uint32_t unit = sector / life->unit; unit < (sector + life->sector_size) / life->unit; unit++)
        if (life->ecc && rig->nor->states[unit] == 2) {
            result.branches[UNIT_UNREADABLE]++;
            break;
        }
}

static void classify(const struct rig *rig, const struct rig *before)
{
    const struct tern_log *log = &rig->log;
    if (log->newest == TERN_NO_ADDRESS)
        result.branches[EMPTY_LOG]++;
    else
        for (uint32_t sector = 0; sector != log->ring; sector += life->sector_size)
            classify_sector(rig, sector);
    if (log->flags & LOG_NOTE_DUE)
        result.branches[UNCOMMITTED_VOID]++;
    if (log->store != 0)
        result.branches[ACK_FOUND]++;
    if (rig->shift != before->shift)
        result.branches[BEGUN_AGAIN]++;
    if (before->maybe != before->next)
        result.branches[rig->next == before->maybe ? COMMIT_KEPT : COMMIT_LOST]++;
    if (before->epoch_maybe != before->epoch)
        result.branches[rig->epoch == before->epoch_maybe ? EPOCH_NEW : EPOCH_OLD]++;
    if (rig->oldest != 0 && rig->oldest < rig->floor)
        result.branches[OLD_SECTOR_BACK]++;
}

static void verify(struct rig *rig)
{
    if (rig_check(rig, false) && rig->nor->violations == 0)
        return;
    violation(rig->wrong != NULL ? rig->wrong : rig->nor->violation);
    rig->wrong = NULL;
    rig->nor->violations = 0;
}

/* The power comes back. */
static void recover(struct rig *rig, bool count)
{
    static struct rig before;
    before = *rig;
    nor_start(rig->nor);
    if (rig_mount(rig) != TERN_OK)
        violation("the mount failed");
    /* What a fading program wrote may be there, and may not later. */
    if (rig->nor->tear == NOR_FADING && rig->next != before.next) {
        if (rig->excused[1] != before.next)
            rig->excused[0] = before.next;
        rig->excused[1] = rig->next;
    }
    if (rig->nor->changes != 0)
        violation("the mount changed the flash");
    verify(rig);
    if (count)
        classify(rig, &before);
}

/* Life goes on after a recovery. */
static void go_on(struct rig *rig)
{
    (void)rig_service(rig);
    put_rows(rig, 1, 0);
    if (rig_commit(rig) == TERN_OK && (rig->log.flags & LOG_SUSPECT) == 0)
        result.branches[UNIT_BURNT]++;
}

static void age(struct rig *rig)
{
    nor_age(rig->nor);
    nor_start(rig->nor);
    if (rig_mount(rig) != TERN_OK)
        violation("a later mount failed");
    verify(rig);
}

static void live_on(struct rig *rig)
{
    go_on(rig);
    verify(rig);
    age(rig);
    go_on(rig);
    verify(rig);
}

/* ---- Cutting --------------------------------------------------------------------------------- */

#define DEPTHS 3
static struct nor nors[DEPTHS];
static struct rig rigs[DEPTHS];

typedef void doing(struct rig *rig, unsigned what);

static void do_action(struct rig *rig, unsigned what)
{
    act(rig, action_of(what));
}

static void do_recovery(struct rig *rig, unsigned what)
{
    (void)what;
    go_on(rig);
}

static void cut_everywhere(const struct rig *from, doing *what, unsigned step, unsigned depth, unsigned more);

static bool one_cut(const struct rig *from, doing *what, unsigned step, unsigned depth, unsigned more)
{
    struct rig *rig = &rigs[depth];
    struct nor plan = *rig->nor;
    rig_copy(rig, from);
    nor_start(rig->nor);
    static const char *const names[] = {"prefix", "suffix", "random", "fading", "rising"};
    snprintf(details[depth], sizeof(details[depth]), " change %u cut as %s %u", (unsigned)plan.cut_at,
             names[plan.tear], (unsigned)plan.extent);
    if (depth == 0)
        details[1][0] = 0;
    rig->nor->cut_at = plan.cut_at;
    rig->nor->tear = plan.tear;
    rig->nor->extent = plan.extent;
    rig->nor->random = plan.random;
    what(rig, step);
    uint32_t size = rig->nor->last_size;
    bool cut = rig->nor->off;
    if (!cut)
        return false;
    plan.last_size = size;
    uint64_t hash = mix(mix(mix((uint64_t)(life->sector_size * 64 + life->unit) * 2 + life->ecc,
                                rig->nor->cells, rig->nor->size),
                            rig->nor->weak, rig->nor->size),
                        rig->nor->states, life->ecc ? rig->nor->units : 0);
    result.visits++;
    if (is_new(hash)) {
        result.states++;
        recover(rig, true);
        if (more != 0)
            cut_everywhere(rig, do_recovery, step, depth + 1, more - 1);
        live_on(rig);
    }
    rig->nor->last_size = size;
    return true;
}

/* Cuts change number `change` of what is done in every way. Returns whether there is such a change. */
static bool cut_change(const struct rig *from, doing *what, unsigned step, uint32_t change, unsigned depth,
                       unsigned more)
{
    struct nor *nor = &nors[depth];
    uint32_t size = 1;
    bool erases = false;
    for (unsigned tear = NOR_PREFIX; tear <= NOR_RISING; tear++) {
        uint32_t ways = tear <= NOR_SUFFIX ? size : tear == NOR_RANDOM ? 4 : 1;
        for (uint32_t way = 0; way < ways; way++) {
            nor->cut_at = change;
            nor->tear = (enum nor_tear)tear;
            nor->extent = way;
            nor->random = way * 7919u + change;
            if (!one_cut(from, what, step, depth, more))
                return false;
            size = nor->last_size;
            erases = size == life->sector_size;
            ways = tear <= NOR_SUFFIX ? size : ways;
            if (tear <= NOR_SUFFIX && (erases || quick))
                way += erases ? life->sector_size / 32 : size / 3;
        }
    }
    return true;
}

static void cut_everywhere(const struct rig *from, doing *what, unsigned step, unsigned depth, unsigned more)
{
    uint32_t change = 1;
    while (cut_change(from, what, step, change, depth, more))
        change++;
}

static void open_rig(struct rig *rig, struct nor *nor)
{
    nor_open(nor, life->sector_size, life->sectors, life->unit);
    nor->ecc = life->ecc;
    rig_open(rig, nor, life->wanted);
    rig->drop = life->drop;
}

static void first_mount(struct rig *rig)
{
    if (rig_mount(rig) != TERN_OK)
        violation("the first mount failed");
    if (life->first != 0)
        rig_begin_at(rig, life->first);
}

static void shut_rig(struct rig *rig)
{
    nor_close(rig->nor);
    rig_close(rig);
}

static void live(void)
{
    struct rig base;
    struct nor nor;
    open_rig(&base, &nor);
    for (unsigned depth = 0; depth < DEPTHS; depth++)
        open_rig(&rigs[depth], &nors[depth]);
    first_mount(&base);
    for (unsigned step = 0; step < life->steps / (quick ? 2 : 1); step++) {
        snprintf(story, sizeof(story), "sector %" PRIu32 " x %" PRIu32 ", unit %u, chunk %u, ecc %d, step %u",
                 life->sector_size, life->sectors, life->unit, life->wanted, life->ecc, step);
        cut_everywhere(&base, do_action, step, 0, step < life->deep && !quick ? 1 : 0);
        nor_start(&nor);
        act(&base, action_of(step));
        verify(&base);
    }
    for (unsigned depth = 0; depth < DEPTHS; depth++)
        shut_rig(&rigs[depth]);
    shut_rig(&base);
}

/* ---- Other ways to fail ---------------------------------------------------------------------- */

/* A cut in every step of a life, as often as is asked. */
static void cut_in_a_row(unsigned cuts, uint64_t seed)
{
    struct rig rig;
    struct nor nor;
    open_rig(&rig, &nor);
    nor.random = seed;
    snprintf(story, sizeof(story), "sector %" PRIu32 " x %" PRIu32 ", unit %u, %u cuts in a row, seed %u",
             life->sector_size, life->sectors, life->unit, cuts, (unsigned)seed);
    details[0][0] = details[1][0] = 0;
    first_mount(&rig);
    for (unsigned i = 0; i < cuts; i++) {
        nor_start(&nor);
        nor.random += seed + i;
        uint64_t draw = (seed * 2654435761u + i) * 0x9E3779B97F4A7C15u >> 20;
        /* Of many fading programs in a row the oracle cannot tell which had been seen; pairs of them are
         * tried above. */
        nor.tear = (enum nor_tear)(draw % 5 == NOR_FADING ? NOR_RANDOM : draw % 5);
        nor.extent = (uint32_t)(draw / 5 % 64);
        nor.cut_at = 1 + (uint32_t)(draw / 320 % 9);
        /* In one life of four a sector takes nothing, and says so: of what a cut erase has left nobody can
         * tell whether the next one lies. With a second sector that fails, a ring of three has none to go to
         * (LOG.md). */
        bool is_bad = draw / 11 % 4 == 0 && life->sectors > (life->moves ? 3 : 2);
        nor.bad_sector = is_bad ? 1 + (uint32_t)(draw / 44 % life->sectors) : 0;
        nor.fault = NOR_ERROR;
        for (unsigned step = 0; step < 12 && !nor.off; step++)
            act(&rig, action_of((unsigned)(draw / 4096) + step));
        if (!nor.off)
            continue;
        result.visits++;
        result.states += is_new(mix(mix(seed, nor.cells, nor.size), nor.weak, nor.size));
        recover(&rig, true);
        if (draw % 3 == 0)
            age(&rig);
    }
    shut_rig(&rig);
}

/* Every operation of a kind fails in turn, once or for good. */
static void fail_in_turn(enum nor_operation operation, enum nor_fault fault, uint32_t count)
{
    bool happened = true;
    for (uint32_t at = 1; happened; at += quick ? 3 : 1) {
        struct rig rig;
        struct nor nor;
        open_rig(&rig, &nor);
        snprintf(story, sizeof(story),
                 "sector %" PRIu32 " x %" PRIu32 ", unit %u, operation %d number %" PRIu32
                 " fails as %d, %" PRIu32 " times",
                 life->sector_size, life->sectors, life->unit, operation, at, fault, count);
        nor.fail_at[operation] = at;
        nor.fail_count = count;
        nor.fault = fault;
        if (rig_mount(&rig) != TERN_OK)
            violation("the first mount failed");
        for (unsigned step = 0; step < life->steps; step++) {
            uint32_t generation = rig.log.generation;
            uint16_t errors = rig.log.stats.errors;
            act(&rig, action_of(step));
            if (errors != rig.log.stats.errors && generation != rig.log.generation)
                result.branches[MOVED_AFTER_FAILURE]++;
        }
        if (rig.log.stats.retired != 0)
            result.branches[SECTOR_RETIRED]++;
        if (operation == NOR_ERASE && rig.log.stats.errors != 0 && rig.log.stats.retired == 0)
            result.branches[ERASE_REPEATED]++;
        happened = nor.counts[operation] >= at;
        nor_start(&nor);
        verify(&rig);
        if (rig_mount(&rig) != TERN_OK)
            violation("the mount failed");
        verify(&rig);
        result.visits++;
        shut_rig(&rig);
    }
}

/* Where the newest chunk stands. */
static uint32_t newest_chunk(struct rig *rig)
{
    struct tern_log_chunk found;
    found.address = TERN_NO_ADDRESS;
    return tern_log_find(&rig->log, rig->next - 1, &found) == TERN_OK ? found.address : TERN_NO_ADDRESS;
}

/* Whether a byte is of a CRC that the newest chunk stores: what goes on from a CRC that is damaged itself
 * cannot be known by it. */
static bool is_stored_crc(const struct nor *nor, uint32_t newest, uint32_t byte)
{
    struct tern_walk walk;
    struct tern_segment segment;
    if (newest == TERN_NO_ADDRESS ||
        tern_walk_begin(&walk, tern_source_memory(nor->cells + newest), TERN_CHUNK_MAX) != TERN_OK)
        return false;
    while (tern_walk_next(&walk, &segment) == TERN_OK)
        if (byte - newest - segment.payload - segment.size < 4)
            return true;
    return false;
}

/* What a flipped bit has cost at the log's end is the newest commit, or is reported as a gap. But for the
 * number that the newest chunk begins with, and a format that became zero: where that chunk is the first one
 * behind a note, it is what tells a torn chunk from a damaged one (LOG.md). */
static void verify_end(struct rig *rig, uint32_t byte, uint32_t newest, bool is_crc)
{
    uint32_t end = rig->next;
    rig->next = rig->log.next;
    if (rig->log.next > end + 1) /* a commit without a record is taken for one with a record */
        violation("records are there that nobody put");
    if (!rig_check(rig, true))
        violation(rig->wrong);
    classify_sector(rig, rig->log.newest);
    result.branches[LOSS_REPORTED] += rig->log.next != end && rig->missing != 0;
    if (rig->log.next >= rig->before || rig->missing != 0)
        return;
    if (is_crc || (byte >= newest && byte <= newest + TERN_VARINT32_MAX))
        result.unseen++;
    else
        violation("more is lost than the newest commit, and not reported");
}

/* Every bit of the flash is flipped in turn. */
static void flip_every_bit(void)
{
    struct rig base;
    struct nor nor;
    open_rig(&base, &nor);
    open_rig(&rigs[0], &nors[0]);
    first_mount(&base);
    for (unsigned step = 0; step < life->steps; step++) {
        act(&base, action_of(step));
        uint32_t newest = newest_chunk(&base);
        for (uint32_t bit = 0; step % 7 == 6 && bit < nor.size * 8; bit += quick ? 53 : 1) {
            struct rig *rig = &rigs[0];
            rig_copy(rig, &base);
            snprintf(story, sizeof(story),
                     "sector %" PRIu32 " x %" PRIu32 ", unit %u, step %u, bit %" PRIu32 " of byte %" PRIx32
                     " flipped",
                     life->sector_size, life->sectors, life->unit, step, bit % 8, bit / 8);
            rig->nor->cells[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rig->lenient = true;
            if (tern_log_mount(&rig->log, &rig->nor->flash, 0) != TERN_OK)
                violation("the mount failed");
            result.flips++;
            verify_end(rig, bit / 8, newest, is_stored_crc(&nor, newest, bit / 8));
            rig->wrong = NULL;
            result.visits++;
            result.states += is_new(mix(life->unit, rig->nor->cells, rig->nor->size));
            rig->tail = rig->maybe = rig->next;
            rig->chunk.size = 0;
            rig->chunk.segment_rows = 0;
            go_on(rig);
            if (!rig_check(rig, true))
                violation(rig->wrong);
            rig->wrong = NULL;
        }
    }
    shut_rig(&rigs[0]);
    shut_rig(&base);
}

static void all_but_cuts(void)
{
    for (uint64_t seed = 1; seed <= (quick ? 4 : 40); seed++)
        cut_in_a_row(300, seed);
    for (unsigned operation = NOR_READ; operation <= NOR_ERASE; operation++)
        for (unsigned fault = NOR_ERROR; fault <= NOR_HALF; fault++)
            for (uint32_t count = 1; count <= 100; count = count * 4 + 1)
                if (operation != NOR_READ || (fault == NOR_ERROR && count == 1))
                    fail_in_turn((enum nor_operation)operation, (enum nor_fault)fault, count);
    if (life->sector_size * life->sectors <= 1536)
        flip_every_bit();
}

/* Every other one is for the second worker: both should be busy for as long. */
static const struct life lives[] = {
    {256, 3, 1, 64, false, true, 56, 28, 0, false},
    {320, 3, 4, 64, false, true, 56, 28, 0, false},
    {384, 3, 8, 80, true, true, 56, 28, 0, false},
    {448, 3, 16, 128, true, true, 56, 28, 0, false},
    {640, 3, 32, 160, true, true, 56, 28, 0, false},
    {512, 2, 1, 96, false, true, 84, 0, 0, false},
    {512, 4, 2, 128, false, true, 84, 0, 0, false},
    {1024, 3, 8, 256, false, true, 84, 0, 0, false},
    {4096, 2, 1, 512, false, true, 84, 0, 0, false},
    {256, 3, 2, 64, true, false, 84, 14, 0, false},
    {128, 4, 1, 64, false, true, 84, 0, 0, false},
    {128, 3, 4, 64, true, true, 56, 0, 0, false},
    {512, 3, 4, 96, false, true, 84, 0, 0x80000000u - 20, false},
    {192, 3, 8, 64, false, true, 56, 0, 0, false},
    {256, 2, 16, 64, true, true, 56, 0, 0, false},
    {2048, 2, 32, 512, false, false, 56, 0, 0, false},
    {384, 3, 4, 128, false, true, 56, 0, 0, true},
    {256, 4, 1, 128, false, false, 56, 28, 0, true},
    {1280, 3, 32, 512, true, true, 56, 0, 0, true},
    {512, 3, 8, 160, true, true, 56, 0, 0, true},
    {128, 4, 1, 64, false, true, 56, 0, 0, true},
};

static void run_share(unsigned worker, unsigned workers, double seconds)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    seen = calloc((size_t)1 << SEEN_LOG2, sizeof(*seen));
    for (unsigned i = worker; i < sizeof(lives) / sizeof(lives[0]); i += workers) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (only_life >= 0 && (unsigned)only_life != i)
            continue;
        if ((double)(now.tv_sec - begin.tv_sec) > seconds) {
            result.lives_left++;
            continue;
        }
        life = &lives[i];
        uint64_t before = result.states;
        live();
        details[0][0] = details[1][0] = 0;
        all_but_cuts();
        fprintf(stderr, "life %u: %" PRIu64 " states\n", i, result.states - before);
    }
    free(seen);
}

#define WORKERS      2
#define STATES_LEAST 1000000u /* of a whole run */

int main(int argc, char **argv)
{
    quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    only_life = argc > 2 ? atoi(argv[2]) : -1;
    double seconds = argc > 1 && !quick ? atof(argv[1]) : 240;
    struct result total;
    int pipes[WORKERS][2];
    memset(&total, 0, sizeof(total));
    for (unsigned i = 0; i < WORKERS; i++) {
        if (pipe(pipes[i]) != 0)
            return 1;
        if (fork() != 0)
            continue;
        run_share(i, WORKERS, seconds);
        exit(write(pipes[i][1], &result, sizeof(result)) == sizeof(result) ? 0 : 1);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        close(pipes[i][1]);
        if (read(pipes[i][0], &result, sizeof(result)) != sizeof(result)) {
            total.violations++;
            continue;
        }
        total.states += result.states;
        total.visits += result.visits;
        total.violations += result.violations;
        total.lives_left += result.lives_left;
        total.flips += result.flips;
        total.unseen += result.unseen;
        for (unsigned b = 0; b < BRANCHES; b++)
            total.branches[b] += result.branches[b];
        if (total.first[0] == '\0')
            memcpy(total.first, result.first, sizeof(total.first));
    }
    while (wait(NULL) > 0)
        ;
    unsigned unhit = 0;
    for (unsigned b = 0; b < BRANCHES; b++) {
        printf("branch %-20s %" PRIu64 " hits\n", branch_names[b], total.branches[b]);
        unhit += total.branches[b] == 0;
    }
    printf("flipped_bits %" PRIu64 " count\n", total.flips);
    printf("flipped_bits_unseen %" PRIu64 " count\n", total.unseen);
    printf("torn_states %" PRIu64 " count\n", total.states);
    printf("violations %" PRIu64 " count\n", total.violations);
    if (total.lives_left != 0)
        printf("lives_left %" PRIu64 " count\n", total.lives_left);
    bool is_short = argc == 1 && total.states < STATES_LEAST;
    if (is_short)
        printf("too few states: they are to be %u\n", STATES_LEAST);
    if (total.first[0] != '\0')
        printf("first violation: %s\n", total.first);
    return total.violations == 0 && unhit == 0 && !is_short ? 0 : 1;
}
