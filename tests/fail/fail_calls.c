/* SPDX-License-Identifier: MIT */
/* The wrapped functions. Each asks whether it is its turn to fail, and else calls the real one. */
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_uint groups, calls, target;
static atomic_bool happened;
static enum fail_how mode;
static _Thread_local bool is_off;
static fail_watcher *watcher;
static void *watcher_context;

void fail_at(unsigned which, enum fail_how how, unsigned nth)
{
    mode = how;
    calls = 0;
    happened = false;
    target = nth;
    groups = which;
}

bool fail_end(void)
{
    groups = 0;
    return happened;
}

void fail_off(bool off)
{
    is_off = off;
}

void fail_watch(fail_watcher *call, void *context)
{
    watcher = call;
    watcher_context = context;
}

static bool strikes(unsigned group)
{
    if ((groups & group) == 0 || is_off)
        return false;
    unsigned call = ++calls;
    bool now = mode == FAIL_ON ? call >= target : call == target;
    if (now)
        happened = true;
    return now;
}

int fail_strikes(unsigned group)
{
    if (mode == FAIL_HALF || mode == FAIL_INTERRUPT || !strikes(group))
        return 0;
    return mode == FAIL_UNHEARD ? 2 : 1;
}

/* Of a call that either works or does not. */
static bool fails(unsigned group, int error)
{
    if (mode != FAIL_ONCE && mode != FAIL_ON)
        return false;
    if (!strikes(group))
        return false;
    errno = error;
    return true;
}

/* Of a call that waits: can be interrupted, too. */
static bool fails_waiting(unsigned group, int error)
{
    if (mode == FAIL_INTERRUPT ? !strikes(group) : !fails(group, error))
        return false;
    errno = mode == FAIL_INTERRUPT ? EINTR : error;
    return true;
}

/* Of a call that moves bytes: may also be cut short. True: it fails. */
static bool fails_moving(unsigned group, int error, size_t *size)
{
    if (mode == FAIL_HALF) {
        if (*size > 1 && strikes(group))
            *size /= 2;
        return false;
    }
    return fails_waiting(group, error);
}

static void tell(const char *call, int descriptor, const char *name)
{
    if (watcher != NULL && !is_off)
        watcher(watcher_context, call, descriptor, name);
}

#define WRAP(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

/* ---- Memory ---------------------------------------------------------------------------------- */

WRAP(void *, malloc, size_t size)
{
    return fails(FAIL_MEMORY, ENOMEM) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, size_t count, size_t size)
{
    return fails(FAIL_MEMORY, ENOMEM) ? NULL : __real_calloc(count, size);
}

WRAP(void *, realloc, void *memory, size_t size)
{
    return fails(FAIL_MEMORY, ENOMEM) ? NULL : __real_realloc(memory, size);
}

