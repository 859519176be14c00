/* Columns of Arrow as they come from Python and go to it. */
#ifndef DIALOGPT_COLUMNS_H
#define DIALOGPT_COLUMNS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

/* A column of strings to read: string `row` is text[offsets[row]:offsets[row + 1]]. */
typedef struct {
    Py_buffer offsets_buffer;
    Py_buffer text_buffer;
    const int64_t *offsets;
    const uint8_t *text;
    int64_t num_rows;
} TextColumn;

/* Looks into two buffers, int64 offsets and bytes; false with an exception set if they do not fit
 * together. To be closed also after false. */
bool open_text_column(PyObject *offsets, PyObject *text, TextColumn *column);
void close_text_column(TextColumn *column);

/* A column of strings to write. `offsets` has room for one more than the rows, `text` for
 * `text_size` bytes. */
typedef struct {
    PyObject *offsets_bytes;
    PyObject *text_bytes;
    int64_t *offsets;
    uint8_t *text;
} NewTextColumn;

/* False with an exception set if there is no memory. To be given to exactly one of the functions
 * below, also after false. */
bool new_text_column(int64_t num_rows, int64_t text_size, NewTextColumn *column);

/* (offsets, text) as bytes objects, cut to what offsets[num_rows] says was written. */
PyObject *finish_text_column(NewTextColumn *column, int64_t num_rows);
void drop_text_column(NewTextColumn *column);

/* A bytes object of `size` bytes that are yet to be written at *address. */
PyObject *new_bytes(int64_t size, void *address);

/* Cuts a bytes object that nobody else holds; drops it and gives NULL if that fails. */
PyObject *cut_bytes(PyObject *bytes, int64_t size);

#endif
