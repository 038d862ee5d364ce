"""What is asked: questions about flows, whoever answers them, and whether two answers agree."""

import dataclasses
import ipaddress

WINDOW_START_MS = 1185484320000  # 21:12 of the three hours of flowgen's captures
NETWORK = ("122.166.0.0", 16)
ROW_COLUMNS = ("start_ms", "srcport", "dstaddr", "dstport", "protocol", "packets", "bytes")
ALL_SUMS = ("bytes", "packets", "flows")


@dataclasses.dataclass(frozen=True)
class Question:
    """`top`: the ten keys with the most bytes, and the sums asked for; `pairs`: the same of unordered address pairs;
    `sum`: the sums over the flows that match; `rows`: those flows, seven columns of each."""

    what: str
    keys: tuple = ()
    where: str = ""  # one of WHERE
    sums: tuple = ALL_SUMS

    def n_keys(self):
        return 2 if self.what == "pairs" else len(self.keys)


WHERE = {
    "dns": "dstport is 53",
    "window": "starts within ten minutes",
    "network": "source in a /16",
    "minute": "starts within a minute",
    "address": "one source address",
}


@dataclasses.dataclass(frozen=True)
class Constants:
    """What the filters compare with in a capture."""

    address: str  # a source of about a thousandth of the flows

    def between_ms(self, where):
        """First and last+1 millisecond of a time filter."""
        return WINDOW_START_MS, WINDOW_START_MS + {"window": 600000, "minute": 60000}[where]

    def describe(self):
        return "The address is %s, the network %s/%d, the time begins at 21:12 UTC" % (self.address, *NETWORK)


def number(address):
    return int(ipaddress.IPv4Address(address))


def network_bounds():
    low = number(NETWORK[0])
    return low, low + 2 ** (32 - NETWORK[1]) - 1


# ---- Answers


def plain(value):
    """The same value from every tool: numbers as such, addresses as numbers. "1.2.3." is what is left of a /24."""
    if value is None or isinstance(value, int):
        return value
    text = str(value).split("/")[0]
    if text.isdigit():
        return int(text)
    if text.count(".") == 3 and text.replace(".", "").isdigit():
        return number(text + "0" if text.endswith(".") else text)
    return text


def canonical(question, rows):
    """An answer in the order in which answers are compared."""
    rows = [tuple(plain(v) for v in row) for row in rows]
    n = question.n_keys()
    if question.what == "pairs":
        rows = [tuple(sorted(row[:2])) + row[2:] for row in rows]
    if question.what in ("top", "pairs"):
        return sorted(rows, key=lambda row: (-row[n],) + tuple(map(str, row[:n])))
    return sorted(rows, key=str)


def difference(question, found, expected):
    """What speaks against two canonical answers being the same; None if nothing does. Keys that share the last
    place may differ, their bytes may not. None stands for what a tool does not say."""

    if len(found) != len(expected):
        return "%d rows, expected %d" % (len(found), len(expected))
    if not expected:
        return "no row: nothing is compared"
    unsaid = [i for i, values in enumerate(zip(found[0], expected[0])) if None in values]
    if unsaid:
        blanked = lambda rows: canonical(question, [[None if i in unsaid else v for i, v in enumerate(row)] for row in rows])
        found, expected = blanked(found), blanked(expected)
    ranked, n = question.what in ("top", "pairs"), question.n_keys()
    for a, b in zip(found, expected):
        if a != b and not (ranked and a[n] == b[n] == expected[-1][n]):
            return "%r, expected %r" % (a, b)
    return None