WRAP(char *, strdup, const char *text)
{
    return fails(FAIL_MEMORY, ENOMEM) ? NULL : __real_strdup(text);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static bool opening_fails(int flags)
{
    return (flags & O_CREAT) != 0 ? fails(FAIL_WRITE, ENOSPC) : fails(FAIL_READ, EMFILE);
}

static mode_t mode_of(int flags, va_list list)
{
    return (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
}

WRAP(int, open, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t bits = mode_of(flags, list);
    va_end(list);
    return opening_fails(flags) ? -1 : __real_open(path, flags, bits);
}

WRAP(int, openat, int folder, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t bits = mode_of(flags, list);
    va_end(list);
    if ((flags & O_CREAT) != 0)
        tell("openat", folder, path);
    return opening_fails(flags) ? -1 : __real_openat(folder, path, flags, bits);
}

WRAP(FILE *, fopen, const char *path, const char *how)
{
    bool writes = strpbrk(how, "wa+") != NULL;
    return fails(writes ? FAIL_WRITE : FAIL_READ, writes ? ENOSPC : EMFILE) ? NULL : __real_fopen(path, how);
}

WRAP(size_t, fread, void *to, size_t size, size_t count, FILE *file)
{
    return fails(FAIL_READ, EIO) ? 0 : __real_fread(to, size, count, file);
}

WRAP(size_t, fwrite, const void *from, size_t size, size_t count, FILE *file)
{
    return fails(FAIL_WRITE, ENOSPC) ? 0 : __real_fwrite(from, size, count, file);
}

WRAP(int, fflush, FILE *file)
{
    return fails(FAIL_WRITE, ENOSPC) ? EOF : __real_fflush(file);
}

WRAP(int, fclose, FILE *file)
{
    bool fault = fails(FAIL_WRITE, ENOSPC);
    int status = __real_fclose(file);
    if (fault)
        errno = ENOSPC;
    return fault ? EOF : status;
}

WRAP(ssize_t, read, int descriptor, void *to, size_t size)
{
    return fails_moving(FAIL_READ, EIO, &size) ? -1 : __real_read(descriptor, to, size);
}

WRAP(ssize_t, pread, int descriptor, void *to, size_t size, off_t offset)
{
    return fails_moving(FAIL_READ, EIO, &size) ? -1 : __real_pread(descriptor, to, size, offset);
}

WRAP(ssize_t, write, int descriptor, const void *from, size_t size)
{
    return fails_moving(FAIL_WRITE, ENOSPC, &size) ? -1 : __real_write(descriptor, from, size);
}

WRAP(ssize_t, pwrite, int descriptor, const void *from, size_t size, off_t offset)
{
    tell("pwrite", descriptor, NULL);
    return fails_moving(FAIL_WRITE, ENOSPC, &size) ? -1 : __real_pwrite(descriptor, from, size, offset);
}

/* The machine stays up: the disk need not be waited for. */
WRAP(int, fdatasync, int descriptor)
{
    tell("fdatasync", descriptor, NULL);
    return fail_strikes(FAIL_WRITE) != 0 ? (errno = EIO, -1) : 0;
}

WRAP(int, fsync, int descriptor)
{
    tell("fsync", descriptor, NULL);
    return fail_strikes(FAIL_WRITE | FAIL_FOLDER) != 0 ? (errno = EIO, -1) : 0;
}

WRAP(int, ftruncate, int descriptor, off_t size)
{
    tell("ftruncate", descriptor, NULL);
    return fails(FAIL_WRITE, EIO) ? -1 : __real_ftruncate(descriptor, size);
}

WRAP(off_t, lseek, int descriptor, off_t offset, int whence)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_lseek(descriptor, offset, whence);
}

WRAP(int, fstat, int descriptor, struct stat *about)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_fstat(descriptor, about);
}

WRAP(int, fstatat, int folder, const char *path, struct stat *about, int flags)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_fstatat(folder, path, about, flags);
}

WRAP(int, stat, const char *path, struct stat *about)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_stat(path, about);
}

WRAP(int, statvfs, const char *path, struct statvfs *about)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_statvfs(path, about);
}

WRAP(int, faccessat, int folder, const char *path, int how, int flags)
{
    return fails(FAIL_READ, EIO) ? -1 : __real_faccessat(folder, path, how, flags);
}

WRAP(int, fchmod, int descriptor, mode_t bits)
{
    return fails(FAIL_WRITE, EIO) ? -1 : __real_fchmod(descriptor, bits);
}

WRAP(int, fchmodat, int folder, const char *path, mode_t bits, int flags)
{
    return fails(FAIL_WRITE, EIO) ? -1 : __real_fchmodat(folder, path, bits, flags);
}

WRAP(int, flock, int descriptor, int operation)
{
    return fails(FAIL_READ, ENOLCK) ? -1 : __real_flock(descriptor, operation);
}

WRAP(int, mkdir, const char *path, mode_t bits)
{
    return fails(FAIL_WRITE, ENOSPC) ? -1 : __real_mkdir(path, bits);
}

WRAP(char *, mkdtemp, char *path)
{
    return fails(FAIL_WRITE, ENOSPC) ? NULL : __real_mkdtemp(path);
}

WRAP(DIR *, opendir, const char *path)
{
    return fails(FAIL_READ, EMFILE) ? NULL : __real_opendir(path);
}

WRAP(DIR *, fdopendir, int descriptor)
{
    return fails(FAIL_READ, ENOMEM) ? NULL : __real_fdopendir(descriptor);
}

WRAP(struct dirent *, readdir, DIR *listing)
{
    return fails(FAIL_READ, EIO) ? NULL : __real_readdir(listing);
}

WRAP(int, rename, const char *from, const char *to)
{
    return fails(FAIL_WRITE, ENOSPC) ? -1 : __real_rename(from, to);
}

WRAP(int, renameat, int from_folder, const char *from, int to_folder, const char *to)
{
    tell("renameat", to_folder, to);
    return fails(FAIL_WRITE, ENOSPC) ? -1 : __real_renameat(from_folder, from, to_folder, to);
}

WRAP(int, unlink, const char *path)
{
    return fails(FAIL_WRITE, EIO) ? -1 : __real_unlink(path);
}

