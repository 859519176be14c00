#include "reference_tokens.h"

#include <string.h>

/* What a byte is to a token. */
enum {
    LETTER = 1,
    DIGIT = 2,
    UNDERSCORE = 4,
    JOINT = 8, /* may stand within a token: "end.Next", "do:", "don't" */
    EYES = 16, /* of a face: ":" and "8" */
    NOSE = 32,
    MOUTH = 64,
    CAPITAL = 128,
    ALNUM = LETTER | DIGIT,
    WORD = LETTER | DIGIT | UNDERSCORE,
};

#define C (LETTER | CAPITAL)
#define L LETTER
#define D DIGIT
static const uint8_t TOKEN_CLASS[256] = {
    ['A'] = C, ['B'] = C, ['C'] = C, ['D'] = C | MOUTH, ['E'] = C, ['F'] = C, ['G'] = C,
    ['H'] = C, ['I'] = C, ['J'] = C, ['K'] = C, ['L'] = C, ['M'] = C, ['N'] = C, ['O'] = C | NOSE,
    ['P'] = C | MOUTH, ['Q'] = C, ['R'] = C, ['S'] = C, ['T'] = C, ['U'] = C, ['V'] = C,
    ['W'] = C, ['X'] = C, ['Y'] = C, ['Z'] = C, ['a'] = L, ['b'] = L, ['c'] = L,
    ['d'] = L | MOUTH, ['e'] = L, ['f'] = L, ['g'] = L, ['h'] = L, ['i'] = L, ['j'] = L,
    ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L | NOSE, ['p'] = L | MOUTH, ['q'] = L,
    ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L, ['y'] = L,
    ['z'] = L, ['0'] = D, ['1'] = D, ['2'] = D, ['3'] = D, ['4'] = D, ['5'] = D, ['6'] = D,
    ['7'] = D, ['8'] = D | EYES, ['9'] = D,
    ['_'] = UNDERSCORE, ['('] = MOUTH, [')'] = MOUTH, ['['] = MOUTH, [']'] = MOUTH,
    [':'] = JOINT | EYES | MOUTH, ['.'] = JOINT, ['\''] = JOINT | NOSE,
};
#undef C
#undef L
#undef D

static bool is(uint8_t byte, int classes) { return (TOKEN_CLASS[byte] & classes) != 0; }

/* Each of these gives the end of the token of its kind that starts at `at`, or NULL. A NUL stands
 * behind the text and stops them all. */

/* A host name, "www.example.com", and whatever looks like one, "end.Next": the last label that can
 * be a top-level domain closes it. At most 128 labels, as NLTK has it. */
static const uint8_t *end_of_host(const uint8_t *at) {
    const uint8_t *found = NULL;
    for (int label = 0; label < 128; label++, at++) {
        const uint8_t *start = at;
        int classes = 0;
        while (is(*at, ALNUM)) {
            classes |= TOKEN_CLASS[*at++];
        }
        if (at == start) {
            break;
        }
        if (label && !(classes & DIGIT) && at - start >= 2 && at - start <= 13 && *at != '_') {
            found = at;
        }
        if (*at != '.') {
            break;
        }
    }
    return found;
}

static const uint8_t *skip_digits(const uint8_t *at, int number) {
    for (; number; number--, at++) {
        if (!is(*at, DIGIT)) {
            return NULL;
        }
    }
    return at;
}

static const uint8_t *skip_separators(const uint8_t *at) {
    while (*at == ' ' || *at == '.' || *at == ')') {
        at++;
    }
    return at;
}

/* "555 1234" */
static const uint8_t *end_of_local_number(const uint8_t *at) {
    at = skip_digits(at, 3);
    return at ? skip_digits(skip_separators(at), 4) : NULL;
}

/* "(555) 555 1234" */
static const uint8_t *end_of_national_number(const uint8_t *at) {
    const uint8_t *local = skip_digits(at + (*at == '('), 3), *end = NULL;
    if (local) {
        end = end_of_local_number(skip_separators(local));
    }
    return end ? end : end_of_local_number(at);
}

