/* fuzz.h - what the fuzz targets share.
 *
 * A target is a function of one input, which returns 0 or ends the program. With the option `fuzz`
 * libFuzzer calls it; in every other build fuzz_main.c does, with each file of the corpus.
 *
 * Checksums would keep a fuzzer out of everything behind them, so inputs have a bit that asks the
 * target to put the right ones in. What is read then is no accident any more: it must end in an
 * error or in a value, with bounded memory, but not in the truth.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* Ends the program, which libFuzzer reports as a finding. */
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FUZZ_CHECK(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fuzz_fail(__FILE__, __LINE__, __VA_ARGS__);                                            \
        }                                                                                          \
    } while (0)

#define FUZZ_OK(call)                                                                              \
    do {                                                                                           \
        const enum faster_status fuzz_status = (call);                                             \
        FUZZ_CHECK(fuzz_status == FASTER_OK, "%s: %s", #call, faster_status_name(fuzz_status));    \
    } while (0)

/* ---- the input, read from its front; what is beyond its end reads as zero ---- */

struct fuzz_input {
    const uint8_t *at;
    size_t left_bytes;
};

uint8_t fuzz_byte(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input); /* little-endian */
/* Below `limit`, which is at most 256. */
uint32_t fuzz_below(struct fuzz_input *input, uint32_t limit);
/* The next bytes, at most `count_max`. */
struct fuzz_input fuzz_part(struct fuzz_input *input, size_t count_max);
/* Fills `to`; what the input lacks becomes zero. */
void fuzz_fill(struct fuzz_input *input, void *to, size_t count);
/* A copy in a block of exactly that size, 16-byte aligned, so that a sanitizer sees who reads past
 * its end. The caller frees it. */
void *fuzz_exact(const void *bytes, size_t count);

/* ---- an environment whose random numbers and clock are the same in each run ---- */

/* Counts what it allocates. */
const struct faster_env *fuzz_env(void);
/* Random numbers begin anew. */
void fuzz_env_begin(void);
/* Everything was given back, and there were never more than so many bytes. */
void fuzz_env_end(uint64_t bytes_max);

/* A directory for the life of the process, empty at first. */
const char *fuzz_directory(void);
void fuzz_write_file(const char *directory, const char *name, const void *bytes, size_t count);
/* Reads a whole file; the caller frees it. */
void *fuzz_read_file(const char *directory, const char *name, size_t *count);

#endif
