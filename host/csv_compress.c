/* SPDX-License-Identifier: MIT */
#include "csv_compress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"

#define NAME_ROOM 256
#define PIECE     65536u

const char *tern_csv_suffix(const char *tool)
{
    if (tool != NULL && strcmp(tool, "gzip") == 0)
        return ".gz";
    return tool != NULL && strcmp(tool, "zstd") == 0 ? ".zst" : NULL;
}

/* ---- The tool -------------------------------------------------------------------------------- */

/* Starts `tool FLAG -c` between two descriptors. 0 or errno. It gets no signal mask of this process: SIGTERM
 * must end it. */
static int start(const char *tool, char *flag, int in, int out, pid_t *process)
{
    char name[8], quiet[] = "-q", to_output[] = "-c";
    char *arguments[] = {name, quiet, to_output, flag, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    snprintf(name, sizeof name, "%s", tool);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int error = posix_spawnp(process, tool, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static bool ended_well(pid_t process)
{
    int status;
    while (waitpid(process, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool compress_to(struct tern_sink *sink, const char *tool, int in, int out)
{
    char best[] = "-6";
    pid_t process;
    int error = start(tool, best, in, out, &process);
    if (error == 0 && ended_well(process))
        return true;
    tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "%s: %s", tool,
                   error != 0 ? strerror(error) : "ended with an error; is the disk full?");
    return false;
}

/* Calls for each piece of what the compressed file holds. */
static bool expand_from(struct tern_sink *sink, const char *tool, int file,
                        bool (*take)(void *context, const uint8_t *bytes, size_t size), void *context)
{
    char decompress[] = "-d";
    uint8_t piece[PIECE];
    int ends[2];
    pid_t process;
    if (lseek(file, 0, SEEK_SET) != 0 || pipe2(ends, O_CLOEXEC) != 0) {
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "no pipe to %s: %s", tool, strerror(errno));
        return false;
    }
    int error = start(tool, decompress, file, ends[1], &process);
    close(ends[1]);
    bool good = error == 0;
    for (ssize_t got; good && (got = read(ends[0], piece, sizeof piece)) != 0;)
        good = got < 0 ? errno == EINTR : take(context, piece, (size_t)got);
    close(ends[0]);
    good = (error != 0 || ended_well(process)) && good;
    if (!good)
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "%s cannot read back what it wrote: %s", tool,
                       error != 0 ? strerror(error) : "it is damaged");
    return good;
}

/* ---- Compressing ----------------------------------------------------------------------------- */

struct check {
    int original;
    off_t at;
};

static bool is_alike(void *context, const uint8_t *bytes, size_t size)
{
    struct check *check = context;
    uint8_t piece[PIECE];
    while (size > 0) {
        ssize_t got = pread(check->original, piece, size < PIECE ? size : PIECE, check->at);
        if (got <= 0 || memcmp(piece, bytes, (size_t)got) != 0)
            return false;
        check->at += got;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_aside(struct tern_sink *sink, const char *tool, int in, int out)
{
    struct check check = {in, 0};
    struct stat about;
    if (!compress_to(sink, tool, in, out) || !expand_from(sink, tool, out, is_alike, &check))
        return false;
    if (fstat(in, &about) != 0 || about.st_size != check.at) {
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "%s wrote less than it was given", tool);
        return false;
    }
    if (fchmod(out, 0440) == 0 && fdatasync(out) == 0)
        return true;
    tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot make durable: %s", strerror(errno));
    return false;
}

bool tern_csv_compress(struct tern_sink *sink, int folder, const char *tool, const char *from, const char *to)
{
    char aside[NAME_ROOM];
    snprintf(aside, sizeof aside, ".%.200s.new", to);
    int in = openat(folder, from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : openat(folder, aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = out >= 0;
    if (!good)
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot open %s: %s", in < 0 ? from : aside,
                       strerror(errno));
    good = good && write_aside(sink, tool, in, out);
    if (good && renameat(folder, aside, folder, to) != 0) {
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot rename to %s: %s", to, strerror(errno));
        good = false;
    }
    if (!good && out >= 0)
        unlinkat(folder, aside, 0);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return good;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool collect(void *context, const uint8_t *bytes, size_t size)
{
    struct tern_buffer *buffer = context;
    tern_buffer_put(buffer, bytes, size);
    return !buffer->failed;
}

uint8_t *tern_csv_expand(struct tern_sink *sink, int folder, const char *name, size_t *size)
{
    const char *dot = strrchr(name, '.');
    struct tern_buffer buffer = {NULL, 0, 0, false};
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    bool good = file >= 0;
    if (!good)
        tern_sink_fail(sink, TERN_HOST_E_SYSTEM, "cannot open %s: %s", name, strerror(errno));
    tern_buffer_reserve(&buffer, 1);
    good = good && expand_from(sink, dot != NULL && strcmp(dot, ".gz") == 0 ? "gzip" : "zstd", file, collect,
                               &buffer);
    if (file >= 0)
        close(file);
    *size = buffer.size;
    if (good)
        return buffer.data;
    tern_buffer_free(&buffer);
    return NULL;
}
