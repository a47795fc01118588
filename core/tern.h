/* SPDX-License-Identifier: MIT */
/*
 * tern, the device core: records into flash, and from there to a gateway, none lost.
 *
 * Conventions
 *
 * - Sizes are in bytes, times in milliseconds unless a name says otherwise.
 * - A function that can fail returns int: 0 (TERN_OK) or a positive status, or a negative error. A port's own
 *   negative error comes back as TERN_E_FLASH or TERN_E_LINK; the port knows the details.
 * - All memory is the caller's. What tern_open() is given must live, at its address, until the last call.
 *   Pointers given to any other function are not kept beyond it.
 * - Nothing here blocks, allocates, prints, or keeps state outside the structs.
 * - Not safe against interrupts or threads by itself: put, commit and poll on one struct tern must not
 *   overlap.
 * - A struct that is all zeros, plus the fields said to be required, means the defaults.
 */
#ifndef TERN_H
#define TERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum tern_status {
    TERN_OK = 0,
    TERN_AGAIN = 1,       /* not finished: call again */
    TERN_VOLATILE = 2,    /* done, but the storage forgets at power loss (tern_flash.is_volatile) */
    TERN_E_ARGUMENT = -1, /* a config or argument is outside its range, or a call out of order */
    TERN_E_ROW = -2,      /* a value does not fit its column, or is NULL where it may not be */
    TERN_E_SCHEMA = -3,   /* a table's description is not allowed (PROTOCOL.md section 2) */
    TERN_E_TOO_BIG = -4,  /* a row is larger than a chunk, or a batch larger than the log */
    TERN_E_FULL = -5,     /* no room: the policy is to refuse, or no erased sector is ready yet */
    TERN_E_FLASH = -6,    /* the flash port failed; the record is not stored */
    TERN_E_GEOMETRY =
        -7, /* the flash is too small or its geometry impossible; tern_lane.log.minimum says what is needed */
    TERN_E_FORMAT = -8,  /* the flash or a peer uses another format version; nothing was changed */
    TERN_E_CORRUPT = -9, /* bytes that do not follow the grammar */
    TERN_E_LINK = -10,   /* the link port failed */
    TERN_E_REFUSED = -11 /* the gateway refuses this device; struct tern says why */
};

/* ---- Tables ---------------------------------------------------------------------------------- */

enum tern_kind {
    TERN_KIND_BOOL,
    TERN_KIND_UNSIGNED,
    TERN_KIND_SIGNED,
    TERN_KIND_DECIMAL,
    TERN_KIND_FLOAT,
    TERN_KIND_TIME_S,
    TERN_KIND_TIME_MS,
    TERN_KIND_TEXT,
    TERN_KIND_BYTES
};

enum tern_column_flags {
    TERN_KEY = 1,        /* part of the key; never NULL */
    TERN_NULLABLE = 2,   /* may be NULL */
    TERN_FIRST = 1 << 2, /* merge rules; the default is: the newest record's value */
    TERN_MIN = 2 << 2,
    TERN_MAX = 3 << 2,
    TERN_ADD = 4 << 2
};

enum tern_mode {
    TERN_MERGE,    /* keyed: the newest record of a key is the row */
    TERN_APPEND,   /* no key: every record is a row */
    TERN_OVERWRITE /* what stands between snapshot begin and end replaces this device's rows */
};

enum tern_op { TERN_OP_PUT, TERN_OP_DELETE, TERN_OP_SNAPSHOT_BEGIN, TERN_OP_SNAPSHOT_END };

