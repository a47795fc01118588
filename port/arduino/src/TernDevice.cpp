/* SPDX-License-Identifier: MIT */
#include "TernDevice.h"

#include <EEPROM.h>
#include <string.h>

#define ERASE_STEP 8 /* bytes a call: 27 ms */

int TernDevice::read(void *context, uint32_t address, void *data, uint32_t size)
{
    uint8_t *to = static_cast<uint8_t *>(data);
    (void)context;
    for (uint32_t i = 0; i < size; i++)
        to[i] = EEPROM.read(static_cast<int>(address + i));
    return 0;
}

int TernDevice::program(void *context, uint32_t address, const void *data, uint32_t size)
{
    const uint8_t *from = static_cast<const uint8_t *>(data);
    (void)context;
    for (uint32_t i = 0; i < size; i++)
        EEPROM.update(static_cast<int>(address + i), from[i]);
    return 0;
}

/* A few bytes a call, so that loop() goes on meanwhile. */
int TernDevice::erase(void *context, uint32_t address)
{
    TernDevice *device = static_cast<TernDevice *>(context);
    for (uint8_t i = 0; i < ERASE_STEP; i++)
        EEPROM.update(static_cast<int>(address + device->_erased++), 0xFF);
    if (device->_erased < device->_flash.sector_size)
        return TERN_AGAIN;
    device->_erased = 0;
    return 0;
}

uint32_t TernDevice::session(void *context)
{
    (void)context;
    return 1;
}

int32_t TernDevice::send(void *context, const uint8_t *data, uint32_t size)
{
    Stream &stream = static_cast<TernDevice *>(context)->_stream;
    int room = stream.availableForWrite();
    if (room <= 0)
        return 0;
    return static_cast<int32_t>(stream.write(
        data, size < static_cast<uint32_t>(room) ? static_cast<size_t>(size) : static_cast<size_t>(room)));
}

int32_t TernDevice::receive(void *context, uint8_t *data, uint32_t size)
{
    Stream &stream = static_cast<TernDevice *>(context)->_stream;
    uint32_t given = 0;
    while (given < size && stream.available() > 0)
        data[given++] = static_cast<uint8_t>(stream.read());
    return static_cast<int32_t>(given);
}

uint32_t TernDevice::milliseconds(void *context)
{
    (void)context;
    return millis();
}

/* The boards have no generator: the noise of an open analogue pin, and the time. */
uint32_t TernDevice::randomBits(void *context)
{
    uint32_t bits = micros();
    (void)context;
    for (uint8_t i = 0; i < 16; i++)
        bits = (bits << 2 ^ bits >> 30) + static_cast<uint32_t>(analogRead(A0));
    return bits * 2654435761u;
}

void TernDevice::prepare(const char *id, uint16_t sector)
{
    memset(&_flash, 0, sizeof(_flash));
    memset(&_link, 0, sizeof(_link));
    memset(&_lane, 0, sizeof(_lane));
    memset(&_config, 0, sizeof(_config));
    _erased = 0;
    _flash.context = this;
    _flash.read = read;
    _flash.program = program;
    _flash.erase = erase;
    _flash.sector_size = sector;
    _flash.program_unit = 1;
    _link.context = this;
    _link.session = session;
    _link.send = send;
    _link.receive = receive;
    _clock.context = this;
    _clock.milliseconds = milliseconds;
    _clock.random = randomBits;
    _lane.flash = &_flash;
    _config.id = id;
    _config.lanes = &_lane;
    _config.lane_count = 1;
    _config.link = &_link;
    _config.clock = &_clock;
}

int TernDevice::begin()
{
    _erased = 0;
    _flash.sector_count = EEPROM.length() / _flash.sector_size;
    return tern_open(&_tern, &_config);
}
