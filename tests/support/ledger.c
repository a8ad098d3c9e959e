/* ledger.c - a decider for engine tests. */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

void ledger_finish(struct ledger *ledger) {
    for (size_t i = 0; i < ledger->count; i++) {
        free((void *)ledger->rows[i].redo);
    }
    free(ledger->rows);
    *ledger = (struct ledger){0};
}

const struct faster_commit_row *ledger_newest(const struct ledger *ledger) {
    return ledger->count == 0 ? NULL : &ledger->rows[ledger->count - 1];
}

static struct faster_commit_row copy_row(const struct faster_commit_row *row) {
    struct faster_commit_row copy = *row;
    if (row->redo_bytes > 0) {
        void *redo = malloc(row->redo_bytes);
        memcpy(redo, row->redo, row->redo_bytes);
        copy.redo = redo;
    } else {
        copy.redo = NULL;
    }
    return copy;
}

static void push(struct ledger *ledger, const struct faster_commit_row *row) {
    if (ledger->count == ledger->capacity) {
        ledger->capacity = ledger->capacity * 2 + 8;
        ledger->rows = realloc(ledger->rows, ledger->capacity * sizeof *ledger->rows);
    }
    ledger->rows[ledger->count++] = copy_row(row);
}

void ledger_insert(struct ledger *ledger, const struct faster_commit_row *row,
                   uint64_t obsolete_below) {
    ledger_forget_above(ledger, row->number - 1);
    push(ledger, row);
    ledger_delete_below(ledger, obsolete_below < row->number ? obsolete_below : row->number);
}

void ledger_delete_below(struct ledger *ledger, uint64_t number) {
    size_t gone = 0;
    while (gone + 1 < ledger->count && ledger->rows[gone].number < number) {
        free((void *)ledger->rows[gone].redo);
        gone++;
    }
    if (gone == 0) {
        return;
    }
    memmove(ledger->rows, ledger->rows + gone, (ledger->count - gone) * sizeof *ledger->rows);
    ledger->count -= gone;
}

void ledger_forget_above(struct ledger *ledger, uint64_t number) {
    while (ledger->count > 0 && ledger->rows[ledger->count - 1].number > number) {
        free((void *)ledger->rows[--ledger->count].redo);
    }
}

struct ledger ledger_copy(const struct ledger *ledger) {
    struct ledger copy = {0};
    for (size_t i = 0; i < ledger->count; i++) {
        push(&copy, &ledger->rows[i]);
    }
    return copy;
}

void ledger_rewind(struct ledger *ledger) {
    ledger->next = 0;
}

enum faster_status ledger_next(void *context, struct faster_commit_row *row) {
    struct ledger *ledger = context;
    if (ledger->next == ledger->count) {
        return FASTER_END;
    }
    *row = ledger->rows[ledger->next++];
    return FASTER_OK;
}

enum faster_status ledger_meet(struct ledger *ledger, struct faster_session *session) {
    enum faster_status status = faster_session_meet_row(session, ledger_newest(ledger));
    if (status == FASTER_BEHIND) {
        ledger_rewind(ledger);
        status = faster_session_catch_up(session, ledger_next, ledger, NULL, NULL);
    }
    return status;
}

enum faster_status ledger_begin(struct ledger *ledger, struct faster_session *session,
                                struct faster_txn **txn) {
    enum faster_status status = ledger_meet(ledger, session);
    return status == FASTER_OK ? faster_txn_begin(session, ledger_newest(ledger), txn) : status;
}

enum faster_status ledger_commit(struct ledger *ledger, struct faster_txn *txn) {
    struct faster_commit_row row;
    uint64_t obsolete_below = 0;
    enum faster_status status = faster_txn_prepare(txn, &row, &obsolete_below);
    if (status == FASTER_NOT_FOUND) {
        faster_txn_commit(txn);
        return FASTER_OK;
    }
    if (status != FASTER_OK) {
        faster_txn_rollback(txn);
        return status;
    }
    ledger_insert(ledger, &row, obsolete_below);
    faster_txn_commit(txn);
    return FASTER_OK;
}
