// client.js EXTENSION - FASTER tables from better-sqlite3, whose SQLite is newer than
// Debian's: PRAGMA integrity_check asks the module (xIntegrity, SQLite 3.44).
'use strict';

const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const Database = require('better-sqlite3');

const extension = path.resolve(process.argv[2]);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'faster-node.'));
let passed = 0;
let failed = 0;

function open(name) {
  const db = new Database(path.join(directory, name));
  db.loadExtension(extension);
  db.pragma('journal_mode = WAL');
  return db;
}

function test(name, run) {
  try {
    run();
    passed += 1;
    console.log(`ok - ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${name}\n${error.stack}`);
  }
}

function storeFiles(name) {
  const parent = path.join(directory, `${name}-faster`);
  return fs.readdirSync(parent).flatMap((store) =>
    fs.readdirSync(path.join(parent, store)).map((file) => path.join(parent, store, file)));
}

test('statements, transactions and functions', () => {
  const db = open('basic.db');
  db.exec('CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value)');
  const insert = db.prepare('INSERT INTO kv VALUES (?, ?)');
  db.transaction(() => {
    for (let i = 0; i < 1000; i += 1) {
      insert.run(`key${i}`, i);
    }
  })();
  assert.strictEqual(db.prepare('SELECT value FROM kv WHERE key = ?').pluck().get('key7'), 7);
  assert.throws(() => db.transaction(() => {
    db.exec("DELETE FROM kv WHERE key < 'key5'");
    throw new Error('undo');
  })(), /undo/);
  assert.strictEqual(db.prepare('SELECT count(*) FROM kv').pluck().get(), 1000);
  assert.strictEqual(db.prepare("SELECT faster_incr('kv', 'hits')").pluck().get(), 1);
  assert.throws(() => insert.run('key7', 0), /UNIQUE constraint failed: kv.key/);
  assert.deepStrictEqual(
    db.prepare("INSERT INTO kv VALUES ('r', 5) RETURNING key, value").get(),
    { key: 'r', value: 5 });
  db.close();
});

test('integrity_check asks the module and finds nothing', () => {
  const db = open('sound.db');
  db.exec('CREATE VIRTUAL TABLE kv USING faster(key INTEGER PRIMARY KEY, value)');
  db.exec(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO kv SELECT i, hex(randomblob(20)) FROM n`);
  assert.deepStrictEqual(db.pragma('integrity_check'), [{ integrity_check: 'ok' }]);
  db.exec("INSERT INTO kv(kv) VALUES ('checkpoint')");
  assert.deepStrictEqual(db.pragma('integrity_check(kv)'), [{ integrity_check: 'ok' }]);
  db.close();
});

test('integrity_check reports a damaged log', () => {
  let db = open('damaged.db');
  db.exec(`CREATE VIRTUAL TABLE kv USING
    faster(key INTEGER PRIMARY KEY, value, memory='1MiB', page_size='16KiB')`);
  db.exec(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO kv SELECT i, hex(randomblob(200)) FROM n`);
  db.exec("INSERT INTO kv(kv) VALUES ('checkpoint')");
  db.close();
  const log = storeFiles('damaged.db').filter((file) => /log\.0+$/.test(file))[0];
  const file = fs.openSync(log, 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(file, byte, 0, 1, 100000);
  byte[0] ^= 0x40;
  fs.writeSync(file, byte, 0, 1, 100000);
  fs.closeSync(file);
  db = open('damaged.db');
  let report;
  try {
    report = JSON.stringify(db.pragma('integrity_check'));
  } catch (error) {
    report = error.message;
  }
  assert.notStrictEqual(report, '[{"integrity_check":"ok"}]');
  console.log(`# ${report.slice(0, 200)}`);
  db.close();
});

const version = new Database(':memory:').prepare('SELECT sqlite_version()').pluck().get();
fs.rmSync(directory, { recursive: true, force: true });
if (process.env.counts) {
  fs.writeFileSync(process.env.counts, `${passed} ${failed} 0\n`);
}
console.log(`SQLite ${version}: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
