/* stress_locks.c - many threads that lock keys of one direct store, for the thread sanitizer (P9).
 *
 * The store has so little memory that keys go to the disk and come back. Kinds of keys, by the
 * first byte:
 *
 *   a  accounts: money goes from some to others under exclusive locks, read first and then written
 *      one by one; who has all of them locked, shared or not, counts what there was at first
 *   p  numbers that are raised by read-modify-write without locks, and by a read and a write under
 *      one: the sum of what was added is exact
 *   f  what fills the memory
 *
 * Sessions are closed with locks held, waits are short and long, commits and checkpoints come
 * between. The accounts are made by whoever locks them first. All is checked at the end, and once
 * more after a close and an open.
 *
 *     stress_locks [steps per thread] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/stress_check.h"
#include "support/stress_store.h"

#define THREADS 4u
#define ACCOUNTS 24u
#define BALANCE 1000u
#define NUMBERS 40u
#define FILLERS 2000u
#define FILLER_BYTES 600u
#define PARTIES_MAX 4u
#define VALUE_BYTES_MAX 64u /* a number and what makes it change its size */
#define MS UINT64_C(1000000)
#define LONG_NS (60000 * MS)

static struct {
    fst_atomic_u64 added[NUMBERS];
    fst_atomic_u64 transfers;
    fst_atomic_u64 audits;
    fst_atomic_u64 busy_locks;
    fst_atomic_u64 busy_writes;
} shared;

static struct stress_store stress;

struct worker {
    struct faster_session *session;
    struct faster_snapshot now;
    uint64_t random;
};

static uint32_t draw(struct worker *worker, uint32_t below) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 16) % below);
}

/* ---- keys ---- */

struct name {
    char text[8];
};

static struct name name_of(char kind, uint32_t index) {
    struct name name;
    snprintf(name.text, sizeof name.text, "%c%05u", kind, index % 100000);
    return name;
}

static struct faster_bytes bytes_of(const struct name *name) {
    return (struct faster_bytes){name->text, strlen(name->text)};
}

static enum faster_status finish(struct worker *worker, const struct faster_op *op,
                                 enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(worker->session, true);
        status = op->status;
    }
    return status;
}

static uint64_t number_in(const void *bytes, size_t count) {
    uint64_t number;
    CHECK(count >= sizeof number, "a torn number", 0);
    memcpy(&number, bytes, sizeof number);
    for (size_t i = sizeof number; i < count; i++) {
        CHECK(((const unsigned char *)bytes)[i] == (unsigned char)number, "a torn number", 0);
    }
    return number;
}

static struct faster_bytes value_of(uint64_t number, size_t count, unsigned char *bytes) {
    memset(bytes, (unsigned char)number, count);
    memcpy(bytes, &number, sizeof number);
    return (struct faster_bytes){bytes, count};
}

static bool read_number(struct worker *worker, char kind, uint32_t index, uint64_t *number) {
    const struct name name = name_of(kind, index);
    struct faster_buffer result = {.env = faster_env_posix()};
    struct faster_op op = {.key = bytes_of(&name), .result = &result};
    const enum faster_status status = finish(worker, &op, faster_snapshot_read(&worker->now, &op));
    CHECK(status == FASTER_OK || status == FASTER_NOT_FOUND, "read", status);
    *number = status == FASTER_OK ? number_in(result.data, result.size_bytes) : 0;
    faster_buffer_finish(&result);
    return status == FASTER_OK;
}

/* By who has it locked. */
static void write_number(struct worker *worker, char kind, uint32_t index, uint64_t number) {
    const struct name name = name_of(kind, index);
    unsigned char bytes[VALUE_BYTES_MAX];
    const size_t count = 8 + draw(worker, VALUE_BYTES_MAX - 8);
    struct faster_op op = {.key = bytes_of(&name), .value = value_of(number, count, bytes)};
    const enum faster_status status = faster_session_upsert(worker->session, &op);
    CHECK(status == FASTER_OK, "a write under a lock", status);
}

/* ---- locks ---- */

