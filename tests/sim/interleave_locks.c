/* interleave_locks.c - key locks of a direct store under a controlled scheduler (P9).
 *
 * Built and run as interleave_direct: a fibre may lose the processor at each access to a shared
 * word. Two or three fibres lock keys, alone or beside others that write or commit without.
 *
 * Invariants: who has locked a key reads it and writes one more, in two operations, in place or
 * not, or removes it, and no update of anybody is lost; whoever changes 'a' and 'b' under locks
 * keeps them equal, and who shares both finds them so, unchanged as long as it holds them; a wait
 * that has an end ends; when all is over every lock is free.
 */
#include "arena_store.h"
#include "store/store.h"

#include <stdio.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LAST 3u             /* the session that looks before and after */
#define WAIT_NS 1000000000u /* of a clock that counts calls: longer than any schedule */
#define KEYS 3u
#define FIRST 10u /* every key's number at first */
#define FAR 100u
#define ROOM 'd' /* a key that is not looked at */

static const char NAMES[KEYS] = {'a', 'b', 'c'};

static struct {
    struct faster_store *store;
    struct faster_session *sessions[SCHED_FIBRES_MAX];
    struct faster_snapshot views[SCHED_FIBRES_MAX];
    uint64_t added[KEYS]; /* to 'a', 'b', 'c' */
    uint64_t removed;     /* what 'a' was */
    bool has_table;
    bool has_saved;
} world;

/* ---- operations ---- */

static uint64_t read_key(uint32_t fibre, char key) {
    uint64_t number = 0;
    uint64_t room[8]; /* for what a value may become */
    struct faster_buffer result = {.env = &arena_env, .data = room, .capacity_bytes = sizeof room};
    struct faster_op op = {.key = {&key, 1}, .result = &result};
    sched_expect(faster_snapshot_read(&world.views[fibre], &op) == FASTER_OK &&
                     result.size_bytes >= sizeof number,
                 "a read failed");
    memcpy(&number, result.data, sizeof number);
    return number;
}

static void write_key(uint32_t fibre, char key, uint64_t number) {
    struct faster_op op = {.key = {&key, 1}, .value = {&number, 8}};
    sched_expect(faster_session_upsert(world.sessions[fibre], &op) == FASTER_OK, "a write failed");
}

/* A value that has no room where the key's is: it goes into a record of its own. */
static void write_longer(uint32_t fibre, char key, uint64_t number) {
    const uint64_t words[8] = {number};
    struct faster_op op = {.key = {&key, 1}, .value = {words, sizeof words}};
    sched_expect(faster_session_upsert(world.sessions[fibre], &op) == FASTER_OK, "a write failed");
}

/* By somebody who has it locked. */
static void add_in_two_steps(uint32_t fibre, char key) {
    write_key(fibre, key, read_key(fibre, key) + 1);
    world.added[key - 'a']++;
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    uint64_t number = 0;
    (void)context;
    sched_point(); /* it runs outside, so anything may happen meanwhile */
    if (old != NULL) {
        memcpy(&number, old->data, 8);
    }
    number++;
    return faster_buffer_assign(value, &number, 8);
}

/* By somebody who has no lock. */
static void add_in_one_step(uint32_t fibre, char key) {
    struct faster_op op = {.key = {&key, 1}, .merge = add_one};
    const enum faster_status status = faster_session_rmw(world.sessions[fibre], &op);
    sched_expect(status == FASTER_OK || status == FASTER_BUSY, "an update failed");
    if (key != ROOM) {
        world.added[key - 'a'] += status == FASTER_OK;
    }
}

static void add_as_batch(uint32_t fibre, char first, char second) {
    const char keys[2] = {first, second};
    struct faster_op ops[2];
    for (uint32_t i = 0; i < 2; i++) {
        ops[i] = (struct faster_op){
            .kind = (int32_t)FASTER_OP_RMW, .key = {&keys[i], 1}, .merge = add_one};
    }
    sched_expect(faster_session_batch(world.sessions[fibre], ops, 2) == FASTER_OK,
                 "a batch failed");
    for (uint32_t i = 0; i < 2; i++) {
        sched_expect(ops[i].status == FASTER_OK, "an operation of a batch failed");
        world.added[keys[i] - 'a']++;
    }
}

static enum faster_status lock(uint32_t fibre, const char *keys, enum faster_lock_kind kind,
                               uint64_t wait_ns) {
    struct faster_key_lock locks[3];
    size_t count = 0;
    for (; keys[count] != '\0'; count++) {
        locks[count] = (struct faster_key_lock){.key = {&keys[count], 1}, .kind = kind};
    }
    return faster_session_lock(world.sessions[fibre], locks, count, wait_ns);
}

