/* SPDX-License-Identifier: MIT */
/* Which connection a device's newest session is on: a hash table of connections by the device that they have
 * claimed. */
#ifndef TERN_CLAIMS_H
#define TERN_CLAIMS_H

#include "connection.h"

struct tern_claims {
    struct tern_connection **buckets;
    size_t count; /* a power of two */
};

/* Makes room for `connections`; more only make it slower. False: memory is out. */
bool tern_claims_open(struct tern_claims *claims, size_t connections);
void tern_claims_close(struct tern_claims *claims);

/* The connection that has claimed the device, or NULL. */
struct tern_connection *tern_claims_find(const struct tern_claims *claims, const struct tern_device *device);

/* The connection, which has no claim, claims a device that nobody has claimed. */
void tern_claims_add(struct tern_claims *claims, struct tern_connection *connection,
                     struct tern_device *device);

/* The connection claims nothing any more. */
void tern_claims_drop(struct tern_claims *claims, struct tern_connection *connection);

#endif
