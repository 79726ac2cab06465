"""Figures, by programs with a known consumption: the corpus, and what version 2 counts beside it."""

import os
import re
import shutil
import sys

from programs import OWN, READ, in_the_guest
from runs import MIB, SOURCE, Run
from table import report

sys.path.append(f"{SOURCE}/script")
import corpus

CORPUS = f"{SOURCE}/tests/corpus"
# The time limits are for a machine that is not emulated; nothing else of the profiles is changed.
MORE_TIME = """
profiles:
  fast: { timeout: 5m, cpu-time: 5m }
  slow: { timeout: 5m, cpu-time: 5m }
"""
# The end of a test's shell, which comes after its last word, costs as much in an emulated machine.
END_US = 40_000
DAEMON_US = 500_000
PERIOD_US = 100_000
COLUMNS = {"cpu": "cpu_us", "cpu-user": "cpu_user_us", "cpu-system": "cpu_system_us"}
# A test that ends as soon as this may not have been looked at by whoever looks from time to time.
SOON_US = 60_000
SAMPLED = {"memory_anon_bytes", "memory_file_bytes", "pids_peak"}
# What is absent where nothing counts it.
COUNTED = [
    "throttled_us", "throttled_periods", "memory_start_bytes", "memory_peak_bound_bytes", "memory_anon_bytes",
    "memory_file_bytes", "oom_kills", "pids_limit_hits", "io_read_bytes", "io_write_bytes", "cpu_pressure_us",
    "memory_pressure_us", "io_pressure_us",
]  # fmt: skip


def measure(place):
    project = f"{place.folder}/measure"
    shutil.copytree(CORPUS, project)
    with open(f"{project}/docker-test.yaml", "a", encoding="utf-8") as file:
        file.write(MORE_TIME)
    for name in os.listdir(f"{project}/test"):
        with open(f"{CORPUS}/test/{name}", encoding="utf-8") as file:
            script = in_the_guest(file.read())
        name = name.removesuffix(corpus.SUFFIX)
        for name in [name, *again(name)]:
            write(project, name, script)
    for name, script in OWN.items():
        write(project, name, script)
    place.own(place.folder)
    # Pages that are there already are read by nobody, and are somebody else's.
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("1\n")

    run = Run(place, project, "--image", "host")
    run.attested()
    run.measured()
    what = f"{place.name}: programs with a known consumption"
    passed = [name for name, event in run.attempts.items() if event["outcome"] == "pass"]
    run.expect("passed", sorted(os.listdir(f"{project}/test")), sorted(passed))
    if run.wrong:
        run.report(what)
        return
    tests = {name: Test(place, run, name) for name in sorted(run.attempts)}
    for test in tests.values():
        test.counted()
    run.report(what)
    if run.wrong:
        return
    for name, figure, amount in corpus.asked(f"{CORPUS}/test"):
        test, *others = [tests[one + corpus.SUFFIX] for one in [name, *again(name)]]
        test.wrong, test.note = [], ""
        if figure.startswith("cpu"):
            test = test.nearest(others, figure)
            test.cpu(figure, int(amount))
        else:
            test.figure(figure, amount)
        _, asked, *found = corpus.row(name, figure, amount, test.event)
        report(f"  {name}: {asked}", test.wrong, " ".join([*found, test.note]))
    if place.given:
        parts(place, tests)
        for name in VERSION_2:
            test = tests[name + corpus.SUFFIX]
            test.wrong = []
            VERSION_2[name](test)
            report(f"  {name}", test.wrong, test.note)


def parts(place, tests):
    """Anonymous memory, the supervisor's among it, of what is held: near in all but one, and never too much. Where the
    machine below stands still in a look, the next one keeps away for longer than anything is held."""
    held = [(name, int(amount)) for name, figure, amount in corpus.asked(f"{CORPUS}/test") if figure == "memory"]
    wrong, near, notes = [], 0, []
    for name, asked in held:
        anon = tests[name + corpus.SUFFIX].row["memory_anon_bytes"]
        slack = max(asked * 0.05, 4 * MIB)
        near += abs(anon - asked) <= slack
        if anon > asked + slack:
            wrong.append(f"{name}: memory_anon_bytes is {anon}")
        notes.append(f"{anon / MIB:.1f} of {asked // MIB} MiB")
    if near < len(held) - 1:
        wrong.append(f"{near} of {len(held)} are near")
    report("  memory_anon_bytes", wrong, ", ".join(notes))