/* Column types, the second field of struct tern_column (some fill more than one field). */
#define TERN_TYPE(kind, parameter) ((uint16_t)((unsigned)(kind) << 12 | (unsigned)(parameter)))
#define TERN_BOOL                  TERN_TYPE(TERN_KIND_BOOL, 0)
#define TERN_U8                    TERN_TYPE(TERN_KIND_UNSIGNED, 8)
#define TERN_U16                   TERN_TYPE(TERN_KIND_UNSIGNED, 16)
#define TERN_U32                   TERN_TYPE(TERN_KIND_UNSIGNED, 32)
#define TERN_U64                   TERN_TYPE(TERN_KIND_UNSIGNED, 64)
#define TERN_I8                    TERN_TYPE(TERN_KIND_SIGNED, 8)
#define TERN_I16                   TERN_TYPE(TERN_KIND_SIGNED, 16)
#define TERN_I32                   TERN_TYPE(TERN_KIND_SIGNED, 32)
#define TERN_I64                   TERN_TYPE(TERN_KIND_SIGNED, 64)
#define TERN_DECIMAL(digits)       TERN_TYPE(TERN_KIND_DECIMAL, digits) /* 2153 with 2 is 21.53; 0 to 18 */
#define TERN_FLOAT(digits)                                                                                   \
    TERN_TYPE(TERN_KIND_FLOAT, digits) /* as decimal; a double in the database; 0 to 15 */
#define TERN_TIME_S      TERN_TYPE(TERN_KIND_TIME_S, 0)
#define TERN_TIME_MS     TERN_TYPE(TERN_KIND_TIME_MS, 0)
#define TERN_TEXT(size)  TERN_TYPE(TERN_KIND_TEXT, size)  /* 1 to 4095 bytes, any bytes */
#define TERN_BYTES(size) TERN_TYPE(TERN_KIND_BYTES, size) /* 1 to 4095 */

#define TERN_TYPE_KIND(type)      ((unsigned)(type) >> 12)
#define TERN_TYPE_PARAMETER(type) ((unsigned)(type)&0xFFFu)

struct tern_column {
    const char *name; /* [a-z][a-z0-9_]{0,62}, not beginning with tern_, not "device" */
    uint16_t type;
    uint8_t flags; /* enum tern_column_flags */
};

struct tern_codec;

/* How a table's records are written into chunks: as plain CSV; packed, for tables of numbers; packed, for all
 * tables. A firmware links only the codecs that its tables name. The packed ones need tern_lane.models; the
 * tables of a lane best name the same one. */
extern const struct tern_codec tern_csv;
extern const struct tern_codec tern_packed;
extern const struct tern_codec tern_packed_text;

/* Bytes of tern_lane.models, aligned as a uint64_t: for packed tables with so many columns together that
 * share a chunk, and what text and bytes columns need beside. */
#define TERN_MODELS_SIZE(columns) (72u + 13u * sizeof(void *) + 48u * (columns))
#define TERN_MODELS_TEXT          416u

struct tern_table {
    const char *name;
    const struct tern_column *columns;
    const struct tern_codec *codec;
    uint8_t column_count; /* 1 to TERN_COLUMNS_MAX */
    uint8_t mode;         /* enum tern_mode */
    uint8_t flags;        /* enum tern_table_flags */
    uint8_t lane;         /* which of the lanes carries it */
};

enum tern_table_flags { TERN_DEDUP = 1 };

#define TERN_COLUMNS_MAX      64
#define TERN_NAME_MAX         63
#define TERN_SCHEMA_MAX       1024 /* bytes of an encoded schema */
#define TERN_CHUNK_MAX        4096 /* bytes */
#define TERN_CHUNK_MIN        64
#define TERN_CHUNK_TABLES_MAX 8
#define TERN_CHUNK_ROWS_MAX   4000
#define TERN_LANES_MAX        8
#define TERN_ID_MAX           32
#define TERN_FRAME_SIZE_MIN   80 /* bytes of tern_config.frame */
#define TERN_FRAME_SIZE_MAX   1100
#define TERN_FRAME_EXTRA      8 /* of a frame's bytes not for the message */

/* The longest HELLO, in bytes. A datagram must carry it; a frame has TERN_FRAME_EXTRA more. */
#define TERN_HELLO_SIZE(id_size, lanes) (27u + (id_size) + 39u * (lanes))

#define TERN_TABLE_CODED(name, mode, columns, codec)                                                         \
    {                                                                                                        \
        (name), (columns), (codec), (uint8_t)(sizeof(columns) / sizeof((columns)[0])), (uint8_t)(mode), 0, 0 \
    }
/* A table whose columns are the array `columns`, in lane 0: plain, packed, packed with text or bytes
 * columns. */
