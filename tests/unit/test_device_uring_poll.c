/* test_device_uring_poll.c - rings that the kernel polls, where it does and where it refuses.
 *
 * What a disk with polled queues does is played by an ordinary ring: see `plays_disk`. */
#include <criterion/criterion.h>

#include "faster.h"

/* ---- options ---- */

static void check_invalid(struct faster_options options, const char *allowed) {
    struct faster_store *store = NULL;
    struct faster_error error;

    cr_expect_eq(faster_store_open(&options, &store, &error), FASTER_INVALID, "%s", allowed);
    cr_expect_not_null(strstr(error.message, allowed), "%s", error.message);
}

Test(io_options, what_does_not_go_together_is_refused) {
    check_invalid((struct faster_options){.io_complete_poll = true}, "allowed with io_direct");
    check_invalid((struct faster_options){.io_complete_poll = true, .io = FASTER_IO_URING},
                  "allowed with io_direct");
    check_invalid((struct faster_options){.io_submit_poll = true, .io = FASTER_IO_THREADS},
                  "FASTER_IO_DEFAULT and FASTER_IO_URING");
    check_invalid((struct faster_options){.io_complete_poll = true,
                                          .io_direct = true,
                                          .io = FASTER_IO_THREADS},
                  "FASTER_IO_DEFAULT and FASTER_IO_URING");
    check_invalid((struct faster_options){.io_submit_poll_idle_ms = 5},
                  "allowed with io_submit_poll");
    check_invalid((struct faster_options){.io_submit_poll = true, .io_submit_poll_idle_ms = 60001},
                  "allowed are 1 to 60000");
}

#ifdef FST_HAS_URING

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "primitives/device_uring.h"
#include "support/device_fixture.h"
#include "support/need_uring.h"

/* ---- a kernel that does as it is told ---- */

static struct {
    unsigned refused_flags; /* rings with one of them are refused ... */
    int refusal;            /* ... with this */
    bool starts_disabled;   /* rings that share a thread: it takes nothing until they are enabled */
    bool plays_disk;        /* rings with IOPOLL are made without, and work */
    int enter_result;       /* not 0: given out after entering */
    int read_result;        /* not 0: of the next `read_count` reads that are polled for */
    unsigned read_count;
    unsigned polled_count; /* reads that were polled for */
    unsigned short_count;  /* the next of them did half */
    unsigned attached_count;
    struct io_uring *disabled;
} told;

static int told_init(struct io_uring *ring, unsigned entries, const struct fst_uring_setup *given) {
    struct fst_uring_setup setup = given != NULL ? *given : (struct fst_uring_setup){0};

    if ((setup.flags & told.refused_flags) != 0) {
        return told.refusal;
    }
    if (told.plays_disk) {
        setup.flags &= ~IORING_SETUP_IOPOLL;
    }
    if ((setup.flags & IORING_SETUP_ATTACH_WQ) != 0) {
        told.attached_count++;
        setup.flags |= told.starts_disabled ? IORING_SETUP_R_DISABLED : 0;
    }
    return fst_uring_calls_kernel.init(ring, entries, &setup);
}

static int told_enter(struct io_uring *ring, uint64_t wait_ns) {
    const int result = fst_uring_calls_kernel.enter(ring, told.plays_disk ? 0 : wait_ns);
    const bool is_disabled = (ring->flags & IORING_SETUP_R_DISABLED) != 0;

    if (is_disabled && told.starts_disabled) {
        told.disabled = ring;
        return told.enter_result;
    }
    return result;
}

static unsigned told_reap(struct io_uring *ring, struct fst_uring_result *results,
                          unsigned count_max) {
    const unsigned count = fst_uring_calls_kernel.reap(ring, results, count_max);

    for (unsigned i = 0; i < count; i++) {
        const struct fst_uring_op *op = results[i].op;
        if ((void *)op == ring || !op->queue->device->polls) {
            continue;
        }
        cr_expect_eq(op->request->kind, FST_IO_READ);
        cr_expect(op->is_direct);
        told.polled_count++;
        if (told.read_count > 0) {
            told.read_count--;
            results[i].result = told.read_result;
        } else if (told.short_count > 0 && results[i].result > 1) {
            told.short_count--;
            results[i].result /= 2;
        }
    }
    return count;
}

static struct fst_uring_calls told_calls;

static void begin(void) {
    need_uring();
    told_calls = fst_uring_calls_kernel;
    told_calls.init = told_init;
    told_calls.enter = told_enter;
    told_calls.reap = told_reap;
}

