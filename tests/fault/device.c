/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../core/tern.h"
#include "../nor.h"

/* A batch, in table climate; the first few of a later batch update rows of the one before. */
#define ROWS  24u
#define FAST  20u /* how much faster than time the device's clock runs */
#define MOST  200u
#define NOTES 6u

static const struct tern_column climate_columns[] = {
    {"at", TERN_TIME_S, TERN_KEY}, {"celsius", TERN_DECIMAL(2), 0}, {"note", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table climate = TERN_TABLE("climate", TERN_MERGE, climate_columns);
static const struct tern_column event_columns[] = {{"count", TERN_I32, 0},
                                                   {"what", TERN_TEXT(40), TERN_NULLABLE}};
static const struct tern_table event = TERN_TABLE("event", TERN_APPEND, event_columns);

/* A value, and the same in CSV. */
static const char *const notes[NOTES][2] = {{NULL, ""},
                                            {"", "\"\""},
                                            {"plain", "plain"},
                                            {"a, b", "\"a, b\""},
                                            {"a \"b\"", "\"a \"\"b\"\"\""},
                                            {"two\nlines", "\"two\nlines\""}};

/* A record that was put. */
struct put {
    unsigned table, note;
    bool removes;
    int64_t number;
};

static struct {
    struct tern tern;
    struct tern_config config;
    struct tern_lane lane;
    struct tern_link link;
    struct tern_clock clock;
    struct nor nor;
    uint8_t chunk[512];
    uint8_t frame[1100];
    uint16_t port;
    int socket;
    uint32_t session;
    struct put puts[MOST];
    unsigned count;
} device;

/* ---- The port -------------------------------------------------------------------------------- */

static uint32_t fast_clock(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000) * FAST;
}

static uint32_t random_bits(void *context)
{
    (void)context;
    return (uint32_t)random();
}

static void hang_up(void)
{
    if (device.socket >= 0)
        close(device.socket);
    device.socket = -1;
}

static uint32_t session(void *context)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(device.port)};
    (void)context;
    if (device.socket >= 0)
        return device.session;
    if (device.port == 0)
        return 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    device.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(device.socket, (struct sockaddr *)&to, sizeof to) != 0) {
        hang_up();
        return 0;
    }
    fcntl(device.socket, F_SETFL, O_NONBLOCK);
    return ++device.session;
}

static int32_t moved(ssize_t done)
{
    if (done > 0)
        return (int32_t)done;
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    hang_up();
    return -1;
}

static int32_t send_bytes(void *context, const uint8_t *data, uint32_t size)
{
    (void)context;
    return device.socket < 0 ? -1 : moved(send(device.socket, data, size, MSG_NOSIGNAL));
}

static int32_t receive_bytes(void *context, uint8_t *data, uint32_t size)
{
    (void)context;
    return device.socket < 0 ? -1 : moved(recv(device.socket, data, size, 0));
}

/* ---- The face -------------------------------------------------------------------------------- */

static void demand(bool good)
{
    if (good)
        return;
    fprintf(stderr, "the device of the test fails\n");
    exit(1);
}

void device_open(void)
{
    memset(&device, 0, sizeof device);
    nor_open(&device.nor, 4096, 16, 1);
    nor_start(&device.nor);
    device.socket = -1;
    device.link = (struct tern_link){.session = session, .send = send_bytes, .receive = receive_bytes};
    device.clock = (struct tern_clock){.milliseconds = fast_clock, .random = random_bits};
    device.lane = (struct tern_lane){
        .flash = &device.nor.flash, .chunk_data = device.chunk, .chunk_size = sizeof device.chunk};
    device.config = (struct tern_config){.id = "dev1",
                                         .lanes = &device.lane,
                                         .lane_count = 1,
                                         .link = &device.link,
                                         .clock = &device.clock,
                                         .frame = device.frame,
                                         .frame_size = sizeof device.frame};
    demand(tern_open(&device.tern, &device.config) == TERN_OK);
}

void device_close(void)
{
    hang_up();
    nor_close(&device.nor);
}

