// The map: excess loss over (lr, batch) as exact contours, with all that is known on it.
// Nodes stay and their paths change, so that a frame costs what it shows.

const LEVELS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

// What the map shows: the whole box, or the neighbourhood of the plateau and the choice.
function viewOf(model, answer, view) {
  const { region: { box }, found } = answer.whole, isOpen = hasSides(answer);
  if (view === "box") return box;
  const far = Math.log1p(Math.max(6 * answer.question.tol, 0.01));
  // Where one side is open, what was tried is shown: nothing is known of the rest.
  const ring = isOpen ? triedCorners(model, answer) : contourOf(answer.surface, box, found.free, found.free.v + far, 32);
  if (answer.choice) ring.push(answer.choice.u);
  const ends = (values, lo, hi) => {
    const low = Math.min(...values), high = Math.max(...values), pad = 0.08 * (high - low);
    return [Math.max(low - pad, Math.min(lo, low)), Math.min(high + pad, Math.max(hi, high))];
  };
  const [xlo, xhi] = ends(ring.map((p) => p[0]), box.xlo, box.xhi), [ylo, yhi] = ends(ring.map((p) => p[1]), box.ylo, box.yhi);
  return { xlo, xhi, ylo, yhi };
}

// Whether a view still serves: it holds what is wanted, and that fills half of it.
function isGoodView(view, wanted) {
  return [["xlo", "xhi"], ["ylo", "yhi"]].every(([lo, hi]) => {
    const span = view[hi] - view[lo], room = 1e-3 * span;
    return wanted[lo] >= view[lo] - room && wanted[hi] <= view[hi] + room && wanted[hi] - wanted[lo] >= 0.55 * span;
  });
}

// Of what was fitted, and of the answer with half an octave beyond it.
function triedCorners(model, answer) {
  const ends = model.choices.map((name, i) => {
    const [low, high] = model.fitted[name], at = answer.best[name];
    return [Math.min(low, at / Math.SQRT2), Math.max(high, at * Math.SQRT2)].map((v) => toU(model, i, v));
  });
  return [[ends[0][0], ends[1][0]], [ends[0][1], ends[1][1]]];
}

const LAYERS = ["bands", "levels", "beyond", "untried", "robust", "plateau", "box", "ridge", "trail", "fan", "runs", "laws", "pins", "best", "second", "choice"];

// An empty map for a view, with its layers in order.
function frameOf(model, view, width, height, label) {
  const xAxis = settingAxis("lr", fromU(model, 0, view.xlo), fromU(model, 0, view.xhi));
  const yAxis = settingAxis("batch", fromU(model, 1, view.ylo), fromU(model, 1, view.yhi));
  const chart = chartOf(width, height, xAxis, yAxis, label, MAP_MARGINS), layers = {};
  for (const name of LAYERS) chart.plot.append((layers[name] = sv("g", { class: `layer-${name}` })));
  layers.bands.append(...LEVELS.map((_, k) => sv("path", { class: `band band${k}` })).reverse());
  layers.plateau.append(sv("path", { class: "plateau" }));
  layers.robust.append(sv("path", { class: "robust" }));
  layers.box.append(sv("rect", { class: "innerbox" }));
  layers.ridge.append(sv("path", { class: "ridge" }));
  const place = ([x, y]) => [chart.x(fromU(model, 0, x)), chart.y(fromU(model, 1, y))];
  return { ...chart, layers, place, view };
}

const MAP_MARGINS = { left: 58, right: 10, top: 8, bottom: 40 };

function paintBands(frame, answer) {
  const { surface, found, question } = answer, { region, found: { free } } = answer.whole, wide = widened(region.box);
  const levels = LEVELS.map((each) => found.v + Math.log1p(each)), shown = LEVELS.map((_, k) => k).filter((k) => levels[k] >= free.v);
  const isOpen = hasSides(answer);
  const rings = ringsOf(surface, wide, free, [...shown.map((k) => levels[k]), answer.level], 108).map((ring) => ring.map(frame.place));
  const paths = frame.layers.bands.childNodes, texts = [];
  let last = null;
  LEVELS.forEach((_, k) => {
    const at = shown.indexOf(k), ring = at < 0 ? [] : rings[at];
    paths[LEVELS.length - 1 - k].setAttribute("d", closed(ring));
  });
  for (let i = shown.length - 1; i >= 0; i--) {
    const inside = rings[i].filter(([x, y]) => x > frame.left + 18 && x < frame.right - 18 && y > frame.top + 8 && y < frame.bottom - 8);
    if (!inside.length || LEVELS[shown[i]] <= question.tol) continue;
    const tip = inside.reduce((a, b) => (b[1] < a[1] ? b : a));
    if (last && Math.hypot(tip[0] - last[0], tip[1] - last[1]) < 24) continue;
    last = tip;
    texts.push(sv("text", { class: "level", x: tip[0], y: tip[1] + 3, "text-anchor": "middle" }, formatPercent(LEVELS[shown[i]])));
  }
  frame.layers.levels.replaceChildren(...texts);
  const cutBack = region.cut || [[region.box.xlo, region.box.xhi], [region.box.ylo, region.box.yhi]].length;
  const outline = isOpen || !cutBack ? [] : clippedOutline(answer, rings, frame);
  frame.layers.plateau.firstChild.setAttribute("d", closed(outline));
}

