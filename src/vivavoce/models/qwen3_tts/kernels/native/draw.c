/* Draw one token a row, as `pick` in sampler.py does.

   Noise is made only for the tokens that top-k and top-p keep. It is a function of a counter, by
   SplitMix64, and so the same for each order and number of rows. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define STRIDE 0x9E3779B97F4A7C15u

static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static float gumbel(uint64_t key, int64_t token) {
    uint64_t bits = mixed(key + (uint64_t)token * STRIDE) >> 41;
    return -logf(-logf(((float)bits + 0.5f) * 0x1p-23f));
}

static int from_best(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a < b) - (a > b);
}

/* Move the number at `at` down in a heap whose least number is on top. */
static void sift(float *heap, int64_t size, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && heap[child + 1] < heap[child]) child++;
        if (heap[at] <= heap[child]) return;
        float moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

/* Return the lowest score that top-k, then top-p, keep. `best` has room for `size` numbers. */
static float threshold(const float *scores, int64_t size, int64_t top_k, float top_p, float *best) {
    int64_t kept = top_k && top_k < size ? top_k : size, last = 0;
    if (!top_k && top_p >= 1) return -INFINITY;
    for (int64_t at = 0; at < kept; at++) best[at] = scores[at];
    for (int64_t at = kept / 2; at-- > 0;) sift(best, kept, at);
    for (int64_t at = kept; at < size; at++)
        if (scores[at] > best[0]) best[0] = scores[at], sift(best, kept, 0);
    if (top_p >= 1) return best[0];
    qsort(best, (size_t)kept, sizeof *best, from_best);
    float all = 0, better = 0;
    for (int64_t at = 0; at < kept; at++) all += expf(best[at] - best[0]);
    for (int64_t at = 0; at < kept && better < top_p * all; at++) {
        better += expf(best[at] - best[0]);
        last = at;
    }
    return best[last];
}

/* Draw from `scores` [rows, size] with each row's settings [rows]. `own` has 2 × size numbers. */
void pick(const float *scores, int64_t rows, int64_t size, const float *temperature,
          const int64_t *top_k, const float *top_p, const uint8_t *greedy, const int64_t *seed,
          const int64_t *frame, int64_t codebook, float *own, int64_t *made) {
    for (int64_t row = 0; row < rows; row++, scores += size) {
        const float *ranked = scores;
        float least = -INFINITY, most = -INFINITY;
        uint64_t key = mixed((uint64_t)seed[row] + STRIDE) + (uint64_t)frame[row] * STRIDE;
        key = mixed(mixed(key) + (uint64_t)codebook * STRIDE);
        if (!greedy[row]) {
            for (int64_t at = 0; at < size; at++) own[at] = scores[at] / temperature[row];
            ranked = own;
            least = threshold(own, size, top_k[row], top_p[row], own + size);
        }
        made[row] = 0;
        for (int64_t at = 0; at < size; at++) {
            if (ranked[at] < least) continue;
            float score = greedy[row] ? ranked[at] : ranked[at] + gumbel(key, at);
            if (score > most) most = score, made[row] = at;
        }
    }
}
