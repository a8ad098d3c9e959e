/* fuzz_segment.c - a direct store whose log is the input: open, scan, reads, verify, and one more
 * life (P4, P8).
 *
 * Input: a byte of flags, then the log from its first record on, or (FLAG_FILE) the file of its
 * only segment. Properties: the open ends with a documented status; what a scan gives is read
 * again with the same value; where verify finds nothing nothing fails; the same files give the
 * same content again; after FLAG_WRITE one key is written and committed, and a later life has it
 * and everything else unchanged; memory stays within the budget, and all of it is given back.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz_store.h"

enum { FLAG_SEAL = 1, FLAG_FILE = 2, FLAG_WRITE = 4 };

static const struct faster_bytes new_key = {"fuzz", 4};

struct life {
    const struct fuzz_store *files;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_snapshot now;
};

static bool begin(struct life *life, bool read_only) {
    struct faster_options options = life->files->options;
    options.read_only = read_only;
    const enum faster_status status = faster_store_open(&options, &life->store, NULL);
    if (status != FASTER_OK) {
        FUZZ_CHECK(status == FASTER_CORRUPT || status == FASTER_FOREIGN ||
                       status == FASTER_VERSION_NEWER || status == FASTER_FULL,
                   "open: %s", faster_status_name(status));
        return false;
    }
    FUZZ_OK(faster_session_open(life->store, &life->session));
    FUZZ_OK(faster_snapshot_open_newest(life->session, &life->now));
    return true;
}

static void end(struct life *life) {
    faster_snapshot_close(&life->now);
    faster_session_close(life->session);
    faster_store_close(life->store);
}

/* True if the store could be opened; its contents are for the caller to finish. */
static bool read_all(const struct fuzz_store *files, struct fuzz_contents *contents) {
    struct life life = {.files = files};
    if (!begin(&life, true)) {
        return false;
    }
    fuzz_store_check(life.session, &life.now, contents);
    end(&life);
    return true;
}

/* False: the store refuses to be written. */
static bool write_one(const struct fuzz_store *files) {
    struct life life = {.files = files};
    if (!begin(&life, false)) {
        return false;
    }
    struct faster_op op = {.key = new_key, .value = {"new", 3}};
    enum faster_status status = faster_session_upsert(life.session, &op);
    if (status == FASTER_OK) {
        status = faster_session_commit(life.session);
    }
    FUZZ_CHECK(status == FASTER_OK || status == FASTER_FULL || status == FASTER_CORRUPT ||
                   status == FASTER_FAILED || status == FASTER_FOREIGN,
               "write: %s", faster_status_name(status));
    end(&life);
    return status == FASTER_OK;
}

static bool is_new_key(const struct fuzz_pair *pair) {
    return pair->key_bytes == new_key.size_bytes &&
           memcmp(pair->bytes, new_key.data, pair->key_bytes) == 0;
}

/* `after` is `before` and the new key. */
static void check_next_life(struct fuzz_contents *before, struct fuzz_contents *after) {
    size_t i = 0;
    if (before->status != FASTER_END || before->count >= FUZZ_PAIRS_MAX - 1) {
        return;
    }
    FUZZ_CHECK(after->status == FASTER_END, "a later life: %s", faster_status_name(after->status));
    for (size_t j = 0; j < after->count; j++) {
        const struct fuzz_pair *pair = &after->pairs[j];
        if (is_new_key(pair)) {
            FUZZ_CHECK(pair->value_bytes == 3 && memcmp(pair->bytes + 4, "new", 3) == 0, "value");
            i += i < before->count && is_new_key(&before->pairs[i]);
            continue;
        }
        FUZZ_CHECK(i < before->count && pair->key_bytes == before->pairs[i].key_bytes &&
                       pair->value_bytes == before->pairs[i].value_bytes &&
                       memcmp(pair->bytes, before->pairs[i].bytes,
                              pair->key_bytes + pair->value_bytes) == 0,
                   "a later life holds something else");
        i++;
    }
    FUZZ_CHECK(i == before->count, "a later life has lost a key");
}

static void write_log(const struct fuzz_store *files, struct fuzz_input *input, unsigned flags) {
    static unsigned char file[FUZZ_LOG_FILE_BYTES_MAX];
    const size_t skipped = (flags & FLAG_FILE) != 0 ? 0 : FUZZ_LOG_FIRST_BYTES;
    const struct fuzz_input part = fuzz_part(input, sizeof file - skipped);
    memset(file, 0, sizeof file);
    memcpy(file, files->log.file, skipped);
    if (part.left_bytes > 0) {
        memcpy(file + skipped, part.at, part.left_bytes);
    }
    if ((flags & FLAG_SEAL) != 0) {
        fuzz_log_seal(files, file, skipped + part.left_bytes);
    }
    fuzz_write_file(files->directory, FUZZ_LOG_NAME, file, skipped + part.left_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static struct fuzz_contents contents;
    static struct fuzz_contents again;
    const struct fuzz_store *files = fuzz_store_direct();
    struct fuzz_input input = {data, size_bytes};
    const unsigned flags = fuzz_byte(&input);
    fuzz_env_begin();
    write_log(files, &input, flags);
    if (read_all(files, &contents)) {
        FUZZ_CHECK(read_all(files, &again) && fuzz_contents_equal(&contents, &again),
                   "the same files, another content");
        fuzz_contents_finish(&again);
        if ((flags & FLAG_WRITE) != 0 && write_one(files)) {
            FUZZ_CHECK(read_all(files, &again), "a later life cannot be opened");
            check_next_life(&contents, &again);
            fuzz_contents_finish(&again);
        }
        fuzz_contents_finish(&contents);
    }
    if ((flags & FLAG_WRITE) != 0) {
        fuzz_store_restore(files);
    }
    fuzz_env_end(FUZZ_STORE_BYTES_MAX);
    return 0;
}
