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
  const isCut = whole.found.isCut || (whole.region.isEdge && whole.found.x >= whole.region.box.xhi - 1e-9);
  // Beyond the edge the surface is lower still: no upper end is told.
  if (isCut && first.interval.lr) first.interval.lr[1] = null;
  const sides = Number.isFinite(whole.found.v) ? oneSidedOf(model, question, first.best, first.interval, isCut) : {};
  if (!isAny(sides)) {
    for (const name of model.choices) first.interval[name] = openedOf(model, question, name, first.best[name], first.interval[name]);
    return { ...whole, ...first, sides, whole, regionAt: regionsOf(model, hold, kept) };
  }
  const ends = Object.fromEntries(Object.entries(sides).map(([name, side]) => [name, [side.at, side.at]]));
  const solved = solveOver(model, s, regionOf(model, question, hold, { ...kept, ...ends })), places = placesOf(model, solved);
  for (const [name, side] of Object.entries(sides)) {
    places.best[name] = side.at;
    places.interval[name] = side.than === null ? null : side.side === "above" ? [side.than, null] : [null, side.than];
  }
  return { ...solved, ...places, sides, whole, regionAt: regionsOf(model, hold, { ...kept, ...ends }) };
}

// The region of any question of one box.
const regionsOf = (model, hold, kept) => (question) => regionOf(model, question, hold, kept);

// Settings of which the runs show no best, held as the nearest cell has them.
function keptOf(model, question) {
  const held = heldOf(model, question);
  return Object.fromEntries(model.choices.filter((name) => name in model.untold).map((name) => [name, [held[name], held[name]]]));
}

// No number at all, and why.
function refusal(question, sentence) {
  return { question, refused: sentence, status: "not_identifiable", best: {}, interval: {}, plateau: {}, slices: {}, held: {}, kept: {}, sides: {}, edgeIntervals: {}, openEdges: [], leaves: [], choice: null, risk: null };
}

// Everything but the draws: optimum, plateau, slices, intervals, regret of a choice. The
// choice alone is cheap: it is asked of what was answered without one.
const answerOf = (model, question) => withChoice(model, baseOf(model, question), question);

function withChoice(model, base, question) {
  const answer = Object.create(base);
  answer.question = question;
  if (!base.refused) answer.choice = choiceOf(model, question, answer);
  return answer;
}

// `held` has the settings that the user keeps as they are: {lr} or {batch}.
function baseOf(model, question, held = {}) {
  const wrong = refusedSizes(model, question);
  if (wrong) return { ...refusal(question, wrong), carried: isSlip(model, question) ? null : carriedOf(model, question) };
  if (!toldChoices(model).length) return refusal(question, [...untoldReasons(model), (nearestCell(model.cells, question) || {}).measured].filter(Boolean).join(" "));
  const s = givenOf(model, question), kept = { ...keptOf(model, question), ...heldEnds(model, held) };
  const solved = solveSides(model, question, s, null, kept), { surface, found, region, sides } = solved;
  const high = refusedLoss(model, lossOf(model, found.v));
  if (high) return refusal(question, high);
  const loose = looseText(model, question, solved, kept);
  if (loose) return refusal(question, loose);
  const level = found.v + Math.log1p(question.tol), edges = extents(surface, found, region, level);
  const natural = (i, pair) => pair && pair.map((u) => fromU(model, i, u)), at = [found.x, found.y];
  const answer = {
    ...solved, question, s, level, edges, kept, held: { ...heldOf(model, question), ...held }, refused: "", choice: null,
    loss: lossOf(model, found.v), lossLimit: lossOf(model, level), plateau: {}, slices: {}, openEdges: [],
  };
  const values = intervalOf(model, found.v, solved.leaves.map((l) => l.low.v), solved.wrong.level);
  answer.interval.loss = values && values.map((v) => lossOf(model, v));
  const isClosed = !isAny(sides) && !isAny(kept);
  model.choices.forEach((name, i) => {
    if (name in kept) answer.interval[name] = answer.plateau[name] = null;
    else if (sides[name]) {
      const { side, than, at: end } = sides[name];
      answer.plateau[name] = side === "above" ? [than ?? end, null] : [null, than ?? end];
      answer.openEdges.push(`${name}_${side === "above" ? "high" : "low"}`);
    } else {
      answer.plateau[name] = natural(i, edges[i].map((edge) => edge.at));
      ["low", "high"].forEach((word, side) => { if (edges[i][side].isOpen) answer.openEdges.push(`${name}_${word}`); });
      if (surface.twoD && isClosed) answer.slices[name] = natural(i, sliceOf(surface, region, i, at[1 - i], level));
    }
  });
  let ends = null;
  // Of no use to a picture, and as dear as all else.
  Object.defineProperty(answer, "edgeIntervals", { get: () => (ends ??= edgeIntervalsOf(model, answer)) });
  answer.best = { ...answer.best, ...answer.held };
  answer.risk = riskOf(model, question, answer.best);
  answer.unstable = unstableNear(model, question, answer.best.batch ?? null, answer.best.batch ?? null);
  // Where every setting is untold or one-sided there is no lowest loss either.
  answer.hasBest = !isAny(model.untold) || model.choices.some((name) => !(name in model.untold) && !(name in sides));
  answer.distance = distanceOf(model, question, answer.best);
  answer.outside = outsideText(model, question, answer.distance);
  answer.status = statusOf(model, answer);
  return answer;
}

