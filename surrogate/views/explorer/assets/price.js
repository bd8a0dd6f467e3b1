// What a loss above the lowest costs in tokens, and what each batch costs: the rules of
// surrogate/answers/decision/price.py. The price of a loss is the smallest share x > 0 such that the
// lowest loss of (1 - x) D tokens is that loss.

const LEAST_SLOPE = -0.01, LEAST_TOKENS = 0.5, TRAINING_FLOPS = 6, SLOPE_STEP = 1e-4;
const ROOT_POINTS = 33, ROOT_STEPS = 80, ROOT_FINE = 1e-13;

const lineEnd = (model) => LEAST_TOKENS * model.fitted.tokens[0];

// Prices along ln tokens of what was solved: {share(regret), reason, slope, ...}. `told`
// has question, surface, found, leaves and the region of any question: regionAt.
function pricesOf(model, { question, found, leaves, regionAt }) {
  const none = (reason, slope = null, slopes = []) => ({ question, reason, slope, slopes, share: () => null });
  if (!model.givens.includes("tokens")) {
    return none("the fitted runs do not vary tokens apart from their other sizes, so nothing tells what a token is worth");
  }
  const at = (t) => ({ ...question, tokens: Math.exp(t) });
  const sides = [-SLOPE_STEP, SLOPE_STEP].map((step) => givenOf(model, { ...question, tokens: question.tokens * Math.exp(step) }));
  const slopeAt = (theta, low) => {
    const [below, above] = sides.map((s) => valueAt(surfaceOf(model.family, model.shape, theta, s), low.x, low.y));
    return (above - below) / (2 * SLOPE_STEP);
  };
  const slope = slopeAt(model.theta, found), spans = intervalOf(model, slope, model.leaves.map((theta, i) => slopeAt(theta, leaves[i].low)));
  if (!(slope <= LEAST_SLOPE)) return none(`more tokens hardly lower the fitted loss here (exponent ${slope.toFixed(3)})`, slope);
  if (spans && spans[0] <= 0 && spans[1] >= 0) {
    return none(`whether more tokens lower the loss here is not certain (exponent ${slope.toFixed(3)}, ${Math.round(100 * model.level_of_intervals)}% ${spans.map((v) => v.toFixed(3)).join(" to ")})`, slope);
  }
  if (question.tokens <= lineEnd(model)) return none("there are no fitted runs of so few tokens", slope);
  const lowest = (t) => {
    const asked = at(t), s = givenOf(model, asked);
    return minimum(surfaceOf(model.family, model.shape, model.theta, s), regionAt(asked)).v;
  };
  const start = Math.log(question.tokens), roots = firstRoots(lowest, start, Math.log(lineEnd(model)));
  const share = (regret) => {
    if (!(regret > 0)) return regret <= 0 ? 0 : null;
    const root = roots(found.v + Math.log1p(regret));
    return root === null ? null : -Math.expm1(root - start);
  };
  return { question, reason: null, slope, slopeAt, share };
}

// What a share is that the fitted runs do not reach.
const beyondText = (model, question) => `over ${general(100 * (1 - lineEnd(model) / question.tokens), 2)} % of the tokens, beyond what was fitted`;

// One price in tokens and FLOPs; null numbers where there is a reason.
function priceOf(model, prices, of, regret, bound = null) {
  const { question } = prices, share = regret === null ? null : prices.share(regret);
  const most = bound === null ? null : prices.share(bound);
  const reason = prices.reason || (share === null && regret !== null ? beyondText(model, question) : null);
  const tokens = share === null ? null : share * question.tokens;
  return {
    of, share, tokens, flops: tokens === null ? null : TRAINING_FLOPS * question.params * tokens,
    upper: most === null || share === null ? null : Math.max(share, most), reason, slope: prices.slope,
  };
}

// The regret whose price bounds that of a choice, one-sided, not under what cells left out
// were measured to lose; null without draws. `lows` are the minima of the draws.
function regretBound(model, prices, regret, regrets, lows) {
  if (prices.reason !== null || !regrets.length) return null;
  const scaled = regrets.map((regret, k) => {
    const own = prices.slopeAt(model.draws[k], lows[k]);
    return Math.log1p(regret) * (own < 0 ? prices.slope / own : Infinity);
  });
  const drawn = Math.expm1(quantile(scaled.filter((v) => !Number.isNaN(v)), model.level_of_intervals));
  return regretEnd(model, regret, Math.max(drawn, regret));
}

// level -> the place nearest to `start` where a function rises to it; null where it does
// not before `end`, `start` where the level is not above it there (decision/root.py).
function firstRoots(fn, start, end) {
  let grid = null, values = [];
  return (level) => {
    if (!grid) {
      grid = linspace(start, end, ROOT_POINTS);
      values = grid.map(fn);
    }
    if (!Number.isFinite(level) || !Number.isFinite(values[0])) return null;
    if (level <= values[0]) return start;
    const k = values.findIndex((v) => v >= level);
    return k < 1 ? null : closedIn(fn, grid[k - 1], grid[k], values[k - 1] - level, values[k] - level, level);
  };
}

// Secants of the last two points, kept within a bracket that closes in.
function closedIn(fn, a, b, fa, fb, level) {
  let [last, fLast, x, f] = Math.abs(fa) < Math.abs(fb) ? [b, fb, a, fa] : [a, fa, b, fb];
  for (let step = 0; step < ROOT_STEPS; step++) {
    let c = x - (f * (x - last)) / (f - fLast);
    if (!(c >= Math.min(a, b) && c <= Math.max(a, b)) || step % 8 === 7) c = 0.5 * (a + b);
    if (f === 0) c = x;
    const fc = fn(c) - level;
    if (fc < 0) a = c;
    else b = c;
    const isDone = Math.abs(c - x) <= ROOT_FINE || fc === 0;
    [last, fLast, x, f] = [x, f, c, fc];
    if (isDone) break;
  }
  return x;
}

// Batches 2^k about the plateau with the best lr of each and its regret; `edges` are the
// plateau's smallest and largest batch [u].
function rungsOf(model, { question, surface, found, region }, edges, prices) {
  const i = model.choices.indexOf("batch"), { box } = region, octave = (u) => (u * model.scale[i] + model.mean[i]) / Math.log(2);
  const [lo, hi] = i ? [box.ylo, box.yhi] : [box.xlo, box.xhi];
  const first = Math.max(Math.ceil(octave(edges[0]) - 2), Math.ceil(octave(lo)), 0), last = Math.min(Math.floor(octave(edges[1]) + 2), Math.floor(octave(hi)));
  const rungs = [];
  for (let k = first; k <= last && rungs.length < 24; k++) {
    const u = toU(model, i, 2 ** k);
    const low = minimum(surface, { ...region, box: i ? { ...box, ylo: u, yhi: u } : { ...box, xlo: u, xhi: u } });
    const regret = Math.max(Math.expm1(low.v - found.v), 0);
    if (!Number.isFinite(regret)) continue;
    rungs.push({ batch: 2 ** k, lr: fromU(model, 1 - i, i ? low.x : low.y), loss: lossOf(model, found.v + Math.log1p(regret)), regret, share: prices.share(regret), steps: question.tokens / 2 ** k });
  }
  return rungs;
}
