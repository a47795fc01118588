/* SPDX-License-Identifier: MIT */
#include "hello.h"

#include <string.h>

#define RANGES_MAX     (sizeof((struct tern_hello *)0)->ranges / sizeof(struct tern_hello_range))
#define EPOCH_MAX      0x7FFFFFFFu
#define RECEIVE_MIN    64u
#define LANE_MASK      7u
#define LANE_HAS_ACKED 0x80u

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_identity(const uint8_t *id, size_t size)
{
    if (size == 0 || size > TERN_ID_MAX || !is_alphanumeric(id[0]))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_alphanumeric(id[i]) && id[i] != '.' && id[i] != '_' && id[i] != ':' && id[i] != '-')
            return false;
    return true;
}

/* A lane's ranges must come in order, so that the index is the lane's count so far. */
static bool is_next_of_lane(const struct tern_hello *hello, const struct tern_hello_range *range)
{
    uint8_t count = 0;
    for (size_t i = 0; i < hello->range_count; i++)
        if (hello->ranges[i].lane == range->lane)
            count++;
    return range->index == count;
}

static bool read_range(struct tern_input *body, const struct tern_hello *hello,
                       struct tern_hello_range *range)
{
    uint8_t lane = tern_read8(body);
    memset(range, 0, sizeof *range);
    range->lane = lane & LANE_MASK;
    range->index = (uint8_t)((lane & ~LANE_HAS_ACKED) >> 3);
    range->epoch = tern_read_varint(body);
    range->base = tern_read_varint(body);
    range->oldest = tern_read_varint(body);
    range->next = tern_read_varint(body);
    if (lane & LANE_HAS_ACKED) {
        range->acked = tern_read_varint(body);
        range->store = tern_read64(body);
    }
    return !body->failed && is_next_of_lane(hello, range) && range->epoch <= EPOCH_MAX &&
           (range->epoch == 0 || (range->epoch & LANE_MASK) == range->lane) && range->base != 0 &&
           range->base <= range->oldest && range->oldest <= range->next && range->acked <= range->next;
}

enum tern_hello_verdict tern_hello_read(struct tern_input *body, struct tern_hello *hello,
                                        char id[TERN_ID_MAX + 1], uint8_t *reason, const char **text)
{
    uint8_t flags = tern_read8(body);
    memset(hello, 0, sizeof *hello);
    hello->nonce = tern_read64(body);
    hello->receive = tern_read_varint(body);
    hello->boot = tern_read_varint(body);
    hello->uptime = tern_read_varint64(body);
    size_t id_size = tern_read8(body);
    const uint8_t *id_bytes = tern_read_bytes(body, id_size);
    if (body->failed || flags != 0 || hello->receive < 64)
        return TERN_HELLO_BAD;
    *reason = TERN_REFUSED_IDENTITY;
    *text = "id must be 1 to 32 of [A-Za-z0-9._:-]";
    if (!is_identity(id_bytes, id_size))
        return TERN_HELLO_REFUSE;
    memcpy(id, id_bytes, id_size);
    id[id_size] = '\0';
    hello->id = id;
    *reason = TERN_REFUSED_LIMIT;
    *text = "more than 16 ranges";
    for (; body->size != 0; hello->range_count++) {
        if (hello->range_count == RANGES_MAX)
            return TERN_HELLO_REFUSE;
        if (!read_range(body, hello, &hello->ranges[hello->range_count]))
            return TERN_HELLO_BAD;
    }
    return TERN_HELLO_GOOD;
}
