/* SPDX-License-Identifier: MIT */
/*
 * A library for LD_PRELOAD that makes the Nth system call of a process its last one, or makes it fail. It
 * also keeps, in memory, what is needed to undo every change that no fsync has made durable yet, so that it
 * can end the process as a power cut does: a file's bytes count once the file was synced, a name once its
 * folder was. See control.h.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define PATH_ROOM 600
#define NODES_MAX 4096

/* A file or folder that was changed, by a descriptor of this library's own. */
struct node {
    dev_t device;
    ino_t number;
    int descriptor;
};

struct change {
    struct change *older;
    enum { BYTES, MADE, RENAMED, REMOVED } kind;
    struct node *node;  /* what must be synced for it: the file, or the folder */
    struct node *other; /* RENAMED: the folder it came from */
    char name[120];
    char from[120];
    char kept[40]; /* the file that had the name, in FAULT_TRASH; empty: none */
    off_t offset, length;
    size_t size;
    uint8_t *data;
};

static struct fault_control *control;
static char root[PATH_ROOM], trash[PATH_ROOM];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct node nodes[NODES_MAX];
static size_t node_count;
static struct change *changes;
static unsigned kept_count;

/* POSIX promises what ISO C leaves open: a function's address passes through a void pointer. */
#pragma GCC diagnostic ignored "-Wpedantic"
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* ---- What is watched ------------------------------------------------------------------------- */

static bool is_below(const char *path)
{
    size_t size = strlen(root);
    return size != 0 && strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static bool path_of(int descriptor, char path[PATH_ROOM])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_ROOM - 1);
    path[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

static bool is_watched(int descriptor)
{
    char path[PATH_ROOM];
    return control != NULL && path_of(descriptor, path) && is_below(path);
}

/* The whole path of a name. False: it is not below the root. */
static bool find_path(int folder, const char *name, char path[PATH_ROOM])
{
    char base[PATH_ROOM] = "";
    if (control == NULL)
        return false;
    if (name[0] == '/')
        snprintf(path, PATH_ROOM, "%s", name);
    else if ((folder == AT_FDCWD && getcwd(base, sizeof base) != NULL) ||
             (folder != AT_FDCWD && path_of(folder, base)))
        snprintf(path, PATH_ROOM, "%.300s/%.200s", base, name);
    else
        return false;
    return is_below(path);
}

/* ---- Undoing --------------------------------------------------------------------------------- */

static struct node *find_node(const struct stat *about)
{
    for (size_t i = 0; i < node_count; i++)
        if (nodes[i].number == about->st_ino && nodes[i].device == about->st_dev)
            return &nodes[i];
    return NULL;
}

static struct node *keep_node(const char *path, int flags)
{
    struct stat about;
    int descriptor = REAL(open)(path, flags | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &about) != 0)
        return NULL;
    struct node *known = find_node(&about);
    if (known != NULL || node_count == NODES_MAX) {
        close(descriptor);
        return known;
    }
    /* Out of the way of the program's own. */
    int high = fcntl(descriptor, F_DUPFD_CLOEXEC, 500);
    close(descriptor);
    nodes[node_count] = (struct node){about.st_dev, about.st_ino, high};
    return &nodes[node_count++];
}

static struct node *file_node(int descriptor)
{
    struct stat about;
    char path[PATH_ROOM];
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode))
        return NULL;
    struct node *known = find_node(&about);
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return known != NULL ? known : keep_node(path, O_RDWR);
}

/* The folder of a path, and the name in it. */
static struct node *folder_node(const char *path, char name[120])
{
    char folder[PATH_ROOM];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    snprintf(name, 120, "%s", slash + 1);
    return keep_node(folder, O_RDONLY | O_DIRECTORY);
}

static struct change *add_change(int kind, struct node *node)
{
    struct change *change = calloc(1, sizeof *change);
    if (change == NULL || node == NULL) {
        free(change);
        return NULL;
    }
    change->kind = (__typeof__(change->kind))kind;
    change->node = node;
    change->older = changes;
    changes = change;
    return change;
}

