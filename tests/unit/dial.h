/* SPDX-License-Identifier: MIT */
/* A device that speaks to a server over a real socket, in turns with it. */
#ifndef TERN_DIAL_H
#define TERN_DIAL_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

struct device {
    int socket;
    bool ended; /* the server closed */
    char id[24];
    struct client_answers answers;
    struct client_stream out;
    size_t sent;
};

static inline void attach(struct device *device, int descriptor, const char *id)
{
    memset(device, 0, sizeof *device);
    client_forget(&device->answers);
    snprintf(device->id, sizeof device->id, "%s", id);
    device->socket = descriptor;
}

/* Connects to the port of this machine. `receive_buffer`: of the socket, in bytes, 0: the system's. */
static inline bool dial_port(struct device *device, uint16_t port, const char *id, int receive_buffer)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    attach(device, socket(AF_INET, SOCK_STREAM, 0), id);
    if (receive_buffer != 0)
        setsockopt(device->socket, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (connect(device->socket, (struct sockaddr *)&address, sizeof address) != 0)
        return false;
    return fcntl(device->socket, F_SETFL, O_NONBLOCK) == 0;
}

static inline void hang_up(struct device *device)
{
    close(device->socket);
    device->socket = -1;
}

static inline void say_hello(struct device *device)
{
    struct client_hello hello = client_good_hello;
    hello.id = device->id;
    client_put_hello(&device->out, &hello);
}

/* Sends what it can and hears what there is. */
static inline void pump(struct device *device)
{
    uint8_t bytes[4096];
    ssize_t size;
    while (device->sent < device->out.size) {
        size = write(device->socket, device->out.bytes + device->sent, device->out.size - device->sent);
        if (size <= 0)
            break;
        device->sent += (size_t)size;
    }
    if (device->sent == device->out.size)
        device->sent = device->out.size = 0;
    while ((size = read(device->socket, bytes, sizeof bytes)) > 0)
        client_read(&device->answers, bytes, (size_t)size);
    if (size == 0 || (errno != EAGAIN && errno != EIO))
        device->ended = true;
}

#endif
