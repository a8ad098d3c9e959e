/* simulate_sql.h - the parts of simulate_sql: see simulate_sql.c.
 *
 *     simulate_sql.c          seeds, lives, what a crash leaves, the checks after it
 *     simulate_sql_clients.c  what the clients of one life do
 */
#ifndef TESTS_SIM_SIMULATE_SQL_H
#define TESTS_SIM_SIMULATE_SQL_H

#include "crash_sql.h"

#define SIM_SQL_CLIENTS_MAX 4u
#define SIM_SQL_DIRECT_KEYS 4u /* of each client, in turn: see simulate_sql.c */

/* Marks of the direct table: number = client << 32 | how many writes of it. */
enum { SIM_SQL_DIRECT_TRY = MARK_PHASE + 1, SIM_SQL_DIRECT_ACK };

/* One seed. */
struct sim_sql {
    struct sql_run run; /* contents by version; its connection is used between lives only */
    uint64_t seed;
    uint64_t next_version; /* never used twice, so that a failed one is told from its successor */
    uint64_t acked_version;
    uint64_t direct_did[SIM_SQL_CLIENTS_MAX]; /* writes that have returned */
    uint32_t client_count;
    uint32_t operations; /* that are left in this life, of all clients */
    bool with_faults;
    uint32_t open_count; /* of clients with a connection */
    /* A fault was armed since all connections were closed at once: statements may fail with one of
     * these codes, a bit 1 << code each. */
    bool has_failed;
    uint32_t codes;
    /* A store that was opened again after a failure may have lost what was not committed: the
     * client has not looked since. */
    bool is_unsure[SIM_SQL_CLIENTS_MAX];
};

/* Runs the clients of one life to their end, all closed. */
void sim_sql_run_clients(struct sim_sql *sim);

#endif
