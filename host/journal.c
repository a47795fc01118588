/* SPDX-License-Identifier: MIT */
/* Writing: entries into memory, memory into the newest file, and a new file when that one is full or cannot
 * be trusted. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../core/bytes.h"
#include "journal_open.h"
#include "deadline.h"

#define PIECE (1u << 20) /* of a new file, written at once */

const char *tern_journal_directory(const struct tern_journal *journal)
{
    return journal->directory;
}

uint64_t tern_journal_store(const struct tern_journal *journal)
{
    return journal->store;
}

/* ---- Appending ------------------------------------------------------------------------------- */

static bool reserve(struct tern_journal *journal, size_t more)
{
    size_t capacity = journal->capacity == 0 ? 64u << 10 : journal->capacity;
    while (capacity < journal->size + more)
        capacity *= 2;
    if (capacity == journal->capacity)
        return true;
    uint8_t *buffer = realloc(journal->buffer, capacity);
    if (buffer == NULL)
        return false;
    journal->buffer = buffer;
    journal->capacity = capacity;
    return true;
}

bool tern_journal_has_room(struct tern_journal *journal)
{
    size_t most = tern_journal_entry_size(TERN_JOURNAL_BODY_MAX);
    return !journal->config.read_only && !journal->held && journal->size + most <= TERN_JOURNAL_BUFFER_MAX &&
           reserve(journal, most);
}

uint64_t tern_journal_append(struct tern_journal *journal, const uint8_t *body, size_t size)
{
    size_t whole = tern_journal_entry_size(size);
    if (size > TERN_JOURNAL_BODY_MAX || !tern_journal_has_room(journal))
        return 0;
    uint64_t position = journal->synced + journal->size;
    uint8_t *entry = journal->buffer + journal->size;
    memcpy(entry + TERN_JOURNAL_ENTRY, body, size);
    tern_journal_seal_entry(entry, size, journal->store, position, (uint32_t)journal->size);
    journal->size += whole;
    return position;
}

/* ---- A new file ------------------------------------------------------------------------------ */

struct tern_journal_state {
    struct tern_journal *journal;
    struct tern_journal_header header;
    int descriptor;
    uint64_t position; /* of the next entry */
    uint64_t moved;    /* references to `moved` or behind grow by the header's size */
    uint8_t *piece;
    size_t size;
    int error; /* errno of the first failure, 0: none */
};

static void flush_piece(struct tern_journal_state *state)
{
    uint64_t offset = state->position - state->header.base - state->size;
    if (state->error == 0 && tern_journal_pwrite(state->descriptor, state->piece, state->size, offset) != 0)
        state->error = errno != 0 ? errno : EIO;
    state->size = 0;
}

/* Appends an entry to the new file, its references put right. */
static uint64_t put_entry(struct tern_journal_state *state, const uint8_t *body, size_t size)
{
    size_t whole = tern_journal_entry_size(size);
    if (state->size + whole > PIECE)
        flush_piece(state);
    uint8_t *entry = state->piece + state->size;
    uint8_t *copy = entry + TERN_JOURNAL_ENTRY;
    memcpy(copy, body, size);
    for (uint8_t i = 0; i < body[1]; i++) {
        uint64_t reference = tern_load64(copy + TERN_JOURNAL_BODY_HEAD(i));
        if (reference >= state->moved)
            tern_store64(copy + TERN_JOURNAL_BODY_HEAD(i), reference + TERN_JOURNAL_HEADER);
    }
    uint64_t position = state->position;
    /* The file is whole and durable before it has its name: everything in it was durable "before" its first
     * entry. */
    tern_journal_seal_entry(entry, size, state->journal->store, position, 0);
    state->size += whole;
    state->position += whole;
    return position;
}

uint64_t tern_journal_put_state(struct tern_journal_state *state, const uint8_t *body, size_t size)
{
    if (size > TERN_JOURNAL_BODY_MAX)
        return 0;
    uint64_t position = put_entry(state, body, size);
    return state->error == 0 ? position : 0;
}

/* What was appended since the last sync goes into the new file, in front of the state that already includes
 * it. */
static void carry_buffer(struct tern_journal_state *state)
{
    struct tern_journal *journal = state->journal;
    for (size_t offset = 0; offset < journal->size;) {
        size_t size = tern_load32(journal->buffer + offset);
        put_entry(state, journal->buffer + offset + TERN_JOURNAL_ENTRY, size);
        offset += tern_journal_entry_size(size);
    }
}

static void write_file(struct tern_journal_state *state)
{
    struct tern_journal *journal = state->journal;
    uint8_t header[TERN_JOURNAL_HEADER];
    carry_buffer(state);
    state->header.state = state->position;
    if (state->error == 0 && journal->config.snapshot(journal->config.context, state) != 0 &&
        state->error == 0)
        state->error = ENOMEM;
    flush_piece(state);
    state->header.state_end = state->position;
    tern_journal_encode_header(header, &state->header);
    if (state->error == 0 && (tern_journal_pwrite(state->descriptor, header, sizeof header, 0) != 0 ||
                              fdatasync(state->descriptor) != 0))
        state->error = errno;
}

