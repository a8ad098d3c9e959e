/* direct_rig.h - a small direct store for the unit tests. Included once per program. */
#ifndef TESTS_UNIT_DIRECT_RIG_H
#define TESTS_UNIT_DIRECT_RIG_H

#include "store/store.h"
#include "store_rig.h"

static struct rig rig;

static inline void start(void) {
    memset(&rig, 0, sizeof rig);
    rig.test = fst_test_env_create();
    cr_assert(fst_test_directory_create(rig.base, sizeof rig.base));
    snprintf(rig.directory, sizeof rig.directory, "%s/0", rig.base);
    rig.options = (struct faster_options){.env = fst_test_env_get(rig.test),
                                          .directory = rig.directory,
                                          .writes = FASTER_WRITES_DIRECT,
                                          .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                          .page_bytes = RIG_PAGE_BYTES,
                                          .segment_bytes = 4 * RIG_PAGE_BYTES};
    struct faster_error error = {0};
    enum faster_status status = faster_store_create(&rig.options, NULL, &error);
    cr_assert(status == FASTER_OK, "%s", error.message);
    rig_open(&rig);
}

static inline void stop(void) {
    rig_finish(&rig);
}

static inline enum faster_status finish(struct faster_session *session, const struct faster_op *op,
                                        enum faster_status status) {
    if (status != FASTER_PENDING) {
        return status;
    }
    faster_session_complete_pending(session, true);
    return op->status;
}

static inline enum faster_status put_sized(const char *key, const char *text, size_t size) {
    char *bytes = calloc(1, size + 1);
    memcpy(bytes, text, strlen(text) < size ? strlen(text) : size);
    struct faster_op op = {.key = {key, strlen(key)}, .value = {bytes, size}};
    enum faster_status status = faster_session_upsert(rig.session, &op);
    free(bytes);
    return status;
}

static inline enum faster_status put(const char *key, const char *text) {
    return put_sized(key, text, strlen(text));
}

/* The value as text, "" for an empty one, NULL for none. Valid until the next call. */
static inline const char *get(const char *key) {
    static char text[4096];
    struct faster_snapshot now;
    struct faster_buffer result = {.env = rig.options.env};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &result};
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    enum faster_status status = finish(rig.session, &op, faster_snapshot_read(&now, &op));
    faster_snapshot_close(&now);
    if (status == FASTER_OK) {
        memset(text, 0, sizeof text); /* number_of() looks behind the end of a text */
        snprintf(text, sizeof text, "%.*s", (int)result.size_bytes, (const char *)result.data);
    } else {
        ASSERT_STATUS(status, FASTER_NOT_FOUND);
    }
    faster_buffer_finish(&result);
    return status == FASTER_OK ? text : NULL;
}

static inline void want(const char *key, const char *expected) {
    const char *got = get(key);
    if (expected == NULL) {
        cr_assert(got == NULL, "%s is %s, and should not exist", key, got);
    } else {
        cr_assert(got != NULL && strcmp(got, expected) == 0, "%s is %s instead of %s", key,
                  got == NULL ? "missing" : got, expected);
    }
}

static inline enum faster_status add_one(void *context, const struct faster_bytes *old,
                                         struct faster_buffer *value) {
    uint64_t number = 0;
    (void)context;
    if (old != NULL) {
        memcpy(&number, old->data, sizeof number);
    }
    number++;
    return faster_buffer_assign(value, &number, sizeof number);
}

static inline void add(const char *key) {
    struct faster_op op = {.key = {key, strlen(key)}, .merge = add_one};
    ASSERT_OK(finish(rig.session, &op, faster_session_rmw(rig.session, &op)));
}

static inline uint64_t number_of(const char *key) {
    const char *text = get(key);
    uint64_t number = 0;
    if (text != NULL) {
        memcpy(&number, text, sizeof number);
    }
    return number;
}

static inline uint64_t stat_of(const char *name) {
    struct faster_stat stats[128];
    size_t count = faster_store_stats(rig.store, stats, 128);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    cr_assert_fail("no figure %s", name);
    return 0;
}

/* Pushes everything written so far out of memory. */
static inline void evict(void) {
    char key[32];
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(key, sizeof key, "filler %u", i);
        ASSERT_OK(put_sized(key, "x", 1000));
    }
}

static inline void commit(void) {
    ASSERT_OK(faster_session_commit(rig.session));
}

#endif
