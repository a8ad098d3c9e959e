#include "support/linearizability.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX (UINT64_C(1) << 24)
#define FIRST_CAPACITY 1024u
#define NOTHING UINT32_MAX

/* Calls and ends in order of time, as a list: position 0 is its head. A linearized operation
 * is taken out with both its events. */
struct event {
    uint32_t op;
    uint32_t next;
    uint32_t previous;
    uint32_t match; /* of a call: its end; of an end: NOTHING */
};

struct visited {
    uint64_t hash[2];
    uint64_t value;
};

struct step {
    uint32_t event;
    uint64_t value_before;
};

/* The search for one key. */
struct search {
    const struct lin_op *ops;
    size_t count;
    struct event *events;
    struct step *steps;
    size_t step_count;
    uint64_t value;
    uint64_t hash[2];        /* of the set of those that are done */
    struct visited *visited; /* a table with open addressing; all zero is free */
    uint64_t visited_count;
    uint64_t visited_capacity;
    bool out_of_memory;
};

static uint64_t mix(uint64_t number) {
    number += UINT64_C(0x9E3779B97F4A7C15);
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    return number ^ number >> 31;
}

/* ---- what a cell does ---- */

/* False if the operation cannot have come out as it did when the cell holds *value. */
static bool apply(const struct lin_op *op, uint64_t *value) {
    const uint64_t now = *value;
    switch (op->kind) {
    case LIN_READ:
        return op->seen == now;
    case LIN_UPSERT:
        *value = op->value;
        return true;
    case LIN_DELETE:
        *value = LIN_NONE;
        return true;
    case LIN_INSERT:
        *value = now == LIN_NONE ? op->value : now;
        return op->outcome == (now == LIN_NONE ? LIN_OK : LIN_EXISTS);
    case LIN_CAS:
        if (now == LIN_NONE) {
            return op->outcome == LIN_NOT_FOUND;
        }
        *value = now == op->expected ? op->value : now;
        return op->outcome == (now == op->expected ? LIN_OK : LIN_EXISTS);
    case LIN_RMW:
        *value = op->value;
        return op->seen == now;
    }
    return false;
}

/* ---- what was tried ---- */

static struct visited *place_of(struct visited *table, uint64_t capacity,
                                const struct visited *wanted) {
    uint64_t at = (wanted->hash[0] ^ mix(wanted->value)) & (capacity - 1);
    while (table[at].hash[0] != 0 && memcmp(&table[at], wanted, sizeof *wanted) != 0) {
        at = (at + 1) & (capacity - 1);
    }
    return &table[at];
}

static bool grow(struct search *search) {
    uint64_t capacity = search->visited_capacity * 2;
    struct visited *table = capacity > ENTRIES_MAX ? NULL : calloc((size_t)capacity, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < search->visited_capacity; i++) {
        if (search->visited[i].hash[0] != 0) {
            *place_of(table, capacity, &search->visited[i]) = search->visited[i];
        }
    }
    free(search->visited);
    search->visited = table;
    search->visited_capacity = capacity;
    return true;
}

/* True if the set with `op` and this content are new; they are remembered then. */
static bool is_new(struct search *search, uint32_t op, uint64_t value) {
    struct visited wanted = {.hash = {(search->hash[0] ^ mix(op)) | 1, search->hash[1] ^ mix(~op)},
                             .value = value};
    struct visited *place = place_of(search->visited, search->visited_capacity, &wanted);
    if (place->hash[0] != 0) {
        return false;
    }
    *place = wanted;
    search->visited_count++;
    if (search->visited_count * 2 > search->visited_capacity && !grow(search)) {
        search->out_of_memory = true;
    }
    return true;
}

/* ---- the list ---- */

static void unlink_event(struct event *events, uint32_t at) {
    events[events[at].previous].next = events[at].next;
    if (events[at].next != NOTHING) {
        events[events[at].next].previous = events[at].previous;
    }
}

static void relink_event(struct event *events, uint32_t at) {
    events[events[at].previous].next = at;
    if (events[at].next != NOTHING) {
        events[events[at].next].previous = at;
    }
}

static void flip(struct search *search, uint32_t op) {
    search->hash[0] ^= mix(op);
    search->hash[1] ^= mix(~op);
}

