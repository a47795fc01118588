/* SPDX-License-Identifier: MIT */
/* tern-device: a PC as a device. Pushes the rows of a CSV file through the same core that a microcontroller
 * runs. */
#include "csv_file.h"
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_SIZE   65536u
#define SECTOR_COUNT  256u
#define CHUNK_SIZE    4096u
#define FRAME_SIZE    1100u
#define ROWS_A_COMMIT 1000u
#define PROGRESS_MS   1000u
#define EXIT_FAILURE_ 1
#define EXIT_USAGE    2
#define NO_WAIT_LIMIT 0
#define POLLS_A_ROUND 256

static const char usage[] =
    "usage: tern-device --connect URL --id ID --flash FILE --table NAME (--key COLUMN[,COLUMN] | --append) "
    "[options] FILE.csv\n"
    "\n"
    "Pushes the rows of a CSV file (with a header line) to a tern gateway, as a device would: into flash, "
    "and from\n"
    "there over the link, until everything is acknowledged. Killed and started again it goes on where it "
    "was.\n"
    "\n"
    "  --connect URL    tcp://HOST:PORT or serial:DEVICE?baud=115200\n"
    "  --id ID          the device's identity: 1 to 32 of A-Z a-z 0-9 . _ : -\n"
    "  --flash FILE     the file that is the device's flash; made if missing\n"
    "  --table NAME     the table that the rows go to\n"
    "  --key COLUMNS    the columns that identify a row\n"
    "  --append         no key: every row of the file is a row of the table\n"
    "  --types LIST     NAME=TYPE,...; others are inferred. Types: bool, u8 to u64, i8 to i64, time_s, "
    "time_ms,\n"
    "                   decimal(N), float(N), text(N); with ? behind for columns that may be NULL\n"
    "  --packed         packed chunks: a tenth of the bytes, for more work\n"
    "  --commit N       rows a commit, 1 to 4000 (1000)\n"
    "  --chunk N        bytes a chunk, 64 to 4096 (4096)\n"
    "  --unit N         program unit of the flash: 1, 2, 4, 8, 16 or 32 (1)\n"
    "  --sector N       bytes a sector of the flash (65536)\n"
    "  --sectors N      number of sectors (256)\n"
    "  --sync           fdatasync each program: survives a power cut of this PC\n"
    "  --wait SECONDS   give up when nothing has been acknowledged for so long (0: never)\n"
    "  --quiet          no progress\n"
    "  --help           this text\n";

struct options {
    const char *connect, *id, *flash, *file;
    struct csv_options csv;
    unsigned long commit, chunk, unit, sector, sectors, wait;
    bool sync, quiet, packed;
};

struct device {
    struct tern tern;
    struct tern_config config;
    struct tern_lane lane;
    struct tern_posix_flash flash;
    struct tern_posix_link link;
    struct csv_file file;
    struct csv_table table;
    uint8_t chunk[CHUNK_SIZE];
    uint64_t models[(TERN_MODELS_SIZE(TERN_COLUMNS_MAX) + TERN_MODELS_TEXT) / sizeof(uint64_t) + 1];
    uint8_t frame[FRAME_SIZE];
    uint32_t first; /* sequence of the file's first row */
    unsigned long put;
    bool row_waits; /* a row has been read and found no room yet */
    struct tern_value row[TERN_COLUMNS_MAX];
};

static int complain(const char *message)
{
    fprintf(stderr, "tern-device: %s\n", message);
    return EXIT_FAILURE_;
}

/* ---- Command line ---------------------------------------------------------------------------- */

static int misuse(const char *what, const char *word)
{
    fprintf(stderr, "tern-device: %s%s%s; see tern-device --help\n", what, word[0] == '\0' ? "" : ": ", word);
    return EXIT_USAGE;
}

static bool parse_count(const char *text, unsigned long least, unsigned long most, unsigned long *value)
{
    char *end;
    errno = 0;
    *value = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *value >= least && *value <= most;
}

static bool take_text(struct options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {{"--connect", &options->connect}, {"--id", &options->id},
                 {"--flash", &options->flash},     {"--table", &options->csv.table},
                 {"--key", &options->csv.keys},    {"--types", &options->csv.types}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i].name) == 0) {
            *known[i].value = value;
            return true;
        }
    return false;
}

