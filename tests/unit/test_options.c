/* SPDX-License-Identifier: MIT */
/* The gateway's options and its log lines. */
#include "../../host/options.h"

#include <string.h>
#include <unistd.h>

#include "../../host/log.h"
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
    static const char *const bad[] = {"postgresql://me:secret@host/db", "mysql://:secret@host",
                                      "postgresql://host/db?password=secret"};
    static const char *const good[] = {"postgresql://me@host:5432/db", "postgresql://host:5432/db@x:y",
                                       "sqlite:a:b@c"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(!parse("--sink", bad[i], NULL, NULL));
        CHECK(strstr(options.error, "secret") == NULL);
        CHECK(parse("--sink", good[i], NULL, NULL));
    }
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
    RUN(fields_that_do_not_fit_are_left_out_whole);
    RUN(a_line_has_time_level_and_event);
    return test_report();
}
