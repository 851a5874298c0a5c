/* Decode a few new positions on a CPU: all layers in one call, each thread with its share.

   The plain torch twin of every step is in plain.py, and native.py describes the arguments. All
   threads run the same code. A barrier stands where one needs what another has made.

   - Weights are int8 with a scale for each row, bfloat16 or float32, row after row. Each is read
     once, which is what a frame's time is made of.
   - Inputs of int8 weights are rounded to bytes, each position by its own scale. All other numbers
     are float32. */

#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

/* AVX-512 multiplies a byte without sign by one with sign. Inputs are moved up by 128 for it, and
   128 times the sum of the row's weights is taken off the result. */
#if defined(__AVX512VNNI__)
typedef uint8_t Byte;
#define OFFSET 128
#else
typedef int8_t Byte;
#define OFFSET 0
#endif

/* AVX-512 multiplies pairs of bfloat16 numbers. */
#if defined(__AVX512BF16__)
#define PAIRS 1
typedef __m512bh Pairs;
#else
#define PAIRS 0
#endif

#define INLINE static inline __attribute__((always_inline))
enum { INT8, BFLOAT16, FLOAT32 };

typedef struct {
    const void *weight;  /* [outputs, inputs] */
    const float *scale;  /* [outputs], of bytes */
    const int32_t *sums; /* [outputs], of bytes */
    const float *bias;   /* [outputs] or null */
    int64_t outputs, inputs, kind;
} Matrix;

typedef struct {
    const float *norm, *qk_norm, *feed_norm;
    Matrix qkv, out, gate_up, down;
} Layer;

typedef struct {
    const Layer *layers;
    int64_t count, hidden, heads, kv_heads, head_dim, feed;
    float eps;
} Decoder;

typedef struct {
    float *data; /* [layers, 2, slots, kv_heads, positions, head_dim] */
    const float *cosines, *sines;
    const int64_t *lengths; /* [rows], or null: all rows stand at `start` */
    const uint8_t *alive;   /* [rows] or null */
    int64_t slots, positions, start, window;
} Past;

typedef struct {
    int arrived, round;
} Barrier;

extern void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

static void meet(Barrier *barrier, int threads) {
    int round = __atomic_load_n(&barrier->round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE) == round; spins++) {
        if (spins > 4000) sched_yield(); /* the core may be wanted by the thread waited for */
#if defined(__x86_64__)
        else _mm_pause();
#endif
    }
}

static void share(int64_t work, int64_t unit, int thread, int threads, int64_t *from, int64_t *to) {
    int64_t units = (work + unit - 1) / unit;
    *from = units * thread / threads * unit;
    *to = units * (thread + 1) / threads * unit;
    if (*from > work) *from = work;
    if (*to > work) *to = work;
}

INLINE Floats floats(const float *at) {
    Floats made;
    memcpy(&made, at, sizeof made);
    return made;
}

INLINE Floats widened(const uint16_t *at) { /* bfloat16 is the upper half of a float32 */
    Halves halves;
    memcpy(&halves, at, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

INLINE float total(Floats lanes) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)lanes);
#else
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
#endif
}

INLINE Floats filled(float value) { return value - (Floats){0}; }

INLINE Floats chosen(Ints where, Floats one, Floats other) {
    return (Floats)(((Ints)one & where) | ((Ints)other & ~where));
}

static float dot(const float *a, const float *b, int64_t size) {
    Floats lanes = filled(0);
    for (int64_t at = 0; at < size; at += LANES) lanes += floats(a + at) * floats(b + at);
    return total(lanes);
}

