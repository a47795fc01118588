/* SPDX-License-Identifier: MIT */
/* The journal's files: durability, torn ends, damage, failing disks, and folders that are not ours. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Faults for journal.c: the Nth call of each kind fails. 0: none does. */
static int fail_sync, fail_write, fail_rename, fail_folder_sync;

static int fake_fdatasync(int descriptor)
{
    if (fail_sync != 0 && --fail_sync == 0) {
        errno = EIO;
        return -1;
    }
    return fdatasync(descriptor);
}

static int fake_fsync(int descriptor)
{
    if (fail_folder_sync != 0 && --fail_folder_sync == 0) {
        errno = EIO;
        return -1;
    }
    return fsync(descriptor);
}

#include "../../host/journal_file.h"

static int fake_pwrite(int descriptor, const void *data, size_t size, uint64_t offset)
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
static int fake_renameat(int from, const char *name, int to, const char *other)
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

/* What the journal is made to hold: numbered entries, each with a reference to the one before. The state is the last number. */
static uint32_t replayed_state, replayed_last, replayed_count;
static uint64_t last_position;
static struct tern_journal *journal;
static uint32_t newest;
static char last_event[64];
static unsigned alarms;

enum { ENTRY = 1, STATE = 2 };

static void hear(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    (void)fields;
    if (level < TERN_WARN)
        return;
    alarms++;
    snprintf(last_event, sizeof last_event, "%s", event);
}

static int replay(void *context, uint64_t position, const uint8_t *body, size_t size)
{
    (void)context;
    if (body[0] == STATE) {
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

static int snapshot(void *context, struct tern_journal_state *state)
{
    uint8_t body[6] = {STATE, 0};
    (void)context;
    tern_store32(body + 2, newest);
    return tern_journal_put_state(state, body, sizeof body) == 0 ? TERN_HOST_E_SYSTEM : 0;
}

static void moved(void *context, uint64_t from, uint64_t delta)
{
    (void)context;
    if (last_position >= from)
        last_position += delta;
}

static int open_journal(uint64_t limit)
{
    struct tern_journal_config config = {.directory = folder,
                                         .report = {hear, NULL},
                                         .file_bytes = limit,
                                         .replay = replay,
                                         .snapshot = snapshot,
                                         .moved = moved};
    replayed_state = replayed_last = replayed_count = 0;
    last_position = 0;
    return tern_journal_open(&journal, &config);
}

static void fresh(void)
{
    folder_fresh();
    newest = 0;
    alarms = 0;
    fail_sync = fail_write = fail_rename = fail_folder_sync = 0;
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
}

/* An entry of `size` bytes with the next number. */
static uint64_t append(size_t size)
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

static void append_some(unsigned count)
{
    while (count-- != 0)
        CHECK(append(14 + newest * 7 % 300) != 0);
}

/* Reads everything from the beginning: numbers rise by one but for `holes`, and each reference leads to the entry before. */
static uint32_t read_all(unsigned holes)
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

static void entries_come_back_after_a_reopen(void)
{
    fresh();
    for (unsigned i = 0; i < 30; i++) {
        append_some(1 + i % 5);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        CHECK_EQ(read_all(0), newest);
    }
    append_some(3); /* not synced */
    CHECK_EQ(read_all(0), newest - 3);
    tern_journal_close(journal);
    newest -= 3;
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK_EQ(replayed_last, newest);
    append_some(2);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    CHECK_EQ(read_all(0), newest);
    tern_journal_close(journal);
}

static void files_follow_each_other_and_recovery_reads_the_newest(void)
{
    folder_fresh();
    newest = 0;
    CHECK_EQ(open_journal(4000), TERN_HOST_OK);
    for (unsigned i = 0; i < 200; i++) {
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    CHECK_EQ(read_all(0), 200);
    tern_journal_close(journal);
    CHECK(file_bytes(folder_path("journal-00000005.tern")) > 0);
    CHECK_EQ(open_journal(4000), TERN_HOST_OK);
    CHECK_EQ(replayed_last, 200);
    CHECK(replayed_count < 100);
    CHECK_EQ(read_all(0), 200);
    tern_journal_close(journal);
}

/* ---- The disk ----------------------------------------------------------------------------------------------------------------- */

static void after_a_failed_write_or_sync_a_new_file_is_begun(void)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        fresh();
        append_some(5);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        append_some(5);
        *(kind == 0 ? &fail_sync : &fail_write) = 1;
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        CHECK_EQ(alarms, 1);
        CHECK(file_bytes(folder_path("journal-00000002.tern")) > 0);
        CHECK_EQ(read_all(0), 10);
        append_some(5);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        CHECK_EQ(read_all(0), 15);
        tern_journal_close(journal);
        CHECK_EQ(open_journal(0), TERN_HOST_OK);
        CHECK_EQ(replayed_state, 10);
        CHECK_EQ(replayed_last, 15);
        CHECK_EQ(read_all(0), 15);
        tern_journal_close(journal);
    }
}

/* While nothing can be made durable, nothing is acknowledged, memory is bounded, and it goes on when the disk does. */
static void a_full_disk_is_waited_out(void)
{
    fresh();
    append_some(5);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    uint64_t end = tern_journal_end(journal);
    fail_write = -1;
    append_some(5);
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_E_SYSTEM);
    CHECK_EQ(alarms, 2);
    CHECK_EQ(tern_journal_end(journal), end);
    CHECK_EQ(read_all(0), 5);
    unsigned taken = 0;
    while (append(1000) != 0)
        taken++;
    CHECK(taken > 1000 && taken * 1000 < TERN_JOURNAL_BUFFER_MAX);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_E_SYSTEM);
    fail_write = 0;
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    CHECK_EQ(read_all(0), newest);
    tern_journal_close(journal);
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK_EQ(replayed_last, newest);
    tern_journal_close(journal);
}

