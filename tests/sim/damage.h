/* damage.h - what the parts of damage share; see damage.c. */
#ifndef TESTS_SIM_DAMAGE_H
#define TESTS_SIM_DAMAGE_H

#include "ledger.h"
#include "sim_crash.h"

#define DAMAGE_PATH "/store"
#define DAMAGE_KEYS 24u
#define DAMAGE_OLDER 6u
#define DAMAGE_FILES_MAX 32u
#define DAMAGE_KEY_BYTES 3u
#define DAMAGE_VALUE_BYTES_MAX 20000u
#define DAMAGE_SEGMENT_BITS 14u

/* A value's bytes follow from its key, its number and its size. */
struct damage_value {
    uint32_t number; /* 0: there is none */
    uint32_t size_bytes;
};

struct damage_file {
    char path[64];
    const char *name; /* in the store's directory */
    uint64_t size_bytes;
};

/* A store that was closed, or whose process was killed after a commit. */
struct damage_store {
    const char *name;
    bool is_direct;
    bool is_killed;
    struct sim_image *image;
    struct sim_image *older[DAMAGE_OLDER]; /* earlier states of the same store */
    struct ledger ledger;                  /* not of a direct store */
    uint64_t serials[2]; /* of a direct store's named session: before the last cut, and with it */
    struct damage_value expected[DAMAGE_KEYS];
    unsigned char *bytes[DAMAGE_KEYS]; /* of these values */
    struct damage_file files[DAMAGE_FILES_MAX];
    size_t file_count;
    uint64_t log_end; /* see damage_padding.h */
};

/* ---- damage_store.c ---- */

/* In the world that has begun. The caller releases it by damage_forget_store(). */
void damage_make_store(struct damage_store *store, const char *name, bool is_direct,
                       bool is_killed);
void damage_forget_store(struct damage_store *store);

struct faster_options damage_options(const struct damage_store *store);
void damage_key(uint32_t key, char text[DAMAGE_KEY_BYTES + 1]);

/* ---- damage_check.c ---- */

/* What became of a damage. */
struct damage_outcome {
    bool is_noticed_by_reading;
    bool is_noticed_by_verify;
};

/* Opens what the image and the rows hold, and reads all of it in each way there is. Ends the
 * program if something is wrong: a read or a scan gives what was not written, a failure has a
 * status that damage cannot have, a file has changed (but for the lock file, which every open
 * writes, if that is what was damaged). */
struct damage_outcome damage_check(const struct damage_store *store, const struct sim_image *image,
                                   struct ledger *ledger, bool is_lock_damaged);

/* ---- damage_kinds.c ---- */

/* Each does one case; sectors are numbered through all files. A damage that changes nothing, and a
 * swap between files other than segments, is no case. */
void damage_flip(const struct damage_store *store, const struct damage_file *file, uint64_t offset,
                 unsigned bit);
void damage_cut(const struct damage_store *store, const struct damage_file *file,
                uint64_t size_bytes);
void damage_swap(const struct damage_store *store, uint64_t one, uint64_t other);
void damage_copy(const struct damage_store *store, uint64_t to, uint64_t from);
void damage_stale(const struct damage_store *store, uint64_t sector, uint64_t age);
void damage_row(const struct damage_store *store, uint64_t row_index, uint64_t bit);

uint64_t damage_count_sectors(const struct damage_store *store);
uint64_t damage_row_bits(const struct faster_commit_row *row);

#endif
