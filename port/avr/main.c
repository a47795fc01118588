/* SPDX-License-Identifier: MIT */
/* The thermometer of port/microbit/main.c in the smallest of forms: chunks of 128 bytes, two columns, 1 KiB
 * of log. */
#include "board.h"

#ifndef PERIOD_MS
#define PERIOD_MS 1000
#endif
#ifndef READINGS
#define READINGS UINT32_MAX /* how many to take; a test wants an end */
#endif

static const struct tern_column columns[] = {
    {"number", TERN_U32, 0}, {"celsius", TERN_DECIMAL(2), 0}, /* 2153 is 21.53 */
};
/* TERN_APPEND: every record is a row. A reading that has a key of its own, as a time, belongs into a
 * TERN_MERGE table. */
static const struct tern_table climate = TERN_TABLE_PACKED("climate", TERN_APPEND, columns);

static uint8_t chunk[128], frame[100];
static uint64_t models[(TERN_MODELS_SIZE(2) + 7) / 8];
static struct tern_lane lane = {
    .flash = &board_flash,
    .chunk_data = chunk,
    .chunk_size = sizeof(chunk),
    .models = models,
    .models_size = sizeof(models),
    .overflow = TERN_WAIT, /* with the log full, readings wait; TERN_DROP_OLDEST keeps the newest and reports
                              the gap */
};
static const struct tern_config config = {
    .id = "avr-1",
    .lanes = &lane,
    .lane_count = 1,
    .link = &board_link,
    .clock = &board_clock,
    .frame = frame,
    .frame_size = sizeof(frame),
};
static struct tern tern;

/* For a debugger: how many readings the log held at the start, and how many are durable now. */
static volatile uint32_t kept, recorded;

/* Put your sensor here. This one is a function of the number, so that a test knows what must arrive. */
static void measure(uint32_t number, struct tern_value row[2])
{
    uint32_t noise = number * 2654435761u;
    row[0] = tern_int(number);
    row[1] = tern_int(1800 + (int32_t)(noise >> 22));
}

/* Takes the reading and makes it durable. False: the log has no room now, try again after a poll. */
static bool record(uint32_t number)
{
    static bool is_put;
    struct tern_value row[2];
    measure(number, row);
    if (!is_put && tern_put(&tern, &climate, row) != TERN_OK)
        return false;
    int status = tern_commit(&tern);
    is_put = status == TERN_AGAIN; /* after an error the reading is forgotten, and is to be put again */
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
    board_start();
    if (tern_open(&tern, &config) != TERN_OK)
        return 1; /* another format version in flash; nothing was touched */
    /* Each reading is one record, and records are numbered from 1: the log knows how many there are. */
    kept = recorded = tern_committed(&tern, 0);
    uint32_t due = board_clock.milliseconds(0);
    for (;;) {
        int32_t left = (int32_t)(due - board_clock.milliseconds(0));
        bool wanted = recorded < READINGS;
        if (wanted && left <= 0 && record(recorded)) {
            recorded++;
            due = board_clock.milliseconds(0) + PERIOD_MS;
        }
        int32_t wait = tern_poll(&tern);
        sleep(wanted && left > 0 && left < wait ? left : wait);
    }
}
