/* SPDX-License-Identifier: MIT */
/* Retention: which of the journal's files may go, and their removal. */
#include "journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

void tern_journal_hold(struct tern_journal *journal, bool held)
{
    journal->held = held;
}

uint64_t tern_journal_oldest(struct tern_journal *journal)
{
    pthread_mutex_lock(&journal->mutex);
    uint64_t oldest = journal->file_count == 0 ? 0 : journal->files[0].base;
    pthread_mutex_unlock(&journal->mutex);
    return oldest;
}

static bool is_old(const struct tern_journal *journal, uint32_t number, int64_t before)
{
    char name[TERN_JOURNAL_NAME_MAX];
    struct stat about;
    tern_journal_name(name, number);
    return before != 0 && fstatat(journal->folder, name, &about, 0) == 0 && about.st_mtime < before;
}

/* The list is changed by this thread alone: it may be read without the lock here. */
size_t tern_journal_spare(struct tern_journal *journal, const struct tern_journal_limits *limits)
{
    size_t spare = 0;
    while (spare + 2 < journal->file_count && journal->files[spare + 2].base <= limits->position) {
        uint64_t bytes = journal->synced - journal->files[spare].base;
        if (!is_old(journal, journal->files[spare].number, limits->before) &&
            (limits->bytes == 0 || bytes <= limits->bytes))
            break;
        spare++;
    }
    return spare;
}

static void report_removed(const struct tern_journal *journal, const char *name, uint64_t bytes)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_format(&fields, "path", "%s/%s", journal->directory, name);
    tern_fields_format(&fields, "bytes", "%" PRIu64, bytes);
    tern_fields_text(&fields, "msg", "every destination that counts has what it held");
    tern_report_event(&journal->config.report, TERN_INFO, "journal-removed", &fields);
}

size_t tern_journal_trim(struct tern_journal *journal, const struct tern_journal_limits *limits)
{
    size_t count = tern_journal_spare(journal, limits), gone = 0;
    for (; gone < count; gone++) {
        char name[TERN_JOURNAL_NAME_MAX];
        tern_journal_name(name, journal->files[0].number);
        uint64_t bytes = journal->files[1].base - journal->files[0].base;
        if (unlinkat(journal->folder, name, 0) != 0 && errno != ENOENT) {
            tern_journal_report(journal, TERN_WARN, "journal-not-removed", name, errno,
                                "a journal file that nobody needs cannot be removed; tries again");
            break;
        }
        pthread_mutex_lock(&journal->mutex);
        journal->file_count--;
        memmove(journal->files, journal->files + 1, journal->file_count * sizeof *journal->files);
        pthread_mutex_unlock(&journal->mutex);
        report_removed(journal, name, bytes);
    }
    return gone;
}
