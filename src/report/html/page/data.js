// What the page knows, and how it reads. A row is an attempt; columns that have nothing are absent.

const data = JSON.parse(document.getElementById("data").textContent);

const figure = (name, row) => {
  const column = data.figures[name];
  return column === undefined ? null : column[row];
};

const label = (name, row) => {
  const column = data.labels[name];
  return column === undefined || column[row] === null ? null : data.words[column[row]];
};

const testName = (row) => data.tests[data.test[row]];
const isGood = (row) => ["pass", "skip"].includes(label("outcome", row));
const isLast = (row) => figure("superseded", row) !== 1;
const isFlaky = (row) => figure("attempt", row) > 1 && label("outcome", row) === "pass";

const verdictText = (row) => {
  const reason = label("reason", row);
  return label("outcome", row) + (reason === null ? "" : " " + reason);
};

/** Groups what `key` gives for each thing. */
const grouped = (things, key) => {
  const groups = new Map();
  for (const thing of things) {
    const found = groups.get(key(thing));
    if (found === undefined) {
      groups.set(key(thing), [thing]);
    } else {
      found.push(thing);
    }
  }
  return groups;
};

const rows = data.test.map((_, row) => row);
const rowsOfTest = grouped(rows, (row) => data.test[row]);
const lastRows = rows.filter(isLast);
const violationsOf = grouped(data.violations, (violation) => violation.attempt);
const leaksOf = new Map(data.leaks);
const limitsOf = new Map(data.profiles);

const NOTHING = "–";

const formatBytes = (bytes) => {
  if (bytes === null) {
    return NOTHING;
  }
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  const digits = bytes >= 100 || Number.isInteger(bytes) ? 0 : 1;
  return bytes.toFixed(digits) + " " + units[unit];
};

const formatTime = (us) => {
  if (us === null) {
    return NOTHING;
  }
  const seconds = us / 1e6;
  if (seconds >= 60) {
    return Math.floor(seconds / 60) + "m" + String(Math.floor(seconds % 60)).padStart(2, "0") + "s";
  }
  if (seconds >= 1) {
    return seconds.toFixed(2) + " s";
  }
  return us >= 10000 ? (us / 1000).toFixed(0) + " ms" : (us / 1000).toFixed(1) + " ms";
};

const formatCount = (count) => (count === null ? NOTHING : String(count));
const plural = (count, word) => formatCount(count) + " " + word + (count === 1 ? "" : "s");

/** A limit's duration, which is `{secs, nanos}`, in microseconds. */
const durationUs = (limit) => limit.secs * 1e6 + limit.nanos / 1e3;

