/* many_keys.h - parts of the test of reads of many keys; see many_keys.c. */
#ifndef TESTS_SQL_MANY_KEYS_H
#define TESTS_SQL_MANY_KEYS_H

#include "sql_support.h"

/* Runs the cases with a name, or the one that is asked for. */
void many_keys_cases_run(const struct test_options *options);

#endif
