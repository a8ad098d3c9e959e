/* criterion.h - stands in for Criterion where it is not to be had: another C library, another
 * processor. The part of its interface that the unit tests use, each test in a process of its
 * own, results as TAP. plain_criterion.c holds main().
 */
#ifndef TESTS_SUPPORT_PLAIN_CRITERION_H
#define TESTS_SUPPORT_PLAIN_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct criterion_test_params {
    size_t size;
    void *params;
    size_t length;
};

/* What may stand behind the names of a Test() or a TestSuite(). */
struct plain_settings {
    bool is_set; /* so that the macros below always name a member */
    void (*init)(void);
    void (*fini)(void);
    unsigned timeout; /* seconds; 0: plain_criterion.c has a default */
};

struct plain_test {
    const char *suite;
    const char *name;
    struct plain_settings settings;
    void (*run)(void);
    void (*run_with)(void *parameter); /* set instead of `run` */
    struct criterion_test_params (*parameters)(void);
    struct plain_test *next;
};

struct plain_suite {
    const char *name;
    struct plain_settings settings;
    struct plain_suite *next;
};

void plain_add_test(struct plain_test *test);
void plain_add_suite(struct plain_suite *suite);
/* Counts a failure of the running test, and ends it if `is_fatal`. */
void plain_fail(bool is_fatal, const char *file, int line, const char *expression,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
_Noreturn void plain_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define PLAIN_REGISTER(function, ...)                                                              \
    __attribute__((constructor)) static void function##_register(void) {                           \
        __VA_ARGS__;                                                                               \
    }

#define TestSuite(suite_name, ...)                                                                 \
    PLAIN_REGISTER(suite_name##_suite, static struct plain_suite self;                             \
                   self = (struct plain_suite){.name = #suite_name,                                \
                                               .settings = {.is_set = true, __VA_ARGS__}};         \
                   plain_add_suite(&self))

#define Test(suite_name, test_name, ...)                                                           \
    static void suite_name##_##test_name(void);                                                    \
    PLAIN_REGISTER(suite_name##_##test_name, static struct plain_test self;                        \
                   self = (struct plain_test){.suite = #suite_name,                                \
                                              .name = #test_name,                                  \
                                              .settings = {.is_set = true, __VA_ARGS__},           \
                                              .run = suite_name##_##test_name};                    \
                   plain_add_test(&self))                                                          \
    static void suite_name##_##test_name(void)

/* A failure's message is a format and its arguments, or nothing: the expression says it. */
#define PLAIN_CHECK(is_fatal, condition, expression, ...)                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            plain_fail(is_fatal, __FILE__, __LINE__, expression, "" __VA_ARGS__);                  \
        }                                                                                          \
    } while (0)
#define PLAIN_COMPARE(is_fatal, a, relation, b, ...)                                               \
    PLAIN_CHECK(is_fatal, (a)relation(b), #a " " #relation " " #b, __VA_ARGS__)
#define PLAIN_COMPARE_TEXT(is_fatal, a, relation, b, ...)                                          \
    PLAIN_CHECK(is_fatal, strcmp(a, b) relation(0), #a " " #relation " " #b, __VA_ARGS__)

#define cr_assert(condition, ...) PLAIN_CHECK(true, condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...)                                                              \
    PLAIN_CHECK(true, !(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_COMPARE(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_COMPARE(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_COMPARE(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_COMPARE(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_COMPARE(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_COMPARE(true, a, >=, b, __VA_ARGS__)
#define cr_assert_null(a, ...) PLAIN_COMPARE(true, a, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_COMPARE(true, a, !=, NULL, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) PLAIN_COMPARE_TEXT(true, a, ==, b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) PLAIN_COMPARE_TEXT(true, a, !=, b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) PLAIN_COMPARE_TEXT(true, a, ==, "", __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) PLAIN_COMPARE_TEXT(true, a, !=, "", __VA_ARGS__)
#define cr_assert_fail(...) PLAIN_CHECK(true, false, "failed", __VA_ARGS__)

#define cr_expect(condition, ...) PLAIN_CHECK(false, condition, #condition, __VA_ARGS__)
#define cr_expect_not(condition, ...)                                                              \
    PLAIN_CHECK(false, !(condition), "not " #condition, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_COMPARE(false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_COMPARE(false, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) PLAIN_COMPARE(false, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) PLAIN_COMPARE(false, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) PLAIN_COMPARE(false, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) PLAIN_COMPARE(false, a, >=, b, __VA_ARGS__)
#define cr_expect_null(a, ...) PLAIN_COMPARE(false, a, ==, NULL, __VA_ARGS__)
#define cr_expect_not_null(a, ...) PLAIN_COMPARE(false, a, !=, NULL, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) PLAIN_COMPARE_TEXT(false, a, ==, b, __VA_ARGS__)

#define cr_skip_test(...) plain_skip(__VA_ARGS__)

#endif
