/* Bodies of comments -> turns, where that takes no knowledge of markdown; words and trigrams. */
#ifndef DIALOGPT_TURNS_H
#define DIALOGPT_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is noted of a body. */
enum {
    TURN_IS_PLAIN = 1,   /* it was cleaned; all others are left to data_prep/normalize.py */
    TURN_HAS_URL = 2,
    TURN_HAS_MARKUP = 4, /* it holds a "]"; one with a "[" is not plain */
    TURN_IS_REMOVED = 8, /* it only says that it was deleted or removed */
};

/* Cleans the body at[0:size] as `turn_text` does: one line, single blanks, none at the ends.
 *
 * `output` has room for `size` bytes; *written gets their number. A body is plain if it holds no
 * markdown but quotes and simple emphasis, no entity but the escapes of dumps ("&gt;"), no address
 * without a scheme, and nothing that Unicode normalization changes. With `only_text`, quotes,
 * emphasis and escapes are not plain either. */
uint8_t clean_turn(const uint8_t *at, size_t size, bool only_text, uint8_t *output,
                   int64_t *written);

/* A set of words, made once and looked up often. */
typedef struct {
    const uint8_t *words;  /* each ends with a line break */
    uint32_t *starts;      /* hash table: where the word starts, plus one; 0 is free */
    uint32_t mask;
} WordSet;

/* False if there is no memory. To be given to drop_word_set in either case. */
bool new_word_set(const uint8_t *words, size_t size, WordSet *set);
void drop_word_set(WordSet *set);

/* What is noted of the words of a text. */
typedef struct {
    bool is_read;        /* false: a character is beyond what is known here, ask `words_of` */
    bool has_frequent;   /* one of them is in the set, or the stem of its contraction is */
    int32_t longest_run; /* most times that a word stands in a row */
} WordFacts;

/* The words of a cleaned text as `words_of` finds them, with a blank between two.
 *
 * `output` has room for `2 * size + 1` bytes; *written gets their number, 0 if not read. */
WordFacts join_words(const uint8_t *at, size_t size, const WordSet *frequent, uint8_t *output,
                     int64_t *written);

/* To be called once, before the functions below. */
void make_crc_table(void);

/* The trigrams (three words in a row) of a text that join_words wrote; adds the bytes that they take
 * to *num_bytes. */
int64_t count_trigrams(const uint8_t *at, size_t size, int64_t *num_bytes);

/* Writes these trigrams: `ends` gets where each ends in `text`, of which `offset` bytes are taken,
 * and `checksums` the CRC-32 of each. Returns how many bytes are taken then. */
int64_t write_trigrams(const uint8_t *at, size_t size, uint8_t *text, int64_t offset,
                       int64_t *ends, uint32_t *checksums);

#endif
