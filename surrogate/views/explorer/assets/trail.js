// Where the optimum goes along D, and where refits have it.

const TRAIL_STEPS = 24, FAN = 60;

// From the shortest fitted run to the longest, or to what is asked.
function trailEnds(model, state) {
  if (!model.givens.includes("tokens")) return null;
  const [low, high] = model.fitted.tokens;
  return [Math.min(low, state.tokens), Math.max(high, state.tokens)];
}

const alongEnds = ([low, high], share) => low * (high / low) ** share;

// The optimum's places from few to many tokens, with all else as asked.
function trailOf(model, answer) {
  const ends = trailEnds(model, answer.question), isOpen = hasSides(answer) || isAny(answer.kept);
  if (!ends || isOpen) return [];
  let start = answer.found;
  return Array.from({ length: TRAIL_STEPS + 1 }, (_, k) => {
    const tokens = alongEnds(ends, k / TRAIL_STEPS), question = { ...answer.question, tokens };
    start = minimum(surfaceOf(model.family, model.shape, model.theta, givenOf(model, question)), answer.regionAt(question), start);
    return { tokens, u: [start.x, start.y] };
  });
}

// Optima of the first draws.
const fanOf = (drawn) => drawn.lows.slice(0, FAN).map((low, k) => [low.x + drawn.moves[k][0], low.y + drawn.moves[k][1]]);
