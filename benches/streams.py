#!/usr/bin/env python3
"""Large inputs: what time and memory mediary takes for them. Needs 12 GB of disk in --folder and no packages.

    cargo build --release && python3 benches/streams.py --bin target/release/mediary

Makes a 2 GB csv, an hour of stereo wav, a 2 GB glb and a 2 GB binary stl, then runs `info` (header only), `convert` and
`ingest` on them. Prints wall seconds and peak resident memory of each; `--limit-mb 300` fails when a stream takes more.
"""
import argparse, json, os, random, shutil, struct, sys, tempfile

import common


def make_csv(path, size):
    random.seed(7)
    names = ["alpha", "beta", "gamma, delta", 'said "so"', ""]
    block = "".join(
        f'{i},{random.random():.6f},{i * 37 % 1000},"{random.choice(names)}",{"true" if i % 3 else "false"},2026-11-{i % 28 + 1:02}\n'
        if i % 5 == 0 else f"{i},{random.random():.6f},{i * 37 % 1000},plain text {i % 97},true,2026-11-{i % 28 + 1:02}\n"
        for i in range(20_000)).replace('"said "so""', '"said ""so"""').encode()
    with open(path, "wb") as f:
        f.write(b"id,value,code,label,flag,day\n")
        while f.tell() < size:
            f.write(block)


def make_wav(path, seconds):
    rate, channels = 44_100, 2
    random.seed(11)
    second = b"".join(struct.pack("<hh", int(9000 * ((i * 440 / rate) % 1 - 0.5)) + random.randint(-300, 300),
                                  int(7000 * ((i * 331 / rate) % 1 - 0.5)) + random.randint(-300, 300)) for i in range(rate))
    data = len(second) * seconds
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + data) + b"WAVEfmt " +
                struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 4, 4, 16) + b"data" + struct.pack("<I", data))
        for _ in range(seconds):
            f.write(second)


def make_stl(path, size):
    triangles = (size - 84) // 50
    block = b"".join(struct.pack("<12fH", 0, 0, 1, i, 0, 0, i + 1, 0, 0, i, 1, 0, 0) for i in range(20_000))
    with open(path, "wb") as f:
        f.write(b"made by benches/streams.py".ljust(80) + struct.pack("<I", triangles))
        left = triangles * 50
        while left:
            f.write(block[:left])
            left -= min(left, len(block))


def make_glb(path, size):
    vertices = (size - 4096) // 12
    doc = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
           "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}],
           "accessors": [{"bufferView": 0, "componentType": 5126, "count": vertices, "type": "VEC3",
                          "min": [0, 0, 0], "max": [1, 1, 1]}],
           "bufferViews": [{"buffer": 0, "byteLength": vertices * 12}], "buffers": [{"byteLength": vertices * 12}]}
    text = json.dumps(doc).encode()
    text += b" " * (-len(text) % 4)
    block = struct.pack("<6f", 0, 0, 0, 1, 1, 1) * 50_000
    with open(path, "wb") as f:
        f.write(struct.pack("<III", 0x46546C67, 2, 12 + 8 + len(text) + 8 + vertices * 12))
        f.write(struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", vertices * 12, b"BIN\0"))
        left = vertices * 12
        while left:
            f.write(block[:left])
            left -= min(left, len(block))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default="target/release/mediary")
    p.add_argument("--folder")
    p.add_argument("--limit-mb", type=float, default=300)
    a = p.parse_args()
    folder = tempfile.mkdtemp(prefix="mediary-streams-", dir=a.folder)
    path = lambda name: os.path.join(folder, name)
    try:
        make_csv(path("big.csv"), 2 << 30)
        make_wav(path("hour.wav"), 3600)
        make_glb(path("big.glb"), 2 << 30)
        make_stl(path("big.stl"), 2 << 30)
        jobs = [(["info", path("big.glb")], False), (["info", path("big.stl")], False), (["info", path("hour.wav")], False),
                (["info", path("big.csv")], False),
                (["convert", path("big.csv"), path("big.parquet")], True),
                (["ingest", path("big.csv"), "--to", path("csv-store")], True),
                (["convert", path("hour.wav"), path("hour.flac")], True),
                (["ingest", path("hour.wav"), "--to", path("wav-store")], True)]
        print(f"{'command':40} {'wall s':>9} {'cpu s':>9} {'peak MB':>9}")
        over = False
        for arguments, stream in jobs:
            wall, cpu, peak = common.measure([a.bin, *arguments])
            shown = " ".join(os.path.basename(x) for x in arguments)
            over |= stream and peak > a.limit_mb
            print(f"{shown:40} {wall:9.3f} {cpu:9.3f} {peak:9.1f}", flush=True)
        return 1 if over else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
