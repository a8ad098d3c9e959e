/* test_base.c - layer 0 without the system: values, messages, memory, counting and the
 * like. test_env_posix.c has the files, threads and clocks. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/diagnostics.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/uuid.h"
#include "support/test_env.h"

static const uint8_t some_uuid[FASTER_UUID_BYTES] = {
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
static const char some_uuid_text[] = "01234567-89ab-cdef-fedc-ba9876543210";

/* ---------------------------------------------------------------- status */

Test(status, every_value_has_its_own_name) {
    for (int status = FASTER_FAILED; status <= FASTER_BEHIND; status++) {
        const char *name = faster_status_name((enum faster_status)status);
        cr_assert_eq(strncmp(name, "FASTER_", 7), 0);
        cr_assert_str_neq(name, "FASTER_STATUS_UNKNOWN", "status %d", status);
        for (int other = FASTER_FAILED; other < status; other++) {
            cr_assert_str_neq(name, faster_status_name((enum faster_status)other));
        }
    }
    cr_assert_str_eq(faster_status_name(FASTER_OK), "FASTER_OK");
    cr_assert_str_eq(faster_status_name(FASTER_SNAPSHOT_GONE), "FASTER_SNAPSHOT_GONE");
}

Test(status, unknown_value_has_a_name_too) {
    cr_assert_str_eq(faster_status_name((enum faster_status)(-1000)), "FASTER_STATUS_UNKNOWN");
    cr_assert_str_eq(faster_status_name((enum faster_status)1000), "FASTER_STATUS_UNKNOWN");
}

/* ----------------------------------------------------------------- bytes */

Test(bytes, integers_are_little_endian_at_any_alignment) {
    uint8_t bytes[16] = {0};
    fst_store_le_u32(bytes + 1, UINT32_C(0x80FF0102));
    cr_assert_eq(memcmp(bytes, "\x00\x02\x01\xFF\x80\x00", 6), 0);
    cr_assert_eq(fst_load_le_u32(bytes + 1), UINT32_C(0x80FF0102));
    fst_store_le_u64(bytes + 3, UINT64_C(0xF0E0D0C0B0A09080));
    cr_assert_eq(memcmp(bytes + 3, "\x80\x90\xA0\xB0\xC0\xD0\xE0\xF0\x00", 9), 0);
    cr_assert_eq(fst_load_le_u64(bytes + 3), UINT64_C(0xF0E0D0C0B0A09080));
}

Test(bytes, checked_arithmetic_refuses_only_what_does_not_fit) {
    uint64_t result;
    size_t size;
    cr_assert(fst_add_fits_u64(UINT64_MAX - 1, 1, &result));
    cr_assert_eq(result, UINT64_MAX);
    cr_assert_not(fst_add_fits_u64(UINT64_MAX, 1, &result));
    cr_assert(fst_add_fits_size(1, 2, &size));
    cr_assert_eq(size, 3u);
    cr_assert_not(fst_add_fits_size(SIZE_MAX, 1, &size));
}

Test(bytes, powers_and_alignment_are_right_at_the_edges) {
    cr_assert_not(fst_is_power_of_two_u64(0));
    cr_assert(fst_is_power_of_two_u64(1));
    cr_assert_not(fst_is_power_of_two_u64(3));
    cr_assert(fst_is_power_of_two_u64(UINT64_C(1) << 63));
    cr_assert_eq(fst_log2_floor_u64(1), 0u);
    cr_assert_eq(fst_log2_floor_u64(4095), 11u);
    cr_assert_eq(fst_log2_floor_u64(UINT64_MAX), 63u);
    cr_assert_eq(fst_align_up_u64(0, 8), 0u);
    cr_assert_eq(fst_align_up_u64(1, 8), 8u);
    cr_assert_eq(fst_align_up_u64(4096, 4096), 4096u);
    cr_assert_eq(fst_align_down_u64(4095, 4096), 0u);
    cr_assert_eq(fst_min_u64(2, 1), 1u);
    cr_assert_eq(fst_max_u64(2, 1), 2u);
    cr_assert_eq(fst_min_size(1, 2), 1u);
    cr_assert_eq(fst_max_size(1, 2), 2u);
}

/* ----------------------------------------------- errors and diagnostics */

