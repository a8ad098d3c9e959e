/* test_sim_crash.c - what the simulated disk says a crash may leave. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/sim_crash.h"

#define DRAWS 1024u

static struct sim_disk *begin(const struct sim_image *image) {
    struct sim_disk *disk = sim_disk_create(image);
    sim_disk_mount(disk);
    return disk;
}

static struct sim_handle *open_file(const char *path) {
    struct sim_handle *handle = NULL;
    cr_assert_eq(sim_open(SIM_ENGINE, path, SIM_OPEN_WRITE | SIM_OPEN_CREATE, 0640, &handle),
                 SIM_OK);
    return handle;
}

static void put(struct sim_handle *handle, uint64_t offset, char letter, size_t count) {
    char bytes[8192];
    memset(bytes, letter, count);
    cr_assert_eq(sim_write(handle, offset, bytes, count), SIM_OK);
}

/* What a crash at the end of the log leaves. */
static struct sim_image *crash(struct sim_disk *disk, enum sim_variant variant, uint64_t draw) {
    struct sim_cursor *cursor = sim_cursor_create(disk, sim_log_length(disk));
    struct sim_image *image = sim_cursor_image(cursor, variant, draw);
    sim_cursor_destroy(cursor);
    return image;
}

/* The letter at the begin of each of a file's sectors, a dot for zero; "-": there is no file. */
static void describe(const struct sim_image *image, const char *path, char text[64]) {
    char bytes[16384];
    const size_t count = sim_image_read(image, path, 0, bytes, sizeof bytes);
    struct sim_disk *disk = sim_disk_create(image);
    struct sim_disk *before = sim_disk_mount(disk);
    struct sim_info info;
    const bool is_there = sim_path_info(SIM_ENGINE, path, &info) == SIM_OK;
    sim_disk_mount(before);
    sim_disk_destroy(disk);
    size_t length = 0;
    for (size_t i = 0; i < count; i += SIM_SECTOR_BYTES) {
        text[length++] = bytes[i] == 0 ? '.' : bytes[i];
    }
    text[length] = 0;
    if (!is_there) {
        strcpy(text, "-");
    }
}

/* Checks that the crash leaves this of "/f". */
static void expect(struct sim_disk *disk, enum sim_variant variant, const char *text) {
    struct sim_image *image = crash(disk, variant, 1);
    char found[64];
    describe(image, "/f", found);
    cr_expect_str_eq(found, text, "variant %d: %s instead of %s", (int)variant, found, text);
    sim_image_release(image);
}

/* Whether some draw leaves this of "/f". */
static bool some(struct sim_disk *disk, enum sim_variant variant, const char *text) {
    bool is_found = false;
    for (uint64_t draw = 0; draw < DRAWS && !is_found; draw++) {
        struct sim_image *image = crash(disk, variant, draw);
        char found[64];
        describe(image, "/f", found);
        is_found = strcmp(found, text) == 0;
        sim_image_release(image);
    }
    return is_found;
}

/* A disk whose "/f" has two durable sectors of 'a'. */
static struct sim_handle *durable_file(void) {
    struct sim_handle *file = open_file("/f");
    put(file, 0, 'a', 1024);
    cr_assert_eq(sim_sync(file), SIM_OK);
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    return file;
}

static void end(struct sim_disk *disk, struct sim_handle *file) {
    sim_close(file);
    sim_disk_destroy(disk);
}

Test(sim_crash, file_needs_its_own_sync_and_its_directorys) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = open_file("/f");

    put(file, 0, 'a', 1024);
    expect(disk, SIM_NOTHING, "-");
    expect(disk, SIM_EVERYTHING, "aa");
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(disk, SIM_NOTHING, "-");
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    expect(disk, SIM_NOTHING, "aa");
    put(file, 512, 'b', 1024);
    expect(disk, SIM_NOTHING, "aa");
    expect(disk, SIM_EVERYTHING, "abb");
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    expect(disk, SIM_NOTHING, "aa");
    end(disk, file);
}

Test(sim_crash, sectors_are_of_any_version) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 1536);
    put(file, 512, 'c', 1024);
    static const char *const left[] = {"aa", "ba", "ab", "bb", "ac", "aab", "acb", "bcc", "abc"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        cr_expect(some(disk, SIM_SECTORS, left[i]), "%s", left[i]);
    }
    cr_expect_not(some(disk, SIM_SECTORS, "ca"));
    cr_expect_not(some(disk, SIM_SECTORS, "aa."));
    end(disk, file);
}

