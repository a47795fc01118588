/* SPDX-License-Identifier: MIT */
/* The bytes of one journal file: header, entries, and a scan over them. Shared by journal.c and
 * journal_read.c. */
#ifndef TERN_JOURNAL_FILE_H
#define TERN_JOURNAL_FILE_H

#include <pthread.h>

#include "journal.h"

struct tern_journal_header {
    uint32_t version;
    uint32_t number;
    uint64_t store;
    uint64_t base;
    uint64_t state;
    uint64_t state_end;
};

struct tern_journal_file {
    uint32_t number;
    uint64_t base;
};

struct tern_journal {
    struct tern_journal_config config;
    char *directory;
    int folder; /* descriptor of the directory */
    int lock;
    uint64_t store;
    /* The writer's. */
    int descriptor;       /* of the newest file */
    uint64_t base;        /* of the newest file */
    uint64_t state_end;   /* of the newest file */
    uint64_t synced;      /* behind the newest durable entry: where the buffer begins */
    uint64_t ceiling;     /* no position at or above this one was ever given out by earlier files */
    uint32_t last_number; /* of any file that is or was there, good or not: a new one is above it */
    uint8_t *buffer;
    size_t size;
    size_t capacity;
    bool broken;  /* the newest file may take no more writes */
    bool alarmed; /* the failure has been reported */
    bool held;    /* takes no more entries */
    /* Shared with readers. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct tern_journal_file *files; /* oldest first */
    size_t file_count;
    uint64_t durable;
    unsigned wakes;
};

#define TERN_JOURNAL_NAME_MAX 32
void tern_journal_name(char name[TERN_JOURNAL_NAME_MAX], uint32_t number);

/* Reads or writes all of `size` bytes. 0, or -1 with errno; a read past the end of the file is short: *got
 * says how much came. */
int tern_journal_pread(int descriptor, void *data, size_t size, uint64_t offset, size_t *got);
int tern_journal_pwrite(int descriptor, const void *data, size_t size, uint64_t offset);

void tern_journal_encode_header(uint8_t bytes[TERN_JOURNAL_HEADER], const struct tern_journal_header *header);
/* False when the bytes are no header. The version is filled in even when it is another. */
bool tern_journal_decode_header(const uint8_t bytes[TERN_JOURNAL_HEADER], struct tern_journal_header *header);

/* Bytes that a body of `size` takes in a file. */
size_t tern_journal_entry_size(size_t size);

/* Writes head and filling of the entry at `position` around the body that stands at bytes +
 * TERN_JOURNAL_ENTRY. */
void tern_journal_seal_entry(uint8_t *bytes, size_t size, uint64_t store, uint64_t position, uint32_t back);

#define TERN_JOURNAL_AHEAD (256u << 10) /* for a scan in order */

/* A scan over one file, with a buffer of its own. */
struct tern_journal_scan {
    int descriptor;
    uint64_t store;
    uint64_t base;
    uint64_t position; /* of the next entry */
    uint64_t end;      /* scan no further; may grow between calls */
    uint64_t loaded;   /* position of buffer[0] */
    size_t filled;
    size_t ahead; /* bytes to read at once */
    uint8_t *buffer;
};

struct tern_journal_found {
    uint64_t position;
    uint64_t synced; /* was durable when it was appended */
    const uint8_t *body;
    size_t size;
};

int tern_journal_scan_open(struct tern_journal_scan *scan, int descriptor, uint64_t store, uint64_t base,
                           size_t ahead);
void tern_journal_scan_close(struct tern_journal_scan *scan);

/* 1: the entry at scan->position, and the scan is behind it; 0: the end; TERN_HOST_E_CORRUPT: no valid entry
 * there; TERN_HOST_E_SYSTEM. */
int tern_journal_scan_next(struct tern_journal_scan *scan, struct tern_journal_found *found);

/* Moves to the next place with a valid entry, behind scan->position. 1, 0 when there is none, or an error. */
int tern_journal_scan_resume(struct tern_journal_scan *scan);

/* Reports an error about a file of the folder, with errno's text where `error` is not 0. */
void tern_journal_report(const struct tern_journal *journal, enum tern_level level, const char *event,
                         const char *file, int error, const char *message);

#endif
