/* SPDX-License-Identifier: MIT */
/* Between sim_device.c, which gives devices life and takes it, and sim_app.c, which is what runs on them. */
#ifndef TERN_SIM_DEVICE_H
#define TERN_SIM_DEVICE_H

#include "sim.h"

#define PENDING 600
#define MODELS  4096
#define CHUNK   2048

struct device {
    bool is_used, is_up, is_off; /* off: the power went within an operation */
    uint8_t name;                /* whose id it bears */
    uint8_t version;             /* of its firmware */
    uint8_t codec;
    bool is_eager; /* commits often: chunks of many segments */
    uint16_t life;
    uint8_t lane_count;
    int64_t up_at, poll_at, app_at;
    uint32_t interval; /* between steps of the application */
    uint32_t clock;    /* what its tick shows beside virtual time */
    uint32_t boot;
    uint32_t batch[SIM_LANES]; /* that is open, 0: none */
    bool commit_waits;
    struct nor nors[SIM_LANES];
    struct port {
        struct device *device;
        struct nor *nor;
    } ports[SIM_LANES];
    struct tern_flash flashes[SIM_LANES];
    uint8_t overflow[SIM_LANES];
    uint16_t chunk_size;
    uint16_t frame_size;
    uint32_t pending[SIM_LANES][PENDING];
    uint32_t pending_count[SIM_LANES];
    uint32_t epochs[SIM_LANES]; /* as last seen */
    /* RAM. */
    struct tern tern;
    struct tern_config config;
    struct tern_lane lanes[SIM_LANES];
    struct tern_link link;
    struct tern_clock tick;
    uint8_t chunks[SIM_LANES][CHUNK];
    uint64_t models[SIM_LANES][MODELS / 8];
    uint8_t frame[1100];
};

/* The power goes. What a commit was about may be there or not. */
void sim_device_stop(struct device *device, bool in_commit);
/* One step of the application. */
void sim_app_step(struct device *device);
/* Forgets what was put and not committed. */
void sim_app_abort(struct device *device);
/* A device's place in messages. */
unsigned sim_device_index(const struct device *device);

#endif
