/* SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>
#define ARG_UNUSED(x) (void)(x)
uint32_t k_uptime_get_32(void);
unsigned int irq_lock(void);
void irq_unlock(unsigned int key);
