/* SPDX-License-Identifier: MIT */
/*
 * tern, the host side: takes records from devices, keeps them in a staging store, and merges them into
 * databases.
 *
 * Conventions
 *
 * - Functions return 0 or a negative enum tern_host_error. What happened, where, and what to do about it goes
 *   to the report callback as one event; nothing is printed.
 * - One struct tern_host is used from one thread at a time. Destinations have threads of their own inside,
 *   which call the report callback too, one call at a time.
 * - Strings are UTF-8, ended by NUL, and are copied where they are kept.
 */
#ifndef TERN_HOST_H
#define TERN_HOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tern_host_error {
    TERN_HOST_OK = 0,
    TERN_HOST_E_ARGUMENT = -1, /* an option or URL that cannot be right */
    TERN_HOST_E_SYSTEM = -2,   /* the operating system refused: file, socket, memory */
    TERN_HOST_E_IN_USE = -3,   /* the staging folder or the port belongs to another process */
    TERN_HOST_E_VERSION = -4,  /* the staging folder is of another format version */
    TERN_HOST_E_CORRUPT = -5,  /* stored bytes are damaged; the report says which file and where */
    TERN_HOST_E_LIBRARY = -6,  /* a client library is missing; the report names the package */
    TERN_HOST_E_DATABASE = -7, /* a destination failed */
    TERN_HOST_E_PROTOCOL = -8, /* a peer broke the protocol */
    TERN_HOST_E_LIMIT = -9     /* a stated limit was reached */
};

enum tern_level { TERN_DEBUG, TERN_INFO, TERN_WARN, TERN_ERROR };

/* One event: `event` is a short constant name, `fields` is logfmt (`device=dev1 rows=512 msg="..."`). Valid
 * during the call. */
struct tern_report {
    void (*call)(void *context, enum tern_level level, const char *event,
                 const char *fields); /* NULL: silence */
    void *context;
};

struct tern_host;

/* How records get into databases. All zeros: the defaults. */
struct tern_host_style {
    int soft_delete;  /* a delete leaves the key and tern_deleted, with the other columns NULL; 0: the row
                       * goes */
    int no_ddl;       /* tables and columns are made by somebody else; 0: on first sight */
    uint32_t workers; /* connections for each destination that can have several, 0: 1; at most 16 */
    const char *const *names; /* "table=name" and "table.column=name": what the database calls them instead */
    size_t name_count;
};

struct tern_host_config {
    const char *stage;         /* required: the staging folder, made if missing */
    const char *const *sinks;  /* destinations as URLs: sqlite:FILE, csv:DIR */
    size_t sink_count;         /* 0: stage only */
    struct tern_report report; /* where events go */
    uint32_t window;           /* bytes a lane may have under way, 0: 524288 */
    uint32_t connections;      /* at most at once, 0: 16384 */
    uint32_t hello_seconds;    /* a connection without a valid HELLO is closed after this, 0: 10 */
    uint32_t idle_seconds;     /* a silent connection is closed after this, 0: 300 */
    uint32_t segment_seconds;  /* csv: a segment is closed at this age, 0: 60 */
    uint64_t segment_bytes;    /* csv: and at this size, 0: 64 MiB */
    const char *segment_tool;  /* csv: closed segments are compressed by "gzip" or "zstd", NULL: not */
    uint32_t keep_days;        /* what every destination has stays in the staging folder so long, 0: 7 */
    uint64_t keep_bytes;       /* but at most so many bytes, 0: no limit */
    uint64_t journal_bytes;    /* a journal file is closed at this size, 0: 64 MiB */
    int32_t held_hours; /* what another store holds is waited for so long, then the device is asked for it; 0:
                           24, negative: not waited for */
    uint64_t reserve_bytes; /* of the disk that stay free, 0: 16 MiB */
    uint32_t filter_bytes;  /* of each worker's filter of keys that come out of order, 0: 8 MiB, 1: none, at
                               most 512 MiB */
    const char
        *when_full; /* NULL, "hold": takes no more records then; "detach=URL": gives that destination up */
    struct tern_host_style style;
    int from_now; /* a destination that is new to the folder gets only what comes from now on */
};

/* Opens the staging store (recovering it when the last process died) and every destination, and starts to
 * import what is waiting. A destination that cannot be reached is tried again for as long as the host is
 * open; one whose URL is wrong or whose library is missing is an error here. */
int tern_host_open(struct tern_host **host, const struct tern_host_config *config);