static void unlock(uint32_t fibre) {
    faster_session_unlock(world.sessions[fibre]);
}

/* Both, by somebody who comes to an end with it. */
static void add_to_both(uint32_t fibre, const char *keys, uint64_t wait_ns) {
    const enum faster_status status = lock(fibre, keys, FASTER_LOCK_EXCLUSIVE, wait_ns);
    sched_expect(status == FASTER_OK || (status == FASTER_BUSY && wait_ns < WAIT_NS), "no lock");
    if (status == FASTER_OK) {
        sched_expect(read_key(fibre, 'a') == read_key(fibre, 'b'), "the keys are not equal");
        add_in_two_steps(fibre, 'a');
        add_in_two_steps(fibre, 'b');
        unlock(fibre);
    }
}

static void look_at_both(uint32_t fibre) {
    sched_expect(lock(fibre, "ab", FASTER_LOCK_SHARED, WAIT_NS) == FASTER_OK, "no lock");
    const uint64_t number = read_key(fibre, 'a');
    sched_expect(read_key(fibre, 'b') == number, "the keys are not equal");
    sched_expect(read_key(fibre, 'a') == number, "a key has changed under its lock");
    unlock(fibre);
}

/* ---- before and after ---- */

static void make_store(bool has_table) {
    memset(&world, 0, sizeof world);
    world.store = arena_open_store(FASTER_WRITES_DIRECT);
    for (uint32_t i = 0; i < SCHED_FIBRES_MAX; i++) {
        if (faster_session_open(world.store, &world.sessions[i]) != FASTER_OK ||
            faster_snapshot_open_newest(world.sessions[i], &world.views[i]) != FASTER_OK) {
            abort();
        }
        add_in_one_step(i, ROOM); /* room for copies: the short way */
    }
    for (size_t i = 0; i < KEYS; i++) {
        write_key(LAST, NAMES[i], FIRST);
    }
    if (has_table) {
        if (lock(LAST, "abc", FASTER_LOCK_EXCLUSIVE, 0) != FASTER_OK) {
            abort();
        }
        unlock(LAST);
    }
    world.has_table = has_table;
    world.has_saved = true;
    arena_save();
}

static void prepare_for(bool has_table) {
    if (!world.has_saved || world.has_table != has_table) {
        make_store(has_table);
    }
    arena_restore();
    memset(world.added, 0, sizeof world.added);
}

static void prepare(void) {
    prepare_for(true);
}
static void prepare_first_lock(void) {
    prepare_for(false);
}

static void finish(void) {
    sched_expect(lock(LAST, "abc", FASTER_LOCK_EXCLUSIVE, 0) == FASTER_OK, "a lock was left");
    unlock(LAST);
    sched_expect(fst_load_relaxed_u64(&world.store->key_locks.user_count) == 0, "a user was left");
    for (size_t i = 0; i < KEYS; i++) {
        sched_expect(read_key(LAST, NAMES[i]) == FIRST + world.added[i], "an update was lost");
    }
}

/* ---- scenarios ---- */

static void run_holders(uint32_t fibre) {
    add_to_both(fibre, fibre == 0 ? "ab" : "ba", WAIT_NS);
}

