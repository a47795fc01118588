/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* epoll and timerfd */
#endif
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "claims.h"
#include "connection.h"
#include "log.h"

#define LISTENERS_MAX 16
#define EVENTS_MAX    512 /* connections served in one turn; the kernel hands out the others in the next */
#define ACCEPTS_MAX   256 /* connections taken from one listener in one turn */
#define READ_MAX      65536
#define READ_MIN      4096
/* about what all connections together may bring in one turn: bounds its length */
#define TURN_BYTES     (4u << 20)
#define LINGER_MS      2000 /* for a device to read why it was refused */
#define RETRY_MS       1000 /* sync, lost serial ports, accept without free descriptors */
#define TICK_MS        1000
#define NEVER          INT64_MAX
#define CLOCK_EPOCH_MS 1735689600000 /* 2025-01-01: a clock before that has not been set */
#define WINDOW_DEFAULT 524288u       /* about what arrives during a slow fdatasync */

struct listener {
    int descriptor;
};

struct tern_server {
    struct tern_peer_config peers;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    uint16_t port;
    uint32_t connections_max;
    size_t connection_count;
    uint64_t turned_away;
    int epoll, timer;
    int64_t timer_at;  /* when the timer rings, NEVER: it is off */
    int64_t sync_at;   /* when to try a failed sync again, NEVER: it has not failed */
    int64_t accept_at; /* when to listen again, NEVER: we do */
    int64_t reopen_at; /* when to open lost serial ports again, NEVER: none is lost */
    int64_t tick_at;   /* when to call the owner's tick, NEVER: it wants none */
    void (*tick)(void *context);
    void *tick_context;
    uint32_t wants; /* of the stage, that sessions were looked at for */
    bool is_stopped;
    struct tern_moment now;
    struct tern_deadlines greeting, idle, lingering, untimed;
    struct tern_connection *touched, *dead;
    struct tern_claims claims;
    uint8_t scratch[READ_MAX];
};

/* ---- Time ------------------------------------------------------------------------------------ */

