/* SPDX-License-Identifier: MIT */
/* Any bytes from a device, as they come and as frames whose CRC is right, into the real peer and staging
 * store: nothing is acknowledged that is not durable, and the store opens again. Each frame of the input: a
 * byte of length, its body; length 0 syncs and answers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../host/peer.h"
#include "../tests/unit/chunks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tern_peer peer;
static struct tern_peer_config config;
static struct tern_moment now;

static void open_stage(void)
{
    struct tern_stage_config stage = {.directory = folder, .file_bytes = 4096};
    if (tern_stage_open(&config.stage, &stage) != TERN_HOST_OK)
        abort();
}

static void answer(void)
{
    uint8_t bytes[TERN_PEER_GIVE_MIN];
    if (tern_stage_sync(config.stage) == TERN_HOST_OK)
        tern_peer_synced(&peer);
    for (unsigned i = 0; tern_peer_give(&peer, &now, bytes, sizeof bytes) != 0; i++)
        if (i == 100)
            abort();
    now.monotonic += 700;
    for (uint8_t i = 0; i < peer.range_count; i++)
        if (peer.ranges[i].said_next > peer.ranges[i].stage->durable.next)
            abort();
}

static uint32_t epoch_of(uint8_t lane)
{
    for (uint8_t i = 0; i < peer.range_count; i++)
        if (peer.ranges[i].lane == lane)
            return peer.ranges[i].stage->epoch;
    return 0;
}

static void take_frame(const uint8_t *data, size_t size)
{
    uint8_t bare[260], stream[300];
    memcpy(bare, data, size);
    size_t bytes = tern_frame_seal(bare, size, epoch_of(bare[1]));
    memcpy(stream + TERN_COBS_OFFSET(bytes), bare, bytes);
    tern_peer_take(&peer, stream, tern_cobs_encode(stream, TERN_COBS_OFFSET(bytes), bytes), &now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (folder[0] == '\0') {
        /* Memory where there is such a folder: a disk would be waited for. */
        strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tern-fuzz-XXXXXX" : "/tmp/tern-fuzz-XXXXXX");
        if (mkdtemp(folder) == NULL || atexit(folder_remove) != 0)
            abort();
    }
    folder_fresh();
    now = (struct tern_moment){1000, 1790000000000};
    config.window = 4096;
    open_stage();
    tern_peer_open(&peer, &config, "fuzz");
    while (size != 0) {
        size_t length = data[0];
        data++;
        size--;
        if (length > size)
            length = size;
        if (length == 0)
            answer();
        else if (length < 4)
            tern_peer_take(&peer, data, length, &now);
        else
            take_frame(data, length);
        data += length;
        size -= length;
    }
    answer();
    tern_peer_close(&peer);
    tern_stage_close(config.stage);
    open_stage();
    tern_stage_close(config.stage);
    return 0;
}
