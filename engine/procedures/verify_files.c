/* verify_files.c - checking a store's small files and segment headers (layer 5). */
#include "procedures/verify.h"
#include "shapes/format_codec.h"

struct file_check {
    const struct faster_store *store;
    struct fst_findings *findings;
    enum faster_status failure; /* a file could not be read: nothing is known of it */
};

/* True if the bytes say nothing, since they could not be had: that is no damage. */
static bool could_not_read(struct file_check *check, enum faster_status status) {
    const bool failed = status == FASTER_IO || status == FASTER_NOMEM || status == FASTER_FULL ||
                        status == FASTER_READ_ONLY;
    if (failed) {
        check->failure = status;
    }
    return failed;
}

static enum faster_status read_start(const struct file_check *check, const char *name, void *bytes,
                                     size_t capacity, size_t *count) {
    const struct faster_store *store = check->store;
    return fst_small_file_read(store->env, fst_store_files_directory(store->files), name, bytes,
                               capacity, count, NULL);
}

static void check_manifest(struct file_check *check, const char *name) {
    unsigned char bytes[sizeof(struct fst_manifest) + 1];
    struct fst_manifest manifest;
    size_t count = 0;
    enum faster_status status = read_start(check, name, bytes, sizeof bytes, &count);
    if (status == FASTER_MISSING || could_not_read(check, status)) {
        return; /* missing: only one has been written so far */
    }
    if (status != FASTER_OK ||
        fst_manifest_check(bytes, count, fst_store_files_owner(check->store->files), &manifest) !=
            FASTER_OK) {
        fst_find_in_file(check->findings, "the manifest is damaged", name);
    }
}

static void check_identity(struct file_check *check) {
    unsigned char bytes[sizeof(struct fst_identity) + 1];
    struct fst_identity identity;
    size_t count = 0;
    enum faster_status status = read_start(check, FST_NAME_IDENTITY, bytes, sizeof bytes, &count);
    if (could_not_read(check, status)) {
        return;
    }
    if (status != FASTER_OK || fst_identity_check(bytes, count, &identity) != FASTER_OK) {
        fst_find_in_file(check->findings, "the identity is damaged", FST_NAME_IDENTITY);
    }
}

static bool check_segment(void *context, const char *name) {
    struct file_check *check = context;
    const struct faster_store *store = check->store;
    unsigned char bytes[FST_SEGMENT_HEADER_BYTES + 1];
    uint64_t index;
    size_t count = 0;
    if (!fst_segment_name_parse(name, &index)) {
        return true;
    }
    enum faster_status status = read_start(check, name, bytes, sizeof bytes, &count);
    if (status == FASTER_MISSING || could_not_read(check, status)) {
        return status == FASTER_MISSING; /* truncated meanwhile */
    }
    if (status == FASTER_OK && count <= FST_SEGMENT_HEADER_BYTES) {
        return true; /* no log bytes: a creation that a crash cut short */
    }
    if (status != FASTER_OK ||
        fst_segment_header_check(bytes, FST_SEGMENT_HEADER_BYTES,
                                 fst_store_files_owner(store->files), store->identity.segment_bits,
                                 index) != FASTER_OK) {
        fst_find_in_file(check->findings, "the segment's header is damaged", name);
    }
    return true;
}

enum faster_status fst_verify_files(struct fst_findings *findings) {
    const struct faster_store *store = findings->store;
    const struct faster_env *env = store->env;
    struct file_check check = {store, findings, FASTER_OK};
    check_identity(&check);
    check_manifest(&check, FST_NAME_MANIFEST_0);
    check_manifest(&check, FST_NAME_MANIFEST_1);
    enum faster_status status =
        env->directory_list(env, fst_store_files_directory(store->files), check_segment, &check);
    return check.failure != FASTER_OK ? check.failure : status;
}