static void a_new_file_that_fails_at_any_step_leaves_the_old_one(void)
{
    int *const steps[] = {&fail_write, &fail_sync, &fail_rename, &fail_folder_sync};
    for (unsigned i = 0; i < 4; i++) {
        fresh();
        append_some(5);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        append_some(5);
        /* The first fault breaks the file, the second the making of the next one. */
        fail_sync = 1;
        *steps[i] = steps[i] == &fail_sync ? 1 : 2 - (steps[i] != &fail_write);
        int status = tern_journal_sync(journal);
        if (steps[i] == &fail_sync)
            CHECK_EQ(status, TERN_HOST_OK);
        else
            CHECK_EQ(status, TERN_HOST_E_SYSTEM);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        CHECK_EQ(read_all(0), 10);
        tern_journal_close(journal);
        CHECK_EQ(open_journal(0), TERN_HOST_OK);
        CHECK_EQ(replayed_last, 10);
        CHECK_EQ(read_all(0), 10);
        tern_journal_close(journal);
    }
}

/* ---- Power cuts and damage ------------------------------------------------------------------------------------------------------ */

static uint8_t image[65536];
static size_t image_size;
static const char first_file[] = "journal-00000001.tern";

static void load_image(void)
{
    FILE *file = fopen(folder_path(first_file), "rb");
    image_size = fread(image, 1, sizeof image, file);
    fclose(file);
}

static void store_image(const uint8_t *bytes, size_t size)
{
    folder_clear(folder_path("nothing"));
    unlink(folder_path("journal-00000002.tern"));
    FILE *file = fopen(folder_path(first_file), "wb");
    fwrite(bytes, 1, size, file);
    fclose(file);
}

static void a_write_torn_at_any_byte_is_cut_off(void)
{
    fresh();
    append_some(4);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    size_t durable = (size_t)(tern_journal_end(journal));
    append_some(3);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
    load_image();
    for (size_t cut = durable; cut < image_size; cut++) {
        store_image(image, cut);
        alarms = 0;
        CHECK_EQ(open_journal(0), TERN_HOST_OK);
        CHECK(replayed_last >= 4 && replayed_last < 7);
        CHECK_EQ(alarms, 0);
        newest = replayed_last;
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        CHECK_EQ(read_all(0), newest);
        tern_journal_close(journal);
    }
}

/* A disk writes the pages of one write in any order: later entries of the same write may be there without earlier ones. */
static void a_write_torn_in_its_middle_is_no_corruption(void)
{
    fresh();
    append_some(4);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    size_t durable = (size_t)(tern_journal_end(journal));
    append_some(6);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
    load_image();
    memset(image + durable, 0, 24);
    store_image(image, image_size);
    alarms = 0;
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK_EQ(replayed_last, 4);
    CHECK_EQ(alarms, 0);
    tern_journal_close(journal);
    CHECK_EQ(file_bytes(folder_path(first_file)), (long)durable);
}

