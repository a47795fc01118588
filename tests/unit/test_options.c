/* SPDX-License-Identifier: MIT */
/* The gateway's options, the names that it gives to tables, and its log lines. */
#include "../../host/options.h"

#include <string.h>
#include <unistd.h>

#include "../../host/log.h"
#include "../../host/style.h"
#include "../test.h"

static struct tern_options options;

static bool parse(const char *a, const char *b, const char *c, const char *d)
{
    char words[5][100] = {"tern-gateway"};
    const char *given[4] = {a, b, c, d};
    char *argv[6] = {words[0]};
    int argc = 1;
    tern_options_free(&options);
    memset(&options, 0, sizeof options);
    for (; argc <= 4 && given[argc - 1] != NULL; argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", given[argc - 1]);
        argv[argc] = words[argc];
    }
    return tern_options_parse(&options, argc, argv);
}

static bool read_file(const char *text)
{
    char path[] = "/tmp/tern-options-XXXXXX";
    int file = mkstemp(path);
    CHECK(write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
    bool good = tern_options_read(&options, path);
    unlink(path);
    return good;
}

static void values_follow_a_space_or_an_equals_sign(void)
{
    CHECK(parse("--stage", "a", "--window=4096", NULL));
    CHECK(strcmp(tern_options_text(&options, TERN_OPTION_STAGE), "a") == 0);
    CHECK_EQ(tern_options_number(&options, TERN_OPTION_WINDOW), 4096);
    CHECK_EQ(tern_options_number(&options, TERN_OPTION_CONNECTIONS), 0);
    CHECK(tern_options_text(&options, TERN_OPTION_CONFIG) == NULL);
}

static void some_may_be_given_several_times(void)
{
    CHECK(parse("--sink", "csv:a", "--sink", "csv:b"));
    CHECK_EQ(options.of[TERN_OPTION_SINK].count, 2);
    CHECK(!parse("--stage", "a", "--stage", "b"));
}

static void an_unknown_word_gets_a_suggestion_when_one_is_near(void)
{
    CHECK(!parse("--lissen", "x", NULL, NULL));
    CHECK(strstr(options.error, "did you mean --listen?") != NULL);
    CHECK(!parse("-stage", "x", NULL, NULL));
    CHECK(strstr(options.error, "did you mean --stage?") != NULL);
    CHECK(!parse("xyzzy", NULL, NULL, NULL));
    CHECK(strstr(options.error, "did you mean") == NULL);
    CHECK(!parse("--a-word-that-is-much-longer-than-any-option-there-is", NULL, NULL, NULL));
    CHECK(!parse("", NULL, NULL, NULL));
    CHECK(!parse("--", NULL, NULL, NULL));
}

static void numbers_are_checked(void)
{
    static const char *const bad[] = {"",     "-1",  "+1",    " 1", "1 ",
                                      "0x10", "1e3", "86401", "0",  "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!parse("--idle-seconds", bad[i], NULL, NULL));
    CHECK(parse("--idle-seconds", "86400", NULL, NULL));
}

static void passwords_are_refused_and_not_repeated(void)
{
    static const char *const bad[] = {"postgresql://me:secret@host/db",
                                      "mysql://:secret@host",
                                      "postgresql://host/db?password=secret",
                                      "postgresql://host/db?pass%77ord=secret",
                                      "postgresql://host/db?a=b&%70%61ssword%3Dsecret",
                                      "postgresql://host/db?sslpasswor%64=secret",
                                      "postgresql:host=a pass%77ord=secret"};
    static const char *const good[] = {
        "postgresql://me@host:5432/db",  "postgresql://host:5432/db@x:y", "sqlite:a:b@c", "sqlite:pass%77ord",
        "postgresql://h/d?a=pass%77ord", "postgresql://h/d?pass%7=a",     "csv:100%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!parse("--sink", bad[i], NULL, NULL));
        CHECK(strstr(options.error, "secret") == NULL);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(parse("--sink", good[i], NULL, NULL));
}

static void the_command_line_wins_over_the_file(void)
{
    CHECK(parse("--stage", "mine", NULL, NULL));
    CHECK(read_file("# a comment\n\n  stage = theirs \nsink=csv:a\nsink = "
                    "postgresql://me:secret@host/db\r\nlog-level = warn"));
    CHECK(strcmp(tern_options_text(&options, TERN_OPTION_STAGE), "mine") == 0);
    CHECK_EQ(options.of[TERN_OPTION_SINK].count, 2);
    CHECK(strcmp(tern_options_text(&options, TERN_OPTION_LOG_LEVEL), "warn") == 0);
}

static void a_bad_line_is_named_and_changes_nothing(void)
{
    static const char *const bad[] = {"stage = a\nwindows = 5\n", "stage = a\nno equals\n",
                                      "stage = a\nhelp = yes\n",  "stage = a\nconfig = b\n",
                                      "stage = a\nwindow = x\n",  "stage = a\nstage = b\n",
                                      "stage = a\nsink =\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        parse(NULL, NULL, NULL, NULL);
        CHECK(!read_file(bad[i]));
        CHECK(strstr(options.error, ":2: ") != NULL);
        CHECK(tern_options_text(&options, TERN_OPTION_STAGE) == NULL);
    }
    CHECK(!tern_options_read(&options, "/nowhere/at/all"));
    CHECK(options.is_failure);
    tern_options_free(&options);
}

static void fields_stay_on_one_line_whatever_they_hold(void)
{
    struct tern_fields fields;
    tern_fields_begin(&fields);
    tern_fields_text(&fields, "a", "plain");
    tern_fields_text(&fields, "b", "two words");
    tern_fields_text(&fields, "c", "");
    tern_fields_text(&fields, "d", "x\n\"y\"\\\t\x1b[31m\x7f");
    tern_fields_text(&fields, "e", "Grüße");
    tern_fields_bytes(&fields, "f", "\0\xff\xc0\x80", 4);
    tern_fields_number(&fields, "g", -5);
    CHECK(strcmp(fields.text,
                 "a=plain b=\"two words\" c=\"\" d=\"x\\n\\\"y\\\"\\\\\\t\\x1b[31m\\x7f\" e=\"Grüße\" "
                 "f=\"\\x00\\xff\\xc0\\x80\" g=-5") == 0);
}

/* What a terminal could take for a command, or a parser for two characters, is escaped; every other character
 * of UTF-8 passes. */
static void only_whole_and_harmless_characters_pass(void)
{
    static const char *const good[] = {"\xC2\xA0",     "\xDF\xBF",         "\xE0\xA0\x80",    "\xED\x9F\xBF",
                                       "\xEF\xBF\xBD", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xC1\xBF",
                                      "\xC2\x80",
                                      "\xC2\x9F",
                                      "\xC2",
                                      "\xC3x",
                                      "\xE0\x9F\x80",
                                      "\xE2\x82",
                                      "\xE2\x82x",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF0\x90\x80"};
    struct tern_fields fields;
    char expected[40];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        tern_fields_begin(&fields);
        tern_fields_text(&fields, "a", good[i]);
        snprintf(expected, sizeof expected, "a=\"%s\"", good[i]);
        CHECK(strcmp(fields.text, expected) == 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tern_fields_begin(&fields);
        tern_fields_text(&fields, "a", bad[i]);
        snprintf(expected, sizeof expected, "a=\"\\x%02x", (unsigned char)bad[i][0]);
        CHECK(strncmp(fields.text, expected, strlen(expected)) == 0);
    }
    static const char *const words[] = {"a=b", "a\"b", "a\\b", "a b", "a\x7F", "\x1b"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        tern_fields_begin(&fields);
        tern_fields_text(&fields, "a", words[i]);
        CHECK(fields.text[2] == '"');
    }
}

static void levels_have_names(void)
{
    enum tern_level level;
    CHECK(tern_level_find("warn", &level) && level == TERN_WARN);
    CHECK(strcmp(tern_level_name(TERN_ERROR), "error") == 0);
    CHECK(!tern_level_find("loud", &level) && !tern_level_find("", &level));
}

/* Where nobody listens, and where what is said has no fields. */
static void an_event_without_a_listener_or_fields_is_none_the_worse(void)
{
    char line[100] = "";
    int ends[2];
    tern_report_event(NULL, TERN_ERROR, "nothing", NULL);
    tern_report_event(&(struct tern_report){NULL, NULL}, TERN_ERROR, "nothing", NULL);
    CHECK(pipe(ends) == 0);
    tern_log_line(ends[1], 0, TERN_INFO, "stopped", "");
    CHECK(read(ends[0], line, sizeof line - 1) > 0);
    CHECK(strcmp(line, "time=1970-01-01T00:00:00.000Z level=info event=stopped\n") == 0);
    close(ends[0]);
    close(ends[1]);
}

/* A line is one write of bounded size, whatever is given. */
static void a_line_that_is_too_long_is_cut_and_ends_as_a_line(void)
{
    static char fields[5000], line[6000];
    int ends[2];
    memset(fields, 'x', sizeof fields - 1);
    CHECK(pipe(ends) == 0);
    tern_log_line(ends[1], 0, TERN_INFO, "long", fields);
    ssize_t size = read(ends[0], line, sizeof line);
    CHECK(size > 1000 && size <= 2048 && line[size - 1] == '\n');
    close(ends[0]);
    close(ends[1]);
}

static void too_many_values_and_too_long_words_are_refused(void)
{
    char line[200], longest[90];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "--", 2);
    CHECK(!parse(longest, NULL, NULL, NULL));
    CHECK(strstr(options.error, "unknown word") != NULL);
    CHECK(!parse("--help=no", NULL, NULL, NULL));
    CHECK(!parse("--stage=", NULL, NULL, NULL));
    CHECK(!parse("--stage", NULL, NULL, NULL));
    parse(NULL, NULL, NULL, NULL);
    for (int i = 0; i < TERN_OPTION_VALUES_MAX; i++) {
        snprintf(line, sizeof line, "--sink=csv:%d", i);
        char *argv[] = {line, line, NULL};
        CHECK(tern_options_parse(&options, 2, argv));
    }
    char *argv[] = {line, line, NULL};
    CHECK(!tern_options_parse(&options, 2, argv));
    CHECK(strstr(options.error, "at most 16 times") != NULL);
    tern_options_free(&options);
}

static void values_are_compared_one_by_one(void)
{
    struct tern_options other = {.error = ""};
    char *first[] = {"x", "--sink=csv:a", "--sink=csv:b", "--stage=a", NULL};
    char *second[] = {"x", "--sink=csv:a", "--sink=csv:c", "--window=4096", NULL};
    parse(NULL, NULL, NULL, NULL);
    CHECK(tern_options_parse(&options, 4, first) && tern_options_parse(&other, 4, second));
    CHECK(!tern_options_equal(&options, &other, TERN_OPTION_SINK));
    CHECK(!tern_options_equal(&options, &other, TERN_OPTION_STAGE));
    CHECK(tern_options_equal(&options, &options, TERN_OPTION_SINK));
    CHECK(tern_options_equal(&options, &other, TERN_OPTION_LISTEN));
    tern_options_free(&options);
    tern_options_free(&other);
}

static void words_of_which_one_must_be_chosen_are_named(void)
{
    static const struct {
        enum tern_command command;
        const char *option, *good[2], *choice;
    } cases[] = {{TERN_COMMAND_SERVE, "--from", {"start", "now"}, "from must be start or now, not 'x'"},
                 {TERN_COMMAND_SERVE, "--delete", {"hard", "soft"}, "delete must be hard or soft, not 'x'"},
                 {TERN_COMMAND_SERVE, "--ddl", {"on", "off"}, "ddl must be on or off, not 'x'"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(parse(cases[i].option, cases[i].good[0], NULL, NULL));
        CHECK(parse(cases[i].option, cases[i].good[1], NULL, NULL));
        CHECK(!parse(cases[i].option, "x", NULL, NULL));
        if (!CHECK(strcmp(options.error, cases[i].choice) == 0))
            printf("    %s\n", options.error);
    }
}

static void an_option_of_another_command_is_none(void)
{
    char *argv[] = {"status", "--listen", "tcp://127.0.0.1:1", NULL};
    parse(NULL, NULL, NULL, NULL);
    options.command = TERN_COMMAND_STATUS;
    CHECK(!tern_options_parse(&options, 3, argv));
    CHECK(strstr(options.error, "unknown word '--listen'") != NULL &&
          strstr(options.error, "did you") == NULL);
    tern_options_free(&options);
    memset(&options, 0, sizeof options);
}

static void a_name_in_a_file_may_be_of_any_length(void)
{
    char line[400];
    memset(line, 'x', sizeof line);
    strcpy(line + 300, " = 1\n");
    CHECK(parse(NULL, NULL, NULL, NULL));
    CHECK(!read_file(line));
    CHECK(strstr(options.error, ":1: ") != NULL && strstr(options.error, "did you") == NULL);
}

/* ---- Names ----------------------------------------------------------------------------------- */

#define LONG "a23456789012345678901234567890123456789012345678901234567890123" /* the longest */

static int apply(const char *const *names, size_t count)
{
    struct tern_import_config config = {.rows = 0};
    struct tern_host_style style = {.names = names, .name_count = count};
    int status = tern_style_apply(&style, &config);
    tern_style_free(&config);
    return status;
}

static void names_that_a_database_or_tern_would_mistake_are_refused(void)
{
    static const char *const good[] = {"room=rooms", "room.v=value", "a=b c",           "a_1.b_2=C",
                                       "device=d",   LONG "=a",      LONG "." LONG "=b"};
    static const char *const bad[] = {
        "",          "room",        "=rooms",
        "room=",     "room=device", "room=tern_id",
        "room=a\nb", "room=a\x7F",  "room=1234567890123456789012345678901234567890123456789012345678901234"};
    static const char *const twice[] = {"room=a", "hall=b", "room=c"};
    CHECK_EQ(apply(good, sizeof good / sizeof good[0]), TERN_HOST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_EQ(apply(&bad[i], 1), TERN_HOST_E_ARGUMENT);
    CHECK_EQ(apply(twice, 3), TERN_HOST_E_ARGUMENT);
}

static void keep_fields(void *context, enum tern_level level, const char *event, const char *fields)
{
    (void)level, (void)event;
    snprintf(context, 600, "%s", fields);
}

static void names_that_no_device_can_have_are_refused_with_the_rule(void)
{
    static const char *const bad[] = {"A=b",           "rOom=b",   "room.V=b",        "a.b.c=d",
                                      "1a=b",          "_a=b",     "a-b=c",           ".=b",
                                      ".v=b",          "room.=b",  "room..v=b",       "room .v=b",
                                      "r\xC3\xA4um=b", "*=b",      "tern_gap=b",      "room.tern_id=b",
                                      "room.device=b", LONG "x=b", "room." LONG "x=b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char said[600] = "";
        struct tern_import_config config = {.report = {keep_fields, said}};
        struct tern_host_style style = {.names = &bad[i], .name_count = 1};
        if (!CHECK_EQ(tern_style_apply(&style, &config), TERN_HOST_E_ARGUMENT))
            printf("    %s\n", bad[i]);
        CHECK(strstr(said, "begin with a to z") != NULL);
        tern_style_free(&config);
    }
}

static void fields_that_do_not_fit_are_left_out_whole(void)
{
    struct tern_fields fields;
    char value[400];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    tern_fields_begin(&fields);
    for (int i = 0; i < 5; i++)
        tern_fields_text(&fields, "long", value);
    CHECK(fields.size < sizeof fields.text);
    CHECK(strcmp(fields.text + 2 * (5 + 399) + 1, " truncated=1") == 0);
}

static void a_line_has_time_level_and_event(void)
{
    char line[200] = "";
    int ends[2];
    CHECK(pipe(ends) == 0);
    tern_log_line(ends[1], 1790000000125, TERN_WARN, "bad-frame", "count=1");
    CHECK(read(ends[0], line, sizeof line - 1) > 0);
    CHECK(strcmp(line, "time=2026-09-21T14:13:20.125Z level=warn event=bad-frame count=1\n") == 0);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    RUN(values_follow_a_space_or_an_equals_sign);
    RUN(some_may_be_given_several_times);
    RUN(an_unknown_word_gets_a_suggestion_when_one_is_near);
    RUN(numbers_are_checked);
    RUN(passwords_are_refused_and_not_repeated);
    RUN(the_command_line_wins_over_the_file);
    RUN(a_bad_line_is_named_and_changes_nothing);
    RUN(fields_stay_on_one_line_whatever_they_hold);
    RUN(only_whole_and_harmless_characters_pass);
    RUN(levels_have_names);
    RUN(an_event_without_a_listener_or_fields_is_none_the_worse);
    RUN(a_line_that_is_too_long_is_cut_and_ends_as_a_line);
    RUN(too_many_values_and_too_long_words_are_refused);
    RUN(values_are_compared_one_by_one);
    RUN(words_of_which_one_must_be_chosen_are_named);
    RUN(an_option_of_another_command_is_none);
    RUN(a_name_in_a_file_may_be_of_any_length);
    RUN(names_that_a_database_or_tern_would_mistake_are_refused);
    RUN(names_that_no_device_can_have_are_refused_with_the_rule);
    RUN(fields_that_do_not_fit_are_left_out_whole);
    RUN(a_line_has_time_level_and_event);
    return test_report();
}
