/* SPDX-License-Identifier: MIT */
/* Entries of a journal with a right CRC that say what cannot be: of another tern, of a store put together by
 * hand, of a fault. They are counted and passed over; what is sound is there, and devices go on. And
 * arguments of the store that no device may bring it to. */
#include "../test.h"

#include "../../core/crc32c.h"
#include "../../host/stage_entry.h"
#include "../../host/stage_state.h"
#include "chunks.h"

static struct tern_stage *stage;
static char events[4096];

static void remember(void *context, enum tern_level level, const char *event, const char *fields)
{
    size_t used = strlen(events);
    (void)context;
    if (level >= TERN_WARN && used + strlen(event) + strlen(fields) + 3 < sizeof events)
        snprintf(events + used, sizeof events - used, "%s %s\n", event, fields);
}

static void open_stage(void)
{
    struct tern_stage_config config = {.directory = folder_path("stage"), .report = {remember, NULL}};
    events[0] = '\0';
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
}

/* ---- Entries by hand ------------------------------------------------------------------------- */

static int replay_nothing(void *context, uint64_t position, const uint8_t *body, size_t size)
{
    (void)context, (void)position, (void)body, (void)size;
    return 0;
}

static int keep_nothing(void *context, struct tern_journal_state *state)
{
    (void)context, (void)state;
    return 0;
}

static void append_body(const uint8_t *body, size_t size)
{
    struct tern_journal *journal;
    struct tern_journal_config config = {
        .directory = folder_path("stage"), .replay = replay_nothing, .snapshot = keep_nothing};
    CHECK_EQ(tern_journal_open(&journal, &config), TERN_HOST_OK);
    CHECK(tern_journal_append(journal, body, size) != 0);
    CHECK_EQ(tern_journal_sync(journal), TERN_HOST_OK);
    tern_journal_close(journal);
}

static void append(const struct tern_record *record)
{
    uint8_t body[TERN_JOURNAL_BODY_MAX];
    size_t size = tern_record_encode(record, body);
    CHECK(size != 0);
    append_body(body, size);
}

/* ---- A sound store --------------------------------------------------------------------------- */

static uint32_t epoch;

static void begin(void)
{
    struct chunk_bytes made;
    folder_fresh();
    open_stage();
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 10);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    epoch = range->epoch;
    tern_stage_close(stage);
}

static struct tern_stage_range *meet(const char *id, uint32_t its_epoch)
{
    struct tern_hello hello = {.id = id, .range_count = 1};
    struct tern_stage_range *range = NULL;
    hello.ranges[0] = (struct tern_hello_range){.epoch = its_epoch, .base = 1, .oldest = 1, .next = 1000};
    CHECK_EQ(tern_stage_hello(stage, tern_stage_device(stage, id), &hello, &hello.ranges[0], 1700000000000,
                              &range),
             TERN_HOST_OK);
    return range;
}

/* Records of dev1 that a reader finds, and whether their bytes are. */
static uint32_t read_records(void)
{
    struct tern_stage_reader *reader;
    struct tern_entry entry;
    uint8_t chunk[TERN_CHUNK_MAX];
    uint32_t count = 0;
    CHECK_EQ(tern_stage_reader_open(stage, 0, &reader), TERN_HOST_OK);
    int status;
    while ((status = tern_stage_read(reader, &entry)) == 1)
        if (entry.kind == TERN_ENTRY_CHUNK && strcmp(entry.device, "dev1") == 0 &&
            tern_stage_chunk(reader, &entry, chunk) > 0)
            count += entry.last + 1 - entry.first;
    CHECK_EQ(status, 0);
    tern_stage_reader_close(reader);
    return count;
}

