/* model.c - maps as arrays of values, one for each version. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define KEY_PREFIX "key-"
#define KEY_PREFIX_BYTES 4u
#define KEY_DIGITS 5u
#define SIZE_BITS 3u
#define WORD_STEP UINT32_C(0x9E3779B1)
#define NONE UINT64_MAX

struct version {
    model_value *map;
    uint64_t serials[MODEL_SESSIONS_MAX];
    uint64_t hash;
};

/* What an undo goes back to. */
struct mark {
    model_value *map; /* NULL: not set */
    uint64_t serials[MODEL_SESSIONS_MAX];
};

struct model {
    uint32_t key_count;
    bool is_in_txn;
    model_value *now;
    uint64_t serials[MODEL_SESSIONS_MAX];
    struct mark begin;
    struct mark savepoints[MODEL_SAVEPOINTS_MAX];
    struct version *versions; /* [0, version_count) */
    uint64_t version_count;
    uint64_t version_capacity;
};

/* ---- keys and values ---- */

size_t model_key(uint32_t key, char text[16]) {
    (void)snprintf(text, 16, KEY_PREFIX "%0*u", (int)KEY_DIGITS, key);
    return KEY_PREFIX_BYTES + KEY_DIGITS;
}

bool model_key_parse(const void *bytes, size_t count, uint32_t *key) {
    const unsigned char *at = bytes;
    if (count != KEY_PREFIX_BYTES + KEY_DIGITS || memcmp(at, KEY_PREFIX, KEY_PREFIX_BYTES) != 0) {
        return false;
    }
    *key = 0;
    for (size_t i = KEY_PREFIX_BYTES; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        *key = *key * 10 + (uint32_t)(at[i] - '0');
    }
    return true;
}

model_value model_value_make(uint32_t number, enum model_size size) {
    return number << SIZE_BITS | (uint32_t)size;
}

size_t model_value_bytes(model_value value) {
    const uint32_t drawn = value * WORD_STEP >> 16;
    switch ((enum model_size)(value & ((1u << SIZE_BITS) - 1))) {
    case MODEL_WORD:
        return 8;
    case MODEL_SMALL:
        return 12 + drawn % 93;
    case MODEL_SECTOR:
        return 512 - 16 - (KEY_PREFIX_BYTES + KEY_DIGITS);
    case MODEL_MEDIUM:
        return 600 + drawn % 901;
    case MODEL_PAGE:
        return 12000;
    case MODEL_CHUNKED:
        return 36000 + drawn % 4001;
    }
    return 0; /* no value has this size */
}

/* Word i of a value; little-endian, whatever the machine is, it never leaves it. */
static uint32_t word_of(model_value value, size_t index) {
    return value + (uint32_t)index * WORD_STEP;
}

size_t model_bytes(model_value value, unsigned char *bytes) {
    const size_t count = model_value_bytes(value);
    size_t done = 0;
    for (; done + 4 <= count; done += 4) {
        const uint32_t word = word_of(value, done / 4);
        memcpy(bytes + done, &word, 4);
    }
    const uint32_t last = word_of(value, done / 4);
    memcpy(bytes + done, &last, count - done);
    return count;
}

bool model_is_bytes(model_value value, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    uint32_t differs = 0;
    size_t done = 0;
    if (value == 0 || count != model_value_bytes(value)) {
        return false;
    }
    for (; done + 4 <= count; done += 4) {
        uint32_t word;
        memcpy(&word, at + done, 4);
        differs |= word ^ word_of(value, done / 4);
    }
    const uint32_t last = word_of(value, done / 4);
    return differs == 0 && memcmp(at + done, &last, count - done) == 0;
}

model_value model_value_parse(const void *bytes, size_t count) {
    model_value value;
    if (count < sizeof value) {
        return 0;
    }
    memcpy(&value, bytes, sizeof value);
    return model_is_bytes(value, bytes, count) ? value : 0;
}

