// The table of tests: a page of it at a time, so that ten thousand cost no more than a few.

const PAGE_ROWS = 25;

const columns = [
  { title: "Outcome", className: "c-outcome", key: importance, first: -1, cell: (row) => [verdictElement(row)] },
  { title: "Test", className: "name", key: testName, first: 1, cell: (row) => [testLink(row)] },
  { title: "Profile", className: "c-profile optional", key: (row) => label("profile", row), first: 1, cell: (row) => [label("profile", row) || ""] },
  { title: "Wall", className: "c-number number", key: byFigure("wall_us"), first: -1, cell: (row) => [formatTime(figure("wall_us", row))] },
  { title: "CPU", className: "c-number number optional", key: byFigure("cpu_us"), first: -1, cell: (row) => [formatTime(figure("cpu_us", row))] },
  { title: "Memory", className: "c-number number optional", key: byFigure("memory_peak_bytes"), first: -1, cell: (row) => [formatBytes(figure("memory_peak_bytes", row))] },
  { title: "Violations", className: "c-number number optional", key: violationCount, first: -1, cell: (row) => [formatCount(violationCount(row))] },
  { title: "Wall, memory so far", className: "c-wide optional", key: null, cell: sparklines },
];

const view = { column: 0, direction: -1, page: 0, rows: [] };

const drawHead = () => {
  byId("columns").replaceChildren(...columns.map((column, at) => {
    const isSorted = at === view.column;
    const head = element("th", { scope: "col", className: column.className });
    if (column.key === null) {
      head.append(column.title);
      return head;
    }
    head.setAttribute("aria-sort", !isSorted ? "none" : view.direction > 0 ? "ascending" : "descending");
    const arrow = isSorted ? (view.direction > 0 ? " ▲" : " ▼") : "";
    const button = element("button", { type: "button" }, column.title,
      element("span", { "aria-hidden": "true" }, arrow));
    button.addEventListener("click", () => {
      view.direction = isSorted ? -view.direction : column.first;
      view.column = at;
      refresh();
      byId("columns").children[at].querySelector("button").focus();
    });
    head.append(button);
    return head;
  }));
};

const pageCount = () => Math.max(1, Math.ceil(view.rows.length / PAGE_ROWS));

const drawRows = () => {
  const start = view.page * PAGE_ROWS;
  const shown = view.rows.slice(start, start + PAGE_ROWS);
  byId("rows").replaceChildren(...shown.map((row, at) => element("tr", { "aria-rowindex": start + at + 2 },
    ...columns.map((column) => column.className === "name"
      ? element("th", { scope: "row", className: column.className }, ...column.cell(row))
      : element("td", { className: column.className }, ...column.cell(row))))));
  byId("table").setAttribute("aria-rowcount", view.rows.length + 1);
  byId("page").textContent = `Page ${view.page + 1} of ${pageCount()}`;
  byId("previous").disabled = view.page === 0;
  byId("next").disabled = view.page >= pageCount() - 1;
  byId("pager").hidden = view.rows.length === 0;
};

/** Filters and sorts again, and shows the first page. */
const refresh = () => {
  const column = columns[view.column];
  view.rows = sorted(filtered(), column.key, view.direction);
  view.page = 0;
  drawHead();
  drawRows();
  const all = lastRows.length;
  byId("status").textContent = view.rows.length === all
    ? plural(all, "test")
    : `${formatCount(view.rows.length)} of ${plural(all, "test")}`;
  for (const total of byId("totals").querySelectorAll("button")) {
    total.setAttribute("aria-pressed", String(total.dataset.outcome === filter.outcome));
  }
};

const turn = (by) => {
  const page = Math.min(Math.max(view.page + by, 0), pageCount() - 1);
  if (page !== view.page) {
    view.page = page;
    drawRows();
  }
};

const rowLinks = () => Array.from(byId("rows").querySelectorAll("a"));

const focusRow = (at) => {
  const links = rowLinks();
  const link = links[Math.min(Math.max(at, 0), links.length - 1)];
  if (link !== undefined) {
    link.focus();
  }
};

const walk = (event) => {
  const at = rowLinks().indexOf(document.activeElement);
  if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) {
    return;
  }
  const last = rowLinks().length - 1;
  const isLastPage = view.page >= pageCount() - 1;
  const moves = {
    ArrowDown: () => (at < last ? focusRow(at + 1) : (turn(1), focusRow(isLastPage ? last : 0))),
    ArrowUp: () => (at === 0 ? byId("text").focus() : focusRow(at - 1)),
    ArrowRight: () => (turn(1), focusRow(at)),
    ArrowLeft: () => (turn(-1), focusRow(at)),
    Home: () => focusRow(0),
    End: () => focusRow(last),
  };
  if (moves[event.key] !== undefined) {
    event.preventDefault();
    moves[event.key]();
  }
};

/** Options of a select: pairs of a value and a text. */
const fill = (id, options) => {
  byId(id).replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
};

const countedOptions = (counts) => Array.from(counts)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([value, found]) => [value, `${value} (${found.length})`]);

const setUpFilters = () => {
  const outcomes = countedOptions(grouped(lastRows, (row) => label("outcome", row)));
  const flaky = lastRows.filter(isFlaky).length;
  fill("outcome", [["", "all"], ["not-good", "not good"], ...outcomes, ...(flaky > 0 ? [["flaky", `flaky (${flaky})`]] : [])]);
  fill("profile", [["", "all"], ...countedOptions(grouped(lastRows, (row) => label("profile", row)))]);
  fill("violation", [["", "all"], ["any", "any"], ["leak", "a leak"], ...countedOptions(grouped(data.violations, (one) => one.kind))]);
  for (const id of Object.keys(filter)) {
    byId(id).addEventListener("input", () => choose({ [id]: byId(id).value }));
  }
  byId("clear").addEventListener("click", () => choose({ text: "", outcome: "", profile: "", violation: "" }));
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    focusRow(0);
  });
  byId("filters").hidden = false;
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("table").addEventListener("keydown", walk);
  for (const total of byId("totals").querySelectorAll("button")) {
    total.addEventListener("click", () => {
      const same = filter.outcome === total.dataset.outcome;
      choose({ outcome: same ? "" : total.dataset.outcome });
    });
  }
};

/** Filters by these too. */
const choose = (changes) => {
  Object.assign(filter, changes);
  for (const id of Object.keys(filter)) {
    if (byId(id).value !== filter[id]) {
      byId(id).value = filter[id];
    }
  }
  refresh();
  writeAddress();
};

