#include "turns.h"

#include <stdlib.h>
#include <string.h>

/* ---- Cleaning ------------------------------------------------------------------------------- */

/* What a byte of a body asks for. */
enum {
    REFUSE = 0, /* control characters, and the marks of markdown and entities: not plain */
    COPY,
    BLANK,
    LINE_MARK, /* a bullet or a rule, at the beginning of a line */
    SLASH,
    DOT,
    BRACKET,
    STAR,
    AMPERSAND,
    WIDE, /* first byte of a character beyond ASCII */
};

static const uint8_t TURN_CLASS[256] = {
    ['\t'] = BLANK, ['\n'] = BLANK, [0x0b] = BLANK, [0x0c] = BLANK, ['\r'] = BLANK,
    [0x1c] = BLANK, [0x1d] = BLANK, [0x1e] = BLANK, [0x1f] = BLANK, [' '] = BLANK,
    ['!'] = COPY, ['"'] = COPY, ['$'] = COPY, ['%'] = COPY, ['\''] = COPY, ['('] = COPY,
    [')'] = COPY, [','] = COPY, [':'] = COPY, [';'] = COPY, ['?'] = COPY, ['@'] = COPY,
    ['{'] = COPY, ['}'] = COPY, ['<'] = COPY,
    ['0'] = COPY, ['1'] = COPY, ['2'] = COPY, ['3'] = COPY, ['4'] = COPY,
    ['5'] = COPY, ['6'] = COPY, ['7'] = COPY, ['8'] = COPY, ['9'] = COPY,
    ['A'] = COPY, ['B'] = COPY, ['C'] = COPY, ['D'] = COPY, ['E'] = COPY, ['F'] = COPY,
    ['G'] = COPY, ['H'] = COPY, ['I'] = COPY, ['J'] = COPY, ['K'] = COPY, ['L'] = COPY,
    ['M'] = COPY, ['N'] = COPY, ['O'] = COPY, ['P'] = COPY, ['Q'] = COPY, ['R'] = COPY,
    ['S'] = COPY, ['T'] = COPY, ['U'] = COPY, ['V'] = COPY, ['W'] = COPY, ['X'] = COPY,
    ['Y'] = COPY, ['Z'] = COPY,
    ['a'] = COPY, ['b'] = COPY, ['c'] = COPY, ['d'] = COPY, ['e'] = COPY, ['f'] = COPY,
    ['g'] = COPY, ['h'] = COPY, ['i'] = COPY, ['j'] = COPY, ['k'] = COPY, ['l'] = COPY,
    ['m'] = COPY, ['n'] = COPY, ['o'] = COPY, ['p'] = COPY, ['q'] = COPY, ['r'] = COPY,
    ['s'] = COPY, ['t'] = COPY, ['u'] = COPY, ['v'] = COPY, ['w'] = COPY, ['x'] = COPY,
    ['y'] = COPY, ['z'] = COPY,
    ['-'] = LINE_MARK, ['+'] = LINE_MARK, ['='] = LINE_MARK,
    ['/'] = SLASH, ['.'] = DOT, [']'] = BRACKET, ['*'] = STAR, ['&'] = AMPERSAND,
    /* U+00A1 to U+02FF, and some of U+2000 to U+20BF */
    [0xc2] = WIDE, [0xc3] = WIDE, [0xc4] = WIDE, [0xc5] = WIDE, [0xc6] = WIDE, [0xc7] = WIDE,
    [0xc8] = WIDE, [0xc9] = WIDE, [0xca] = WIDE, [0xcb] = WIDE, [0xe2] = WIDE,
};

/* Bytes of the character at `at` if it is a letter, mark or symbol that stays as it is under
 * normalization to NFC, else 0. The text is valid UTF-8. */
static int settled_character(const uint8_t *at) {
    if (at[0] == 0xc2) {
        return at[1] >= 0xa1 && at[1] != 0xad ? 2 : 0; /* no-break space, soft hyphen */
    }
    if (at[0] < 0xe2) {
        return 2;
    }
    switch (at[1]) {
    case 0x80: /* dashes, quotation marks, dots; not: spaces, joiners, directions, separators */
        return (at[2] >= 0x90 && at[2] <= 0xa7) || at[2] >= 0xb0 ? 3 : 0;
    case 0x81:
        return at[2] <= 0x9e ? 3 : 0;
    case 0x82: /* currencies */
        return at[2] >= 0xa0 ? 3 : 0;
    default:
        return 0;
    }
}

