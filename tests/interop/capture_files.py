"""Small captures for tests, made from one of flowgen's: other byte order, pcapng, cut, packed.

    capture_files.py FOLDER    writes them all
"""

import bz2
import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile

FLOWGEN = "build/bench/flowgen"


def flowgen(path, records):
    subprocess.run([FLOWGEN, "-n", str(records), path], check=True, capture_output=True)
    return open(path, "rb").read()


def packets_of(data):
    """(end offset, records) of each packet of a little-endian pcap with v5 over Ethernet and IPv4."""
    at, found = 24, []
    while at + 16 <= len(data):
        n = struct.unpack_from("<I", data, at + 8)[0]
        records = struct.unpack_from(">H", data, at + 16 + 44)[0]
        at += 16 + n
        found.append((at, records))
    return found


def big_endian(data):
    out = struct.pack(">IHHIIII", *struct.unpack("<IHHIIII", data[:24]))
    at = 24
    while at < len(data):
        head = struct.unpack_from("<IIII", data, at)
        out += struct.pack(">IIII", *head) + data[at + 16 : at + 16 + head[2]]
        at += 16 + head[2]
    return out


def pcapng(data):
    """The same packets in pcapng, and the end offset and records of each."""
    out = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    out += struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20)
    at, ends = 24, []
    for end, records in packets_of(data):
        secs, usecs = struct.unpack_from("<II", data, at)
        packet = data[at + 16 : end]
        padded = packet + bytes(-len(packet) % 4)
        size, stamp = 32 + len(padded), secs * 10**6 + usecs
        out += struct.pack("<IIIIIII", 6, size, 0, stamp >> 32, stamp & 0xFFFFFFFF, len(packet), len(packet))
        out += padded + struct.pack("<I", size)
        ends.append((len(out), records))
        at = end
    return out, ends


def tar_of(members):
    """members: name -> bytes"""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_all(folder):
    def put(name, data):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)

    plain = flowgen(os.path.join(folder, "plain.pcap"), 140)
    put("plain.pcap.gz", gzip.compress(plain))
    put("plain.pcapng", pcapng(plain)[0])
    put("cut.pcap", plain[: len(plain) // 2])
    put("archive.tar.gz", gzip.compress(tar_of({"a.pcap": plain, "b.pcap.bz2": bz2.compress(plain), "c.txt": b"no capture"})))
    shutil.copy("tests/data/softflowd-v5-ipfrag-mtu576.pcap", os.path.join(folder, "fragments.pcap"))


if __name__ == "__main__":
    write_all(sys.argv[1])
