/* SPDX-License-Identifier: MIT */
/* Sends standard input as it is to 127.0.0.1:PORT, then prints what comes back until the other side closes,
 * five seconds at most. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 5000

static int send_all(int to)
{
    char bytes[4096];
    ssize_t size;
    while ((size = read(STDIN_FILENO, bytes, sizeof bytes)) > 0)
        for (ssize_t sent = 0, now; sent < size; sent += now)
            if ((now = send(to, bytes + sent, (size_t)(size - sent), MSG_NOSIGNAL)) <= 0)
                return -1;
    return shutdown(to, SHUT_WR);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char bytes[4096];
    ssize_t size;
    int to = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 2) {
        fprintf(stderr, "usage: rawsend PORT <BYTES\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    if (to < 0 || connect(to, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("rawsend");
        return 1;
    }
    int sent = send_all(to);
    struct pollfd ready = {to, POLLIN, 0};
    while (poll(&ready, 1, WAIT_MS) == 1 && (size = read(to, bytes, sizeof bytes)) > 0)
        fwrite(bytes, 1, (size_t)size, stdout);
    return sent != 0;
}