static void damage_before_durable_entries_is_reported_and_never_cut(void)
{
    uint8_t bad[sizeof image];
    fresh();
    size_t start = (size_t)tern_journal_end(journal);
    for (unsigned i = 0; i < 4; i++) {
        append_some(2);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    tern_journal_close(journal);
    load_image();
    size_t last = image_size - tern_journal_entry_size(14 + 6 * 7) - tern_journal_entry_size(14 + 7 * 7);
    for (size_t at = start; at < last; at++) {
        memcpy(bad, image, image_size);
        bad[at] ^= 0x5A;
        store_image(bad, image_size);
        alarms = 0;
        CHECK_EQ(open_journal(0), TERN_HOST_OK);
        newest = 8;
        /* Filling bytes between entries are nobody's. */
        if (alarms != 0) {
            CHECK(strcmp(last_event, "journal-corrupt") == 0);
            CHECK_EQ(replayed_last, 8);
            CHECK_EQ(replayed_count, 7);
            CHECK(file_bytes(folder_path("journal-00000002.tern")) > 0);
            append_some(1);
            CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
            CHECK_EQ(read_all(1), 9);
        } else {
            CHECK_EQ(replayed_count, 8);
        }
        tern_journal_close(journal);
        CHECK_EQ(file_bytes(folder_path(first_file)), (long)image_size);
    }
}

/* Three entries, each with a sync of its own: where they stand is the same in each store. */
static void make_alike(uint64_t places[3])
{
    fresh();
    for (unsigned i = 0; i < 3; i++) {
        places[i] = append(40);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    tern_journal_close(journal);
    load_image();
}

static void check_second_is_damaged(uint8_t bad[sizeof image])
{
    store_image(bad, image_size);
    alarms = 0;
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK(alarms != 0 && strcmp(last_event, "journal-corrupt") == 0);
    CHECK_EQ(replayed_last, 3);
    CHECK_EQ(replayed_count, 2);
    tern_journal_close(journal);
}

/* A disk that writes to a wrong place, and blocks that a file had before: entries that are sound, and not these. */
static void an_entry_from_elsewhere_or_of_another_store_is_damage(void)
{
    uint8_t bad[sizeof image], other[sizeof image];
    uint64_t places[3];
    make_alike(places);
    memcpy(other, image, sizeof other);
    make_alike(places);
    memcpy(bad, image, sizeof bad);
    memcpy(bad + places[1], image + places[0], tern_journal_entry_size(40));
    check_second_is_damaged(bad);
    make_alike(places);
    memcpy(bad, image, sizeof bad);
    memcpy(bad + places[1], other + places[1], tern_journal_entry_size(40));
    check_second_is_damaged(bad);
}

static void damaged_state_is_recovered_from_the_file_before(void)
{
    folder_fresh();
    newest = 0;
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    while (file_bytes(folder_path("journal-00000002.tern")) < 0) {
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    append_some(2);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
    const long places[] = {TERN_JOURNAL_HEADER + 17, 20};
    for (unsigned i = 0; i < 2; i++) {
        FILE *file = fopen(folder_path("journal-00000002.tern"), "r+b");
        fseek(file, places[i], SEEK_SET);
        int byte = fgetc(file);
        fseek(file, places[i], SEEK_SET);
        fputc(byte ^ 0xEE, file); /* what stands there is random: any fixed value may be it */
        fclose(file);
        alarms = 0;
        CHECK_EQ(open_journal(600), TERN_HOST_OK);
        CHECK(alarms != 0);
        CHECK(replayed_last >= newest - 2);
        tern_journal_close(journal);
    }
}

/* Somebody or something took the end of a file that is not the newest, while readers use the folder. */
static void a_file_that_became_shorter_is_passed_over_with_an_alarm(void)
{
    folder_fresh();
    newest = 0;
    CHECK_EQ(open_journal(2000), TERN_HOST_OK);
    while (file_bytes(folder_path("journal-00000003.tern")) < 0) {
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    append_some(2);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    long size = file_bytes(folder_path("journal-00000002.tern"));
    CHECK_EQ(truncate(folder_path("journal-00000002.tern"), size / 16 * 8), 0);
    alarms = 0;
    alarm(20); /* a reader that waits for ever for the rest ends the test */
    CHECK_EQ(read_all(1), newest);
    alarm(0);
    CHECK_EQ(alarms, 1);
    CHECK(strcmp(last_event, "journal-corrupt") == 0);
    tern_journal_close(journal);
}

/* ---- Files that a CRC calls good ---------------------------------------------------------------------------------------------------- */

static const char second_file[] = "journal-00000002.tern", third_file[] = "journal-00000003.tern";

/* Three files, synced and closed. */
static void make_three(void)
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

static void write_header(const char *name, const struct tern_journal_header *header)
{
    uint8_t bytes[TERN_JOURNAL_HEADER];
    tern_journal_encode_header(bytes, header);
    int file = open(folder_path(name), O_RDWR);
    CHECK(pwrite(file, bytes, sizeof bytes, 0) == sizeof bytes);
    close(file);
}

static struct tern_journal_header read_header(const char *name)
{
    uint8_t bytes[TERN_JOURNAL_HEADER];
    struct tern_journal_header header = {0};
    int file = open(folder_path(name), O_RDONLY);
    CHECK(pread(file, bytes, sizeof bytes, 0) == sizeof bytes && tern_journal_decode_header(bytes, &header));
    close(file);
    return header;
}

static void a_header_that_cannot_be_leaves_its_file_out_and_as_it_is(void)
{
    make_three();
    tern_journal_close(journal);
    const struct tern_journal_header good = read_header(second_file);
    for (int i = 0; i < 8; i++) {
        struct tern_journal_header bad = good;
        bad.version += i == 0;
        bad.number += i == 1;
        bad.store ^= i == 2;
        bad.state = i == 3 ? bad.base + TERN_JOURNAL_HEADER - 8 : i == 4 ? bad.state + 4 : bad.state;
        bad.state_end = i == 5 ? bad.state - 8 : bad.state_end;
        bad.base += i == 6 ? 4 : 0;
        bad.base = i == 7 ? bad.state : bad.base;
        write_header(second_file, &bad);
        long size = file_bytes(folder_path(second_file));
        alarms = 0;
        if (!CHECK_EQ(open_journal(600), TERN_HOST_OK))
            continue;
        CHECK(alarms != 0 && strcmp(last_event, "journal-corrupt") == 0);
        CHECK_EQ(replayed_last, newest);
        CHECK_EQ(read_all(1), newest);
        tern_journal_close(journal);
        CHECK_EQ(file_bytes(folder_path(second_file)), size);
        write_header(second_file, &good);
    }
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    CHECK_EQ(read_all(0), newest);
    tern_journal_close(journal);
}

/* What the last file held is unknown: its positions are never given out again, and nothing is written over it. */
static void behind_a_newest_file_without_a_header_a_new_one_is_begun(void)
{
    make_three();
    uint64_t end = tern_journal_end(journal);
    tern_journal_close(journal);
    struct tern_journal_header header = read_header(third_file);
    header.store ^= 1;
    write_header(third_file, &header);
    long size = file_bytes(folder_path(third_file));
    struct tern_journal_config look = {
        .directory = folder, .report = {hear, NULL}, .read_only = true, .replay = replay};
    CHECK_EQ(tern_journal_open(&journal, &look), TERN_HOST_OK);
    CHECK_EQ(file_bytes(folder_path("journal-00000004.tern")), -1);
    uint8_t body[2] = {ENTRY, 0};
    CHECK_EQ(tern_journal_append(journal, body, sizeof body), 0);
    tern_journal_close(journal);
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    newest = replayed_last;
    CHECK(append(20) >= end);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    CHECK(file_bytes(folder_path("journal-00000004.tern")) > 0);
    CHECK_EQ(file_bytes(folder_path(third_file)), size);
    tern_journal_close(journal);
}

/* An entry with a right CRC behind the others, whose body is none. */
static void a_body_that_cannot_be_is_damage(void)
{
    static const uint8_t bodies[][24] = {{ENTRY}, {ENTRY, 3}, {ENTRY, 255}, {ENTRY, 2}, {ENTRY, 1}};
    static const size_t sizes[] = {1, 24, 24, 17, 9};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t bytes[64] = {0};
        fresh();
        append_some(3);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
        uint64_t store = tern_journal_store(journal), end = tern_journal_end(journal);
        tern_journal_close(journal);
        memcpy(bytes + TERN_JOURNAL_ENTRY, bodies[i], sizes[i]);
        tern_journal_seal_entry(bytes, sizes[i], store, end, 0);
        int file = open(folder_path(first_file), O_RDWR | O_APPEND);
        CHECK(write(file, bytes, tern_journal_entry_size(sizes[i])) > 0);
        close(file);
        CHECK_EQ(open_journal(0), TERN_HOST_OK);
        CHECK_EQ(replayed_last, 3);
        CHECK_EQ(tern_journal_end(journal), end);
        tern_journal_close(journal);
    }
}

static void what_is_no_position_of_an_entry_holds_none(void)
{
    struct tern_journal_reader *reader;
    struct tern_journal_entry entry;
    make_three();
    uint64_t end = tern_journal_end(journal);
    CHECK_EQ(tern_journal_reader_open(journal, end + 8, &reader), TERN_HOST_E_ARGUMENT);
    CHECK(reader == NULL);
    tern_journal_reader_close(reader);
    CHECK_EQ(tern_journal_reader_open(journal, 0, &reader), TERN_HOST_OK);
    const uint64_t places[] = {
        0,       8,          TERN_JOURNAL_HEADER + 4,       TERN_JOURNAL_HEADER + 8, end,
        end + 8, UINT64_MAX, read_header(second_file).base, last_position + 4};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (!CHECK_EQ(tern_journal_fetch(reader, places[i], &entry), TERN_HOST_E_CORRUPT))
            printf("    %llu\n", (unsigned long long)places[i]);
    CHECK_EQ(tern_journal_fetch(reader, last_position, &entry), TERN_HOST_OK);
    tern_journal_reader_close(reader);
    tern_journal_close(journal);
}

static void the_file_before_the_one_that_is_read_stays(void)
{
    make_three();
    const struct {
        uint64_t position;
        size_t spare;
    } cases[] = {{journal->files[1].base, 0},
                 {journal->files[2].base - 1, 0},
                 {journal->files[2].base, 1},
                 {tern_journal_end(journal), 1}};
    CHECK_EQ(journal->file_count, 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tern_journal_limits limits = {.position = cases[i].position, .bytes = 1};
        CHECK_EQ(tern_journal_spare(journal, &limits), cases[i].spare);
    }
    tern_journal_close(journal);
}

static void a_reader_whose_file_is_removed_is_told(void)
{
    struct tern_journal_reader *reader;
    struct tern_journal_entry entry;
    struct tern_journal_limits limits = {.bytes = 1};
    make_three();
    CHECK_EQ(tern_journal_reader_open(journal, 0, &reader), TERN_HOST_OK);
    CHECK_EQ(tern_journal_read(reader, &entry), 1);
    limits.position = tern_journal_end(journal);
    CHECK(tern_journal_trim(journal, &limits) != 0);
    int status;
    while ((status = tern_journal_read(reader, &entry)) == 1)
        continue;
    CHECK_EQ(status, TERN_HOST_E_SYSTEM);
    CHECK(strcmp(last_event, "journal-passed-over") == 0);
    tern_journal_reader_close(reader);
    tern_journal_close(journal);
}

static void what_is_too_large_for_an_entry_is_not_taken(void)
{
    static uint8_t body[TERN_JOURNAL_BODY_MAX + 1] = {ENTRY, 0};
    fresh();
    CHECK_EQ(tern_journal_append(journal, body, sizeof body), 0);
    CHECK(tern_journal_append(journal, body, sizeof body - 1) != 0);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
}

/* ---- Folders --------------------------------------------------------------------------------------------------------------------- */

static void rewrite_store(const char *line)
{
    FILE *file = fopen(folder_path("store"), "wb");
    fputs(line, file);
    fclose(file);
}

static void folders_that_are_not_ours_are_left_alone(void)
{
    fresh();
    append_some(3);
    tern_journal_sync(journal);
    struct tern_journal *first = journal;
    CHECK_EQ(open_journal(0), TERN_HOST_E_IN_USE);
    CHECK(journal == NULL);
    tern_journal_close(first);
    long size = file_bytes(folder_path(first_file));
    unlink(folder_path("lock"));
    rewrite_store("tern-stage 2 something else\n");
    CHECK_EQ(open_journal(0), TERN_HOST_E_VERSION);
    CHECK_EQ(file_bytes(folder_path("lock")), -1);
    rewrite_store("tern-stage 1 0123456789abcdef 00000000\n");
    CHECK_EQ(open_journal(0), TERN_HOST_E_CORRUPT);
    rewrite_store("");
    CHECK_EQ(open_journal(0), TERN_HOST_E_CORRUPT);
    rewrite_store("tern-stage 1 \n");
    CHECK_EQ(open_journal(0), TERN_HOST_E_CORRUPT);
    char none[60];
    int size_of_none = snprintf(none, sizeof none, "tern-stage 1 0000000000000000");
    snprintf(none + size_of_none, sizeof none - (size_t)size_of_none, " %08x\n",
             (unsigned)tern_crc32c(0, none, (size_t)size_of_none));
    rewrite_store(none);
    CHECK_EQ(open_journal(0), TERN_HOST_E_CORRUPT);
    unlink(folder_path("store"));
    CHECK_EQ(open_journal(0), TERN_HOST_E_CORRUPT);
    CHECK_EQ(file_bytes(folder_path(first_file)), size);
}

/* As a copy that somebody made beside it. */
static void files_with_names_that_are_nearly_the_journals_are_left_alone(void)
{
    static const char *const names[] = {"journal-1.tern", "journal-00000001.tern.bak",
                                        "journal-0000000x.tern", "journal-"};
    fresh();
    append_some(3);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
    load_image();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        FILE *file = fopen(folder_path(names[i]), "wb");
        fwrite(image, 1, image_size, file);
        fclose(file);
    }
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK_EQ(alarms, 0);
    CHECK_EQ(read_all(0), 3);
    tern_journal_close(journal);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_EQ(file_bytes(folder_path(names[i])), (long)image_size);
}

static void a_store_whose_files_are_gone_gets_another_id(void)
{
    fresh();
    uint64_t id = tern_journal_store(journal);
    tern_journal_close(journal);
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK_EQ(tern_journal_store(journal), id);
    tern_journal_close(journal);
    unlink(folder_path(first_file));
    CHECK_EQ(open_journal(0), TERN_HOST_OK);
    CHECK(tern_journal_store(journal) != id);
    tern_journal_close(journal);
}

static void a_store_without_its_parent_folder_is_an_error(void)
{
    struct tern_journal_config config = {.directory = "/nonexistent/stage", .report = {hear, NULL}};
    CHECK_EQ(tern_journal_open(&journal, &config), TERN_HOST_E_SYSTEM);
}

int main(void)
{
    RUN(entries_come_back_after_a_reopen);
    RUN(files_follow_each_other_and_recovery_reads_the_newest);
    RUN(after_a_failed_write_or_sync_a_new_file_is_begun);
    RUN(a_full_disk_is_waited_out);
    RUN(a_new_file_that_fails_at_any_step_leaves_the_old_one);
    RUN(a_write_torn_at_any_byte_is_cut_off);
    RUN(a_write_torn_in_its_middle_is_no_corruption);
    RUN(damage_before_durable_entries_is_reported_and_never_cut);
    RUN(an_entry_from_elsewhere_or_of_another_store_is_damage);
    RUN(damaged_state_is_recovered_from_the_file_before);
    RUN(a_file_that_became_shorter_is_passed_over_with_an_alarm);
    RUN(a_header_that_cannot_be_leaves_its_file_out_and_as_it_is);
    RUN(behind_a_newest_file_without_a_header_a_new_one_is_begun);
    RUN(a_body_that_cannot_be_is_damage);
    RUN(what_is_no_position_of_an_entry_holds_none);
    RUN(the_file_before_the_one_that_is_read_stays);
    RUN(a_reader_whose_file_is_removed_is_told);
    RUN(what_is_too_large_for_an_entry_is_not_taken);
    RUN(folders_that_are_not_ours_are_left_alone);
    RUN(files_with_names_that_are_nearly_the_journals_are_left_alone);
    RUN(a_store_whose_files_are_gone_gets_another_id);
    RUN(a_store_without_its_parent_folder_is_an_error);
    folder_remove();
    return test_report();
}
