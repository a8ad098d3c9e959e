/* sim_sqlite.c - see sim_sqlite.h.
 *
 * SQLite stays in its multi-threaded mode, though there is one thread: without mutexes,
 * sqlite3_db_mutex() would be NULL, and the extension would take another fibre's connection for
 * one that is not in use.
 */
#include "sim_sqlite.h"

#include <stdlib.h>

#include "sim_run.h"
#include "sim_vfs.h"
#include "sim_world.h"

#define STATIC_MUTEXES 16
#define BUSY_TIMEOUT_MS 10000
#define VFS_STREAM 0x53514c69746500u /* tells its random numbers from the engine's */

struct sqlite3_api_routines;
int sqlite3_faster_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

/* ---- mutexes ---- */

struct sqlite3_mutex {
    const void *owner; /* sim_self(), or NULL */
    uint32_t depth;
    uint32_t waiter_count;
};

static struct sqlite3_mutex static_mutexes[STATIC_MUTEXES];

/* Outside of fibres there is one thread. */
static const void *self(void) {
    static const char outside;

    return sim_is_fibre() ? sim_self() : &outside;
}

static int mutex_init(void) {
    return SQLITE_OK;
}

static int mutex_end(void) {
    return SQLITE_OK;
}

static sqlite3_mutex *mutex_alloc(int kind) {
    if (kind >= SQLITE_MUTEX_STATIC_MAIN) {
        return &static_mutexes[kind % STATIC_MUTEXES];
    }
    return calloc(1, sizeof(struct sqlite3_mutex));
}

static void mutex_free(sqlite3_mutex *mutex) {
    free(mutex);
}

static int mutex_try(sqlite3_mutex *mutex) {
    if (mutex->owner != NULL && mutex->owner != self()) {
        return SQLITE_BUSY;
    }
    mutex->owner = self();
    mutex->depth++;
    return SQLITE_OK;
}

static void mutex_enter(sqlite3_mutex *mutex) {
    while (mutex_try(mutex) != SQLITE_OK) {
        mutex->waiter_count++;
        (void)sim_wait(mutex, UINT64_MAX);
        mutex->waiter_count--;
    }
}

static void mutex_leave(sqlite3_mutex *mutex) {
    if (--mutex->depth == 0) {
        mutex->owner = NULL;
        if (mutex->waiter_count > 0) {
            sim_wake(mutex, false);
        }
    }
}

static int mutex_held(sqlite3_mutex *mutex) {
    return mutex->owner == self();
}

static int mutex_not_held(sqlite3_mutex *mutex) {
    return mutex->owner != self();
}

/* ---- the allocator ---- */

static sqlite3_mem_methods system_methods;
static struct {
    uint64_t calls;
    uint64_t outstanding;
    uint64_t fails_at; /* the number of a call; 0: none */
    bool for_ever;
    bool has_failed;
} memory;

static bool must_fail(void) {
    memory.calls++;
    if (memory.fails_at == 0 || memory.calls < memory.fails_at ||
        (memory.calls > memory.fails_at && !memory.for_ever)) {
        return false;
    }
    memory.has_failed = true;
    return true;
}

static void *memory_malloc(int size_bytes) {
    void *allocated = must_fail() ? NULL : system_methods.xMalloc(size_bytes);

    memory.outstanding += allocated != NULL;
    return allocated;
}

static void memory_free(void *allocated) {
    memory.outstanding -= allocated != NULL;
    system_methods.xFree(allocated);
}

static void *memory_realloc(void *allocated, int size_bytes) {
    return must_fail() ? NULL : system_methods.xRealloc(allocated, size_bytes);
}

void sim_sqlite_fail_allocation(uint64_t nth, bool for_ever) {
    memory.fails_at = nth == 0 ? 0 : memory.calls + nth;
    memory.for_ever = for_ever;
    memory.has_failed = false;
}

bool sim_sqlite_failed(void) {
    return memory.has_failed;
}

uint64_t sim_sqlite_allocations(void) {
    return memory.calls;
}

uint64_t sim_sqlite_outstanding(void) {
    return memory.outstanding;
}

/* ---- set up ---- */

static const sqlite3_mutex_methods mutex_methods = {
    .xMutexInit = mutex_init,
    .xMutexEnd = mutex_end,
    .xMutexAlloc = mutex_alloc,
    .xMutexFree = mutex_free,
    .xMutexEnter = mutex_enter,
    .xMutexTry = mutex_try,
    .xMutexLeave = mutex_leave,
    .xMutexHeld = mutex_held,
    .xMutexNotheld = mutex_not_held,
};

static void must(int rc, const char *what) {
    if (rc != SQLITE_OK) {
        sim_fail("%s: %s", what, sqlite3_errstr(rc));
    }
}

static void on_life(uint64_t seed) {
    sim_vfs_life(sim_mix(VFS_STREAM, seed));
}

void sim_sqlite_begin(void) {
    sqlite3_mem_methods methods;

    must(sqlite3_config(SQLITE_CONFIG_MUTEX, &mutex_methods), "sqlite3_config(MUTEX)");
    must(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_methods), "sqlite3_config(GETMALLOC)");
    methods = system_methods;
    methods.xMalloc = memory_malloc;
    methods.xFree = memory_free;
    methods.xRealloc = memory_realloc;
    must(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), "sqlite3_config(MALLOC)");
    must(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), "sqlite3_config(MEMSTATUS)");
    must(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), "sqlite3_config(LOOKASIDE)");
    must(sqlite3_initialize(), "sqlite3_initialize");
    must(sim_vfs_register(), "sqlite3_vfs_register");
    sim_world_on_life(on_life);
}

/* ---- connections ---- */

int sim_db_try_open(const char *path, bool with_extension, sqlite3 **db) {
    int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, SIM_VFS_NAME);

    if (rc == SQLITE_OK && with_extension) {
        rc = sqlite3_faster_init(*db, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_extended_result_codes(*db, 1);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_busy_timeout(*db, BUSY_TIMEOUT_MS);
    }
    return rc;
}

sqlite3 *sim_db_open(const char *path, bool with_extension) {
    sqlite3 *db = NULL;

    must(sim_db_try_open(path, with_extension, &db), path);
    return db;
}

void sim_db_close(sqlite3 *db) {
    must(sqlite3_close(db), "sqlite3_close");
}
