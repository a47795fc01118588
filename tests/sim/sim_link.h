/* SPDX-License-Identifier: MIT */
/* Between sim_link.c, which carries bytes, and sim_attack.c, which brings in those that no device sends
 * now. */
#ifndef TERN_SIM_LINK_H
#define TERN_SIM_LINK_H

#include "sim.h"

void sim_attacks_reset(void);
/* Remembers what a device sends, to send it again later. */
void sim_record_bytes(unsigned device, const uint8_t *data, size_t size);
/* A recorded session comes once more: over a connection of its own, or over the device's line. */
void sim_replay(void);
/* A stranger connects, speaks the protocol, and lies. */
void sim_hostile(void);
/* A frame that no gateway sent, in stream form. Its size. */
size_t sim_forge(unsigned device, uint8_t frame[256]);

/* Bytes on a device's line that it did not send. */
void sim_link_inject(unsigned device, const uint8_t *data, size_t size);
bool sim_link_is_wire(unsigned device);
/* What the device sent and is still under way is gone. */

#endif
