/* checkpoint_format.c - names and roots of checkpoints (layer 1). */
#include "shapes/checkpoint_format.h"

#include "base/checksum.h"
#include "shapes/format_checks.h"

#define NUMBER_DIGITS 16u

static const uint8_t root_magic[FST_MAGIC_BYTES] = {'F', 'A', 'S', 'T', 'E', 'R', 'c', 'p'};

/* ---- names ---- */

static const char *const prefixes[FST_CHECKPOINT_FILE_COUNT] = {"checkpoint.", "index.", "data."};

void fst_checkpoint_name(enum fst_checkpoint_file file, uint64_t number,
                         char name[FST_CHECKPOINT_NAME_BYTES]) {
    const size_t prefix_bytes = strlen(prefixes[file]);

    memcpy(name, prefixes[file], prefix_bytes);
    for (unsigned i = 0; i < NUMBER_DIGITS; i++) {
        name[prefix_bytes + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    }
    name[prefix_bytes + NUMBER_DIGITS] = '\0';
}

bool fst_checkpoint_name_parse(const char *name, enum fst_checkpoint_file *file, uint64_t *number) {
    for (unsigned i = 0; i < FST_CHECKPOINT_FILE_COUNT; i++) {
        const size_t prefix_bytes = strlen(prefixes[i]);
        char made[FST_CHECKPOINT_NAME_BYTES];
        uint64_t value = 0;

        if (strncmp(name, prefixes[i], prefix_bytes) != 0) {
            continue;
        }
        for (const char *at = name + prefix_bytes; *at != '\0'; at++) {
            value = value << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
        }
        /* Whatever the characters were: it is a name if it is made of the number again. */
        fst_checkpoint_name((enum fst_checkpoint_file)i, value, made);
        *file = (enum fst_checkpoint_file)i;
        *number = value;
        return strcmp(made, name) == 0;
    }
    return false;
}

/* ---- roots ---- */

static uint64_t root_checksum(const struct fst_root *root, const void *sessions,
                              const struct fst_format_owner *owner) {
    const uint64_t sum =
        fst_checksum64_at(root, offsetof(struct fst_root, checksum), 0, owner->checksum_seed);

    return root->session_count == 0
               ? sum
               : fst_checksum64(sessions, root->session_count * sizeof(struct fst_named_serial),
                                sum);
}

void fst_root_seal(struct fst_root *root, const struct fst_named_serial *sessions,
                   const struct fst_format_owner *owner) {
    memcpy(root->magic, root_magic, FST_MAGIC_BYTES);
    root->format_version = FST_FORMAT_VERSION;
    memcpy(root->uuid, owner->uuid, sizeof root->uuid);
    root->generation = owner->generation;
    root->reserved_0 = 0;
    memset(root->reserved, 0, sizeof root->reserved);
    root->checksum = root_checksum(root, sessions, owner);
}

static bool root_point_makes_sense(const struct fst_root *root) {
    return root->point_number != 0 && root->point_nonce != 0 &&
           fst_is_record_addr(root->point_end) && fst_is_record_addr(root->point_control_address) &&
           root->point_control_address < root->point_end &&
           fst_is_record_addr_or_zero(root->point_start) && root->point_start < root->point_end;
}

/* What is said of data files belongs to the kind. */
static bool root_data_makes_sense(const struct fst_root *root) {
    const bool is_delta = root->kind == FST_ROOT_DELTA;

    if (root->kind == FST_ROOT_FOLD_OVER || root->kind == FST_ROOT_INDEX_ONLY) {
        return root->data_base_number == 0 && root->data_previous_number == 0 &&
               root->data_start == 0 && root->changed_below == 0 && root->data_nonce == 0 &&
               root->resume_at == 0 && root->data_number == 0;
    }
    return root->data_number != 0 && root->data_number <= root->number && root->data_nonce != 0 &&
           root->data_base_number != 0 && root->data_base_number <= root->data_number &&
           is_delta == (root->data_previous_number != 0) &&
           root->data_previous_number < root->data_number && fst_is_record_addr(root->data_start) &&
           root->data_start <= root->point_end && fst_is_record_addr(root->changed_below) &&
           root->changed_below <= root->point_end &&
           (root->resume_at == 0 ||
            (fst_is_record_addr(root->resume_at) && root->resume_at > root->point_end));
}

static bool root_makes_sense(const struct fst_root *root) {
    return root->kind >= FST_ROOT_FOLD_OVER && root->kind <= FST_ROOT_INDEX_ONLY &&
           root_point_makes_sense(root) && fst_is_record_addr(root->begin) &&
           fst_is_record_addr(root->log_end) && root->begin <= root->log_end &&
           root->index_number <= root->number &&
           (root->index_number != 0) == (root->index_nonce != 0) &&
           (root->kind != FST_ROOT_INDEX_ONLY || root->index_number == root->number) &&
           root_data_makes_sense(root) && root->reserved_0 == 0 &&
           fst_format_is_zero(root->reserved, sizeof root->reserved);
}

/* A forgotten name is none of those that there are. */
static bool sessions_make_sense(const uint8_t *sessions, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (fst_named_serial_at(sessions, i).serial == 0) {
            return false;
        }
    }
    return fst_named_serials_make_sense(sessions, count);
}

enum faster_status fst_root_check(const void *bytes, size_t count_bytes,
                                  const struct fst_format_owner *owner, uint64_t number,
                                  struct fst_root *root) {
    const uint8_t *sessions = (const uint8_t *)bytes + sizeof *root;
    const enum faster_status status =
        fst_format_check_start(bytes, count_bytes, root_magic, sizeof *root, FST_FORMAT_VERSION);

    if (status != FASTER_OK) {
        return status;
    }
    memcpy(root, bytes, sizeof *root);
    if (!fst_format_is_owners(root->uuid, root->generation, owner)) {
        return FASTER_FOREIGN;
    }
    if (root->session_count > FST_ROOT_SESSIONS_MAX ||
        count_bytes != sizeof *root + root->session_count * sizeof(struct fst_named_serial) ||
        root->checksum != root_checksum(root, sessions, owner) || root->number != number ||
        !root_makes_sense(root) || !sessions_make_sense(sessions, root->session_count)) {
        return FASTER_CORRUPT;
    }
    return FASTER_OK;
}