static void take(struct search *search, uint32_t event, uint64_t value) {
    struct event *events = search->events;
    search->steps[search->step_count++] = (struct step){event, search->value};
    search->value = value;
    flip(search, events[event].op);
    unlink_event(events, event);
    unlink_event(events, events[event].match);
}

/* Undoes the last step and returns its event. */
static uint32_t put_back(struct search *search) {
    struct event *events = search->events;
    const struct step *step = &search->steps[--search->step_count];
    search->value = step->value_before;
    flip(search, events[step->event].op);
    relink_event(events, events[step->event].match);
    relink_event(events, step->event);
    return step->event;
}

/* Of the operations that have been called when the first one ends, one comes first. */
static enum lin_verdict search_orders(struct search *search) {
    struct event *events = search->events;
    uint32_t at = events[0].next;
    while (events[0].next != NOTHING) {
        if (search->out_of_memory) {
            return LIN_GAVE_UP;
        }
        if (events[at].match == NOTHING) { /* none of those before can be the next */
            if (search->step_count == 0) {
                return LIN_IMPOSSIBLE;
            }
            at = events[put_back(search)].next;
            continue;
        }
        uint64_t value = search->value;
        if (apply(&search->ops[events[at].op], &value) && is_new(search, events[at].op, value)) {
            take(search, at, value);
            at = events[0].next;
        } else {
            at = events[at].next;
        }
    }
    return LIN_EXPLAINED;
}

/* ---- one key ---- */

struct moment {
    uint64_t time;
    uint32_t op;
    bool is_end;
};

static int by_time(const void *left, const void *right) {
    const struct moment *a = left;
    const struct moment *b = right;
    return a->time < b->time ? -1 : a->time > b->time;
}

static void link_events(struct search *search, struct moment *moments) {
    struct event *events = search->events;
    uint32_t *calls = (uint32_t *)(void *)search->steps; /* not in use yet */
    uint32_t total = (uint32_t)search->count * 2;
    for (uint32_t i = 0; i < search->count; i++) {
        moments[i * 2] = (struct moment){search->ops[i].call, i, false};
        moments[i * 2 + 1] = (struct moment){search->ops[i].end, i, true};
    }
    qsort(moments, total, sizeof *moments, by_time);
    events[0] = (struct event){.next = 1, .match = NOTHING};
    for (uint32_t i = 1; i <= total; i++) {
        const struct moment *moment = &moments[i - 1];
        events[i] = (struct event){.op = moment->op,
                                   .previous = i - 1,
                                   .next = i < total ? i + 1 : NOTHING,
                                   .match = NOTHING};
        if (moment->is_end) {
            events[calls[moment->op]].match = i;
        } else {
            calls[moment->op] = i;
        }
    }
}

static enum lin_verdict check_key(const struct lin_op *ops, size_t count) {
    struct search search = {.ops = ops, .count = count, .visited_capacity = FIRST_CAPACITY};
    struct moment *moments = calloc(count * 2, sizeof *moments);
    enum lin_verdict verdict = LIN_GAVE_UP;
    search.events = calloc(count * 2 + 1, sizeof *search.events);
    search.steps = calloc(count, sizeof *search.steps);
    search.visited = calloc(FIRST_CAPACITY, sizeof *search.visited);
    if (moments != NULL && search.events != NULL && search.steps != NULL &&
        search.visited != NULL) {
        link_events(&search, moments);
        verdict = search_orders(&search);
    }
    free(moments);
    free(search.events);
    free(search.steps);
    free(search.visited);
    return verdict;
}

static int by_key(const void *left, const void *right) {
    const struct lin_op *a = left;
    const struct lin_op *b = right;
    return a->key < b->key ? -1 : a->key > b->key;
}

enum lin_verdict lin_check(struct lin_op *ops, size_t count, uint64_t *bad_key) {
    qsort(ops, count, sizeof *ops, by_key);
    for (size_t from = 0; from < count;) {
        size_t to = from;
        while (to < count && ops[to].key == ops[from].key) {
            to++;
        }
        enum lin_verdict verdict = check_key(ops + from, to - from);
        if (verdict != LIN_EXPLAINED) {
            *bad_key = ops[from].key;
            return verdict;
        }
        from = to;
    }
    return LIN_EXPLAINED;
}
