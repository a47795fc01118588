/* SPDX-License-Identifier: MIT */
/* The commands of tern-gateway: what each says to words and files that cannot be right, and to any call that
 * fails under it. A command ends with status 0 and has done all of its work, or with another one and a
 * reason. */
#include "../test.h"

#include "../../host/import.h"
#include "../../host/journal.h"
#include "../fail/fail_each.h"

#define WAIT 20000

static const struct tern_report report;
#include "../fail/fail_command.h"
#include "../fail/fail_rig.h"

/* ---- What is there --------------------------------------------------------------------------- */

static const char trigger[] =
    "CREATE TABLE climate(device TEXT NOT NULL, tern_id INTEGER NOT NULL, at INTEGER NOT NULL, celsius "
    "NUMERIC, "
    "note TEXT, PRIMARY KEY(device, at)) WITHOUT ROWID; CREATE TRIGGER no BEFORE INSERT ON climate WHEN "
    "NEW.note='poison' BEGIN SELECT RAISE(ABORT,'no'); END";

static void drain(const char *to)
{
    char url[200];
    struct tern_import *import;
    struct tern_import_config config = {.segment_bytes = 400};
    snprintf(url, sizeof url, "%s%s", strstr(to, ".db") != NULL ? "sqlite:" : "csv:", folder_path(to));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    tern_import_close(import);
}

/* A store with records of all kinds, brought into a database that refuses some, and into segments. */
static void prepare(void)
{
    folder_fresh();
    setenv("TMPDIR", folder, 1);
    execute(trigger);
    fill_store(true);
    drain("out.db");
    drain("out");
    tern_stage_close(stage);
    write_file("room.csv", "at,celsius,note\n1,2.5,a\n2,3.5,\"b \"\"c\"\"\"\n3,4.5,\n");
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void every_command_shows_its_options_and_needs_a_folder(void)
{
    static const char *const names[] = {"status", "sinks", "replay", "rejects",
                                        "ddl",    "check", "import", "audit"};
    char line[100];
    folder_fresh();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(line, sizeof line, "%s --help", names[i]);
        EXPECT(line, 0, "--stage");
        EXPECT(names[i], 2, "--stage DIR is missing");
        snprintf(line, sizeof line, "%s --stage @/none --config @/none", names[i]);
        EXPECT(line, 1, "cannot read");
        snprintf(line, sizeof line, "%s --stage @/none --nonsense", names[i]);
        EXPECT(line, 2, "nonsense");
    }
}

static void what_is_missing_is_said(void)
{
    prepare();
    EXPECT("replay --stage @/stage", 2, "--sink");
    EXPECT("audit --stage @/stage", 2, "--sink");
    EXPECT("ddl --stage @/stage", 2, "--sink");
    EXPECT("check --stage @/stage", 2, "--sink");
    EXPECT("rejects --stage @/stage --sink sqlite:@/out.db", 2, "--retry");
    EXPECT("rejects --stage @/stage --retry", 2, "--sink");
    EXPECT("import --stage @/sd", 2, "");
    EXPECT("import --stage @/sd @/room.csv", 1, "--table NAME");
    EXPECT("import --stage @/sd --table room @/room.csv", 1, "--key COLUMNS");
    EXPECT("import --stage @/sd --table room --key at @/nothing.csv", 1, "nothing.csv");
    EXPECT("import --stage @/sd --schema @/nothing.schema @/room.csv", 1, "nothing.schema");
    EXPECT("import --stage @/no/parent --table room --key at @/room.csv", 1, "parent");
    EXPECT("status --stage @/nothing", 1, "staging folder");
    EXPECT("audit --stage @/nothing --sink csv:@/out", 1, "staging folder");
    EXPECT("rejects --stage @/nothing --retry --sink sqlite:@/out.db", 1, "staging folder");
}

