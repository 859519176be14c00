#include "json.h"

#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define HAVE_SSE2
#ifdef _MSC_VER
#include <intrin.h>
#endif

/* The place of the lowest bit that is set; one is. */
static int lowest_bit(unsigned bits) {
#ifdef _MSC_VER
    unsigned long place;
    _BitScanForward(&place, bits);
    return (int)place;
#else
    return __builtin_ctz(bits);
#endif
}
#endif

/* Value of a hexadecimal digit plus one, so that 0 says "none". */
static const uint8_t HEX_DIGIT[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* What `\` and a letter stand for; 0 where they are no escape, or the beginning of `\u`. */
static const uint8_t ESCAPED[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

#define MAX_DIGITS 18   /* of an integer: 18 nines are below 2 ** 63 */
#define MAX_DECIMALS 6 /* more might round up to the next integer when read as a double */

static bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

const uint8_t *json_skip_blanks(const uint8_t *at) {
    while (*at == ' ' || *at == '\t' || *at == '\r') {
        at++;
    }
    return at;
}

/* The next quote, backslash or control character. */
static const uint8_t *find_special(const uint8_t *at, const uint8_t *end, bool *non_ascii) {
#ifdef HAVE_SSE2
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1f);
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        const __m128i is_mark =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        const unsigned special = (unsigned)_mm_movemask_epi8(_mm_or_si128(is_control, is_mark));
        const unsigned high = (unsigned)_mm_movemask_epi8(bytes);
        if (special) {
            const int place = lowest_bit(special);
            *non_ascii |= (high & ((1u << place) - 1)) != 0;
            return at + place;
        }
        *non_ascii |= high != 0;
    }
#else
    (void)end;
#endif
    uint8_t seen = 0;
    while (*at >= 0x20 && *at != '"' && *at != '\\') {
        seen |= *at++;
    }
    *non_ascii |= seen >= 0x80;
    return at;
}

const uint8_t *json_read_string(const uint8_t *at, const uint8_t *end, JsonString *string) {
    if (*at != '"') {
        return NULL;
    }
    *string = (JsonString){.start = ++at};
    for (;;) {
        at = find_special(at, end, &string->non_ascii);
        if (*at == '"') {
            string->end = at;
            return at + 1;
        }
        if (*at != '\\') {
            return NULL; /* a control character, or the end of the line */
        }
        string->escaped = true;
        if (ESCAPED[at[1]]) {
            at += 2;
        } else if (at[1] == 'u' && HEX_DIGIT[at[2]] && HEX_DIGIT[at[3]] && HEX_DIGIT[at[4]] &&
                   HEX_DIGIT[at[5]]) {
            at += 6;
        } else {
            return NULL;
        }
    }
}

static const uint8_t *skip_digits(const uint8_t *at) {
    if (!is_digit(*at)) {
        return NULL;
    }
    while (is_digit(*at)) {
        at++;
    }
    return at;
}

static const uint8_t *skip_number(const uint8_t *at) {
    at += *at == '-';
    at = *at == '0' ? at + 1 : skip_digits(at);
    if (at && *at == '.') {
        at = skip_digits(at + 1);
    }
    if (at && (*at == 'e' || *at == 'E')) {
        at++;
        at = skip_digits(at + (*at == '+' || *at == '-'));
    }
    return at;
}

static const uint8_t *skip_word(const uint8_t *at, const char *word) {
    for (; *word; word++, at++) {
        if (*at != (uint8_t)*word) {
            return NULL;
        }
    }
    return at;
}

/* Skips the items of an array, or the members of an object, from behind the opening bracket. */
static const uint8_t *skip_items(const uint8_t *at, const uint8_t *end, int depth, bool is_object) {
    const uint8_t closing = is_object ? '}' : ']';
    at = json_skip_blanks(at);
    if (*at == closing) {
        return at + 1;
    }
    for (;;) {
        if (is_object) {
            JsonString key;
            at = json_read_string(json_skip_blanks(at), end, &key);
            if (!at || *(at = json_skip_blanks(at)) != ':') {
                return NULL;
            }
            at++;
        }
        at = json_skip_value(json_skip_blanks(at), end, depth);
        if (!at) {
            return NULL;
        }
        at = json_skip_blanks(at);
        if (*at == closing) {
            return at + 1;
        }
        if (*at++ != ',') {
            return NULL;
        }
    }
}

const uint8_t *json_skip_value(const uint8_t *at, const uint8_t *end, int depth) {
    JsonString string;
    switch (*at) {
    case '"':
        return json_read_string(at, end, &string);
    case '{':
    case '[':
        return depth > 0 ? skip_items(at + 1, end, depth - 1, *at == '{') : NULL;
    case 't':
        return skip_word(at, "true");
    case 'f':
        return skip_word(at, "false");
    case 'n':
        return skip_word(at, "null");
    default:
        return skip_number(at);
    }
}

const uint8_t *json_read_integer(const uint8_t *at, int64_t *value) {
    const uint8_t *last = skip_number(at);
    if (!last) {
        return NULL;
    }
    const bool is_negative = *at == '-';
    const uint8_t *digit = at + is_negative;
    const uint8_t *first = digit;
    int64_t magnitude = 0;
    for (; digit < last && is_digit(*digit); digit++) {
        if (digit - first == MAX_DIGITS) {
            return NULL;
        }
        magnitude = 10 * magnitude + (*digit - '0');
    }
    if (digit < last && (*digit != '.' || last - digit - 1 > MAX_DECIMALS ||
                         !is_digit(last[-1]) || memchr(digit, 'e', (size_t)(last - digit)) ||
                         memchr(digit, 'E', (size_t)(last - digit)))) {
        return NULL;
    }
    *value = is_negative ? -magnitude : magnitude;
    return last;
}

bool utf8_is_valid(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        const uint8_t lead = *at++;
        if (lead < 0x80) {
            continue;
        }
        int num_following;
        uint8_t lowest = 0x80, highest = 0xbf; /* of the second byte */
        if (lead >= 0xc2 && lead <= 0xdf) {
            num_following = 1;
        } else if (lead >= 0xe0 && lead <= 0xef) {
            num_following = 2;
            lowest = lead == 0xe0 ? 0xa0 : 0x80;
            highest = lead == 0xed ? 0x9f : 0xbf;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            num_following = 3;
            lowest = lead == 0xf0 ? 0x90 : 0x80;
            highest = lead == 0xf4 ? 0x8f : 0xbf;
        } else {
            return false;
        }
        for (; num_following; num_following--, at++) {
            if (at == end || *at < lowest || *at > highest) {
                return false;
            }
            lowest = 0x80, highest = 0xbf;
        }
    }
    return true;
}

static uint32_t hex4(const uint8_t *at) {
    uint32_t value = 0;
    for (int digit = 0; digit < 4; digit++) {
        value = value << 4 | (uint32_t)(HEX_DIGIT[at[digit]] - 1);
    }
    return value;
}

static uint8_t *write_utf8(uint32_t code, uint8_t *output) {
    if (code < 0x80) {
        *output++ = (uint8_t)code;
    } else if (code < 0x800) {
        *output++ = (uint8_t)(0xc0 | code >> 6);
        *output++ = (uint8_t)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *output++ = (uint8_t)(0xe0 | code >> 12);
        *output++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *output++ = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        *output++ = (uint8_t)(0xf0 | code >> 18);
        *output++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        *output++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *output++ = (uint8_t)(0x80 | (code & 0x3f));
    }
    return output;
}

uint8_t *json_unescape(const JsonString *string, uint8_t *output) {
    if (string->non_ascii && !utf8_is_valid(string->start, string->end)) {
        return NULL;
    }
    const uint8_t *at = string->start;
    while (string->escaped) {
        const uint8_t *backslash = memchr(at, '\\', (size_t)(string->end - at));
        if (!backslash) {
            break;
        }
        memcpy(output, at, (size_t)(backslash - at));
        output += backslash - at;
        if (backslash[1] != 'u') {
            *output++ = ESCAPED[backslash[1]];
            at = backslash + 2;
            continue;
        }
        uint32_t code = hex4(backslash + 2);
        at = backslash + 6;
        if (code >= 0xd800 && code <= 0xdfff) {
            /* `\ud83d\ude00`: the two halves of one character. The quote stops the look ahead. */
            const uint32_t low = at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : 0;
            if (code >= 0xdc00 || low < 0xdc00 || low > 0xdfff) {
                return NULL;
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
        output = write_utf8(code, output);
    }
    memcpy(output, at, (size_t)(string->end - at));
    return output + (string->end - at);
}
