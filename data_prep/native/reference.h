/* Which comments the public code of DialoGPT keeps: see data_prep/reference/posts.py. */
#ifndef DIALOGPT_REFERENCE_H
#define DIALOGPT_REFERENCE_H

#include "bytes.h"

/* Why a comment is dropped, in the order in which the public code asks; 0 says that it stays. */
enum {
    DROP_REMOVED = 1,
    DROP_QUOTE,
    DROP_UNKNOWN_SUBMISSION,
    DROP_TOO_FEW_WORDS,
    DROP_BROKEN_ROW,
};

/* What a parent is that is no comment. */
enum {
    PARENT_SUBMISSION = -1,
    PARENT_UNKNOWN = -2, /* it has no form of a parent, so nothing is found there */
};

/* The value of the submission's base-36 id, "t3_abc"; -1 if it is none. */
int64_t link_value(Text link);

/* The value of the comment's base-36 id, "t1_abc", or one of PARENT_*. */
int64_t parent_value(Text parent);

/* Why to drop the comment, 0 if it stays. *is_long says of one that stays whether it has more than
 * `max_words` words. */
uint8_t drop_code(Text link, Text author, Text body, int64_t max_words, bool *is_long);

#endif