#define TERN_TABLE(name, mode, columns)             TERN_TABLE_CODED(name, mode, columns, &tern_csv)
#define TERN_TABLE_PACKED(name, mode, columns)      TERN_TABLE_CODED(name, mode, columns, &tern_packed)
#define TERN_TABLE_PACKED_TEXT(name, mode, columns) TERN_TABLE_CODED(name, mode, columns, &tern_packed_text)

/* One column of a row. Booleans, integers and times as they are; a decimal scaled to its declared digits; an
 * unsigned 64-bit value as its bit pattern. Text and bytes by pointer and length. */
struct tern_value {
    int64_t number;
    const void *data;
    uint16_t size;
    uint8_t is_null;
};

static inline struct tern_value tern_int(int64_t number)
{
    struct tern_value value = {0, 0, 0, 0};
    value.number = number;
    return value;
}

static inline struct tern_value tern_null(void)
{
    struct tern_value value = {0, 0, 0, 0};
    value.is_null = 1;
    return value;
}

static inline struct tern_value tern_bytes(const void *data, size_t size)
{
    struct tern_value value = {0, 0, 0, 0};
    value.data = data;
    value.size =
        size > 0xFFFFu ? (uint16_t)0xFFFFu : (uint16_t)size; /* too long for any column, and refused there */
    return value;
}

/* `text` ends with a NUL; NULL is SQL's NULL. */
static inline struct tern_value tern_text(const char *text)
{
    size_t size = 0;
    if (text == 0)
        return tern_null();
    while (text[size] != '\0')
        size++;
    return tern_bytes(text, size);
}

/* ---- The port -------------------------------------------------------------------------------- */

/* Raw NOR flash: one ring of sectors for one lane. Addresses count from 0 in this region. Geometry is fixed
 * while open. Every function returns 0 or a negative error, and may block for as long as the chip takes
 * unless it says otherwise. None is called from within another, nor after tern has returned. */
struct tern_flash {
    void *context; /* passed to every function as it is */
    /* Copies `size` bytes. Any alignment. On flash with ECC, a unit torn by a power cut may fail: return an
     * error for it. */
    int (*read)(void *context, uint32_t address, void *data, uint32_t size);
    /* Writes `size` bytes of erased flash: address and size are multiples of program_unit, within one sector,
     * and no unit is written twice between erases, with one exception: a unit that reads as erased after a
     * power cut in its program may be given once more, all zeros; an error is then as good as success.
     * Returns when the bytes are durable. */
    int (*program)(void *context, uint32_t address, const void *data, uint32_t size);
    /* Erases the sector at `address` to all FF. May return TERN_AGAIN while the chip is busy: it is called
     * again, with the same address and nothing else touching that sector in between, until it returns 0 or an
     * error. */
    int (*erase)(void *context, uint32_t address);
    uint32_t sector_size;  /* 128 (160 with units of 32) to 262144, a multiple of program_unit */
    uint32_t sector_count; /* 2 or more; sector_size * sector_count below 2^32 */
    uint8_t program_unit;  /* 1, 2, 4, 8, 16 or 32; 0 means 1 */
    uint8_t is_volatile;   /* RAM: commit then returns TERN_VOLATILE */
};

/* The way to the gateway: a byte stream (UART, TCP) or datagrams. No function blocks. */
struct tern_link {
    void *context;
    /* 0 while there is no connection; otherwise a number that differs from that of the connection before. A
     * link that is always there (UART) returns 1. May start to connect. */
    uint32_t (*session)(void *context);
    /* Takes up to `size` bytes. Returns how many were taken: 0 means busy, try later; a datagram is taken
     * whole or not at all. Negative: the connection is lost; session() will say 0 or a new number. */
    int32_t (*send)(void *context, const uint8_t *data, uint32_t size);
    /* Gives up to `size` bytes that have arrived, or one datagram. 0: nothing now. Negative as in send(). A
     * stream is asked for one byte at a time. */
    int32_t (*receive)(void *context, uint8_t *data, uint32_t size);
    uint16_t datagram; /* largest datagram in bytes, at least a HELLO; 0: a byte stream */
};

struct tern_clock {
    void *context;
    uint32_t (*milliseconds)(void *context); /* rises, wraps at 2^32, may stop in sleep */
    uint32_t (*random)(
        void *context); /* any 32 bits, for nonces and jitter; should differ after each start */
};