/* Takes connections at `tcp://ADDRESS:PORT` (port 0: any) or `serial:DEVICE?baud=N`. May be called several
 * times. */
int tern_host_listen(struct tern_host *host, const char *url);

/* The port that the newest tcp listener got. */
uint16_t tern_host_port(const struct tern_host *host);

/* A descriptor that is readable when tern_host_step() has something to do, for somebody else's event loop. */
int tern_host_descriptor(const struct tern_host *host);

/* Does what can be done now, waiting at most `milliseconds` for something (-1: for ever). Everything that
 * arrived is made durable by one fdatasync and then acknowledged. */
int tern_host_step(struct tern_host *host, int milliseconds);

/* Stops taking connections, waits at most `milliseconds` for the destinations to catch up with the staging
 * store, closes csv segments. 0, or TERN_HOST_E_LIMIT when the time was not enough: nothing is lost, the rest
 * is imported after the next open. */
int tern_host_drain(struct tern_host *host, int milliseconds);

void tern_host_close(struct tern_host *host);

/* ---- Once more ------------------------------------------------------------------------------- */

struct tern_host_progress {
    uint64_t read, end; /* bytes of the journal, of so many */
    uint64_t rows;      /* brought in */
    uint64_t known;     /* that were there already */
    uint64_t rejected;  /* that the destination refuses */
    uint32_t held;      /* ranges that could not be brought in; the report says why */
};

/* Brings records of a staging folder into a destination, empty or filled. What the destination's checkpoint
 * says is there stays as it is, so that it can be done any number of times; with `repair` it is loaded again.
 * A gateway may use the folder meanwhile. */
struct tern_host_replay {
    const char *stage;  /* required */
    const char *sink;   /* required: an URL */
    int64_t since;      /* records that came in then or later, Unix milliseconds; 0: all */
    int64_t until;      /* and before then; 0: all. Not with repair: a later delete must be seen */
    const char *device; /* NULL: all */
    const char *table;  /* NULL: all; required with repair */
    int repair;
    struct tern_host_style style; /* the gateway's, or deletes would be of another kind */
    int seconds;                  /* gives up after so long without success, 0: 30 */
    struct tern_report report;
    /* Called about twice a second, NULL: not wanted. Not 0 ends the replay. */
    int (*progress)(void *context, const struct tern_host_progress *progress);
    void *context;
};

/* Blocks until it is done. TERN_HOST_E_ARGUMENT; TERN_HOST_E_LIMIT: ended by progress(), or ranges were held;
 * TERN_HOST_E_DATABASE: the destination cannot be reached. */
int tern_host_replay(const struct tern_host_replay *replay, struct tern_host_progress *done);

/* ---- Looking twice --------------------------------------------------------------------------- */

/* Rows of a table: what the journal leads to, as far as the destination's checkpoint says that it has it, and
 * what is there. A digest does not depend on the order of rows. */
struct tern_host_audit_table {
    const char *table;
    uint64_t journal_rows, journal_digest;
    uint64_t sink_rows, sink_digest;
    uint64_t differences;
    uint64_t older; /* rows of records that the journal no longer has: not compared */
};

struct tern_host_audit {
    const char *stage;            /* required */
    const char *sink;             /* required: an URL of a kind that can be read back: a database or csv */
    const char *device;           /* NULL: all */
    int64_t first, last;          /* rows with these tern_id, last 0: no end */
    int64_t since, until;         /* rows of records that came in then, Unix milliseconds; 0: no limit */
    struct tern_host_style style; /* the gateway's, or deletes and names would be others */
    struct tern_report report;
    /* Both may be NULL. `what` is the end of a sentence about the row. */
    void (*difference)(void *context, const char *table, const char *device, int64_t id, const char *what);
    void (*table)(void *context, const struct tern_host_audit_table *table);
    void *context;
};

struct tern_host_audit_result {
    uint64_t rows; /* compared */
    uint64_t differences;
    uint32_t held; /* ranges that cannot be brought in; the report says why */
    int failed;
};

/* Compares a destination with the journal, in a transaction of its own; a gateway may use both meanwhile (not
 * a csv folder). Needs room for a copy of the journal's rows in TMPDIR, and SQLite's library unless the
 * destination is csv. */
int tern_host_audit(const struct tern_host_audit *audit, struct tern_host_audit_result *result);

#ifdef __cplusplus
}
#endif
#endif
