/* SPDX-License-Identifier: MIT */
/* What destinations lack and only a device may have: which of it each range is asked for. */
#include "../test.h"

#include "chunks.h"

#define EPOCH 800

static struct tern_stage *stage;

static void fresh(void)
{
    folder_fresh();
    struct tern_stage_config config = {.directory = folder};
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

/* A device with a hundred durable records, from `base` on, of an epoch that begins there. */
static struct tern_stage_range *hundred(const char *id, uint32_t epoch, uint32_t base)
{
    struct tern_hello hello = {.id = id, .range_count = 1};
    struct tern_device *device = tern_stage_device(stage, id);
    struct tern_stage_range *range = NULL;
    struct chunk_bytes made;
    hello.ranges[0] = (struct tern_hello_range){.epoch = epoch, .base = base, .oldest = base, .next = base};
    CHECK_EQ(chunks_schema(stage, device, &chunks_table), TERN_HOST_OK);
    CHECK_EQ(tern_stage_hello(stage, device, &hello, &hello.ranges[0], 0, &range), TERN_HOST_OK);
    for (uint32_t i = 0; i < 10; i++) {
        chunks_fill(&made, base + 10 * i, 10);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    }
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    return range;
}

static void want(const char *device, uint32_t epoch, uint32_t first, uint32_t last)
{
    const struct tern_stage_want lacking = {0, epoch, first, last, 0, UINT64_MAX};
    tern_stage_want(stage, device, &lacking);
}

/* They are told before the device comes: each gets its own, and one request for what several destinations
 * lack. */
static void devices_that_were_never_here_are_asked_for_their_own_records(void)
{
    fresh();
    want("dev1", EPOCH, 30, 40);
    want("dev2", EPOCH, 50, 60);
    want("dev1", EPOCH + 8, 70, 75);
    want("dev1", EPOCH, 10, 20);
    struct tern_stage_range *range = hundred("dev1", EPOCH, 1);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 10);
    CHECK(!tern_stage_go_back(stage, range, 0));
    range = hundred("dev1", EPOCH + 8, 1);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 70);
    range = hundred("dev2", EPOCH, 1);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 50);
    range = hundred("dev3", EPOCH, 1);
    CHECK(!tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 101);
    tern_stage_close(stage);
}

/* Records below an epoch's base are another epoch's, and those behind the last come anyway. */
static void a_range_goes_no_further_back_than_its_base_and_never_forward(void)
{
    fresh();
    struct tern_stage_range *range = hundred("dev1", EPOCH, 50);
    want("dev1", EPOCH, 1, 49);
    CHECK(!tern_stage_go_back(stage, range, 0));
    want("dev1", EPOCH, 150, 200);
    CHECK(!tern_stage_go_back(stage, range, 0));
    want("dev1", EPOCH, 400, 500);
    CHECK(!tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 150);
    want("dev1", EPOCH, 1, 60);
    CHECK(tern_stage_go_back(stage, range, 0));
    CHECK_EQ(range->durable.next, 50);
    tern_stage_close(stage);
}

/* A second destination lacks more than the first while records come again: the device is not sent back, it
 * goes on for longer. */
static void what_is_lacking_behind_what_comes_again_is_waited_for(void)
{
    struct chunk_bytes made;
    fresh();
    struct tern_stage_range *range = hundred("dev1", EPOCH, 1);
    want("dev1", EPOCH, 11, 20);
    CHECK(tern_stage_go_back(stage, range, 0));
    want("dev1", EPOCH, 15, 40);
    CHECK(!tern_stage_go_back(stage, range, 0));
    for (uint32_t first = 11; first <= 31; first += 10) {
        CHECK_EQ(range->taken.next, first);
        chunks_fill(&made, first, 10);
        CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
    CHECK_EQ(range->taken.next, 101);
    tern_stage_close(stage);
}

int main(void)
{
    RUN(devices_that_were_never_here_are_asked_for_their_own_records);
    RUN(a_range_goes_no_further_back_than_its_base_and_never_forward);
    RUN(what_is_lacking_behind_what_comes_again_is_waited_for);
    folder_remove();
    return test_report();
}
