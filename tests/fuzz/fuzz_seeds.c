/* fuzz_seeds.c - makes the seeds of the corpora, or checks that they are what it would make.
 *
 *     fuzz_seeds DIRECTORY           writes <DIRECTORY>/<target>/seed-<name> (see ../README.md)
 *     fuzz_seeds --check DIRECTORY   fails if one is missing or differs: then the format, or what
 *                                    the store writes, has changed; write them anew
 *
 * Inputs that a fuzzer has found are not made here; they have other names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz_store.h"
#include "shapes/checkpoint_format.h"
#include "shapes/record.h"

#define SEED_BYTES_MAX (80u << 10)

static const char *directory;
static bool is_check;
static unsigned seed_count;
static unsigned different;

/* ---- one seed ---- */

static unsigned char seed[SEED_BYTES_MAX];
static size_t seed_bytes;

static void add(const void *bytes, size_t count) {
    FUZZ_CHECK(seed_bytes + count <= sizeof seed, "a seed is too large");
    if (count > 0) {
        memcpy(seed + seed_bytes, bytes, count);
    }
    seed_bytes += count;
}

static void add_byte(unsigned byte) {
    const unsigned char one = (unsigned char)byte;
    add(&one, 1);
}

static void add_zeroes(size_t count) {
    for (size_t i = 0; i < count; i++) {
        add_byte(0);
    }
}

static bool is_unchanged(const char *path) {
    FILE *file = fopen(path, "rb");
    static unsigned char old[SEED_BYTES_MAX + 1];
    if (file == NULL) {
        return false;
    }
    const size_t count = fread(old, 1, sizeof old, file);
    fclose(file);
    return count == seed_bytes && memcmp(old, seed, count) == 0;
}

static void end_seed(const char *target, const char *name) {
    char path[512];
    char place[400];
    snprintf(place, sizeof place, "%s/%s", directory, target);
    snprintf(path, sizeof path, "%s/seed-%s", place, name);
    seed_count++;
    if (is_check) {
        if (!is_unchanged(path)) {
            printf("%s is missing or differs\n", path);
            different++;
        }
    } else {
        (void)mkdir(place, 0777);
        snprintf(path, sizeof path, "seed-%s", name);
        fuzz_write_file(place, path, seed, seed_bytes);
    }
    seed_bytes = 0;
}

/* ---- record ---- */

static void add_record(enum fst_record_kind kind, uint64_t flags, const void *value,
                       uint32_t value_bytes, const char *key) {
    const uint32_t key_bytes = (uint32_t)strlen(key);
    const struct fst_record_shape shape = fst_record_shape_for(key_bytes, value_bytes, value_bytes);
    void *bytes = calloc(1, shape.whole_bytes);
    fst_record_write(bytes, &shape, fst_addr_of(4096), kind, flags, key, value);
    add_byte(3);
    add(bytes, shape.whole_bytes);
    free(bytes);
}

static void make_records(void) {
    static const char filler[9000];
    const struct fst_cut cut = {.kind = FST_CONTROL_CUT,
                                .version = 2,
                                .nonce = 9,
                                .start = 4096,
                                .end = 8192,
                                .previous_control_address = 4104,
                                .previous_version = 1};
    struct {
        struct fst_cut cut;
        struct fst_named_serial sessions[2];
    } named = {cut, {{"a", 9}, {"worker-2", 0}}};
    named.cut.session_count = 2;
    const struct {
        struct fst_control control;
        struct fst_address_range range;
    } control = {{.number = 1, .nonce = 9, .start = 4096, .end = 8192, .aborted_count = 1},
                 {4104, 4200}};
    const struct fst_jump jump = {.target = 16384, .nonce = 9};
    const struct fst_chunk_list list = {40000, 16384, 49152, 8192, 3};
    const struct fst_chunk chunk = {.first_address = 0x12345678};
    add_record(FST_KIND_DATA, 0, "value", 5, "key");
    end_seed("record", "data");
    add_record(FST_KIND_DATA, FST_HEADER_TOMBSTONE, "", 0, "gone");
    end_seed("record", "tombstone");
    add_record(FST_KIND_DATA, 0, filler, sizeof filler, "large");
    end_seed("record", "large");
    add_record(FST_KIND_CONTROL, 0, &cut, sizeof cut, "");
    end_seed("record", "cut");
    add_record(FST_KIND_CONTROL, 0, &named, sizeof named, "");
    end_seed("record", "cut-named");
    add_record(FST_KIND_CONTROL, 0, &control, sizeof control, "");
    end_seed("record", "control");
    add_record(FST_KIND_JUMP, 0, &jump, sizeof jump, "");
    end_seed("record", "jump");
    add_record(FST_KIND_CHUNK, 0, &chunk, sizeof chunk, "");
    end_seed("record", "chunk");
    add_record(FST_KIND_DATA, 0, &list, sizeof list, "chunked");
    seed[1 + 15] |= 0x80; /* CHUNKED, bit 31 of the sizes */
    end_seed("record", "chunked");
    add_byte(0);
    add(&list, sizeof list);
    end_seed("record", "chunk-list");
}