/* The folder is not made, and a table that somebody has made by hand is none of tern's. */
static void ddl_and_check_need_no_staging_folder_yet(void)
{
    static const char with_folder[] = "check --stage @ --sink sqlite:@/out.db";
    folder_fresh();
    EXPECT("check --stage @/none --sink sqlite:@/out.db --sink csv:@/out", 0, "/none: will be made");
    CHECK(strstr(said, "good connection to sqlite:") != NULL &&
          strstr(said, "good table tern's own") != NULL);
    EXPECT("check --stage @/none --sink sqlite:@/out.db --ddl off", 1, "");
    CHECK(strstr(said, "bad  table tern's own: is missing") != NULL);
    EXPECT("check --stage @/none/stage --sink sqlite:@/out.db", 1, "");
    CHECK(strstr(said, "bad  staging folder") != NULL && strstr(said, "its parent must exist") != NULL);
    CHECK(strstr(said, "good connection to sqlite:") != NULL);
    EXPECT("ddl --stage @/none --sink sqlite:@/out.db", 0, "-- the staging folder holds no store yet");
    CHECK(strstr(said, "CREATE TABLE IF NOT EXISTS \"tern_checkpoint\"") != NULL && complained[0] == '\0');
    execute(said);
    EXPECT("check --stage @/none --sink sqlite:@/out.db --ddl off", 0, "good table tern's own");
    CHECK(access(folder_path("none"), F_OK) != 0);
    EXPECT(with_folder, 0, ": holds no store, so");
    write_file("journal-00000001.tern", "");
    EXPECT(with_folder, 1, "the store file is missing");
}

static void words_that_cannot_be_right_are_said(void)
{
    prepare();
    EXPECT("audit --stage @/stage --sink ftp:x", 2, "");
    EXPECT("audit --stage @/stage --sink csv:@/out --first x", 2, "--first must be a tern_id");
    EXPECT("audit --stage @/stage --sink csv:@/out --first 8:", 2, "--first must be a tern_id");
    EXPECT("audit --stage @/stage --sink csv:@/out --last 8:9x", 2, "--last must be a tern_id");
    EXPECT("audit --stage @/stage --sink csv:@/out --last -3", 2, "--last must be a tern_id");
    EXPECT("audit --stage @/stage --sink csv:@/out --since soon", 2, "--since must be a time");
    EXPECT("audit --stage @/stage --sink csv:@/out --until 2026-13-01", 2, "--until must be a time");
    EXPECT("replay --stage @/stage --sink csv:@/o --until soon", 2, "--until must be a time");
    EXPECT("rejects --stage @/stage --retry --sink sqlite:@/out.db --name nonsense", 2, "");
    EXPECT("sinks --stage @/stage --pause nonsense:x", 1, "nonsense");
    EXPECT("sinks --stage @/stage --forget sqlite:@/never.db", 1, "never.db");
}

/* ---- Doing their work ------------------------------------------------------------------------ */

static void an_audit_tells_held_older_and_differing_rows(void)
{
    prepare();
    EXPECT("audit --stage @/stage --sink csv:@/out", 0, "differences");
    CHECK(strstr(said, " 0 differences") != NULL);
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db", 0, " 0 differences");
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db --device nobody", 0, "0 rows compared");
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db --first 8:1 --last 8:9", 0, " 0 differences");
    execute("UPDATE log SET line='another'; DELETE FROM counters; INSERT INTO climate(device, tern_id, at) "
            "VALUES('dev1', 34359738371, 77), ('dev9', 5, 78), ('dev1', 34359748371, 79)");
    int status = run("audit --stage @/stage --sink sqlite:@/out.db");
    CHECK_EQ(status, 1);
    CHECK(strstr(said, "log: the row of dev1") != NULL && strstr(said, "has other values") != NULL);
    CHECK(strstr(said, "counters: the row of dev1") != NULL && strstr(said, "is missing") != NULL);
    CHECK(strstr(said, "climate: the row of dev") != NULL);
}

/* With the options that the gateway had, tables are found by their own names, and deleted rows are no
 * difference. */
