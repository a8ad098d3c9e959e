/* parameterized.h - the part of criterion.h beside it that is about tests with a parameter. */
#ifndef TESTS_SUPPORT_PLAIN_PARAMETERIZED_H
#define TESTS_SUPPORT_PLAIN_PARAMETERIZED_H

#include "criterion/criterion.h"

#define cr_make_param_array(type, array, count)                                                    \
    (struct criterion_test_params) {                                                               \
        .size = sizeof(type), .params = (array), .length = (count)                                 \
    }

#define ParameterizedTestParameters(suite_name, test_name)                                         \
    static struct criterion_test_params suite_name##_##test_name##_parameters(void)

/* The function that the test's body belongs to takes a pointer to its own type, so it is called
 * through one that takes any. */
#define ParameterizedTest(parameter, suite_name, test_name)                                        \
    static void suite_name##_##test_name(parameter);                                               \
    static void suite_name##_##test_name##_with(void *value) {                                     \
        suite_name##_##test_name(value);                                                           \
    }                                                                                              \
    PLAIN_REGISTER(suite_name##_##test_name, static struct plain_test self;                        \
                   self =                                                                          \
                       (struct plain_test){.suite = #suite_name,                                   \
                                           .name = #test_name,                                     \
                                           .run_with = suite_name##_##test_name##_with,            \
                                           .parameters = suite_name##_##test_name##_parameters};   \
                   plain_add_test(&self))                                                          \
    static void suite_name##_##test_name(parameter)

#endif