/* ---- State: the application allocates these; only the fields said to be public are for it ---- */

/* A chunk being built in RAM. Bytes [0, size) are finished segments; behind them, up to `front`, room for the
 * open segment's head and its table hashes, and then its payload. */
struct tern_chunk {
    uint8_t table_count;
    uint8_t new_tables; /* of these, how many the open segment declares */
    uint8_t unit_log2;
    uint8_t is_full;       /* takes no more records */
    uint16_t models_size;  /* bytes */
    uint16_t capacity;     /* bytes of data, and the most the chunk may grow to */
    uint16_t size;         /* 0: no chunk is open */
    uint16_t front;        /* where the open segment's payload begins */
    uint16_t payload;      /* upper bound of its size */
    uint16_t rows;         /* records in finished segments */
    uint16_t segment_rows; /* records in the open segment */
    uint8_t *data;
    const struct tern_codec *codec;
    void *models;   /* the codec's memory, NULL for plain CSV */
    uint32_t first; /* sequence of the first record */
    uint32_t crc;   /* running CRC-32C state over [0, size) */
    const struct tern_table *tables[TERN_CHUNK_TABLES_MAX];
};

/* What the log remembers of one epoch: it holds from sequence `base` on, until a later one's base. */
struct tern_epoch {
    uint32_t epoch; /* 0: none */
    uint32_t base;
};

struct tern_log_stats {
    uint32_t erases;
    uint32_t programmed; /* bytes */
    uint32_t dropped;    /* records lost to overflow or refusal since open */
    uint16_t retired;    /* sectors that failed and are no longer used */
    uint16_t errors;     /* failed reads, programs and erases */
};

/* The log of one lane. Mounted by tern_log_mount(). */
struct tern_log {
    /* Small fields first: the nearer to the beginning, the shorter the code that reads them. */
    uint8_t flags;
    uint8_t lane;
    uint8_t unit; /* bytes */
    uint8_t unit_log2;
    uint8_t failures;    /* of the sector ahead, one after another */
    uint8_t note;        /* bytes of a mark or note */
    uint8_t kept;        /* bytes at the end of a sector, for notes alone; 0: the sectors are small */
    uint16_t capacity;   /* the most the open chunk may grow to; 0: none is open */
    uint16_t programmed; /* of it, what has been programmed, be it elsewhere */
    uint16_t reach;      /* no chunk in the newest sector is larger */
    const struct tern_flash *flash;
    uint32_t ring;               /* bytes of all sectors */
    uint32_t newest;             /* address of the sector being written; TERN_NO_ADDRESS: none yet */
    uint32_t oldest;             /* address of the oldest sector that holds records, or as above */
    uint32_t floor;              /* sequence that its records begin with */
    uint32_t oldest_generation;  /* sectors of an older one hold no records any more */
    uint32_t write;              /* address of the next entry in the newest sector */
    uint32_t ahead;              /* address of the sector that is being erased, or has been */
    uint32_t ready_at;           /* address of the first entry in it; 0: it is not ready */
    uint32_t checked;            /* bytes of it that have been found erased */
    uint32_t next;               /* sequence behind the newest committed record */
    uint32_t pending;            /* sequence behind the newest programmed record, committed or not */
    uint32_t acked;              /* first sequence that has not been acknowledged */
    struct tern_epoch epochs[2]; /* [0] in force for new records, [1] the one before */
    uint32_t generation;         /* of the newest mark */
    uint32_t found;              /* address of the chunk found last, or TERN_NO_ADDRESS */
    uint32_t found_sector;
    uint32_t settled;    /* records below, from that chunk on, are committed */
    uint32_t schemas[3]; /* hashes of schemas in the newest sector */
    uint64_t store;      /* who acknowledged; 0: nobody yet */
    uint32_t minimum; /* after TERN_E_GEOMETRY or TERN_E_TOO_BIG: the sector size needed at least, in bytes */
    struct tern_log_stats stats;
};

