/* SPDX-License-Identifier: MIT */
/*
 * MySQL's or MariaDB's client library, opened at run time. Values go as literals in the text of a statement:
 * the two libraries disagree about the struct that binds parameters, and a literal costs the server less than
 * a round trip. Where many rows come at once MariaDB's is bound (bulk_mysql.c). Backslashes are plain text on
 * our connections, so that doubling the quotes of a text is all there is to quoting it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_api.h"
#include "sql.h"
#include "sql_mysql.h"

/* From the libraries' documentation. */
enum {
    OPTION_CONNECT_TIMEOUT = 0,
    OPTION_READ_GROUP = 5,
    OPTION_CHARSET = 7,
    OPTION_LOCAL_INFILE = 8,
    OPTION_READ_TIMEOUT = 11,
    OPTION_WRITE_TIMEOUT = 12
};
enum { FLAG_MULTI_STATEMENTS = 1 << 16 };
enum {
    FIELD_TINY = 1,
    FIELD_SHORT = 2,
    FIELD_LONG = 3,
    FIELD_FLOAT = 4,
    FIELD_DOUBLE = 5,
    FIELD_LONGLONG = 8,
    FIELD_INT24 = 9,
    FIELD_YEAR = 13
};
enum { ATTRIBUTE_ROWS = 201, INFO_CAPABILITIES = 32, CAPABILITY_BULK = 1 << (34 - 32) };
enum { CHARSET_BINARY = 63, FIELD_BLOB_FIRST = 249, FIELD_BLOB_LAST = 254 };

#define CONNECT_SECONDS 10
#define ANSWER_SECONDS  660 /* the server ends a statement before that (dialect_mysql.c) */
#define WRITE_SECONDS   60
#define PORT            3306

/* ---- Text ------------------------------------------------------------------------------------ */

static void add_quoted(struct tern_buffer *text, const char *bytes, size_t size)
{
    char *begin = (char *)tern_buffer_reserve(text, 2 * size + 2), *at = begin;
    if (begin == NULL)
        return;
    *at++ = '\'';
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\'')
            *at++ = '\'';
        *at++ = bytes[i];
    }
    *at++ = '\'';
    text->size += (size_t)(at - begin);
}

static void add_hex(struct tern_buffer *text, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *begin = (char *)tern_buffer_reserve(text, 2 * size + 3), *at = begin;
    if (begin == NULL)
        return;
    *at++ = 'x';
    *at++ = '\'';
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at++ = '\'';
    text->size += (size_t)(at - begin);
}

void tern_mysql_add_value(struct tern_buffer *text, const struct tern_sql_value *value)
{
    char number[40];
    switch (value->kind) {
    case TERN_SQL_INTEGER:
        tern_buffer_put(text, number,
                        (size_t)snprintf(number, sizeof number, "%lld", (long long)value->integer));
        break;
    case TERN_SQL_REAL:
        tern_buffer_put(text, number, (size_t)snprintf(number, sizeof number, "%.17g", value->real));
        break;
    case TERN_SQL_TEXT:
        add_quoted(text, value->data, value->size);
        break;
    case TERN_SQL_BLOB:
        add_hex(text, value->data, value->size);
        break;
    default:
        tern_buffer_put(text, "NULL", 4);
    }
}

/* ---- Errors ---------------------------------------------------------------------------------- */

struct statement {
    struct statement *next;
    char *sql; /* with a ? for each value */
};

struct mysql_client {
    struct tern_sql_client client; /* first */
    const struct tern_mysql_api *api;
    struct st_mysql *connection;
    struct statement *statements;
    struct tern_buffer text;
    char *url; /* decoded pieces, each ended by NUL */
    const char *user, *host, *database, *socket, *group;
    unsigned port;
    bool is_mariadb;
    bool has_bulk;
    struct st_mysql_stmt *bulk; /* the statement that is run for many rows, NULL: none */
    /* What a LOAD DATA LOCAL INFILE is given, whatever file it names; NULL: nothing. */
    struct tern_mysql_file *file;
};

