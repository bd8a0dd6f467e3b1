// What a person decides by, of one answer: boxes, suggestion, price, ladder, trust, as
// surrogate/answers/decision/decide.py and boxes.py make them.

const ON_BOUND = 1e-3, BESIDE_BEST = 0.05;

// The draws at a question over a region: surfaces, minima, limits, moves, extents.
function drawnOf(model, { s, region, found, leaves, wrong }, tol) {
  const place = (low) => [low.x, low.y];
  const surfaces = model.draws.map((theta) => surfaceOf(model.family, model.shape, theta, s));
  const still = surfaces.map((f) => drawPlateau(f, region, tol, found));
  const moves = movesOf(model, place(found), leaves.map((l) => place(l.low)), still.map((d) => place(d.found)), wrong);
  return { surfaces, still, moves, lows: still.map((d) => d.found) };
}

// The regret of a place in every draw.
const drawnRegrets = (drawn, [x, y]) => drawn.surfaces.map((f, k) => Math.expm1(valueAt(f, x - drawn.moves[k][0], y - drawn.moves[k][1]) - drawn.lows[k].v));

// The box that was searched, an open side of it at the end of what was tested, and which
// sides are open; capped as asked.
function testedRegion(model, { region, found, edges }) {
  const box = { ...region.box }, keys = [["xlo", "xhi"], ["ylo", "yhi"]];
  const isOpen = model.choices.map((name, i) => {
    const [lo, hi] = keys[i], u = i ? found.y : found.x;
    const open = edges[i].map((edge, side) => edge.isOpen && !(side && region.isEdge));
    const [first, last] = model.fitted[name].map((end) => toU(model, i, end));
    if (open[0] && box[lo] < first && first < u) box[lo] = first;
    if (open[1] && u < last && last < box[hi]) box[hi] = last;
    return open;
  });
  return { region: { ...region, box }, isOpen };
}

// Both boxes in u, [low, high] of each setting, null where there is none.
function boxesOf(model, answer, drawn, probability) {
  const { region, isOpen } = testedRegion(model, answer), { box, cut } = region, { surface, level } = answer;
  const isFree = model.choices.map((_, i) => (i ? box.ylo < box.yhi : box.xlo < box.xhi)), pairs = (v) => v && [[v[0], v[1]], [v[2], v[3]]];
  const ends = [[box.xlo, box.xhi], [box.ylo, box.yhi]].slice(0, model.choices.length);
  const told = { isOpen, region, ends };
  if (isFree.length === 2 && isFree.every(Boolean)) {
    const inner = pairs(innerBox(surface, region, level));
    let robust = null;
    if (drawn && drawn.surfaces.length) {
      const walls = { surfaces: drawn.surfaces, level: drawn.still.map((d) => d.level), moves: drawn.moves, low: [box.xlo, box.ylo], high: [box.xhi, box.yhi], cut };
      robust = pairs(robustBox(walls, drawnEdges(drawn, answer.region), probability));
    }
    return { ...told, inner, robust };
  }
  const i = isFree.indexOf(true);
  if (i < 0) return { ...told, inner: null, robust: null };
  const line = (pair) => {
    if (!pair) return null;
    const found = ends.map((e) => [...e]);
    found[i] = pair.map((u) => clamp(u, ...ends[i]));
    return found[i][0] < found[i][1] ? found : null;
  };
  const own = answer.edges[i].map((e) => e.at), drawnEnds = drawn && drawn.surfaces.length ? drawnEdges(drawn, answer.region).map((e) => e[i]) : [];
  return { ...told, inner: line(own), robust: line(drawnEnds.length ? robustInterval(drawnEnds, probability) : null) };
}

// Extents of each draw's plateau within the cut, moved.
const drawnEdges = (drawn, region) => drawn.still.map((draw, k) => {
  const isCut = region.cut && draw.edges.some((pair, axis) => pair.some((e) => !isWithin(region.cut, ...(axis ? [e.other, e.at] : [e.at, e.other]))));
  const edges = isCut ? extents(draw.f, draw.found, region, draw.level) : draw.edges;
  return edges.map((pair, axis) => pair.map((e) => e.at + drawn.moves[k][axis]));
});

// A box in natural units, an open side null.
function naturalBox(model, answer, boxes, box) {
  if (!box) return null;
  const found = {};
  for (const name of CHOICES) {
    const value = model.only[name] ?? null;
    found[name] = [value, value];
  }
  model.choices.forEach((name, i) => {
    const [lo, hi] = boxes.ends[i], near = ON_BOUND * (hi - lo);
    const isEnd = [Math.abs(box[i][0] - lo) <= near, Math.abs(box[i][1] - hi) <= near];
    found[name] = box[i].map((u, side) => (isEnd[side] && boxes.isOpen[i][side] && hi > lo ? null : fromU(model, i, u)));
  });
  for (const [name, side] of Object.entries(answer.sides)) found[name] = [side.at, side.at];
  return found;
}

// Tokens a sequence: as asked, or as the recipe of the runs has it; null if not known.
const knownLength = (model) => Number(model.recipe_about.seq_len) || null;

// The regret of a setting by the fit; infinite beyond what is searched.
function settingCost(model, { surface, found, region }) {
  return (lr, batch) => {
    const values = { lr, batch }, [x, y] = model.choices.map((name, i) => toU(model, i, values[name])), { box, cut } = region, slack = 1e-9;
    const isIn = x >= box.xlo - slack && x <= box.xhi + slack && (y === undefined || (y >= box.ylo - slack && y <= box.yhi + slack));
    if (!isIn || (cut && cut.nx * x + cut.ny * y > cut.bound + slack)) return Infinity;
    return Math.expm1(valueAt(surface, x, y ?? 0) - found.v);
  };
}

