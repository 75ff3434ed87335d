/* The passes of _passes.h as functions of Python on arrays. What would read or write beyond an array is refused; the
 * rest is checked by joining.py and images/pixels.py, which call them.
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
    static const char kinds[ALL + 1] = "BffiffBfB";
    PyObject *given[ALL], *result = NULL;
    Py_buffer b[ALL];
    int held = 0;
    if (!PyArg_ParseTuple(arguments, "OOOOOOOOO:join", &given[0], &given[1], &given[2], &given[3], &given[4], &given[5],
                          &given[6], &given[7], &given[8]))
        return NULL;
    for (; held < ALL; held++) {
        int flags = held == RGB ? PyBUF_STRIDED_RO : held == OUT ? PyBUF_CONTIG : PyBUF_CONTIG_RO;
        if (!view(given[held], &b[held], axes[held], kinds[held], flags))
            goto end;
    }
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
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not go together");
        goto end;
    }
    Numbers is = numbers_of(&b[NUMBERS], &b[MATRIX]);
    Py_BEGIN_ALLOW_THREADS
    join_rows(&job, &is);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    while (held--)
        PyBuffer_Release(&b[held]);
    return result;
}

static PyObject *rgb_to_lab(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    enum { RGB, MATRIX, NUMBERS, LAB, ALL };
    static const int axes[ALL] = {3, 2, 1, 3};
    PyObject *given[ALL], *result = NULL;
    Py_buffer b[ALL];
    Py_ssize_t first, last;
    int held = 0;
    if (!PyArg_ParseTuple(arguments, "OOOOnn:rgb_to_lab", &given[0], &given[1], &given[2], &given[3], &first, &last))
        return NULL;
    for (; held < ALL; held++)
        if (!view(given[held], &b[held], axes[held], 'f', held == LAB ? PyBUF_CONTIG : PyBUF_CONTIG_RO))
            goto end;
    if (b[RGB].shape[1] != 3 || b[RGB].len != b[LAB].len || b[MATRIX].len != 9 * 4 || b[NUMBERS].shape[0] != 6 ||
        first < 0 || last > b[RGB].shape[2]) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not go together");
        goto end;
    }
    Numbers is = numbers_of(&b[NUMBERS], &b[MATRIX]);
    size_t pictures = b[RGB].shape[0], n = b[RGB].shape[2];
    Py_BEGIN_ALLOW_THREADS
    for (size_t i = 0; i < pictures; i++)
        lab_of((const float *)b[RGB].buf + 3 * n * i, n, first, last, &is, (float *)b[LAB].buf + 3 * n * i);
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
end:
    while (held--)
        PyBuffer_Release(&b[held]);
    return result;
}

static PyObject *box_means(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *pixels, *means, *result = NULL;
    Py_buffer in, out;
    int side;
    if (!PyArg_ParseTuple(arguments, "OiO:box_means", &pixels, &side, &means) ||
        !view(pixels, &in, 3, 'B', PyBUF_CONTIG_RO))
        return NULL;
    if (!view(means, &out, 3, 'B', PyBUF_CONTIG))
        goto end_in;
    int h = (int)in.shape[0], w = (int)in.shape[1], channels = (int)in.shape[2];
    if ((channels != 1 && channels != 3) || side < 1 || side > MOST_SIDE || out.shape[2] != channels ||
        out.shape[0] != (h + side - 1) / side || out.shape[1] != (w + side - 1) / side) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not go together");
        goto end_out;
    }
    uint32_t *sums = malloc(sizeof *sums * ((size_t)w * channels + 1));
    if (!sums) {
        PyErr_NoMemory();
        goto end_out;
    }
    Py_BEGIN_ALLOW_THREADS
    mean_rows(in.buf, h, w, channels, side, sums, out.buf);
    Py_END_ALLOW_THREADS
    free(sums);
    result = Py_NewRef(Py_None);
end_out:
    PyBuffer_Release(&out);
end_in:
    PyBuffer_Release(&in);
    return result;
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
