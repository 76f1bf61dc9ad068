#!/usr/bin/env python3
"""Scenes and point clouds against the tools people use: CPU seconds and peak memory, as ratios, in one run.

    cargo build --release && cargo build --release -p mediary --example count
    python3 benches/geometry.py --bin target/release/mediary --python PYTHON

Makes the inputs in --folder (2 GB): a wavy grid of 501 264 vertices and 999 698 triangles as OBJ, STL and PLY, 300 000 points
with colours as pts.json, 10 million as LAS. PYTHON has numpy, trimesh and laspy with lazrs; `assimp` is on the PATH. What is not there is left out of
the table. CPU is user and system time of the smallest of --rounds runs, taken in turns; an interpreter's start is part of it.
What is only read is read by the example `count`, beside the program: the program hashes its input, which no peer does.
"""
import argparse, os, shutil, subprocess, sys, tempfile

import common

MAKE = r"""
import json, struct, sys
import numpy as np
folder, side = sys.argv[1], 708
x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
z = (4 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)
v = np.stack([x, y, z], -1).reshape(-1, 3)
n = np.stack([-np.gradient(z, axis=1), -np.gradient(z, axis=0), np.ones_like(z)], -1).reshape(-1, 3)
n = (n / np.linalg.norm(n, axis=1, keepdims=True)).astype(np.float32)
t = (v[:, :2] / side).astype(np.float32)
a = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1)
f = np.concatenate([np.stack([a, a + 1, a + side + 1], 1), np.stack([a, a + side + 1, a + side], 1)]).astype(np.int32)
with open(f"{folder}/grid.obj", "w") as out:
    for name, rows in ("v", v), ("vt", t), ("vn", n):
        out.write("\n".join(name + " " + " ".join(f"{value:.6f}" for value in row) for row in rows.tolist()) + "\n")
    out.write("\n".join("f " + " ".join(f"{i}/{i}/{i}" for i in row) for row in (f + 1).tolist()) + "\n")
facet = np.zeros(len(f), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
facet["v"] = v[f]
normal = np.cross(facet["v"][:, 1] - facet["v"][:, 0], facet["v"][:, 2] - facet["v"][:, 0])
facet["n"] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
with open(f"{folder}/grid.stl", "wb") as out:
    out.write(b"binary".ljust(80) + struct.pack("<I", len(f)) + facet.tobytes())
with open(f"{folder}/ascii.stl", "w") as out:
    out.write("solid grid\n")
    for normal, corners in zip(facet["n"].tolist(), facet["v"].tolist()):
        out.write("facet normal {:.6e} {:.6e} {:.6e}\n outer loop\n".format(*normal))
        for corner in corners:
            out.write("  vertex {:.6e} {:.6e} {:.6e}\n".format(*corner))
        out.write(" endloop\nendfacet\n")
    out.write("endsolid grid\n")
def ply(name, columns):
    vertex = np.zeros(len(v), dtype=[(key, kind) for key, kind, _ in columns])
    for key, _, values in columns:
        vertex[key] = values
    face = np.zeros(len(f), dtype=[("n", "u1"), ("i", "<i4", 3)])
    face["n"], face["i"] = 3, f
    words = {"<f4": "float", "u1": "uchar"}
    head = "".join(f"property {words[kind]} {key}\n" for key, kind, _ in columns)
    with open(f"{folder}/{name}.ply", "wb") as out:
        out.write(f"ply\nformat binary_little_endian 1.0\nelement vertex {len(v)}\n{head}element face {len(f)}\n"
                  "property list uchar int vertex_indices\nend_header\n".encode())
        out.write(vertex.tobytes() + face.tobytes())
place = [("x", "<f4", v[:, 0]), ("y", "<f4", v[:, 1]), ("z", "<f4", v[:, 2])]
ply("plain", place)
rich = [("nx", "<f4", n[:, 0]), ("ny", "<f4", n[:, 1]), ("nz", "<f4", n[:, 2])]
ply("rich", place + rich + [(key, "u1", (v[:, i % 2] % 256)) for i, key in enumerate(("red", "green", "blue"))])
random = np.random.default_rng(7)
points = np.concatenate([random.normal(0, 40, (300_000, 3)), random.integers(0, 256, (300_000, 3))], 1)
with open(f"{folder}/points.pts.json", "w") as out:
    json.dump({"type": "lidar/beta", "points": points.tolist()}, out)
try:
    import laspy
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [0.001] * 3, [500_000, 4_000_000, 0]
    las = laspy.LasData(header)
    count = 10_000_000
    las.x = random.uniform(500_000, 501_000, count)
    las.y = random.uniform(4_000_000, 4_001_000, count)
    las.z = random.uniform(0, 90, count)
    las.intensity = random.integers(0, 65536, count)
    las.classification = random.integers(0, 10, count)
    las.gps_time = np.arange(count) / 1e5
    las.red = las.green = las.blue = random.integers(0, 65536, count)
    las.write(f"{folder}/points.las")
    las.points = las.points[:2_000_000]
    las.write(f"{folder}/points.laz")
except ImportError:
    pass
"""
TRIMESH = "import sys, trimesh; trimesh.load(sys.argv[1], process=False).export(sys.argv[2], file_type='glb')"
JSON = "import sys, json, numpy; numpy.array(json.load(open(sys.argv[1]))['points'])"
LASPY = "import sys, laspy; las = laspy.read(sys.argv[1]); [las[name] for name in las.point_format.dimension_names]; las.xyz"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True, help="the program")
    p.add_argument("--python", help="a python with the peers")
    p.add_argument("--folder", help="keeps the inputs; default: a temporary folder")
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    folder = args.folder or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    python = args.python or sys.executable
    if not os.path.exists(f"{folder}/points.pts.json"):
        subprocess.run([python, "-c", MAKE, folder], check=True)
    has = lambda module: subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0
    assimp, trimesh, laspy = shutil.which("assimp"), has("trimesh"), has("laspy")
    out = f"{folder}/out.glb"
    convert = lambda name: [args.bin, "convert", "--force", "-q", f"{folder}/{name}", out]
    by_assimp = lambda name: assimp and ("assimp", [assimp, "export", f"{folder}/{name}", out, "-fglb2"], False)
    by_trimesh = lambda name: trimesh and ("trimesh", [python, "-c", TRIMESH, f"{folder}/{name}", out], False)
    count = os.path.join(os.path.dirname(args.bin), "examples", "count")
    full = lambda name: [count, f"{folder}/{name}"]
    jobs = [(title, name, convert(name), [by_assimp(name), by_trimesh(name)]) for title, name in (
        ("OBJ → GLB", "grid.obj"), ("binary STL → GLB", "grid.stl"), ("ASCII STL → GLB", "ascii.stl"),
        ("PLY, positions → GLB", "plain.ply"), ("PLY, normals and colours → GLB", "rich.ply"))]
    common.measure(convert("rich.ply"))
    shutil.copy(out, f"{folder}/grid.glb")
    jobs.append(("GLB → GLB", "grid.glb", convert("grid.glb"), [by_assimp("grid.glb"), by_trimesh("grid.glb")]))
    jobs.append(("pts.json, read", "points.pts.json", full("points.pts.json"),
                 [("json + numpy", [python, "-c", JSON, f"{folder}/points.pts.json"], False)]))
    if laspy:
        for name in "points.las", "points.laz":
            jobs.append((f"{name[-3:].upper()}, read", name, full(name), [("laspy", [python, "-c", LASPY, f"{folder}/{name}"], False)]))
    common.table([(title, f"{folder}/{name}", own, peers) for title, name, own, peers in jobs], args.rounds)
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
