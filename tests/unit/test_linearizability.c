/* test_linearizability.c - the checker of histories: what it must accept, and reject. */
#include "support/linearizability.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY 7u

TestSuite(linearizability, .timeout = 60);

static enum lin_verdict verdict_of(const struct lin_op *ops, size_t count) {
    struct lin_op *copy = calloc(count, sizeof *copy);
    uint64_t bad_key = 0;
    memcpy(copy, ops, count * sizeof *copy);
    enum lin_verdict verdict = lin_check(copy, count, &bad_key);
    cr_assert(verdict != LIN_IMPOSSIBLE || bad_key == KEY);
    free(copy);
    return verdict;
}

#define ACCEPT(...)                                                                                \
    do {                                                                                           \
        const struct lin_op ops[] = {__VA_ARGS__};                                                 \
        cr_assert_eq(verdict_of(ops, ARRAY_COUNT(ops)), LIN_EXPLAINED);                            \
    } while (0)
#define REJECT(...)                                                                                \
    do {                                                                                           \
        const struct lin_op ops[] = {__VA_ARGS__};                                                 \
        cr_assert_eq(verdict_of(ops, ARRAY_COUNT(ops)), LIN_IMPOSSIBLE);                           \
    } while (0)

/* Each with the times of its call and its end. */
#define READ(from, to, found)                                                                      \
    { .key = KEY, .kind = LIN_READ, .call = from, .end = to, .seen = found }
#define UPSERT(from, to, new)                                                                      \
    { .key = KEY, .kind = LIN_UPSERT, .call = from, .end = to, .value = new }
#define DELETE(from, to)                                                                           \
    { .key = KEY, .kind = LIN_DELETE, .call = from, .end = to }
#define INSERT(from, to, new, how)                                                                 \
    { .key = KEY, .kind = LIN_INSERT, .call = from, .end = to, .value = new, .outcome = how }
#define CAS(from, to, old, new, how)                                                               \
    {                                                                                              \
        .key = KEY, .kind = LIN_CAS, .call = from, .end = to, .expected = old, .value = new,       \
        .outcome = how                                                                             \
    }
#define RMW(from, to, found, new)                                                                  \
    { .key = KEY, .kind = LIN_RMW, .call = from, .end = to, .seen = found, .value = new }

Test(linearizability, order_of_one_thread_is_accepted) {
    ACCEPT(READ(1, 2, 0), UPSERT(3, 4, 10), READ(5, 6, 10), RMW(7, 8, 10, 11),
           CAS(9, 10, 11, 12, LIN_OK), CAS(11, 12, 11, 13, LIN_EXISTS), READ(13, 14, 12),
           INSERT(15, 16, 14, LIN_EXISTS), DELETE(17, 18), READ(19, 20, 0),
           CAS(21, 22, 12, 15, LIN_NOT_FOUND), INSERT(23, 24, 16, LIN_OK), READ(25, 26, 16));
}

Test(linearizability, read_beside_a_write_may_see_either) {
    ACCEPT(UPSERT(1, 2, 10), UPSERT(3, 8, 11), READ(4, 5, 10), READ(6, 7, 11));
    ACCEPT(UPSERT(1, 2, 10), UPSERT(3, 8, 11), READ(4, 5, 10), READ(6, 7, 10));
}

Test(linearizability, order_need_not_be_that_of_the_calls) {
    ACCEPT(UPSERT(1, 10, 10), UPSERT(2, 9, 11), UPSERT(3, 8, 12), READ(11, 12, 10));
    ACCEPT(RMW(1, 10, 11, 12), RMW(2, 9, 13, 11), RMW(3, 8, 0, 13), READ(11, 12, 12));
}

Test(linearizability, stale_read_is_rejected) {
    REJECT(UPSERT(1, 2, 10), UPSERT(3, 4, 11), READ(5, 6, 10));
    REJECT(UPSERT(1, 2, 10), READ(3, 4, 0));
}

Test(linearizability, read_that_goes_back_is_rejected) {
    REJECT(UPSERT(1, 2, 10), UPSERT(3, 8, 11), READ(4, 5, 11), READ(6, 7, 10));
}

Test(linearizability, value_from_nowhere_is_rejected) {
    REJECT(UPSERT(1, 2, 10), READ(3, 4, 99));
    REJECT(READ(1, 2, 10), UPSERT(3, 4, 10));
}

Test(linearizability, lost_update_is_rejected) {
    REJECT(UPSERT(1, 2, 10), RMW(3, 6, 10, 11), RMW(4, 5, 10, 12));
    REJECT(UPSERT(1, 2, 10), RMW(3, 6, 10, 11), UPSERT(4, 5, 12), READ(7, 8, 13));
}

