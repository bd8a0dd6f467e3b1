// The largest box whose four corners are inside in the same share of the draws: the
// search of surrogate/numerics/robust_box.py.

const GRID = 21, GRID_STARTS = 2, GRID_ROUNDS = 8, GRID_ZOOMS = 4, GAIN = 1e-3, OFFSETS = 9, BESIDE = 0.16;

const neededOf = (count, probability) => Math.max(Math.ceil(probability * count - 1e-9), 1);
const boxArea = (v) => (v[1] - v[0]) * (v[3] - v[2]);
const linspace = (lo, hi, count) => Array.from({ length: count }, (_, k) => (k === count - 1 ? hi : lo + ((hi - lo) / (count - 1)) * k));

function bitsIn(word) {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

// The widest interval that lies in the intervals of a share of the draws.
function robustInterval(edges, probability) {
  const known = edges.filter((e) => e.every(Number.isFinite)), count = neededOf(known.length, probability);
  const order = [...known].sort((a, b) => a[0] - b[0]);
  let best = 0, found = null;
  for (let i = count - 1; i < order.length; i++) {
    const low = order[i][0], high = order.slice(0, i + 1).map((e) => e[1]).sort((a, b) => a - b)[i + 1 - count];
    if (high - low > best) [best, found] = [high - low, [low, high]];
  }
  return found;
}

// Ends that no box in a share of the draws passes; null where they cross.
function boxReach(edges, probability) {
  const count = neededOf(edges.length, probability), ends = [0, 1].map((i) => {
    const low = edges.map((e) => e[i][0]).sort((a, b) => a - b)[count - 1];
    const high = edges.map((e) => e[i][1]).sort((a, b) => a - b)[edges.length - count];
    return [low, high];
  });
  return ends.every(([low, high]) => high > low && Number.isFinite(low + high)) ? ends : null;
}

// Draws that hold each point of xs x ys, as bits: words[(i * ys.length + j) * width + w].
function heldBits(walls, xs, ys) {
  const count = walls.level.length, width = Math.ceil(count / 32), words = new Int32Array(xs.length * ys.length * width);
  const { low, high, cut } = walls, slack = 1e-9;
  xs.forEach((x, i) => ys.forEach((y, j) => {
    const isIn = x >= low[0] - slack && x <= high[0] + slack && y >= low[1] - slack && y <= high[1] + slack;
    if (!isIn || (cut && cut.nx * x + cut.ny * y > cut.bound + slack)) return;
    const at = (i * ys.length + j) * width;
    for (let b = 0; b < count; b++) {
      const [mx, my] = walls.moves[b];
      if (valueAt(walls.surfaces[b], x - mx, y - my) <= walls.level[b]) words[at + (b >> 5)] |= 1 << (b & 31);
    }
  }));
  return { words, width, rows: ys.length };
}

// How many draws hold all of the corners (i, j), i of two xs and j of two ys.
function heldBy({ words, width, rows }, i1, i2, j1, j2) {
  let count = 0;
  for (let w = 0; w < width; w++) {
    count += bitsIn(words[(i1 * rows + j1) * width + w] & words[(i1 * rows + j2) * width + w]
      & words[(i2 * rows + j1) * width + w] & words[(i2 * rows + j2) * width + w]);
  }
  return count;
}

// The largest boxes of a grid that enough draws hold, each of another shape.
function boxStarts(walls, span, count) {
  let ends = span;
  const pairs = [];
  for (let i = 0; i < GRID; i++) for (let j = i + 1; j < GRID; j++) pairs.push([i, j]);
  for (let zoom = 0; zoom < GRID_ZOOMS; zoom++) {
    const [xs, ys] = ends.map(([lo, hi]) => linspace(lo, hi, GRID)), bits = heldBits(walls, xs, ys), fits = [];
    pairs.forEach(([i, j], p) => pairs.forEach(([k, l], q) => {
      const area = (xs[j] - xs[i]) * (ys[l] - ys[k]);
      if (heldBy(bits, i, j, k, l) >= count) fits.push({ p, q, area, box: [xs[i], xs[j], ys[k], ys[l]] });
    }));
    if (fits.length) return severalBoxes(fits, pairs);
    let best = [-1, 0, 0];
    for (let i = 0; i < GRID; i++) for (let j = 0; j < GRID; j++) {
      const held = heldBy(bits, i, i, j, j);
      if (held > best[0]) best = [held, i, j];
    }
    const about = (axis, k) => [axis[Math.max(k - 1, 0)], axis[Math.min(k + 1, GRID - 1)]];
    ends = [about(xs, best[1]), about(ys, best[2])];
  }
  return [];
}

// The largest box, and the largest of those that are elsewhere or of other form.
function severalBoxes(fits, pairs) {
  const found = [], isNear = (a, b) => Math.abs(pairs[a][0] - pairs[b][0]) <= 2 && Math.abs(pairs[a][1] - pairs[b][1]) <= 2;
  let rest = fits;
  while (found.length < GRID_STARTS && rest.length) {
    // Boxes of a grid often have the same area but for rounding.
    const top = rest.reduce((a, b) => (b.area > a.area * (1 + 1e-9) ? b : a));
    found.push(top.box);
    rest = rest.filter((one) => !(isNear(one.p, top.p) && isNear(one.q, top.q)));
  }
  return found;
}

const kept = (walls, order) => ({ ...walls, surfaces: order.map((b) => walls.surfaces[b]), level: order.map((b) => walls.level[b]), moves: order.map((b) => walls.moves[b]) });

// By how much every draw holds the worst of the four corners.
const boxSlack = (walls, v) => walls.level.map((level, b) => {
  const [mx, my] = walls.moves[b];
  return Math.min(...OF_X.map((i, c) => level - valueAt(walls.surfaces[b], v[i] - mx, v[OF_Y[c]] - my)));
});

// Best box of the draws that hold one, then the draws of that, in turn.
function boxImproved(walls, start, count) {
  let box = null, area = 0, now = start, known = boxSlack(walls, start);
  for (let round = 0; round < GRID_ROUNDS; round++) {
    const slackOf = known, order = known.map((_, b) => b).sort((a, b) => slackOf[b] - slackOf[a] || a - b).slice(0, count).sort((a, b) => a - b);
    if (!order.every((b) => slackOf[b] >= 0)) break;
    const found = largestBox(kept(walls, order), now, GAIN);
    if (!found || boxArea(found) <= area * (1 + GAIN)) break;
    [box, area, now] = [found, boxArea(found), found];
    known = boxSlack(walls, found);
  }
  return box;
}

// The largest box whose sides are near those of one; null where none is larger.
function boxNearby(walls, v, count) {
  const steps = linspace(-BESIDE, BESIDE, OFFSETS), about = (end, side) => steps.map((s) => end + side * s);
  const [w, h] = [v[1] - v[0], v[3] - v[2]], xs = [...about(v[0], w), ...about(v[1], w)], ys = [...about(v[2], h), ...about(v[3], h)];
  const bits = heldBits(walls, xs, ys);
  let best = null, area = 0;
  for (let a = 0; a < OFFSETS; a++) for (let b = OFFSETS; b < 2 * OFFSETS; b++) for (let c = 0; c < OFFSETS; c++) for (let d = OFFSETS; d < 2 * OFFSETS; d++) {
    const own = (xs[b] - xs[a]) * (ys[d] - ys[c]);
    if (own > area && heldBy(bits, a, b, c, d) >= count) [area, best] = [own, [xs[a], xs[b], ys[c], ys[d]]];
  }
  return area > boxArea(v) ? best : null;
}

// The box; null where no four corners are so safe. `edges` are those of each draw, moved.
function robustBox(walls, edges, probability) {
  const span = boxReach(edges, probability);
  if (!span) return null;
  const within = span.map(([lo, hi], i) => [Math.max(lo, walls.low[i]), Math.min(hi, walls.high[i])]);
  if (!within.every(([lo, hi]) => lo < hi)) return null;
  const count = neededOf(walls.level.length, probability);
  let best = null, area = 0;
  for (const start of boxStarts(walls, within, count)) {
    const box = boxImproved(walls, start, count);
    if (box && boxArea(box) > area) [best, area] = [box, boxArea(box)];
  }
  // A box that trades some draws for others may lie close by.
  for (let round = 0; round < GRID_ROUNDS && best; round++) {
    const nearby = boxNearby(walls, best, count), box = nearby && boxImproved(walls, nearby, count);
    if (!box || boxArea(box) <= area * (1 + GAIN)) break;
    [best, area] = [box, boxArea(box)];
  }
  return best;
}
