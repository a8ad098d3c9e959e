/* stress_hash_index.c - threads append records to chains of a small index while begin moves.
 *
 * Each thread picks a key, finds or creates its entry, takes the next address for a record
 * that links to the entry's head, and publishes it. Begin follows the tail at a short
 * distance, so entries die and are revived or reused all the time. It moves in an epoch
 * action: by then every record below it has been published or given up. The work is done
 * twice: with room for every tag, and with so few overflow buckets that inserts meet FULL.
 *
 * Invariants. While it runs: a record that was just published is found unless begin passed
 * it; records met in a chain are of its key. At the end: no tag has two entries in a bucket;
 * each published record at or above begin is met once by following the entries; the budget
 * was kept.
 *
 * Arguments: [iterations per thread [seed [threads]]]. The same arguments repeat the same
 * work, though not its interleaving.
 */
#include "primitives/epoch.h"
#include "structures/hash_index.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64u
#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (1u << BITS)
#define TAG_COUNT 40u
#define RECORD_BYTES 32u
#define WINDOW_BYTES (400u * RECORD_BYTES) /* between begin and tail */
#define ATTEMPTS_PER_ITERATION 2u          /* room for records that were given up */
#define CHAIN_LOOKS 4

struct model_record {
    uint64_t hash; /* plain: written before publish, read after */
    uint64_t previous;
    bool is_published;
    bool was_met;
};

struct worker {
    pthread_t thread;
    struct fst_epoch_slot *slot;
    uint64_t random_state;
    uint64_t published_count;
    uint64_t retried_count;
    uint64_t full_count;
    uint64_t error_count;
};

static struct {
    struct fst_epoch *epoch;
    struct fst_hash_index *table;
    struct model_record *records;
    uint64_t iteration_count;
    uint64_t limit; /* address at which the records end */
    fst_atomic_u64 begin;
    fst_atomic_u64 tail;
    uint32_t thread_count;
    struct worker workers[THREADS_MAX];
} stress;

static uint64_t next_random(struct worker *worker) {
    worker->random_state ^= worker->random_state << 13;
    worker->random_state ^= worker->random_state >> 7;
    worker->random_state ^= worker->random_state << 17;
    return worker->random_state;
}

static struct model_record *record_at(uint64_t address) {
    return &stress.records[(address - FST_ADDR_FIRST_RAW) / RECORD_BYTES];
}

static uint64_t hash_of(uint64_t bucket, uint64_t tag) {
    return tag << FST_INDEX_BITS_MAX | bucket;
}

/* ---- threads ---- */

/* One attempt to link a new record at the slot's head; its address, or 0. */
static uint64_t append_once(struct worker *worker, uint64_t hash, struct fst_index_slot *slot) {
    const uint64_t address = fst_add_relaxed_u64(&stress.tail, RECORD_BYTES);
    struct model_record *record;

    if (address >= stress.limit) {
        return 0;
    }
    record = record_at(address);
    record->hash = hash;
    record->previous = fst_index_slot_addr(slot).raw;
    worker->error_count += record->previous >= address;
    if (!fst_hash_index_publish(stress.table, slot, fst_addr_of(address))) {
        worker->retried_count++;
        return 0;
    }
    record->is_published = true;
    worker->published_count++;
    return address;
}

/* Follows the chain a little way, as a reader would. */
static void look_at_chain(struct worker *worker, uint64_t hash, uint64_t published) {
    struct fst_index_slot slot;
    uint64_t address;

    if (!fst_hash_index_find(stress.table, hash, &slot)) {
        worker->error_count += published >= fst_load_relaxed_u64(&stress.begin);
        return;
    }
    address = fst_index_slot_addr(&slot).raw;
    worker->error_count += address < published;
    for (int i = 0; i < CHAIN_LOOKS && address >= fst_load_relaxed_u64(&stress.begin); i++) {
        worker->error_count += record_at(address)->hash != hash;
        address = record_at(address)->previous;
    }
}

static void append_record(struct worker *worker, uint64_t hash) {
    struct fst_index_slot slot = {0};
    uint64_t address = 0;

    while (address == 0 && fst_load_relaxed_u64(&stress.tail) < stress.limit) {
        if (slot.word == NULL &&
            fst_hash_index_find_or_create(stress.table, hash, &slot) != FASTER_OK) {
            worker->full_count++;
            return;
        }
        address = append_once(worker, hash, &slot);
    }
    if (address != 0) {
        look_at_chain(worker, hash, address);
    }
}

static void raise_begin(void *context, uint64_t to) {
    uint64_t begin = fst_load_relaxed_u64(&stress.begin);

    (void)context;
    while (begin < to && !fst_cas_relaxed_u64(&stress.begin, &begin, to)) {
    }
}

/* Whoever is inside may still publish below the tail; later addresses are above it. */
static void move_begin(void) {
    const uint64_t tail = fst_load_relaxed_u64(&stress.tail);

    if (tail > FST_ADDR_FIRST_RAW + WINDOW_BYTES) {
        while (!fst_epoch_bump(stress.epoch, raise_begin, NULL, tail - WINDOW_BYTES)) {
        }
    }
}

/* Any key, or, one time in four, one of two hot ones. */
static uint64_t draw_hash(struct worker *worker) {
    const uint64_t dice = next_random(worker) >> 16;
    const uint64_t bucket = dice / 4 % BUCKET_COUNT;

    return dice % 4 == 0 ? hash_of(0, bucket % 2)
                         : hash_of(bucket, dice / 4 / BUCKET_COUNT % TAG_COUNT);
}