// The roundest setting of the robust box, else of the inner one, else beside the best.
function suggestionOf(model, answer, boxes, drawn, tol, multiple) {
  const { question } = answer, best = {}, region = answer.region.box;
  for (const name of CHOICES) best[name] = model.only[name] ?? (model.choices.includes(name) ? fromU(model, model.choices.indexOf(name), model.choices.indexOf(name) ? answer.found.y : answer.found.x) : NaN);
  if (!Number.isFinite(best.lr)) return null;
  const seq = knownLength(model), cost = settingCost(model, answer);
  for (const box of [boxes.robust, boxes.inner, null].filter((b, k) => b || k === 2)) {
    const ends = {};
    model.choices.forEach((name, i) => {
      ends[name] = box ? box[i].map((u) => fromU(model, i, u)) : [best[name] * Math.exp(-BESIDE_BEST), best[name] * Math.exp(BESIDE_BEST)];
      if (i ? region.ylo === region.yhi : region.xlo === region.xhi) ends[name] = [best[name], best[name]];
      if (answer.sides[name]) ends[name] = [answer.sides[name].at, answer.sides[name].at];
    });
    const fixed = Object.fromEntries(CHOICES.filter((name) => !ends[name] || ends[name][0] === ends[name][1]).map((name) => [name, ends[name] ? ends[name][0] : best[name]]));
    const fixedBatch = "batch" in fixed ? (Number.isFinite(fixed.batch) ? fixed.batch : 1) : null;
    const chosen = roundSetting("lr" in fixed ? [1, 1] : ends.lr, "batch" in fixed ? [1, 1] : ends.batch, cost, { tol, multiple, seq, fixedLr: fixed.lr ?? null, fixedBatch });
    if (!chosen) continue;
    const batch = "batch" in fixed && !Number.isFinite(fixed.batch) ? NaN : chosen.batch, u = placeIn(model, { lr: chosen.lr, batch });
    const upper = drawn && drawn.surfaces.length && !hasSides(answer) ? upperOf(model, chosen.regret, drawnRegrets(drawn, u)) : null;
    return { lr: chosen.lr, batch, regret: chosen.regret, upper, steps: question.tokens / batch, u, isInside: box !== null };
  }
  return null;
}

const placeIn = (model, values) => {
  const [x, y] = model.choices.map((name, i) => toU(model, i, values[name]));
  return [x, y ?? 0];
};

// The decision of an answer. `options`: probability, multiple, of ("tolerance",
// "suggestion"). Without `drawn` it is by the fit alone, for what must be quick.
function decisionOf(model, answer, drawn, { probability, multiple = null, of = "tolerance" }) {
  const { question } = answer, { tol } = question;
  if (answer.refused || isAny(model.untold)) return undecided(model, answer, of);
  if (!Number.isFinite(answer.found.v)) return undecided(model, answer, of, "there is no lowest loss");
  const boxes = boxesOf(model, answer, drawn, probability), suggestion = suggestionOf(model, answer, boxes, drawn, tol, multiple);
  const prices = pricesOf(model, answer), i = model.choices.indexOf("batch"), { box } = answer.region;
  const hasLadder = model.choices.length === 2 && !answer.sides.batch && (i ? box.ylo < box.yhi : box.xlo < box.xhi);
  const price = of === "suggestion" && suggestion
    ? priceOf(model, prices, of, suggestion.regret, drawn && drawn.surfaces.length && !hasSides(answer) ? regretBound(model, prices, suggestion.regret, drawnRegrets(drawn, suggestion.u), drawn.lows) : null)
    : priceOf(model, prices, "tolerance", tol);
  return {
    suggestion, inner: naturalBox(model, answer, boxes, boxes.inner), robust: naturalBox(model, answer, boxes, boxes.robust), boxes,
    price, prices, ladder: hasLadder ? rungsOf(model, answer, answer.edges[i].map((e) => e.at), prices) : null,
    trust: trustOf(model, answer, suggestion),
  };
}

function trustOf(model, answer, suggestion) {
  const { question, found, leaves, region, wrong } = answer, isHeld = region.box.xlo === region.box.xhi;
  const lr = isHeld ? null : intervalOf(model, found.x, leaves.map((l) => l.low.x), wrong.settings[0]);
  const loss = intervalOf(model, found.v, leaves.map((l) => l.low.v), wrong.level);
  return judgeTrust(model, question, {
    distance: answer.distance, lr: lr && lr.map((u) => fromU(model, 0, u)), upper: suggestion ? suggestion.upper : null, tol: question.tol,
    loss: loss && loss.map((v) => lossOf(model, v)), untold: Object.keys(answer.sides).map((name) => `the runs tell one side of the best ${name} only`),
  });
}

// No number, and why.
function undecided(model, answer, of, why = answer.refused || untoldReasons(model).join(" ")) {
  const trust = judgeTrust(model, answer.question, { distance: answer.distance ?? 0, lr: null, upper: null, tol: NaN, loss: null, untold: ["the runs do not tell it"] });
  return { suggestion: null, inner: null, robust: null, boxes: null, price: { of, share: null, tokens: null, flops: null, upper: null, reason: why, slope: null }, prices: null, ladder: null, trust };
}

// What the user's own choice costs in tokens, and at most, from the draws over its region.
// `known` are the answer's own prices.
function choicePrice(model, answer, drawn, known = null) {
  const { question, choice } = answer, prices = choice.isSame && known ? known : pricesOf(model, { ...choice, question });
  const bound = drawn && drawn.surfaces.length ? regretBound(model, prices, choice.regret, drawnRegrets(drawn, choice.u), drawn.lows) : null;
  return priceOf(model, prices, "choice", choice.regret, bound);
}
