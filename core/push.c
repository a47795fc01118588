/* SPDX-License-Identifier: MIT */
#include "push.h"

#include "frame.h"
#include "log.h"

#define ANSWER_MS     4000u /* the gateway has so long to answer; doubled for each time that it did not */
#define ANSWER_LOG2   5u    /* at most so often */
#define REFUSED_MS    16000u
#define DOWN_MS       1000 /* how often to look whether the link is back */
#define WAITING_MS    20   /* how often to look for an answer */
#define IDLE_MS       1000
#define FIRST_WINDOW  2048u /* bytes sent ahead of the first WELCOME */
#define RECEIVE_PIECE 32u
#define RECEIVE_MAX   8 /* pieces a step, so that a babbling link cannot hold the caller */
#define EPOCH_STEP    8u
#define EPOCH_MAX     0x7FFFFFFFu
#define LANE_MASK     7u
#define INDEX_SHIFT   3u
#define ACKED_FOLLOWS 0x80u

enum session_state { LINK_DOWN, SAY_HELLO, TALKING };

/* Bits of struct tern_sender.state. */
enum sender_state {
    WELCOMED = 1,      /* in this session, or on trust behind a HELLO */
    ACK_IS_EXACT = 2,  /* log.acked comes from the gateway, not from a mark in flash */
    TWO_RANGES = 4,    /* the HELLO listed the epoch before, too */
    ON_TRUST = 8,      /* records went out right behind the HELLO, and its WELCOME has not come yet */
    LOOKED_BEHIND = 16 /* behind the newest record no commit without one stands, or it has been sent */
};

/* ---- Ranges ---------------------------------------------------------------------------------------------------------------- */

struct range {
    uint32_t epoch, base, oldest, next;
};

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The epoch before the one in force matters for as long as records of it have not been acknowledged. */
static bool has_old_range(const struct tern_log *log)
{
    return log->epochs[1].epoch != 0 && log->acked < log->epochs[0].base;
}

static struct range new_range(const struct tern_log *log)
{
    struct range range = {log->epochs[0].epoch, log->epochs[0].epoch == 0 ? 1 : log->epochs[0].base, 0,
                          log->next};
    range.oldest = clamp(tern_log_oldest(log), range.base, range.next);
    return range;
}

static struct range old_range(const struct tern_log *log)
{
    struct range range = {log->epochs[1].epoch, log->epochs[1].base, 0, log->epochs[0].base};
    range.oldest = clamp(tern_log_oldest(log), range.base, range.next);
    return range;
}

static struct range active_range(const struct tern_log *log)
{
    return has_old_range(log) ? old_range(log) : new_range(log);
}

/* The lane byte's index of the range that holds the record, as the HELLO numbered them. */
static uint8_t range_index(const struct tern_lane *lane, uint32_t sequence)
{
    return (lane->sender.state & TWO_RANGES) != 0 && sequence >= lane->log.epochs[0].base;
}

static uint8_t lane_byte(const struct tern *tern, const struct tern_lane *lane, uint32_t sequence)
{
    return (uint8_t)((lane - tern->config->lanes) | (range_index(lane, sequence) << INDEX_SHIFT));
}

/* ---- Frames out ------------------------------------------------------------------------------------------------------------- */

static uint16_t frame_offset(const struct tern *tern)
{
    return (uint16_t)TERN_COBS_OFFSET(tern->config->frame_size);
}

static struct tern_output begin_frame(const struct tern *tern, uint8_t kind)
{
    uint16_t offset = frame_offset(tern);
    uint16_t size = (uint16_t)(tern->config->frame_size - offset - 1u);
    uint16_t datagram = tern->config->link->datagram;
    if (datagram != 0 && size > datagram)
        size = datagram;
    if (size > TERN_FRAME_MAX)
        size = TERN_FRAME_MAX;
    struct tern_output output = {tern->config->frame + offset, 0, size - 4u, false};
    tern_write8(&output, kind);
    return output;
}

static void end_frame(struct tern *tern, const struct tern_output *output)
{
    uint16_t offset = frame_offset(tern);
    size_t size = tern_frame_seal(output->data, output->size);
    tern->frame_next = 0;
    if (tern->config->link->datagram != 0) {
        tern->frame_next = offset;
        tern->frame_end = (uint16_t)(offset + size);
    } else {
        tern->frame_end = (uint16_t)tern_cobs_encode(tern->config->frame, offset, size);
    }
}

