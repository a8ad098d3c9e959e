/* verify_checkpoints.c - checking the roots of checkpoints, and the copies of the index that they
 * name (layer 5).
 *
 * Checkpoints go on meanwhile, and old ones go: what is wrong with a file counts only while its
 * root is still there.
 */
#include "procedures/index_read.h"
#include "procedures/verify.h"
#include "store/checkpoint_files.h"

static bool is_damage(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_VERSION_NEWER;
}

/* An empty root is there, too. */
static void find(struct fst_findings *findings, const char *what, uint64_t root_number,
                 enum fst_checkpoint_file kind, uint64_t number) {
    char name[FST_CHECKPOINT_NAME_BYTES];
    struct fst_root root;
    if (fst_checkpoint_root_read(findings->store->files, root_number, &root, NULL) !=
        FASTER_MISSING) {
        fst_checkpoint_name(kind, number, name);
        fst_find_in_file(findings, what, name);
    }
}

static enum faster_status check_index(struct fst_findings *findings, struct fst_index_read *index,
                                      const struct fst_root *root) {
    index->number = root->index_number;
    index->nonce = root->index_nonce;
    enum faster_status status = fst_index_read_check(index);
    if (status == FASTER_MISSING) {
        find(findings, "the copy of the index that it names is missing", root->number,
             FST_CHECKPOINT_FILE_ROOT, root->number);
    } else if (is_damage(status)) {
        find(findings, "the copy of the index is damaged", root->number, FST_CHECKPOINT_FILE_INDEX,
             index->number);
    } else {
        return status;
    }
    return FASTER_OK;
}

static enum faster_status check_root(struct fst_findings *findings, struct fst_index_read *index,
                                     uint64_t number) {
    struct fst_root root;
    enum faster_status status =
        fst_checkpoint_root_read(findings->store->files, number, &root, NULL);
    if (is_damage(status)) {
        find(findings, "the checkpoint is damaged", number, FST_CHECKPOINT_FILE_ROOT, number);
        return FASTER_OK;
    }
    if (status == FASTER_OK && root.index_number != 0 && root.index_number != index->number) {
        return check_index(findings, index, &root); /* several roots may name one, in turn */
    }
    return status == FASTER_MISSING ? FASTER_OK : status;
}

enum faster_status fst_verify_checkpoints(struct fst_findings *findings,
                                          struct faster_session *session,
                                          faster_interrupt_fn *interrupt, void *interrupt_context) {
    struct fst_checkpoint_names names;
    struct fst_index_read index = {
        .session = session, .interrupt = interrupt, .interrupt_context = interrupt_context};
    enum faster_status status = fst_checkpoint_names_list(findings->store->files, &names);
    for (size_t i = 0; status == FASTER_OK && i < names.root_count; i++) {
        status = check_root(findings, &index, names.roots[i]);
    }
    return status;
}