/* Writes the file under another name, then gives it its own. */
static int make_file(struct tern_journal *journal, struct tern_journal_state *state)
{
    static const char temporary[] = "journal.new";
    char name[TERN_JOURNAL_NAME_MAX];
    tern_journal_name(name, state->header.number);
    state->descriptor = openat(journal->folder, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (state->descriptor < 0)
        return errno;
    write_file(state);
    if (state->error == 0 && renameat(journal->folder, temporary, journal->folder, name) != 0)
        state->error = errno;
    if (state->error == 0 && fsync(journal->folder) != 0) {
        /* Whether the name outlasts a power cut is not known: what went into the file before this one would
         * not count then. */
        state->error = errno;
        journal->broken = true;
        unlinkat(journal->folder, name, 0);
    }
    if (state->error != 0) {
        close(state->descriptor);
        unlinkat(journal->folder, temporary, 0);
    }
    return state->error;
}

/* Room in the list for one more file: once it has its name, nothing may fail. */
static bool reserve_file(struct tern_journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    struct tern_journal_file *files = realloc(journal->files, (journal->file_count + 1) * sizeof *files);
    if (files != NULL)
        journal->files = files;
    pthread_mutex_unlock(&journal->mutex);
    return files != NULL;
}

/* Readers see the file before its entries count as durable. */
static void list_file(struct tern_journal *journal, const struct tern_journal_header *header)
{
    pthread_mutex_lock(&journal->mutex);
    journal->files[journal->file_count++] = (struct tern_journal_file){header->number, header->base};
    journal->last_number = header->number;
    pthread_mutex_unlock(&journal->mutex);
}

static void publish(struct tern_journal *journal, uint64_t durable)
{
    pthread_mutex_lock(&journal->mutex);
    journal->synced = durable;
    journal->durable = durable;
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->mutex);
}

static void install(struct tern_journal *journal, const struct tern_journal_state *state)
{
    if (journal->descriptor >= 0)
        close(journal->descriptor);
    journal->descriptor = state->descriptor;
    journal->base = state->header.base;
    journal->state_end = state->position;
    journal->broken = false;
    journal->alarmed = false;
    journal->size = 0;
    if (journal->config.moved != NULL)
        journal->config.moved(journal->config.context, state->moved, TERN_JOURNAL_HEADER);
    publish(journal, state->position);
}

int tern_journal_begin_file(struct tern_journal *journal)
{
    uint64_t base = journal->synced > journal->ceiling ? journal->synced : journal->ceiling;
    uint32_t number = journal->last_number + 1;
    struct tern_journal_state state = {
        .journal = journal, .position = base + TERN_JOURNAL_HEADER, .moved = base};
    state.header = (struct tern_journal_header){TERN_JOURNAL_VERSION, number, journal->store, base, 0, 0};
    state.piece = malloc(PIECE);
    int error = state.piece == NULL || !reserve_file(journal) ? ENOMEM : make_file(journal, &state);
    free(state.piece);
    if (error == 0) {
        list_file(journal, &state.header);
        install(journal, &state);
        return TERN_HOST_OK;
    }
    if (!journal->alarmed)
        tern_journal_report(journal, TERN_ERROR, "journal-stopped", "", error,
                            "no new journal file can be written; nothing is acknowledged until it can: "
                            "check the disk's space, health and permissions");
    journal->alarmed = true;
    return TERN_HOST_E_SYSTEM;
}

/* ---- Durability ------------------------------------------------------------------------------ */

static bool is_full(const struct tern_journal *journal)
{
    uint64_t limit = journal->config.file_bytes == 0 ? TERN_JOURNAL_FILE_BYTES : journal->config.file_bytes;
    uint64_t state = journal->state_end - journal->base;
    /* With very many devices the state itself is large: it must stay a small part of what is written. */
    if (limit < 4 * state)
        limit = 4 * state;
    return journal->synced - journal->state_end >= limit;
}

static bool write_buffer(struct tern_journal *journal)
{
    if (tern_journal_pwrite(journal->descriptor, journal->buffer, journal->size,
                            journal->synced - journal->base) != 0 ||
        fdatasync(journal->descriptor) != 0) {
        /* The kernel may have dropped the pages and cleared the error: asking it again proves nothing. */
        journal->broken = true;
        tern_journal_report(
            journal, TERN_ERROR, "journal-write-failed", "", errno,
            "the newest journal file may be incomplete; what is not durable goes into a new file");
        return false;
    }
    uint64_t durable = journal->synced + journal->size;
    journal->size = 0;
    publish(journal, durable);
    return true;
}

int tern_journal_sync(struct tern_journal *journal)
{
    if (journal->size == 0)
        return TERN_HOST_OK;
    if (journal->broken || !write_buffer(journal))
        return tern_journal_begin_file(journal);
    /* Everything is durable: when a new file cannot be made now, the old one grows on, and the next sync
     * tries again. */
    if (is_full(journal))
        (void)tern_journal_begin_file(journal);
    return TERN_HOST_OK;
}

void tern_journal_close(struct tern_journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->descriptor >= 0)
        close(journal->descriptor);
    if (journal->lock >= 0)
        close(journal->lock);
    if (journal->folder >= 0)
        close(journal->folder);
    pthread_mutex_destroy(&journal->mutex);
    pthread_cond_destroy(&journal->changed);
    free(journal->files);
    free(journal->buffer);
    free(journal->directory);
    free(journal);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

uint64_t tern_journal_end(struct tern_journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    uint64_t durable = journal->durable;
    pthread_mutex_unlock(&journal->mutex);
    return durable;
}

void tern_journal_wait(struct tern_journal *journal, uint64_t position, int milliseconds)
{
    struct timespec until = tern_deadline(milliseconds);
    pthread_mutex_lock(&journal->mutex);
    unsigned wakes = journal->wakes;
    int error = 0;
    while (journal->durable <= position && journal->wakes == wakes && error == 0)
        error = pthread_cond_timedwait(&journal->changed, &journal->mutex, &until);
    pthread_mutex_unlock(&journal->mutex);
}

void tern_journal_wake(struct tern_journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    journal->wakes++;
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->mutex);
}
