// The workers over time: a line each, a bar an attempt. Workers that followed each other share a line.

const LANE_HEIGHT = 24;

const bars = rows
  .filter((row) => figure("start_us", row) !== null && figure("worker", row) !== null)
  .map((row) => {
    const start = figure("start_us", row) / 1e6;
    return { row, worker: figure("worker", row), start, end: start + (figure("wall_us", row) || 0) / 1e6, lane: 0 };
  })
  .sort((a, b) => a.start - b.start);

/** The lines, each with its workers and its bars in order. */
const lanes = (() => {
  const workers = Array.from(grouped(bars, (bar) => bar.worker).entries());
  const found = [];
  for (const [worker, own] of workers) {
    const end = own.reduce((latest, bar) => Math.max(latest, bar.end), 0);
    let lane = found.find((one) => one.end <= own[0].start);
    if (lane === undefined) {
      lane = { at: found.length, end: 0, workers: [], bars: [] };
      found.push(lane);
    }
    lane.end = end;
    lane.workers.push(worker);
    for (const bar of own) {
      bar.lane = lane.at;
      lane.bars.push(bar);
    }
  }
  return found;
})();

const laneName = (lane) => (lane.workers.length === 1 ? `worker ${lane.workers[0]}` : `${lane.workers.length} workers`);

/** Which colour an outcome has; one that is not good has the full height too. */
const outcomeColour = (outcome) => ({
  pass: "good", skip: "quiet", "not-run": "quiet", timeout: "odd", oom: "odd",
})[outcome] || "bad";

const drawBars = (plot) => {
  const ink = plot.ctx;
  const colours = new Map(["good", "bad", "odd", "quiet"].map((name) => [name, colour(name)]));
  const { left, top, width, height } = plot.bbox;
  const lane = height / lanes.length;
  ink.save();
  ink.beginPath();
  ink.rect(left, top, width, height);
  ink.clip();
  ink.globalAlpha = 0.8;
  // What is not good comes last and lies on top.
  for (const good of [true, false]) {
    for (const bar of bars) {
      if (isGood(bar.row) !== good) {
        continue;
      }
      const from = plot.valToPos(bar.start, "x", true);
      const to = plot.valToPos(bar.end, "x", true);
      if (to < left || from > left + width) {
        continue;
      }
      const gap = to - from > 4 * devicePixelRatio ? devicePixelRatio : 0;
      const share = good ? 0.55 : 0.9;
      ink.fillStyle = colours.get(outcomeColour(label("outcome", bar.row)));
      ink.fillRect(from, top + lane * (bar.lane + (1 - share) / 2), Math.max(to - from - gap, devicePixelRatio), lane * share);
    }
  }
  ink.restore();
};

/** The bar at the cursor, or one that is three pixels away. */
const barAt = (plot) => {
  const { left, top } = plot.cursor;
  if (left < 0 || top < 0) {
    return null;
  }
  const lane = lanes[Math.floor((top / plot.over.clientHeight) * lanes.length)];
  const time = plot.posToVal(left, "x");
  const near = Math.abs(plot.posToVal(left + 3, "x") - time);
  let best = null;
  let distance = near;
  for (const bar of lane === undefined ? [] : lane.bars) {
    const away = time < bar.start ? bar.start - time : Math.max(time - bar.end, 0);
    if (away < distance || (away === 0 && distance === 0 && bar.start > best.start)) {
      [best, distance] = [bar, away];
    }
  }
  return best;
};

const barText = (bar) => bar === null ? "" :
  `${shortened(testName(bar.row), 200)}: ${verdictText(bar.row)}, worker ${bar.worker}, ${formatTime(figure("wall_us", bar.row))} from ${formatTime(figure("start_us", bar.row))}`;

let timeline = null;

const zoom = (plot, end, factor, move) => {
  const { min, max } = plot.scales.x;
  const middle = (min + max) / 2 + (max - min) * move;
  const half = Math.min(((max - min) * factor) / 2, end / 2);
  const start = Math.min(Math.max(middle - half, 0), end - 2 * half);
  plot.setScale("x", { min: start, max: start + 2 * half });
};

const addTimeline = () => {
  const place = byId("timeline-plot");
  if (bars.length === 0) {
    place.append(element("p", { className: "none" }, "No attempt was started."));
    return;
  }
  const end = Math.max(bars.reduce((latest, bar) => Math.max(latest, bar.end), 0), 0.001);
  const height = Math.min(Math.max(lanes.length * LANE_HEIGHT, 60), 480);
  const labelled = height / lanes.length >= 12;
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label",
    `Timeline of ${plural(bars.length, "attempt")} on ${plural(new Set(bars.map((bar) => bar.worker)).size, "worker")} over ${formatTime(end * 1e6)}. Keys: plus and minus zoom, arrows move. The table of tests has the same attempts.`);
  timeline = new uPlot({
    width: Math.max(place.clientWidth, 240),
    height: height + 40,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
    scales: { x: { time: false, range: (_, min, max) => (min === null ? [0, end] : [min, max]) }, y: { range: [0, lanes.length] } },
    axes: [
      axis({ values: (_, splits) => splits.map((value) => formatTime(value * 1e6)), size: 32 }),
      axis({
        splits: () => lanes.map((lane) => lanes.length - lane.at - 0.5),
        values: () => lanes.map((lane) => (labelled ? laneName(lane) : "")),
        grid: { show: false }, size: 88,
      }),
    ],
    series: [{}, { show: false }],
    hooks: {
      draw: [drawBars],
      setCursor: [(plot) => { byId("timeline-shown").textContent = barText(barAt(plot)); }],
    },
  }, [[0, end], [0, 0]], place);
  timeline.over.addEventListener("click", () => {
    const bar = barAt(timeline);
    if (bar !== null) {
      location.hash = testAddress(bar.row);
    }
  });
  place.addEventListener("keydown", (event) => {
    const moves = { "+": [0.5, 0], "=": [0.5, 0], "-": [2, 0], ArrowLeft: [1, -0.25], ArrowRight: [1, 0.25] };
    const move = moves[event.key];
    if (move !== undefined && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      zoom(timeline, end, ...move);
    }
  });
  const outcomes = Array.from(new Set(bars.map((bar) => label("outcome", bar.row)))).sort();
  byId("timeline-legend").append(...Array.from(grouped(outcomes, outcomeColour), ([name, own]) => {
    const mark = element("i", { "aria-hidden": "true" });
    mark.style.color = `var(--${name})`;
    return element("li", {}, mark, element("span", {}, own.join(", ")));
  }), element("li", {}, "High bars are not good."));
};

const fitTimeline = () => {
  if (timeline !== null) {
    timeline.setSize({ width: Math.max(byId("timeline-plot").clientWidth, 240), height: timeline.height });
  }
};

