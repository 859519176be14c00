/* The functions of data_prep._native; data_prep/_native.pyi says what they take and give. */
#ifndef DIALOGPT_BINDINGS_H
#define DIALOGPT_BINDINGS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

PyObject *posts_of_lines(PyObject *module, PyObject *arguments);
PyObject *turns_of_bodies(PyObject *module, PyObject *arguments);
PyObject *words_of_texts(PyObject *module, PyObject *arguments);
PyObject *trigrams_of_words(PyObject *module, PyObject *arguments);
PyObject *reference_comments(PyObject *module, PyObject *arguments);
PyObject *reference_turns(PyObject *module, PyObject *arguments);
PyObject *rows_of_pairs(PyObject *module, PyObject *arguments);

#endif