def again(name):
    """A program that burns is run three times: where the machine below stands still for a moment, its time is that of
    whoever was running."""
    return [f"{name}_{number}" for number in (2, 3)] if name.startswith("cpu") else []


def write(project, name, script):
    with open(f"{project}/test/{name}{corpus.SUFFIX}", "w", encoding="utf-8") as file:
        file.write(script)


class Test:
    """What one program was found to use, and what is wrong with that."""

    def __init__(self, place, run, name):
        self.place, self.run, self.name = place, run, name
        self.event, self.row = run.attempts[name], run.rows[name]
        self.files = run.attempts["files" + corpus.SUFFIX]["stdout"]["head"].split()
        self.wrong, self.note = run.wrong, ""

    def holds(self, what, condition):
        if not condition:
            self.wrong.append(what)

    def near(self, column, asked, *, share=0.0, slack=0):
        """A figure is as asked for, within a share of that or an amount, whichever is more."""
        found = self.row[column]
        fits = found is not None and abs(found - asked) <= max(asked * share, slack)
        self.holds(f"{column} is {found}, not {asked}", fits)

    def counted(self):
        """Every counter that the container has was read, and nothing else was."""
        row = self.row
        if not self.place.given:
            for column in COUNTED:
                self.holds(f"{self.name}: {column} is {row[column]}", row[column] is None)
            return
        there = {
            "throttled_periods": "cpu.max", "memory_peak_bytes": "memory.peak", "memory_anon_bytes": "memory.stat",
            "memory_file_bytes": "memory.stat", "pids_peak": "pids.peak", "io_read_bytes": "io.stat",
            "io_write_bytes": "io.stat", "cpu_pressure_us": "cpu.pressure", "memory_pressure_us": "memory.pressure",
            "io_pressure_us": "io.pressure",
        }  # fmt: skip
        for column, file in there.items():
            what = f"{self.name}: {column} is {row[column]}, with{'' if file in self.files else 'out'} a {file}"
            found = row[column] is not None
            if row["wall_us"] < SOON_US and column in SAMPLED and not found:
                continue
            self.holds(what, found == (file in self.files))
        for what in ("cpu", "memory", "io"):
            # Rounding, and what came to pass before the supervisor had its turn.
            most = row["wall_us"] + row["cpu_us"] + END_US
            self.holds(f"{self.name}: {what} pressure is {row[f'{what}_pressure_us']}",
                       (row[f"{what}_pressure_us"] or 0) <= most)  # fmt: skip

    def figure(self, figure, amount):
        if figure == "leak":
            self.holds(f"leaks are {self.row['leaks']}", amount in self.row["leaks"])
            return
        asked = int(amount)
        if figure in ("memory", "memory-spike"):
            self.memory(asked)
        elif figure == "memory-file":
            if self.place.given:
                # The programs are page cache too, where nobody has read them before.
                self.near("memory_file_bytes", asked, share=0.05, slack=2 * MIB)
        else:
            column = {"open-files": "open_files_max", "threads": "threads_max", "processes": "pids_peak"}
            self.near(column.get(figure, "tmpfs_left_bytes"), asked)

    def told(self, figure):
        """What the test's own shell was told in the end, in microseconds."""
        words = re.findall(r"(\d+)m([\d.]+)s", self.event["stdout"]["head"])
        times = [(int(minutes) * 60 + float(seconds)) * 1e6 for minutes, seconds in words]
        user, system = times[0] + times[2], times[1] + times[3]
        if "daemon" in self.name:
            # Nobody in the test has waited for it.
            user += DAEMON_US
        return {"cpu": user + system, "cpu-user": user, "cpu-system": system}[figure]

    def nearest(self, others, figure):
        """Of this and others the one whose figure is nearest to what its shell was told."""
        tests = [self, *others]
        more = [test.row[COLUMNS[figure]] - test.told(figure) for test in tests]
        nearest = tests[more.index(min(more, key=abs))]
        nearest.note = f"(its shell: {nearest.told(figure) / 1000:.1f} ms; more than that, each time: "
        nearest.note += ", ".join(f"{us / 1000:.1f}" for us in more) + " ms)"
        nearest.wrong = []
        return nearest

    def cpu(self, figure, asked):
        """The amount that was asked for is in it, and all of it is what the test's own shell was told."""
        column = COLUMNS[figure]
        # Parts are told apart by the kernel's ticks.
        share = 0.05 if figure == "cpu" else 0.15
        self.near(column, self.told(figure), share=share, slack=END_US)
        at_least = asked if figure == "cpu" else asked * (1 - share)
        self.holds(f"{column} is {self.row[column]}, less than {asked}", (self.row[column] or 0) >= at_least)
        source = "cgroup" if self.place.given else "rusage"
        self.holds(f"its source is {self.row['cpu_source']}", self.row["cpu_source"] == source)
        parts = (self.row["cpu_user_us"], self.row["cpu_system_us"])
        self.holds(f"{parts} are not {self.row['cpu_us']}", sum(part or 0 for part in parts) == self.row["cpu_us"])

    def memory(self, asked):
        peak, source, start, bound = (
            self.row[f"memory_{what}"] for what in ("peak_bytes", "peak_source", "start_bytes", "peak_bound_bytes")
        )
        slack = max(asked * 0.05, 2 * MIB)
        if not self.place.given:
            # Seldom looked at, and only the processes' own: never more than there was.
            fits = (peak, source) == (None, None) or (source == "sampled" and peak <= asked + slack + 2 * MIB)
            self.holds(f"memory is {peak}, {source}", fits)
            return
        self.holds(f"from {start} up to {peak}", source == "sampled" or abs(peak - start - asked) <= slack)
        if source == "sampled":
            self.holds(f"sampled {peak}, at most {bound}", peak <= bound and bound - start >= asked * 0.95)

    def throttled(self):
        self.note = self.figures("wall_us", "cpu_us", "throttled_periods", "throttled_us", "cpu_pressure_us")
        self.holds(f"cpu_us is {self.row['cpu_us']}", self.row["cpu_us"] >= 2_000_000)
        periods = self.row["wall_us"] / PERIOD_US
        found = self.row["throttled_periods"]
        self.holds(f"{found} of {periods:.0f} periods", 0.5 * periods <= found <= periods + 2)
        for column in ("throttled_us", "cpu_pressure_us"):
            self.holds(f"{column} is {self.row[column]}", self.row[column] > self.row["wall_us"] / 10)

    def alone(self):
        """At least once: a processor that stands still for a moment gives all of that to whoever was running."""
        names = [one + corpus.SUFFIX for one in ["cpu_1s", *again("cpu_1s")]]
        self.row = min((self.run.rows[name] for name in names), key=lambda row: row["throttled_periods"])
        self.note = self.figures("wall_us", "throttled_periods", "throttled_us", "cpu_pressure_us")
        found = self.row["throttled_periods"], self.row["throttled_us"]
        self.holds(f"it was throttled: {found}", found == (0, 0))

    def direct(self):
        self.note = self.figures("io_read_bytes", "io_write_bytes", "io_pressure_us")
        if "io.stat" in self.files:
            read = self.row["io_read_bytes"]
            # What the program itself is made of comes from there too.
            self.holds(f"{read} bytes were read", READ * MIB <= read <= (READ + 6) * MIB)
            self.holds(f"{self.row['io_write_bytes']} bytes were written", self.row["io_write_bytes"] == 0)
            self.holds("nobody waited", self.row["io_pressure_us"] > 0)

    def reclaim(self):
        self.note = self.figures("memory_peak_bytes", "memory_file_bytes", "memory_pressure_us", "io_read_bytes")
        peak, file = self.row["memory_peak_bytes"], self.row["memory_file_bytes"]
        self.holds(f"the peak is {peak}", 126 * MIB <= peak <= 128 * MIB)
        self.holds(f"the page cache is {file}", 64 * MIB <= file <= 128 * MIB)
        self.holds("nobody waited for memory", self.row["memory_pressure_us"] > 0)
        self.holds(f"{self.row['oom_kills']} kills", self.row["oom_kills"] == 0)

    def figures(self, *columns):
        return ", ".join(f"{column} {self.row[column]}" for column in columns)


VERSION_2 = {"throttled": Test.throttled, "cpu_1s": Test.alone, "direct": Test.direct, "reclaim": Test.reclaim}
