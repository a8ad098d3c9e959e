/* stress_epoch.c - threads enter, leave and bump as fast as they can.
 *
 * A shared pointer names the current object. Threads look at it from inside the epoch;
 * some replace it and give the old one to fst_epoch_bump(), whose action poisons and frees
 * it. Some bumps come from inside, and slots are closed and opened on the way. Best run
 * with an address or a thread sanitizer; the poison shows an early action without one.
 *
 * All of it twice: as the system allows, and as where it cannot fence all threads.
 *
 * Invariants: nobody inside sees a poisoned object; each replaced object is freed once;
 * once all threads have left, no action waits.
 *
 * Arguments: [iterations per thread [seed [threads]]]. The same arguments repeat the same
 * work, though not its interleaving.
 */
#include "primitives/epoch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64u
#define OBJECT_ALIVE UINT64_C(0x616c697665616c69)
#define OBJECT_DEAD UINT64_C(0xdeaddeaddeaddead)
#define LOOKS 4

struct object {
    uint64_t state;
    uint64_t serial;
};

struct worker {
    pthread_t thread;
    uint64_t random_state;
    uint64_t replaced_count;
    uint64_t read_count;
    uint64_t refused_count;
    uint64_t error_count;
};

static struct {
    struct fst_epoch *epoch;
    uint64_t iteration_count;
    fst_atomic_ptr current_object;
    fst_atomic_u64 freed_count;
    fst_atomic_u64 wrong_count;
    struct worker workers[THREADS_MAX];
} stress;

static uint64_t next_random(struct worker *worker) {
    worker->random_state ^= worker->random_state << 13;
    worker->random_state ^= worker->random_state >> 7;
    worker->random_state ^= worker->random_state << 17;
    return worker->random_state;
}

static struct object *make_object(uint64_t serial) {
    struct object *object = malloc(sizeof *object);

    if (object == NULL) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    *object = (struct object){OBJECT_ALIVE, serial};
    return object;
}

static void free_object(void *context, uint64_t serial) {
    struct object *object = context;

    if (object->state != OBJECT_ALIVE || object->serial != serial) {
        (void)fst_add_relaxed_u64(&stress.wrong_count, 1);
    }
    object->state = OBJECT_DEAD;
    free(object);
    (void)fst_add_relaxed_u64(&stress.freed_count, 1);
}

static void read_object(struct worker *worker, struct fst_epoch_slot *slot) {
    const volatile struct object *object;

    fst_epoch_enter(stress.epoch, slot);
    object = fst_load_acquire_ptr(&stress.current_object);
    for (int i = 0; i < LOOKS; i++) {
        worker->error_count += object->state != OBJECT_ALIVE;
    }
    fst_epoch_leave(stress.epoch, slot);
    worker->read_count++;
}

/* `slot`: bump from inside, or NULL. */
static void replace_object(struct worker *worker, struct fst_epoch_slot *slot) {
    struct object *fresh = make_object(next_random(worker));
    struct object *old;
    uint64_t serial;
    bool is_taken;

    if (slot != NULL) {
        fst_epoch_enter(stress.epoch, slot);
    }
    old = fst_exchange_acq_rel_ptr(&stress.current_object, fresh);
    serial = old->serial;
    is_taken = fst_epoch_bump(stress.epoch, free_object, old, serial);
    if (slot != NULL) {
        worker->error_count += is_taken && *(volatile uint64_t *)&old->state != OBJECT_ALIVE;
        fst_epoch_leave(stress.epoch, slot);
    }
    while (!is_taken) {
        worker->refused_count++;
        is_taken = fst_epoch_bump(stress.epoch, free_object, old, serial);
    }
    worker->replaced_count++;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct fst_epoch_slot *slot = fst_epoch_slot_open(stress.epoch);

    for (uint64_t i = 0; i < stress.iteration_count; i++) {
        const uint64_t dice = next_random(worker) >> 32;

        if (dice % 8 == 0) {
            replace_object(worker, dice % 16 == 0 ? slot : NULL);
        } else {
            read_object(worker, slot);
        }
        if (dice % 61 == 0) {
            fst_epoch_slot_close(stress.epoch, slot);
            slot = fst_epoch_slot_open(stress.epoch);
        }
    }
    fst_epoch_slot_close(stress.epoch, slot);
    return NULL;
}

static void run_workers(uint32_t thread_count, uint64_t seed) {
    for (uint32_t i = 0; i < thread_count; i++) {
        stress.workers[i].random_state = (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        if (pthread_create(&stress.workers[i].thread, NULL, work, &stress.workers[i]) != 0) {
            fprintf(stderr, "no thread\n");
            exit(EXIT_FAILURE);
        }
    }
    for (uint32_t i = 0; i < thread_count; i++) {
        (void)pthread_join(stress.workers[i].thread, NULL);
    }
}

/* True if all invariants hold. */
static bool report(uint32_t thread_count) {
    struct worker sum = {0};
    const uint64_t freed_count = fst_load_relaxed_u64(&stress.freed_count);
    const bool has_actions = fst_epoch_has_actions(stress.epoch);

    sum.error_count = fst_load_relaxed_u64(&stress.wrong_count);
    for (uint32_t i = 0; i < thread_count; i++) {
        sum.replaced_count += stress.workers[i].replaced_count;
        sum.read_count += stress.workers[i].read_count;
        sum.refused_count += stress.workers[i].refused_count;
        sum.error_count += stress.workers[i].error_count;
    }
    printf("%" PRIu64 " reads, %" PRIu64 " replaced, %" PRIu64 " freed, %" PRIu64
           " bumps refused, %" PRIu64 " errors%s\n",
           sum.read_count, sum.replaced_count, freed_count, sum.refused_count, sum.error_count,
           has_actions ? ", an action was left behind" : "");
    return sum.error_count == 0 && freed_count == sum.replaced_count && !has_actions;
}

/* One epoch from its beginning to its end. */
static bool run(const struct faster_env *env, uint32_t thread_count, uint64_t seed) {
    bool has_passed;

    memset(stress.workers, 0, sizeof stress.workers);
    fst_store_relaxed_u64(&stress.freed_count, 0);
    if (fst_epoch_create(env, &stress.epoch) != FASTER_OK) {
        return false;
    }
    /* release: pairs with the acquire in read_object() */
    fst_store_release_ptr(&stress.current_object, make_object(0));
    run_workers(thread_count, seed);
    has_passed = report(thread_count);
    free(fst_load_acquire_ptr(&stress.current_object));
    fst_epoch_destroy(stress.epoch);
    return has_passed;
}

static bool cannot_fence_threads(const struct faster_env *env) {
    (void)env;
    return false;
}

int main(int argument_count, char **arguments) {
    const uint64_t seed = argument_count > 2 ? strtoull(arguments[2], NULL, 0) : 1;
    const uint64_t threads = argument_count > 3 ? strtoull(arguments[3], NULL, 0) : 4;
    const uint32_t thread_count = (uint32_t)(threads < THREADS_MAX ? threads : THREADS_MAX);
    struct faster_env without = *faster_env_posix();
    bool has_passed;

    without.fence_threads = cannot_fence_threads;
    stress.iteration_count = argument_count > 1 ? strtoull(arguments[1], NULL, 0) : 200000;
    has_passed = run(faster_env_posix(), thread_count, seed);
    has_passed = run(&without, thread_count, seed) && has_passed;
    printf("epoch, seed %" PRIu64 ", %u threads: %s\n", seed, thread_count,
           has_passed ? "ok" : "FAILED");
    return has_passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