/* "1 (555) 555 1234" */
static const uint8_t *end_of_phone_number(const uint8_t *at) {
    const uint8_t *end = NULL;
    if (*at == '0' || *at == '1') {
        end = end_of_national_number(skip_separators(at + 1));
    }
    return end ? end : end_of_national_number(at);
}

/* ":)", "8o(", "D:", "do:" */
static const uint8_t *end_of_face(const uint8_t *at) {
    const uint8_t *behind_nose = at + 1 + (is(at[0], EYES | MOUTH) && is(at[1], NOSE));
    if (is(at[0], EYES) && is(*behind_nose, MOUTH)) {
        return behind_nose + 1;
    }
    return is(at[0], MOUTH) && is(*behind_nose, EYES) ? behind_nose + 1 : NULL;
}

/* Three characters or more, letters at both ends and apostrophes within: "don't". */
static const uint8_t *end_of_letters(const uint8_t *at) {
    const uint8_t *start = at, *last = at;
    for (; is(*at, LETTER | UNDERSCORE) || *at == '\''; at++) {
        if (is(*at, LETTER)) {
            last = at;
        }
    }
    return is(*start, LETTER) && last - start >= 2 ? last + 1 : NULL;
}

/* "3.14", "1,000", "12:30" */
static const uint8_t *end_of_number(const uint8_t *at) {
    while (is(*at, DIGIT)) {
        at++;
    }
    if ((*at != ',' && *at != '.' && *at != ':') || !is(at[1], DIGIT)) {
        return NULL;
    }
    for (at++; is(*at, DIGIT);) {
        at++;
    }
    return at;
}

static const uint8_t *end_of_word(const uint8_t *at) {
    while (is(*at, WORD)) {
        at++;
    }
    return at;
}

/* "..." and ". . ." */
static const uint8_t *end_of_dots(const uint8_t *at) {
    for (;;) {
        const uint8_t *next = at + 1;
        while (*next == ' ') {
            next++;
        }
        if (*next != '.') {
            return at + 1;
        }
        at = next;
    }
}

static const uint8_t *skip_label(const uint8_t *at) {
    while (is(*at, ALNUM)) {
        at++;
    }
    return at;
}

/* The end of any token. No host starts before *no_host, which is moved on: without that note, a
 * long run of digits would be looked through anew for each phone number in it. */
static const uint8_t *end_of_token(const uint8_t *at, const uint8_t **no_host) {
    const uint8_t *end = NULL;
    const int kind = TOKEN_CLASS[*at];
    if ((kind & ALNUM) && at >= *no_host && !(end = end_of_host(at))) {
        *no_host = skip_label(at);
    }
    if (!end && ((kind & DIGIT) || *at == '(')) {
        end = end_of_phone_number(at);
    }
    if (!end && (kind & (EYES | MOUTH))) {
        end = end_of_face(at);
    }
    if (!end && (kind & LETTER)) {
        end = end_of_letters(at);
    }
    if (!end && (kind & DIGIT)) {
        end = end_of_number(at);
    }
    if (end) {
        return end;
    }
    return kind & WORD ? end_of_word(at) : *at == '.' ? end_of_dots(at) : at + 1;
}

/* ---- Turns ---------------------------------------------------------------------------------- */

/* A turn that is being written. */
typedef struct {
    const uint8_t *start;
    uint8_t *next;
    TokenFacts facts;
    const uint8_t *last; /* its last token so far */
    size_t last_size;
    int run; /* how often that stands in a row */
} Turn;

/* What is noted of the letters of a token. */
static uint8_t facts_of_letters(const uint8_t *at, const uint8_t *end) {
    uint8_t facts = 0;
    int num_capitals = 0;
    for (; at < end; at++) {
        num_capitals = is(*at, CAPITAL) ? num_capitals + 1 : 0;
        if (num_capitals == 5) {
            facts |= TOKENS_HAVE_CAPITALS;
        } else if (*at == '(' || *at == ')' || *at == '[' || *at == ']') {
            facts |= TOKENS_HAVE_BRACKET;
        } else if (*at == '_' && bytes_start_with(at, end, "__url__")) {
            facts |= TOKENS_HAVE_URL;
        }
    }
    return facts;
}

