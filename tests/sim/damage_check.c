/* damage_check.c - reads a damaged store in every way there is. */
#include <string.h>

#include "cases.h"
#include "damage.h"
#include "sim_world.h"

struct check {
    const struct damage_store *store;
    struct faster_session *session;
    struct damage_outcome outcome;
};

/* What damage may come to; a changed row may name a commit of long ago. Whatever else there is
 * would be another failure, taken for it. */
static bool is_of_damage(enum faster_status status) {
    return status == FASTER_CORRUPT || status == FASTER_FOREIGN || status == FASTER_COPY ||
           status == FASTER_VERSION_NEWER || status == FASTER_MISSING ||
           status == FASTER_SNAPSHOT_GONE;
}

/* True if the call has succeeded; else it is noted that the damage was noticed. */
static bool succeeds(struct check *check, enum faster_status status, const char *call) {
    if (status == FASTER_OK) {
        return true;
    }
    CASES_CHECK(is_of_damage(status), "P4", "%s says %s", call, faster_status_name(status));
    check->outcome.is_noticed_by_reading = true;
    return false;
}

static void expect_value(const struct check *check, uint32_t key, const void *bytes, size_t count,
                         const char *call) {
    const struct damage_value value = check->store->expected[key];
    CASES_CHECK(value.number != 0, "P4", "%s: key %u is back", call, key);
    CASES_CHECK(count == value.size_bytes && memcmp(bytes, check->store->bytes[key], count) == 0,
                "P4", "%s: key %u has another value, of %zu bytes", call, key, count);
}

static void read_keys(struct check *check, const struct faster_snapshot *snapshot) {
    for (uint32_t key = 0; key < DAMAGE_KEYS; key++) {
        char text[DAMAGE_KEY_BYTES + 1];
        struct faster_buffer result = {.env = sim_world_env()};
        struct faster_op op = {.key = {text, DAMAGE_KEY_BYTES}, .result = &result};
        damage_key(key, text);
        enum faster_status status = faster_snapshot_read(snapshot, &op);
        if (status == FASTER_PENDING) {
            (void)faster_session_complete_pending(check->session, true);
            status = op.status;
        }
        if (status == FASTER_NOT_FOUND) {
            CASES_CHECK(check->store->expected[key].number == 0, "P4", "key %u is not found", key);
        } else if (succeeds(check, status, "a read")) {
            expect_value(check, key, result.data, result.size_bytes, "a read");
        }
        faster_buffer_finish(&result);
    }
}

/* The key that the bytes are; DAMAGE_KEYS: none. */
static uint32_t parse_key(const struct faster_bytes *bytes) {
    uint32_t key = 0;
    char text[DAMAGE_KEY_BYTES + 1];
    for (; key < DAMAGE_KEYS; key++) {
        damage_key(key, text);
        if (bytes->size_bytes == DAMAGE_KEY_BYTES &&
            memcmp(bytes->data, text, DAMAGE_KEY_BYTES) == 0) {
            break;
        }
    }
    return key;
}

static void scan(struct check *check, const struct faster_snapshot *snapshot) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    bool is_seen[DAMAGE_KEYS] = {false};
    enum faster_status status = faster_scan_open(snapshot, &scan);
    if (!succeeds(check, status, "the begin of a scan")) {
        return;
    }
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        const uint32_t number = parse_key(&key);
        CASES_CHECK(number < DAMAGE_KEYS, "P4", "a scan gives a key that was never written");
        CASES_CHECK(!is_seen[number], "P4", "a scan gives key %u twice", number);
        is_seen[number] = true;
        expect_value(check, number, value.data, value.size_bytes, "a scan");
    }
    for (uint32_t i = 0; status == FASTER_END && i < DAMAGE_KEYS; i++) {
        CASES_CHECK(is_seen[i] == (check->store->expected[i].number != 0), "P4",
                    "a scan ends without key %u", i);
    }
    (void)succeeds(check, status == FASTER_END ? FASTER_OK : status, "a scan");
    faster_scan_close(scan);
}

static void verify(struct check *check) {
    uint64_t finding_count = 0;
    const enum faster_status status =
        faster_session_verify(check->session, NULL, NULL, NULL, NULL, &finding_count);
    CASES_CHECK(status == FASTER_OK || is_of_damage(status), "P4", "verify says %s",
                faster_status_name(status));
    check->outcome.is_noticed_by_verify = finding_count > 0 || status != FASTER_OK;
}

/* A killed process's last cut may be lost: see damage_store.c. What it has written is durable only
 * when somebody has made it so. */
static void read_session(const struct check *check, struct faster_store *store) {
    const uint64_t *serials = check->store->serials;
    struct faster_session_info info = {.serial = 0};
    const size_t count = faster_store_sessions(store, &info, 1);
    CASES_CHECK(count == (serials[1] != 0) &&
                    (info.serial == serials[0] || info.serial == serials[1]),
                "P4", "%zu named sessions, the first has the number %llu, not %llu or %llu", count,
                (unsigned long long)info.serial, (unsigned long long)serials[0],
                (unsigned long long)serials[1]);
    CASES_CHECK(check->store->is_killed ? info.durable_serial <= info.serial
                                        : info.durable_serial == info.serial,
                "P4", "of %llu are durable %llu", (unsigned long long)info.serial,
                (unsigned long long)info.durable_serial);
}

static void read_all(struct check *check, struct ledger *ledger) {
    struct faster_snapshot snapshot;
    enum faster_status status = FASTER_OK;
    if (!check->store->is_direct) {
        status = ledger_meet(ledger, check->session);
    }
    if (!succeeds(check, status, "reading the commit rows")) {
        return;
    }
    status = check->store->is_direct
                 ? faster_snapshot_open_newest(check->session, &snapshot)
                 : faster_snapshot_open(check->session, ledger_newest(ledger), &snapshot);
    if (!succeeds(check, status, "a snapshot")) {
        return;
    }
    scan(check, &snapshot);
    read_keys(check, &snapshot);
    faster_snapshot_close(&snapshot);
    verify(check);
}

/* The open has written the bytes into the lock file that were there. */
static void expect_unchanged(const struct sim_image *image) {
    struct sim_image *after = sim_disk_image(sim_world_disk());
    CASES_CHECK(sim_image_hash(after) == sim_image_hash(image), "P4", "reading has changed a file");
    sim_image_release(after);
}

struct damage_outcome damage_check(const struct damage_store *store, const struct sim_image *image,
                                   struct ledger *ledger, bool is_lock_damaged) {
    struct check check = {.store = store};
    const struct faster_options options = damage_options(store);
    struct faster_store *opened = NULL;
    struct faster_error error = {0};
    sim_world_case(0, SIM_IN_ORDER);
    sim_world_life(image);
    const enum faster_status status = faster_store_open(&options, &opened, &error);
    if (succeeds(&check, status, "the open")) {
        CASES_CHECK(faster_session_open(opened, &check.session) == FASTER_OK, "P4", "no session");
        read_session(&check, opened);
        read_all(&check, ledger);
        faster_session_close(check.session);
    }
    faster_store_close(opened);
    sim_world_expect_closed();
    if (!is_lock_damaged) {
        expect_unchanged(image);
    }
    return check.outcome;
}
