#!/usr/bin/env python3
"""Molecules against the tools people use: CPU seconds and peak memory, as ratios, in one run.

    cargo build --release && cargo build --release -p mediary --example count
    python3 benches/molecules.py --bin target/release/mediary --python PYTHON

Makes the inputs in --folder (110 MB; with --large 3 GB more) from tests/data: crambin, copied next to itself to 98 100 atoms of PDB
and 490 500 of mmCIF and BinaryCIF, 10 000 molecules of the SDF, 289 000 atoms of MMTF. PYTHON has gemmi, rdkit, mmtf-python and biotite;
`obabel` is on the PATH. What is not there is left out of the table. CPU is user and system time of the smallest of --rounds
runs, taken in turns. Peers in Python are timed around the reading alone, without the start of the interpreter and its
imports, where their name does not say otherwise; programs, ours too, as a whole. Of an SDF the program prints 7 MB of JSON and hashes the input, which no
peer does: the example `count`, beside the program, reads alone. Memory is the peak of the whole process.
"""
import argparse, os, shutil, subprocess, sys, tempfile

import common

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data")
MAKE = r"""
import itertools, struct, sys
folder, data, large = sys.argv[1], sys.argv[2], sys.argv[3] == "1"
atoms = []
for line in open(f"{data}/pdb/1crn.pdb"):
    if line.startswith("ATOM"):
        atoms.append((line[12:16], line[17:20], int(line[22:26]), [float(line[i:i + 8]) for i in (30, 38, 46)], line[60:66], line[76:78].strip()))
letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
place = lambda copy: (30 * (copy % 12), 30 * (copy // 12 % 12), 30 * (copy // 144))
with open(f"{folder}/98k.pdb", "w") as out:
    out.write("HEADER    PLANT PROTEIN                           30-APR-81   1CRN\nCRYST1  360.000  360.000  360.000  90.00  90.00  90.00 P 1           1\n")
    serial = 0
    for copy in range(300):
        chain, first = letters[copy % 62], copy // 62 * 50
        for name, residue, number, position, b, element in atoms:
            serial += 1
            x, y, z = (p + q for p, q in zip(position, place(copy)))
            out.write(f"ATOM  {serial:5} {name} {residue} {chain}{first + number:4}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00{b}          {element:>2}  \n")
    out.write("END\n")
ITEMS = ("group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id pdbx_PDB_ins_code Cartn_x "
         "Cartn_y Cartn_z occupancy B_iso_or_equiv pdbx_formal_charge auth_seq_id auth_comp_id auth_asym_id auth_atom_id pdbx_PDB_model_num").split()
def mmcif(path, copies):
    with open(path, "w") as out:
        out.write("data_1CRN\n#\n_entry.id 1CRN\n#\nloop_\n" + "".join(f"_atom_site.{item} \n" for item in ITEMS))
        serial = 0
        names = map("".join, itertools.chain.from_iterable(itertools.product(letters[:26], repeat=n) for n in (1, 2, 3, 4)))
        for copy, chain in zip(range(copies), names):
            rows = []
            for name, residue, number, position, b, element in atoms:
                serial += 1
                x, y, z = (p + q for p, q in zip(position, place(copy)))
                name = name.strip()
                rows.append(f"ATOM   {serial:<7} {element:<2} {name:<4} . {residue} {chain:<4} 1 {number:<3} ? {x:<9.3f} {y:<9.3f} {z:<9.3f} 1.00 "
                            f"{b.strip():<6} ? {number:<4} {residue} {chain:<4} {name:<4} 1 \n")
            out.write("".join(rows))
        out.write("#\n")
mmcif(f"{folder}/490k.cif", 1500)
try:
    import biotite.structure.io.pdbx as pdbx
    text = pdbx.CIFFile.read(f"{folder}/490k.cif").block["atom_site"]
    columns = {}
    for name in text:
        column = text[name]
        kind = int if name in ("id", "label_seq_id", "auth_seq_id", "pdbx_PDB_model_num") else float if name.startswith("Cartn") or name in ("occupancy", "B_iso_or_equiv") else str
        mask = None if column.mask is None else pdbx.BinaryCIFData(column.mask.array)
        columns[name] = pdbx.BinaryCIFColumn(pdbx.BinaryCIFData(column.as_array(kind)), mask)
    block = pdbx.BinaryCIFBlock({"atom_site": pdbx.BinaryCIFCategory(columns)})
    file = pdbx.BinaryCIFFile({"1CRN": block})
    pdbx.compress(file).write(f"{folder}/490k.bcif")
except ImportError:
    pass
records = [record + "$$$$\n" for record in open(f"{data}/sdf/NCI_aids_few.sdf").read().split("$$$$\n") if record.strip()]
def sdf(path, count, size):
    with open(path, "w") as out:
        written = 0
        for record in itertools.islice(itertools.cycle(records), count):
            written += out.write(record)
            if size and written > size:
                break
sdf(f"{folder}/10k.sdf", 10_000, 0)
try:
    import msgpack
    entry = msgpack.unpackb(open(f"{data}/mmtf/3NJW.mmtf", "rb").read())
    copies = 1710
    def differences(values):
        return [b - a for a, b in zip([0] + values, values)]
    def times(column):
        # Of the codecs in the entry, 8 and 10 hold differences; in the others a copy is packed as the first is.
        codec, length, parameter = struct.unpack(">iii", column[:12])
        body = column[12:] * copies
        if codec == 10:
            values, sum = [], 0
            for word in struct.unpack(f">{len(column) // 2 - 6}h", column[12:]):
                sum += word
                if -32768 < word < 32767:
                    values.append(sum)
            words = []
            for value in differences(values * copies):
                while not -32768 < value < 32767:
                    words.append(32767 if value > 0 else -32768)
                    value -= words[-1]
                words.append(value)
            body = struct.pack(f">{len(words)}h", *words)
        elif codec == 8:
            values = list(itertools.accumulate(value for value, run in struct.iter_unpack(">ii", column[12:]) for _ in range(run)))
            runs = [(value, len(list(run))) for value, run in itertools.groupby(differences(values * copies))]
            body = b"".join(struct.pack(">ii", *run) for run in runs)
        return struct.pack(">iii", codec, length * copies, parameter) + body
    count = entry["numAtoms"]
    for name, value in list(entry.items()):
        if isinstance(value, bytes) and name != "bondAtomList":
            entry[name] = times(value)
    pairs = struct.unpack(f">{len(entry['bondAtomList']) // 4 - 3}i", entry["bondAtomList"][12:])
    every = [atom + copy * count for copy in range(copies) for atom in pairs]
    entry["bondAtomList"] = struct.pack(">iii", 4, len(every), 0) + struct.pack(f">{len(every)}i", *every)
    entry["groupsPerChain"] *= copies
    entry["chainsPerModel"] = [entry["chainsPerModel"][0] * copies]
    entry["entityList"], entry["bioAssemblyList"] = [], []
    for name in "numAtoms", "numGroups", "numChains", "numBonds":
        entry[name] *= copies
    open(f"{folder}/289k.mmtf", "wb").write(msgpack.packb(entry, use_single_float=True))
except ImportError:
    pass
if large:
    sdf(f"{folder}/large.sdf", 10**9, 2_000_000_000)
    mmcif(f"{folder}/large.cif", 30_000)
open(f"{folder}/made-{int(large)}", "w")
"""
# Each prints the CPU seconds of reading alone.
TIMED = "import sys, time\n{imports}\nstart = time.process_time()\n{read}\nprint(time.process_time() - start)"
GEMMI = ("import gemmi", "it = gemmi.read_structure(sys.argv[1]); assert it[0].count_atom_sites() > 0")
RDKIT = ("from rdkit import Chem, RDLogger; RDLogger.DisableLog('rdApp.*')",
         "assert sum(1 for it in Chem.SDMolSupplier(sys.argv[1], sanitize=False, removeHs=False) if it is not None) > 0")
