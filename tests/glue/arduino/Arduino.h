/* SPDX-License-Identifier: MIT */
/* Arduino, as far as port/arduino uses it: declarations of our own after its documentation. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#define A0 14
#define A1 15
uint32_t millis();
uint32_t micros();
int analogRead(uint8_t pin);
class Stream
{
  public:
    virtual ~Stream()
    {
    }
    virtual int available() = 0;
    virtual int read() = 0;
    virtual size_t write(const uint8_t *buffer, size_t size) = 0;
    virtual int availableForWrite() = 0;
};
class HardwareSerial : public Stream
{
  public:
    void begin(unsigned long)
    {
    }
    int available() override;
    int read() override;
    size_t write(const uint8_t *buffer, size_t size) override;
    int availableForWrite() override;
};
extern HardwareSerial Serial;