/* ---- memory ---- */

static void *allocate(size_t count, size_t each) {
    void *memory = calloc(count, each);
    if (memory == NULL) {
        fprintf(stderr, "model: no memory\n");
        abort();
    }
    return memory;
}

static size_t map_bytes(const struct model *model) {
    return model->key_count * sizeof(model_value);
}

static model_value *copy_map(const struct model *model, const model_value *map) {
    model_value *copy = allocate(model->key_count, sizeof *copy);
    memcpy(copy, map, map_bytes(model));
    return copy;
}

static void reserve_version(struct model *model) {
    if (model->version_count == model->version_capacity) {
        const uint64_t capacity = model->version_capacity * 2 + 16;
        struct version *larger = allocate(capacity, sizeof *larger);
        if (model->version_count > 0) {
            memcpy(larger, model->versions, model->version_count * sizeof *larger);
        }
        free(model->versions);
        model->versions = larger;
        model->version_capacity = capacity;
    }
}

/* Keeps the working map as the newest version. */
static void push_version(struct model *model) {
    reserve_version(model);
    struct version *version = &model->versions[model->version_count++];
    version->map = copy_map(model, model->now);
    memcpy(version->serials, model->serials, sizeof version->serials);
    version->hash = fst_hash_bytes(version->map, map_bytes(model), 0);
}

static void drop_versions_above(struct model *model, uint64_t version) {
    while (model->version_count > version + 1) {
        free(model->versions[--model->version_count].map);
    }
}

struct model *model_create(uint32_t key_count) {
    struct model *model = allocate(1, sizeof *model);
    model->key_count = key_count;
    model->now = allocate(key_count, sizeof *model->now);
    push_version(model);
    return model;
}

struct model *model_copy(const struct model *model, uint64_t version) {
    struct model *copy = allocate(1, sizeof *copy);
    copy->key_count = model->key_count;
    copy->now = allocate(model->key_count, sizeof *copy->now);
    for (uint64_t i = 0; i <= version; i++) {
        reserve_version(copy);
        copy->versions[i] = model->versions[i];
        copy->versions[i].map = copy_map(model, model->versions[i].map);
        copy->version_count++;
    }
    model_resume(copy, version);
    return copy;
}

static void clear_mark(struct mark *mark) {
    free(mark->map);
    mark->map = NULL;
}

static void set_mark(const struct model *model, struct mark *mark) {
    clear_mark(mark);
    mark->map = copy_map(model, model->now);
    memcpy(mark->serials, model->serials, sizeof mark->serials);
}

static void go_back(struct model *model, const struct mark *mark) {
    memcpy(model->now, mark->map, map_bytes(model));
    memcpy(model->serials, mark->serials, sizeof model->serials);
}

static void clear_savepoints(struct model *model, int from) {
    for (int level = from; level < MODEL_SAVEPOINTS_MAX; level++) {
        clear_mark(&model->savepoints[level]);
    }
}

static void end_txn(struct model *model) {
    clear_savepoints(model, 0);
    clear_mark(&model->begin);
    model->is_in_txn = false;
}

void model_destroy(struct model *model) {
    if (model == NULL) {
        return;
    }
    end_txn(model);
    while (model->version_count > 0) {
        free(model->versions[--model->version_count].map);
    }
    free(model->versions);
    free(model->now);
    free(model);
}

/* ---- the working map ---- */

uint32_t model_key_count(const struct model *model) {
    return model->key_count;
}

model_value model_get(const struct model *model, uint32_t key) {
    return model->now[key];
}

void model_put(struct model *model, uint32_t key, model_value value) {
    model->now[key] = value;
}

