/* SPDX-License-Identifier: MIT */
/* A firmware that uses everything a plain device uses, for tests/size/size.sh to link and weigh. Never run. */
#include "../../core/tern.h"
#ifdef PACKED
#include "../../core/pack.h"
#define CODEC &tern_packed
#else
#define CODEC &tern_csv
#endif

static const struct tern_column columns[] = {{"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}};
static const struct tern_table table = TERN_TABLE_CODED("climate", TERN_MERGE, columns, CODEC);

struct tern tern;
extern const struct tern_config config;
extern struct tern_value row[];
int main(void);

int main(void)
{
    tern_open(&tern, &config);
    tern_begin(&tern, 0);
    tern_put(&tern, &table, row);
    tern_commit(&tern);
    tern_abort(&tern);
    return (int)tern_poll(&tern);
}
