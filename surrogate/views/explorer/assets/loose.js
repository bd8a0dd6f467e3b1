// A best setting that the runs hold too loosely is none. The rules of
// surrogate/answers/limits/loose.py and pairs.py, at sizes that have an answer otherwise.

// Why the runs do not tell a best at a question; "" where they do. `solved` is what
// `solveSides` gives, `kept` the settings that are not free.
function looseText(model, question, solved, kept) {
  if (!model.leaves.length || !Number.isFinite(solved.found.v)) return "";
  const isFree = !isAny(kept) && !isAny(model.untold);
  const far = isFree ? untriedText(model, question, solved) : "";
  if (far) return far;
  const isFitted = isAmongFitted(model, question), most = model.is_scattered ? Math.log(model.loose_factor) : Infinity;
  const reasons = model.choices.map((name, i) => {
    if (name in kept || name in solved.sides) return "";
    const at = (low) => (i ? low.y : low.x), ends = intervalOf(model, at(solved.found), solved.leaves.map((l) => at(l.low)));
    const half = ends ? 0.5 * (ends[1] - ends[0]) * model.unit[i] : NaN;
    const isAny = isFitted && isOpenBothWays(solved.interval[name]);
    return isAny || !(half <= most) ? looseSaid(model, question, name, half) : "";
  });
  return reasons.filter(Boolean).join(" ");
}

const isOpenBothWays = (interval) => !interval || interval.every((end) => end === null || Number.isNaN(end));

// Whether the sizes lie among those that were fitted.
function isAmongFitted(model, question) {
  const near = Math.exp(model.held_span);
  return Object.entries(sizesOf(question)).every(([name, value]) => value >= model.fitted[name][0] / near && value <= model.fitted[name][1] * near);
}

function looseSaid(model, question, name, half) {
  const sizes = `${formatCount(question.params)} params and ${formatCount(question.tokens)} tokens`;
  if (!model.is_scattered) return `These runs do not tell the best ${name} at ${sizes}: within the errors of the fit it may be any that was tried, or beyond. Add runs farther apart, or repeats.`;
  const factor = Number.isFinite(half) ? Math.exp(Math.min(half, 50)) : Infinity, known = factor < 1e4 ? `to no better than a factor of ${general(factor, 2)}` : "not";
  return `These runs share no sizes, and together they tell the best ${name} at ${sizes} ${known} each way (95 %); ${general(model.loose_factor, 6)} is the most that counts as told. Add runs there, or several at one size.`;
}

// Why an answer is far from every pair of lr and batch that was tried; "" if it is not.
function untriedText(model, question, { best, whole }) {
  if (model.choices.length < 2) return "";
  const corners = hullOf(nearCells(model, question, "batch").flatMap((cell) => cell.tried));
  if (corners.length < 2) return "";
  const { x: ownX, y: ownY } = whole.found.free, free = [fromU(model, 0, ownX), fromU(model, 1, ownY)];
  const [x, y] = model.choices.map((name, i) => Math.log(best[name] / free[i]));
  const apart = hullDistance(corners.map(([a, b]) => [a - x, b - y]));
  if (apart <= model.apart) return "";
  return `No run stood near both at once: lr ${formatLr(best.lr)} with a batch of ${formatTokens(best.batch)} tokens lies a factor of ${general(Math.exp(apart), 2)} from every pair that was tried or lies between some. ` +
    "Lr and batch hardly vary apart in these runs: hold one of them, or add runs of several lr at one batch.";
}

const turnOf = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);

// Corners of the convex hull, against the clock; both ends of a line.
function hullOf(points) {
  const ordered = [...new Map(points.map((p) => [p.join(), p])).values()].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  if (ordered.length < 3) return ordered;
  const half = (side) => {
    const kept = [];
    for (const point of side) {
      while (kept.length > 1 && turnOf(kept[kept.length - 2], kept[kept.length - 1], point) <= 0) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...half(ordered), ...half([...ordered].reverse())];
}

// From the origin to a hull; 0 inside.
function hullDistance(corners) {
  const sides = corners.map((a, i) => [a, corners[(i + 1) % corners.length]]);
  if (corners.length > 2 && sides.every(([a, b]) => turnOf(a, b, [0, 0]) >= 0)) return 0;
  return Math.min(...sides.map(([a, b]) => {
    const along = [b[0] - a[0], b[1] - a[1]], length = Math.max(along[0] ** 2 + along[1] ** 2, 1e-300);
    const share = Math.min(Math.max(-(a[0] * along[0] + a[1] * along[1]) / length, 0), 1);
    return Math.hypot(a[0] + share * along[0], a[1] + share * along[1]);
  }));
}
