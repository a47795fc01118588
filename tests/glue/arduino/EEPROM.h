/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>
struct EEPROMClass {
    uint8_t read(int index);
    void update(int index, uint8_t value);
    uint16_t length();
};
extern EEPROMClass EEPROM;
