/* SPDX-License-Identifier: MIT */
#include "import_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../core/chunk.h"
#include "../core/schema.h"
#include "../core/log.h"
#include "../host/import.h"
#include "test.h"

#define DEVICES     3
#define RECORDS_MAX 20000u
#define KEYS        12u
#define WAIT        60000 /* milliseconds: a bound for a slow machine */

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Columns of every table: k, n, s, d; what they are called and which rule they have differs. */
static const struct tern_column plain[] = {
    {"k", TERN_U16, TERN_KEY}, {"n", TERN_I32, TERN_NULLABLE}, {"s", TERN_TEXT(20), TERN_NULLABLE}};
static const struct tern_column wider[] = {
    {"k", TERN_U16, TERN_KEY}, {"n", TERN_I32, TERN_NULLABLE}, {"d", TERN_DECIMAL(2), TERN_NULLABLE}};
static const struct tern_column ruled[] = {{"k", TERN_U16, TERN_KEY},
                                           {"n", TERN_I32, TERN_NULLABLE},
                                           {"f", TERN_I32, TERN_NULLABLE | TERN_FIRST},
                                           {"lo", TERN_I32, TERN_NULLABLE | TERN_MIN},
                                           {"hi", TERN_TEXT(20), TERN_NULLABLE | TERN_MAX},
                                           {"total", TERN_DECIMAL(2), TERN_NULLABLE | TERN_ADD}};
static const struct tern_column loose[] = {{"n", TERN_I32, TERN_NULLABLE},
                                           {"s", TERN_TEXT(20), TERN_NULLABLE}};

enum { MERGED, WIDER, RULED, APPENDED, SHOWN, LISTED, TABLES };

static const struct tern_table tables[TABLES] = {
    TERN_TABLE("rig_merged", TERN_MERGE, plain),    TERN_TABLE("rig_merged", TERN_MERGE, wider),
    TERN_TABLE("rig_ruled", TERN_MERGE, ruled),     TERN_TABLE("rig_appended", TERN_APPEND, loose),
    TERN_TABLE("rig_shown", TERN_OVERWRITE, plain), TERN_TABLE("rig_listed", TERN_OVERWRITE, loose)};

/* ---- The model ------------------------------------------------------------------------------- */

struct record {
    int64_t id;
    uint8_t device, table, op;
    bool has_n, has_s;
    unsigned k;
    int n;
    char s[21];
};

struct unit {
    uint32_t first, next;
    uint8_t bytes[TERN_CHUNK_MAX];
    uint16_t size;
};

struct device {
    char id[8];
    uint32_t epoch, base, next;
    uint32_t acked; /* records below it */
    int store;      /* that acknowledged, -1: none */
    struct unit *units;
    size_t unit_count;
};

struct gateway {
    struct tern_stage *stage;
    struct tern_import *import;
    struct tern_stage_range *ranges[DEVICES];
    unsigned held; /* steps that its importer stays away, while devices come to it */
    char folder[600];
};

struct rig {
    const struct rig_target *target;
    uint64_t seed;
    struct record *records;
    size_t record_count;
    struct device devices[DEVICES];
    struct gateway gateways[2];
    int64_t now;
    unsigned kills; /* that are left */
    bool good;
};

static uint32_t below(struct rig *rig, uint32_t limit)
{
    return (uint32_t)(test_random(&rig->seed) % limit);
}

static void complain(struct rig *rig, const char *what)
{
    if (rig->good)
        printf("    %s\n", what);
    rig->good = false;
}

/* ---- Gateways -------------------------------------------------------------------------------- */

static void report(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level == TERN_ERROR)
        printf("    %s %s\n", event, fields);
}

static void open_import(struct rig *rig, struct gateway *gateway)
{
    struct tern_import_config config = {.report = {report, NULL},
                                        .rows = 1 + below(rig, 200),
                                        .soft_delete = rig->target->soft,
                                        .workers = rig->target->workers};
    if (gateway->import == NULL &&
        tern_import_open(&gateway->import, gateway->stage, rig->target->url, &config) != TERN_HOST_OK)
        complain(rig, "an importer cannot be opened");
}

static void close_import(struct gateway *gateway)
{
    tern_import_close(gateway->import);
    gateway->import = NULL;
}

