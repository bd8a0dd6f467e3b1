// Curves: slices through the optimum, and the optimum along each scale.

// Loss along one setting, the other at its optimum, with a band by the intervals' rule.
function drawSlice(model, answer, i, width) {
  const { question, surface, found, region } = answer, name = model.choices[i];
  const side = answer.sides[name], [lo, hi] = side ? triedSpan(model, name, i, side) : aroundPlateau(answer, region, i);
  const at = (u) => (i ? [found.x, u] : [u, found.y]);
  const rows = Array.from({ length: 61 }, (_, k) => {
    const u = lo + ((hi - lo) * k) / 60, value = valueAt(surface, ...at(u));
    const ends = intervalOf(model, value, answer.leaves.map((leaf) => valueAt(leaf.f, ...at(u))), answer.wrong.level);
    return { v: fromU(model, i, u), loss: lossOf(model, value), ends: ends && ends.map((e) => lossOf(model, e)) };
  });
  const losses = rows.flatMap((row) => [row.loss, ...(row.ends || [])]).concat(answer.lossLimit);
  const wall = Math.max(0.03, 12 * question.tol), low = Math.max(Math.min(...losses), answer.loss * (1 - wall));
  const high = side ? Math.max(...rows.map((row) => row.loss), answer.lossLimit) * 1.002 : Math.min(Math.max(...losses), answer.loss * (1 + wall));
  const other = model.choices[1 - i], where = answer.sides[other] ? "at the end of what was tried" : other in model.untold ? `held at ${settingText(other, answer.best[other], question)}` : "at its optimum";
  const label = `Loss along ${NAMES[name]}${other ? `, ${NAMES[other]} ${where}` : ""}${side ? `; nothing ${side.side === "above" ? "above" : "below"} was tried` : ""}`;
  const chart = chartOf(width, 240, settingAxis(name, ...axisEnds(rows[0].v, rows[60].v, side), question, Math.floor(width / 75)), lossAxis(low - 0.06 * (high - low), high, unitOf(model)), label);
  const slice = answer.slices[name] || (toldChoices(model).length === 1 || side ? answer.plateau[name] : null);
  if (slice) {
    // Open where nothing was tried: to the border.
    const [a, b] = slice.map((v, end) => (v === null ? [chart.left, chart.right][end] : clamp(chart.x(v), chart.left, chart.right)));
    chart.plot.append(sv("rect", { class: "within", x: a, y: chart.top, width: Math.max(b - a, 0), height: chart.bottom - chart.top }));
  }
  if (side) drawUntried({ sides: { lr: { ...side } } }, chart);
  const sure = rows.filter((row) => row.ends);
  if (sure.length > 1) chart.plot.append(sv("path", { class: "spread", d: bandPath(chart, sure.map((row) => [row.v, ...row.ends])) }));
  chart.plot.append(
    sv("path", { class: "limit", d: path([[chart.left, chart.y(answer.lossLimit)], [chart.right, chart.y(answer.lossLimit)]]) }),
    sv("path", { class: "curve", d: path(rows.map((row) => [chart.x(row.v), chart.y(row.loss)])) }),
    mark(side ? "end" : "plus", chart.x(answer.best[name]), chart.y(answer.loss), "best", side ? "the end of what was tried: the best lies beyond" : "optimum"));
  return el("figure", null, el("figcaption", null, label), chart.svg);
}

// What a slice shows: the plateau with as much again, within the box.
function aroundPlateau(answer, region, i) {
  const bounds = i ? [region.box.ylo, region.box.yhi] : [region.box.xlo, region.box.xhi], edges = answer.edges[i].map((e) => e.at);
  const half = Math.max(1.2 * (edges[1] - edges[0]), 0.05 * (bounds[1] - bounds[0]));
  return [Math.max(edges[0] - half, bounds[0]), Math.min(edges[1] + half, bounds[1])];
}