Test(sim_crash, a_kept_sector_is_as_it_was_in_the_cache) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();
    char bytes[512];

    put(file, 0, 'b', 1);
    put(file, 1, 'c', 1);
    bool has_been_old = false;
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct sim_image *image = crash(disk, SIM_REORDERED, draw);
        cr_assert_eq(sim_image_read(image, "/f", 0, bytes, sizeof bytes), sizeof bytes);
        cr_expect(bytes[1] != 'c' || bytes[0] == 'b', "the later write has the earlier one's byte");
        has_been_old = has_been_old || bytes[0] == 'a';
        sim_image_release(image);
    }
    cr_expect(has_been_old);
    end(disk, file);
}

Test(sim_crash, reordered_keeps_a_later_write_without_an_earlier_one) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 1024);
    put(file, 2048, 'c', 512);
    cr_expect(some(disk, SIM_REORDERED, "aa"));
    cr_expect(some(disk, SIM_REORDERED, "bb"));
    cr_expect(some(disk, SIM_REORDERED, "aa..c"));
    cr_expect(some(disk, SIM_REORDERED, "bb..c"));
    cr_expect_not(some(disk, SIM_REORDERED, "ba"), "writes are whole");
    end(disk, file);
}

Test(sim_crash, torn_is_the_newest_write_alone) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 512);
    put(file, 512, 'c', 2048);
    sim_close(open_file("/g"));
    static const char *const left[] = {"ba", "bc", "bccc", "bacc", "ba..c", "bcccc", "bac.c"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        cr_expect(some(disk, SIM_TORN, left[i]), "%s", left[i]);
    }
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct sim_image *image = crash(disk, SIM_TORN, draw);
        char found[64];
        describe(image, "/f", found);
        cr_expect_eq(found[0], 'b');
        describe(image, "/g", found);
        cr_expect_str_eq(found, "-");
        sim_image_release(image);
    }
    end(disk, file);
}

Test(sim_crash, sizes_without_data_are_zeroes) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 2048);
    expect(disk, SIM_SIZES, "aa..");
    end(disk, file);
}

Test(sim_crash, truncation_is_pending_until_a_sync) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    cr_assert_eq(sim_truncate(file, 512), SIM_OK);
    expect(disk, SIM_NOTHING, "aa");
    expect(disk, SIM_EVERYTHING, "a");
    cr_expect(some(disk, SIM_SECTORS, "aa") && some(disk, SIM_SECTORS, "a"));
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(disk, SIM_NOTHING, "a");
    put(file, 1024, 'b', 512);
    expect(disk, SIM_EVERYTHING, "a.b");
    end(disk, file);
}

Test(sim_crash, rename_is_atomic_and_pending_until_the_directory_is_synced) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *old = durable_file();
    struct sim_handle *new = open_file("/t");

    put(new, 0, 'n', 512);
    cr_assert_eq(sim_sync(new), SIM_OK);
    cr_assert_eq(sim_path_rename(SIM_ENGINE, "/t", "/f"), SIM_OK);
    expect(disk, SIM_NOTHING, "aa");
    expect(disk, SIM_EVERYTHING, "n");
    expect(disk, SIM_TORN, "aa");
    cr_expect(some(disk, SIM_REORDERED, "aa") && some(disk, SIM_REORDERED, "n"));
    cr_expect_not(some(disk, SIM_REORDERED, "-"));
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        struct sim_image *image = crash(disk, SIM_REORDERED, draw);
        char f[64];
        char t[64];
        describe(image, "/f", f);
        describe(image, "/t", t);
        cr_expect(strcmp(f, "n") != 0 || strcmp(t, "-") == 0, "one file, two names");
        sim_image_release(image);
    }
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    expect(disk, SIM_NOTHING, "n");
    sim_close(old);
    end(disk, new);
}

