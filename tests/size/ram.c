/* SPDX-License-Identifier: MIT */
/* The sizes of what a device with one lane keeps in RAM beside its buffers, as sizes of symbols. */
#include "../../core/tern.h"

char ram_plain[sizeof(struct tern) + sizeof(struct tern_lane)];
char ram_dedup[sizeof(struct tern) + sizeof(struct tern_lane) + sizeof(struct tern_dedup)];