TestSuite(device_uring_poll, .init = begin);

/* ---- devices ---- */

static unsigned warning_count, submit_warning_count, complete_warning_count;
static char warning[256]; /* the last */

static void keep_warning(void *context, enum faster_diagnostic_level level, const char *module,
                         const char *message) {
    (void)context;
    (void)module;
    cr_expect_eq(level, FASTER_DIAGNOSTIC_WARNING);
    warning_count++;
    submit_warning_count += strstr(message, "io_submit_poll") != NULL;
    complete_warning_count += strstr(message, "io_complete_poll") != NULL;
    (void)snprintf(warning, sizeof warning, "%s", message);
}

enum polls { SUBMIT = 1, COMPLETE = 2 };

static unsigned char bytes[4 * SEGMENT_BYTES];
static unsigned char in[4 * SEGMENT_BYTES];

/* Where direct transfers work, if anywhere. */
static struct fixture start_polls(unsigned polls) {
    static const struct fst_diagnostics diagnostics = {.fn = keep_warning};
    char here[256];

    if (getcwd(here, sizeof here) != NULL) {
        cr_assert_eq(setenv("TMPDIR", here, 1), 0);
    }
    struct fixture fixture = start(FILE_DEVICE);
    const struct fst_device_uring_config config = {.file = config_of(&fixture),
                                                   .direct = (polls & COMPLETE) != 0,
                                                   .submit_poll = (polls & SUBMIT) != 0,
                                                   .submit_poll_idle_ms = 5,
                                                   .complete_poll = (polls & COMPLETE) != 0,
                                                   .diagnostics = &diagnostics,
                                                   .calls = &told_calls};
    close_device(&fixture);
    fst_test_env_show_descriptors(fixture.test, true);
    warning_count = submit_warning_count = complete_warning_count = 0;
    cr_assert_eq(fst_device_uring_open(&config, &fixture.device), FASTER_OK);
    cr_expect_str_eq(fixture.device->ops->name, "io_uring");
    cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &fixture.queue), FASTER_OK);
    return fixture;
}

static bool submit_polls(const struct fixture *fixture) {
    return fst_load_relaxed_u32(&fixture->device->submit_polls) != 0;
}

static bool complete_polls(const struct fixture *fixture) {
    return fst_load_relaxed_u32(&fixture->device->complete_polls) != 0;
}

static void need_thread(struct fixture *fixture) {
    if (!submit_polls(fixture)) {
        cr_skip_test("no SQPOLL here: %s", warning);
    }
}

static void expect_reads(struct fixture *fixture, uint64_t addr, size_t count) {
    size_t done = 0;

    memset(in, 0xee, sizeof in);
    cr_expect_eq(get(fixture, addr, in, count, &done), FASTER_OK);
    cr_expect_eq(done, count);
    cr_expect(memcmp(in, bytes + addr, count) == 0);
}

static void write_and_read(struct fixture *fixture) {
    static _Alignas(4096) unsigned char page[4096];

    fill(bytes, sizeof bytes, 41);
    cr_assert_eq(put(fixture, 0, bytes, sizeof bytes), FASTER_OK);
    cr_expect_eq(sync_device(fixture), FASTER_OK);
    for (unsigned round = 0; round < 20; round++) {
        const uint64_t at = round % 4 * SEGMENT_BYTES + 4096;
        fill(page, sizeof page, round);
        memcpy(bytes + at, page, sizeof page);
        cr_expect_eq(put_synced(fixture, at, page, sizeof page), FASTER_OK);
        expect_reads(fixture, at - 100, 300);
        expect_reads(fixture, at, 4096);
        bytes[at + 7] ^= 1;
        cr_expect_eq(put(fixture, at + 7, bytes + at + 7, 1), FASTER_OK);
        expect_reads(fixture, 0, sizeof bytes);
    }
    cr_expect_eq(sync_device(fixture), FASTER_OK);
}

/* ---- of a store ---- */

static uint64_t figure(const struct faster_store *store, const char *name) {
    struct faster_stat stats[128];
    const size_t count = faster_store_stats(store, stats, 128);

    for (size_t i = 0; i < count && i < 128; i++) {
        if (strcmp(stats[i].name, name) == 0) {
            return stats[i].value;
        }
    }
    cr_assert_fail("no figure %s", name);
    return 0;
}

