#!/usr/bin/env python3
"""Counts of atoms and models in real files, held against gemmi.

    PYTHON benches/molecules_real.py --bin target/release/mediary --folder FOLDER

FOLDER holds any tree of .pdb, .ent, .cif, .mmcif files, packed by gzip or not: clones of gemmi, biopython, MDAnalysis, biotite, openbabel, rdkit, molstar,
chemfiles/tests-data and pdbtbx have 317 in which gemmi finds atoms. PYTHON has gemmi. Compared are the atoms of the first model and the number of models of
the file; of a small-molecule CIF the sites of the first block with any, and the blocks with sites. Every file that differs is printed; exit 1 below 99 %.
"""
import argparse, json, pathlib, re, subprocess, sys

import gemmi


def counted_by_gemmi(path):
    """Atoms of the first model, models; None without atoms or where gemmi refuses the file."""
    try:
        structure = gemmi.read_structure(str(path))
        if len(structure) and structure[0].count_atom_sites():
            return structure[0].count_atom_sites(), len(structure)
    except (RuntimeError, ValueError):
        pass
    if ".cif" not in path.name:
        return None
    try:
        blocks = [gemmi.make_small_structure_from_block(block) for block in gemmi.cif.read(str(path))]
    except (RuntimeError, ValueError):
        return None
    sites = [len(block.sites) for block in blocks if len(block.sites)]
    return (sites[0], len(sites)) if sites else None


def counted_by_us(program, path):
    done = subprocess.run([program, "info", "--json", "--full", path], capture_output=True, text=True)
    if "panicked" in done.stderr or done.returncode < 0:
        return "a crash"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    facts = [line["facts"] for line in lines if "facts" in line]
    if not facts:
        return next((line["message"] for line in lines if "message" in line), done.stderr.strip()[:200])
    return facts[0]["atoms"], sum(fact["models"] for fact in facts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default="target/release/mediary")
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    known = parser.parse_args()
    names = re.compile(r"\.(pdb|ent|cif|mmcif)(\.gz)?$", re.I)
    files = sorted(path for path in known.folder.rglob("*") if path.is_file() and names.search(path.name))
    compared = differing = 0
    for path in files:
        wanted = counted_by_gemmi(path)
        if wanted is None:
            continue
        found = counted_by_us(known.bin, path)
        compared += 1
        if found != wanted:
            differing += 1
            print(f"{path.relative_to(known.folder)}: gemmi {wanted}, here {found}")
    print(f"{compared - differing} of {compared} files agree")
    return int(compared == 0 or differing > compared / 100)


if __name__ == "__main__":
    sys.exit(main())
