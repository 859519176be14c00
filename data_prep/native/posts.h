/* Lines of a dump -> columns of posts. */
#ifndef DIALOGPT_POSTS_H
#define DIALOGPT_POSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_FIELDS 16

typedef enum {
    FIELD_ID,      /* string: a base-36 id, its prefix ("t1_") optional; required */
    FIELD_PARENT,  /* string or null: a base-36 id with its prefix; anything else gives -1 */
    FIELD_INTEGER, /* integer, or a string of at most 12 digits; null and absent give 0 */
    FIELD_TEXT,    /* string or null */
    FIELD_BODY,    /* string; required */
    NUM_FIELD_KINDS
} FieldKind;

/* One wanted member of the JSON objects, and the column it goes to. */
typedef struct {
    const uint8_t *name;
    size_t name_length;
    FieldKind kind;
    char prefix[3];        /* of FIELD_ID and FIELD_PARENT */
    int64_t lowest;        /* of FIELD_INTEGER */
    int64_t highest;       /* of FIELD_INTEGER */
    bool must_be_there;    /* an object without this member is refused; null is enough */
    int64_t *values;       /* of numbers and ids: one a row. Of texts: where each ends in `text` */
    uint8_t *text;         /* of texts: as long as all lines together */
    uint8_t *is_there;     /* of texts: 0 where it is null or absent */
} Field;

/* A line that was not read. */
typedef struct {
    int64_t line;  /* which one, from 0 */
    int64_t row;   /* the rows before it */
    int64_t start; /* its bytes are data[start:end] */
    int64_t end;
} RefusedLine;

/* Reads the lines of data[0:size]; data[size] must be NUL. Blank lines are passed over.
 *
 * The columns must have room for one row a line, and so must `refused`. Returns the number of rows;
 * `num_refused` gets the number of lines that are not a JSON object with the fields as they should
 * be. */
int64_t read_posts(const uint8_t *data, size_t size, Field *fields, int num_fields,
                   RefusedLine *refused, int64_t *num_refused);

#endif