/* e to the power of x: 2 to a whole number, times a polynomial for the rest (Cephes). */
INLINE Floats exponential(Floats x) {
    x = chosen(x < -87, filled(-87), x);
    x = chosen(x > 88, filled(88), x);
    Floats scaled = x * 1.44269504088896341f;
    Floats magic = filled(12582912.0f); /* 1.5 × 2^23 rounds to a whole number */
    Floats whole = (scaled + magic) - magic;
    Floats rest = x - whole * 0.693359375f;
    rest -= whole * -2.12194440e-4f;
    Floats made = filled(1.9875691500e-4f);
    made = made * rest + 1.3981999507e-3f;
    made = made * rest + 8.3334519073e-3f;
    made = made * rest + 4.1665795894e-2f;
    made = made * rest + 1.6666665459e-1f;
    made = made * rest + 5.0000001201e-1f;
    made = made * rest * rest + rest + 1.0f;
    Ints power = (__builtin_convertvector(whole, Ints) + 127) << 23;
    return made * (Floats)power;
}

static void normalise(float *to, const float *x, const float *weight, int64_t size, float eps) {
    float scale = 1.0f / sqrtf(dot(x, x, size) / (float)size + eps);
    for (int64_t at = 0; at < size; at++) to[at] = x[at] * scale * weight[at];
}

static float to_bytes(Byte *to, const float *x, int64_t size) {
    float most = 1e-20f;
    for (int64_t at = 0; at < size; at++) {
        float much = fabsf(x[at]);
        most = much > most ? much : most;
    }
    float scale = 127 / most;
    for (int64_t at = 0; at < size; at++) to[at] = (Byte)((int)rintf(x[at] * scale) + OFFSET);
    return most / 127;
}

#if defined(__x86_64__) && defined(__AVX2__)
INLINE void four_sums(float to[4], __m256i a, __m256i b, __m256i c, __m256i d) {
    __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storeu_ps(to, _mm_cvtepi32_ps(sums));
}
#endif

#if defined(__AVX512VNNI__)
#define BYTES 64
typedef __m512i Sums;
INLINE Sums no_sums(void) { return _mm512_setzero_si512(); }
INLINE Sums plus_bytes(Sums sums, const Byte *x, const int8_t *weight) {
    return _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(x), _mm512_loadu_si512(weight));
}
INLINE __m256i folded(Sums sums) {
    return _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
}
INLINE void totals(float to[4], const Sums sums[4]) {
    four_sums(to, folded(sums[0]), folded(sums[1]), folded(sums[2]), folded(sums[3]));
}
#elif defined(__AVX2__)
#define BYTES 16
typedef __m256i Sums;
INLINE Sums no_sums(void) { return _mm256_setzero_si256(); }
INLINE Sums plus_bytes(Sums sums, const Byte *x, const int8_t *weight) {
    __m256i a = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)x));
    __m256i b = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)weight));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
INLINE void totals(float to[4], const Sums sums[4]) {
    four_sums(to, sums[0], sums[1], sums[2], sums[3]);
}
#elif defined(__ARM_FEATURE_DOTPROD)
#define BYTES 16
typedef int32x4_t Sums;
INLINE Sums no_sums(void) { return vdupq_n_s32(0); }
INLINE Sums plus_bytes(Sums sums, const Byte *x, const int8_t *weight) {
    return vdotq_s32(sums, vld1q_s8(x), vld1q_s8(weight));
}
INLINE void totals(float to[4], const Sums sums[4]) {
    for (int r = 0; r < 4; r++) to[r] = (float)vaddvq_s32(sums[r]);
}
#else
#define BYTES 1
typedef int32_t Sums;
INLINE Sums no_sums(void) { return 0; }
INLINE Sums plus_bytes(Sums sums, const Byte *x, const int8_t *weight) {
    return sums + (int32_t)*x * *weight;
}
INLINE void totals(float to[4], const Sums sums[4]) {
    for (int r = 0; r < 4; r++) to[r] = (float)sums[r];
}
#endif

/* Positions as the products read them: numbers, or bytes with a scale for each. */
typedef struct {
    const float *numbers;
    int64_t stride; /* of numbers */
    const Byte *bytes;
    const float *scales;
    const uint16_t *halves; /* [positions, inputs] or null: numbers, rounded to bfloat16 */
} Input;