Test(error, set_formats_and_returns_the_status) {
    struct faster_error error;
    cr_assert_eq(fst_error_set(&error, FASTER_CORRUPT, "page %d of %s", 7, "log.0"),
                 FASTER_CORRUPT);
    cr_assert_eq(error.status, FASTER_CORRUPT);
    cr_assert_str_eq(error.message, "page 7 of log.0");
    fst_error_clear(&error);
    cr_assert_eq(error.status, FASTER_OK);
    cr_assert_str_empty(error.message);
}

Test(error, long_message_is_cut_and_null_is_accepted) {
    struct faster_error error;
    char text[2 * FASTER_MESSAGE_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cr_assert_eq(fst_error_set(&error, FASTER_IO, "%s", text), FASTER_IO);
    cr_assert_eq(strlen(error.message), FASTER_MESSAGE_BYTES - 1);
    cr_assert_eq(fst_error_set(NULL, FASTER_BUSY, "%s", text), FASTER_BUSY);
    fst_error_clear(NULL);
}

struct received {
    int count;
    enum faster_diagnostic_level level;
    char module[32];
    char message[2 * FASTER_MESSAGE_BYTES];
};

static void receive(void *context, enum faster_diagnostic_level level, const char *module,
                    const char *message) {
    struct received *received = context;
    received->count++;
    received->level = level;
    (void)snprintf(received->module, sizeof received->module, "%s", module);
    (void)snprintf(received->message, sizeof received->message, "%s", message);
}

Test(diagnostics, message_reaches_the_receiver) {
    struct received received = {0};
    const struct fst_diagnostics diagnostics = {.fn = receive, .context = &received};
    fst_diagnose(&diagnostics, FASTER_DIAGNOSTIC_WARNING, "log", "%u pages", 3u);
    cr_assert_eq(received.count, 1);
    cr_assert_eq(received.level, FASTER_DIAGNOSTIC_WARNING);
    cr_assert_str_eq(received.module, "log");
    cr_assert_str_eq(received.message, "3 pages");
    fst_diagnose(&diagnostics, FASTER_DIAGNOSTIC_INFO, "log", "%2000d", 1);
    cr_assert_eq(strlen(received.message), FASTER_MESSAGE_BYTES - 1);
}

Test(diagnostics, without_a_receiver_nothing_happens) {
    struct received received = {0};
    const struct fst_diagnostics nowhere = {.fn = NULL, .context = &received};
    fst_diagnose(&nowhere, FASTER_DIAGNOSTIC_ERROR, "log", "lost");
    fst_diagnose(NULL, FASTER_DIAGNOSTIC_ERROR, "log", "lost");
    cr_assert_eq(received.count, 0);
}

/* ---------------------------------------------------------------- buffer */

static struct faster_buffer buffer_in(struct fst_test_env *test) {
    return (struct faster_buffer){.env = fst_test_env_get(test)};
}

Test(buffer, growth_keeps_the_content_and_is_geometric) {
    struct fst_test_env *test = fst_test_env_create();
    struct faster_buffer buffer = buffer_in(test);
    cr_assert_eq(faster_buffer_assign(&buffer, "abc", 3), FASTER_OK);
    for (size_t bytes = 1; bytes <= 100000; bytes++) {
        cr_assert_eq(faster_buffer_reserve(&buffer, bytes), FASTER_OK);
        cr_assert_geq(buffer.capacity_bytes, bytes);
    }
    cr_assert_eq(buffer.size_bytes, 3u);
    cr_assert_eq(memcmp(buffer.data, "abc", 3), 0);
    cr_assert_leq(fst_test_env_calls(test, FST_TEST_ALLOCATE), 12u);
    faster_buffer_finish(&buffer);
    cr_assert_eq(fst_test_env_live_allocations(test), 0u);
    fst_test_env_destroy(test);
}

Test(buffer, failed_allocation_leaves_it_unchanged) {
    struct fst_test_env *test = fst_test_env_create();
    struct faster_buffer buffer = buffer_in(test);
    cr_assert_eq(faster_buffer_assign(&buffer, "abc", 3), FASTER_OK);
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 2, FASTER_NOMEM);
    char big[1000] = {0};
    cr_assert_eq(faster_buffer_assign(&buffer, big, sizeof big), FASTER_NOMEM);
    cr_assert_eq(faster_buffer_reserve(&buffer, sizeof big), FASTER_NOMEM);
    cr_assert_eq(buffer.size_bytes, 3u);
    cr_assert_eq(memcmp(buffer.data, "abc", 3), 0);
    cr_assert_eq(faster_buffer_assign(&buffer, big, sizeof big), FASTER_OK);
    faster_buffer_finish(&buffer);
    fst_test_env_destroy(test);
}

