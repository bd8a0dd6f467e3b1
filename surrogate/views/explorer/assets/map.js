// The map: ln loss over (lr, batch) as exact contours, with all that is known on it.

const LEVELS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

// What the map shows: the whole box, or the neighbourhood of the plateau and the choice.
function viewOf(model, answer) {
  const { region: { box }, found } = answer.whole, isOpen = Object.keys(answer.sides).length > 0;
  if (answer.question.view === "box") return box;
  const far = Math.log1p(Math.max(6 * answer.question.tol, 0.01));
  // Where one side is open, what was tried is shown: nothing is known of the rest.
  const ring = isOpen ? triedCorners(model, answer) : contourOf(answer.surface, box, found.free, found.free.v + far, 32);
  if (answer.choice) ring.push(answer.choice.u);
  const ends = (values, lo, hi) => {
    const low = Math.min(...values), high = Math.max(...values), pad = 0.08 * (high - low);
    return [Math.max(low - pad, lo), Math.min(high + pad, hi)];
  };
  const [xlo, xhi] = ends(ring.map((p) => p[0]), box.xlo, box.xhi), [ylo, yhi] = ends(ring.map((p) => p[1]), box.ylo, box.yhi);
  return { xlo, xhi, ylo, yhi };
}

// Of what was fitted, and of the answer with half an octave beyond it.
function triedCorners(model, answer) {
  const ends = model.choices.map((name, i) => {
    const [low, high] = model.fitted[name], at = answer.best[name];
    return [Math.min(low, at / Math.SQRT2), Math.max(high, at * Math.SQRT2)].map((v) => toU(model, i, v));
  });
  return [[ends[0][0], ends[1][0]], [ends[0][1], ends[1][1]]];
}

function drawMap(model, answer, sure, view, width) {
  const { question, surface, found } = answer, { region, found: { free } } = answer.whole, isOpen = Object.keys(answer.sides).length > 0;
  const height = Math.round(Math.min(560, Math.max(320, 0.72 * width)));
  const xAxis = settingAxis("lr", fromU(model, 0, view.xlo), fromU(model, 0, view.xhi), question);
  const yAxis = settingAxis("batch", fromU(model, 1, view.ylo), fromU(model, 1, view.yhi), question);
  const label = `Loss over learning rate and batch for ${sizesText(model, question)}`;
  const chart = chartOf(width, height, xAxis, yAxis, label), { plot } = chart;
  const place = ([x, y]) => [chart.x(fromU(model, 0, x)), chart.y(fromU(model, 1, y))];
  const base = found.v, wide = widened(region.box);
  let last = null;
  for (let k = LEVELS.length - 1; k >= 0; k--) {
    const level = base + Math.log1p(LEVELS[k]);
    if (level < free.v) continue;
    const ring = contourOf(surface, wide, free, level, 108).map(place);
    plot.append(sv("path", { class: `band band${k}`, d: closed(ring) }));
    const inside = ring.filter(([x, y]) => x > chart.left + 18 && x < chart.right - 18 && y > chart.top + 8 && y < chart.bottom - 8);
    if (inside.length && LEVELS[k] > question.tol) {
      const tip = inside.reduce((a, b) => (b[1] < a[1] ? b : a));
      if (last && Math.hypot(tip[0] - last[0], tip[1] - last[1]) < 24) continue;
      last = tip;
      plot.append(sv("text", { class: "level", x: tip[0], y: tip[1] + 3, "text-anchor": "middle" }, formatPercent(LEVELS[k])));
    }
  }
  // Texts above the bands that were drawn after them.
  plot.append(...plot.querySelectorAll("text"));
  if (region.cut) drawEdge(chart, region, place);
  if (isOpen) drawUntried(answer, chart);
  else plot.append(sv("path", { class: "plateau", d: closed(outlineOf(surface, region, free, answer.level, 240).map(place)) }));
  if (sure && sure.robust && sure.robust.outline.length) plot.append(sv("path", { class: "robust", d: sure.robust.outline.map((loop) => closed(loop.map(place))).join("") }));
  return { ...chart, goesOn: drawMarks(model, answer, chart) };
}

// Where training is likely to diverge: hatched, beyond a line.
function drawEdge(chart, region, place) {
  const { box, cut } = region, line = cutLine(cut, box);
  const corners = [[box.xlo, box.ylo], [box.xhi, box.ylo], [box.xhi, box.yhi], [box.xlo, box.yhi]];
  const beyond = clipped(corners, { nx: -cut.nx, ny: -cut.ny, bound: -cut.bound });
  chart.plot.append(
    sv("defs", null, sv("pattern", { id: "hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      sv("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 8 }))),
    sv("path", { class: "beyond", fill: "url(#hatch)", d: closed(beyond.map(place)) }));
  if (!(line.low < line.high)) return;
  const ends = [line.low, line.high].map((t) => place([line.x + t * line.dx, line.y + t * line.dy]));
  chart.plot.append(sv("path", { class: "edge", d: path(ends) }));
}