void device_port(uint16_t port)
{
    device.port = port;
}

static void put(struct put one)
{
    struct tern_value note = tern_text(notes[one.note][0]);
    struct tern_value row[3] = {tern_int(one.number), tern_int(one.number % 90 * 10 + 1001), note};
    struct tern_value line[2] = {tern_int(one.number), note};
    demand(device.count < MOST);
    device.puts[device.count++] = one;
    int status;
    do {
        status = one.removes      ? tern_delete(&device.tern, &climate, row)
                 : one.table == 0 ? tern_put(&device.tern, &climate, row)
                                  : tern_put(&device.tern, &event, line);
    } while (status == TERN_AGAIN && tern_poll(&device.tern) >= 0);
    demand(status == TERN_OK);
}

void device_batch(unsigned number)
{
    demand(tern_begin(&device.tern, 0) == TERN_OK);
    for (unsigned i = 0; i < ROWS; i++) {
        int64_t at = 1700000000 + (int64_t)(number * (ROWS - 5) + i);
        put((struct put){0, (i + number) % NOTES, false, at});
        if (i % 4 == 0)
            put((struct put){1, i / 4 % NOTES, false, (int64_t)i - 3});
    }
    if (number == 2)
        put((struct put){0, 0, true, 1700000007});
    demand(tern_commit(&device.tern) == TERN_OK);
}

void device_poll(void)
{
    struct pollfd ready = {device.socket, POLLIN, 0};
    if (tern_poll(&device.tern) != 0)
        poll(&ready, device.socket < 0 ? 0 : 1, 1);
}

uint32_t device_backlog(void)
{
    return tern_backlog(&device.tern);
}

/* ---- What must be found ---------------------------------------------------------------------- */

static char expected[1 << 16];
static size_t expected_size;

static void say(const struct put *one, const char *op)
{
    uint32_t sequence = (uint32_t)(one - device.puts) + 1;
    uint64_t id = (uint64_t)device.lane.log.epochs[0].epoch << 32 | sequence;
    char *to = expected + expected_size;
    size_t room = sizeof expected - expected_size;
    int64_t hundredths = one->number % 90 * 10 + 1001;
    if (one->removes)
        expected_size +=
            (size_t)snprintf(to, room, "dev1,%" PRIu64 "%s,%" PRId64 ",,\n", id, op, one->number);
    else if (one->table == 0)
        expected_size +=
            (size_t)snprintf(to, room, "dev1,%" PRIu64 "%s,%" PRId64 ",%" PRId64 ".%02d,%s\n", id, op,
                             one->number, hundredths / 100, (int)(hundredths % 100), notes[one->note][1]);
    else
        expected_size += (size_t)snprintf(to, room, "dev1,%" PRIu64 "%s,%" PRId64 ",%s\n", id, op,
                                          one->number, notes[one->note][1]);
    demand(expected_size < sizeof expected);
}

const char *device_expected_csv(unsigned table)
{
    expected[expected_size = 0] = '\0';
    for (unsigned i = 0; i < device.count; i++)
        if (device.puts[i].table == table)
            say(&device.puts[i], device.puts[i].removes ? ",delete" : ",put");
    return expected;
}

/* The newest record of each key, in order of the key, which is the order of their first puts. */
static bool is_newest(unsigned index)
{
    for (unsigned i = index + 1; i < device.count; i++)
        if (device.puts[i].table == 0 && device.puts[i].number == device.puts[index].number)
            return false;
    return !device.puts[index].removes;
}

const char *device_expected_rows(unsigned table)
{
    expected[expected_size = 0] = '\0';
    if (table == 1) {
        for (unsigned i = 0; i < device.count; i++)
            if (device.puts[i].table == 1)
                say(&device.puts[i], "");
        return expected;
    }
    for (int64_t at = 1700000000; at < 1700000000 + 3 * (int64_t)ROWS; at++)
        for (unsigned i = 0; i < device.count; i++)
            if (device.puts[i].table == 0 && device.puts[i].number == at && is_newest(i))
                say(&device.puts[i], "");
    return expected;
}
