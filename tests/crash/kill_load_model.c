/* kill_load_model.c - transactions as a function of seed and number, and their sum. */
#include <stdlib.h>
#include <string.h>

#include "kill_load.h"

#define SAVEPOINT_DEPTH_MAX 4

static void add(struct operations *operations, struct operation operation) {
    if (operations->count == operations->capacity) {
        operations->capacity = operations->capacity * 2 + 64;
        operations->operation =
            realloc(operations->operation, operations->capacity * sizeof *operations->operation);
        if (operations->operation == NULL) {
            test_fail("out of memory");
        }
    }
    operations->operation[operations->count++] = operation;
}

static struct operation draw(struct random_state *random, bool bulk) {
    struct operation operation = {OPERATION_UPSERT, random_below(random, KEY_COUNT),
                                  random_next(random), 1 + random_below(random, 9)};
    uint32_t dice = random_below(random, bulk ? 400 : 1000);
    if (dice < 400) {
        operation.kind = OPERATION_UPSERT;
    } else if (dice < 500) {
        operation.kind = OPERATION_INSERT;
    } else if (dice < 700) {
        operation.kind = OPERATION_UPDATE;
    } else if (dice < 845) {
        operation.kind = OPERATION_DELETE;
    } else if (dice < 850) {
        operation.kind = OPERATION_RANGE;
    } else {
        operation.kind = OPERATION_COUNTER;
        operation.key %= COUNTER_COUNT;
    }
    return operation;
}

/* Opens, undoes or releases a savepoint now and then; `depth` are open. */
static int draw_savepoint(struct operations *operations, struct random_state *random, int depth) {
    uint32_t dice = random_below(random, 100);
    struct operation operation = {OPERATION_SAVEPOINT, 0, 0, depth};
    if (dice < 6 && depth < SAVEPOINT_DEPTH_MAX) {
        add(operations, operation);
        return depth + 1;
    }
    if (dice >= 12 || depth == 0) {
        return depth;
    }
    operation.amount = (int64_t)random_below(random, (uint32_t)depth);
    if (dice < 9) {
        operation.kind = OPERATION_ROLLBACK_TO;
        add(operations, operation);
        return (int)operation.amount + 1;
    }
    operation.kind = OPERATION_RELEASE;
    add(operations, operation);
    return (int)operation.amount;
}

void operations_make(struct operations *operations, uint64_t seed, uint64_t number, bool aborted) {
    struct random_state random = random_of(seed, number * 2 + aborted);
    uint32_t dice = random_below(&random, 100);
    uint32_t count = dice < 60   ? 1 + random_below(&random, 5)
                     : dice < 85 ? 10 + random_below(&random, 40)
                     : dice < 96 ? 100 + random_below(&random, 200)
                                 : 1000 + random_below(&random, 1500);
    int depth = 0;
    operations->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        depth = draw_savepoint(operations, &random, depth);
        add(operations, draw(&random, count >= 1000 && random_percent(&random, 80)));
    }
}

void operations_finish(struct operations *operations) {
    free(operations->operation);
    memset(operations, 0, sizeof *operations);
}

/* Removes what savepoints undo. */
static void keep_effective(struct operations *operations) {
    size_t position[SAVEPOINT_DEPTH_MAX] = {0};
    size_t kept = 0;
    for (size_t i = 0; i < operations->count; i++) {
        struct operation operation = operations->operation[i];
        if (operation.kind == OPERATION_SAVEPOINT) {
            position[operation.amount] = kept;
        } else if (operation.kind == OPERATION_ROLLBACK_TO) {
            kept = position[operation.amount];
        } else if (operation.kind != OPERATION_RELEASE) {
            operations->operation[kept++] = operation;
        }
    }
    operations->count = kept;
}

static void apply(struct model *model, const struct operation *operation) {
    struct entry *entry = &model->entry[operation->key];
    switch (operation->kind) {
    case OPERATION_UPSERT:
        *entry = (struct entry){operation->tag, 0, true};
        break;
    case OPERATION_INSERT:
        if (!entry->live) {
            *entry = (struct entry){operation->tag, 0, true};
        }
        break;
    case OPERATION_UPDATE:
        if (entry->live) {
            entry->tag = operation->tag;
            entry->n++;
        }
        break;
    case OPERATION_DELETE:
        entry->live = false;
        break;
    case OPERATION_RANGE:
        for (uint32_t i = operation->key; i < KEY_COUNT && i < operation->key + 50; i++) {
            model->entry[i].n += operation->amount;
        }
        break;
    case OPERATION_COUNTER:
        model->counter[operation->key] += operation->amount;
        break;
    case OPERATION_SAVEPOINT:
    case OPERATION_ROLLBACK_TO:
    case OPERATION_RELEASE:
        break;
    }
}

void model_start(struct model *model, uint64_t seed) {
    memset(model, 0, sizeof *model);
    model->seed = seed;
}

void model_advance(struct model *model, uint64_t number) {
    struct operations operations = {0};
    while (model->number < number) {
        model->number++;
        operations_make(&operations, model->seed, model->number, false);
        keep_effective(&operations);
        for (size_t i = 0; i < operations.count; i++) {
            apply(model, &operations.operation[i]);
        }
    }
    operations_finish(&operations);
}

size_t value_of_tag(uint64_t tag, char value[VALUE_BYTES_MAX]) {
    struct random_state random = random_of(tag, 1);
    size_t size = random_percent(&random, 95) ? random_below(&random, 250)
                                              : random_below(&random, VALUE_BYTES_MAX);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = random_next(&random);
        for (size_t j = i; j < size && j < i + 8; j++, word >>= 8) {
            value[j] = (char)('a' + (word & 15));
        }
    }
    return size;
}