/* By the server's number where the SQLSTATE is too coarse: the reference lists of both servers. */
static int classify(unsigned number, const char *state)
{
    switch (number) {
    case 1062: /* duplicate key */
        return TERN_SQL_E_DUPLICATE;
    case 1050: /* table exists: another gateway was first, and the next look finds it */
    case 1020: /* the row has changed since the snapshot */
    case 1205: /* lock wait timeout */
    case 1213: /* deadlock */
        return TERN_SQL_E_RETRY;
    case 1114: /* the table is full: a temporary one, as a rule */
    case 1148: /* LOAD DATA LOCAL is forbidden, by any of these */
    case 3948:
    case 4166:
    case 4033: /* arrays, by a binary log of statements */
    case 1117: /* too many columns */
        return TERN_SQL_E_STATEMENT;
    case 1265: /* data truncated */
    case 1300: /* invalid character string */
    case 1366: /* incorrect value */
    case 1118: /* row too large */
    case 1364: /* a column of the user's that must have a value */
    case 1526: /* no partition for it */
    case 1644: /* a user's trigger refuses it */
    case 1713: /* undo record too large */
    case 3819: /* check constraint */
        return TERN_SQL_E_ROW;
    default:
        if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
            return TERN_SQL_E_ROW;
        return strncmp(state, "42", 2) == 0 ? TERN_SQL_E_STATEMENT : TERN_HOST_E_DATABASE;
    }
}

