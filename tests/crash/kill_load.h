/* kill_load.h - the load that is killed, and the comparison; see kill_load.c. Power cuts use them,
 * too: limits/power_loss.c. */
#ifndef TESTS_CRASH_KILL_LOAD_H
#define TESTS_CRASH_KILL_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "sql_support.h"

#define KEY_COUNT 1500u
#define COUNTER_COUNT 12u
#define VALUE_BYTES_MAX 3000u

/* ------------------------------------------------------------------------- model */

enum operation_kind {
    OPERATION_UPSERT,
    OPERATION_INSERT, /* OR IGNORE */
    OPERATION_UPDATE,
    OPERATION_DELETE,
    OPERATION_RANGE,   /* n += amount for a range of keys */
    OPERATION_COUNTER, /* counter += amount */
    OPERATION_SAVEPOINT,
    OPERATION_ROLLBACK_TO,
    OPERATION_RELEASE
};

struct operation {
    enum operation_kind kind;
    uint32_t key;
    uint64_t tag;   /* the value is a function of it */
    int64_t amount; /* also the savepoint's level */
};

struct operations {
    struct operation *operation;
    size_t count;
    size_t capacity;
};

/* The operations of transaction `number`: a function of its arguments. With `aborted`,
 * those of the transaction that is rolled back before it. */
void operations_make(struct operations *operations, uint64_t seed, uint64_t number, bool aborted);
void operations_finish(struct operations *operations);

struct entry {
    uint64_t tag;
    int64_t n;
    bool live;
};

/* What both tables hold after `number` commits. */
struct model {
    uint64_t seed;
    uint64_t number;
    struct entry entry[KEY_COUNT];
    int64_t counter[COUNTER_COUNT];
};

void model_start(struct model *model, uint64_t seed);
/* Applies transactions up to and including `number`. */
void model_advance(struct model *model, uint64_t number);
/* Writes the value of a tag to `value` and returns its size. */
size_t value_of_tag(uint64_t tag, char value[VALUE_BYTES_MAX]);

/* ------------------------------------------------------------------- databases */

/* The disk's power, as another process sets it. A sync under way while ext4 is shut down may return
 * success for what is lost: by then the journal has dropped the transaction that it would wait for.
 * When a real machine loses its power, nobody is told of such a success, so what is acknowledged
 * meanwhile is unsure. What is begun later must fail, or be there. */
enum load_power { LOAD_POWER_ON = 0, LOAD_POWER_GOES, LOAD_POWER_CUT };
/* What was acknowledged between two looks at the power is unsure. */
static inline bool load_is_unsure(int before, int after) {
    return before != LOAD_POWER_CUT && after != LOAD_POWER_ON;
}
#define LOAD_REPORT_UNSURE (UINT64_C(1) << 63)

struct configuration {
    const char *journal_mode;
    const char *synchronous;
    const char *store_options;
    uint64_t seed;
    char path[TEST_PATH_BYTES];
    /* Of the disk that it is on, if that may be cut; NULL: nothing may fail. */
    const atomic_int *power;
    uint64_t undone_max; /* acknowledged commits that may be gone */
};

sqlite3 *load_open(const struct test_options *options, const struct configuration *configuration);
void load_create(const struct test_options *options, const struct configuration *configuration);
/* Runs transactions from `number` on for ever, reporting each in the pipe, with LOAD_REPORT_UNSURE
 * where that applies. When the disk fails
 * after a power cut, it tries the same transaction again a few times, and ends. */
void load_run(const struct test_options *options, const struct configuration *configuration,
              uint64_t number, int pipe) __attribute__((noreturn));
/* Runs `count` transactions from `number` on, and closes. */
void load_write(const struct test_options *options, const struct configuration *configuration,
                uint64_t number, uint64_t count);
/* Reads everything, compares it with the model (which it advances) and returns the number
 * of commits. A difference ends the process with a message. */
uint64_t load_verify(const struct test_options *options, const struct configuration *configuration,
                     struct model *model, uint64_t acknowledged);

#endif
