/* schema.h - what a CREATE VIRTUAL TABLE statement declares.
 *
 * The module's arguments are parsed anew whenever a connection meets the table, so
 * this parser also reads what a hostile database file claims. What an ordinary table
 * would keep and this module cannot (CHECK, UNIQUE, foreign keys, generated columns)
 * is refused by name and never ignored.
 *
 * The columns SQLite sees are, in this order: the declared columns; the hidden
 * command column, named like the table; for SCHEMA_KEY_MULTIPLE the hidden key column.
 */
#ifndef FASTER_EXT_SCHEMA_H
#define FASTER_EXT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sqlite_api.h"
#include "faster.h"

/* SQLite allows 2000 columns; two are kept for the hidden ones. */
#define SCHEMA_COLUMN_COUNT_MAX 1998

/* How a row is found. */
enum schema_kind {
    SCHEMA_ROWID_IMPLICIT, /* no primary key: the key is the rowid */
    SCHEMA_ROWID_INTEGER,  /* INTEGER PRIMARY KEY: that column is the rowid */
    SCHEMA_KEY_SINGLE,     /* one other key column; SQLite sees WITHOUT ROWID */
    SCHEMA_KEY_MULTIPLE    /* several; SQLite sees WITHOUT ROWID and a hidden key column whose
                              value is the encoded key. SQLite passes that column's old value
                              back on UPDATE even when key columns change, so the module must
                              compute the new key from the columns. */
};

/* SQLite's column affinities. */
enum schema_affinity {
    SCHEMA_BLOB, /* also: no type at all */
    SCHEMA_TEXT,
    SCHEMA_NUMERIC,
    SCHEMA_INTEGER,
    SCHEMA_REAL
};

enum schema_collation { SCHEMA_BINARY, SCHEMA_NOCASE, SCHEMA_RTRIM };

/* As SQLite calls it. */
const char *schema_collation_name(enum schema_collation collation);

struct schema_column {
    char *name;           /* without quotes */
    char *type;           /* as declared, "" if none */
    char *collation_name; /* as declared, NULL if none */
    enum schema_affinity affinity;
    bool not_null;            /* declared, or implied by the primary key of a KEY_* table */
    int not_null_conflict;    /* NOT NULL ON CONFLICT: SQLITE_ABORT (the default), SQLITE_IGNORE or
                                 SQLITE_REPLACE; applies when sqlite3_vtab_on_conflict() says ABORT.
                                 ROLLBACK and FAIL cannot be kept and are refused. */
    char *default_sql;        /* an SQL expression, NULL if none; see schema_default_value() */
    bool default_is_constant; /* every evaluation gives the same value: it may be kept */
    int key_index;            /* position in table_schema.key, -1 if not part of the key */
};

struct schema_key_part {
    int column;
    enum schema_collation collation; /* the key's own, which may differ from the column's */
};

/* Options given as name=value. */
struct schema_options {
    char *path;                   /* NULL: not given */
    uint64_t memory_bytes;        /* 0: not given */
    uint64_t page_bytes;          /* 0: not given; else a power of two */
    uint64_t segment_bytes;       /* 0: not given; else a power of two */
    uint64_t inline_commit_bytes; /* 0: not given; UINT64_MAX: never inline (inline_commit=0) */
    uint64_t checkpoint_bytes;    /* 0: not given; UINT64_MAX: never (checkpoint_bytes=0) */
    uint32_t checkpoint_interval_seconds; /* 0: never */
    enum faster_writes writes;            /* TRANSACTIONAL if not given */
};

/* Owned by the caller of schema_parse(); immutable afterwards, so any thread may read it. */
struct table_schema {
    enum schema_kind kind;
    struct schema_column *columns;
    int column_count; /* declared ones only */
    struct schema_key_part *key;
    int key_count;         /* ROWID_IMPLICIT: 0; ROWID_INTEGER and KEY_SINGLE: 1 */
    int command_column;    /* == column_count */
    int hidden_key_column; /* KEY_MULTIPLE: column_count + 1; else -1 */
    struct schema_options options;
    char *declaration; /* for sqlite3_declare_vtab() */
};

/* Parses the arguments after the table's name (argv + 3, argc - 3 of xCreate and
 * xConnect; as text, borrowed for the call) for a table called `table_name` at present.
 * An argument is an option if and only if it starts with an identifier and '='.
 * On SQLITE_OK the caller owns what *schema points at and calls schema_finish().
 * Otherwise *schema is empty and *error (sqlite3_malloc, owned by the caller) says what
 * is wrong. Pure: any thread. SQLITE_OK, SQLITE_ERROR, SQLITE_NOMEM (*error is NULL). */
int schema_parse(const char *table_name, int argument_count, const char *const *arguments,
                 struct table_schema *schema, char **error);

/* Options that may change after CREATE. */
enum schema_setting {
    SCHEMA_SETTING_MEMORY,
    SCHEMA_SETTING_INLINE_COMMIT,
    SCHEMA_SETTING_CHECKPOINT_BYTES,
    SCHEMA_SETTING_CHECKPOINT_INTERVAL, /* in seconds; the others are in bytes */
    SCHEMA_SETTING_COUNT
};

/* Their names, as in a declaration. */
const char *schema_setting_name(enum schema_setting setting);
/* False if none has that name; `name` may be NULL, ASCII case is ignored. */
bool schema_setting_find(const char *name, enum schema_setting *setting);
/* What is allowed, in words. */
const char *schema_setting_range(enum schema_setting setting);
/* Reads a value as a declaration has it, '64MiB' or '65536'. False if it is not allowed. */
bool schema_setting_parse(enum schema_setting setting, const char *value, uint64_t *size_bytes);
/* Puts a value that schema_setting_parse() has read in place of what was declared. */
void schema_setting_apply(enum schema_setting setting, uint64_t size_bytes,
                          struct schema_options *options);

/* "transactional" or "direct", as in a declaration. */
const char *schema_writes_name(enum faster_writes writes);
/* False if `text`, which may be NULL, is neither. ASCII case is ignored. */
bool schema_writes_parse(const char *text, enum faster_writes *writes);

/* Releases the members. Accepts a zeroed or finished schema. */
void schema_finish(struct table_schema *schema);

/* The column of that name (ASCII case is ignored), or -1. xRename must refuse a name for
 * which this is not -1: the command column would clash with it. */
int schema_column_index(const struct table_schema *schema, const char *name);

/* True if the kind is one of the two rowid kinds. */
bool schema_has_rowid(const struct table_schema *schema);

/* Evaluates a column's DEFAULT: what an INSERT of NULL (SQLite does not tell it from an
 * omitted column) stores. An UPDATE to NULL stores NULL. No affinity is applied yet.
 * REQUIRES: column->default_sql is not NULL. On SQLITE_OK the caller frees *value with
 * sqlite3_value_free(). Otherwise the connection's error message says why. */
int schema_default_value(sqlite3 *db, const struct schema_column *column, sqlite3_value **value);

#endif