/* Before bytes [offset, offset + size) of a file change, or it is cut to `offset` (size 0). */
static void note_bytes(struct node *node, off_t offset, size_t size)
{
    struct stat about;
    struct change *change = add_change(BYTES, node);
    if (change == NULL || fstat(node->descriptor, &about) != 0)
        return;
    change->offset = offset;
    change->length = about.st_size;
    if (size == 0)
        size = about.st_size > offset ? (size_t)(about.st_size - offset) : 0;
    change->data = malloc(size + 1);
    ssize_t got = pread(node->descriptor, change->data, size, offset);
    change->size = got < 0 ? 0 : (size_t)got;
}

/* Keeps the file that a name has, for the name is about to go. */
static void keep_file(struct change *change, int folder, const char *name)
{
    char place[PATH_ROOM + 50];
    snprintf(change->kept, sizeof change->kept, "%d-%u", (int)getpid(), kept_count++);
    snprintf(place, sizeof place, "%s/%s", trash, change->kept);
    if (linkat(folder, name, AT_FDCWD, place, 0) != 0)
        change->kept[0] = '\0';
}

static void undo(const struct change *change)
{
    char place[PATH_ROOM + 50];
    int folder = change->node->descriptor;
    snprintf(place, sizeof place, "%s/%s", trash, change->kept);
    switch (change->kind) {
    case BYTES:
        if (REAL(pwrite)(folder, change->data, change->size, change->offset) < 0 ||
            REAL(ftruncate)(folder, change->length) != 0)
            abort();
        break;
    case MADE:
        REAL(unlinkat)(folder, change->name, 0);
        REAL(unlinkat)(folder, change->name, AT_REMOVEDIR);
        break;
    case RENAMED:
        REAL(renameat)(folder, change->name, change->other->descriptor, change->from);
        /* fall through */
    default:
        if (change->kept[0] != '\0' && linkat(AT_FDCWD, place, folder, change->name, 0) != 0 &&
            errno != EEXIST)
            abort();
    }
}