/* ---- manifest ---- */

static void make_manifests(void) {
    const struct fst_identity identity = {.write_discipline = FST_WRITES_TRANSACTIONAL,
                                          .uuid = {1, 2, 3},
                                          .generation = 1,
                                          .page_bits = 14,
                                          .segment_bits = 16,
                                          .tier_count = 1};
    struct fst_identity sealed = identity;
    fst_identity_seal(&sealed);
    const struct fst_format_owner owner = fst_format_owner_of(&sealed);
    struct fst_manifest manifest = {.sequence = 1, .begin = 4096, .durable_end = 4096};
    fst_manifest_seal(&manifest, &owner);
    add_byte(3);
    add(&manifest, sizeof manifest);
    add_zeroes(8);
    manifest = (struct fst_manifest){.sequence = 2,
                                     .begin = 4096,
                                     .durable_end = 8192,
                                     .durable_number = 3,
                                     .durable_nonce = 4,
                                     .durable_control_address = 8000,
                                     .durable_row_end = 8192,
                                     .place_device = 1,
                                     .place_inode = 2,
                                     .place_path = "/a/b"};
    fst_manifest_seal(&manifest, &owner);
    add(&manifest, sizeof manifest);
    end_seed("manifest", "both");
    add_byte(4); /* without the first */
    add(&manifest, sizeof manifest);
    add_zeroes(8);
    add(&manifest, sizeof manifest);
    end_seed("manifest", "one");
    add_byte(16);
    add(&sealed, sizeof sealed);
    end_seed("manifest", "identity");
}

/* ---- checkpoint ---- */

static const struct fst_format_owner checkpoint_owner = {
    .uuid = {1, 2, 3}, .generation = 1, .checksum_seed = 99};

static void make_roots(void) {
    struct fst_root root = {.kind = FST_ROOT_FOLD_OVER,
                            .number = 7,
                            .begin = 4096,
                            .point_number = 3,
                            .point_nonce = 4,
                            .point_start = 8000,
                            .point_end = 8200,
                            .point_control_address = 8104,
                            .log_end = 8200,
                            .index_number = 6,
                            .index_nonce = 8,
                            .session_count = 2};
    const struct fst_named_serial sessions[2] = {{"a", 9}, {"worker-2", 1}};
    fst_root_seal(&root, sessions, &checkpoint_owner);
    add_byte(1 + 4);
    add_byte(0);
    add(&root, sizeof root);
    add(sessions, sizeof sessions);
    end_seed("checkpoint", "root");
    root.kind = FST_ROOT_DELTA;
    root.session_count = 0;
    root.data_base_number = 5;
    root.data_previous_number = 6;
    root.data_start = 8192;
    root.changed_below = 8192;
    root.data_nonce = 3;
    root.data_number = 7;
    fst_root_seal(&root, NULL, &checkpoint_owner);
    add_byte(1 + 4);
    add_byte(0);
    add(&root, sizeof root);
    end_seed("checkpoint", "delta");
}

static void make_index(void) {
    struct fst_index_file header = {.number = 7,
                                    .nonce = 5,
                                    .replay_from = 65536,
                                    .point_number = 3,
                                    .point_nonce = 4,
                                    .point_start = 8000,
                                    .point_end = 8200,
                                    .point_control_address = 8104};
    const uint16_t counts[4] = {0, 2};
    const uint64_t entries[2] = {fst_index_entry_of(10, 11, 0x3fff, fst_addr_of(4096)),
                                 fst_index_entry_of(10, 10, 0, fst_addr_of(8192))};
    struct fst_index_block block = {.kind = FST_INDEX_BLOCK_ENTRIES,
                                    .bits = 10,
                                    .number = 4,
                                    .first_bucket = 600,
                                    .bucket_count = 2,
                                    .count = 2};
    const struct fst_address_range ranges[2] = {{4096, 8192}, {8200, 16384}};
    const struct fst_index_end end = {4, 2, 0, 8200};
    fst_index_file_seal(&header, &checkpoint_owner);
    add_byte(2 + 4);
    add_byte(0);
    add(&header, sizeof header);
    end_seed("checkpoint", "index");
    add_byte(3 + 4);
    add_byte(0);
    add(&block, sizeof block);
    add(counts, sizeof counts);
    add(entries, sizeof entries);
    end_seed("checkpoint", "entries");
    block = (struct fst_index_block){.kind = FST_INDEX_BLOCK_RANGES, .number = 4, .count = 2};
    add_byte(3 + 4);
    add_byte(0);
    add(&block, sizeof block);
    add(ranges, sizeof ranges);
    end_seed("checkpoint", "ranges");
    block = (struct fst_index_block){.kind = FST_INDEX_BLOCK_END, .number = 4};
    add_byte(3 + 4);
    add_byte(0);
    add(&block, sizeof block);
    add(&end, sizeof end);
    end_seed("checkpoint", "end");
    add_byte(0);
    add_byte(0);
    add("checkpoint.000000000000001f", 27);
    end_seed("checkpoint", "name");
}