static void check_store(struct faster_options options, unsigned polls) {
    char directory[512];
    char path[600];
    struct faster_store *store = NULL;
    struct faster_error error = {0};

    cr_assert(fst_test_directory_create(directory, sizeof directory));
    (void)snprintf(path, sizeof path, "%s/store", directory);
    options.directory = path;
    options.memory_bytes = FASTER_MEMORY_BYTES_MIN;
    options.diagnostic = keep_warning;
    warning_count = submit_warning_count = complete_warning_count = 0;
    cr_assert_eq(faster_store_create(&options, NULL, &error), FASTER_OK, "%s", error.message);
    cr_assert_eq(faster_store_open(&options, &store, &error), FASTER_OK, "%s", error.message);
    cr_expect_eq(figure(store, "io_is_uring"), 1);
    cr_expect_eq(figure(store, "io_submit_polls"),
                 (polls & SUBMIT) != 0 && submit_warning_count == 0);
    cr_expect_eq(figure(store, "io_complete_polls"),
                 (polls & COMPLETE) != 0 && complete_warning_count == 0);
    faster_store_close(store);
    fst_test_directory_remove(directory);
}

Test(device_uring_poll, figures_of_a_store_tell_what_is_in_force) {
    check_store((struct faster_options){.io = FASTER_IO_URING}, 0);
    check_store((struct faster_options){.io_submit_poll = true}, SUBMIT);
    check_store((struct faster_options){.io_direct = true, .io_complete_poll = true}, COMPLETE);
    check_store((struct faster_options){.io_direct = true,
                                        .io_submit_poll = true,
                                        .io_submit_poll_idle_ms = 1,
                                        .io_complete_poll = true},
                SUBMIT | COMPLETE);
}

/* ---- a thread that submits ---- */

static unsigned poll_thread_count(void) {
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;

    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[300];
        char name[64] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file != NULL) {
            count += fgets(name, sizeof name, file) != NULL && strncmp(name, "iou-sqp", 7) == 0;
            (void)fclose(file);
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    return count;
}

Test(device_uring_poll, thread_submits_reads_writes_and_syncs) {
    struct fixture fixture = start_polls(SUBMIT);

    need_thread(&fixture);
    write_and_read(&fixture);
    cr_expect_eq(warning_count, 0, "%s", warning);
    cr_expect(submit_polls(&fixture));
    cr_expect_not(complete_polls(&fixture));
    end(&fixture);
    for (unsigned turn = 0; turn < 1000 && poll_thread_count() > 0; turn++) {
        (void)usleep(10000);
    }
    cr_expect_eq(poll_thread_count(), 0, "it ends with the device");
}

Test(device_uring_poll, woken_thread_submits_as_well) {
    struct fixture fixture = start_polls(SUBMIT);

    need_thread(&fixture);
    fill(bytes, sizeof bytes, 4);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    for (unsigned round = 0; round < 5; round++) {
        expect_reads(&fixture, round * 1000, 700);
        fixture.env->sleep_ns(fixture.env, 20000000); /* it is asleep by now */
    }
    end(&fixture);
}

#define QUEUE_COUNT 12u

Test(device_uring_poll, queues_share_one_thread) {
    struct fixture fixture = start_polls(SUBMIT);
    struct fst_device_queue *queues[QUEUE_COUNT];

    need_thread(&fixture);
    fill(bytes, sizeof bytes, 3);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < QUEUE_COUNT; i++) {
            cr_assert_eq(fixture.device->ops->queue_open(fixture.device, &queues[i]), FASTER_OK);
            cr_expect_eq(fst_device_run(fixture.device, queues[i], FST_IO_READ,
                                        fst_addr_of(i * 100), in, 64, NULL),
                         FASTER_OK);
            cr_expect(memcmp(in, bytes + i * 100, 64) == 0);
        }
        cr_expect_eq(poll_thread_count(), 1);
        for (unsigned i = 0; i < QUEUE_COUNT; i++) {
            fixture.device->ops->queue_close(fixture.device, queues[i]);
        }
    }
    cr_expect_geq(told.attached_count, QUEUE_COUNT);
    end(&fixture);
}

Test(device_uring_poll, refused_thread_is_done_without_and_told_once) {
    const int errors[] = {EPERM, ENOMEM, EINVAL};

    for (unsigned i = 0; i < 3; i++) {
        char reason[32];
        told.refused_flags = IORING_SETUP_SQPOLL;
        told.refusal = -errors[i];
        struct fixture fixture = start_polls(SUBMIT);
        write_and_read(&fixture);
        (void)snprintf(reason, sizeof reason, "error %d", errors[i]);
        cr_expect_eq(warning_count, 1);
        cr_expect_not_null(strstr(warning, "io_submit_poll"), "%s", warning);
        cr_expect_not_null(strstr(warning, reason), "%s", warning);
        cr_expect_not(submit_polls(&fixture));
        end(&fixture);
    }
}

