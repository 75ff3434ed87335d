/* What colouring does to every pixel of a large picture, in one pass: what joining.py and images/pixels.py do
 * with numpy and Pillow, where there was no compiler, in dozens. Their functions explain the arithmetic and check
 * what people give; here only what would read or write beyond an array is refused.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 512 /* pixels at a time, whose numbers stay in the nearest cache */
#define LEVELS 256
#define LINEAR_LEVELS 65536

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define WIDE __attribute__((target_clones("arch=x86-64-v3", "default"))) /* the processor's own vectors */
#else
#define WIDE
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline)) /* a function apart would not be compiled WIDE */
#else
#define INLINE static inline
#endif

typedef struct {
    float matrix[9]; /* X/Xn, Y/Yn, Z/Zn -> linear RGB, whose 1 is `top` */
    float epsilon, slope, knee, slack, top;
    int steps;
} Numbers; /* those of cielab.py; by value, or they would be read again after each number written */

typedef struct {
    const uint8_t *rgb; /* the first of h w pixels */
    Py_ssize_t row, pixel; /* bytes from one to the next */
    int channels; /* 1: grey */
    int h, w;
    const float *lookup; /* channels x LEVELS: the root of Y of a grey; what R, G and B each add to Y */
    const float *wide; /* 2 x coarse x w: fx - fy and fz - fy on coarse rows */
    int coarse;
    const int32_t *first; /* h: the first coarse row that a row needs */
    const float *weight; /* h x taps: of that one and those that follow */
    int taps;
    const uint8_t *level; /* LINEAR_LEVELS */
    uint8_t *out; /* h x w x 3 */
} Job;

INLINE float cube_root(float y, const Numbers is)
{
    int32_t bits;
    float root, linear = is.slope * y + 16.0f / 116.0f;
    memcpy(&bits, &y, 4); /* a third of the exponent, and Halley's method from there */
    bits = (int32_t)((float)bits * (1.0f / 3.0f)) + 709921077;
    memcpy(&root, &bits, 4);
    for (int k = 0; k < 2; k++) {
        float cube = root * root * root;
        root *= (cube + 2 * y) / (2 * cube + y);
    }
    return y > is.epsilon ? root : linear;
}

INLINE float cube(float f, const Numbers is)
{
    float linear = (f - 16.0f / 116.0f) * (1 / is.slope);
    return f < is.knee ? linear : f * f * f;
}

