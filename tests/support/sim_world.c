/* sim_world.c - see sim_world.h. */
#include "sim_world.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "device_sim.h"
#include "procedures/index_read.h"
#include "sim_crash.h"
#include "sim_env.h"
#include "test_env.h"

/* Disks of lives that have ended, but of which something is still open. */
#define OLD_DISKS_MAX 4u
#define KEPT_BYTES (16 << 20)

const struct faster_env *__real_faster_env_posix(void);
const struct faster_env *__wrap_faster_env_posix(void);
enum faster_status __real_fst_index_read_load(struct fst_index_read *work);
enum faster_status __wrap_fst_index_read_load(struct fst_index_read *work);

static struct {
    struct fst_test_env *test;
    const struct faster_env *env; /* what the engine is given; NULL: no world */
    struct sim_disk *disk;
    bool is_taken; /* the caller destroys it */
    struct sim_disk *old[OLD_DISKS_MAX];
    uint64_t seed;
    uint64_t life;
    void (*on_life)(uint64_t seed);
    uint64_t index_recoveries;
} world;

const struct faster_env *__wrap_faster_env_posix(void) {
    return world.env != NULL ? world.env : __real_faster_env_posix();
}

enum faster_status __wrap_fst_index_read_load(struct fst_index_read *work) {
    const enum faster_status status = __real_fst_index_read_load(work);
    world.index_recoveries += status == FASTER_OK;
    return status;
}

uint64_t sim_world_index_recoveries(void) {
    return world.index_recoveries;
}

/* ---- disks ---- */

static void destroy_unused_disks(void) {
    for (unsigned i = 0; i < OLD_DISKS_MAX; i++) {
        if (world.old[i] != NULL && sim_disk_open_handles(world.old[i]) == 0) {
            sim_disk_destroy(world.old[i]);
            world.old[i] = NULL;
        }
    }
}

static void put_away(struct sim_disk *disk) {
    for (unsigned i = 0; i < OLD_DISKS_MAX; i++) {
        if (world.old[i] == NULL) {
            world.old[i] = disk;
            return;
        }
    }
    sim_fail("too many lives have left something open");
}

static void end_life(void) {
    (void)sim_disk_mount(NULL);
    if (world.disk != NULL && !world.is_taken) {
        put_away(world.disk);
    }
    world.disk = NULL;
    world.is_taken = false;
    destroy_unused_disks();
}

void sim_world_life(const struct sim_image *image) {
    end_life();
    world.life++;
    world.disk = sim_disk_create(image);
    (void)sim_disk_mount(world.disk);
    sim_env_life(world.seed, world.life);
    if (world.on_life != NULL) {
        world.on_life(sim_mix(world.seed, world.life));
    }
}

uint64_t sim_world_life_number(void) {
    return world.life;
}

struct sim_disk *sim_world_disk(void) {
    return world.disk;
}

struct sim_disk *sim_world_take_disk(void) {
    world.is_taken = true;
    return world.disk;
}

/* ---- the world ---- */

void sim_world_case(uint64_t seed, enum sim_policy policy) {
    sim_run_reseed(seed, policy);
    device_sim_reset();
    fst_test_env_heal_all(world.test);
    world.seed = seed;
    world.life = 1;
}

/* Lives are short and alike: what one gives back, the next one needs. */
static void keep_memory(void) {
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_TOP_PAD, KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
#endif
}

void sim_world_begin(uint64_t seed, enum sim_policy policy) {
    keep_memory();
    sim_run_begin(seed, policy);
    device_sim_reset();
    sim_log_identify(sim_fibre_number);
    world.seed = seed;
    world.life = 0;
    world.env = sim_env(); /* what the test environment is to wrap */
    world.test = fst_test_env_create();
    if (world.test == NULL) {
        sim_fail("no memory for a world");
    }
    world.env = fst_test_env_get(world.test);
    sim_world_life(NULL);
}

void sim_world_expect_closed(void) {
    const struct sim_disk *disk = sim_disk_mounted(); /* not one that was taken and destroyed */
    const uint64_t handles = disk == NULL ? 0 : sim_disk_open_handles(disk);
    const uint64_t allocations = fst_test_env_live_allocations(world.test);

    if (handles > 0 || allocations > 0) {
        sim_fail("left over: %" PRIu64 " open files, %" PRIu64 " allocations", handles,
                 allocations);
    }
}

void sim_world_end(void) {
    sim_world_expect_closed();
    end_life();
    for (unsigned i = 0; i < OLD_DISKS_MAX; i++) {
        if (world.old[i] != NULL) {
            sim_fail("a file of a life before is still open");
        }
    }
    sim_run_end();
    fst_test_env_destroy(world.test);
    world.test = NULL;
    world.env = NULL;
}

const struct faster_env *sim_world_env(void) {
    return world.env;
}

struct fst_test_env *sim_world_test_env(void) {
    return world.test;
}

void sim_world_on_life(void (*hook)(uint64_t seed)) {
    world.on_life = hook;
}
