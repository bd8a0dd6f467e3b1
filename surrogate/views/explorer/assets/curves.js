// Curves: the optimum along each scale.

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
    settingAxis(name, lo / 1.4, hi * 1.4), label);
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