static int64_t clock_ms(clockid_t which)
{
    struct timespec time;
    clock_gettime(which, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void look_at_clock(struct tern_server *server)
{
    int64_t wall = clock_ms(CLOCK_REALTIME);
    server->now.monotonic = clock_ms(CLOCK_MONOTONIC);
    server->now.wall = wall < CLOCK_EPOCH_MS ? 0 : wall;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t due(const struct tern_deadlines *list)
{
    return list->first == NULL ? NEVER : list->first->since + list->limit;
}

/* Sets the timer to the earliest deadline, unless it already rings by then. Deadlines mostly move away, and a
 * ring too early only costs an idle turn. */
static void set_timer(struct tern_server *server)
{
    int64_t at = earlier(earlier(due(&server->greeting), due(&server->idle)), due(&server->lingering));
    at = earlier(at, earlier(earlier(server->sync_at, server->accept_at), server->reopen_at));
    at = earlier(at, server->tick_at);
    if (at >= server->timer_at)
        return;
    struct itimerspec when = {{0, 0}, {at / 1000, (at % 1000) * 1000000 + 1}};
    if (timerfd_settime(server->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        server->timer_at = at;
}

static void take_ring(struct tern_server *server)
{
    uint64_t rings;
    ssize_t ignored = read(server->timer, &rings, sizeof rings);
    (void)ignored;
    server->timer_at = NEVER;
}

/* ---- Claims ---------------------------------------------------------------------------------- */

static void touch(struct tern_server *server, struct tern_connection *connection)
{
    if (connection->is_touched)
        return;
    connection->is_touched = true;
    connection->next_touched = server->touched;
    server->touched = connection;
}

/* The newest session of a device wins: an older connection is told, and closed. */
static void claim(struct tern_server *server, struct tern_connection *connection)
{
    struct tern_device *device = connection->peer.device;
    if (connection->claimed == device)
        return;
    tern_claims_drop(&server->claims, connection);
    if (device == NULL)
        return;
    struct tern_connection *older = tern_claims_find(&server->claims, device);
    if (older != NULL) {
        tern_peer_refuse(&older->peer, TERN_REFUSED_BUSY, "a newer session of this device has begun");
        tern_claims_drop(&server->claims, older);
        touch(server, older);
    }
    tern_claims_add(&server->claims, connection, device);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static bool watch(struct tern_server *server, int operation, int descriptor, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    return epoll_ctl(server->epoll, operation, descriptor, &event) == 0;
}

static void report_end(const struct tern_server *server, const struct tern_connection *connection,
                       const char *why)
{
    const struct tern_peer_counts *counts = &connection->peer.counts;
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "peer", connection->name);
    if (connection->claimed != NULL)
        tern_fields_text(&fields, "device", tern_device_id(connection->claimed));
    tern_fields_number(&fields, "frames", (int64_t)counts->frames);
    tern_fields_number(&fields, "bad_frames", (int64_t)counts->bad_frames);
    tern_fields_number(&fields, "stray_frames", (int64_t)counts->stray);
    tern_fields_text(&fields, "reason", why);
    tern_report_event(&server->peers.report, TERN_INFO, "disconnected", &fields);
}

/* Its memory is freed at the end of the turn, since events of this turn may still name it. */
static void end_connection(struct tern_server *server, struct tern_connection *connection, const char *why)
{
    if (connection->descriptor < 0)
        return;
    report_end(server, connection, why);
    tern_claims_drop(&server->claims, connection);
    close(connection->descriptor);
    connection->descriptor = -1;
    if (connection->url != NULL && !server->is_stopped) {
        tern_connection_wait(connection, &server->untimed, server->now.monotonic);
        server->reopen_at = server->now.monotonic + RETRY_MS;
        return;
    }
    tern_connection_wait(connection, NULL, 0);
    connection->next_dead = server->dead;
    server->dead = connection;
    server->connection_count--;
}

static void free_dead(struct tern_server *server)
{
    while (server->dead != NULL) {
        struct tern_connection *next = server->dead->next_dead;
        tern_connection_free(server->dead);
        server->dead = next;
    }
}

/* The other side has been told why. Closing at once would, with bytes unread, reset the connection and with
 * it take the reason away; so this side ends first, and the device has a little time to close. */
static void begin_linger(struct tern_server *server, struct tern_connection *connection)
{
    connection->is_ending = true;
    tern_claims_drop(&server->claims, connection);
    shutdown(connection->descriptor, SHUT_WR);
    tern_connection_wait(connection, &server->lingering, server->now.monotonic);
}

static void answer(struct tern_server *server, struct tern_connection *connection)
{
    bool had_left = connection->left != NULL;
    if (connection->descriptor < 0 || connection->is_ending)
        return;
    enum tern_flow flow = tern_connection_send(connection, &server->now);
    if (flow == TERN_FLOW_LOST) {
        end_connection(server, connection, "lost");
        return;
    }
    if (had_left != (flow == TERN_FLOW_FULL))
        watch(server, EPOLL_CTL_MOD, connection->descriptor, flow == TERN_FLOW_FULL ? EPOLLOUT : EPOLLIN,
              connection);
    if (flow == TERN_FLOW_ON && connection->url == NULL && tern_peer_is_over(&connection->peer))
        begin_linger(server, connection);
}

static void receive(struct tern_server *server, struct tern_connection *connection, size_t size)
{
    int64_t before = connection->peer.last_frame;
    enum tern_flow flow = tern_connection_receive(connection, server->scratch, size, &server->now);
    if (!connection->is_ending) {
        claim(server, connection);
        touch(server, connection);
        if (connection->url == NULL && connection->peer.last_frame != before)
            tern_connection_wait(connection, &server->idle, server->now.monotonic);
    }
    if (flow == TERN_FLOW_LOST)
        end_connection(server, connection, "closed by the device");
}

static void serve(struct tern_server *server, struct tern_connection *connection, uint32_t events,
                  size_t size)
{
    if (connection->descriptor < 0)
        return;
    if (events & EPOLLOUT)
        touch(server, connection);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(server, connection, size);
    if (connection->left != NULL && (events & (EPOLLHUP | EPOLLERR)))
        end_connection(server, connection, "lost");
}

/* ---- Listening ------------------------------------------------------------------------------- */

static bool add_connection(struct tern_server *server, int descriptor, const char *name, const char *url)
{
    struct tern_connection *connection = tern_connection_new(&server->peers, descriptor, name, url);
    if (connection == NULL ||
        (descriptor >= 0 && !watch(server, EPOLL_CTL_ADD, descriptor, EPOLLIN, connection))) {
        if (connection == NULL)
            close(descriptor);
        else
            tern_connection_free(connection);
        return false;
    }
    server->connection_count++;
    tern_connection_wait(connection, url == NULL ? &server->greeting : &server->untimed,
                         server->now.monotonic);
    return true;
}

/* Too many connections: says so in one frame, so that the device waits before it tries again. */
static void turn_away(struct tern_server *server, int descriptor, const char *name)
{
    struct tern_peer peer;
    struct tern_peer_config silent = {.stage = server->peers.stage};
    uint8_t frame[TERN_PEER_GIVE_MIN];
    struct tern_fields fields;
    tern_peer_open(&peer, &silent, name);
    tern_peer_refuse(&peer, TERN_REFUSED_LIMIT, "too many connections");
    size_t size = tern_peer_give(&peer, &server->now, frame, sizeof frame);
    ssize_t ignored = send(descriptor, frame, size, MSG_NOSIGNAL);
    (void)ignored;
    close(descriptor);
    server->turned_away++;
    if ((server->turned_away & (server->turned_away - 1)) != 0)
        return;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "peer", name);
    tern_fields_number(&fields, "connections", (int64_t)server->connection_count);
    tern_fields_number(&fields, "count", (int64_t)server->turned_away);
    tern_fields_text(&fields, "msg",
                     "turned away: the limit of connections is reached; raise it or add a gateway");
    tern_report_event(&server->peers.report, TERN_WARN, "turned-away", &fields);
}

static void watch_listeners(struct tern_server *server, uint32_t events)
{
    for (size_t i = 0; i < server->listener_count; i++)
        watch(server, EPOLL_CTL_MOD, server->listeners[i].descriptor, events, &server->listeners[i]);
}

/* No descriptor or memory is free: a listener that stays readable would turn the loop into a busy one. */
static void pause_listening(struct tern_server *server, int error)
{
    struct tern_fields fields;
    watch_listeners(server, 0);
    server->accept_at = server->now.monotonic + RETRY_MS;
    tern_fields_begin(&fields);
    tern_fields_number(&fields, "connections", (int64_t)server->connection_count);
    tern_fields_text(&fields, "error", strerror(error));
    tern_fields_text(&fields, "msg",
                     "cannot take a connection, tries again; raise the limit of open files (ulimit -n)");
    tern_report_event(&server->peers.report, TERN_WARN, "accept-failed", &fields);
}

static void accept_all(struct tern_server *server, const struct listener *listener)
{
    char name[TERN_ENDPOINT_SIZE];
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int descriptor = tern_listen_accept(listener->descriptor, name);
        if (descriptor < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_listening(server, errno);
            return;
        }
        if (server->connection_count >= server->connections_max)
            turn_away(server, descriptor, name);
        else if (!add_connection(server, descriptor, name, NULL))
            pause_listening(server, ENOMEM);
    }
}

static void report_listening(const struct tern_server *server, const char *url)
{
    struct tern_fields fields;
    const char *colon = strrchr(url, ':');
    tern_fields_begin(&fields);
    if (tern_endpoint_kind(url) == TERN_ENDPOINT_TCP)
        tern_fields_format(&fields, "url", "%.*s:%u", (int)(colon - url), url, (unsigned)server->port);
    else
        tern_fields_text(&fields, "url", url);
    tern_report_event(&server->peers.report, TERN_INFO, "listening", &fields);
}

static int listen_failed(const struct tern_server *server, int error, const char *url, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "url", url);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(&server->peers.report, TERN_ERROR, "listen-failed", &fields);
    return error;
}

static int listen_tcp(struct tern_server *server, const char *url)
{
    struct listener *listener = &server->listeners[server->listener_count];
    if (server->listener_count == LISTENERS_MAX)
        return listen_failed(server, TERN_HOST_E_LIMIT, url, "more than 16 places to listen at");
    int error = tern_listen_tcp(url, &server->peers.report, &listener->descriptor, &server->port);
    if (error != TERN_HOST_OK)
        return error;
    if (!watch(server, EPOLL_CTL_ADD, listener->descriptor, EPOLLIN, listener)) {
        close(listener->descriptor);
        return listen_failed(server, TERN_HOST_E_SYSTEM, url, strerror(errno));
    }
    server->listener_count++;
    return TERN_HOST_OK;
}

static int listen_serial(struct tern_server *server, const char *url)
{
    int descriptor;
    int error = tern_serial_open(url, &server->peers.report, &descriptor);
    if (error != TERN_HOST_OK)
        return error;
    if (!add_connection(server, descriptor, url, url))
        return listen_failed(server, TERN_HOST_E_SYSTEM, url, "no memory or descriptor for it");
    return TERN_HOST_OK;
}

int tern_server_listen(struct tern_server *server, const char *url)
{
    int error;
    look_at_clock(server);
    switch (tern_endpoint_kind(url)) {
    case TERN_ENDPOINT_TCP:
        error = listen_tcp(server, url);
        break;
    case TERN_ENDPOINT_SERIAL:
        error = listen_serial(server, url);
        break;
    default:
        error = listen_failed(server, TERN_HOST_E_ARGUMENT, url,
                              "cannot listen there; write tcp://ADDRESS:PORT or serial:DEVICE?baud=N");
    }
    if (error == TERN_HOST_OK)
        report_listening(server, url);
    return error;
}

/* A lost serial port (a board unplugged) comes back without a word from anybody. */
static void reopen_serial(struct tern_server *server)
{
    const struct tern_report silent = {0};
    server->reopen_at = NEVER;
    for (struct tern_connection *serial = server->untimed.first; serial != NULL; serial = serial->after) {
        if (serial->descriptor >= 0)
            continue;
        int status = tern_serial_open(serial->url, &silent, &serial->descriptor);
        if (status == TERN_HOST_OK && !watch(server, EPOLL_CTL_ADD, serial->descriptor, EPOLLIN, serial)) {
            close(serial->descriptor);
            serial->descriptor = -1;
        }
        if (serial->descriptor < 0) {
            server->reopen_at = server->now.monotonic + RETRY_MS;
            continue;
        }
        free(serial->left);
        serial->left = NULL;
        tern_peer_close(&serial->peer);
        tern_peer_open(&serial->peer, &server->peers, serial->name);
        report_listening(server, serial->url);
    }
}

/* ---- The turn -------------------------------------------------------------------------------- */

/* Whatever was not made durable is not acknowledged. Its senders, and they alone, are told to come again
 * later, which is also the throttle for a disk that is full. */
static void refuse_touched(struct tern_server *server)
{
    for (struct tern_connection *one = server->touched; one != NULL; one = one->next_touched)
        if (one->descriptor >= 0 && one->peer.device != NULL && tern_stage_waits(one->peer.device))
            tern_peer_refuse(&one->peer, TERN_REFUSED_STORE, "the staging store cannot write");
}

static void sync_and_answer(struct tern_server *server)
{
    bool again = server->sync_at <= server->now.monotonic;
    if (server->touched == NULL && !again)
        return;
    bool good = tern_stage_sync(server->peers.stage) == TERN_HOST_OK;
    server->sync_at = good ? NEVER : server->now.monotonic + RETRY_MS;
    if (!good)
        refuse_touched(server);
    while (server->touched != NULL) {
        struct tern_connection *one = server->touched;
        server->touched = one->next_touched;
        one->is_touched = false;
        if (good || (one->peer.device != NULL && !tern_stage_waits(one->peer.device)))
            tern_peer_synced(&one->peer);
        answer(server, one);
    }
}

/* A destination lacks what a device may have, whose session may be silent. */
static void look_for_wants(struct tern_server *server)
{
    const struct tern_deadlines *lists[] = {&server->idle, &server->untimed};
    uint32_t wants = tern_stage_wants(server->peers.stage);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0] && wants != server->wants; i++)
        for (struct tern_connection *one = lists[i]->first; one != NULL; one = one->after)
            if (one->peer.device != NULL)
                touch(server, one);
    server->wants = wants;
}