WRAP(int, unlinkat, int folder, const char *path, int flags)
{
    tell("unlinkat", folder, path);
    return fails(FAIL_WRITE, EIO) ? -1 : __real_unlinkat(folder, path, flags);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

WRAP(int, socket, int domain, int type, int protocol)
{
    return fails(FAIL_SOCKET, EMFILE) ? -1 : __real_socket(domain, type, protocol);
}

WRAP(int, bind, int descriptor, const struct sockaddr *address, socklen_t size)
{
    return fails(FAIL_SOCKET, EADDRINUSE) ? -1 : __real_bind(descriptor, address, size);
}

WRAP(int, listen, int descriptor, int backlog)
{
    return fails(FAIL_SOCKET, EADDRINUSE) ? -1 : __real_listen(descriptor, backlog);
}

WRAP(int, accept4, int descriptor, struct sockaddr *address, socklen_t *size, int flags)
{
    return fails(FAIL_SOCKET, EMFILE) ? -1 : __real_accept4(descriptor, address, size, flags);
}

WRAP(int, getsockname, int descriptor, struct sockaddr *address, socklen_t *size)
{
    return fails(FAIL_SOCKET, ENOBUFS) ? -1 : __real_getsockname(descriptor, address, size);
}

WRAP(int, setsockopt, int descriptor, int level, int name, const void *value, socklen_t size)
{
    return fails(FAIL_SOCKET, ENOBUFS) ? -1 : __real_setsockopt(descriptor, level, name, value, size);
}

WRAP(ssize_t, send, int descriptor, const void *from, size_t size, int flags)
{
    return fails_moving(FAIL_SOCKET, ECONNRESET, &size) ? -1 : __real_send(descriptor, from, size, flags);
}

WRAP(int, epoll_create1, int flags)
{
    return fails(FAIL_SOCKET, EMFILE) ? -1 : __real_epoll_create1(flags);
}

WRAP(int, epoll_ctl, int epoll, int operation, int descriptor, struct epoll_event *event)
{
    return fails(FAIL_SOCKET, ENOSPC) ? -1 : __real_epoll_ctl(epoll, operation, descriptor, event);
}

WRAP(int, epoll_wait, int epoll, struct epoll_event *events, int most, int milliseconds)
{
    return fails_waiting(FAIL_SOCKET, EBADF) ? -1 : __real_epoll_wait(epoll, events, most, milliseconds);
}

WRAP(int, timerfd_create, int clock, int flags)
{
    return fails(FAIL_SOCKET, EMFILE) ? -1 : __real_timerfd_create(clock, flags);
}

WRAP(int, timerfd_settime, int timer, int flags, const struct itimerspec *when, struct itimerspec *before)
{
    return fails(FAIL_SOCKET, EINVAL) ? -1 : __real_timerfd_settime(timer, flags, when, before);
}

/* ---- Threads and programs -------------------------------------------------------------------- */

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
     void *context)
{
    return fails(FAIL_PROCESS, EAGAIN) ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

/* What another thread waits for an hour, as it thinks, comes soon. */
WRAP(int, pthread_cond_timedwait, pthread_cond_t *condition, pthread_mutex_t *mutex,
     const struct timespec *until)
{
    struct timespec soon;
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_nsec += 1000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_nsec -= 1000000000;
        soon.tv_sec++;
    }
    bool later =
        until->tv_sec > soon.tv_sec || (until->tv_sec == soon.tv_sec && until->tv_nsec > soon.tv_nsec);
    return __real_pthread_cond_timedwait(condition, mutex, later && getpid() != gettid() ? &soon : until);
}

WRAP(int, pipe2, int ends[2], int flags)
{
    return fails(FAIL_PROCESS, EMFILE) ? -1 : __real_pipe2(ends, flags);
}

WRAP(int, posix_spawnp, pid_t *process, const char *program, const posix_spawn_file_actions_t *actions,
     const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment)
{
    return fails(FAIL_PROCESS, EAGAIN)
               ? EAGAIN
               : __real_posix_spawnp(process, program, actions, attributes, arguments, environment);
}

WRAP(int, poll, struct pollfd *descriptors, nfds_t count, int milliseconds)
{
    return fails_waiting(FAIL_PROCESS, EAGAIN) ? -1 : __real_poll(descriptors, count, milliseconds);
}

WRAP(pid_t, waitpid, pid_t process, int *status, int flags)
{
    if (mode == FAIL_INTERRUPT && fails_waiting(FAIL_PROCESS, EINTR))
        return -1;
    return __real_waitpid(process, status, flags);
}
