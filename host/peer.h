/* SPDX-License-Identifier: MIT */
/* One connection's side of the protocol (core/PROTOCOL.md sections 6 and 7), without any input or output of
 * its own: bytes and time go in, bytes come out, records go to the staging store. Nothing is queued: what
 * there is to say is state, and is put into words when the link has room for it, so memory stays as it is
 * whatever a device sends. */
#ifndef TERN_PEER_H
#define TERN_PEER_H

#include "../core/frame.h"
#include "hold.h"
#include "stage.h"

/* The same for all connections of a server; must outlive the peers. */
struct tern_peer_config {
    struct tern_stage *stage;
    struct tern_report report;
    uint32_t window; /* bytes that a lane may have under way, at most TERN_WINDOW_MAX */
};

struct tern_moment {
    int64_t monotonic; /* milliseconds, never goes back: for deadlines */
    int64_t wall;      /* Unix milliseconds, 0 when the clock cannot be right: a label */
};

struct tern_peer_counts {
    uint64_t frames;     /* good ones */
    uint64_t bad_frames; /* wrong CRC or form, too long, or a kind that is not known */
    uint64_t stray;      /* good ones without effect: before a HELLO, for another lane, out of order */
    uint64_t bad_chunks; /* parts that were no chunk */
};

enum tern_welcome { TERN_WELCOME_NONE, TERN_WELCOME_WAITS_FOR_SYNC, TERN_WELCOME_DUE };

/* A session's range: one epoch of one lane. */
struct tern_peer_range {
    struct tern_stage_range *stage;
    uint8_t lane;
    uint8_t welcome;    /* enum tern_welcome: whether one is to be sent */
    bool open;          /* parts are taken: the device knows the epoch */
    bool acknowledge;   /* an ACK is to be sent even if it says nothing new */
    bool is_stalled;    /* its records wait for a schema */
    uint8_t bad_chunks; /* in a row, at the same position */
    uint32_t moves;     /* of the stage's range, that the device was told of */
    uint32_t said_next; /* what the device was told last */
    uint32_t said_first, said_offset, said_run;
    struct tern_stage_position rewound; /* where it was last asked to go back to, and when */
    int64_t rewound_at;
};

struct tern_peer {
    /* To be read by the owner: */
    struct tern_device *device; /* of the open session; NULL: none */
    uint32_t sessions;          /* HELLOs taken: a change means that a session begins */
    int64_t last_frame;         /* monotonic time of the last good frame of a session */
    struct tern_peer_counts counts;
    /* Private: */
    const struct tern_peer_config *config;
    const char *name;
    struct tern_cobs cobs;
    uint64_t nonce;
    uint32_t receive; /* largest bare frame that the device takes */
    uint32_t wanted;  /* schema asked for, 0: none */
    uint32_t wanted_offset;
    uint8_t wanted_lane;
    int64_t wanted_at;
    int64_t hellos_at; /* when the HELLOs counted last began to be */
    uint32_t hellos;
    bool want;       /* a WANT is to be sent */
    uint8_t refused; /* reason of a REFUSED that is to be sent, 0: none */
    bool is_over;
    uint8_t range_count;
    char refusal[50];
    struct tern_hold hold; /* frames of stalled ranges */
    struct tern_peer_range ranges[TERN_LANES_MAX];
    uint8_t frame[TERN_STREAM_SIZE(TERN_FRAME_MAX)];
};

/* Begins without a session. `name` says in the log where the connection comes from, and must outlive the
 * peer. */
void tern_peer_open(struct tern_peer *peer, const struct tern_peer_config *config, const char *name);

/* Ends it; nothing is sent. */
void tern_peer_close(struct tern_peer *peer);

/* Takes what arrived, any number of bytes. */
void tern_peer_take(struct tern_peer *peer, const uint8_t *data, size_t size, const struct tern_moment *now);

/* To be called after each tern_stage_sync() that succeeded, and only then: allows the WELCOMEs of epochs that
 * are durable now. */
void tern_peer_synced(struct tern_peer *peer);

/* Ends the session: `reason` (enum tern_refused_reason) and `text` for the device's log. */
void tern_peer_refuse(struct tern_peer *peer, uint8_t reason, const char *text);

/* Writes the frames that are to be sent into `buffer`, whole ones, as many as fit; returns their bytes, 0
 * when there is nothing to say. Acknowledges what is durable in the staging store, nothing else. */
size_t tern_peer_give(struct tern_peer *peer, const struct tern_moment *now, uint8_t *buffer,
                      size_t capacity);

/* The room that tern_peer_give() must have at least to get on. */
#define TERN_PEER_GIVE_MIN 112

/* The range of a lane that takes records; NULL: the HELLO did not name it, or it has no epoch yet. */
struct tern_peer_range *tern_peer_find(struct tern_peer *peer, uint8_t lane);

/* True when a REFUSED has been given: send it, and close the connection. A link that cannot be closed goes
 * on: a HELLO begins anew. */
bool tern_peer_is_over(const struct tern_peer *peer);

#endif
