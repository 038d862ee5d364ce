"""A stand-in for a MongoDB server where none can be had: the wire protocol over mongomock.

    mongo_standin.py HOST:PORT FOLDER [--wire MIN,MAX] [--tls CERTIFICATE]

Prints its URI when it listens (port 0: any free one). FOLDER keeps a journal of what was written, so that data outlives
kill -9. It says nothing about speed. For tests of what networks do, the command

    {standin: 1, on: "insert", fault: "drop", times: 1}

has the next `times` commands of a name end in a fault: "drop" closes the connection before the command is carried out,
"lose" after it and before its reply, "die" ends the server there, "hang" never answers, and a number is answered as the
server's error of that code. With `having` only commands count that hold this text.
"""

import argparse
import os
import socketserver
import ssl
import struct
import threading

import bson
import mongomock
import pymongo.errors
from bson.codec_options import CodecOptions
from bson.son import SON

ORDERED = CodecOptions(document_class=SON)
WRITES = ("insert", "update", "delete", "drop", "dropDatabase", "createIndexes")

client = mongomock.MongoClient()
lock = threading.Lock()
cursors = {}
faults = {}
hello = {
    "ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 17, "ok": 1.0,
}


class Refused(Exception):
    """A command's own failure: code and message."""


def batch(namespace, documents, size, single=False):
    """The first part of an answer; the rest waits in `cursors`."""
    first, rest, number = documents[:size], documents[size:], 0
    if rest and not single:
        number = len(cursors) + 1
        cursors[number] = (namespace, rest)
    return {"cursor": {"firstBatch": first, "id": bson.Int64(number), "ns": namespace}}


def c_find(db, name, command):
    found = db[name].find(command.get("filter") or {}, command.get("projection") or None)
    if command.get("sort"):
        found = found.sort(list(command["sort"].items()))
    found = found.skip(command.get("skip", 0))
    if command.get("limit"):
        found = found.limit(command["limit"])
    return batch("%s.%s" % (db.name, name), list(found), command.get("batchSize", 101), command.get("singleBatch"))


def c_getMore(db, number, command):
    if number not in cursors:
        raise Refused(43, "cursor id %d not found" % number)
    namespace, rest = cursors.pop(number)
    size = command.get("batchSize") or 1000
    if rest[size:]:
        cursors[number] = (namespace, rest[size:])
    left = bson.Int64(number if rest[size:] else 0)
    return {"cursor": {"nextBatch": rest[:size], "id": left, "ns": namespace}}


def c_aggregate(db, name, command):
    found = list(db[name].aggregate(list(command["pipeline"])))
    return batch("%s.%s" % (db.name, name), found, command["cursor"].get("batchSize", 101))


def c_insert(db, name, command):
    written, errors = 0, []
    for i, document in enumerate(command["documents"]):
        try:
            db[name].insert_one(document)
            written += 1
        except pymongo.errors.DuplicateKeyError as e:
            errors.append({"index": i, "code": 11000, "errmsg": "E11000 %s" % e})
            if command.get("ordered", True):
                break
    return dict({"n": written}, **({"writeErrors": errors} if errors else {}))


def c_update(db, name, command):
    matched = modified = 0
    upserted = []
    for i, u in enumerate(command["updates"]):
        replaces = not next(iter(u["u"]), "").startswith("$")
        do = db[name].replace_one if replaces else db[name].update_many if u.get("multi") else db[name].update_one
        done = do(u["q"], u["u"], upsert=u.get("upsert", False))
        matched += done.matched_count
        modified += done.modified_count
        if done.upserted_id is not None:
            upserted.append({"index": i, "_id": done.upserted_id})
    return dict({"n": matched + len(upserted), "nModified": modified}, **({"upserted": upserted} if upserted else {}))


def c_delete(db, name, command):
    n = 0
    for d in command["deletes"]:
        n += (db[name].delete_one if d["limit"] == 1 else db[name].delete_many)(d["q"]).deleted_count
    return {"n": n}


def c_drop(db, name, command):
    if name not in db.list_collection_names():
        raise Refused(26, "ns not found")
    db.drop_collection(name)
    return {}


def c_createIndexes(db, name, command):
    for index in command["indexes"]:
        db[name].create_index(list(index["key"].items()), name=index["name"], unique=index.get("unique", False))
    return {}


def c_listCollections(db, name, command):
    names = [{"name": n, "type": "collection"} for n in db.list_collection_names()]
    return batch("%s.$cmd.listCollections" % db.name, names, 1000)