static void an_audit_knows_names_and_soft_deletes(void)
{
    static const struct tern_sink_name names[] = {{"climate", "Room\"1\""}, {"climate.celsius", "t"}};
    static const char style[] = "audit --stage @/stage --sink sqlite:@/out.db --delete soft --name "
                                "climate=Room\"1\" --name climate.celsius=t";
    static struct chunk_bytes made;
    struct tern_import *import;
    struct tern_import_config config = {.soft_delete = true, .names = names, .name_count = 2};
    struct tern_value key[1] = {tern_int(2)};
    char url[200];
    folder_fresh();
    struct tern_stage_config staging = {.directory = folder_path("stage")};
    setenv("TMPDIR", folder, 1);
    CHECK_EQ(tern_stage_open(&stage, &staging), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    chunks_fill(&made, 1, 5);
    CHECK_EQ(chunks_send(stage, range, &made, 0), TERN_HOST_OK);
    chunks_open(&made, 6);
    CHECK_EQ(tern_chunk_put(&made.chunk, &chunks_table, TERN_OP_DELETE, key), TERN_OK);
    finish(&made, range, true, false);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    snprintf(url, sizeof url, "sqlite:%s", folder_path("out.db"));
    CHECK_EQ(tern_import_open(&import, stage, url, &config), TERN_HOST_OK);
    CHECK_EQ(tern_import_drain(import, WAIT), TERN_HOST_OK);
    tern_import_close(import);
    tern_stage_close(stage);
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db", 1, "");
    CHECK(strstr(complained, "climate") != NULL);
    EXPECT(style, 0, "climate: 5 rows by the journal");
    CHECK(strstr(said, "5 rows compared, 0 differences") != NULL);
    execute("UPDATE \"Room\"\"1\"\"\" SET t=1 WHERE at=3; DELETE FROM \"Room\"\"1\"\"\" WHERE at=2");
    CHECK_EQ(run(style), 1);
    CHECK(strstr(said, "5 rows compared, 2 differences") != NULL);
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db --name climate", 2, "");
}

/* Some hundred records of dev1, of which the journal has the newest alone. */
static void prepare_trimmed(void)
{
    static struct chunk_bytes made;
    struct tern_journal_limits limits = {.bytes = 1};
    folder_fresh();
    struct tern_stage_config config = {.directory = folder_path("stage"), .file_bytes = 1500};
    setenv("TMPDIR", folder, 1);
    CHECK_EQ(tern_stage_open(&stage, &config), TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev1");
    CHECK_EQ(chunks_schema(stage, range->device, &counters), TERN_HOST_OK);
    for (uint32_t i = 0; i < 40; i++) {
        chunks_open(&made, 1 + 3 * i);
        chunks_put(&made, &chunks_table, i, "n");
        chunks_put(&made, &chunks_table, 1000 + i, "n");
        put(&made, &counters, TERN_OP_PUT, tern_int(i % 4), tern_int(1), tern_null(), tern_null());
        finish(&made, range, true, false);
        CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    }
    drain("out.db");
    limits.position = tern_stage_end(stage);
    CHECK(tern_stage_trim(stage, &limits) != 0);
    tern_stage_close(stage);
}

/* What the journal no longer has is not called a difference, and what rules made of it neither; what it has
 * is. */
static void an_audit_passes_over_what_the_journal_no_longer_has(void)
{
    prepare_trimmed();
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db", 0, " 0 differences");
    CHECK(strstr(said, "climate: ") != NULL &&
          strstr(said, " older rows than the journal has were not compared)") != NULL);
    execute("UPDATE climate SET note='other' WHERE at IN (0, 1039); DELETE FROM counters WHERE id=3");
    CHECK_EQ(run("audit --stage @/stage --sink sqlite:@/out.db"), 1);
    CHECK(strstr(said, "record 119) has other values") != NULL &&
          strstr(said, "counters: the row of dev1") != NULL);
    CHECK(strstr(said, " 2 differences") != NULL);
    EXPECT("status --stage @/stage", 0, "dev1");
}

/* The reference cannot be given what no destination takes: the audit does not end as if all was compared. */
static void an_audit_tells_of_ranges_that_cannot_be_brought_in(void)
{
    static struct chunk_bytes made;
    prepare();
    CHECK_EQ(tern_stage_open(&stage, &(struct tern_stage_config){.directory = folder_path("stage")}),
             TERN_HOST_OK);
    struct tern_stage_range *range = chunks_device(stage, "dev7");
    static const struct tern_column columns[] = {{"n", TERN_U8, TERN_MAX}};
    static const struct tern_table table = TERN_TABLE("marks", TERN_APPEND, columns);
    CHECK_EQ(chunks_schema(stage, range->device, &table), TERN_HOST_OK);
    chunks_open(&made, 1);
    put(&made, &table, TERN_OP_PUT, tern_int(1), tern_null(), tern_null(), tern_null());
    finish(&made, range, true, false);
    CHECK_EQ(tern_stage_sync(stage), TERN_HOST_OK);
    drain("out.db");
    tern_stage_close(stage);
    int status = run("audit --stage @/stage --sink sqlite:@/out.db");
    if (!CHECK(status == 1 &&
               strstr(said, " 0 differences; 1 ranges cannot be brought in and were not compared") != NULL))
        printf("    status %d, %s%s\n", status, said, complained);
}

static void refused_records_are_retried_by_the_command(void)
{
    prepare();
    int status = run("rejects --stage @/stage --retry --sink sqlite:@/out.db --sink csv:@/out");
    CHECK_EQ(status, 1);
    CHECK(strstr(said, "0 loaded") != NULL && strstr(said, "refused again") != NULL);
    execute("DROP TRIGGER no");
    EXPECT("rejects --stage @/stage --retry --sink sqlite:@/out.db", 0, "3 loaded");
    EXPECT("rejects --stage @/stage --retry --sink sqlite:@/out.db", 0, "0 loaded");
}

static char rejects[8000];

/* The file of a table's rejects as it is after prepare(); the first line names the columns. */
static const char *reject_lines(void)
{
    read_back("stage/rejects/climate.csv", rejects, sizeof rejects);
    return rejects;
}

/* People open these files. What is damaged, and what belongs to nobody, stays byte for byte and costs no
 * other line anything. */
static void lines_of_rejects_that_are_none_stay_as_they_are(void)
{
    static char lines[12000], left[12000];
    static const char *const others[] = {"nonsense\n",
                                         "a,b,c\n",
                                         "\"an open quote,1,2,3,4,5,6\n",
                                         "dev1,0,sink,hash,,why,row\n",
                                         "dev1,-5,sink,hash,,why,row\n",
                                         "dev1,many,sink,hash,,why,row\n",
                                         "dev1,34359738387,sqlite:elsewhere.db,hash,,why,row\n",
                                         "dev1,34359738387,sink,hash,,why,row,more\n"};
    prepare();
    execute("DROP TRIGGER no");
    size_t size = (size_t)snprintf(lines, sizeof lines, "%s", reject_lines()), kept = 0;
    const char *behind = strchr(rejects, '\n') + 1;
    for (size_t i = 0; i < 120; i++)
        size += (size_t)snprintf(lines + size, sizeof lines - size, "%s", others[i % 8]);
    kept = (size_t)snprintf(left, sizeof left, "%.*s", (int)(behind - rejects), rejects);
    snprintf(left + kept, sizeof left - kept, "%sand no end of its line", lines + strlen(rejects));
    snprintf(lines + size, sizeof lines - size, "and no end of its line");
    write_file("stage/rejects/climate.csv", lines);
    EXPECT("rejects --stage @/stage --retry --sink sqlite:@/out.db", 0, "3 loaded");
    static char found[12000];
    read_back("stage/rejects/climate.csv", found, sizeof found);
    if (!CHECK(strcmp(found, left) == 0))
        printf("    %s    not\n%s", found, left);
}

/* Replaces the first text in the file of rejects by another one. */
static void mend(const char *text, const char *by)
{
    static char mended[8000];
    const char *at = strstr(reject_lines(), text);
    if (!CHECK(at != NULL))
        return;
    snprintf(mended, sizeof mended, "%.*s%s%s", (int)(at - rejects), rejects, by, at + strlen(text));
    write_file("stage/rejects/climate.csv", mended);
}

static void a_line_that_is_mended_wrongly_is_refused_again(void)
{
    static const struct {
        const char *text, *by, *loaded;                                  /* how many are then */
    } cases[] = {{"dev1,34359738387,", "dev2,34359738387,", "2 loaded"}, /* no such device */
                 {",102,", ",x,", "2 loaded"},
                 {"+0,102,", "+0,,", "2 loaded"}, /* no key */
                 {",102,", ",102,1,", "2 loaded"},
                 {"-23,", "-24,", "1 loaded"}, /* a batch of which a record is missing */
                 {"22-23,", "nonsense,", "1 loaded"},
                 {"34359738391,", "34359738392,", "1 loaded"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        prepare();
        execute("DROP TRIGGER no");
        mend(cases[i].text, cases[i].by);
        int status = run("rejects --stage @/stage --retry --sink sqlite:@/out.db");
        if (!CHECK(status == 1 && strstr(said, cases[i].loaded) != NULL))
            printf("    case %zu: status %d, %s%s    %s", i, status, said, complained, reject_lines());
        mend(cases[i].by, cases[i].text);
        EXPECT("rejects --stage @/stage --retry --sink sqlite:@/out.db", 0, "refused again");
        if (!CHECK(strstr(said, " 0 refused again") != NULL))
            printf("    case %zu: %s    %s", i, said, reject_lines());
    }
}

/* As of a PostgreSQL with several hosts. */
static void a_destination_with_a_comma_in_its_url_keeps_its_rejects_apart(void)
{
    static const char *const names[] = {"one,two,a.db", "one,two,b\"q.db"};
    char words[200];
    prepare();
    execute("DROP TABLE climate");
    for (size_t i = 0; i < 2; i++) {
        unlink(folder_path("out.db"));
        execute(trigger);
        CHECK_EQ(rename(folder_path("out.db"), folder_path(names[i])), 0);
        CHECK_EQ(tern_stage_open(&stage, &(struct tern_stage_config){.directory = folder_path("stage")}),
                 TERN_HOST_OK);
        drain(names[i]);
        tern_stage_close(stage);
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(words, sizeof words, "rejects --stage @/stage --retry --sink sqlite:@/%s", names[i]);
        EXPECT(words, 1, "");
        CHECK(strstr(said, "3 refused again") != NULL);
    }
}

/* A file of an SD card whose schema stands beside segments. */
static void a_schema_file_says_what_a_files_columns_are(void)
{
    prepare();
    EXPECT("import --stage @/sd --device card --table room --key at @/room.csv", 0, "3 rows are in");
    write_file("kinds.schema",
               "table kinds\nmode merge\nhash 0\ncolumn id unsigned(32) key\ncolumn at time_ms\ncolumn flag "
               "boolean null\ncolumn note text(20) null\n");
    write_file("bad.schema", "table kinds\nmode merge\ncolumn id volts key\n");
    write_file("kinds.csv", "id,at,flag,note\n1,1700000000000,1,x\n2,1700000000001,,\"\"\n");
    int status = run("import --stage @/sd --schema @/kinds.schema @/kinds.csv");
    if (status != 0)
        printf("    %s%s\n", said, complained);
    CHECK_EQ(run("import --stage @/sd --schema @/bad.schema @/kinds.csv"), 1);
    CHECK(strstr(complained, "bad.schema") != NULL);
}

static void damaged_segments_are_refused_with_a_reason(void)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"device,tern_id,tern_op,id,blob", "no TABLE-HASH.schema"},
        {"device,tern_id,tern_op,id,other\n", "no TABLE-HASH.schema"},
        {"device,tern_id,tern_op,id,blob\nd", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,5,put\n", "no record"},
        {"device,tern_id,tern_op,id,blob\n,5,put,1,00\n", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,0,put,1,00\n", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,x,put,1,00\n", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,5,jump,1,00\n", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,5,put,1,\"00\n", "no record"},
        {"device,tern_id,tern_op,id,blob\nd,34359738369,put,x,00\n", "does not fit its schema"},
        {"device,tern_id,tern_op,id,blob\nd,34359738369,put,1,0\n", "does not fit its schema"},
        {"device,tern_id,tern_op,id,blob\nd,34359738369,put,1,0g\n", "does not fit its schema"},
        {"device,tern_id,tern_op,id,blob\nd,34359738369,put,1,+1\n", "does not fit its schema"},
        {"device,tern_id,tern_op,id,blob\nd,34359738369,put,1\n", "does not fit its schema"},
        {"device,tern_id,tern_op,id,blob\n12345678901234567890123456789012345678901234567890123456789012345,"
         "5,put,1,00\n",
         "no record"},
    };
    folder_fresh();
    mkdir(folder_path("in"), 0700);
    write_file("in/t-00000000.schema",
               "table t\nmode merge\nhash 0\ncolumn id unsigned(32) key\ncolumn blob bytes(9)\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("in/t-00000001-20260101T000000Z.csv", cases[i].text);
        int status = run("import --stage @/back @/in/t-00000001-20260101T000000Z.csv");
        if (!CHECK(status == 1 && strstr(complained, cases[i].reason) != NULL))
            printf("    case %zu: status %d, %s%s\n", i, status, said, complained);
    }
    write_file("in/t-00000001-20260101T000000Z.csv",
               "device,tern_id,tern_op,id,blob\nd,34359738370,put,1,00ff\nd,34359738372,delete,1,\n");
    EXPECT("import --stage @/back @/in/t-00000001-20260101T000000Z.csv", 0, "2 rows are in");
    EXPECT("import --stage @/back @/in/t-00000001-20260101T000000Z.csv @/in/t-00000000.schema", 1,
           "not imported together");
}

/* All segments of the folder as words of a line. */
static void name_segments(char *to, size_t room, const char *end)
{
    DIR *listing = opendir(folder_path("out"));
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name), used = strlen(to);
        if (entry->d_name[0] != '.' && size > 4 && strcmp(entry->d_name + size - 4, end) == 0)
            snprintf(to + used, room - used, " @/out/%s", entry->d_name);
    }
    if (CHECK(listing != NULL))
        closedir(listing);
}

