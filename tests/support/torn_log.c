#include "support/torn_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "shapes/format.h"

#define SECTOR_BYTES 512u
#define SEGMENT_HEADER_BYTES 4096u

static uint32_t draw(uint64_t *random, uint32_t below) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)((*random >> 16) % below);
}

uint64_t torn_log_durable(const char *directory) {
    static const char *const NAMES[] = {FST_NAME_MANIFEST_0, FST_NAME_MANIFEST_1};
    uint64_t durable = 0;
    for (int i = 0; i < 2; i++) {
        struct fst_manifest manifest;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", directory, NAMES[i]);
        FILE *file = fopen(path, "rb");
        if (file != NULL && fread(&manifest, sizeof manifest, 1, file) == 1 &&
            manifest.durable_end > durable) {
            durable = manifest.durable_end;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    return durable;
}

/* Loses sectors of one segment at or above `durable`. */
static uint64_t tear(const char *path, uint64_t first_addr, uint64_t durable, uint64_t *random) {
    static const unsigned char zeroes[SECTOR_BYTES];
    uint64_t torn = 0;
    FILE *file = fopen(path, "r+b");
    if (file == NULL) {
        return 0;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    uint32_t one_in = 1 + draw(random, 6);
    for (long off = SEGMENT_HEADER_BYTES; off < size; off += SECTOR_BYTES) {
        uint64_t addr = first_addr + (uint64_t)off - SEGMENT_HEADER_BYTES;
        if (addr >= durable && draw(random, one_in) == 0) {
            size_t count = size - off < (long)SECTOR_BYTES ? (size_t)(size - off) : SECTOR_BYTES;
            fseek(file, off, SEEK_SET);
            if (fwrite(zeroes, 1, count, file) != count) {
                abort();
            }
            torn++;
        }
    }
    fclose(file);
    return torn;
}

uint64_t torn_log_lose(const char *directory, uint64_t segment_bytes, uint64_t durable,
                       uint64_t tail, uint64_t *random) {
    uint64_t torn = 0;
    for (uint64_t index = durable / segment_bytes; index <= tail / segment_bytes; index++) {
        char path[400];
        snprintf(path, sizeof path, "%s/log.%012llx", directory, (unsigned long long)index);
        if (index * segment_bytes >= durable && draw(random, 4) == 0) {
            remove(path); /* its directory entry was not synced */
        } else {
            torn += tear(path, index * segment_bytes, durable, random);
        }
    }
    return torn;
}
