/* SPDX-License-Identifier: MIT */
/* Zephyr, as far as port/zephyr uses it: declarations of our own after its documentation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
struct device;
bool device_is_ready(const struct device *dev);
