/* SPDX-License-Identifier: MIT */
/* A logger of events in batches: EVENTS_A_BATCH of them appear in the database together or not at all, though
 * they are larger than a chunk. After a power cut at any moment it goes on behind the last committed
 * batch. */
#include "board.h"

#ifndef PERIOD_MS
#define PERIOD_MS 1000
#endif
#ifndef EVENTS
#define EVENTS UINT32_MAX /* how many to record; a test wants an end */
#endif
#define EVENTS_A_BATCH 8u
#define TEXT_SIZE      112u

static const struct tern_column columns[] = {
    {"number", TERN_U32, 0},
    {"level", TERN_I8, 0},
    {"message", TERN_TEXT(TEXT_SIZE), 0},
};
static const struct tern_table events = TERN_TABLE("events", TERN_APPEND, columns);

static uint8_t chunk[1024], frame[1100];
static struct tern_lane lane = {
    .flash = &board_flash,
    .chunk_data = chunk,
    .chunk_size = sizeof(chunk),
    .overflow =
        TERN_WAIT, /* with the log full, events wait; TERN_DROP_OLDEST keeps the newest and reports the gap */
};
static const struct tern_config config = {
    .id = "riscv-1",
    .lanes = &lane,
    .lane_count = 1,
    .link = &board_link,
    .clock = &board_clock,
    .frame = frame,
    .frame_size = sizeof(frame),
};
static struct tern tern;

/* For a debugger: how many events the log held at the start, and how many are durable now. */
static volatile uint32_t kept, recorded;

/* Put your events here. These are a function of the number, so that a test knows what must arrive. */
static void describe(uint32_t number, char text[TEXT_SIZE], struct tern_value row[3])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t noise = number;
    for (uint32_t i = 0; i < TEXT_SIZE; i++) {
        noise = noise * 1664525u + 1013904223u;
        text[i] = digits[noise >> 28];
    }
    row[0] = tern_int(number);
    row[1] = tern_int((int32_t)(number & 7) - 4);
    row[2] = tern_bytes(text, TEXT_SIZE);
}

/* Brings the batch that begins with `first` into the log. False: there is no room now, try again after a
 * poll. */
static bool record(uint32_t first)
{
    static bool begun;
    static uint32_t put; /* events of the batch that are in already */
    char text[TEXT_SIZE];
    struct tern_value row[3];
    int status = TERN_OK;
    if (!begun) {
        status = tern_begin(&tern, 0);
        begun = status == TERN_OK;
    }
    while (status == TERN_OK && put < EVENTS_A_BATCH) {
        describe(first + put, text, row);
        status = tern_put(&tern, &events, row);
        put += status == TERN_OK;
    }
    if (status == TERN_OK)
        status = tern_commit(&tern);
    if (status < 0)
        tern_abort(&tern); /* the flash failed: the whole batch again */
    if (status != TERN_AGAIN) {
        begun = false;
        put = 0;
    }
    return status == TERN_OK;
}

/* Until something is to be done: the UART, or the time is over. */
static void sleep(int32_t milliseconds)
{
    uint32_t begin = board_clock.milliseconds(0);
    uint32_t limit = milliseconds < 0 ? 1 : (uint32_t)milliseconds; /* an error of the flash: try again */
    while (!board_uart_is_due() && board_clock.milliseconds(0) - begin < limit)
        board_sleep();
}

int main(void)
{
    board_uart_start();
    if (tern_open(&tern, &config) != TERN_OK)
        return 1; /* another format version in flash; nothing was touched */
    /* Each event is one record, and records are numbered from 1: the log knows how many there are. */
    kept = recorded = tern_committed(&tern, 0);
    uint32_t due = board_clock.milliseconds(0);
    for (;;) {
        int32_t left = (int32_t)(due - board_clock.milliseconds(0));
        bool wanted = recorded < EVENTS;
        if (wanted && left <= 0 && record(recorded)) {
            recorded += EVENTS_A_BATCH;
            due = board_clock.milliseconds(0) + PERIOD_MS;
        }
        int32_t wait = tern_poll(&tern);
        sleep(wanted && left > 0 && left < wait ? left : wait);
    }
}
