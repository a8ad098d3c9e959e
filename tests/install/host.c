/* host.c - a program with SQLite and the extension linked in, and functions that happen to have
 * names which the extension uses inside. */
#include <sqlite3.h>
#include <stdio.h>

int sqlite3_faster_init(sqlite3 *db, char **message, const void *api);

int table_create(void);
int cursor_next(void);
int connection_release(void);

int table_create(void) {
    return 1;
}

int cursor_next(void) {
    return 2;
}

int connection_release(void) {
    return 4;
}

int main(void) {
    sqlite3 *db;
    int failed = sqlite3_open(":memory:", &db) != SQLITE_OK ||
                 sqlite3_faster_init(db, NULL, NULL) != SQLITE_OK ||
                 sqlite3_exec(db,
                              "CREATE VIRTUAL TABLE t USING faster;"
                              "INSERT INTO t VALUES('k', 'v');"
                              "DELETE FROM t WHERE key = 'k'",
                              NULL, NULL, NULL) != SQLITE_OK ||
                 sqlite3_changes(db) != 1;
    if (failed) {
        printf("%s\n", sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    return failed || table_create() + cursor_next() + connection_release() != 7;
}
