/* model.h - what a store ought to hold: the map that tests compare it with.
 *
 * Keys are numbers below key_count; their text is padded with zeroes, so that numbers and bytes
 * have one order. Values are numbers, too, and their bytes are derived from them: 0 is "absent".
 * The working map changes with each write; model_commit() keeps a copy of it as a version, and
 * these are what snapshots read and what a crash may leave.
 *
 *     struct model *model = model_create(20);
 *     model_put(model, 3, model_value_make(1, MODEL_SMALL));
 *     uint64_t version = model_commit(model);
 *     ... crash, recover, read all of the store into `map` ...
 *     model_find(model, map, version, version, why)
 *
 * One thread or fibre at a time. Out of memory ends the program: a model never fails.
 */
#ifndef TESTS_SUPPORT_MODEL_H
#define TESTS_SUPPORT_MODEL_H

#include "faster.h"

#define MODEL_KEYS_MAX 1024u
#define MODEL_SESSIONS_MAX 16u
#define MODEL_SAVEPOINTS_MAX 8
#define MODEL_NUMBER_MAX ((UINT32_C(1) << 28) - 1)
#define MODEL_VALUE_BYTES_MAX 40000u
#define MODEL_WHY_BYTES 160u

struct model;
typedef uint32_t model_value;

/* How large a value is. It is a part of the value, so that every size can be told from it. */
enum model_size {
    MODEL_WORD,   /* 8 bytes */
    MODEL_SMALL,  /* 12 to 104, by the number */
    MODEL_SECTOR, /* with a key of the model its record has exactly 512 */
    MODEL_MEDIUM, /* 600 to 1500, by the number */
    MODEL_PAGE,   /* 12000: a page of 16 KiB holds one */
    MODEL_CHUNKED /* 36000 to 40000, by the number: kept in three chunks */
};

/* Version 0 is the empty map. */
struct model *model_create(uint32_t key_count);
/* Another one, with the versions up to this one, resumed there. */
struct model *model_copy(const struct model *model, uint64_t version);
void model_destroy(struct model *model);

/* "key-00012"; the bytes without the zero. */
size_t model_key(uint32_t key, char text[16]);
/* False: these bytes are no key of a model. */
bool model_key_parse(const void *bytes, size_t count, uint32_t *key);

/* Number from 1 to MODEL_NUMBER_MAX; values of different numbers differ in each aligned word. */
model_value model_value_make(uint32_t number, enum model_size size);
size_t model_value_bytes(model_value value);
/* Room for MODEL_VALUE_BYTES_MAX; returns how many it has written. */
size_t model_bytes(model_value value, unsigned char *bytes);
bool model_is_bytes(model_value value, const void *bytes, size_t count);
/* The value whose bytes these are, all of them; 0: there is none. */
model_value model_value_parse(const void *bytes, size_t count);

/* ---- the working map ---- */

uint32_t model_key_count(const struct model *model);
model_value model_get(const struct model *model, uint32_t key);
void model_put(struct model *model, uint32_t key, model_value value);
/* What an operation must return now. `guess`: what a compare-and-set expects. A merge function is
 * taken to set a value. */
enum faster_status model_expect(const struct model *model, enum faster_op_kind kind, uint32_t key,
                                model_value guess);

/* ---- transactions ---- */

/* Savepoints nest by level as those of faster_txn_savepoint(): one that is set sets each lower
 * one that is not. */
void model_begin(struct model *model);
void model_savepoint(struct model *model, int level);
void model_release(struct model *model, int level);
/* A level that is not set undoes the whole transaction. */
void model_rollback_to(struct model *model, int level);
void model_rollback(struct model *model);
/* Ends the transaction, if one is open. Returns the number of the new version, the newest one's
 * plus 1; the working map goes on from it. */
uint64_t model_commit(struct model *model);

/* ---- versions ---- */

uint64_t model_newest(const struct model *model);
/* Key_count values, until the model is resumed at an older version or destroyed. NULL: there is no
 * such version. */
const model_value *model_version(const struct model *model, uint64_t version);
/* The same for equal maps, and only for these. */
uint64_t model_version_hash(const struct model *model, uint64_t version);
/* Which version is this map, among [low, high]? The newest that fits. UINT64_MAX: none; `why` names
 * the first key that fits the newest one of them least. */
uint64_t model_find(const struct model *model, const model_value *map, uint64_t low, uint64_t high,
                    char why[MODEL_WHY_BYTES]);
/* The next life goes on from here: the working map becomes this version's, an open transaction is
 * forgotten and later versions are void. */
void model_resume(struct model *model, uint64_t version);

/* ---- sessions ---- */

/* A session's serial counts those of its operations that took effect. It is a part of each
 * version; the store keeps it under a key of the session's own, which the test upserts with each.
 */
uint64_t model_did(struct model *model, uint32_t session);
uint64_t model_serial(const struct model *model, uint64_t version, uint32_t session);

#endif
