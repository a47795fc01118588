/* SPDX-License-Identifier: MIT */
#include "claims.h"

#include <stdlib.h>

#define BUCKETS_MIN            16
#define CONNECTIONS_PER_BUCKET 2

bool tern_claims_open(struct tern_claims *claims, size_t connections)
{
    claims->count = BUCKETS_MIN;
    while (claims->count < connections / CONNECTIONS_PER_BUCKET)
        claims->count *= 2;
    claims->buckets = calloc(claims->count, sizeof(struct tern_connection *));
    return claims->buckets != NULL;
}

void tern_claims_close(struct tern_claims *claims)
{
    free(claims->buckets);
    claims->buckets = NULL;
}

/* Fibonacci hashing: the low bits of an address are alike, the high bits of the product are not. */
static struct tern_connection **bucket_of(const struct tern_claims *claims, const struct tern_device *device)
{
    uint64_t hash = (uint64_t)(uintptr_t)device * 0x9E3779B97F4A7C15u;
    return &claims->buckets[(hash >> 32) & (claims->count - 1)];
}

struct tern_connection *tern_claims_find(const struct tern_claims *claims, const struct tern_device *device)
{
    struct tern_connection *holder = *bucket_of(claims, device);
    while (holder != NULL && holder->claimed != device)
        holder = holder->next_of_bucket;
    return holder;
}

void tern_claims_add(struct tern_claims *claims, struct tern_connection *connection,
                     struct tern_device *device)
{
    struct tern_connection **bucket = bucket_of(claims, device);
    connection->claimed = device;
    connection->next_of_bucket = *bucket;
    *bucket = connection;
}

void tern_claims_drop(struct tern_claims *claims, struct tern_connection *connection)
{
    if (connection->claimed == NULL)
        return;
    struct tern_connection **at = bucket_of(claims, connection->claimed);
    while (*at != connection)
        at = &(*at)->next_of_bucket;
    *at = connection->next_of_bucket;
    connection->claimed = NULL;
}
