"""Two hundred predictions that mean harm, and right answers in odd clothes to stand between them."""

from __future__ import annotations

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
GROWING = "WITH RECURSIVE n(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM n)"
# What some would leave in the working folder: loot.sqlite.
PRAGMAS = """\
writable_schema = 1
journal_mode = WAL
journal_mode = DELETE
user_version = 7
schema_version = 7
foreign_keys = ON
query_only = 0
temp_store_directory = '/'
synchronous = OFF
cache_size = -9000000
mmap_size = 100000000000
trusted_schema = ON
incremental_vacuum
wal_checkpoint
optimize
hard_heap_limit = 0
data_store_directory = '/'
application_id = 7
auto_vacuum = 1
encoding = 'UTF-16'
integrity_check
page_size = 512
temp_store = FILE
locking_mode = EXCLUSIVE
case_sensitive_like = 1
"""

WRITES = """\
ATTACH 'loot.sqlite' AS loot
ATTACH DATABASE ':memory:' AS loot
ATTACH 'file:loot.sqlite?mode=rwc' AS loot
DETACH main
VACUUM
VACUUM INTO 'loot.sqlite'
VACUUM main INTO 'loot.sqlite'
ANALYZE
REINDEX
DROP TABLE singer
DROP TABLE IF EXISTS singer
DROP INDEX IF EXISTS x
DROP VIEW IF EXISTS x
DELETE FROM singer
DELETE FROM singer RETURNING *
UPDATE singer SET age = 1
DELETE FROM sqlite_master
UPDATE singer SET age = 1 RETURNING name
INSERT INTO singer VALUES (9, 'x', 1, 'y')
INSERT INTO singer SELECT * FROM singer
INSERT INTO singer DEFAULT VALUES RETURNING *
REPLACE INTO singer VALUES (1, 'x', 1, 'y')
ALTER TABLE singer RENAME TO dancer
ALTER TABLE singer ADD COLUMN x
ALTER TABLE singer DROP COLUMN age
CREATE TABLE x (a)
CREATE TABLE x AS SELECT * FROM singer
CREATE TEMP TABLE x (a)
CREATE TEMP VIEW x AS SELECT 1
CREATE INDEX x ON singer (age)
CREATE VIEW x AS SELECT 1
CREATE VIRTUAL TABLE x USING fts5(a)
CREATE TRIGGER x AFTER INSERT ON singer BEGIN DELETE FROM singer; END
BEGIN
BEGIN EXCLUSIVE
COMMIT
ROLLBACK
SAVEPOINT x
RELEASE x
WITH x AS (SELECT 1) DELETE FROM singer
EXPLAIN DELETE FROM singer; DELETE FROM singer
"""

FUNCTIONS = """\
SELECT load_extension('libc.so.6')
SELECT load_extension('x', 'y')
SELECT readfile('/etc/passwd')
SELECT writefile('loot.sqlite', 'x')
SELECT edit('x')
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('x', x'4141414141414141')
SELECT * FROM dbstat
SELECT * FROM sqlite_dbpage
SELECT sqlite_compileoption_get(0), load_extension('x')
SELECT * FROM fsdir('/')
SELECT zipfile('a', 'b')
"""

STATEMENTS = """\
SELECT 1; DROP TABLE singer
DROP TABLE singer; SELECT 1
;DROP TABLE singer
SELECT 1;;DELETE FROM singer
SELECT ';'; DELETE FROM singer
/* ; */ DELETE FROM singer; SELECT 1
BEGIN; DELETE FROM singer; COMMIT
PRAGMA query_only = 0; DELETE FROM singer
ATTACH 'loot.sqlite' AS a; SELECT 1
"""