static uint64_t random_number(void)
{
    uint64_t z = (control->seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void stand_still(int signal)
{
    (void)signal;
    for (;;)
        pause();
}

static void end_process(unsigned what)
{
    /* Another thread may meet a mapped file (SQLite's -shm) that is cut short under it: it must not end the
     * process before all is undone. */
    signal(SIGBUS, stand_still);
    for (struct change *change = changes; change != NULL && what != FAULT_KILL; change = change->older)
        if (what == FAULT_CUT || random_number() % 2 == 0)
            undo(change);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* A sync that succeeded makes a node's changes durable; one that fails undoes them. */
static void settle(int descriptor, bool good)
{
    struct stat about;
    struct node *node = fstat(descriptor, &about) == 0 ? find_node(&about) : NULL;
    for (struct change **place = &changes; *place != NULL && node != NULL;) {
        struct change *change = *place;
        if (change->node != node || (!good && change->kind != BYTES)) {
            place = &change->older;
            continue;
        }
        if (!good)
            undo(change);
        *place = change->older;
        free(change->data);
        free(change);
    }
}

/* ---- The gate -------------------------------------------------------------------------------- */

enum { PASS, FAIL, HALF };

static bool is_hit(unsigned kind, uint64_t number)
{
    bool full = control->error == ENOSPC;
    if (atomic_load(&control->healthy) || control->at == 0 || number < control->at)
        return false;
    if (full && (kind & (FAULT_OPEN | FAULT_FREEING)) != 0)
        return false;
    return number == control->at || control->lasting;
}

/* Counts a call and says what is to become of it. With the mutex held. */
static int gate(unsigned kind, const char *call, const char *path, int descriptor, off_t offset,
                const void *data, size_t size)
{
    static bool was_short;
    if ((kind & control->kinds) == 0)
        return PASS;
    uint64_t number = atomic_fetch_add(&control->calls, 1) + 1;
    if (!is_hit(kind, number))
        return PASS;
    if (atomic_fetch_add(&control->hits, 1) == 0)
        snprintf(control->hit, sizeof control->hit, "%s %s", call, path);
    bool writes = kind == FAULT_WRITE && data != NULL;
    if (control->what == FAULT_KILL && writes && size > 1)
        REAL(pwrite)(descriptor, data, size / 2, offset);
    if (control->what < FAULT_ERROR)
        end_process(control->what);
    if (control->what == FAULT_SHORT && writes && size > 1 && !was_short) {
        was_short = true;
        return HALF;
    }
    errno = control->error;
    return FAIL;
}

static void *wait_for_cut(void *context)
{
    struct timespec little = {0, 500000};
    (void)context;
    while (atomic_load(&control->cut) == 0)
        nanosleep(&little, NULL);
    pthread_mutex_lock(&mutex);
    end_process(FAULT_CUT);
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("FAULT_CONTROL"), *folder = getenv("FAULT_ROOT"),
               *place = getenv("FAULT_TRASH");
    pthread_t thread;
    sigset_t all, before;
    if (file == NULL || folder == NULL || place == NULL)
        return;
    int descriptor = REAL(open)(file, O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (descriptor < 0 || mapped == MAP_FAILED)
        abort();
    close(descriptor);
    snprintf(root, sizeof root, "%s", folder);
    snprintf(trash, sizeof trash, "%s", place);
    control = mapped;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, wait_for_cut, NULL) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- Calls on descriptors -------------------------------------------------------------------- */

static ssize_t put(const char *call, int descriptor, const void *data, size_t size, off_t offset)
{
    char path[PATH_ROOM];
    path_of(descriptor, path);
    pthread_mutex_lock(&mutex);
    note_bytes(file_node(descriptor), offset, size);
    int verdict = gate(FAULT_WRITE, call, path, descriptor, offset, data, size);
    if (verdict == HALF)
        size /= 2;
    ssize_t done = verdict == FAIL ? -1 : REAL(pwrite)(descriptor, data, size, offset);
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    if (size == 0 || !is_watched(descriptor))
        return REAL(pwrite)(descriptor, data, size, offset);
    return put("pwrite", descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset)
{
    return pwrite(descriptor, data, size, offset);
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    struct stat about;
    if (size == 0 || !is_watched(descriptor) || fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode))
        return REAL(write)(descriptor, data, size);
    bool appends = (fcntl(descriptor, F_GETFL) & O_APPEND) != 0;
    off_t offset = appends ? about.st_size : lseek(descriptor, 0, SEEK_CUR);
    ssize_t done = put("write", descriptor, data, size, offset);
    if (done > 0)
        lseek(descriptor, offset + done, SEEK_SET);
    return done;
}

int ftruncate(int descriptor, off_t length)
{
    char path[PATH_ROOM];
    if (!is_watched(descriptor))
        return REAL(ftruncate)(descriptor, length);
    path_of(descriptor, path);
    pthread_mutex_lock(&mutex);
    note_bytes(file_node(descriptor), length, 0);
    int done = gate(FAULT_FREEING, "ftruncate", path, descriptor, 0, NULL, 0) == FAIL
                   ? -1
                   : REAL(ftruncate)(descriptor, length);
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

int ftruncate64(int descriptor, off_t length)
{
    return ftruncate(descriptor, length);
}

static int sync_file(const char *call, int descriptor)
{
    char path[PATH_ROOM];
    path_of(descriptor, path);
    pthread_mutex_lock(&mutex);
    bool good = gate(FAULT_SYNC, call, path, descriptor, 0, NULL, 0) == PASS;
    int error = errno;
    settle(descriptor, good);
    pthread_mutex_unlock(&mutex);
    errno = error;
    return good ? 0 : -1;
}

int fsync(int descriptor)
{
    return is_watched(descriptor) ? sync_file("fsync", descriptor) : REAL(fsync)(descriptor);
}

int fdatasync(int descriptor)
{
    return is_watched(descriptor) ? sync_file("fdatasync", descriptor) : REAL(fdatasync)(descriptor);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int open_at(int folder, const char *name, int flags, mode_t mode)
{
    char path[PATH_ROOM], base[120];
    struct stat about;
    if (!find_path(folder, name, path))
        return REAL(openat)(folder, name, flags, mode);
    pthread_mutex_lock(&mutex);
    bool exists = lstat(path, &about) == 0;
    unsigned kind = (flags & O_CREAT) != 0 && !exists ? FAULT_CREATE : FAULT_OPEN;
    int descriptor = -1;
    if (gate(kind, "open", path, -1, 0, NULL, 0) == PASS) {
        if (exists && (flags & O_TRUNC) != 0 && about.st_size != 0)
            note_bytes(keep_node(path, O_RDWR), 0, 0);
        descriptor = REAL(openat)(folder, name, flags, mode);
        struct change *made = descriptor >= 0 && !exists ? add_change(MADE, folder_node(path, base)) : NULL;
        if (made != NULL)
            snprintf(made->name, sizeof made->name, "%s", base);
    }
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return descriptor;
}

#define MODE(mode, flags)                                                                                    \
    mode_t mode = 0;                                                                                         \
    if (((flags)&O_CREAT) != 0) {                                                                            \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        mode = va_arg(arguments, mode_t);                                                                    \
        va_end(arguments);                                                                                   \
    }

int openat(int folder, const char *name, int flags, ...)
{
    MODE(mode, flags)
    return open_at(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...)
{
    MODE(mode, flags)
    return open_at(folder, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    MODE(mode, flags)
    return open_at(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    MODE(mode, flags)
    return open_at(AT_FDCWD, name, flags, mode);
}

int renameat(int folder, const char *name, int to, const char *other)
{
    char path[PATH_ROOM], target[PATH_ROOM], base[120];
    if (!find_path(folder, name, path) || !find_path(to, other, target))
        return REAL(renameat)(folder, name, to, other);
    pthread_mutex_lock(&mutex);
    int done = -1;
    if (gate(FAULT_NAME, "rename", target, -1, 0, NULL, 0) == PASS) {
        struct change *change = add_change(RENAMED, folder_node(target, base));
        if (change != NULL) {
            snprintf(change->name, sizeof change->name, "%s", base);
            change->other = folder_node(path, change->from);
            keep_file(change, AT_FDCWD, target);
        }
        done = REAL(renameat)(folder, name, to, other);
    }
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

int rename(const char *name, const char *other)
{
    return renameat(AT_FDCWD, name, AT_FDCWD, other);
}

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_ROOM], base[120];
    if (!find_path(folder, name, path))
        return REAL(unlinkat)(folder, name, flags);
    pthread_mutex_lock(&mutex);
    int done = -1;
    if (gate(FAULT_FREEING, "unlink", path, -1, 0, NULL, 0) == PASS) {
        struct change *change = access(path, F_OK) == 0 ? add_change(REMOVED, folder_node(path, base)) : NULL;
        if (change != NULL) {
            snprintf(change->name, sizeof change->name, "%s", base);
            keep_file(change, AT_FDCWD, path);
        }
        done = REAL(unlinkat)(folder, name, flags);
    }
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int mkdir(const char *name, mode_t mode)
{
    char path[PATH_ROOM], base[120];
    if (!find_path(AT_FDCWD, name, path))
        return REAL(mkdir)(name, mode);
    pthread_mutex_lock(&mutex);
    int done = -1;
    if (gate(FAULT_NAME, "mkdir", path, -1, 0, NULL, 0) == PASS && (done = REAL(mkdir)(name, mode)) == 0) {
        struct change *made = add_change(MADE, folder_node(path, base));
        if (made != NULL)
            snprintf(made->name, sizeof made->name, "%s", base);
    }
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

int fchmodat(int folder, const char *name, mode_t mode, int flags)
{
    char path[PATH_ROOM];
    if (!find_path(folder, name, path))
        return REAL(fchmodat)(folder, name, mode, flags);
    pthread_mutex_lock(&mutex);
    int done = gate(FAULT_NAME, "chmod", path, -1, 0, NULL, 0) == PASS
                   ? REAL(fchmodat)(folder, name, mode, flags)
                   : -1;
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void pass_socket(const char *call)
{
    if (control == NULL)
        return;
    pthread_mutex_lock(&mutex);
    if (control->what < FAULT_ERROR)
        gate(FAULT_SOCKET, call, "", -1, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
}

ssize_t send(int descriptor, const void *data, size_t size, int flags)
{
    pass_socket("send");
    return REAL(send)(descriptor, data, size, flags);
}

ssize_t read(int descriptor, void *data, size_t size)
{
    struct stat about;
    if (control != NULL && fstat(descriptor, &about) == 0 && S_ISSOCK(about.st_mode))
        pass_socket("receive");
    return REAL(read)(descriptor, data, size);
}
