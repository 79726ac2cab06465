// Plots of a test's samples, each with the limit that it is held to.

const plots = new Set();

const axis = (extra) => Object.assign({
  stroke: () => colour("quiet"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { stroke: () => colour("line"), width: 1 },
  font: "12px system-ui, sans-serif",
}, extra);

/** What is plotted: where it is, what it is called, its unit, and its limit in that. */
const quantities = [
  {
    column: "memory_kib", title: "Memory", scale: 1024, format: formatBytes,
    limit: (limits) => limits.memory_bytes, limitText: "limit",
    steps: Array.from({ length: 50 }, (_, power) => 2 ** power),
  },
  {
    column: "cpu_percent", title: "CPU", scale: 1, format: (value) => (value === null ? NOTHING : Math.round(value) + " %"),
    limit: (limits) => limits.cpus * 100, limitText: "limit",
  },
  {
    column: "open_files", title: "Open files", scale: 1, format: formatCount,
    limit: (limits) => limits.open_files, limitText: "limit of one process",
  },
  {
    column: "threads", title: "Threads", scale: 1, format: formatCount,
    limit: (limits) => limits.pids, limitText: "limit of processes and threads",
  },
];

/** A dashed line across the plot. */
const limitLine = (limit) => (plot) => {
  const y = Math.round(plot.valToPos(limit, "y", true));
  const { left, top, width, height } = plot.bbox;
  if (y < top || y > top + height) {
    return;
  }
  const ink = plot.ctx;
  ink.save();
  ink.strokeStyle = colour("bad");
  ink.lineWidth = 1.5 * devicePixelRatio;
  ink.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ink.beginPath();
  ink.moveTo(left, y);
  ink.lineTo(left + width, y);
  ink.stroke();
  ink.restore();
};

/** Adds a plot of one quantity to `place`; nothing, where it was not sampled. */
const addPlot = (place, series, quantity, limits, end) => {
  const values = series[quantity.column];
  if (values === undefined) {
    return;
  }
  const times = series.time_ms.map((ms) => ms / 1e3);
  const scaled = values.map((value) => (value === null ? null : value * quantity.scale));
  const highest = scaled.reduce((most, value) => Math.max(most, value || 0), 0);
  const limit = limits === undefined ? null : quantity.limit(limits);
  // A limit that is far above would press the line to the ground.
  const isNear = limit !== null && limit <= highest * 4;
  const caption = element("figcaption", {},
    element("strong", {}, quantity.title),
    element("span", {}, "highest " + quantity.format(highest)),
    limit === null ? null : element("span", {}, `${quantity.limitText} ${quantity.format(limit)}` + (isNear ? " (dashed)" : " (above the plot)")));
  const shown = element("span", {});
  caption.append(shown);
  const box = element("div", { role: "img", "aria-label": caption.textContent });
  place.append(element("figure", { className: "plot" }, caption, box));
  const top = Math.max(highest, isNear ? limit : 0, 1) * 1.08;
  const plot = new uPlot({
    width: Math.max(box.clientWidth, 240),
    height: 150,
    legend: { show: false },
    cursor: { y: false, sync: { key: "test" }, drag: { x: true, y: false } },
    scales: { x: { time: false, range: (_, min, max) => (min <= times[0] && max >= times[times.length - 1] ? [0, end] : [min, max]) }, y: { range: [0, top] } },
    axes: [
      axis({ values: (_, splits) => splits.map((value) => formatTime(value * 1e6)), size: 32 }),
      axis({ values: (_, splits) => splits.map(quantity.format), size: 78, ...(quantity.steps && { incrs: quantity.steps }) }),
    ],
    series: [{}, { stroke: () => colour("accent"), width: 1.6, points: { show: scaled.length < 40 } }],
    hooks: {
      draw: isNear ? [limitLine(limit)] : [],
      setCursor: [(one) => {
        const at = one.cursor.idx;
        shown.textContent = at === null || at === undefined ? "" : `${quantity.format(scaled[at])} at ${formatTime(series.time_ms[at] * 1e3)}`;
      }],
    },
  }, [times, scaled], box);
  plots.add([plot, box]);
};

/** Plots of everything that was sampled of a row's attempt. */
const addPlots = (place, row) => {
  const series = data.series[row];
  if (series === undefined) {
    const count = figure("samples", row);
    place.append(element("p", { className: "none" }, count > 0
      ? `${plural(count, "sample")}, left out of this page.`
      : "It was not sampled."));
    return;
  }
  const limits = limitsOf.get(label("profile", row));
  const end = Math.max(figure("wall_us", row) || 0, 1000 * series.time_ms[series.time_ms.length - 1], 1000) / 1e6;
  quantities.forEach((quantity) => addPlot(place, series, quantity, limits, end));
  const points = series.time_ms.length;
  place.append(element("p", { className: "hint" }, points < series.samples
    ? `${plural(series.samples, "sample")}, drawn as ${plural(points, "point")}: each is the highest of several, for CPU the mean.`
    : `${plural(points, "sample")}.`));
};

const dropPlots = () => {
  for (const [plot] of plots) {
    plot.destroy();
  }
  plots.clear();
};

const fitPlots = () => {
  for (const [plot, box] of plots) {
    plot.setSize({ width: Math.max(box.clientWidth, 240), height: 150 });
  }
};

const recolourPlots = () => {
  for (const [plot] of plots) {
    plot.redraw(false, true);
  }
};

