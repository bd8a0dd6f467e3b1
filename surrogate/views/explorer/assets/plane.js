// Where the question lies: N x D with the fitted cells and their hull, lines of equal
// compute and of tokens a parameter, shaded by how well the best lr is known.

const KNOWN_TO = [1.1, 1.25, 1.5, 2], PLANE_COLUMNS = 18, PLANE_ROWS = 14, RATIOS = [20, 200, 2000];

// What the plane spans: all that was fitted, public models, and what is asked.
function planeSpan(model, state) {
  const ends = (name, more) => {
    const all = [...model.sizes.map((cell) => cell[name]), ...model.presets.map((one) => one[name]), state[name], ...more];
    return [Math.min(...all) / 1.8, Math.max(...all) * 1.8];
  };
  return { params: ends("params", []), tokens: ends("tokens", []) };
}

// The hull of places [x, y], in order.
function hullOf(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]), half = (list) => {
    const kept = [];
    for (const p of list) {
      const turn = () => { const [a, b] = kept.slice(-2); return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]); };
      while (kept.length > 1 && turn() <= 0) kept.pop();
      kept.push(p);
    }
    return kept.slice(0, -1);
  };
  return sorted.length < 3 ? sorted : [...half(sorted), ...half(sorted.reverse())];
}

// By what factor the best lr is known there, or null.
function knownFactor(model, state, params, tokens) {
  const asked = { ...state, params, tokens, lr: null, batch: null };
  if (refusedSizes(model, asked) || !model.leaves.length || !toldChoices(model).includes("lr")) return null;
  const s = givenOf(model, asked), region = regionOf(model, asked, null, keptOf(model, asked)), { found, leaves, wrong } = solveOver(model, s, region);
  if (found.atBound.some(Boolean)) return null;
  const ends = intervalOf(model, found.x, leaves.map((l) => l.low.x), wrong.settings[0]);
  return ends && Math.sqrt(fromU(model, 0, ends[1]) / fromU(model, 0, ends[0]));
}