static void drain(struct rig *rig, struct gateway *gateway)
{
    open_import(rig, gateway);
    if (gateway->import != NULL && tern_import_drain(gateway->import, WAIT) != TERN_HOST_OK)
        complain(rig, "an importer does not come to its end");
}

/* A process that imports what the gateway has staged, and dies on the way. Nothing else runs meanwhile: a
 * fork takes no threads along. */
static void kill_import(struct rig *rig, struct gateway *gateway)
{
    close_import(&rig->gateways[0]);
    close_import(&rig->gateways[1]);
    pid_t child = fork();
    if (child == 0) {
        struct tern_stage_config config = {.directory = gateway->folder, .read_only = true};
        struct tern_import_config importing = {
            .rows = 1 + below(rig, 40), .soft_delete = rig->target->soft, .workers = rig->target->workers};
        struct tern_stage *stage;
        struct tern_import *import;
        if (tern_stage_open(&stage, &config) != TERN_HOST_OK ||
            tern_import_open(&import, stage, rig->target->url, &importing) != TERN_HOST_OK)
            _exit(1);
        tern_import_drain(import, WAIT);
        _exit(0);
    }
    usleep(500 + below(rig, 60000));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    rig->kills--;
}

static void collect(void *context, const void *data, size_t size)
{
    struct tern_output *output = context;
    tern_write_bytes(output, data, size);
}

static void give_schemas(struct gateway *gateway, struct tern_device *device)
{
    for (unsigned i = 0; i < TABLES; i++) {
        uint8_t bytes[TERN_SCHEMA_MAX];
        struct tern_output output = {bytes, 0, sizeof bytes, false};
        bool done;
        tern_schema_encode(&tables[i], collect, &output);
        tern_stage_schema(gateway->stage, device, tern_schema_hash(&tables[i]), 0, bytes, output.size, &done);
    }
}