/* What stood before is there, and the device goes on. */
static void expect_sound(bool strange, int where)
{
    struct chunk_bytes made;
    open_stage();
    if (!test_check((strstr(events, "stage-entries-unusable") != NULL) == strange, "an alarm", __FILE__,
                    where))
        printf("    %s\n", events);
    struct tern_stage_range *range = meet("dev1", epoch);
    test_check(range->durable.next == 11, "the device goes on", __FILE__, where);
    chunks_fill(&made, 11, 5);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(range->durable.next, 16);
    CHECK_EQ(read_records(), 15);
    /* No number that was ever given is given again. */
    struct tern_stage_range *other = meet("dev2", 0);
    chunks_schema(stage, other->device, &chunks_table);
    chunks_fill(&made, 1, 5);
    CHECK_EQ(chunks_send(stage, other, &made, 0), TERN_HOST_OK);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    CHECK_EQ(read_records(), 15);
    tern_stage_close(stage);
    open_stage();
    CHECK_EQ(meet("dev1", epoch)->durable.next, 16);
    tern_stage_close(stage);
}

/* ---- What cannot be -------------------------------------------------------------------------- */

static void entries_of_devices_that_nobody_knows_are_passed_over(void)
{
    static const uint8_t kinds[] = {TERN_ENTRY_CHUNK, TERN_ENTRY_GAP, TERN_ENTRY_STATE, TERN_ENTRY_ANCHOR,
                                    TERN_ENTRY_SCHEMA};
    static const uint32_t numbers[] = {1, 77, TERN_STAGE_DEVICES_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof kinds; i++)
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            struct tern_record record = {.kind = kinds[i],
                                         .device = numbers[k],
                                         .epoch = 8,
                                         .base = 1,
                                         .first = 1,
                                         .next = 5,
                                         .run = 5,
                                         .reason = TERN_GAP_OVERFLOW,
                                         .chunk_first = 1};
            begin();
            append(&record);
            expect_sound(true, __LINE__);
        }
}

static void bodies_that_are_no_entries_are_passed_over(void)
{
    static const uint8_t bodies[][8] = {{99, 0, 0, 0},          /* a kind of a later tern */
                                        {TERN_ENTRY_GAP, 0, 0}, /* cut off */
                                        {TERN_ENTRY_ANCHOR, 0, 0, 0, 0, 8, 8, 1} /* lane 8 */};
    static const size_t sizes[] = {4, 3, 8};
    for (size_t i = 0; i < 3; i++) {
        begin();
        append_body(bodies[i], sizes[i]);
        expect_sound(true, __LINE__);
    }
}

static void names_that_no_device_has_are_passed_over(void)
{
    static const char long_name[] = "a_name_of_more_than_thirty_two_letters";
    struct tern_record record = {.kind = TERN_ENTRY_DEVICE, .device = 1};
    begin();
    append(&record);
    expect_sound(true, __LINE__);
    begin();
    record.data = (const uint8_t *)long_name;
    record.size = sizeof long_name - 1;
    append(&record);
    expect_sound(true, __LINE__);
    /* The number of another device, and another number for a device that has one. */
    begin();
    record.size = 5;
    record.device = 0;
    append(&record);
    expect_sound(true, __LINE__);
    begin();
    record.data = (const uint8_t *)"dev1";
    record.size = 4;
    record.device = 5;
    append(&record);
    expect_sound(true, __LINE__);
}

static void schemas_that_are_none_are_passed_over(void)
{
    static const uint8_t bytes[] = {1, 2, 3, 4};
    struct tern_record record = {.kind = TERN_ENTRY_SCHEMA, .data = bytes, .size = sizeof bytes};
    begin();
    append(&record); /* another hash */
    expect_sound(true, __LINE__);
    begin();
    record.hash = tern_crc32c(0, bytes, sizeof bytes);
    append(&record);
    expect_sound(true, __LINE__);
}

