/* store_files_fixture.h - a store's directory to be made in a new one, and short ways to use it. */
#ifndef TESTS_SUPPORT_STORE_FILES_FIXTURE_H
#define TESTS_SUPPORT_STORE_FILES_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "store/store_files.h"
#include "support/test_env.h"

#define UUID_TEXT "01020304-0506-4708-890a-0b0c0d0e0f10"

struct fixture {
    struct fst_test_env *test;
    const struct faster_env *env;
    char root[512];
    char directory[1024];
    struct faster_error error;
    unsigned diagnostic_count;
    struct fst_diagnostics diagnostics;
    struct faster_place place;
};

static inline void count_diagnostic(void *context, enum faster_diagnostic_level level,
                                    const char *module, const char *message) {
    (void)level;
    (void)module;
    (void)message;
    ++((struct fixture *)context)->diagnostic_count;
}

static inline struct fixture *start(void) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    cr_assert_not_null(fixture);
    fixture->test = fst_test_env_create();
    cr_assert_not_null(fixture->test);
    fixture->env = fst_test_env_get(fixture->test);
    cr_assert(fst_test_directory_create(fixture->root, sizeof fixture->root));
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s/parent/%s", fixture->root,
                   UUID_TEXT);
    fixture->diagnostics = (struct fst_diagnostics){count_diagnostic, fixture};
    return fixture;
}

static inline void end(struct fixture *fixture) {
    cr_expect_eq(fst_test_env_live_allocations(fixture->test), 0);
    fst_test_env_destroy(fixture->test);
    fst_test_directory_remove(fixture->root);
    free(fixture);
}

static inline struct fst_identity identity_of(void) {
    struct fst_identity identity = {
        .write_discipline = FST_WRITES_TRANSACTIONAL,
        .generation = 1,
        .hash_seed = 77,
        .page_bits = 14,
        .segment_bits = 16,
        .tier_count = 1,
    };
    (void)faster_uuid_parse(UUID_TEXT, identity.uuid);
    return identity;
}

static inline enum faster_status create(struct fixture *fixture, const char *owner_path) {
    const struct fst_identity identity = identity_of();
    const struct fst_store_files_create_config config = {
        .env = fixture->env,
        .directory = fixture->directory,
        .owner_path = owner_path,
        .identity = &identity,
        .place = fixture->place,
    };
    return fst_store_files_create(&config, &fixture->error);
}

static inline enum faster_status open_with(struct fixture *fixture, bool read_only,
                                           uint64_t wait_ns, faster_interrupt_fn *interrupt,
                                           struct fst_store_files **files) {
    struct fst_store_files_open_config config = {
        .env = fixture->env,
        .directory = fixture->directory,
        .read_only = read_only,
        .lock_wait_ns = wait_ns,
        .interrupt = interrupt,
        .diagnostics = &fixture->diagnostics,
    };
    memcpy(config.uuid, identity_of().uuid, sizeof config.uuid);
    return fst_store_files_open(&config, files, &fixture->error);
}

static inline enum faster_status open_files(struct fixture *fixture,
                                            struct fst_store_files **files) {
    return open_with(fixture, false, 0, NULL, files);
}

/* Opens and closes; the status. */
static inline enum faster_status try_open(struct fixture *fixture) {
    struct fst_store_files *files;
    const enum faster_status status = open_files(fixture, &files);
    if (status == FASTER_OK) {
        fst_store_files_close(files);
    }
    return status;
}

static inline void path_in(const struct fixture *fixture, const char *name, char path[2048]) {
    (void)snprintf(path, 2048, "%s/%s", fixture->directory, name);
}

static inline bool exists(const struct fixture *fixture, const char *name) {
    char path[2048];
    path_in(fixture, name, path);
    return access(path, F_OK) == 0;
}

static inline void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    cr_assert_eq(fclose(file), 0);
}

static inline void flip_byte(const struct fixture *fixture, const char *name, long at) {
    char path[2048];
    path_in(fixture, name, path);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    cr_assert_neq(fputc(byte ^ 0x40, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

static inline uint64_t calls(const struct fixture *fixture, enum fst_test_operation operation) {
    return fst_test_env_calls(fixture->test, operation);
}

#endif