/* ---- stores ---- */

static void make_segments(void) {
    const struct fuzz_log *log = &fuzz_store_direct()->log;
    add_byte(1 + 4);
    add(log->file + FUZZ_LOG_FIRST_BYTES, log->count - FUZZ_LOG_FIRST_BYTES);
    end_seed("segment", "whole");
    add_byte(1 + 4);
    add(log->file + FUZZ_LOG_FIRST_BYTES, 4096);
    end_seed("segment", "start");
    add_byte(2);
    add(log->file, log->count < 12288 ? log->count : 12288);
    end_seed("segment", "file");
}

static void make_redo(void) {
    const struct ledger *ledger = &fuzz_store_transactional()->ledger;
    for (unsigned i = 0; i < ledger->count; i++) {
        const struct faster_commit_row *row = &ledger->rows[i];
        char name[32];
        add_byte(1 + 2 + 8);
        add_byte(i);
        add_zeroes(6u * 8);
        add(row->redo, row->redo_bytes);
        snprintf(name, sizeof name, "row-%u", i);
        end_seed("redo", name);
    }
    add_byte(0);
    add_byte(3);
    end_seed("redo", "true");
    add_byte(4);
    add_byte(3);
    end_seed("redo", "twice");
}

/* ---- scripts, rows, declarations ---- */

static void make_scripts(void) {
    for (unsigned kind = 0; kind < 2; kind++) {
        uint32_t random = 7;
        add_byte(kind);
        for (unsigned i = 0; i < 300; i++) {
            random = random * 1664525u + 1013904223u;
            add_byte(random >> 24);
        }
        end_seed("script", kind == 0 ? "direct" : "transactional");
    }
}

static void make_rows(void) {
    static const char *const lists[] = {"[]",
                                        "[1, -2.5e3, \"a\\u00e9\\ud83d\\ude00\", null, true]"};
    static const unsigned char row[] = {0, 2, 4,  0x30,   'a', 'b', 0x30, /* value: */
                                        1, 2, 12, 16 + 4, 'x', 'y'};
    for (unsigned i = 0; i < 2; i++) {
        add_byte(2);
        add(lists[i], strlen(lists[i]));
        end_seed("codec", i == 0 ? "json-empty" : "json");
    }
    add_byte(3);
    add("q\1\0\0\0\0\0\0\0", 9);
    end_seed("codec", "packed-integers");
    add_byte(3);
    add("s\2\0\0\0ab\0\0\0\0", 11);
    end_seed("codec", "packed-text");
    add(row, sizeof row);
    end_seed("codec", "bytes");
    for (unsigned table = 0; table < 6; table++) {
        char name[32];
        add_byte(1);
        add_byte(table);
        add_zeroes(8);
        add("\3\4Ab  \2\0\0\0\0\0\0\xf0\x3f\1\x2a\0\0\0\0\0\0\0\4\2xy", 28);
        snprintf(name, sizeof name, "columns-%u", table);
        end_seed("codec", name);
    }
}

static void make_declarations(void) {
    static const char *const declarations[] = {
        "",
        "id INTEGER PRIMARY KEY\nname VARCHAR(20) NOT NULL DEFAULT 'x'\n\"a b\" REAL",
        "k TEXT PRIMARY KEY COLLATE NOCASE\nv\nmemory='64MiB'\nwrites=direct",
        "a\n[b] NUMERIC DEFAULT (1 + 2)\n`c` BLOB\nPRIMARY KEY (b, a DESC)",
        "memory=1048576\npage_size = 64KiB\nsegment_size=1GiB\ninline_commit=0\npath='x/y'",
        "a INT CONSTRAINT n NOT NULL ON CONFLICT REPLACE DEFAULT -1.5e3 -- comment",
        "a DEFAULT x'00ff'\nb DEFAULT CURRENT_TIMESTAMP\nc DEFAULT NULL COLLATE RTRIM",
    };
    for (unsigned i = 0; i < sizeof declarations / sizeof declarations[0]; i++) {
        char name[32];
        add(declarations[i], strlen(declarations[i]));
        snprintf(name, sizeof name, "%u", i);
        end_seed("schema", name);
    }
}

int main(int argc, char **argv) {
    is_check = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != (is_check ? 3 : 2)) {
        fprintf(stderr, "usage: fuzz_seeds [--check] DIRECTORY\n");
        return 2;
    }
    directory = argv[argc - 1];
    make_records();
    make_manifests();
    make_roots();
    make_index();
    make_segments();
    make_redo();
    make_scripts();
    make_rows();
    make_declarations();
    printf("%u seeds, %u different\n", seed_count, different);
    return different == 0 ? 0 : 1;
}
