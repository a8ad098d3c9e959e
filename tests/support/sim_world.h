/* sim_world.h - a process on the simulated disk.
 *
 * There is one world at a time. Between begin and end the engine under test runs as it is: its
 * environment is the simulated one (sim_env.c), under a struct fst_test_env that counts
 * allocations and fails them; its files are on the mounted disk (sim_disk.h); its device is the
 * product's file device under device_sim.h; its threads are fibres (sim_run.h). The linker puts
 * all of it in place: every program that calls this is linked with `sim_link` of meson.build.
 *
 * A life is what a process does between two power cuts or kills. sim_world_life() starts one on
 * what a crash left. The life before it must be closed, on its own disk, which it still has: a
 * handle stays with the disk it was opened on. So a crash in the middle of fibres is an image of
 * a boundary, taken after they all ended.
 *
 *     sim_world_begin(seed, SIM_IN_ORDER);
 *     ... the workload, closed ...
 *     disk = sim_world_take_disk();
 *     cursor = sim_cursor_create(disk, 0);
 *     while (sim_cursor_next(cursor)) {
 *         sim_world_case(draw, SIM_IN_ORDER);
 *         image = sim_cursor_image(cursor, variant, draw);
 *         sim_world_life(image);
 *         ... recovery, checks, closed ...
 *         sim_image_release(image);
 *     }
 *     sim_cursor_destroy(cursor);
 *     sim_disk_destroy(disk);
 *     sim_world_end();
 */
#ifndef FST_TESTS_SUPPORT_SIM_WORLD_H
#define FST_TESTS_SUPPORT_SIM_WORLD_H

#include "sim_disk.h"
#include "sim_run.h"

struct faster_env;
struct fst_test_env;

/* The caller becomes fibre 0, on an empty disk. Programs with SQLite call sim_sqlite_begin() of
 * sim_sqlite.h once before the first world. */
void sim_world_begin(uint64_t seed, enum sim_policy policy);
/* Everything of the engine is closed, and every disk is closed: what is left over is a failure. */
void sim_world_end(void);

/* The environment of this world, and what makes its allocations, maps, random numbers and thread
 * starts fail. faster_env_posix() returns the same environment. */
const struct faster_env *sim_world_env(void);
struct fst_test_env *sim_world_test_env(void);

/* A case of its own begins, in a world where everything is closed: time, random numbers and the
 * lives' numbers no longer depend on what was before, so that the case can be replayed alone. The
 * next life is number 2: the first one recorded what it goes on from. */
void sim_world_case(uint64_t seed, enum sim_policy policy);

/* A fresh disk with what the image holds (NULL: nothing) is mounted; the one before it goes as
 * soon as no handle of it is open. Random numbers and the process id are those of a new process. */
void sim_world_life(const struct sim_image *image);
/* Of the lives of this world, from 1 on. */
uint64_t sim_world_life_number(void);

/* The mounted disk; sim_world_life() ends its life. */
struct sim_disk *sim_world_disk(void);
/* The same, but it becomes the caller's, who destroys it: its log is needed during other lives. */
struct sim_disk *sim_world_take_disk(void);

/* Nothing of the engine's is open or allocated: 0 handles of the mounted disk, 0 live allocations;
 * else the program ends with a report. For the end of each case. */
void sim_world_expect_closed(void);

/* How many recoveries, of all lives so far, have begun with a checkpoint's copy of the index. */
uint64_t sim_world_index_recoveries(void);

/* Called at each life's begin with a number drawn for it: for what has a state of its own, as
 * SQLite's random numbers. */
void sim_world_on_life(void (*hook)(uint64_t seed));

#endif
