#include "base/uuid.h"

#include <string.h>

#define TEXT_CHARACTERS (FASTER_UUID_TEXT_BYTES - 1)

enum faster_status faster_uuid_draw(const struct faster_env *env, uint8_t uuid[FASTER_UUID_BYTES]) {
    if (env == NULL || uuid == NULL) {
        return FASTER_MISUSE;
    }
    enum faster_status status = env->random(env, uuid, FASTER_UUID_BYTES);
    if (status != FASTER_OK) {
        return status;
    }
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40); /* version 4 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80); /* the variant of RFC 4122 */
    return FASTER_OK;
}

bool fst_uuid_is_zero(const uint8_t uuid[FASTER_UUID_BYTES]) {
    static const uint8_t zero[FASTER_UUID_BYTES];
    return fst_uuid_equal(uuid, zero);
}

bool fst_uuid_equal(const uint8_t a[FASTER_UUID_BYTES], const uint8_t b[FASTER_UUID_BYTES]) {
    return memcmp(a, b, FASTER_UUID_BYTES) == 0;
}

static bool is_dash_position(size_t position) {
    return position == 8 || position == 13 || position == 18 || position == 23;
}

void faster_uuid_text(const uint8_t uuid[FASTER_UUID_BYTES], char text[FASTER_UUID_TEXT_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    size_t out = 0;
    for (size_t i = 0; i < FASTER_UUID_BYTES; i++) {
        if (is_dash_position(out)) {
            text[out++] = '-';
        }
        text[out++] = digits[uuid[i] >> 4];
        text[out++] = digits[uuid[i] & 0x0F];
    }
    text[out] = '\0';
}

/* The value of a hexadecimal digit of either case, or -1. Does not ask the locale. */
static int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

bool faster_uuid_parse(const char *text, uint8_t uuid[FASTER_UUID_BYTES]) {
    if (text == NULL || strnlen(text, FASTER_UUID_TEXT_BYTES) != TEXT_CHARACTERS) {
        return false;
    }
    uint8_t parsed[FASTER_UUID_BYTES];
    size_t in = 0;
    for (size_t i = 0; i < FASTER_UUID_BYTES; i++) {
        if (is_dash_position(in) && text[in++] != '-') {
            return false;
        }
        int high = digit_value(text[in++]);
        int low = digit_value(text[in++]);
        if (high < 0 || low < 0) {
            return false;
        }
        parsed[i] = (uint8_t)(high * 16 + low);
    }
    memcpy(uuid, parsed, sizeof parsed);
    return true;
}
