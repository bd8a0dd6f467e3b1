// What is solved for one question: optimum, plateau, regret, and what draws tell.

// The minimum of the fit and of its leaves over a region.
function solveOver(model, s, region, start) {
  const surface = surfaceOf(model.family, model.shape, model.theta, s), found = minimum(surface, region, start);
  const leaves = model.leaves.map((theta) => {
    const f = surfaceOf(model.family, model.shape, theta, s);
    return { f, low: minimum(f, region, found) };
  });
  return { surface, found, leaves, region, wrong: lawErrorOf(model, s, region) };
}

// Of each choice its place and its interval, natural units.
function placesOf(model, { found, leaves, wrong }) {
  const best = {}, interval = {};
  model.choices.forEach((name, i) => {
    const at = (low) => (i ? low.y : low.x), ends = intervalOf(model, at(found), leaves.map((l) => at(l.low)), wrong.settings[i]);
    best[name] = fromU(model, i, at(found));
    interval[name] = ends && ends.map((u) => fromU(model, i, u));
  });
  return { best, interval };
}

// Minimised, and kept to what was tried where the best lies beyond it (`solve_sides` in
// surrogate/answers/optimum.py). `whole` is what was solved before.
function solveSides(model, question, s, hold, kept) {
  const whole = solveOver(model, s, regionOf(model, question, hold, kept)), first = placesOf(model, whole);
  const sides = Number.isFinite(whole.found.v) ? oneSidedOf(model, question, first.best, first.interval) : {};
  if (!Object.keys(sides).length) {
    for (const name of model.choices) first.interval[name] = openedOf(model, question, name, first.best[name], first.interval[name]);
    return { ...whole, ...first, sides, whole };
  }
  const ends = Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, [side.at, side.at]]));
  const solved = solveOver(model, s, regionOf(model, question, hold, { ...kept, ...ends })), places = placesOf(model, solved);
  for (const [name, side] of Object.entries(sides)) {
    places.best[name] = side.at;
    places.interval[name] = side.than === null ? null : side.side === "above" ? [side.than, null] : [null, side.than];
  }
  return { ...solved, ...places, sides, whole };
}

// Settings of which the runs show no best, held as the nearest cell has them.
function keptOf(model, question) {
  const held = heldOf(model, question);
  return Object.fromEntries(model.choices.filter((name) => name in model.untold).map((name) => [name, [held[name], held[name]]]));
}

// No number at all, and why.
function refusal(question, sentence) {
  return { question, refused: sentence, status: "not_identifiable", best: {}, interval: {}, plateau: {}, slices: {}, held: {}, sides: {}, edgeIntervals: {}, openEdges: [], leaves: [], choice: null, risk: null };
}

// Everything but the draws: optimum, plateau, slices, intervals, regret of a choice.
function answerOf(model, question) {
  const wrong = refusedSizes(model, question);
  if (wrong) return { ...refusal(question, wrong), carried: isSlip(model, question) ? null : carriedOf(model, question) };
  if (!toldChoices(model).length) return refusal(question, [...untoldReasons(model), (nearestCell(model.cells, question) || {}).measured].filter(Boolean).join(" "));
  const s = givenOf(model, question), kept = keptOf(model, question);
  const solved = solveSides(model, question, s, null, kept), { surface, found, region, sides } = solved;
  const high = refusedLoss(model, lossOf(model, found.v));
  if (high) return refusal(question, high);
  const level = found.v + Math.log1p(question.tol), edges = extents(surface, found, region, level);
  const leaves = solved.leaves.map((l) => ({ ...l, edges: extents(l.f, l.low, region, l.low.v + Math.log1p(question.tol)) }));
  const natural = (i, pair) => pair && pair.map((u) => fromU(model, i, u));
  const at = [found.x, found.y];
  const answer = {
    ...solved, question, s, level, edges, leaves, held: heldOf(model, question), refused: "",
    loss: lossOf(model, found.v), lossLimit: lossOf(model, level),
    plateau: {}, edgeIntervals: {}, slices: {}, openEdges: [],
  };
  const values = intervalOf(model, found.v, leaves.map((l) => l.low.v), solved.wrong.level);
  answer.interval.loss = values && values.map((v) => lossOf(model, v));
  const isClosed = !Object.keys(sides).length && !Object.keys(kept).length;
  model.choices.forEach((name, i) => {
    if (name in kept) {
      answer.interval[name] = answer.plateau[name] = null;
      answer.edgeIntervals[name] = [null, null];
      return;
    }
    if (sides[name]) {
      const { side, than, at: end } = sides[name];
      answer.plateau[name] = side === "above" ? [than ?? end, null] : [null, than ?? end];
      answer.edgeIntervals[name] = [null, null];
      answer.openEdges.push(`${name}_${side === "above" ? "high" : "low"}`);
      return;
    }
    answer.plateau[name] = natural(i, edges[i].map((edge) => edge.at));
    answer.edgeIntervals[name] = [0, 1].map((side) => (edges[i][side].isOpen ? null
      : natural(i, intervalOf(model, edges[i][side].at, leaves.map((l) => l.edges[i][side].at), solved.wrong.settings[i]))));
    ["low", "high"].forEach((word, side) => { if (edges[i][side].isOpen) answer.openEdges.push(`${name}_${word}`); });
    if (surface.twoD && isClosed) answer.slices[name] = natural(i, sliceOf(surface, region, i, at[1 - i], level));
  });
  answer.best = { ...answer.best, ...answer.held };
  answer.risk = riskOf(model, question, answer.best);
  answer.unstable = unstableNear(model, question, answer.best.batch ?? null, answer.best.batch ?? null);
  // Where every setting is untold or one-sided there is no lowest loss either.
  answer.hasBest = !Object.keys(model.untold).length || model.choices.some((name) => !(name in model.untold) && !(name in sides));
  answer.distance = distanceOf(model, question, answer.best);
  answer.outside = outsideText(model, question, answer.distance);
  answer.choice = choiceOf(model, question, answer);
  answer.status = statusOf(model, answer);
  return answer;
}

