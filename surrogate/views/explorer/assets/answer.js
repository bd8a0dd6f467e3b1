// Questions and answers: what surrogate/answers does, for one question at a time.

const CHOICES = ["lr", "batch"];

// The embedded document, with its numbers unpacked.
function prepare(data) {
  const p = data.family.size;
  const unpack = (part, isShort) => (part ? rowsOf(decode(part.base64, isShort), p) : []);
  return {
    ...data,
    theta: Float64Array.from(data.theta),
    draws: unpack(data.draws, false).map((less) => less.map((v, k) => v + data.theta[k])),
    leaves: unpack(data.leaves, true),
    factors: data.factors ? rowsOf(decode(data.factors, true), data.leaves.count) : null,
    scale_names: data.givens.filter((name) => name !== "params" && name !== "tokens"),
    unit: data.scale.slice(0, data.choices.length),
    law: preparedLaw(data),
  };
}

const toU = (model, i, value) => (Math.log(value) - model.mean[i]) / model.scale[i];
const fromU = (model, i, u) => Math.exp(u * model.scale[i] + model.mean[i]);
const lossOf = (model, value) => Math.exp(value + model.level);

// The given coordinates of a question.
function givenOf(model, question) {
  const values = { params: question.params, tokens: question.tokens, ...question.scales };
  const first = model.choices.length;
  const logs = model.givens.map((name, j) => (Math.log(values[name]) - model.mean[first + j]) / model.scale[first + j]);
  const indicators = model.recipes.slice(1).map((name) => (name === question.recipe ? 1 : 0));
  return [...logs, ...indicators];
}

// The box that is searched, optionally stretched to hold a choice, and the stability cut.
// `kept` has the ends of settings that are not free, equal where they are held.
function regionOf(model, question, hold, kept = {}) {
  const [x, y] = model.choices.map((name, i) => {
    const [low, high] = model.fitted[name], value = hold ? hold[name] : low;
    if (kept[name]) return kept[name].map((end) => toU(model, i, end));
    return [toU(model, i, Math.min(low / model.widen, value)), toU(model, i, Math.max(high * model.widen, value))];
  });
  const box = { xlo: x[0], xhi: x[1], ylo: y ? y[0] : 0, yhi: y ? y[1] : 0 };
  return cutRegion(model, question, { box, cut: null, isBeyond: false, hasEdge: false });
}

function cutRegion(model, question, region) {
  const stability = model.stability;
  if (!stability || !model.choices.includes("lr")) return region;
  const where = { params: question.params, tokens: question.tokens, ...question.scales, ...heldOf(model, question) };
  let room = Math.log(model.p_max / (1 - model.p_max)) - stability.intercept;
  const slope = { lr: 0, batch: 0 };
  for (let j = 0; j < stability.names.length; j++) {
    const name = stability.names[j];
    room += stability.slope[j] * Math.log(stability.centre[j]);
    if (model.choices.includes(name)) slope[name] = stability.slope[j];
    else if (Number.isFinite(where[name])) room -= stability.slope[j] * Math.log(where[name]);
    else return region;
  }
  if (!(slope.lr > 0)) return region;
  const n = model.choices.map((name, i) => slope[name] * model.scale[i]);
  model.choices.forEach((name, i) => { room -= slope[name] * model.mean[i]; });
  const { box } = region;
  const least = Math.min(n[0] * box.xlo, n[0] * box.xhi) + (n.length > 1 ? Math.min(n[1] * box.ylo, n[1] * box.yhi) : 0);
  if (least >= room) return { ...region, isBeyond: true };
  if (n.length > 1) return { ...region, cut: { nx: n[0], ny: n[1], bound: room }, hasEdge: true };
  return { ...region, box: { ...box, xhi: Math.min(box.xhi, room / n[0]) }, hasEdge: true, isEdge: room / n[0] < box.xhi };
}

