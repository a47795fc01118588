/* SPDX-License-Identifier: MIT */
/*
 * The manifest of a folder of CSV segments: what is committed. The file `.tern-manifest` is a row of records,
 * each appended with one write and made durable with one fdatasync, which is the commit of everything that it
 * says.
 *
 *   file   = "terncsv1" record*
 *   record = size(u32) crc(u32) item*                     crc: CRC-32C of size and items
 *   item   = 1 store(u64) slot(u32) position(u64)
 *          | 2 device(text8) lane(u8) epoch(u32) applied(u32) count(u32) gap*count
 *          | 3 number(u32) table(text8) hash(u32) created(u64) length(u64)
 *          | 4 number(u32)
 *          | 5 number(u32)
 *   gap    = first(u32) last(u32) reason(u8) at(u64)
 *
 * 1 is a cursor; 2 a mark, in place of the one before; 3 says that so much of a segment counts; 4 that a
 * segment is complete and to be renamed; 5 that the numbers below this one are used up.
 */
#ifndef TERN_CSV_MANIFEST_H
#define TERN_CSV_MANIFEST_H

#include "buffer.h"
#include "sink.h"

struct tern_csv_segment {
    struct tern_csv_segment *next;
    uint32_t number;
    uint32_t hash; /* of the schema */
    char table[TERN_NAME_MAX + 1];
    int64_t created;  /* Unix milliseconds */
    uint64_t length;  /* committed */
    bool is_listed;   /* the manifest knows it */
    bool is_complete; /* the manifest says so: it is to be renamed */
    /* The writer's. */
    bool is_touched; /* in this transaction */
    int descriptor;  /* -1: not open */
    uint64_t written;
    struct tern_buffer buffer; /* behind `written` */
};

struct tern_csv_cursor {
    uint64_t store;
    uint64_t position;
    uint32_t slot;
};

struct tern_csv_mark;

struct tern_csv_manifest {
    int folder;
    int descriptor;
    uint64_t size;          /* of the file */
    uint64_t size_when_new; /* after it was last rewritten */
    uint32_t next_number;
    struct tern_csv_segment *segments;
    struct tern_csv_cursor *cursors;
    size_t cursor_count;
    struct tern_csv_mark **marks; /* buckets */
    struct tern_buffer record;    /* being put together */
};

/* Reads the manifest of the folder, or begins one. A torn last record is cut off. The error names what is
 * wrong. */
int tern_csv_manifest_open(struct tern_csv_manifest *manifest, int folder, struct tern_sink *sink);
void tern_csv_manifest_close(struct tern_csv_manifest *manifest);

/* Fills in the mark. False: out of memory. */
bool tern_csv_manifest_read_mark(const struct tern_csv_manifest *manifest, struct tern_mark *mark);
/* Calls for each mark. */
void tern_csv_manifest_list(const struct tern_csv_manifest *manifest,
                            void (*call)(void *context, const struct tern_mark *mark), void *context);
uint64_t tern_csv_manifest_cursor(const struct tern_csv_manifest *manifest, uint64_t store, uint32_t slot);

/* A record: begin, items, then write, which returns when it is durable and has taken effect in memory. On an
 * error nothing is known of the file's end: close and open again. */
void tern_csv_record_begin(struct tern_csv_manifest *manifest);
void tern_csv_record_cursor(struct tern_csv_manifest *manifest, uint64_t store, uint32_t slot,
                            uint64_t position);
void tern_csv_record_mark(struct tern_csv_manifest *manifest, const struct tern_mark *mark);
void tern_csv_record_segment(struct tern_csv_manifest *manifest, const struct tern_csv_segment *segment);
void tern_csv_record_complete(struct tern_csv_manifest *manifest, uint32_t number);
bool tern_csv_record_is_empty(const struct tern_csv_manifest *manifest);
int tern_csv_record_write(struct tern_csv_manifest *manifest, struct tern_sink *sink);

/* Takes a segment that is done out of memory; the file forgets it when it is next rewritten. */
void tern_csv_manifest_drop(struct tern_csv_manifest *manifest, struct tern_csv_segment *segment);

/* Writes the manifest anew: what it says is durable then, whatever became of writes before. */
int tern_csv_manifest_rewrite(struct tern_csv_manifest *manifest, struct tern_sink *sink);

/* Writes the manifest anew when it is much longer than what it says. */
int tern_csv_manifest_trim(struct tern_csv_manifest *manifest, struct tern_sink *sink);

#endif
