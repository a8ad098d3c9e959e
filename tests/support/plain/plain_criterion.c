/* plain_criterion.c - runs the tests of a program built on plain/criterion/criterion.h.
 *
 * Every test, with each of its parameters, is a child process: what it breaks, leaks or never
 * ends is its own. Its exit code tells the result; the parent writes the line of TAP.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "criterion/criterion.h"

#define TIMEOUT_SECONDS 120u
#define EXIT_SKIPPED 77

static struct plain_test *first_test;
static struct plain_test **last_test = &first_test;
static struct plain_suite *suites;
static unsigned failure_count; /* of the running test, in its process */

void plain_add_test(struct plain_test *test) {
    *last_test = test;
    last_test = &test->next;
}

void plain_add_suite(struct plain_suite *suite) {
    suite->next = suites;
    suites = suite;
}

void plain_fail(bool is_fatal, const char *file, int line, const char *expression,
                const char *format, ...) {
    va_list arguments;

    printf("# %s:%d: %s", file, line, expression);
    if (format[0] != '\0') {
        printf(": ");
        va_start(arguments, format);
        (void)vprintf(format, arguments);
        va_end(arguments);
    }
    printf("\n");
    failure_count++;
    if (is_fatal) {
        (void)fflush(stdout);
        _exit(EXIT_FAILURE);
    }
}

void plain_skip(const char *format, ...) {
    va_list arguments;

    printf("# ");
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    (void)fflush(stdout);
    _exit(EXIT_SKIPPED);
}

static const struct plain_settings *settings_of_suite(const char *name) {
    static const struct plain_settings none = {.is_set = false};

    for (const struct plain_suite *suite = suites; suite != NULL; suite = suite->next) {
        if (strcmp(suite->name, name) == 0) {
            return &suite->settings;
        }
    }
    return &none;
}

/* In the test's process. */
_Noreturn static void run_here(const struct plain_test *test, void *parameter) {
    const struct plain_settings *suite = settings_of_suite(test->suite);
    const unsigned own = test->settings.timeout > 0 ? test->settings.timeout : suite->timeout;

    (void)alarm(own > 0 ? own : TIMEOUT_SECONDS);
    if (suite->init != NULL) {
        suite->init();
    }
    if (test->settings.init != NULL) {
        test->settings.init();
    }
    if (test->run_with != NULL) {
        test->run_with(parameter);
    } else {
        test->run();
    }
    if (test->settings.fini != NULL) {
        test->settings.fini();
    }
    if (suite->fini != NULL) {
        suite->fini();
    }
    (void)fflush(stdout);
    _exit(failure_count > 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* True if it passed or was skipped. */
static bool run(const struct plain_test *test, void *parameter, unsigned number) {
    int code = -1;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        run_here(test, parameter);
    }
    if (child < 0 || waitpid(child, &code, 0) != child) {
        code = -1;
    }
    const bool skipped = code != -1 && WIFEXITED(code) && WEXITSTATUS(code) == EXIT_SKIPPED;
    const bool passed = code == 0 || skipped;
    if (code != -1 && WIFSIGNALED(code)) {
        printf("# ended by signal %d\n", WTERMSIG(code));
    }
    printf("%sok %u - %s::%s%s\n", passed ? "" : "not ", number, test->suite, test->name,
           skipped ? " # SKIP" : "");
    return passed;
}

int main(void) {
    unsigned number = 0;
    bool all_passed = true;

    printf("TAP version 13\n");
    for (const struct plain_test *test = first_test; test != NULL; test = test->next) {
        struct criterion_test_params values = {.length = 1};
        if (test->parameters != NULL) {
            values = test->parameters();
        }
        for (size_t i = 0; i < values.length; i++) {
            char *value = (char *)values.params;
            all_passed &= run(test, value == NULL ? NULL : value + i * values.size, ++number);
        }
    }
    printf("1..%u\n", number);
    return all_passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
