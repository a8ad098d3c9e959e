/* real_limits.h - parts of the test of real limits; see real_limits.c. */
#ifndef TESTS_LIMITS_REAL_LIMITS_H
#define TESTS_LIMITS_REAL_LIMITS_H

#include <sys/types.h>

#include "client.h"

#define ROW_COUNT 1500u
#define ROW_BYTES_MAX 3000u

/* A store, and what is in it. */
struct world {
    struct client_config config;
    struct client client;
    struct random_state random;
    char disk[TEST_PATH_BYTES]; /* where the file system is mounted */
    unsigned newest;
    unsigned version[ROW_COUNT]; /* committed; 0: no row */
    unsigned tried[ROW_COUNT];
};

void world_open(struct world *world);
/* Writes so many rows, and commits; a transaction that fails is rolled back. */
enum client_code world_write(struct world *world, unsigned count);
/* Reads all rows and compares. */
void world_check(struct world *world, const char *when);
/* Lifted limits: everything is there and works, also after a reopen. Closes. */
void world_go_on(struct world *world);
void world_must(const struct world *world, enum client_code code, const char *what);
/* A limit that was met: the code, and a word of the message. */
void world_expect(const struct world *world, enum client_code code, enum client_code expected,
                  const char *word);

/* The directory of the memory cgroup that a case's process may make. */
void limit_cgroup(pid_t pid, char path[TEST_PATH_BYTES]);

struct limit_case {
    const char *name;
    uint64_t memory_bytes;
    uint64_t segment_bytes;
    void (*run)(struct world *world);
};
extern const struct limit_case limit_cases[]; /* ended by a NULL name */

#endif
