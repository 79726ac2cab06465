"""Puts a made-up run into a results database that docker-test made: many tests, hostile names, samples."""

import json
import random
import sqlite3

RUN = "feed5eed00000001"
OUTPUT_BYTES = 200_000

# Names that would run, break or disguise something where they are not only text.
HOSTILE_NAMES = [
    "test/</script><script>window.hacked=1</script>_test.sh",
    "test/<img src=x onerror=window.hacked=1>_test.sh",
    "test/\u2028\u2029_line_separators_test.sh",
    "test/\"quotes'`&amp;\\_test.sh",
    "test/\x1b[31mred\x1b[2J\x07_test.sh",
    "test/\u202egnp.exe_rtl_override_test.sh",
    "test/\u05e9\u05dc\u05d5\u05dd_\u0645\u0631\u062d\u0628\u0627_test.sh",
    "test/" + "long_" * 818 + "_test.sh",
    b"test/not\xff\xfeutf8_test.sh",
    "test/<!--<script>_test.sh",
    "__proto__",
    "constructor",
    "test/{{ 7 * 7 }}${7*7}_test.sh",
    "test/e" + "\u0301" * 200 + "_test.sh",
    "test/new\nline\ttab_test.sh",
    "test/100%25&a=b#test=c_test.sh",
]

HOSTILE_OUTPUT = (
    b"</script><script>window.hacked=1</script>\n\x1b[31mred\x1b[0m \x1b]0;title\x07 \xff\xfe\n"
    b"\xe2\x80\xa8 \xe2\x80\xae rtl <img src=x onerror=window.hacked=1>\n"
)

PROFILES = {
    "fast": (1.0, 128 << 20, 2, 1, 100, 64),
    "standard": (2.0, 512 << 20, 10, 5, 500, 128),
    "slow": (2.0, 1 << 30, 60, 30, 1000, 256),
}

LIMITS = [
    ("memory", "enforced", "512 MiB"), ("swap", "enforced", "none"), ("cpus", "clamped", "2 of 4"),
    ("pids", "enforced", "128"), ("open-files", "enforced", "500"), ("seccomp", "unenforced", "off"),
]


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(samples):
    """As doc/database.md describes: column after column, zigzag-coded differences."""
    out = bytearray()
    for column in zip(*samples):
        before = 0
        for value in column:
            if value is None:
                out += varint(0)
                continue
            difference = value - before
            out += varint((difference << 1 ^ difference >> 63) + 1)
            before = value
    return bytes(out)


