/* engine_client.c - sessions of a store, direct or transactional, for bench_engine.
 *
 * In a direct store each operation is a call of its own, or a batch is one. In a transactional
 * store a client with writes runs transactions of so many operations, whose commit rows it keeps
 * in memory: what a decider costs is not part of this measurement.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "faster.h"

struct bench_engine {
    const struct bench_engine_options *options;
    struct faster_store *store;
    struct faster_commit_row newest; /* without its redo, which nobody reads here */
};

/* What the merge function of an operation needs. */
struct merge_context {
    uint32_t id;
    uint32_t value_bytes;
};

struct engine_client {
    struct bench_client client;
    struct bench_engine *engine;
    struct faster_session *session;
    struct faster_snapshot snapshot;
    struct faster_txn *txn;
    uint64_t writes; /* since the last commit, or in the transaction */
    unsigned char *value;
    struct faster_op ops[BENCH_BATCH_MAX];
    struct faster_buffer results[BENCH_BATCH_MAX];
    struct merge_context merges[BENCH_BATCH_MAX];
    unsigned char keys[BENCH_BATCH_MAX][BENCH_KEY_BYTES_MAX];
    unsigned char *values; /* of a batch's upserts */
};

static bool fail(struct faster_session *session, const char *what, enum faster_status status) {
    const char *message = faster_session_message(session);
    fprintf(stderr, "%s: %s%s%s\n", what, faster_status_name(status), message[0] ? ": " : "",
            message);
    return false;
}

/* ---- operations ---- */

static enum faster_status add_one(void *context, const struct faster_bytes *old,
                                  struct faster_buffer *new_value) {
    const struct merge_context *merge = context;
    uint32_t version = old == NULL ? 1 : bench_value_version(old->data) + 1;
    enum faster_status status = faster_buffer_reserve(new_value, merge->value_bytes);
    if (status == FASTER_OK) {
        bench_value(new_value->data, merge->value_bytes, merge->id, version);
        new_value->size_bytes = merge->value_bytes;
    }
    return status;
}

static const int32_t op_kinds[] = {
    [BENCH_READ] = FASTER_OP_READ,
    [BENCH_UPSERT] = FASTER_OP_UPSERT,
    [BENCH_RMW] = FASTER_OP_RMW,
    [BENCH_DELETE] = FASTER_OP_DELETE,
};

static void fill_op(struct engine_client *client, const struct bench_step *step, uint32_t i) {
    const struct bench_shape *shape = &client->engine->options->shape;
    struct faster_op *op = &client->ops[i];
    enum bench_kind kind = bench_mix_draw(step->mix, step->random);
    bench_key(client->keys[i], shape->key_bytes, step->ids[i]);
    *op = (struct faster_op){.key = {client->keys[i], shape->key_bytes}, .kind = op_kinds[kind]};
    if (kind == BENCH_READ) {
        op->result = &client->results[i];
    } else if (kind == BENCH_UPSERT) {
        unsigned char *value = client->values + (size_t)i * shape->value_bytes;
        bench_value(value, shape->value_bytes, step->ids[i], step->version);
        op->value = (struct faster_bytes){value, shape->value_bytes};
    } else if (kind == BENCH_RMW) {
        client->merges[i] = (struct merge_context){step->ids[i], shape->value_bytes};
        op->merge = add_one;
        op->context = &client->merges[i];
    }
}

static bool note_op(struct engine_client *client, const struct bench_step *step, uint32_t i) {
    const struct faster_op *op = &client->ops[i];
    if (op->status == FASTER_NOT_FOUND) {
        step->counts->not_found += op->kind == FASTER_OP_READ;
        return true;
    }
    if (op->status != FASTER_OK) {
        return fail(client->session, step->mix->name, op->status);
    }
    if (op->kind == FASTER_OP_READ) {
        bench_note_value(step, &client->engine->options->shape, step->ids[i], op->result->data,
                         op->result->size_bytes);
    } else {
        client->writes++;
    }
    return true;
}

