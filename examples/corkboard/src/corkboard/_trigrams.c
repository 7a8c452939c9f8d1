/*
 * How alike two texts are, by the trigrams they share.
 *
 * A text is lowered and cut into words (runs of letters and digits). Each word is read with two blanks before it and
 * one behind, so "cork" gives "  c", " co", "cor", "ork" and "rk ". A misspelled word still shares most of its
 * trigrams with the right one, which is why a search by them forgives typos.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

/* Three code points in one number; Unicode's largest needs 21 bits. */
#define BITS 21
#define MASK ((UINT64_C(1) << (3 * BITS)) - 1)
#define BLANK ((uint64_t)' ')
#define WORD_START ((BLANK << BITS) | BLANK)

typedef struct {
    uint64_t *items; /* ascending, none twice; to be freed with PyMem_Free */
    Py_ssize_t count;
} TrigramSet;

static uint64_t
shift_in(uint64_t trigram, Py_UCS4 character)
{
    return ((trigram << BITS) | character) & MASK;
}

static int
compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The trigrams of the len characters at text, which a 0 follows; items has room for len + 1. */
static Py_ssize_t
collect(const Py_UCS4 *text, Py_ssize_t len, uint64_t *items)
{
    Py_ssize_t count = 0;
    uint64_t trigram = WORD_START;
    int in_word = 0;

    /* Up to the closing 0, which ends the last word as a blank would. A word of n letters gives n + 1 trigrams, and at
     * least one other character (or that 0) stands behind it: all together never more than len + 1. */
    for (Py_ssize_t i = 0; i <= len; i++) {
        if (Py_UNICODE_ISALNUM(text[i])) {
            trigram = shift_in(trigram, Py_UNICODE_TOLOWER(text[i]));
            items[count++] = trigram;
            in_word = 1;
        }
        else if (in_word) {
            items[count++] = shift_in(trigram, ' ');
            trigram = WORD_START;
            in_word = 0;
        }
    }
    return count;
}

static Py_ssize_t
drop_repeats(uint64_t *sorted, Py_ssize_t count)
{
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (kept == 0 || sorted[kept - 1] != sorted[i]) {
            sorted[kept++] = sorted[i];
        }
    }
    return kept;
}

/* Returns 0, or -1 with an exception set. */
static int
make_set(PyObject *text, TrigramSet *set)
{
    Py_ssize_t len = PyUnicode_GetLength(text);
    Py_UCS4 *characters = PyUnicode_AsUCS4Copy(text);
    if (characters == NULL) {
        return -1;
    }
    set->items = PyMem_New(uint64_t, len + 1);
    if (set->items == NULL) {
        PyMem_Free(characters);
        PyErr_NoMemory();
        return -1;
    }
    set->count = collect(characters, len, set->items);
    PyMem_Free(characters);
    qsort(set->items, (size_t)set->count, sizeof(uint64_t), compare);
    set->count = drop_repeats(set->items, set->count);
    return 0;
}

static Py_ssize_t
count_shared(const TrigramSet *a, const TrigramSet *b)
{
    Py_ssize_t i = 0, j = 0, shared = 0;
    while (i < a->count && j < b->count) {
        if (a->items[i] == b->items[j]) {
            shared++;
            i++;
            j++;
        }
        else if (a->items[i] < b->items[j]) {
            i++;
        }
        else {
            j++;
        }
    }
    return shared;
}

typedef struct {
    Py_ssize_t first, second, shared;
} Counts;

/* Reads two strings from args and counts; returns 0, or -1 with an exception set. */
static int
count(PyObject *args, const char *format, Counts *counts)
{
    PyObject *first, *second;
    TrigramSet a, b;

    if (!PyArg_ParseTuple(args, format, &first, &second) || make_set(first, &a) < 0) {
        return -1;
    }
    if (make_set(second, &b) < 0) {
        PyMem_Free(a.items);
        return -1;
    }
    *counts = (Counts){.first = a.count, .second = b.count, .shared = count_shared(&a, &b)};
    PyMem_Free(a.items);
    PyMem_Free(b.items);
    return 0;
}

static PyObject *
share(Py_ssize_t part, Py_ssize_t whole)
{
    return PyFloat_FromDouble(whole == 0 ? 0.0 : (double)part / (double)whole);
}

PyDoc_STRVAR(likeness_doc,
"likeness(a, b, /)\n--\n\n"
"How alike two texts are, from 0.0 (no trigram in common) to 1.0 (all of them).");

static PyObject *
likeness(PyObject *Py_UNUSED(module), PyObject *args)
{
    Counts counts;
    if (count(args, "UU:likeness", &counts) < 0) {
        return NULL;
    }
    return share(2 * counts.shared, counts.first + counts.second);
}

PyDoc_STRVAR(coverage_doc,
"coverage(query, text, /)\n--\n\n"
"How much of the query the text has, from 0.0 to 1.0. The text's length plays no part.");

static PyObject *
coverage(PyObject *Py_UNUSED(module), PyObject *args)
{
    Counts counts;
    if (count(args, "UU:coverage", &counts) < 0) {
        return NULL;
    }
    return share(counts.shared, counts.first);
}

static PyMethodDef methods[] = {
    {"likeness", likeness, METH_VARARGS, likeness_doc},
    {"coverage", coverage, METH_VARARGS, coverage_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "corkboard._trigrams",
    .m_doc = "How alike two texts are, by the trigrams they share.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__trigrams(void)
{
    return PyModuleDef_Init(&module);
}