static bool ends_with(const uint8_t *start, const uint8_t *end, const char *lower_case) {
    const size_t length = strlen(lower_case);
    if ((size_t)(end - start) < length) {
        return false;
    }
    for (size_t index = 0; index < length; index++) {
        if ((end[index - length] | 0x20) != (uint8_t)lower_case[index]) {
            return false;
        }
    }
    return true;
}

/* Whether an address starts with the ":" that was written last, as in "http://x". */
static bool is_scheme(const uint8_t *output, const uint8_t *written, const uint8_t *slash,
                      const uint8_t *end) {
    const uint8_t *colon = written - 1;
    if (end - slash < 3 || slash[1] != '/' || TURN_CLASS[slash[2]] == BLANK) {
        return false;
    }
    return ends_with(output, colon, "http") || ends_with(output, colon, "https") ||
           ends_with(output, colon, "ftp");
}

/* A body that is being cleaned. */
typedef struct {
    const uint8_t *start;
    const uint8_t *at; /* what is looked at */
    const uint8_t *end;
    uint8_t *output;
    uint8_t *next; /* where to write */
    uint8_t facts;
    bool in_indent;    /* only blanks and tabs since the line began */
    int num_indented;  /* so many blanks, if nothing else */
    bool has_dot;      /* the word so far has a "." in it */
    bool has_layout;   /* a tab, four blanks or a carriage return: together with marks these mean */
    bool has_marks;    /* code, or a line of its own */
    int num_open_stars; /* of emphasis that has begun; 0 if none has */
    bool has_stressed;  /* a letter or digit since then */
} Body;

