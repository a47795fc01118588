/* SPDX-License-Identifier: MIT */
/* The files of refused records: what a crash or a full disk cut off is written again, and nothing is there
 * twice. */
#include "../test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../host/rejects.h"

/* Stands in front of libc's function. */
static bool disk_fails;
static long long synced_size; /* of the file, as of the last sync of all of it */

int fsync(int descriptor)
{
    struct stat about;
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    if (fstat(descriptor, &about) == 0)
        synced_size = about.st_size;
    return (int)syscall(SYS_fsync, descriptor);
}

static char folder[] = "/tmp/tern-rejects-XXXXXX", path[64];

/* Of each of these the reason or the row has what a line or a quote could be taken for. */
static const struct {
    const char *device, *reason, *row;
    int64_t id;
} records[] = {
    {"dev1", "not five", "+0,5,0.05,n\n", 17},
    {"dev1", "quotes \" and , commas", "+0,6,,\"a \"\"b\"\"\"\n", 18},
    {"dev2", "two lines", "+0,7,,\"a\n\nb\"\n", 17},
    {"dev3", "a line of another in it", "+0,8,,\"x\ndev1,17,sqlite:x.db,00000001,,a,b\ny\"\n", 1},
    {"dev3", "a quoted one in it", "+0,8,,\"x\ndev1,17,sqlite:x.db,00000001,,\"\"a\"\",\"\"b\"\"\ny\"\n", 2},
};
#define RECORDS (sizeof records / sizeof records[0])

static void add(unsigned first, unsigned end)
{
    struct tern_rejects rejects;
    CHECK(tern_rejects_open(&rejects, folder, "climate"));
    for (unsigned i = first; i < end; i++)
        tern_rejects_add(&rejects, records[i].device, records[i].id, "sqlite:x.db", 1, "", records[i].reason,
                         (const uint8_t *)records[i].row, strlen(records[i].row));
    CHECK(tern_rejects_write(&rejects));
    tern_rejects_close(&rejects);
}

static size_t read_all(char *text, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t size = file == NULL ? 0 : fread(text, 1, room - 1, file);
    if (file != NULL)
        fclose(file);
    text[size] = '\0';
    return size;
}

static unsigned count(const char *text, const char *line)
{
    unsigned found = 0;
    for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line))
        found += at == text || at[-1] == '\n';
    return found;
}

static void what_is_there_is_not_added_again(void)
{
    static char once[4000], again[4000];
    unlink(path);
    add(0, RECORDS);
    CHECK(read_all(once, sizeof once) > strlen(TERN_REJECTS_HEADER));
    for (unsigned i = 0; i < RECORDS; i++)
        add(i, RECORDS);
    read_all(again, sizeof again);
    CHECK(strcmp(once, again) == 0);
}

/* Each record, behind and in front of others, and cut at each of its bytes. */
static void a_line_that_was_cut_off_is_written_again_whole(void)
{
    static char text[4000], line[4000], whole[8000];
    for (unsigned i = 0; i < RECORDS; i++) {
        unlink(path);
        add(0, i);
        size_t before = i == 0 ? strlen(TERN_REJECTS_HEADER) : read_all(text, sizeof text);
        add(i, i + 1);
        size_t after = read_all(text, sizeof text);
        snprintf(line, sizeof line, "%s", text + before);
        for (size_t end = before; end < after; end++) {
            unlink(path);
            add(0, i + 1);
            CHECK_EQ(truncate(path, (off_t)end), 0);
            add(i, i + 1);
            add(0, RECORDS);
            add(0, RECORDS);
            read_all(whole, sizeof whole);
            if (!CHECK_EQ(count(whole, line), 1))
                printf("    record %u cut at byte %zu\n%s", i, end - before, whole);
            CHECK_EQ(count(whole, "dev1,17,sqlite:x.db,00000001,,\"not five\",\"+0,5,0.05,n\"\n"), 1);
        }
    }
}

/* The gap that stands for a refused record is committed after this: the record must outlast a power cut
 * then. */
static void what_is_not_durable_is_not_called_written(void)
{
    struct tern_rejects rejects;
    struct stat about;
    unlink(path);
    for (unsigned i = 0; i < RECORDS; i++) {
        synced_size = 0;
        add(i, i + 1);
        CHECK(stat(path, &about) == 0 && about.st_size > 0);
        CHECK_EQ(synced_size, about.st_size);
    }
    /* Even of what is there already: whoever wrote it may have ended before it was durable. */
    synced_size = 0;
    add(0, RECORDS);
    CHECK_EQ(synced_size, about.st_size);
    disk_fails = true;
    CHECK(tern_rejects_open(&rejects, folder, "climate"));
    tern_rejects_add(&rejects, "dev9", 1, "sqlite:x.db", 1, "", "a reason", (const uint8_t *)"+0,1\n", 5);
    CHECK(!tern_rejects_write(&rejects) && errno == EIO);
    tern_rejects_close(&rejects);
    disk_fails = false;
}

int main(void)
{
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/rejects/climate.csv", folder);
    RUN(what_is_there_is_not_added_again);
    RUN(a_line_that_was_cut_off_is_written_again_whole);
    RUN(what_is_not_durable_is_not_called_written);
    unlink(path);
    path[strlen(path) - strlen("/climate.csv")] = '\0';
    rmdir(path);
    rmdir(folder);
    return test_report();
}