def endless() -> list[str]:
    aggregates = ("count(*)", "sum(x)", "max(x)", "avg(x)", "group_concat(x)", "total(x)", "json_group_array(x)")
    return [
        *[f"{ENDLESS} SELECT {aggregate} FROM n" for aggregate in aggregates],
        f"{ENDLESS} SELECT x FROM n",
        f"{ENDLESS} SELECT x FROM n ORDER BY x DESC",
        f"{ENDLESS} SELECT DISTINCT x % 7 FROM n",
        f"{ENDLESS} SELECT 1 WHERE EXISTS (SELECT 1 FROM n WHERE x < 0)",
        f"{ENDLESS} SELECT 1 WHERE -1 IN (SELECT x FROM n)",
        f"{ENDLESS} SELECT name FROM singer JOIN n ON n.x = -singer.id",
        f"{ENDLESS} SELECT x, row_number() OVER (ORDER BY -x) FROM n",
        f"{ENDLESS} SELECT 1 LIMIT (SELECT count(*) FROM n)",
        f"{ENDLESS} SELECT a.x FROM n a, n b WHERE a.x + b.x < 0",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n",
        f"{GROWING} SELECT max(length(x)) FROM n",
        f"{GROWING} SELECT x FROM n",
        f"{GROWING} SELECT x FROM n LIMIT 60",
        "WITH RECURSIVE n(x) AS (SELECT zeroblob(1000000) UNION ALL SELECT zeroblob(1000000) FROM n) SELECT x FROM n",
    ]


def cross_joins() -> list[str]:
    def joined(table: str, times: int, between: str = ", ") -> str:
        return between.join(f"{table} t{place}" for place in range(times))

    return [
        *[f"SELECT count(*) FROM {joined('singer', times)}" for times in (12, 16, 20, 30, 63)],
        *[f"SELECT * FROM {joined('singer', times)}" for times in (8, 12, 16, 30)],
        *[f"SELECT max(t0.age + t1.age) FROM {joined('singer', times, ' CROSS JOIN ')}" for times in (13, 20)],
        f"SELECT count(*) FROM {joined('singer', 70)}",  # more than SQLite joins
        f"SELECT t0.name FROM {joined('singer', 14)} ORDER BY t1.age, t2.age, t3.age",
        f"SELECT t0.name, count(*) FROM {joined('singer', 14)} GROUP BY t0.name, t1.name, t2.name",
        f"SELECT DISTINCT t0.name || t1.name || t2.name || t3.name || t4.name FROM {joined('singer', 13)}",
        f"SELECT group_concat(t0.name) FROM {joined('singer', 14)}",
        f"SELECT count(*) FROM {joined('sqlite_master', 20)}, {joined('singer', 14)}".replace(
            "t0, singer", "s, singer"
        ),
        "SELECT name FROM singer WHERE id = (SELECT count(*) FROM " + joined("singer", 15) + ")",
    ]


def giants() -> list[str]:
    sizes = (10**8, 10**9, 2**31 - 1, 2**31, 2**40)
    return [
        *[f"SELECT zeroblob({size})" for size in sizes],
        *[f"SELECT hex(zeroblob({size}))" for size in sizes],
        *[f"SELECT randomblob({size})" for size in sizes[1:]],
        *[f"SELECT printf('%.{size}d', 1)" for size in sizes],
        "SELECT printf('%*s', 1000000000, 'x')",
        "SELECT replace(hex(zeroblob(10000000)), '0', hex(zeroblob(1000)))",
        "SELECT group_concat(hex(zeroblob(50000000))) FROM singer a, singer b",
        "SELECT zeroblob(30000000) FROM singer a, singer b, singer c",
        "SELECT quote(zeroblob(200000000))",
        "SELECT json_array(hex(zeroblob(60000000)), hex(zeroblob(60000000)), hex(zeroblob(60000000)))",
    ]


def long_calls() -> list[str]:
    text, many = "hex(zeroblob(5000000))", "%" + "0%" * 200
    return [
        "SELECT instr(hex(zeroblob(10000000)), hex(zeroblob(5000000)) || '1')",
        "SELECT instr(zeroblob(100000000), zeroblob(50000000) || x'01')",
        f"SELECT {text} LIKE '{many}1'",
        f"SELECT {text} GLOB '{many.replace('%', '*')}1'",
        f"SELECT name FROM singer WHERE {text} LIKE '%' || name || '{many}1'",
        "SELECT replace(hex(zeroblob(5000000)), hex(zeroblob(2000000)) || '1', '')",
        "SELECT trim(hex(zeroblob(1000000)), hex(zeroblob(500000)) || 'x')",
        "SELECT abs(-9223372036854775808)",
        "SELECT json_extract('" + "[" * 2000 + "]" * 2000 + "', '$')",
        "SELECT json('" + "[" * 500_000 + "')",
        "SELECT count(*) FROM singer ORDER BY (SELECT count(*) FROM json_each(hex(zeroblob(9000000))))",
    ]


