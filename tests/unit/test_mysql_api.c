/* SPDX-License-Identifier: MIT */
/* The prototypes of the MySQL client libraries that are kept by hand, against mysql.h where it is installed:
 * this file fails to compile when one has drifted. And URLs, which need the library alone. */
#include "../test.h"

#include <stddef.h>
#include <string.h>

#include "../../host/sql/mysql_api.h"
#include "../../host/sql/sql_mysql.h"

#if defined(__has_include)
#if __has_include(<mariadb/mysql.h>)
#define HAS_HEADER 1
#include <mariadb/mysql.h>
#elif __has_include(<mysql/mysql.h>)
#define HAS_HEADER 1
#include <mysql/mysql.h>
#endif
#endif

#ifdef HAS_HEADER
/* Enumerations, bool and sizes of the libraries' own are plain integers in ours; what is left must be the
 * same. */
#define IS_FIELD(field)                                                                                      \
    (offsetof(struct tern_mysql_field, field) == offsetof(MYSQL_FIELD, field) &&                             \
     sizeof(((struct tern_mysql_field *)0)->field) == sizeof(((MYSQL_FIELD *)0)->field))
#define IS_BIND(field, theirs)                                                                               \
    (offsetof(struct tern_mysql_bind, field) == offsetof(MYSQL_BIND, theirs) &&                              \
     sizeof(((struct tern_mysql_bind *)0)->field) == sizeof(((MYSQL_BIND *)0)->theirs))
#define RETURNS(call, expected) _Generic((call), expected : 1, default : 0)

static void prototypes_agree_with_the_header(void)
{
    MYSQL *c = NULL;
    MYSQL_RES *r = NULL;
    CHECK(RETURNS(mysql_init(c), MYSQL *));
    CHECK(RETURNS(mysql_server_init(0, NULL, NULL), int));
    CHECK(RETURNS(mysql_options(c, MYSQL_OPT_CONNECT_TIMEOUT, NULL), int));
    CHECK(RETURNS(mysql_real_connect(c, "", "", "", "", 0u, "", 0ul), MYSQL *));
    CHECK(RETURNS(mysql_errno(c), unsigned));
    CHECK(RETURNS(mysql_sqlstate(c), const char *));
    CHECK(RETURNS(mysql_error(c), const char *));
    CHECK(RETURNS(mysql_get_server_version(c), unsigned long));
    CHECK(RETURNS(mysql_get_server_info(c), const char *) || RETURNS(mysql_get_server_info(c), char *));
    CHECK(RETURNS(mysql_real_query(c, "", 0ul), int));
    CHECK(RETURNS(mysql_use_result(c), MYSQL_RES *));
    CHECK(RETURNS(mysql_next_result(c), int));
    CHECK(RETURNS(mysql_num_fields(r), unsigned));
    CHECK(RETURNS(mysql_fetch_field_direct(r, 0u), MYSQL_FIELD *));
    CHECK(RETURNS(mysql_fetch_row(r), char **));
    CHECK(RETURNS(mysql_fetch_lengths(r), unsigned long *));
    CHECK(RETURNS(mysql_warning_count(c), unsigned));
    CHECK(sizeof mysql_affected_rows(c) == sizeof(unsigned long long));
    CHECK(
        _Generic(&mysql_set_local_infile_handler,
                 void (*)(MYSQL *, int (*)(void **, const char *, void *), int (*)(void *, char *, unsigned),
                          void (*)(void *), int (*)(void *, char *, unsigned), void *) : 1,
                 default : 0));
    CHECK_EQ(MYSQL_OPT_LOCAL_INFILE, 8);
    CHECK_EQ(MYSQL_OPT_CONNECT_TIMEOUT, 0);
    CHECK_EQ(MYSQL_READ_DEFAULT_GROUP, 5);
    CHECK_EQ(MYSQL_SET_CHARSET_NAME, 7);
    CHECK_EQ(MYSQL_OPT_READ_TIMEOUT, 11);
    CHECK_EQ(MYSQL_OPT_WRITE_TIMEOUT, 12);
    CHECK_EQ(CLIENT_MULTI_STATEMENTS, 1 << 16);
}

static void a_field_is_laid_out_as_in_the_header(void)
{
    CHECK(IS_FIELD(name) && IS_FIELD(def) && IS_FIELD(length) && IS_FIELD(max_length));
    CHECK(IS_FIELD(name_length) && IS_FIELD(flags) && IS_FIELD(decimals) && IS_FIELD(charsetnr) &&
          IS_FIELD(type));
    CHECK_EQ(sizeof(struct tern_mysql_field), sizeof(MYSQL_FIELD));
    CHECK(MYSQL_TYPE_TINY == 1 && MYSQL_TYPE_LONGLONG == 8 && MYSQL_TYPE_INT24 == 9 &&
          MYSQL_TYPE_DOUBLE == 5);
    CHECK(MYSQL_TYPE_TINY_BLOB == 249 && MYSQL_TYPE_STRING == 254);
}

