"""The script of a chart's page: fits the chart to the window, and shows the values of the day under the mouse.

Vega-Lite could do the latter with a mark for each row and panel, which made moving a long history slow. All texts
become text nodes, whatever they hold.
"""

from __future__ import annotations

#: Beside the panels: their labels, the padding, and the menu.
_MARGIN_PIXELS = 120

SCRIPT = (
    """
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const specification = read("specification"), labels = read("labels");
const table = (name) => specification.datasets[name].split("\\n").slice(1).map((line) => line.split(","));
const dayOf = (row) => Date.parse(row[0] + "T00:00:00Z");
const daily = table("daily"), steps = table("steps");
const days = daily.map(dayOf), stepDays = steps.map(dayOf);
const values = document.getElementById("values");
let drawn = null;

// The number of the last entry that is not above a value; -1: none.
function lastUpTo(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function nearest(sorted, value) {
  const at = Math.max(0, lastUpTo(sorted, value));
  return at + 1 < sorted.length && sorted[at + 1] - value < value - sorted[at] ? at + 1 : at;
}

function weekSeen(step) {
  while (step >= 0 && !steps[step][1]) step -= 1;
  return step < 0 ? "" : steps[step][1];
}

function fill(row) {
  const step = lastUpTo(stepDays, days[row]);
  const day = new Date(days[row]).toLocaleDateString("en", {weekday: "short", timeZone: "UTC"});
  const texts = [["date", day + " " + daily[row][0]], ["newest week seen", weekSeen(step)]];
  [daily[row][1], ...steps[step].slice(3)].forEach((text, number) => texts.push([labels[number], text]));
  values.replaceChildren(...texts.map((pair) => {
    const line = document.createElement("tr");
    pair.forEach((text) => line.insertCell().append(text || "\\u2013"));
    return line;
  }));
}

function leave(view) {
  values.style.display = "none";
  view.signal("pointed", -1).runAsync();
}

function point(view, event) {
  const canvas = view.container().querySelector("canvas").getBoundingClientRect();
  const origin = view.origin(), scale = view.scale("x"), [left, right] = scale.range();
  const x = event.clientX - canvas.left - origin[0];
  const row = nearest(days, +scale.invert(x)), at = scale(days[row]);
  if (x < left || x > right || at < left || at > right) { leave(view); return; }
  fill(row);
  view.signal("pointed", at).runAsync();
  values.style.display = "block";
  const wide = document.documentElement.clientWidth;
  const beside = event.clientX + 16 + values.offsetWidth > wide ? -16 - values.offsetWidth : 16;
  values.style.left = window.scrollX + event.clientX + beside + "px";
  values.style.top = window.scrollY + event.clientY + 16 + "px";
}

async function draw() {
  const own = structuredClone(specification);
  const width = Math.max(320, document.documentElement.clientWidth - """
    f"{_MARGIN_PIXELS}"
    """);
  own.title.limit = width;
  for (const panel of own.vconcat) panel.width = width;
  if (drawn) drawn.finalize();
  drawn = await vegaEmbed("#chart", own, {
    renderer: "canvas", downloadFileName: "chart",
    actions: {export: true, source: false, compiled: false, editor: false},
  });
  const view = drawn.view;
  view.addEventListener("pointermove", (event) => point(view, event));
  view.addEventListener("pointerout", () => leave(view));
  window.chartView = view;
}

window.addEventListener("resize", lodashDebounce(draw, 200));
draw();
"""
)
