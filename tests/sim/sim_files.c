/* SPDX-License-Identifier: MIT */
/* The system calls of the gateways' files, by the linker's --wrap. Outside of a gateway's code they are the
 * real ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sim_disk.h"

#define FIRST  1000 /* no real descriptor is as high here */
#define LINGER 20

/* Declares the real function and ours, as the linker's --wrap names them. */
#define WRAP(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, open, const char *path, int flags, ...);
WRAP(int, openat, int folder, const char *path, int flags, ...);
WRAP(int, close, int descriptor);
WRAP(ssize_t, read, int descriptor, void *data, size_t size);
WRAP(ssize_t, pread, int descriptor, void *data, size_t size, off_t offset);
WRAP(ssize_t, pwrite, int descriptor, const void *data, size_t size, off_t offset);
WRAP(int, fdatasync, int descriptor);
WRAP(int, fsync, int descriptor);
WRAP(int, ftruncate, int descriptor, off_t size);
WRAP(int, fstat, int descriptor, struct stat *about);
WRAP(int, fstatat, int folder, const char *path, struct stat *about, int flags);
WRAP(int, stat, const char *path, struct stat *about);
WRAP(ssize_t, write, int descriptor, const void *data, size_t size);
WRAP(int, flock, int descriptor, int operation);
WRAP(int, mkdir, const char *path, mode_t mode);
WRAP(DIR *, opendir, const char *path);
WRAP(struct dirent *, readdir, DIR *folder);
WRAP(int, closedir, DIR *folder);
WRAP(int, renameat, int from, const char *old, int to, const char *new);
WRAP(int, unlinkat, int folder, const char *path, int flags);
WRAP(int, fstatvfs, int descriptor, struct statvfs *about);
WRAP(FILE *, fopen, const char *path, const char *mode);
WRAP(int, rename, const char *old, const char *new);
WRAP(int, statvfs, const char *path, struct statvfs *about);
WRAP(int, rand, void);
WRAP(int, usleep, useconds_t microseconds);
WRAP(ssize_t, getrandom, void *data, size_t size, unsigned flags);

static struct sim_descriptor *find(int descriptor)
{
    struct sim_disk *disk = sim_disk_here();
    int index = descriptor - FIRST;
    if (index < 0 || index >= DISK_DESCRIPTORS || !disk->descriptors[index].is_used) {
        sim_violate("gateway %u uses descriptor %d, which is not open", sim.here->number, descriptor);
        errno = EBADF;
        return NULL;
    }
    return &disk->descriptors[index];
}

static struct sim_inode *inode_of(const struct sim_descriptor *descriptor)
{
    return &sim_disk_here()->inodes[descriptor->inode];
}

static int give(enum sim_descriptor_kind kind, int inode)
{
    struct sim_disk *disk = sim_disk_here();
    for (int i = 0; i < DISK_DESCRIPTORS; i++)
        if (!disk->descriptors[i].is_used) {
            disk->descriptors[i] = (struct sim_descriptor){true, kind, inode, 0};
            return FIRST + i;
        }
    sim_violate("gateway %u leaks descriptors", sim.here->number);
    errno = EMFILE;
    return -1;
}

static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static bool is_full(void)
{
    struct sim_disk *disk = sim_disk_here();
    if (sim_happens(HOST_FULL))
        disk->full_until = sim.now + 1 + sim_below(60000);
    return disk->full_until > sim.now;
}

static int open_here(const char *path, int flags)
{
    struct sim_disk *disk = sim_disk_here();
    if (strcmp(path, "/dev/urandom") == 0)
        return give(DESCRIPTOR_RANDOM, -1);
    if ((flags & O_DIRECTORY) != 0)
        return disk->has_folder ? give(DESCRIPTOR_FOLDER, -1) : fail(ENOENT);
    int inode = sim_disk_find(disk, base(path));
    if (inode < 0 && (flags & O_CREAT) == 0)
        return fail(ENOENT);
    if (inode >= 0 && (flags & O_EXCL) != 0)
        return fail(EEXIST);
    if (inode < 0) {
        sim_crash_point(HOST_CRASH);
        inode = sim_disk_inode(disk);
        if (inode >= 0)
            sim_disk_name(disk, base(path), inode, false);
    } else if ((flags & O_TRUNC) != 0) {
        sim_disk_truncate(&disk->inodes[inode], 0);
    }
    return inode < 0 ? fail(ENOSPC) : give(DESCRIPTOR_FILE, inode);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    return sim.here == NULL ? __real_open(path, flags, mode) : open_here(path, flags);
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    return sim.here == NULL ? __real_openat(folder, path, flags, mode) : open_here(path, flags);
}

int __wrap_close(int descriptor)
{
    if (sim.here == NULL)
        return __real_close(descriptor);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL)
        return -1;
    if (one->kind == DESCRIPTOR_FILE && inode_of(one)->lock == descriptor)
        inode_of(one)->lock = 0;
    one->is_used = false;
    return 0;
}

static void fill_random(void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = (uint8_t)sim_random();
}

