/* SPDX-License-Identifier: MIT */
/* What a journal recovers from: power cuts, damage, and files that a CRC calls good. */
#include "journal_bench.h"

/* ---- Power cuts and damage ------------------------------------------------------------------- */

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

/* A disk writes the pages of one write in any order: later entries of the same write may be there without
 * earlier ones. */
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

/* A disk that writes to a wrong place, and blocks that a file had before: entries that are sound, and not
 * these. */
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

/* Two files, the second with one entry, synced. */
static void make_two(void)
{
    folder_fresh();
    newest = 0;
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    while (file_bytes(folder_path(second_file)) < 0) {
        append_some(1);
        CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    }
    append_some(1);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
}

static void damaged_state_is_recovered_from_the_file_before(void)
{
    make_two();
    append_some(1);
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
/* ---- Files that a CRC calls good ------------------------------------------------------------- */

/* All that is there of the second file is sound, and half of its state is missing. */
static void a_file_cut_between_two_entries_of_its_state_is_not_gone_on_with(void)
{
    state_entries = 2;
    make_two();
    uint32_t in_first = newest - 1;
    struct tern_journal_header header = read_header(second_file);
    long cut = (long)(header.state - header.base + tern_journal_entry_size(6));
    CHECK_EQ(header.state_end - header.state, 2 * tern_journal_entry_size(6));
    tern_journal_close(journal);
    CHECK_EQ(truncate(folder_path(second_file), cut), 0);
    alarms = 0;
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    CHECK(alarms != 0 && strcmp(last_event, "journal-corrupt") == 0);
    CHECK_EQ(replayed_count, in_first);
    CHECK_EQ(replayed_last, in_first);
    /* What comes now must not stand where the state's other half was: it would be taken for that. */
    CHECK_EQ(file_bytes(folder_path(second_file)), cut);
    if (CHECK(file_bytes(folder_path(third_file)) > 0))
        CHECK(read_header(third_file).base >= header.state_end);
    newest = in_first;
    append_some(1);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
    alarms = 0;
    CHECK_EQ(open_journal(600), TERN_HOST_OK);
    CHECK_EQ(alarms, 0);
    CHECK_EQ(replayed_states, 2);
    CHECK_EQ(replayed_last, newest);
    CHECK_EQ(read_all(0), newest);
    tern_journal_close(journal);
    state_entries = 1;
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

/* What the last file held is unknown: its positions are never given out again, and nothing is written over
 * it. */
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

int main(void)
{
    RUN(a_write_torn_at_any_byte_is_cut_off);
    RUN(a_write_torn_in_its_middle_is_no_corruption);
    RUN(damage_before_durable_entries_is_reported_and_never_cut);
    RUN(an_entry_from_elsewhere_or_of_another_store_is_damage);
    RUN(damaged_state_is_recovered_from_the_file_before);
    RUN(a_file_that_became_shorter_is_passed_over_with_an_alarm);
    RUN(a_file_cut_between_two_entries_of_its_state_is_not_gone_on_with);
    RUN(a_header_that_cannot_be_leaves_its_file_out_and_as_it_is);
    RUN(behind_a_newest_file_without_a_header_a_new_one_is_begun);
    RUN(a_body_that_cannot_be_is_damage);
    folder_remove();
    return test_report();
}
