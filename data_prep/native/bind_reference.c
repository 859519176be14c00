#include <string.h>

#include "bindings.h"
#include "columns.h"
#include "pairs.h"
#include "reference.h"
#include "reference_tokens.h"

static Text text_at(const TextColumn *column, int64_t row) {
    return (Text){column->text + column->offsets[row],
                  (size_t)(column->offsets[row + 1] - column->offsets[row])};
}

static int64_t text_size(const TextColumn *column) {
    return column->offsets[column->num_rows] - column->offsets[0];
}

/* ---- reference_comments --------------------------------------------------------------------- */

/* The columns of the comments: link_id, parent_id, author, body. */
enum { LINK, PARENT, AUTHOR, BODY, NUM_TEXTS };

/* What is written: one entry a comment in `codes`, one a comment that stays elsewhere. */
typedef struct {
    PyObject *codes_bytes;
    PyObject *links_bytes;
    PyObject *parents_bytes;
    PyObject *is_there_bytes;
    uint8_t *codes;
    int64_t *links;
    int64_t *parents;
    uint8_t *is_there; /* 0 where the body is too long to be of use */
    NewTextColumn bodies;
} KeptComments;

static bool new_kept_comments(int64_t num_rows, int64_t size, KeptComments *kept) {
    kept->codes_bytes = new_bytes(num_rows, &kept->codes);
    kept->links_bytes = new_bytes(num_rows * (int64_t)sizeof(int64_t), &kept->links);
    kept->parents_bytes = new_bytes(num_rows * (int64_t)sizeof(int64_t), &kept->parents);
    kept->is_there_bytes = new_bytes(num_rows, &kept->is_there);
    return kept->codes_bytes && kept->links_bytes && kept->parents_bytes && kept->is_there_bytes &&
           new_text_column(num_rows, size, &kept->bodies);
}

static void drop_kept_comments(KeptComments *kept) {
    Py_XDECREF(kept->codes_bytes);
    Py_XDECREF(kept->links_bytes);
    Py_XDECREF(kept->parents_bytes);
    Py_XDECREF(kept->is_there_bytes);
    drop_text_column(&kept->bodies);
}

/* Returns how many comments stay. */
static int64_t keep_comments(const TextColumn *texts, int64_t max_words, KeptComments *kept) {
    int64_t row = 0;
    for (int64_t comment = 0; comment < texts[BODY].num_rows; comment++) {
        const Text link = text_at(&texts[LINK], comment);
        const Text body = text_at(&texts[BODY], comment);
        bool is_long;
        kept->codes[comment] =
            drop_code(link, text_at(&texts[AUTHOR], comment), body, max_words, &is_long);
        if (kept->codes[comment]) {
            continue;
        }
        kept->links[row] = link_value(link);
        kept->parents[row] = parent_value(text_at(&texts[PARENT], comment));
        kept->is_there[row] = !is_long;
        const size_t size = is_long ? 0 : body.size;
        memcpy(kept->bodies.text + kept->bodies.offsets[row], body.at, size);
        kept->bodies.offsets[row + 1] = kept->bodies.offsets[row] + (int64_t)size;
        row++;
    }
    return row;
}

/* (codes, links, parents, bodies, is_there), cut to what was written. */
static PyObject *finish_kept_comments(KeptComments *kept, int64_t num_kept) {
    const int64_t num_bytes = num_kept * (int64_t)sizeof(int64_t);
    kept->links_bytes = cut_bytes(kept->links_bytes, num_bytes);
    kept->parents_bytes = cut_bytes(kept->parents_bytes, num_bytes);
    kept->is_there_bytes = cut_bytes(kept->is_there_bytes, num_kept);
    PyObject *bodies = finish_text_column(&kept->bodies, num_kept), *result = NULL;
    if (bodies && kept->links_bytes && kept->parents_bytes && kept->is_there_bytes) {
        result = Py_BuildValue("OOOOO", kept->codes_bytes, kept->links_bytes, kept->parents_bytes,
                               bodies, kept->is_there_bytes);
    }
    Py_XDECREF(bodies);
    return result;
}

PyObject *reference_comments(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *offsets[NUM_TEXTS], *bytes[NUM_TEXTS];
    long long max_words;
    if (!PyArg_ParseTuple(arguments, "(OO)(OO)(OO)(OO)L", &offsets[LINK], &bytes[LINK],
                          &offsets[PARENT], &bytes[PARENT], &offsets[AUTHOR], &bytes[AUTHOR],
                          &offsets[BODY], &bytes[BODY], &max_words)) {
        return NULL;
    }
    TextColumn texts[NUM_TEXTS] = {0};
    KeptComments kept = {0};
    PyObject *result = NULL;
    bool is_open = true;
    for (int index = 0; is_open && index < NUM_TEXTS; index++) {
        is_open = open_text_column(offsets[index], bytes[index], &texts[index]);
    }
    for (int index = 0; is_open && index < BODY; index++) {
        if (texts[index].num_rows != texts[BODY].num_rows) {
            PyErr_SetString(PyExc_ValueError, "all columns must have the same number of rows");
            is_open = false;
        }
    }
    if (is_open && new_kept_comments(texts[BODY].num_rows, text_size(&texts[BODY]), &kept)) {
        int64_t num_kept;
        Py_BEGIN_ALLOW_THREADS
        num_kept = keep_comments(texts, max_words, &kept);
        Py_END_ALLOW_THREADS
        result = finish_kept_comments(&kept, num_kept);
    }
    drop_kept_comments(&kept);
    for (int index = 0; index < NUM_TEXTS; index++) {
        close_text_column(&texts[index]);
    }
    return result;
}