/* Notes the token that was written from `at` on, of so many characters. */
static void note_token(Turn *turn, const uint8_t *at, int32_t num_characters) {
    const size_t size = (size_t)(turn->next - at);
    const bool is_same = size == turn->last_size && memcmp(at, turn->last, size) == 0;
    turn->run = is_same ? turn->run + 1 : 1;
    turn->facts.facts |= turn->run >= 3 ? TOKENS_REPEAT : 0;
    const bool is_weight = size == 3 && memcmp(at, "1.0", 3) == 0;
    if (++turn->facts.number == 2 && is_weight && turn->run == 2) {
        turn->facts.facts |= TOKENS_REPEAT_WEIGHT;
    }
    if (num_characters > turn->facts.longest) {
        turn->facts.longest = num_characters;
    }
    turn->last = at;
    turn->last_size = size;
}

static uint8_t *begin_token(Turn *turn) {
    if (turn->next > turn->start) {
        *turn->next++ = ' ';
    }
    return turn->next;
}

/* Writes a token of any kind. What stands between its blanks, ". .", is noted as tokens. */
static void write_token(const uint8_t *at, const uint8_t *end, Turn *turn) {
    turn->facts.facts |= facts_of_letters(at, end);
    while (at < end) {
        const uint8_t *start = begin_token(turn), *first = at;
        for (; at < end && *at != ' '; at++) {
            if (*at == LEFT_QUOTE || *at == RIGHT_QUOTE) {
                *turn->next++ = 0xe2;
                *turn->next++ = 0x80;
                *turn->next++ = *at == LEFT_QUOTE ? 0x9c : 0x9d;
            } else {
                *turn->next++ = *at;
            }
        }
        note_token(turn, start, (int32_t)(at - first));
        at += at < end;
    }
}

/* Writes a token of letters alone; `classes` are those of all of them. */
static void write_plain_word(const uint8_t *at, const uint8_t *end, int classes, Turn *turn) {
    const size_t size = (size_t)(end - at);
    const uint8_t *start = begin_token(turn);
    if (size <= COPIED_BYTES) {
        memcpy(turn->next, at, COPIED_BYTES);
    } else {
        memcpy(turn->next, at, size);
    }
    turn->next += size;
    if (classes & CAPITAL && size >= 5) {
        turn->facts.facts |= facts_of_letters(at, end);
    }
    note_token(turn, start, (int32_t)size);
}

/* Writes what most tokens are: letters, and behind them nothing that could change what they are.
 * Returns its end, or NULL if that is not what stands there. */
static const uint8_t *take_plain_word(const uint8_t *at, Turn *turn) {
    const uint8_t *start = at;
    int classes = 0;
    while (is(*at, LETTER)) {
        classes |= TOKEN_CLASS[*at++];
    }
    if (at == start || is(*at, DIGIT | UNDERSCORE | JOINT)) {
        return NULL;
    }
    write_plain_word(start, at, classes, turn);
    return at;
}

TokenFacts tokenize_body(Text body, TokenRoom *room, uint8_t *output, int64_t *written) {
    *written = 0;
    if (!write_alphabet(body, room)) {
        return (TokenFacts){0};
    }
    Turn turn = {.start = output, .next = output, .last = output};
    turn.facts.facts = TOKENS_ARE_READ;
    const uint8_t *no_host = room->letters;
    for (const uint8_t *at = room->letters; *at;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        const uint8_t *end = take_plain_word(at, &turn);
        if (!end) {
            end = end_of_token(at, &no_host);
            write_token(at, end, &turn);
        }
        at = end;
    }
    *written = turn.next - output;
    return turn.facts;
}
