"""The script of a chart's page: zooms and moves all panels together, and shows the values of the day under the mouse.

Lets-Plot draws what is in view, each time anew, so that scales, dates and marks fit it: its own zoom keeps
what they were for all. All texts become text nodes, whatever they hold.
"""

from __future__ import annotations

SCRIPT = """
const drawn = JSON.parse(document.getElementById("drawn").textContent);
const {figure, daily, steps, columns} = drawn;
const chart = document.getElementById("chart"), line = document.getElementById("day");
const values = document.getElementById("values");
const DAY = 86400000, LEAST = 4 * DAY;
const timeOf = (date) => Date.parse(date + "T00:00:00Z");
const days = daily.date.map(timeOf), stepDays = steps.date.map(timeOf);
let [low, high] = drawn.span, isDue = false, dragged = null;

// The number of the first entry that is above a value.
function firstAbove(sorted, value) {
  let from = 0, to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] <= value) from = middle + 1; else to = middle;
  }
  return from;
}

// ---- drawing -----------------------------------------------------------------------------------------------

// The rows of a layer that are in view, and one more on both sides.
function inView(data) {
  if (!data || !data.x) return data;
  const from = Math.max(0, firstAbove(data.x, low) - 1), to = firstAbove(data.x, high) + 1;
  const lowest = Math.max(0, Math.ceil(Math.log2(Math.max(1, periodsInView()) / drawn.mostMarks)));
  const isShown = (row) => row >= from && row < to && (!data.level || data.level[row] >= lowest);
  const columns = Object.entries(data).map(([name, column]) => [name, column.filter((_, row) => isShown(row))]);
  return Object.fromEntries(columns);
}

function periodsInView() {
  return (high - low) / DAY / drawn.periodDays;
}

function spacing(width) {
  const most = Math.max(2, Math.floor((width - 60) / drawn.datePixels));
  return drawn.spacings.find(([days]) => (high - low) / DAY / days <= most) || drawn.spacings.at(-1);
}

// The first levels of a logarithmic scale of which enough are in view.
function levelsOf(layers) {
  const seen = layers.flatMap((layer) => layer.data && layer.data.y || []);
  const least = seen.reduce((one, other) => Math.min(one, other), Infinity);
  const most = seen.reduce((one, other) => Math.max(one, other), -Infinity);
  const found = drawn.levels.map((levels) => levels.filter((level) => level >= least && level <= most));
  return found.find((levels) => levels.length >= drawn.enoughLevels) || found.at(-1);
}

function scaleOf(scale, layers, width) {
  if (scale.aesthetic === "x") {
    const [, distance, format] = spacing(width);
    return {...scale, break_width: distance, format};
  }
  return scale.trans === "log10" ? {...scale, breaks: levelsOf(layers)} : scale;
}

function panelInView(panel, width) {
  const size = drawn.stepSizes[+(periodsInView() > drawn.mostMarks)];
  const layers = panel.layers.map((layer) => {
    return {...layer, ...(layer.geom === "step" ? {size} : {}), data: inView(layer.data)};
  });
  const scales = panel.scales.map((scale) => scaleOf(scale, layers, width));
  return {...panel, layers, scales, coord: {...panel.coord, xlim: [low, high]}};
}

function draw() {
  const width = Math.max(320, chart.clientWidth);
  const own = {...figure, figures: figure.figures.map((panel) => panelInView(panel, width))};
  const next = document.createElement("div");
  const sizing = {width_mode: "FIXED", height_mode: "FIXED", width, height: drawn.height};
  LetsPlot.buildPlotFromRawSpecs(structuredClone(own), next, sizing);
  chart.replaceChildren(next);
  window.chartView = {low, high, area: area()};
}

function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; draw(); });
}

// Where the panels are: from the top of the first to the bottom of the last, in pixels of the window.
function area() {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(drawn.panelColor.slice(at, at + 2), 16));
  const backgrounds = [...chart.querySelectorAll(`rect[fill="rgb(${red},${green},${blue})"]`)];
  const boxes = backgrounds.map((element) => element.getBoundingClientRect());
  const wide = boxes.filter((box) => box.width > 100);
  return {left: wide[0].left, right: wide[0].right, top: wide[0].top, bottom: wide.at(-1).bottom};
}

// ---- the day under the mouse -------------------------------------------------------------------------------

function nearest(time) {
  const after = firstAbove(days, time);
  if (after === 0) return 0;
  return after < days.length && days[after] - time < time - days[after - 1] ? after : after - 1;
}

function fill(row) {
  let step = firstAbove(stepDays, days[row]) - 1, newest = step;
  while (newest >= 0 && !steps.period_end[newest]) newest -= 1;
  const day = new Date(days[row]).toLocaleDateString("en", {weekday: "short", timeZone: "UTC"});
  const texts = [
    ["date", day + " " + daily.date[row]],
    [drawn.newest, newest < 0 ? null : steps.period_end[newest]],
    [columns.price, daily.price[row]],
    ...columns.weekly.map((name) => [name, steps[name][step]]),
  ];
  values.replaceChildren(...texts.map((pair) => {
    const found = document.createElement("tr");
    pair.forEach((text) => found.insertCell().append(text === null ? "\\u2013" : String(text)));
    return found;
  }));
}

function leave() {
  line.style.display = values.style.display = "none";
}

function point(event) {
  const {left, right, top, bottom} = area();
  const row = nearest(low + (event.clientX - left) / (right - left) * (high - low));
  const at = left + (days[row] - low) / (high - low) * (right - left);
  if (event.clientX < left || event.clientX > right || at < left || at > right) { leave(); return; }
  fill(row);
  line.style.display = values.style.display = "block";
  line.style.left = window.scrollX + at + "px";
  line.style.top = window.scrollY + top + "px";
  line.style.height = bottom - top + "px";
  const wide = document.documentElement.clientWidth;
  const beside = event.clientX + 16 + values.offsetWidth > wide ? -16 - values.offsetWidth : 16;
  values.style.left = window.scrollX + event.clientX + beside + "px";
  values.style.top = window.scrollY + event.clientY + 16 + "px";
}

// ---- zooming and moving ------------------------------------------------------------------------------------

// Shows a time of some length from `from` on, as far as there are rows.
function show(from, length) {
  const [first, last] = drawn.span;
  length = Math.min(Math.max(length, LEAST), last - first);
  low = Math.min(Math.max(from, first), last - length);
  high = low + length;
  drawSoon();
}

chart.addEventListener("wheel", (event) => {
  event.preventDefault();
  const {left, right} = area();
  const share = Math.min(Math.max((event.clientX - left) / (right - left), 0), 1);
  const factor = Math.exp(event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.002));
  const length = Math.max((high - low) * factor, LEAST);
  show(low + share * (high - low - length), length);
}, {passive: false});
chart.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  event.preventDefault();
  const {left, right} = area();
  dragged = {x: event.clientX, low, scale: (high - low) / (right - left)};
  chart.setPointerCapture(event.pointerId);
  leave();
});
chart.addEventListener("pointermove", (event) => {
  if (dragged) show(dragged.low - (event.clientX - dragged.x) * dragged.scale, high - low); else point(event);
});
for (const end of ["pointerup", "pointercancel"]) chart.addEventListener(end, () => { dragged = null; });
chart.addEventListener("pointerleave", leave);
chart.addEventListener("dblclick", () => show(drawn.span[0], Infinity));

new ResizeObserver(drawSoon).observe(document.documentElement);
draw();
"""
