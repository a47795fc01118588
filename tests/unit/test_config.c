/* SPDX-License-Identifier: MIT */
/* tern_config_check(): what a config must hold, each field wrong by itself. */
#include "../test.h"

#include <string.h>

#include "../../core/tern.h"

static uint8_t chunk[512], frame[400];
static uint64_t models[16];
static struct tern_lane lanes[2];
static const struct tern_flash flash = {.sector_size = 1024, .sector_count = 4};
static const struct tern_clock ticks = {0};
static struct tern_link line;
static struct tern_config config;

static void setup(void)
{
    memset(&line, 0, sizeof line);
    for (int i = 0; i < 2; i++)
        lanes[i] = (struct tern_lane){.flash = &flash, .chunk_data = chunk, .chunk_size = sizeof chunk};
    config = (struct tern_config){.id = "dev1",
                                  .lanes = lanes,
                                  .lane_count = 2,
                                  .link = &line,
                                  .clock = &ticks,
                                  .frame = frame,
                                  .frame_size = sizeof frame};
}

static void check_refused(void)
{
    CHECK_EQ(tern_config_check(&config), TERN_E_ARGUMENT);
    setup();
}

static void a_whole_config_passes(void)
{
    setup();
    CHECK_EQ(tern_config_check(&config), TERN_OK);
    lanes[1].models = models;
    lanes[1].models_size = sizeof models;
    line.datagram = TERN_HELLO_SIZE(4, 2);
    CHECK_EQ(tern_config_check(&config), TERN_OK);
    config = (struct tern_config){.id = "store-only", .lanes = lanes, .lane_count = 1};
    CHECK_EQ(tern_config_check(&config), TERN_OK);
}

static void an_identity_keeps_to_its_grammar(void)
{
    static const char *const bad[] = {
        "",  ".a", ":a", "-a", "_a", "a b", "a/b", "a\n", "a\"", "`",  "{",
        "@", "[",  "/",  "a`", "a{", "a@",  "a[",  "a;",  "a,",  "a^", "abcdefghijklmnopqrstuvwxyz0123456"};
    static const char *const good[] = {"a",
                                       "z",
                                       "A",
                                       "Z",
                                       "0",
                                       "9",
                                       "aa",
                                       "az",
                                       "aA",
                                       "aZ",
                                       "a0",
                                       "a9",
                                       "a.",
                                       "a_",
                                       "a:",
                                       "a-",
                                       "0a",
                                       "Za",
                                       "abcdefghijklmnopqrstuvwxyz.12:45"};
    setup();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        config.id = good[i];
        CHECK_EQ(tern_config_check(&config), TERN_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config.id = bad[i];
        check_refused();
    }
    config.id = NULL;
    check_refused();
}

/* Each bound itself is allowed, in both directions. */
static void the_least_and_the_most_are_allowed(void)
{
    static struct tern_lane many[TERN_LANES_MAX + 1];
    setup();
    for (int i = 0; i <= TERN_LANES_MAX; i++)
        many[i] = lanes[0];
    config.lanes = many;
    config.lane_count = TERN_LANES_MAX;
    config.frame_size = TERN_HELLO_SIZE(4, TERN_LANES_MAX) + TERN_FRAME_EXTRA;
    many[0].chunk_size = TERN_CHUNK_MIN;
    many[1].chunk_size = TERN_CHUNK_MAX;
    many[2].overflow = TERN_WAIT;
    CHECK_EQ(tern_config_check(&config), TERN_OK);
    config.frame_size = TERN_FRAME_SIZE_MAX;
    config.lane_count = 1;
    CHECK_EQ(tern_config_check(&config), TERN_OK);
    config.id = "a";
    config.frame_size = TERN_FRAME_SIZE_MIN;
    CHECK_EQ(tern_config_check(&config), TERN_OK);
    config.frame_size = TERN_FRAME_SIZE_MAX;
    config.lane_count = TERN_LANES_MAX + 1;
    CHECK_EQ(tern_config_check(&config), TERN_E_ARGUMENT);
    config.lane_count = TERN_LANES_MAX;
    many[TERN_LANES_MAX - 1].chunk_size = TERN_CHUNK_MIN - 1; /* the last is looked at as well */
    check_refused();
}

static void a_field_that_is_missing_or_out_of_range_is_refused(void)
{
    setup();
    config.lanes = NULL;
    check_refused();
    config.lane_count = 0;
    check_refused();
    config.lane_count = 9;
    check_refused();
    config.clock = NULL;
    check_refused();
    config.frame = NULL;
    check_refused();
    config.lane_count = 1;
    config.id = "a";
    config.frame_size = TERN_FRAME_SIZE_MIN - 1;
    check_refused();
    config.frame_size = TERN_HELLO_SIZE(4, 2) + TERN_FRAME_EXTRA - 1;
    check_refused();
    config.frame_size = TERN_FRAME_SIZE_MAX + 1;
    check_refused();
    line.datagram = TERN_HELLO_SIZE(4, 2) - 1;
    check_refused();
}

static void a_lane_is_looked_at_too(void)
{
    setup();
    lanes[1].flash = NULL;
    check_refused();
    lanes[1].chunk_data = NULL;
    check_refused();
    lanes[1].chunk_size = TERN_CHUNK_MIN - 1;
    check_refused();
    lanes[1].chunk_size = TERN_CHUNK_MAX + 1;
    check_refused();
    lanes[1].overflow = TERN_WAIT + 1;
    check_refused();
    lanes[1].models_size = 8;
    check_refused();
    lanes[1].models_size = 8;
    lanes[1].models = (uint8_t *)models + 1;
    check_refused();
}

int main(void)
{
    RUN(a_whole_config_passes);
    RUN(an_identity_keeps_to_its_grammar);
    RUN(the_least_and_the_most_are_allowed);
    RUN(a_field_that_is_missing_or_out_of_range_is_refused);
    RUN(a_lane_is_looked_at_too);
    return test_report();
}
