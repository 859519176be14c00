#include "posts.h"

#include <string.h>

#include "json.h"

#define MAX_DEPTH 32
#define MAX_ID_LENGTH 12 /* as in data_prep/ids.py: what fits 63 bits */
#define MAX_TEXT_DIGITS 12

/* A member of the object of the current line. */
typedef struct {
    enum { ABSENT, IS_NULL, IS_INTEGER, IS_STRING } type;
    int64_t integer;
    JsonString string;
} Value;

static const uint8_t *read_value(const uint8_t *at, const uint8_t *end, Value *value) {
    const uint8_t *next;
    if (*at == '"') {
        value->type = IS_STRING;
        return json_read_string(at, end, &value->string);
    }
    if (*at == 'n') {
        value->type = IS_NULL;
        return json_skip_value(at, end, 0);
    }
    next = json_read_integer(at, &value->integer);
    value->type = IS_INTEGER;
    return next; /* any other type, a fraction say: the tolerant parser knows what to do */
}

static int find_field(const JsonString *key, const Field *fields, int num_fields) {
    const size_t length = (size_t)(key->end - key->start);
    for (int index = 0; index < num_fields; index++) {
        const Field *field = &fields[index];
        if (field->name_length == length && field->name[0] == key->start[0] &&
            memcmp(field->name, key->start, length) == 0) {
            return index;
        }
    }
    return -1;
}

/* Reads the object of a line into `values`; returns the place behind it. */
static const uint8_t *read_object(const uint8_t *at, const uint8_t *end, const Field *fields,
                                  int num_fields, Value *values) {
    if (*at++ != '{') {
        return NULL;
    }
    at = json_skip_blanks(at);
    if (*at == '}') {
        return at + 1;
    }
    for (;;) {
        JsonString key;
        at = json_read_string(json_skip_blanks(at), end, &key);
        if (!at || key.escaped || *(at = json_skip_blanks(at)) != ':') {
            return NULL;
        }
        at = json_skip_blanks(at + 1);
        const int index = find_field(&key, fields, num_fields);
        at = index < 0 ? json_skip_value(at, end, MAX_DEPTH) : read_value(at, end, &values[index]);
        if (!at) {
            return NULL;
        }
        at = json_skip_blanks(at);
        if (*at == '}') {
            return at + 1;
        }
        if (*at++ != ',') {
            return NULL;
        }
    }
}

/* The value of a base-36 id, or -1. */
static int64_t decode_id(const JsonString *string, const char *prefix, bool needs_prefix) {
    const uint8_t *at = string->start;
    if (string->end - at >= 3 && memcmp(at, prefix, 3) == 0) {
        at += 3;
    } else if (needs_prefix) {
        return -1;
    }
    if (string->escaped || at == string->end || string->end - at > MAX_ID_LENGTH) {
        return -1;
    }
    int64_t value = 0;
    for (; at < string->end; at++) {
        int digit;
        if (*at >= '0' && *at <= '9') {
            digit = *at - '0';
        } else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') {
            digit = (*at | 0x20) - 'a' + 10;
        } else {
            return -1;
        }
        value = 36 * value + digit;
    }
    return value;
}

static bool digits_value(const JsonString *string, int64_t *value) {
    if (string->start == string->end || string->end - string->start > MAX_TEXT_DIGITS) {
        return false;
    }
    *value = 0;
    for (const uint8_t *at = string->start; at < string->end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        *value = 10 * *value + (*at - '0');
    }
    return true;
}

/* Appends the value to the field's column. False if the row must be refused; then what was written
 * is written over by the next row. */
static bool write_value(const Value *value, Field *field, int64_t row) {
    int64_t number = 0;
    switch (field->kind) {
    case FIELD_ID:
        number = value->type == IS_STRING ? decode_id(&value->string, field->prefix, false) : -1;
        field->values[row] = number;
        return number >= 0;
    case FIELD_PARENT:
        number = value->type == IS_STRING ? decode_id(&value->string, field->prefix, true) : -1;
        field->values[row] = number;
        /* Whatever else a string says, it names no comment; an escape may hide an id. */
        return value->type != IS_INTEGER && !(value->type == IS_STRING && value->string.escaped);
    case FIELD_INTEGER:
        if (value->type == IS_INTEGER) {
            number = value->integer;
        } else if (value->type == IS_STRING && !digits_value(&value->string, &number)) {
            return false;
        }
        field->values[row] = number;
        return number >= field->lowest && number <= field->highest;
    default:
        if (value->type == IS_INTEGER || (field->kind == FIELD_BODY && value->type != IS_STRING)) {
            return false;
        }
        uint8_t *start = field->text + (row ? field->values[row - 1] : 0), *end = start;
        field->is_there[row] = value->type == IS_STRING;
        if (value->type == IS_STRING && !(end = json_unescape(&value->string, start))) {
            return false;
        }
        field->values[row] = end - field->text;
        return true;
    }
}

static bool read_line(const uint8_t *at, const uint8_t *line_end, const uint8_t *end, Field *fields,
                      int num_fields, int64_t row) {
    Value values[MAX_FIELDS];
    for (int index = 0; index < num_fields; index++) {
        values[index].type = ABSENT;
    }
    at = read_object(at, end, fields, num_fields, values);
    if (!at || json_skip_blanks(at) != line_end) {
        return false;
    }
    for (int index = 0; index < num_fields; index++) {
        if (values[index].type == ABSENT && fields[index].must_be_there) {
            return false;
        }
        if (!write_value(&values[index], &fields[index], row)) {
            return false;
        }
    }
    return true;
}

int64_t read_posts(const uint8_t *data, size_t size, Field *fields, int num_fields,
                   RefusedLine *refused, int64_t *num_refused) {
    const uint8_t *end = data + size;
    int64_t row = 0;
    *num_refused = 0;
    int64_t line = 0;
    for (const uint8_t *at = data; at < end; line++) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) {
            line_end = end;
        }
        const uint8_t *start = json_skip_blanks(at);
        if (start != line_end) {
            if (read_line(start, line_end, end, fields, num_fields, row)) {
                row++;
            } else {
                refused[(*num_refused)++] =
                    (RefusedLine){line, row, (int64_t)(at - data), (int64_t)(line_end - data)};
            }
        }
        at = line_end + 1;
    }
    return row;
}
