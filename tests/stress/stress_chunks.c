/* stress_chunks.c - values around and above a page from many threads, for the thread sanitizer (P2,
 * P4, P9).
 *
 * A direct store of the least memory there is, in which every operation, alone or left pending with
 * others, works on a few keys. A value is made from its key and a number: whoever reads one can
 * tell whether it is whole, and of which number. Its size follows from the number, from some bytes
 * to some pages, so that keys go from small to large and back all the time. Kinds of keys, by the
 * first byte:
 *
 *   n  raised by one with read-modify-write: the last number is the count of successes
 *   c  the same with compare-and-set
 *   v  set to any number, and deleted
 *
 * Scans, verifies and commits run in between. All of it is checked at the end, and once more after
 * a close and an open.
 *
 *     stress_chunks [operations per thread] [seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "faster.h"
#include "support/stress_check.h"
#include "support/stress_store.h"

#define THREADS 4u
#define KEYS 12u /* of each kind */
#define KEY_BYTES 2u
#define PAGE_BYTES (16u << 10)
#define VALUE_BYTES_MAX (4u * PAGE_BYTES)
#define GROUP 3u /* operations left pending together */

static struct {
    fst_atomic_u64 raised[KEYS];
    fst_atomic_u64 swapped[KEYS];
    fst_atomic_u64 commits;
    fst_atomic_u64 scans;
    fst_atomic_u64 large_reads;
} shared;

static struct stress_store stress;

struct worker {
    struct faster_session *session;
    struct faster_snapshot now; /* each read sees the newest value */
    uint64_t random;
};

/* One operation with all that it needs. */
struct call {
    struct faster_op op;
    struct faster_buffer result;
    unsigned char key[KEY_BYTES];
    unsigned char value[VALUE_BYTES_MAX];
    unsigned char expected[VALUE_BYTES_MAX];
};

static uint32_t draw(struct worker *worker, uint32_t below) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (uint32_t)((worker->random >> 16) % below);
}

/* ---- values ---- */

static uint64_t mix(uint64_t word) {
    word = (word ^ word >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return word ^ word >> 29;
}

static size_t size_of(uint64_t number) {
    const uint64_t mixed = mix(number);
    const uint32_t most = mixed % 4 == 0 ? 100 : mixed % 4 == 1 ? 2 * PAGE_BYTES : VALUE_BYTES_MAX;
    return 16 + (size_t)((mixed >> 8) % (most - 24));
}

static uint64_t word_at(const unsigned char *key, uint64_t number, size_t i) {
    return mix(number + ((uint64_t)key[0] << 40) + ((uint64_t)key[1] << 48)) + i;
}

static size_t make_value(unsigned char *bytes, const unsigned char *key, uint64_t number) {
    const size_t count = size_of(number);
    memcpy(bytes, &number, 8);
    for (size_t i = 8; i < count; i += 8) {
        const uint64_t word = word_at(key, number, i);
        memcpy(bytes + i, &word, count - i < 8 ? count - i : 8);
    }
    return count;
}

static uint64_t number_in(const struct faster_bytes *value, const unsigned char *key) {
    const unsigned char *bytes = value->data;
    uint64_t number;
    CHECK(value->size_bytes >= 16, "a short value", 0);
    memcpy(&number, bytes, 8);
    CHECK(value->size_bytes == size_of(number), "a value of another size", 0);
    for (size_t i = 8; i < value->size_bytes; i += 8) {
        const uint64_t word = word_at(key, number, i);
        const size_t left = value->size_bytes - i;
        CHECK(memcmp(bytes + i, &word, left < 8 ? left : 8) == 0, "a torn value", 0);
    }
    return number;
}

/* ---- operations ---- */

static void set_key(struct call *call, char kind, uint32_t index) {
    call->key[0] = (unsigned char)kind;
    call->key[1] = (unsigned char)index;
    call->result.env = faster_env_posix();
    call->op =
        (struct faster_op){.key = {call->key, KEY_BYTES}, .context = call, .result = &call->result};
}

static enum faster_status wait_for(struct worker *worker, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(worker->session, true);
        status = op->status;
    }
    return status;
}

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *value) {
    struct call *call = context;
    const uint64_t number = old == NULL ? 0 : number_in(old, call->key);
    return faster_buffer_assign(value, call->value, make_value(call->value, call->key, number + 1));
}

static enum faster_status start_read(struct worker *worker, struct call *call) {
    return faster_snapshot_read(&worker->now, &call->op);
}

/* The number of the value read, 0 if there is none. */
static uint64_t finish_read(const struct call *call, enum faster_status status) {
    if (status == FASTER_NOT_FOUND) {
        return 0;
    }
    CHECK(status == FASTER_OK, "a read", status);
    const struct faster_bytes value = {call->result.data, call->result.size_bytes};
    fst_add_relaxed_u64(&shared.large_reads, value.size_bytes > PAGE_BYTES);
    return number_in(&value, call->key);
}

static void raise_number(struct worker *worker, struct call *call) {
    const uint32_t index = draw(worker, KEYS);
    set_key(call, 'n', index);
    call->op.merge = add_one;
    enum faster_status status =
        wait_for(worker, &call->op, faster_session_rmw(worker->session, &call->op));
    CHECK(status == FASTER_OK, "rmw", status);
    fst_add_relaxed_u64(&shared.raised[index], 1);
}

