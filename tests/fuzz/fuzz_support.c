/* fuzz_support.c - see fuzz.h. */
#include "fuzz/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test_env.h"

#define PATH_BYTES 512u

void fuzz_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

/* ---- input ---- */

uint8_t fuzz_byte(struct fuzz_input *input) {
    if (input->left_bytes == 0) {
        return 0;
    }
    input->left_bytes--;
    return *input->at++;
}

uint64_t fuzz_u64(struct fuzz_input *input) {
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++) {
        number |= (uint64_t)fuzz_byte(input) << (8 * i);
    }
    return number;
}

uint32_t fuzz_below(struct fuzz_input *input, uint32_t limit) {
    return fuzz_byte(input) % limit;
}

struct fuzz_input fuzz_part(struct fuzz_input *input, size_t count_max) {
    struct fuzz_input part = *input;
    if (part.left_bytes > count_max) {
        part.left_bytes = count_max;
    }
    if (part.left_bytes > 0) {
        input->at += part.left_bytes;
        input->left_bytes -= part.left_bytes;
    }
    return part;
}

void fuzz_fill(struct fuzz_input *input, void *to, size_t count) {
    const struct fuzz_input part = fuzz_part(input, count);
    memset(to, 0, count);
    if (part.left_bytes > 0) {
        memcpy(to, part.at, part.left_bytes);
    }
}

void *fuzz_exact(const void *bytes, size_t count) {
    void *copy = malloc(count);
    FUZZ_CHECK(copy != NULL || count == 0, "out of memory");
    if (count > 0) {
        memcpy(copy, bytes, count);
    }
    return copy;
}

/* ---- environment ---- */

static struct fst_test_env *test_env;
static struct faster_env steady_env;
static uint64_t steady_state;

static uint64_t steady_wall_clock(const struct faster_env *env) {
    (void)env;
    return UINT64_C(1700000000000000000);
}

static enum faster_status steady_random(const struct faster_env *env, void *bytes, size_t count) {
    unsigned char *to = bytes;
    (void)env;
    for (size_t i = 0; i < count; i++) {
        steady_state = steady_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        to[i] = (unsigned char)(steady_state >> 56);
    }
    return FASTER_OK;
}

/* Nobody but the caller has work to do that takes long, and on a busy machine it would be away for
 * long. */
static void steady_yield(const struct faster_env *env) {
    (void)env;
}

const struct faster_env *fuzz_env(void) {
    if (test_env == NULL) {
        test_env = fst_test_env_create();
        FUZZ_CHECK(test_env != NULL, "out of memory");
        steady_env = *fst_test_env_get(test_env);
        steady_env.wall_clock_ns = steady_wall_clock;
        steady_env.random = steady_random;
        steady_env.yield = steady_yield;
    }
    return &steady_env;
}

void fuzz_env_begin(void) {
    (void)fuzz_env();
    steady_state = 1;
}

void fuzz_env_end(uint64_t bytes_max) {
    const uint64_t left = fst_test_env_live_allocations(test_env);
    const uint64_t peak = fst_test_env_peak_bytes(test_env);
    FUZZ_CHECK(left == 0, "%llu blocks were not given back", (unsigned long long)left);
    FUZZ_CHECK(peak <= bytes_max, "%llu bytes of memory were in use", (unsigned long long)peak);
}

/* ---- files ---- */

static char base[PATH_BYTES];

static void remove_base(void) {
    fst_test_directory_remove(base);
}

const char *fuzz_directory(void) {
    if (base[0] != '\0') {
        return base;
    }
    FUZZ_CHECK(fst_test_directory_create(base, sizeof base), "no directory could be made");
    FUZZ_CHECK(atexit(remove_base) == 0, "atexit");
    return base;
}

static FILE *open_file(const char *directory, const char *name, const char *how) {
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, how);
    FUZZ_CHECK(file != NULL, "cannot open %s", path);
    return file;
}

void fuzz_write_file(const char *directory, const char *name, const void *bytes, size_t count) {
    FILE *file = open_file(directory, name, "wb");
    FUZZ_CHECK(count == 0 || fwrite(bytes, 1, count, file) == count, "cannot write %s", name);
    FUZZ_CHECK(fclose(file) == 0, "cannot write %s", name);
}

void *fuzz_read_file(const char *directory, const char *name, size_t *count) {
    FILE *file = open_file(directory, name, "rb");
    FUZZ_CHECK(fseek(file, 0, SEEK_END) == 0, "cannot read %s", name);
    const long end = ftell(file);
    FUZZ_CHECK(end >= 0 && fseek(file, 0, SEEK_SET) == 0, "cannot read %s", name);
    void *bytes = malloc((size_t)end + 1);
    FUZZ_CHECK(bytes != NULL, "out of memory");
    *count = fread(bytes, 1, (size_t)end, file);
    FUZZ_CHECK(*count == (size_t)end && fclose(file) == 0, "cannot read %s", name);
    return bytes;
}