/* ---- reference_turns ------------------------------------------------------------------------ */

static size_t longest_text(const TextColumn *column) {
    size_t longest = 0;
    for (int64_t row = 0; row < column->num_rows; row++) {
        const size_t size = text_at(column, row).size;
        longest = size > longest ? size : longest;
    }
    return longest;
}

static void tokenize_bodies(const TextColumn *bodies, TokenRoom *room, NewTextColumn *turns,
                            int32_t *numbers, int32_t *longest, uint8_t *facts) {
    for (int64_t row = 0; row < bodies->num_rows; row++) {
        int64_t written;
        const TokenFacts turn = tokenize_body(text_at(bodies, row), room,
                                              turns->text + turns->offsets[row], &written);
        turns->offsets[row + 1] = turns->offsets[row] + written;
        numbers[row] = turn.number;
        longest[row] = turn.longest;
        facts[row] = turn.facts;
    }
}

PyObject *reference_turns(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *offsets, *text;
    if (!PyArg_ParseTuple(arguments, "OO", &offsets, &text)) {
        return NULL;
    }
    TextColumn bodies;
    NewTextColumn turns = {0};
    TokenRoom room = {0};
    PyObject *numbers_bytes = NULL, *longest_bytes = NULL, *facts_bytes = NULL, *result = NULL;
    int32_t *numbers, *longest;
    uint8_t *facts;
    if (!open_text_column(offsets, text, &bodies)) {
        close_text_column(&bodies);
        return NULL;
    }
    const int64_t num_rows = bodies.num_rows;
    if (!new_token_room(longest_text(&bodies), &room)) {
        PyErr_NoMemory();
    } else if (new_text_column(num_rows, MAX_TURN_SIZE(text_size(&bodies)), &turns) &&
               (numbers_bytes = new_bytes(num_rows * (int64_t)sizeof(int32_t), &numbers)) &&
               (longest_bytes = new_bytes(num_rows * (int64_t)sizeof(int32_t), &longest)) &&
               (facts_bytes = new_bytes(num_rows, &facts))) {
        Py_BEGIN_ALLOW_THREADS
        tokenize_bodies(&bodies, &room, &turns, numbers, longest, facts);
        Py_END_ALLOW_THREADS
        PyObject *finished = finish_text_column(&turns, num_rows);
        result = finished ? Py_BuildValue("OOOO", finished, numbers_bytes, longest_bytes,
                                          facts_bytes)
                          : NULL;
        Py_XDECREF(finished);
    }
    Py_XDECREF(numbers_bytes);
    Py_XDECREF(longest_bytes);
    Py_XDECREF(facts_bytes);
    drop_text_column(&turns);
    drop_token_room(&room);
    close_text_column(&bodies);
    return result;
}

/* ---- rows_of_pairs -------------------------------------------------------------------------- */

/* A pair of int64 columns. */
typedef struct {
    Py_buffer first_buffer;
    Py_buffer second_buffer;
    const int64_t *firsts;
    const int64_t *seconds;
    int64_t num_rows;
} Pairs;

static bool open_pairs(PyObject *firsts, PyObject *seconds, Pairs *pairs) {
    if (PyObject_GetBuffer(firsts, &pairs->first_buffer, PyBUF_SIMPLE) ||
        PyObject_GetBuffer(seconds, &pairs->second_buffer, PyBUF_SIMPLE)) {
        return false;
    }
    if (pairs->first_buffer.len != pairs->second_buffer.len) {
        PyErr_SetString(PyExc_ValueError, "both columns of pairs must have the same length");
        return false;
    }
    pairs->firsts = pairs->first_buffer.buf;
    pairs->seconds = pairs->second_buffer.buf;
    pairs->num_rows = pairs->first_buffer.len / (Py_ssize_t)sizeof(int64_t);
    return true;
}

static void close_pairs(Pairs *pairs) {
    if (pairs->first_buffer.obj) {
        PyBuffer_Release(&pairs->first_buffer);
    }
    if (pairs->second_buffer.obj) {
        PyBuffer_Release(&pairs->second_buffer);
    }
}

static bool find_pairs(const Pairs *known, const Pairs *wanted, int64_t *rows) {
    PairTable table;
    const bool has_room = new_pair_table(known->firsts, known->seconds, known->num_rows, &table);
    for (int64_t row = 0; has_room && row < wanted->num_rows; row++) {
        rows[row] = find_pair(&table, wanted->firsts[row], wanted->seconds[row]);
    }
    drop_pair_table(&table);
    return has_room;
}

PyObject *rows_of_pairs(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *known_firsts, *known_seconds, *firsts, *seconds;
    if (!PyArg_ParseTuple(arguments, "OOOO", &known_firsts, &known_seconds, &firsts, &seconds)) {
        return NULL;
    }
    Pairs known = {0}, wanted = {0};
    PyObject *rows_bytes = NULL;
    int64_t *rows;
    if (open_pairs(known_firsts, known_seconds, &known) && open_pairs(firsts, seconds, &wanted) &&
        (rows_bytes = new_bytes(wanted.num_rows * (int64_t)sizeof(int64_t), &rows))) {
        bool has_room;
        Py_BEGIN_ALLOW_THREADS
        has_room = find_pairs(&known, &wanted, rows);
        Py_END_ALLOW_THREADS
        if (!has_room) {
            Py_CLEAR(rows_bytes);
            PyErr_NoMemory();
        }
    }
    close_pairs(&known);
    close_pairs(&wanted);
    return rows_bytes;
}
