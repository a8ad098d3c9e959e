#!/usr/bin/env python3
"""python_client.py EXTENSION - FASTER tables from Python's own sqlite3 module.

Serves P1 and P4 as an application sees them: statements, transactions, functions, error
texts, and threads with a connection each. Needs a Python whose sqlite3 can load
extensions (Debian's can).
"""
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

EXTENSION = None


def connect(path, **arguments):
    db = sqlite3.connect(path, timeout=30, **arguments)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.enable_load_extension(False)
    return db


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="faster-python.")
        self.path = os.path.join(self.directory.name, "client.db")
        self.db = connect(self.path)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value)")

    def tearDown(self):
        self.db.close()
        self.directory.cleanup()

    def one(self, sql, *arguments):
        return self.db.execute(sql, arguments).fetchone()

    def test_values_come_back_with_their_types(self):
        rows = [
            ("int", 7),
            ("big", -(2**63)),
            ("real", 2.5),
            ("text", "Grüße"),
            ("blob", b"\x00\xff" * 1000),
            ("empty", ""),
            ("null", None),
        ]
        self.db.executemany("INSERT INTO kv VALUES (?, ?)", rows)
        self.db.commit()
        self.assertEqual(sorted(self.db.execute("SELECT * FROM kv"), key=lambda row: row[0]),
                         sorted(rows, key=lambda row: row[0]))

    def test_declared_columns_and_keys(self):
        self.db.execute("CREATE VIRTUAL TABLE person USING faster("
                        "id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER DEFAULT 30)")
        self.db.execute("INSERT INTO person(name) VALUES ('Ada')")
        self.db.execute("INSERT INTO person VALUES (10, 'Bob', 41)")
        self.assertEqual(self.db.execute("SELECT * FROM person ORDER BY id").fetchall(),
                         [(1, "Ada", 30), (10, "Bob", 41)])
        with self.assertRaisesRegex(sqlite3.IntegrityError, "person.name"):
            self.db.execute("INSERT INTO person VALUES (11, NULL, 1)")

    def test_rollback_undoes_both_kinds_of_table(self):
        self.db.execute("CREATE TABLE plain(key TEXT PRIMARY KEY, value)")
        self.db.execute("INSERT INTO kv VALUES ('a', 1)")
        self.db.execute("INSERT INTO plain VALUES ('a', 1)")
        self.db.commit()
        for table in ("kv", "plain"):
            self.db.execute(f"UPDATE {table} SET value = 2")
            self.db.execute(f"INSERT INTO {table} VALUES ('b', 3)")
        self.db.rollback()
        for table in ("kv", "plain"):
            self.assertEqual(self.db.execute(f"SELECT * FROM {table}").fetchall(), [("a", 1)])

    def test_context_manager_commits_or_rolls_back(self):
        with self.db:
            self.db.execute("INSERT INTO kv VALUES ('kept', 1)")
        with self.assertRaises(ZeroDivisionError):
            with self.db:
                self.db.execute("INSERT INTO kv VALUES ('lost', 1)")
                raise ZeroDivisionError
        self.assertEqual(self.db.execute("SELECT key FROM kv").fetchall(), [("kept",)])

    def test_savepoints(self):
        self.db.isolation_level = None
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO kv VALUES ('a', 1)")
        self.db.execute("SAVEPOINT s")
        self.db.execute("UPDATE kv SET value = 2 WHERE key = 'a'")
        self.db.execute("INSERT INTO kv VALUES ('b', 2)")
        self.db.execute("ROLLBACK TO s")
        self.db.execute("COMMIT")
        self.assertEqual(self.db.execute("SELECT * FROM kv").fetchall(), [("a", 1)])

    def test_functions(self):
        self.assertEqual(self.one("SELECT faster_set('kv', 'k', 'v')"), ("v",))
        self.assertEqual(self.one("SELECT faster_get('kv', 'k')"), ("v",))
        self.assertEqual(self.one("SELECT faster_exists('kv', 'k')"), (1,))
        self.assertEqual(self.one("SELECT faster_delete('kv', 'k')"), (1,))
        self.assertEqual(self.one("SELECT faster_get('kv', 'k')"), (None,))
        self.assertEqual(self.one("SELECT faster_incr('kv', 'hits')"), (1,))
        self.assertEqual(self.one("SELECT faster_incr('kv', 'hits', 41)"), (42,))
        self.assertEqual(self.one("SELECT faster_verify('kv')"), ("ok",))
        self.assertRegex(self.one("SELECT faster_version()")[0], r"^\d+\.\d+\.\d+$")
        figures = {row[0]: row for row in self.db.execute("SELECT * FROM faster_stats('kv')")}
        self.assertTrue(figures)
        for name, value, unit, text in figures.values():
            self.assertIsInstance(value, int, name)
            self.assertTrue(unit and text, name)

    def test_commands(self):
        self.db.execute("INSERT INTO kv(kv, key, value) VALUES ('add', 'n', 5)")
        self.db.execute("INSERT INTO kv(kv, key, value) VALUES ('add', 'n', 6)")
        self.db.execute("INSERT INTO kv(kv, key, value) VALUES ('append', 's', 'ab')")
        self.db.execute("INSERT INTO kv(kv, key, value) VALUES ('append', 's', 'cd')")
        self.db.execute("INSERT INTO kv(kv, key, value) VALUES ('max', 'n', 3)")
        self.db.commit()
        self.db.execute("INSERT INTO kv(kv) VALUES ('checkpoint')")
        self.db.execute("INSERT INTO kv(kv) VALUES ('verify')")
        self.db.commit()
        self.assertEqual(self.db.execute("SELECT * FROM kv ORDER BY key").fetchall(),
                         [("n", 11), ("s", "abcd")])

    def test_conflicts(self):
        self.db.execute("INSERT INTO kv VALUES ('a', 1)")
        with self.assertRaisesRegex(sqlite3.IntegrityError, "UNIQUE constraint failed: kv.key"):
            self.db.execute("INSERT INTO kv VALUES ('a', 2)")
        self.db.execute("INSERT OR IGNORE INTO kv VALUES ('a', 3)")
        self.assertEqual(self.one("SELECT value FROM kv"), (1,))
        self.db.execute("INSERT OR REPLACE INTO kv VALUES ('a', 4)")
        self.assertEqual(self.one("SELECT value FROM kv"), (4,))

    def test_errors_say_what_is_wrong(self):
        cases = [
            ("CREATE VIRTUAL TABLE a USING faster(x PRIMARY KEY, nonsense=3)",
             'unknown option "nonsense"'),
            ("CREATE VIRTUAL TABLE a USING faster(x PRIMARY KEY, memory='1KiB')",
             "\"memory\" is '1KiB'; allowed is"),
            ("CREATE VIRTUAL TABLE a USING faster(x PRIMARY KEY, y CHECK (y > 1))", "CHECK"),
            ("CREATE VIRTUAL TABLE a USING faster(x PRIMARY KEY, y REFERENCES z(q))",
             "REFERENCES"),
            ("CREATE VIRTUAL TABLE a USING faster(x PRIMARY KEY, y UNIQUE)", "UNIQUE"),
            ("SELECT faster_get('nothing', 1)", "no such table: nothing"),
            ("SELECT faster_get('sqlite_schema', 1)", "sqlite_schema"),
            ("INSERT INTO kv(kv) VALUES ('dance')", "unknown command 'dance'; allowed are"),
            ("INSERT INTO kv VALUES (NULL, 1)", "NOT NULL constraint failed: kv.key"),
            ("CREATE INDEX i ON kv(value)", "may not be indexed"),
        ]
        for sql, text in cases:
            with self.subTest(sql=sql):
                with self.assertRaises(sqlite3.Error) as caught:
                    self.db.execute(sql)
                self.assertIn(text, str(caught.exception))
        with self.assertRaisesRegex(sqlite3.DataError, "65536"):
            self.db.execute("INSERT INTO kv VALUES (?, 1)", ("k" * 70000,))
        self.assertEqual(self.one("SELECT count(*) FROM kv"), (0,))

    def test_rows_survive_close_and_reopen(self):
        with self.db:
            self.db.executemany("INSERT INTO kv VALUES (?, ?)",
                                ((f"key{n}", n) for n in range(5000)))
        self.db.close()
        self.db = connect(self.path)
        self.assertEqual(self.one("SELECT count(*), sum(value) FROM kv"),
                         (5000, 5000 * 4999 // 2))
        self.assertEqual(self.one("PRAGMA integrity_check"), ("ok",))

    def test_threads_with_a_connection_each(self):
        threads_count, increments = 4, 200
        errors = []

        def work(number):
            try:
                db = connect(self.path, isolation_level=None)
                for i in range(increments):
                    db.execute("SELECT faster_incr('kv', 'shared')").fetchone()
                    db.execute("INSERT INTO kv VALUES (?, ?)", (f"{number}-{i}", i))
                    if i % 20 == 0:
                        seen = db.execute("SELECT count(*) FROM kv").fetchone()[0]
                        if seen < i:
                            errors.append(f"thread {number} sees {seen} rows after {i}")
                db.close()
            except Exception as error:  # handed to the main thread
                errors.append(repr(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(threads_count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.one("SELECT faster_get('kv', 'shared')"),
                         (threads_count * increments,))
        self.assertEqual(self.one("SELECT count(*) FROM kv"), (threads_count * increments + 1,))

    def test_direct_table_counts_on_threads_beside_an_open_transaction(self):
        self.db.execute("CREATE VIRTUAL TABLE hits USING faster("
                        "page TEXT PRIMARY KEY, n INTEGER, writes='direct')")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO kv VALUES ('held', 1)")
        failures = []

        def count():
            db = connect(self.path)
            try:
                for i in range(2000):
                    db.execute("SELECT faster_incr('hits', ?)", (f"page{i % 5}",)).fetchone()
                db.execute("SELECT faster_commit('hits')").fetchone()
            except sqlite3.Error as error:
                failures.append(error)
            db.close()

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.one("SELECT sum(n), count(*) FROM hits"), (8000, 5))
        self.db.rollback()
        self.assertEqual(self.one("SELECT faster_get('hits', 'page0'), faster_get('kv', 'held')"),
                         (1600, None))

    def test_direct_table_keeps_what_a_rollback_undoes_elsewhere(self):
        self.db.execute("CREATE VIRTUAL TABLE d USING faster(key TEXT PRIMARY KEY, value, "
                        "writes='direct')")
        self.db.execute("INSERT INTO d VALUES ('a', 1)")
        self.db.execute("INSERT INTO kv VALUES ('a', 1)")
        self.db.rollback()
        self.assertEqual(self.one("SELECT count(*) FROM d"), (1,))
        self.assertEqual(self.one("SELECT count(*) FROM kv"), (0,))
        self.assertEqual(self.one("SELECT faster_cas('d', 'a', 1, 2), faster_cas('d', 'a', 1, 3), "
                                  "faster_append('d', 't', 'x'), faster_append('d', 't', 'y')"),
                         (1, 0, "x", "xy"))

    def test_reader_keeps_its_snapshot(self):
        with self.db:
            self.db.execute("CREATE TABLE plain(n)")
            self.db.execute("INSERT INTO plain VALUES (1)")
            self.db.execute("INSERT INTO kv VALUES ('n', 1)")
        reader = connect(self.path, isolation_level=None)
        reader.execute("BEGIN")
        both = "SELECT (SELECT n FROM plain), (SELECT value FROM kv WHERE key = 'n')"
        self.assertEqual(reader.execute(both).fetchone(), (1, 1))
        with self.db:
            self.db.execute("UPDATE plain SET n = 2")
            self.db.execute("UPDATE kv SET value = 2")
        self.assertEqual(reader.execute(both).fetchone(), (1, 1))
        reader.execute("COMMIT")
        self.assertEqual(reader.execute(both).fetchone(), (2, 2))
        reader.close()

    def test_other_process_gets_busy_with_the_owner(self):
        self.one("SELECT count(*) FROM kv")
        program = (
            "import sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1], timeout=0.1)\n"
            "db.enable_load_extension(True)\n"
            "db.load_extension(sys.argv[2])\n"
            "try:\n"
            "    db.execute('SELECT count(*) FROM kv').fetchone()\n"
            "except sqlite3.OperationalError as error:\n"
            "    print(error)\n"
            "print(db.execute('SELECT count(*) FROM sqlite_schema').fetchone()[0] > 0)\n")
        result = subprocess.run([sys.executable, "-c", program, self.path, EXTENSION],
                                capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.stderr, "")
        self.assertIn(str(os.getpid()), result.stdout)
        self.assertIn("True", result.stdout)

    def test_memory_database(self):
        db = connect(":memory:")
        db.execute("CREATE VIRTUAL TABLE m USING faster")
        db.executemany("INSERT INTO m VALUES (?, ?)", ((n, str(n)) for n in range(1000)))
        db.rollback()
        self.assertEqual(db.execute("SELECT count(*) FROM m").fetchone(), (0,))
        db.close()

    def test_program_without_the_extension_opens_the_database(self):
        with self.db:
            self.db.execute("CREATE TABLE plain(n)")
            self.db.execute("INSERT INTO plain VALUES (5)")
        self.db.close()
        other = sqlite3.connect(self.path)
        self.assertEqual(other.execute("SELECT n FROM plain").fetchone(), (5,))
        with self.assertRaisesRegex(sqlite3.OperationalError, "no such module: faster"):
            other.execute("SELECT * FROM kv")
        other.close()
        self.db = connect(self.path)


def main():
    global EXTENSION
    if len(sys.argv) < 2:
        print("usage: python_client.py EXTENSION [TEST...]", file=sys.stderr)
        return 2
    EXTENSION = os.path.abspath(sys.argv.pop(1))
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        print("this Python's sqlite3 cannot load extensions")
        return 77
    print(f"SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}", flush=True)
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    counts = os.environ.get("counts")
    if counts:
        with open(counts, "w", encoding="ascii") as file:
            file.write(f"{result.testsRun - bad} {bad} {len(result.skipped)}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