static enum faster_status run_op(struct engine_client *client, struct faster_op *op) {
    switch (op->kind) {
    case FASTER_OP_READ:
        return faster_snapshot_read(&client->snapshot, op);
    case FASTER_OP_UPSERT:
        return client->txn ? faster_txn_upsert(client->txn, op)
                           : faster_session_upsert(client->session, op);
    case FASTER_OP_RMW:
        return client->txn ? faster_txn_rmw(client->txn, op)
                           : faster_session_rmw(client->session, op);
    default:
        return client->txn ? faster_txn_delete(client->txn, op)
                           : faster_session_delete(client->session, op);
    }
}

static bool run_single(struct engine_client *client, const struct bench_step *step, uint32_t i) {
    fill_op(client, step, i);
    if (run_op(client, &client->ops[i]) == FASTER_PENDING) {
        (void)faster_session_complete_pending(client->session, true);
    }
    return note_op(client, step, i);
}

static bool run_batch(struct engine_client *client, const struct bench_step *step) {
    for (uint32_t i = 0; i < step->count; i++) {
        fill_op(client, step, i);
    }
    enum faster_status status =
        step->mix->read_percent == 100
            ? faster_snapshot_batch(&client->snapshot, client->ops, step->count)
            : faster_session_batch(client->session, client->ops, step->count);
    if (status == FASTER_PENDING) {
        status = faster_session_complete_pending(client->session, true);
    }
    if (status != FASTER_OK) {
        return fail(client->session, step->mix->name, status);
    }
    for (uint32_t i = 0; i < step->count; i++) {
        if (!note_op(client, step, i)) {
            return false;
        }
    }
    return true;
}

/* ---- commits and transactions ---- */

static bool open_snapshot(struct engine_client *client) {
    enum faster_status status =
        client->txn != NULL
            ? faster_snapshot_open_txn(client->session, client->txn, &client->snapshot)
            : faster_snapshot_open_newest(client->session, &client->snapshot);
    return status == FASTER_OK || fail(client->session, "snapshot", status);
}

static bool begin(struct engine_client *client) {
    struct bench_engine *engine = client->engine;
    faster_snapshot_close(&client->snapshot);
    enum faster_status status = faster_txn_begin(
        client->session, engine->newest.number != 0 ? &engine->newest : NULL, &client->txn);
    return status == FASTER_OK ? open_snapshot(client) : fail(client->session, "begin", status);
}

static bool end_transaction(struct engine_client *client) {
    uint64_t obsolete_below;
    faster_snapshot_close(&client->snapshot);
    struct faster_commit_row row;
    enum faster_status status = faster_txn_prepare(client->txn, &row, &obsolete_below);
    if (status == FASTER_OK) {
        row.redo = NULL;
        client->engine->newest = row;
        faster_txn_commit(client->txn);
    } else if (status == FASTER_NOT_FOUND) {
        faster_txn_rollback(client->txn);
    } else {
        return fail(client->session, "prepare", status);
    }
    client->txn = NULL;
    client->writes = 0;
    return open_snapshot(client);
}

static bool commit(struct engine_client *client) {
    client->writes = 0;
    enum faster_status status = faster_session_commit(client->session);
    return status == FASTER_OK || fail(client->session, "commit", status);
}

static bool is_writing(const struct bench_step *step) {
    return step->mix->read_percent < 100;
}

static bool engine_step(struct bench_client *base, const struct bench_step *step) {
    struct engine_client *client = (struct engine_client *)base;
    const struct bench_engine_options *options = client->engine->options;
    bool needs_txn = options->transactional && is_writing(step);
    if (needs_txn && client->txn == NULL && !begin(client)) {
        return false;
    }
    if (step->count > 1 && !needs_txn) {
        if (!run_batch(client, step)) {
            return false;
        }
    } else {
        for (uint32_t i = 0; i < step->count; i++) {
            if (!run_single(client, step, i)) {
                return false;
            }
        }
    }
    if (needs_txn) {
        return client->writes < options->transaction_size || end_transaction(client);
    }
    return options->commit_every == 0 || client->writes < options->commit_every || commit(client);
}