def texts() -> list[str]:
    return [
        *("\0", "SELECT 1\0", "SELECT '\0'", "SEL\0ECT name FROM singer", "\ufeff", "\ufeffSELECT \ufeff"),
        *("\u202eSELECT 1", "SELECT '\ud800'", "\udfff", "SELECT \U0010ffff FROM singer", "SELECT '\ufffe'"),
        *("\x01\x02\x03", "SELECT \x1b[31m", "\uff33\uff25\uff2c\uff25\uff23\uff34 name FROM singer", "SELECT 'a"),
        *('SELECT "a', "SELECT `a", "SELECT [a", "SELECT /* a", "-- a", "/* a */", ";", ";;;;", "?", "SELECT ?"),
        *(
            "SELECT :a",
            "SELECT @a",
            "SELECT $a",
            "SELECT ?99999999",
            "'",
            "((((",
            "))))",
            "SELECT 1\\; DROP TABLE singer",
        ),
    ]


def huge() -> list[str]:
    return [
        "SELECT " + "1, " * 300_000 + "1",
        "SELECT '" + "a" * 3_000_000 + "'",
        "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
        "SELECT " + "NOT " * 100_000 + "1",
        "SELECT " + "-" * 1_000_001 + "1",
        "SELECT " + "- " * 200_000 + "1",
        "SELECT 1" + " + 1" * 300_000,
        "SELECT 1 WHERE 1" + " AND 1" * 200_000,
        " UNION ALL ".join(["SELECT name FROM singer"] * 40_000),
        "SELECT " + "(SELECT " * 5_000 + "1" + ")" * 5_000,
        "SELECT name FROM singer WHERE id IN (" + ", ".join(map(str, range(150_000))) + ")",
        "SELECT CASE " + "WHEN 1 THEN 1 " * 50_000 + "END",
        "x" * 2_000_000,
        " " * 2_000_000,
        "SELECT 1 " + "/* */" * 100_000,
        "SELECT 1 " + "\n" * 1_000_000,
        "WITH " + ", ".join(f"t{place} AS (SELECT 1)" for place in range(30_000)) + " SELECT 1",
        "SELECT name FROM " + "(SELECT * FROM " * 3_000 + "singer" + ")" * 3_000,
    ]


def hostile_predictions() -> list[str]:
    groups = (endless, cross_joins, giants, long_calls, texts, huge)
    pragmas = [f"PRAGMA {pragma}" for pragma in PRAGMAS.splitlines()]
    pragmas += [f"PRAGMA main.{pragma}" for pragma in PRAGMAS.splitlines()[:6]]
    written = [line for lines in (WRITES, FUNCTIONS, STATEMENTS) for line in lines.splitlines()]
    return [text for group in groups for text in group()] + pragmas + written


# Gold query -> the same answer otherwise dressed.
ODD_CLOTHES = {
    "SELECT name, age FROM singer": (
        "SELECT name, age FROM singer;",
        "select NAME, Age from SINGER",
        "SELECT age, name FROM singer ORDER BY id DESC",
        "WITH s AS (SELECT * FROM singer) SELECT s.name, s.age FROM s",
        "SELECT name, age FROM singer -- all of them",
        "/* all */ SELECT name /* so */ , age FROM singer ;;",
        'SELECT "name", [age] FROM `singer`',
        "SELECT x.age, x.name FROM (SELECT * FROM singer) AS x",
        "  SELECT\tname,age\rFROM singer  ",
        "SELECT DISTINCT name, age FROM singer",
    ),
    "SELECT count(*) FROM singer WHERE age >= 32": (
        "SELECT count(*) FROM singer WHERE age > = 32",
        "SELECT 3",
        "SELECT 3.0",
        "SELECT count(1) AS number FROM singer WHERE NOT age < 32",
        "SELECT sum(age >= 32) FROM singer",
    ),
}
