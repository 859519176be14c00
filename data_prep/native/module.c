/* data_prep._native: the loops of extraction that look at every byte.
 *
 * Each function works on whole columns and lets other threads run meanwhile. Everything here has a
 * counterpart in Python with the same results, for where this could not be compiled.
 */
#include "bindings.h"
#include "turns.h"

static PyMethodDef METHODS[] = {
    {"posts_of_lines", posts_of_lines, METH_VARARGS, NULL},
    {"turns_of_bodies", turns_of_bodies, METH_VARARGS, NULL},
    {"words_of_texts", words_of_texts, METH_VARARGS, NULL},
    {"trigrams_of_words", trigrams_of_words, METH_VARARGS, NULL},
    {"reference_comments", reference_comments, METH_VARARGS, NULL},
    {"reference_turns", reference_turns, METH_VARARGS, NULL},
    {"rows_of_pairs", rows_of_pairs, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "data_prep._native",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__native(void) {
    make_crc_table();
    return PyModuleDef_Init(&MODULE);
}
