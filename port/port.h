/* SPDX-License-Identifier: MIT */
/*
 * What a port gives to the core: struct tern_flash, struct tern_link, struct tern_clock. They are declared
 * and documented in core/tern.h, so that core/ can be copied into a project by itself; a port includes this
 * header and fills them in. One folder a platform stands beside this file.
 */
#ifndef TERN_PORT_H
#define TERN_PORT_H

#include "../core/tern.h"

#endif
