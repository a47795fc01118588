/* SPDX-License-Identifier: MIT */
/* tern-gateway import: what becomes of files that came another way. Every record is in the store once, or the
 * command ends with a reason that names what is wrong. */
#include "../test.h"

#include "../../host/tern_host.h"
#include "../fail/fail_command.h"
#include "../fail/fail_each.h"

static char text[400000];

/* What a replay of the store leaves in csv segments, as sorted lines without the tern_id. */
static const char *rows_of(const char *store)
{
    static char lines[20000];
    char command[400];
    fail_off(true);
    snprintf(command, sizeof command, "replay --stage @/%s --sink csv:@/rows", store);
    EXPECT(command, 0, "0 rejected");
    snprintf(command, sizeof command,
             "cat %s/rows/*.csv 2>/dev/null | grep -v '^device' | cut -d, -f1,3- | sort", folder);
    FILE *pipe = popen(command, "r");
    lines[fread(lines, 1, sizeof lines - 1, pipe)] = '\0';
    pclose(pipe);
    folder_clear(folder_path("rows"));
    fail_off(false);
    return lines;
}

static void expect_rows(const char *store, const char *rows, int where)
{
    const char *found = rows_of(store);
    if (!test_check(strcmp(found, rows) == 0, "rows", __FILE__, where))
        printf("    found\n%s    not\n%s", found, rows);
}
#define EXPECT_ROWS(store, rows) expect_rows(store, rows, __LINE__)

/* ---- Files of other tools -------------------------------------------------------------------- */

static void a_schema_file_gives_every_type_and_key(void)
{
    folder_fresh();
    write_file("all.schema",
               "table all\nmode merge\nhash 0\ncolumn a signed(16) key\ncolumn b text(9) key\n"
               "column c unsigned(64)\ncolumn d decimal(3)\ncolumn e float(2) null\ncolumn f boolean\n"
               "column g time_s\ncolumn h time_ms\n");
    write_file("all.csv", "a,b,c,d,e,f,g,h\n-7,x,18446744073709551615,1.250,,1,-5,1700000000123\n"
                          "-7,\"y, z\",0,-0.001,2.50,0,0,0\n");
    EXPECT("import --stage @/sd --schema @/all.schema @/all.csv", 0, "2 rows are in");
    EXPECT_ROWS("sd", "import,put,-7,\"y, z\",0,-0.001,2.50,0,0,0\n"
                      "import,put,-7,x,18446744073709551615,1.250,,1,-5,1700000000123\n");
}

static void a_schema_file_without_a_key_appends_and_knows_the_file_again(void)
{
    folder_fresh();
    write_file("log.schema",
               "table log\nmode append\nhash 0\ncolumn level unsigned(8)\ncolumn line text(9) null\n");
    write_file("log.csv", "level,line\n1,a\n1,a\n2,\n");
    EXPECT("import --stage @/sd --schema @/log.schema @/log.csv", 0,
           "3 rows are in the staging folder, 0 were");
    EXPECT("import --stage @/sd --schema @/log.schema @/log.csv", 0,
           "0 rows are in the staging folder, 3 were");
}

static void what_a_plain_file_cannot_give_is_said(void)
{
    folder_fresh();
    write_file("bytes.schema",
               "table t\nmode merge\nhash 0\ncolumn id unsigned(8) key\ncolumn raw bytes(9)\n");
    write_file("t.csv", "id,raw\n1,00\n");
    EXPECT("import --stage @/sd --schema @/bytes.schema @/t.csv", 1,
           "columns of bytes can only come from a csv segment");
    write_file("t.csv", "id,v\n1,2\n3\n");
    EXPECT("import --stage @/sd --table t --key id @/t.csv", 1, "t.csv");
    CHECK(strstr(complained, "t.csv:3: ") != NULL);
    write_file("t.csv", "id,v\n1,2\n2,x\n");
    EXPECT("import --stage @/sd --table t --key id --types v=u8 @/t.csv", 1, "t.csv:3: column");
    write_file("t.csv", "id,v\n1,2\n,3\n");
    EXPECT("import --stage @/sd --table t --key id @/t.csv", 1, "t.csv:3: column");
    write_file("t.csv", "id,v\n1,2\n");
    EXPECT("import --stage @/sd --table t --key id --device not/one @/t.csv", 1,
           "no device can be called 'not/one'");
    EXPECT("import --stage @/sd --table t --key id --device "
           "12345678901234567890123456789012345678901234567890123456789012345 @/t.csv",
           1, "no device can be called '1234567890");
}

/* A chunk takes some 4,000 bytes. */
static void a_row_longer_than_a_chunk_is_refused_and_the_rest_can_be_had(void)
{
    size_t size = (size_t)snprintf(text, sizeof text, "id,note\n1,short\n2,");
    folder_fresh();
    memset(text + size, 'x', 4095);
    strcpy(text + size + 4095, "\n");
    write_file("long.csv", text);
    EXPECT("import --stage @/sd --table t --key id --types note=text(4095) @/long.csv", 1,
           "longer than a chunk");
    strcpy(text + size + 3500, "\n");
    write_file("long.csv", text);
    EXPECT("import --stage @/sd --table t --key id --types note=text(4095) @/long.csv", 0, "2 rows are in");
}