Test(device_uring_poll, queue_that_cannot_share_the_thread_submits_itself) {
    told.refused_flags = IORING_SETUP_ATTACH_WQ;
    told.refusal = -EPERM;
    struct fixture fixture = start_polls(SUBMIT);

    need_thread(&fixture);
    write_and_read(&fixture);
    cr_expect_eq(warning_count, 1);
    end(&fixture);
}

/* ---- a thread that takes nothing for a while, or is dead ---- */

#define READ_COUNT 40u

struct batch {
    struct fst_io_request requests[READ_COUNT];
    unsigned char in[READ_COUNT][300];
    unsigned done;
};

static void count_done(struct fst_io_request *request) {
    ((struct batch *)request->context)->done++;
}

static void submit_reads(struct fst_device *device, struct fst_device_queue *queue,
                         struct batch *batch, uint64_t addr) {
    batch->done = 0;
    for (unsigned i = 0; i < READ_COUNT; i++) {
        batch->requests[i] = (struct fst_io_request){.kind = FST_IO_READ,
                                                     .addr = fst_addr_of(addr + i * 300),
                                                     .bytes = batch->in[i],
                                                     .count_bytes = 300,
                                                     .done = count_done,
                                                     .context = batch};
        device->ops->submit(device, queue, &batch->requests[i]);
    }
    fst_device_flush(device, queue);
}

static void finish_reads(struct fst_device *device, struct fst_device_queue *queue,
                         struct batch *batch) {
    for (unsigned turn = 0; batch->done < READ_COUNT && turn < 4 * READ_COUNT; turn++) {
        (void)device->ops->poll(device, queue, WAIT_NS / 40);
    }
    cr_assert_eq(batch->done, READ_COUNT);
}

static void expect_batch(const struct batch *batch, uint64_t addr) {
    for (unsigned i = 0; i < READ_COUNT; i++) {
        cr_expect_eq(batch->requests[i].status, FASTER_OK);
        cr_expect(memcmp(batch->in[i], bytes + addr + i * 300, 300) == 0);
    }
}

/* The files are made by workers, so no ring is needed before the reads. */
static struct fixture start_disabled(void) {
    told.starts_disabled = true;
    struct fixture fixture = start_polls(SUBMIT);

    need_thread(&fixture);
    fill(bytes, sizeof bytes, 9);
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(put(&fixture, i * SEGMENT_BYTES, bytes + i * SEGMENT_BYTES, SEGMENT_BYTES),
                     FASTER_OK);
    }
    return fixture;
}

static void *truncate_first(void *context) {
    struct fixture *fixture = context;

    cr_expect_eq(fixture->device->ops->truncate(fixture->device, fst_addr_of(SEGMENT_BYTES)),
                 FASTER_OK);
    return NULL;
}

Test(device_uring_poll, file_is_closed_when_its_reads_are_taken_and_not_before) {
    struct fixture fixture = start_disabled();
    static struct batch batch;
    pthread_t thread;

    submit_reads(fixture.device, fixture.queue, &batch, 0);
    cr_assert_not_null(told.disabled);
    cr_assert_eq(io_uring_sq_ready(told.disabled), READ_COUNT, "published, not taken");
    cr_assert_eq(pthread_create(&thread, NULL, truncate_first, &fixture), 0);
    fixture.env->sleep_ns(fixture.env, 50000000);
    cr_expect(segment_exists(&fixture, 0));
    told.starts_disabled = false;
    /* liburing 2.3 does not export its own function for this. */
    cr_assert_eq(syscall(SYS_io_uring_register, told.disabled->ring_fd,
                         IORING_REGISTER_ENABLE_RINGS, NULL, 0),
                 0);
    /* Nobody polls. */
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_not(segment_exists(&fixture, 0));
    finish_reads(fixture.device, fixture.queue, &batch);
    expect_batch(&batch, 0);
    end(&fixture);
}