/* The device says HELLO to the gateway. */
static void connect_device(struct rig *rig, unsigned index, unsigned which)
{
    struct device *device = &rig->devices[index];
    struct gateway *gateway = &rig->gateways[which];
    struct tern_device *known = tern_stage_device(gateway->stage, device->id);
    struct tern_hello hello = {.id = device->id, .range_count = 1};
    hello.ranges[0] = (struct tern_hello_range){.epoch = device->epoch,
                                                .base = device->base,
                                                .oldest = device->acked,
                                                .next = device->next,
                                                .acked = device->acked};
    if (device->store >= 0)
        hello.ranges[0].store = tern_stage_id(rig->gateways[device->store].stage);
    if (tern_stage_hello(gateway->stage, known, &hello, &hello.ranges[0], rig->now,
                         &gateway->ranges[index]) != TERN_HOST_OK)
        complain(rig, "a HELLO is refused");
    give_schemas(gateway, known);
    device->epoch = gateway->ranges[index]->epoch;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static struct record *add_record(struct rig *rig, unsigned device, unsigned table, uint8_t op)
{
    if (rig->record_count == RECORDS_MAX)
        exit(2);
    struct record *record = &rig->records[rig->record_count++];
    memset(record, 0, sizeof *record);
    record->id = (int64_t)((uint64_t)rig->devices[device].epoch << 32 | rig->devices[device].next++);
    record->device = (uint8_t)device;
    record->table = (uint8_t)table;
    record->op = op;
    record->k = below(rig, KEYS);
    record->has_n = below(rig, 5) != 0;
    record->n = (int)below(rig, 20000) - 10000;
    record->has_s = below(rig, 5) != 0;
    if (below(rig, 4) != 0)
        snprintf(record->s, sizeof record->s, "t%u", below(rig, 1000));
    return record;
}

static void put_record(struct rig *rig, struct tern_chunk *chunk, unsigned device, unsigned table, uint8_t op)
{
    const struct record *record = add_record(rig, device, table, op);
    struct tern_value k = tern_int((int64_t)record->k), n = record->has_n ? tern_int(record->n) : tern_null(),
                      s = record->has_s ? tern_text(record->s) : tern_null();
    struct tern_value keyed[] = {k, n, table == WIDER ? n : s}, all[] = {k, n, n, n, s, n},
                      loosely[] = {n, s};
    const struct tern_value *row = op == TERN_OP_DELETE                   ? &k
                                   : table == RULED                       ? all
                                   : table == APPENDED || table == LISTED ? loosely
                                                                          : keyed;
    if (tern_chunk_put(chunk, &tables[table], op, row) != TERN_OK)
        complain(rig, "a record does not fit into a chunk");
}

/* What is committed together: some records, or a snapshot. */
static void make_unit(struct rig *rig, unsigned index)
{
    struct device *device = &rig->devices[index];
    bool snapshot = below(rig, 4) == 0;
    unsigned shown = below(rig, 2) == 0 ? SHOWN : LISTED, count = below(rig, 12) + (snapshot ? 0 : 1);
    struct unit *unit = &device->units[device->unit_count++];
    struct tern_chunk chunk = {.data = unit->bytes, .capacity = sizeof unit->bytes};
    tern_chunk_open(&chunk, &tern_csv, device->next, 0);
    unit->first = device->next;
    if (snapshot)
        put_record(rig, &chunk, index, shown, TERN_OP_SNAPSHOT_BEGIN);
    for (unsigned i = 0; i < count; i++) {
        unsigned table =
            snapshot && below(rig, 8) != 0 ? shown : below(rig, below(rig, 10) == 0 ? TABLES : SHOWN);
        bool deletes = table <= WIDER && below(rig, 4) == 0;
        put_record(rig, &chunk, index, table, deletes ? TERN_OP_DELETE : TERN_OP_PUT);
    }
    if (snapshot)
        put_record(rig, &chunk, index, shown, TERN_OP_SNAPSHOT_END);
    tern_chunk_finish(&chunk, true, snapshot || below(rig, 3) == 0);
    unit->next = device->next;
    unit->size = chunk.size;
}

/* Sends what the device does not know to be acknowledged; an acknowledgement may be lost. */
static void send_units(struct rig *rig, unsigned index, unsigned which)
{
    struct device *device = &rig->devices[index];
    struct gateway *gateway = &rig->gateways[which];
    uint32_t want;
    connect_device(rig, index, which);
    if (getenv("RIG_SHOW") != NULL)
        printf("dev %u to %u: epoch %u has %u, acked %u, next %u, units %zu from %u\n", index, which,
               device->epoch, gateway->ranges[index]->taken.next, device->acked, device->next,
               device->unit_count, device->unit_count == 0 ? 0 : device->units[0].first);
    for (size_t i = 0; i < device->unit_count; i++) {
        struct unit *unit = &device->units[i];
        if (unit->next > device->acked && tern_stage_part(gateway->stage, gateway->ranges[index], unit->first,
                                                          0, unit->bytes, unit->size, &want) != TERN_HOST_OK)
            complain(rig, "a part is refused");
    }
    if (tern_stage_sync(gateway->stage) != TERN_HOST_OK)
        complain(rig, "a sync fails");
    if (gateway->ranges[index]->durable.next != device->next)
        complain(rig, "the store does not hold what was sent");
    if (below(rig, 4) == 0)
        return;
    device->acked = device->next;
    device->store = (int)which;
    device->unit_count = 0;
}

/* A factory reset: everything is acknowledged, and a new epoch begins. */
static void reset_device(struct rig *rig, unsigned index)
{
    struct device *device = &rig->devices[index];
    while (device->unit_count != 0)
        send_units(rig, index, below(rig, 2));
    rig->now += 16000 * 5;
    device->epoch = 0;
    device->base = device->next = device->acked = 1;
    device->store = -1;
    /* A store gives an epoch again as long as it has taken nothing into it. */
    unsigned which = below(rig, 2);
    connect_device(rig, index, which);
    make_unit(rig, index);
    send_units(rig, index, which);
}

/* The log's end differs from what a store holds: the next epoch goes on with the count. All before is
 * acknowledged. */
static void move_device(struct rig *rig, unsigned index)
{
    struct device *device = &rig->devices[index];
    while (device->unit_count != 0)
        send_units(rig, index, below(rig, 2));
    rig->now += 16000;
    device->epoch += TERN_EPOCH_STEP;
    device->base = device->acked = device->next;
    device->store = -1;
    make_unit(rig, index);
}

/* ---- What must be there ---------------------------------------------------------------------- */

struct lines {
    char *list[RECORDS_MAX];
    size_t count;
};

static void add_line(void *to, const char *text)
{
    struct lines *lines = to;
    if (lines->count < RECORDS_MAX)
        lines->list[lines->count++] = strdup(text);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_lines(struct lines *lines)
{
    qsort(lines->list, lines->count, sizeof lines->list[0], compare_lines);
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->list[i]);
    lines->count = 0;
}

static const char *number(char text[24], bool has, int64_t value)
{
    snprintf(text, 24, has ? "%" PRId64 : "NULL", value);
    return text;
}

/* The newest record of (device, key) in either version of the table, at or above `least`. */
static const struct record *find_newest(const struct rig *rig, unsigned device, unsigned table, unsigned k,
                                        int64_t least)
{
    const struct record *newest = NULL;
    for (size_t i = 0; i < rig->record_count; i++) {
        const struct record *record = &rig->records[i];
        if (record->device == device &&
            (record->table == table || (table == MERGED && record->table == WIDER)) &&
            record->op <= TERN_OP_DELETE && record->k == k && record->id >= least &&
            (newest == NULL || record->id > newest->id))
            newest = record;
    }
    return newest;
}

static int64_t newest_snapshot(const struct rig *rig, unsigned device, unsigned table)
{
    int64_t begin = 0;
    for (size_t i = 0; i < rig->record_count; i++)
        if (rig->records[i].device == device && rig->records[i].table == table &&
            rig->records[i].op == TERN_OP_SNAPSHOT_BEGIN && rig->records[i].id > begin)
            begin = rig->records[i].id;
    return begin;
}

static void expect_merged(const struct rig *rig, unsigned device, unsigned k, struct lines *lines)
{
    const struct record *record = find_newest(rig, device, MERGED, k, 0);
    char line[160], n[24];
    if (record == NULL || (record->op == TERN_OP_DELETE && !rig->target->soft))
        return;
    bool alive = record->op == TERN_OP_PUT;
    number(n, record->has_n && alive, record->n);
    snprintf(line, sizeof line, "%s|%" PRId64 "|%u|%s|%s|%s|%d", rig->devices[device].id, record->id, k, n,
             alive && record->table == MERGED && record->has_s ? record->s : "NULL",
             record->table == WIDER ? n : "NULL", alive);
    if (!rig->target->soft)
        *strrchr(line, '|') = '\0';
    add_line(lines, line);
}

static void expect_ruled(const struct rig *rig, unsigned device, unsigned k, struct lines *lines)
{
    const struct record *newest = NULL, *oldest = NULL;
    const char *high = NULL;
    int64_t low = INT64_MAX, total = 0;
    char line[200], texts[4][24];
    for (size_t i = 0; i < rig->record_count; i++) {
        const struct record *record = &rig->records[i];
        if (record->device != device || record->table != RULED || record->k != k)
            continue;
        newest = newest == NULL || record->id > newest->id ? record : newest;
        oldest = oldest == NULL || record->id < oldest->id ? record : oldest;
        low = record->has_n && record->n < low ? record->n : low;
        total += record->has_n ? record->n : 0;
        if (record->has_s && (high == NULL || strcmp(record->s, high) > 0))
            high = record->s;
    }
    if (newest == NULL)
        return;
    snprintf(line, sizeof line, "%s|%" PRId64 "|%u|%s|%s|%s|%s|%s", rig->devices[device].id, newest->id, k,
             number(texts[0], newest->has_n, newest->n), number(texts[1], oldest->has_n, oldest->n),
             number(texts[2], low != INT64_MAX, low), high == NULL ? "NULL" : high,
             number(texts[3], low != INT64_MAX, total));
    add_line(lines, line);
}

static void expect_loose(const struct rig *rig, unsigned table, struct lines *lines)
{
    for (size_t i = 0; i < rig->record_count; i++) {
        const struct record *record = &rig->records[i];
        char line[160], n[24];
        if (record->table != table || record->op != TERN_OP_PUT ||
            (table == LISTED && record->id < newest_snapshot(rig, record->device, table)))
            continue;
        snprintf(line, sizeof line, "%s|%" PRId64 "|%s|%s", rig->devices[record->device].id, record->id,
                 number(n, record->has_n, record->n), record->has_s ? record->s : "NULL");
        add_line(lines, line);
    }
}

static void expect_shown(const struct rig *rig, unsigned device, unsigned k, struct lines *lines)
{
    const struct record *record = find_newest(rig, device, SHOWN, k, newest_snapshot(rig, device, SHOWN));
    char line[160], n[24];
    if (record == NULL || record->op != TERN_OP_PUT)
        return;
    snprintf(line, sizeof line, "%s|%" PRId64 "|%u|%s|%s", rig->devices[device].id, record->id, k,
             number(n, record->has_n, record->n), record->has_s ? record->s : "NULL");
    add_line(lines, line);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void compare(struct rig *rig, const char *name, const char *sql, struct lines *expected)
{
    static struct lines found;
    size_t shown = 0;
    if (!rig->target->query(rig->target->context, sql, add_line, &found))
        complain(rig, sql);
    sort_lines(expected);
    sort_lines(&found);
    for (size_t i = 0, k = 0; (i < expected->count || k < found.count) && shown < 5;) {
        int order = i == expected->count ? 1
                    : k == found.count   ? -1
                                         : strcmp(expected->list[i], found.list[k]);
        if (order != 0) {
            printf("    %s: %s %s\n", name, order < 0 ? "missing" : "unexpected",
                   order < 0 ? expected->list[i] : found.list[k]);
            rig->good = false;
            shown++;
        }
        i += order <= 0;
        k += order >= 0;
    }
    free_lines(expected);
    free_lines(&found);
}

/* Tombstones that are old: of those below which nothing is missing none stay. Everything that there is has
 * arrived. */
static void age_tombs(struct rig *rig)
{
    bool numbers = strncmp(rig->target->url, "sqlite:", 7) == 0;
    if (!rig->target->soft &&
        !rig->target->execute(rig->target->context,
                              numbers
                                  ? "UPDATE tern_deleted_rig_merged SET tern_deleted=1000"
                                  : "UPDATE tern_deleted_rig_merged SET tern_deleted='1971-02-03 04:05:06'"))
        complain(rig, "the tombstones cannot be made old");
}

static void check_tombs(struct rig *rig)
{
    static struct lines none;
    if (!rig->target->soft)
        compare(rig, "tombstones",
                "SELECT d.device,d.k FROM tern_deleted_rig_merged d WHERE NOT EXISTS(SELECT 1 FROM tern_gap "
                "g WHERE "
                "g.device=d.device AND g.epoch*4294967296+g.first<d.tern_id)",
                &none);
}

static void compare_all(struct rig *rig)
{
    static struct lines expected;
    char hundred[100], sql[400];
    for (unsigned device = 0; device < DEVICES; device++)
        for (unsigned k = 0; k < KEYS; k++)
            expect_merged(rig, device, k, &expected);
    snprintf(hundred, sizeof hundred, rig->target->hundred, "d");
    snprintf(sql, sizeof sql, "SELECT device,tern_id,k,n,s,%s%s FROM rig_merged", hundred,
             rig->target->soft ? ",CASE WHEN tern_deleted IS NULL THEN 1 ELSE 0 END" : "");
    compare(rig, "merged", sql, &expected);
    for (unsigned device = 0; device < DEVICES; device++)
        for (unsigned k = 0; k < KEYS; k++)
            expect_ruled(rig, device, k, &expected);
    snprintf(hundred, sizeof hundred, rig->target->hundred, "total");
    snprintf(sql, sizeof sql, "SELECT device,tern_id,k,n,f,lo,hi,%s FROM rig_ruled", hundred);
    compare(rig, "ruled", sql, &expected);
    expect_loose(rig, APPENDED, &expected);
    compare(rig, "appended", "SELECT device,tern_id,n,s FROM rig_appended", &expected);
    expect_loose(rig, LISTED, &expected);
    compare(rig, "listed", "SELECT device,tern_id,n,s FROM rig_listed", &expected);
    for (unsigned device = 0; device < DEVICES; device++)
        for (unsigned k = 0; k < KEYS; k++)
            expect_shown(rig, device, k, &expected);
    compare(rig, "shown", "SELECT device,tern_id,k,n,s FROM rig_shown", &expected);
    compare(rig, "gaps", "SELECT device,epoch,first,last,reason FROM tern_gap", &expected);
}

/* ---- Schedules ------------------------------------------------------------------------------- */

static void step(struct rig *rig)
{
    unsigned index = below(rig, DEVICES);
    struct gateway *gateway = &rig->gateways[below(rig, 2)];
    for (unsigned i = 0; i < 2; i++)
        rig->gateways[i].held -= rig->gateways[i].held != 0;
    if (rig->kills != 0 && gateway->held == 0 && below(rig, 8) == 0)
        kill_import(rig, gateway);
    switch (below(rig, 12)) {
    case 0:
        close_import(gateway);
        gateway->held = below(rig, 4) == 0 ? below(rig, 200) : 0;
        break;
    case 1:
    case 2:
        if (gateway->held == 0)
            open_import(rig, gateway);
        break;
    case 3:
        if (gateway->held == 0 && below(rig, 4) == 0)
            drain(rig, gateway);
        break;
    case 4:
        if (below(rig, 6) == 0)
            reset_device(rig, index);
        else if (below(rig, 5) == 0)
            move_device(rig, index);
        break;
    case 5:
    case 6:
    case 7:
        if (rig->devices[index].unit_count != 0)
            send_units(rig, index, below(rig, 2));
        break;
    default:
        if (rig->devices[index].unit_count < 50)
            make_unit(rig, index);
    }
}

static void open_rig(struct rig *rig, const char *folder)
{
    for (unsigned i = 0; i < 2; i++) {
        struct gateway *gateway = &rig->gateways[i];
        snprintf(gateway->folder, sizeof gateway->folder, "%.500s/store%u", folder, i);
        struct tern_stage_config config = {.directory = gateway->folder, .report = {report, NULL}};
        if (tern_stage_open(&gateway->stage, &config) != TERN_HOST_OK)
            exit(2);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(rig->devices[i].id, sizeof rig->devices[i].id, "dev%u", i);
        rig->devices[i].units = calloc(64, sizeof(struct unit));
        rig->devices[i].base = rig->devices[i].next = rig->devices[i].acked = 1;
        rig->devices[i].store = -1;
        rig->now += 16000 * 5;
        unsigned which = below(rig, 2);
        connect_device(rig, i, which);
        make_unit(rig, i);
        send_units(rig, i, which);
    }
}

static void close_rig(struct rig *rig)
{
    for (unsigned i = 0; i < 2; i++) {
        close_import(&rig->gateways[i]);
        tern_stage_close(rig->gateways[i].stage);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        free(rig->devices[i].units);
    free(rig->records);
}

bool rig_run(const struct rig_target *target, const char *folder, uint64_t seed, unsigned steps)
{
    struct rig rig = {
        .target = target, .seed = seed, .now = 1770000000000, .kills = target->kills, .good = true};
    rig.records = malloc(RECORDS_MAX * sizeof *rig.records);
    open_rig(&rig, folder);
    for (unsigned i = 0; i < steps && rig.good; i++)
        step(&rig);
    /* Each table has a record at least. */
    for (unsigned i = 0; i < DEVICES; i++) {
        while (rig.devices[i].unit_count < 60)
            make_unit(&rig, i);
        send_units(&rig, i, below(&rig, 2));
    }
    while (rig.kills != 0)
        kill_import(&rig, &rig.gateways[below(&rig, 2)]);
    for (unsigned i = 0; i < 2; i++)
        drain(&rig, &rig.gateways[i]);
    compare_all(&rig);
    for (unsigned i = 0; i < 2; i++)
        close_import(&rig.gateways[i]);
    if (!target->execute(target->context, "DELETE FROM tern_cursor"))
        complain(&rig, "the cursors cannot be deleted");
    age_tombs(&rig);
    for (unsigned i = 0; i < 2; i++)
        drain(&rig, &rig.gateways[i]);
    compare_all(&rig);
    check_tombs(&rig);
    close_rig(&rig);
    return rig.good;
}
