/* SPDX-License-Identifier: MIT */
#include "hello.h"

#include <string.h>

#define EPOCH_MAX   0x7FFFFFFFu
#define RECEIVE_MIN 64u
#define LANE_MASK   7u

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool tern_is_identity(const void *name, size_t size)
{
    const uint8_t *id = name;
    if (size == 0 || size > TERN_ID_MAX || !is_alphanumeric(id[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_alphanumeric(id[i]) && id[i] != '.' && id[i] != '_' && id[i] != ':' && id[i] != '-')
            return false;
    return true;
}

static bool is_new_lane(const struct tern_hello *hello, uint8_t lane)
{
    for (size_t i = 0; i < hello->range_count; i++)
        if (hello->ranges[i].lane == lane)
            return false;
    return lane < TERN_LANES_MAX;
}

static bool is_epoch(uint32_t epoch, uint8_t lane)
{
    return epoch != 0 && epoch <= EPOCH_MAX && (epoch & LANE_MASK) == lane;
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
    return value < least ? least : value;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value > most ? most : value;
}

/* The device says what its log holds; what of it is in the range is worked out here. */
static bool read_range(struct tern_input *body, const struct tern_hello *hello,
                       struct tern_hello_range *range)
{
    memset(range, 0, sizeof *range);
    range->lane = tern_read8(body);
    range->epoch = tern_read_varint(body);
    range->base = tern_read_varint(body);
    range->oldest = tern_read_varint(body);
    range->acked = tern_read_varint(body);
    range->next = tern_read_varint(body);
    range->newest = tern_read_varint(body);
    range->store = tern_read64(body);
    bool unknown = range->epoch == 0 && range->newest == 0 && range->base == 0;
    if (unknown)
        range->base = 1;
    if (body->failed || !is_new_lane(hello, range->lane) || range->base == 0 || range->base > range->next ||
        range->newest < range->epoch)
        return false;
    range->oldest = at_most(at_least(range->oldest, range->base), range->next);
    range->acked = at_most(at_least(range->acked, range->base), range->next);
    return unknown || (is_epoch(range->epoch, range->lane) && is_epoch(range->newest, range->lane));
}

enum tern_hello_verdict tern_hello_read(struct tern_input *body, struct tern_hello *hello,
                                        char id[TERN_ID_MAX + 1], uint8_t *reason, const char **text)
{
    memset(hello, 0, sizeof *hello);
    hello->boot = tern_read_varint(body);
    hello->uptime = tern_read_varint64(body);
    hello->receive = tern_read_varint(body);
    hello->nonce = tern_read64(body);
    size_t id_size = tern_read8(body);
    const uint8_t *id_bytes = tern_read_bytes(body, id_size);
    if (body->failed || hello->receive < RECEIVE_MIN)
        return TERN_HELLO_BAD;
    *reason = TERN_REFUSED_IDENTITY;
    *text = TERN_IDENTITY_RULE;
    if (!tern_is_identity(id_bytes, id_size))
        return TERN_HELLO_REFUSE;
    memcpy(id, id_bytes, id_size);
    id[id_size] = '\0';
    hello->id = id;
    for (; body->size != 0; hello->range_count++)
        if (hello->range_count == TERN_LANES_MAX ||
            !read_range(body, hello, &hello->ranges[hello->range_count]))
            return TERN_HELLO_BAD;
    return TERN_HELLO_GOOD;
}
