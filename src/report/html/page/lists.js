// The slowest and the hungriest, violations and leaks.

const MOST = 15;
const LISTED = 50;

const extreme = (title, name, format) => {
  const found = sorted(lastRows.filter((row) => figure(name, row) !== null), byFigure(name), -1).slice(0, MOST);
  if (found.length === 0) {
    return element("div", {}, element("h3", {}, title), element("p", { className: "none" }, "Not measured."));
  }
  const highest = Math.max(figure(name, found[0]), 1);
  const lines = found.map((row) => {
    const bar = element("span", { className: "bar", "aria-hidden": "true" });
    bar.style.width = `${(figure(name, row) * 100) / highest}%`;
    return element("tr", {}, element("td", {}, testLink(row), bar), element("td", { className: "number" }, format(figure(name, row))));
  });
  const head = element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Test"), element("th", { scope: "col", className: "number" }, title)));
  return element("div", {}, element("h3", {}, title), element("table", {}, head, element("tbody", {}, ...lines)));
};

const addExtremes = () => {
  byId("extremes-lists").append(
    extreme("Wall time", "wall_us", formatTime),
    extreme("CPU time", "cpu_us", formatTime),
    extreme("Memory", "memory_peak_bytes", formatBytes));
};

/** The first of many lines, and how many more there are. */
const listed = (all, line) => {
  const list = element("ul", { className: "lines" }, ...all.slice(0, LISTED).map(line));
  if (all.length > LISTED) {
    list.append(element("li", {}, `and ${formatCount(all.length - LISTED)} more`));
  }
  return list;
};

const SEVERITIES = ["error", "warning", "info"];

const severityOptions = () => [["", "all"], ...SEVERITIES
  .map((severity) => [severity, data.violations.filter((one) => one.severity === severity).length])
  .filter(([, count]) => count > 0)
  .map(([severity, count]) => [severity, `${severity} (${count})`])];

const violationGroup = ([kind, all]) => {
  const counts = SEVERITIES.map((severity) => [severity, all.filter((one) => one.severity === severity).length]);
  const details = element("details", {}, element("summary", {},
    element("strong", {}, kind),
    ...counts.filter(([, count]) => count > 0).map(([severity, count]) =>
      element("span", { className: severity }, `${count} ${severity}`))));
  // Filled when it is opened: a kind may have thousands.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) {
      const button = element("button", { type: "button" }, "Show these tests in the table");
      button.addEventListener("click", () => {
        choose({ text: "", outcome: "", profile: "", violation: kind });
        byId("tests").focus();
      });
      details.append(listed(all, (one) => element("li", {}, testLink(one.attempt), " – ", element("bdi", {}, one.message))), element("p", {}, button));
    }
  });
  return details;
};

const drawViolations = (place, severity) => {
  const shown = data.violations.filter((one) => severity === "" || one.severity === severity);
  const worst = (all) => Math.min(...SEVERITIES.map((one, at) => (all.some((other) => other.severity === one) ? at : SEVERITIES.length)));
  const groups = Array.from(grouped(shown, (one) => one.kind))
    .sort(([, a], [, b]) => worst(a) - worst(b) || b.length - a.length);
  place.replaceChildren(...groups.map(violationGroup));
};

const addViolations = () => {
  const place = byId("violations-list");
  if (data.violations.length === 0) {
    place.append(element("p", { className: "none" }, "None."));
    return;
  }
  const select = element("select", {}, ...severityOptions().map(([value, text]) => element("option", { value }, text)));
  const groups = element("div", {});
  select.addEventListener("input", () => drawViolations(groups, select.value));
  place.append(element("div", { className: "tools" }, element("label", {}, "Severity", select)), groups);
  drawViolations(groups, "");
};

const addLeaks = () => {
  const counting = data.leaks.filter(([, leaks]) => leaks.some((leak) => leak.counts));
  const line = ([row, leaks]) => element("li", {}, testLink(row), " – ",
    element("bdi", {}, leaks.filter((leak) => leak.counts).map((leak) => leak.what).join(", ")));
  byId("leaks-list").append(counting.length === 0
    ? element("p", { className: "none" }, "None. What tests left in their own folders is no leak, and stands with each test.")
    : listed(counting, line));
};

