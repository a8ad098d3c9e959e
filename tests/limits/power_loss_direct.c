/* power_loss_direct.c - a direct store whose power is cut while named sessions write to it.
 *
 * Each writer's operations are a function of the seed, the writer and the operation's number, and
 * its session gives them that number: all up to the one that is found after the cut must be there,
 * whatever that is, and none beyond; and it is no lower than what the writer's last commit covered.
 * Through SQL writer, session and connection are one; through the C interface one store is shared.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "power_loss.h"

#define SLOT_COUNT 200u
#define LONG_BYTES_MAX 40000u
#define FAILURES_MAX 5

struct writer {
    struct outage *outage;
    struct client client;
    pthread_t thread;
    unsigned number;
    int pipe;
};

/* ------------------------------------------------------------------ operations */

static void key_of(char key[32], unsigned writer, uint64_t operation) {
    snprintf(key, 32, "%u:%u", writer, (unsigned)((operation - 1) % SLOT_COUNT));
}

/* Of two rounds over the slots the second removes a third of them, so that a removal always finds
 * something, and has a number. */
static bool is_removal(const struct outage *outage, unsigned writer, uint64_t operation) {
    uint64_t slot = (operation - 1) % SLOT_COUNT;
    return (operation - 1) / SLOT_COUNT % 2 == 1 &&
           mix_words(outage->seed, writer * SLOT_COUNT + slot) % 3 == 0;
}

static size_t value_of(const struct outage *outage, char value[LONG_BYTES_MAX], unsigned writer,
                       uint64_t operation) {
    struct random_state random = random_of(outage->seed, REPORT(writer + 1, operation));
    size_t size = random_below(&random, random_percent(&random, 3) ? LONG_BYTES_MAX : 300u) + 1;
    size_t name = (size_t)snprintf(value, 64, "%u:%llu:", writer, (unsigned long long)operation);
    memset(value + name, (int)('a' + operation % 26), LONG_BYTES_MAX - name);
    return size > name ? size : name;
}

static enum client_code carry_out(struct writer *writer, uint64_t operation) {
    char key[32];
    char value[LONG_BYTES_MAX];
    key_of(key, writer->number, operation);
    atomic_store(&writer->outage->shared->begun[writer->number], operation);
    if (is_removal(writer->outage, writer->number, operation)) {
        return client_remove(&writer->client, key);
    }
    size_t size = value_of(writer->outage, value, writer->number, operation);
    return client_put(&writer->client, key, value, size);
}

/* ---------------------------------------------------------------------- write */

static void open_all(struct outage *outage, struct writer writers[WRITER_COUNT], int pipe) {
    char directory[TEST_PATH_BYTES], name[32];
    path_format(directory, outage->is_sql ? "%s" : "%s/store", outage->path);
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        snprintf(name, sizeof name, "writer-%u", i);
        struct client_config config = {.options = outage->options,
                                       .is_sql = outage->is_sql,
                                       .is_direct = true,
                                       .directory = directory,
                                       .memory_bytes = 2 << 20,
                                       .page_bytes = 16 << 10,
                                       .segment_bytes = 64 << 10,
                                       .session = name};
        writers[i] = (struct writer){.outage = outage, .number = i, .pipe = pipe};
        if (client_open(&writers[i].client, &config, i ? &writers[0].client : NULL) != CLIENT_OK) {
            test_fail("writer %u cannot open: %s", i, writers[i].client.message);
        }
    }
}

static void close_all(struct writer writers[WRITER_COUNT]) {
    for (unsigned i = WRITER_COUNT; i-- > 0;) {
        client_close(&writers[i].client);
    }
}

/* Only a disk without power is a reason. */
static void expect_dead_disk(const struct writer *writer, enum client_code code) {
    bool is_cut = atomic_load(&writer->outage->shared->power) != LOAD_POWER_ON;
    if (!is_cut || (code != CLIENT_IO && code != CLIENT_FULL && code != CLIENT_READ_ONLY)) {
        test_fail("writer %u: %s, %s%s", writer->number, client_code_name(code),
                  writer->client.message, is_cut ? " after the power cut" : "");
    }
}

/* A commit or a checkpoint of what there is, and the report of it. */
static enum client_code make_durable(struct writer *writer, struct random_state *random,
                                     uint64_t operation) {
    const atomic_int *power = &writer->outage->shared->power;
    int before = atomic_load(power);
    enum client_code code = random_percent(random, 90) ? client_commit(&writer->client)
                                                       : client_checkpoint(&writer->client);
    uint64_t report = REPORT(writer->number, operation);
    if (load_is_unsure(before, atomic_load(power))) {
        report |= LOAD_REPORT_UNSURE;
    }
    if (code == CLIENT_OK && write(writer->pipe, &report, sizeof report) != sizeof report) {
        test_fail("pipe: %s", strerror(errno));
    }
    return code;
}