static ssize_t read_at(struct sim_descriptor *one, void *data, size_t size, size_t offset)
{
    if (one == NULL)
        return -1;
    if (one->kind == DESCRIPTOR_RANDOM) {
        fill_random(data, size);
        return (ssize_t)size;
    }
    const struct sim_inode *inode = inode_of(one);
    size_t left = offset < inode->size ? inode->size - offset : 0;
    if (size > left)
        size = left;
    if (!sim.is_calm && size > 1 && sim_below(50) == 0)
        size = 1 + sim_below((uint32_t)size); /* a short read is no error */
    if (size != 0)
        memcpy(data, inode->data + offset, size);
    return (ssize_t)size;
}

ssize_t __wrap_read(int descriptor, void *data, size_t size)
{
    if (sim.here == NULL)
        return __real_read(descriptor, data, size);
    struct sim_descriptor *one = find(descriptor);
    ssize_t got = read_at(one, data, size, one == NULL ? 0 : one->at);
    if (got > 0)
        one->at += (size_t)got;
    return got;
}

ssize_t __wrap_pread(int descriptor, void *data, size_t size, off_t offset)
{
    if (sim.here == NULL)
        return __real_pread(descriptor, data, size, offset);
    if (!sim.is_calm && sim_below(64) == 0)
        sim_sleep(sim_below(LINGER));
    return read_at(find(descriptor), data, size, (size_t)offset);
}

ssize_t __wrap_pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    if (sim.here == NULL)
        return __real_pwrite(descriptor, data, size, offset);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL)
        return -1;
    if (!sim.is_calm && sim_below(100) == 0)
        return fail(EINTR);
    if (is_full()) {
        size = sim_below((uint32_t)size + 1) / 2;
        if (size == 0)
            return fail(ENOSPC);
    } else if (!sim.is_calm && size > 1 && sim_below(50) == 0) {
        size = 1 + sim_below((uint32_t)size);
    }
    sim_crash_point(HOST_CRASH);
    sim_disk_write(inode_of(one), (size_t)offset, data, size);
    sim_crash_point(HOST_CRASH);
    return (ssize_t)size;
}

int __wrap_fdatasync(int descriptor)
{
    if (sim.here == NULL)
        return __real_fdatasync(descriptor);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL)
        return -1;
    sim_crash_point(HOST_CRASH);
    if (sim_happens(HOST_FSYNC)) {
        sim_disk_forget(inode_of(one));
        return fail(EIO);
    }
    if (sim.broken != BREAK_ACK_BEFORE_FSYNC)
        sim_disk_sync(inode_of(one));
    sim_crash_point(HOST_CRASH);
    return 0;
}

int __wrap_fsync(int descriptor)
{
    if (sim.here == NULL)
        return __real_fsync(descriptor);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL || one->kind != DESCRIPTOR_FOLDER)
        return one == NULL ? -1 : __wrap_fdatasync(descriptor);
    sim_crash_point(HOST_CRASH);
    if (sim_happens(HOST_FSYNC))
        return fail(EIO);
    sim_disk_sync_names(sim_disk_here());
    sim_crash_point(HOST_CRASH);
    return 0;
}

int __wrap_ftruncate(int descriptor, off_t size)
{
    if (sim.here == NULL)
        return __real_ftruncate(descriptor, size);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL)
        return -1;
    sim_crash_point(HOST_CRASH);
    sim_disk_truncate(inode_of(one), (size_t)size);
    sim_crash_point(HOST_CRASH);
    return 0;
}

static int describe(int inode, struct stat *about)
{
    memset(about, 0, sizeof *about);
    if (inode < 0)
        return fail(ENOENT);
    about->st_mode = S_IFREG | 0640;
    about->st_ino = (ino_t)inode + 1;
    about->st_size = (off_t)sim_disk_here()->inodes[inode].size;
    about->st_blocks = about->st_size / 512 + 1;
    return 0;
}

int __wrap_fstat(int descriptor, struct stat *about)
{
    if (sim.here == NULL)
        return __real_fstat(descriptor, about);
    struct sim_descriptor *one = find(descriptor);
    return one == NULL ? -1 : describe(one->inode, about);
}

int __wrap_fstatat(int folder, const char *path, struct stat *about, int flags)
{
    if (sim.here == NULL)
        return __real_fstatat(folder, path, about, flags);
    return describe(sim_disk_find(sim_disk_here(), base(path)), about);
}

int __wrap_stat(const char *path, struct stat *about)
{
    return sim.here == NULL ? __real_stat(path, about)
                            : describe(sim_disk_find(sim_disk_here(), base(path)), about);
}

/* All that write here append. */
ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    if (sim.here == NULL)
        return __real_write(descriptor, data, size);
    struct sim_descriptor *one = find(descriptor);
    return one == NULL ? -1 : __wrap_pwrite(descriptor, data, size, (off_t)inode_of(one)->size);
}

