/* The passes of _passes.h as functions of Python on arrays. What would read or write beyond an array is refused; the
 * rest is checked by joining.py, color.py and images/pixels.py, which call them.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdlib.h>

#include "_passes.h"

#define VERSION 1 /* of what is below; compiled.py takes no other */
#define LONGEST (1 << 28) /* of an axis, so that three channels can be counted in an int */
#define MOST_SIDE 2896 /* its square is less than 2^24 / 2, and levels add up in 32 bits */

/* A view of an array with that many axes of numbers of that kind: B (uint8), i (int32) or f (float32). */
static int view(PyObject *object, Py_buffer *buffer, int axes, char kind, int flags)
{
    if (PyObject_GetBuffer(object, buffer, flags | PyBUF_FORMAT) < 0)
        return 0;
    const char *format = buffer->format ? buffer->format : "B";
    int same = format[0] == kind || (kind == 'i' && format[0] == 'l');
    if (!same || format[1] || buffer->itemsize != (kind == 'B' ? 1 : 4) || buffer->ndim != axes) {
        PyErr_Format(PyExc_ValueError, "expected %d axes of numbers of kind %c, got %d of %s", axes, kind, buffer->ndim,
                     format);
        PyBuffer_Release(buffer);
        return 0;
    }
    for (int axis = 0; axis < axes; axis++)
        if (buffer->shape[axis] > LONGEST) {
            PyErr_SetString(PyExc_ValueError, "an axis is too long");
            PyBuffer_Release(buffer);
            return 0;
        }
    return 1;
}

/* Views of arrays, the last of them to be written to; 1, or none is held and 0. */
static int take(int count, PyObject **given, const int *axes, const char *kinds, int first_flags, Py_buffer *b)
{
    for (int i = 0; i < count; i++) {
        int flags = i == 0 ? first_flags : i == count - 1 ? PyBUF_CONTIG : PyBUF_CONTIG_RO;
        if (!view(given[i], &b[i], axes[i], kinds[i], flags)) {
            while (i--)
                PyBuffer_Release(&b[i]);
            return 0;
        }
    }
    return 1;
}

/* The end of a function that took them: None, or an error where they do not fit. */
static PyObject *give_back(int count, Py_buffer *b, int fits)
{
    while (count--)
        PyBuffer_Release(&b[count]);
    if (fits)
        return Py_NewRef(Py_None);
    PyErr_SetString(PyExc_ValueError, "the shapes do not go together");
    return NULL;
}

static Numbers numbers_of(const Py_buffer *six, const Py_buffer *matrix)
{
    const float *n = six->buf;
    Numbers is = {{0}, n[0], n[1], n[2], n[3], n[4], (int)n[5]};
    memcpy(is.matrix, matrix->buf, sizeof is.matrix);
    return is;
}

static PyObject *join(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    enum { RGB, LOOKUP, WIDE_ROWS, FIRST, WEIGHT, MATRIX, LEVEL, NUMBERS, OUT, ALL };
    static const int axes[ALL] = {3, 2, 3, 1, 2, 2, 1, 1, 3};
    PyObject *given[ALL];
    Py_buffer b[ALL];
    if (!PyArg_ParseTuple(arguments, "OOOOOOOOO:join", &given[0], &given[1], &given[2], &given[3], &given[4], &given[5],
                          &given[6], &given[7], &given[8]) ||
        !take(ALL, given, axes, "BffiffBfB", PyBUF_STRIDED_RO, b))
        return NULL;
    Job job = {
        .rgb = b[RGB].buf, .row = b[RGB].strides[0], .pixel = b[RGB].strides[1], .channels = (int)b[LOOKUP].shape[0],
        .h = (int)b[RGB].shape[0], .w = (int)b[RGB].shape[1], .lookup = b[LOOKUP].buf, .wide = b[WIDE_ROWS].buf,
        .coarse = (int)b[WIDE_ROWS].shape[1], .first = b[FIRST].buf, .weight = b[WEIGHT].buf,
        .taps = (int)b[WEIGHT].shape[1], .level = b[LEVEL].buf, .out = b[OUT].buf,
    };
    int fits = b[RGB].shape[2] == 3 && (job.channels == 1 || (job.channels == 3 && b[RGB].strides[2] == 1)) &&
               b[LOOKUP].shape[1] == LEVELS && b[WIDE_ROWS].shape[0] == 2 && b[WIDE_ROWS].shape[2] == job.w &&
               b[FIRST].shape[0] == job.h && b[WEIGHT].shape[0] == job.h && b[MATRIX].len == 9 * 4 &&
               b[LEVEL].len == LINEAR_LEVELS && b[NUMBERS].shape[0] == 6 && b[OUT].shape[0] == job.h &&
               b[OUT].shape[1] == job.w && b[OUT].shape[2] == 3;
    for (int row = 0; fits && row < job.h; row++)
        fits = job.first[row] >= 0 && job.first[row] <= job.coarse - job.taps;
    if (fits) {
        Numbers is = numbers_of(&b[NUMBERS], &b[MATRIX]);
        Py_BEGIN_ALLOW_THREADS
        join_rows(&job, &is);
        Py_END_ALLOW_THREADS
    }
    return give_back(ALL, b, fits);
}

