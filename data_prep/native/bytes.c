#include "bytes.h"

#include <string.h>

const uint8_t MAY_BE_BLANK[256] = {
    [0x09] = 1, [0x0a] = 1, [0x0b] = 1, [0x0c] = 1, [0x0d] = 1, [0x1c] = 1, [0x1d] = 1,
    [0x1e] = 1, [0x1f] = 1, [0x20] = 1, [0xc2] = 1, [0xe1] = 1, [0xe2] = 1, [0xe3] = 1,
};

int length_of_blank(const uint8_t *at, const uint8_t *end) {
    if (*at < 0x80) {
        return 1;
    }
    if (*at == 0xc2) { /* U+0085 and U+00A0 */
        return end - at >= 2 && (at[1] == 0x85 || at[1] == 0xa0) ? 2 : 0;
    }
    if (end - at < 3) {
        return 0;
    }
    const uint32_t code = (uint32_t)at[1] << 8 | at[2];
    switch (*at) {
    case 0xe1: /* U+1680 */
        return code == 0x9a80 ? 3 : 0;
    case 0xe2: /* U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F */
        return (code >= 0x8080 && code <= 0x808a) || code == 0x80a8 || code == 0x80a9 ||
                       code == 0x80af || code == 0x819f
                   ? 3
                   : 0;
    default: /* U+3000 */
        return code == 0x8080 ? 3 : 0;
    }
}

bool bytes_start_with(const uint8_t *at, const uint8_t *end, const char *text) {
    const size_t length = strlen(text);
    return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

bool bytes_contain(const uint8_t *at, const uint8_t *end, const char *text) {
    while (at < end && (at = memchr(at, text[0], (size_t)(end - at)))) {
        if (bytes_start_with(at, end, text)) {
            return true;
        }
        at++;
    }
    return false;
}
