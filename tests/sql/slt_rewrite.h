/* slt_rewrite.h - turns CREATE TABLE into CREATE VIRTUAL TABLE ... USING faster. */
#ifndef TESTS_SQL_SLT_REWRITE_H
#define TESTS_SQL_SLT_REWRITE_H

#include "sql_support.h"

/* Clauses that no FASTER table can keep. They are taken out and counted. */
enum slt_clause {
    SLT_CLAUSE_UNIQUE,
    SLT_CLAUSE_CHECK,
    SLT_CLAUSE_REFERENCES,
    SLT_CLAUSE_AUTOINCREMENT,
    SLT_CLAUSE_TABLE_OPTION, /* WITHOUT ROWID, STRICT */
    SLT_CLAUSE_COUNT
};
extern const char *const slt_clause_names[SLT_CLAUSE_COUNT];

enum slt_verdict {
    SLT_RUN,
    SLT_SKIP_INDEX,   /* CREATE INDEX, DROP INDEX, REINDEX, INDEXED BY */
    SLT_SKIP_TRIGGER, /* CREATE TRIGGER, DROP TRIGGER */
    SLT_SKIP_AS_SELECT,
    SLT_SKIP_GENERATED
};

/* Decides whether a statement applies to FASTER tables, and writes what is to run into
 * `out`: tables get `options`, "" or ", writes='direct'". Adds the clauses taken out to
 * `dropped`. */
enum slt_verdict slt_rewrite(const char *sql, const char *options, struct text *out,
                             unsigned long dropped[SLT_CLAUSE_COUNT]);

#endif
