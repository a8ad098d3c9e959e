/* test_verify.c - what is found wrong is named (P4). */
#include "store_rig.h"

#include "store/store.h"

#define ROWS 100u

struct findings {
    struct faster_finding each[8];
    char keys[8][16];
    char files[8][64];
    unsigned count;
};

static void collect(void *context, const struct faster_finding *finding) {
    struct findings *findings = context;
    cr_assert_lt(findings->count, 8);
    cr_assert_lt(finding->key.size_bytes, sizeof findings->keys[0]);
    memcpy(findings->keys[findings->count], finding->key.data, finding->key.size_bytes);
    snprintf(findings->files[findings->count], sizeof findings->files[0], "%s", finding->file);
    findings->each[findings->count++] = *finding;
}

/* Makes the chain of `key` end before its only record. Returns the record's address. */
static uint64_t cut_off(struct rig *rig, const char *key) {
    struct faster_bytes bytes = {key, strlen(key)};
    struct fst_index_slot slot;
    ASSERT_OK(
        fst_hash_index_find_for_write(rig->store->index, fst_key_hash(rig->store, &bytes), &slot));
    uint64_t address = fst_index_slot_addr(&slot).raw;
    cr_assert(fst_hash_index_publish(rig->store->index, &slot, fst_addr_of(0)));
    return address;
}

Test(verify, names_every_record_that_its_chain_lost) {
    static const char *const LOST[] = {"k3", "k70", "k71"};
    static struct findings findings;
    uint64_t addresses[3];
    uint64_t count = 0;
    struct rig rig;
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < ROWS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        rig_commit_put(&rig, key, i + 1, 2000);
    }
    rig_verify(&rig);
    for (unsigned i = 0; i < 3; i++) {
        addresses[i] = cut_off(&rig, LOST[i]);
    }
    ASSERT_OK(faster_session_verify(rig.session, collect, &findings, NULL, NULL, &count));
    cr_assert_eq(count, 3);
    cr_assert_eq(findings.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char segment[FST_SEGMENT_NAME_BYTES];
        fst_segment_name(addresses[i] >> rig.store->identity.segment_bits, segment);
        cr_assert_str_eq(findings.keys[i], LOST[i]);
        cr_assert_eq(findings.each[i].address, addresses[i]);
        cr_assert_str_eq(findings.files[i], segment);
    }
    rig_finish(&rig);
}

Test(verify, file_that_cannot_be_opened_is_a_failure_and_no_finding) {
    struct rig rig;
    uint64_t count = 1;
    rig_start(&rig, 4096);
    rig_commit_put(&rig, "a", 1, 0);
    fst_test_env_fail(rig.test, FST_TEST_FILE_OPEN, 1, 1, FASTER_FULL);
    ASSERT_STATUS(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &count), FASTER_FULL);
    cr_assert_eq(count, 0);
    rig_verify(&rig);
    rig_finish(&rig);
}