Test(buffer, size_near_the_end_of_memory_is_refused) {
    struct fst_test_env *test = fst_test_env_create();
    struct faster_buffer buffer = buffer_in(test);
    cr_assert_eq(faster_buffer_reserve(&buffer, SIZE_MAX), FASTER_NOMEM);
    buffer.capacity_bytes = SIZE_MAX / 2 + 1; /* doubling this would wrap to 0 */
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 1, FASTER_NOMEM);
    cr_assert_eq(faster_buffer_reserve(&buffer, SIZE_MAX / 2 + 2), FASTER_NOMEM);
    fst_test_env_destroy(test);
}

Test(buffer, own_bytes_can_be_assigned) {
    struct faster_buffer buffer = {.env = faster_env_posix()};
    cr_assert_eq(faster_buffer_assign(&buffer, "0123456789", 10), FASTER_OK);
    cr_assert_eq(faster_buffer_assign(&buffer, (char *)buffer.data + 2, 8), FASTER_OK);
    cr_assert_eq(buffer.size_bytes, 8u);
    cr_assert_eq(memcmp(buffer.data, "23456789", 8), 0);
    faster_buffer_finish(&buffer);
}

Test(buffer, empty_is_valid_and_finish_repeats) {
    struct faster_buffer buffer = {.env = faster_env_posix()};
    cr_assert_eq(faster_buffer_reserve(&buffer, 0), FASTER_OK);
    cr_assert_eq(faster_buffer_assign(&buffer, NULL, 0), FASTER_OK);
    cr_assert_null(buffer.data);
    cr_assert_eq(faster_buffer_assign(&buffer, "x", 1), FASTER_OK);
    cr_assert_eq(faster_buffer_assign(&buffer, NULL, 0), FASTER_OK);
    cr_assert_eq(buffer.size_bytes, 0u);
    faster_buffer_finish(&buffer);
    faster_buffer_finish(&buffer);
    faster_buffer_finish(NULL);
    cr_assert_eq(faster_buffer_assign(&buffer, "x", 1), FASTER_OK);
    faster_buffer_finish(&buffer);
}

/* ----------------------------------------------------------------- arena */

static enum faster_status put(const struct faster_arena *arena, struct faster_buffer *buffer,
                              size_t size_bytes) {
    static const char bytes[100000];
    *buffer = (struct faster_buffer){.env = faster_arena_env(arena)};
    enum faster_status status = faster_buffer_assign(buffer, bytes, size_bytes);
    if (status == FASTER_OK && size_bytes > 0) {
        memset(buffer->data, (int)(size_bytes % 251), buffer->capacity_bytes);
    }
    return status;
}

static void expect_bytes(const struct faster_buffer *buffer) {
    const unsigned char *bytes = buffer->data;
    cr_assert_eq((uintptr_t)bytes % 16, 0u);
    for (size_t i = 0; i < buffer->capacity_bytes; i++) {
        cr_assert_eq(bytes[i], buffer->size_bytes % 251);
    }
}

Test(arena, pieces_do_not_touch_each_other) {
    enum { COUNT = 300 };
    struct fst_test_env *test = fst_test_env_create();
    struct faster_arena *arena = faster_arena_create(fst_test_env_get(test), 1000000);
    struct faster_buffer buffers[COUNT];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            cr_assert_eq(put(arena, &buffers[i], i * 7 % 999), FASTER_OK);
        }
        for (size_t i = 0; i < COUNT; i++) {
            if (buffers[i].data != NULL) {
                expect_bytes(&buffers[i]);
            }
        }
        faster_arena_clear(arena, SIZE_MAX);
    }
    faster_arena_destroy(arena);
    cr_assert_eq(fst_test_env_live_allocations(test), 0u);
    fst_test_env_destroy(test);
}

Test(arena, the_next_round_allocates_nothing) {
    struct fst_test_env *test = fst_test_env_create();
    struct faster_arena *arena = faster_arena_create(fst_test_env_get(test), 1000000);
    struct faster_buffer buffer;
    uint64_t calls = 0;
    for (int round = 0; round < 4; round++) {
        calls = fst_test_env_calls(test, FST_TEST_ALLOCATE);
        for (int i = 0; i < 200; i++) {
            cr_assert_eq(put(arena, &buffer, 1000), FASTER_OK);
        }
        faster_arena_clear(arena, SIZE_MAX);
    }
    cr_assert_eq(fst_test_env_calls(test, FST_TEST_ALLOCATE), calls);
    faster_arena_clear(arena, 100); /* keeps less than it has: nothing */
    cr_assert_eq(fst_test_env_live_allocations(test), 1u);
    faster_arena_destroy(arena);
    fst_test_env_destroy(test);
}

