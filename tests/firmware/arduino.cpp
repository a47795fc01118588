/* SPDX-License-Identifier: MIT */
/* The library's example as it stands, for tests/all/firmware_arduino.sh: four times as fast, and saying what it has recorded where avr_run
 * looks. */
#include <Arduino.h>

static uint32_t fast()
{
    return millis() * 4;
}
#define millis fast
#define setup  example_setup
#define loop   example_loop
#include "examples/thermometer/thermometer.ino"
#undef setup
#undef loop

volatile uint32_t kept, recorded;

void setup()
{
    example_setup();
    kept = recorded = device.recorded();
}

void loop()
{
    example_loop();
    recorded = device.recorded();
}