Test(device_uring_poll, what_a_dead_thread_left_is_carried_out_by_workers) {
    struct fixture fixture = start_disabled();
    static struct batch batch;

    submit_reads(fixture.device, fixture.queue, &batch, 100);
    cr_assert_not_null(told.disabled);
    cr_assert_eq(io_uring_sq_ready(told.disabled), READ_COUNT, "published, not taken");
    told.enter_result = -EOWNERDEAD;
    finish_reads(fixture.device, fixture.queue, &batch);
    expect_batch(&batch, 100);
    cr_expect_eq(warning_count, 1);
    submit_reads(fixture.device, fixture.queue, &batch, 500);
    finish_reads(fixture.device, fixture.queue, &batch);
    expect_batch(&batch, 500);
    cr_expect_eq(warning_count, 1);
    end(&fixture);
}

/* ---- many sessions ---- */

#define SESSION_COUNT 6u

struct session {
    struct fixture *fixture;
    unsigned number;
    struct batch batch;
};

static void *read_on(void *context) {
    struct session *session = context;
    struct fst_device *device = session->fixture->device;
    uint64_t random = session->number * 7919 + 1;
    struct fst_device_queue *queue;

    for (unsigned life = 0; life < 8; life++) {
        cr_assert_eq(device->ops->queue_open(device, &queue), FASTER_OK);
        for (unsigned round = 0; round < 20; round++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            const uint64_t addr = (random >> 33) % (sizeof bytes - READ_COUNT * 300);
            submit_reads(device, queue, &session->batch, addr);
            finish_reads(device, queue, &session->batch);
            for (unsigned i = 0; i < READ_COUNT; i++) {
                const enum faster_status status = session->batch.requests[i].status;
                if (addr + i * 300 >= 2 * SEGMENT_BYTES) { /* never truncated */
                    cr_assert_eq(status, FASTER_OK);
                }
                cr_assert(status == FASTER_OK || status == FASTER_MISSING);
                cr_assert(status == FASTER_MISSING ||
                          memcmp(session->batch.in[i], bytes + addr + i * 300, 300) == 0);
            }
        }
        device->ops->queue_close(device, queue);
    }
    return NULL;
}

