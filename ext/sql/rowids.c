/* rowids.c - see rowids.h. */
#include "sql/rowids.h"

#include "sql/key_survey.h"
#include "store/registry.h"
#include "table/point.h"
#include "table/view.h"

#define PROBE_COUNT_MAX 1000
#define RANDOM_COUNT_MAX 100 /* as SQLite */

static int exists(struct table *table, const struct view *view, int64_t rowid, bool *found) {
    unsigned char key[KEY_ROWID_BYTES];
    key_encode_rowid(rowid, key);
    return point_read(table, &view->snapshot, (struct faster_bytes){key, sizeof(key)}, NULL, found);
}

/* Looks at the bound and the rowids just below it. */
static int probe_down(struct table *table, const struct view *view, struct rowid_bound *bound) {
    for (int i = 0; i < PROBE_COUNT_MAX; i++) {
        bool found = false;
        int rc = exists(table, view, bound->max, &found);
        if (rc != SQLITE_OK) {
            return rc;
        }
        if (found) {
            bound->exact = true;
            return SQLITE_OK;
        }
        if (bound->max == INT64_MIN) {
            bound->any = false;
            return SQLITE_OK;
        }
        bound->max--;
    }
    return SQLITE_OK;
}

static int scan_all(struct table *table, const struct view *view, struct rowid_bound *bound) {
    struct faster_scan *scan = NULL;
    struct rowid_bound seen = {0};
    enum faster_status status = faster_scan_open(&view->snapshot, &scan);
    int rc = SQLITE_OK;
    while (status == FASTER_OK && rc == SQLITE_OK) {
        struct faster_bytes key;
        struct faster_bytes value;
        int64_t rowid;
        status = faster_scan_next(scan, &key, &value);
        if (status == FASTER_OK && (rc = key_decode_rowid(key, &rowid)) == SQLITE_OK) {
            rowid_bound_stored(&seen, rowid);
        }
    }
    faster_scan_close(scan);
    if (rc == SQLITE_OK && status != FASTER_END) {
        rc = table_engine_error(table, status);
    }
    if (rc == SQLITE_OK) {
        bound->any = seen.any;
        bound->exact = true;
        bound->max = seen.max;
    }
    return rc;
}

static int find_max(struct table *table, struct rowid_bound *bound) {
    struct view view = {0};
    int rc = view_open(table, &view);
    if (rc == SQLITE_OK) {
        rc = probe_down(table, &view, bound);
    }
    if (rc == SQLITE_OK && bound->any && !bound->exact) {
        rc = scan_all(table, &view, bound);
    }
    view_close(&view);
    return rc;
}

static int choose_at_random(struct table *table, int64_t *rowid) {
    struct view view = {0};
    bool found = true;
    int rc = view_open(table, &view);
    for (int i = 0; i < RANDOM_COUNT_MAX && rc == SQLITE_OK && found; i++) {
        uint64_t bits = 0;
        sqlite3_randomness((int)sizeof(bits), &bits);
        *rowid = (int64_t)(bits & ((uint64_t)INT64_MAX >> 1)) + 1;
        rc = exists(table, &view, *rowid, &found);
    }
    view_close(&view);
    return rc == SQLITE_OK && found ? SQLITE_FULL : rc;
}

static int choose_directly(struct table *table, struct attachment *attachment, int64_t *rowid) {
    int rc = key_survey(table, attachment);
    if (rc == SQLITE_OK && !key_notes_next_rowid(registry_key_notes(attachment->entry), rowid)) {
        rc = choose_at_random(table, rowid);
    }
    return rc;
}

int rowids_choose(struct table *table, struct attachment *attachment, int64_t *rowid) {
    if (attachment->direct) {
        return choose_directly(table, attachment, rowid);
    }
    struct rowid_bound *bound = &attachment->rowids;
    if (bound->any && !bound->exact) {
        int rc = find_max(table, bound);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    if (bound->any && bound->max == INT64_MAX) {
        return choose_at_random(table, rowid);
    }
    *rowid = bound->any ? bound->max + 1 : 1;
    return SQLITE_OK;
}
