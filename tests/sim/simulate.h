/* simulate.h - what the parts of simulate share; see simulate.c. */
#ifndef TESTS_SIM_SIMULATE_H
#define TESTS_SIM_SIMULATE_H

#include "crash_check.h"

#define CLIENTS_MAX 4u
#define OWN_KEYS 12u /* of each client */
#define SIMULATE_KEYS (CLIENTS_MAX * OWN_KEYS)
#define COMMITS_MAX 512u
#define MARK_ISSUED 16u /* and the client's number: so many of its operations have begun */

/* What a client did, in its order. */
struct step {
    uint32_t key;
    model_value value; /* 0: deleted */
};

/* Each key has one owner, so what a client's keys hold is told by a prefix of its steps. */
struct client {
    struct run *run;
    uint32_t number;
    uint64_t random;
    uint32_t ops; /* to do in this life */
    struct faster_session *session;
    struct faster_snapshot view;
    model_value base[OWN_KEYS]; /* before the steps */
    model_value now[OWN_KEYS];
    struct step *steps;
    uint64_t step_count; /* issued */
    uint64_t step_capacity;
};

/* How many steps of each client an acknowledged commit covers. */
struct cover {
    uint64_t steps[CLIENTS_MAX];
};

struct run {
    uint64_t seed;
    uint64_t random;
    uint32_t next_value;
    uint32_t client_count;
    uint64_t page_bytes, segment_bytes;
    uint32_t io_threads;
    struct faster_store *store;
    struct client clients[CLIENTS_MAX];
    struct cover covers[COMMITS_MAX]; /* cover 0: what was there at the life's begin */
    uint32_t cover_count;
    uint64_t begin; /* of the life: the first boundary at which it may end */
    /* What the armed fault may come to; 0: nothing may fail. */
    enum faster_status failure;
    bool may_break; /* in this life: the store may refuse to write until it is opened again */
    bool with_checkpoints;
    uint64_t operations, commits, checkpoints, failures;
};

uint32_t run_draw(struct run *run, uint32_t below);

/* ---- simulate_clients.c ---- */

/* A fibre's body: the client's operations of this life. Context: the client. */
void client_live(void *client);
/* The last commit of a life, when nothing fails any more. False: the store has failed for good. */
bool client_drain(struct client *client);
/* Which prefix of the client's steps its keys hold, among [low, high]; the client goes on from
 * there. */
uint64_t client_find(struct client *client, const model_value *map, uint64_t low, uint64_t high);
/* What the steps say is there, now that nothing of them can be lost any more. */
void client_settle(struct client *client);

#endif