static bool is_word_byte(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

static void write_byte(Body *body, uint8_t byte) {
    *body->next++ = byte;
    body->has_stressed = body->has_stressed || is_word_byte(byte);
    body->in_indent = false;
}

static void skip_blank(Body *body) {
    const uint8_t byte = *body->at++;
    if (body->next > body->output && body->next[-1] != ' ') {
        *body->next++ = ' ';
    }
    if (byte == '\n') {
        body->in_indent = true;
        body->num_indented = 0;
    } else {
        body->in_indent = body->in_indent && (byte == ' ' || byte == '\t');
        body->num_indented += byte == ' ' ? 1 : 4;
    }
    body->has_layout = body->has_layout || byte == '\t' || byte == '\r' ||
                       (body->end - body->at >= 3 && byte == ' ' && body->at[0] == ' ' &&
                        body->at[1] == ' ' && body->at[2] == ' ');
    body->has_dot = false;
}

static bool copy_wide(Body *body) {
    const int length = settled_character(body->at);
    for (int index = 0; index < length; index++) {
        *body->next++ = *body->at++;
    }
    body->in_indent = false;
    return length > 0;
}

/* Whether the "/" at hand surely belongs to no address but one that is noted. */
static bool note_slash(Body *body) {
    if (body->facts & TURN_HAS_URL) {
        return true; /* one is enough to know */
    }
    const uint8_t before = body->at > body->start ? body->at[-1] : ' ';
    const uint8_t after = body->end - body->at > 1 ? body->at[1] : ' ';
    if (before == '*' || after == '*') {
        return false; /* an address may come about when the stars are gone */
    }
    if (before == ':' && is_scheme(body->output, body->next, body->at, body->end)) {
        body->facts |= TURN_HAS_URL;
        return true;
    }
    return !body->has_dot; /* else perhaps a host and a path, "imgur.com/a1b2" */
}

/* Drops stars that open or close emphasis with nothing special about it: "so *very* good". */
static bool drop_stars(Body *body) {
    const uint8_t *stars_end = body->at;
    while (stars_end < body->end && *stars_end == '*') {
        stars_end++;
    }
    const int number = (int)(stars_end - body->at);
    const uint8_t before = body->at > body->start ? body->at[-1] : ' ';
    const uint8_t after = stars_end < body->end ? *stars_end : ' ';
    if (before >= 0x80 || after >= 0x80) {
        return false;
    }
    if (!body->num_open_stars) {
        if (is_word_byte(before) || !is_word_byte(after)) {
            return false;
        }
        body->num_open_stars = number;
        body->has_stressed = false;
    } else {
        /* After "." or "(" it may belong to a face, "o.*" or "(*.*)". */
        if (TURN_CLASS[before] == BLANK || before == '.' || before == '(' || is_word_byte(after) ||
            number != body->num_open_stars || !body->has_stressed) {
            return false;
        }
        body->num_open_stars = 0;
    }
    body->in_indent = false;
    body->at = stars_end;
    return true;
}

static bool starts_with(const Body *body, const char *text) {
    const size_t length = strlen(text);
    return (size_t)(body->end - body->at) >= length && memcmp(body->at, text, length) == 0;
}

/* Undoes an escape of dumps; drops the line if the ">" that it stands for makes it a quote. */
static bool undo_escape(Body *body) {
    if (starts_with(body, "&lt;")) {
        body->at += 4;
        write_byte(body, '<');
        return true;
    }
    const bool is_gt = starts_with(body, "&gt;");
    if (!is_gt && !starts_with(body, "&amp;")) {
        return false;
    }
    body->at += is_gt ? 4 : 5;
    const uint8_t following = body->at < body->end ? *body->at : ' ';
    if (!is_word_byte(following) && TURN_CLASS[following] != BLANK) {
        return false; /* a spoiler ">!", a face ">_<", an entity "&#39;" or an emoji's beginning */
    }
    if (!is_gt) {
        if (is_word_byte(following)) {
            return false; /* perhaps an entity, "&nbsp;" */
        }
        write_byte(body, '&');
        return true;
    }
    if (!body->in_indent) {
        write_byte(body, '>');
        return true;
    }
    if (body->num_indented > 3) {
        return false; /* no quote, but code */
    }
    const uint8_t *line_end = memchr(body->at, '\n', (size_t)(body->end - body->at));
    body->at = line_end ? line_end + 1 : body->end;
    body->num_indented = 0;
    return true;
}

/* Takes one character; false if the body is not plain. */
static bool take_character(Body *body, bool only_text) {
    const uint8_t byte = *body->at;
    switch (TURN_CLASS[byte]) {
    case BLANK:
        skip_blank(body);
        return true;
    case WIDE:
        return copy_wide(body);
    case STAR:
        body->has_marks = true;
        return !only_text && drop_stars(body);
    case AMPERSAND:
        body->has_marks = true;
        return !only_text && undo_escape(body);
    case REFUSE:
        return false;
    case LINE_MARK:
        if (body->in_indent) {
            return false;
        }
        break;
    case DOT:
        if (ends_with(body->output, body->next, "www")) {
            return false;
        }
        body->has_dot = true;
        break;
    case SLASH:
        if (!note_slash(body)) {
            return false;
        }
        break;
    case BRACKET:
        if (body->end - body->at > 1 && (body->at[1] == '(' || body->at[1] == '*')) {
            return false; /* "](x" is an address, and so it is once stars are gone */
        }
        body->facts |= TURN_HAS_MARKUP;
        break;
    default:
        break;
    }
    write_byte(body, byte);
    body->at++;
    return true;
}

uint8_t clean_turn(const uint8_t *at, size_t size, bool only_text, uint8_t *output,
                   int64_t *written) {
    *written = 0;
    if (size == 9 && (memcmp(at, "[deleted]", 9) == 0 || memcmp(at, "[removed]", 9) == 0)) {
        return TURN_IS_PLAIN | TURN_IS_REMOVED;
    }
    Body body = {.start = at, .at = at, .end = at + size, .output = output, .next = output};
    body.facts = TURN_IS_PLAIN;
    body.in_indent = true;
    while (body.at < body.end) {
        if (!take_character(&body, only_text)) {
            return 0;
        }
    }
    if (body.num_open_stars || (body.has_marks && body.has_layout)) {
        return 0;
    }
    if (body.next > output && body.next[-1] == ' ') {
        body.next--;
    }
    *written = body.next - output;
    return body.facts;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static uint32_t hash_of(const uint8_t *word, size_t length) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t index = 0; index < length; index++) {
        hash = (hash ^ word[index]) * 16777619u;
    }
    return hash;
}

