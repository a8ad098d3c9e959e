/* test_model.c - the reference model itself: what other tests believe. */
#include "support/model.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(model, .timeout = 60);

static const enum model_size SIZES[] = {MODEL_WORD,   MODEL_SMALL, MODEL_SECTOR,
                                        MODEL_MEDIUM, MODEL_PAGE,  MODEL_CHUNKED};
#define SIZE_COUNT (sizeof SIZES / sizeof SIZES[0])

static model_value small(uint32_t number) {
    return model_value_make(number, MODEL_SMALL);
}

Test(model, keys_come_back_and_keep_their_order) {
    char before[16] = "";
    for (uint32_t key = 0; key < MODEL_KEYS_MAX; key++) {
        char text[16];
        uint32_t parsed = UINT32_MAX;
        const size_t count = model_key(key, text);
        cr_assert(model_key_parse(text, count, &parsed));
        cr_assert_eq(parsed, key);
        cr_assert_lt(strcmp(before, text), 0);
        memcpy(before, text, sizeof before);
    }
}

Test(model, other_bytes_are_no_keys) {
    uint32_t key;
    cr_assert_not(model_key_parse("key-0001", 8, &key));
    cr_assert_not(model_key_parse("kex-00012", 9, &key));
    cr_assert_not(model_key_parse("key-0001x", 9, &key));
    cr_assert_not(model_key_parse("", 0, &key));
}

Test(model, values_come_back_from_their_bytes) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    for (uint32_t number = 1; number < 300; number++) {
        for (size_t i = 0; i < SIZE_COUNT; i++) {
            const model_value value = model_value_make(number, SIZES[i]);
            const size_t count = model_bytes(value, bytes);
            cr_assert_leq(count, MODEL_VALUE_BYTES_MAX);
            cr_assert_eq(count, model_value_bytes(value));
            cr_assert(model_is_bytes(value, bytes, count));
            cr_assert_eq(model_value_parse(bytes, count), value);
        }
    }
}

/* Of one byte each, as a disk may: the last one need not fill a word. */
Test(model, changed_and_shortened_bytes_are_no_value) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        const model_value value = model_value_make(77, SIZES[i]);
        const size_t count = model_bytes(value, bytes);
        const size_t step = count < 2000 ? 1 : 997;
        for (size_t at = 0; at < count; at += step) {
            bytes[at] ^= 0x10;
            cr_assert_eq(model_value_parse(bytes, count), 0, "byte %zu of %zu", at, count);
            bytes[at] ^= 0x10;
        }
        bytes[count - 1] ^= 1;
        cr_assert_eq(model_value_parse(bytes, count), 0);
        bytes[count - 1] ^= 1;
        cr_assert_eq(model_value_parse(bytes, count - 1), 0);
    }
    cr_assert_eq(model_value_parse(bytes, 0), 0);
}

/* Sectors that change places must not go unseen. */
Test(model, values_of_two_numbers_share_no_word) {
    static unsigned char one[MODEL_VALUE_BYTES_MAX], other[MODEL_VALUE_BYTES_MAX];
    const size_t count = model_bytes(model_value_make(5, MODEL_PAGE), one);
    (void)model_bytes(model_value_make(6, MODEL_PAGE), other);
    for (size_t at = 0; at + 4 <= count; at += 4) {
        cr_assert_neq(memcmp(one + at, other + at, 4), 0);
        cr_assert(at == 0 || memcmp(one + at, one, 4) != 0);
    }
}

Test(model, operations_come_out_by_what_is_there) {
    struct model *model = model_create(4);
    model_put(model, 1, small(1));
    cr_assert_eq(model_expect(model, FASTER_OP_READ, 0, 0), FASTER_NOT_FOUND);
    cr_assert_eq(model_expect(model, FASTER_OP_READ, 1, 0), FASTER_OK);
    cr_assert_eq(model_expect(model, FASTER_OP_INSERT, 0, 0), FASTER_OK);
    cr_assert_eq(model_expect(model, FASTER_OP_INSERT, 1, 0), FASTER_EXISTS);
    cr_assert_eq(model_expect(model, FASTER_OP_COMPARE_AND_SET, 0, small(1)), FASTER_NOT_FOUND);
    cr_assert_eq(model_expect(model, FASTER_OP_COMPARE_AND_SET, 1, small(2)), FASTER_EXISTS);
    cr_assert_eq(model_expect(model, FASTER_OP_COMPARE_AND_SET, 1, small(1)), FASTER_OK);
    cr_assert_eq(model_expect(model, FASTER_OP_UPSERT, 1, 0), FASTER_OK);
    cr_assert_eq(model_expect(model, FASTER_OP_RMW, 0, 0), FASTER_OK);
    cr_assert_eq(model_expect(model, FASTER_OP_DELETE, 0, 0), FASTER_OK);
    model_destroy(model);
}

