/* SPDX-License-Identifier: MIT */
/* The prototypes of libpq's functions that are kept by hand, against libpq-fe.h where it is installed: this file fails to compile when
 * one has drifted. */
#include "../test.h"

#include <stddef.h>
#include <string.h>

#include "../../host/sql/postgres_api.h"

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

int main(void)
{
#ifdef HAS_HEADER
    RUN(prototypes_agree_with_the_header);
    RUN(an_option_has_the_same_shape);
#else
    SKIP(prototypes_agree_with_the_header, "libpq-fe.h is not installed (Debian package libpq-dev)");
#endif
    RUN(a_missing_library_names_the_package);
    return test_report();
}
