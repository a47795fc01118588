/* SPDX-License-Identifier: MIT */
/* A peer over the real staging store, in a temporary folder, on a disk that can fail. Bytes in, bytes out;
 * time is a number. */
#ifndef TERN_TEST_PEER_BENCH_H
#define TERN_TEST_PEER_BENCH_H

#include "../../host/peer.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../test.h"
#include "client.h"

/* ---- A disk that can fail: this stands in front of libc's function --------------------------- */

static bool disk_fails;

int fdatasync(int descriptor)
{
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, descriptor);
}

/* ---- The rig --------------------------------------------------------------------------------- */

struct rig {
    char directory[64];
    struct tern_stage *stage;
    struct tern_peer_config config;
    struct tern_peer peer;
    struct tern_moment now;
    struct client_answers answers;
    struct client_stream out;
};

static struct rig rig;

static inline void remove_directory(const char *directory)
{
    char path[400];
    struct dirent *entry;
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(folder);
    rmdir(directory);
}

static inline void open_stage(void)
{
    struct tern_stage_config config = {.directory = rig.directory};
    if (!CHECK_EQ(tern_stage_open(&rig.stage, &config), TERN_HOST_OK))
        exit(1);
    rig.config.stage = rig.stage;
    rig.config.window = 65536;
}

static inline void connect_peer(void)
{
    tern_peer_close(&rig.peer);
    tern_peer_open(&rig.peer, &rig.config, "test");
    client_forget(&rig.answers);
    rig.out.size = 0;
}

static inline void setup(void)
{
    memset(&rig, 0, sizeof rig);
    disk_fails = false;
    snprintf(rig.directory, sizeof rig.directory, "/tmp/tern-peer-XXXXXX");
    if (!CHECK(mkdtemp(rig.directory) != NULL))
        exit(1);
    rig.now.monotonic = 1000;
    rig.now.wall = 1790000000000;
    open_stage();
    connect_peer();
}

static inline void teardown(void)
{
    disk_fails = false;
    tern_peer_close(&rig.peer);
    tern_stage_close(rig.stage);
    remove_directory(rig.directory);
}

static inline void take(const uint8_t *bytes, size_t size)
{
    tern_peer_take(&rig.peer, bytes, size, &rig.now);
}

/* Gives what has been put into rig.out to the peer. */
static inline void send_out(void)
{
    take(rig.out.bytes, rig.out.size);
    rig.out.size = 0;
}

static inline void hear(void)
{
    uint8_t bytes[4096];
    size_t size;
    while ((size = tern_peer_give(&rig.peer, &rig.now, bytes, sizeof bytes)) != 0)
        client_read(&rig.answers, bytes, size);
}

static inline bool sync_and_hear(void)
{
    bool good = tern_stage_sync(rig.stage) == TERN_HOST_OK;
    if (good)
        tern_peer_synced(&rig.peer);
    hear();
    return good;
}

static inline void send_and_hear(void)
{
    send_out();
    CHECK(sync_and_hear());
}

static inline void greet_as(const char *id)
{
    struct client_hello hello = client_good_hello;
    hello.id = id;
    client_put_hello(&rig.out, &hello);
    send_and_hear();
}

/* A session in which the store knows the schema. */
static inline void greet_with_schema(const char *id)
{
    greet_as(id);
    client_put_chunk(&rig.out, 1, 1, 512);
    send_and_hear();
    client_put_table(&rig.out);
    send_and_hear();
    CHECK_EQ(rig.answers.next, 2);
}

#endif
