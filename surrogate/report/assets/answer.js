// Questions and answers: what surrogate/query does, for one question at a time.

const CHOICES = ["lr", "batch"];

// The embedded document, with its numbers unpacked.
function prepare(data) {
  const p = data.family.size;
  const unpack = (part) => (part ? rowsOf(decode(part.base64, false), p) : []);
  return {
    ...data,
    theta: Float64Array.from(data.theta),
    draws: unpack(data.draws),
    leaves: unpack(data.leaves),
    scale_names: data.givens.filter((name) => name !== "params" && name !== "tokens"),
    unit: data.scale.slice(0, data.choices.length),
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
function regionOf(model, question, hold) {
  const [x, y] = model.choices.map((name, i) => {
    const [low, high] = model.fitted[name], value = hold ? hold[name] : low;
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
  return { ...region, box: { ...box, xhi: Math.min(box.xhi, room / n[0]) }, hasEdge: true };
}

// Settings that the fit cannot choose, as the nearest cell had them.
function heldOf(model, question) {
  const cell = nearestCell(model.cells, question);
  return cell ? cell.held : {};
}

// The cell of the question's recipe that is nearest to it: Euclidean, in ln of params,
// tokens and all scales; the first of equally near ones, null where none is of that
// recipe. The rule of surrogate/query/nearest.py.
function nearestCell(cells, question) {
  const asked = { params: question.params, tokens: question.tokens, ...question.scales }, names = Object.keys(asked);
  const off = cells.map((cell) => {
    if (cell.recipe !== question.recipe) return Infinity;
    const sizes = { params: cell.params, tokens: cell.tokens, ...cell.scales };
    return Math.hypot(...names.map((name) => Math.log(sizes[name] / asked[name])));
  });
  const least = off.reduce((a, b) => Math.min(a, b), Infinity);
  return least < Infinity ? cells[off.findIndex((v) => v <= least + 1e-9)] : null;
}

// Interval of a value [ln] by the jackknife over cells, or null. The one rule for every
// interval of the page: the estimate plus and minus t(cells - 3) standard errors.
function intervalOf(model, point, leaves) {
  const cells = leaves.length;
  if (cells < model.min_cells || model.t === null || !leaves.every(Number.isFinite)) return null;
  const sum = leaves.reduce((total, v) => total + (v - point) ** 2, 0);
  const half = model.t * Math.sqrt(((cells - 1) / cells) * sum);
  return [point - half, point + half];
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

// How far each draw's surface is moved, so that draws spread as the intervals say
// (`moves` in surrogate/uncertainty.py). `draws` are the optima of draws, each [x, y].
function movesOf(model, answer, draws) {
  const { leaves, found } = answer;
  if (model.t === null) return draws.map(() => [0, 0]);
  const tail = 0.5 * (1 + model.level_of_intervals), point = [found.x, found.y];
  if (model.factors) {
    const steps = leaves.map((l) => [l.low.x - point[0], l.low.y - point[1]]);
    const aim = (k, i) => point[i] + steps.reduce((sum, step, c) => sum + model.factors[k][c] * step[i], 0);
    return draws.map((d, k) => [0, 1].map((i) => (i < model.choices.length ? aim(k, i) - d[i] : 0)));
  }
  const ratio = model.choices.map((_, i) => {
    const ends = intervalOf(model, point[i], leaves.map((l) => (i ? l.low.y : l.low.x)));
    const own = draws.map((d) => d[i]), got = 0.5 * (quantile(own, tail) - quantile(own, 1 - tail));
    const asked = ends ? 0.5 * (ends[1] - ends[0]) : got;
    return got > 0 ? Math.min(Math.max(asked / got, 1), model.most_stretch) : 1;
  });
  return draws.map((d) => [0, 1].map((i) => ((ratio[i] ?? 1) - 1) * (d[i] - point[i])));
}

// Upper end of [0, upper] for a regret, from draws (surrogate/uncertainty.py).
function upperOf(model, point, draws) {
  return draws.length ? Math.max(point, quantile(draws, model.level_of_intervals)) : null;
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

// Everything but the draws: optimum, plateau, slices, intervals, regret of a choice.
function answerOf(model, question) {
  const s = givenOf(model, question), region = regionOf(model, question, null);
  const surface = surfaceOf(model.family, model.shape, model.theta, s);
  const found = minimum(surface, region), level = found.v + Math.log1p(question.tol);
  const edges = extents(surface, found, region, level);
  const leaves = model.leaves.map((theta) => {
    const f = surfaceOf(model.family, model.shape, theta, s), low = minimum(f, region, found);
    return { f, low, edges: extents(f, low, region, low.v + Math.log1p(question.tol)) };
  });
  const natural = (i, pair) => pair && pair.map((u) => fromU(model, i, u));
  const at = [found.x, found.y];
  const answer = {
    question, s, region, surface, found, level, edges, leaves, held: heldOf(model, question),
    loss: lossOf(model, found.v), lossLimit: lossOf(model, level),
    best: {}, interval: {}, plateau: {}, edgeIntervals: {}, slices: {}, openEdges: [],
  };
  const values = intervalOf(model, found.v, leaves.map((l) => l.low.v));
  answer.interval.loss = values && values.map((v) => lossOf(model, v));
  model.choices.forEach((name, i) => {
    answer.best[name] = fromU(model, i, at[i]);
    answer.interval[name] = natural(i, intervalOf(model, at[i], leaves.map((l) => (i ? l.low.y : l.low.x))));
    answer.plateau[name] = natural(i, edges[i].map((edge) => edge.at));
    answer.edgeIntervals[name] = [0, 1].map((side) =>
      natural(i, intervalOf(model, edges[i][side].at, leaves.map((l) => l.edges[i][side].at))));
    ["low", "high"].forEach((word, side) => { if (edges[i][side].isOpen) answer.openEdges.push(`${name}_${word}`); });
    if (surface.twoD) answer.slices[name] = natural(i, sliceOf(surface, region, i, at[1 - i], level));
  });
  answer.best = { ...answer.best, ...answer.held };
  answer.risk = riskOf(model, question, answer.best);
  answer.distance = distanceOf(model, question, model.choices.length === 2 ? answer.best : { ...answer.best });
  answer.choice = choiceOf(model, question, answer);
  answer.status = statusOf(model, answer);
  return answer;
}

// Whether there is something finite to show.
function isAnswered(model, answer) {
  const values = model.choices.flatMap((name) => [answer.best[name], ...answer.plateau[name]]);
  return [answer.loss, answer.lossLimit, ...values].every((v) => v > 0 && v < Infinity);
}

// What the user's own choice loses, over a box stretched to hold it.
function choiceOf(model, question, answer) {
  const choice = { lr: question.lr, batch: question.batch };
  if (!(choice.lr > 0 && choice.batch > 0)) return null;
  const region = regionOf(model, question, choice);
  const [x, y] = model.choices.map((name, i) => toU(model, i, choice[name]));
  const value = valueAt(answer.surface, x, y ?? 0), low = minimum(answer.surface, region, answer.found);
  const regret = Math.expm1(value - low.v);
  return {
    ...choice, region, u: [x, y ?? 0], loss: lossOf(model, value), regret: Math.max(regret, 0),
    isInside: regret <= question.tol, risk: riskOf(model, question, choice), distance: distanceOf(model, question, choice),
    upper: null, probability: null,
  };
}

function statusOf(model, answer) {
  if (model.choices.length < 2) return "not_identifiable";
  if (!Number.isFinite(answer.found.v)) return "no_optimum";
  if (!(model.is_converged && answer.found.converged)) return "not_converged";
  if (answer.found.atBound.some(Boolean)) return "at_bound";
  return answer.openEdges.length ? "plateau_open" : "ok";
}

// What only draws can tell: the robust plateau, and how sure the choice's regret is.
function fromDraws(model, answer, probability) {
  if (!model.draws.length) return null;
  const { question, region, found, choice } = answer;
  const still = model.draws.map((theta) =>
    drawPlateau(surfaceOf(model.family, model.shape, theta, answer.s), region, question.tol, found));
  const moves = movesOf(model, answer, still.map((d) => [d.found.x, d.found.y]));
  const draws = still.map((draw, k) => movedPlateau(draw, ...moves[k]));
  const robust = robustPlateau(draws, region, [found.x, found.y], probability, model.unit);
  robust.natural = robust.edges && robust.edges.map((pair, i) => pair.map((u) => fromU(model, i, u)));
  if (!choice) return { robust, regret: null };
  const regrets = draws.map((d, k) => Math.expm1(valueAt(d.f, ...choice.u) - minimum(still[k].f, choice.region, d.found).v));
  return {
    robust,
    regret: { upper: upperOf(model, choice.regret, regrets), probability: regrets.filter((r) => r <= question.tol).length / regrets.length },
  };
}

// The optimum along one scale, the others as asked: for each value, each choice with its
// interval, natural units.
function optimumAlong(model, question, name, values) {
  return values.map((value) => {
    const asked = name === "params" || name === "tokens"
      ? { ...question, [name]: value } : { ...question, scales: { ...question.scales, [name]: value } };
    const s = givenOf(model, asked), region = regionOf(model, asked, null);
    const lowest = (theta, start) => minimum(surfaceOf(model.family, model.shape, theta, s), region, start);
    const low = lowest(model.theta), leaves = model.leaves.map((theta) => lowest(theta, low));
    const row = { value };
    model.choices.forEach((choice, i) => {
      const u = i ? low.y : low.x, ends = intervalOf(model, u, leaves.map((l) => (i ? l.y : l.x)));
      row[choice] = { at: fromU(model, i, u), ends: ends && ends.map((e) => fromU(model, i, e)) };
    });
    return row;
  });
}

// Settings that published laws give: lr and batch [tokens].
function lawPoints(model, question) {
  const power = (law) => (law ? law.c * question.params ** law.params * question.tokens ** law.tokens : NaN);
  return model.laws.map((law) => ({ name: law.name, lr: power(law.lr), batch: power(law.batch) }));
}