/* 1: taken; 0: not a number's option; -1: out of range. */
static int take_number(struct options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        unsigned long least, most;
        unsigned long *value;
    } known[] = {{"--commit", 1, 4000, &options->commit},
                 {"--chunk", 64, CHUNK_SIZE, &options->chunk},
                 {"--unit", 1, 32, &options->unit},
                 {"--sector", 128, 262144, &options->sector},
                 {"--sectors", 2, 1 << 20, &options->sectors},
                 {"--wait", 0, 1000000, &options->wait}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(name, known[i].name) == 0)
            return parse_count(value, known[i].least, known[i].most, known[i].value) ? 1 : -1;
    return 0;
}

static bool take_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--append") == 0)
        options->csv.append = true;
    else if (strcmp(name, "--sync") == 0)
        options->sync = true;
    else if (strcmp(name, "--quiet") == 0)
        options->quiet = true;
    else if (strcmp(name, "--packed") == 0)
        options->packed = true;
    else
        return false;
    return true;
}

static int check_options(const struct options *options)
{
    if (options->connect == NULL)
        return misuse("--connect is missing", "");
    if (options->id == NULL)
        return misuse("--id is missing", "");
    if (options->flash == NULL)
        return misuse("--flash is missing", "");
    if (options->csv.table == NULL)
        return misuse("--table is missing", "");
    if ((options->csv.keys == NULL) == !options->csv.append)
        return misuse("give either --key COLUMN or --append", "");
    if (options->file == NULL)
        return misuse("the CSV file is missing", "");
    if ((options->unit & (options->unit - 1)) != 0)
        return misuse("--unit must be 1, 2, 4, 8, 16 or 32", "");
    return 0;
}

static int parse_options(struct options *options, int count, char **words)
{
    *options = (struct options){.commit = ROWS_A_COMMIT,
                                .chunk = CHUNK_SIZE,
                                .unit = 1,
                                .sector = SECTOR_SIZE,
                                .sectors = SECTOR_COUNT};
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (word[0] != '-') {
            if (options->file != NULL)
                return misuse("more than one file", word);
            options->file = word;
            continue;
        }
        if (take_flag(options, word))
            continue;
        const char *value = i + 1 < count ? words[i + 1] : "";
        int number = take_number(options, word, value);
        if (number < 0)
            return misuse("not a number in range", word);
        if (number == 0 && !take_text(options, word, value))
            return misuse("unknown option", word);
        if (++i == count)
            return misuse("a value is missing behind", word);
    }
    return check_options(options);
}

/* ---- The job: which row of the file is which record of the flash ----------------------------- */

/* FLASH.job says which file's rows the flash has been given, and the sequence of its first one: with it a
 * restart knows exactly which rows are in the flash already. It is written aside, synced and renamed before
 * the first row is put. */
struct job {
    unsigned long first, size, crc, rows;
    char table[TERN_NAME_MAX + 1];
};

static bool read_job(const char *path, struct job *job)
{
    FILE *stream = fopen(path, "r");
    bool found =
        stream != NULL && fscanf(stream, "tern-job 1\nfirst %lu\nsize %lu\ncrc %lu\nrows %lu\ntable %63s\n",
                                 &job->first, &job->size, &job->crc, &job->rows, job->table) == 5;
    if (stream != NULL)
        fclose(stream);
    return found;
}

static int write_job(const char *path, const struct job *job)
{
    char aside[4096];
    if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
        return -1;
    FILE *stream = fopen(aside, "w");
    if (stream == NULL)
        return -1;
    fprintf(stream, "tern-job 1\nfirst %lu\nsize %lu\ncrc %lu\nrows %lu\ntable %s\n", job->first, job->size,
            job->crc, job->rows, job->table);
    bool written = fflush(stream) == 0 && fdatasync(fileno(stream)) == 0;
    return (fclose(stream) != 0 || !written || rename(aside, path) != 0) ? -1 : 0;
}

