/* SPDX-License-Identifier: MIT */
/* The newest epoch of each device that destinations know: what another gateway gave, or a staging folder that
 * is gone. Kept in memory only, as the destinations say it again. */
#include <stdlib.h>

#include "stage_state.h"

#define DEVICES_MAX (1u << 20)

static uint64_t hash_of(const char *device)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (; *device != '\0'; device++)
        hash = (hash ^ (uint8_t)*device) * 0x100000001B3u;
    return hash == 0 ? 1 : hash;
}

/* Where it is, or where it would be. */
static struct tern_stage_learned *place_of(struct tern_stage_learned *learned, size_t room, uint64_t hash)
{
    size_t place = (size_t)(hash * 0x9E3779B97F4A7C15u >> 32) & (room - 1);
    while (learned[place].hash != 0 && learned[place].hash != hash)
        place = (place + 1) & (room - 1);
    return &learned[place];
}

static bool grow(struct tern_stage *stage)
{
    size_t room = stage->learned_room == 0 ? 256 : stage->learned_room * 2;
    struct tern_stage_learned *learned =
        stage->learned_count >= DEVICES_MAX ? NULL : calloc(room, sizeof *learned);
    if (learned == NULL)
        return false;
    for (size_t i = 0; i < stage->learned_room; i++)
        if (stage->learned[i].hash != 0)
            *place_of(learned, room, stage->learned[i].hash) = stage->learned[i];
    free(stage->learned);
    stage->learned = learned;
    stage->learned_room = room;
    return true;
}

void tern_stage_learn(struct tern_stage *stage, const char *device, uint32_t epoch)
{
    uint64_t hash = hash_of(device);
    pthread_mutex_lock(&stage->mutex);
    if (2 * stage->learned_count < stage->learned_room || grow(stage)) {
        struct tern_stage_learned *one = place_of(stage->learned, stage->learned_room, hash);
        stage->learned_count += one->hash == 0;
        one->hash = hash;
        one->epoch = epoch > one->epoch ? epoch : one->epoch;
    }
    pthread_mutex_unlock(&stage->mutex);
}

uint32_t tern_stage_learned(struct tern_stage *stage, const char *device)
{
    pthread_mutex_lock(&stage->mutex);
    uint32_t epoch =
        stage->learned_room == 0 ? 0 : place_of(stage->learned, stage->learned_room, hash_of(device))->epoch;
    pthread_mutex_unlock(&stage->mutex);
    return epoch;
}
