/* SPDX-License-Identifier: MIT */
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define RETRY_FIRST_MS 100u
#define RETRY_MOST_MS  3000u

static uint32_t now_ms(void)
{
    return tern_posix_clock.milliseconds(NULL);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void disconnect(struct tern_posix_link *link)
{
    if (link->socket >= 0)
        close(link->socket);
    link->socket = -1;
    link->connecting = false;
    link->is_full = false;
    link->session = 0;
    link->retry_at = now_ms() + link->retry_ms;
    link->retry_ms = link->retry_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : link->retry_ms * 2;
}

static int make_nonblocking(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

static void connect_tcp(struct tern_posix_link *link)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int yes = 1;
    if (getaddrinfo(link->host, link->port, &hints, &found) == 0)
        link->socket = socket(found->ai_family, SOCK_STREAM, found->ai_protocol);
    if (link->socket >= 0) {
        setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        bool started =
            make_nonblocking(link->socket) == 0 &&
            (connect(link->socket, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS);
        link->connecting = started;
    }
    if (found != NULL)
        freeaddrinfo(found);
    if (!link->connecting)
        disconnect(link);
}

static speed_t baud_constant(int baud)
{
    static const struct {
        int baud;
        speed_t constant;
    } known[] = {{9600, B9600},   {19200, B19200},   {38400, B38400},
                 {57600, B57600}, {115200, B115200}, {230400, B230400}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].baud == baud)
            return known[i].constant;
    return B0;
}

static void open_serial(struct tern_posix_link *link)
{
    struct termios mode;
    link->socket = open(link->host, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (link->socket >= 0 && tcgetattr(link->socket, &mode) == 0) {
        mode.c_iflag = 0;
        mode.c_oflag = 0;
        mode.c_lflag = 0;
        mode.c_cflag = CS8 | CREAD | CLOCAL;
        mode.c_cc[VMIN] = 0;
        mode.c_cc[VTIME] = 0;
        cfsetispeed(&mode, baud_constant(link->baud));
        cfsetospeed(&mode, baud_constant(link->baud));
        if (tcsetattr(link->socket, TCSANOW, &mode) == 0) {
            link->connecting = true;
            return;
        }
    }
    disconnect(link);
}

static bool is_connected(int socket)
{
    struct pollfd ready = {.fd = socket, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
}

static bool has_failed(int socket)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0;
}

static uint32_t session(void *context)
{
    struct tern_posix_link *link = context;
    if (link->socket < 0 && (int32_t)(now_ms() - link->retry_at) >= 0) {
        if (link->is_serial)
            open_serial(link);
        else
            connect_tcp(link);
    }
    if (link->connecting && !link->is_serial && has_failed(link->socket))
        disconnect(link);
    if (link->connecting && is_connected(link->socket)) {
        link->connecting = false;
        link->retry_ms = RETRY_FIRST_MS;
        link->session = ++link->sessions;
    }
    return link->session;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* What a read or write came to: bytes, 0 for "not now", negative for a lost connection. */
static int32_t outcome(struct tern_posix_link *link, ssize_t result, bool zero_is_end)
{
    if (result > 0)
        return (int32_t)result;
    if ((result == 0 && !zero_is_end) || (result < 0 && (errno == EAGAIN || errno == EINTR)))
        return 0;
    disconnect(link);
    return -1;
}

static int32_t send_bytes(void *context, const uint8_t *data, uint32_t size)
{
    struct tern_posix_link *link = context;
    if (link->session == 0)
        return -1;
    ssize_t result =
        link->is_serial ? write(link->socket, data, size) : send(link->socket, data, size, MSG_NOSIGNAL);
    int32_t taken = outcome(link, result, false);
    link->is_full = taken >= 0 && (uint32_t)taken < size;
    return taken;
}

static int32_t receive_bytes(void *context, uint8_t *data, uint32_t size)
{
    struct tern_posix_link *link = context;
    if (link->session == 0)
        return -1;
    return outcome(link, read(link->socket, data, size), !link->is_serial);
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool copy(char *to, size_t room, const char *from, size_t size)
{
    if (size == 0 || size >= room)
        return false;
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

static bool parse_tcp(struct tern_posix_link *link, const char *rest)
{
    const char *colon = strrchr(rest, ':');
    if (colon == NULL)
        return false;
    size_t size = (size_t)(colon - rest);
    if (size > 2 && rest[0] == '[' && colon[-1] == ']') {
        rest++;
        size -= 2;
    }
    long port = strtol(colon + 1, NULL, 10);
    return port > 0 && port < 65536 && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
           copy(link->host, sizeof(link->host), rest, size) &&
           copy(link->port, sizeof(link->port), colon + 1, strlen(colon + 1));
}

static bool parse_serial(struct tern_posix_link *link, const char *rest)
{
    const char *query = strchr(rest, '?');
    size_t size = query == NULL ? strlen(rest) : (size_t)(query - rest);
    link->is_serial = true;
    link->baud = 115200;
    if (query != NULL && strncmp(query, "?baud=", 6) == 0)
        link->baud = (int)strtol(query + 6, NULL, 10);
    else if (query != NULL)
        return false;
    return baud_constant(link->baud) != B0 && copy(link->host, sizeof(link->host), rest, size);
}

int tern_posix_link_open(struct tern_posix_link *link, const char *url, char *message, size_t size)
{
    *link = (struct tern_posix_link){
        .link = {link, session, send_bytes, receive_bytes, 0},
        .socket = -1,
        .retry_ms = RETRY_FIRST_MS,
        .retry_at = now_ms(),
    };
    if (strncmp(url, "tcp://", 6) == 0 ? parse_tcp(link, url + 6)
                                       : strncmp(url, "serial:", 7) == 0 && parse_serial(link, url + 7))
        return 0;
    snprintf(message, size, "%s: is no address; write tcp://HOST:PORT or serial:DEVICE?baud=115200", url);
    return -1;
}

void tern_posix_link_close(struct tern_posix_link *link)
{
    disconnect(link);
}
