/* Bodies of comments -> turns as the public code of DialoGPT writes them, letter by letter:
 * data_prep/reference/text.py says how they come about. */
#ifndef DIALOGPT_REFERENCE_TOKENS_H
#define DIALOGPT_REFERENCE_TOKENS_H

#include "bytes.h"

/* What is noted of a turn; of one that is not read nothing is. */
enum {
    TOKENS_ARE_READ = 1, /* all others are left to Python */
    TOKENS_HAVE_URL = 2,
    TOKENS_HAVE_BRACKET = 4,
    TOKENS_HAVE_CAPITALS = 8,  /* five in a row */
    TOKENS_REPEAT = 16,        /* three equal ones in a row */
    TOKENS_REPEAT_WEIGHT = 32, /* the first two are "1.0", as the weight before them is */
};

typedef struct {
    uint8_t facts;
    int32_t number;
    int32_t longest; /* characters */
} TokenFacts;

/* Short words are copied as so many bytes, whatever their length: that is one instruction. */
#define COPIED_BYTES 16

/* Bytes that the turns of bodies of `size` bytes take at most, with what is copied behind them. */
#define MAX_TURN_SIZE(size) (6 * (size) + COPIED_BYTES)

/* Room for the steps between a body and its turn. */
typedef struct {
    uint8_t *body;
    uint8_t *letters;
} TokenRoom;

/* Makes room for bodies of at most `size` bytes; false if there is no memory. To be given to
 * drop_token_room in either case. */
bool new_token_room(size_t size, TokenRoom *room);
void drop_token_room(TokenRoom *room);

/* Writes what is left of a body in the alphabet of the public code to room->letters, with a NUL
 * behind. Blanks and runs are shortened, and addresses and mentions named. False where Python must
 * do it. */
bool write_alphabet(Text body, TokenRoom *room);

/* Curly quotes, the only members of the alphabet beyond ASCII, are one byte there. */
#define LEFT_QUOTE 0x01
#define RIGHT_QUOTE 0x02

/* Writes the turn of a body: its tokens with a blank between two. */
TokenFacts tokenize_body(Text body, TokenRoom *room, uint8_t *output, int64_t *written);

#endif
