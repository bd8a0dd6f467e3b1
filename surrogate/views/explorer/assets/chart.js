// A small charting core: logarithmic and linear axes, paths, bands, in SVG.

// Points out of floating point's reach are left out: a browser reports each such path.
const path = (points) => points.filter(([x, y]) => Number.isFinite(x + y)).map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const closed = (points) => (points.length ? `${path(points)}Z` : "");

// Ticks at 1, 2, 5 times powers of ten; fewer digits where the range is wide.
function decadeTicks(lo, hi, text) {
  const wide = Math.log10(hi / lo), ticks = [];
  for (let power = Math.floor(Math.log10(lo)); power <= Math.log10(hi); power++) {
    for (const digit of wide > 2.5 ? [1] : wide > 1.2 ? [1, 3] : [1, 2, 5]) {
      const at = Number(`${digit}e${power}`);
      if (at >= lo && at <= hi) ticks.push({ at, text: text(at) });
    }
  }
  return ticks.length > 1 ? ticks : distinctTicks([lo, hi], [text, (v) => v.toExponential(1), (v) => v.toExponential(2)]);
}

// Ticks in the shortest form that writes no two alike; one where none does.
function distinctTicks(values, forms) {
  const form = forms.find((f) => new Set(values.map(f)).size === values.length);
  return (form ? values : values.slice(0, 1)).map((at) => ({ at, text: (form || forms[0])(at) }));
}

// Ticks at powers of two of `unit` tokens.
function octaveTicks(lo, hi, unit, most) {
  const low = Math.ceil(Math.log2(lo / unit)), high = Math.floor(Math.log2(hi / unit));
  const every = Math.max(1, Math.ceil((high - low) / most)), ticks = [];
  for (let k = low; k <= high; k += every) ticks.push({ at: unit * 2 ** k, text: formatBinary(2 ** k) });
  if (ticks.length > 1) return ticks;
  const ends = distinctTicks([lo, hi], [formatCount, formatTokens].map((form) => (v) => form(v / unit)));
  return ends.length > 1 ? ends : ticks.length ? ticks : ends;
}

function linearTicks(lo, hi, text) {
  const raw = (hi - lo) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw, ticks = [];
  for (let k = Math.ceil(lo / step); k * step <= hi; k++) ticks.push({ at: k * step, text: text(k * step, step) });
  return ticks;
}

// Axis of a setting: lr by decades, batch by powers of two.
function settingAxis(name, lo, hi, most = 6) {
  if (name === "lr") return { lo, hi, log: true, label: "learning rate", ticks: decadeTicks(lo, hi, (v) => v.toExponential(0)) };
  return { lo, hi, log: true, label: "batch [tokens]", ticks: octaveTicks(lo, hi, 1, most) };
}

const countAxis = (label, lo, hi) => ({ lo, hi, log: true, label, ticks: decadeTicks(lo, hi, formatCount) });

function lossAxis(lo, hi, unit) {
  const ticks = linearTicks(lo, hi, (v, step) => v.toFixed(Math.max(0, Math.min(9, -Math.floor(Math.log10(step) + 1e-9)))));
  return { lo, hi, log: false, label: `loss [${unit}]`, ticks };
}

// An empty chart: axes drawn, x and y from values to pixels and back, `plot` clipped.
let charts = 0;
function chartOf(width, height, xAxis, yAxis, label, margins = { left: 64, right: 12, top: 10, bottom: 42 }) {
  const { left, right, top, bottom } = margins, id = `clip${charts++}`;
  const scale = (axis, a, b) => {
    const f = axis.log ? Math.log : (v) => v, lo = f(axis.lo), span = f(axis.hi) - lo;
    const to = (v) => a + ((f(v) - lo) / span) * (b - a);
    to.back = (pixel) => { const v = lo + ((pixel - a) / (b - a)) * span; return axis.log ? Math.exp(v) : v; };
    return to;
  };
  const x = scale(xAxis, left, width - right), y = scale(yAxis, height - bottom, top);
  const plot = sv("g", { "clip-path": `url(#${id})` });
  const xTicks = xAxis.ticks.map((t) => [sv("line", { class: "grid", x1: x(t.at), x2: x(t.at), y1: top, y2: height - bottom }),
    sv("text", { class: "tick", x: x(t.at), y: height - bottom + 15, "text-anchor": "middle" }, t.text)]);
  const yTicks = yAxis.ticks.map((t) => [sv("line", { class: "grid", x1: left, x2: width - right, y1: y(t.at), y2: y(t.at) }),
    sv("text", { class: "tick", x: left - 6, y: y(t.at) + 4, "text-anchor": "end" }, t.text)]);
  const svg = sv("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    sv("defs", null, sv("clipPath", { id }, sv("rect", { x: left, y: top, width: width - left - right, height: height - top - bottom }))),
    sv("g", { class: "axis" }, xTicks, yTicks), plot,
    sv("rect", { class: "frame", x: left, y: top, width: width - left - right, height: height - top - bottom }),
    sv("text", { class: "label", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xAxis.label),
    sv("text", { class: "label", x: 0, y: 0, transform: `translate(13 ${(height - bottom + top) / 2}) rotate(-90)`, "text-anchor": "middle" }, yAxis.label));
  return { svg, plot, x, y, left, right: width - right, top, bottom: height - bottom };
}

// A band between (x, low) and (x, high).
const bandPath = (chart, rows) => closed([...rows.map(([v, low]) => [chart.x(v), chart.y(low)]),
  ...[...rows].reverse().map(([v, , high]) => [chart.x(v), chart.y(high)])]);

// Marks that differ in shape as well as in colour.
const SHAPES = {
  dot: (x, y) => sv("circle", { cx: x, cy: y, r: 3.2 }),
  speck: (x, y) => sv("circle", { cx: x, cy: y, r: 1.7 }),
  cross: (x, y) => sv("path", { d: `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x - 4} ${y + 4}L${x + 4} ${y - 4}` }),
  plus: (x, y) => sv("path", { d: `M${x - 8} ${y}H${x + 8}M${x} ${y - 8}V${y + 8}` }),
  end: (x, y) => sv("path", { d: `M${x} ${y - 7}A7 7 0 1 0 ${x} ${y + 7}A7 7 0 1 0 ${x} ${y - 7}Z` }),
  square: (x, y) => sv("rect", { x: x - 4, y: y - 4, width: 8, height: 8 }),
  ring: (x, y) => sv("circle", { cx: x, cy: y, r: 7 }),
  diamond: (x, y) => sv("path", { d: `M${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}L${x - 8} ${y}Z` }),
  triangle: (x, y) => sv("path", { d: `M${x} ${y - 7}L${x + 7} ${y + 6}L${x - 7} ${y + 6}Z` }),
};

function mark(shape, x, y, kind, title) {
  const node = SHAPES[shape](Number(x.toFixed(1)), Number(y.toFixed(1)));
  node.setAttribute("class", kind);
  if (title) node.append(sv("title", null, title));
  return node;
}

// Entries of [draw, text], draw a shape and its class, or "line" or "area".
function legendOf(entries) {
  return el("ul", { class: "legend" }, entries.map(([shape, kind, text]) => el("li", null,
    sv("svg", { width: 22, height: 18, "aria-hidden": "true" },
      shape === "line" ? sv("path", { class: kind, d: "M1 9H21" })
        : shape === "area" ? sv("rect", { class: kind, x: 2, y: 3, width: 18, height: 12 }) : mark(shape, 11, 9, kind)), text)));
}