/* Goes on after a failure: should a later commit come to succeed, it has to have. */
static void *write_until_cut(void *context) {
    struct writer *writer = context;
    struct random_state random = random_of(writer->outage->seed, writer->client.serial);
    uint64_t operation = writer->client.serial;
    for (int failures = 0; failures < FAILURES_MAX;) {
        enum client_code code = carry_out(writer, operation + 1);
        operation += code == CLIENT_OK;
        if (code == CLIENT_OK && random_percent(&random, 4)) {
            code = make_durable(writer, &random, operation);
        }
        if (code != CLIENT_OK) {
            expect_dead_disk(writer, code);
            failures++;
        }
    }
    return NULL;
}

void direct_write(struct outage *outage, int pipe) {
    struct writer writers[WRITER_COUNT];
    open_all(outage, writers, pipe);
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        if (pthread_create(&writers[i].thread, NULL, write_until_cut, &writers[i]) != 0) {
            test_fail("pthread_create");
        }
    }
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        (void)pthread_join(writers[i].thread, NULL);
    }
    close_all(writers);
}

void direct_go_on(struct outage *outage, int pipe) {
    struct writer writers[WRITER_COUNT];
    open_all(outage, writers, pipe);
    for (uint64_t i = 1; i <= MORE_WRITES; i++) {
        if (carry_out(&writers[0], writers[0].client.serial + i) != CLIENT_OK) {
            test_fail("a write after the power cut: %s", writers[0].client.message);
        }
    }
    if (client_commit(&writers[0].client) != CLIENT_OK) {
        test_fail("a commit after the power cut: %s", writers[0].client.message);
    }
    outage->shared->found[0] = writers[0].client.serial + MORE_WRITES;
    close_all(writers);
}

/* -------------------------------------------------------------------- compare */

/* True if the slot holds a row after the writer's first `count` operations. */
static bool compare_slot(struct writer *writer, struct text *value, unsigned slot, uint64_t count) {
    char key[32], expected[LONG_BYTES_MAX];
    uint64_t newest = count < slot + 1 ? 0 : count - (count - slot - 1) % SLOT_COUNT;
    bool lives = newest != 0 && !is_removal(writer->outage, writer->number, newest);
    key_of(key, writer->number, slot + 1);
    enum client_code code = client_get(&writer->client, key, value);
    size_t size = lives ? value_of(writer->outage, expected, writer->number, newest) : 0;
    if (code != (lives ? CLIENT_OK : CLIENT_NOT_FOUND) ||
        (lives && (value->size_bytes != size || memcmp(value->data, expected, size) != 0))) {
        test_fail("%s after operation %llu: %s, '%.40s' instead of %s %llu (%s)", key,
                  (unsigned long long)count, client_code_name(code),
                  value->size_bytes ? value->data : "", lives ? "value" : "removal",
                  (unsigned long long)newest, code == CLIENT_OK ? "" : writer->client.message);
    }
    return lives;
}

/* Returns the number of rows. */
static uint64_t compare_writer(struct writer *writer) {
    const struct outage *outage = writer->outage;
    uint64_t serial = writer->client.serial;
    uint64_t begun = atomic_load(&outage->shared->begun[writer->number]);
    uint64_t rows = 0;
    struct text value = {0};
    if (serial < outage->acknowledged[writer->number] || serial > begun) {
        test_fail("of writer %u operation %llu is the last; %llu were acknowledged, %llu begun",
                  writer->number, (unsigned long long)serial,
                  (unsigned long long)outage->acknowledged[writer->number],
                  (unsigned long long)begun);
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        rows += compare_slot(writer, &value, slot, serial);
    }
    text_finish(&value);
    return rows;
}

void direct_compare(struct outage *outage, int pipe) {
    struct writer writers[WRITER_COUNT];
    uint64_t expected = 0, count = 0;
    open_all(outage, writers, pipe);
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        expected += compare_writer(&writers[i]);
    }
    if (client_count(&writers[0].client, &count) != CLIENT_OK || count != expected) {
        test_fail("%llu rows instead of %llu", (unsigned long long)count,
                  (unsigned long long)expected);
    }
    if (client_verify(&writers[0].client) != CLIENT_OK) {
        test_fail("verify: %s", writers[0].client.message);
    }
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        outage->shared->found[i] = writers[i].client.serial;
    }
    close_all(writers);
}
