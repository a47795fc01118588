/* SPDX-License-Identifier: MIT */
/* Closed CSV segments through the system's gzip or zstd. */
#ifndef TERN_CSV_COMPRESS_H
#define TERN_CSV_COMPRESS_H

#include "sink.h"

/* What is put behind the name of a compressed file, ".gz" or ".zst"; NULL: not a tool that can be used. */
const char *tern_csv_suffix(const char *tool);

/* Writes `from` compressed as `to`, both in the folder: aside first, then read back and compared, then made
 * durable and renamed. The folder itself is not synced, and `from` stays. False, with sink->error: it could
 * not be, and nothing is left of it. */
bool tern_csv_compress(struct tern_sink *sink, int folder, const char *tool, const char *from,
                       const char *to);

/* The bytes of a compressed file, to be freed; NULL, with sink->error. */
uint8_t *tern_csv_expand(struct tern_sink *sink, int folder, const char *name, size_t *size);

#endif
