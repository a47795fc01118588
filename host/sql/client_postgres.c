/* SPDX-License-Identifier: MIT */
/* A connection to PostgreSQL through libpq. Every wait has an end: for a connection, for an answer, and by
 * the server's own timeouts for a lock. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../buffer.h"
#include "postgres_api.h"
#include "postgres_text.h"
#include "sql.h"
#include "sql_postgres.h"

/* From libpq's documentation: its enumerations and the types' numbers are part of its stable interface. */
enum { CONNECTION_IS_OK = 0, CONNECTION_IS_BAD = 1 };
enum { POLLING_FAILED = 0, POLLING_READING = 1, POLLING_WRITING = 2, POLLING_OK = 3 };
enum {
    RESULT_EMPTY = 0,
    RESULT_COMMAND = 1,
    RESULT_TUPLES = 2,
    RESULT_COPY_OUT = 3,
    RESULT_COPY_IN = 4,
    RESULT_NONFATAL = 6
};
enum { FIELD_STATE = 'C', FIELD_MESSAGE = 'M', FIELD_DETAIL = 'D', FIELD_HINT = 'H', FIELD_CONTEXT = 'W' };
enum { TYPE_BOOL = 16, TYPE_BYTES = 17, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_INT4 = 23 };

#define OLDEST_VERSION       100000 /* of the server */
#define USER_TIMEOUT_VERSION 120000 /* of the library that knows tcp_user_timeout */
#define CONNECT_SECONDS      5      /* unless the URL says connect_timeout */
#define CONNECT_SECONDS_MAX  60
/* The server ends a statement after ten minutes (dialect_postgres.c); one that does not even say so is
 * gone. */
#define ANSWER_MILLISECONDS 660000
#define PARAMETERS_MAX      512
#define NUMBER_ROOM         32

/* ---- Errors ---------------------------------------------------------------------------------- */

struct statement {
    struct statement *next;
    char name[24];
};

struct postgres_client {
    struct tern_sql_client client; /* first */
    const struct tern_postgres_api *api;
    struct pg_conn *connection;
    struct statement *statements;
    unsigned long made; /* statements, for their names */
    char *url;
    char *text; /* parameters as text */
    size_t room;
    struct tern_buffer bytes; /* those of a row, read from hexadecimal */
    int64_t connect_milliseconds;
    uint64_t line; /* of a COPY, that the last error names */
    bool doomed;   /* the transaction must not be committed */
};

/* Messages may be of several lines; a log has one. */
static void flatten(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        text[--size] = '\0';
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n' || text[i] == '\t')
            text[i] = ' ';
}

static int lack_memory(struct postgres_client *client)
{
    snprintf(client->client.error, sizeof client->client.error, "out of memory");
    return TERN_HOST_E_SYSTEM;
}

static int lose(struct postgres_client *client, const char *why)
{
    char *error = client->client.error;
    snprintf(error, sizeof client->client.error, "%s",
             why != NULL ? why : client->api->errorMessage(client->connection));
    flatten(error);
    if (error[0] == '\0')
        snprintf(error, sizeof client->client.error, "the connection was lost");
    return TERN_HOST_E_DATABASE;
}

/* By the SQLSTATE, PostgreSQL's appendix A. */
static int classify(const char *state)
{
    if (strcmp(state, "23505") == 0)
        return TERN_SQL_E_DUPLICATE;
    if (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0)
        return TERN_SQL_E_RETRY;
    /* Data exceptions, constraints, what a user's trigger raises, and a value too long for an index. */
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "45", 2) == 0 ||
        strncmp(state, "P0", 2) == 0 || strcmp(state, "54000") == 0)
        return TERN_SQL_E_ROW;
    /* A table or type that another gateway has just made. */
    if (strcmp(state, "42P07") == 0 || strcmp(state, "42710") == 0)
        return TERN_HOST_E_DATABASE;
    if (strncmp(state, "42", 2) == 0 || strncmp(state, "0A", 2) == 0 || strncmp(state, "54", 2) == 0 ||
        strcmp(state, "2BP01") == 0)
        return TERN_SQL_E_STATEMENT;
    return TERN_HOST_E_DATABASE;
}

static const char *field(const struct postgres_client *client, const struct pg_result *result, int which)
{
    const char *text = client->api->resultErrorField(result, which);
    return text == NULL ? "" : text;
}

