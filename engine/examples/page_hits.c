/* page_hits.c - the engine from C: a table of counters that several threads could share.
 *
 *     page_hits DIRECTORY [VISITS]
 *
 * Creates a direct store in DIRECTORY or opens it again, counts VISITS visits of a few pages,
 * writes the totals of all its runs, and makes them durable. Build it with
 *     cc page_hits.c $(pkg-config --cflags --libs faster)
 */
#include <faster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_COUNT 5
static const char *const pages[PAGE_COUNT] = {"/", "/about", "/docs", "/download", "/news"};

/* What a read-modify-write does: the old value, if there is one, becomes the new one. */
static enum faster_status count_visit(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *value) {
    uint64_t visits = 0;
    (void)context;
    if (old != NULL && old->size_bytes == sizeof visits) {
        memcpy(&visits, old->data, sizeof visits);
    }
    visits++;
    return faster_buffer_assign(value, &visits, sizeof visits);
}

/* An operation on a record that is only on disk comes back PENDING, and the program may do
 * something else meanwhile. Here there is nothing else to do. */
static enum faster_status complete(struct faster_session *session, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(session, true);
        status = op->status;
    }
    return status;
}

static enum faster_status visit(struct faster_session *session, const char *page) {
    struct faster_op op = {.key = {page, strlen(page)}, .merge = count_visit};
    return complete(session, &op, faster_session_rmw(session, &op));
}

/* Reads all pages at once: a batch overlaps its cache misses and its reads from disk. */
static enum faster_status show_totals(struct faster_session *session) {
    struct faster_op ops[PAGE_COUNT] = {0};
    struct faster_buffer values[PAGE_COUNT] = {0};
    for (size_t i = 0; i < PAGE_COUNT; i++) {
        values[i].env = faster_env_posix();
        ops[i] = (struct faster_op){
            .kind = FASTER_OP_READ, .key = {pages[i], strlen(pages[i])}, .result = &values[i]};
    }
    enum faster_status status = faster_session_batch(session, ops, PAGE_COUNT);
    if (status == FASTER_PENDING) {
        status = faster_session_complete_pending(session, true);
    }
    for (size_t i = 0; i < PAGE_COUNT && status == FASTER_OK; i++) {
        uint64_t visits = 0;
        if (ops[i].status == FASTER_OK) {
            memcpy(&visits, values[i].data, sizeof visits);
        } else if (ops[i].status != FASTER_NOT_FOUND) {
            status = ops[i].status;
        }
        printf("%-10s %llu\n", pages[i], (unsigned long long)visits);
    }
    for (size_t i = 0; i < PAGE_COUNT; i++) {
        faster_buffer_finish(&values[i]);
    }
    return status;
}

static enum faster_status run(struct faster_session *session, unsigned long visit_count) {
    enum faster_status status = FASTER_OK;
    for (unsigned long i = 0; i < visit_count && status == FASTER_OK; i++) {
        status = visit(session, pages[i * i % PAGE_COUNT]);
    }
    if (status == FASTER_OK) {
        status = show_totals(session);
    }
    /* Visible was everything at once; durable it is from here on. */
    return status == FASTER_OK ? faster_session_commit(session) : status;
}

int main(int argument_count, char **arguments) {
    struct faster_error error;
    struct faster_store *store;
    struct faster_session *session = NULL;
    if (argument_count < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [VISITS]\n", arguments[0]);
        return 2;
    }
    unsigned long visit_count = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : 1000;
    struct faster_options options = {.directory = arguments[1],
                                     .writes = FASTER_WRITES_DIRECT,
                                     .memory_bytes = 16u * 1024 * 1024};
    enum faster_status status = faster_store_create(&options, NULL, &error);
    if (status == FASTER_OK || status == FASTER_EXISTS) {
        status = faster_store_open(&options, &store, &error);
    }
    if (status != FASTER_OK) {
        fprintf(stderr, "%s: %s\n", faster_status_name(status), error.message);
        return 1;
    }
    status = faster_session_open(store, &session);
    if (status == FASTER_OK) {
        status = run(session, visit_count);
    }
    if (status != FASTER_OK) {
        fprintf(stderr, "%s: %s\n", faster_status_name(status), faster_session_message(session));
    }
    faster_session_close(session);
    faster_store_close(store);
    return status == FASTER_OK ? 0 : 1;
}