static void run_sessions(unsigned polls) {
    struct fixture fixture = start_polls(polls);
    static struct session sessions[SESSION_COUNT];
    pthread_t threads[SESSION_COUNT];

    fill(bytes, sizeof bytes, 12);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    for (unsigned i = 0; i < SESSION_COUNT; i++) {
        sessions[i] = (struct session){.fixture = &fixture, .number = i};
        cr_assert_eq(pthread_create(&threads[i], NULL, read_on, &sessions[i]), 0);
    }
    for (uint64_t i = 0; i < 3; i++) {
        cr_expect_eq(put_synced(&fixture, 3 * SEGMENT_BYTES, bytes + 3 * SEGMENT_BYTES, 4096),
                     FASTER_OK);
        fixture.env->sleep_ns(fixture.env, 20000000);
        cr_expect_eq(fixture.device->ops->truncate(fixture.device, fst_addr_of(i * SEGMENT_BYTES)),
                     FASTER_OK);
    }
    for (unsigned i = 0; i < SESSION_COUNT; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    end(&fixture);
}

Test(device_uring_poll, many_sessions_read_while_files_go) {
    run_sessions(SUBMIT);
}

Test(device_uring_poll, many_sessions_poll_while_files_go) {
    run_sessions(COMPLETE);
    run_sessions(SUBMIT | COMPLETE);
    told.plays_disk = true;
    run_sessions(COMPLETE);
    run_sessions(SUBMIT | COMPLETE);
}

/* ---- reads that are polled for ---- */

/* On the disk at hand, whatever it says. */
Test(device_uring_poll, disk_is_polled_or_done_without) {
    for (unsigned polls = COMPLETE; polls <= (SUBMIT | COMPLETE); polls++) {
        struct fixture fixture = start_polls(polls);
        write_and_read(&fixture);
        if (told.polled_count == 0 && complete_polls(&fixture)) {
            cr_skip_test("no direct transfers on this file system");
        }
        cr_expect_eq(complete_warning_count, complete_polls(&fixture) ? 0 : 1, "%s", warning);
        if (!complete_polls(&fixture)) {
            cr_expect_leq(told.polled_count, polls == COMPLETE ? 2 : 4,
                          "sizes of blocks are tried");
        }
        end(&fixture);
    }
}

static struct fixture start_on_disk(void) {
    told.plays_disk = true;
    struct fixture fixture = start_polls(COMPLETE);

    fill(bytes, sizeof bytes, 23);
    cr_assert_eq(put(&fixture, 0, bytes, sizeof bytes), FASTER_OK);
    expect_reads(&fixture, 1, 100);
    if (told.polled_count == 0) {
        cr_skip_test("no direct transfers on this file system");
    }
    return fixture;
}

Test(device_uring_poll, disk_that_allows_it_is_polled_for_reads_only) {
    struct fixture fixture = start_on_disk();

    told.polled_count = 0;
    write_and_read(&fixture);
    cr_expect_geq(told.polled_count, 40);
    cr_expect_eq(warning_count, 0, "%s", warning);
    cr_expect(complete_polls(&fixture));
    for (size_t count = 100; count <= 3200; count *= 2) {
        told.short_count = 1;
        expect_reads(&fixture, 700, count);
        cr_expect_eq(told.short_count, 0);
    }
    cr_expect_gt(fst_load_relaxed_u64(&fixture.device->buffer_bytes), 0);
    end(&fixture);
}

Test(device_uring_poll, refused_ring_is_done_without_and_told_once) {
    told.refused_flags = IORING_SETUP_IOPOLL;
    told.refusal = -EINVAL;
    struct fixture fixture = start_polls(COMPLETE);

    write_and_read(&fixture);
    cr_expect_eq(warning_count, 1);
    cr_expect_not_null(strstr(warning, "io_complete_poll: refused (error 22)"), "%s", warning);
    cr_expect_not(complete_polls(&fixture));
    cr_expect_eq(told.polled_count, 0);
    end(&fixture);
}

Test(device_uring_poll, refused_first_read_is_done_without_and_told_once) {
    const int errors[] = {EOPNOTSUPP, EINVAL};

    for (unsigned i = 0; i < 2; i++) {
        struct fixture fixture = start_on_disk();
        told.read_result = -errors[i];
        told.read_count = 1000;
        told.polled_count = 0;
        for (unsigned round = 0; round < 10; round++) {
            expect_reads(&fixture, 1000 + round, 500);
        }
        cr_expect_eq(told.polled_count, i + 1, "EINVAL may mean larger blocks");
        cr_expect_not(complete_polls(&fixture));
        cr_expect_eq(warning_count, 1);
        cr_expect_not_null(strstr(warning, "a read was refused"), "%s", warning);
        told.read_count = 0;
        write_and_read(&fixture);
        cr_expect_eq(told.polled_count, i + 1);
        end(&fixture);
    }
}

Test(device_uring_poll, failed_read_surfaces_once_and_a_busy_disk_is_read_otherwise) {
    struct fixture fixture = start_on_disk();

    told.read_result = -EIO;
    told.read_count = 1;
    cr_expect_eq(get(&fixture, 0, in, 100, NULL), FASTER_IO);
    cr_expect_eq(told.read_count, 0);
    expect_reads(&fixture, 0, 100);
    told.read_result = -EAGAIN;
    told.read_count = 1;
    expect_reads(&fixture, 0, 100);
    cr_expect_eq(told.read_count, 0);
    cr_expect(complete_polls(&fixture));
    cr_expect_eq(warning_count, 0);
    end(&fixture);
}

Test(device_uring_poll, flush_starts_what_the_inner_device_reads) {
    struct fixture fixture = start_on_disk();
    static struct batch batch;

    told.read_result = -EOPNOTSUPP;
    told.read_count = 1;
    expect_reads(&fixture, 0, 100);
    for (unsigned i = 0; i < 2; i++) { /* the first time workers may open the file */
        submit_reads(fixture.device, fixture.queue, &batch, 0);
        if (i == 0) {
            finish_reads(fixture.device, fixture.queue, &batch);
        }
    }
    cr_expect_eq(fixture.device->ops->truncate(fixture.device, fst_addr_of(SEGMENT_BYTES)),
                 FASTER_OK);
    finish_reads(fixture.device, fixture.queue, &batch);
    expect_batch(&batch, 0);
    end(&fixture);
}

/* A wait for what is not in the ring ends, and so does one for nothing. */
Test(device_uring_poll, waits_are_bounded) {
    struct fixture fixture = start_on_disk();
    static struct batch batch;

    cr_expect_eq(fixture.device->ops->poll(fixture.device, fixture.queue, WAIT_NS), 0);
    submit_reads(fixture.device, fixture.queue, &batch, 0);
    cr_expect_eq(sync_device(&fixture), FASTER_OK);
    finish_reads(fixture.device, fixture.queue, &batch);
    expect_batch(&batch, 0);
    end(&fixture);
}

#endif