/* Records of all kinds, deletes and snapshots too. */
static void segments_that_are_imported_give_the_same_tables(void)
{
    char words[3000] = "import --stage @/back", first[4000];
    prepare();
    execute("DROP TRIGGER no");
    name_segments(words, sizeof words, ".csv");
    EXPECT(words, 0, "0 were there");
    EXPECT(words, 0, "0 rows are in");
    unlink(folder_path("out.db"));
    EXPECT("replay --stage @/stage --sink sqlite:@/out.db", 0, "rows brought in");
    snprintf(first, sizeof first, "%s", read_database(true));
    unlink(folder_path("out.db"));
    EXPECT("replay --stage @/back --sink sqlite:@/out.db", 0, "rows brought in");
    const char *second = read_database(true);
    /* What was lost on the device's side is a gap of another reason here. */
    char *gap = strstr(first, "dev1|0|14|16|"), *other = strstr(second, "dev1|0|14|16|");
    CHECK(gap != NULL && other != NULL);
    if (gap != NULL && other != NULL &&
        !CHECK((gap - first) == (other - second) && memcmp(first, second, (size_t)(gap - first)) == 0))
        printf("    %s    not\n%s", second, first);
}

static void an_audit_reads_compressed_segments_and_refuses_damaged_ones(void)
{
    static const char *const damaged[] = {"no comma at all\n", "dev1,34359738374\n",
                                          "dev1,123456789012345678901234567890,put,3,x\n"};
    char command[300];
    prepare();
    snprintf(command, sizeof command, "gzip -q %s/out/log-*.csv 2>/dev/null", folder);
    if (system(command) == 0) {
        EXPECT("audit --stage @/stage --sink csv:@/out", 0, " 0 differences");
        snprintf(command, sizeof command,
                 "for f in %s/out/log-*.gz; do chmod u+w $f; printf 'torn' >$f; done", folder);
        CHECK_EQ(system(command), 0);
        EXPECT("audit --stage @/stage --sink csv:@/out", 1, "damaged");
    }
    for (size_t i = 0; i < 3; i++) {
        char text[200];
        prepare();
        snprintf(text, sizeof text, "device,tern_id,tern_op,level,line\n%s", damaged[i]);
        write_file("out/log-00000077-20260101T000000Z.csv", text);
        EXPECT("audit --stage @/stage --sink csv:@/out", 1, "not a record");
    }
    prepare();
    EXPECT("audit --stage @/stage --sink csv:@/out --device dev1 --first 8:2 --last 8:7", 0,
           " 0 differences");
    EXPECT("audit --stage @/stage --sink csv:@/out --device dev", 0, "0 rows compared");
    EXPECT("audit --stage @/stage --sink csv:@/out --since 2026-01-01 --until 2100-01-01", 0,
           " 0 differences");
    EXPECT("audit --stage @/stage --sink csv:@/out --since 2100-01-01", 0, "0 rows compared");
    EXPECT("audit --stage @/stage --sink sqlite:@/out.db --device dev1", 0, " 0 differences");
}