Test(linearizability, insert_won_twice_is_rejected) {
    REJECT(INSERT(1, 4, 10, LIN_OK), INSERT(2, 3, 11, LIN_OK));
    REJECT(INSERT(1, 2, 10, LIN_EXISTS));
    ACCEPT(INSERT(1, 4, 10, LIN_OK), DELETE(5, 8), INSERT(6, 7, 11, LIN_OK));
}

Test(linearizability, compare_and_set_won_twice_is_rejected) {
    REJECT(UPSERT(1, 2, 10), CAS(3, 6, 10, 11, LIN_OK), CAS(4, 5, 10, 12, LIN_OK));
    REJECT(UPSERT(1, 2, 10), CAS(3, 4, 10, 11, LIN_EXISTS));
    REJECT(UPSERT(1, 2, 10), CAS(3, 4, 10, 11, LIN_NOT_FOUND));
}

Test(linearizability, deleted_value_that_comes_back_is_rejected) {
    REJECT(UPSERT(1, 2, 10), DELETE(3, 4), READ(5, 6, 10));
    REJECT(UPSERT(1, 2, 10), DELETE(3, 8), READ(4, 5, 0), READ(6, 7, 10));
}

Test(linearizability, keys_are_independent_of_each_other) {
    struct lin_op ops[] = {UPSERT(1, 2, 10), READ(3, 4, 10), UPSERT(5, 6, 10), READ(7, 8, 0)};
    uint64_t bad_key = 0;
    ops[2].key = 8;
    ops[3].key = 8;
    cr_assert_eq(lin_check(ops, ARRAY_COUNT(ops), &bad_key), LIN_IMPOSSIBLE);
    cr_assert_eq(bad_key, 8);
}

/* ---- random histories of a real cell ---- */

static uint64_t next_random(uint64_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 8;
}

/* Each operation takes effect at time 100 * i, called up to 3 steps before and ended up to
 * 3 steps after it. */
static void make_history(struct lin_op *ops, size_t count, uint64_t *random) {
    uint64_t value = LIN_NONE;
    for (size_t i = 0; i < count; i++) {
        struct lin_op *op = &ops[i];
        uint64_t moment = 1000 + 100 * i;
        *op = (struct lin_op){.key = KEY,
                              .kind = (enum lin_kind)(next_random(random) % 6),
                              .value = 1000 + i,
                              .seen = value,
                              .call = moment - next_random(random) % 4 * 100 - 10 * (i % 4) - 1,
                              .end = moment + next_random(random) % 4 * 100 + 10 * (i % 4) + 2};
        op->expected = next_random(random) % 2 == 0 ? value : 999;
        if (op->kind == LIN_INSERT) {
            op->outcome = value == LIN_NONE ? LIN_OK : LIN_EXISTS;
        } else if (op->kind == LIN_CAS) {
            op->outcome = value == LIN_NONE       ? LIN_NOT_FOUND
                          : value == op->expected ? LIN_OK
                                                  : LIN_EXISTS;
        }
        if (op->kind == LIN_DELETE) {
            value = LIN_NONE;
        } else if (op->kind != LIN_READ && op->outcome == LIN_OK) {
            value = op->value;
        }
    }
}

Test(linearizability, histories_of_a_real_cell_are_accepted) {
    enum { COUNT = 2000 };
    struct lin_op *ops = calloc(COUNT, sizeof *ops);
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 20; i++) {
        make_history(ops, COUNT, &random);
        cr_assert_eq(verdict_of(ops, COUNT), LIN_EXPLAINED);
    }
    free(ops);
}

/* A read is made to see what was there 20 operations before it. */
Test(linearizability, one_old_value_in_a_long_history_is_rejected) {
    enum { COUNT = 1000 };
    struct lin_op *ops = calloc(COUNT, sizeof *ops);
    uint64_t random = 1234567;
    unsigned tried = 0;
    for (int i = 0; i < 50; i++) {
        make_history(ops, COUNT, &random);
        size_t at = 20 + next_random(&random) % (COUNT - 20);
        uint64_t old = ops[at - 20].seen;
        if (ops[at].kind == LIN_READ && old != LIN_NONE && old != ops[at].seen) {
            bool is_there = false;
            for (size_t j = at - 8; j < at + 8 && j < COUNT; j++) {
                is_there |= ops[j].seen == old;
            }
            if (!is_there) {
                ops[at].seen = old;
                tried++;
                cr_assert_eq(verdict_of(ops, COUNT), LIN_IMPOSSIBLE);
            }
        }
    }
    cr_assert(tried > 0);
    free(ops);
}
