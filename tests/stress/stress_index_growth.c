/* stress_index_growth.c - threads append records while the index doubles many times.
 *
 * Each thread picks a key of its own set or one that all share, finds or creates its entry, takes
 * the next address for a record that links to the entry's head, publishes it, and looks the key
 * up again. The index starts with 16 buckets and doubles by its load; one thread also asks for
 * growth. Of the records, those below a mark that follows the tail count as being on disk:
 * chains are divided above it only. Done twice: with the mark and without.
 *
 * Invariants. While it runs: a key's chain holds the record that was just published, and addresses
 * fall along it. At the end: every published record is in the chain of its key; without the mark,
 * and when growth has ended, chains hold their own keys only; the index has its largest size.
 *
 * Arguments: [iterations per thread [seed [threads]]].
 */
#include "primitives/epoch.h"
#include "structures/hash_index.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 16u
#define BITS FST_INDEX_BITS_MIN
#define DOUBLINGS 9u
#define OWN_KEYS 2048u
#define SHARED_KEYS 64u
#define RECORD_BYTES 32u
#define ATTEMPTS 3u /* room for records that were given up, per iteration */
#define WALK_MAX 100000u

struct model_record {
    uint64_t hash; /* plain: written before publish, read after */
    uint64_t previous;
    bool is_published;
};

struct worker {
    pthread_t thread;
    uint32_t number;
    struct fst_epoch_slot *slot;
    uint64_t random_state;
    uint64_t published_count;
    uint64_t retried_count;
    uint64_t error_count;
};

static struct {
    struct fst_epoch *epoch;
    struct fst_hash_index *table;
    struct model_record *records;
    uint64_t iteration_count;
    uint64_t limit;
    bool has_disk;
    fst_atomic_u64 begin;
    fst_atomic_u64 tail;
    uint32_t thread_count;
    struct worker workers[THREADS_MAX];
} stress;

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static uint64_t next_random(struct worker *worker) {
    return mix(worker->random_state += UINT64_C(0x9e3779b97f4a7c15));
}

static struct model_record *record_at(uint64_t address) {
    return &stress.records[(address - FST_ADDR_FIRST_RAW) / RECORD_BYTES];
}

/* Few tags, so that chains are shared and split. */
static uint64_t hash_of_key(uint64_t key) {
    return mix(key + 1) & ~(UINT64_C(0x3ff8) << FST_INDEX_BITS_MAX);
}

static uint64_t disk_below(void) {
    const uint64_t tail = fst_load_relaxed_u64(&stress.tail);

    return stress.has_disk ? tail - (tail - FST_ADDR_FIRST_RAW) / 4 : 0;
}

static void divide(void *context, fst_addr head, const struct fst_index_halves *halves,
                   fst_addr known, fst_addr heads[2]) {
    const uint64_t disk = disk_below();
    fst_addr found[3] = {{0}, {0}, {0}};
    fst_addr rest[2] = {{0}, {0}};

    (void)context;
    for (uint64_t at = head.raw; at != 0; at = record_at(at)->previous) {
        const int half = fst_index_half_of(halves, record_at(at)->hash);

        if (at == known.raw || at < disk) {
            rest[0] = at == known.raw ? heads[0] : fst_addr_of(at);
            rest[1] = at == known.raw ? heads[1] : fst_addr_of(at);
            break;
        }
        if (found[half].raw == 0) {
            found[half] = fst_addr_of(at);
        }
        if (found[0].raw != 0 && found[1].raw != 0) {
            break;
        }
    }
    for (int half = 0; half < 2; half++) {
        heads[half] = found[half].raw != 0 ? found[half] : rest[half];
    }
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

/* True if the chain of `hash` holds the record at `address`. */
static bool is_in_chain(uint64_t hash, uint64_t address) {
    struct fst_index_slot slot;
    uint64_t at;

    if (!fst_hash_index_find(stress.table, hash, &slot)) {
        return false;
    }
    at = fst_index_slot_addr(&slot).raw;
    for (uint32_t i = 0; at > address && i < WALK_MAX; i++) {
        at = record_at(at)->previous;
    }
    return at == address;
}

static void append_record(struct worker *worker, uint64_t hash) {
    struct fst_index_slot slot = {0};
    uint64_t address = 0;

    while (address == 0 && fst_load_relaxed_u64(&stress.tail) < stress.limit) {
        if (slot.word == NULL &&
            fst_hash_index_find_or_create(stress.table, hash, &slot) != FASTER_OK) {
            worker->error_count++;
            return;
        }
        address = append_once(worker, hash, &slot);
    }
    worker->error_count += address != 0 && !is_in_chain(hash, address);
}

static void *work(void *argument) {
    struct worker *worker = argument;

    for (uint64_t i = 0; i < stress.iteration_count; i++) {
        const uint64_t dice = next_random(worker);
        /* Of a set that grows, so that new keys come all the time. */
        const uint64_t own_count = 1 + i * OWN_KEYS / stress.iteration_count;
        const uint64_t key = dice % 4 == 0
                                 ? dice / 4 % SHARED_KEYS
                                 : SHARED_KEYS + worker->number * OWN_KEYS + dice / 4 % own_count;

        fst_epoch_enter(stress.epoch, worker->slot);
        append_record(worker, hash_of_key(key));
        fst_epoch_leave(stress.epoch, worker->slot);
        if (worker->number == 0 && i % (stress.iteration_count / 4 + 1) == 100) {
            (void)!fst_hash_index_grow(stress.table, worker->slot);
        }
    }
    return NULL;
}

static void run_workers(uint64_t seed) {
    memset(stress.workers, 0, sizeof stress.workers);
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        struct worker *worker = &stress.workers[i];

        worker->number = i;
        worker->random_state = mix(seed + i);
        worker->slot = fst_epoch_slot_open(stress.epoch);
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
            fprintf(stderr, "no thread\n");
            exit(EXIT_FAILURE);
        }
    }
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        (void)pthread_join(stress.workers[i].thread, NULL);
    }
}

