/* SPDX-License-Identifier: MIT */
/*
 * The functions of MySQL's and MariaDB's client libraries that tern calls, as pointers: filled by opening a
 * library at run time, or by the application (a static build), or by a test that fails one of them. The
 * prototypes are kept by hand; a test compares them with mysql.h where that is installed. Both libraries
 * agree on all of it: MYSQL and MYSQL_RES stay opaque, and only options below 14 are set, whose numbers are
 * the same in both. MariaDB's has more, which is used where it is there. The enumerations are ints
 * here. */
#ifndef TERN_MYSQL_API_H
#define TERN_MYSQL_API_H

struct st_mysql;
struct st_mysql_res;
struct st_mysql_stmt;

/* MYSQL_FIELD, field by field. */
struct tern_mysql_field {
    char *name, *org_name, *table, *org_table, *db, *catalog, *def;
    unsigned long length, max_length;
    unsigned name_length, org_name_length, table_length, org_table_length, db_length, catalog_length,
        def_length, flags, decimals, charsetnr;
    unsigned type;
    void *extension;
};

/* MariaDB's MYSQL_BIND, field by field; MySQL's is another. */
struct tern_mysql_bind {
    unsigned long *length; /* of each row's bytes */
    char *is_null;
    void *buffer; /* one value a row, or one pointer to bytes */
    char *error;
    char *indicator; /* one a row, 1: NULL */
    void (*functions[3])(void);
    unsigned long buffer_length, offset, length_value;
    unsigned flags, pack_length, type;
    char error_value, is_unsigned, long_data_used, is_null_value;
    void *extension;
};

struct tern_mysql_api {
    int (*server_init)(int count, char **arguments, char **groups);
    struct st_mysql *(*init)(struct st_mysql *connection);
    int (*options)(struct st_mysql *connection, unsigned option, const void *value);
    struct st_mysql *(*real_connect)(struct st_mysql *connection, const char *host, const char *user,
                                     const char *password, const char *database, unsigned port,
                                     const char *socket, unsigned long flags);
    void (*close)(struct st_mysql *connection);
    unsigned (*error_number)(struct st_mysql *connection);
    const char *(*sqlstate)(struct st_mysql *connection);
    const char *(*error)(struct st_mysql *connection);
    unsigned long (*get_server_version)(struct st_mysql *connection);
    const char *(*get_server_info)(struct st_mysql *connection);
    int (*real_query)(struct st_mysql *connection, const char *sql, unsigned long size);
    struct st_mysql_res *(*use_result)(struct st_mysql *connection);
    int (*next_result)(struct st_mysql *connection);
    unsigned (*num_fields)(struct st_mysql_res *result);
    struct tern_mysql_field *(*fetch_field_direct)(struct st_mysql_res *result, unsigned column);
    char **(*fetch_row)(struct st_mysql_res *result);
    unsigned long *(*fetch_lengths)(struct st_mysql_res *result);
    void (*free_result)(struct st_mysql_res *result);
    void (*set_local_infile_handler)(struct st_mysql *connection,
                                     int (*begin)(void **handle, const char *name, void *context),
                                     int (*read)(void *handle, char *to, unsigned size),
                                     void (*end)(void *handle),
                                     int (*explain)(void *handle, char *message, unsigned size),
                                     void *context);
    unsigned long long (*affected_rows)(struct st_mysql *connection);
    unsigned (*warning_count)(struct st_mysql *connection);
    /* MariaDB's: NULL in MySQL's library, whose functions of the same names take another struct. */
    char (*get_info)(struct st_mysql *connection, int value, void *to, ...);
    struct st_mysql_stmt *(*stmt_init)(struct st_mysql *connection);
    int (*stmt_prepare)(struct st_mysql_stmt *statement, const char *sql, unsigned long size);
    char (*stmt_attr_set)(struct st_mysql_stmt *statement, int attribute, const void *value);
    char (*stmt_bind_param)(struct st_mysql_stmt *statement, struct tern_mysql_bind *binds);
    int (*stmt_execute)(struct st_mysql_stmt *statement);
    char (*stmt_close)(struct st_mysql_stmt *statement);
};

/* NULL: the library is opened when the first mysql: destination is. Set it before that to use another one. */
extern const struct tern_mysql_api *tern_mysql_library;

/* Fills `api` from the library at TERN_MYSQL_LIBRARY (environment), or the first of libmariadb.so.3,
 * libmysqlclient.so.21 to .24. 0, or -1 with the reason in `error`. The library stays open for the life of
 * the process. */
int tern_mysql_load(struct tern_mysql_api *api, char *error, unsigned long size);

/* Sets tern_mysql_library so where it is NULL. TERN_HOST_OK, or TERN_HOST_E_LIBRARY with the reason in
 * `error`. */
int tern_mysql_find(char error[256]);

#endif