Test(sim_crash, removed_file_is_back_unless_its_directory_was_synced) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    cr_assert_eq(sim_path_remove(SIM_ENGINE, "/f"), SIM_OK);
    expect(disk, SIM_NOTHING, "aa");
    expect(disk, SIM_EVERYTHING, "-");
    put(file, 0, 'b', 512);
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(disk, SIM_NOTHING, "ba");
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    expect(disk, SIM_NOTHING, "-");
    put(file, 0, 'c', 512);
    expect(disk, SIM_EVERYTHING, "-");
    end(disk, file);
}

Test(sim_crash, lost_directory_takes_its_files_with_it) {
    struct sim_disk *disk = begin(NULL);
    cr_assert_eq(sim_directory_create(SIM_ENGINE, "/d", 0750), SIM_OK);
    struct sim_handle *file = open_file("/d/f");
    struct sim_info info;

    put(file, 0, 'a', 512);
    cr_assert_eq(sim_sync(file), SIM_OK);
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/d"), SIM_OK);
    struct sim_image *image = crash(disk, SIM_NOTHING, 0);
    struct sim_disk *next = begin(image);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/d", &info), SIM_MISSING);
    sim_disk_destroy(next);
    sim_image_release(image);
    sim_disk_mount(disk);
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK);
    image = crash(disk, SIM_NOTHING, 0);
    next = begin(image);
    cr_expect_eq(sim_path_info(SIM_ENGINE, "/d/f", &info), SIM_OK);
    cr_expect_eq(info.mode, 0640);
    sim_disk_destroy(next);
    sim_image_release(image);
    end(disk, file);
}

/* ---- failed syncs ---- */

static void fail_sync(struct sim_handle *file, enum sim_effect effect) {
    const struct sim_fault fault = {1u << SIM_CALL_SYNC, UINT32_MAX, 1, 1, effect, 0};
    sim_fault_arm(&fault);
    cr_assert_eq(sim_sync(file), SIM_FAILED);
    sim_fault_arm(NULL);
}

Test(sim_crash, failed_sync_keeps_does_or_loses) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 512);
    fail_sync(file, SIM_EIO);
    expect(disk, SIM_NOTHING, "aa");
    expect(disk, SIM_EVERYTHING, "ba");
    fail_sync(file, SIM_EIO_DONE);
    expect(disk, SIM_NOTHING, "ba");
    put(file, 0, 'c', 1024);
    fail_sync(file, SIM_EIO_LOST);
    expect(disk, SIM_EVERYTHING, "ba");
    put(file, 512, 'd', 512);
    cr_assert_eq(sim_sync(file), SIM_OK, "the lost sector is clean");
    expect(disk, SIM_NOTHING, "bd");
    expect(disk, SIM_KILL, "cd");
    put(file, 0, 'e', 1);
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(disk, SIM_NOTHING, "ed");
    end(disk, file);
}

Test(sim_crash, killed_process_leaves_its_cache_to_the_next_life) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();

    put(file, 0, 'b', 512);
    fail_sync(file, SIM_EIO_LOST);
    put(file, 512, 'c', 1024);
    sim_close(open_file("/g"));
    struct sim_image *image = crash(disk, SIM_KILL, 0);
    end(disk, file);

    struct sim_disk *next = begin(image);
    sim_image_release(image);
    expect(next, SIM_KILL, "bcc");
    expect(next, SIM_NOTHING, "aa");
    expect(next, SIM_EVERYTHING, "acc");
    file = open_file("/f");
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(next, SIM_NOTHING, "acc");
    put(file, 0, 'd', 512);
    cr_assert_eq(sim_sync(file), SIM_OK);
    expect(next, SIM_NOTHING, "dcc");
    end(next, file);
}

/* ---- boundaries and hashes ---- */

Test(sim_crash, cursor_stops_where_something_changes) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = open_file("/f"); /* 1 */
    static const uint64_t expected[] = {1, 2, 3, 5, 7};

    put(file, 0, 'a', 512);                                    /* 2 */
    cr_assert_eq(sim_sync(file), SIM_OK);                      /* 3 */
    cr_assert_eq(sim_sync(file), SIM_OK);                      /* 4: nothing to do */
    cr_assert_eq(sim_directory_sync(SIM_ENGINE, "/"), SIM_OK); /* 5 */
    sim_handle_own(file, 0600, 0, 0);                          /* 6: durable at once */
    sim_mark(1, 1);                                            /* 7 */
    struct sim_cursor *cursor = sim_cursor_create(disk, 0);
    for (size_t i = 0; i < 5; i++) {
        cr_assert(sim_cursor_next(cursor));
        cr_expect_eq(sim_cursor_position(cursor), expected[i]);
        cr_expect_eq(sim_cursor_synced(cursor), expected[i] == 3 || expected[i] == 5);
    }
    cr_expect_not(sim_cursor_next(cursor));
    sim_cursor_destroy(cursor);
    end(disk, file);
}

