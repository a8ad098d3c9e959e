/* client_engine.c - a client through the C interface. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

struct engine_client {
    struct faster_store *store;
    bool is_owner;
    struct faster_session *session;
    struct faster_txn *txn; /* of a transactional store, while something is not committed */
};

static enum client_code failed(struct client *client, enum faster_status status,
                               const char *message) {
    snprintf(client->message, sizeof client->message, "%s (%s)", message,
             faster_status_name(status));
    switch ((int)status) {
    case FASTER_FULL:
        return CLIENT_FULL;
    case FASTER_NOMEM:
        return CLIENT_NOMEM;
    case FASTER_IO:
    case FASTER_FAILED:
        return CLIENT_IO;
    case FASTER_READ_ONLY:
        return CLIENT_READ_ONLY;
    default:
        return CLIENT_OTHER;
    }
}

static enum client_code done(struct client *client, enum faster_status status) {
    const struct engine_client *self = client->self;
    if (status == FASTER_OK) {
        return CLIENT_OK;
    }
    return status == FASTER_NOT_FOUND
               ? CLIENT_NOT_FOUND
               : failed(client, status, self->session ? faster_session_message(self->session) : "");
}

/* ------------------------------------------------------------- open and close */

static void engine_rollback(struct client *client) {
    struct engine_client *self = client->self;
    if (self->txn != NULL) {
        faster_txn_rollback(self->txn);
        self->txn = NULL;
    }
}

static void engine_close(struct client *client) {
    struct engine_client *self = client->self;
    engine_rollback(client);
    if (self->session != NULL) {
        faster_session_close(self->session);
    }
    if (self->is_owner) {
        faster_store_close(self->store);
    }
    free(self);
}

static enum client_code open_store(struct client *client) {
    struct engine_client *self = client->self;
    const struct client_config *config = &client->config;
    struct faster_error error = {0};
    struct faster_options options = {
        .directory = config->directory,
        .memory_bytes = config->memory_bytes,
        .page_bytes = config->page_bytes,
        .segment_bytes = config->segment_bytes,
        .writes = config->is_direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL,
    };
    enum faster_status status = faster_store_open(&options, &self->store, &error);
    if (status == FASTER_MISSING) {
        error = (struct faster_error){0};
        status = faster_store_create(&options, NULL, &error);
        status = status ? status : faster_store_open(&options, &self->store, &error);
    }
    self->is_owner = status == FASTER_OK;
    return status == FASTER_OK ? CLIENT_OK : failed(client, status, error.message);
}

static enum client_code open_session(struct client *client) {
    struct engine_client *self = client->self;
    const char *name = client->config.session;
    enum faster_status status =
        name != NULL ? faster_session_open_named(self->store, name, &client->serial, &self->session)
                     : faster_session_open(self->store, &self->session);
    if (status == FASTER_OK && !client->config.is_direct) {
        status = ledger_meet(client->config.decider, self->session);
    }
    return done(client, status);
}

static enum client_code engine_open(struct client *client, const struct client *other) {
    struct engine_client *self = calloc(1, sizeof *self);
    enum client_code code = CLIENT_OK;
    client->self = self;
    if (other != NULL) {
        self->store = ((const struct engine_client *)other->self)->store;
    } else {
        code = open_store(client);
    }
    code = code ? code : open_session(client);
    if (code != CLIENT_OK) {
        client_close(client);
    }
    return code;
}

/* ------------------------------------------------------------------- rows */

static enum faster_status complete(struct engine_client *self, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(self->session, true);
        status = op->status;
    }
    return status;
}

static enum faster_status begin(struct client *client) {
    struct engine_client *self = client->self;
    return client->config.is_direct || self->txn != NULL
               ? FASTER_OK
               : ledger_begin(client->config.decider, self->session, &self->txn);
}

static enum client_code engine_put(struct client *client, const char *key, const void *value,
                                   size_t value_bytes) {
    struct engine_client *self = client->self;
    struct faster_op op = {.key = {key, strlen(key)}, .value = {value, value_bytes}};
    enum faster_status status = begin(client);
    if (status == FASTER_OK) {
        status = self->txn ? faster_txn_upsert(self->txn, &op)
                           : faster_session_upsert(self->session, &op);
    }
    return done(client, complete(self, &op, status));
}

