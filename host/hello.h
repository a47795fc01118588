/* SPDX-License-Identifier: MIT */
/* Reading a HELLO (core/PROTOCOL.md section 7): everything that can be checked without knowing the device. */
#ifndef TERN_HELLO_H
#define TERN_HELLO_H

#include "stage.h"

enum tern_hello_verdict {
    TERN_HELLO_BAD,    /* breaks the grammar: drop the frame */
    TERN_HELLO_REFUSE, /* follows it, and asks for what is not allowed */
    TERN_HELLO_GOOD
};

#define TERN_IDENTITY_RULE "id must be 1 to 32 of [A-Za-z0-9._:-]"

/* Whether a device may be called so. */
bool tern_is_identity(const void *name, size_t size);

/* Reads the body of a HELLO behind its version. `id` takes the identity, and hello->id points to it. REFUSE:
 * *reason (enum tern_refused_reason) and *text, a constant, say why. */
enum tern_hello_verdict tern_hello_read(struct tern_input *body, struct tern_hello *hello,
                                        char id[TERN_ID_MAX + 1], uint8_t *reason, const char **text);

#endif