/* More than is synced at a time. */
static void a_long_file_is_stored_piece_by_piece(void)
{
    size_t size = (size_t)snprintf(text, sizeof text, "id,note\n");
    folder_fresh();
    for (int i = 0; i < 400; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%d,", i);
        memset(text + size, 'a' + i % 26, 900);
        strcpy(text + size + 900, "\n");
        size += 901;
    }
    write_file("long.csv", text);
    EXPECT("import --stage @/sd --table t --key id --device a @/long.csv @/long.csv @/long.csv @/long.csv", 0,
           "1600 rows are in");
    EXPECT("status --stage @/sd --json", 0, "\"first\":1,\"next\":401,\"lost\":0");
}

/* ---- Segments -------------------------------------------------------------------------------- */

#define HEAD   "device,tern_id,tern_op,id,v\n"
#define SCHEMA "table t\nmode merge\nhash 0\ncolumn id unsigned(32) key\ncolumn v signed(32) null\n"

static void begin_segments(void)
{
    folder_fresh();
    mkdir(folder_path("in"), 0700);
    write_file("in/t-00000000.schema", SCHEMA);
}

static void segments_bring_their_records_in_order_and_a_gap_between_them(void)
{
    begin_segments();
    write_file("in/t-00000001-a.csv", HEAD "d,34359738371,put,3,30\nd,34359738369,put,1,10\n");
    write_file("in/t-00000002-a.csv",
               HEAD "e,34359738369,put,9,\nd,34359738377,put,7,70\nd,68719476737,put,8,80\n");
    write_file("in/t-00000003-a.csv", HEAD);
    EXPECT("import --stage @/back @/in/t-00000001-a.csv @/in/t-00000002-a.csv @/in/t-00000003-a.csv", 0,
           "5 rows are in");
    EXPECT("status --stage @/back --json", 0,
           "\"device\":\"d\",\"lane\":0,\"epoch\":8,\"first\":1,\"next\":10,\"lost\":6");
    CHECK(strstr(said, "\"epoch\":16,\"first\":1,\"next\":2,\"lost\":0") != NULL);
    EXPECT_ROWS("back", "d,put,1,10\nd,put,3,30\nd,put,7,70\nd,put,8,80\ne,put,9,\n");
    EXPECT("import --stage @/back @/in/t-00000001-a.csv", 0,
           "0 rows are in the staging folder, 2 were there");
}

/* The store may know a device only by newer records: what is older and was never seen is not mixed with
 * them. */
static void an_epoch_that_the_store_cannot_place_is_refused(void)
{
    begin_segments();
    write_file("in/t-00000001-a.csv", HEAD "d,34359738369,put,1,10\n");
    write_file("in/t-00000002-a.csv", HEAD "d,68719476737,put,8,80\n");
    EXPECT("import --stage @/back @/in/t-00000002-a.csv", 0, "1 rows are in");
    EXPECT("import --stage @/back @/in/t-00000001-a.csv", 1, "does not take the epoch");
    EXPECT_ROWS("back", "d,put,8,80\n");
}

