/* SPDX-License-Identifier: MIT */
/* The functions of PostgreSQL's client library, libpq, that tern calls, as pointers: filled by opening the
 * library at run time, or by the application (a static build), or by a test that fails one of them. The
 * prototypes are kept by hand; a test compares them with libpq-fe.h where that is installed. libpq's
 * enumerations are unsigned ints here. */
#ifndef TERN_POSTGRES_API_H
#define TERN_POSTGRES_API_H

struct pg_conn;
struct pg_result;

/* libpq's PQconninfoOption, field by field. */
struct tern_postgres_option {
    char *keyword;
    char *envvar;
    char *compiled;
    char *val;
    char *label;
    char *dispchar;
    int dispsize;
};

struct tern_postgres_api {
    struct pg_conn *(*connectStartParams)(const char *const *keywords, const char *const *values,
                                          int expand_dbname);
    unsigned (*connectPoll)(struct pg_conn *connection);
    unsigned (*status)(const struct pg_conn *connection);
    void (*finish)(struct pg_conn *connection);
    char *(*errorMessage)(const struct pg_conn *connection);
    int (*socket)(const struct pg_conn *connection);
    int (*serverVersion)(const struct pg_conn *connection);
    unsigned (*transactionStatus)(const struct pg_conn *connection);
    void (*(*setNoticeProcessor)(struct pg_conn *connection, void (*take)(void *context, const char *message),
                                 void *context))(void *, const char *);
    struct tern_postgres_option *(*conninfoParse)(const char *text, char **error);
    void (*conninfoFree)(struct tern_postgres_option *options);
    void (*freemem)(void *memory);
    int (*sendQuery)(struct pg_conn *connection, const char *sql);
    int (*sendPrepare)(struct pg_conn *connection, const char *name, const char *sql, int count,
                       const unsigned *types);
    int (*sendQueryPrepared)(struct pg_conn *connection, const char *name, int count,
                             const char *const *values, const int *sizes, const int *formats,
                             int result_format);
    int (*isBusy)(struct pg_conn *connection);
    int (*consumeInput)(struct pg_conn *connection);
    struct pg_result *(*getResult)(struct pg_conn *connection);
    int (*putCopyData)(struct pg_conn *connection, const char *bytes, int size);
    int (*putCopyEnd)(struct pg_conn *connection, const char *error);
    unsigned (*resultStatus)(const struct pg_result *result);
    char *(*resultErrorField)(const struct pg_result *result, int field);
    int (*ntuples)(const struct pg_result *result);
    int (*nfields)(const struct pg_result *result);
    unsigned (*ftype)(const struct pg_result *result, int column);
    char *(*getvalue)(const struct pg_result *result, int row, int column);
    int (*getlength)(const struct pg_result *result, int row, int column);
    int (*getisnull)(const struct pg_result *result, int row, int column);
    char *(*cmdStatus)(struct pg_result *result);
    char *(*cmdTuples)(struct pg_result *result);
    void (*clear)(struct pg_result *result);
    int (*libVersion)(void);
    int (*isthreadsafe)(void);
};

/* NULL: the library is opened when the first postgresql: destination is. Set it before that to use another
 * one. */
extern const struct tern_postgres_api *tern_postgres_library;

/* Fills `api` from the library at TERN_POSTGRES_LIBRARY (environment), or libpq.so.5. 0, or -1 with the
 * reason in `error`. The library stays open for the life of the process. */
int tern_postgres_load(struct tern_postgres_api *api, char *error, unsigned long size);

/* Sets tern_postgres_library so where it is NULL. TERN_HOST_OK, or TERN_HOST_E_LIBRARY with the reason in
 * `error`. */
int tern_postgres_find(char error[256]);

#endif
