/* The first steps from a body to its turn: see reference_tokens.h. */
#include <stdlib.h>
#include <string.h>

#include "reference_tokens.h"

/* What is being written: letters of the alphabet and single blanks. */
typedef struct {
    const uint8_t *start;
    uint8_t *next;
    bool word_has_dotted_i; /* U+0130, so far */
} Letters;

static bool is_letter_or_digit(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
}

/* Writes a byte; of a blank no more than one in a row, of other marks three. */
static void put(Letters *letters, uint8_t byte) {
    uint8_t *next = letters->next;
    const ptrdiff_t number = next - letters->start;
    const bool is_run =
        byte == ' ' ? number == 0 || next[-1] == ' '
                    : number >= 3 && next[-1] == byte && next[-2] == byte && next[-3] == byte;
    if (!is_run || is_letter_or_digit(byte)) {
        *next = byte;
        letters->next++;
    }
}

static void put_all(Letters *letters, const char *text) {
    for (; *text; text++) {
        put(letters, (uint8_t)*text);
    }
}

/* The letters and digits that always stand for themselves: others may begin something else. */
static const uint8_t PLAIN[256] = {
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['I'] = 1,
    ['J'] = 1, ['K'] = 1, ['L'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1,
    ['S'] = 1, ['T'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1,
    ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['i'] = 1, ['k'] = 1, ['l'] = 1,
    ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1,
    ['u'] = 1, ['v'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1,
    ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
};

/* What the public code spells out, even within words; "w/" after "w/o". */
static const struct {
    const char *brief;
    const char *spelled_out;
} BRIEF[] = {{"b/c", "because"}, {"j/k", "just kidding"}, {"w/o", "without"}, {"w/", "with"}};
#define NUM_BRIEF (sizeof(BRIEF) / sizeof(BRIEF[0]))

/* Takes a letter, or what it begins if that is spelled out. */
static const uint8_t *take_brief(const uint8_t *at, const uint8_t *end, Letters *letters) {
    for (size_t index = 0; index < NUM_BRIEF && end - at > 1 && at[1] == '/'; index++) {
        if (bytes_start_with(at, end, BRIEF[index].brief)) {
            put_all(letters, BRIEF[index].spelled_out);
            return at + strlen(BRIEF[index].brief);
        }
    }
    put(letters, *at);
    return at + 1;
}

/* Takes a letter, or the word that it begins if that is a name of the public code's own. */
static const uint8_t *take_name(const uint8_t *at, const uint8_t *end, Letters *letters) {
    const char *name = *at == 'M' ? "MENTION" : "URL";
    if (bytes_start_with(at, end, name)) {
        put_all(letters, *at == 'M' ? "__mention__" : "__url__");
        return at + strlen(name);
    }
    put(letters, *at);
    return at + 1;
}

static bool starts_with_http(const uint8_t *at, const uint8_t *end) {
    return end - at >= 4 && (at[1] | 0x20) == 't' && (at[2] | 0x20) == 't' &&
           (at[3] | 0x20) == 'p';
}

static const uint8_t *skip_word(const uint8_t *at, const uint8_t *end) {
    while (at < end && !blank_length(at, end)) {
        at++;
    }
    return at;
}

/* Takes an "h": of a word that holds an address stays what is before it. */
static const uint8_t *take_h(const uint8_t *at, const uint8_t *end, Letters *letters) {
    if (!starts_with_http(at, end)) {
        put(letters, *at);
        return at + 1;
    }
    if (letters->word_has_dotted_i) {
        return NULL; /* in lower case it is two characters, so the address is cut elsewhere */
    }
    put_all(letters, " __url__");
    return skip_word(at, end);
}

/* Takes a character that is not PLAIN, or what it begins; NULL where Python must do it. */
static const uint8_t *take_special(const uint8_t *at, const uint8_t *end, Letters *letters) {
    uint8_t written = ' ';
    switch (*at) {
    case 'b':
    case 'j':
    case 'w':
        return take_brief(at, end, letters);
    case 'h':
    case 'H':
        return take_h(at, end, letters);
    case 'M':
    case 'U':
        return take_name(at, end, letters);
    case '(':
    case ')':
    case '[':
    case ']':
    case ':':
    case ',':
    case '.':
    case '!':
    case '?':
    case '\'':
        written = *at;
        break;
    case '_':
        if (bytes_start_with(at, end, "__mention__") || bytes_start_with(at, end, "__url__")) {
            return NULL; /* the author wrote what the public code writes for itself */
        }
        break;
    case 0xc4:
        letters->word_has_dotted_i |= bytes_start_with(at, end, "\xc4\xb0");
        break;
    case 0xe2:
        if (bytes_start_with(at, end, "\xe2\x80\x9c") ||
            bytes_start_with(at, end, "\xe2\x80\x9d")) {
            put(letters, at[2] == 0x9c ? LEFT_QUOTE : RIGHT_QUOTE);
            return at + 3;
        }
        break;
    default:
        break;
    }
    put(letters, written);
    return at + 1;
}

/* Writes a word, which starts at `at`; NULL where Python must do it. */
static const uint8_t *take_word(const uint8_t *at, const uint8_t *end, Letters *letters) {
    if (*at == '#') {
        return skip_word(at, end); /* a tag, which is left out */
    }
    put(letters, ' ');
    letters->word_has_dotted_i = false;
    while (at && at < end && !blank_length(at, end)) {
        if (PLAIN[*at]) {
            *letters->next++ = *at++;
        } else {
            at = take_special(at, end, letters);
        }
    }
    return at;
}

/* The body without backslashes, in room->body if it has any. */
static Text without_backslashes(Text body, TokenRoom *room) {
    if (!memchr(body.at, '\\', body.size)) {
        return body;
    }
    uint8_t *next = room->body;
    for (size_t place = 0; place < body.size; place++) {
        if (body.at[place] != '\\') {
            *next++ = body.at[place];
        }
    }
    return (Text){room->body, (size_t)(next - room->body)};
}

bool new_token_room(size_t size, TokenRoom *room) {
    room->body = malloc(size + 1);
    /* "j/k" is spelled out in four times its length, and nothing else in more. */
    room->letters = malloc(4 * size + 2 * COPIED_BYTES);
    return room->body && room->letters;
}

void drop_token_room(TokenRoom *room) {
    free(room->body);
    free(room->letters);
    *room = (TokenRoom){0};
}

bool write_alphabet(Text body, TokenRoom *room) {
    body = without_backslashes(body, room);
    Letters letters = {.start = room->letters, .next = room->letters};
    const uint8_t *at = body.at, *end = body.at + body.size;
    while (at < end) {
        const int length = blank_length(at, end);
        if (length) {
            at += length;
        } else if (!(at = take_word(at, end, &letters))) {
            return false;
        }
    }
    *letters.next = 0;
    return true;
}