static void run_holder_and_update(uint32_t fibre) {
    if (fibre == 0) {
        sched_expect(lock(0, "a", FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
        add_in_two_steps(0, 'a');
        unlock(0);
    } else {
        add_in_one_step(fibre, 'a');
        add_in_one_step(fibre, 'a');
    }
}

/* The second operation's stay in the epoch began behind the first one's merge. */
static void run_holder_and_batch(uint32_t fibre) {
    if (fibre == 0) {
        sched_expect(lock(0, "a", FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
        add_in_two_steps(0, 'a');
        unlock(0);
    } else {
        add_as_batch(fibre, 'c', 'a');
    }
}

/* The others may have found the key's record before the lock was taken, and come back to it when
 * another one has its place. */
static void add_longer(void) {
    sched_expect(lock(0, "a", FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
    write_longer(0, 'a', read_key(0, 'a') + 1);
    world.added[0]++;
    unlock(0);
}

static void run_longer_and_update(uint32_t fibre) {
    if (fibre == 0) {
        add_longer();
    } else {
        add_in_one_step(fibre, 'a');
    }
}

static void run_longer_and_batch(uint32_t fibre) {
    if (fibre == 0) {
        add_longer();
    } else {
        add_as_batch(fibre, 'c', 'a');
    }
}

/* Whoever writes blindly comes before the holder, who has read it then, or behind. */
static void run_longer_and_upsert(uint32_t fibre) {
    if (fibre == 0) {
        add_longer();
    } else {
        const uint64_t number = FAR;
        struct faster_op ops[2] = {
            {.kind = FASTER_OP_RMW, .key = {"c", 1}, .merge = add_one},
            {.kind = FASTER_OP_UPSERT, .key = {"a", 1}, .value = {&number, 8}}};
        sched_expect(faster_session_batch(world.sessions[fibre], ops, 2) == FASTER_OK &&
                         ops[0].status == FASTER_OK && ops[1].status == FASTER_OK,
                     "a batch failed");
    }
}

static void finish_far(void) {
    const uint64_t number = read_key(LAST, 'a');
    sched_expect(number == FAR || number == FAR + 1, "a write was lost");
}

/* A holder takes the key away; who adds meanwhile adds to what there was, or to nothing. */
static void run_removal_and_update(uint32_t fibre) {
    if (fibre == 0) {
        sched_expect(lock(0, "a", FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
        struct faster_op op = {.key = {"a", 1}};
        world.removed = read_key(0, 'a');
        sched_expect(faster_session_delete(world.sessions[0], &op) == FASTER_OK, "no removal");
        unlock(0);
    } else {
        add_in_one_step(fibre, 'a');
    }
}

static void finish_removal(void) {
    const uint64_t left = world.removed == FIRST ? read_key(LAST, 'a') : 0;
    sched_expect(world.removed == FIRST + 1 || left == 1, "an update was lost");
}

static void run_holder_and_reader(uint32_t fibre) {
    if (fibre == 0) {
        add_to_both(0, "ab", WAIT_NS);
    } else {
        look_at_both(fibre);
        look_at_both(fibre);
    }
}

static void run_reader_and_update(uint32_t fibre) {
    if (fibre == 0) {
        sched_expect(lock(0, "a", FASTER_LOCK_SHARED, WAIT_NS) == FASTER_OK, "no lock");
        const uint64_t number = read_key(0, 'a');
        sched_expect(read_key(0, 'a') == number, "a key has changed under its lock");
        unlock(0);
    } else {
        add_in_one_step(fibre, 'a');
    }
}

/* Its neighbour's cut makes the next write of the key a copy. */
static void run_holder_and_cut(uint32_t fibre) {
    if (fibre == 0) {
        sched_expect(lock(0, "a", FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
        add_in_two_steps(0, 'a');
        unlock(0);
    } else if (fibre == 1) {
        add_in_one_step(1, 'a');
    } else {
        sched_expect(faster_session_commit(world.sessions[2]) == FASTER_OK, "a commit failed");
    }
}

static void run_circle(uint32_t fibre) {
    static const char *const keys[] = {"ab", "bc", "ca"};
    sched_expect(lock(fibre, keys[fibre], FASTER_LOCK_EXCLUSIVE, WAIT_NS) == FASTER_OK, "no lock");
    add_in_two_steps(fibre, keys[fibre][0]);
    unlock(fibre);
}

/* Some give up; what they leave must be nothing. */
static void run_short_waits(uint32_t fibre) {
    if (fibre == 2) {
        look_at_both(2);
    } else {
        add_to_both(fibre, fibre == 0 ? "ab" : "ba", fibre);
    }
}

static void run_closed(uint32_t fibre) {
    if (fibre == 0) {
        struct faster_session *session;
        struct faster_key_lock key = {.key = {"a", 1}, .kind = FASTER_LOCK_EXCLUSIVE};
        sched_expect(faster_session_open(world.store, &session) == FASTER_OK &&
                         faster_session_lock(session, &key, 1, WAIT_NS) == FASTER_OK,
                     "no lock");
        faster_session_close(session);
    } else {
        add_in_one_step(fibre, 'a');
    }
}

static const struct sched_scenario scenarios[] = {
    {"holders", 2, prepare, run_holders, finish},
    {"first_lock", 2, prepare_first_lock, run_holders, finish},
    {"first_lock_and_update", 2, prepare_first_lock, run_holder_and_update, finish},
    {"holder_and_update", 2, prepare, run_holder_and_update, finish},
    {"holder_and_batch", 2, prepare, run_holder_and_batch, finish},
    {"longer_and_update", 2, prepare, run_longer_and_update, finish},
    {"longer_and_batch", 2, prepare, run_longer_and_batch, finish},
    {"longer_and_upsert", 2, prepare, run_longer_and_upsert, finish_far},
    {"removal_and_update", 2, prepare, run_removal_and_update, finish_removal},
    {"holder_and_reader", 2, prepare, run_holder_and_reader, finish},
    {"reader_and_update", 2, prepare, run_reader_and_update, finish},
    {"holder_and_cut", 3, prepare, run_holder_and_cut, finish},
    {"circle", 3, prepare, run_circle, finish},
    {"short_waits", 3, prepare, run_short_waits, finish},
    {"closed", 2, prepare, run_closed, finish},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
