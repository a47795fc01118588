/* SPDX-License-Identifier: MIT */
/* tern as an Arduino library: rows into EEPROM, and from there over any Stream (Serial, a client) to a
 * gateway. */
#ifndef TERN_DEVICE_H
#define TERN_DEVICE_H

#include <Arduino.h>

#include "tern.h"

/* `CHUNK` bytes of chunk, and packed columns for `COLUMNS` columns (0: plain CSV only). */
template <uint16_t CHUNK, uint8_t COLUMNS> struct TernMemory {
    uint8_t chunk[CHUNK];
    /* A HELLO with the longest id fits, and a chunk as a whole. */
    uint8_t frame[CHUNK + 20u < TERN_HELLO_SIZE(TERN_ID_MAX, 1) + TERN_FRAME_EXTRA
                      ? TERN_HELLO_SIZE(TERN_ID_MAX, 1) + TERN_FRAME_EXTRA
                      : CHUNK + 20u];
    uint64_t models[COLUMNS == 0 ? 1 : (TERN_MODELS_SIZE(COLUMNS) + 7) / 8];
};

class TernDevice
{
  public:
    /* The EEPROM is used as a whole, in sectors of `sector` bytes. `id`, `link` and `memory` must live as
     * long as this object. */
    template <uint16_t CHUNK, uint8_t COLUMNS>
    TernDevice(const char *id, Stream &link, TernMemory<CHUNK, COLUMNS> &memory, uint16_t sector = 256)
        : _stream(link)
    {
        prepare(id, sector);
        _lane.chunk_data = memory.chunk;
        _lane.chunk_size = CHUNK;
        _lane.models = memory.models;
        _lane.models_size = COLUMNS == 0 ? 0 : sizeof(memory.models);
        _config.frame = memory.frame;
        _config.frame_size = sizeof(memory.frame);
    }

    /* As tern_open(), tern_put(), tern_commit(), tern_poll(), tern_backlog() in tern.h. Call poll() in each
     * loop(). */
    int begin();
    int put(const tern_table &table, const tern_value *row)
    {
        return tern_put(&_tern, &table, row);
    }
    int commit()
    {
        return tern_commit(&_tern);
    }
    int32_t poll()
    {
        return tern_poll(&_tern);
    }
    uint32_t backlog() const
    {
        return tern_backlog(&_tern);
    }

    /* For the functions of tern.h that have no method here: deletes, batches, snapshots. */
    struct tern *core()
    {
        return &_tern;
    }

    /* How many records have been committed since the EEPROM was new: where a counter goes on after a
     * reset. */
    uint32_t recorded() const
    {
        return tern_committed(&_tern, 0);
    }

  private:
    TernDevice(const TernDevice &);
    TernDevice &operator=(const TernDevice &);
    void prepare(const char *id, uint16_t sector);
    static int read(void *context, uint32_t address, void *data, uint32_t size);
    static int program(void *context, uint32_t address, const void *data, uint32_t size);
    static int erase(void *context, uint32_t address);
    static uint32_t session(void *context);
    static int32_t send(void *context, const uint8_t *data, uint32_t size);
    static int32_t receive(void *context, uint8_t *data, uint32_t size);
    static uint32_t milliseconds(void *context);
    static uint32_t randomBits(void *context);

    Stream &_stream;
    uint16_t _erased;
    tern_flash _flash;
    tern_link _link;
    tern_clock _clock;
    tern_lane _lane;
    tern_config _config;
    struct tern _tern;
};

#endif
