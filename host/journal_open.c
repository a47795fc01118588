/* SPDX-License-Identifier: MIT */
/* Opening a staging folder: lock, version, store id, recovery. */
#include "journal_open.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/crc32c.h"
#include "log.h"

#define STORE_SIZE 128 /* the `store` file is one short line */

/* ---- The folder ------------------------------------------------------------------------------ */

static int fail(const struct tern_journal *journal, const char *file, int error, const char *message,
                int status)
{
    tern_journal_report(journal, TERN_ERROR, "stage-open-failed", file, error, message);
    return status;
}

/* A new folder's own entry must outlast a power cut too. */
static int keep_folder(struct tern_journal *journal)
{
    int parent = openat(journal->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = parent >= 0 && fsync(parent) == 0;
    int error = errno;
    if (parent >= 0)
        close(parent);
    return good ? TERN_HOST_OK
                : fail(journal, "", error, "cannot make the new staging folder durable", TERN_HOST_E_SYSTEM);
}

static int open_folder(struct tern_journal *journal)
{
    bool made = !journal->config.read_only && mkdir(journal->directory, 0750) == 0;
    if (!made && !journal->config.read_only && errno != EEXIST)
        return fail(journal, "", errno,
                    "cannot make the staging folder: its parent must exist and be writable",
                    TERN_HOST_E_SYSTEM);
    journal->folder = open(journal->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->folder < 0)
        return fail(journal, "", errno, "cannot open the staging folder", TERN_HOST_E_SYSTEM);
    return made ? keep_folder(journal) : TERN_HOST_OK;
}

static int take_lock(struct tern_journal *journal)
{
    journal->lock = openat(journal->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (journal->lock < 0)
        return fail(journal, "lock", errno, "cannot open the lock file: check the folder's permissions",
                    TERN_HOST_E_SYSTEM);
    if (flock(journal->lock, LOCK_EX | LOCK_NB) == 0)
        return TERN_HOST_OK;
    if (errno == EWOULDBLOCK)
        return fail(journal, "", 0,
                    "the staging folder is in use by another process: stop it, or use another folder",
                    TERN_HOST_E_IN_USE);
    return fail(journal, "lock", errno,
                "cannot lock the staging folder: is it on a network file system without locks?",
                TERN_HOST_E_SYSTEM);
}

/* ---- The store file -------------------------------------------------------------------------- */

static uint32_t text_crc(const char *text, int size)
{
    return tern_crc32c(0, text, (size_t)size);
}

/* The store file's line. Returns its length. */
static int format_store(char line[STORE_SIZE], unsigned version, uint64_t id)
{
    int size = snprintf(line, STORE_SIZE, "tern-stage %u %016" PRIx64, version, id);
    return size + snprintf(line + size, STORE_SIZE - (size_t)size, " %08" PRIx32 "\n", text_crc(line, size));
}

/* 1: read; 0: there is none; or an error. */
static int read_store(struct tern_journal *journal)
{
    char line[STORE_SIZE], expected[STORE_SIZE];
    size_t size;
    unsigned version;
    int descriptor = openat(journal->folder, "store", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT)
        return 0;
    if (descriptor < 0)
        return fail(journal, "store", errno, "cannot open the store file", TERN_HOST_E_SYSTEM);
    int status = tern_journal_pread(descriptor, line, sizeof line - 1, 0, &size);
    close(descriptor);
    if (status != 0)
        return fail(journal, "store", errno, "cannot read the store file", TERN_HOST_E_SYSTEM);
    line[size] = '\0';
    if (sscanf(line, "tern-stage %u", &version) == 1 && version != TERN_JOURNAL_VERSION)
        return fail(
            journal, "store", 0,
            "the staging folder has another format version and was left untouched: use the tern that made it",
            TERN_HOST_E_VERSION);
    if (sscanf(line, "tern-stage %u %16" SCNx64, &version, &journal->store) != 2 || journal->store == 0 ||
        (size_t)format_store(expected, version, journal->store) != size || memcmp(expected, line, size) != 0)
        return fail(journal, "store", 0, "the store file is damaged: restore it from a copy of the folder",
                    TERN_HOST_E_CORRUPT);
    return 1;
}

static int random_id(uint64_t *id)
{
    int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    size_t got = 0;
    *id = 0;
    if (descriptor < 0)
        return -1;
    while (*id == 0 && (got = 0, read(descriptor, id, sizeof *id)) == (ssize_t)sizeof *id)
        got = sizeof *id;
    close(descriptor);
    return *id != 0 && got == sizeof *id ? 0 : -1;
}

static int make_store(struct tern_journal *journal)
{
    char line[STORE_SIZE];
    if (random_id(&journal->store) != 0)
        return fail(journal, "", errno, "cannot read /dev/urandom for the store's id", TERN_HOST_E_SYSTEM);
    int size = format_store(line, TERN_JOURNAL_VERSION, journal->store);
    int descriptor = openat(journal->folder, "store.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = descriptor >= 0 && tern_journal_pwrite(descriptor, line, (size_t)size, 0) == 0 &&
                fdatasync(descriptor) == 0 &&
                renameat(journal->folder, "store.new", journal->folder, "store") == 0 &&
                fsync(journal->folder) == 0;
    int error = errno;
    if (descriptor >= 0)
        close(descriptor);
    if (!good)
        return fail(journal, "store", error,
                    "cannot write the store file: check the disk's space and permissions",
                    TERN_HOST_E_SYSTEM);
    return TERN_HOST_OK;
}

/* ---- The list of files ----------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const struct tern_journal_file *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int add_number(struct tern_journal *journal, uint32_t number)
{
    struct tern_journal_file *files = realloc(journal->files, (journal->file_count + 1) * sizeof *files);
    if (files == NULL)
        return fail(journal, "", ENOMEM, "no memory to list the journal's files", TERN_HOST_E_SYSTEM);
    files[journal->file_count++] = (struct tern_journal_file){number, 0};
    journal->files = files;
    return TERN_HOST_OK;
}

static int list_files(struct tern_journal *journal)
{
    DIR *listing = opendir(journal->directory);
    if (listing == NULL)
        return fail(journal, "", errno, "cannot list the staging folder", TERN_HOST_E_SYSTEM);
    int status = TERN_HOST_OK;
    for (struct dirent *entry; status == TERN_HOST_OK && (errno = 0, entry = readdir(listing)) != NULL;) {
        unsigned number;
        char name[TERN_JOURNAL_NAME_MAX];
        if (sscanf(entry->d_name, "journal-%8u.tern", &number) != 1)
            continue;
        tern_journal_name(name, number);
        if (strcmp(name, entry->d_name) == 0)
            status = add_number(journal, number);
    }
    /* A list that broke off would make a new store over the old one. */
    if (status == TERN_HOST_OK && errno != 0)
        status = fail(journal, "", errno, "cannot list the staging folder", TERN_HOST_E_SYSTEM);
    closedir(listing);
    if (status == TERN_HOST_OK && journal->file_count != 0) {
        qsort(journal->files, journal->file_count, sizeof *journal->files, by_number);
        journal->last_number = journal->files[journal->file_count - 1].number;
    }
    return status;
}

/* Opens a file of the journal and reads its header and size. The descriptor, or an error. */
static int open_file(struct tern_journal *journal, uint32_t number, int flags,
                     struct tern_journal_header *header, uint64_t *size)
{
    char name[TERN_JOURNAL_NAME_MAX];
    uint8_t bytes[TERN_JOURNAL_HEADER];
    struct stat about;
    size_t got = 0;
    tern_journal_name(name, number);
    int descriptor = openat(journal->folder, name, flags | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &about) != 0 ||
        tern_journal_pread(descriptor, bytes, sizeof bytes, 0, &got) != 0) {
        int error = errno;
        if (descriptor >= 0)
            close(descriptor);
        return fail(journal, name, error, "cannot read a journal file", TERN_HOST_E_SYSTEM);
    }
    *size = (uint64_t)about.st_size;
    if (got < sizeof bytes || !tern_journal_decode_header(bytes, header) || header->number != number ||
        header->store != journal->store || header->version != TERN_JOURNAL_VERSION) {
        close(descriptor);
        tern_journal_report(
            journal, TERN_ERROR, "journal-corrupt", name, 0,
            "the header of this journal file is damaged or of another store; the file is kept and left out");
        return TERN_HOST_E_CORRUPT;
    }
    return descriptor;
}

/* Takes the files whose headers are good, with their bases; the room of the others is never given out
 * again. */
static int read_headers(struct tern_journal *journal)
{
    size_t good = 0;
    uint64_t end = 0, lost = 0, size;
    for (size_t i = 0; i < journal->file_count; i++) {
        struct tern_journal_header header;
        int descriptor = open_file(journal, journal->files[i].number, O_RDONLY, &header, &size);
        if (descriptor == TERN_HOST_E_SYSTEM)
            return descriptor;
        if (descriptor < 0) {
            lost += size + 8;
            continue;
        }
        end = header.base + size;
        close(descriptor);
        journal->files[good++] = (struct tern_journal_file){header.number, header.base};
    }
    bool newest_is_damaged =
        journal->file_count != 0 &&
        (good == 0 || journal->files[good - 1].number != journal->files[journal->file_count - 1].number);
    if (newest_is_damaged)
        journal->ceiling = (end + lost + 7) / 8 * 8;
    journal->file_count = good;
    return TERN_HOST_OK;
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* Whether a valid entry at or behind the scan's position was written after a sync that covered `position`. */
static int proves_corruption(struct tern_journal_scan *scan, uint64_t position)
{
    struct tern_journal_found found;
    for (;;) {
        int status = tern_journal_scan_next(scan, &found);
        if (status == 1 && found.synced > position)
            return 1;
        if (status == TERN_HOST_E_CORRUPT)
            status = tern_journal_scan_resume(scan);
        if (status != 1)
            return status;
    }
}

static void report_damage(const struct tern_journal *journal, uint32_t number, uint64_t from, uint64_t to)
{
    struct tern_fields fields;
    char name[TERN_JOURNAL_NAME_MAX];
    tern_journal_name(name, number);
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", "%s/%s", journal->directory, name);
    tern_fields_format(&fields, "from", "%" PRIu64, from);
    tern_fields_format(&fields, "to", "%" PRIu64, to);
    tern_fields_text(
        &fields, "msg",
        "journal entries here are damaged although they were durable; the file is kept as it is, the "
        "records become gaps unless a device still holds them: check the disk");
    tern_report_event(&journal->config.report, TERN_ERROR, "journal-corrupt", &fields);
}

/* What replaying one file showed. */
struct replayed {
    uint64_t size;   /* of the file */
    uint64_t end;    /* behind the last valid entry */
    uint64_t synced; /* what was durable when that was appended */
    bool is_corrupt; /* damage in the middle */
    bool is_torn;    /* damage at the end only */
};

/* Damage at the scan's position: moves on to the next valid entry when something behind proves that this was
 * durable once. 1: moved; 0: a torn tail. */
static int pass_damage(struct tern_journal *journal, struct tern_journal_scan *scan, uint32_t number)
{
    uint64_t damage = scan->position;
    int status = tern_journal_scan_resume(scan);
    if (status != 1)
        return status;
    uint64_t next = scan->position;
    status = proves_corruption(scan, damage);
    scan->position = next;
    if (status == 1)
        report_damage(journal, number, damage - scan->base, next - scan->base);
    return status;
}

static int replay_scan(struct tern_journal *journal, struct tern_journal_scan *scan, uint32_t number,
                       struct replayed *replayed)
{
    struct tern_journal_found found;
    for (;;) {
        int status = tern_journal_scan_next(scan, &found);
        if (status == 1) {
            replayed->synced = found.synced;
            status = journal->config.replay(journal->config.context, found.position, found.body, found.size);
            if (status != TERN_HOST_OK)
                return status;
            continue;
        }
        replayed->end = scan->position;
        if (status != TERN_HOST_E_CORRUPT)
            return status;
        status = pass_damage(journal, scan, number);
        replayed->is_corrupt |= status == 1;
        replayed->is_torn |= status == 0;
        if (status != 1)
            return status;
    }
}

static int replay_file(struct tern_journal *journal, int descriptor, const struct tern_journal_header *header,
                       uint64_t end, struct replayed *replayed)
{
    struct tern_journal_scan scan;
    int status = tern_journal_scan_open(&scan, descriptor, journal->store, header->base, TERN_JOURNAL_AHEAD);
    scan.position = header->state;
    scan.end = end;
    if (status == TERN_HOST_OK)
        status = replay_scan(journal, &scan, header->number, replayed);
    tern_journal_scan_close(&scan);
    if (status != TERN_HOST_OK)
        fail(journal, "", errno, "cannot read the journal", status);
    return status;
}

/* Whether all of the file's state is readable. */
static bool state_is_good(struct tern_journal *journal, int descriptor,
                          const struct tern_journal_header *header)
{
    struct tern_journal_scan scan;
    struct tern_journal_found found;
    int status = tern_journal_scan_open(&scan, descriptor, journal->store, header->base, TERN_JOURNAL_AHEAD);
    scan.position = header->state;
    scan.end = header->state_end;
    do {
        status = status < 0 ? status : tern_journal_scan_next(&scan, &found);
    } while (status == 1);
    bool good = status == 0 && scan.position == header->state_end;
    tern_journal_scan_close(&scan);
    return good;
}

/* The newest file whose state is good. When it is not the last one, its entries and those of the files behind
 * it are replayed too: together they are the state that the damaged file began with. */
static int find_start(struct tern_journal *journal, size_t *start)
{
    for (size_t i = journal->file_count; i-- > 0;) {
        struct tern_journal_header header;
        uint64_t size;
        int descriptor = open_file(journal, journal->files[i].number, O_RDONLY, &header, &size);
        if (descriptor < 0)
            return descriptor;
        bool good = state_is_good(journal, descriptor, &header);
        close(descriptor);
        if (good) {
            *start = i;
            return TERN_HOST_OK;
        }
        char name[TERN_JOURNAL_NAME_MAX];
        tern_journal_name(name, header.number);
        tern_journal_report(
            journal, TERN_ERROR, "journal-corrupt", name, 0,
            "the state at the beginning of this journal file is damaged; recovering from the file before");
    }
    return fail(journal, "", 0, "no journal file has a readable state: restore the folder from a copy",
                TERN_HOST_E_CORRUPT);
}

/* Writes the last write's bytes once more, and makes them durable. When the process before ended after an
 * fdatasync that failed, they may read well and yet not be on the disk, and the kernel would not write them
 * again. */
static bool write_again(int descriptor, uint64_t from, uint64_t to)
{
    uint8_t *piece = malloc(TERN_JOURNAL_AHEAD);
    bool good = piece != NULL;
    while (good && from < to) {
        size_t got, size = to - from < TERN_JOURNAL_AHEAD ? (size_t)(to - from) : TERN_JOURNAL_AHEAD;
        good = tern_journal_pread(descriptor, piece, size, from, &got) == 0 && got == size &&
               tern_journal_pwrite(descriptor, piece, size, from) == 0;
        from += size;
    }
    free(piece);
    return good && fdatasync(descriptor) == 0;
}

/* Goes on in the newest file, its torn tail cut. Not where a part of its state is missing: what came behind
 * would be taken for that. */
static int take_up(struct tern_journal *journal, int descriptor, const struct tern_journal_header *header,
                   const struct replayed *replayed)
{
    bool is_corrupt = replayed->is_corrupt || replayed->end < header->state_end;
    journal->descriptor = descriptor;
    journal->base = header->base;
    journal->state_end = header->state_end;
    journal->synced = journal->durable = replayed->end;
    uint64_t end = replayed->end - header->base;
    if (journal->config.read_only)
        return TERN_HOST_OK;
    bool torn = replayed->size > end;
    if (torn && !is_corrupt)
        tern_journal_report(journal, TERN_INFO, "journal-tail-cut", "", 0,
                            "the last write before the stop was incomplete and had not been acknowledged");
    bool whole = !is_corrupt && (!torn || ftruncate(descriptor, (off_t)end) == 0);
    if (whole && write_again(descriptor, replayed->synced - header->base, end) && fsync(journal->folder) == 0)
        return TERN_HOST_OK; /* the file's name, too, may have been given just before the process before
                              * ended */
    if (!is_corrupt)
        tern_journal_report(journal, TERN_WARN, "journal-write-failed", "", errno,
                            "the newest journal file takes no writes; going on in a new one");
    /* Evidence stays as it is: nothing is cut off or appended. */
    journal->ceiling = header->base + ((whole ? end : replayed->size) + 7) / 8 * 8;
    if (journal->ceiling < header->state_end)
        journal->ceiling = header->state_end;
    journal->synced = journal->durable = journal->ceiling;
    journal->broken = true;
    return tern_journal_begin_file(journal);
}

static int recover_files(struct tern_journal *journal, size_t start)
{
    int status = TERN_HOST_OK;
    for (size_t i = start; i < journal->file_count && status == TERN_HOST_OK; i++) {
        bool newest = i + 1 == journal->file_count;
        struct tern_journal_header header;
        struct replayed replayed = {0, 0, 0, false, false};
        int descriptor = open_file(journal, journal->files[i].number, O_RDWR, &header, &replayed.size);
        if (descriptor < 0)
            return descriptor;
        uint64_t end = header.base + replayed.size;
        if (!newest && journal->files[i + 1].base < end)
            end = journal->files[i + 1].base;
        status = replay_file(journal, descriptor, &header, end, &replayed);
        if (newest && status == TERN_HOST_OK && journal->ceiling == 0)
            return take_up(journal, descriptor, &header, &replayed);
        close(descriptor);
    }
    if (status == TERN_HOST_OK) {
        /* Behind the newest readable file stands one without a readable header. */
        journal->synced = journal->durable = journal->ceiling;
        status = journal->config.read_only ? TERN_HOST_OK : tern_journal_begin_file(journal);
    }
    return status;
}

static int recover(struct tern_journal *journal, bool is_new)
{
    size_t start = 0;
    int status = list_files(journal);
    if (status != TERN_HOST_OK)
        return status;
    if (is_new && journal->file_count != 0)
        return fail(journal, "store", 0,
                    "the store file is missing but journal files are there: restore it from a copy",
                    TERN_HOST_E_CORRUPT);
    if (journal->config.read_only && (is_new || journal->file_count == 0))
        return fail(journal, "", 0, "there is no staging store in this folder", TERN_HOST_E_ARGUMENT);
    if (journal->file_count == 0) {
        /* Positions begin again, so that this is another store to every destination, even where an id is left
         * from one whose files were taken away. */
        status = make_store(journal);
        return status == TERN_HOST_OK ? tern_journal_begin_file(journal) : status;
    }
    status = read_headers(journal);
    if (status == TERN_HOST_OK)
        status = find_start(journal, &start);
    return status == TERN_HOST_OK ? recover_files(journal, start) : status;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static struct tern_journal *allocate(const struct tern_journal_config *config)
{
    struct tern_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return NULL;
    journal->config = *config;
    journal->folder = journal->lock = journal->descriptor = -1;
    journal->directory = strdup(config->directory);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&journal->mutex, NULL);
    journal->config.directory = journal->directory;
    return journal;
}

int tern_journal_open(struct tern_journal **out, const struct tern_journal_config *config)
{
    struct tern_journal *journal = allocate(config);
    *out = journal;
    if (journal == NULL || journal->directory == NULL) {
        tern_journal_close(journal);
        *out = NULL;
        return tern_report_no_start(&config->report, "journal");
    }
    int status = open_folder(journal);
    /* The version first: a folder of another format is not even locked. */
    if (status == TERN_HOST_OK)
        status = read_store(journal);
    if (status >= 0)
        status = config->read_only ? TERN_HOST_OK : take_lock(journal);
    if (status == TERN_HOST_OK)
        status = read_store(journal);
    if (status >= 0)
        status = recover(journal, status == 0);
    if (status != TERN_HOST_OK) {
        tern_journal_close(journal);
        *out = NULL;
    }
    return status;
}