static int fail(struct mysql_client *client)
{
    const struct tern_mysql_api *api = client->api;
    unsigned number = api->error_number(client->connection);
    const char *state = api->sqlstate(client->connection);
    snprintf(client->client.error, sizeof client->client.error, "%s (error %u, SQLSTATE %s)",
             api->error(client->connection), number, state);
    return classify(number, state);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void read_value(struct tern_sql_value *value, const struct tern_mysql_field *field, const char *bytes,
                       size_t size)
{
    memset(value, 0, sizeof *value);
    if (bytes == NULL)
        return;
    value->kind = TERN_SQL_TEXT;
    value->data = bytes;
    value->size = size;
    switch (field->type) {
    case FIELD_TINY:
    case FIELD_SHORT:
    case FIELD_LONG:
    case FIELD_LONGLONG:
    case FIELD_INT24:
    case FIELD_YEAR:
        value->kind = TERN_SQL_INTEGER;
        value->integer = bytes[0] == '-' ? strtoll(bytes, NULL, 10) : (int64_t)strtoull(bytes, NULL, 10);
        break;
    case FIELD_FLOAT:
    case FIELD_DOUBLE:
        value->kind = TERN_SQL_REAL;
        value->real = strtod(bytes, NULL);
        break;
    default:
        if (field->charsetnr == CHARSET_BINARY && field->type >= FIELD_BLOB_FIRST &&
            field->type <= FIELD_BLOB_LAST)
            value->kind = TERN_SQL_BLOB;
    }
}

/* Rows come one by one, and must be taken to the last. */
static int give_rows(struct mysql_client *client, struct st_mysql_res *result, tern_sql_row *row,
                     void *context)
{
    const struct tern_mysql_api *api = client->api;
    struct tern_sql_value values[TERN_SQL_ANSWER_COLUMNS];
    unsigned columns = api->num_fields(result);
    int status = TERN_HOST_OK;
    if (columns > TERN_SQL_ANSWER_COLUMNS)
        columns = TERN_SQL_ANSWER_COLUMNS;
    for (char **fields = api->fetch_row(result); fields != NULL; fields = api->fetch_row(result)) {
        unsigned long *lengths = api->fetch_lengths(result);
        for (unsigned i = 0; i < columns; i++)
            read_value(&values[i], api->fetch_field_direct(result, i), fields[i], lengths[i]);
        if (status == TERN_HOST_OK && row != NULL)
            status = row(context, values, columns);
    }
    if (api->error_number(client->connection) != 0)
        status = fail(client);
    return status;
}

/* All answers of the statements that were sent; the first error decides. */
static int take_answers(struct mysql_client *client, tern_sql_row *row, void *context)
{
    const struct tern_mysql_api *api = client->api;
    int status = TERN_HOST_OK;
    for (int more = 0; more == 0 && status == TERN_HOST_OK;) {
        struct st_mysql_res *result = api->use_result(client->connection);
        if (result != NULL) {
            status = give_rows(client, result, row, context);
            api->free_result(result);
        } else if (api->error_number(client->connection) != 0) {
            status = fail(client);
        }
        if (status == TERN_HOST_OK && (more = api->next_result(client->connection)) > 0)
            status = fail(client);
    }
    return status;
}

static int send(struct mysql_client *client, const char *sql, size_t size)
{
    if (client->connection == NULL) {
        snprintf(client->client.error, sizeof client->client.error, "not connected");
        return TERN_HOST_E_DATABASE;
    }
    return client->api->real_query(client->connection, sql, (unsigned long)size) != 0 ? fail(client)
                                                                                      : TERN_HOST_OK;
}

static int query(struct mysql_client *client, const char *sql, size_t size, tern_sql_row *row, void *context)
{
    int status = send(client, sql, size);
    return status == TERN_HOST_OK ? take_answers(client, row, context) : status;
}

int tern_mysql_query(struct tern_sql_client *client, const char *sql, size_t size)
{
    return query((struct mysql_client *)client, sql, size, NULL, NULL);
}

static int execute(struct tern_sql_client *client, const char *sql)
{
    return tern_mysql_query(client, sql, strlen(sql));
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* A server may answer any statement by asking for a file of this machine. It gets what is meant for it, and
 * nothing else. */
static int begin_file(void **handle, const char *name, void *context)
{
    (void)name;
    *handle = context;
    return ((const struct mysql_client *)context)->file == NULL;
}

static int read_file(void *handle, char *to, unsigned size)
{
    struct tern_mysql_file *file = ((struct mysql_client *)handle)->file;
    if (file->given == file->bytes.size) {
        file->bytes.size = file->given = 0;
        file->write(file);
    }
    if (file->bytes.failed)
        return -1;
    size_t left = file->bytes.size - file->given;
    if (left > size)
        left = size;
    if (left != 0)
        memcpy(to, file->bytes.data + file->given, left);
    file->given += left;
    return (int)left;
}

static void end_file(void *handle)
{
    (void)handle;
}

static int explain_file(void *handle, char *message, unsigned size)
{
    snprintf(message, size, "%s",
             ((const struct mysql_client *)handle)->file == NULL
                 ? "the server asked for a file that was not offered"
                 : "out of memory");
    return 2000; /* unknown error */
}

int tern_mysql_send_file(struct tern_sql_client *base, const char *sql, struct tern_mysql_file *file,
                         uint64_t *rows, unsigned *warnings)
{
    struct mysql_client *client = (struct mysql_client *)base;
    client->file = file;
    int status = send(client, sql, strlen(sql));
    client->file = NULL;
    if (status != TERN_HOST_OK)
        return status;
    /* Asking for the next answer forgets both. */
    *rows = client->api->affected_rows(client->connection);
    *warnings = client->api->warning_count(client->connection);
    return take_answers(client, NULL, NULL);
}

/* ---- Many rows ------------------------------------------------------------------------------- */

bool tern_mysql_has_bulk(const struct tern_sql_client *client)
{
    return ((const struct mysql_client *)client)->has_bulk;
}

/* MariaDB's library, speaking to a server that takes arrays. */
static bool find_bulk(const struct mysql_client *client)
{
    const struct tern_mysql_api *api = client->api;
    unsigned long capabilities = 0; /* those above the 32 that MySQL has, too */
    bool has_all = api->get_info != NULL && api->stmt_init != NULL && api->stmt_prepare != NULL &&
                   api->stmt_attr_set != NULL && api->stmt_bind_param != NULL && api->stmt_execute != NULL &&
                   api->stmt_close != NULL;
    return has_all && client->is_mariadb &&
           api->get_info(client->connection, INFO_CAPABILITIES, &capabilities) == 0 &&
           (capabilities & CAPABILITY_BULK) != 0;
}

int tern_mysql_bulk_begin(struct tern_sql_client *base, const char *sql, size_t size)
{
    struct mysql_client *client = (struct mysql_client *)base;
    client->bulk = client->api->stmt_init(client->connection);
    if (client->bulk == NULL) {
        snprintf(base->error, sizeof base->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    return client->api->stmt_prepare(client->bulk, sql, (unsigned long)size) != 0 ? fail(client)
                                                                                  : TERN_HOST_OK;
}

int tern_mysql_bulk_run(struct tern_sql_client *base, struct tern_mysql_bind *binds, unsigned rows,
                        uint64_t *affected)
{
    struct mysql_client *client = (struct mysql_client *)base;
    const struct tern_mysql_api *api = client->api;
    if (api->stmt_attr_set(client->bulk, ATTRIBUTE_ROWS, &rows) != 0 ||
        api->stmt_bind_param(client->bulk, binds) != 0) {
        snprintf(base->error, sizeof base->error, "the library takes no arrays");
        return TERN_SQL_E_STATEMENT;
    }
    if (api->stmt_execute(client->bulk) != 0) {
        int status = fail(client);
        client->has_bulk = client->has_bulk && status != TERN_SQL_E_STATEMENT;
        return status;
    }
    *affected = api->affected_rows(client->connection);
    return TERN_HOST_OK;
}

void tern_mysql_bulk_end(struct tern_sql_client *base)
{
    struct mysql_client *client = (struct mysql_client *)base;
    if (client->bulk != NULL)
        client->api->stmt_close(client->bulk);
    client->bulk = NULL;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static int prepare(struct tern_sql_client *base, const char *sql, void **out)
{
    struct mysql_client *client = (struct mysql_client *)base;
    struct statement *statement = calloc(1, sizeof *statement);
    if (statement == NULL || (statement->sql = strdup(sql)) == NULL) {
        free(statement);
        snprintf(base->error, sizeof base->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    statement->next = client->statements;
    client->statements = statement;
    *out = statement;
    return TERN_HOST_OK;
}

/* Where the next ? stands that is not part of a name or a literal, or the end. */
static const char *find_mark(const char *sql)
{
    char quote = '\0';
    for (; *sql != '\0' && (quote != '\0' || *sql != '?'); sql++) {
        if (quote == '\0' && (*sql == '"' || *sql == '\''))
            quote = *sql;
        else if (*sql == quote)
            quote = '\0';
    }
    return sql;
}

static int run(struct tern_sql_client *base, void *prepared, const struct tern_sql_value *values,
               size_t count, tern_sql_row *row, void *context)
{
    struct mysql_client *client = (struct mysql_client *)base;
    const char *sql = ((const struct statement *)prepared)->sql;
    client->text.size = 0;
    client->text.failed = false;
    for (size_t i = 0; *sql != '\0'; i++) {
        const char *mark = find_mark(sql);
        tern_buffer_put(&client->text, sql, (size_t)(mark - sql));
        if (*mark == '?' && i < count)
            tern_mysql_add_value(&client->text, &values[i]);
        sql = *mark == '?' ? mark + 1 : mark;
    }
    if (client->text.failed) {
        snprintf(base->error, sizeof base->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    return query(client, (const char *)client->text.data, client->text.size, row, context);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void disconnect(struct tern_sql_client *base)
{
    struct mysql_client *client = (struct mysql_client *)base;
    while (client->statements != NULL) {
        struct statement *statement = client->statements;
        client->statements = statement->next;
        free(statement->sql);
        free(statement);
    }
    if (client->connection != NULL)
        client->api->close(client->connection);
    client->connection = NULL;
}

static void set_options(const struct mysql_client *client)
{
    const struct tern_mysql_api *api = client->api;
    unsigned connect = CONNECT_SECONDS, answer = ANSWER_SECONDS, write = WRITE_SECONDS, on = 1;
    api->options(client->connection, OPTION_READ_GROUP, client->group);
    api->options(client->connection, OPTION_CHARSET, "utf8mb4");
    api->options(client->connection, OPTION_LOCAL_INFILE, &on);
    api->options(client->connection, OPTION_CONNECT_TIMEOUT, &connect);
    api->options(client->connection, OPTION_READ_TIMEOUT, &answer);
    api->options(client->connection, OPTION_WRITE_TIMEOUT, &write);
}

static int connect_server(struct tern_sql_client *base)
{
    struct mysql_client *client = (struct mysql_client *)base;
    const struct tern_mysql_api *api = client->api;
    disconnect(base);
    client->connection = api->init(NULL);
    if (client->connection == NULL) {
        snprintf(base->error, sizeof base->error, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    set_options(client);
    if (api->real_connect(client->connection, client->host, client->user, getenv("MYSQL_PWD"),
                          client->database, client->port, client->socket, FLAG_MULTI_STATEMENTS) == NULL) {
        (void)fail(client);
        disconnect(base);
        return TERN_HOST_E_DATABASE;
    }
    api->set_local_infile_handler(client->connection, begin_file, read_file, end_file, explain_file, client);
    base->version = (unsigned)api->get_server_version(client->connection);
    client->is_mariadb = strstr(api->get_server_info(client->connection), "MariaDB") != NULL;
    client->has_bulk = find_bulk(client);
    return TERN_HOST_OK;
}

bool tern_mysql_is_mariadb(const struct tern_sql_client *client)
{
    return ((const struct mysql_client *)client)->is_mariadb;
}

/* ---- URL ------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX in place. False: it is none, or a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        int high = hex_digit(text[1]);
        int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || (high | low) == 0)
            return false;
        *to++ = (char)(high << 4 | low);
        text += 2;
    }
    *to = '\0';
    return true;
}

static int refuse(char error[256], const char *why)
{
    snprintf(error, 256,
             "%s; it is spelt mysql://user@host:port/database, or mysql://user@/database?socket=/path", why);
    return TERN_HOST_E_ARGUMENT;
}

static char *cut(char *text, char at)
{
    char *place = strchr(text, at);
    if (place == NULL)
        return NULL;
    *place = '\0';
    return place + 1;
}

static int read_query(struct mysql_client *client, char *options, char error[256])
{
    while (options != NULL && options[0] != '\0') {
        char *next = cut(options, '&');
        char *value = cut(options, '=');
        if (value == NULL || !decode(value))
            return refuse(error, "an option of the URL has no value");
        if (strcmp(options, "socket") == 0)
            client->socket = value;
        else if (strcmp(options, "group") == 0)
            client->group = value;
        else
            return refuse(error, "the URL's options are socket and group");
        options = next;
    }
    return TERN_HOST_OK;
}

static int read_host(struct mysql_client *client, char *host, char error[256])
{
    char *port = host[0] == '[' ? NULL : cut(host, ':');
    if (host[0] == '[') { /* IPv6 */
        char *behind = cut(++host, ']');
        if (behind == NULL || (behind[0] != '\0' && behind[0] != ':'))
            return refuse(error, "the URL's host has no ]");
        port = behind[0] == ':' ? behind + 1 : NULL;
    }
    client->port = PORT;
    if (port != NULL) {
        char *end;
        unsigned long number = strtoul(port, &end, 10);
        if (port[0] < '0' || port[0] > '9' || *end != '\0' || number == 0 || number > 65535)
            return refuse(error, "the URL's port is none");
        client->port = (unsigned)number;
    }
    client->host = host[0] == '\0' ? NULL : host;
    return decode(host) ? TERN_HOST_OK : refuse(error, "the URL has a % that is no %XX");
}

/* `rest`: what stands behind the scheme and its colon. The URL goes into logs and process lists, so that a
 * password must stand elsewhere. */
static int read_url(struct mysql_client *client, const char *rest, char error[256])
{
    if (strncmp(rest, "//", 2) != 0)
        return refuse(error, "the URL has no //");
    client->url = strdup(rest + 2);
    if (client->url == NULL) {
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    char *options = cut(client->url, '?');
    char *database = cut(client->url, '/');
    char *host = strrchr(client->url, '@');
    client->group = "client";
    if (host != NULL) {
        *host++ = '\0';
        client->user = client->url;
        if (strchr(client->url, ':') != NULL) {
            snprintf(error, 256,
                     "no password in the URL, where logs would show it: put it into the section [client] of "
                     "~/.my.cnf, "
                     "or into the environment variable MYSQL_PWD");
            return TERN_HOST_E_ARGUMENT;
        }
    }
    if (database == NULL || database[0] == '\0')
        return refuse(error, "the URL names no database");
    if (!decode(database) || (client->user != NULL && !decode(client->url)))
        return refuse(error, "the URL has a % that is no %XX");
    client->database = database;
    int status = read_host(client, host == NULL ? client->url : host, error);
    return status != TERN_HOST_OK ? status : read_query(client, options, error);
}

static void close_client(struct tern_sql_client *base)
{
    struct mysql_client *client = (struct mysql_client *)base;
    disconnect(base);
    tern_buffer_free(&client->text);
    free(client->url);
    free(client);
}

static int open_client(struct tern_sql_client **out, const struct tern_sink_config *config, char error[256])
{
    int status = tern_mysql_find(error);
    if (status != TERN_HOST_OK)
        return status;
    struct mysql_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    client->client.ops = &tern_sql_client_mysql;
    client->api = tern_mysql_library;
    client->is_mariadb = strncmp(config->url, "mariadb:", 8) == 0; /* until a server says what it is */
    status = read_url(client, config->rest, error);
    if (status == TERN_HOST_OK)
        *out = &client->client;
    else
        close_client(&client->client);
    return status;
}

const struct tern_sql_client_ops tern_sql_client_mysql = {
    open_client, connect_server, disconnect, execute, prepare, run, close_client};