static void *work(void *argument) {
    struct worker *worker = argument;

    for (uint64_t i = 0; i < stress.iteration_count; i++) {
        fst_epoch_enter(stress.epoch, worker->slot);
        append_record(worker, draw_hash(worker));
        fst_epoch_leave(stress.epoch, worker->slot);
        if (i % 32 == 0) {
            move_begin();
        }
    }
    return NULL;
}

static void run_workers(uint64_t seed) {
    memset(stress.workers, 0, sizeof stress.workers);
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        struct worker *worker = &stress.workers[i];

        worker->random_state = (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        worker->slot = fst_epoch_slot_open(stress.epoch);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            fprintf(stderr, "no thread\n");
            exit(EXIT_FAILURE);
        }
    }
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        (void)pthread_join(stress.workers[i].thread, NULL);
        fst_epoch_slot_close(stress.epoch, stress.workers[i].slot);
    }
}

/* ---- the end ---- */

struct audit {
    bool was_seen[BUCKET_COUNT][TAG_COUNT];
    uint64_t met_count;
    uint64_t error_count;
};

static bool audit_entry(void *context, uint64_t bucket, uint32_t tag, fst_addr addr) {
    struct audit *audit = context;
    uint64_t address = addr.raw;

    audit->error_count += audit->was_seen[bucket][tag];
    audit->was_seen[bucket][tag] = true;
    while (address >= fst_load_relaxed_u64(&stress.begin)) {
        struct model_record *record = record_at(address);

        audit->error_count += record->was_met || !record->is_published;
        audit->error_count += record->hash != hash_of(bucket, tag);
        record->was_met = true;
        audit->met_count++;
        address = record->previous;
    }
    return true;
}

static uint64_t count_live_records(void) {
    const uint64_t tail = fst_load_relaxed_u64(&stress.tail);
    const uint64_t end = tail < stress.limit ? tail : stress.limit;
    uint64_t count = 0;

    for (uint64_t address = fst_load_relaxed_u64(&stress.begin); address < end;
         address += RECORD_BYTES) {
        count += record_at(address)->is_published;
    }
    return count;
}

/* True if all invariants hold. */
static bool audit_and_report(const char *name, uint64_t budget_bytes, bool may_be_full) {
    struct audit audit = {0};
    struct worker sum = {0};
    struct fst_hash_index_stats stats;
    const uint64_t live_count = count_live_records();

    fst_hash_index_walk(stress.table, audit_entry, &audit);
    fst_hash_index_get_stats(stress.table, &stats);
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        sum.published_count += stress.workers[i].published_count;
        sum.retried_count += stress.workers[i].retried_count;
        sum.full_count += stress.workers[i].full_count;
        sum.error_count += stress.workers[i].error_count;
    }
    printf("%s: %" PRIu64 " published, %" PRIu64 " retried, %" PRIu64 " full, %" PRIu64
           " overflow buckets, %" PRIu64 " of %" PRIu64 " live records met, %" PRIu64 " errors\n",
           name, sum.published_count, sum.retried_count, sum.full_count, stats.overflow_count,
           audit.met_count, live_count, audit.error_count + sum.error_count);
    return audit.error_count + sum.error_count == 0 && audit.met_count == live_count &&
           stats.used_bytes <= budget_bytes && (may_be_full || sum.full_count == 0);
}

/* Works on a fresh index with `pool_count` overflow buckets; true if it passes. */
static bool run_once(const char *name, uint64_t pool_count, bool may_be_full, uint64_t seed) {
    const struct faster_env *env = faster_env_posix();
    const uint64_t budget_bytes = (BUCKET_COUNT + pool_count) * 64;
    const uint64_t record_count =
        stress.iteration_count * stress.thread_count * ATTEMPTS_PER_ITERATION;
    bool has_passed;

    stress.limit = FST_ADDR_FIRST_RAW + record_count * RECORD_BYTES;
    fst_store_relaxed_u64(&stress.begin, FST_ADDR_FIRST_RAW);
    fst_store_relaxed_u64(&stress.tail, FST_ADDR_FIRST_RAW);
    stress.records = calloc(record_count, sizeof *stress.records);
    if (stress.records == NULL || fst_epoch_create(env, &stress.epoch) != FASTER_OK ||
        fst_hash_index_create(&(struct fst_hash_index_config){.env = env,
                                                              .epoch = stress.epoch,
                                                              .begin = &stress.begin,
                                                              .budget_bytes = budget_bytes,
                                                              .bits = BITS,
                                                              .bits_max = BITS,
                                                              .load_percent = FST_INDEX_LOAD_NEVER},
                              &stress.table) != FASTER_OK) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    run_workers(seed);
    has_passed = audit_and_report(name, budget_bytes, may_be_full);
    fst_hash_index_destroy(stress.table);
    fst_epoch_destroy(stress.epoch);
    free(stress.records);
    return has_passed;
}

int main(int argument_count, char **arguments) {
    const uint64_t seed = argument_count > 2 ? strtoull(arguments[2], NULL, 0) : 1;
    const uint64_t threads = argument_count > 3 ? strtoull(arguments[3], NULL, 0) : 4;
    /* What each bucket needs for its tags, and what threads that race may link besides. */
    const uint64_t pool_count = BUCKET_COUNT * (TAG_COUNT / 7 + 1 + THREADS_MAX);
    bool has_passed;

    stress.iteration_count = argument_count > 1 ? strtoull(arguments[1], NULL, 0) : 150000;
    stress.thread_count = (uint32_t)(threads < THREADS_MAX ? threads : THREADS_MAX);
    has_passed = run_once("roomy", pool_count, false, seed);
    has_passed = run_once("tight", BUCKET_COUNT, true, seed) && has_passed;
    printf("hash_index, seed %" PRIu64 ", %u threads: %s\n", seed, stress.thread_count,
           has_passed ? "ok" : "FAILED");
    return has_passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
