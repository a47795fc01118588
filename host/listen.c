/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, and speeds above 38400 baud */
#endif
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"

#define TCP_SCHEME    "tcp://"
#define SERIAL_SCHEME "serial:"
#define ADDRESS_MAX   255 /* a host name has at most 253 characters */
#define PATH_SIZE     256
/* answers are small, and a device that does not read must not fill the kernel's memory either */
#define SEND_BUFFER 16384
#define BACKLOG     4096 /* a whole fleet may come back at once after a power cut */

enum tern_endpoint tern_endpoint_kind(const char *url)
{
    if (strncmp(url, TCP_SCHEME, strlen(TCP_SCHEME)) == 0)
        return TERN_ENDPOINT_TCP;
    if (strncmp(url, SERIAL_SCHEME, strlen(SERIAL_SCHEME)) == 0)
        return TERN_ENDPOINT_SERIAL;
    return TERN_ENDPOINT_UNKNOWN;
}

static int fail(const struct tern_report *report, int error, const char *url, const char *message)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "url", url);
    tern_fields_text(&fields, "msg", message);
    tern_report_event(report, TERN_ERROR, "listen-failed", &fields);
    return error;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

struct tcp_address {
    char host[ADDRESS_MAX + 1];
    char port[6];
};

static bool split_tcp(const char *url, struct tcp_address *address)
{
    const char *host = url + strlen(TCP_SCHEME);
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host)
        return false;
    size_t size = (size_t)(colon - host);
    if (host[0] == '[') {
        if (size < 3 || host[size - 1] != ']')
            return false;
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return false; /* an IPv6 address without brackets: which colon is the port's? */
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (size > ADDRESS_MAX || digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
        atol(colon + 1) > 65535)
        return false;
    memcpy(address->host, host, size);
    address->host[size] = '\0';
    memcpy(address->port, colon + 1, digits + 1);
    return true;
}

/* A listening descriptor, or -1 with errno. */
static int listen_at(const struct addrinfo *at)
{
    int on = 1;
    int descriptor = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    /* A gateway that starts again must not wait for the last one's connections to be forgotten. */
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, at->ai_addr, at->ai_addrlen) == 0 && listen(descriptor, BACKLOG) == 0)
        return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

static uint16_t port_of(int descriptor)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

int tern_listen_tcp(const char *url, const struct tern_report *report, int *descriptor, uint16_t *port)
{
    struct tcp_address address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    char message[400];
    if (!split_tcp(url, &address))
        return fail(report, TERN_HOST_E_ARGUMENT, url,
                    "not an address to listen at; write tcp://ADDRESS:PORT, as tcp://127.0.0.1:7766 or "
                    "tcp://[::]:7766");
    int problem = getaddrinfo(address.host, address.port, &hints, &found);
    if (problem != 0) {
        snprintf(message, sizeof message, "cannot resolve %s: %s", address.host, gai_strerror(problem));
        return fail(report, TERN_HOST_E_ARGUMENT, url, message);
    }
    *descriptor = listen_at(found);
    int error = errno;
    freeaddrinfo(found);
    if (*descriptor >= 0) {
        *port = port_of(*descriptor);
        return TERN_HOST_OK;
    }
    if (error == EADDRINUSE)
        return fail(report, TERN_HOST_E_IN_USE, url,
                    "the port is in use by another process; stop that one or choose another port");
    snprintf(message, sizeof message, "cannot listen: %s", strerror(error));
    return fail(report, TERN_HOST_E_SYSTEM, url, message);
}

static void name_of(const struct sockaddr *address, socklen_t size, char name[TERN_ENDPOINT_SIZE])
{
    char host[56], port[8];
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
        0)
        snprintf(name, TERN_ENDPOINT_SIZE, TCP_SCHEME "?");
    else if (strchr(host, ':') != NULL)
        snprintf(name, TERN_ENDPOINT_SIZE, TCP_SCHEME "[%s]:%s", host, port);
    else
        snprintf(name, TERN_ENDPOINT_SIZE, TCP_SCHEME "%s:%s", host, port);
}

int tern_listen_accept(int listener, char name[TERN_ENDPOINT_SIZE])
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int on = 1;
    int descriptor = accept4(listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0)
        return -1;
    int send_buffer = SEND_BUFFER;
    setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on); /* an ACK that waits holds the device's window */
    name_of((struct sockaddr *)&address, size, name);
    return descriptor;
}

/* ---- Serial ---------------------------------------------------------------------------------- */

static const struct {
    unsigned long baud;
    speed_t speed;
} speeds[] = {{1200, B1200},     {2400, B2400},     {4800, B4800},     {9600, B9600},
              {19200, B19200},   {38400, B38400},   {57600, B57600},   {115200, B115200},
              {230400, B230400}, {460800, B460800}, {921600, B921600}, {1000000, B1000000}};

static bool find_speed(const char *text, speed_t *speed)
{
    char *end;
    unsigned long baud = strtoul(text, &end, 10);
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (*end == '\0' && speeds[i].baud == baud) {
            *speed = speeds[i].speed;
            return true;
        }
    }
    return false;
}

static bool split_serial(const char *url, char path[PATH_SIZE], speed_t *speed)
{
    const char *begin = url + strlen(SERIAL_SCHEME);
    const char *query = strchr(begin, '?');
    size_t size = query == NULL ? strlen(begin) : (size_t)(query - begin);
    if (size == 0 || size >= PATH_SIZE)
        return false;
    memcpy(path, begin, size);
    path[size] = '\0';
    *speed = B115200;
    return query == NULL || (strncmp(query, "?baud=", 6) == 0 && find_speed(query + 6, speed));
}

static int make_raw(int descriptor, speed_t speed)
{
    struct termios mode;
    if (tcgetattr(descriptor, &mode) != 0)
        return -1;
    mode.c_iflag = 0;
    mode.c_oflag = 0;
    mode.c_lflag = 0;
    mode.c_cflag = CS8 | CREAD | CLOCAL;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    if (cfsetispeed(&mode, speed) != 0 || cfsetospeed(&mode, speed) != 0)
        return -1;
    return tcsetattr(descriptor, TCSANOW, &mode);
}

int tern_serial_open(const char *url, const struct tern_report *report, int *descriptor)
{
    char path[PATH_SIZE], message[400];
    speed_t speed;
    if (!split_serial(url, path, &speed))
        return fail(
            report, TERN_HOST_E_ARGUMENT, url,
            "not a serial port; write serial:/dev/ttyACM0?baud=115200, with a speed from 1200 to 1000000");
    *descriptor = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (*descriptor >= 0 && make_raw(*descriptor, speed) == 0)
        return TERN_HOST_OK;
    snprintf(message, sizeof message, "cannot open the serial port: %s%s", strerror(errno),
             errno == EACCES ? "; is the user in its group (often dialout)?" : "");
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
    return fail(report, TERN_HOST_E_SYSTEM, url, message);
}