/* A chunk in flash with committed records. */
struct tern_log_chunk {
    uint8_t reason;   /* why records between the chunk before and this one are missing, if they are (enum
                         tern_gap_reason, TERN_GAP_LEADS) */
    uint32_t address; /* TERN_NO_ADDRESS: none */
    uint32_t first;   /* sequence of its first record */
    uint32_t next;    /* behind its last committed record */
    uint32_t size;    /* bytes up to the end of its last committed segment (the open chunk may still grow) */
};

/* Sending one lane. */
struct tern_sender {
    uint8_t state;   /* private to push */
    uint16_t offset; /* of the next byte to send in the chunk that begins with `first` */
    uint32_t first;
    uint32_t sequence; /* the next record to send */
    uint32_t window;   /* chunk bytes that may be under way */
    uint32_t mark;     /* a sequence: when it has been acknowledged, so are the bytes sent before it */
    uint32_t before;   /* how many these are */
    uint32_t sent;     /* chunk bytes sent behind the mark */
    struct tern_log_chunk chunk; /* the one being sent, as last looked at; size 0: look it up */
};

/* A Bloom filter: see bloom.h. */
struct tern_bloom {
    uint8_t *bits;  /* cells of two bits, one for each half */
    uint32_t size;  /* bytes */
    uint32_t limit; /* keys that a half takes */
    uint32_t keys;  /* that the half in use has taken */
    uint8_t half;   /* which is in use: 1 or 2 */
};

/* Reads packed payloads: see unpack.h. */
struct tern_unpack {
    struct tern_pack *pack;
    size_t models_size;
    uint8_t *texts;
    size_t texts_size;
    const struct tern_table *tables[TERN_CHUNK_TABLES_MAX];
    uint16_t size; /* of the payload */
    uint16_t rows; /* left in the segment */
    uint8_t table_count;
};

enum tern_dedup_outcome {
    TERN_DEDUP_UNFOUNDED, /* nothing of its key was within reach: as a rule the filter's false positive */
    TERN_DEDUP_CHANGED,   /* the newest record of its key says something else */
    TERN_DEDUP_SUPPRESSED /* the newest record of its key says the same: counted, not stored */
};

struct tern_lane;

/* Dedup of a lane's tables (core/DEDUP.md): a put into a table with TERN_DEDUP is not stored when the newest
 * record of its key says the same. A lane without it stores everything. */
struct tern_dedup {
    /* Public: set before tern_dedup_open(). All memory is the caller's. */
    const struct tern_table *const *tables; /* required: every table of the lane; all of them packed */
    void *models;                           /* required: a second set of models, to decode with */
    uint8_t *buffer;                        /* required: tern_lane.chunk_size bytes */
    struct tern_value *values;              /* required: as many as the widest table has columns */
    uint8_t *texts;       /* bytes for the text and bytes columns of one record; may be NULL */
    uint16_t models_size; /* bytes: as tern_lane.models_size */
    uint16_t texts_size;
    uint8_t table_count;
    uint8_t reach;  /* required: chunks in flash that one put looks through at most; 4 is a good start */
    uint8_t newest; /* private */
    /* Public, to be read; may be set to zero at any time. */
    uint32_t puts;      /* into tables with TERN_DEDUP */
    uint32_t checks[3]; /* of them, how many were compared with the log, by enum tern_dedup_outcome */
    /* Private. */
    const struct tern_table *table;
    const struct tern_value *row;
    int (*repeats)(struct tern_dedup *dedup, struct tern_lane *lane, const struct tern_table *table,
                   const struct tern_value *row);
    struct tern_unpack unpack;
    struct tern_bloom bloom;
};

/* Makes `dedup` ready with an empty filter of `size` bytes, 16 or more, that are the caller's; then set
 * tern_lane.dedup, and open. The filter remembers the newest size / 2 records at least, and asks flash in
 * vain for about 1 put in 20. After a restart it is empty, and the first repeat of a record is stored once
 * more. Needs no flash, and cannot fail. */
void tern_dedup_open(struct tern_dedup *dedup, void *filter, uint32_t size);

