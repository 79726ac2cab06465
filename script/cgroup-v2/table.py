"""The table that is printed: a line for each thing that has to hold, and under it what is wrong."""

import subprocess

broken = 0
# As many lines of what is wrong with one thing.
MOST = 30


def report(what, wrong, note=""):
    """One line of the table, and under it what is wrong."""
    global broken
    print(f"{'FAIL' if wrong else 'ok':4}  {what:60}  {note}", flush=True)
    for line in wrong[:MOST]:
        print(f"      | {line}", flush=True)
    if len(wrong) > MOST:
        print(f"      | and {len(wrong) - MOST} more", flush=True)
    broken += bool(wrong)


def command(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)