// Whether there is something finite to show, or a reason why not.
function isAnswered(model, answer) {
  if (answer.refused) return true;
  const ends = model.choices.flatMap((name) => [answer.best[name], ...(answer.plateau[name] || [])]);
  return [answer.loss, answer.lossLimit, ...ends.filter((v) => v !== null)].every((v) => v > 0 && v < Infinity);
}

// What the user's own choice loses, over a box stretched to hold it; a setting of which
// the runs show no best is the choice's own.
function choiceOf(model, question, answer) {
  const choice = { lr: question.lr, batch: question.batch };
  if (!(choice.lr > 0 && choice.batch > 0)) return null;
  const kept = Object.fromEntries(model.choices.filter((name) => name in model.untold).map((name) => [name, [choice[name], choice[name]]]));
  let solved = solveSides(model, question, answer.s, choice, kept);
  for (const [name, side] of Object.entries(solved.sides)) kept[name] = [Math.min(side.at, choice[name]), Math.max(side.at, choice[name])];
  if (Object.keys(solved.sides).length) solved = solveOver(model, answer.s, regionOf(model, question, choice, kept));
  const [x, y] = model.choices.map((name, i) => toU(model, i, choice[name]));
  const value = valueAt(answer.surface, x, y ?? 0), regret = Math.expm1(value - solved.found.v);
  return {
    ...choice, region: solved.region, found: solved.found, leaves: solved.leaves, wrong: solved.wrong, u: [x, y ?? 0], loss: lossOf(model, value), regret: Math.max(regret, 0),
    isInside: regret <= question.tol, risk: riskOf(model, question, choice), distance: distanceOf(model, question, choice),
    refused: refusedLoss(model, lossOf(model, value)),
  };
}

function statusOf(model, answer) {
  if (Object.keys(model.untold).length) return "not_identifiable";
  if (!Number.isFinite(answer.found.v)) return "no_optimum";
  if (!(model.is_converged && answer.found.converged)) return "not_converged";
  if (answer.found.atBound.some(Boolean) || Object.keys(answer.sides).length) return "at_bound";
  return answer.openEdges.length ? "plateau_open" : "ok";
}

// What only draws can tell: the robust plateau, null where a side is open, and how sure
// the choice's regret is.
function fromDraws(model, answer, probability) {
  if (!model.draws.length || answer.refused) return null;
  const { question, region, found, choice } = answer, place = (low) => [low.x, low.y];
  const surfaces = model.draws.map((theta) => surfaceOf(model.family, model.shape, theta, answer.s));
  let robust = null;
  if (!Object.keys(answer.sides).length) {
    const still = surfaces.map((f) => drawPlateau(f, region, question.tol, found));
    const moves = movesOf(model, place(found), answer.leaves.map((l) => place(l.low)), still.map((d) => place(d.found)), answer.wrong);
    const draws = still.map((draw, k) => movedPlateau(draw, ...moves[k]));
    robust = robustPlateau(draws, region, place(found), probability, model.unit);
    robust.natural = robust.edges && robust.edges.map((pair, i) => pair && pair.map((u) => fromU(model, i, u)));
  }
  if (!choice || choice.refused) return { robust, regret: null };
  const lows = surfaces.map((f) => minimum(f, choice.region, choice.found));
  const moves = movesOf(model, place(choice.found), choice.leaves.map((l) => place(l.low)), lows.map(place), choice.wrong);
  const regrets = surfaces.map((f, k) => Math.expm1(valueAt(moved(f, ...moves[k]), ...choice.u) - lows[k].v));
  return {
    robust,
    regret: { upper: upperOf(model, choice.regret, regrets), probability: regrets.filter((r) => r <= question.tol).length / regrets.length },
  };
}

// The optimum along one scale, the others as asked, or as they moved with it in the
// runs: for each value, each choice with its interval, natural units; null where the
// runs do not tell it, or tell one side.
function optimumAlong(model, question, name, values) {
  return values.map((value) => {
    const asked = movedAlong(model, question, name, value), row = { value };
    for (const choice of model.choices) row[choice] = { at: null, ends: null };
    if (refusedSizes(model, asked)) return row;
    const solved = solveSides(model, asked, givenOf(model, asked), null, keptOf(model, asked));
    for (const choice of toldChoices(model)) {
      const { interval, best, sides } = solved, ends = interval[choice];
      if (!sides[choice]) row[choice] = { at: best[choice], ends: ends && !ends.includes(null) ? ends : null };
    }
    return row;
  });
}

// A question at another value of one scale; sizes tied to it stay as far off their line.
function movedAlong(model, question, name, value) {
  const withOne = (asked, key, size) => (key === "params" || key === "tokens"
    ? { ...asked, [key]: size } : { ...asked, scales: { ...asked.scales, [key]: size } });
  const moved = withOne(question, name, value);
  return model.held_sizes.filter((key) => model.lines[key].slopes.length && key in sizesOf(question)).reduce((asked, key) =>
    withOne(asked, key, Math.exp(Math.log(sizesOf(question)[key]) - centreOf(model, key, sizesOf(question)) + centreOf(model, key, sizesOf(moved)))), moved);
}

// Settings that published laws give: lr and batch [tokens].
function lawPoints(model, question) {
  const power = (law) => (law ? law.c * question.params ** law.params * question.tokens ** law.tokens : NaN);
  return model.laws.map((law) => ({ name: law.name, lr: power(law.lr), batch: power(law.batch) }));
}