#ifdef MARIADB_CLIENT_STMT_BULK_OPERATIONS
static void arrays_are_bound_as_mariadbs_header_says(void)
{
    MYSQL *c = NULL;
    MYSQL_STMT *s = NULL;
    CHECK(RETURNS(mysql_stmt_init(c), MYSQL_STMT *));
    CHECK(RETURNS(mysql_stmt_prepare(s, "", 0ul), int));
    CHECK(RETURNS(mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, NULL), char));
    CHECK(RETURNS(mysql_stmt_bind_param(s, NULL), char));
    CHECK(RETURNS(mysql_stmt_execute(s), int));
    CHECK(RETURNS(mysql_stmt_close(s), char));
    CHECK(RETURNS(mariadb_get_infov(c, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, NULL), char));
    CHECK(IS_BIND(length, length) && IS_BIND(buffer, buffer) && IS_BIND(indicator, u.indicator));
    CHECK(IS_BIND(buffer_length, buffer_length) && IS_BIND(type, buffer_type));
    CHECK(IS_BIND(is_unsigned, is_unsigned) && IS_BIND(extension, extension));
    CHECK_EQ(sizeof(struct tern_mysql_bind), sizeof(MYSQL_BIND));
    CHECK_EQ(STMT_ATTR_ARRAY_SIZE, 201);
    CHECK_EQ(STMT_INDICATOR_NULL, 1);
    CHECK_EQ(MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, 32);
    CHECK(MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32 == 4);
    CHECK(MYSQL_TYPE_BLOB == 252);
}
#endif
#endif

static int open_url(const char *rest, char error[256])
{
    struct tern_sql_client *client = NULL;
    struct tern_sink_config config = {.url = "mysql:", .rest = rest};
    int status = tern_sql_client_mysql.open(&client, &config, error);
    if (client != NULL)
        client->ops->close(client);
    return status;
}

static void urls_are_read_or_refused_with_a_reason(void)
{
    static const char *const good[] = {
        "//user@host/db",       "//user@host:3307/db",  "//host/db",
        "//u%40x@[::1]:3307/d", "//user@/db?socket=/s", "//user@h/db?group=tern",
        "//user@[::1]/db",      "//user@host/db?",      "//user@/db?socket=%2Fs%20t&group=x",
        "//user@h%6Fst/db",     "//user@host/%e2%82%AC"};
    static const char *const bad[] = {"",
                                      "user@host/db",
                                      "//user@host",
                                      "//user@host/",
                                      "//user@host:x/db",
                                      "//user@host:0/db",
                                      "//user@host:70000/db",
                                      "//user@host/db?nothing=1",
                                      "//user@host/db?socket",
                                      "//us%4@host/db",
                                      "//us%00@host/db",
                                      "//user@[::1/db",
                                      "//user@[::1]3306/db",
                                      "//user@host:/db",
                                      "//user@host:33x/db",
                                      "//user@host:-1/db",
                                      "//user@host/d%b",
                                      "//user@h%zzost/db",
                                      "//user@h%4gost/db",
                                      "//user@h%4",
                                      "//user@/db?socket=%",
                                      "//user@/db?socket=/s&nothing=1",
                                      "//user@/db?password=secret"};
    char error[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_EQ(open_url(good[i], error), TERN_HOST_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error[0] = '\0';
        CHECK_EQ(open_url(bad[i], error), TERN_HOST_E_ARGUMENT);
        CHECK(strstr(error, "mysql://user@host:port/database") != NULL);
    }
    CHECK_EQ(open_url("//user:secret@host/db", error), TERN_HOST_E_ARGUMENT);
    CHECK(strstr(error, "MYSQL_PWD") != NULL && strstr(error, "secret") == NULL);
}

static void literals_cannot_be_broken_out_of(void)
{
    struct tern_buffer text = {0};
    struct tern_sql_value values[] = {
        {.kind = TERN_SQL_TEXT, .data = "a'b\\'c\0d", .size = 8},
        {.kind = TERN_SQL_BLOB, .data = "\x00\xFF'", .size = 3},
        {.kind = TERN_SQL_INTEGER, .integer = INT64_MIN},
        {.kind = TERN_SQL_NULL},
    };
    for (size_t i = 0; i < 4; i++)
        tern_mysql_add_value(&text, &values[i]);
    static const char want[] = "'a''b\\''c\0d'x'00ff27'-9223372036854775808NULL";
    CHECK_EQ(text.size, sizeof want - 1);
    CHECK(text.size == sizeof want - 1 && memcmp(text.data, want, text.size) == 0);
    tern_buffer_free(&text);
}

int main(void)
{
    struct tern_mysql_api api;
    static char error[256];
#ifdef HAS_HEADER
    RUN(prototypes_agree_with_the_header);
    RUN(a_field_is_laid_out_as_in_the_header);
#ifdef MARIADB_CLIENT_STMT_BULK_OPERATIONS
    RUN(arrays_are_bound_as_mariadbs_header_says);
#endif
#else
    SKIP(prototypes_agree_with_the_header, "mysql.h is not installed (Debian package libmariadb-dev)");
#endif
    RUN(literals_cannot_be_broken_out_of);
    if (tern_mysql_load(&api, error, sizeof error) == 0)
        RUN(urls_are_read_or_refused_with_a_reason);
    else
        SKIP(urls_are_read_or_refused_with_a_reason, error);
    return test_report();
}
