/* SPDX-License-Identifier: MIT */
/* The prototypes of libpq's functions that are kept by hand, against libpq-fe.h where it is installed: this
 * file fails to compile when one has drifted. */
#include "../test.h"

#include <stddef.h>
#include <string.h>

#include "../../host/sql/postgres_api.h"
#include "../../host/sql/sql_postgres.h"

#if defined(__has_include)
#if __has_include(<libpq-fe.h>)
#define HAS_HEADER 1
#include <libpq-fe.h>
#elif __has_include(<postgresql/libpq-fe.h>)
#define HAS_HEADER 1
#include <postgresql/libpq-fe.h>
#endif
#endif

#ifdef HAS_HEADER
#define IS_SAME(name) _Generic(&PQ##name, __typeof__(((struct tern_postgres_api *)0)->name) : 1, default : 0)

/* These name libpq's own struct of an option, of which a copy is kept. */
#define IS_OPTION(field)                                                                                     \
    (offsetof(struct tern_postgres_option, field) == offsetof(PQconninfoOption, field) &&                    \
     sizeof(((struct tern_postgres_option *)0)->field) == sizeof(((PQconninfoOption *)0)->field))

static void prototypes_agree_with_the_header(void)
{
    CHECK(IS_SAME(connectStartParams));
    CHECK(IS_SAME(connectPoll));
    CHECK(IS_SAME(status));
    CHECK(IS_SAME(finish));
    CHECK(IS_SAME(errorMessage));
    CHECK(IS_SAME(socket));
    CHECK(IS_SAME(serverVersion));
    CHECK(IS_SAME(transactionStatus));
    CHECK(IS_SAME(setNoticeProcessor));
    CHECK(IS_SAME(freemem));
    CHECK(IS_SAME(sendQuery));
    CHECK(IS_SAME(sendPrepare));
    CHECK(IS_SAME(sendQueryPrepared));
    CHECK(IS_SAME(isBusy));
    CHECK(IS_SAME(consumeInput));
    CHECK(IS_SAME(getResult));
    CHECK(IS_SAME(putCopyData));
    CHECK(IS_SAME(putCopyEnd));
    CHECK(IS_SAME(resultStatus));
    CHECK(IS_SAME(resultErrorField));
    CHECK(IS_SAME(ntuples));
    CHECK(IS_SAME(nfields));
    CHECK(IS_SAME(ftype));
    CHECK(IS_SAME(getvalue));
    CHECK(IS_SAME(getlength));
    CHECK(IS_SAME(getisnull));
    CHECK(IS_SAME(cmdStatus));
    CHECK(IS_SAME(cmdTuples));
    CHECK(IS_SAME(clear));
    CHECK(IS_SAME(libVersion));
    CHECK(IS_SAME(isthreadsafe));
    CHECK((_Generic(&PQconninfoParse, PQconninfoOption * (*)(const char *, char **) : 1, default : 0)));
    CHECK((_Generic(&PQconninfoFree, void (*)(PQconninfoOption *) : 1, default : 0)));
}

static void an_option_has_the_same_shape(void)
{
    CHECK(IS_OPTION(keyword));
    CHECK(IS_OPTION(envvar));
    CHECK(IS_OPTION(compiled));
    CHECK(IS_OPTION(val));
    CHECK(IS_OPTION(label));
    CHECK(IS_OPTION(dispchar));
    CHECK(IS_OPTION(dispsize));
    CHECK_EQ(sizeof(struct tern_postgres_option), sizeof(PQconninfoOption));
}
#endif

static void a_missing_library_names_the_package(void)
{
    struct tern_postgres_api api;
    char error[256] = "";
    setenv("TERN_POSTGRES_LIBRARY", "/nonexistent/libpq.so.5", 1);
    CHECK_EQ(tern_postgres_load(&api, error, sizeof error), -1);
    CHECK(strstr(error, "libpq5") != NULL && strstr(error, "TERN_POSTGRES_LIBRARY") != NULL);
    setenv("TERN_POSTGRES_LIBRARY", "libc.so.6", 1);
    CHECK_EQ(tern_postgres_load(&api, error, sizeof error), -1);
    /* Where libc has another name, it cannot be opened. */
    CHECK(strstr(error, "PQconnectStartParams") != NULL || strstr(error, "libpq5") != NULL);
    unsetenv("TERN_POSTGRES_LIBRARY");
}

static int open_url(const char *url, char error[256])
{
    struct tern_sql_client *client = NULL;
    struct tern_sink_config config = {.url = url, .rest = url};
    int status = tern_sql_client_postgres.open(&client, &config, error);
    if (client != NULL)
        client->ops->close(client);
    return status;
}

static void urls_are_read_or_refused_with_a_reason_that_holds_no_secret(void)
{
    static const char *const good[] = {"postgresql://user@host/db", "postgresql:///db?host=/run/postgresql",
                                       "postgresql://h1,h2:5433/db?connect_timeout=7",
                                       "postgresql://h/db?connect_timeout=1000000"};
    static const char *const passwords[] = {"postgresql://user:hidden@host/db",
                                            "postgresql://host/db?password=hidden",
                                            "postgresql://host/db?sslpassword=hidden"};
    static const char *const bad[] = {
        "postgresql://us%zzer@host/hidden", "postgresql://user@host/db?pass=hidden",
        "postgresql://[::1/hidden?pass", "postgresql://host/db?%70assword=%zzhidden",
        "postgresql://user:hidden@host/db?nothing=1"};
    char error[256];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!CHECK_EQ(open_url(good[i], error), TERN_HOST_OK))
            printf("    %s\n", error);
    for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++) {
        CHECK_EQ(open_url(passwords[i], error), TERN_HOST_E_ARGUMENT);
        CHECK(strstr(error, "~/.pgpass") != NULL && strstr(error, "hidden") == NULL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQ(open_url(bad[i], error), TERN_HOST_E_ARGUMENT);
        CHECK(strstr(error, "postgresql://user@host/database") != NULL && strstr(error, "hidden") == NULL);
    }
    CHECK_EQ(open_url("postgresql://host/db?nothing=1", error), TERN_HOST_E_ARGUMENT);
    CHECK(strstr(error, "nothing") != NULL && strchr(error, '\n') == NULL);
}

int main(void)
{
#ifdef HAS_HEADER
    RUN(prototypes_agree_with_the_header);
    RUN(an_option_has_the_same_shape);
#else
    SKIP(prototypes_agree_with_the_header, "libpq-fe.h is not installed (Debian package libpq-dev)");
#endif
    RUN(a_missing_library_names_the_package);
    struct tern_postgres_api api;
    static char error[256];
    if (tern_postgres_load(&api, error, sizeof error) == 0)
        RUN(urls_are_read_or_refused_with_a_reason_that_holds_no_secret);
    else
        SKIP(urls_are_read_or_refused_with_a_reason_that_holds_no_secret, error);
    return test_report();
}