static void swap_number(struct worker *worker, struct call *call) {
    const uint32_t index = draw(worker, KEYS);
    set_key(call, 'c', index);
    const uint64_t number =
        finish_read(call, wait_for(worker, &call->op, start_read(worker, call)));
    set_key(call, 'c', index);
    call->op.value =
        (struct faster_bytes){call->value, make_value(call->value, call->key, number + 1)};
    enum faster_status status;
    if (number == 0) {
        status = faster_session_insert(worker->session, &call->op);
    } else {
        call->op.expected =
            (struct faster_bytes){call->expected, make_value(call->expected, call->key, number)};
        status = faster_session_compare_and_set(worker->session, &call->op);
    }
    status = wait_for(worker, &call->op, status);
    CHECK(status == FASTER_OK || status == FASTER_EXISTS, "compare-and-set", status);
    fst_add_relaxed_u64(&shared.swapped[index], status == FASTER_OK);
}

static enum faster_status start_any(struct worker *worker, struct call *call) {
    set_key(call, 'v', draw(worker, KEYS));
    if (draw(worker, 3) == 0) {
        return start_read(worker, call);
    }
    if (draw(worker, 6) == 0) {
        return faster_session_delete(worker->session, &call->op);
    }
    call->op.value = (struct faster_bytes){
        call->value, make_value(call->value, call->key, 1 + draw(worker, 1u << 20))};
    return draw(worker, 4) == 0 ? faster_session_insert(worker->session, &call->op)
                                : faster_session_upsert(worker->session, &call->op);
}

static void run_group(struct worker *worker, struct call *calls) {
    for (uint32_t i = 0; i < GROUP; i++) {
        calls[i].op.status = start_any(worker, &calls[i]);
    }
    faster_session_complete_pending(worker->session, true);
    for (uint32_t i = 0; i < GROUP; i++) {
        const enum faster_status status = calls[i].op.status;
        if (calls[i].op.kind == FASTER_OP_READ) {
            (void)finish_read(&calls[i], status);
        } else {
            CHECK(status == FASTER_OK || status == FASTER_EXISTS, "a write", status);
        }
    }
}

static void scan(struct worker *worker) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    uint64_t findings = 0;
    enum faster_status status = faster_scan_open(&worker->now, &scan);
    CHECK(status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        (void)number_in(&value, key.data);
    }
    CHECK(status == FASTER_END, "scan", status);
    faster_scan_close(scan);
    status = faster_session_verify(worker->session, NULL, NULL, NULL, NULL, &findings);
    CHECK(status == FASTER_OK && findings == 0, "verify", status);
    fst_add_relaxed_u64(&shared.scans, 1);
}

static void step(struct worker *worker, struct call *calls) {
    switch (draw(worker, 8)) {
    case 0:
    case 1:
        raise_number(worker, calls);
        break;
    case 2:
    case 3:
        swap_number(worker, calls);
        break;
    default:
        run_group(worker, calls);
        break;
    }
    if (draw(worker, 60) == 0) {
        enum faster_status status = faster_session_commit(worker->session);
        CHECK(status == FASTER_OK, "commit", status);
        fst_add_relaxed_u64(&shared.commits, 1);
    }
    if (draw(worker, 200) == 0) {
        scan(worker);
    }
}

static void open_worker(struct worker *worker) {
    enum faster_status status = faster_session_open(stress.store, &worker->session);
    CHECK(status == FASTER_OK, "session", status);
    status = faster_snapshot_open_newest(worker->session, &worker->now);
    CHECK(status == FASTER_OK, "snapshot", status);
}

static void close_worker(struct worker *worker) {
    faster_snapshot_close(&worker->now);
    faster_session_close(worker->session);
}

static struct call *make_calls(void) {
    struct call *calls = calloc(GROUP, sizeof *calls);
    CHECK(calls != NULL, "memory", FASTER_NOMEM);
    return calls;
}

static void free_calls(struct call *calls) {
    for (uint32_t i = 0; i < GROUP; i++) {
        faster_buffer_finish(&calls[i].result);
    }
    free(calls);
}

static void *work(void *argument) {
    struct worker worker = {.random = stress.seed + (uintptr_t)argument * UINT64_C(0x9E37)};
    struct call *calls = make_calls();
    open_worker(&worker);
    for (uint64_t i = 0; i < stress.steps; i++) {
        step(&worker, calls);
    }
    close_worker(&worker);
    free_calls(calls);
    return NULL;
}

/* ---- the end ---- */

static void check_all(const char *what) {
    struct worker worker = {.random = 1};
    struct call *calls = make_calls();
    open_worker(&worker);
    for (uint32_t i = 0; i < KEYS; i++) {
        set_key(calls, 'n', i);
        uint64_t number =
            finish_read(calls, wait_for(&worker, &calls->op, start_read(&worker, calls)));
        CHECK(number == fst_load_relaxed_u64(&shared.raised[i]), what, 0);
        set_key(calls, 'c', i);
        number = finish_read(calls, wait_for(&worker, &calls->op, start_read(&worker, calls)));
        CHECK(number == fst_load_relaxed_u64(&shared.swapped[i]), what, 0);
    }
    scan(&worker);
    close_worker(&worker);
    free_calls(calls);
}

int main(int argc, char **argv) {
    stress = (struct stress_store){
        .program = "stress_chunks", .thread_count = THREADS, .work = work, .check_all = check_all};
    stress_store_arguments(&stress, argc, argv, 1000);
    struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = (1 + stress.seed % 3) << 20,
                                     .page_bytes = PAGE_BYTES,
                                     .segment_bytes = 256 << 10};
    stress_store_run(&stress, &options);
    printf("stress_chunks: %llu steps in each of %u threads, %llu large values read, %llu commits, "
           "%llu scans: 0 differences\n",
           (unsigned long long)stress.steps, THREADS,
           (unsigned long long)fst_load_relaxed_u64(&shared.large_reads),
           (unsigned long long)fst_load_relaxed_u64(&shared.commits),
           (unsigned long long)fst_load_relaxed_u64(&shared.scans));
    return 0;
}
