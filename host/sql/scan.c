/* SPDX-License-Identifier: MIT */
/* Rows of a table read back. Each database says numbers and times in its own way; here they become what the
 * schema declares. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../core/csv.h"
#include "../scan.h"
#include "sql.h"

#define YEAR_MAX 999999 /* more than any database has */

struct scanning {
    const struct tern_sink_scan *scan;
    struct tern_sql_engine *engine;
    bool ended; /* by its caller, or for a reason that is said already */
};

static int64_t scale(uint16_t type)
{
    unsigned kind = TERN_TYPE_KIND(type);
    int64_t power = 1;
    for (unsigned i = 0;
         (kind == TERN_KIND_DECIMAL || kind == TERN_KIND_FLOAT) && i < TERN_TYPE_PARAMETER(type); i++)
        power *= 10;
    return power;
}

/* "2026-11-21 09:30:00.125+00", as databases print UTC; PostgreSQL has years of more digits, and a BC at the
 * end. */
static bool read_time(const char *text, uint16_t type, int64_t *number)
{
    struct tm utc;
    char *rest;
    long year = strtol(text, &rest, 10);
    memset(&utc, 0, sizeof utc);
    const char *end = year < 0 || year > YEAR_MAX ? NULL : strptime(rest, "-%m-%d%n%H:%M:%S", &utc);
    if (end == NULL)
        return false;
    int64_t milliseconds = 0;
    if (*end == '.')
        milliseconds = (int64_t)llround(strtod(end, NULL) * 1000);
    utc.tm_year = (int)(strstr(end, " BC") != NULL ? 1 - year : year) - 1900;
    *number = (int64_t)timegm(&utc);
    if (TERN_TYPE_KIND(type) == TERN_KIND_TIME_MS)
        *number = *number * 1000 + milliseconds;
    return true;
}

static bool read_text(const struct tern_sql_value *value, uint16_t type, int64_t *number)
{
    char text[64];
    unsigned kind = TERN_TYPE_KIND(type);
    if (value->size >= sizeof text)
        return false;
    memcpy(text, value->data, value->size);
    text[value->size] = '\0';
    if (kind == TERN_KIND_BOOL && (strcmp(text, "t") == 0 || strcmp(text, "f") == 0)) {
        *number = text[0] == 't';
        return true;
    }
    /* Another version of the schema may have declared a wider one. */
    if (kind <= TERN_KIND_SIGNED)
        return tern_csv_parse_number(text, value->size, TERN_I64, false, number) == TERN_OK ||
               tern_csv_parse_number(text, value->size, TERN_U64, false, number) == TERN_OK;
    if (kind == TERN_KIND_FLOAT) {
        *number = (int64_t)llround(strtod(text, NULL) * (double)scale(type));
        return true;
    }
    return tern_csv_parse_number(text, value->size, type, false, number) == TERN_OK ||
           ((kind == TERN_KIND_TIME_S || kind == TERN_KIND_TIME_MS) && read_time(text, type, number));
}

/* The number as the schema counts it. False: it is none. */
static bool read_number(const struct tern_sql_value *value, uint16_t type, int64_t *number)
{
    switch (value->kind) {
    case TERN_SQL_INTEGER:
        *number = value->integer * scale(type);
        return true;
    case TERN_SQL_REAL:
        *number = (int64_t)llround(value->real * (double)scale(type));
        return true;
    case TERN_SQL_TEXT:
        return read_text(value, type, number);
    default:
        return false;
    }
}

/* A decimal without zeros at its end: a database may keep more digits than a version of the schema declared.
 * False: it is none. */