MMTF = ("import mmtf", "assert mmtf.parse(sys.argv[1]).num_atoms > 0")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True, help="the program")
    p.add_argument("--python", help="a python with the peers")
    p.add_argument("--folder", help="keeps the inputs; default: a temporary folder")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--large", action="store_true", help="a 2 GB SDF and a 1 GB mmCIF too, for their peak memory")
    args = p.parse_args()
    folder = args.folder or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    python = args.python or sys.executable
    if not os.path.exists(f"{folder}/made-{int(args.large)}"):
        subprocess.run([python, "-c", MAKE, folder, DATA, str(int(args.large))], check=True)
    has = lambda module: subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode == 0
    knows = lambda format: subprocess.run([args.bin, "formats", format], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    peer = lambda who, module, name, code: has(module) and (who, [python, "-c", TIMED.format(imports=code[0], read=code[1]), f"{folder}/{name}"], True)
    whole = lambda who, module, name, code: has(module) and (who, [python, "-c", f"import sys\n{code[0]}\n{code[1]}", f"{folder}/{name}"], False)
    # A header of these formats is a whole read; of an SDF every record is read, hashed and told.
    info = lambda name, *more: [args.bin, "info", "--json", *more, f"{folder}/{name}"]
    obabel = shutil.which("obabel")
    jobs = [("PDB, 98 100 atoms", "98k.pdb", info("98k.pdb"), [peer("gemmi", "gemmi", "98k.pdb", GEMMI)]),
            ("mmCIF, 490 500 atoms", "490k.cif", info("490k.cif"), [peer("gemmi", "gemmi", "490k.cif", GEMMI)])]
    if knows("bcif") and os.path.exists(f"{folder}/490k.bcif"):
        jobs.append(("BinaryCIF, 490 500 atoms", "490k.bcif", info("490k.bcif"), [("our mmCIF", info("490k.cif"), False)]))
    count = os.path.join(os.path.dirname(args.bin), "examples", "count")
    sdf = lambda name: [count, f"{folder}/{name}"] if os.path.exists(count) else info(name, "--full")
    jobs.append(("SDF, 10 000 molecules", "10k.sdf", sdf("10k.sdf"),
                 [peer("RDKit, not sanitised", "rdkit", "10k.sdf", RDKIT),
                  obabel and ("Open Babel", [obabel, f"{folder}/10k.sdf", "-onul"], False),
                  ("our info --full --json", info("10k.sdf", "--full"), False)]))
    if os.path.exists(f"{folder}/289k.mmtf"):
        jobs.append(("MMTF, 288 990 atoms", "289k.mmtf", info("289k.mmtf"), [peer("mmtf-python", "mmtf", "289k.mmtf", MMTF), whole("mmtf-python, its whole process", "mmtf", "289k.mmtf", MMTF)]))
    if args.large:
        jobs = [("SDF, 2 GB", "large.sdf", sdf("large.sdf"), []),
                ("mmCIF, 1 GB", "large.cif", info("large.cif", "--limit", "alloc_bytes=8000000000"), [])]
    common.table([(title, f"{folder}/{name}", own, peers) for title, name, own, peers in jobs], args.rounds)
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