static bool lock(struct worker *worker, char kind, const uint32_t *indexes, size_t count,
                 enum faster_lock_kind how, uint64_t wait_ns) {
    struct name names[ACCOUNTS];
    struct faster_key_lock locks[ACCOUNTS];
    for (size_t i = 0; i < count; i++) {
        names[i] = name_of(kind, indexes[i]);
        locks[i] = (struct faster_key_lock){.key = bytes_of(&names[i]), .kind = how};
    }
    const enum faster_status status = faster_session_lock(worker->session, locks, count, wait_ns);
    CHECK(status == FASTER_OK || (status == FASTER_BUSY && wait_ns < LONG_NS), "lock", status);
    fst_add_relaxed_u64(&shared.busy_locks, status == FASTER_BUSY);
    return status == FASTER_OK;
}

static bool lock_all(struct worker *worker, enum faster_lock_kind how, uint64_t wait_ns) {
    uint32_t indexes[ACCOUNTS];
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        indexes[i] = i;
    }
    return lock(worker, 'a', indexes, ACCOUNTS, how, wait_ns);
}

static uint64_t draw_wait(struct worker *worker) {
    return draw(worker, 4) == 0 ? draw(worker, 2) * MS : LONG_NS;
}

/* ---- steps ---- */

static void open_accounts(struct worker *worker) {
    uint64_t balance;
    (void)lock_all(worker, FASTER_LOCK_EXCLUSIVE, LONG_NS);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        if (!read_number(worker, 'a', i, &balance)) {
            write_number(worker, 'a', i, BALANCE);
        }
    }
    faster_session_unlock(worker->session);
}

static void audit(struct worker *worker) {
    uint64_t balance;
    if (!lock_all(worker, FASTER_LOCK_SHARED, draw_wait(worker))) {
        return;
    }
    for (uint32_t round = 0; round < 2; round++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < ACCOUNTS; i++) {
            (void)read_number(worker, 'a', i, &balance);
            sum += balance;
        }
        CHECK(sum == (uint64_t)ACCOUNTS * BALANCE, "the sum of all accounts has changed", 0);
    }
    faster_session_unlock(worker->session);
    fst_add_relaxed_u64(&shared.audits, 1);
}

/* From the first to each of the others, which may be the same one. */
static void transfer(struct worker *worker) {
    uint32_t parties[PARTIES_MAX];
    const uint32_t count = 2 + draw(worker, PARTIES_MAX - 1);
    for (uint32_t i = 0; i < count; i++) {
        parties[i] = draw(worker, ACCOUNTS);
    }
    if (!lock(worker, 'a', parties, count, FASTER_LOCK_EXCLUSIVE, draw_wait(worker))) {
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        uint64_t from;
        uint64_t to;
        (void)read_number(worker, 'a', parties[0], &from);
        const uint64_t amount = from == 0 ? 0 : draw(worker, (uint32_t)from);
        write_number(worker, 'a', parties[0], from - amount);
        (void)read_number(worker, 'a', parties[i], &to);
        write_number(worker, 'a', parties[i], to + amount);
    }
    faster_session_unlock(worker->session);
    fst_add_relaxed_u64(&shared.transfers, 1);
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    unsigned char bytes[VALUE_BYTES_MAX];
    const size_t *count = context;
    const uint64_t number = old == NULL ? 0 : number_in(old->data, old->size_bytes);
    const struct faster_bytes made = value_of(number + 1, *count, bytes);
    return faster_buffer_assign(value, made.data, made.size_bytes);
}

static void add_without_lock(struct worker *worker) {
    struct name names[PARTIES_MAX];
    struct faster_op ops[PARTIES_MAX] = {0};
    uint32_t indexes[PARTIES_MAX];
    size_t count_bytes = 8 + draw(worker, VALUE_BYTES_MAX - 8);
    const size_t count = 1 + draw(worker, PARTIES_MAX);
    for (size_t i = 0; i < count; i++) {
        indexes[i] = draw(worker, NUMBERS);
        names[i] = name_of('p', indexes[i]);
        ops[i] = (struct faster_op){.kind = (int32_t)FASTER_OP_RMW,
                                    .key = bytes_of(&names[i]),
                                    .merge = add_one,
                                    .context = &count_bytes};
    }
    enum faster_status status = count == 1 ? faster_session_rmw(worker->session, ops)
                                           : faster_session_batch(worker->session, ops, count);
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(worker->session, true);
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(ops[i].status == FASTER_OK || ops[i].status == FASTER_BUSY, "update", ops[i].status);
        fst_add_relaxed_u64(&shared.added[indexes[i]], ops[i].status == FASTER_OK);
        fst_add_relaxed_u64(&shared.busy_writes, ops[i].status == FASTER_BUSY);
    }
}