/* The list of destinations is tern's own, and somebody may have opened it in an editor. */
static void a_damaged_list_of_destinations_is_refused_and_kept(void)
{
    static const char *const bad[] = {"",
                                      "tern-destinations 2\n",
                                      "tern-destinations 1\nactive 1 2 3\n",
                                      "tern-destinations 1\nasleep 0 0 0 0 0 csv:x\n",
                                      "tern-destinations 1\nactive 0 0 0 0 0 \n",
                                      "tern-destinations 1\nactive x 0 0 0 0 csv:x\n"};
    char kept[200];
    prepare();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file("stage/destinations", bad[i]);
        EXPECT("sinks --stage @/stage", 1, "damaged");
        EXPECT("sinks --stage @/stage --pause csv:@/out", 1, "damaged");
        EXPECT("status --stage @/stage", 1, "damaged");
        read_back("stage/destinations", kept, sizeof kept);
        CHECK(strcmp(kept, bad[i]) == 0);
    }
    write_file(
        "stage/destinations",
        "tern-destinations 1\nactive 128 0 1700000000000 5 0 csv:\"quoted\\\"\npaused 999999 0 0 0 0 csv:b\n"
        "detached 0 0 0 0 0 csv:c\n");
    EXPECT("status --stage @/stage", 0, "csv:b");
    EXPECT("status --stage @/stage --json", 0, "\\\"quoted");
    EXPECT("sinks --stage @/stage --resume csv:b --pause csv:c", 0, "active");
    EXPECT("sinks --stage @/stage --forget csv:c --forget csv:b", 0, "quoted");
    CHECK(strstr(said, "csv:b") == NULL);
}

