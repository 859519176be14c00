/* data_prep._native: the loops of extraction that look at every byte.
 *
 * Each loop works on whole columns and lets other threads run meanwhile. Every one has a
 * counterpart in Python with the same results, for where this could not be compiled.
 */
#include "bindings.h"
#include "turns.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Else glibc gives back each block of megabytes that Python frees, and the kernel clears as many
 * pages for the one that follows: a tenth of the time of reading. */
static PyObject *keep_freed_memory(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the most that it takes */
    mallopt(M_TRIM_THRESHOLD, 128 << 20);
#endif
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"keep_freed_memory", keep_freed_memory, METH_NOARGS, NULL},
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