INLINE float clip(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

INLINE int is_inside(float r, float g, float b, const Numbers is)
{
    float low = -is.slack * is.top, high = (1 + is.slack) * is.top;
    return (r >= low) & (g >= low) & (b >= low) & (r <= high) & (g <= high) & (b <= high);
}

/* Linear RGB of n colours; of their chroma dx, dz a share is left, or all. */
INLINE void to_linear(int n, const float *restrict fy, const float *restrict dx, const float *restrict dz,
                      const float *restrict share, const Numbers is, float rgb[restrict 3][CHUNK])
{
    const float *m = is.matrix;
    for (int i = 0; i < n; i++) {
        float kept = share ? share[i] : 1;
        float x = cube(fy[i] + kept * dx[i], is), y = cube(fy[i], is), z = cube(fy[i] + kept * dz[i], is);
        rgb[0][i] = m[0] * x + m[1] * y + m[2] * z;
        rgb[1][i] = m[3] * x + m[4] * y + m[5] * z;
        rgb[2][i] = m[6] * x + m[7] * y + m[8] * z;
    }
}

/* Linear RGB of n colours outside sRGB: the most colourful inside, as `lab_to_rgb` finds them. */
INLINE void settle(int n, const float *fy, const float *dx, const float *dz, const Numbers is, float rgb[3][CHUNK])
{
    float kept[CHUNK] = {0}, tried[CHUNK], outside[3][CHUNK], step = 1;
    for (int k = 0; k < is.steps; k++) {
        step /= 2;
        for (int i = 0; i < n; i++)
            tried[i] = kept[i] + step;
        to_linear(n, fy, dx, dz, tried, is, rgb);
        for (int i = 0; i < n; i++)
            kept[i] = is_inside(rgb[0][i], rgb[1][i], rgb[2][i], is) ? tried[i] : kept[i];
    }
    for (int i = 0; i < n; i++)
        tried[i] = kept[i] + step;
    to_linear(n, fy, dx, dz, tried, is, outside);
    to_linear(n, fy, dx, dz, kept, is, rgb);
    for (int i = 0; i < n; i++) {
        float share = 1;
        for (int c = 0; c < 3; c++) {
            float way = outside[c][i] - rgb[c][i], allowed = clip(outside[c][i], 0, is.top) - rgb[c][i];
            float part = way == 0 ? 1 : allowed / way;
            share = part < share ? part : share;
        }
        share = share < 0 ? 0 : share;
        for (int c = 0; c < 3; c++)
            rgb[c][i] += share * (outside[c][i] - rgb[c][i]);
    }
}

WIDE static void join_rows(const Job *job, const Numbers *numbers)
{
    const Numbers is = *numbers;
    float fy[CHUNK], dx[CHUNK], dz[CHUNK], rgb[3][CHUNK];
    float fy_out[CHUNK], dx_out[CHUNK], dz_out[CHUNK], rgb_out[3][CHUNK]; /* of colours outside sRGB */
    int32_t where[CHUNK];
    uint16_t index[3][CHUNK];
    const uint8_t *level = job->level;
    for (int row = 0; row < job->h; row++)
        for (int left = 0; left < job->w; left += CHUNK) {
            int n = job->w - left < CHUNK ? job->w - left : CHUNK;
            const uint8_t *in = job->rgb + row * job->row + left * job->pixel;
            if (job->channels == 1)
                for (int i = 0; i < n; i++)
                    fy[i] = job->lookup[in[i * job->pixel]];
            else {
                const float *of_r = job->lookup, *of_g = of_r + LEVELS, *of_b = of_g + LEVELS;
                for (int i = 0; i < n; i++, in += job->pixel)
                    fy[i] = of_r[in[0]] + of_g[in[1]] + of_b[in[2]];
                for (int i = 0; i < n; i++)
                    fy[i] = cube_root(fy[i], is);
            }
            for (int i = 0; i < n; i++)
                dx[i] = dz[i] = 0;
            for (int k = 0; k < job->taps; k++) {
                float weight = job->weight[(size_t)row * job->taps + k];
                const float *x = job->wide + (size_t)(job->first[row] + k) * job->w + left;
                const float *z = x + (size_t)job->coarse * job->w;
                for (int i = 0; i < n; i++) {
                    dx[i] += weight * x[i];
                    dz[i] += weight * z[i];
                }
            }
            to_linear(n, fy, dx, dz, NULL, is, rgb);
            int outside = 0;
            for (int i = 0; i < n; i++)
                outside += !is_inside(rgb[0][i], rgb[1][i], rgb[2][i], is);
            if (outside) {
                outside = 0;
                for (int i = 0; i < n; i++) {
                    where[outside] = i;
                    outside += !is_inside(rgb[0][i], rgb[1][i], rgb[2][i], is);
                }
                for (int i = 0; i < outside; i++) {
                    fy_out[i] = fy[where[i]];
                    dx_out[i] = dx[where[i]];
                    dz_out[i] = dz[where[i]];
                }
                settle(outside, fy_out, dx_out, dz_out, is, rgb_out);
                for (int c = 0; c < 3; c++)
                    for (int i = 0; i < outside; i++)
                        rgb[c][where[i]] = rgb_out[c][i];
            }
            for (int c = 0; c < 3; c++)
                for (int i = 0; i < n; i++)
                    index[c][i] = (uint16_t)(int32_t)clip(rgb[c][i], 0, LINEAR_LEVELS - 1);
            uint8_t *out = job->out + 3 * ((size_t)row * job->w + left);
            for (int i = 0; i < n; i++, out += 3) {
                out[0] = level[index[0][i]];
                out[1] = level[index[1][i]];
                out[2] = level[index[2][i]];
            }
        }
}

INLINE void means(const uint8_t *in, int h, int w, int channels, int side, uint32_t *sums, uint8_t *out)
{
    uint32_t factor = 0;
    for (int top = 0; top < h; top += side) {
        int high = h - top < side ? h - top : side;
        memset(sums, 0, sizeof *sums * w * channels);
        for (int row = 0; row < high; row++, in += w * channels)
            for (int i = 0; i < w * channels; i++)
                sums[i] += in[i];
        const uint32_t *next = sums;
        for (int left = 0; left < w; left += side) {
            int wide = w - left < side ? w - left : side;
            uint32_t count = (uint32_t)high * wide, sum[4] = {count / 2, count / 2, count / 2, count / 2};
            if (left == 0 || wide < side)
                factor = (1u << 24) / count;
            for (int i = 0; i < wide; i++)
                for (int c = 0; c < channels; c++)
                    sum[c] += *next++;
            for (int c = 0; c < channels; c++)
                *out++ = (uint8_t)(((uint64_t)sum[c] * factor) >> 24);
        }
    }
}

/* Means of squares of `side` pixels, rounded as Pillow's reduce does. sums: w x channels, to work in. */
WIDE static void mean_rows(const uint8_t *in, int h, int w, int channels, int side, uint32_t *sums, uint8_t *out)
{
    if (channels == 1) /* known, the loops over channels unroll */
        means(in, h, w, 1, side, sums, out);
    else
        means(in, h, w, 3, side, sums, out);
}

/* A view of an array with that many axes and bytes a number; its rows may be apart if `flags` allow it. */
static int view(PyObject *object, Py_buffer *buffer, int axes, Py_ssize_t itemsize, int flags)
{
    if (PyObject_GetBuffer(object, buffer, flags) < 0)
        return 0;
    if (buffer->ndim == axes && buffer->itemsize == itemsize)
        return 1;
    PyErr_Format(PyExc_ValueError, "expected %d axes of %zd bytes a number, got %d of %zd", axes, itemsize, buffer->ndim,
                 buffer->itemsize);
    PyBuffer_Release(buffer);
    return 0;
}

static PyObject *join(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    enum { RGB, LOOKUP, WIDE_ROWS, FIRST, WEIGHT, MATRIX, LEVEL, NUMBERS, OUT, ALL };
    static const int axes[ALL] = {3, 2, 3, 1, 2, 2, 1, 1, 3}, bytes[ALL] = {1, 4, 4, 4, 4, 4, 1, 4, 1};
    PyObject *given[ALL], *result = NULL;
    Py_buffer b[ALL];
    int held = 0;
    if (!PyArg_ParseTuple(arguments, "OOOOOOOOO:join", &given[0], &given[1], &given[2], &given[3], &given[4], &given[5],
                          &given[6], &given[7], &given[8]))
        return NULL;
    for (; held < ALL; held++) {
        int flags = held == RGB ? PyBUF_STRIDED_RO : held == OUT ? PyBUF_CONTIG : PyBUF_CONTIG_RO;
        if (!view(given[held], &b[held], axes[held], bytes[held], flags))
            goto end;
    }
    const float *numbers = b[NUMBERS].buf;
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
        fits = job.first[row] >= 0 && job.first[row] + job.taps <= job.coarse;
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "the shapes do not go together");
        goto end;
    }
    Numbers is = {{0}, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], (int)numbers[5]};
    memcpy(is.matrix, b[MATRIX].buf, sizeof is.matrix);
    Py_BEGIN_ALLOW_THREADS
    join_rows(&job, &is);
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
        !view(pixels, &in, 3, 1, PyBUF_CONTIG_RO))
        return NULL;
    if (!view(means, &out, 3, 1, PyBUF_CONTIG))
        goto end_in;
    int h = (int)in.shape[0], w = (int)in.shape[1], channels = (int)in.shape[2];
    if ((channels != 1 && channels != 3) || side < 1 || side > 2896 || out.shape[0] != (h + side - 1) / side || out.shape[1] != (w + side - 1) / side ||
        out.shape[2] != channels) { /* 2896^2 is less than 2^24 / 2, and levels add up in 32 bits */
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
    {"box_means", box_means, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "colorize._compiled", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModule_Create(&module); }