/* Hands on what the link takes. False: there is more, and the link is busy or lost. */
static bool flush(struct tern *tern)
{
    const struct tern_link *link = tern->config->link;
    while (tern->frame_next < tern->frame_end) {
        uint32_t left = (uint32_t)(tern->frame_end - tern->frame_next);
        int32_t taken = link->send(link->context, tern->config->frame + tern->frame_next, left);
        if (taken <= 0 || (uint32_t)taken > left)
            return false;
        tern->frame_next = (uint16_t)(tern->frame_next + taken);
    }
    return true;
}

static void write_range(struct tern_output *output, const struct tern_log *log, uint8_t lane,
                        struct range range)
{
    tern_write8(output, (uint8_t)(lane | (log->store != 0 ? ACKED_FOLLOWS : 0)));
    tern_write_varint(output, range.epoch);
    tern_write_varint(output, range.base);
    tern_write_varint(output, range.oldest);
    tern_write_varint(output, range.next);
    if (log->store != 0) {
        tern_write_varint(output, clamp(log->acked, range.base, range.next));
        tern_write64(output, log->store);
    }
}

static void write_lane(struct tern_output *output, struct tern_lane *lane, uint8_t number)
{
    struct tern_sender *sender = &lane->sender;
    bool two = has_old_range(&lane->log);
    if (two)
        write_range(output, &lane->log, number, old_range(&lane->log));
    write_range(output, &lane->log, (uint8_t)(number | (two ? 1u << INDEX_SHIFT : 0)), new_range(&lane->log));
    /* Where the position is known from this boot, records go out right behind. */
    bool trusted = (sender->state & ACK_IS_EXACT) != 0 && active_range(&lane->log).epoch != 0;
    sender->state = (uint8_t)((sender->state & ACK_IS_EXACT) | (two ? TWO_RANGES : 0) |
                              (trusted ? WELCOMED | ON_TRUST : 0));
    sender->sequence = lane->log.acked;
    sender->address = TERN_NO_ADDRESS;
    sender->first = 0;
    sender->offset = 0;
    sender->sent = 0;
    sender->confirmed = 0;
    sender->mark = 0;
    sender->window = FIRST_WINDOW;
}

static uint32_t random32(const struct tern *tern)
{
    const struct tern_clock *clock = tern->config->clock;
    return clock->random == NULL ? tern->since ^ (uint32_t)tern->nonce : clock->random(clock->context);
}

static void send_hello(struct tern *tern, uint32_t now)
{
    struct tern_output output = begin_frame(tern, TERN_HELLO);
    const char *id = tern->config->id;
    uint8_t id_size = 0;
    while (id[id_size] != '\0')
        id_size++;
    tern->nonce = (uint64_t)random32(tern) << 32 | (random32(tern) + ++tern->hellos);
    tern_write8(&output, TERN_PROTOCOL_VERSION);
    tern_write8(&output, 0);
    tern_write64(&output, tern->nonce);
    tern_write_varint(&output, TERN_RECEIVE_SIZE);
    tern_write_varint(&output, tern->config->boot);
    tern_write_varint(&output, now);
    tern_write8(&output, id_size);
    tern_write_bytes(&output, id, id_size);
    for (uint8_t i = 0; i < tern->config->lane_count && !output.failed; i++)
        write_lane(&output, &tern->config->lanes[i], i);
    end_frame(tern, &output);
    tern->state = TALKING;
    tern->since = now;
    tern->wait = 0;
}

static void send_gap(struct tern *tern, struct tern_lane *lane, uint32_t last, uint8_t reason)
{
    struct tern_sender *sender = &lane->sender;
    struct tern_output output = begin_frame(tern, TERN_GAP);
    tern_write8(&output, lane_byte(tern, lane, sender->sequence));
    tern_write_varint(&output, sender->sequence);
    tern_write_varint(&output, last);
    tern_write8(&output, reason);
    end_frame(tern, &output);
    sender->sequence = last + 1;
    sender->address = TERN_NO_ADDRESS;
    sender->offset = 0;
}

/* ---- Sending a lane ---------------------------------------------------------------------------------------------------------- */

static bool is_begun(const struct tern_sender *sender)
{
    return sender->address != TERN_NO_ADDRESS && sender->offset != 0 && sender->offset < sender->size;
}

/* The chunk of the next record: the one at hand while it has bytes left, else the log looks. TERN_OK: there are bytes to send, or a
 * gap in front of them; TERN_AGAIN: nothing now. */
