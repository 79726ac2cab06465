// One test: what happened, what it used, what it wrote.

const fact = (name, text) => (text === null || text === NOTHING ? null
  : element("div", {}, element("dt", {}, name), element("dd", {}, element("bdi", {}, text))));

const source = (row, name) => (label(name, row) === null ? "" : ` (${label(name, row)})`);

const facts = (row) => {
  const bytes = (name) => formatBytes(figure(name, row));
  const time = (name) => formatTime(figure(name, row));
  const number = (name) => formatCount(figure(name, row));
  const known = (text, more) => (text === NOTHING ? text : text + more);
  const yes = figure("escalated", row) === 1 ? "TERM was not enough" : null;
  return element("dl", { className: "facts" }, ...[
    fact("Wall time", time("wall_us")),
    fact("CPU time", known(time("cpu_us"), source(row, "cpu_source"))),
    fact("CPU in user mode", time("cpu_user_us")),
    fact("CPU in the kernel", time("cpu_system_us")),
    fact("CPU, highest", known(number("cpu_percent_max"), " %")),
    fact("Held back by the CPU limit", time("throttled_us")),
    fact("Memory peak", known(bytes("memory_peak_bytes"), source(row, "memory_source"))),
    fact("Memory, no higher than", bytes("memory_bound_bytes")),
    fact("Memory at the start", bytes("memory_start_bytes")),
    fact("Anonymous memory", bytes("memory_anon_bytes")),
    fact("Page cache and tmpfs", bytes("memory_file_bytes")),
    fact("Killed for want of memory", number("oom_kills")),
    fact("Processes and threads, highest", number("pids_peak")),
    fact("Threads, highest sample", number("threads_max")),
    fact("Open files, highest sample", number("open_files_max")),
    fact("Forks refused", number("pids_limit_hits")),
    fact("Read from devices", bytes("io_read_bytes")),
    fact("Written to devices", bytes("io_write_bytes")),
    fact("Waited for a processor", time("cpu_pressure_us")),
    fact("Waited for memory", time("memory_pressure_us")),
    fact("Waited for devices", time("io_pressure_us")),
    fact("Left in tmpfs", bytes("tmpfs_left_bytes")),
    fact("Wrote to stdout", bytes("stdout_bytes")),
    fact("Wrote to stderr", bytes("stderr_bytes")),
    fact("Profile", label("profile", row)),
    fact("Image", label("image", row)),
    fact("Worker", number("worker")),
    fact("Its place in that", number("sequence")),
    fact("Started after", time("start_us")),
    fact("Reset after it", time("reset_us")),
    fact("Ended with", label("termination", row)),
    fact("Stopped by", label("stopped", row)),
    fact("When stopped, it was", label("timeout_state", row)),
    fact("Stopping it", yes),
  ].filter((one) => one !== null));
};

const violationLine = (violation) => element("li", {},
  element("span", { className: violation.severity }, `${violation.severity}: ${violation.kind}`),
  " – ", element("bdi", {}, violation.message));

const section = (title, ...children) => [element("h3", {}, title), ...children];

/** Everything of one attempt, put into `place`. */
const addAttempt = (place, row, isOne) => {
  const number = isOne ? null : element("span", {}, `Attempt ${figure("attempt", row)}: `);
  place.append(element("p", { className: "lead" }, number, verdictElement(row)));
  const violations = violationsOf.get(row) || [];
  if (violations.length > 0) {
    place.append(...section("Violations", element("ul", { className: "lines" }, ...violations.map(violationLine))));
  }
  const leaks = leaksOf.get(row) || [];
  if (leaks.length > 0) {
    const line = (leak) => element("li", {}, element("bdi", {}, leak.what), leak.counts ? "" : " (its own, removed)");
    place.append(...section("Left behind", element("ul", { className: "lines" }, ...leaks.map(line))));
  }
  for (const written of data.outputs[row] || []) {
    const text = element("pre", { tabIndex: 0, role: "region", "aria-label": written.stream }, written.text);
    place.append(...section(written.stream, text));
  }
  const wrote = (figure("stdout_bytes", row) || 0) + (figure("stderr_bytes", row) || 0);
  if (wrote > 0 && data.outputs[row] === undefined) {
    place.append(element("p", { className: "none" }, `It wrote ${formatBytes(wrote)}, which ${isGood(row) ? "the page has only for tests that are not good" : "is left out of this page"}.`));
  }
  place.append(...section("Over time"));
  addPlots(place, row);
  place.append(...section("Figures", facts(row)));
};

const history_ = (row) => {
  const past = data.history[data.test[row]];
  if (past === undefined) {
    return [];
  }
  const bytes = (kib) => formatBytes(kib === null ? null : kib * 1024);
  const lines = past.outcome.map((word, at) => element("tr", {},
    element("td", {}, data.words[word]),
    element("td", { className: "number" }, formatTime(past.wall_us[at])),
    element("td", { className: "number" }, bytes(past.memory_kib[at])),
    element("td", {}, past.here[at] ? "this run" : "")));
  const head = ["Outcome", "Wall", "Memory", "Run"].map((title, at) =>
    element("th", { scope: "col", className: at === 1 || at === 2 ? "number" : "" }, title));
  return section(`Last ${plural(lines.length, "attempt")}`,
    element("p", {}, ...sparklines(row)),
    element("details", {}, element("summary", {}, "As a table, newest first"),
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines.reverse()))));
};

/** Opens a test, whose dialog takes the focus; closing gives it back. */
const openTest = (row) => {
  const dialog = byId("test");
  if (dialog.open) {
    dropPlots();
  } else {
    dialog.showModal();
  }
  byId("test-name").replaceChildren(element("bdi", {}, testName(row)));
  const body = byId("test-body");
  body.replaceChildren();
  const attempts = rowsOfTest.get(data.test[row]).slice().reverse();
  attempts.forEach((one) => addAttempt(body, one, attempts.length === 1));
  body.append(...history_(row));
  dialog.scrollTop = 0;
  byId("test-name").focus();
};

const findTest = (name) => {
  const at = data.tests.indexOf(name);
  const own = rowsOfTest.get(at);
  return own === undefined ? null : own[own.length - 1];
};

