#include "columns.h"

PyObject *new_bytes(int64_t size, void *address) {
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes) {
        *(void **)address = PyBytes_AsString(bytes);
    }
    return bytes;
}

PyObject *cut_bytes(PyObject *bytes, int64_t size) {
    _PyBytes_Resize(&bytes, (Py_ssize_t)size); /* sets `bytes` to NULL where it fails */
    return bytes;
}

bool open_text_column(PyObject *offsets, PyObject *text, TextColumn *column) {
    *column = (TextColumn){0};
    if (PyObject_GetBuffer(offsets, &column->offsets_buffer, PyBUF_SIMPLE) ||
        PyObject_GetBuffer(text, &column->text_buffer, PyBUF_SIMPLE)) {
        return false;
    }
    column->offsets = column->offsets_buffer.buf;
    column->text = column->text_buffer.buf;
    column->num_rows = column->offsets_buffer.len / (Py_ssize_t)sizeof(int64_t) - 1;
    bool fits = column->num_rows >= 0 && column->offsets[0] >= 0;
    for (int64_t row = 0; fits && row < column->num_rows; row++) {
        fits = column->offsets[row] <= column->offsets[row + 1];
    }
    if (!fits || column->offsets[column->num_rows] > column->text_buffer.len) {
        PyErr_SetString(PyExc_ValueError, "offsets must ascend and lie within the text");
        return false;
    }
    return true;
}

void close_text_column(TextColumn *column) {
    if (column->offsets_buffer.obj) {
        PyBuffer_Release(&column->offsets_buffer);
    }
    if (column->text_buffer.obj) {
        PyBuffer_Release(&column->text_buffer);
    }
}

bool new_text_column(int64_t num_rows, int64_t text_size, NewTextColumn *column) {
    *column = (NewTextColumn){0};
    column->offsets_bytes =
        new_bytes((num_rows + 1) * (int64_t)sizeof(int64_t), &column->offsets);
    column->text_bytes = new_bytes(text_size, &column->text);
    if (!column->offsets_bytes || !column->text_bytes) {
        return false;
    }
    column->offsets[0] = 0;
    return true;
}

PyObject *finish_text_column(NewTextColumn *column, int64_t num_rows) {
    const int64_t text_size = column->offsets[num_rows];
    PyObject *offsets =
        cut_bytes(column->offsets_bytes, (num_rows + 1) * (int64_t)sizeof(int64_t));
    PyObject *text = cut_bytes(column->text_bytes, text_size);
    *column = (NewTextColumn){0};
    PyObject *result = offsets && text ? PyTuple_Pack(2, offsets, text) : NULL;
    Py_XDECREF(offsets);
    Py_XDECREF(text);
    return result;
}

void drop_text_column(NewTextColumn *column) {
    Py_CLEAR(column->offsets_bytes);
    Py_CLEAR(column->text_bytes);
}
