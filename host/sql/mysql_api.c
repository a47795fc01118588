/* SPDX-License-Identifier: MIT */
#include "mysql_api.h"

#include "library.h"

const struct tern_mysql_api *tern_mysql_library;

#define SYMBOL(name, field)                                                                                  \
    {                                                                                                        \
        "mysql_" #name, offsetof(struct tern_mysql_api, field), false                                        \
    }
#define OPTIONAL(name, field)                                                                                \
    {                                                                                                        \
        name, offsetof(struct tern_mysql_api, field), true                                                   \
    }

static const struct tern_library_symbol symbols[] = {
    SYMBOL(server_init, server_init),
    SYMBOL(init, init),
    SYMBOL(options, options),
    SYMBOL(real_connect, real_connect),
    SYMBOL(close, close),
    SYMBOL(errno, error_number),
    SYMBOL(sqlstate, sqlstate),
    SYMBOL(error, error),
    SYMBOL(get_server_version, get_server_version),
    SYMBOL(get_server_info, get_server_info),
    SYMBOL(real_query, real_query),
    SYMBOL(set_local_infile_handler, set_local_infile_handler),
    SYMBOL(affected_rows, affected_rows),
    SYMBOL(warning_count, warning_count),
    SYMBOL(use_result, use_result),
    SYMBOL(next_result, next_result),
    SYMBOL(num_fields, num_fields),
    SYMBOL(fetch_field_direct, fetch_field_direct),
    SYMBOL(fetch_row, fetch_row),
    SYMBOL(fetch_lengths, fetch_lengths),
    SYMBOL(free_result, free_result),
    OPTIONAL("mariadb_get_infov", get_info),
    OPTIONAL("mysql_stmt_init", stmt_init),
    OPTIONAL("mysql_stmt_prepare", stmt_prepare),
    OPTIONAL("mysql_stmt_attr_set", stmt_attr_set),
    OPTIONAL("mysql_stmt_bind_param", stmt_bind_param),
    OPTIONAL("mysql_stmt_execute", stmt_execute),
    OPTIONAL("mysql_stmt_close", stmt_close)};

static const char *const names[] = {"libmariadb.so.3",      "libmysqlclient.so.24", "libmysqlclient.so.23",
                                    "libmysqlclient.so.22", "libmysqlclient.so.21", NULL};

static const char *refuse(const void *filled)
{
    const struct tern_mysql_api *api = filled;
    return api->server_init(0, NULL, NULL) == 0 ? NULL : "cannot be initialized";
}

static const struct tern_library library = {names,
                                            "TERN_MYSQL_LIBRARY",
                                            "MySQL's client library",
                                            "libmariadb3",
                                            symbols,
                                            sizeof symbols / sizeof symbols[0],
                                            refuse};

int tern_mysql_load(struct tern_mysql_api *api, char *error, unsigned long size)
{
    return tern_library_load(&library, api, error, size);
}

int tern_mysql_find(char error[256])
{
    static struct tern_mysql_api loaded;
    return tern_library_find(&library, &tern_mysql_library, &loaded, error, 256);
}
