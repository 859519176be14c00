/* Bytes of UTF-8 as a stretch of memory. */
#ifndef DIALOGPT_BYTES_H
#define DIALOGPT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string in a column. */
typedef struct {
    const uint8_t *at;
    size_t size;
} Text;

/* Whether a byte may begin a blank: it is an ASCII blank, or the first byte of another one. */
extern const uint8_t MAY_BE_BLANK[256];

/* What blank_length gives where MAY_BE_BLANK. */
int length_of_blank(const uint8_t *at, const uint8_t *end);

/* Bytes of the blank at `at` < `end`, as Python's str.split knows blanks; 0 if there is none. */
static inline int blank_length(const uint8_t *at, const uint8_t *end) {
    return MAY_BE_BLANK[*at] ? length_of_blank(at, end) : 0;
}

bool bytes_start_with(const uint8_t *at, const uint8_t *end, const char *text);
bool bytes_contain(const uint8_t *at, const uint8_t *end, const char *text);

#endif
