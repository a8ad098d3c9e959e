/* hash_index_copy.c - reading the index while it is used, and loading what was read (layer 3).
 *
 * A copy is made of entries {bucket, bits, tag, address}: all hashes of this tag whose low `bits`
 * bits are the bucket have their records in the chain at this address. It is read bucket by
 * bucket, upwards, while operations publish and the table grows, and loaded by "the highest
 * address wins". Claims and stamps below are those of hash_index_grow.c.
 *
 * THE BITS OF A WORD. The level is loaded once per stay in the epoch. A word of its stamp serves
 * the bucket it stands in, of an index of the level's bits. A word of the other stamp, if the
 * level is GROWING, is not split yet and serves the bucket of one bit less; else a growth was
 * announced in this stay and has turned it already: one bit more. By claim 5 a stay meets no
 * third stamp. The table's size is loaded anew in each stay, so the high buckets of a growth come
 * after their low ones.
 *
 * NOTHING IS MISSED. Let h be a hash, and r the newest of its records that was published before the
 * reading began. Some word that was read covers h and leads to r. The low bucket of h is read
 * first. If the word in it has the old stamp, it serves h at this moment (claim 6 d), and
 * so leads to r. If it has the new one, or was freed, its high word was stored before that and
 * is read later, unless h belongs to the low half. A split that ended with FULL leaves such
 * words, too, of either kind.
 *
 * THE HIGHEST ADDRESS IS RIGHT. Let m be the highest address of all words that were read and cover
 * h. Each of these words was, when it was read, the head of a chain that holds all records of h
 * published until some moment after the reading began; but for one case: a high word that a split
 * has stored whose compare-and-swap then failed. That is a head of the same chain of an earlier
 * moment, so it is lower than the one that the low word held. Addresses fall along a chain and a
 * record is above what it links to, so of two heads of the same records the higher one leads to the
 * lower one's. That the bits are exact matters: a head of the low half, taken for one of both,
 * could hide the high half's.
 *
 * LOADING. An entry is given to each bucket of the index that lies in its own: an index of as
 * many or more bits, as FORMAT.md's rule wants. It only raises heads. So entries may be loaded
 * in any order, twice, from several copies, and mixed with records of the log that are linked
 * one by one: what counts is the highest address.
 */
#include "structures/hash_index_internal.h"

static uint32_t bits_of_word(uint64_t level, uint64_t word) {
    const uint32_t bits = fst_index_level_bits(level);

    if (fst_index_has_stamp(word, level)) {
        return bits;
    }
    return fst_index_level_is_growing(level) ? bits - 1 : bits + 1;
}

static void read_bucket(const struct fst_hash_index *index, uint64_t level, uint64_t number,
                        fst_index_copied_fn *each, void *context) {
    for (const struct fst_index_bucket *bucket = &index->buckets[number]; bucket != NULL;
         bucket = fst_index_next(index, bucket)) {
        for (uint32_t i = 0; i < FST_INDEX_BUCKET_ENTRIES; i++) {
            /* acquire: pairs with the compare-and-swap in fst_hash_index_publish() */
            const uint64_t word = fst_load_acquire_u64(&bucket->entries[i]);
            const struct fst_index_copied copied = {.bucket = number,
                                                    .bits = bits_of_word(level, word),
                                                    .tag = (uint32_t)fst_index_tag_of_word(word),
                                                    .addr =
                                                        fst_addr_of(fst_index_address_of(word))};

            if (fst_index_is_final(word) && fst_addr_is_valid(copied.addr) &&
                !fst_index_is_dead(index, word)) {
                each(context, &copied);
            }
        }
    }
}

bool fst_index_read(struct fst_index_reader *reader, uint32_t bucket_max, fst_index_copied_fn *each,
                    void *context) {
    const struct fst_hash_index *index = reader->index;
    /* acquire: pairs with the changes of the level in hash_index_grow.c */
    const uint64_t level = fst_load_acquire_u64(&index->level);
    const uint64_t bucket_count = UINT64_C(1) << fst_index_level_bits(level);

    for (uint32_t i = 0; i < bucket_max && reader->next < bucket_count; i++) {
        read_bucket(index, level, reader->next++, each, context);
    }
    return reader->next < bucket_count;
}

/* Makes the head of the hash's chain at least `addr`. */
static enum faster_status raise_head(struct fst_hash_index *index, uint64_t hash, fst_addr addr) {
    for (;;) {
        struct fst_index_slot slot;
        enum faster_status status = fst_hash_index_find_or_create(index, hash, &slot);

        if (status != FASTER_OK || !fst_addr_below(fst_index_slot_addr(&slot), addr) ||
            fst_hash_index_publish(index, &slot, addr)) {
            return status;
        }
    }
}

/* The size is asked for again each time: it may grow by what is inserted, and a bucket that has
 * got the entry hands it to both of its halves. */
enum faster_status fst_index_load(struct fst_hash_index *index,
                                  const struct fst_index_copied *copied) {
    const uint64_t tag = (uint64_t)copied->tag << FST_INDEX_BITS_MAX;
    enum faster_status status = FASTER_OK;

    if (copied->bits > fst_hash_index_bits(index)) {
        return FASTER_FULL;
    }
    for (uint64_t i = 0;
         status == FASTER_OK && i >> (fst_hash_index_bits(index) - copied->bits) == 0; i++) {
        status = raise_head(index, tag | i << copied->bits | copied->bucket, copied->addr);
    }
    return status;
}
