/* uuid.h - the names of stores (layer 0). faster_uuid_draw(), faster_uuid_text() and
 * faster_uuid_parse() are public. */
#ifndef FST_BASE_UUID_H
#define FST_BASE_UUID_H

#include "base/env.h"

/* All zero: "none" in options and places. */
bool fst_uuid_is_zero(const uint8_t uuid[FASTER_UUID_BYTES]);
bool fst_uuid_equal(const uint8_t a[FASTER_UUID_BYTES], const uint8_t b[FASTER_UUID_BYTES]);

#endif
