"""What the benchmarks share: measuring commands in turns, and the table of what was found."""
import os, subprocess, sys, time


def measure(command, timed=False):
    """Wall seconds, CPU seconds and peak MB of a command. One that is `timed` prints its CPU seconds itself."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE if timed else subprocess.DEVNULL, stderr=subprocess.PIPE)
    own = process.stdout.read() if timed else b""
    text = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: exit {process.returncode}: {text.decode(errors='replace')[-400:]}")
    return time.monotonic() - begun, float(own) if timed else usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def table(jobs, rounds):
    """Runs jobs, the commands of each in turns, and prints the least CPU and the highest peak of each. A job is a title, the path of its
    input, our command, and peers: their name, their command, whether it is timed; what is not there is no peer."""
    print("| job | input MB | mediary CPU s | peak MB | peak / input | peer | its CPU s | its peak MB | CPU ratio | memory ratio |")
    print("|---|--:|--:|--:|--:|---|--:|--:|--:|--:|")
    for title, path, own, peers in jobs:
        commands = [("mediary", own, False)] + [peer for peer in peers if peer]
        best = {}
        for _ in range(rounds):
            for who, command, timed in commands:
                _, cpu, peak = measure(command, timed)
                known = best.get(who, (float("inf"), 0))
                best[who] = (min(cpu, known[0]), max(peak, known[1]))
        size = os.path.getsize(path) / 1e6
        cpu, peak = best["mediary"]
        line = f"| {title} | {size:.0f} | {cpu:.3f} | {peak:.0f} | {peak * 1.048576 / size:.2f} "
        if len(commands) == 1:
            print(line + "| | | | | |", flush=True)
        for who, _, _ in commands[1:]:
            other, memory = best[who]
            print(line + f"| {who} | {other:.3f} | {memory:.0f} | {other / cpu:.1f} | {memory / peak:.1f} |", flush=True)
