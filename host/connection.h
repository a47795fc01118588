/* SPDX-License-Identifier: MIT */
/* One device's connection: its descriptor, its peer, and what could not be sent yet. Bounded: received bytes
 * are used at once, and nothing is read while something waits to be sent. */
#ifndef TERN_CONNECTION_H
#define TERN_CONNECTION_H

#include "listen.h"
#include "peer.h"

#define TERN_GIVE_SIZE 2048 /* bytes given at once: 16 WELCOMEs and a WANT */

/* Connections that wait for the same limit of time, in the order in which they fall due. */
struct tern_deadlines {
    struct tern_connection *first, *last;
    int64_t limit; /* milliseconds */
};

struct tern_connection {
    struct tern_peer peer;
    char name[TERN_ENDPOINT_SIZE];
    char *url;      /* of a serial port, to open it again; NULL: TCP */
    int descriptor; /* -1: lost or closed */
    bool is_ending; /* nothing more is taken; what arrives is thrown away until the device has closed */
    uint8_t *left;  /* given and not yet sent; NULL: nothing */
    size_t left_size, left_sent;
    struct tern_device *claimed; /* whose newest session this is */
    /* The server's lists. */
    struct tern_connection *next_of_bucket, *next_touched, *next_dead;
    bool is_touched;
    struct tern_deadlines *deadlines;
    struct tern_connection *before, *after;
    int64_t since;
};

enum tern_flow {
    TERN_FLOW_ON,   /* all well */
    TERN_FLOW_FULL, /* the link takes no more: wait until it can be written to */
    TERN_FLOW_LOST  /* the connection is gone */
};

/* NULL when memory is out. The name and url are copied. */
struct tern_connection *tern_connection_new(const struct tern_peer_config *config, int descriptor,
                                            const char *name, const char *url);
void tern_connection_free(struct tern_connection *connection);

/* Reads once, at most `size` bytes into `scratch`, and gives them to the peer. */
enum tern_flow tern_connection_receive(struct tern_connection *connection, uint8_t *scratch, size_t size,
                                       const struct tern_moment *now);

/* Sends what is left, then what the peer has to say. */
enum tern_flow tern_connection_send(struct tern_connection *connection, const struct tern_moment *now);

/* Moves the connection to the end of `deadlines`, counting from `now`; NULL: it has no deadline any more. */
void tern_connection_wait(struct tern_connection *connection, struct tern_deadlines *deadlines, int64_t now);

#endif
