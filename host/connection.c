/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tern_connection *tern_connection_new(const struct tern_peer_config *config, int descriptor,
                                            const char *name, const char *url)
{
    struct tern_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    if (url != NULL && (connection->url = strdup(url)) == NULL) {
        free(connection);
        return NULL;
    }
    connection->descriptor = descriptor;
    strncpy(connection->name, name, sizeof connection->name - 1);
    tern_peer_open(&connection->peer, config, connection->name);
    return connection;
}

void tern_connection_free(struct tern_connection *connection)
{
    if (connection->descriptor >= 0)
        close(connection->descriptor);
    tern_peer_close(&connection->peer);
    free(connection->left);
    free(connection->url);
    free(connection);
}

static enum tern_flow flow_after_error(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TERN_FLOW_FULL : TERN_FLOW_LOST;
}

enum tern_flow tern_connection_receive(struct tern_connection *connection, uint8_t *scratch, size_t size,
                                       const struct tern_moment *now)
{
    ssize_t got = read(connection->descriptor, scratch, size);
    if (got < 0)
        return flow_after_error() == TERN_FLOW_LOST ? TERN_FLOW_LOST : TERN_FLOW_ON;
    if (got == 0)
        return TERN_FLOW_LOST;
    if (!connection->is_ending)
        tern_peer_take(&connection->peer, scratch, (size_t)got, now);
    return TERN_FLOW_ON;
}

/* Bytes sent, or -1 with errno. */
static ssize_t send_bytes(const struct tern_connection *connection, const uint8_t *data, size_t size)
{
    if (connection->url != NULL)
        return write(connection->descriptor, data, size);
    return send(connection->descriptor, data, size, MSG_NOSIGNAL);
}

static enum tern_flow send_left(struct tern_connection *connection)
{
    while (connection->left_sent < connection->left_size) {
        ssize_t sent = send_bytes(connection, connection->left + connection->left_sent,
                                  connection->left_size - connection->left_sent);
        if (sent <= 0)
            return sent < 0 ? flow_after_error() : TERN_FLOW_FULL;
        connection->left_sent += (size_t)sent;
    }
    free(connection->left);
    connection->left = NULL;
    connection->left_size = connection->left_sent = 0;
    return TERN_FLOW_ON;
}

/* Keeps the end that the link did not take. */
static enum tern_flow keep_left(struct tern_connection *connection, const uint8_t *data, size_t size)
{
    connection->left = malloc(size);
    if (connection->left == NULL)
        return TERN_FLOW_LOST; /* a frame cut in two cannot be mended: let the device come again */
    memcpy(connection->left, data, size);
    connection->left_size = size;
    connection->left_sent = 0;
    return TERN_FLOW_FULL;
}

enum tern_flow tern_connection_send(struct tern_connection *connection, const struct tern_moment *now)
{
    uint8_t buffer[TERN_GIVE_SIZE];
    enum tern_flow flow = send_left(connection);
    while (flow == TERN_FLOW_ON) {
        size_t size = tern_peer_give(&connection->peer, now, buffer, sizeof buffer);
        if (size == 0)
            return TERN_FLOW_ON;
        ssize_t sent = send_bytes(connection, buffer, size);
        if (sent < 0 && flow_after_error() == TERN_FLOW_LOST)
            return TERN_FLOW_LOST;
        size_t done = sent < 0 ? 0 : (size_t)sent;
        if (done < size)
            return keep_left(connection, buffer + done, size - done);
    }
    return flow;
}

static void unlink_deadline(struct tern_connection *connection)
{
    struct tern_deadlines *list = connection->deadlines;
    if (list == NULL)
        return;
    *(connection->before == NULL ? &list->first : &connection->before->after) = connection->after;
    *(connection->after == NULL ? &list->last : &connection->after->before) = connection->before;
    connection->before = connection->after = NULL;
    connection->deadlines = NULL;
}

void tern_connection_wait(struct tern_connection *connection, struct tern_deadlines *deadlines, int64_t now)
{
    unlink_deadline(connection);
    if (deadlines == NULL)
        return;
    connection->deadlines = deadlines;
    connection->since = now;
    connection->before = deadlines->last;
    *(deadlines->last == NULL ? &deadlines->first : &deadlines->last->after) = connection;
    deadlines->last = connection;
}