function buildPlane(session, body) {
  const { model } = session, area = el("div", { class: "plane", id: "plane-area", tabindex: 0, role: "group", "aria-label": "Parameters and training tokens. Arrow keys move what is asked." });
  const select = el("select", { id: "preset", "aria-label": "A public model", onchange: () => preset(select.value) }, el("option", { value: "" }, "A public model …"), model.presets.map((one) => el("option", { value: one.name }, one.name)));
  const legend = el("div");
  body.replaceChildren(...(model.presets.length ? [el("div", { class: "buttons" }, select)] : []), area, legend);
  let chart = null, layers = {}, span = null, isDown = false, shaded = "", run = 0;
  function preset(name) {
    const one = model.presets.find((each) => each.name === name);
    if (!one) return;
    const both = one.lr && one.batch;
    session.set({ ...session.state, params: Math.round(one.params), tokens: one.tokens, lr: both ? one.lr : null, batch: both ? one.batch : null, keep: null });
  }
  const move = (event) => {
    const box = chart.svg.getBoundingClientRect();
    session.set({ ...session.state, params: clamp(nearDigits(chart.x.back(clamp(event.clientX - box.left, chart.left, chart.right))), ...limitsOf(model, "params")), tokens: clamp(nearDigits(chart.y.back(clamp(event.clientY - box.top, chart.top, chart.bottom))), ...limitsOf(model, "tokens")) });
  };
  area.addEventListener("pointerdown", (event) => {
    const box = chart.svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    if (event.button || x < chart.left || x > chart.right || y < chart.top || y > chart.bottom) return;
    const name = event.target.dataset && event.target.dataset.preset;
    if (name) {
      preset(name);
      return;
    }
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
  area.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: ["params", -1], ArrowRight: ["params", 1], ArrowUp: ["tokens", 1], ArrowDown: ["tokens", -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const [name, by] = way;
    session.set({ ...session.state, [name]: clamp(nearDigits(session.state[name] * 1.2 ** by), ...limitsOf(model, name)) });
  });
  function rebuild(state) {
    const width = Math.max(area.clientWidth, 240), height = Math.round(clamp(0.62 * width, 220, 330));
    chart = chartOf(width, height, countAxis("parameters N", ...span.params), countAxis("training tokens D", ...span.tokens), "Fitted cells, public models and what is asked, over parameters and training tokens", MAP_MARGINS);
    layers = {};
    for (const name of ["shade", "lines", "hull", "cells", "presets", "here"]) chart.plot.append((layers[name] = sv("g", { class: `layer-${name}` })));
    layers.lines.append(...planeLines(chart, span));
    const own = model.sizes.filter((cell) => cell.recipe === state.recipe), places = own.map((cell) => [chart.x(cell.params), chart.y(cell.tokens)]);
    layers.hull.append(sv("path", { class: "hull", d: closed(hullOf(places)) }));
    layers.cells.append(...places.map(([x, y], i) => mark("dot", x, y, "cell", `fitted: ${formatCount(own[i].params)} parameters, ${formatCount(own[i].tokens)} tokens`)));
    layers.presets.append(...model.presets.map((one) => {
      const node = mark("square", chart.x(one.params), chart.y(one.tokens), "preset", `${one.name}: ${formatCount(one.params)} parameters, ${formatCount(one.tokens)} tokens`);
      node.dataset.preset = one.name;
      return node;
    }));
    area.replaceChildren(chart.svg);
    legend.replaceChildren(legendOf([["diamond", "here", "what is asked"], ["dot", "cell", "fitted cells"], ["line", "ratio", "tokens a parameter"], ["line", "isoflop", "equal FLOPs, 6 N D"], ...(model.presets.length ? [["square", "preset", "public models"]] : []),
      ...(model.leaves.length ? KNOWN_TO.map((factor, k) => ["area", `known known${k}`, `best lr known to ${factor}×`]) : [])]));
    shaded = "";
  }
  // A tile at a time when nothing else is to do.
  function shade(state) {
    const key = JSON.stringify([span, state.recipe, state.scales, chart.right]);
    if (key === shaded || !model.leaves.length) return;
    shaded = key;
    layers.shade.replaceChildren();
    const mine = ++run, [w, h] = [(chart.right - chart.left) / PLANE_COLUMNS, (chart.bottom - chart.top) / PLANE_ROWS], layer = layers.shade;
    let k = 0;
    const some = () => {
      const begun = performance.now();
      for (; k < PLANE_COLUMNS * PLANE_ROWS && performance.now() - begun < 8; k++) {
        const [column, row] = [k % PLANE_COLUMNS, Math.floor(k / PLANE_COLUMNS)], x = chart.left + column * w, y = chart.top + row * h;
        const [x0, x1, y0, y1] = [x, x + w, y, y + h].map(Math.round);
        const factor = knownFactor(model, state, chart.x.back(x + w / 2), chart.y.back(y + h / 2));
        if (factor === null) continue;
        const tier = KNOWN_TO.findIndex((most) => factor <= most);
        if (tier >= 0) layer.append(sv("rect", { class: `known known${tier}`, x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
      }
      if (k < PLANE_COLUMNS * PLANE_ROWS && mine === run) setTimeout(some, 16);
    };
    setTimeout(some, 60);
  }
  return (told, isResting) => {
    const { state } = told, width = Math.max(area.clientWidth, 240), isIn = span && ["params", "tokens"].every((name) => state[name] > span[name][0] && state[name] < span[name][1]);
    if (!chart || chart.svg.clientWidth !== width || (!isIn && isResting && !session.isHeld)) {
      span = isIn ? span : planeSpan(model, state);
      rebuild(state);
    }
    layers.here.replaceChildren(mark("diamond", chart.x(state.params), chart.y(state.tokens), "here", "what is asked"));
    const one = model.presets.find((each) => Math.round(each.params) === state.params && each.tokens === state.tokens);
    select.value = one ? one.name : "";
    if (isResting && !session.isHeld) shade(state);
  };
}

// Equal compute, and tokens a parameter, each with its name where there is room.
function planeLines(chart, span) {
  const [n0, n1] = span.params, [d0, d1] = span.tokens, lines = [];
  const add = (kind, at, text) => {
    const inside = [n0, n1].map((n) => [n, at(n)]);
    lines.push(sv("path", { class: kind, d: path(inside.map(([n, d]) => [chart.x(n), chart.y(d)])) }));
    const tip = kind === "ratio" ? Math.min(n1, d1 / (at(1) || 1)) : 0;
    if (kind === "ratio" && tip > n0 * 1.5 && at(tip) > d0 * 2) lines.push(sv("text", { class: "linename", x: chart.x(tip) - 4, y: chart.y(Math.min(at(tip), d1)) + 12, "text-anchor": "end" }, text));
  };
  for (const ratio of RATIOS) add("ratio", (n) => ratio * n, `${formatTokens(ratio)}×`);
  for (let power = Math.ceil(Math.log10(6 * n0 * d0)); power <= Math.log10(6 * n1 * d1); power++) {
    const compute = Number(`1e${power}`);
    add("isoflop", (n) => compute / (6 * n), "");
    const n = compute / (6 * d0 * 1.5);
    if (n > n0 * 1.2 && n < n1 / 1.2) lines.push(sv("text", { class: "linename", x: chart.x(n), y: chart.bottom - 4, "text-anchor": "middle" }, `1e${power}`));
  }
  return lines;
}