/* Bytes of a row: the weights of the last inputs are 0. */
INLINE int64_t padded(int64_t inputs) { return (inputs + 63) / 64 * 64; }

/* Fetch weights from memory, which are not needed again. */
INLINE void fetch(const void *at) { __builtin_prefetch(at, 0, 0); }

/* Products of `few` positions and four rows. The compiler knows `few`. The next four rows are
   fetched meanwhile in the order in which they lie in memory. */
INLINE void block_int8(float made[4][4], const Matrix *by, Input in, int64_t row, int64_t position,
                       int few) {
    int64_t size = padded(by->inputs);
    const int8_t *weight = (const int8_t *)by->weight + row * size;
    const Byte *x = in.bytes + position * size;
    Sums sums[4][4];
    for (int p = 0; p < few; p++)
        for (int r = 0; r < 4; r++) sums[p][r] = no_sums();
    for (int64_t at = 0; at < size; at += BYTES)
        for (int r = 0; r < 4; r++) {
            if (!position && r * BYTES % 64 == 0) fetch(weight + 4 * (size + at) + r * BYTES);
            for (int p = 0; p < few; p++)
                sums[p][r] = plus_bytes(sums[p][r], x + p * size + at, weight + r * size + at);
        }
    for (int p = 0; p < few; p++) {
        totals(made[p], sums[p]);
        for (int r = 0; r < 4; r++)
            made[p][r] = (made[p][r] - (float)(OFFSET * by->sums[row + r])) * in.scales[position + p]
                         * by->scale[row + r];
    }
}

INLINE void block_float(float made[4][4], const Matrix *by, Input in, int64_t row,
                        int64_t position, int few, int bits) {
    int64_t size = by->inputs, width = bits / 8;
    const char *weight = (const char *)by->weight + row * size * width;
    const float *x = in.numbers + position * in.stride;
    Floats sums[4][4];
    for (int p = 0; p < few; p++)
        for (int r = 0; r < 4; r++) sums[p][r] = filled(0);
    for (int64_t at = 0; at < size; at += LANES)
        for (int r = 0; r < 4; r++) {
            const char *there = weight + (r * size + at) * width;
            if (!position && r * LANES * width % 64 == 0)
                fetch(weight + (4 * (size + at) + r * LANES) * width);
            Floats some = bits == 16 ? widened((const uint16_t *)there) : floats((const float *)there);
            for (int p = 0; p < few; p++) sums[p][r] += floats(x + p * in.stride + at) * some;
        }
    for (int p = 0; p < few; p++)
        for (int r = 0; r < 4; r++) made[p][r] = total(sums[p][r]);
}

#if PAIRS
INLINE Pairs pairs(const uint16_t *at) { return (Pairs)_mm512_loadu_si512(at); }

static void to_halves(uint16_t *to, const float *x, int64_t size) {
    for (int64_t at = 0; at < size; at += 16) {
        __m256bh halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + at));
        memcpy(to + at, &halves, sizeof halves);
    }
}

INLINE void block_pairs(float made[4][4], const Matrix *by, Input in, int64_t row,
                        int64_t position, int few) {
    int64_t size = by->inputs;
    const uint16_t *weight = (const uint16_t *)by->weight + row * size;
    const uint16_t *x = in.halves + position * size;
    __m512 sums[4][4];
    for (int p = 0; p < few; p++)
        for (int r = 0; r < 4; r++) sums[p][r] = _mm512_setzero_ps();
    for (int64_t at = 0; at < size; at += 32)
        for (int r = 0; r < 4; r++) {
            if (!position) fetch(weight + 4 * (size + at) + r * 32);
            for (int p = 0; p < few; p++)
                sums[p][r] = _mm512_dpbf16_ps(sums[p][r], pairs(x + p * size + at),
                                              pairs(weight + r * size + at));
        }
    for (int p = 0; p < few; p++)
        for (int r = 0; r < 4; r++) made[p][r] = _mm512_reduce_add_ps(sums[p][r]);
}
#else
static void to_halves(uint16_t *to, const float *x, int64_t size) { (void)to, (void)x, (void)size; }
#define block_pairs(...)
#endif

