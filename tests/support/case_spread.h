/* case_spread.h - a list of cases in an order of which any first part is spread over all of it. */
#ifndef TESTS_SUPPORT_CASE_SPREAD_H
#define TESTS_SUPPORT_CASE_SPREAD_H

#include <stdint.h>

/* The number, below `length`, of the case that is the i-th to be run. Any `length` successive ones
 * are each case once. */
uint64_t case_spread(uint64_t i, uint64_t length);

#endif