int __wrap_flock(int descriptor, int operation)
{
    if (sim.here == NULL)
        return __real_flock(descriptor, operation);
    struct sim_descriptor *one = find(descriptor);
    if (one == NULL)
        return -1;
    struct sim_inode *inode = inode_of(one);
    if ((operation & LOCK_UN) == 0 && inode->lock != 0 && inode->lock != descriptor)
        return fail(EWOULDBLOCK);
    inode->lock = (operation & LOCK_UN) == 0 ? descriptor : 0;
    return 0;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    if (sim.here == NULL)
        return __real_mkdir(path, mode);
    struct sim_disk *disk = sim_disk_here();
    if (disk->has_folder)
        return fail(EEXIST);
    disk->has_folder = true;
    return 0;
}

/* One listing at a time. */
static struct listing {
    unsigned at;
    struct dirent entry;
} listing;

DIR *__wrap_opendir(const char *path)
{
    if (sim.here == NULL)
        return __real_opendir(path);
    listing.at = 0;
    return (DIR *)&listing;
}

struct dirent *__wrap_readdir(DIR *folder)
{
    if ((void *)folder != (void *)&listing)
        return __real_readdir(folder);
    const struct sim_disk *disk = sim_disk_here();
    while (listing.at < DISK_NAMES && disk->names[listing.at].name[0] == '\0')
        listing.at++;
    if (listing.at == DISK_NAMES)
        return NULL;
    strcpy(listing.entry.d_name, disk->names[listing.at++].name);
    return &listing.entry;
}

int __wrap_closedir(DIR *folder)
{
    return (void *)folder == (void *)&listing ? 0 : __real_closedir(folder);
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    if (sim.here == NULL)
        return __real_renameat(from, old, to, new);
    struct sim_disk *disk = sim_disk_here();
    int inode = sim_disk_find(disk, base(old));
    if (inode < 0)
        return fail(ENOENT);
    sim_crash_point(HOST_CRASH);
    sim_disk_name(disk, base(old), -1, false);
    sim_disk_name(disk, base(new), inode, true);
    sim_crash_point(HOST_CRASH);
    return 0;
}

int __wrap_rename(const char *old, const char *new)
{
    return sim.here == NULL ? __real_rename(old, new) : __wrap_renameat(-1, old, -1, new);
}

int __wrap_unlinkat(int folder, const char *path, int flags)
{
    if (sim.here == NULL)
        return __real_unlinkat(folder, path, flags);
    struct sim_disk *disk = sim_disk_here();
    if (sim_disk_find(disk, base(path)) < 0)
        return fail(ENOENT);
    sim_crash_point(HOST_CRASH);
    sim_disk_name(disk, base(path), -1, false);
    sim_crash_point(HOST_CRASH);
    return 0;
}

int __wrap_fstatvfs(int descriptor, struct statvfs *about)
{
    if (sim.here == NULL)
        return __real_fstatvfs(descriptor, about);
    memset(about, 0, sizeof *about);
    about->f_frsize = about->f_bsize = 4096;
    about->f_blocks = 1u << 28;
    about->f_bavail = about->f_bfree = sim_disk_here()->full_until > sim.now ? 0 : 1u << 27;
    return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *about)
{
    return sim.here == NULL ? __real_statvfs(path, about) : __wrap_fstatvfs(-1, about);
}

/* ---- Standard input and output, on the same disk --------------------------------------------- */

/* Nothing of it may end the process: it is called from within the C library. */
struct stream {
    struct sim_inode *inode; /* NULL: randomness */
    size_t at;
};

static ssize_t stream_read(void *cookie, char *data, size_t size)
{
    struct stream *stream = cookie;
    if (stream->inode == NULL) {
        fill_random(data, size);
        return (ssize_t)size;
    }
    size_t left = stream->at < stream->inode->size ? stream->inode->size - stream->at : 0;
    if (size > left)
        size = left;
    if (size != 0)
        memcpy(data, stream->inode->data + stream->at, size);
    stream->at += size;
    return (ssize_t)size;
}

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
    struct stream *stream = cookie;
    if (is_full())
        return 0;
    sim_disk_write(stream->inode, stream->at, data, size);
    stream->at += size;
    return (ssize_t)size;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    static struct stream streams[16];
    static unsigned turn;
    struct sim_gateway *here = sim.here;
    if (here == NULL)
        return __real_fopen(path, mode);
    struct stream *stream = &streams[turn++ % 16];
    *stream = (struct stream){NULL, 0};
    if (strcmp(path, "/dev/urandom") != 0) {
        int descriptor = open_here(path, mode[0] == 'r' ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC);
        if (descriptor < 0)
            return NULL;
        stream->inode = inode_of(find(descriptor));
        __wrap_close(descriptor);
    }
    sim.here = NULL;
    FILE *file = fopencookie(stream, mode, (cookie_io_functions_t){stream_read, stream_write, NULL, NULL});
    sim.here = here;
    return file;
}

/* ---- The rest -------------------------------------------------------------------------------- */

ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags)
{
    if (sim.here == NULL)
        return __real_getrandom(data, size, flags);
    fill_random(data, size);
    return (ssize_t)size;
}

int __wrap_rand(void)
{
    return sim.here == NULL ? __real_rand() : (int)(sim_random() >> 33);
}

int __wrap_usleep(useconds_t microseconds)
{
    if (sim.here == NULL)
        return __real_usleep(microseconds);
    sim_sleep((microseconds + 999) / 1000);
    return 0;
}
