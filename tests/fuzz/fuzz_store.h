/* fuzz_store.h - small stores for fuzz targets, and what can be read from them. */
#ifndef TESTS_FUZZ_FUZZ_STORE_H
#define TESTS_FUZZ_FUZZ_STORE_H

#include "fuzz/fuzz.h"
#include "support/ledger.h"

#define FUZZ_PAGE_BYTES (16u << 10)
#define FUZZ_SEGMENT_BYTES (64u << 10)
/* The budget of a store, the buffers of who reads it, and some room. */
#define FUZZ_STORE_BYTES_MAX (FASTER_MEMORY_BYTES_MIN + (2u << 20))

/* The only segment of a log, as its file is. */
struct fuzz_log {
    unsigned char *file; /* FUZZ_LOG_FILE_BYTES_MAX of them; owned */
    size_t count;
};
#define FUZZ_LOG_HEADER_BYTES 4096u
#define FUZZ_LOG_FILE_BYTES_MAX (FUZZ_LOG_HEADER_BYTES + FUZZ_SEGMENT_BYTES)
#define FUZZ_LOG_NAME "log.000000000000"
/* Where the first record is in that file. */
#define FUZZ_LOG_FIRST_BYTES (2u * 4096u)

/* A store with a directory, closed. */
struct fuzz_store {
    struct faster_options options;
    char directory[300];
    uint64_t checksum_seed;
    struct fuzz_log log;  /* the log as a crash would have left it */
    void *manifest;       /* manifest.0; there is no other; owned */
    struct ledger ledger; /* of a transactional one: its commits; the later ones have redo */
};

/* What the stores hold: a direct one after three cuts (and more that no cut covers), a
 * transactional one after four commits, of which the log has two. Once a process. */
const struct fuzz_store *fuzz_store_direct(void);
const struct fuzz_store *fuzz_store_transactional(void);

/* Puts the directory back as it was. */
void fuzz_store_restore(const struct fuzz_store *store);

/* Puts the right checksum into each record of the log, from its first on, until there is none. */
void fuzz_log_seal(const struct fuzz_store *store, unsigned char *file, size_t count);

/* All that a scan gives. */
#define FUZZ_PAIRS_MAX 512u
struct fuzz_pair {
    unsigned char *bytes; /* key, then value; owned */
    size_t key_bytes;
    size_t value_bytes;
};
struct fuzz_contents {
    enum faster_status status; /* END, or what has stopped the scan */
    size_t count;
    struct fuzz_pair pairs[FUZZ_PAIRS_MAX];
};
void fuzz_contents_read(struct fuzz_contents *contents, const struct faster_snapshot *snapshot);
void fuzz_contents_finish(struct fuzz_contents *contents);
bool fuzz_contents_equal(const struct fuzz_contents *a, const struct fuzz_contents *b);

/* Reads one key to the end; the value is in `result`, whose environment is fuzz_env(). */
enum faster_status fuzz_read(const struct faster_snapshot *snapshot, struct faster_bytes key,
                             struct faster_buffer *result) FASTER_MUST_CHECK;

/* Scan, reads and verify agree: a key that the scan gives is read with the same value, and where
 * verify finds nothing nothing else fails. */
void fuzz_store_check(struct faster_session *session, const struct faster_snapshot *snapshot,
                      struct fuzz_contents *contents);

#endif
