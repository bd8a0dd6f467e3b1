// Profiles on the map's own axes: excess loss along one setting, the other at its best,
// with the interval of the excess (that of the level would swallow the plateau).

const PROFILE_POINTS = 49;

// Rows of {v, excess, ends} of one setting between two places [u].
function profileOf(model, answer, i, [lo, hi]) {
  const { surface, found, leaves } = answer, at = (u) => (i ? [found.x, u] : [u, found.y]);
  return Array.from({ length: PROFILE_POINTS }, (_, k) => {
    const u = lo + ((hi - lo) * k) / (PROFILE_POINTS - 1), place = at(u), excess = valueAt(surface, ...place) - found.v;
    const ends = intervalOf(model, excess, leaves.map((leaf) => valueAt(leaf.f, ...place) - leaf.low.v));
    return { v: fromU(model, i, u), excess: Math.expm1(excess), ends: ends && ends.map((e) => Math.max(Math.expm1(e), 0)) };
  });
}

// A profile of lr below the map, or of batch beside it, drawn on the map's own pixels.
function drawProfile(model, told, i, axis, size, isUpright) {
  const { answer } = told, { question } = answer, name = model.choices[i], side = answer.sides[name], top = Math.max(4 * question.tol, 0.008);
  const ends = i ? [axis.view.ylo, axis.view.yhi] : [axis.view.xlo, axis.view.xhi], rows = profileOf(model, answer, i, ends);
  const other = model.choices[1 - i], label = `Excess loss along ${NAMES[name]}${other ? `, ${NAMES[other]} at its best` : ""}`;
  const excess = { lo: 0, hi: top, log: false, label: "", ticks: (isUpright ? [question.tol, top] : [0, question.tol, top]).map((at) => ({ at, text: `${general(100 * at, 3)}%` })) };
  const setting = { ...settingAxis(name, rows[0].v, rows[PROFILE_POINTS - 1].v), label: isUpright || axis.isAlone ? undefined : "" };
  setting.label ??= settingAxis(name, 1, 2).label;
  if (isUpright) setting.label = "";
  const chart = isUpright ? chartOf(size.width, size.height, excess, setting, label, { left: 8, right: 10, top: 8, bottom: 40 })
    : chartOf(size.width, size.height, setting, excess, label, { left: 58, right: 10, top: 8, bottom: axis.isAlone ? 40 : 20 });
  if (isUpright) chart.svg.querySelectorAll(".axis text[text-anchor=end]").forEach((node) => node.remove());
  chart.plot.append(sv("text", { class: "linename", x: chart.right - 5, y: chart.top + 12, "text-anchor": "end" }, isUpright ? "excess" : `excess loss along ${name}`));
  const place = (v, e) => (isUpright ? [chart.x(Math.min(e, 2 * top)), chart.y(v)] : [chart.x(v), chart.y(Math.min(e, 2 * top))]);
  const slice = answer.slices[name] || answer.plateau[name];
  if (slice) {
    const [a, b] = slice.map((v, end) => (isUpright ? (v === null ? [chart.bottom, chart.top][end] : clamp(chart.y(v), chart.top, chart.bottom)) : v === null ? [chart.left, chart.right][end] : clamp(chart.x(v), chart.left, chart.right)));
    chart.plot.append(sv("rect", isUpright ? { class: "within", x: chart.left, y: Math.min(a, b), width: chart.right - chart.left, height: Math.abs(b - a) } : { class: "within", x: a, y: chart.top, width: Math.max(b - a, 0), height: chart.bottom - chart.top }));
  }
  if (side && !isUpright) chart.plot.append(...untriedRects({ lr: side }, chart));
  const sure = rows.filter((row) => row.ends);
  if (sure.length > 1) chart.plot.append(sv("path", { class: "spread", d: closed([...sure.map((row) => place(row.v, row.ends[0])), ...[...sure].reverse().map((row) => place(row.v, row.ends[1]))]) }));
  const limit = isUpright ? [[chart.x(question.tol), chart.top], [chart.x(question.tol), chart.bottom]] : [[chart.left, chart.y(question.tol)], [chart.right, chart.y(question.tol)]];
  chart.plot.append(sv("path", { class: "limit", d: path(limit) }), sv("path", { class: "curve", d: path(rows.map((row) => place(row.v, row.excess))) }));
  const own = answer.choice && answer.choice[name];
  if (own) {
    const [x, y] = place(own, 0);
    chart.plot.append(sv("path", { class: "ownline", d: path(isUpright ? [[chart.left, y], [chart.right, y]] : [[x, chart.top], [x, chart.bottom]]) }));
  }
  return chart;
}

// Both, each with its pointer: where it points, one's own setting goes.
function buildProfiles(session, { below, beside }) {
  const charts = {};
  for (const [area, name] of [[below, "lr"], [beside, "batch"]]) {
    let isDown = false;
    const move = (event) => {
      const { chart, isUpright, key } = charts[name], box = chart.svg.getBoundingClientRect();
      const raw = isUpright ? chart.y.back(clamp(event.clientY - box.top, chart.top, chart.bottom)) : chart.x.back(clamp(event.clientX - box.left, chart.left, chart.right));
      session.set(withBracket(session, key, key === "lr" ? nearDigits(raw) : nearBatch(raw)));
    };
    area.addEventListener("pointerdown", (event) => {
      if (event.button || !charts[name]) return;
      isDown = true;
      session.hold(true);
      area.setPointerCapture(event.pointerId);
      move(event);
    });
    area.addEventListener("pointermove", (event) => { if (isDown) move(event); });
    for (const kind of ["pointerup", "pointercancel"]) area.addEventListener(kind, () => {
      if (isDown) session.hold(false);
      isDown = false;
    });
  }
  return (told, frame) => {
    const { model } = session, isNone = told.answer.refused || (!frame && !toldChoices(model).length);
    below.replaceChildren();
    beside.replaceChildren();
    if (isNone) return;
    if (!frame) {
      const name = toldChoices(model)[0], i = model.choices.indexOf(name), { region, edges } = told.answer, [lo, hi] = i ? [region.box.ylo, region.box.yhi] : [region.box.xlo, region.box.xhi];
      const side = told.answer.sides[name], half = Math.max(1.2 * (edges[i][1].at - edges[i][0].at), 0.05 * (hi - lo)), [first, last] = model.fitted[name].map((v) => toU(model, i, v));
      const view = side ? [first, last] : [Math.max(edges[i][0].at - half, lo), Math.min(edges[i][1].at + half, hi)];
      const axis = { isAlone: true, view: i ? { ylo: view[0], yhi: view[1] } : { xlo: view[0], xhi: view[1] } };
      const chart = drawProfile(model, told, i, axis, { width: Math.max(below.clientWidth, 240), height: 260 }, false);
      charts.lr = { chart, isUpright: false, key: name };
      below.append(chart.svg);
      return;
    }
    const width = frame.right + MAP_MARGINS.right, height = frame.bottom + MAP_MARGINS.bottom, wide = beside.clientWidth;
    charts.lr = { chart: drawProfile(model, told, 0, { view: frame.view }, { width, height: 96 }, false), isUpright: false, key: "lr" };
    below.append(charts.lr.chart.svg);
    if (wide < 60) return;
    const isUpright = wide < 200;
    charts.batch = { chart: drawProfile(model, told, 1, { view: frame.view, isAlone: !isUpright }, { width: wide, height: isUpright ? height : 110 }, isUpright), isUpright, key: "batch" };
    beside.append(charts.batch.chart.svg);
  };
}
