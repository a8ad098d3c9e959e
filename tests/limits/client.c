/* client.c - see client.h. */
#include "client.h"

#include <string.h>

const char *client_code_name(enum client_code code) {
    static const char *const names[] = {"OK", "NOT_FOUND", "FULL", "NOMEM",
                                        "IO", "READ_ONLY", "OTHER"};
    return names[code];
}

enum client_code client_open(struct client *client, const struct client_config *config,
                             const struct client *other) {
    *client = (struct client){.config = *config,
                              .calls = config->is_sql ? &client_sql_calls : &client_engine_calls};
    return client->calls->open(client, other);
}

void client_close(struct client *client) {
    if (client->self != NULL) {
        client->calls->close(client);
        client->self = NULL;
    }
}

enum client_code client_put(struct client *client, const char *key, const void *value,
                            size_t value_bytes) {
    return client->calls->put(client, key, value, value_bytes);
}

enum client_code client_remove(struct client *client, const char *key) {
    return client->calls->remove(client, key);
}

enum client_code client_commit(struct client *client) {
    return client->calls->commit(client);
}

void client_rollback(struct client *client) {
    client->calls->rollback(client);
}

enum client_code client_get(struct client *client, const char *key, struct text *value) {
    text_clear(value);
    return client->calls->get(client, key, value);
}

enum client_code client_count(struct client *client, uint64_t *count) {
    return client->calls->count(client, count);
}

enum client_code client_verify(struct client *client) {
    return client->calls->verify(client);
}

enum client_code client_checkpoint(struct client *client) {
    return client->calls->checkpoint(client);
}

enum client_code client_grow(struct client *client) {
    return client->calls->grow(client);
}