// Covered: beyond the end of what was tried the shades would be the family's own.
function drawUntried(answer, chart) {
  for (const [name, { side, at }] of Object.entries(answer.sides)) {
    const isAbove = side === "above", { left, right, top, bottom } = chart;
    const end = name === "lr" ? clamp(chart.x(at), left, right) : clamp(chart.y(at), top, bottom);
    const [x1, x2] = name === "batch" ? [left, right] : isAbove ? [end, right] : [left, end];
    const [y1, y2] = name === "lr" ? [top, bottom] : isAbove ? [top, end] : [end, bottom];
    chart.plot.append(sv("rect", { class: "untried", x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) }));
  }
}

// Returns whether an interval goes on beyond the map.
function drawMarks(model, answer, chart) {
  const { question, choice, best } = answer, { plot } = chart, bars = [];
  const at = (lr, batch) => [chart.x(lr), chart.y(batch)];
  const near = nearestRuns(model, question);
  for (const run of near.runs) {
    const about = `${run.name ? `${plain(run.name)}: ` : ""}lr ${formatLr(run.lr)}, batch ${formatTokens(run.batch)}, ${run.diverged ? "diverged" : `loss ${formatLoss(run.loss)}`}`;
    plot.append(mark(run.diverged ? "cross" : "dot", ...at(run.lr, run.batch), run.diverged ? "diverged" : `run run${run.tier}`, about));
  }
  for (const law of lawPoints(model, question)) {
    if (!(law.lr > 0 && law.batch > 0)) continue;
    const [x, y] = at(law.lr, law.batch);
    // A phone has no room for names: they stay in the mark's title.
    if (chart.right > 450) plot.append(sv("text", { class: "level", x: x + 10, y: y + 4 }, plain(law.name, 24)));
    plot.append(mark("triangle", ...at(law.lr, law.batch), "law", `${plain(law.name)}: lr ${formatLr(law.lr)}, batch ${formatTokens(law.batch)}`));
  }
  for (const [i, name] of ["lr", "batch"].entries()) {
    const known = answer.interval[name];
    if (!known) continue;
    const ends = known.map((v, side) => v ?? (side ? 1e300 : 1e-300));
    const [x, y] = at(best.lr, best.batch);
    if (i) bars.push(...barOf(ends.map(chart.y), chart.top, chart.bottom, (along, across) => [x + across, along]));
    else bars.push(...barOf(ends.map(chart.x), chart.left, chart.right, (along, across) => [along, y + across]));
  }
  plot.append(...bars);
  const isOpen = Object.keys(answer.sides).length > 0;
  plot.append(mark(isOpen ? "end" : "plus", ...at(best.lr, best.batch), "best", isOpen ? "the end of what was tried: the best lies beyond" : "optimum"));
  if (choice) plot.append(mark("diamond", ...at(choice.lr, choice.batch), "choice", "your choice"));
  return bars.some((bar) => bar.classList.contains("onward"));
}

// An interval along one axis of the map, in pixels: a line with a bar where it ends, and
// an arrow at the border where it goes on beyond. `at` places (along, across).
function barOf(ends, lo, hi, at) {
  const shown = ends.map((v) => clamp(v, lo, hi));
  const tips = ends.map((v, i) => {
    if (v === shown[i]) return sv("path", { class: "interval", d: path([at(v, -5), at(v, 5)]) });
    const tip = v < lo ? lo + 1 : hi - 1, back = tip + (v < lo ? 8 : -8);
    return sv("path", { class: "interval onward", d: path([at(back, -5), at(tip, 0), at(back, 5)]) });
  });
  return [sv("path", { class: "interval", d: path(shown.map((v) => at(v, 0))) }), ...tips];
}

// Measured runs of the cell nearest to what is asked, in tiers by their excess over its
// best; none where the page holds none.
function nearestRuns(model, question) {
  if (!model.runs) return { cell: null, runs: [] };
  const cell = nearestCell(model.runs.cells, question), index = model.runs.cells.indexOf(cell);
  if (!cell) return { cell: null, runs: [] };
  const runs = model.runs.rows.filter((run) => run.cell === index);
  return { cell, runs: runs.map((run) => ({ ...run, tier: [0.0025, 0.01, 0.05].filter((e) => run.loss > (1 + e) * cell.best).length })) };
}

function mapLegend(model, answer, sure, chart) {
  const tol = formatPercent(answer.question.tol), isOpen = Object.keys(answer.sides).length > 0;
  const entries = isOpen ? [["end", "best", "the end of what was tried: the best lies beyond, at an arrow"], ["area", "untried", "not tried: nothing is known there"]]
    : [["plus", "best", `optimum and its interval${chart.goesOn ? ", beyond the map at an arrow" : ""}`], ["area", "plateau", `plateau: within ${tol}`]];
  if (sure && sure.robust) entries.push(["area", "robust", sure.robust.natural ? `robust: in ${Math.round(100 * sure.robust.probability)}% of draws` : "robust: nowhere"]);
  if (answer.choice) entries.push(["diamond", "choice", "your choice"]);
  if (answer.region.cut) entries.push(["line", "edge", `stability edge: ${formatPercent(model.p_max)} diverge beyond`]);
  if (model.runs) entries.push(["dot", "run run0", "measured run, stronger the better"], ["cross", "diverged", "diverged run"]);
  if (model.laws.length) entries.push(["triangle", "law", "published laws"]);
  return legendOf(entries);
}