static int fail(struct postgres_client *client, const struct pg_result *result)
{
    const char *state = field(client, result, FIELD_STATE), *detail = field(client, result, FIELD_DETAIL);
    const char *message = field(client, result, FIELD_MESSAGE), *hint = field(client, result, FIELD_HINT);
    if (state[0] == '\0' || client->api->status(client->connection) != CONNECTION_IS_OK)
        return lose(client, message[0] == '\0' ? NULL : message);
    client->line = tern_postgres_line(field(client, result, FIELD_CONTEXT));
    snprintf(client->client.error, sizeof client->client.error, "%s%s%s%s%s (SQLSTATE %s)", message,
             detail[0] == '\0' ? "" : ": ", detail, hint[0] == '\0' ? "" : ": ", hint, state);
    flatten(client->client.error);
    return classify(state);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits until the socket is ready or the time is over. False: it is over, or the socket is gone. */
static bool wait_socket(const struct postgres_client *client, short events, int64_t until)
{
    struct pollfd wait = {client->api->socket(client->connection), events, 0};
    int ready;
    do {
        int64_t left = until - now();
        if (wait.fd < 0 || left <= 0)
            return false;
        ready = poll(&wait, 1, (int)left);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* The next result, NULL when there is none or the connection is lost, as its status then says. */
static struct pg_result *next_result(struct postgres_client *client, bool *lost)
{
    int64_t until = now() + ANSWER_MILLISECONDS;
    while (client->api->isBusy(client->connection)) {
        if (!wait_socket(client, POLLIN, until)) {
            *lost = true;
            return NULL;
        }
        if (!client->api->consumeInput(client->connection))
            break; /* the result that follows says why */
    }
    return client->api->getResult(client->connection);
}

/* Takes all results of what was sent. The first error decides; rows go to `row`. In a COPY it stops when data
 * are wanted. */
struct taking {
    tern_sql_row *row;
    void *context;
    uint64_t affected;
    bool commits;
    bool copies;
    unsigned *types; /* of the answer's columns, wanted instead of its rows; NULL: not */
    size_t type_count;
};

/* Room for all bytes of a row, so that none of them moves. */
static bool reserve_bytes(struct postgres_client *client, const struct pg_result *result, int y, int columns)
{
    size_t size = 1;
    for (int x = 0; x < columns; x++)
        size +=
            client->api->ftype(result, x) == TYPE_BYTES ? (size_t)client->api->getlength(result, y, x) : 0;
    tern_buffer_clear(&client->bytes);
    return tern_buffer_reserve(&client->bytes, size) != NULL;
}

static struct tern_sql_value read_value(struct postgres_client *client, const struct pg_result *result, int y,
                                        int x)
{
    const char *text = client->api->getvalue(result, y, x);
    struct tern_sql_value value = {TERN_SQL_TEXT, 0, 0, text, (size_t)client->api->getlength(result, y, x)};
    unsigned type = client->api->ftype(result, x);
    if (client->api->getisnull(result, y, x)) {
        value.kind = TERN_SQL_NULL;
    } else if (type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_BOOL) {
        value.kind = TERN_SQL_INTEGER;
        value.integer = type == TYPE_BOOL ? text[0] == 't' : strtoll(text, NULL, 10);
    } else if (type == TYPE_BYTES) {
        value.kind = TERN_SQL_BLOB;
        value.data = client->bytes.data + client->bytes.size;
        value.size = tern_postgres_read_bytes(client->bytes.data + client->bytes.size, text, value.size);
        client->bytes.size += value.size;
    }
    return value;
}

static int give_rows(struct postgres_client *client, const struct pg_result *result,
                     const struct taking *taking)
{
    struct tern_sql_value values[TERN_SQL_ANSWER_COLUMNS];
    int columns = client->api->nfields(result), rows = client->api->ntuples(result), status = TERN_HOST_OK;
    columns = columns > TERN_SQL_ANSWER_COLUMNS ? TERN_SQL_ANSWER_COLUMNS : columns;
    for (int y = 0; y < rows && status == TERN_HOST_OK && taking->row != NULL; y++) {
        if (!reserve_bytes(client, result, y, columns))
            return lack_memory(client);
        for (int x = 0; x < columns; x++)
            values[x] = read_value(client, result, y, x);
        status = taking->row(taking->context, values, (size_t)columns);
    }
    return status;
}

static int give_types(struct postgres_client *client, const struct pg_result *result,
                      const struct taking *taking)
{
    int columns = client->api->nfields(result);
    if (columns < 0 || (size_t)columns != taking->type_count)
        return lose(client, "the server gave other columns than were asked for");
    for (int i = 0; i < columns; i++)
        taking->types[i] = client->api->ftype(result, i);
    return TERN_HOST_OK;
}

static int take_result(struct postgres_client *client, struct pg_result *result, struct taking *taking)
{
    switch (client->api->resultStatus(result)) {
    case RESULT_TUPLES:
        return taking->types != NULL ? give_types(client, result, taking) : give_rows(client, result, taking);
    case RESULT_COPY_IN:
        taking->copies = true;
        return TERN_HOST_OK;
    case RESULT_COPY_OUT:
        taking->copies = true; /* it would be the next result, too, and the one after that */
        return lose(client, "the server began to send a copy, which nobody asked for");
    case RESULT_COMMAND:
        if (taking->commits && strcmp(client->api->cmdStatus(result), "COMMIT") != 0) {
            snprintf(client->client.error, sizeof client->client.error, "the server rolled back instead");
            return TERN_SQL_E_RETRY;
        }
        taking->affected = strtoull(client->api->cmdTuples(result), NULL, 10);
        return TERN_HOST_OK;
    case RESULT_EMPTY:
    case RESULT_NONFATAL:
        return TERN_HOST_OK;
    default:
        return fail(client, result);
    }
}

static int take_results(struct postgres_client *client, struct taking *taking)
{
    int status = TERN_HOST_OK;
    bool lost = false;
    struct pg_result *result;
    while (!taking->copies && (result = next_result(client, &lost)) != NULL) {
        int taken = take_result(client, result, taking);
        client->api->clear(result);
        if (status == TERN_HOST_OK)
            status = taken;
        if (client->api->status(client->connection) != CONNECTION_IS_OK)
            break;
    }
    if (lost)
        return lose(client, "the server does not answer");
    if (status == TERN_HOST_OK && client->api->status(client->connection) != CONNECTION_IS_OK)
        return lose(client, NULL);
    return status;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

/* libpq would print them to standard error. */
static void ignore_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static void disconnect(struct tern_sql_client *base)
{
    struct postgres_client *client = (struct postgres_client *)base;
    while (client->statements != NULL) {
        struct statement *statement = client->statements;
        client->statements = statement->next;
        free(statement);
    }
    if (client->connection != NULL)
        client->api->finish(client->connection);
    client->connection = NULL;
    client->doomed = false;
}

static bool finish_connecting(struct postgres_client *client)
{
    int64_t until = now() + client->connect_milliseconds;
    unsigned state = POLLING_WRITING;
    while (client->api->status(client->connection) != CONNECTION_IS_BAD) {
        if (!wait_socket(client, state == POLLING_READING ? POLLIN : POLLOUT, until)) {
            char why[96];
            snprintf(why, sizeof why, "no connection within %d seconds (connect_timeout)",
                     (int)(client->connect_milliseconds / 1000));
            lose(client, why);
            return false;
        }
        state = client->api->connectPoll(client->connection);
        if (state == POLLING_OK)
            return true;
        if (state == POLLING_FAILED)
            break;
    }
    lose(client, NULL);
    return false;
}

/* What the URL says wins over what stands before it here, and what stands behind it wins over the URL. A peer
 * that is gone without a word is noticed within half a minute. */
static struct pg_conn *start_connecting(const struct postgres_client *client)
{
    const char *const keywords[] = {"tcp_user_timeout", "fallback_application_name",
                                    "keepalives_idle",  "keepalives_interval",
                                    "keepalives_count", "dbname",
                                    "client_encoding",  NULL};
    const char *const values[] = {"30000", "tern-gateway", "10", "5", "4", client->url, "UTF8", NULL};
    int first = client->api->libVersion() < USER_TIMEOUT_VERSION;
    return client->api->connectStartParams(keywords + first, values + first, 1);
}

static int connect_server(struct tern_sql_client *base)
{
    struct postgres_client *client = (struct postgres_client *)base;
    disconnect(base);
    client->connection = start_connecting(client);
    if (client->connection == NULL)
        return lack_memory(client);
    client->api->setNoticeProcessor(client->connection, ignore_notice, NULL);
    if (!finish_connecting(client)) {
        disconnect(base);
        return TERN_HOST_E_DATABASE;
    }
    base->version = (unsigned)client->api->serverVersion(client->connection);
    if (base->version >= OLDEST_VERSION)
        return TERN_HOST_OK;
    disconnect(base);
    lose(client, "this server is too old: PostgreSQL 10 or later is needed");
    return TERN_HOST_E_DATABASE;
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* A server answers COMMIT with ROLLBACK, and no error, where a statement of the transaction has failed. */
static int execute(struct tern_sql_client *base, const char *sql)
{
    struct postgres_client *client = (struct postgres_client *)base;
    bool commits = strcmp(sql, "COMMIT") == 0;
    struct taking taking = {.commits = commits};
    if (commits && client->doomed) {
        snprintf(base->error, sizeof base->error, "the transaction lost rows that were refused");
        return TERN_SQL_E_RETRY;
    }
    if (strcmp(sql, "ROLLBACK") == 0)
        client->doomed = false;
    if (!client->api->sendQuery(client->connection, sql))
        return lose(client, NULL);
    return take_results(client, &taking);
}

int tern_postgres_mark(struct tern_sql_client *base)
{
    return execute(base, "SAVEPOINT tern_load");
}

int tern_postgres_doom(struct tern_sql_client *base)
{
    ((struct postgres_client *)base)->doomed = true;
    return execute(base, "ROLLBACK TO tern_load");
}

static int prepare(struct tern_sql_client *base, const char *sql, void **prepared)
{
    struct postgres_client *client = (struct postgres_client *)base;
    struct taking taking = {0};
    struct statement *statement = calloc(1, sizeof *statement);
    if (statement == NULL)
        return lack_memory(client);
    snprintf(statement->name, sizeof statement->name, "tern%lu", ++client->made);
    statement->next = client->statements;
    client->statements = statement;
    if (!client->api->sendPrepare(client->connection, statement->name, sql, 0, NULL))
        return lose(client, NULL);
    *prepared = statement;
    return take_results(client, &taking);
}

struct parameters {
    const char *values[PARAMETERS_MAX];
    int sizes[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
};

/* A text parameter ends with a NUL, which the value has not got behind it. */
static const char *copy_text(const struct tern_sql_value *value, char **at)
{
    char *text = *at;
    if (value->kind == TERN_SQL_INTEGER)
        snprintf(text, NUMBER_ROOM, "%lld", (long long)value->integer);
    else if (value->kind == TERN_SQL_REAL)
        snprintf(text, NUMBER_ROOM, "%.17g", value->real);
    else
        snprintf(text, value->size + 1, "%.*s", (int)value->size,
                 value->size == 0 ? "" : (const char *)value->data);
    *at += strlen(text) + 1;
    return text;
}

static bool reserve(struct postgres_client *client, const struct tern_sql_value *values, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += values[i].kind == TERN_SQL_TEXT ? values[i].size + 1 : NUMBER_ROOM;
    if (size <= client->room)
        return true;
    char *text = realloc(client->text, size * 2);
    if (text == NULL)
        return false;
    client->text = text;
    client->room = size * 2;
    return true;
}

static int bind(struct postgres_client *client, const struct tern_sql_value *values, size_t count,
                struct parameters *parameters)
{
    if (count > PARAMETERS_MAX || !reserve(client, values, count))
        return lack_memory(client);
    char *at = client->text;
    for (size_t i = 0; i < count; i++) {
        const struct tern_sql_value *value = &values[i];
        parameters->formats[i] = value->kind == TERN_SQL_BLOB;
        parameters->sizes[i] = (int)value->size;
        if (value->kind == TERN_SQL_NULL)
            parameters->values[i] = NULL;
        else if (value->kind == TERN_SQL_BLOB)
            parameters->values[i] = value->size == 0 ? "" : value->data;
        else if (value->kind == TERN_SQL_TEXT && value->size != 0 &&
                 memchr(value->data, '\0', value->size) != NULL) {
            snprintf(client->client.error, sizeof client->client.error,
                     "a text holds a NUL byte, which PostgreSQL cannot store");
            return TERN_SQL_E_ROW;
        } else
            parameters->values[i] = copy_text(value, &at);
    }
    return TERN_HOST_OK;
}

static int run(struct tern_sql_client *base, void *prepared, const struct tern_sql_value *values,
               size_t count, tern_sql_row *row, void *context)
{
    struct postgres_client *client = (struct postgres_client *)base;
    struct statement *statement = prepared;
    struct taking taking = {.row = row, .context = context};
    struct parameters parameters;
    int status = bind(client, values, count, &parameters);
    if (status != TERN_HOST_OK)
        return status;
    if (!client->api->sendQueryPrepared(client->connection, statement->name, (int)count, parameters.values,
                                        parameters.sizes, parameters.formats, 0))
        return lose(client, NULL);
    return take_results(client, &taking);
}

/* ---- COPY ------------------------------------------------------------------------------------ */

int tern_postgres_types(struct tern_sql_client *base, const char *sql, unsigned *types, size_t count)
{
    struct postgres_client *client = (struct postgres_client *)base;
    struct taking taking = {.types = types, .type_count = count};
    memset(types, 0, count * sizeof *types);
    return client->api->sendQuery(client->connection, sql) ? take_results(client, &taking)
                                                           : lose(client, NULL);
}

int tern_postgres_copy_begin(struct tern_sql_client *base, const char *sql)
{
    struct postgres_client *client = (struct postgres_client *)base;
    struct taking taking = {0};
    client->line = 0;
    if (!client->api->sendQuery(client->connection, sql))
        return lose(client, NULL);
    int status = take_results(client, &taking);
    return status != TERN_HOST_OK || taking.copies ? status : lose(client, "COPY was not begun");
}

int tern_postgres_copy_send(struct tern_sql_client *base, const char *bytes, size_t size)
{
    struct postgres_client *client = (struct postgres_client *)base;
    return client->api->putCopyData(client->connection, bytes, (int)size) == 1 ? TERN_HOST_OK
                                                                               : lose(client, NULL);
}

int tern_postgres_copy_end(struct tern_sql_client *base, bool good, uint64_t *rows, uint64_t *line)
{
    struct postgres_client *client = (struct postgres_client *)base;
    struct taking taking = {0};
    client->line = 0;
    if (client->api->putCopyEnd(client->connection, good ? NULL : "given up") != 1)
        return lose(client, NULL);
    int status = take_results(client, &taking);
    *rows = taking.affected;
    *line = client->line;
    return status;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void close_client(struct tern_sql_client *base)
{
    struct postgres_client *client = (struct postgres_client *)base;
    disconnect(base);
    tern_buffer_free(&client->bytes);
    free(client->text);
    free(client->url);
    free(client);
}

static const char *find_option(const struct tern_postgres_option *options, const char *keyword)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

/* libpq itself heeds connect_timeout only in calls that block. */
static int64_t connect_milliseconds(const struct tern_postgres_option *options)
{
    const char *text = find_option(options, "connect_timeout");
    if (text == NULL)
        text = getenv("PGCONNECT_TIMEOUT");
    int64_t seconds = text == NULL ? 0 : strtoll(text, NULL, 10);
    if (seconds <= 0)
        seconds = CONNECT_SECONDS;
    return (seconds > CONNECT_SECONDS_MAX ? CONNECT_SECONDS_MAX : seconds) * 1000;
}

/* libpq marks what must not be shown: the password, and that of a key file. */
static bool has_password(const struct tern_postgres_option *options)
{
    for (; options->keyword != NULL; options++)
        if (options->val != NULL && options->dispchar != NULL && strchr(options->dispchar, '*') != NULL)
            return true;
    return false;
}

/* The URL goes into logs and process lists, so that a password must stand elsewhere. */
static int read_url(struct postgres_client *client, const char *url, char error[256])
{
    char *why = NULL;
    int status = TERN_HOST_OK;
    struct tern_postgres_option *options = client->api->conninfoParse(url, &why);
    if (options == NULL) {
        /* Its words repeat a part of the URL. */
        bool hides = strstr(url, "pass") != NULL || strpbrk(url, "@%") != NULL;
        snprintf(error, 256, "not an URL as psql takes them, as postgresql://user@host/database%s%s",
                 hides ? "" : ": ",
                 hides         ? ""
                 : why == NULL ? "out of memory"
                               : why);
        flatten(error);
        client->api->freemem(why);
        return TERN_HOST_E_ARGUMENT;
    }
    if (has_password(options)) {
        snprintf(error, 256,
                 "no password in the URL, where logs would show it: put it into ~/.pgpass, into a file that "
                 "PGPASSFILE names, or into the environment variable PGPASSWORD");
        status = TERN_HOST_E_ARGUMENT;
    }
    client->connect_milliseconds = connect_milliseconds(options);
    client->api->conninfoFree(options);
    return status;
}

static int open_client(struct tern_sql_client **out, const struct tern_sink_config *config, char error[256])
{
    int status = tern_postgres_find(error);
    if (status != TERN_HOST_OK)
        return status;
    struct postgres_client *client = calloc(1, sizeof *client);
    if (client == NULL || (client->url = strdup(config->url)) == NULL) {
        free(client);
        snprintf(error, 256, "out of memory");
        return TERN_HOST_E_SYSTEM;
    }
    client->client.ops = &tern_sql_client_postgres;
    client->api = tern_postgres_library;
    status = read_url(client, config->url, error);
    if (status == TERN_HOST_OK)
        *out = &client->client;
    else
        close_client(&client->client);
    return status;
}

const struct tern_sql_client_ops tern_sql_client_postgres = {
    open_client, connect_server, disconnect, execute, prepare, run, close_client};