static size_t length_of_entry(const uint8_t *word) {
    size_t length = 0;
    while (word[length] != '\n') {
        length++;
    }
    return length;
}

bool new_word_set(const uint8_t *words, size_t size, WordSet *set) {
    uint32_t num_slots = 64;
    for (size_t index = 0; index < size; index++) {
        num_slots += words[index] == '\n' ? 2 : 0;
    }
    set->mask = 63;
    while (set->mask < num_slots) {
        set->mask = 2 * set->mask + 1;
    }
    set->words = words;
    set->starts = calloc((size_t)set->mask + 1, sizeof(uint32_t));
    if (!set->starts) {
        return false;
    }
    for (size_t start = 0; start < size;) {
        const size_t length = length_of_entry(words + start);
        uint32_t slot = hash_of(words + start, length) & set->mask;
        while (set->starts[slot]) {
            slot = (slot + 1) & set->mask;
        }
        set->starts[slot] = (uint32_t)start + 1;
        start += length + 1;
    }
    return true;
}

void drop_word_set(WordSet *set) {
    free(set->starts);
    set->starts = NULL;
}

static bool holds_word(const WordSet *set, const uint8_t *word, size_t length) {
    uint32_t slot = hash_of(word, length) & set->mask;
    for (; set->starts[slot]; slot = (slot + 1) & set->mask) {
        const uint8_t *entry = set->words + set->starts[slot] - 1;
        size_t same = 0;
        while (same < length && entry[same] == word[same]) {
            same++; /* never past the entry: no word holds the line break that ends it */
        }
        if (same == length && entry[same] == '\n') {
            return true;
        }
    }
    return false;
}

/* Whether the word is in the set, or what a contraction is made of: see `no_frequent_word`. */
static bool is_frequent(const WordSet *set, const uint8_t *word, size_t length) {
    if (holds_word(set, word, length)) {
        return true;
    }
    const uint8_t *apostrophe = memchr(word, '\'', length);
    if (!apostrophe) {
        return false;
    }
    if (length >= 3 && memcmp(word + length - 3, "n't", 3) == 0) {
        return holds_word(set, word, length - 3) || holds_word(set, word, length - 2);
    }
    return holds_word(set, word, (size_t)(apostrophe - word));
}

/* What a character is to a word. */
typedef enum {
    NO_PART,
    LETTER,
    APOSTROPHE,
    POINT, /* "." or "," */
    UNKNOWN,
} Part;

static bool is_ascii_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static Part part_at(const uint8_t *at, int *length) {
    const uint8_t byte = at[0];
    *length = 1;
    if (byte < 0x80) {
        if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') {
            return LETTER;
        }
        if (is_ascii_digit(byte)) {
            return LETTER;
        }
        return byte == '\'' ? APOSTROPHE : byte == '.' || byte == ',' ? POINT : NO_PART;
    }
    if (byte == 0xc3) { /* U+00C0 to U+00FF: letters, but for the signs of times and division */
        *length = 2;
        return at[1] == 0x97 || at[1] == 0xb7 ? NO_PART : LETTER;
    }
    if (byte == 0xe2 && at[1] == 0x80) { /* general punctuation, but for joiners and the like */
        *length = 3;
        return at[2] == 0x99 ? APOSTROPHE : at[2] >= 0x90 && at[2] <= 0xa7 ? NO_PART : UNKNOWN;
    }
    if (byte == 0xf0 && at[1] == 0x9f && at[2] >= 0x8c && at[2] <= 0xab) { /* pictures */
        *length = 4;
        return NO_PART;
    }
    return UNKNOWN;
}

/* Writes a letter in lower case. */
static uint8_t *write_letter(const uint8_t *at, int length, uint8_t *output) {
    if (length == 1) {
        *output++ = *at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at;
        return output;
    }
    *output++ = at[0];
    *output++ = at[1] <= 0x9e ? at[1] + 0x20 : at[1];
    return output;
}

