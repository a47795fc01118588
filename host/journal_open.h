/* SPDX-License-Identifier: MIT */
/* What opening a journal and writing it share. */
#ifndef TERN_JOURNAL_OPEN_H
#define TERN_JOURNAL_OPEN_H

#include "journal_file.h"

/* Begins a new file with what is not durable yet and the state, and makes it the newest. TERN_HOST_E_SYSTEM,
 * reported once, when it cannot be made durable; the old one stays the newest, and takes no writes. */
int tern_journal_begin_file(struct tern_journal *journal);

#endif
