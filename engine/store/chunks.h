/* chunks.h - writing a value that is larger than a page (layer 4).
 *
 * Such a value is cut into CHUNK records, its beginning first, each of them at most a page and at
 * most FST_CHUNK_RECORD_BYTES_MAX. Then comes the *head*: an ordinary record in the key's chain,
 * marked CHUNKED, with a struct fst_chunk_list in place of the value. Chunks are in no chain and
 * are never looked for; the head says where the last one is, and each of them where the one
 * before it is.
 *
 * A CHUNK LIVES AS LONG AS ITS HEAD:
 *
 *   Whoever has the head has its chunks. They are complete in the log before the head takes its
 *   place, so they lie at lower addresses, and nothing in the log counts but whole prefixes:
 *     - a transaction counts with all bytes from its start to its control record, and its head
 *       has its chunks inside these bytes: an operation is carried out between two calls that
 *       set a savepoint or an end, which wait for it (faster_txn.c). What a savepoint undoes is a
 *       range that ends behind the head, so it hides the head, or neither;
 *     - redo carries the log's bytes as they are, whatever they are;
 *     - a cut of a direct store covers all below it, of whatever version: chunks have none. A head
 *       of the next version may follow chunks that an earlier cut covers already;
 *     - a jump leads past bytes that never counted, heads and chunks alike.
 *   Truncation looks for the first live record, and if that is a head, goes no further than its
 *   first chunk (procedures/checkpoint.c).
 *
 *   A head that nobody reaches needs no chunks. If the value cannot be written to its end, or the
 *   head loses its race for good, chunks remain that nothing names: dead bytes, as those of an
 *   overwritten record, and truncated like them.
 *
 * A HEAD NEVER CHANGES IN PLACE, nor do its chunks. So a value that was gathered from the head at
 * an address is that head's value for ever, and a new value that was made from it still fits if the
 * same head is found again: addresses are never used twice.
 *
 * WRITING takes one stay in the epoch for each chunk, so pages are written and evicted meanwhile,
 * and others use the tail in between. Only the bytes of one chunk are ever held back by a writer.
 */
#ifndef FST_STORE_CHUNKS_H
#define FST_STORE_CHUNKS_H

#include "store/operations.h"

/* A read takes a chunk at a time through a buffer of this size; a session may have
 * budget.session_io_max of them under way. */
#define FST_CHUNK_RECORD_BYTES_MAX (64u << 10)
/* A chunk is made to fit the rest of the tail's page if that is not smaller. */
#define FST_CHUNK_ROOM_BYTES_MIN 2048u

/* True if key and value do not fit a page together. */
bool fst_value_is_large(const struct faster_store *store, size_t key_bytes, size_t value_bytes);

/* The head's value, once all chunks are written (session->large.is_ready). */
static inline struct faster_bytes fst_large_list(const struct faster_session *session) {
    return (struct faster_bytes){&session->large.list, sizeof session->large.list};
}

/* Ends an attempt that has found out that `value` must be written in chunks first. The caller of
 * the attempt does that, outside the epoch, and attempts again. `value` stays as it is until then.
 */
enum fst_attempt fst_large_wanted(struct faster_session *session, const struct faster_bytes *value);

/* Appends the next chunk of what is wanted. [writer], outside the epoch. DONE: all are written.
 * AGAIN: more are to come. ROOM: the log has no free frame. */
enum fst_attempt fst_chunk_append(struct faster_session *session) FASTER_MUST_CHECK;

#endif