static int find_chunk(struct tern_lane *lane, struct tern_log_chunk *chunk)
{
    struct tern_sender *sender = &lane->sender;
    chunk->address = sender->address;
    chunk->first = sender->first;
    chunk->next = sender->next;
    chunk->size = sender->size;
    chunk->reason = TERN_GAP_DAMAGED;
    if (is_begun(sender))
        return TERN_OK;
    int status = tern_log_find(&lane->log, sender->sequence, chunk);
    if (status != TERN_OK)
        return status;
    /* The log may have moved the chunk, which is then the same. One without a record is another. */
    bool is_other = sender->address != TERN_NO_ADDRESS && sender->address != chunk->address &&
                    sender->next == sender->first;
    if (is_other || chunk->first != sender->first || sender->offset > chunk->size)
        sender->offset = 0;
    sender->first = chunk->first;
    sender->address = chunk->address;
    sender->next = chunk->next;
    sender->size = (uint16_t)chunk->size;
    return TERN_OK;
}

static int send_part(struct tern *tern, struct tern_lane *lane, const struct tern_log_chunk *chunk)
{
    struct tern_sender *sender = &lane->sender;
    struct tern_output output = begin_frame(tern, TERN_PART);
    tern_write8(&output,
                lane_byte(tern, lane, chunk->first > sender->sequence ? chunk->first : sender->sequence));
    tern_write_varint(&output, chunk->first);
    tern_write_varint(&output, sender->offset);
    uint32_t size = chunk->size - sender->offset;
    if (size > output.capacity - output.size)
        size = (uint32_t)(output.capacity - output.size);
    int status = tern_log_read(&lane->log, chunk, sender->offset, output.data + output.size, size);
    if (status != TERN_OK) {
        sender->address = TERN_NO_ADDRESS;
        return status;
    }
    output.size += (size_t)size;
    end_frame(tern, &output);
    sender->offset = (uint16_t)(sender->offset + size);
    sender->sent += size;
    if (sender->offset == sender->size && sender->sequence != sender->next) {
        sender->sequence = sender->next;
        sender->state &= (uint8_t)~LOOKED_BEHIND;
    }
    if (sender->mark == 0 && sender->offset == sender->size) {
        sender->mark = sender->next;
        sender->mark_sent = sender->sent;
    }
    return TERN_OK;
}

/* Behind the newest record there may be one more chunk: a commit that holds none, without which a batch would not appear. */
static bool has_sent_all(struct tern_sender *sender, const struct tern_log *log)
{
    bool looked = (sender->state & LOOKED_BEHIND) != 0;
    if (sender->sequence < log->next)
        return false;
    sender->state |= LOOKED_BEHIND;
    return looked;
}

/* One frame of this lane, if it has one to send. TERN_OK: a frame is ready; TERN_AGAIN: none; or an error. */
static int send_lane(struct tern *tern, struct tern_lane *lane)
{
    struct tern_sender *sender = &lane->sender;
    const struct tern_log *log = &lane->log;
    struct tern_log_chunk chunk;
    /* A chunk once begun is finished, so that a window smaller than a chunk does not hold it for ever. */
    bool shut = !is_begun(sender) && sender->sent - sender->confirmed >= sender->window;
    if ((sender->state & WELCOMED) == 0 || shut || has_sent_all(sender, log))
        return TERN_AGAIN;
    int status = find_chunk(lane, &chunk);
    if (status < 0) {
        sender->address =
            TERN_NO_ADDRESS; /* the place at hand may be gone: look from the start the next time */
        return status;
    }
    if (status == TERN_AGAIN && sender->sequence >= log->next)
        return TERN_AGAIN;
    uint32_t border =
        sender->sequence < log->epochs[0].base && log->epochs[1].epoch != 0 ? log->epochs[0].base : log->next;
    uint32_t there = status == TERN_OK && chunk.first < border ? chunk.first : border;
    if (there > sender->sequence) {
        send_gap(tern, lane, there - 1, chunk.reason);
        return TERN_OK;
    }
    return send_part(tern, lane, &chunk);
}