/* ---- the end ---- */

static bool count_foreign(void *context, uint64_t bucket, uint32_t tag, fst_addr addr) {
    const uint64_t mask = (UINT64_C(1) << fst_hash_index_bits(stress.table)) - 1;

    (void)tag;
    *(uint64_t *)context += addr.raw != 0 && (record_at(addr.raw)->hash & mask) != bucket;
    return true;
}

/* True if all invariants hold. */
static bool audit_and_report(const char *name) {
    const uint64_t tail = fst_load_relaxed_u64(&stress.tail);
    const uint64_t end = tail < stress.limit ? tail : stress.limit;
    struct fst_hash_index_stats stats;
    uint64_t lost_count = 0;
    uint64_t foreign_count = 0;
    struct worker sum = {0};

    while (fst_hash_index_grow(stress.table, stress.workers[0].slot) == FASTER_OK) {
    }
    for (uint64_t address = FST_ADDR_FIRST_RAW; address < end; address += RECORD_BYTES) {
        const struct model_record *record = record_at(address);

        lost_count += record->is_published && !is_in_chain(record->hash, address);
    }
    fst_hash_index_walk(stress.table, count_foreign, &foreign_count);
    fst_hash_index_get_stats(stress.table, &stats);
    for (uint32_t i = 0; i < stress.thread_count; i++) {
        sum.published_count += stress.workers[i].published_count;
        sum.retried_count += stress.workers[i].retried_count;
        sum.error_count += stress.workers[i].error_count;
        fst_epoch_slot_close(stress.epoch, stress.workers[i].slot);
    }
    printf("%s: %" PRIu64 " published, %" PRIu64 " retried, %" PRIu64 " growths, %" PRIu64
           " heads of the other half, %" PRIu64 " lost, %" PRIu64 " errors\n",
           name, sum.published_count, sum.retried_count, stats.growth_count, foreign_count,
           lost_count, sum.error_count);
    return sum.error_count == 0 && lost_count == 0 && (stress.has_disk || foreign_count == 0) &&
           stats.growth_count == DOUBLINGS && stats.phase == FST_INDEX_SETTLED;
}

static bool run_once(const char *name, bool has_disk, uint64_t seed) {
    const struct faster_env *env = faster_env_posix();
    const uint64_t record_count = stress.iteration_count * stress.thread_count * ATTEMPTS;
    struct fst_hash_index_config config = {.env = env,
                                           .begin = &stress.begin,
                                           .budget_bytes = UINT64_C(4) << 20,
                                           .bits = BITS,
                                           .bits_max = BITS + DOUBLINGS,
                                           .load_percent = 50,
                                           .divide = divide};
    bool has_passed;

    stress.has_disk = has_disk;
    stress.limit = FST_ADDR_FIRST_RAW + record_count * RECORD_BYTES;
    fst_store_relaxed_u64(&stress.begin, FST_ADDR_FIRST_RAW);
    fst_store_relaxed_u64(&stress.tail, FST_ADDR_FIRST_RAW);
    stress.records = calloc(record_count, sizeof *stress.records);
    if (stress.records == NULL || fst_epoch_create(env, &stress.epoch) != FASTER_OK) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    config.epoch = stress.epoch;
    if (fst_hash_index_create(&config, &stress.table) != FASTER_OK) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    run_workers(seed);
    has_passed = audit_and_report(name);
    fst_hash_index_destroy(stress.table);
    fst_epoch_destroy(stress.epoch);
    free(stress.records);
    return has_passed;
}

int main(int argument_count, char **arguments) {
    const uint64_t seed = argument_count > 2 ? strtoull(arguments[2], NULL, 0) : 1;
    const uint64_t threads = argument_count > 3 ? strtoull(arguments[3], NULL, 0) : 4;
    const uint64_t rounds = 5;
    bool has_passed = true;

    stress.iteration_count = argument_count > 1 ? strtoull(arguments[1], NULL, 0) : 20000;
    stress.thread_count = (uint32_t)(threads < THREADS_MAX ? threads : THREADS_MAX);
    for (uint64_t round = 0; round < rounds; round++) {
        has_passed = run_once("in memory", false, seed + round * 100) && has_passed;
        has_passed = run_once("on disk", true, seed + round * 100) && has_passed;
    }
    printf("index_growth, seed %" PRIu64 ", %u threads: %s\n", seed, stress.thread_count,
           has_passed ? "ok" : "FAILED");
    return has_passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
