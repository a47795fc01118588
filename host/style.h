/* SPDX-License-Identifier: MIT */
/* struct tern_host_style, checked, as importers take it. */
#ifndef TERN_STYLE_H
#define TERN_STYLE_H

#include "import.h"

/* Fills the importer's configuration. Names are allocated: tern_style_free() when the importers are closed.
 * TERN_HOST_E_ARGUMENT, with a report, when a name cannot be right. */
int tern_style_apply(const struct tern_host_style *style, struct tern_import_config *config);
void tern_style_free(struct tern_import_config *config);

#endif
