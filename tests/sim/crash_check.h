/* crash_check.h - what crash_direct, crash_transactional and simulate share: reading a whole store,
 * and going through what a crash may leave. Whatever is wrong ends the program (cases_fail()).
 */
#ifndef TESTS_SIM_CRASH_CHECK_H
#define TESTS_SIM_CRASH_CHECK_H

#include "cases.h"
#include "model.h"
#include "sim_crash.h"

#define CRASH_KEYS_MAX 64u

/* ---- stores ---- */

/* The final status of a call, which may have returned PENDING. */
enum faster_status crash_complete(struct faster_session *session, const struct faster_op *op,
                                  enum faster_status status);

/* A key's value; 0: there is none. P4 if it is not the value of any number. */
model_value crash_read(struct faster_session *session, const struct faster_snapshot *snapshot,
                       uint32_t key);

/* Reads every key by itself; then a scan must show the same. */
void crash_read_map(struct faster_session *session, const struct faster_snapshot *snapshot,
                    uint32_t key_count, model_value *map);

/* Verify finds nothing. */
void crash_verify(struct faster_session *session);

/* The version that a map is, of those that a crash may have left. */
uint64_t crash_find(const struct model *model, const model_value *map, struct case_range range);

/* ---- states ---- */

/* What a crash has left. */
struct crash_state {
    struct sim_image *image; /* the caller's of crash_each_state() */
    uint64_t position;       /* of the boundary */
    enum sim_variant variant;
    uint64_t draw;
};

const char *crash_variant_name(enum sim_variant variant);
/* False: there is none of this name. */
bool crash_variant_parse(const char *name, enum sim_variant *variant);

/* Which of a disk's states. */
struct crash_plan {
    const struct sim_disk *disk;
    uint64_t from;   /* the first boundary, */
    uint64_t to;     /* and the last one */
    uint64_t seed;   /* of the draws */
    uint32_t one_in; /* boundaries, by the seed; the last one always */
    bool with_kill;  /* at each sync */
    bool with_sizes;
};

typedef void crash_state_fn(void *context, const struct crash_state *state);

/* Each variant at each boundary, in order, until cases_more() says that it is enough. */
void crash_each_state(const struct cases *cases, const struct crash_plan *plan,
                      crash_state_fn *each, void *context);

/* The one state that a replay names; NULL: the disk has no such boundary. Released by the
 * caller. */
struct sim_image *crash_one_state(const struct sim_disk *disk, uint64_t position,
                                  enum sim_variant variant, uint64_t draw);

#endif