// The plateau's ring within the box and the cut.
function clippedOutline(answer, rings, frame) {
  const { region, found: { free } } = answer.whole;
  return outlineOf(answer.surface, region, free, answer.level, 144).map(frame.place);
}

// The best lr at each batch of the view.
function paintRidge(model, frame, answer) {
  const { surface, region } = answer.whole, { box } = region, points = [];
  if (!hasSides(answer) && !isAny(answer.kept)) {
    for (let k = 0, start = answer.found; k <= 18; k++) {
      const y = clamp(frame.view.ylo + ((frame.view.yhi - frame.view.ylo) * k) / 18, box.ylo, box.yhi);
      start = minimum(surface, { ...region, box: { ...box, ylo: y, yhi: y } }, start);
      points.push(frame.place([start.x, y]));
    }
  }
  frame.layers.ridge.firstChild.setAttribute("d", path(points));
}

// Where training is likely to diverge: hatched, beyond a line.
function paintEdge(frame, region) {
  const { box, cut } = region;
  if (!cut) {
    frame.layers.beyond.replaceChildren();
    return;
  }
  const line = cutLine(cut, box), corners = [[box.xlo, box.ylo], [box.xhi, box.ylo], [box.xhi, box.yhi], [box.xlo, box.yhi]];
  const beyond = clipped(corners, { nx: -cut.nx, ny: -cut.ny, bound: -cut.bound }), ends = [line.low, line.high].map((t) => frame.place([line.x + t * line.dx, line.y + t * line.dy]));
  if (!frame.layers.beyond.firstChild) {
    frame.layers.beyond.append(sv("defs", null, sv("pattern", { id: "hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      sv("line", { class: "hatch", x1: 0, y1: 0, x2: 0, y2: 8 }))), sv("path", { class: "beyond", fill: "url(#hatch)" }), sv("path", { class: "edge" }));
  }
  const [, area, edge] = frame.layers.beyond.childNodes;
  area.setAttribute("d", closed(beyond.map(frame.place)));
  edge.setAttribute("d", line.low < line.high ? path(ends) : "");
}

// Covered: beyond the end of what was tried the shades would be the family's own.
function untriedRects(sides, chart) {
  return Object.entries(sides).map(([name, { side, at }]) => {
    const isAbove = side === "above", { left, right, top, bottom } = chart;
    const end = name === "lr" ? clamp(chart.x(at), left, right) : clamp(chart.y(at), top, bottom);
    const [x1, x2] = name === "batch" ? [left, right] : isAbove ? [end, right] : [left, end];
    const [y1, y2] = name === "lr" ? [top, bottom] : isAbove ? [top, end] : [end, bottom];
    return sv("rect", { class: "untried", x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) });
  });
}

// The box of which any lr goes with any batch.
function paintBox(frame, decision) {
  const box = decision.robust || decision.inner, rect = frame.layers.box.firstChild;
  const ends = box && [...box.lr, ...box.batch].every(Number.isFinite) && box.lr[0] < box.lr[1] && box.batch[0] < box.batch[1];
  const of = ends ? { x: frame.x(box.lr[0]), y: frame.y(box.batch[1]), width: frame.x(box.lr[1]) - frame.x(box.lr[0]), height: frame.y(box.batch[0]) - frame.y(box.batch[1]) } : { x: 0, y: 0, width: 0, height: 0 };
  for (const [key, value] of Object.entries(of)) rect.setAttribute(key, value.toFixed(1));
}

// The optimum with its intervals, and what is suggested. Whether one goes on beyond.
function paintBest(model, frame, told) {
  const answer = told.kept ? told.kept.base : told.base, { best } = answer, [x, y] = [frame.x(best.lr), frame.y(best.batch)], bars = [];
  for (const [i, name] of ["lr", "batch"].entries()) {
    const known = answer.interval[name];
    if (!known) continue;
    const ends = known.map((v, side) => v ?? (side ? 1e300 : 1e-300));
    if (i) bars.push(...barOf(ends.map(frame.y), frame.top, frame.bottom, (along, across) => [x + across, along]));
    else bars.push(...barOf(ends.map(frame.x), frame.left, frame.right, (along, across) => [along, y + across]));
  }
  const isOpen = hasSides(answer), use = (told.kept ? told.kept.decision : told.decision).suggestion;
  const marks = [mark(isOpen ? "end" : "plus", x, y, "best", isOpen ? "the end of what was tried: the best lies beyond" : "optimum")];
  if (use && use.lr > 0 && use.batch > 0) marks.push(mark("ring", frame.x(use.lr), frame.y(use.batch), "use", `suggested: lr ${typedLr(use.lr)}, batch ${typedBatchExact(use.batch)}`));
  frame.layers.best.replaceChildren(...bars, ...marks);
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
// best; none where the page holds none, or where it is not near.
function nearestRuns(model, question) {
  const none = { cell: null, runs: [] };
  if (!model.runs) return none;
  const cell = nearestCell(model.runs.cells, question), index = model.runs.cells.indexOf(cell);
  if (!cell) return none;
  const runs = model.runs.rows.filter((run) => run.cell === index), isNear = distancesTo([cell], question)[0] <= Math.log(2);
  return { cell, isNear, runs: runs.map((run) => ({ ...run, tier: [0.0025, 0.01, 0.05].filter((e) => run.loss > (1 + e) * cell.best).length })) };
}

function paintRuns(model, frame, { runs, isNear }) {
  if (!isNear) {
    frame.layers.runs.replaceChildren();
    return;
  }
  frame.layers.runs.replaceChildren(...runs.map((run) => {
    const about = `${run.name ? `${plain(run.name)}: ` : ""}lr ${formatLr(run.lr)}, batch ${shortBatch(run.batch)}, ${run.diverged ? "diverged" : `loss ${formatLoss(run.loss)}`}`;
    const node = mark(run.diverged ? "cross" : "dot", frame.x(run.lr), frame.y(run.batch), run.diverged ? "diverged" : `run run${run.tier}`, about);
    node.dataset.run = run.index;
    return node;
  }));
}

function paintLaws(model, frame, question) {
  frame.layers.laws.replaceChildren(...lawPoints(model, question).filter((law) => law.lr > 0 && law.batch > 0).flatMap((law) => {
    const [x, y] = [frame.x(law.lr), frame.y(law.batch)];
    // A phone has no room for names: they stay in the mark's title.
    const name = frame.right > 450 ? [sv("text", { class: "level", x: x + 10, y: y + 4 }, plain(law.name, 24))] : [];
    return [...name, mark("triangle", x, y, "law", `${plain(law.name)}: lr ${typedLr(law.lr, 3)}, batch ${shortBatch(law.batch)}`)];
  }));
}

function mapLegend(model, told, goesOn, near) {
  const { answer, decision, robust } = told, tol = formatPercent(answer.question.tol), isOpen = hasSides(answer);
  const entries = isOpen ? [["end", "best", "the end of what was tried: the best lies beyond, at an arrow"], ["area", "untried", "not tried: nothing is known there"]]
    : [["ring", "use", "suggested"], ["plus", "best", `optimum, 95 % interval${goesOn ? ", beyond the map at an arrow" : ""}`], ["line", "ridge", "best lr at each batch"], ...(told.trail ? [["line", "trail", `optimum from ${told.trail.map(formatCount).join(" to ")} tokens`]] : []), ...(told.fan ? [["speck", "fan", `optimum in each of ${told.fan.length} refits`]] : []), ["area", "plateau", `within ${tol}`]];
  if (robust && !isOpen) entries.push(["area", "robust", robust.natural ? `in ${Math.round(100 * robust.probability)} % of refits` : "sure nowhere"]);
  if (decision.robust || decision.inner) entries.push(["area", "innerbox", "any lr with any batch"]);
  if (answer.choice) entries.push(["diamond", "choice", "yours"]);
  if (told.state.pins.length) entries.push(["square", "pin", "pinned"]);
  if (answer.region.cut) entries.push(["line", "edge", `${formatPercent(model.p_max)} diverge beyond`]);
  if (near.isNear && near.runs.length) entries.push(["dot", "run run0", `runs of ${cellName(model, near.cell)}, stronger the better`], ...(near.runs.some((r) => r.diverged) ? [["cross", "diverged", "diverged"]] : []));
  if (model.laws.length) entries.push(["triangle", "law", "published laws"]);
  return legendOf(entries);
}
