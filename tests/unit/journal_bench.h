/* SPDX-License-Identifier: MIT */
/* A journal of numbered entries in a temporary folder, on a disk that can fail, for tests; and its files as
 * bytes. */
#ifndef TERN_TEST_JOURNAL_BENCH_H
#define TERN_TEST_JOURNAL_BENCH_H

#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Faults for journal.c: the Nth call of each kind fails. 0: none does. */
static int fail_sync, fail_write, fail_rename, fail_folder_sync;

static inline int fake_fdatasync(int descriptor)
{
    if (fail_sync != 0 && --fail_sync == 0) {
        errno = EIO;
        return -1;
    }
    return fdatasync(descriptor);
}

static inline int fake_fsync(int descriptor)
{
    if (fail_folder_sync != 0 && --fail_folder_sync == 0) {
        errno = EIO;
        return -1;
    }
    return fsync(descriptor);
}

#include "../../host/journal_file.h"

static inline int fake_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
{
    if (fail_write > 0 && --fail_write == 0) {
        tern_journal_pwrite(descriptor, data, size / 2, offset);
        errno = ENOSPC;
        return -1;
    }
    if (fail_write < 0) {
        errno = ENOSPC;
        return -1;
    }
    return tern_journal_pwrite(descriptor, data, size, offset);
}

#include <stdio.h>
static inline int fake_renameat(int from, const char *name, int to, const char *other)
{
    if (fail_rename != 0 && --fail_rename == 0) {
        errno = EIO;
        return -1;
    }
    return renameat(from, name, to, other);
}

#define fdatasync           fake_fdatasync
#define fsync               fake_fsync
#define renameat            fake_renameat
#define tern_journal_pwrite fake_pwrite
#include "../../host/journal.c"
#undef fdatasync
#undef fsync
#undef renameat
#undef tern_journal_pwrite

#include "../../core/crc32c.h"
#include "chunks.h"

/* What the journal is made to hold: numbered entries, each with a reference to the one before. The state is
 * the last number, in each of so many entries. */
static unsigned state_entries = 1, replayed_states;
static uint32_t replayed_state, replayed_last, replayed_count;
static uint64_t last_position;
static struct tern_journal *journal;
static uint32_t newest;
static char last_event[64];
static unsigned alarms;

enum { ENTRY = 1, STATE = 2 };

static inline void hear(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    (void)fields;
    if (level < TERN_WARN)
        return;
    alarms++;
    snprintf(last_event, sizeof last_event, "%s", event);
}

static inline int replay(void *context, uint64_t position, const uint8_t *body, size_t size)
{
    (void)context;
    if (body[0] == STATE) {
        replayed_states++;
        replayed_state = tern_load32(body + 2);
        replayed_last = replayed_state;
        return 0;
    }
    CHECK(size >= 14);
    replayed_last = tern_load32(body + 10);
    replayed_count++;
    last_position = position;
    return 0;
}

static inline int snapshot(void *context, struct tern_journal_state *state)
{
    uint8_t body[6] = {STATE, 0};
    (void)context;
    tern_store32(body + 2, newest);
    for (unsigned i = 0; i < state_entries; i++)
        if (tern_journal_put_state(state, body, sizeof body) == 0)
            return TERN_HOST_E_SYSTEM;
    return TERN_HOST_OK;
}

static inline void moved(void *context, uint64_t from, uint64_t delta)
{
    (void)context;
    if (last_position >= from)
        last_position += delta;
}

static inline int open_journal(uint64_t limit)
{
    struct tern_journal_config config = {.directory = folder,
                                         .report = {hear, NULL},
                                         .file_bytes = limit,
                                         .replay = replay,
                                         .snapshot = snapshot,
                                         .moved = moved};
    replayed_state = replayed_last = replayed_count = replayed_states = 0;
    last_position = 0;
    return tern_journal_open(&journal, &config);
}

static inline void fresh(void)
{
    folder_fresh();
    newest = 0;
    alarms = 0;
    fail_sync = fail_write = fail_rename = fail_folder_sync = 0;
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
}

/* An entry of `size` bytes with the next number. */
static inline uint64_t append(size_t size)
{
    uint8_t body[1000] = {ENTRY, 1};
    tern_store64(body + 2, last_position);
    tern_store32(body + 10, newest + 1);
    for (size_t i = 14; i < size; i++)
        body[i] = (uint8_t)(newest + i);
    uint64_t position = tern_journal_append(journal, body, size);
    if (position == 0)
        return 0;
    last_position = position;
    newest++;
    return position;
}

static inline void append_some(unsigned count)
{
    while (count-- != 0)
        CHECK(append(14 + newest * 7 % 300) != 0);
}

/* Reads everything from the beginning: numbers rise by one but for `holes`, and each reference leads to the
 * entry before. */
static inline uint32_t read_all(unsigned holes)
{
    struct tern_journal_reader *reader;
    struct tern_journal_entry entry, before;
    uint32_t last = 0;
    CHECK_EQ(tern_journal_reader_open(journal, 0, &reader), TERN_HOST_OK);
    while (tern_journal_read(reader, &entry) == 1) {
        if (entry.body[0] != ENTRY)
            continue;
        uint32_t number = tern_load32(entry.body + 10);
        uint64_t reference = tern_load64(entry.body + 2);
        if (number != last + 1) {
            CHECK(number > last + 1 && holes-- != 0);
        } else if (last != 0) {
            CHECK_EQ(tern_journal_fetch(reader, reference, &before), TERN_HOST_OK);
            CHECK_EQ(tern_load32(before.body + 10), last);
        }
        last = number;
    }
    CHECK_EQ(tern_journal_reader_position(reader), tern_journal_end(journal));
    tern_journal_reader_close(reader);
    return last;
}
/* ---- Files as bytes -------------------------------------------------------------------------- */

static uint8_t image[65536];
static size_t image_size;
static const char first_file[] = "journal-00000001.tern";

static inline void load_image(void)
{
    FILE *file = fopen(folder_path(first_file), "rb");
    image_size = fread(image, 1, sizeof image, file);
    fclose(file);
}

static inline void store_image(const uint8_t *bytes, size_t size)
{
    folder_clear(folder_path("nothing"));
    unlink(folder_path("journal-00000002.tern"));
    FILE *file = fopen(folder_path(first_file), "wb");
    fwrite(bytes, 1, size, file);
    fclose(file);
}
static const char second_file[] = "journal-00000002.tern", third_file[] = "journal-00000003.tern";

/* Three files, synced and closed. */
static inline void make_three(void)
{
    folder_fresh();
    newest = 0;
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    while (file_bytes(folder_path(third_file)) < 0) {
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    append_some(2);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
}

static inline void write_header(const char *name, const struct tern_journal_header *header)
{
    uint8_t bytes[TERN_JOURNAL_HEADER];
    tern_journal_encode_header(bytes, header);
    int file = open(folder_path(name), O_RDWR);
    CHECK(pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes);
    close(file);
}

static inline struct tern_journal_header read_header(const char *name)
{
    uint8_t bytes[TERN_JOURNAL_HEADER];
    struct tern_journal_header header = {0};
    int file = open(folder_path(name), O_RDONLY);
    CHECK(pread(file, bytes, sizeof bytes, 0) == sizeof bytes && tern_journal_decode_header(bytes, &header));
    close(file);
    return header;
}

#endif
