"""Questions in the words of each tool: its best reasonable form, over the shards as they are."""

import datetime

from questions import NETWORK, ROW_COLUMNS, network_bounds, number

DIGITS = "'0123456789'"
PREFIX = ".".join(NETWORK[0].split(".")[: NETWORK[1] // 8]) + "."
MASK_24 = 0xFFFFFF00


def quote(text):
    return "'" + str(text).replace("'", "''") + "'"


def utc(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


# ---- Earlgrey


def earlgrey_where(question, constants):
    if question.where == "dns":
        return " WHERE dstport = 53"
    if question.where in ("window", "minute"):
        return " WHERE start_time >= %s AND start_time < %s" % tuple(quote(utc(ms)) for ms in constants.between_ms(question.where))
    if question.where == "network":
        return " WHERE ip4_in(srcaddr, '%s/%d')" % NETWORK
    if question.where == "address":
        return " WHERE srcaddr = " + quote(constants.address)
    return ""


def earlgrey(question, source, constants):
    where = earlgrey_where(question, constants)
    if question.what == "pairs":
        return "SELECT addr1, addr2, %s FROM netflow_active(%s, 10)%s" % (", ".join(question.sums), quote(source), where)
    if question.what == "top":
        columns = [k.split("/")[0] for k in question.keys] + list(question.sums)
        arguments = (quote(source), quote(",".join(question.keys)))
        return "SELECT %s FROM netflow_top(%s, %s, 'bytes', 10)%s" % (", ".join(columns), *arguments, where)
    if question.what == "sum":
        return "SELECT %s FROM netflow(%s)%s" % (", ".join(SUMS[s] for s in question.sums), quote(source), where)
    return "SELECT %s FROM netflow(%s)%s" % (", ".join(ROW_COLUMNS), quote(source), where)


# ---- The others that speak SQL

SUMS = {"bytes": "sum(bytes)", "packets": "sum(packets)", "flows": "count(*)"}


class Dialect:
    """SQL over a table whose addresses are texts or numbers, whose times are timestamps."""

    least, greatest = "least", "greatest"

    def timestamp(self, ms):
        return "TIMESTAMP '%s'" % utc(ms)

    def start_ms(self):
        raise NotImplementedError

    def and_24(self, column):
        return "%s & %d" % (column, MASK_24)

    def rtrim_digits(self, column):
        return "rtrim(%s, %s)" % (column, DIGITS)

    def key(self, key, texts):
        column, _, bits = key.partition("/")
        if not bits:
            return column
        return self.rtrim_digits(column) if texts else self.and_24(column)

    def where(self, question, texts, constants):
        if question.where == "dns":
            return " WHERE dstport = 53"
        if question.where in ("window", "minute"):
            begin, end = constants.between_ms(question.where)
            return " WHERE start_time >= %s AND start_time < %s" % (self.timestamp(begin), self.timestamp(end))
        if question.where == "network":
            return " WHERE srcaddr LIKE '%s%%'" % PREFIX if texts else " WHERE srcaddr BETWEEN %d AND %d" % network_bounds()
        if question.where == "address":
            return " WHERE srcaddr = " + (quote(constants.address) if texts else str(number(constants.address)))
        return ""

    def pairs(self, question, table, texts, where):
        ends = ["%s(srcaddr, dstaddr)" % f for f in (self.least, self.greatest)]
        return self.ranked(ends, question, table, where)

    def ranked(self, keys, question, table, where):
        names = ["k%d" % i for i in range(len(keys))]
        sums = ["%s AS s%d" % (SUMS[s], i) for i, s in enumerate(question.sums)]
        selected = ["%s AS %s" % pair for pair in zip(keys, names)] + sums
        return "SELECT %s FROM %s%s GROUP BY %s ORDER BY s0 DESC LIMIT 10" % (", ".join(selected), table, where, ", ".join(names))

    def sql(self, question, table, texts, constants):
        where = self.where(question, texts, constants)
        if question.what == "pairs":
            return self.pairs(question, table, texts, where)
        if question.what == "top":
            return self.ranked([self.key(k, texts) for k in question.keys], question, table, where)
        if question.what == "sum":
            return "SELECT %s FROM %s%s" % (", ".join(SUMS[s] for s in question.sums), table, where)
        columns = [self.start_ms() if c == "start_ms" else c for c in ROW_COLUMNS]
        return "SELECT %s FROM %s%s" % (", ".join(columns), table, where)


class DuckDB(Dialect):
    def timestamp(self, ms):
        return "TIMESTAMPTZ '%s+00'" % utc(ms)

    def start_ms(self):
        return "epoch_ms(start_time)"


class ClickHouse(Dialect):
    def timestamp(self, ms):
        return "toDateTime64('%s', 3, 'UTC')" % utc(ms)

    def start_ms(self):
        return "toUnixTimestamp64Milli(start_time)"

    def and_24(self, column):
        return "bitAnd(%s, %d)" % (column, MASK_24)

    def rtrim_digits(self, column):
        return "trim(TRAILING %s FROM %s)" % (DIGITS, column)

    def pairs(self, question, table, texts, where):
        """Numbers as one key of 64 bits: half the time of two keys."""
        if texts:
            return super().pairs(question, table, texts, where)
        packed = "bitOr(bitShiftLeft(toUInt64(least(srcaddr, dstaddr)), 32), greatest(srcaddr, dstaddr))"
        sums = ", ".join("s%d" % i for i in range(len(question.sums)))
        inner = self.ranked([packed], question, table, where)
        return "SELECT bitShiftRight(k0, 32), bitAnd(k0, 4294967295), %s FROM (%s)" % (sums, inner)


class Spark(Dialect):
    def start_ms(self):
        return "unix_millis(start_time)"

    def rtrim_digits(self, column):
        return "trim(TRAILING %s FROM %s)" % (DIGITS, column)


class SQLite(Dialect):
    """Over a table of its own, with start_ms as a number."""

    least, greatest = "min", "max"

    def start_ms(self):
        return "start_ms"

    def timestamp(self, ms):
        return str(ms)

    def where(self, question, texts, constants):
        return super().where(question, texts, constants).replace("start_time", "start_ms")


# ---- nfdump: arguments, and where its CSV has the keys

NFDUMP_KEYS = {"srcaddr": ("srcip", "sa"), "dstaddr": ("dstip", "da"), "srcport": ("srcport", "sp"), "dstport": ("dstport", "dp")}
NFDUMP_FILTERS = {"": "any", "dns": "dst port 53"}


def nfdump(question, constants):
    """The arguments behind -R, and the CSV columns of the answer (None: not told). None where it cannot answer: it
    has no unordered pairs, and its time windows are of whole seconds."""
    filters = {**NFDUMP_FILTERS, "network": "src net %s/%d" % NETWORK, "address": "src ip " + constants.address}
    if question.where not in filters or any(k not in NFDUMP_KEYS for k in question.keys):
        return None
    if question.what == "top":
        keys = [NFDUMP_KEYS[k] for k in question.keys]
        columns = [csv for _, csv in keys] + [{"bytes": "ibyt", "packets": "ipkt"}.get(s) for s in question.sums]
        arguments = ["-A", ",".join(name for name, _ in keys), "-O", "bytes", "-n", "10"]
        return arguments + ["-q", "-o", "csv", filters[question.where]], columns
    if question.what == "rows":
        # Times are told to the second only, protocols as it names them.
        columns = [None, "sp", "da", "dp", None, "ipkt", "ibyt"]
        return ["-q", "-o", "csv", filters[question.where]], columns
    return None
