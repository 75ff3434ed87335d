/* The arithmetic of _compiled.c: in one pass what joining_numpy.py does with numpy in dozens, color.py with torch,
 * and Pillow's reduce. Python's side explains it and checks what people give.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHUNK 512 /* pixels at a time, whose numbers stay in the nearest cache */
#define LEVELS 256
#define LINEAR_LEVELS 65536

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define WIDE __attribute__((target_clones("arch=x86-64-v3", "default"))) /* the processor's own vectors */
#else
#define WIDE
#endif
#if defined(_MSC_VER)
#define restrict __restrict
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
    ptrdiff_t row, pixel; /* bytes from one to the next */
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

INLINE float to_linear_light(float srgb)
{
    float t = (srgb + 0.055f) * (1 / 1.055f), square = t * t, root;
    int32_t bits;
    memcpy(&bits, &square, 4); /* t^2.4 is t^2 times the fifth root of t^2 */
    bits = (int32_t)((float)bits * 0.2f) + 851905293;
    memcpy(&root, &bits, 4);
    for (int k = 0; k < 2; k++) {
        float fifth = root * root;
        fifth *= fifth * root;
        root *= (2 * fifth + 3 * square) / (3 * fifth + 2 * square);
    }
    return srgb > 0.04045f ? square * root : srgb * (1 / 12.92f);
}

INLINE float cube(float f, const Numbers is)
{
    float linear = (f - 16.0f / 116.0f) * (1 / is.slope);
    return f < is.knee ? linear : f * f * f;
}

/* Also of what is no number, which becomes `low`. */
INLINE float clip(float x, float low, float high) { return x > low ? x < high ? x : high : low; }

INLINE int is_inside(float r, float g, float b, const Numbers is)
{
    float low = -is.slack * is.top, high = (1 + is.slack) * is.top;
    return (r >= low) & (g >= low) & (b >= low) & (r <= high) & (g <= high) & (b <= high);
}

/* Linear RGB of n colours; of their chroma dx, dz a share is left, or all. */
INLINE void to_linear(int n, const float *restrict fy, const float *restrict dx, const float *restrict dz,
                      const float *restrict share, const Numbers is, float (*restrict rgb)[CHUNK])
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

/* CIE Lab of sRGB, pixels from `first` to `last` of planes of n; matrix: linear RGB -> X/Xn, Y/Yn, Z/Zn. */
WIDE static void lab_of(const float *restrict rgb, size_t n, size_t first, size_t last, const Numbers *numbers,
                        float *restrict lab)
{
    const Numbers is = *numbers;
    const float *m = is.matrix;
    for (size_t i = first; i < last; i++) {
        float r = to_linear_light(rgb[i]), g = to_linear_light(rgb[n + i]), b = to_linear_light(rgb[2 * n + i]);
        float fx = cube_root(m[0] * r + m[1] * g + m[2] * b, is);
        float fy = cube_root(m[3] * r + m[4] * g + m[5] * b, is);
        float fz = cube_root(m[6] * r + m[7] * g + m[8] * b, is);
        lab[i] = 116 * fy - 16;
        lab[n + i] = 500 * (fx - fy);
        lab[2 * n + i] = 200 * (fy - fz);
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
