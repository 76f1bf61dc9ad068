#!/usr/bin/env python3
"""Pictures against the tools people use: CPU seconds, wall seconds and peak memory, as ratios, in one run.

    cargo build --release && cargo build --release -p mediary --example thumbnails
    python3 benches/images.py --bin target/release/mediary --python PYTHON [--pictures FOLDER]

Makes --count (1000) pictures in --folder out of the photographs in --pictures, or of tests/data: crops of 200 to 1600 pixels a side, three
of five as JPEG of quality 80 to 95, the others as PNG. Each is read, turned upright, and written as PNG together with a thumbnail of 256 pixels
by Lanczos: by the example `thumbnails` beside the program, by Pillow at compression level 1 and at its default, and by
pyvips at level 1. A JPEG of 4000 x 3000 pixels is written as PNG by the program, Pillow and `vips`. PYTHON has pillow and pyvips. What is
not there is left out of the table. CPU is user and system time of the smallest of --rounds runs, taken in turns, of the whole process.
"""
import argparse, glob, os, subprocess, sys, tempfile, time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
MAKE = r"""
import glob, os, random, sys
from PIL import Image
folder, count, sources = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
photos = [Image.open(path).convert("RGB") for path in sources]
photos = [photo for photo in photos if min(photo.size) >= 200]
dice = random.Random(7)
for number in range(count):
    photo = dice.choice(photos)
    w, h = (dice.randint(200, min(1600, side)) for side in photo.size)
    x, y = dice.randint(0, photo.width - w), dice.randint(0, photo.height - h)
    crop = photo.crop((x, y, x + w, y + h))
    if number % 5 < 3:
        crop.save(f"{folder}/{number:04}.jpg", quality=dice.randint(80, 95))
    else:
        crop.save(f"{folder}/{number:04}.png")
large = max(photos, key=lambda photo: photo.width * photo.height).resize((4000, 3000), Image.LANCZOS)
large.save(f"{folder}/large-4000x3000.jpeg", quality=90)
"""
PILLOW = r"""
import os, sys
from PIL import Image, ImageOps
out, level = sys.argv[1], int(sys.argv[2])
for path in sys.argv[3:]:
    name = os.path.basename(path)
    image = ImageOps.exif_transpose(Image.open(path))
    image.save(f"{out}/{name}.png", compress_level=level)
    image.thumbnail((256, 256), Image.LANCZOS)
    image.save(f"{out}/{name}.small.png", compress_level=level)
"""
VIPS = r"""
import os, sys, pyvips
out = sys.argv[1]
pyvips.cache_set_max(0)
for path in sys.argv[3:]:
    name = os.path.basename(path)
    image = pyvips.Image.new_from_file(path).autorot()
    image.pngsave(f"{out}/{name}.png", compression=1)
    pyvips.Image.thumbnail(path, 256, height=256, size="down").pngsave(f"{out}/{name}.small.png", compression=1)
"""
LARGE = "import sys; from PIL import Image; Image.open(sys.argv[1]).save(sys.argv[2], compress_level=int(sys.argv[3]))"


def measure(command, env=None):
    """CPU seconds, wall seconds and peak memory in MB of a command; None where it fails."""
    with tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        if status:
            err.seek(0)
            print(f"failed: {command[0]}: {err.read().decode(errors='replace').strip()[-200:]}", file=sys.stderr)
            return None
        return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def best(runs):
    runs = [run for run in runs if run]
    return min(runs) if runs else None


def table(title, results):
    print(f"\n{title}\n| | CPU s | ratio | wall s | peak MB |\n|---|---|---|---|---|")
    ours = results[0][1]
    for name, run in results:
        if run:
            ratio = f"{run[0] / ours[0]:.1f}" if ours else ""
            print(f"| {name} | {run[0]:.2f} | {ratio} | {run[1]:.2f} | {run[2]:.0f} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default=os.path.join(ROOT, "target/release/mediary"))
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--pictures", default=os.path.join(ROOT, "tests/data"))
    p.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "mediary-images"))
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    files = sorted(glob.glob(f"{a.folder}/[0-9]*.*"))
    if len(files) != a.count:
        photos = [path for kind in ("jpg", "jpeg", "png") for path in glob.glob(f"{a.pictures}/**/*.{kind}", recursive=True)]
        photos = sorted(path for path in photos if "malformed" not in path and "cmyk" not in path)
        subprocess.run([a.python, "-c", MAKE, a.folder, str(a.count), *photos], check=True)
        files = sorted(glob.glob(f"{a.folder}/[0-9]*.*"))
    large = f"{a.folder}/large-4000x3000.jpeg"
    example = os.path.join(os.path.dirname(os.path.abspath(a.bin)), "examples", "thumbnails")
    one = {**os.environ, "VIPS_CONCURRENCY": "1"}
    with tempfile.TemporaryDirectory() as out:
        many = [
            ("mediary, 1 thread", [example, out, "1", *files], None),
            ("mediary, 2 threads", [example, out, "2", *files], None),
            ("Pillow, level 1", [a.python, "-c", PILLOW, out, "1", *files], None),
            ("Pillow, default", [a.python, "-c", PILLOW, out, "6", *files], None),
            ("pyvips, level 1", [a.python, "-c", VIPS, out, "1", *files], one),
        ]
        single = [
            ("mediary", [a.bin, "convert", large, f"{out}/a.png", "--force", "-q"], None),
            ("Pillow, default", [a.python, "-c", LARGE, large, f"{out}/b.png", "6"], None),
            ("Pillow, level 1", [a.python, "-c", LARGE, large, f"{out}/b.png", "1"], None),
            ("vips", ["vips", "copy", large, f"{out}/c.png"], one),
        ]
        for title, commands in [(f"{len(files)} pictures to PNG and 256 pixel thumbnail", many), ("JPEG of 4000 x 3000 to PNG", single)]:
            runs = {name: [] for name, *_ in commands}
            for _ in range(a.rounds):
                for name, command, env in commands:
                    try:
                        runs[name].append(measure(command, env))
                    except FileNotFoundError as error:
                        print(f"left out: {error}", file=sys.stderr)
            table(title, [(name, best(runs[name])) for name, *_ in commands])


if __name__ == "__main__":
    main()
