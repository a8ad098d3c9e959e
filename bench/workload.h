/* workload.h - keys, values and operations of the measuring programs.
 *
 * Keys are numbers from 0 to key_count - 1, whose bytes and values follow from the number, so
 * that whatever is read back can be checked without a copy of the data.
 *
 * Distributions: uniform, and the scrambled zipfian of YCSB (Cooper et al., SoCC 2010): ranks
 * by the method of Gray et al. (SIGMOD 1994), spread over the keys by a hash.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BENCH_KEY_BYTES_MAX 24u
#define BENCH_VALUE_BYTES_MIN 8u
#define BENCH_ZIPF_THETA 0.99

/* The finalizer of splitmix64: a bijection. */
static inline uint64_t bench_mix(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* splitmix64. Any seed will do. */
struct bench_random {
    uint64_t state;
};

static inline uint64_t bench_random_next(struct bench_random *random) {
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return bench_mix(random->state);
}

/* From 0 to limit - 1; limit below 2^32. */
static inline uint32_t bench_random_below(struct bench_random *random, uint32_t limit) {
    return (uint32_t)((bench_random_next(random) >> 32) * limit >> 32);
}

/* ---- which keys ---- */

enum bench_distribution { BENCH_UNIFORM, BENCH_ZIPFIAN };

/* What depends on the number of items only. */
struct bench_zipf {
    double item_count;
    double zeta; /* sum of 1 / i^theta over all items */
    double alpha;
    double eta;
    double second; /* where the second item's part ends */
};

void bench_zipf_init(struct bench_zipf *zipf, uint64_t item_count);
/* 0 is the most frequent. */
uint64_t bench_zipf_rank(const struct bench_zipf *zipf, struct bench_random *random);

/* Fills `ids` with the keys of as many operations. */
void bench_draw_keys(enum bench_distribution distribution, uint32_t key_count, uint64_t seed,
                     uint32_t *ids, size_t count);

/* ---- keys and values ---- */

/* Writes the key of `id`: 8 bytes, or 24. */
static inline void bench_key(unsigned char *key, size_t key_bytes, uint32_t id) {
    uint64_t words[3] = {id, 0, 0};
    if (key_bytes > sizeof words[0]) {
        words[1] = bench_mix(id);
        words[2] = ~words[1];
    }
    memcpy(key, words, key_bytes);
}

/* The value of `id` in a version: its first word holds the version and a check of both, the rest
 * follows from that word. */
void bench_value(unsigned char *value, size_t value_bytes, uint32_t id, uint32_t version);
/* True if the bytes are a value of `id`; tells its version. */
bool bench_value_is_right(const unsigned char *value, size_t value_bytes, uint32_t id,
                          uint32_t *version);
/* The version without a check. */
static inline uint32_t bench_value_version(const void *value) {
    uint32_t version;
    memcpy(&version, value, sizeof version);
    return version;
}

/* ---- mixes of operations ---- */

enum bench_kind {
    BENCH_READ = 1,
    BENCH_UPSERT,
    BENCH_RMW, /* adds 1 to the version */
    BENCH_DELETE
};

struct bench_mix {
    const char *name;
    uint32_t read_percent;
    enum bench_kind other; /* the rest */
    bool in_order;         /* each key once, in order of number, instead of as distributed */
};

/* NULL: there is no workload of this name. */
const struct bench_mix *bench_mix_find(const char *name);
/* "load, A, ...", for messages. */
const char *bench_mix_names(void);

static inline enum bench_kind bench_mix_draw(const struct bench_mix *mix,
                                             struct bench_random *random) {
    if (mix->read_percent == 0 || mix->read_percent == 100) {
        return mix->read_percent == 0 ? mix->other : BENCH_READ;
    }
    return bench_random_below(random, 100) < mix->read_percent ? BENCH_READ : mix->other;
}

#endif
