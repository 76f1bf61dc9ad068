#!/usr/bin/env python3
"""Fuzzes the readers of formats, one after the other: fuzz/run.py [--seconds 600] FORMAT...

Seeds are the samples of the suite and the files of the corpus (../shared/corpus or $MEDIARY_CORPUS). One line a format is
printed; what was found lies in fuzz/artifacts/FORMAT. Needs a nightly compiler and cargo-fuzz."""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "tests/data"
CORPUS = pathlib.Path(os.environ.get("MEDIARY_CORPUS", HERE.parent.parent / "shared/corpus"))
PROGRAM = HERE / "target/x86_64-unknown-linux-gnu/release/read"
BESIDE = b"\n-- beside --\n"
# Where the corpus has another name for it.
FOLDERS = {"xyz-points": "pointcloud/xyz", "npy": "image/npy"}
# Larger files are slow and say no more; LAZ sets up hundreds of models a chunk.
LARGEST = {"laz": 20 << 10}
# A reader that breaks at once would fill the time with copies of one finding.
ENOUGH = 25
NUMBERS = ["-1", "0", "1e39", "1e-46", "NaN", "inf", "65536", "2147483648", "4294967295", "18446744073709551615"]


def files(format_id):
    """The seeds' files."""
    folders = [DATA / format_id, CORPUS / "bad" / format_id.split("-")[0]]
    folders += [CORPUS / FOLDERS[format_id]] if format_id in FOLDERS else CORPUS.glob(f"*/{format_id}")
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "README.md")


def beside(path, names):
    """The first file that a document refers to, behind the mark that the target splits at."""
    for name in names:
        if (path.parent / name).is_file():
            return BESIDE + (path.parent / name).read_bytes()
    return b""


def seeds(format_id, path):
    """A file as inputs of the target."""
    content = path.read_bytes()
    if format_id == "obj" and path.suffix == ".obj":
        content += beside(path, re.findall(r"mtllib\s+(\S.*?)\s*$", content.decode("latin-1"), re.M))
    elif format_id == "gltf" and path.suffix == ".gltf":
        content += beside(path, re.findall(r'"uri"\s*:\s*"([^":]+\.bin)"', content.decode("latin-1")))
    elif format_id == "3mf" and zipfile.is_zipfile(path):
        # The target packs what is no package: a mutation of compressed bytes is mostly a wrong checksum.
        with zipfile.ZipFile(path) as package:
            yield from (package.read(name) for name in package.namelist() if name.endswith(".model"))
    yield content


def of_glb(path):
    """A GLB as a document with its buffer beside it: lengths need not be guessed."""
    content = path.read_bytes()
    size, = struct.unpack_from("<I", content, 12)
    try:
        document = json.loads(content[20 : 20 + size])
        document["buffers"][0]["uri"] = "b"
    except (ValueError, LookupError, TypeError):
        return b""
    return json.dumps(document).encode() + BESIDE + content[28 + size :]


def prepare(format_id):
    """The folder of inputs and the dictionary of a format."""
    folder = HERE / "corpus" / format_id
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [seed for path in files(format_id) for seed in seeds(format_id, path)]
    if format_id == "gltf":
        inputs += [of_glb(path) for path in files("glb") if path.stat().st_size > 32]
    words = collections.Counter()
    largest = 0
    for content in (content for content in inputs if 0 < len(content) <= LARGEST.get(format_id, 128 << 10)):
        largest = max(largest, len(content))
        (folder / f"seed-{hashlib.sha256(content).hexdigest()[:16]}").write_bytes(content)
        words.update(set(re.findall(rb"[A-Za-z_][A-Za-z0-9_:.-]{2,30}", content)))
    known = [word.decode() for word, _ in words.most_common(400)] + NUMBERS
    dictionary = folder.with_suffix(".dict")
    dictionary.write_text("".join(f'"{word}"\n' for word in known))
    return folder, dictionary, largest


def is_quick(artifact, environment):
    """Whether an input that took long by the clock takes little of the processor: then the machine was busy."""
    if not artifact.exists():
        return True
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([PROGRAM, artifact], env=environment, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2


def run(format_id, seconds, arguments):
    """Fuzzes one format; the line about it."""
    folder, dictionary, largest = prepare(format_id)
    artifacts = HERE / "artifacts" / format_id
    artifacts.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, MEDIARY_FUZZ_FORMAT=format_id, RUST_BACKTRACE="1")
    log = (artifacts / "log").open("a")
    executed, coverage, findings = 0, 0, collections.Counter()
    end, before = time.monotonic() + seconds, resource.getrusage(resource.RUSAGE_CHILDREN)
    while (left := int(end - time.monotonic())) > 0 and findings.total() < ENOUGH:
        command = [PROGRAM, folder, f"-dict={dictionary}", f"-artifact_prefix={artifacts}/", f"-max_total_time={left}",
                   f"-max_len={largest + 4096}", "-rss_limit_mb=1024", "-timeout=10", "-report_slow_units=2",
                   "-print_final_stats=1", "-reload=0", *arguments]
        output = subprocess.run(command, env=environment, capture_output=True).stderr.decode(errors="replace")
        log.write(output)
        log.flush()
        executed += sum(map(int, re.findall(r"number_of_executed_units: (\d+)", output)))
        coverage = max([coverage, *map(int, re.findall(r"cov: (\d+)", output))])
        written = re.findall(r"Test unit written to (\S+)", output)
        broken = re.search(r"panicked at ([^\n]+):\n([^\n]{0,100})", output)
        for artifact in map(pathlib.Path, written):
            if artifact.name.startswith(("slow", "timeout")) and is_quick(artifact, environment):
                artifact.unlink(missing_ok=True)
                continue
            findings[f"{broken[1]} {broken[2]}" if broken and artifact.name.startswith("crash") else artifact.name] += 1
        if not written and "DONE" not in output:
            findings[f"it did not run: {output[-500:]}"] += 1
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{format_id}: {seconds} s, {cpu:.0f} s of CPU, {executed} executions, coverage {coverage}, {len(findings)} findings",
          *(f"  {count} x {finding}" for finding, count in findings.items()), sep="\n", flush=True)
    return bool(findings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="of each format")
    parser.add_argument("--no-build", action="store_true", help="use the target as it was built")
    parser.add_argument("formats", nargs="+", metavar="FORMAT")
    known, passed_on = parser.parse_known_args()
    if not known.no_build:
        build = ["cargo", "+nightly", "fuzz", "build", "--sanitizer", "none", "read"]
        subprocess.run(build, cwd=HERE, check=True)
    return max([run(format_id, known.seconds, passed_on) for format_id in known.formats])


if __name__ == "__main__":
    sys.exit(main())
