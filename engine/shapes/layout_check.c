/* layout_check.c - holds format.h and record.h to what FORMAT.md says (layer 1).
 *
 * It has no code: it compiles, or the layout of something on disk has changed, which needs a
 * new format version.
 */
#include <assert.h>
#include <stddef.h>

#include "shapes/checkpoint_format.h"
#include "shapes/format.h"
#include "shapes/format_codec.h"
#include "shapes/record.h"

/* Structures are written as they stand in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "this machine is not little-endian");

#define AT(type, field, offset)                                                                    \
    _Static_assert(offsetof(struct type, field) == (offset), "offset of " #type "." #field)
#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "size of " #type)

AT(fst_identity, magic, 0);
AT(fst_identity, format_version, 8);
AT(fst_identity, write_discipline, 12);
AT(fst_identity, uuid, 16);
AT(fst_identity, generation, 32);
AT(fst_identity, hash_seed, 40);
AT(fst_identity, created_ns, 48);
AT(fst_identity, page_bits, 56);
AT(fst_identity, segment_bits, 60);
AT(fst_identity, tier_count, 64);
AT(fst_identity, reserved_0, 68);
AT(fst_identity, reserved, 72);
AT(fst_identity, checksum, 240);
SIZE(fst_identity, 248);

AT(fst_manifest, magic, 0);
AT(fst_manifest, format_version, 8);
AT(fst_manifest, index_bits_min, 12);
AT(fst_manifest, uuid, 16);
AT(fst_manifest, generation, 32);
AT(fst_manifest, sequence, 40);
AT(fst_manifest, begin, 48);
AT(fst_manifest, durable_end, 56);
AT(fst_manifest, durable_number, 64);
AT(fst_manifest, durable_nonce, 72);
AT(fst_manifest, durable_control_address, 80);
AT(fst_manifest, durable_row_end, 88);
AT(fst_manifest, place_device, 96);
AT(fst_manifest, place_inode, 104);
AT(fst_manifest, cold_index_generation, 112);
AT(fst_manifest, reserved, 120);
AT(fst_manifest, place_path, 248);
AT(fst_manifest, checksum, 1272);
SIZE(fst_manifest, 1280);

AT(fst_segment_header, magic, 0);
AT(fst_segment_header, format_version, 8);
AT(fst_segment_header, segment_bits, 12);
AT(fst_segment_header, uuid, 16);
AT(fst_segment_header, generation, 32);
AT(fst_segment_header, segment_index, 40);
AT(fst_segment_header, reserved, 48);
AT(fst_segment_header, checksum, 56);
SIZE(fst_segment_header, 64);

AT(fst_address_range, start, 0);
AT(fst_address_range, end, 8);
SIZE(fst_address_range, 16);

AT(fst_control, number, 0);
AT(fst_control, nonce, 8);
AT(fst_control, start, 16);
AT(fst_control, end, 24);
AT(fst_control, record_count, 32);
AT(fst_control, previous_control_address, 40);
AT(fst_control, previous_number, 48);
AT(fst_control, abort_list_address, 56);
AT(fst_control, index_bits, 64);
AT(fst_control, aborted_count, 68);
SIZE(fst_control, 72);

AT(fst_abort_list, previous_address, 0);
AT(fst_abort_list, range_count, 8);
SIZE(fst_abort_list, 16);

AT(fst_cut, kind, 0);
AT(fst_cut, version, 8);
AT(fst_cut, nonce, 16);
AT(fst_cut, start, 24);
AT(fst_cut, end, 32);
AT(fst_cut, previous_control_address, 40);
AT(fst_cut, previous_version, 48);
AT(fst_cut, durable_control_address, 56);
AT(fst_cut, index_bits, 64);
AT(fst_cut, session_count, 68);
SIZE(fst_cut, 72);

AT(fst_jump, target, 0);
AT(fst_jump, nonce, 8);
AT(fst_jump, last_control_address, 16);
AT(fst_jump, last_number, 24);
AT(fst_jump, index_bits, 32);
SIZE(fst_jump, 40);

AT(fst_chunk_list, value_bytes, 0);
AT(fst_chunk_list, first_address, 8);
AT(fst_chunk_list, last_address, 16);
AT(fst_chunk_list, last_record_bytes, 24);
AT(fst_chunk_list, chunk_count, 28);
SIZE(fst_chunk_list, 32);

AT(fst_chunk, first_address, 0);
AT(fst_chunk, offset_bytes, 8);
AT(fst_chunk, previous_record_bytes, 16);
AT(fst_chunk, reserved, 20);
SIZE(fst_chunk, 24);

AT(fst_root, magic, 0);
AT(fst_root, format_version, 8);
AT(fst_root, kind, 12);
AT(fst_root, uuid, 16);
AT(fst_root, generation, 32);
AT(fst_root, number, 40);
AT(fst_root, created_ns, 48);
AT(fst_root, begin, 56);
AT(fst_root, point_number, 64);
AT(fst_root, point_nonce, 72);
AT(fst_root, point_start, 80);
AT(fst_root, point_end, 88);
AT(fst_root, point_control_address, 96);
AT(fst_root, log_end, 104);
AT(fst_root, index_number, 112);
AT(fst_root, index_nonce, 120);
AT(fst_root, data_base_number, 128);
AT(fst_root, data_previous_number, 136);
AT(fst_root, data_start, 144);
AT(fst_root, changed_below, 152);
AT(fst_root, data_nonce, 160);
AT(fst_root, resume_at, 168);
AT(fst_root, session_count, 176);
AT(fst_root, reserved_0, 180);
AT(fst_root, data_number, 184);
AT(fst_root, reserved, 192);
AT(fst_root, checksum, 248);
SIZE(fst_root, 256);

AT(fst_named_serial, name, 0);
AT(fst_named_serial, serial, 32);
SIZE(fst_named_serial, 40);

AT(fst_index_file, magic, 0);
AT(fst_index_file, format_version, 8);
AT(fst_index_file, block_bits, 12);
AT(fst_index_file, uuid, 16);
AT(fst_index_file, generation, 32);
AT(fst_index_file, number, 40);
AT(fst_index_file, nonce, 48);
AT(fst_index_file, replay_from, 56);
AT(fst_index_file, version, 64);
AT(fst_index_file, point_number, 72);
AT(fst_index_file, point_nonce, 80);
AT(fst_index_file, point_start, 88);
AT(fst_index_file, point_end, 96);
AT(fst_index_file, point_control_address, 104);
AT(fst_index_file, created_ns, 112);
AT(fst_index_file, reserved, 120);
AT(fst_index_file, checksum, 248);
SIZE(fst_index_file, 256);

AT(fst_index_block, checksum, 0);
AT(fst_index_block, kind, 8);
AT(fst_index_block, bits, 12);
AT(fst_index_block, number, 16);
AT(fst_index_block, first_bucket, 24);
AT(fst_index_block, bucket_count, 32);
AT(fst_index_block, count, 36);
SIZE(fst_index_block, 40);

AT(fst_index_end, block_count, 0);
AT(fst_index_end, entry_count, 8);
AT(fst_index_end, range_count, 16);
AT(fst_index_end, end, 24);
SIZE(fst_index_end, 32);

AT(fst_record, header, 0);
AT(fst_record, guard, 8);
AT(fst_record, sizes, 12);
SIZE(fst_record, 16);

_Static_assert(sizeof(fst_atomic_u64) == 8 && sizeof(fst_atomic_u32) == 4, "size of atomics");
_Static_assert(_Alignof(struct fst_record) == FST_RECORD_ALIGN, "alignment of records");

/* Bits of a record's header word. */
_Static_assert(FST_ADDR_MASK == UINT64_C(0x0000ffffffffffff), "previous address");
_Static_assert(FST_ADDR_READ_CACHE == UINT64_C(0x0000800000000000), "read-cache bit");
_Static_assert(FST_HEADER_KIND_MASK == UINT64_C(0x0007000000000000), "kind");
_Static_assert(FST_HEADER_LARGE == UINT64_C(0x0008000000000000), "LARGE");
_Static_assert(FST_HEADER_TOMBSTONE == UINT64_C(0x0010000000000000), "TOMBSTONE");
_Static_assert(FST_HEADER_INVALID == UINT64_C(0x0020000000000000), "INVALID");
_Static_assert(FST_HEADER_SEALED == UINT64_C(0x0040000000000000), "SEALED");
_Static_assert(FST_HEADER_EXPIRES == UINT64_C(0x0080000000000000), "EXPIRES");
_Static_assert(FST_HEADER_VERSION_SHIFT == 56, "version");
_Static_assert(FST_RECORD_SMALL_UNITS_MAX == 1023, "small whole size: 10 bits");
_Static_assert(FST_RECORD_SMALL_KEY_MAX == 255, "small key size: 8 bits");
_Static_assert(FST_RECORD_SMALL_VALUE_MAX == 8191, "small value size: 13 bits");
_Static_assert(FST_SIZES_CHUNKED == UINT32_C(0x80000000), "CHUNKED");
_Static_assert(FST_CHUNK_LIST_BYTES == sizeof(struct fst_chunk_list), "value of a CHUNKED record");
_Static_assert(FST_KIND_NONE == 0 && FST_KIND_DATA == 1 && FST_KIND_PAD == 2 &&
                   FST_KIND_PAD_WORD == 3 && FST_KIND_CONTROL == 4 && FST_KIND_ABORT_LIST == 5 &&
                   FST_KIND_JUMP == 6 && FST_KIND_CHUNK == 7,
               "kinds");

/* Limits that the format shares with the interface. */
_Static_assert(FASTER_PAGE_BYTES_MIN == 1u << FST_FORMAT_PAGE_BITS_MIN, "smallest page");
_Static_assert(FASTER_PAGE_BYTES_MAX == 1u << FST_FORMAT_PAGE_BITS_MAX, "largest page");
_Static_assert(FASTER_SEGMENT_BYTES_MAX == UINT64_C(1) << FST_FORMAT_SEGMENT_BITS_MAX,
               "largest segment");
_Static_assert(FST_WRITE_UNIT_BYTES <= FASTER_PAGE_BYTES_MIN, "pages are whole write units");
_Static_assert(FST_SEGMENT_HEADER_BYTES % FST_WRITE_UNIT_BYTES == 0, "units stay aligned in files");
_Static_assert(sizeof(struct fst_segment_header) <= FST_SEGMENT_HEADER_BYTES, "header fits");
_Static_assert(sizeof(((struct faster_place *)0)->path) ==
                   sizeof(((struct fst_manifest *)0)->place_path),
               "place fits");
