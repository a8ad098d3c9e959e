/* client.h - a store of either kind, through SQL or through the C interface, for tests that do the
 * same with all four. Keys are text, values bytes.
 *
 * A client belongs to one thread. Nothing here ends the test: every call tells how it went.
 */
#ifndef TESTS_LIMITS_CLIENT_H
#define TESTS_LIMITS_CLIENT_H

#include "faster.h"
#include "sql_support.h"
#include "support/ledger.h"

enum client_code {
    CLIENT_OK = 0,
    CLIENT_NOT_FOUND,
    CLIENT_FULL,
    CLIENT_NOMEM,
    CLIENT_IO,        /* also what could not be opened */
    CLIENT_READ_ONLY, /* so a file system becomes that has failed */
    CLIENT_OTHER      /* never meant to happen */
};
const char *client_code_name(enum client_code code);

struct client_config {
    const struct test_options *options; /* for faster.so */
    bool is_sql;
    bool is_direct;
    const char *directory; /* of the database, or of the store */
    uint64_t memory_bytes;
    uint64_t page_bytes;
    uint64_t segment_bytes;
    const char *session;    /* name, of a direct store; NULL: none */
    struct ledger *decider; /* of a transactional store through the C interface */
};

struct client {
    struct client_config config;
    const struct client_calls *calls;
    void *self;      /* NULL: not open */
    uint64_t serial; /* with a session: of its last operation, when it was opened */
    char message[FASTER_MESSAGE_BYTES + 40]; /* of the last call that failed */
};

/* Creates what is missing, and opens it. The other client, which may be NULL, is one of the same
 * store and process, and closed later. */
enum client_code client_open(struct client *client, const struct client_config *config,
                             const struct client *other);
/* Rolls back what is not committed. */
void client_close(struct client *client);

/* Of a transactional store these two belong to a transaction, which the first one begins. */
enum client_code client_put(struct client *client, const char *key, const void *value,
                            size_t value_bytes);
enum client_code client_remove(struct client *client, const char *key);
/* Makes all of it durable. After a failure of this or of a write, client_rollback(). */
enum client_code client_commit(struct client *client);
void client_rollback(struct client *client);

/* The value goes to `value`, which is the caller's and begins as text {0}. */
enum client_code client_get(struct client *client, const char *key, struct text *value);
/* By a scan. */
enum client_code client_count(struct client *client, uint64_t *count);
/* OTHER if something is wrong: the message tells what. */
enum client_code client_verify(struct client *client);
/* A commit of its own; the index is copied. */
enum client_code client_checkpoint(struct client *client);
/* Doubles the index. FULL if it is as large as it may be. */
enum client_code client_grow(struct client *client);

/* ---- inside ---- */

struct client_calls {
    enum client_code (*open)(struct client *client, const struct client *other);
    void (*close)(struct client *client);
    enum client_code (*put)(struct client *client, const char *key, const void *value,
                            size_t value_bytes);
    enum client_code (*remove)(struct client *client, const char *key);
    enum client_code (*commit)(struct client *client);
    void (*rollback)(struct client *client);
    enum client_code (*get)(struct client *client, const char *key, struct text *value);
    enum client_code (*count)(struct client *client, uint64_t *count);
    enum client_code (*verify)(struct client *client);
    enum client_code (*checkpoint)(struct client *client);
    enum client_code (*grow)(struct client *client);
};
extern const struct client_calls client_sql_calls;
extern const struct client_calls client_engine_calls;

#endif