static bool engine_end_phase(struct bench_client *base) {
    struct engine_client *client = (struct engine_client *)base;
    if (client->txn != NULL) {
        return end_transaction(client);
    }
    return client->writes == 0 || client->engine->options->commit_every == 0 || commit(client);
}

static void engine_close_client(struct bench_client *base) {
    struct engine_client *client = (struct engine_client *)base;
    faster_snapshot_close(&client->snapshot);
    faster_session_close(client->session);
    for (uint32_t i = 0; i < BENCH_BATCH_MAX; i++) {
        faster_buffer_finish(&client->results[i]);
    }
    free(client->values);
    free(client);
}

static const struct bench_client_kind engine_kind = {engine_step, engine_end_phase,
                                                     engine_close_client};

static enum faster_status no_rows(void *context, struct faster_commit_row *row) {
    (void)context;
    (void)row;
    return FASTER_END;
}

/* A store that has just been made knows all its rows once it has heard that there are none. */
static enum faster_status meet_rows(struct engine_client *client) {
    const struct faster_commit_row *newest = &client->engine->newest;
    if (!client->engine->options->transactional) {
        return FASTER_OK;
    }
    return newest->number != 0
               ? faster_session_meet_row(client->session, newest)
               : faster_session_catch_up(client->session, no_rows, NULL, NULL, NULL);
}

struct bench_client *bench_engine_client(struct bench_engine *engine) {
    struct engine_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->client.kind = &engine_kind;
    client->engine = engine;
    client->snapshot.pin_index = -1;
    client->values = malloc((size_t)BENCH_BATCH_MAX * engine->options->shape.value_bytes);
    for (uint32_t i = 0; i < BENCH_BATCH_MAX; i++) {
        client->results[i].env = faster_env_posix();
    }
    enum faster_status status = client->values != NULL ? FASTER_OK : FASTER_NOMEM;
    if (status == FASTER_OK) {
        status = faster_session_open(engine->store, &client->session);
    }
    if (status == FASTER_OK) {
        status = meet_rows(client);
    }
    if (status != FASTER_OK || !open_snapshot(client)) {
        fprintf(stderr, "session: %s\n", faster_status_name(status));
        engine_close_client(&client->client);
        return NULL;
    }
    return &client->client;
}

/* ---- the store ---- */

struct bench_engine *bench_engine_open(const struct bench_engine_options *options) {
    struct bench_engine *engine = calloc(1, sizeof *engine);
    struct faster_error error = {0};
    struct faster_options wanted = {
        .directory = options->directory,
        .memory_bytes = options->memory_bytes,
        .io_direct = options->io_direct,
        .page_bytes = options->page_bytes,
        .writes = options->transactional ? FASTER_WRITES_TRANSACTIONAL : FASTER_WRITES_DIRECT,
    };
    if (engine == NULL) {
        return NULL;
    }
    engine->options = options;
    enum faster_status status = FASTER_OK;
    if (options->directory != NULL) {
        status = faster_store_create(&wanted, NULL, &error);
    }
    if (status == FASTER_OK) {
        status = faster_store_open(&wanted, &engine->store, &error);
    }
    if (status != FASTER_OK) {
        fprintf(stderr, "%s: %s%s%s\n", options->directory ? options->directory : "store",
                faster_status_name(status), error.message[0] ? ": " : "", error.message);
        free(engine);
        return NULL;
    }
    return engine;
}

uint64_t bench_engine_stat(struct bench_engine *engine, const char *name) {
    struct faster_stat stats[64];
    size_t count = faster_store_stats(engine->store, stats, sizeof stats / sizeof stats[0]);
    for (size_t i = 0; i < count && i < sizeof stats / sizeof stats[0]; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    return 0;
}

void bench_engine_close(struct bench_engine *engine) {
    if (engine == NULL) {
        return;
    }
    struct faster_error error = {0};
    enum faster_status status = faster_store_close_and_remove(engine->store, &error);
    if (status != FASTER_OK) {
        fprintf(stderr, "close: %s: %s\n", faster_status_name(status), error.message);
    }
    free(engine);
}
