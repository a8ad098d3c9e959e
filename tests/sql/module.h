/* module.h - parts of the module test; see module.c. */
#ifndef TESTS_SQL_MODULE_H
#define TESTS_SQL_MODULE_H

#include "support/sql_support.h"

/* One case has an empty directory of its own. */
struct world {
    const struct test_options *options;
    char directory[TEST_PATH_BYTES];
    char path[TEST_PATH_BYTES]; /* of the database that most cases use */
};

typedef void module_case_fn(struct world *world);

struct module_case {
    const char *name;
    module_case_fn *run;
};

/* The cases of each file, ended by a NULL name. */
extern const struct module_case module_backup[];
extern const struct module_case module_checkpoints[];
extern const struct module_case module_commands[];
extern const struct module_case module_findings[];
extern const struct module_case module_functions[];
extern const struct module_case module_places[];
extern const struct module_case module_process[];
extern const struct module_case module_queries[];
extern const struct module_case module_salvage[];
extern const struct module_case module_schema[];
extern const struct module_case module_transactions[];

sqlite3 *open_at(const struct world *world);

/* Runs a query and compares its result, columns joined by '|' and rows by a blank. */
void want(sqlite3 *db, const char *expected, const char *sql);
/* The same for a query whose result is one integer. */
void want_int(sqlite3 *db, int64_t expected, const char *sql);
/* Runs a statement that must fail with this extended code and a message that contains
 * `part`. */
void refused(sqlite3 *db, int code, const char *part, const char *sql);

/* module_places.c: started anew with this variable, the program makes a table at the path in it and
 * is killed. */
#define MODULE_KILLED_CHILD "MODULE_KILLED_CHILD"
_Noreturn void be_killed_in_create(const struct test_options *options, const char *path);

/* module_transactions.c: for SQLITE_CONFIG_LOG; keeps the last line that the extension wrote. */
void note_log(void *context, int code, const char *message);

#endif