INLINE void block(float made[4][4], const Matrix *by, Input in, int64_t row, int64_t position,
                  int few) {
    if (PAIRS && in.halves) block_pairs(made, by, in, row, position, few);
    else if (by->kind == INT8) block_int8(made, by, in, row, position, few);
    else if (by->kind == BFLOAT16) block_float(made, by, in, row, position, few, 16);
    else block_float(made, by, in, row, position, few, 32);
}

/* Multiply all `positions` by the rows [from, to), and write or add them at `out`. */
static void multiply_rows(const Matrix *by, Input in, int64_t positions, int64_t from, int64_t to,
                          float *out, int64_t stride, int add) {
    float made[4][4];
    int few;
    for (int64_t row = from; row < to; row += 4)
        for (int64_t position = 0; position < positions; position += few) {
            int64_t left = positions - position;
            few = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            if (few == 1) block(made, by, in, row, position, 1);
            else if (few == 2) block(made, by, in, row, position, 2);
            else block(made, by, in, row, position, 4);
            for (int p = 0; p < few; p++)
                for (int r = 0; r < 4; r++) {
                    float *place = out + (position + p) * stride + row + r;
                    float sum = by->bias ? made[p][r] + by->bias[row + r] : made[p][r];
                    *place = add ? *place + sum : sum;
                }
        }
}

/* Memory of one thread. */
typedef struct {
    float *numbers, *scales, *scores;
    Byte *bytes;
} Scratch;

/* Return `positions` as `by` reads them, normalised first if there is a `norm`. */
static Input prepared(const Matrix *by, const float *x, int64_t stride, const float *norm,
                      float eps, int64_t positions, Scratch own) {
    int64_t size = by->inputs;
    if (!norm && by->kind != INT8) return (Input){x, stride, 0, 0, 0};
    for (int64_t p = 0; p < positions; p++) {
        const float *from = x + p * stride;
        float *to = own.numbers + p * size;
        if (norm) normalise(to, from, norm, size, eps), from = to;
        if (by->kind == INT8) own.scales[p] = to_bytes(own.bytes + p * padded(size), from, size);
    }
    return (Input){own.numbers, size, own.bytes, own.scales, 0};
}

static void turned(float *to, const float *x, const float *weight, const Decoder *decoder,
                   const Past *past, int64_t position, float *own) {
    int64_t size = decoder->head_dim, half = size / 2;
    const float *cosines = past->cosines + position * size, *sines = past->sines + position * size;
    normalise(own, x, weight, size, decoder->eps);
    for (int64_t at = 0; at < half; at++) {
        float low = own[at], high = own[at + half];
        to[at] = low * cosines[at] + high * sines[at];
        to[at + half] = high * cosines[at + half] + low * sines[at + half];
    }
}

