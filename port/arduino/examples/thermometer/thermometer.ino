/* SPDX-License-Identifier: MIT */
/* A reading a second into EEPROM, and over the USB serial line to `tern-gateway --listen serial:/dev/ttyACM0?baud=38400`. */
#include <TernDevice.h>

static const tern_column columns[] = {{"number", TERN_U32, 0}, {"raw", TERN_U16, 0}};
static const tern_table readings = TERN_TABLE_PACKED("readings", TERN_APPEND, columns);

static TernMemory<128, 2> room;
static TernDevice device("arduino-1", Serial, room);
static uint32_t due;

void setup()
{
    Serial.begin(38400);
    if (device.begin() != TERN_OK)
        for (;;)
            ; /* the EEPROM holds another version's log, or is too small */
}

void loop()
{
    static bool isPut;
    device.poll();
    if (!isPut && static_cast<int32_t>(millis() - due) >= 0) {
        due = millis() + 1000;
        tern_value row[] = {tern_int(device.recorded()), tern_int(analogRead(A1))};
        isPut = device.put(readings, row) == TERN_OK;
    }
    if (isPut) /* durable with TERN_OK; TERN_AGAIN: poll() makes room first, and the reading must not be put again */
        isPut = device.commit() == TERN_AGAIN;
}