struct tern_lane {
    /* Public: set before tern_open(). */
    const struct tern_flash *flash; /* required */
    uint8_t *chunk_data;            /* required: where a chunk is built */
    uint16_t chunk_size;            /* required: TERN_CHUNK_MIN to TERN_CHUNK_MAX; 512 is a good default */
    uint16_t models_size;           /* bytes of models; 0: plain CSV only */
    void *models;                   /* for packed chunks: TERN_MODELS_SIZE() bytes */
    struct tern_dedup *dedup;       /* NULL: every record is stored */
    uint8_t overflow;               /* enum tern_overflow */
    /* Private, but for log.stats and log.minimum, which are to be read. */
    uint8_t batch; /* an explicit batch is open */
    uint8_t due;   /* a finished segment of the chunk waits for a sector: 1, or 2 for one that commits */
    struct tern_sender sender;
    uint32_t refused; /* sequence numbers to be consumed before the next chunk */
    struct tern_chunk chunk;
    struct tern_log log;
};

/* ---- The device ------------------------------------------------------------------------------ */

struct tern_config {
    const char *id; /* required: the device's identity, 1 to 32 of [A-Za-z0-9._:-], first a letter or digit */
    struct tern_lane
        *lanes;         /* required: one or more, in order of priority, the most urgent first; see below */
    uint8_t lane_count; /* required, 1 to 8 */
    const struct tern_link *link;   /* NULL: store only */
    const struct tern_clock *clock; /* required with a link */
    uint8_t *frame;                 /* required with a link: where a frame is built */
    uint16_t frame_size; /* 80 to 1100, room for a HELLO; carries frame_size - 20 bytes of a chunk */
    uint32_t boot;       /* how often the device has started, 0: not counted */
};

/* bytes of the largest bare frame that a device takes: a WELCOME with some tails */
#define TERN_RECEIVE_SIZE 96

struct tern {
    const struct tern_config *config;
    /* Public, to be read: */
    uint64_t time;       /* Unix milliseconds at the last WELCOME; 0: not known */
    uint16_t bad_frames; /* frames dropped for a wrong CRC or form */
    uint8_t refused;     /* reason of the last REFUSED frame (PROTOCOL.md section 7), 0: none since the last
                            WELCOME */
    /* Private. */
    uint8_t state;
    uint8_t tries;        /* HELLOs without an answer, for the backoff */
    uint8_t turn;         /* 1: tern_poll() looked at the link last, 0: at the flash */
    uint8_t want_lane;    /* whose schema is asked for */
    uint8_t received;     /* bytes in receive */
    uint16_t frame_next;  /* the frame being sent: where in config->frame its next byte is */
    uint16_t frame_end;   /* and where it ends; the same: none */
    uint16_t want_offset; /* next byte of the schema asked for */
    uint32_t want;        /* hash of the schema asked for, 0: none */
    uint32_t session;     /* of the link */
    uint32_t since;       /* the clock when the gateway was last heard, or last called */
    uint32_t wait;        /* milliseconds after it: the next HELLO; or how long not to send */
    uint32_t nonce[2];
    uint8_t receive[TERN_RECEIVE_SIZE + 2];
};

/* What happens to a put when the ring is full of records that have not been acknowledged. */
enum tern_overflow {
    TERN_DROP_OLDEST, /* the oldest sector is erased; its records become a gap with reason overflow */
    TERN_REFUSE,      /* TERN_E_FULL; the refused record has consumed a sequence number and becomes a gap with
                         reason refused */
    TERN_WAIT         /* TERN_AGAIN, and nothing happened: call tern_poll() and put again */
    /* With the last two a ring is full when one sector is left, until the gateway has given the lane its
       first epoch. */
};

/*
 * Port calls that one call makes, at most, for each lane; s: 2 for each 32 bytes of the schemas that the
 * chunk needs in a new sector.
 *
 *               flash programs                              erases                              frames
 * tern_open     0                                           0                                   0
 * tern_put      0; 7 + s when the chunk was full            0                                   0
 * tern_commit   7 + s, and 5 to have a sector ahead         0; 1 where none stands ahead        0
 * tern_begin    as tern_commit, where something was put     as tern_commit                      0
 * tern_abort    0                                           0                                   0
 * tern_poll     5, or                                       1, or                               1
 *
 * A program that fails is made again in the next sector, with all that goes before it. Bytes: a commit
 * programs what the open chunk has grown by, at most chunk_size; in a new sector 60 to 96 for its head, and
 * the schemas. tests/unit/test_contract.c counts them.
 *
 * Wear: a record is programmed once. It costs its bytes in the chunk, a commit about 7 more, rounded up to
 * program units, and sectors are erased in turn, one for each sector_size bytes programmed. So a ring of 64
 * sectors of 4,096 bytes that bear 100,000 erases takes 26 GB: at 9 bytes a committed record, 2,900 million
 * records. tern_lane.log.stats counts what has been programmed and erased.
 */

