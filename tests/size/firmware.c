/* SPDX-License-Identifier: MIT */
/* A firmware that uses everything a plain device uses, for tests/size/size.py to link and weigh: packed
 * chunks, or plain CSV with -DPLAIN, and dedup with -DDEDUP. Never run. */
#include "../../core/tern.h"

#ifdef PLAIN
#define CODEC &tern_csv
#else
#define CODEC &tern_packed
#endif
#ifdef DEDUP
#define FLAGS TERN_DEDUP
#else
#define FLAGS 0
#endif

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}};
static const struct tern_table table = {"climate", columns, CODEC, 2, TERN_MERGE, FLAGS, 0};

/* The application's: not counted. */
extern struct tern tern;
extern struct tern_dedup dedup;
extern uint8_t filter[256];
extern const struct tern_config config;
extern struct tern_value row[];
int main(void);

int main(void)
{
#ifdef DEDUP
    tern_dedup_open(&dedup, filter, 256);
#endif
    tern_open(&tern, &config);
    tern_begin(&tern, 0);
    tern_put(&tern, &table, row);
    tern_commit(&tern);
    tern_abort(&tern);
    return (int)tern_poll(&tern);
}