// Where one side is open, what was tried and no more.
function triedSpan(model, name, i, { side, at }) {
  const [low, high] = model.fitted[name];
  return (side === "above" ? [Math.min(low, at / 2), at] : [at, Math.max(high, at * 2)]).map((v) => toU(model, i, v));
}

// An axis with room beyond the end of what was tried.
function axisEnds(lo, hi, side) {
  const room = (hi / lo) ** 0.12;
  return [side && side.side === "below" ? lo / room : lo, side && side.side === "above" ? hi * room : hi];
}

const SCALES = { params: "parameters", tokens: "training tokens" };

// The optimum of one setting along one scale, with its interval and the first published law.
function drawScaling(model, answer, scale, rows, name, width) {
  const { question } = answer, here = question[scale] ?? question.scales[scale];
  const laws = scale === "params" || scale === "tokens" ? model.laws.slice(0, 1).map((law) => rows.map((row) =>
    [row.value, lawPoints({ laws: [law] }, { ...question, [scale]: row.value })[0][name]])) : [];
  const known = rows.filter((row) => row[name].at !== null), label = `Best ${NAMES[name]} along ${SCALES[scale] || plain(scale)}`;
  if (!known.length) return el("figure", null, el("figcaption", null, `${label}: the best lies beyond what was tried at all of these sizes.`));
  const values = known.flatMap((row) => [row[name].at, ...(row[name].ends || [])]);
  const wide = 4, middle = known.map((row) => row[name].at);
  const lo = Math.max(Math.min(...values), Math.min(...middle) / wide), hi = Math.min(Math.max(...values), Math.max(...middle) * wide);
  const chart = chartOf(width, 240, countAxis(SCALES[scale] || plain(scale), rows[0].value, rows[rows.length - 1].value),
    settingAxis(name, lo / 1.4, hi * 1.4, question), label);
  const [a, b] = model.fitted[scale].map(chart.x), sure = rows.filter((row) => row[name].ends);
  chart.plot.append(sv("rect", { class: "within", x: a, y: chart.top, width: b - a, height: chart.bottom - chart.top }));
  if (sure.length > 1) chart.plot.append(sv("path", { class: "spread", d: bandPath(chart, sure.map((row) => [row.value, ...row[name].ends])) }));
  for (const law of laws) {
    const given = law.filter(([, v]) => v > 0);
    if (given.length > 1) chart.plot.append(sv("path", { class: "lawline", d: path(given.map(([v, w]) => [chart.x(v), chart.y(w)])) }));
  }
  chart.plot.append(
    sv("path", { class: "curve", d: path(known.map((row) => [chart.x(row.value), chart.y(row[name].at)])) }));
  if (!answer.sides[name]) chart.plot.append(mark("plus", chart.x(here), chart.y(answer.best[name]), "best", "what is asked"));
  const part = known.length < rows.length ? "; elsewhere the runs tell one side, or nothing" : "";
  return el("figure", null, el("figcaption", null, `${label}${tiedText(model, scale)}${part}`), chart.svg);
}

// Sizes that move with a scale, since they did in the runs.
function tiedText(model, scale) {
  const tied = model.held_sizes.filter((name) => model.lines[name].slopes[model.givens.indexOf(scale)]);
  return tied.length ? `, ${tied.map((name) => SCALES[name] || plain(name)).join(" and ")} moving with it as in the runs` : "";
}

function scalingFigures(model, answer, width) {
  return model.givens.flatMap((scale) => {
    const [low, high] = model.fitted[scale], here = answer.question[scale] ?? answer.question.scales[scale];
    const lo = Math.min(low / 1.5, here / 1.5), hi = Math.max(high * 4, here * 1.5);
    const values = Array.from({ length: 25 }, (_, k) => lo * (hi / lo) ** (k / 24));
    const rows = optimumAlong(model, answer.question, scale, values);
    return toldChoices(model).map((name) => drawScaling(model, answer, scale, rows, name, width));
  });
}
