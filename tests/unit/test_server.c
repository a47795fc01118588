/* SPDX-License-Identifier: MIT */
/* The server over real loopback sockets and a pseudo-terminal. Devices and server take turns in one
 * thread. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pseudo-terminals */
#endif
#include "../../host/server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../test.h"
#include "../../host/hold.h"
#include "dial.h"

#define TURNS_MAX 20000

static bool disk_fails;

int fdatasync(int descriptor)
{
    if (disk_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, descriptor);
}

/* ---- The rig --------------------------------------------------------------------------------- */

struct rig {
    char directory[64];
    struct tern_stage *stage;
    struct tern_server *server;
    char events[8192]; /* names of warnings and errors, and their messages */
    size_t events_size;
};

static struct rig rig;

static void note_event(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)context;
    if (level < TERN_WARN)
        return;
    size_t room = sizeof rig.events - rig.events_size;
    int size = snprintf(rig.events + rig.events_size, room, "%s %s\n", event, fields);
    if (size > 0 && (size_t)size < room)
        rig.events_size += (size_t)size;
}

static void remove_directory(const char *directory)
{
    char path[400];
    struct dirent *entry;
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(folder);
    rmdir(directory);
}

static void setup_with(uint32_t connections, uint32_t hello_seconds, uint32_t idle_seconds)
{
    memset(&rig, 0, sizeof rig);
    disk_fails = false;
    snprintf(rig.directory, sizeof rig.directory, "/tmp/tern-server-XXXXXX");
    struct tern_stage_config stage = {.directory = mkdtemp(rig.directory)};
    if (!CHECK_EQ(tern_stage_open(&rig.stage, &stage), TERN_HOST_OK))
        exit(1);
    struct tern_server_config config = {.stage = rig.stage,
                                        .report = {note_event, NULL},
                                        .connections = connections,
                                        .hello_seconds = hello_seconds,
                                        .idle_seconds = idle_seconds};
    if (!CHECK_EQ(tern_server_open(&rig.server, &config), TERN_HOST_OK) ||
        !CHECK_EQ(tern_server_listen(rig.server, "tcp://127.0.0.1:0"), TERN_HOST_OK))
        exit(1);
}

static void setup(void)
{
    setup_with(0, 0, 0);
}