/* Attend with the heads of one key head, for all new positions of one row. */
static void attend(const Decoder *decoder, const Past *past, int64_t layer, int64_t row,
                   int64_t time, int64_t head, const float *heads, float *heard, Scratch own) {
    int64_t size = decoder->head_dim, group = decoder->heads / decoder->kv_heads;
    int64_t all = decoder->heads + 2 * decoder->kv_heads, span = past->positions * size;
    int64_t slot = ((layer * 2) * past->slots + row) * decoder->kv_heads + head;
    float *keys = past->data + slot * span;
    float *values = keys + past->slots * decoder->kv_heads * span;
    const float *norm = decoder->layers[layer].qk_norm;
    float query[size], blank[size], root = 1.0f / sqrtf((float)size), *scores = own.scores;
    for (int64_t t = 0; t < time; t++) {
        int64_t place = past->start + t;
        if (past->lengths) {
            place = past->lengths[row];
            if (place >= past->window) place = past->window - 1;
        }
        int64_t kept = past->alive && !past->alive[row] ? past->positions - 1 : place;
        const float *from = heads + (row * time + t) * all * size;
        int64_t key = decoder->heads + head;
        turned(keys + kept * size, from + key * size, norm + key * size, decoder, past, place,
               blank);
        memcpy(values + kept * size, from + (key + decoder->kv_heads) * size, 4 * size);
        for (int64_t h = head * group; h < (head + 1) * group; h++) {
            turned(query, from + h * size, norm + h * size, decoder, past, place, blank);
            float most = -INFINITY, sum = 0;
            for (int64_t at = 0; at <= place; at++) {
                scores[at] = dot(query, keys + at * size, size) * root;
                most = scores[at] > most ? scores[at] : most;
            }
            for (int64_t at = 0; at <= place; at += LANES) {
                Floats shares = exponential(floats(scores + at) - most);
                memcpy(scores + at, &shares, sizeof shares);
            }
            float *to = heard + ((row * time + t) * decoder->heads + h) * size;
            memset(to, 0, 4 * size);
            for (int64_t at = 0; at <= place; at++) {
                sum += scores[at];
                for (int64_t d = 0; d < size; d++) to[d] += scores[at] * values[at * size + d];
            }
            for (int64_t d = 0; d < size; d++) to[d] /= sum;
        }
    }
}

/* Gate the second half of the outputs [from, to) by the first, in the place of the first. */
static void gate(float *wide, int64_t size, int64_t from, int64_t to) {
    for (int64_t at = from; at < to; at += LANES) {
        Floats first = floats(wide + at), second = floats(wide + size + at);
        Floats made = first / (1.0f + exponential(-first)) * second;
        memcpy(wide + at, &made, sizeof made);
    }
}

typedef struct {
    const Decoder *decoder;
    const Past *past;
    float *x, *scratch;
    int64_t rows, time;
    Barrier barrier;
} Decoding;

static int64_t rounded(int64_t size) { return (size + 31) / 32 * 32; }

static int64_t widest(const Decoder *decoder) {
    int64_t size = decoder->hidden, heard = decoder->heads * decoder->head_dim;
    size = heard > size ? heard : size;
    return rounded(decoder->feed > size ? decoder->feed : size);
}

/* Return the floats of scratch memory for all threads together, and for each. */
static int64_t common_size(const Decoder *d, int64_t positions) {
    return rounded(positions * ((2 * d->heads + 2 * d->kv_heads) * d->head_dim + 2 * d->feed));
}

static int64_t own_size(const Decoder *decoder, int64_t positions, int64_t window) {
    return rounded(positions) + 2 * positions * widest(decoder) + rounded(window + LANES);
}

int64_t scratch_size(const Decoder *decoder, int64_t positions, int64_t window, int64_t threads) {
    return common_size(decoder, positions) + threads * own_size(decoder, positions, window);
}