static void end_overdue(struct tern_server *server, struct tern_deadlines *list, const char *why)
{
    while (due(list) <= server->now.monotonic)
        end_connection(server, list->first, why);
}

static void keep_deadlines(struct tern_server *server)
{
    end_overdue(server, &server->greeting, "no valid HELLO in time");
    end_overdue(server, &server->idle, "silent for too long");
    end_overdue(server, &server->lingering, "refused");
    if (server->reopen_at <= server->now.monotonic)
        reopen_serial(server);
    if (server->accept_at <= server->now.monotonic) {
        server->accept_at = NEVER;
        watch_listeners(server, EPOLLIN);
    }
}

static void keep_house(struct tern_server *server)
{
    if (server->tick_at > server->now.monotonic)
        return;
    server->tick_at = server->now.monotonic + TICK_MS;
    server->tick(server->tick_context);
}

static bool is_listener(const struct tern_server *server, const void *what)
{
    for (size_t i = 0; i < server->listener_count; i++)
        if (what == &server->listeners[i])
            return true;
    return false;
}

int tern_server_step(struct tern_server *server, int milliseconds)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(server->epoll, events, EVENTS_MAX, milliseconds);
    if (count < 0)
        return errno == EINTR ? TERN_HOST_OK : TERN_HOST_E_SYSTEM;
    look_at_clock(server);
    /* Each connection's share, so that one that floods does not make the others wait. */
    size_t size = count == 0 ? READ_MAX : TURN_BYTES / (size_t)count;
    size = size > READ_MAX ? READ_MAX : size < READ_MIN ? READ_MIN : size;
    for (int i = 0; i < count; i++) {
        void *what = events[i].data.ptr;
        if (what == server)
            take_ring(server);
        else if (is_listener(server, what))
            accept_all(server, what);
        else
            serve(server, what, events[i].events, size);
    }
    keep_deadlines(server);
    look_for_wants(server);
    sync_and_answer(server);
    keep_house(server);
    set_timer(server);
    free_dead(server);
    return TERN_HOST_OK;
}

