/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <stdio.h>
#include <string.h>

#include "hello.h"
#include "log.h"

/* Asking again, for the same thing, before an answer can have come over a slow link would double the
 * traffic. */
#define ASK_AGAIN_MS 1000

/* A chunk that is sent again and again and is never right will not get right: the device must be told, not
 * starved. */
#define BAD_CHUNKS_MAX 16

/* A device says HELLO once a connection, and again after seconds of silence or when it changes its epoch. */
#define HELLOS_A_SECOND 16

void tern_peer_open(struct tern_peer *peer, const struct tern_peer_config *config, const char *name)
{
    memset(peer, 0, sizeof *peer);
    peer->config = config;
    peer->name = name;
    peer->cobs.buffer = peer->frame;
    peer->cobs.capacity = sizeof peer->frame;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void begin_event(struct tern_fields *fields, const struct tern_peer *peer)
{
    tern_fields_begin(fields);
    tern_fields_text(fields, "peer", peer->name);
    if (peer->device != NULL)
        tern_fields_text(fields, "device", tern_device_id(peer->device));
}

static void report(const struct tern_peer *peer, enum tern_level level, const char *event,
                   const struct tern_fields *fields)
{
    tern_report_event(&peer->config->report, level, event, fields);
}

/* Powers of two only: a noisy line must not fill the log. */
static bool is_worth_a_line(uint64_t count)
{
    return (count & (count - 1)) == 0;
}

static void count_bad_frame(struct tern_peer *peer)
{
    struct tern_fields fields;
    if (!is_worth_a_line(++peer->counts.bad_frames))
        return;
    begin_event(&fields, peer);
    tern_fields_number(&fields, "count", (int64_t)peer->counts.bad_frames);
    tern_fields_text(&fields, "msg", "dropped bytes that are no frame of this protocol");
    report(peer, TERN_WARN, "bad-frame", &fields);
}

static void report_session(const struct tern_peer *peer, const struct tern_hello *hello)
{
    struct tern_fields fields;
    begin_event(&fields, peer);
    tern_fields_number(&fields, "boot", hello->boot);
    for (size_t i = 0; i < peer->range_count; i++) {
        const struct tern_stage_range *range = peer->ranges[i].stage;
        tern_fields_number(&fields, "lane", range->lane);
        tern_fields_number(&fields, "epoch", range->epoch);
        tern_fields_number(&fields, "next", range->durable.next);
        tern_fields_number(&fields, "device_next", hello->ranges[i].next);
    }
    report(peer, TERN_INFO, "session", &fields);
}

/* ---- Refusing -------------------------------------------------------------------------------- */

static void end_session(struct tern_peer *peer)
{
    peer->device = NULL;
    peer->range_count = 0;
    peer->wanted = 0;
    peer->want = false;
    tern_hold_clear(&peer->hold);
}

void tern_peer_close(struct tern_peer *peer)
{
    end_session(peer);
}

void tern_peer_refuse(struct tern_peer *peer, uint8_t reason, const char *text)
{
    struct tern_fields fields;
    begin_event(&fields, peer);
    tern_fields_number(&fields, "reason", reason);
    tern_fields_text(&fields, "msg", text);
    report(peer, TERN_WARN, "refused", &fields);
    peer->refused = reason;
    snprintf(peer->refusal, sizeof peer->refusal, "%s", text);
    end_session(peer);
}

/* After an error of the staging store. */
static void refuse_for(struct tern_peer *peer, int error)
{
    if (error == TERN_HOST_E_LIMIT)
        tern_peer_refuse(peer, TERN_REFUSED_LIMIT, "the gateway's limit is reached");
    else if (error == TERN_HOST_E_PROTOCOL)
        tern_peer_refuse(peer, TERN_REFUSED_IDENTITY, "epoch or range contradicts the store");
    else
        tern_peer_refuse(peer, TERN_REFUSED_STORE, "the staging store cannot write");
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static void open_range(struct tern_peer_range *range, const struct tern_hello_range *said)
{
    memset(range, 0, sizeof *range);
    range->lane = said->lane;
    range->open = said->epoch != 0;
    range->welcome = TERN_WELCOME_WAITS_FOR_SYNC;
}

static void open_session(struct tern_peer *peer, const struct tern_hello *hello,
                         const struct tern_moment *now)
{
    struct tern_stage *stage = peer->config->stage;
    end_session(peer);
    peer->refused = 0;
    peer->is_over = false;
    struct tern_device *device = tern_stage_device(stage, hello->id);
    if (device == NULL) {
        tern_peer_refuse(peer, TERN_REFUSED_LIMIT, "no room for one more device");
        return;
    }
    for (size_t i = 0; i < hello->range_count; i++) {
        struct tern_peer_range *range = &peer->ranges[i];
        open_range(range, &hello->ranges[i]);
        int error = tern_stage_hello(stage, device, hello, &hello->ranges[i], now->wall, &range->stage);
        if (error != TERN_HOST_OK) {
            refuse_for(peer, error);
            return;
        }
    }
    peer->device = device;
    peer->range_count = (uint8_t)hello->range_count;
    peer->nonce = hello->nonce;
    peer->receive = hello->receive;
    peer->sessions++;
    report_session(peer, hello);
}

/* Each HELLO is written to the staging store, so that a babbling device would fill it. */
static bool is_hello_flood(struct tern_peer *peer, const struct tern_moment *now)
{
    if (now->monotonic - peer->hellos_at >= 1000) {
        peer->hellos_at = now->monotonic;
        peer->hellos = 0;
    }
    return ++peer->hellos > HELLOS_A_SECOND;
}

static bool take_hello(struct tern_peer *peer, struct tern_input *body, const struct tern_moment *now)
{
    struct tern_hello hello;
    char id[TERN_ID_MAX + 1];
    uint8_t reason;
    const char *text;
    uint8_t version = tern_read8(body);
    if (body->failed)
        return false;
    if (version != TERN_PROTOCOL_VERSION) {
        tern_peer_refuse(peer, TERN_REFUSED_VERSION, "this gateway speaks protocol version 2");
        return true;
    }
    if (is_hello_flood(peer, now)) {
        if (peer->device != NULL) /* else it has been told, or never was anybody */
            tern_peer_refuse(peer, TERN_REFUSED_LIMIT, "too many HELLOs a second");
        return true;
    }
    switch (tern_hello_read(body, &hello, id, &reason, &text)) {
    case TERN_HELLO_BAD:
        return false;
    case TERN_HELLO_REFUSE:
        tern_peer_refuse(peer, reason, text);
        return true;
    default:
        open_session(peer, &hello, now);
        return true;
    }
}

/* ---- PART, GAP ------------------------------------------------------------------------------- */

struct tern_peer_range *tern_peer_find(struct tern_peer *peer, uint8_t lane)
{
    for (size_t i = 0; i < peer->range_count; i++)
        if (peer->ranges[i].lane == lane && peer->ranges[i].open)
            return &peer->ranges[i];
    return NULL;
}

static bool is_same_position(const struct tern_stage_position *a, const struct tern_stage_position *b)
{
    return a->next == b->next && a->first == b->first && a->offset == b->offset;
}

/* A WELCOME within a session tells the device where to go on. Once a position and second: what is still under
 * way from before is dropped without asking for it again. */
static void send_back(struct tern_peer_range *range, const struct tern_moment *now)
{
    if (is_same_position(&range->rewound, &range->stage->taken) &&
        now->monotonic - range->rewound_at < ASK_AGAIN_MS)
        return;
    range->rewound = range->stage->taken;
    range->rewound_at = now->monotonic;
    if (range->welcome == TERN_WELCOME_NONE)
        range->welcome = TERN_WELCOME_WAITS_FOR_SYNC;
}

static void ask_for_schema(struct tern_peer *peer, uint8_t lane, uint32_t hash, const struct tern_moment *now)
{
    if (peer->wanted != 0 && now->monotonic - peer->wanted_at < ASK_AGAIN_MS)
        return; /* one at a time; the records that need another are sent again anyway */
    if (peer->wanted != hash)
        peer->wanted_offset = 0;
    peer->wanted = hash;
    peer->wanted_lane = lane;
    peer->wanted_at = now->monotonic;
    peer->want = true;
}

static void count_bad_chunk(struct tern_peer *peer, struct tern_peer_range *range, uint32_t first,
                            uint32_t offset, const struct tern_moment *now)
{
    struct tern_fields fields;
    begin_event(&fields, peer);
    tern_fields_number(&fields, "lane", range->stage->lane);
    tern_fields_number(&fields, "epoch", range->stage->epoch);
    tern_fields_number(&fields, "chunk", first);
    tern_fields_number(&fields, "offset", offset);
    tern_fields_text(&fields, "msg", "dropped bytes that are no chunk; the device is asked to send it again");
    if (is_worth_a_line(++peer->counts.bad_chunks))
        report(peer, TERN_WARN, "bad-chunk", &fields);
    if (++range->bad_chunks >= BAD_CHUNKS_MAX) {
        char text[50];
        snprintf(text, sizeof text, "chunk %lu is no chunk", (unsigned long)first);
        tern_peer_refuse(peer, TERN_REFUSED_LIMIT, text);
        return;
    }
    send_back(range, now);
}

/* What follows from a record frame that left the range's position as it was: a repetition is answered with
 * the position, so that a lost ACK heals, and one from beyond a hole with a request to go back. */
static void answer_standstill(struct tern_peer *peer, struct tern_peer_range *range, bool beyond,
                              const struct tern_moment *now)
{
    peer->counts.stray++;
    range->acknowledge = true;
    if (beyond)
        send_back(range, now);
}

static bool is_beyond(const struct tern_stage_position *position, uint32_t first, uint32_t offset)
{
    if (position->first != 0 && first == position->first)
        return offset > position->offset;
    return first > position->next || (first == position->next && offset != 0);
}

/* Whether a record frame can be taken now: not without its range, and not before the frames held of it. */
static bool is_ready(struct tern_peer *peer, const struct tern_peer_range *range, struct tern_input frame)
{
    if (range == NULL)
        peer->counts.stray++;
    else if (range->is_stalled)
        tern_hold_add(&peer->hold, frame.data, frame.size);
    return range != NULL && !range->is_stalled;
}

static void stall(struct tern_peer *peer, struct tern_peer_range *range, struct tern_input frame,
                  uint32_t want, const struct tern_moment *now)
{
    range->is_stalled = true;
    tern_hold_add(&peer->hold, frame.data, frame.size);
    ask_for_schema(peer, range->lane, want, now);
}

/* `frame` is kind and body. */
static bool take_part(struct tern_peer *peer, struct tern_input frame, const struct tern_moment *now)
{
    struct tern_input rest = frame, *body = &rest;
    tern_read8(body);
    uint8_t lane = tern_read8(body);
    uint32_t first = tern_read_varint(body);
    uint32_t offset = tern_read_varint(body);
    /* Without bytes: the store has them all, and may be waiting for a schema of theirs. */
    if (body->failed || first == 0 || (body->size == 0 && offset == 0) || offset > TERN_CHUNK_MAX ||
        body->size > TERN_CHUNK_MAX - offset)
        return false;
    struct tern_peer_range *range = tern_peer_find(peer, lane);
    if (!is_ready(peer, range, frame))
        return true;
    uint32_t want = 0;
    struct tern_stage_position before = range->stage->taken;
    int error =
        tern_stage_part(peer->config->stage, range->stage, first, offset, body->data, body->size, &want);
    if (error == TERN_HOST_E_PROTOCOL)
        count_bad_chunk(peer, range, first, offset, now);
    else if (error != TERN_HOST_OK)
        refuse_for(peer, error);
    else if (want != 0)
        stall(peer, range, frame, want, now);
    else if (is_same_position(&before, &range->stage->taken))
        answer_standstill(peer, range, is_beyond(&before, first, offset), now);
    else
        range->bad_chunks = 0;
    return true;
}

/* The device lets go of records that wait for a schema: its flash has lost it. What was held comes again from
 * where each range is. */
static void forget_want(struct tern_peer *peer, const struct tern_moment *now)
{
    peer->wanted = 0;
    peer->want = false;
    tern_hold_clear(&peer->hold);
    for (size_t i = 0; i < peer->range_count; i++) {
        if (peer->ranges[i].is_stalled)
            send_back(&peer->ranges[i], now);
        peer->ranges[i].is_stalled = false;
    }
}

static bool take_gap(struct tern_peer *peer, struct tern_input frame, const struct tern_moment *now)
{
    struct tern_input rest = frame, *body = &rest;
    tern_read8(body);
    uint8_t lane = tern_read8(body);
    uint32_t first = tern_read_varint(body);
    uint32_t last = tern_read_varint(body);
    uint8_t reason = tern_read8(body), kind = reason & (uint8_t)~TERN_GAP_LEADS;
    if (body->failed || body->size != 0 || first == 0 || last < first || kind < TERN_GAP_OVERFLOW ||
        kind > TERN_GAP_DAMAGED)
        return false;
    struct tern_peer_range *range = tern_peer_find(peer, lane);
    if (range != NULL && range->is_stalled && first <= range->stage->taken.next &&
        last >= range->stage->taken.next)
        forget_want(peer, now);
    if (!is_ready(peer, range, frame))
        return true;
    struct tern_stage_position before = range->stage->taken;
    int error = tern_stage_gap(peer->config->stage, range->stage, first, last, reason);
    if (error != TERN_HOST_OK)
        refuse_for(peer, error);
    else if (is_same_position(&before, &range->stage->taken))
        answer_standstill(peer, range, first > before.next, now);
    return true;
}

/* ---- SCHEMA ---------------------------------------------------------------------------------- */

/* The schema is there: takes the held frames, in order. Some of them may stall again, for another schema. */
static void end_want(struct tern_peer *peer, const struct tern_moment *now)
{
    struct tern_hold hold = peer->hold;
    const uint8_t *frame;
    size_t size;
    peer->wanted = 0;
    peer->want = false;
    memset(&peer->hold, 0, sizeof peer->hold);
    for (size_t i = 0; i < peer->range_count; i++) {
        struct tern_peer_range *range = &peer->ranges[i];
        if (range->is_stalled && hold.is_lossy)
            send_back(range, now);
        range->is_stalled = false;
    }
    while ((frame = tern_hold_next(&hold, &size)) != NULL) {
        struct tern_input input = {frame, size, false};
        if (frame[0] == TERN_PART)
            take_part(peer, input, now);
        else
            take_gap(peer, input, now);
    }
    tern_hold_clear(&hold);
}

static bool take_schema(struct tern_peer *peer, struct tern_input *body, const struct tern_moment *now)
{
    bool done = false;
    tern_read8(body); /* the lane: a schema is known by its hash */
    uint32_t hash = tern_read_varint(body);
    uint32_t offset = tern_read_varint(body);
    if (body->failed || body->size == 0 || offset > TERN_SCHEMA_MAX || body->size > TERN_SCHEMA_MAX - offset)
        return false;
    if (peer->device == NULL || hash != peer->wanted || hash == 0 || offset != peer->wanted_offset) {
        peer->counts.stray++; /* not asked for: a store takes only schemas that records name */
        return true;
    }
    uint32_t end = offset + (uint32_t)body->size;
    int error =
        tern_stage_schema(peer->config->stage, peer->device, hash, offset, body->data, body->size, &done);
    if (error == TERN_HOST_E_PROTOCOL) {
        char text[50];
        snprintf(text, sizeof text, "schema %08lx is not valid", (unsigned long)hash);
        tern_peer_refuse(peer, TERN_REFUSED_SCHEMA, text);
    } else if (error != TERN_HOST_OK) {
        refuse_for(peer, error);
    } else if (done) {
        end_want(peer, now);
    } else {
        peer->wanted_offset = end;
        peer->wanted_at = now->monotonic;
    }
    return true;
}

/* ---- Bytes in -------------------------------------------------------------------------------- */

/* Whether the frame is sound, and where it is about records, of the epoch at hand. Before there is one, what
 * is about records cannot be told from noise. */
static bool is_sound(struct tern_peer *peer, const uint8_t *frame, size_t size)
{
    const struct tern_peer_range *range = tern_peer_find(peer, frame[1]);
    return tern_frame_check(frame, size, range == NULL ? 0 : range->stage->epoch) == TERN_OK;
}

/* Records before a HELLO, or of a lane that the HELLO did not name. */
static bool is_stray(struct tern_peer *peer, const uint8_t *frame)
{
    return (frame[0] == TERN_PART || frame[0] == TERN_GAP) && tern_peer_find(peer, frame[1]) == NULL;
}

static void take_frame(struct tern_peer *peer, const uint8_t *frame, size_t size,
                       const struct tern_moment *now)
{
    bool good = false;
    if (size >= TERN_FRAME_MIN && is_stray(peer, frame)) {
        peer->counts.stray++;
        return;
    }
    if (size >= TERN_FRAME_MIN && is_sound(peer, frame, size)) {
        struct tern_input whole = {frame, size - (TERN_FRAME_MIN - 1), false};
        struct tern_input body = {frame + 1, size - TERN_FRAME_MIN, false};
        switch (frame[0]) {
        case TERN_HELLO:
            good = take_hello(peer, &body, now);
            break;
        case TERN_PART:
            good = take_part(peer, whole, now);
            break;
        case TERN_GAP:
            good = take_gap(peer, whole, now);
            break;
        case TERN_SCHEMA:
            good = take_schema(peer, &body, now);
            break;
        default:
            break;
        }
    }
    if (!good) {
        count_bad_frame(peer);
        return;
    }
    peer->counts.frames++;
    if (peer->device != NULL)
        peer->last_frame = now->monotonic;
}

void tern_peer_take(struct tern_peer *peer, const uint8_t *data, size_t size, const struct tern_moment *now)
{
    for (size_t i = 0; i < size; i++) {
        int frame_size = tern_cobs_take(&peer->cobs, data[i]);
        if (frame_size > 0)
            take_frame(peer, peer->frame, (size_t)frame_size, now);
        else if (frame_size < 0)
            count_bad_frame(peer);
    }
}

void tern_peer_synced(struct tern_peer *peer)
{
    for (size_t i = 0; i < peer->range_count; i++)
        if (peer->ranges[i].welcome == TERN_WELCOME_WAITS_FOR_SYNC)
            peer->ranges[i].welcome = TERN_WELCOME_DUE;
}

bool tern_peer_is_over(const struct tern_peer *peer)
{
    return peer->is_over;
}
