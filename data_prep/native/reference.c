#include "reference.h"

#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define HAVE_SSE2
#endif

#define MAX_ID_LENGTH 12 /* as in data_prep/ids.py: what fits 63 bits */

/* The value of the base-36 digits behind the prefix, or -1. */
static int64_t id_value(Text name, const char *prefix) {
    if (name.size < 4 || name.size > 3 + MAX_ID_LENGTH || memcmp(name.at, prefix, 3) != 0) {
        return -1;
    }
    int64_t value = 0;
    for (size_t place = 3; place < name.size; place++) {
        const uint8_t byte = name.at[place];
        if (byte >= '0' && byte <= '9') {
            value = 36 * value + (byte - '0');
        } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') {
            value = 36 * value + ((byte | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

int64_t link_value(Text link) { return id_value(link, "t3_"); }

int64_t parent_value(Text parent) {
    if (parent.size >= 3 && memcmp(parent.at, "t3_", 3) == 0) {
        return PARENT_SUBMISSION;
    }
    const int64_t value = id_value(parent, "t1_");
    return value < 0 ? PARENT_UNKNOWN : value;
}

#define CHUNK 16 /* bytes that are looked at together */

#ifdef HAVE_SSE2

static int count_bits(unsigned bits) {
    bits -= bits >> 1 & 0x5555;
    bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
    bits = (bits + (bits >> 4)) & 0x0f0f;
    return (int)((bits + (bits >> 8)) & 0x1f);
}

/* Counts the words that start in CHUNK bytes; false, and nothing counted, if one of them is beyond
 * ASCII or a backslash. */
static bool count_chunk(const uint8_t *at, bool *in_word, int64_t *number) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    const __m128i is_backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    if (_mm_movemask_epi8(_mm_or_si128(bytes, is_backslash))) {
        return false;
    }
    const __m128i from_tab = _mm_sub_epi8(bytes, _mm_set1_epi8(0x09)); /* 0x09 to 0x0d */
    const __m128i from_fs = _mm_sub_epi8(bytes, _mm_set1_epi8(0x1c));  /* 0x1c to 0x20 */
    const __m128i four = _mm_set1_epi8(4);
    const __m128i is_blank = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(from_tab, four), from_tab),
                                          _mm_cmpeq_epi8(_mm_min_epu8(from_fs, four), from_fs));
    const unsigned words = ~(unsigned)_mm_movemask_epi8(is_blank) & 0xffff;
    *number += count_bits(words & ~(words << 1 | *in_word));
    *in_word = words >> 15;
    return true;
}
#endif

/* Counts the words that start in at[0:until]; returns the end of the last character looked at. */
static const uint8_t *count_bytes(const uint8_t *at, const uint8_t *until, const uint8_t *end,
                                  bool *in_word, int64_t *number) {
    while (at < until) {
        const int length = blank_length(at, end);
        if (length) {
            *in_word = false;
        } else if (*at != '\\') {
            *number += !*in_word;
            *in_word = true;
        }
        at += length ? length : 1;
    }
    return at;
}

/* The words of the body without its backslashes; of more than `limit` some may not be counted. */
static int64_t count_words(Text body, int64_t limit) {
    const uint8_t *at = body.at, *end = body.at + body.size;
    int64_t number = 0;
    bool in_word = false;
    while (at < end && number < limit) {
        const uint8_t *until = end - at > CHUNK ? at + CHUNK : end;
#ifdef HAVE_SSE2
        if (until - at == CHUNK && count_chunk(at, &in_word, &number)) {
            at = until;
            continue;
        }
#endif
        at = count_bytes(at, until, end, &in_word, &number);
    }
    return number;
}

static bool has_quote(Text body) {
    const uint8_t *end = body.at + body.size;
    return memchr(body.at, '>', body.size) || bytes_contain(body.at, end, "&gt;");
}

/* A line break or tab in a name tears the row of the table in which the public code keeps it. */
static bool is_broken(Text author) {
    for (size_t place = 0; place < author.size; place++) {
        const uint8_t byte = author.at[place];
        if (byte == '\t' || byte == '\n' || byte == '\r') {
            return true;
        }
    }
    return false;
}

uint8_t drop_code(Text link, Text author, Text body, int64_t max_words, bool *is_long) {
    *is_long = false;
    if (body.size == 9 && memcmp(body.at, "[deleted]", 9) == 0) {
        return DROP_REMOVED;
    }
    if (has_quote(body)) {
        return DROP_QUOTE;
    }
    if (link_value(link) < 0) {
        return DROP_UNKNOWN_SUBMISSION;
    }
    const int64_t limit = max_words < 1 ? 2 : max_words + 1;
    const int64_t num_words = count_words(body, limit);
    if (num_words < 2) {
        return DROP_TOO_FEW_WORDS;
    }
    if (is_broken(author)) {
        return DROP_BROKEN_ROW;
    }
    *is_long = num_words > max_words;
    return 0;
}
