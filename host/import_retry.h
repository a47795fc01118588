/* SPDX-License-Identifier: MIT */
/* Refused records once more, from rejects/TABLE.csv: those that were mended there, or whose destination
 * was. */
#ifndef TERN_IMPORT_RETRY_H
#define TERN_IMPORT_RETRY_H

#include "import.h"

struct tern_retry_result {
    uint64_t loaded;     /* in now, and their gaps filled */
    uint64_t superseded; /* loaded, but a newer record of the key was there: without effect */
    uint64_t known;      /* in no gap any more: they came by another way */
    uint64_t refused;    /* again, or they do not follow the form: their lines stay */
};

/* Brings in what the files have for this destination, and takes the lines that are done out of them. Blocks.
 * `config` as for tern_import_open(). An error and a report where the destination or a file does not take
 * part; what was loaded before stays. */
int tern_import_retry(struct tern_stage *stage, const char *url, const struct tern_import_config *config,
                      struct tern_retry_result *result);

#endif
