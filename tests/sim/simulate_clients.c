/* simulate_clients.c - what clients do to a store at the same time, and what is left of it. */
#include <stdlib.h>
#include <string.h>

#include "sim_run.h"
#include "simulate.h"

#define CHECKPOINT_ONE_IN 24u /* operations */

static uint32_t draw(struct client *client, uint32_t below) {
    return (uint32_t)(sim_next(&client->random) >> 33) % below;
}

/* Of an operation that failed, as the fault of this life may make it. */
static bool is_failure(struct client *client, enum faster_status status, const char *what) {
    if (status >= FASTER_OK) {
        return false;
    }
    CASES_CHECK((client->run->failure != FASTER_OK && status == client->run->failure) ||
                    (client->run->may_break && (status == FASTER_IO || status == FASTER_FAILED)),
                "P4", "%s of client %u: %s: %s", what, client->number, faster_status_name(status),
                faster_session_message(client->session));
    client->run->failures++;
    return true;
}

/* ---- operations ---- */

/* The step is noted, and marked, before it may reach the disk. */
static void issue(struct client *client, uint32_t key, model_value value) {
    if (client->step_count == client->step_capacity) {
        client->step_capacity = client->step_capacity * 2 + 64;
        client->steps = realloc(client->steps, client->step_capacity * sizeof *client->steps);
        CASES_CHECK(client->steps != NULL, "memory", "no memory for steps");
    }
    client->steps[client->step_count++] = (struct step){key, value};
    sim_mark(MARK_ISSUED + client->number, client->step_count);
}

static enum faster_status set_value(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    unsigned char *bytes = malloc(MODEL_VALUE_BYTES_MAX);
    (void)old;
    CASES_CHECK(bytes != NULL, "memory", "no memory for a value");
    const enum faster_status status =
        faster_buffer_assign(value, bytes, model_bytes(*(const model_value *)context, bytes));
    free(bytes);
    return status;
}

static enum model_size draw_size(struct client *client) {
    static const enum model_size SIZES[] = {
        MODEL_WORD,   MODEL_WORD,   MODEL_SMALL,  MODEL_SMALL,  MODEL_SMALL, MODEL_SMALL,
        MODEL_SECTOR, MODEL_MEDIUM, MODEL_MEDIUM, MODEL_MEDIUM, MODEL_PAGE,  MODEL_CHUNKED};
    return SIZES[draw(client, sizeof SIZES / sizeof SIZES[0])];
}

/* Other clients run while this one waits, so its buffers are its own. */
static void write_one(struct client *client) {
    static const enum faster_op_kind KINDS[] = {FASTER_OP_UPSERT, FASTER_OP_UPSERT, FASTER_OP_RMW,
                                                FASTER_OP_DELETE, FASTER_OP_COMPARE_AND_SET};
    const uint32_t own = draw(client, OWN_KEYS);
    const enum faster_op_kind kind = KINDS[draw(client, 5)];
    const model_value now = client->now[own];
    model_value value = model_value_make(client->run->next_value++, draw_size(client));
    unsigned char *bytes = malloc(2 * MODEL_VALUE_BYTES_MAX);
    char text[16];
    CASES_CHECK(bytes != NULL, "memory", "no memory for a value");
    if (kind == FASTER_OP_COMPARE_AND_SET && now == 0) {
        free(bytes);
        return;
    }
    struct faster_op op = {.kind = (int32_t)kind, .merge = set_value, .context = &value};
    op.key = (struct faster_bytes){text, model_key(client->number * OWN_KEYS + own, text)};
    op.value = (struct faster_bytes){bytes, model_bytes(value, bytes)};
    if (now != 0) {
        unsigned char *expected = bytes + MODEL_VALUE_BYTES_MAX;
        op.expected = (struct faster_bytes){expected, model_bytes(now, expected)};
    }
    issue(client, own, kind == FASTER_OP_DELETE ? 0 : value);
    enum faster_status status = faster_session_batch(client->session, &op, 1);
    status = crash_complete(client->session, &op, status == FASTER_OK ? op.status : status);
    if (is_failure(client, status, "a write")) {
        client->step_count--; /* it did nothing */
        sim_mark(MARK_ISSUED + client->number, client->step_count);
    } else {
        CASES_CHECK(status == FASTER_OK, "P9", "a write of client %u: %s", client->number,
                    faster_status_name(status));
        client->now[own] = client->steps[client->step_count - 1].value;
    }
    client->run->operations++;
    free(bytes);
}

