/* JSON as it stands in one line of a dump: a strict reader that never guesses.
 *
 * `at` is where to read and `end` where all text ends. There must stand a byte below 0x20 at `end`
 * (Python puts a NUL behind every bytes object): such a byte stops every function, so none needs to
 * compare with `end` at each step. NULL means "not what I read": the caller leaves the line to the
 * tolerant parser in Python, which decides what it is worth.
 */
#ifndef DIALOGPT_JSON_H
#define DIALOGPT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The characters between the quotes of a JSON string, as they stand in the line. */
typedef struct {
    const uint8_t *start;
    const uint8_t *end;
    bool escaped;   /* holds a backslash */
    bool non_ascii; /* holds a byte of 0x80 or more */
} JsonString;

/* Skips the blanks that JSON allows within a line. */
const uint8_t *json_skip_blanks(const uint8_t *at);

/* Reads the string whose opening quote is at `at`; returns the place behind its closing quote.
 * Escapes (`\n`, `\u00e9`) are checked for form, UTF-8 is not. */
const uint8_t *json_read_string(const uint8_t *at, const uint8_t *end, JsonString *string);

/* Skips one value of any type, checked for form; at most `depth` levels may be nested in it. */
const uint8_t *json_skip_value(const uint8_t *at, const uint8_t *end, int depth);

/* Reads a number of at most 18 digits, without an exponent; decimals, of which there may be six,
 * are cut off. */
const uint8_t *json_read_integer(const uint8_t *at, int64_t *value);

/* Writes the string as UTF-8, its escapes undone; returns the end of what was written, which is
 * never more than the string has. NULL if it is no Unicode text: bytes that are not UTF-8, or half
 * of a surrogate pair. */
uint8_t *json_unescape(const JsonString *string, uint8_t *output);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong). */
bool utf8_is_valid(const uint8_t *at, const uint8_t *end);

#endif