static int send_schema(struct tern *tern)
{
    uint32_t address;
    uint32_t total;
    for (uint8_t i = 0; i < tern->config->lane_count; i++) {
        const struct tern_log *log = &tern->config->lanes[i].log;
        if (tern_log_find_schema(log, tern->want, &address, &total) != TERN_OK || tern->want_offset >= total)
            continue;
        struct tern_output output = begin_frame(tern, TERN_SCHEMA);
        tern_write32(&output, tern->want);
        tern_write_varint(&output, total);
        tern_write_varint(&output, tern->want_offset);
        uint32_t size = total - tern->want_offset;
        if (size > output.capacity - output.size)
            size = (uint32_t)(output.capacity - output.size);
        int status = log->flash->read(log->flash->context, address + tern->want_offset,
                                      output.data + output.size, size);
        if (status < 0)
            return TERN_E_FLASH;
        output.size += (size_t)size;
        end_frame(tern, &output);
        tern->want_offset = (uint16_t)(tern->want_offset + size);
        return TERN_OK;
    }
    tern->want = 0;
    return TERN_AGAIN;
}

/* The next frame, the most urgent first. */
static int send_next(struct tern *tern)
{
    int status = tern->want != 0 ? send_schema(tern) : TERN_AGAIN;
    for (uint8_t i = 0; status != TERN_OK && i < tern->config->lane_count; i++)
        status = send_lane(tern, &tern->config->lanes[i]);
    return status;
}

/* ---- Frames in --------------------------------------------------------------------------------------------------------------- */

static void call_again(struct tern *tern, uint32_t wait)
{
    tern->state = SAY_HELLO;
    tern->wait = wait;
}

/* The lane that a message is about, if it is the range that is being sent. */
static struct tern_lane *message_lane(const struct tern *tern, uint8_t byte)
{
    uint8_t number = byte & LANE_MASK;
    if (number >= tern->config->lane_count || (byte & ACKED_FOLLOWS) != 0)
        return NULL;
    struct tern_lane *lane = &tern->config->lanes[number];
    return byte >> INDEX_SHIFT == range_index(lane, lane->log.acked) ? lane : NULL;
}

static void heard(struct tern *tern, uint32_t now, uint32_t pause)
{
    tern->since = now;
    tern->wait = pause;
    tern->tries = 0;
}

static void acknowledge(struct tern_lane *lane, uint32_t next, uint64_t store)
{
    struct tern_sender *sender = &lane->sender;
    tern_log_acknowledge(&lane->log, next, store);
    if (sender->mark != 0 && next >= sender->mark) {
        sender->confirmed = sender->mark_sent;
        sender->mark = 0;
    }
    if (next >= sender->sequence)
        sender->confirmed = sender->sent;
    /* A new mark where everything of a chunk has gone: what is under way is measured from here. */
    if (sender->mark == 0 && sender->sequence > next && sender->offset == sender->size) {
        sender->mark = sender->sequence;
        sender->mark_sent = sender->sent;
    }
}

struct welcome {
    uint64_t store;
    uint32_t epoch, next, last_crc, part_first, part_offset, window;
    struct tern_input tails;
};

static bool log_holds(const struct tern_log *log, uint32_t sequence, uint32_t crc)
{
    uint32_t found;
    return tern_log_segment_crc(log, sequence, &found) == TERN_OK && found == crc;
}

/* Whether the log goes on where the store ends. What has been erased cannot be compared and is believed. */
static bool is_continuous(const struct tern_log *log, struct range range, const struct welcome *welcome)
{
    if (welcome->next > range.next || welcome->next < range.base)
        return false;
    if (welcome->last_crc == 0 || welcome->next <= range.oldest)
        return true;
    return log_holds(log, welcome->next, welcome->last_crc);
}

/* The newest point up to which store and log surely hold the same. */
static uint32_t shared_point(const struct tern_log *log, struct range range, const struct welcome *welcome)
{
    struct tern_input tails = welcome->tails;
    while (tails.size != 0) {
        uint32_t back = tern_read_varint(&tails);
        uint32_t crc = tern_read32(&tails);
        uint32_t end = welcome->next - back;
        if (tails.failed || back >= welcome->next)
            break;
        if (end <= range.next && end > range.oldest && log_holds(log, end, crc))
            return end;
    }
    return range.oldest;
}

static void follow(struct tern_lane *lane, const struct welcome *welcome)
{
    struct tern_sender *sender = &lane->sender;
    /* Records that went out on trust are not called back, where they begin with what the store expects. Any later WELCOME says
     * that something was lost on the way. */
    bool on_the_way = (sender->state & ON_TRUST) != 0 && sender->sent != 0 &&
                      welcome->next >= lane->log.acked && welcome->next <= sender->sequence;
    acknowledge(lane, welcome->next, welcome->store);
    sender->state = (uint8_t)((sender->state & TWO_RANGES) | WELCOMED | ACK_IS_EXACT);
    sender->window = welcome->window;
    if (on_the_way)
        return;
    sender->sequence = welcome->next;
    sender->address = TERN_NO_ADDRESS;
    sender->first = welcome->part_first;
    sender->offset =
        (uint16_t)(welcome->part_first == 0 || welcome->part_offset > TERN_CHUNK_MAX ? 0
                                                                                     : welcome->part_offset);
    sender->confirmed = sender->sent;
    sender->mark = 0;
}