static void teardown(void)
{
    disk_fails = false;
    tern_server_close(rig.server);
    tern_stage_close(rig.stage);
    remove_directory(rig.directory);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static void dial_with(struct device *device, const char *id, int receive_buffer)
{
    if (!CHECK(dial_port(device, tern_server_port(rig.server), id, receive_buffer)))
        exit(1);
}

static void dial(struct device *device, const char *id)
{
    dial_with(device, id, 0);
}

/* Turns until the device is told `next`. */
static bool wait_for_next(struct device *device, uint32_t next)
{
    for (int turn = 0; turn < TURNS_MAX && device->answers.next < next; turn++) {
        pump(device);
        tern_server_step(rig.server, 0);
        pump(device);
    }
    return CHECK_EQ(device->answers.next, next);
}

/* Turns, with time passing, until the server closes the connection. */
static bool wait_for_end(struct device *device, int milliseconds)
{
    int64_t end = now_ms() + milliseconds;
    while (!device->ended && now_ms() < end) {
        tern_server_step(rig.server, 10);
        pump(device);
    }
    return device->ended;
}

/* HELLO, schema and `rows` rows from `first` on. */
static void push_rows(struct device *device, uint32_t first, uint32_t rows)
{
    say_hello(device);
    client_put_chunk(&device->out, first, rows, 900);
    if (first == 1)
        client_put_table(&device->out);
    wait_for_next(device, first + rows);
}

static struct device one, two;

/* ---- Tests ----------------------------------------------------------------------------------- */

static void a_device_pushes_over_tcp(void)
{
    setup();
    dial(&one, "dev1");
    push_rows(&one, 1, 50);
    CHECK_EQ(one.answers.bad, 0);
    CHECK_EQ(tern_server_connections(rig.server), 1);
    hang_up(&one);
    tern_server_step(rig.server, 100);
    CHECK_EQ(tern_server_connections(rig.server), 0);
    teardown();
}

static void a_thousand_devices_push_at_once(void)
{
    static struct device devices[1000];
    const size_t count = sizeof devices / sizeof devices[0];
    struct rlimit limit;
    char id[24];
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setup();
    for (size_t i = 0; i < count; i++) {
        snprintf(id, sizeof id, "dev%zu", i);
        dial(&devices[i], id);
        say_hello(&devices[i]);
        client_put_chunk(&devices[i].out, 1, 20, 900);
        client_put_table(&devices[i].out);
        if (i % 100 == 0)
            tern_server_step(rig.server, 0);
    }
    size_t done = 0;
    for (int turn = 0; turn < TURNS_MAX && done < count; turn++) {
        tern_server_step(rig.server, 0);
        done = 0;
        for (size_t i = 0; i < count; i++) {
            pump(&devices[i]);
            done += devices[i].answers.next == 21;
        }
    }
    CHECK_EQ(done, count);
    CHECK_EQ(tern_server_connections(rig.server), count);
    for (size_t i = 0; i < count; i++)
        hang_up(&devices[i]);
    teardown();
}

static void garbage_disturbs_no_other_device(void)
{
    static uint8_t garbage[50000];
    uint64_t random = 3;
    int taken = 0;
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)test_random(&random);
    setup();
    dial(&one, "good");
    dial(&two, "bad");
    say_hello(&two);
    say_hello(&one);
    client_put_chunk(&one.out, 1, 1, 900);
    client_put_table(&one.out);
    wait_for_next(&one, 2);
    for (uint32_t next = 2; next < 100; next++) {
        taken += write(two.socket, garbage, sizeof garbage) > 0;
        client_put_chunk(&one.out, next, 1, 900);
        /* However much the other one sends, an answer takes a few turns. */
        for (int turn = 0; turn < 3; turn++) {
            pump(&one);
            tern_server_step(rig.server, 0);
            pump(&one);
        }
        CHECK_EQ(one.answers.next, next + 1);
    }
    CHECK(taken > 50);
    CHECK(!one.ended);
    CHECK(strstr(rig.events, "bad-frame peer=tcp://127.0.0.1:") != NULL);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void the_newest_session_of_a_device_wins(void)
{
    setup();
    dial(&one, "dev1");
    push_rows(&one, 1, 5);
    dial(&two, "dev1");
    push_rows(&two, 6, 5);
    CHECK(wait_for_end(&one, 1000));
    CHECK_EQ(one.answers.refusals, 1);
    CHECK_EQ(one.answers.reason, TERN_REFUSED_BUSY);
    client_put_chunk(&two.out, 11, 5, 900);
    wait_for_next(&two, 16);
    CHECK(!two.ended);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void a_refused_device_reads_why_and_is_closed(void)
{
    setup();
    dial(&one, "no good");
    say_hello(&one);
    client_put_chunk(&one.out, 1, 50, 900); /* unread when the server closes */
    CHECK(wait_for_end(&one, 1000));
    CHECK_EQ(one.answers.reason, TERN_REFUSED_IDENTITY);
    hang_up(&one);
    tern_server_step(rig.server, 100);
    CHECK_EQ(tern_server_connections(rig.server), 0);
    teardown();
}

static void a_connection_without_a_hello_is_closed(void)
{
    setup_with(0, 1, 0);
    int64_t begin = now_ms(); /* the deadline runs from the dial, however slow this machine is then */
    dial(&one, "dev1");
    dial(&two, "dev2");
    push_rows(&two, 1, 5);
    while (!one.ended && now_ms() - begin < 3000) {
        ssize_t ignored = write(one.socket, "garbage", 7);
        (void)ignored;
        tern_server_step(rig.server, 20);
        pump(&one);
    }
    CHECK(one.ended);
    CHECK(now_ms() - begin >= 900);
    pump(&two);
    CHECK(!two.ended);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void a_silent_connection_is_closed(void)
{
    setup_with(0, 0, 1);
    dial(&one, "dev1");
    dial(&two, "dev2");
    push_rows(&one, 1, 5);
    push_rows(&two, 1, 1);
    int64_t begin = now_ms();
    for (uint32_t next = 2; !one.ended && now_ms() - begin < 3000; next++) {
        client_put_chunk(&two.out, next, 1, 900);
        tern_server_step(rig.server, 50);
        pump(&one);
        pump(&two);
        usleep(20000);
    }
    CHECK(one.ended);
    CHECK(now_ms() - begin >= 900);
    CHECK(!two.ended);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

/* The descriptor must say so, for somebody else's event loop. */
static void the_descriptor_wakes_for_bytes_and_for_deadlines(void)
{
    struct pollfd ready = {0, POLLIN, 0};
    setup_with(0, 1, 0);
    ready.fd = tern_server_descriptor(rig.server);
    tern_server_step(rig.server, 0);
    CHECK_EQ(poll(&ready, 1, 0), 0);
    dial(&one, "dev1");
    CHECK_EQ(poll(&ready, 1, 1000), 1);
    while (poll(&ready, 1, 0) == 1)
        tern_server_step(rig.server, 0);
    CHECK_EQ(poll(&ready, 1, 3000), 1); /* nothing arrives: it is the deadline */
    tern_server_step(rig.server, 0);
    pump(&one);
    CHECK(one.ended);
    hang_up(&one);
    teardown();
}

static void a_device_that_never_reads_is_not_read_either(void)
{
    static struct client_stream again;
    int held_up = 0;
    setup();
    dial_with(&one, "deaf", 16384);
    push_rows(&one, 1, 5);
    again.size = 0;
    while (again.size < 60000)
        client_put_chunk(&again, 1, 5, 900); /* each turn is answered with an ACK */
    for (int turn = 0; turn < TURNS_MAX && held_up < 100; turn++) {
        ssize_t size = write(one.socket, again.bytes, again.size);
        held_up = size < 0 && errno == EAGAIN ? held_up + 1 : 0;
        CHECK(size > 0 || errno == EAGAIN);
        tern_server_step(rig.server, 0);
    }
    CHECK_EQ(held_up, 100);
    dial(&two, "good");
    push_rows(&two, 1, 20);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void a_flood_of_hellos_is_refused(void)
{
    setup();
    dial(&one, "dev1");
    for (int i = 0; i < 100; i++)
        say_hello(&one);
    CHECK(wait_for_end(&one, 1000));
    CHECK_EQ(one.answers.reason, TERN_REFUSED_LIMIT);
    hang_up(&one);
    teardown();
}

static void one_too_many_is_turned_away(void)
{
    setup_with(1, 0, 0);
    dial(&one, "dev1");
    push_rows(&one, 1, 5);
    dial(&two, "dev2");
    CHECK(wait_for_end(&two, 1000));
    CHECK_EQ(two.answers.reason, TERN_REFUSED_LIMIT);
    hang_up(&one);
    hang_up(&two);
    tern_server_step(rig.server, 100);
    dial(&two, "dev2");
    push_rows(&two, 1, 5);
    hang_up(&two);
    teardown();
}

static void a_disk_that_fails_refuses_and_acknowledges_nothing(void)
{
    setup();
    dial(&one, "dev1");
    push_rows(&one, 1, 5);
    disk_fails = true;
    client_put_chunk(&one.out, 6, 5, 900);
    CHECK(wait_for_end(&one, 1000));
    CHECK_EQ(one.answers.reason, TERN_REFUSED_STORE);
    CHECK_EQ(one.answers.next, 6);
    hang_up(&one);
    disk_fails = false;
    dial(&one, "dev1");
    say_hello(&one);
    wait_for_next(&one, 11); /* taken the first time, durable now */
    hang_up(&one);
    teardown();
}

static void a_disk_that_fails_refuses_only_whom_it_concerns(void)
{
    setup();
    dial(&one, "dev1");
    dial(&two, "dev2");
    push_rows(&one, 1, 5);
    push_rows(&two, 1, 5);
    disk_fails = true;
    client_put_chunk(&one.out, 6, 5, 900);
    CHECK(wait_for_end(&one, 1000));
    CHECK_EQ(one.answers.reason, TERN_REFUSED_STORE);
    client_put_chunk(&two.out, 1, 5, 900); /* what is held already */
    CHECK(!wait_for_end(&two, 100));
    CHECK_EQ(two.answers.refusals, 0);
    disk_fails = false;
    push_rows(&two, 6, 5);
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void a_port_in_use_is_said_to_be(void)
{
    char url[40];
    setup();
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", tern_server_port(rig.server));
    CHECK_EQ(tern_server_listen(rig.server, url), TERN_HOST_E_IN_USE);
    CHECK(strstr(rig.events, url) != NULL);
    CHECK(strstr(rig.events, "in use") != NULL);
    teardown();
}

static void a_url_that_cannot_be_right_is_an_argument_error(void)
{
    static const char *const bad[] = {"",
                                      "tcp",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:",
                                      "tcp://:7766",
                                      "tcp://127.0.0.1:x",
                                      "tcp://127.0.0.1:65536",
                                      "tcp://127.0.0.1:77 66",
                                      "tcp://::1:7766",
                                      "tcp://[::1:7766",
                                      "tcp://[]:1",
                                      "udp://127.0.0.1:1",
                                      "serial:",
                                      "serial:/dev/null?baud=17",
                                      "serial:/dev/null?speed=9600",
                                      "serial:/dev/null?baud=9600x",
                                      "tcp://[::1]7766",
                                      "tcp://127.0.0.1:007766",
                                      "tcp://a..b:7766"}; /* a name that nobody can have */
    char longest[400];
    setup();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!CHECK_EQ(tern_server_listen(rig.server, bad[i]), TERN_HOST_E_ARGUMENT))
            printf("    %s\n", bad[i]);
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "tcp://", 6);
    memcpy(longest + sizeof longest - 6, ":7766", 6);
    CHECK_EQ(tern_server_listen(rig.server, longest), TERN_HOST_E_ARGUMENT);
    memcpy(longest, "serial:/", 8);
    CHECK_EQ(tern_server_listen(rig.server, longest), TERN_HOST_E_ARGUMENT);
    CHECK(strstr(rig.events, "url=tcp://127.0.0.1:65536 msg=\"not an address to listen at; write tcp://") !=
          NULL);
    CHECK(strstr(rig.events, "cannot resolve a..b") != NULL);
    CHECK_EQ(tern_server_listen(rig.server, "serial:/dev/null"), TERN_HOST_E_SYSTEM); /* no terminal */
    CHECK_EQ(tern_server_listen(rig.server, "serial:/nowhere"), TERN_HOST_E_SYSTEM);
    teardown();
}

static void note_all(void *context, enum tern_level level, const char *event, const char *fields)
{
    note_event(context, level < TERN_WARN ? TERN_WARN : level, event, fields);
}

/* Where this machine has no IPv6, the reason is said. */
static void a_device_pushes_over_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct tern_server_config config = {.report = {note_all, NULL}};
    setup();
    tern_server_close(rig.server);
    config.stage = rig.stage;
    CHECK_EQ(tern_server_open(&rig.server, &config), TERN_HOST_OK);
    if (tern_server_listen(rig.server, "tcp://[::1]:0") == TERN_HOST_OK) {
        address.sin6_port = htons(tern_server_port(rig.server));
        attach(&one, socket(AF_INET6, SOCK_STREAM, 0), "dev1");
        CHECK_EQ(connect(one.socket, (struct sockaddr *)&address, sizeof address), 0);
        CHECK_EQ(fcntl(one.socket, F_SETFL, O_NONBLOCK), 0);
        push_rows(&one, 1, 5);
        CHECK(strstr(rig.events, "peer=tcp://[::1]:") != NULL);
        hang_up(&one);
    } else {
        CHECK(strstr(rig.events, "cannot listen: ") != NULL || strstr(rig.events, "cannot resolve ") != NULL);
    }
    teardown();
}

/* Of a session that says nothing itself. */
static void a_silent_device_is_asked_for_what_a_destination_lacks(void)
{
    struct tern_stage_want want = {.epoch = CLIENT_EPOCH, .first = 11, .last = 20, .position = UINT64_MAX};
    setup();
    dial(&one, "dev1");
    push_rows(&one, 1, 40);
    dial(&two, "dev2"); /* connected, and nobody yet */
    tern_server_step(rig.server, 0);
    tern_stage_want(rig.stage, "dev1", &want);
    for (int turn = 0; turn < 200 && one.answers.next != 11; turn++) {
        tern_server_step(rig.server, 1);
        pump(&one);
    }
    CHECK_EQ(one.answers.next, 11);
    client_put_chunk(&one.out, 11, 10, 900);
    CHECK(wait_for_next(&one, 41));
    hang_up(&one);
    hang_up(&two);
    teardown();
}

static void a_device_pushes_over_a_serial_line(void)
{
    char url[80];
    struct termios raw;
    setup();
    int line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    CHECK(line >= 0 && grantpt(line) == 0 && unlockpt(line) == 0);
    CHECK(tcgetattr(line, &raw) == 0);
    snprintf(url, sizeof url, "serial:%s?baud=115200", ptsname(line));
    CHECK_EQ(tern_server_listen(rig.server, url), TERN_HOST_OK);
    attach(&one, line, "uart1");
    push_rows(&one, 1, 30);
    memcpy(one.id, "no good", 8);
    say_hello(&one); /* refused, and the line goes on */
    for (int turn = 0; turn < 100 && one.answers.refusals == 0; turn++) {
        pump(&one);
        tern_server_step(rig.server, 1);
    }
    CHECK_EQ(one.answers.refusals, 1);
    memcpy(one.id, "uart1", 6);
    push_rows(&one, 31, 30);
    hang_up(&one);
    teardown();
}

/* A pseudo-terminal behind a name that stays, as udev gives to a board. */
static int plug_in(const char *name)
{
    int line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    unlink(name);
    CHECK(line >= 0 && grantpt(line) == 0 && unlockpt(line) == 0);
    CHECK_EQ(symlink(ptsname(line), name), 0);
    return line;
}

static void a_board_that_is_unplugged_and_comes_back_is_heard_again(void)
{
    char name[80], url[100];
    setup();
    snprintf(name, sizeof name, "%s/board", rig.directory);
    snprintf(url, sizeof url, "serial:%s", name);
    attach(&one, plug_in(name), "uart1");
    CHECK_EQ(tern_server_listen(rig.server, url), TERN_HOST_OK);
    push_rows(&one, 1, 10);
    hang_up(&one);
    unlink(name);
    CHECK_EQ(symlink("/dev/null", name), 0); /* its name is there again, and no line behind it yet */
    int64_t end = now_ms() + 1500;
    while (now_ms() < end)
        tern_server_step(rig.server, 100);
    attach(&one, plug_in(name), "uart1");
    end = now_ms() + 5000;
    say_hello(&one);
    while (one.answers.welcomes == 0 && now_ms() < end) {
        pump(&one);
        tern_server_step(rig.server, 20);
        pump(&one);
        if (one.answers.welcomes == 0 && one.out.size == 0)
            say_hello(&one); /* what a line loses nobody hears of */
    }
    CHECK(one.answers.welcomes != 0);
    push_rows(&one, 11, 10);
    hang_up(&one);
    teardown();
}

static void more_places_than_it_can_listen_at_are_refused(void)
{
    setup();
    int status = TERN_HOST_OK;
    for (int i = 0; i < 100 && status == TERN_HOST_OK; i++)
        status = tern_server_listen(rig.server, "tcp://127.0.0.1:0");
    CHECK_EQ(status, TERN_HOST_E_LIMIT);
    teardown();
}

static void stopping_answers_what_has_arrived(void)
{
    setup();
    dial(&one, "dev1");
    push_rows(&one, 1, 5);
    client_put_chunk(&one.out, 6, 5, 900);
    pump(&one);
    usleep(20000);
    tern_server_stop(rig.server);
    while (!one.ended)
        pump(&one);
    CHECK_EQ(one.answers.next, 11);
    CHECK_EQ(tern_server_connections(rig.server), 0);
    hang_up(&one);
    teardown();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* a connection that is closed under a test is an error of its own */
    RUN(a_device_pushes_over_tcp);
    RUN(a_thousand_devices_push_at_once);
    RUN(garbage_disturbs_no_other_device);
    RUN(the_newest_session_of_a_device_wins);
    RUN(a_refused_device_reads_why_and_is_closed);
    RUN(a_connection_without_a_hello_is_closed);
    RUN(a_silent_connection_is_closed);
    RUN(the_descriptor_wakes_for_bytes_and_for_deadlines);
    RUN(a_device_that_never_reads_is_not_read_either);
    RUN(a_flood_of_hellos_is_refused);
    RUN(one_too_many_is_turned_away);
    RUN(a_disk_that_fails_refuses_and_acknowledges_nothing);
    RUN(a_disk_that_fails_refuses_only_whom_it_concerns);
    RUN(a_port_in_use_is_said_to_be);
    RUN(a_url_that_cannot_be_right_is_an_argument_error);
    RUN(a_device_pushes_over_ipv6);
    RUN(a_silent_device_is_asked_for_what_a_destination_lacks);
    RUN(a_device_pushes_over_a_serial_line);
    RUN(a_board_that_is_unplugged_and_comes_back_is_heard_again);
    RUN(more_places_than_it_can_listen_at_are_refused);
    RUN(stopping_answers_what_has_arrived);
    return test_report();
}
