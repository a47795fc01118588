/* SPDX-License-Identifier: MIT */
/* The places where devices arrive: listening TCP sockets and serial ports. All descriptors are non-blocking
 * and close on exec. */
#ifndef TERN_LISTEN_H
#define TERN_LISTEN_H

#include "tern_host.h"

#define TERN_ENDPOINT_SIZE 80 /* room for an address as text, NUL included */

enum tern_endpoint { TERN_ENDPOINT_UNKNOWN, TERN_ENDPOINT_TCP, TERN_ENDPOINT_SERIAL };

/* What kind of place a URL names, by its scheme. */
enum tern_endpoint tern_endpoint_kind(const char *url);

/* Listens at `tcp://ADDRESS:PORT`: an IPv4 address, an IPv6 address in brackets, or a name. Sets *descriptor
 * and the real *port. TERN_HOST_E_ARGUMENT, TERN_HOST_E_IN_USE or TERN_HOST_E_SYSTEM after an event that says
 * why. */
int tern_listen_tcp(const char *url, const struct tern_report *report, int *descriptor, uint16_t *port);

/* Takes the next waiting connection: its descriptor, and where it comes from as `tcp://ADDRESS:PORT`. -1 with
 * errno when there is none. */
int tern_listen_accept(int listener, char name[TERN_ENDPOINT_SIZE]);

/* Opens `serial:DEVICE?baud=N` (115200 without) raw, eight bits, no parity, no flow control. */
int tern_serial_open(const char *url, const struct tern_report *report, int *descriptor);

#endif
