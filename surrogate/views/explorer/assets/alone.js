// What changing one setting of a choice is worth, the other one staying: the rule of
// surrogate/answers/alone.py.

const CROSSING_POINTS = 512, CROSSING_ROUNDS = 4;

// {best, regret, within}: `within` is the nearest value within the tolerance, null where
// the choice is, or where even the best is not.
function aloneOf(model, answer, name) {
  const i = model.choices.indexOf(name), { choice, question, surface, s } = answer;
  if (i < 0 || name in model.untold) return null;
  const held = Object.fromEntries(model.choices.filter((key) => key !== name).map((key) => [key, [choice[key], choice[key]]]));
  const { box } = choice.region, ends = (i ? [box.ylo, box.yhi] : [box.xlo, box.xhi]).map((u) => fromU(model, i, u));
  const region = regionOf(model, question, choice, { ...held, [name]: [Math.min(ends[0], choice[name]), Math.max(ends[1], choice[name])] });
  const low = minimum(surfaceOf(model.family, model.shape, model.theta, s), region), level = choice.found.v + Math.log1p(question.tol);
  const isInside = (u) => {
    const [x, y] = i ? [choice.u[0], u] : [u, choice.u[1]];
    return valueAt(surface, x, y) <= level && isHeldBy(region, x, y);
  };
  const at = i ? low.y : low.x, own = choice.u[i];
  const within = low.v <= level && !isInside(own) ? fromU(model, i, crossing(isInside, own, at)) : null;
  return { best: fromU(model, i, at), regret: Math.max(Math.expm1(low.v - choice.found.v), 0), within };
}

function isHeldBy({ box, cut }, x, y) {
  const slack = 1e-9;
  return x >= box.xlo - slack && x <= box.xhi + slack && y >= box.ylo - slack && y <= box.yhi + slack
    && (!cut || cut.nx * x + cut.ny * y <= cut.bound + slack);
}

// Between the best and a choice, where the plateau ends.
function crossing(isInside, own, best) {
  let [inner, outer] = [best, own];
  for (let round = 0; round < CROSSING_ROUNDS; round++) {
    const line = linspace(inner, outer, CROSSING_POINTS);
    let k = CROSSING_POINTS - 1;
    while (k > 0 && !isInside(line[k])) k--;
    [inner, outer] = [line[k], line[Math.min(k + 1, CROSSING_POINTS - 1)]];
  }
  return inner;
}