static PyObject *rgb_to_lab(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    enum { RGB, MATRIX, NUMBERS, LAB, ALL };
    static const int axes[ALL] = {3, 2, 1, 3};
    PyObject *given[ALL];
    Py_buffer b[ALL];
    Py_ssize_t first, last;
    if (!PyArg_ParseTuple(arguments, "OOOOnn:rgb_to_lab", &given[0], &given[1], &given[2], &given[3], &first, &last) ||
        !take(ALL, given, axes, "ffff", PyBUF_CONTIG_RO, b))
        return NULL;
    int fits = b[RGB].shape[1] == 3 && b[RGB].len == b[LAB].len && b[MATRIX].len == 9 * 4 && b[NUMBERS].shape[0] == 6 &&
               0 <= first && first <= last && last <= b[RGB].shape[2];
    if (fits) {
        Numbers is = numbers_of(&b[NUMBERS], &b[MATRIX]);
        size_t pictures = b[RGB].shape[0], n = b[RGB].shape[2];
        Py_BEGIN_ALLOW_THREADS
        for (size_t i = 0; i < pictures; i++)
            lab_of((const float *)b[RGB].buf + 3 * n * i, n, first, last, &is, (float *)b[LAB].buf + 3 * n * i);
        Py_END_ALLOW_THREADS
    }
    return give_back(ALL, b, fits);
}

static PyObject *box_means(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    enum { PIXELS, MEANS, ALL };
    static const int axes[ALL] = {3, 3};
    PyObject *given[ALL];
    Py_buffer b[ALL];
    int side;
    if (!PyArg_ParseTuple(arguments, "OiO:box_means", &given[PIXELS], &side, &given[MEANS]) ||
        !take(ALL, given, axes, "BB", PyBUF_CONTIG_RO, b))
        return NULL;
    const Py_ssize_t *size = b[PIXELS].shape, *means = b[MEANS].shape;
    int fits = (size[2] == 1 || size[2] == 3) && side >= 1 && side <= MOST_SIDE && means[2] == size[2] &&
               means[0] == (size[0] + side - 1) / side && means[1] == (size[1] + side - 1) / side;
    uint32_t *sums = fits ? malloc(sizeof *sums * (size_t)(size[1] * size[2] + 1)) : NULL;
    if (fits && !sums) {
        Py_XDECREF(give_back(ALL, b, 1));
        return PyErr_NoMemory();
    }
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        mean_rows(b[PIXELS].buf, (int)size[0], (int)size[1], (int)size[2], side, sums, b[MEANS].buf);
        Py_END_ALLOW_THREADS
    }
    free(sums);
    return give_back(ALL, b, fits);
}

static PyMethodDef methods[] = {
    {"join", join, METH_VARARGS, NULL},
    {"rgb_to_lab", rgb_to_lab, METH_VARARGS, NULL},
    {"box_means", box_means, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "colorize._compiled", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__compiled(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && (PyModule_AddIntMacro(made, VERSION) || PyModule_AddIntMacro(made, MOST_SIDE))) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