static bool write_decimal(const struct tern_sql_value *value, char text[64])
{
    if (value->kind == TERN_SQL_INTEGER) {
        snprintf(text, 64, "%" PRId64, value->integer);
    } else if (value->kind == TERN_SQL_REAL) { /* which holds 15 digits */
        snprintf(text, 64, "%.14e", value->real);
        const char *mark = strchr(text, 'e');
        long places = mark == NULL ? 0 : 14 - strtol(mark + 1, NULL, 10);
        snprintf(text, 64, "%.*f", (int)(places < 0 ? 0 : places > 30 ? 30 : places), value->real);
    } else if (value->kind == TERN_SQL_TEXT && value->size < 64) {
        memcpy(text, value->data, value->size);
        text[value->size] = '\0';
    } else {
        return false;
    }
    size_t size = strlen(text);
    if (strchr(text, '.') == NULL)
        return true;
    while (text[size - 1] == '0')
        size--;
    text[text[size - 1] == '.' ? size - 1 : size] = '\0';
    return true;
}

/* A tag says what follows, so that NULL, "" and 0 differ. */
static uint64_t digest_value(uint64_t digest, const struct tern_sql_value *value,
                             const struct tern_column *column)
{
    int64_t number;
    uint64_t size = value->size;
    char decimal[64];
    if (value->kind == TERN_SQL_NULL)
        return tern_digest(digest, "N", 1);
    if (TERN_TYPE_KIND(column->type) == TERN_KIND_DECIMAL && write_decimal(value, decimal))
        return tern_digest(tern_digest(digest, "D", 1), decimal, strlen(decimal) + 1);
    if (TERN_TYPE_KIND(column->type) < TERN_KIND_TEXT && read_number(value, column->type, &number))
        return tern_digest(tern_digest(digest, "I", 1), &number, sizeof number);
    digest = tern_digest(tern_digest(digest, "T", 1), &size, sizeof size);
    return tern_digest(digest, value->data, value->size);
}

static int take_row(void *context, const struct tern_sql_value *values, size_t count)
{
    struct scanning *scanning = context;
    const struct tern_sink_scan *scan = scanning->scan;
    scanning->ended = true;
    if (count != scan->column_count + 2 || values[0].kind != TERN_SQL_TEXT ||
        values[1].kind != TERN_SQL_INTEGER)
        return tern_sink_fail(&scanning->engine->sink, TERN_HOST_E_DATABASE,
                              "%s: the answer has other columns than were asked for", scan->table);
    struct tern_scan_row row = {values[0].data, values[0].size, values[1].integer, TERN_DIGEST_BEGIN};
    for (size_t i = 0; i < scan->column_count; i++)
        row.digest = digest_value(row.digest, &values[i + 2], &scan->columns[i]);
    int status = scan->row(scan->context, &row);
    scanning->ended = status != TERN_HOST_OK;
    return status;
}

int tern_sql_scan(struct tern_sink *sink, const struct tern_sink_scan *scan)
{
    struct tern_sql_engine *engine = (struct tern_sql_engine *)sink;
    struct tern_sql_prepared *prepared;
    struct scanning scanning = {scan, engine, false};
    struct tern_sql_value range[3] = {tern_sql_integer(scan->first), tern_sql_integer(scan->last),
                                      tern_sql_string(scan->device == NULL ? "" : scan->device)};
    struct tern_table table = {.name = scan->table};
    tern_sql_clear(&engine->text);
    tern_sql_add(&engine->text, "SELECT \"device\",\"tern_id\"");
    for (size_t i = 0; i < scan->column_count; i++) {
        tern_sql_add(&engine->text, ",");
        tern_sql_add_column(engine, &table, scan->columns[i].name);
    }
    tern_sql_add(&engine->text, " FROM ");
    tern_sql_add_table(engine, "", &table);
    tern_sql_add(&engine->text, " WHERE \"tern_id\" BETWEEN ?1 AND ?2%s",
                 scan->device == NULL ? "" : " AND \"device\"=?3");
    int status = tern_sql_prepare_text(engine, &prepared);
    if (status == TERN_HOST_OK)
        status =
            tern_sql_run_prepared(engine, prepared, range, scan->device == NULL ? 2 : 3, take_row, &scanning);
    return status == TERN_HOST_OK || scanning.ended ? status : tern_sql_fail(engine, status, scan->table);
}
