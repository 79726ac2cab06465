"""The programs of tests/corpus: what each asks for, and that beside what was measured."""

import json
import pathlib

MIB = 1 << 20
SUFFIX = "_test.sh"


def asked(folder):
    """Program, figure and amount of every `# asks:` line below a folder, in the order of the programs' names."""
    for path in sorted(pathlib.Path(folder).iterdir(), key=order):
        for line in path.read_text().splitlines():
            if line.startswith("# asks: "):
                figure, amount = line.removeprefix("# asks: ").split(" ", 1)
                yield path.name.removesuffix(SUFFIX), figure, amount


def order(path):
    """Names in the order of the numbers in them."""
    words = path.name.removesuffix(SUFFIX).split("_")
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in words]


def row(name, figure, amount, attempt):
    """One line of the table: the program, what it asks for, what was measured, who says so, and how far off that is.
    `attempt`: its event."""
    used = attempt["resources"]
    if figure == "leak":
        wanted = json.loads(amount)
        named = "named" if wanted in (attempt["leaks"] or []) else "missing"
        return name, f"leak: {wanted['kind']}", named, "reset", ""
    statistics = attempt["statistics"] or {}
    highest = lambda key: (statistics.get(key) or {}).get("max")
    measured, source = {
        "cpu": lambda: (used["cpu_us"], used["cpu_source"]),
        "cpu-user": lambda: (used["cpu_user_us"], used["cpu_source"]),
        "cpu-system": lambda: (used["cpu_system_us"], used["cpu_source"]),
        "memory": lambda: memory(used),
        "memory-spike": lambda: memory(used),
        "memory-file": lambda: (used["memory_file_bytes"], "cgroup"),
        "open-files": lambda: (highest("open_files"), "sampled"),
        "threads": lambda: (highest("threads"), "sampled"),
        "processes": lambda: (used["pids_peak"], used["pids_peak_source"]),
        "tmpfs-left": lambda: (used["tmpfs_left_bytes"], "reset"),
    }[figure]()
    asked = int(amount)
    if measured is None:
        return name, f"{figure} {shown(figure, asked)}", "-", "-", "-"
    error = f"{100 * (measured - asked) / asked:+.1f} %" if asked else f"{measured - asked:+}"
    if source == "sampled" and used["memory_peak_bound_bytes"] and figure.startswith("memory"):
        bound = used["memory_peak_bound_bytes"] - used["memory_start_bytes"]
        source += f", at most {shown(figure, bound)}"
    return name, f"{figure} {shown(figure, asked)}", shown(figure, measured), source or "-", error


def memory(used):
    """Of the peak what was there at the start is not the program's."""
    peak, source = used["memory_peak_bytes"], used["memory_peak_source"]
    return peak and peak - (used["memory_start_bytes"] or 0), source


def shown(figure, value):
    if figure.startswith("cpu"):
        return f"{value / 1000:.1f} ms"
    if figure.startswith("memory"):
        return f"{value / MIB:.1f} MiB"
    if figure == "tmpfs-left":
        return f"{value} B"
    return f"{value:.0f}"
