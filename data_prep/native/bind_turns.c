#include "bindings.h"
#include "columns.h"
#include "turns.h"

static const uint8_t *row_of(const TextColumn *column, int64_t row, size_t *size) {
    *size = (size_t)(column->offsets[row + 1] - column->offsets[row]);
    return column->text + column->offsets[row];
}

static int64_t size_of(const TextColumn *column) {
    return column->offsets[column->num_rows] - column->offsets[0];
}

static void clean_turns(const TextColumn *bodies, bool only_text, NewTextColumn *turns,
                        uint8_t *facts) {
    for (int64_t row = 0; row < bodies->num_rows; row++) {
        size_t size;
        int64_t written;
        const uint8_t *body = row_of(bodies, row, &size);
        facts[row] = clean_turn(body, size, only_text, turns->text + turns->offsets[row], &written);
        turns->offsets[row + 1] = turns->offsets[row] + written;
    }
}

PyObject *turns_of_bodies(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *offsets, *text;
    int only_text;
    if (!PyArg_ParseTuple(arguments, "OOp", &offsets, &text, &only_text)) {
        return NULL;
    }
    TextColumn bodies;
    NewTextColumn turns = {0};
    PyObject *facts_bytes = NULL, *result = NULL;
    uint8_t *facts;
    if (open_text_column(offsets, text, &bodies) &&
        new_text_column(bodies.num_rows, size_of(&bodies), &turns) &&
        (facts_bytes = new_bytes(bodies.num_rows, &facts))) {
        Py_BEGIN_ALLOW_THREADS
        clean_turns(&bodies, only_text != 0, &turns, facts);
        Py_END_ALLOW_THREADS
        PyObject *finished = finish_text_column(&turns, bodies.num_rows);
        result = finished ? Py_BuildValue("OO", finished, facts_bytes) : NULL;
        Py_XDECREF(finished);
    }
    Py_XDECREF(facts_bytes);
    drop_text_column(&turns);
    close_text_column(&bodies);
    return result;
}

static void join_words_of(const TextColumn *texts, const WordSet *frequent, NewTextColumn *words,
                          int32_t *runs, uint8_t *is_read, uint8_t *has_frequent) {
    for (int64_t row = 0; row < texts->num_rows; row++) {
        size_t size;
        int64_t written;
        const uint8_t *text = row_of(texts, row, &size);
        const WordFacts facts =
            join_words(text, size, frequent, words->text + words->offsets[row], &written);
        words->offsets[row + 1] = words->offsets[row] + written;
        runs[row] = facts.longest_run;
        is_read[row] = facts.is_read;
        has_frequent[row] = facts.has_frequent;
    }
}

PyObject *words_of_texts(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *offsets, *text;
    const char *frequent_words;
    Py_ssize_t frequent_size;
    if (!PyArg_ParseTuple(arguments, "OOy#", &offsets, &text, &frequent_words, &frequent_size)) {
        return NULL;
    }
    if (frequent_size && frequent_words[frequent_size - 1] != '\n') {
        PyErr_SetString(PyExc_ValueError, "each frequent word must end with a line break");
        return NULL;
    }
    TextColumn texts;
    NewTextColumn words = {0};
    WordSet frequent = {0};
    PyObject *runs_bytes = NULL, *read_bytes = NULL, *frequent_bytes = NULL, *result = NULL;
    int32_t *runs;
    uint8_t *is_read, *has_frequent;
    if (!open_text_column(offsets, text, &texts)) {
        close_text_column(&texts);
        return NULL;
    }
    if (!new_word_set((const uint8_t *)frequent_words, (size_t)frequent_size, &frequent)) {
        PyErr_NoMemory();
    } else if (new_text_column(texts.num_rows, 2 * size_of(&texts) + 1, &words) &&
               (runs_bytes = new_bytes(texts.num_rows * (int64_t)sizeof(int32_t), &runs)) &&
               (read_bytes = new_bytes(texts.num_rows, &is_read)) &&
               (frequent_bytes = new_bytes(texts.num_rows, &has_frequent))) {
        Py_BEGIN_ALLOW_THREADS
        join_words_of(&texts, &frequent, &words, runs, is_read, has_frequent);
        Py_END_ALLOW_THREADS
        PyObject *finished = finish_text_column(&words, texts.num_rows);
        result = finished
                     ? Py_BuildValue("OOOO", finished, runs_bytes, frequent_bytes, read_bytes)
                     : NULL;
        Py_XDECREF(finished);
    }
    Py_XDECREF(runs_bytes);
    Py_XDECREF(read_bytes);
    Py_XDECREF(frequent_bytes);
    drop_text_column(&words);
    drop_word_set(&frequent);
    close_text_column(&texts);
    return result;
}

static int64_t count_trigrams_of(const TextColumn *words, int64_t *counts, int64_t *num_bytes) {
    int64_t number = 0;
    for (int64_t row = 0; row < words->num_rows; row++) {
        size_t size;
        const uint8_t *text = row_of(words, row, &size);
        counts[row] = count_trigrams(text, size, num_bytes);
        number += counts[row];
    }
    return number;
}

static void write_trigrams_of(const TextColumn *words, const int64_t *counts,
                              NewTextColumn *trigrams, uint32_t *checksums) {
    int64_t first = 0;
    for (int64_t row = 0; row < words->num_rows; row++) {
        size_t size;
        const uint8_t *text = row_of(words, row, &size);
        write_trigrams(text, size, trigrams->text, trigrams->offsets[first],
                       trigrams->offsets + first + 1, checksums + first);
        first += counts[row];
    }
}

PyObject *trigrams_of_words(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *offsets, *text;
    if (!PyArg_ParseTuple(arguments, "OO", &offsets, &text)) {
        return NULL;
    }
    TextColumn words;
    NewTextColumn trigrams = {0};
    PyObject *counts_bytes = NULL, *checksums_bytes = NULL, *result = NULL;
    int64_t *counts, number, num_bytes = 0;
    uint32_t *checksums;
    if (open_text_column(offsets, text, &words) &&
        (counts_bytes = new_bytes(words.num_rows * (int64_t)sizeof(int64_t), &counts))) {
        Py_BEGIN_ALLOW_THREADS
        number = count_trigrams_of(&words, counts, &num_bytes);
        Py_END_ALLOW_THREADS
        if (new_text_column(number, num_bytes, &trigrams) &&
            (checksums_bytes = new_bytes(number * (int64_t)sizeof(uint32_t), &checksums))) {
            Py_BEGIN_ALLOW_THREADS
            write_trigrams_of(&words, counts, &trigrams, checksums);
            Py_END_ALLOW_THREADS
            PyObject *finished = finish_text_column(&trigrams, number);
            result = finished ? Py_BuildValue("OOO", finished, counts_bytes, checksums_bytes)
                              : NULL;
            Py_XDECREF(finished);
        }
    }
    Py_XDECREF(counts_bytes);
    Py_XDECREF(checksums_bytes);
    drop_text_column(&trigrams);
    close_text_column(&words);
    return result;
}
