// Elements. Text gets into the page here and as text only.

/** An element with properties, `aria-`, `data-` and other attributes, and children. */
const element = (name, properties, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.includes("-") || key === "role" || key === "scope" || key === "colspan") {
      made.setAttribute(key, value);
    } else {
      made[key] = value;
    }
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};

const byId = (id) => document.getElementById(id);

const verdictElement = (row) =>
  element("span", { className: "outcome " + label("outcome", row), title: verdictText(row) }, verdictText(row));

const testAddress = (row) => "#test=" + encodeURIComponent(testName(row));

const testLink = (row) => element("a", { href: testAddress(row), title: shortened(testName(row), 300) },
  element("bdi", { className: "name" }, shortened(testName(row), 300)));

/** The beginning and the end of a long text. */
const shortened = (text, most) => {
  const points = text.length > most ? Array.from(text) : [];
  return points.length > most
    ? points.slice(0, most / 2).join("") + " … " + points.slice(-most / 4).join("")
    : text;
};

const SVG = "http://www.w3.org/2000/svg";

const drawn = (name, attributes) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
};

/** A small line of earlier values, oldest first; a dot for each that was not good. */
const sparkline = (values, bad, what, format) => {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) {
    return null;
  }
  const [width, height, edge] = [72, 20, 3];
  const highest = Math.max(...known, 1);
  const x = (at) => edge + (at * (width - 2 * edge)) / (values.length - 1);
  const y = (value) => height - edge - (value * (height - 2 * edge)) / highest;
  const svg = drawn("svg", {
    class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${what} of the last ${known.length} attempts: ${format(known[0])} to ${format(known[known.length - 1])}, at most ${format(highest)}`,
  });
  const points = values.flatMap((value, at) => (value === null ? [] : [x(at).toFixed(1) + "," + y(value).toFixed(1)]));
  svg.append(drawn("polyline", { points: points.join(" ") }));
  values.forEach((value, at) => {
    if (value !== null && (bad[at] || at === values.length - 1)) {
      svg.append(drawn("circle", { cx: x(at), cy: y(value), r: 1.7, class: bad[at] ? "bad-dot" : "dot" }));
    }
  });
  return svg;
};

const sparklines = (row) => {
  const past = data.history[data.test[row]];
  if (past === undefined) {
    return [];
  }
  const bad = past.outcome.map((word) => !["pass", "skip"].includes(data.words[word]));
  const bytes = past.memory_kib.map((kib) => (kib === null ? null : kib * 1024));
  return [sparkline(past.wall_us, bad, "Wall time", formatTime), sparkline(bytes, bad, "Memory", formatBytes)]
    .filter((spark) => spark !== null);
};

/** A colour of the page's style as it is now. */
const colour = (name) => {
  const probe = element("span", {});
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};