Test(arena, the_limit_refuses_all_but_the_first) {
    struct fst_test_env *test = fst_test_env_create();
    struct faster_arena *arena = faster_arena_create(fst_test_env_get(test), 10000);
    struct faster_buffer buffer;
    cr_assert_eq(put(arena, &buffer, 50000), FASTER_OK);
    cr_assert_not(faster_arena_is_full(arena));
    cr_assert_eq(put(arena, &buffer, 1), FASTER_NOMEM);
    cr_assert(faster_arena_is_full(arena));
    faster_arena_clear(arena, SIZE_MAX);
    cr_assert_not(faster_arena_is_full(arena));
    cr_assert_eq(fst_test_env_live_allocations(test), 1u); /* what passed the limit is gone */
    size_t taken = 0;
    while (put(arena, &buffer, 1000) == FASTER_OK) {
        taken += buffer.capacity_bytes;
    }
    cr_assert(faster_arena_is_full(arena));
    cr_assert(taken <= 10000 && taken >= 8000, "%zu bytes", taken);
    faster_arena_destroy(arena);
    fst_test_env_destroy(test);
}

Test(arena, without_memory_it_is_not_full) {
    struct fst_test_env *test = fst_test_env_create();
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 1, FASTER_NOMEM);
    cr_assert_null(faster_arena_create(fst_test_env_get(test), 10000));
    struct faster_arena *arena = faster_arena_create(fst_test_env_get(test), 10000);
    struct faster_buffer buffer;
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 1, FASTER_NOMEM);
    cr_assert_eq(put(arena, &buffer, 1000), FASTER_NOMEM);
    cr_assert_not(faster_arena_is_full(arena));
    cr_assert_eq(put(arena, &buffer, 1000), FASTER_OK);
    cr_assert_eq(faster_buffer_reserve(&buffer, SIZE_MAX), FASTER_NOMEM);
    faster_arena_destroy(arena);
    cr_assert_eq(fst_test_env_live_allocations(test), 0u);
    fst_test_env_destroy(test);
}

Test(buffer, without_an_environment_is_misuse) {
    struct faster_buffer buffer = {0};
    cr_assert_eq(faster_buffer_reserve(&buffer, 1), FASTER_MISUSE);
    faster_buffer_finish(&buffer);
}

/* ------------------------------------------------------------------ uuid */

Test(uuid, text_and_parse_are_inverse) {
    char text[FASTER_UUID_TEXT_BYTES];
    uint8_t parsed[FASTER_UUID_BYTES];
    faster_uuid_text(some_uuid, text);
    cr_assert_str_eq(text, some_uuid_text);
    cr_assert(faster_uuid_parse(text, parsed));
    cr_assert(fst_uuid_equal(parsed, some_uuid));
    cr_assert(faster_uuid_parse("01234567-89AB-CDEF-FEDC-BA9876543210", parsed));
    cr_assert(fst_uuid_equal(parsed, some_uuid));
}

Test(uuid, parse_refuses_all_but_exact_text) {
    uint8_t parsed[FASTER_UUID_BYTES] = {9};
    static const char *const wrong[] = {
        "",
        "-",
        "01234567-89ab-cdef-fedc-ba987654321",
        "01234567-89ab-cdef-fedc-ba98765432100",
        "0123456789abcdeffedcba9876543210",
        "01234567-89ab-cdef-fedc-ba987654321g",
        "01234567-89ab-cdef-fedcaba9876543210",
        "0123456-789ab-cdef-fedc-ba9876543210",
        " 1234567-89ab-cdef-fedc-ba9876543210",
        "+1234567-89ab-cdef-fedc-ba9876543210",
        "{1234567-89ab-cdef-fedc-ba987654321}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_not(faster_uuid_parse(wrong[i], parsed), "%s", wrong[i]);
    }
    cr_assert_not(faster_uuid_parse(NULL, parsed));
    cr_assert_eq(parsed[0], 9, "a refused text changes nothing");
    for (size_t at = 0; at < sizeof some_uuid_text - 1; at++) {
        char text[sizeof some_uuid_text];
        memcpy(text, some_uuid_text, sizeof text);
        text[at] = '_';
        cr_assert_not(faster_uuid_parse(text, parsed), "%s", text);
    }
}