static void a_schema_file_that_cannot_be_right_is_refused(void)
{
    static const char *const lines[] = {
        "table a_name_that_is_longer_than_any_table_may_be_called_here_really\n",
        "mode sideways\n",
        "nonsense\n",
        "column\n",
        "column id\n",
        "column id volts\n",
        "column id unsigned(x)\n",
        "column id unsigned(9999)\n",
        "column id unsigned(32) primary\n",
        "column a_name_that_is_longer_than_any_column_may_be_called_here_really text(5)\n",
        "column id unsigned(32)\n" /* no key */};
    char text[300];
    prepare();
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(text, sizeof text, "table kinds\nmode merge\n%s", lines[i]);
        write_file("one.schema", text);
        EXPECT("import --stage @/sd --schema @/one.schema @/room.csv", 1, "one.schema");
    }
}

/* ---- Under failing calls --------------------------------------------------------------------- */

static const char *line;
static int ended;
static char reference[20000];

static void act(void)
{
    ended = run(line);
}

/* All of its work, or a reason; and the next attempt does all of it. */
static void inspect(void)
{
    bool whole = ended == 0 && strcmp(said, reference) == 0;
    if (!CHECK(whole || complained[0] != '\0' || strstr(said, "bad ") != NULL))
        printf("    %s: status %d, it said: %s    not: %s\n", line, ended, said, reference);
    ended = run(line);
    if (!CHECK_EQ(ended, 0))
        printf("    %s again: %s%s\n", line, said, complained);
}