static void decode_share(void *given) {
    Decoding *job = given;
    const Decoder *d = job->decoder;
    int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t rows = job->rows, time = job->time, positions = rows * time, from, to;
    int64_t all = (d->heads + 2 * d->kv_heads) * d->head_dim, heard_size = d->heads * d->head_dim;
    float *heads = job->scratch, *heard = heads + positions * all;
    float *wide = heard + positions * heard_size, *own = job->scratch + common_size(d, positions);
    own += thread * own_size(d, positions, job->past->window);
    Scratch mine = {own, own + positions * widest(d), 0, 0};
    mine.scores = mine.scales + rounded(positions);
    mine.bytes = (Byte *)(mine.scores + rounded(job->past->window + LANES));
    for (int64_t layer = 0; layer < d->count; layer++) {
        const Layer *at = d->layers + layer;
        Input in = prepared(&at->qkv, job->x, d->hidden, at->norm, d->eps, positions, mine);
        share(all, 16, thread, threads, &from, &to);
        multiply_rows(&at->qkv, in, positions, from, to, heads, all, 0);
        meet(&job->barrier, threads);
        share(rows * d->kv_heads, 1, thread, threads, &from, &to);
        for (int64_t task = from; task < to; task++)
            attend(d, job->past, layer, task / d->kv_heads, time, task % d->kv_heads, heads, heard,
                   mine);
        meet(&job->barrier, threads);
        in = prepared(&at->out, heard, heard_size, 0, 0, positions, mine);
        share(d->hidden, 16, thread, threads, &from, &to);
        multiply_rows(&at->out, in, positions, from, to, job->x, d->hidden, 1);
        meet(&job->barrier, threads);
        in = prepared(&at->gate_up, job->x, d->hidden, at->feed_norm, d->eps, positions, mine);
        share(d->feed, 16, thread, threads, &from, &to);
        multiply_rows(&at->gate_up, in, positions, from, to, wide, 2 * d->feed, 0);
        multiply_rows(&at->gate_up, in, positions, d->feed + from, d->feed + to, wide, 2 * d->feed,
                      0);
        for (int64_t p = 0; p < positions; p++) gate(wide + p * 2 * d->feed, d->feed, from, to);
        meet(&job->barrier, threads);
        in = prepared(&at->down, wide, 2 * d->feed, 0, 0, positions, mine);
        share(d->hidden, 16, thread, threads, &from, &to);
        multiply_rows(&at->down, in, positions, from, to, job->x, d->hidden, 1);
        meet(&job->barrier, threads);
    }
}

/* Replace `x` [rows × time, hidden] by what all layers make of it. */
void decode(const Decoder *decoder, const Past *past, float *x, int64_t rows, int64_t time,
            float *scratch, int64_t threads) {
    Decoding job = {decoder, past, x, scratch, rows, time, {0, 0}};
    GOMP_parallel(decode_share, &job, (unsigned)threads, 0);
}

typedef struct {
    const Matrix *by;
    const float *x;
    float *out, *scales;
    Byte *bytes;
    uint16_t *halves; /* null: inputs of bfloat16 weights are not rounded */
    int64_t positions;
    Barrier barrier;
} Product;

static void multiply_share(void *given) {
    Product *job = given;
    const Matrix *by = job->by;
    int thread = omp_get_thread_num(), threads = omp_get_num_threads();
    int64_t from, to;
    if (by->kind == INT8) {
        share(job->positions, 1, thread, threads, &from, &to);
        for (int64_t p = from; p < to; p++)
            job->scales[p] = to_bytes(job->bytes + p * padded(by->inputs), job->x + p * by->inputs,
                                      by->inputs);
        meet(&job->barrier, threads);
    } else if (job->halves) {
        share(job->positions, 1, thread, threads, &from, &to);
        to_halves(job->halves + from * by->inputs, job->x + from * by->inputs,
                  (to - from) * by->inputs);
        meet(&job->barrier, threads);
    }
    share(by->outputs, 16, thread, threads, &from, &to);
    multiply_rows(by, (Input){job->x, by->inputs, job->bytes, job->scales, job->halves},
                  job->positions, from, to, job->out, by->outputs, 0);
}

/* Return 1 if `multiply` can round the inputs of bfloat16 weights. */
int64_t multiplies_pairs(void) { return PAIRS; }

/* Write the products of `x` [positions, inputs] to `out` [positions, outputs]. Bytes need
   `scratch`, positions × (inputs + 68) bytes. With `rounding`, inputs of bfloat16 weights are
   bfloat16 numbers too, which need positions × inputs × 2 bytes. */
void multiply(const Matrix *by, const float *x, int64_t positions, float *out, float *scratch,
              int64_t rounding, int64_t threads) {
    uint16_t *halves = rounding ? (uint16_t *)scratch : 0;
    Product job = {by, x, out, scratch, (Byte *)(scratch + positions), halves, positions, {0, 0}};
    GOMP_parallel(multiply_share, &job, (unsigned)threads, 0);
}