static void values_and_names_of_segments_are_not_trusted(void)
{
    static const struct {
        const char *line, *reason;
    } cases[] = {{"d,34359738369,put,,1\n", "does not fit"},           /* a key without a value */
                 {"d,34359738369,put,4294967296,1\n", "does not fit"}, /* beyond 32 bits */
                 {"d,34359738369,put,1,2147483648\n", "does not fit"},
                 {"d,34359738369,begin,,\n", "does not fit"}, /* no OVERWRITE table */
                 {"../x,34359738369,put,1,1\n", "no device can be called '../x'"},
                 {"a b,34359738369,put,1,1\n", "no device can be called 'a b'"},
                 {"d,9223372036854775807,put,1,1\n", "d"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_segments();
        snprintf(text, sizeof text, "%s%s", HEAD, cases[i].line);
        write_file("in/t-00000001-a.csv", text);
        int status = run("import --stage @/back @/in/t-00000001-a.csv");
        if (!CHECK(status == 1 && strstr(complained, cases[i].reason) != NULL))
            printf("    case %zu: status %d, %s%s\n", i, status, said, complained);
    }
}

/* Two versions of a table, beside schemas of tables whose names begin alike, and of a version that nobody
 * needs. */
static void each_segment_finds_its_own_schema(void)
{
    begin_segments();
    write_file("in/t-00000001.schema",
               "table t\nmode merge\nhash 0\ncolumn id unsigned(32) key\ncolumn w text(5)\n");
    write_file("in/t-00000002.schema", "table t\nmode merge\nhash 0\ncolumn id unsigned(32) key\n");
    write_file("in/tt-00000000.schema", SCHEMA);
    write_file("in/t-1", "");
    write_file("in/t-00000001-a.csv", HEAD "d,34359738369,put,1,10\n");
    write_file("in/t-00000002-a.csv",
               "device,tern_id,tern_op,id,w\nd,34359738370,put,2,new\nd,34359738371,delete,1,\n");
    EXPECT("import --stage @/back @/in/t-00000002-a.csv @/in/t-00000001-a.csv", 0, "3 rows are in");
    EXPECT_ROWS("back", "d,delete,1,\nd,put,1,10\nd,put,2,new\n");
    unlink(folder_path("in/t-00000001.schema"));
    EXPECT("import --stage @/other @/in/t-00000002-a.csv @/in/t-00000001-a.csv", 1,
           "t-00000002-a.csv: no TABLE-HASH.schema");
    write_file("in/t-00000001.schema", "table t\nmode sideways\n");
    EXPECT("import --stage @/other @/in/t-00000002-a.csv", 1, "t-00000002-a.csv: no TABLE-HASH.schema");
}

static void segments_in_the_present_folder_are_found(void)
{
    char before[1000];
    begin_segments();
    write_file("in/t-00000001-a.csv", HEAD "d,34359738369,put,1,10\n");
    if (!CHECK(getcwd(before, sizeof before) != NULL && chdir(folder_path("in")) == 0))
        return;
    EXPECT("import --stage @/back t-00000001-a.csv", 0, "1 rows are in");
    CHECK_EQ(chdir(before), 0);
}

static void a_snapshot_comes_back_whole(void)
{
    folder_fresh();
    mkdir(folder_path("in"), 0700);
    write_file("in/t-00000000.schema",
               "table t\nmode overwrite\nhash 0\ncolumn id unsigned(32) key\ncolumn v signed(32) null\n");
    write_file(
        "in/t-00000001-a.csv",
        HEAD "d,34359738369,begin,,\nd,34359738370,put,1,10\nd,34359738371,put,2,20\nd,34359738372,end,,\n");
    EXPECT("import --stage @/back @/in/t-00000001-a.csv", 0, "4 rows are in");
    EXPECT_ROWS("back", "d,begin,,\nd,end,,\nd,put,1,10\nd,put,2,20\n");
}

/* ---- Under failing calls --------------------------------------------------------------------- */

static const char *line, *rows;
static int ended;

static void prepare(void)
{
    begin_segments();
    write_file("in/t-00000001-a.csv",
               HEAD "d,34359738371,put,3,30\nd,34359738369,put,1,10\ne,34359738369,put,9,\n");
    write_file("plain.csv", "id,v\n1,10\n3,30\n");
}

static void act(void)
{
    ended = run(line);
}

/* It says why, and a second attempt has all of it. */
static void inspect(void)
{
    if (!CHECK(ended == 0 || (ended == 1 && complained[0] != '\0')))
        printf("    status %d, it said: %s%s\n", ended, said, complained);
    if (!CHECK_EQ(run(line), 0))
        printf("    again: %s%s\n", said, complained);
    expect_rows("back", rows, __LINE__);
}

static void each(const char *words, const char *expected)
{
    static const struct {
        const char *name;
        unsigned group;
        enum fail_how how;
    } kinds[] = {{"memory", FAIL_MEMORY, FAIL_ONCE},
                 {"reading", FAIL_READ, FAIL_ONCE},
                 {"writing", FAIL_WRITE, FAIL_ONCE},
                 {"a full disk", FAIL_WRITE, FAIL_ON}};
    line = words;
    rows = expected;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        fail_each(&(struct fail_scenario){kinds[i].name, kinds[i].group, kinds[i].how, true, prepare, act,
                                          inspect});
}

static void segments_are_in_once_whatever_call_failed(void)
{
    each("import --stage @/back @/in/t-00000001-a.csv", "d,put,1,10\nd,put,3,30\ne,put,9,\n");
}

int main(void)
{
    fail_folder(folder);
    RUN(a_schema_file_gives_every_type_and_key);
    RUN(a_schema_file_without_a_key_appends_and_knows_the_file_again);
    RUN(what_a_plain_file_cannot_give_is_said);
    RUN(a_row_longer_than_a_chunk_is_refused_and_the_rest_can_be_had);
    RUN(a_long_file_is_stored_piece_by_piece);
    RUN(segments_bring_their_records_in_order_and_a_gap_between_them);
    RUN(an_epoch_that_the_store_cannot_place_is_refused);
    RUN(values_and_names_of_segments_are_not_trusted);
    RUN(each_segment_finds_its_own_schema);
    RUN(segments_in_the_present_folder_are_found);
    RUN(a_snapshot_comes_back_whole);
    RUN(segments_are_in_once_whatever_call_failed);
    folder_remove();
    return test_report();
}