static enum client_code engine_remove(struct client *client, const char *key) {
    struct engine_client *self = client->self;
    struct faster_op op = {.key = {key, strlen(key)}};
    enum faster_status status = begin(client);
    if (status == FASTER_OK) {
        status = self->txn ? faster_txn_delete(self->txn, &op)
                           : faster_session_delete(self->session, &op);
    }
    return done(client, complete(self, &op, status));
}

/* As ledger_commit(), but that the message is taken before the next call. */
static enum client_code commit_transaction(struct client *client, struct faster_txn *txn) {
    struct faster_commit_row row;
    uint64_t obsolete_below = 0;
    enum faster_status status = faster_txn_prepare(txn, &row, &obsolete_below);
    enum client_code code = done(client, status == FASTER_NOT_FOUND ? FASTER_OK : status);
    if (code != CLIENT_OK) {
        faster_txn_rollback(txn);
        return code;
    }
    if (status == FASTER_OK) {
        ledger_insert(client->config.decider, &row, obsolete_below);
    }
    faster_txn_commit(txn);
    return CLIENT_OK;
}

static enum client_code engine_commit(struct client *client) {
    struct engine_client *self = client->self;
    struct faster_txn *txn = self->txn;
    self->txn = NULL; /* both calls consume it */
    if (client->config.is_direct) {
        return done(client, faster_session_commit(self->session));
    }
    return txn ? commit_transaction(client, txn) : CLIENT_OK;
}

/* The view of the open transaction, or the newest. */
static enum faster_status open_view(struct client *client, struct faster_snapshot *view) {
    struct engine_client *self = client->self;
    if (self->txn != NULL) {
        return faster_snapshot_open_txn(self->session, self->txn, view);
    }
    return faster_snapshot_open_newest(self->session, view);
}

static enum client_code engine_get(struct client *client, const char *key, struct text *value) {
    struct engine_client *self = client->self;
    struct faster_snapshot view = {0};
    struct faster_buffer buffer = {.env = faster_env_posix()};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &buffer};
    enum faster_status status = open_view(client, &view);
    if (status == FASTER_OK) {
        status = complete(self, &op, faster_snapshot_read(&view, &op));
    }
    enum client_code code = done(client, status);
    if (code == CLIENT_OK) {
        text_add_bytes(value, buffer.data, buffer.size_bytes);
    }
    faster_snapshot_close(&view);
    faster_buffer_finish(&buffer);
    return code;
}

/* ---------------------------------------------------------------- the whole */

static enum client_code engine_count(struct client *client, uint64_t *count) {
    struct faster_snapshot view = {0};
    struct faster_scan *scan = NULL;
    struct faster_bytes key, value;
    *count = 0;
    enum faster_status status = open_view(client, &view);
    status = status ? status : faster_scan_open(&view, &scan);
    while (status == FASTER_OK && (status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        ++*count;
    }
    faster_scan_close(scan);
    faster_snapshot_close(&view);
    return done(client, status == FASTER_END ? FASTER_OK : status);
}

static void note_finding(void *context, const struct faster_finding *finding) {
    struct client *client = context;
    snprintf(client->message, sizeof client->message, "%s: %s, offset %" PRIu64, finding->file,
             finding->what, finding->offset);
}

static enum client_code engine_verify(struct client *client) {
    struct engine_client *self = client->self;
    uint64_t count = 0;
    enum client_code code = done(
        client, faster_session_verify(self->session, note_finding, client, NULL, NULL, &count));
    return code == CLIENT_OK && count != 0 ? CLIENT_OTHER : code;
}

static enum client_code engine_checkpoint(struct client *client) {
    struct engine_client *self = client->self;
    struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    if (!client->config.is_direct) {
        request.durable = ledger_newest(client->config.decider);
    }
    return done(client, faster_session_take_checkpoint(self->session, &request, NULL));
}

static enum client_code engine_grow(struct client *client) {
    struct engine_client *self = client->self;
    return done(client, faster_session_grow(self->session));
}

const struct client_calls client_engine_calls = {
    engine_open, engine_close, engine_put,    engine_remove,     engine_commit, engine_rollback,
    engine_get,  engine_count, engine_verify, engine_checkpoint, engine_grow};