def c_dropDatabase(db, name, command):
    client.drop_database(db.name)
    return {}


def c_standin(db, name, command):
    faults[command["on"]] = [command["fault"], command.get("times", 1), command.get("having", "").encode()]
    return {}


COMMANDS = {
    "find": c_find, "getMore": c_getMore, "aggregate": c_aggregate, "insert": c_insert, "update": c_update,
    "delete": c_delete, "drop": c_drop, "createIndexes": c_createIndexes, "listCollections": c_listCollections,
    "dropDatabase": c_dropDatabase, "standin": c_standin,
    "count": lambda db, name, command: {"n": db[name].count_documents(command.get("query") or {})},
    "ping": lambda *_: {}, "endSessions": lambda *_: {}, "killCursors": lambda *_: {},
    "buildInfo": lambda *_: {"version": "0.0.0"},
}


def answer(db, command):
    name = next(iter(command))
    if name.lower() in ("ismaster", "hello"):
        return hello
    if name not in COMMANDS:
        return {"ok": 0.0, "code": 59, "errmsg": "no such command: '%s'" % name, "codeName": "CommandNotFound"}
    try:
        return dict(COMMANDS[name](client[db], command[name], command), ok=1.0)
    except Refused as e:
        return {"ok": 0.0, "code": e.args[0], "errmsg": e.args[1]}
    except Exception as e:  # what mongomock refuses in its own words
        return {"ok": 0.0, "code": 2, "errmsg": "%s: %s" % (type(e).__name__, e)}


def sections(body):
    """The command of an OP_MSG, its document sequences put into it."""
    command, at = None, 4
    while at < len(body):
        kind, at = body[at], at + 1
        size = struct.unpack_from("<i", body, at)[0]
        if kind == 0:
            command = bson.decode(body[at : at + size], ORDERED)
        else:
            end = body.index(b"\0", at + 4)
            command[body[at + 4 : end].decode()] = bson.decode_all(body[end + 1 : at + size], ORDERED)
        at += size
    return command


class Handler(socketserver.BaseRequestHandler):
    def receive(self, n):
        parts = []
        while n > 0:
            part = self.request.recv(min(n, 1 << 20))
            if not part:
                raise ConnectionError
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def handle(self):
        try:
            while self.one():
                pass
        except OSError:
            pass

    def carry_out(self, command):
        """The reply; None where there is to be none."""
        name, fault = next(iter(command)), None
        with lock:
            if faults.get(name, [0, 0])[1] > 0 and faults[name][2] in bson.encode(command):
                fault = faults[name][0]
                faults[name][1] -= 1
        if fault == "hang":
            self.receive(1)  # until the client gives up
        if fault == "drop":
            return None
        if isinstance(fault, int):
            return {"ok": 0.0, "code": fault, "errmsg": "made for a test"}
        with lock:
            db = command.pop("$db", "admin")
            if name in WRITES:
                journal.write(bson.encode({"db": db, "command": command}))
                journal.flush()
            reply = answer(db, command)
        if fault == "die":
            os._exit(1)
        return None if fault == "lose" else reply

    def one(self):
        length, request, _, operation = struct.unpack("<iiii", self.receive(16))
        body = self.receive(length - 16)
        if operation == 2004:  # OP_QUERY: the first question of a connection
            at = body.index(b"\0", 4) + 9
            reply = answer("admin", bson.decode(body[at:], ORDERED))
            head, operation = struct.pack("<iqii", 8, 0, 0, 1), 1
        else:
            reply = self.carry_out(sections(body))
            head = struct.pack("<iB", 0, 0)
        if reply is None:
            return False
        data = head + bson.encode(reply)
        self.request.sendall(struct.pack("<iiii", 16 + len(data), 0, request, operation) + data)
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def replay(path):
    if os.path.exists(path):
        with open(path, "rb") as f:
            for entry in bson.decode_file_iter(f, ORDERED):
                answer(entry["db"], entry["command"])


parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("folder")
parser.add_argument("--wire")
parser.add_argument("--tls", help="a PEM file with certificate and key")
options = parser.parse_args()
if options.wire:
    hello["minWireVersion"], hello["maxWireVersion"] = map(int, options.wire.split(","))
journal_path = os.path.join(options.folder, "journal.bson")
replay(journal_path)
journal = open(journal_path, "ab")
host, port = options.address.split(":")
with Server((host, int(port)), Handler) as server:
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print("mongodb://%s:%d/" % server.server_address, flush=True)
    server.serve_forever()
