/* SPDX-License-Identifier: MIT */
/* The log of one lane: a ring of sectors on raw NOR flash (PROTOCOL.md section 9, LOG.md). */
#ifndef TERN_LOG_H
#define TERN_LOG_H

#include "chunk.h"

#define TERN_NO_ADDRESS 0xFFFFFFFFu
#define TERN_EPOCH_STEP 8u /* from one epoch of a lane to the next */

/* Finds what is in the flash. Programs nothing. `lane` must be the one in the sector heads; other sectors are
 * not ours. An erased or unreadable ring is an empty log that begins at sequence 1. TERN_OK; TERN_E_GEOMETRY;
 * TERN_E_FORMAT when a sector has a version that is not known. */
int tern_log_mount(struct tern_log *log, const struct tern_flash *flash, uint8_t lane);

/* ---- Writing --------------------------------------------------------------------------------- */

/* Finds a place for a chunk that begins with a record of `table`, whose schema is put before it if the sector
 * does not hold it yet. Touches RAM only, but may move to the next sector in RAM; once in 2^31 records it
 * programs a sector's head, and the count begins again. Returns the bytes the chunk may grow to, at most
 * `wanted`, or TERN_E_FULL when no erased sector is ahead (policy `overflow` decides what tern_log_service()
 * may do about it), TERN_E_TOO_BIG when no sector can hold the schema and a chunk of `least` bytes. */
int tern_log_open(struct tern_log *log, const struct tern_table *table, uint32_t hash, uint16_t wanted,
                  uint16_t least);

/* Whether the newest sector already holds the schema: a further table can join the open chunk only then. */
bool tern_log_has_schema(const struct tern_log *log, uint32_t hash);

/* Whether the place that tern_log_open() has found is in the last sector before the oldest, and no epoch is
 * known: where nothing may be dropped, only notes go there, or a first epoch might find no place one day, and
 * nothing could be sent. */
bool tern_log_is_kept(const struct tern_log *log);

/* Whether a further chunk, of a table with that schema, will find a place once the open one is closed, as far
 * as can be told. */
bool tern_log_has_place(const struct tern_log *log, uint32_t hash);

/* Programs what the open chunk has grown by, records that are pending from then on; with `commit` all pending
 * ones are committed. A chunk may begin behind log->pending while nothing is pending: the records between
 * were refused, and are known to be when it is there. The sector's head and the schemas of the chunk's tables
 * go first where they are due. A chunk that had to be programmed again as a whole is closed after that
 * (log->capacity is 0): were it to grow, later damage to it would look like a copy that was cut. On an error
 * nothing of it counts, and the records are still the caller's. TERN_E_FULL: it waits for a sector ahead,
 * call again. */
int tern_log_append(struct tern_log *log, const struct tern_chunk *chunk, bool commit);

/* The open chunk is done; the next entry goes behind it. */
void tern_log_close(struct tern_log *log);

/* What is programmed and not committed is void: the next chunk begins at log->next. */
void tern_log_abort(struct tern_log *log);

/* At most one erase or one small program (an acknowledgement, an epoch), whatever is due. TERN_OK: nothing
 * more is due; TERN_AGAIN: call again; or an error, counted, after which the sector in question is retired.
 * `drop` allows erasing the oldest records that have not been acknowledged. */
int tern_log_service(struct tern_log *log, bool drop);

/* ---- Reading --------------------------------------------------------------------------------- */

/* The chunk that holds record `sequence`, or else the first one after it; with `sequence` at log->next a
 * commit without a record that stands behind the newest one. `chunk` may hold the last answer, which makes
 * the search short; address TERN_NO_ADDRESS means no hint. TERN_OK; TERN_AGAIN when no committed record is at
 * or after `sequence`. chunk->reason says why records from `sequence` on are missing, if they are: enum
 * tern_gap_reason, and TERN_GAP_LEADS. */
int tern_log_find(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk);

/* The same, among records that are programmed and not committed too: those of the open batch that have left
 * RAM. */
int tern_log_find_any(struct tern_log *log, uint32_t sequence, struct tern_log_chunk *chunk);

/* Whether a chunk is the last one that was found, and has not been erased since. */
bool tern_log_is_there(const struct tern_log *log, const struct tern_log_chunk *chunk);

/* Reads bytes of such a chunk. TERN_E_FLASH, or TERN_E_CORRUPT when it has been erased since. */
int tern_log_read(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t offset, void *data,
                  uint32_t size);

/* The CRC of the committed segment whose last record is sequence - 1. TERN_AGAIN: none ends there, or the log
 * has not come so far; TERN_E_CORRUPT: that record had been in the log, and is lost: what follows it is not,
 * or tells of it. */
int tern_log_segment_crc(struct tern_log *log, uint32_t sequence, uint32_t *crc);

/* Where a copy of a schema is, looked for first where the chunk found last stands: address and size of its
 * bytes. TERN_AGAIN: the log does not hold it. */
int tern_log_find_schema(const struct tern_log *log, uint32_t hash, uint32_t *address, uint32_t *size);

/* Whether a chunk that was found names a schema, or happens to hold the same four bytes. */
bool tern_log_names(const struct tern_log *log, const struct tern_log_chunk *chunk, uint32_t hash);

/* The oldest record still there; equals log->next when there is none. */
uint32_t tern_log_oldest(struct tern_log *log);

/* ---- Acknowledgement and epochs -------------------------------------------------------------- */

/* Records below `sequence` are durable at `store`. Marked in flash once a sector, by tern_log_service(). */
void tern_log_acknowledge(struct tern_log *log, uint32_t sequence, uint64_t store);

/* From sequence `base` on, records belong to `epoch`. Programs it at once; when that fails the epoch is not
 * in force. */
int tern_log_set_epoch(struct tern_log *log, uint32_t epoch, uint32_t base);

#endif
