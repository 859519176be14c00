#include <string.h>

#include "bindings.h"
#include "columns.h"
#include "posts.h"

/* The bytes objects behind the column of one field. */
typedef struct {
    PyObject *numbers;  /* of ids and numbers */
    NewTextColumn text; /* of texts, and */
    PyObject *is_there; /* which of them there are */
} Column;

static bool is_text(const Field *field) {
    return field->kind == FIELD_TEXT || field->kind == FIELD_BODY;
}

/* (name, kind, prefix, lowest, highest, must_be_there) -> a Field without columns. */
static bool parse_field(PyObject *description, Field *field) {
    const char *name, *prefix;
    Py_ssize_t name_length, prefix_length;
    int kind, must_be_there;
    long long lowest, highest;
    if (!PyArg_ParseTuple(description, "y#iy#LLp", &name, &name_length, &kind, &prefix,
                          &prefix_length, &lowest, &highest, &must_be_there)) {
        return false;
    }
    if (name_length == 0 || prefix_length != 3 || kind < 0 || kind >= NUM_FIELD_KINDS) {
        PyErr_SetString(PyExc_ValueError, "a field needs a name, a kind and a prefix of 3 bytes");
        return false;
    }
    *field = (Field){
        .name = (const uint8_t *)name,
        .name_length = (size_t)name_length,
        .kind = (FieldKind)kind,
        .prefix = {prefix[0], prefix[1], prefix[2]},
        .lowest = lowest,
        .highest = highest,
        .must_be_there = must_be_there != 0,
    };
    return true;
}

static bool new_column(Field *field, Column *column, int64_t num_lines, int64_t size) {
    if (!is_text(field)) {
        column->numbers = new_bytes(num_lines * (int64_t)sizeof(int64_t), &field->values);
        return column->numbers != NULL;
    }
    column->is_there = new_bytes(num_lines, &field->is_there);
    if (!column->is_there || !new_text_column(num_lines, size, &column->text)) {
        return false;
    }
    field->values = column->text.offsets + 1; /* where each ends */
    field->text = column->text.text;
    return true;
}

/* The column cut to its rows: bytes, or (offsets, text, is_there). */
static PyObject *finish_column(Column *column, int64_t num_rows) {
    if (column->numbers) {
        PyObject *numbers = column->numbers;
        column->numbers = NULL;
        return cut_bytes(numbers, num_rows * (int64_t)sizeof(int64_t));
    }
    column->is_there = cut_bytes(column->is_there, num_rows);
    PyObject *text = finish_text_column(&column->text, num_rows);
    PyObject *result = NULL;
    if (text && column->is_there) {
        result = PyTuple_Pack(3, PyTuple_GetItem(text, 0), PyTuple_GetItem(text, 1),
                              column->is_there);
    }
    Py_XDECREF(text);
    return result;
}

static PyObject *finish_columns(Column *columns, Py_ssize_t num_fields, int64_t num_rows) {
    PyObject *result = PyList_New(num_fields);
    for (Py_ssize_t index = 0; result && index < num_fields; index++) {
        PyObject *column = finish_column(&columns[index], num_rows);
        if (!column) {
            Py_CLEAR(result);
        } else {
            PyList_SetItem(result, index, column);
        }
    }
    return result;
}

static int64_t count_lines(const uint8_t *data, size_t size) {
    const uint8_t *end = data + size;
    int64_t number = 1;
    while ((data = memchr(data, '\n', (size_t)(end - data)))) {
        number++;
        data++;
    }
    return number;
}

PyObject *posts_of_lines(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *lines, *descriptions;
    if (!PyArg_ParseTuple(arguments, "SO!", &lines, &PyTuple_Type, &descriptions)) {
        return NULL;
    }
    const Py_ssize_t num_fields = PyTuple_Size(descriptions);
    if (num_fields > MAX_FIELDS) {
        return PyErr_Format(PyExc_ValueError, "at most %d fields, got %zd", MAX_FIELDS, num_fields);
    }
    /* A bytes object, because behind its last byte stands a NUL, which read_posts asks for. */
    const uint8_t *data = (const uint8_t *)PyBytes_AsString(lines);
    const size_t size = (size_t)PyBytes_Size(lines);
    const int64_t num_lines = count_lines(data, size);

    Field fields[MAX_FIELDS];
    Column columns[MAX_FIELDS] = {{0}};
    RefusedLine *refused = NULL;
    PyObject *refused_bytes = new_bytes(num_lines * (int64_t)sizeof(RefusedLine), &refused);
    bool is_ready = refused_bytes != NULL;
    for (Py_ssize_t index = 0; is_ready && index < num_fields; index++) {
        is_ready = parse_field(PyTuple_GetItem(descriptions, index), &fields[index]) &&
                   new_column(&fields[index], &columns[index], num_lines, (int64_t)size);
    }
    PyObject *result = NULL;
    if (is_ready) {
        int64_t num_rows, num_refused;
        Py_BEGIN_ALLOW_THREADS
        num_rows = read_posts(data, size, fields, (int)num_fields, refused, &num_refused);
        Py_END_ALLOW_THREADS
        PyObject *finished = finish_columns(columns, num_fields, num_rows);
        refused_bytes = cut_bytes(refused_bytes, num_refused * (int64_t)sizeof(RefusedLine));
        if (finished && refused_bytes) {
            result = Py_BuildValue("LOO", (long long)num_rows, finished, refused_bytes);
        }
        Py_XDECREF(finished);
    }
    Py_XDECREF(refused_bytes);
    for (Py_ssize_t index = 0; index < num_fields; index++) {
        Py_XDECREF(columns[index].numbers);
        Py_XDECREF(columns[index].is_there);
        drop_text_column(&columns[index].text);
    }
    return result;
}