Test(model, savepoints_undo_what_came_after_them) {
    struct model *model = model_create(2);
    model_put(model, 0, small(1));
    (void)model_commit(model);
    model_begin(model);
    model_put(model, 0, small(2));
    model_savepoint(model, 1); /* and 0 */
    model_put(model, 0, small(3));
    model_savepoint(model, 2);
    model_put(model, 0, small(4));
    model_rollback_to(model, 2);
    cr_assert_eq(model_get(model, 0), small(3));
    model_put(model, 0, small(5));
    model_rollback_to(model, 1);
    cr_assert_eq(model_get(model, 0), small(2));
    model_put(model, 0, small(6));
    model_rollback_to(model, 1); /* it has stayed */
    cr_assert_eq(model_get(model, 0), small(2));
    model_release(model, 1);
    model_put(model, 0, small(7));
    model_rollback_to(model, 0);
    cr_assert_eq(model_get(model, 0), small(2));
    model_release(model, 0);
    model_rollback_to(model, 0); /* not set: everything */
    cr_assert_eq(model_get(model, 0), small(1));
    model_put(model, 1, small(8));
    model_rollback(model);
    cr_assert_eq(model_get(model, 1), 0);
    model_destroy(model);
}

Test(model, versions_stay_and_are_found_again) {
    char why[MODEL_WHY_BYTES];
    struct model *model = model_create(3);
    model_put(model, 0, small(1));
    cr_assert_eq(model_commit(model), 1);
    model_put(model, 1, small(2));
    cr_assert_eq(model_commit(model), 2);
    model_put(model, 1, 0);
    cr_assert_eq(model_commit(model), 3); /* as version 1 */
    cr_assert_eq(model_version(model, 1)[1], 0);
    cr_assert_eq(model_version(model, 2)[1], small(2));
    cr_assert_null(model_version(model, 4));
    cr_assert_eq(model_version_hash(model, 1), model_version_hash(model, 3));
    cr_assert_neq(model_version_hash(model, 1), model_version_hash(model, 2));
    const model_value two[3] = {small(1), small(2), 0};
    const model_value one[3] = {small(1), 0, 0};
    const model_value torn[3] = {0, small(2), 0};
    cr_assert_eq(model_find(model, two, 0, 3, why), 2);
    cr_assert_eq(model_find(model, one, 0, 3, why), 3);
    cr_assert_eq(model_find(model, one, 0, 2, why), 1);
    cr_assert_eq(model_find(model, one, 2, 2, why), UINT64_MAX);
    cr_assert_eq(model_find(model, torn, 0, 3, why), UINT64_MAX);
    cr_assert_neq(strlen(why), 0);
    model_destroy(model);
}

Test(model, next_life_goes_on_from_an_older_version) {
    struct model *model = model_create(2);
    cr_assert_eq(model_did(model, 0), 1);
    (void)model_commit(model);
    model_put(model, 0, small(1));
    cr_assert_eq(model_did(model, 0), 2);
    (void)model_commit(model);
    model_begin(model);
    model_put(model, 0, small(2));
    model_resume(model, 1);
    cr_assert_eq(model_newest(model), 1);
    cr_assert_eq(model_get(model, 0), 0);
    cr_assert_eq(model_did(model, 0), 2);
    cr_assert_eq(model_commit(model), 2);
    cr_assert_eq(model_serial(model, 2, 0), 2);
    cr_assert_eq(model_serial(model, 1, 0), 1);
    cr_assert_eq(model_serial(model, 1, 1), 0);
    model_destroy(model);
}

Test(model, copies_go_their_own_way) {
    struct model *model = model_create(1);
    model_put(model, 0, small(1));
    (void)model_commit(model);
    model_put(model, 0, small(2));
    (void)model_commit(model);
    struct model *copy = model_copy(model, 1);
    cr_assert_eq(model_newest(copy), 1);
    cr_assert_eq(model_get(copy, 0), small(1));
    model_put(copy, 0, small(3));
    cr_assert_eq(model_commit(copy), 2);
    cr_assert_eq(model_version(model, 2)[0], small(2));
    model_destroy(model);
    cr_assert_eq(model_version(copy, 1)[0], small(1));
    model_destroy(copy);
}

Test(model, what_is_rolled_back_is_not_in_the_serial) {
    struct model *model = model_create(1);
    model_begin(model);
    (void)model_did(model, 3);
    model_savepoint(model, 0);
    (void)model_did(model, 3);
    model_rollback_to(model, 0);
    cr_assert_eq(model_commit(model), 1);
    cr_assert_eq(model_serial(model, 1, 3), 1);
    model_destroy(model);
}