static void each(const char *words, unsigned groups)
{
    struct fail_scenario scenario = {words, 0, FAIL_ONCE, true, prepare, act, inspect};
    prepare();
    line = words;
    if (!CHECK_EQ(run(words), 0))
        printf("    %s: %s%s\n", words, said, complained);
    memcpy(reference, said, sizeof reference);
    for (scenario.groups = 1; scenario.groups <= FAIL_SQLITE; scenario.groups *= 2)
        if ((groups & scenario.groups) != 0)
            fail_each(&scenario);
}

static void audits_have_compared_all_or_say_why_not(void)
{
    each("audit --stage @/stage --sink sqlite:@/out.db", FAIL_MEMORY | FAIL_READ | FAIL_WRITE | FAIL_SQLITE);
    each("audit --stage @/stage --sink csv:@/out", FAIL_MEMORY | FAIL_READ);
}

static void replays_have_brought_all_in_or_say_why_not(void)
{
    each("replay --stage @/stage --sink sqlite:@/new.db --table log --repair", FAIL_MEMORY | FAIL_SQLITE);
}

static void listings_are_whole_or_not_there(void)
{
    each("sinks --stage @/stage", FAIL_MEMORY | FAIL_READ);
    each("ddl --stage @/stage --sink sqlite:@/out.db", FAIL_MEMORY | FAIL_READ | FAIL_SQLITE);
    each("check --stage @/stage --sink sqlite:@/out.db", FAIL_SQLITE);
}