/* ---- Open and close -------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void configure(struct tern_server *server, const struct tern_server_config *config)
{
    server->peers.stage = config->stage;
    server->peers.report = config->report;
    server->peers.window = or_default(config->window, WINDOW_DEFAULT);
    if (server->peers.window > TERN_WINDOW_MAX)
        server->peers.window = TERN_WINDOW_MAX;
    server->connections_max = or_default(config->connections, 16384);
    server->greeting.limit = (int64_t)or_default(config->hello_seconds, 10) * 1000;
    server->idle.limit = (int64_t)or_default(config->idle_seconds, 300) * 1000;
    server->lingering.limit = LINGER_MS;
    server->timer_at = server->sync_at = server->accept_at = server->reopen_at = NEVER;
    server->tick = config->tick;
    server->tick_context = config->tick_context;
    server->tick_at = config->tick == NULL ? NEVER : 0;
    server->epoll = server->timer = -1;
}

int tern_server_open(struct tern_server **out, const struct tern_server_config *config)
{
    struct tern_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return tern_report_no_start(&config->report, "server");
    configure(server, config);
    bool claims = tern_claims_open(&server->claims, server->connections_max);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    look_at_clock(server);
    if (!claims || server->epoll < 0 || server->timer < 0 ||
        !watch(server, EPOLL_CTL_ADD, server->timer, EPOLLIN, server)) {
        int status = tern_report_no_start(&config->report, "server");
        tern_server_close(server);
        return status;
    }
    *out = server;
    return TERN_HOST_OK;
}

static void end_all(struct tern_server *server)
{
    struct tern_deadlines *lists[] = {&server->greeting, &server->idle, &server->lingering, &server->untimed};
    server->is_stopped = true;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (lists[i]->first != NULL) {
            struct tern_connection *one = lists[i]->first;
            end_connection(server, one, "the gateway stops");
            if (one->deadlines == NULL)
                continue;
            tern_connection_wait(one, NULL, 0); /* a lost serial port */
            tern_connection_free(one);
            server->connection_count--;
        }
    }
    server->touched = NULL;
    free_dead(server);
}

static void end_listeners(struct tern_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++)
        close(server->listeners[i].descriptor);
    server->listener_count = 0;
    server->accept_at = NEVER;
}

void tern_server_stop(struct tern_server *server)
{
    if (server->is_stopped)
        return;
    end_listeners(server);
    tern_server_step(server, 0);
    end_all(server);
}

void tern_server_close(struct tern_server *server)
{
    if (server == NULL)
        return;
    end_listeners(server);
    if (server->claims.buckets != NULL)
        end_all(server);
    if (server->timer >= 0)
        close(server->timer);
    if (server->epoll >= 0)
        close(server->epoll);
    tern_claims_close(&server->claims);
    free(server);
}

uint16_t tern_server_port(const struct tern_server *server)
{
    return server->port;
}

int tern_server_descriptor(const struct tern_server *server)
{
    return server->epoll;
}

size_t tern_server_connections(const struct tern_server *server)
{
    return server->connection_count;
}