/* A chunk's middle without its head, and bytes that are no chunk: forgotten, and sent again from the head. */
static void chunks_without_their_beginning_are_forgotten(void)
{
    static const uint8_t bytes[20] = {7};
    struct tern_record record = {.kind = TERN_ENTRY_CHUNK,
                                 .device = 0,
                                 .base = 1,
                                 .first = 11,
                                 .next = 11,
                                 .run = 11,
                                 .chunk_first = 11,
                                 .data = bytes,
                                 .size = sizeof bytes};
    for (uint32_t offset = 0; offset < 60; offset += 30) {
        begin();
        record.epoch = epoch;
        record.chunk_offset = offset;
        append(&record);
        open_stage();
        struct tern_stage_range *range = meet("dev1", epoch);
        CHECK(range->durable.next == 11 && range->durable.offset == 0);
        tern_stage_close(stage);
        expect_sound(false, __LINE__);
    }
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void what_no_device_may_say_is_refused_and_changes_nothing(void)
{
    static uint8_t bytes[TERN_SCHEMA_MAX + 1];
    uint32_t want;
    bool done;
    begin();
    open_stage();
    struct tern_stage_range *range = meet("dev1", epoch);
    const struct tern_stage_position before = range->taken;
    CHECK_EQ(tern_stage_part(stage, range, 0, 0, bytes, 10, &want), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_part(stage, range, 11, TERN_CHUNK_MAX + 1, bytes, 0, &want), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_part(stage, range, 11, TERN_CHUNK_MAX, bytes, 1, &want), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_part(stage, range, 11, 1, bytes, SIZE_MAX, &want), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_gap(stage, range, 0, 20, TERN_GAP_OVERFLOW), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_gap(stage, range, 12, 11, TERN_GAP_OVERFLOW), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_gap(stage, range, 11, UINT32_MAX, TERN_GAP_OVERFLOW), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_gap(stage, range, 11, 20, 0), TERN_HOST_E_PROTOCOL);
    CHECK(memcmp(&before, &range->taken, sizeof before) == 0);
    struct tern_device *device = range->device;
    CHECK_EQ(tern_stage_schema(stage, device, 5, TERN_SCHEMA_MAX + 1, bytes, 0, &done), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_schema(stage, device, 5, 0, bytes, TERN_SCHEMA_MAX + 1, &done), TERN_HOST_E_PROTOCOL);
    CHECK_EQ(tern_stage_schema(stage, device, 5, TERN_SCHEMA_MAX, bytes, 1, &done), TERN_HOST_E_PROTOCOL);
    tern_stage_close(stage);
    expect_sound(false, __LINE__);
}

/* Pieces in any order: the ones ahead and the ones again are left. One that is full and still no schema ends
 * it. */
static void a_schema_comes_in_pieces(void)
{
    static uint8_t bytes[TERN_SCHEMA_MAX];
    struct tern_output output = {bytes, 0, sizeof bytes, false};
    bool done;
    begin();
    open_stage();
    struct tern_device *device = meet("dev3", 0)->device;
    tern_schema_encode(&chunks_table, chunks_collect, &output);
    uint32_t hash = tern_schema_hash(&chunks_table);
    CHECK_EQ(tern_stage_schema(stage, device, hash, 5, bytes + 5, 5, &done), TERN_HOST_OK);
    CHECK(!done);
    CHECK_EQ(tern_stage_schema(stage, device, hash, 0, bytes, 10, &done), TERN_HOST_OK);
    CHECK(!done);
    CHECK_EQ(tern_stage_schema(stage, device, hash, 2, bytes + 2, 4, &done), TERN_HOST_OK);
    CHECK_EQ(tern_stage_schema(stage, device, hash, 8, bytes + 8, output.size - 8, &done), TERN_HOST_OK);
    CHECK(done && tern_stage_find_schema(stage, "dev3", hash) != NULL);
    /* Once more it is known; under another hash it is not taken. */
    CHECK_EQ(tern_stage_schema(stage, device, hash, 0, bytes, output.size, &done), TERN_HOST_OK);
    CHECK(done);
    CHECK_EQ(tern_stage_schema(stage, device, hash ^ 1, 0, bytes, output.size, &done), TERN_HOST_E_PROTOCOL);
    CHECK(!done);
    memset(bytes, 0xFF, sizeof bytes);
    CHECK_EQ(tern_stage_schema(stage, device, 9, 0, bytes, sizeof bytes, &done), TERN_HOST_E_PROTOCOL);
    tern_stage_close(stage);
}

int main(void)
{
    RUN(entries_of_devices_that_nobody_knows_are_passed_over);
    RUN(bodies_that_are_no_entries_are_passed_over);
    RUN(names_that_no_device_has_are_passed_over);
    RUN(schemas_that_are_none_are_passed_over);
    RUN(chunks_without_their_beginning_are_forgotten);
    RUN(what_no_device_may_say_is_refused_and_changes_nothing);
    RUN(a_schema_comes_in_pieces);
    folder_remove();
    return test_report();
}
