// Does it hold: a small map a cell, drawn by the refit that never saw that cell.

const CELL_SIZE = { width: 148, height: 128 };

// A cell's answer by a theta: surface, minimum, level, region.
function cellAnswer(model, cell, theta) {
  const question = { ...cell, tol: model.tol, lr: null, batch: null }, s = givenOf(model, question), region = regionOf(model, question, null, {});
  const surface = surfaceOf(model.family, model.shape, theta, s), found = minimum(surface, region);
  return { surface, found, region, level: found.v + Math.log1p(model.tol) };
}

// Runs of the page that are of a fitted cell.
const runsOfCell = (model, cell) => {
  const index = model.runs ? model.runs.cells.findIndex((own) => distancesTo([own], { ...cell, tol: 0 })[0] < 1e-6) : -1;
  return index < 0 ? [] : model.runs.rows.filter((run) => run.cell === index && !run.diverged);
};

// Whether each cell's best run lies inside the plateau of the refit without it.
function heldOutBest(model) {
  return model.left_out.map((index, i) => {
    const runs = runsOfCell(model, model.sizes[index]);
    if (!runs.length) return null;
    const best = runs.reduce((a, b) => (b.loss < a.loss ? b : a)), { surface, level } = cellAnswer(model, model.sizes[index], model.leaves[i]);
    return valueAt(surface, ...placeIn(model, best)) <= level;
  });
}

function drawCell(model, index, i) {
  const cell = model.sizes[index], unseen = cellAnswer(model, cell, model.leaves[i]), whole = cellAnswer(model, cell, model.theta), runs = runsOfCell(model, cell);
  const rings = [unseen, whole].map((one) => outlineOf(one.surface, one.region, one.found.free, one.level, 64));
  const best = runs.length ? runs.reduce((a, b) => (b.loss < a.loss ? b : a)) : null, places = rings.flat();
  if (best) places.push(placeIn(model, best));
  const ends = [0, 1].map((k) => places.map((p) => p[k])).map((v) => [Math.min(...v), Math.max(...v)]).map(([lo, hi]) => [lo - 0.15 * (hi - lo), hi + 0.15 * (hi - lo)]);
  const axes = ["lr", "batch"].map((name, k) => ({ ...settingAxis(name, fromU(model, k, ends[k][0]), fromU(model, k, ends[k][1]), 3), label: "" }));
  axes[0].ticks = axes[0].ticks.slice(0, 3);
  const chart = chartOf(CELL_SIZE.width, CELL_SIZE.height, ...axes, `Plateau at ${cellName(model, cell)} tokens`, { left: 40, right: 14, top: 4, bottom: 18 });
  const place = ([x, y]) => [chart.x(fromU(model, 0, x)), chart.y(fromU(model, 1, y))];
  chart.plot.append(sv("path", { class: "heldout", d: closed(rings[0].map(place)) }), sv("path", { class: "limit", d: closed(rings[1].map(place)) }));
  chart.plot.append(...runs.map((run) => mark("dot", chart.x(run.lr), chart.y(run.batch), `run run${[0.0025, 0.01, 0.05].filter((e) => run.loss > (1 + e) * best.loss).length}`)));
  chart.plot.append(mark("plus", ...place([unseen.found.x, unseen.found.y]), "best"));
  const isIn = best ? valueAt(unseen.surface, ...placeIn(model, best)) <= unseen.level : null;
  if (best) chart.plot.append(mark("diamond", chart.x(best.lr), chart.y(best.batch), isIn ? "bestrun" : "bestrun out"));
  return el("figure", { class: "cellmap" }, el("figcaption", null, cellName(model, cell), isIn === false ? el("b", { class: "far" }, " outside") : ""), chart.svg);
}

function fillCells(model, body) {
  if (!model.left_out || model.choices.length < 2) {
    body.replaceChildren(el("p", { class: "note" }, model.left_out ? "One setting alone is fitted, so there is no such map: the scores below have every cell left out." : "The fit kept no refit without each cell, so there is no such picture."));
    return;
  }
  const found = heldOutBest(model), known = found.filter((one) => one !== null), inside = known.filter(Boolean).length;
  const said = known.length ? `Each cell was left out and predicted by the rest. Of ${known.length} cells the best run lies inside the predicted plateau in ${inside}.` : "Each cell was left out and predicted by the rest: the plateau without it (filled) and with it (dashed). This page holds no runs to mark: make it with --runs FILE.";
  const grid = el("div", { class: "cells" }), legend = legendOf([["area", "heldout", "plateau by the refit that never saw the cell"], ["area", "limit", "by the whole fit"], ["plus", "best", "its optimum"], ...(known.length ? [["diamond", "bestrun", "the best run"], ["dot", "run run0", "runs, stronger the better"]] : [])]);
  body.replaceChildren(el("p", { id: "held-said" }, said), legend, grid);
  let i = 0;
  // One a frame, so that no hand waits.
  const next = () => {
    if (i >= model.left_out.length) return;
    grid.append(drawCell(model, model.left_out[i], i));
    i += 1;
    requestAnimationFrame(next);
  };
  next();
}