Test(sim_crash, images_with_the_same_content_have_the_same_hash) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();
    struct sim_image *durable = crash(disk, SIM_NOTHING, 0);
    struct sim_image *live = sim_disk_image(disk);
    put(file, 0, 'b', 1);
    struct sim_image *nothing = crash(disk, SIM_NOTHING, 0);
    struct sim_image *everything = crash(disk, SIM_EVERYTHING, 0);
    struct sim_image *killed = crash(disk, SIM_KILL, 0);

    cr_expect_eq(sim_image_hash(durable), sim_image_hash(live));
    cr_expect_eq(sim_image_hash(durable), sim_image_hash(nothing));
    cr_expect_neq(sim_image_hash(durable), sim_image_hash(everything));
    cr_expect_neq(sim_image_hash(killed), sim_image_hash(everything), "one has pending bytes");
    sim_image_release(durable);
    sim_image_release(live);
    sim_image_release(nothing);
    sim_image_release(everything);
    sim_image_release(killed);
    end(disk, file);
}

Test(sim_crash, same_draw_gives_the_same_image) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();
    put(file, 0, 'b', 8192);
    for (enum sim_variant variant = 0; variant < SIM_VARIANTS; variant++) {
        struct sim_image *one = crash(disk, variant, 42);
        struct sim_image *two = crash(disk, variant, 42);
        cr_expect_eq(sim_image_hash(one), sim_image_hash(two));
        sim_image_release(one);
        sim_image_release(two);
    }
    end(disk, file);
}

/* ---- damage ---- */

static void count_file(void *context, const char *path, uint64_t size_bytes) {
    (void)path;
    *(uint64_t *)context += size_bytes;
}

static void expect_damage(struct sim_image *damaged, const char *path, const char *text) {
    char found[64];
    describe(damaged, path, found);
    cr_expect_str_eq(found, text, "%s instead of %s", found, text);
    sim_image_release(damaged);
}

Test(sim_crash, damage_is_where_it_was_asked_for) {
    struct sim_disk *disk = begin(NULL);
    struct sim_handle *file = durable_file();
    struct sim_handle *other = open_file("/g");
    uint64_t size_bytes = 0;

    put(other, 0, 'x', 512);
    put(other, 512, 'y', 512);
    put(other, 1024, 'z', 100);
    struct sim_image *image = sim_disk_image(disk);
    const uint64_t hash = sim_image_hash(image);
    expect_damage(sim_image_flip(image, "/f", 512, 'a' ^ 'q'), "/f", "aq");
    expect_damage(sim_image_cut(image, "/f", 512), "/f", "a");
    expect_damage(sim_image_cut(image, "/f", 1537), "/f", "aa..");
    expect_damage(sim_image_swap(image, "/g", 0, "/g", 1), "/g", "yxz");
    expect_damage(sim_image_swap(image, "/f", 1, "/g", 0), "/f", "ax");
    expect_damage(sim_image_swap(image, "/f", 1, "/g", 0), "/g", "ayz");
    expect_damage(sim_image_copy(image, "/f", 0, image, "/g", 2), "/f", "za");
    put(file, 0, 'n', 1024);
    struct sim_image *newer = sim_disk_image(disk);
    expect_damage(sim_image_copy(newer, "/f", 0, image, "/f", 0), "/f", "an");
    cr_expect_eq(sim_image_hash(image), hash);
    struct sim_image *same = sim_disk_image(disk);
    cr_expect_eq(sim_image_hash(same), sim_image_hash(newer));
    sim_image_each(image, count_file, &size_bytes);
    cr_expect_eq(size_bytes, 1024 + 1124);
    sim_image_release(same);
    sim_image_release(newer);
    sim_image_release(image);
    sim_close(other);
    end(disk, file);
}
