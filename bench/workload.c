/* workload.c - keys, values and operations of the measuring programs. */
#include "workload.h"

#include <math.h>

/* So many terms of zeta are summed; the rest is an integral with its first correction, which is
 * exact to the last digits from here on. */
#define ZETA_TERMS_MAX 1000000u

static double zeta(uint64_t item_count) {
    const double theta = BENCH_ZIPF_THETA;
    uint64_t summed = item_count < ZETA_TERMS_MAX ? item_count : ZETA_TERMS_MAX;
    double sum = 0;
    for (uint64_t i = summed; i > 0; i--) {
        sum += pow((double)i, -theta);
    }
    if (summed < item_count) {
        double low = (double)summed;
        double high = (double)item_count;
        sum += (pow(high, 1 - theta) - pow(low, 1 - theta)) / (1 - theta);
        sum += (pow(high, -theta) - pow(low, -theta)) / 2;
    }
    return sum;
}

void bench_zipf_init(struct bench_zipf *zipf, uint64_t item_count) {
    const double theta = BENCH_ZIPF_THETA;
    zipf->item_count = (double)item_count;
    zipf->zeta = zeta(item_count);
    zipf->second = 1 + pow(0.5, theta);
    zipf->alpha = 1 / (1 - theta);
    zipf->eta = (1 - pow(2 / zipf->item_count, 1 - theta)) / (1 - zipf->second / zipf->zeta);
}

uint64_t bench_zipf_rank(const struct bench_zipf *zipf, struct bench_random *random) {
    double u = (double)(bench_random_next(random) >> 11) * 0x1p-53;
    double part = u * zipf->zeta;
    if (part < 1) {
        return 0;
    }
    if (part < zipf->second) {
        return 1;
    }
    double rank = zipf->item_count * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha);
    return rank < zipf->item_count ? (uint64_t)rank : (uint64_t)zipf->item_count - 1;
}

void bench_draw_keys(enum bench_distribution distribution, uint32_t key_count, uint64_t seed,
                     uint32_t *ids, size_t count) {
    struct bench_random random = {bench_mix(seed)};
    struct bench_zipf zipf;
    if (distribution == BENCH_UNIFORM || key_count < 3) {
        for (size_t i = 0; i < count; i++) {
            ids[i] = bench_random_below(&random, key_count);
        }
        return;
    }
    bench_zipf_init(&zipf, key_count);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (uint32_t)(bench_mix(bench_zipf_rank(&zipf, &random) + 1) % key_count);
    }
}

/* ---- values ---- */

#define STEP UINT64_C(0x9e3779b97f4a7c15)

static uint64_t first_word(uint32_t id, uint32_t version) {
    return (bench_mix((uint64_t)id << 32 | version) & ~(uint64_t)UINT32_MAX) | version;
}

void bench_value(unsigned char *value, size_t value_bytes, uint32_t id, uint32_t version) {
    uint64_t word = first_word(id, version);
    size_t done = 0;
    for (; done + sizeof word <= value_bytes; done += sizeof word) {
        memcpy(value + done, &word, sizeof word);
        word += STEP;
    }
    memcpy(value + done, &word, value_bytes - done);
}

bool bench_value_is_right(const unsigned char *value, size_t value_bytes, uint32_t id,
                          uint32_t *version) {
    if (value_bytes < BENCH_VALUE_BYTES_MIN) {
        return false;
    }
    *version = bench_value_version(value);
    uint64_t word = first_word(id, *version);
    size_t done = 0;
    bool is_right = true;
    for (; done + sizeof word <= value_bytes; done += sizeof word) {
        is_right &= memcmp(value + done, &word, sizeof word) == 0;
        word += STEP;
    }
    return is_right && memcmp(value + done, &word, value_bytes - done) == 0;
}

/* ---- mixes ---- */

static const struct bench_mix mixes[] = {
    {"load", 0, BENCH_UPSERT, true},  {"A", 50, BENCH_UPSERT, false},
    {"B", 95, BENCH_UPSERT, false},   {"C", 100, BENCH_READ, false},
    {"F", 50, BENCH_RMW, false},      {"upsert", 0, BENCH_UPSERT, false},
    {"rmw", 0, BENCH_RMW, false},     {"delete", 0, BENCH_DELETE, false},
    {"check", 100, BENCH_READ, true},
};

const struct bench_mix *bench_mix_find(const char *name) {
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        if (strcmp(mixes[i].name, name) == 0) {
            return &mixes[i];
        }
    }
    return NULL;
}

const char *bench_mix_names(void) {
    return "load, A, B, C, F, upsert, rmw, delete, check";
}
