/* SPDX-License-Identifier: MIT */
#ifndef TERN_FAIL_SERVER_H
#define TERN_FAIL_SERVER_H

#include "../../host/sql/mysql_api.h"
#include "../../host/sql/postgres_api.h"
#include "fail.h"

/* Sets the client library that the URL needs, its calls counted as FAIL_SERVER: the connection breaks before
 * one (FAIL_ONCE, FAIL_ON) or behind it (FAIL_UNHEARD). False: the library is missing, which has been
 * said. */
bool fail_server(const char *url);

/* On: PostgreSQL's calls are refused by the library itself instead, the connection stays. */
void fail_server_refuses(bool on);

#endif