enum faster_status model_expect(const struct model *model, enum faster_op_kind kind, uint32_t key,
                                model_value guess) {
    const model_value now = model->now[key];
    switch (kind) {
    case FASTER_OP_READ:
        return now != 0 ? FASTER_OK : FASTER_NOT_FOUND;
    case FASTER_OP_INSERT:
        return now == 0 ? FASTER_OK : FASTER_EXISTS;
    case FASTER_OP_COMPARE_AND_SET:
        if (now == 0) {
            return FASTER_NOT_FOUND;
        }
        return now == guess ? FASTER_OK : FASTER_EXISTS;
    case FASTER_OP_UPSERT:
    case FASTER_OP_RMW:
    case FASTER_OP_DELETE:
        return FASTER_OK;
    }
    return FASTER_MISUSE;
}

/* ---- transactions ---- */

void model_begin(struct model *model) {
    end_txn(model);
    set_mark(model, &model->begin);
    model->is_in_txn = true;
}

void model_savepoint(struct model *model, int level) {
    clear_savepoints(model, level);
    for (int i = 0; i <= level; i++) {
        if (model->savepoints[i].map == NULL) {
            set_mark(model, &model->savepoints[i]);
        }
    }
}

void model_release(struct model *model, int level) {
    clear_savepoints(model, level);
}

void model_rollback_to(struct model *model, int level) {
    if (level >= 0 && model->savepoints[level].map != NULL) {
        go_back(model, &model->savepoints[level]);
        clear_savepoints(model, level + 1);
    } else {
        go_back(model, &model->begin);
        clear_savepoints(model, 0);
    }
}

void model_rollback(struct model *model) {
    go_back(model, &model->begin);
    end_txn(model);
}

uint64_t model_commit(struct model *model) {
    end_txn(model);
    push_version(model);
    return model_newest(model);
}

/* ---- versions ---- */

uint64_t model_newest(const struct model *model) {
    return model->version_count - 1;
}

const model_value *model_version(const struct model *model, uint64_t version) {
    return version < model->version_count ? model->versions[version].map : NULL;
}

uint64_t model_version_hash(const struct model *model, uint64_t version) {
    return model->versions[version].hash;
}

/* How many keys differ, and the first of them. */
static uint32_t count_differences(const struct model *model, const model_value *map,
                                  const model_value *version, uint32_t *first) {
    uint32_t count = 0;
    for (uint32_t key = model->key_count; key-- > 0;) {
        if (map[key] != version[key]) {
            count++;
            *first = key;
        }
    }
    return count;
}

uint64_t model_find(const struct model *model, const model_value *map, uint64_t low, uint64_t high,
                    char why[MODEL_WHY_BYTES]) {
    uint32_t fewest = UINT32_MAX;
    (void)snprintf(why, MODEL_WHY_BYTES, "there is no version from %llu to %llu",
                   (unsigned long long)low, (unsigned long long)high);
    for (uint64_t version = high + 1; version-- > low;) {
        if (version >= model->version_count) {
            continue;
        }
        const model_value *expected = model->versions[version].map;
        uint32_t key = 0;
        const uint32_t count = count_differences(model, map, expected, &key);
        if (count == 0) {
            return version;
        }
        if (count < fewest) {
            fewest = count;
            (void)snprintf(why, MODEL_WHY_BYTES,
                           "no version from %llu to %llu: of %llu, %u keys differ; key %u is %#x, "
                           "not %#x",
                           (unsigned long long)low, (unsigned long long)high,
                           (unsigned long long)version, count, key, map[key], expected[key]);
        }
    }
    return NONE;
}

void model_resume(struct model *model, uint64_t version) {
    end_txn(model);
    drop_versions_above(model, version);
    memcpy(model->now, model->versions[version].map, map_bytes(model));
    memcpy(model->serials, model->versions[version].serials, sizeof model->serials);
}

/* ---- sessions ---- */

uint64_t model_did(struct model *model, uint32_t session) {
    return ++model->serials[session];
}

uint64_t model_serial(const struct model *model, uint64_t version, uint32_t session) {
    return model->versions[version].serials[session];
}