/* Finds how many rows of the file the flash holds already, and sets device->first. */
static int find_start(struct device *device, const struct options *options, unsigned long *done,
                      char message[CSV_MESSAGE_SIZE])
{
    char path[4096];
    struct job job;
    struct job now = {tern_committed(&device->tern, 0) + 1, device->file.size, device->file.crc,
                      device->table.rows, ""};
    snprintf(now.table, sizeof(now.table), "%s", options->csv.table);
    if (snprintf(path, sizeof(path), "%s.job", options->flash) >= (int)sizeof(path)) {
        snprintf(message, CSV_MESSAGE_SIZE, "%s: the path is too long", options->flash);
        return -1;
    }
    if (read_job(path, &job)) {
        bool same = job.size == now.size && job.crc == now.crc && strcmp(job.table, now.table) == 0;
        if (same && job.first <= now.first) {
            device->first = (uint32_t)job.first;
            *done = now.first - job.first;
            return 0;
        }
        if (now.first < job.first + job.rows) {
            snprintf(message, CSV_MESSAGE_SIZE,
                     "%s: has an unfinished push of another file (%lu of its %lu rows); push that one again "
                     "first, or "
                     "take another flash file",
                     options->flash, now.first < job.first ? 0 : now.first - job.first, job.rows);
            return -1;
        }
    }
    device->first = (uint32_t)now.first;
    *done = 0;
    if (write_job(path, &now) == 0)
        return 0;
    snprintf(message, CSV_MESSAGE_SIZE, "%.400s: cannot be written: %s", path, strerror(errno));
    return -1;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const char *open_error(int status)
{
    if (status == TERN_E_GEOMETRY)
        return "the flash is too small or its geometry impossible; give larger --sector or --sectors";
    if (status == TERN_E_FORMAT)
        return "the flash file was written by another version of tern; keep it for that version and take "
               "another file";
    return "the flash file cannot be read";
}

static int open_device(struct device *device, const struct options *options)
{
    char message[CSV_MESSAGE_SIZE];
    if (csv_open(&device->file, options->file, message) != 0 ||
        csv_describe(&device->file, &options->csv, &device->table, message) != 0 ||
        tern_posix_link_open(&device->link, options->connect, message, sizeof(message)) != 0 ||
        tern_posix_flash_open(&device->flash, options->flash, (uint32_t)options->sector,
                              (uint32_t)options->sectors, (uint8_t)options->unit, message,
                              sizeof(message)) != 0)
        return complain(message);
    device->flash.sync = options->sync;
    device->lane.flash = &device->flash.flash;
    device->lane.chunk_data = device->chunk;
    device->lane.chunk_size = (uint16_t)options->chunk;
    device->lane.overflow = TERN_WAIT;
    device->lane.models = device->models;
    device->lane.models_size = sizeof(device->models);
    device->table.table.codec = options->packed ? &tern_packed_text : &tern_csv;
    device->config = (struct tern_config){.id = options->id,
                                          .lanes = &device->lane,
                                          .lane_count = 1,
                                          .link = &device->link.link,
                                          .clock = &tern_posix_clock,
                                          .frame = device->frame,
                                          .frame_size = sizeof(device->frame)};
    if (tern_config_check(&device->config) != TERN_OK)
        return misuse("--id must be 1 to 32 of A-Z a-z 0-9 . _ : - and begin with a letter or digit",
                      options->id);
    int status = tern_open(&device->tern, &device->config);
    if (status != TERN_OK)
        return complain(open_error(status));
    if (find_start(device, options, &device->put, message) != 0)
        return complain(message);
    if (device->put > device->table.rows)
        device->put = device->table.rows;
    csv_rewind(&device->file, device->put);
    return 0;
}

/* ---- Running --------------------------------------------------------------------------------- */

static int complain_of_flash(int status)
{
    if (status == TERN_E_TOO_BIG)
        fprintf(stderr, "tern-device: the rows of one commit are more than the flash holds; give a smaller "
                        "--commit, or larger --sectors\n");
    else
        fprintf(stderr, "tern-device: flash: a read or write failed (error %d); is the disk full?\n", status);
    return status;
}

static void complain_of_row(const struct device *device)
{
    uint32_t minimum = device->lane.log.minimum;
    fprintf(stderr, "tern-device: %s:%lu: the row is larger than a ", device->file.path, device->file.line);
    if (minimum > device->lane.flash->sector_size)
        fprintf(stderr, "sector with its schema has room for; give --sector of more than %" PRIu32 " bytes\n",
                minimum - 1);
    else
        fprintf(stderr, "chunk; give a larger --chunk or shorter text\n");
}

/* Puts the next row. TERN_OK; TERN_AGAIN: no room in the flash until something is acknowledged; or an
 * error. */
static int put_row(struct device *device)
{
    char message[CSV_MESSAGE_SIZE];
    if (!device->row_waits && csv_next(&device->file, &device->table, device->row, message) != 1) {
        complain(message);
        return TERN_E_ROW;
    }
    device->row_waits = true;
    int status = tern_put(&device->tern, &device->table.table, device->row);
    if (status == TERN_OK) {
        device->row_waits = false;
        device->put++;
    } else if (status == TERN_E_TOO_BIG) {
        complain_of_row(device);
    } else if (status < 0) {
        (void)complain_of_flash(status);
    }
    return status;
}

/* Puts and commits some rows. 1: it did; 0: nothing can be put now; negative: an error, reported. */
static int put_some(struct device *device, unsigned long rows)
{
    unsigned long before = device->put;
    int status = TERN_OK;
    while (status == TERN_OK && rows-- != 0 && device->put < device->table.rows)
        status = put_row(device);
    if (status < 0)
        return status;
    int committed = tern_commit(&device->tern);
    if (committed < 0)
        return complain_of_flash(committed);
    return device->put != before;
}

static void wait_for_link(const struct device *device, int32_t milliseconds)
{
    struct pollfd watch = {.fd = device->link.socket, .events = POLLIN};
    if (device->link.connecting || device->link.is_full)
        watch.events |= POLLOUT;
    poll(&watch, watch.fd >= 0 ? 1 : 0, milliseconds > 1000 ? 1000 : milliseconds);
}

static void show_progress(const struct device *device, const char *id)
{
    static const char *const refusals[] = {
        "",           "another protocol version",           "the identity", "a newer session of this device",
        "the schema", "its staging store cannot take more", "a limit"};
    uint8_t refused = device->tern.refused;
    unsigned long backlog = tern_backlog(&device->tern); /* may hold rows of an earlier file, too */
    unsigned long acknowledged = device->put > backlog ? device->put - backlog : 0;
    const char *state = device->link.session == 0 ? ", not connected" : refused != 0 ? ", refused for " : "";
    fprintf(stderr, "%s: %lu of %lu rows in flash, %lu acknowledged%s%s\n", id, device->put,
            device->table.rows, acknowledged, state,
            refused < sizeof(refusals) / sizeof(refusals[0]) ? refusals[refused] : "");
}

struct watch {
    uint32_t shown, progressed; /* times */
    uint32_t acked;             /* sequence */
};

/* Shows progress now and then. False: nothing has been acknowledged for too long. */
static bool keep_watch(const struct device *device, const struct options *options, struct watch *watch)
{
    uint32_t now = tern_posix_clock.milliseconds(NULL);
    uint32_t acked = tern_acknowledged(&device->tern, 0);
    if (acked != watch->acked) {
        watch->acked = acked;
        watch->progressed = now;
    }
    if (!options->quiet && now - watch->shown >= PROGRESS_MS) {
        watch->shown = now;
        show_progress(device, options->id);
    }
    return options->wait == NO_WAIT_LIMIT || now - watch->progressed < options->wait * 1000u;
}

/* Polls until there is nothing to be done at once, so that sending keeps up with putting. */
static int32_t poll_device(struct device *device)
{
    int32_t wait = 0;
    for (int i = 0; i < POLLS_A_ROUND && wait == 0; i++)
        wait = tern_poll(&device->tern);
    return wait;
}

static int run(struct device *device, const struct options *options)
{
    uint32_t now = tern_posix_clock.milliseconds(NULL);
    struct watch watch = {now, now, tern_acknowledged(&device->tern, 0)};
    if (device->put != 0 && !options->quiet)
        fprintf(stderr, "%s: goes on behind row %lu\n", options->id, device->put);
    while (device->put < device->table.rows || tern_backlog(&device->tern) != 0) {
        int put = device->put < device->table.rows ? put_some(device, options->commit) : 0;
        if (put < 0)
            return EXIT_FAILURE_;
        int32_t wait = poll_device(device);
        if (wait < 0) {
            (void)complain_of_flash(wait);
            return EXIT_FAILURE_;
        }
        if (put == 0 && wait > 0 && tern_backlog(&device->tern) != 0)
            wait_for_link(device, wait);
        if (!keep_watch(device, options, &watch)) {
            show_progress(device, options->id);
            return complain("nothing has been acknowledged for --wait seconds; is the gateway running? The "
                            "rows stay in the flash file");
        }
    }
    show_progress(device, options->id);
    return 0;
}

int main(int argc, char **argv)
{
    static struct device device;
    struct options options;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
    int status = parse_options(&options, argc, argv);
    if (status == 0)
        status = open_device(&device, &options);
    if (status == 0)
        status = run(&device, &options);
    tern_posix_link_close(&device.link);
    tern_posix_flash_close(&device.flash);
    csv_close(&device.file);
    return status;
}
