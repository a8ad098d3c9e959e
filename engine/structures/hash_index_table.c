/* hash_index_table.c - making an index, and looking at the whole of it (layer 3). */
#include "structures/hash_index_internal.h"

/* No chain holds more buckets than it takes to have an entry for each tag. */
#define OVERFLOW_PER_BUCKET_MAX (FST_INDEX_TAG_MASK / FST_INDEX_BUCKET_ENTRIES + 1)
#define STATS_SAMPLES_MAX 4096u
/* Tables that start with at least so many buckets count the entries of one in 64. */
#define SAMPLED_BITS_MIN 10u
#define SAMPLE_MASK UINT64_C(63)

/* ---- life ---- */

uint32_t fst_hash_index_bits_for(uint64_t budget_bytes, uint32_t bits_min) {
    const uint64_t count_max = (budget_bytes - budget_bytes / 4) / FST_INDEX_BUCKET_BYTES;
    uint32_t bits = FST_INDEX_BITS_MAX;

    while (bits > 0 && UINT64_C(1) << bits > count_max) {
        bits--;
    }
    return bits < bits_min || bits < FST_INDEX_BITS_MIN ? 0 : bits;
}

/* How many buckets, with the pool, the budget allows for. */
static uint64_t bucket_limit_for(uint64_t bucket_count, uint64_t budget_bytes) {
    const uint64_t by_budget = budget_bytes / FST_INDEX_BUCKET_BYTES;
    const uint64_t by_tags = bucket_count * (1 + OVERFLOW_PER_BUCKET_MAX);

    return by_budget < by_tags ? by_budget : by_tags;
}

static enum faster_status map_buckets(struct fst_hash_index *index) {
    if (index->bucket_limit < UINT64_C(1) << index->bits_max) {
        return FASTER_FULL;
    }
    if (index->bucket_limit > SIZE_MAX / FST_INDEX_BUCKET_BYTES) {
        return FASTER_NOMEM;
    }
    index->buckets =
        index->env->map(index->env, (size_t)index->bucket_limit * FST_INDEX_BUCKET_BYTES);
    return index->buckets == NULL ? FASTER_NOMEM : FASTER_OK;
}

enum faster_status fst_hash_index_create(const struct fst_hash_index_config *config,
                                         struct fst_hash_index **index) {
    struct fst_hash_index *made = config->env->allocate(config->env, sizeof *made);
    const uint64_t bucket_count_max = UINT64_C(1) << config->bits_max;
    enum faster_status status;

    assert(config->bits >= FST_INDEX_BITS_MIN && config->bits <= config->bits_max);
    assert(config->bits_max <= FST_INDEX_BITS_MAX);
    *index = NULL;
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    *made = (struct fst_hash_index){
        .env = config->env,
        .epoch = config->epoch,
        .begin = config->begin,
        .bucket_limit = bucket_limit_for(bucket_count_max, config->budget_bytes),
        .bits_max = config->bits_max,
        .load_percent = config->load_percent,
        .sample_mask = config->bits >= SAMPLED_BITS_MIN ? SAMPLE_MASK : 0,
        .divide = config->divide,
        .divide_context = config->divide_context,
    };
    fst_store_relaxed_u64(&made->bucket_taken, bucket_count_max);
    fst_store_relaxed_u64(&made->level, fst_index_level_of(config->bits, 0));
    status = map_buckets(made);
    if (status != FASTER_OK) {
        config->env->release(config->env, made);
        return status;
    }
    *index = made;
    return FASTER_OK;
}

void fst_hash_index_destroy(struct fst_hash_index *index) {
    if (index == NULL) {
        return;
    }
    /* The epoch's list must not keep an action that knows the index.
     * acquire: pairs with the release in settle_growth() */
    while (fst_load_acquire_u64(&index->action_count) != 0) {
        fst_epoch_drain(index->epoch);
        index->env->yield(index->env);
    }
    index->env->unmap(index->env, index->buckets,
                      (size_t)index->bucket_limit * FST_INDEX_BUCKET_BYTES);
    index->env->release(index->env, index);
}

/* ---- what there is ---- */

uint32_t fst_hash_index_bits(const struct fst_hash_index *index) {
    /* acquire: pairs with the stores of a growth's start and end; whoever knows of an entry of a
     * level knows the level, which was there before */
    return fst_index_level_bits(fst_load_acquire_u64(&index->level));
}

static bool is_live(const struct fst_hash_index *index, uint64_t word) {
    return fst_index_is_final(word) && !fst_index_is_dead(index, word);
}

/* Calls `each` with the live entries of one chain of buckets; false if it ended the walk. */
static bool walk_chain(const struct fst_hash_index *index, uint64_t number,
                       fst_index_entry_fn *each, void *context) {
    for (struct fst_index_bucket *bucket = &index->buckets[number]; bucket != NULL;
         bucket = fst_index_next(index, bucket)) {
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
            /* acquire: pairs with the compare-and-swap in fst_hash_index_publish() */
            uint64_t value = fst_load_acquire_u64(&bucket->entries[i]);

            if (is_live(index, value) &&
                !each(context, number, (uint32_t)fst_index_tag_of_word(value),
                      fst_addr_of(fst_index_address_of(value)))) {
                return false;
            }
        }
    }
    return true;
}

void fst_hash_index_walk(const struct fst_hash_index *index, fst_index_entry_fn *each,
                         void *context) {
    /* acquire: pairs with the changes of the level in hash_index_grow.c */
    const uint64_t level = fst_load_acquire_u64(&index->level);
    const uint64_t bucket_count = UINT64_C(1) << fst_index_level_bits(level);

    for (uint64_t number = 0; number < bucket_count; number++) {
        if (!walk_chain(index, number, each, context)) {
            return;
        }
    }
}

static bool count_entry(void *context, uint64_t bucket, uint32_t tag, fst_addr addr) {
    (void)bucket;
    (void)tag;
    (void)addr;
    ++*(uint64_t *)context;
    return true;
}

static enum fst_index_phase phase_of(uint64_t level) {
    if (fst_index_level_is_growing(level)) {
        return FST_INDEX_GROWING;
    }
    return (level & FST_INDEX_LEVEL_DRAINING) != 0 ? FST_INDEX_DRAINING : FST_INDEX_SETTLED;
}

void fst_hash_index_get_stats(const struct fst_hash_index *index,
                              struct fst_hash_index_stats *stats) {
    /* acquire: pairs as in fst_hash_index_walk() */
    const uint64_t level = fst_load_acquire_u64(&index->level);
    const uint64_t bucket_count = UINT64_C(1) << fst_index_level_bits(level);
    const uint64_t sample_count =
        bucket_count < STATS_SAMPLES_MAX ? bucket_count : STATS_SAMPLES_MAX;
    const uint64_t stride = bucket_count / sample_count;
    const uint64_t overflow_count =
        fst_load_relaxed_u64(&index->bucket_taken) - (UINT64_C(1) << index->bits_max);
    uint64_t entry_count = 0;

    for (uint64_t i = 0; i < sample_count; i++) {
        (void)walk_chain(index, i * stride, count_entry, &entry_count);
    }
    *stats = (struct fst_hash_index_stats){
        .bucket_count = bucket_count,
        .overflow_count = overflow_count,
        .entry_count = entry_count * stride,
        .used_bytes = (bucket_count + overflow_count) * FST_INDEX_BUCKET_BYTES,
        .growth_count = fst_load_relaxed_u64(&index->growth_count),
        .phase = phase_of(level),
        .huge_bytes = fst_load_relaxed_u64(&index->huge_bytes),
    };
}