Test(uuid, drawn_uuids_are_random_and_version_4) {
    uint8_t one[FASTER_UUID_BYTES];
    uint8_t other[FASTER_UUID_BYTES];
    uint8_t parsed[FASTER_UUID_BYTES];
    char text[FASTER_UUID_TEXT_BYTES];
    cr_assert_eq(faster_uuid_draw(faster_env_posix(), one), FASTER_OK);
    cr_assert_eq(faster_uuid_draw(faster_env_posix(), other), FASTER_OK);
    cr_assert_not(fst_uuid_equal(one, other));
    cr_assert_not(fst_uuid_is_zero(one));
    faster_uuid_text(one, text);
    cr_assert_eq(text[14], '4');
    cr_assert_not_null(strchr("89ab", text[19]));
    cr_assert(faster_uuid_parse(text, parsed));
    cr_assert(fst_uuid_equal(one, parsed));
}

Test(uuid, draw_reports_missing_randomness) {
    struct fst_test_env *test = fst_test_env_create();
    uint8_t uuid[FASTER_UUID_BYTES] = {0};
    fst_test_env_fail(test, FST_TEST_RANDOM, 1, 1, FASTER_IO);
    cr_assert_eq(faster_uuid_draw(fst_test_env_get(test), uuid), FASTER_IO);
    cr_assert(fst_uuid_is_zero(uuid));
    fst_test_env_destroy(test);
}

/* --------------------------------------------------- checksums and hash */

Test(checksum, depends_on_bytes_seed_address_and_generation) {
    uint64_t seed = fst_checksum_seed_for(some_uuid, 1);
    uint8_t other_uuid[FASTER_UUID_BYTES];
    memcpy(other_uuid, some_uuid, sizeof other_uuid);
    other_uuid[15] ^= 1;
    cr_assert_neq(seed, fst_checksum_seed_for(some_uuid, 2));
    cr_assert_neq(seed, fst_checksum_seed_for(other_uuid, 1));
    cr_assert_eq(seed, fst_checksum_seed_for(some_uuid, 1));

    cr_assert_neq(fst_checksum64("abc", 3, seed), fst_checksum64("abd", 3, seed));
    cr_assert_neq(fst_checksum64("abc", 3, seed), fst_checksum64("abc", 3, seed + 1));
    cr_assert_neq(fst_checksum64("abc", 3, seed), fst_checksum64_at("abc", 3, 0, seed));
    cr_assert_neq(fst_checksum64_at("abc", 3, 0, seed), fst_checksum64_at("abc", 3, 8, seed));
    cr_assert_eq(fst_checksum64_at("abc", 3, 4096, seed),
                 fst_checksum64("abc", 3, fst_checksum_seed_at(seed, 4096)));
    cr_assert_eq(fst_checksum_fold32(UINT64_C(0x0000000500000003)), 6u);
}

/* These values are on disk: if they change, the format's version has to. */
Test(checksum, known_input_gives_the_value_of_the_format) {
    uint64_t seed = fst_checksum_seed_for(some_uuid, 1);
    cr_assert_eq(fst_checksum64("", 0, 0), UINT64_C(0x2d06800538d394c2));
    cr_assert_eq(seed, UINT64_C(0x120f3df2a482b61b));
    cr_assert_eq(fst_checksum64_at("faster", 6, 4096, seed), UINT64_C(0xb6ba01ae9a46b438));
    cr_assert_eq(fst_hash_key("faster", 6, 42), UINT64_C(0x7727ff52293aa588));
}

Test(checksum, neighbouring_addresses_have_distinct_seeds) {
    uint64_t seeds[512];
    for (uint64_t i = 0; i < 512; i++) {
        seeds[i] = fst_checksum_seed_at(77, i * 8);
        for (uint64_t j = 0; j < i; j++) {
            cr_assert_neq(seeds[i], seeds[j]);
        }
    }
}

Test(hash, depends_on_key_length_and_seed) {
    cr_assert_eq(fst_hash_key("key", 3, 5), fst_hash_key("key", 3, 5));
    cr_assert_neq(fst_hash_key("key", 3, 5), fst_hash_key("key", 3, 6));
    cr_assert_neq(fst_hash_key("key", 3, 5), fst_hash_key("key", 2, 5));
    cr_assert_neq(fst_hash_key("", 0, 5), fst_hash_key("", 0, 6));
    cr_assert_eq(fst_hash_key(NULL, 0, 5), fst_hash_key("", 0, 5));
}

