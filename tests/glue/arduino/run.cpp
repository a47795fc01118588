/* SPDX-License-Identifier: MIT */
/* The library and its example on a PC: readings are committed, and counted on after a reset; the HELLO goes out. */
#include <stdio.h>

#include "../../../port/arduino/examples/thermometer/thermometer.ino"
#include <EEPROM.h>

static uint8_t cells[1024];
static uint32_t now, sent;

EEPROMClass EEPROM;
HardwareSerial Serial;

uint8_t EEPROMClass::read(int index)
{
    return cells[index];
}
void EEPROMClass::update(int index, uint8_t value)
{
    cells[index] = value;
}
uint16_t EEPROMClass::length()
{
    return sizeof(cells);
}
int HardwareSerial::available()
{
    return 0;
}
int HardwareSerial::read()
{
    return -1;
}
size_t HardwareSerial::write(const uint8_t *, size_t size)
{
    sent += static_cast<uint32_t>(size);
    return size;
}
int HardwareSerial::availableForWrite()
{
    return 63;
}
uint32_t millis()
{
    return ++now;
}
uint32_t micros()
{
    return now * 1000;
}
int analogRead(uint8_t)
{
    return static_cast<int>(now & 1023);
}

int main()
{
    setup();
    for (int i = 0; i < 20000; i++)
        loop();
    uint32_t before = device.recorded();
    setup(); /* a reset: the EEPROM is all that is left */
    uint32_t after = device.recorded();
    bool good = before >= 10 && after == before && sent > 0;
    printf("%s the Arduino sketch: %u readings, %u after a reset, %u bytes sent\n", good ? "ok  " : "FAIL",
           before, after, sent);
    return good ? 0 : 1;
}