static void take_welcome(struct tern *tern, struct tern_lane *lane, const struct welcome *welcome)
{
    struct tern_log *log = &lane->log;
    struct range range = active_range(log);
    uint8_t number = (uint8_t)(lane - tern->config->lanes);
    if (range.epoch == 0) {
        if (welcome->epoch == 0 || welcome->epoch > EPOCH_MAX || (welcome->epoch & LANE_MASK) != number ||
            tern_log_set_epoch(log, welcome->epoch, range.base) != TERN_OK)
            return;
    } else if (welcome->epoch != range.epoch) {
        return;
    }
    if (is_continuous(log, range, welcome)) {
        follow(lane, welcome);
        return;
    }
    /* Two logs have gone by this epoch's name. What the store does not surely share goes by another from here on. */
    uint32_t shared = shared_point(log, range, welcome);
    if (range.epoch <= EPOCH_MAX - EPOCH_STEP &&
        tern_log_set_epoch(log, range.epoch + EPOCH_STEP, shared) == TERN_OK) {
        tern_log_acknowledge(log, shared, welcome->store);
        call_again(tern, 0);
    }
}

static bool on_welcome(struct tern *tern, struct tern_input *input, uint32_t now)
{
    struct welcome welcome;
    uint8_t byte = tern_read8(input);
    uint64_t nonce = tern_read64(input);
    welcome.store = tern_read64(input);
    uint64_t time = tern_read_varint64(input);
    welcome.epoch = tern_read_varint(input);
    welcome.next = tern_read_varint(input);
    welcome.last_crc = tern_read32(input);
    welcome.part_first = tern_read_varint(input);
    welcome.part_offset = tern_read_varint(input);
    welcome.window = tern_read_varint(input);
    uint32_t pause = tern_read_varint(input);
    welcome.tails = *input;
    struct tern_lane *lane = message_lane(tern, byte);
    if (input->failed || nonce != tern->nonce || welcome.next == 0 || welcome.window > TERN_WINDOW_MAX)
        return false;
    heard(tern, now, pause);
    tern->time = time;
    tern->refused = 0;
    if (lane != NULL && tern->state == TALKING)
        take_welcome(tern, lane, &welcome);
    return true;
}

static bool on_ack(struct tern *tern, struct tern_input *input, uint32_t now)
{
    uint8_t byte = tern_read8(input);
    uint32_t next = tern_read_varint(input);
    (void)tern_read_varint(
        input); /* the unfinished chunk's position is of use after a loss, and then a WELCOME tells */
    (void)tern_read_varint(input);
    uint32_t window = tern_read_varint(input);
    uint32_t pause = tern_read_varint(input);
    struct tern_lane *lane = message_lane(tern, byte);
    if (input->failed || window > TERN_WINDOW_MAX)
        return false;
    if (lane == NULL || (lane->sender.state & WELCOMED) == 0)
        return true;
    const struct tern_sender *sender = &lane->sender;
    uint32_t sent = sender->offset != 0 && sender->next > sender->sequence ? sender->next : sender->sequence;
    if (next < lane->log.acked || next > sent)
        return false;
    lane->sender.window = window;
    if (next > lane->log.acked || pause != 0)
        heard(tern, now, pause);
    acknowledge(lane, next, lane->log.store);
    return true;
}

static bool on_want(struct tern *tern, struct tern_input *input)
{
    uint32_t hash = tern_read32(input);
    uint32_t offset = tern_read_varint(input);
    if (input->failed || input->size != 0 || offset > TERN_SCHEMA_MAX)
        return false;
    tern->want = hash;
    tern->want_offset = (uint16_t)offset;
    return true;
}

static void lose_patience(struct tern *tern)
{
    if (tern->tries < ANSWER_LOG2)
        tern->tries++;
}