def series(chance, wall_us, peak):
    """Samples of (time, CPU time, memory, processes, threads, open files, PSS)."""
    count = min(max(wall_us // 10_000, 1), 1500)
    cpu, memory, samples = 0, peak // 4, []
    for at in range(1, count + 1):
        time = wall_us * at // count
        cpu += int(wall_us / count * chance.uniform(0.1, 1.6))
        memory = min(peak, max(1 << 20, memory + int(chance.uniform(-0.05, 0.09) * peak)))
        if at == count // 2:
            memory = peak
        files = 5 + at * 40 // count + chance.randrange(3)
        samples.append((time, cpu, memory, 1 + at % 3, 1 + at % 5, files, memory * 9 // 10))
    return samples


def names(count):
    areas = ["auth", "billing", "parser", "net", "storage", "search", "ui", "jobs"]
    usual = [f"test/{areas[at % 8]}/case_{at:05}_test.sh" for at in range(count - len(HOSTILE_NAMES))]
    return usual[:50] + HOSTILE_NAMES + usual[50:]


def outcome(chance, at):
    if at % 97 == 3:
        return ("fail", "exit(1)", "exit(1)")
    if at % 331 == 5:
        return ("timeout", "wall", None)
    if at % 501 == 7:
        return ("oom", None, "SIGKILL")
    if at % 777 == 9:
        return ("crash", "SIGSEGV", "SIGSEGV")
    if at % 61 == 11:
        return ("skip", None, "exit(77)")
    return ("pass", None, "exit(0)")


def put(connection, table, **values):
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))


def put_run(connection, run, started, tests, workers, wall_us, status):
    limits = {
        name: {
            "cpus": cpus, "memory_bytes": memory, "wall": {"secs": wall, "nanos": 0},
            "cpu_time": {"secs": cpu, "nanos": 0}, "open_files": files, "pids": pids, "tmpfs_bytes": 100 << 20,
            "tmpfs_exec": False, "nice": 0, "output_bytes": 64 << 20,
        }
        for name, (cpus, memory, wall, cpu, files, pids) in PROFILES.items()
    }
    put(connection, "runs", run=run, started_unix_us=started, wall_us=wall_us, version="0.1.0", engine="docker",
        engine_version="20.10.24", host="builder", project="/home/dev/project", images=json.dumps(["isolation"]),
        workers=workers, planned=tests, exit_status=status, level="standard", network="none", allow_weaker=0,
        machine="8 processors, 16 GiB, Linux 6.1, docker", profiles=json.dumps(limits))


def put_attempt(connection, chance, run, key, at, clocks, started, measured=True):
    worker = min(range(len(clocks)), key=clocks.__getitem__)
    profile = ("fast", "standard", "standard", "slow")[at % 4]
    kind, reason, termination = outcome(chance, at)
    wall = int(chance.lognormvariate(10.2, 1.1)) + 800
    if kind == "timeout":
        wall = PROFILES[profile][2] * 1_000_000
    peak = int(chance.lognormvariate(16.3, 0.6)) + (1 << 20)
    if kind == "oom":
        peak = PROFILES[profile][1]
    samples = series(chance, wall, peak) if measured else []
    bad = kind not in ("pass", "skip")
    text = (HOSTILE_OUTPUT + b"line of output\n" * (OUTPUT_BYTES // 15 if at % 97 == 3 and at < 900 else 3)) if bad else b""
    leak = at % 401 == 2
    put(connection, "attempts", run=run, test=key, attempt=1, superseded=0, outcome=kind, reason=reason,
        termination=termination, stopped="wall" if kind == "timeout" else None, escalated=0, profile=profile,
        image="isolation", worker=worker + 1, sequence=1, started_unix_us=started + clocks[worker], wall_us=wall,
        cpu_us=wall * 7 // 10, cpu_user_us=wall // 2, cpu_system_us=wall // 5, cpu_source="cgroup", throttled_us=0,
        memory_start_bytes=3 << 20, memory_peak_bytes=peak, memory_peak_source="cgroup", oom_kills=int(kind == "oom"),
        pids_peak=5, pids_peak_source="sampled", reset_ns=400_000, stdout_bytes=len(text), stderr_bytes=0,
        leaks=json.dumps([{"kind": "process", "name": "sleep </script>"}]) if leak else None,
        samples=len(samples) or None, memory_samples=len(samples) or None, memory_max_bytes=float(peak),
        memory_avg_bytes=float(peak) / 2, open_files_samples=len(samples) or None, open_files_max=45.0, open_files_avg=20.0)
    clocks[worker] += wall + 500
    if samples:
        put(connection, "series", run=run, test=key, attempt=1, samples=len(samples), data=encode(samples))
    if text:
        put(connection, "outputs", run=run, test=key, attempt=1, stream="stdout", head=text, dropped_bytes=0, tail=b"")
    found = []
    if leak:
        found.append(("leaked-process", "warning", None, 1.0, "count", "process sleep </script> outlived the test"))
    if kind == "oom":
        found.append(("oom-kill", "error", float(peak), float(peak), "count", "the kernel killed a process for want of memory"))
    if kind == "timeout":
        found.append(("wall", "error", float(wall), float(wall), "us", "the wall-clock limit ended it"))
    if at % 29 == 1:
        found.append(("open-file-growth", "info", None, 45.0, "count", "open files rose from 8 to 45"))
    for position, (word, severity, threshold, actual, unit, message) in enumerate(found, 1):
        put(connection, "violations", run=run, test=key, attempt=1, position=position, kind=word, severity=severity,
            threshold=threshold, actual=actual, unit=unit, message=message)


def fill(path, tests, earlier, workers=8):
    """A run of so many tests and some earlier ones of the same; the names as they were stored."""
    chance = random.Random(5)
    connection = sqlite3.connect(path)
    every = names(tests)
    keys = [connection.execute("INSERT INTO tests (id) VALUES (?)", [name]).lastrowid for name in every]
    day = 86_400_000_000
    start = 1_900_000_000_000_000
    runs = [(f"feed5eed1{at:07x}", start - (earlier - at) * day, False) for at in range(earlier)] + [(RUN, start, True)]
    for run, started, measured in runs:
        put_run(connection, run, started, tests, workers, 0, 1)
        clocks = [0] * workers
        for worker in range(1, workers + 1):
            put(connection, "workers", run=run, worker=worker, profile="standard", image="isolation", start_us=301_000,
                limits=json.dumps([{"limit": limit, "state": state, "found": found} for limit, state, found in LIMITS]),
                tests=tests // workers, problem="it died </script>" if worker == 3 else None)
        for at, key in enumerate(keys):
            put_attempt(connection, chance, run, key, at, clocks, started, measured)
        connection.execute("UPDATE runs SET wall_us = ? WHERE run = ?", [max(clocks), run])
    connection.commit()
    connection.close()
    return every