/* Writes the word that starts at `at`; returns the place behind it, NULL at an unknown character. */
static const uint8_t *read_word(const uint8_t *at, const uint8_t *end, uint8_t **output) {
    int length;
    for (;;) {
        bool ends_with_digit = false;
        Part part = NO_PART;
        while (at < end && (part = part_at(at, &length)) == LETTER) {
            *output = write_letter(at, length, *output);
            ends_with_digit = is_ascii_digit(*at);
            at += length;
        }
        if (at == end || part == NO_PART) {
            return at;
        }
        if (part == UNKNOWN) {
            return NULL;
        }
        const uint8_t *following = at + length;
        const uint8_t joint = part == APOSTROPHE ? '\'' : *at;
        int length_of_following;
        if (following >= end || part_at(following, &length_of_following) != LETTER) {
            return at;
        }
        if (part == POINT && !(ends_with_digit && is_ascii_digit(*following))) {
            return at;
        }
        *(*output)++ = joint;
        at = following;
    }
}

WordFacts join_words(const uint8_t *at, size_t size, const WordSet *frequent, uint8_t *output,
                     int64_t *written) {
    const uint8_t *end = at + size;
    WordFacts facts = {.is_read = true};
    uint8_t *next = output, *previous = NULL;
    size_t length_of_previous = 0;
    int32_t run = 0;
    *written = 0;
    while (at < end) {
        int length;
        const Part part = part_at(at, &length);
        if (part == UNKNOWN) {
            return (WordFacts){0};
        }
        if (part != LETTER) {
            at += length;
            continue;
        }
        uint8_t *word = next;
        if (!(at = read_word(at, end, &next))) {
            return (WordFacts){0};
        }
        const size_t length_of_word = (size_t)(next - word);
        const bool is_repeated = previous && length_of_word == length_of_previous &&
                                 memcmp(word, previous, length_of_word) == 0;
        run = is_repeated ? run + 1 : 1;
        facts.longest_run = run > facts.longest_run ? run : facts.longest_run;
        facts.has_frequent = facts.has_frequent || is_frequent(frequent, word, length_of_word);
        previous = word;
        length_of_previous = length_of_word;
        *next++ = ' ';
    }
    *written = next > output ? next - output - 1 : 0;
    return facts;
}

/* ---- Trigrams ------------------------------------------------------------------------------- */

static uint32_t CRC_TABLE[256];

void make_crc_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) {
            value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
        }
        CRC_TABLE[byte] = value;
    }
}

/* CRC-32 as zlib has it. */
static uint32_t checksum_of(const uint8_t *at, const uint8_t *end) {
    uint32_t value = 0xffffffffu;
    for (; at < end; at++) {
        value = value >> 8 ^ CRC_TABLE[(value ^ *at) & 0xff];
    }
    return value ^ 0xffffffffu;
}

/* The blank that ends the word at `at`, or the end of the text. */
static const uint8_t *end_of_word(const uint8_t *at, const uint8_t *end) {
    const uint8_t *blank = memchr(at, ' ', (size_t)(end - at));
    return blank ? blank : end;
}

/* The end of the three words that start at `at`, or NULL if there are fewer. */
static const uint8_t *end_of_trigram(const uint8_t *at, const uint8_t *end) {
    for (int words = 1; words < 3; words++) {
        at = end_of_word(at, end);
        if (at == end) {
            return NULL;
        }
        at++;
    }
    return end_of_word(at, end);
}

int64_t count_trigrams(const uint8_t *at, size_t size, int64_t *num_bytes) {
    const uint8_t *end = at + size, *trigram_end;
    int64_t number = 0;
    for (; (trigram_end = end_of_trigram(at, end)); at = end_of_word(at, end) + 1) {
        *num_bytes += trigram_end - at;
        number++;
    }
    return number;
}

int64_t write_trigrams(const uint8_t *at, size_t size, uint8_t *text, int64_t offset,
                       int64_t *ends, uint32_t *checksums) {
    const uint8_t *end = at + size, *trigram_end;
    for (; (trigram_end = end_of_trigram(at, end)); at = end_of_word(at, end) + 1) {
        memcpy(text + offset, at, (size_t)(trigram_end - at));
        offset += trigram_end - at;
        *ends++ = offset;
        *checksums++ = checksum_of(at, trigram_end);
    }
    return offset;
}