// Interval of a value [ln] by the jackknife over cells, of few cells over runs, or null.
// The one rule for every interval of the page: the estimate plus and minus t standard
// errors, t with cells - 3 or the runs' own degrees of freedom, joined with the half-width
// that the law itself may be wrong by.
function intervalOf(model, point, leaves, wrong = 0) {
  const cells = leaves.length;
  if (!cells || model.t === null || !leaves.every(Number.isFinite)) return null;
  const sum = leaves.reduce((total, v) => total + (v - point) ** 2, 0);
  const half = Math.hypot(model.t * Math.sqrt(((cells - 1) / cells) * sum), wrong);
  return [point - half, point + half];
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

// How far each draw's surface is moved, so that draws spread as the intervals say
// (`moves` in surrogate/fitting/intervals.py), from the optima of fit, leaves and draws [x, y].
function movesOf(model, point, leaves, draws, wrong) {
  const steps = estimationMoves(model, point, leaves, draws);
  return wrong.moves ? steps.map((step, k) => [step[0] + wrong.moves[k][0], step[1] + wrong.moves[k][1]]) : steps;
}

function estimationMoves(model, point, leaves, draws) {
  if (model.t === null) return draws.map(() => [0, 0]);
  const tail = 0.5 * (1 + model.level_of_intervals);
  if (model.factors) {
    const steps = leaves.map((l) => [l[0] - point[0], l[1] - point[1]]);
    const aim = (k, i) => point[i] + steps.reduce((sum, step, c) => sum + model.factors[k][c] * step[i], 0);
    return draws.map((d, k) => [0, 1].map((i) => (i < model.choices.length ? aim(k, i) - d[i] : 0)));
  }
  const ratio = model.choices.map((_, i) => {
    const ends = intervalOf(model, point[i], leaves.map((l) => l[i]));
    const own = draws.map((d) => d[i]), got = 0.5 * (quantile(own, tail) - quantile(own, 1 - tail));
    const asked = ends ? 0.5 * (ends[1] - ends[0]) : got;
    return got > 0 ? Math.min(Math.max(asked / got, 1), model.most_stretch) : 1;
  });
  return draws.map((d) => [0, 1].map((i) => ((ratio[i] ?? 1) - 1) * (d[i] - point[i])));
}

// Upper end of [0, upper] for a regret, from draws (surrogate/answers/beyond.py).
function upperOf(model, point, draws) {
  return draws.length ? regretEnd(model, point, Math.max(point, quantile(draws, model.level_of_intervals))) : null;
}

// Likewise from what draws say of it: with what the form misses, and not under what cells
// left out were measured to lose.
function regretEnd(model, regret, drawn) {
  if (!Number.isFinite(drawn)) return drawn;
  const excess = Math.log1p(regret);
  const upper = Math.expm1(excess + Math.hypot(Math.log1p(drawn) - excess, model.missed * excess));
  return Math.max(upper, regret + ((model.law && model.law.regret) || 0));
}

// How far a point is from the data: 1 is the farthest that was fitted.
function distanceOf(model, question, chosen) {
  const values = { params: question.params, tokens: question.tokens, ...question.scales, ...chosen };
  const s = model.givens.map((name) => Math.log(values[name]));
  const parts = [0];
  const leverage = (about, x) => {
    const off = x.map((v, i) => v - about.mean[i]);
    const spread = off.reduce((sum, a, i) => sum + off.reduce((row, b, j) => row + a * about.precision[i][j] * b, 0), 0);
    return Math.sqrt((about.offset + spread) / about.largest);
  };
  if (model.cell_leverage) parts.push(leverage(model.cell_leverage, s));
  if (model.choices.every((name) => values[name] > 0)) {
    parts.push(leverage(model.run_leverage, [...model.choices.map((name) => Math.log(values[name])), ...s]));
  }
  for (const [name, line] of Object.entries(model.lines)) {
    if (!(values[name] > 0)) continue;
    const rest = Math.log(values[name]) - line.slopes.reduce((sum, slope, i) => sum + slope * s[i], 0);
    parts.push(Math.max(line.low - rest, rest - line.high, 0) / model.held_span);
  }
  // Of a scale of few values: from their middle, 1 at either end.
  for (const [name, { low, high }] of Object.entries(model.few_levels)) {
    const off = Math.abs(Math.log(values[name]) - 0.5 * Math.log(low * high)) / (0.5 * Math.log(high / low));
    if (off > 1 + 1e-6) parts.push(off);
  }
  return Math.max(...parts);
}

// Probability of divergence and octaves of lr to the edge; null where unknown.
function riskOf(model, question, chosen) {
  const stability = model.stability;
  if (!stability) return null;
  const where = { params: question.params, tokens: question.tokens, ...question.scales, ...chosen };
  let logit = stability.intercept;
  for (let j = 0; j < stability.names.length; j++) {
    const value = where[stability.names[j]];
    if (!(value > 0)) return null;
    logit += stability.slope[j] * Math.log(value / stability.centre[j]);
  }
  const slope = stability.slope[stability.names.indexOf("lr")];
  const room = Math.log(model.p_max / (1 - model.p_max)) - logit;
  return { probability: 1 / (1 + Math.exp(-logit)), octaves: slope > 0 ? room / (slope * Math.LN2) : null };
}
