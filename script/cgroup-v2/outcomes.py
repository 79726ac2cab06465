"""A handful of outcomes, all in one worker, and what the kernel's counters say of them."""

import os

from runs import MIB, Run, shown
from table import report

CONFIG = """
workers: 1
default-profile: small
profiles:
  small: { cpus: 1, memory: 64MiB, timeout: 20s, cpu-time: 6s, pids: 32, output: 1MiB }
"""

# Name: script, outcome, reason. They run in this order in one worker, so that each is also the
# proof that the one before it left nothing: `dd` fails where memory is still taken, and `clean`
# would see the fork bomb.
OUTCOMES = {
    "01_apparmor": ("cat /proc/self/attr/current", "pass", None),
    "02_memory": ("dd if=/dev/zero of=/dev/null bs=40M count=1", "pass", None),
    "03_fail": ("exit 3", "fail", "exit(3)"),
    "04_skip": ("exit 77", "skip", None),
    "05_timeout_wall": ("sleep 600", "timeout", "wall"),
    "06_timeout_cpu": ("while :; do :; done", "timeout", "cpu"),
    "07_oom": ("exec dd if=/dev/zero of=/dev/null bs=200M count=1", "oom", None),
    "08_oom_of_a_child": (
        "dd if=/dev/zero of=/dev/null bs=200M count=1\necho \"the child ended with $?\"\nexit 0",
        "oom",
        None,
    ),
    "09_crash": ("kill -SEGV $$", "crash", "SIGSEGV"),
    "10_output_limit": ("exec yes", "fail", "output-limit"),
    # It never ends, and does not hear TERM.
    "11_fork_bomb": (
        "trap '' TERM\nb() { while :; do b & done; }\nb 2>/dev/null &\nwhile :; do :; done",
        "timeout",
        "cpu",
    ),
    "12_clean": ("set -- /proc/[0-9]*\necho $#\n[ $# -eq 2 ]", "pass", None),
}
# Without a cgroup each process has the memory limit for itself: it is refused what it asks for, and
# nothing is killed.
WITHOUT_A_CGROUP = {
    "07_oom": ("fail", "exit(1)"),
    "08_oom_of_a_child": ("pass", None),
}

# What the counters have to say of a test.
MEASURED = {
    "02_memory": {
        "memory_peak_bytes": lambda value: value and 40 * MIB <= value <= 64 * MIB,
        "oom_kills": lambda value: value == 0,
    },
    "05_timeout_wall": {"wall_us": lambda value: 20_000_000 <= value < 60_000_000},
    "06_timeout_cpu": {"cpu_us": lambda value: 6_000_000 <= value < 18_000_000},
    "07_oom": {
        "oom_kills": lambda value: value == 1,
        "memory_peak_bytes": lambda value: value and 63 * MIB <= value <= 64 * MIB,
    },
    "08_oom_of_a_child": {"oom_kills": lambda value: value == 1},
    "11_fork_bomb": {
        "pids_limit_hits": lambda value: value and value > 0,
        "oom_kills": lambda value: value == 0,
    },
}
# And its process, its output, and what it left behind.
FACTS = {
    "05_timeout_wall": {"it needed more than TERM": lambda event: not event["escalated"]},
    "07_oom": {"it was not killed": lambda event: event["termination"] == {"signal": 9}},
    "08_oom_of_a_child": {
        "it did not end by itself": lambda event: event["termination"] == {"exit": 0},
        "its child was not killed": lambda event: "ended with 137" in event["stdout"]["head"],
    },
    "11_fork_bomb": {"TERM was enough": lambda event: event["escalated"]},
    "12_clean": {"it saw other processes": lambda event: event["stdout"]["head"] == "2\n"},
}
# What cannot be said without a cgroup.
OF_A_CGROUP = {"02_memory", "07_oom", "08_oom_of_a_child", "11_fork_bomb"}


def outcomes(place):
    project = f"{place.folder}/outcomes"
    os.makedirs(f"{project}/test")
    with open(f"{project}/docker-test.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIG)
    for name, (script, _, _) in OUTCOMES.items():
        with open(f"{project}/test/{name}_test.sh", "w", encoding="utf-8") as file:
            file.write(f"{script}\n")
    place.own(place.folder)

    run = Run(place, project, "--image", "host", status=1)
    run.attested()
    run.measured()
    run.expect("tests", len(OUTCOMES), len(run.attempts))
    run.expect("workers", 1, len(run.workers))
    run.report(f"{place.name}: the outcomes, in one worker")
    for name in OUTCOMES:
        one(place, run, name)


def one(place, run, name):
    _, *wanted = OUTCOMES[name]
    if not place.given:
        wanted = WITHOUT_A_CGROUP.get(name, wanted)
    event = run.attempts.get(f"{name}_test.sh")
    if event is None:
        report(f"  {name}", ["it has no result"])
        return
    row = run.rows[f"{name}_test.sh"]
    wrong, notes = [], list(filter(None, wanted))
    if [event["outcome"], event["reason"]] != list(wanted):
        wrong.append(shown(event))
    if place.given or name not in OF_A_CGROUP:
        for column, holds in MEASURED.get(name, {}).items():
            notes.append(f"{column} {row[column]}")
            if not holds(row[column]):
                wrong.append(f"{column}: {row[column]}")
        wrong += [words for words, holds in FACTS.get(name, {}).items() if not holds(event)]
    if name == "01_apparmor":
        profile = event["stdout"]["head"].strip()
        notes.append(profile)
        if profile != place.apparmor:
            wrong.append(f"AppArmor's profile is {profile!r}, not {place.apparmor!r}")
    report(f"  {name}", [*wrong, shown(event)] if wrong else [], " ".join(notes))