Test(hash, of_a_word_is_that_of_its_bytes) {
    uint64_t state = 1;
    for (int i = 0; i < 10000; i++) {
        state = state * UINT64_C(0x9fb21c651e98df25) + 5;
        uint64_t word = state;
        uint64_t seed = i % 3 == 0 ? 0 : state ^ state >> 32;
        cr_assert_eq(fst_hash_key(&word, sizeof word, seed),
                     fst_hash_bytes(&word, sizeof word, seed));
    }
}

/* ----------------------------------------------------------------- array */

Test(array, reserve_keeps_the_content_and_changes_nothing_without_memory) {
    struct fst_test_env *test = fst_test_env_create();
    const struct faster_env *env = fst_test_env_get(test);
    void *array = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(fst_array_reserve(env, &array, i, &capacity, 1, sizeof i), FASTER_OK);
        cr_assert_gt(capacity, i);
        ((uint32_t *)array)[i] = i;
    }
    void *before = array;
    size_t capacity_before = capacity;
    cr_assert_eq(fst_array_reserve(env, &array, 100, &capacity, capacity - 100, 4), FASTER_OK);
    cr_assert_eq(array, before);
    fst_test_env_fail(test, FST_TEST_ALLOCATE, 1, 1, FASTER_NOMEM);
    cr_assert_eq(fst_array_reserve(env, &array, 100, &capacity, capacity, 4), FASTER_NOMEM);
    cr_assert_eq(array, before);
    cr_assert_eq(capacity, capacity_before);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(((uint32_t *)array)[i], i);
    }
    env->release(env, array);
    cr_assert_eq(fst_test_env_live_allocations(test), 0);
    fst_test_env_destroy(test);
}

/* ------------------------------------------------------------------ path */

static void expect_join(const char *directory, const char *name, const char *joined) {
    char path[64];
    cr_assert_eq(fst_path_join(path, sizeof path, directory, name), FASTER_OK);
    cr_assert_str_eq(path, joined);
}

Test(path, join_puts_one_slash_between) {
    expect_join("a", "b", "a/b");
    expect_join("/a/b/", "c", "/a/b/c");
    expect_join("/", "c", "/c");
    expect_join(".", "..c", "./..c");
}

Test(path, join_refuses_names_that_lead_elsewhere) {
    static const char *const names[] = {"", ".", "..", "a/b", "/a", "../a"};
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_assert_eq(fst_path_join(path, sizeof path, "d", names[i]), FASTER_INVALID);
        cr_assert_str_empty(path);
    }
    cr_assert_eq(fst_path_join(path, sizeof path, "", "a"), FASTER_INVALID);
}

Test(path, join_needs_room_for_the_terminating_zero) {
    char path[5] = "zzzz";
    cr_assert_eq(fst_path_join(path, 5, "ab", "c"), FASTER_OK);
    cr_assert_str_eq(path, "ab/c");
    cr_assert_eq(fst_path_join(path, 4, "ab", "c"), FASTER_INVALID);
    cr_assert_str_empty(path);
    cr_assert_eq(fst_path_join(path, 0, "ab", "c"), FASTER_INVALID);
}

Test(path, parent_of_each_form_is_found) {
    static const char *const cases[][2] = {
        {"/a/b", "/a"}, {"a/b", "a"},  {"a", "."},     {"/a", "/"},  {"/", "/"},
        {"//", "/"},    {"a/b/", "a"}, {"a//b", "a"},  {"a/", "."},  {"//a", "/"},
        {".", "."},     {"./a", "."},  {"../a", ".."}, {"a/..", "a"}};
    char parent[16];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(fst_path_parent(parent, sizeof parent, cases[i][0]), FASTER_OK);
        cr_assert_str_eq(parent, cases[i][1], "parent of %s", cases[i][0]);
    }
    cr_assert_eq(fst_path_parent(parent, sizeof parent, ""), FASTER_INVALID);
    cr_assert_eq(fst_path_parent(parent, 3, "/ab/c"), FASTER_INVALID);
    cr_assert_str_empty(parent);
    cr_assert_eq(fst_path_parent(parent, 4, "/ab/c"), FASTER_OK);
    cr_assert_eq(fst_path_parent(parent, 1, "c"), FASTER_INVALID);
    cr_assert_eq(fst_path_parent(parent, 0, "c"), FASTER_INVALID);
}
