/* SPDX-License-Identifier: MIT */
/* Serves many devices with one thread. A turn: take a bounded piece of what has arrived from each connection
 * that has something, make everything durable with one tern_stage_sync(), answer. */
#ifndef TERN_SERVER_H
#define TERN_SERVER_H

#include "stage.h"

struct tern_server;

struct tern_server_config {
    struct tern_stage *stage; /* required; must outlive the server */
    struct tern_report report;
    uint32_t window; /* as in struct tern_host_config, and the same defaults */
    uint32_t connections;
    uint32_t hello_seconds;
    uint32_t idle_seconds;
    void (*tick)(void *context); /* called about once a second from tern_server_step(), NULL: not wanted */
    void *tick_context;
};

/* The functions return 0 or a negative enum tern_host_error, after an event that says why. */
int tern_server_open(struct tern_server **server, const struct tern_server_config *config);
int tern_server_listen(struct tern_server *server, const char *url);

/* The port that the newest tcp listener got, 0: none. */
uint16_t tern_server_port(const struct tern_server *server);

/* Readable when tern_server_step() has something to do; deadlines count. */
int tern_server_descriptor(const struct tern_server *server);

/* One turn. Waits at most `milliseconds` for something to do, -1: for ever; a signal ends the wait. */
int tern_server_step(struct tern_server *server, int milliseconds);

/* How many connections there are. */
size_t tern_server_connections(const struct tern_server *server);

/* Takes no new connections, answers once more what has arrived, and closes those that there are. Devices keep
 * what was not acknowledged. */
void tern_server_stop(struct tern_server *server);

void tern_server_close(struct tern_server *server);

#endif
