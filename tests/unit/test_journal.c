/* SPDX-License-Identifier: MIT */
/* The journal's files: what is durable, failing disks, readers, and folders that are not ours. */
#include "journal_bench.h"

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

/* ---- The disk -------------------------------------------------------------------------------- */

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

/* While nothing can be made durable, nothing is acknowledged, memory is bounded, and it goes on when the disk
 * does. */
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

/* ---- Readers and what is removed ------------------------------------------------------------- */

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
/* ---- Folders --------------------------------------------------------------------------------- */

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