/* TERN_OK, or TERN_E_ARGUMENT when a required field is missing or one is outside its range. For a firmware's
 * own tests, and for programs that take a config from their user: the functions below trust it. */
int tern_config_check(const struct tern_config *config);

/* Opens every lane: finds the newest records in flash. Programs nothing, reads what core/LOG.md says. `tern`
 * and what is private in the lanes need not be cleared before. A flash of another format version is
 * TERN_E_FORMAT and stays untouched; an unreadable or erased one is an empty log. */
int tern_open(struct tern *tern, const struct tern_config *config);

/* Adds a row to the open chunk of the table's lane. `row` has column_count values. Touches RAM only, except
 * when the chunk is full: then programs at most that chunk. The row is not durable before tern_commit().
 * TERN_AGAIN: no erased sector is ahead, and nothing happened: call tern_poll() and put again. TERN_E_FULL,
 * with policy TERN_REFUSE alone: the record is lost and counted. TERN_E_TOO_BIG: larger than a chunk.
 * TERN_E_FLASH: as for tern_commit(). Other errors: the row is not there, and everything put before it still
 * is. */
int tern_put(struct tern *tern, const struct tern_table *table, const struct tern_value *row);

/* Adds the deletion of a row: `key` has the values of the key columns, in order. MERGE tables only. */
int tern_delete(struct tern *tern, const struct tern_table *table, const struct tern_value *key);

/* Opens an explicit batch in the table's lane: what is put until tern_commit() appears at every destination
 * together, or not at all. Commits first what was put before. */
int tern_begin(struct tern *tern, uint8_t lane);

/* Makes everything put into any lane durable, and ends its batch. Programs at most the open chunk of each
 * lane; erases only where no erased sector stands ahead. Also the function to call on an early warning of
 * power loss. TERN_OK or TERN_VOLATILE: every record put since the last commit is safe. TERN_AGAIN: it waits
 * for room: call tern_poll() and commit again (a put completes it, too, before it does anything else).
 * TERN_E_FLASH: the records of the failing lane are not safe, and are forgotten, as by tern_abort(); put them
 * again. */
int tern_commit(struct tern *tern);

/* Forgets everything put into any lane since the last commit. */
int tern_abort(struct tern *tern);

/* Marks the beginning and the end of a snapshot: when it is committed, what was put between them replaces
 * this device's rows in an OVERWRITE table. Both belong into one explicit batch. */
int tern_snapshot_begin(struct tern *tern, const struct tern_table *table);
int tern_snapshot_end(struct tern *tern, const struct tern_table *table);

/* TERN_OK, or TERN_E_SCHEMA when the description breaks a rule of PROTOCOL.md section 2. For a firmware's own
 * tests: the functions above trust the table. */
int tern_table_check(const struct tern_table *table);

/* Does what can be done now: at most one erase or one frame, never waits. Returns the milliseconds after
 * which to call again if nothing else happens (0: at once); a commit or arriving bytes are something. Or a
 * negative error that needs attention, TERN_E_TOO_BIG when the open batch fills the whole ring and must be
 * aborted; calling again is always allowed. */
int32_t tern_poll(struct tern *tern);

/* How many committed records have not been acknowledged, over all lanes. */
uint32_t tern_backlog(const struct tern *tern);

/* The number of the lane's newest committed record, and of the newest one that a gateway has acknowledged
 * with all before it; 0: none. Records count from 1 since the flash was new, refused ones too. */
uint32_t tern_committed(const struct tern *tern, uint8_t lane);
uint32_t tern_acknowledged(const struct tern *tern, uint8_t lane);

#ifdef __cplusplus
}
#endif
#endif