const heldEnds = (model, held) => Object.fromEntries(Object.entries(held).filter(([name]) => model.choices.includes(name)).map(([name, value]) => [name, [value, value]]));

// Intervals of the plateau's edges; null where an edge is open.
function edgeIntervalsOf(model, { region, edges, leaves, question, sides, kept, wrong }) {
  const drawn = leaves.map((l) => extents(l.f, l.low, region, l.low.v + Math.log1p(question.tol)));
  return Object.fromEntries(model.choices.map((name, i) => [name, [0, 1].map((side) => {
    if (name in kept || sides[name] || edges[i][side].isOpen) return null;
    const ends = intervalOf(model, edges[i][side].at, drawn.map((own) => own[i][side].at), wrong.settings[i]);
    return ends && ends.map((u) => fromU(model, i, u));
  })]));
}

// Whether there is something finite to show, or a reason why not.
function isAnswered(model, answer) {
  if (answer.refused) return true;
  const ends = model.choices.flatMap((name) => [answer.best[name], ...(answer.plateau[name] || [])]);
  return [answer.loss, answer.lossLimit, ...ends.filter((v) => v !== null)].every((v) => v > 0 && v < Infinity);
}

// What the user's own choice loses, over a box stretched to hold it; a setting of which
// the runs show no best is the choice's own. Within the box all is solved already.
function choiceOf(model, question, answer) {
  const choice = { lr: question.lr, batch: question.batch };
  if (!(choice.lr > 0 && choice.batch > 0)) return null;
  const kept = Object.fromEntries(model.choices.filter((name) => name in model.untold).map((name) => [name, [choice[name], choice[name]]]));
  const isSame = !isAny(kept) && !hasSides(answer) && !isAny(answer.kept)
    && model.choices.every((name) => choice[name] >= model.fitted[name][0] / model.widen && choice[name] <= model.fitted[name][1] * model.widen);
  const solved = isSame ? answer : choiceSolved(model, question, answer, choice, kept), u = placeIn(model, choice);
  const value = valueAt(answer.surface, ...u), regret = Math.expm1(value - solved.found.v);
  return {
    ...choice, s: answer.s, region: solved.region, found: solved.found, leaves: solved.leaves, wrong: solved.wrong, regionAt: solved.regionAt, isSame, u, loss: lossOf(model, value), regret: Math.max(regret, 0),
    isInside: regret <= question.tol && isHeldBy(solved.region, ...u) && (!hasSides(answer) || null), risk: riskOf(model, question, choice), distance: distanceOf(model, question, choice),
    refused: untriedChoice(model, question, choice) || refusedLoss(model, lossOf(model, value)),
  };
}

function choiceSolved(model, question, answer, choice, kept) {
  const solved = solveSides(model, question, answer.s, choice, kept), ends = { ...kept };
  for (const [name, side] of Object.entries(solved.sides)) ends[name] = [Math.min(side.at, choice[name]), Math.max(side.at, choice[name])];
  if (!isAny(solved.sides)) return solved;
  return { ...solveOver(model, answer.s, regionOf(model, question, choice, ends)), regionAt: regionsOf(model, choice, ends) };
}

function statusOf(model, answer) {
  if (isAny(model.untold)) return "not_identifiable";
  if (!Number.isFinite(answer.found.v)) return "no_optimum";
  if (!(model.is_converged && answer.found.converged)) return "not_converged";
  if (answer.found.atBound.some(Boolean) || hasSides(answer)) return "at_bound";
  return answer.openEdges.length ? "plateau_open" : "ok";
}

// What only draws can tell: the robust plateau, null where a side is open, and how sure
// the choice's regret is. `known` are the answer's draws where they are at hand.
function fromDraws(model, answer, probability, known = null) {
  if (!model.draws.length || answer.refused) return null;
  const { question, region, found, choice } = answer, drawn = known || drawnOf(model, answer, question.tol);
  let robust = null;
  if (!hasSides(answer)) {
    const draws = drawn.still.map((draw, k) => movedPlateau(draw, ...drawn.moves[k]));
    robust = robustPlateau(draws, region, [found.x, found.y], probability, model.unit);
    robust.natural = robust.edges && robust.edges.map((pair, i) => pair && pair.map((u) => fromU(model, i, u)));
  }
  if (!choice || choice.refused) return { robust, regret: null, drawn };
  return { robust, regret: choiceSure(model, answer, choiceDrawn(model, answer, drawn)), drawn };
}

// The draws over the choice's own box.
const choiceDrawn = (model, answer, drawn) => (answer.choice.isSame ? drawn : drawnOf(model, answer.choice, answer.question.tol));

function choiceSure(model, answer, drawn) {
  const { question, choice } = answer;
  const regrets = drawnRegrets(drawn, choice.u), inside = regrets.filter((r) => r <= question.tol).length / regrets.length;
  // Of one side nothing tells how much better the best is than what was tried.
  if (hasSides(answer)) return { upper: null, probability: null };
  return { upper: upperOf(model, choice.regret, regrets), probability: isHeldBy(choice.region, ...choice.u) ? inside : 0 };
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