static bool on_refused(struct tern *tern, struct tern_input *input, uint32_t now)
{
    uint8_t reason = tern_read8(input);
    (void)tern_read8(input);
    if (input->failed || reason == 0)
        return false;
    tern->refused = reason;
    tern->since = now;
    call_again(tern, (REFUSED_MS << tern->tries) + (random32(tern) & 0xFFFu));
    lose_patience(tern);
    return true;
}

static void on_frame(struct tern *tern, const uint8_t *frame, size_t size, uint32_t now)
{
    bool good = false;
    if (tern_frame_check(frame, size) == TERN_OK) {
        struct tern_input body = {frame + 1, size - TERN_FRAME_MIN, false};
        if (frame[0] == TERN_ACK)
            good = on_ack(tern, &body, now);
        else if (frame[0] == TERN_WELCOME)
            good = on_welcome(tern, &body, now);
        else if (frame[0] == TERN_WANT)
            good = on_want(tern, &body);
        else if (frame[0] == TERN_REFUSED)
            good = on_refused(tern, &body, now);
    }
    if (!good && tern->bad_frames != UINT16_MAX)
        tern->bad_frames++;
}

static void take_stream(struct tern *tern, const uint8_t *bytes, uint32_t size, uint32_t now)
{
    for (uint32_t i = 0; i < size; i++) {
        int frame = tern_cobs_take(&tern->cobs, bytes[i]);
        if (frame != 0)
            on_frame(tern, tern->receive, frame < 0 ? 0 : (size_t)frame, now);
    }
}

static void receive(struct tern *tern, uint32_t now)
{
    const struct tern_link *link = tern->config->link;
    uint8_t piece[RECEIVE_PIECE];
    for (uint8_t i = 0; i < RECEIVE_MAX; i++) {
        bool whole = link->datagram != 0;
        uint8_t *to = whole ? tern->receive : piece;
        uint32_t room = whole ? sizeof(tern->receive) : sizeof(piece);
        int32_t size = link->receive(link->context, to, room);
        if (size <= 0 || (uint32_t)size > room)
            return;
        if (whole)
            on_frame(tern, to, (size_t)size, now);
        else
            take_stream(tern, to, (uint32_t)size, now);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------------------- */

void tern_push_open(struct tern *tern)
{
    tern->cobs.buffer = tern->receive;
    tern->cobs.capacity = sizeof(tern->receive);
}

/* A new connection starts from nothing: no half frame, no patience left over, unless the gateway refused us on the last one. */
static void watch_link(struct tern *tern, uint32_t now)
{
    const struct tern_link *link = tern->config->link;
    uint32_t session = link->session(link->context);
    if (session == tern->session)
        return;
    tern->session = session;
    tern->frame_next = 0;
    tern->frame_end = 0;
    tern->want = 0;
    (void)tern_cobs_take(&tern->cobs, 0);
    if (tern->refused == 0) {
        tern->tries = 0;
        tern->since = now;
        tern->wait = 0;
    }
    tern->state = session == 0 ? LINK_DOWN : SAY_HELLO;
}

static bool is_waiting_for_answer(const struct tern *tern)
{
    for (uint8_t i = 0; i < tern->config->lane_count; i++) {
        const struct tern_lane *lane = &tern->config->lanes[i];
        if ((lane->sender.state & ACK_IS_EXACT) == 0 || lane->sender.sequence > lane->log.acked)
            return true;
    }
    return false;
}

/* Silence for too long, while something is owed: say HELLO again, and let the WELCOME tell where to go on. */
static int32_t wait_for_answer(struct tern *tern, uint32_t now)
{
    uint32_t patience = tern->wait + (ANSWER_MS << tern->tries);
    if (!is_waiting_for_answer(tern))
        return IDLE_MS;
    if (now - tern->since < patience)
        return WAITING_MS;
    lose_patience(tern);
    call_again(tern, 0);
    tern->wait = now - tern->since + (random32(tern) & (ANSWER_MS / 4 - 1));
    return 0;
}

int32_t tern_push_step(struct tern *tern, uint32_t now)
{
    watch_link(tern, now);
    if (tern->state == LINK_DOWN)
        return DOWN_MS;
    receive(tern, now);
    if (!flush(tern))
        return WAITING_MS;
    if (now - tern->since < tern->wait) {
        uint32_t left = tern->wait - (now - tern->since);
        return left < WAITING_MS ? (int32_t)left : WAITING_MS;
    }
    if (tern->state == SAY_HELLO)
        send_hello(tern, now);
    else if (send_next(tern) != TERN_OK)
        return wait_for_answer(tern, now);
    (void)flush(tern);
    return 0;
}