/* Nobody else writes the client's keys. */
static void read_one(struct client *client) {
    char text[16];
    struct faster_buffer result = {.env = faster_env_posix()};
    const uint32_t own = draw(client, OWN_KEYS);
    struct faster_op op = {.result = &result};
    op.key = (struct faster_bytes){text, model_key(client->number * OWN_KEYS + own, text)};
    const enum faster_status status =
        crash_complete(client->session, &op, faster_snapshot_read(&client->view, &op));
    if (!is_failure(client, status, "a read")) {
        const model_value value =
            status == FASTER_NOT_FOUND ? 0 : model_value_parse(result.data, result.size_bytes);
        CASES_CHECK(value == client->now[own], "P4", "client %u reads %#x under key %u, not %#x",
                    client->number, value, own, client->now[own]);
    }
    client->run->operations++;
    faster_buffer_finish(&result);
}

/* Covers what each client has completed; the one operation that may be under way need not be. */
static struct cover cover_of(const struct run *run) {
    struct cover cover = {{0}};
    for (uint32_t i = 0; i < run->client_count; i++) {
        const struct client *client = &run->clients[i];
        cover.steps[i] = client->step_count;
    }
    return cover;
}

/* Makes durable what was done before the call; and recovery shorter, if there is a request. */
static enum faster_status commit_by(struct client *client,
                                    const struct faster_checkpoint_request *request) {
    struct run *run = client->run;
    struct cover cover = cover_of(run);
    for (uint32_t i = 0; i < run->client_count; i++) {
        if (i != client->number && cover.steps[i] > 0) {
            cover.steps[i]--; /* it may be under way */
        }
    }
    const enum faster_status status =
        request == NULL ? faster_session_commit(client->session)
                        : faster_session_take_checkpoint(client->session, request, NULL);
    if (status != FASTER_OK || run->cover_count == COMMITS_MAX) {
        return status;
    }
    for (uint32_t i = 0; i < run->client_count; i++) {
        const uint64_t before = run->covers[run->cover_count - 1].steps[i];
        cover.steps[i] = before > cover.steps[i] ? before : cover.steps[i];
    }
    run->covers[run->cover_count] = cover;
    sim_mark(MARK_ACK, run->cover_count++);
    run->commits++;
    return status;
}

static enum faster_status commit(struct client *client) {
    return commit_by(client, NULL);
}

static void take_checkpoint(struct client *client) {
    static const struct faster_checkpoint_request REQUESTS[] = {
        {.kind = FASTER_CHECKPOINT_FOLD_OVER, .index = FASTER_INDEX_COPY},
        {.kind = FASTER_CHECKPOINT_FOLD_OVER, .index = FASTER_INDEX_COPY},
        {.kind = FASTER_CHECKPOINT_INDEX_ONLY},
        {.kind = FASTER_CHECKPOINT_FOLD_OVER, .index = FASTER_INDEX_LEAVE},
    };
    const uint32_t number = draw(client, sizeof REQUESTS / sizeof REQUESTS[0]);
    if (!is_failure(client, commit_by(client, &REQUESTS[number]), "a checkpoint")) {
        client->run->checkpoints++;
    }
}

void client_live(void *context) {
    struct client *client = context;
    for (uint32_t i = 0; i < client->ops; i++) {
        if (client->run->with_checkpoints && draw(client, CHECKPOINT_ONE_IN) == 0) {
            take_checkpoint(client);
            continue;
        }
        switch (draw(client, 16)) {
        case 0:
            (void)is_failure(client, commit(client), "a commit");
            break;
        case 1:
            (void)!faster_session_grow(client->session);
            break;
        case 2:
        case 3:
        case 4:
        case 5:
            read_one(client);
            break;
        default:
            write_one(client);
            break;
        }
    }
}

bool client_drain(struct client *client) {
    const enum faster_status status = commit(client);
    CASES_CHECK(status == FASTER_OK ||
                    (client->run->may_break && (status == FASTER_FAILED || status == FASTER_IO)),
                "P6", "a commit when nothing fails any more: %s", faster_status_name(status));
    return status == FASTER_OK;
}

/* ---- what is left ---- */

static void apply(model_value *map, const struct step *step) {
    map[step->key] = step->value;
}

uint64_t client_find(struct client *client, const model_value *map, uint64_t low, uint64_t high) {
    model_value prefix[OWN_KEYS];
    uint64_t found = UINT64_MAX;
    memcpy(prefix, client->base, sizeof prefix);
    for (uint64_t count = 0; count <= high && count <= client->step_count; count++) {
        if (count > 0) {
            apply(prefix, &client->steps[count - 1]);
        }
        if (count >= low && memcmp(prefix, map, sizeof prefix) == 0) {
            found = count;
        }
    }
    CASES_CHECK(found != UINT64_MAX, "P3",
                "client %u: what is left is no prefix of %llu to %llu of its operations",
                client->number, (unsigned long long)low, (unsigned long long)high);
    client->step_count = found;
    memcpy(client->now, map, sizeof client->now);
    return found;
}

void client_settle(struct client *client) {
    memcpy(client->base, client->now, sizeof client->base);
    client->step_count = 0;
}