/* What was refused is taken now. */
static void prepare_mended(void)
{
    prepare();
    execute("DROP TRIGGER no");
}

static char mended[4000];

/* A record is in, or its line and its gap stay for the next attempt. */
static void inspect_mended(void)
{
    inspect();
    if (!CHECK(strcmp(read_database(true), mended) == 0))
        printf("    %s    not\n%s", sums, mended);
}

static void retries_bring_each_record_in_once_or_leave_its_line(void)
{
    static const unsigned groups[] = {FAIL_MEMORY, FAIL_READ, FAIL_WRITE, FAIL_SQLITE};
    struct fail_scenario scenario = {"retry", 0, FAIL_ONCE, true, prepare_mended, act, inspect_mended};
    line = "rejects --stage @/stage --retry --sink sqlite:@/out.db";
    prepare_mended();
    CHECK_EQ(run(line), 0);
    memcpy(reference, said, sizeof reference);
    snprintf(mended, sizeof mended, "%s", read_database(true));
    CHECK(strstr(mended, "poison") != NULL && strstr(mended, "rejected") == NULL);
    for (size_t i = 0; i < 4; i++) {
        scenario.groups = groups[i];
        fail_each(&scenario);
    }
}

static void imports_have_stored_all_or_say_why_not(void)
{
    each("import --stage @/sd --table room --key at @/room.csv", FAIL_MEMORY | FAIL_READ | FAIL_WRITE);
}

int main(void)
{
    fail_folder(folder);
    api = fail_sqlite();
#define RUN_OR_SKIP(test)                                                                                    \
    (api != NULL ? (void)(RUN(test)) : (void)(SKIP(test, "SQLite's library is missing")))
    RUN(every_command_shows_its_options_and_needs_a_folder);
    RUN_OR_SKIP(what_is_missing_is_said);
    RUN_OR_SKIP(ddl_and_check_need_no_staging_folder_yet);
    RUN_OR_SKIP(words_that_cannot_be_right_are_said);
    RUN_OR_SKIP(an_audit_tells_held_older_and_differing_rows);
    RUN_OR_SKIP(an_audit_knows_names_and_soft_deletes);
    RUN_OR_SKIP(an_audit_passes_over_what_the_journal_no_longer_has);
    RUN_OR_SKIP(an_audit_tells_of_ranges_that_cannot_be_brought_in);
    RUN_OR_SKIP(refused_records_are_retried_by_the_command);
    RUN_OR_SKIP(lines_of_rejects_that_are_none_stay_as_they_are);
    RUN_OR_SKIP(a_line_that_is_mended_wrongly_is_refused_again);
    RUN_OR_SKIP(a_destination_with_a_comma_in_its_url_keeps_its_rejects_apart);
    RUN_OR_SKIP(a_schema_file_says_what_a_files_columns_are);
    RUN(damaged_segments_are_refused_with_a_reason);
    RUN_OR_SKIP(segments_that_are_imported_give_the_same_tables);
    RUN_OR_SKIP(an_audit_reads_compressed_segments_and_refuses_damaged_ones);
    RUN_OR_SKIP(a_damaged_list_of_destinations_is_refused_and_kept);
    RUN_OR_SKIP(a_schema_file_that_cannot_be_right_is_refused);
    RUN_OR_SKIP(audits_have_compared_all_or_say_why_not);
    RUN_OR_SKIP(replays_have_brought_all_in_or_say_why_not);
    RUN_OR_SKIP(listings_are_whole_or_not_there);
    RUN_OR_SKIP(retries_bring_each_record_in_once_or_leave_its_line);
    RUN_OR_SKIP(imports_have_stored_all_or_say_why_not);
    folder_remove();
    return test_report();
}