static void add_with_lock(struct worker *worker) {
    const uint32_t index = draw(worker, NUMBERS);
    uint64_t number;
    if (lock(worker, 'p', &index, 1, FASTER_LOCK_EXCLUSIVE, draw_wait(worker))) {
        (void)read_number(worker, 'p', index, &number);
        write_number(worker, 'p', index, number + 1);
        fst_add_relaxed_u64(&shared.added[index], 1);
        faster_session_unlock(worker->session);
    }
}

static void fill(struct worker *worker) {
    static const unsigned char filler[FILLER_BYTES];
    const struct name name = name_of('f', draw(worker, FILLERS));
    struct faster_op op = {.key = bytes_of(&name), .value = {filler, sizeof filler}};
    const enum faster_status status = faster_session_upsert(worker->session, &op);
    CHECK(status == FASTER_OK || status == FASTER_BUSY, "filler", status);
}

static void open_session(struct worker *worker) {
    enum faster_status status = faster_session_open(stress.store, &worker->session);
    CHECK(status == FASTER_OK, "session", status);
    status = faster_snapshot_open_newest(worker->session, &worker->now);
    CHECK(status == FASTER_OK, "snapshot", status);
}

static void close_session(struct worker *worker) {
    faster_snapshot_close(&worker->now);
    faster_session_close(worker->session);
}

static void step(struct worker *worker) {
    const uint32_t dice = draw(worker, 64);
    if (dice < 20) {
        transfer(worker);
    } else if (dice < 26) {
        audit(worker);
    } else if (dice < 40) {
        add_without_lock(worker);
    } else if (dice < 48) {
        add_with_lock(worker);
    } else if (dice < 62) {
        fill(worker);
    } else if (dice == 62) {
        const enum faster_status status = faster_session_commit(worker->session);
        CHECK(status == FASTER_OK, "commit", status);
    } else {
        (void)lock_all(worker, FASTER_LOCK_SHARED, draw_wait(worker));
        close_session(worker);
        open_session(worker);
    }
}

static void *work(void *number) {
    struct worker worker = {.random = stress.seed ^ ((uintptr_t)number << 32)};
    open_session(&worker);
    open_accounts(&worker);
    for (uint64_t i = 0; i < stress.steps; i++) {
        step(&worker);
    }
    close_session(&worker);
    return NULL;
}

static void check_all(const char *what) {
    struct worker worker = {.random = 1};
    open_session(&worker);
    audit(&worker);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        uint64_t number;
        (void)read_number(&worker, 'p', i, &number);
        CHECK(number == fst_load_relaxed_u64(&shared.added[i]), what, 0);
    }
    close_session(&worker);
}

int main(int argc, char **argv) {
    stress = (struct stress_store){
        .program = "stress_locks", .thread_count = THREADS, .work = work, .check_all = check_all};
    stress_store_arguments(&stress, argc, argv, 5000);
    struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .page_bytes = 16 << 10,
                                     .segment_bytes = 256 << 10,
                                     .key_lock_wait_ns = stress.seed % 2 == 0 ? 1 : 0,
                                     .checkpoint_bytes = 512 << 10,
                                     .checkpoint_interval_ms = 50};
    stress_store_run(&stress, &options);
    printf("stress_locks: %llu transfers, %llu audits, %llu locks and %llu writes BUSY: "
           "0 differences\n",
           (unsigned long long)fst_load_relaxed_u64(&shared.transfers),
           (unsigned long long)fst_load_relaxed_u64(&shared.audits),
           (unsigned long long)fst_load_relaxed_u64(&shared.busy_locks),
           (unsigned long long)fst_load_relaxed_u64(&shared.busy_writes));
    return 0;
}
