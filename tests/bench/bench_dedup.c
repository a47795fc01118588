/* SPDX-License-Identifier: MIT */
/* What dedup saves and costs: a mesh hands each reading over five times within 30 seconds; the same readings
 * once are what it is measured against. Figures: rows stored and bytes programmed a distinct row, both as
 * ratios, and the RAM that dedup takes. */
#include "../test.h"

#include <string.h>

#include "../nor.h"

#include "../../core/log.h"

#define COPIES       5
#define WITHIN       30000 /* milliseconds */
#define EVERY        60000 /* a node's readings */
#define COMMIT       10000
#define ARRIVALS_MAX (COPIES * 30000u)
#define CHUNK        512
#define NODES_MAX    400

struct arrival {
    int64_t at; /* when it comes in, milliseconds */
    int64_t measured;
    int64_t celsius;
    uint16_t node;
    bool first;
};

struct result {
    uint64_t rows, bytes, checks, unfounded;
};

static const struct tern_column columns[] = {{"node", TERN_U16, TERN_KEY},
                                             {"at", TERN_TIME_S, TERN_KEY},
                                             {"celsius", TERN_DECIMAL(2), 0},
                                             {"battery", TERN_U8, 0}};
static const struct tern_table keyed = {"climate", columns, &tern_packed, 4, TERN_MERGE, TERN_DEDUP, 0};
static const struct tern_column plain_columns[] = {
    {"node", TERN_U16, 0}, {"at", TERN_TIME_S, 0}, {"celsius", TERN_DECIMAL(2), 0}, {"battery", TERN_U8, 0}};
static const struct tern_table unkeyed = {"events", plain_columns, &tern_packed, 4, TERN_APPEND, TERN_DEDUP,
                                          0};

static struct nor nor;
static struct tern tern;
static struct tern_lane lane;
static struct tern_dedup dedup;
static struct tern_config config;
static uint8_t chunk[CHUNK], buffer[CHUNK], filter[1024];
static uint64_t models[TERN_MODELS_SIZE(4) / 8 + 1],
    more_models[(TERN_MODELS_SIZE(4) + TERN_MODELS_TEXT) / 8 + 1];
static struct tern_value values[4];
static struct arrival *arrivals;
static size_t count, distinct;

static int by_time(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : (x->node > y->node) - (x->node < y->node);
}

static void make_arrivals(unsigned nodes, unsigned hours)
{
    static int64_t celsius[NODES_MAX];
    uint64_t state = 7;
    count = distinct = 0;
    for (unsigned i = 0; i < nodes; i++)
        celsius[i] = 1500 + (int64_t)(test_random(&state) % 1000);
    for (int64_t now = 0; now < hours * 3600000ll; now += EVERY)
        for (unsigned node = 0; node < nodes; node++) {
            int64_t measured = now + (int64_t)node * EVERY / nodes;
            int64_t first = measured + (int64_t)(test_random(&state) % 3000);
            celsius[node] += (int64_t)(test_random(&state) % 11) - 5;
            for (unsigned copy = 0; copy < COPIES; copy++)
                arrivals[count++] =
                    (struct arrival){copy == 0 ? first : first + 1 + (int64_t)(test_random(&state) % WITHIN),
                                     measured / 1000, celsius[node], (uint16_t)node, copy == 0};
            distinct++;
        }
    qsort(arrivals, count, sizeof(arrivals[0]), by_time);
}

static void open_device(const struct tern_table *const *tables, uint32_t filter_size)
{
    nor_close(&nor);
    nor_open(&nor, 4096, 32, 4);
    memset(&lane, 0, sizeof(lane));
    dedup = (struct tern_dedup){.tables = tables,
                                .table_count = 1,
                                .models = more_models,
                                .models_size = sizeof(more_models),
                                .buffer = buffer,
                                .values = values,
                                .reach = 4};
    tern_dedup_open(&dedup, filter, filter_size);
    lane.flash = &nor.flash;
    lane.chunk_data = chunk;
    lane.chunk_size = CHUNK;
    lane.models = models;
    lane.models_size = sizeof(models);
    lane.dedup = &dedup;
    config = (struct tern_config){.id = "dev", .lanes = &lane, .lane_count = 1};
    if (tern_open(&tern, &config) != TERN_OK)
        abort();
}

/* Commits, and keeps the ring empty enough. */
static void commit(void)
{
    while (tern_commit(&tern) == TERN_AGAIN)
        (void)tern_poll(&tern);
    tern_log_acknowledge(&lane.log, lane.log.next, 1);
    (void)tern_poll(&tern);
}

static struct result measure(const struct tern_table *table, uint32_t filter_size, bool copies)
{
    const struct tern_table *tables[] = {table};
    int64_t due = COMMIT;
    open_device(tables, filter_size);
    for (size_t i = 0; i < count; i++) {
        const struct arrival *a = &arrivals[i];
        struct tern_value row[] = {tern_int(a->node), tern_int(1700000000 + a->measured),
                                   tern_int(a->celsius), tern_int(90 - a->measured / 40000)};
        if (!copies && !a->first)
            continue;
        for (; a->at >= due; due += COMMIT)
            commit();
        while (tern_put(&tern, table, row) == TERN_AGAIN)
            (void)tern_poll(&tern);
    }
    commit();
    return (struct result){lane.log.next - 1, lane.log.stats.programmed,
                           (uint64_t)dedup.checks[0] + dedup.checks[1] + dedup.checks[2],
                           dedup.checks[TERN_DEDUP_UNFOUNDED]};
}

static void report(const char *name, const struct tern_table *table, unsigned nodes, unsigned hours,
                   uint32_t filter_size)
{
    make_arrivals(nodes, hours);
    struct result once = measure(table, filter_size, false);
    struct result all = measure(table, filter_size, true);
    printf("dedup_%s_%u_nodes_puts %zu count\n", name, nodes, count);
    printf("dedup_%s_%u_nodes_distinct %zu count\n", name, nodes, distinct);
    printf("dedup_%s_%u_nodes_stored %llu count\n", name, nodes, (unsigned long long)all.rows);
    printf("dedup_%s_%u_nodes_stored_per_distinct %.5f x\n", name, nodes,
           (double)all.rows / (double)distinct);
    printf("dedup_%s_%u_nodes_bytes_per_distinct %.4f bytes\n", name, nodes,
           (double)all.bytes / (double)distinct);
    printf("dedup_%s_%u_nodes_bytes_against_no_copies %.5f x\n", name, nodes,
           (double)all.bytes / (double)once.bytes);
    printf("dedup_%s_%u_nodes_false_positives_per_distinct %.5f x\n", name, nodes,
           (double)all.unfounded / (double)distinct);
    printf("dedup_%s_%u_nodes_filter %u bytes\n", name, nodes, (unsigned)filter_size);
}

int main(void)
{
    arrivals = malloc(sizeof(arrivals[0]) * ARRIVALS_MAX);
    if (arrivals == NULL)
        return 1;
    report("keyed", &keyed, 20, 24, 128);
    report("keyed", &keyed, 400, 1, 1024);
    report("append", &unkeyed, 20, 24, 128);
    report("append", &unkeyed, 400, 1, 1024);
    printf("dedup_ram_without_filter %zu bytes\n",
           sizeof(dedup) + sizeof(more_models) + sizeof(buffer) + sizeof(values));
    nor_close(&nor);
    free(arrivals);
    return 0;
}
