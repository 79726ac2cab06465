"""One run of docker-test, and everything that its events and its record have to say."""

import json
import os
import sqlite3
import subprocess
import time

from places import OF_A_CGROUP
from table import report

SOURCE = "/project"
PROGRAM = f"{SOURCE}/docker-test"
CPUS = len(os.sched_getaffinity(0))
MIB = 1 << 20
# cpus, memory, pids and open files, as the profiles have them.
PROFILES = {
    "fast": (1, 128 * MIB, 64, 100),
    "standard": (2, 512 * MIB, 128, 500),
    "slow": (2, 1024 * MIB, 256, 1000),
    "small": (1, 64 * MIB, 32, 500),
}
LIMITS = {
    "memory", "swap", "cpus", "pids", "open-files", "user", "capabilities", "no-new-privileges",
    "seccomp", "read-only-root", "read-only-mounts", "network", "pid-namespace",
}  # fmt: skip


class Run:
    """A finished run: its events, its record, and what is wrong with it so far."""

    def __init__(self, place, project, *arguments, status=0):
        self.place = place
        start = time.monotonic()
        argv = [PROGRAM, "run", "--engine", place.engine, "--message-format", "json", *arguments]
        done = subprocess.run(place.argv(*argv), cwd=project, capture_output=True, check=False)
        self.seconds = time.monotonic() - start
        self.events = [json.loads(line) for line in done.stdout.splitlines()]
        self.attempts = {
            os.path.basename(event["test"]): event
            for event in self.of("attempt-finished")
            if not event["superseded"]
        }
        self.workers = self.of("worker-started")
        self.wrong = []
        self.expect("exit status", status, done.returncode)
        if done.returncode != status:
            self.wrong += done.stderr.decode(errors="replace").splitlines()[-10:]
        self.wrong += [f"{what} is left" for what in place.left()]
        for worker in self.of("worker-ended"):
            self.expect(f"worker {worker['worker']}'s problem", None, worker["problem"])
        if self.of("run-started"):
            self.record(f"{project}/test-results/docker-test.db")
        else:
            self.wrong.append("it never started")

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def expect(self, what, wanted, found):
        if wanted != found:
            self.wrong.append(f"{what}: {found!r}, not {wanted!r}")

    def holds(self, what, condition):
        if not condition:
            self.wrong.append(what)

    def record(self, path):
        """What is on disk is what was told."""
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        run = self.of("run-started")[0]["run"]
        self.rows = {
            os.path.basename(row["id"]): row
            for row in database.execute(
                "SELECT id, a.* FROM attempts a JOIN tests USING (test)"
                " WHERE run = ? AND NOT superseded",
                [run],
            )
        }
        self.recorded = {
            row["worker"]: (json.loads(row["attestation"]), json.loads(row["limits"]))
            for row in database.execute("SELECT * FROM workers WHERE run = ?", [run])
        }
        told = {event["worker"]: (event["attestation"], event["limits"]) for event in self.workers}
        self.expect("recorded workers", told, self.recorded)
        self.expect(
            "recorded outcomes",
            {name: (event["outcome"], event["reason"]) for name, event in self.attempts.items()},
            {name: (row["outcome"], row["reason"]) for name, row in self.rows.items()},
        )

    def attested(self, clamped=()):
        """Every limit of every worker holds, in its own words and as the profile has it; without a
        cgroup those of a cgroup do not, and the worker says so."""
        missing = set() if self.place.given else OF_A_CGROUP
        self.holds("there is no worker", self.workers)
        for event in self.workers:
            attestation, limits = self.recorded[event["worker"]]
            states = {limit["limit"]: limit["state"] for limit in limits}
            self.expect("limits", sorted(LIMITS), sorted(states))
            for limit, state in states.items():
                wanted = "clamped" if limit in clamped else "enforced"
                wanted = "unenforced" if limit in missing else wanted
                self.expect(f"{event['profile']}: limit {limit}", wanted, state)
            found = {key: attestation[key] for key in ("cgroup_version", "swap_bytes", "interfaces")}
            version, swap = (2, 0) if self.place.given else (None, None)
            wanted = {"cgroup_version": version, "swap_bytes": swap, "interfaces": []}
            self.expect("attested", wanted, found)
            if event["profile"] in PROFILES:
                self.figures(event["profile"], attestation)

    def figures(self, profile, attestation):
        cpus, memory, pids, files = PROFILES[profile]
        wanted = {"cpus": min(cpus, CPUS), "memory_bytes": memory}
        if not self.place.given:
            wanted = dict.fromkeys(wanted)
        wanted |= {"pids": pids, "open_files": files}
        self.expect(profile, wanted, {key: attestation[key] for key in wanted})

    def measured(self):
        """The counters of cgroup v2 were read, and are in the record; without a cgroup what was not
        measured is absent."""
        for name, row in self.rows.items():
            if not self.place.given:
                self.holds(f"{name}: cpu_source is cgroup", row["cpu_source"] != "cgroup")
                for column in ("oom_kills", "pids_limit_hits", "memory_peak_bound_bytes"):
                    self.expect(f"{name}: {column}", None, row[column])
                continue
            self.expect(f"{name}: cpu_source", "cgroup", row["cpu_source"])
            sampled = row["memory_peak_source"] == "sampled"
            self.expect(f"{name}: memory_peak_bound_bytes", sampled, row["memory_peak_bound_bytes"] is not None)
            for column in ("wall_us", "cpu_us", "memory_start_bytes", "memory_peak_bytes"):
                self.holds(f"{name}: {column} is {row[column]}", (row[column] or 0) > 0)
            for column in ("throttled_us", "oom_kills", "pids_limit_hits"):
                self.holds(f"{name}: {column} was not measured", row[column] is not None)

    def report(self, what, note=""):
        counts = {}
        for event in self.attempts.values():
            counts[event["outcome"]] = counts.get(event["outcome"], 0) + 1
        words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        report(what, self.wrong, note or f"{words} ({self.seconds:.0f} s)")


def shown(event):
    """An attempt that is not as expected, in one line."""
    output = (event["stdout"]["head"], event["stderr"]["head"])
    return f"{event['outcome']} {event['reason']} {event['termination']} {output}"
