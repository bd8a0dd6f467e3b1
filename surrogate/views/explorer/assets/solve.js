// The lowest point of a convex surface over a box, and over a box cut by a half-plane.
//
// A box is {xlo, xhi, ylo, yhi}; of a surface over one setting y is held at 0. A cut is
// {nx, ny, bound}: the half-plane nx x + ny y <= bound. As surrogate/numerics/argmin.py does it.

const CERTIFIED_GAP = 1e-10;
const EPS = Number.EPSILON;
const clamp = (value, lo, hi) => Math.min(Math.max(value, lo), hi);

// How far above the lowest value of the box a convex surface can be at (x, y).
function gapBound(at, x, y, box) {
  return Math.max(at.gx * (x - box.xlo), at.gx * (x - box.xhi)) +
    Math.max(at.gy * (y - box.ylo), at.gy * (y - box.yhi));
}

// Minimiser over [lo, hi] of g (t - z) + h (t - z)^2 / 2, h >= 0.
function lineTarget(g, h, z, lo, hi) {
  if (h > 0) return clamp(z - g / h, lo, hi);
  return g > 0 ? lo : g < 0 ? hi : clamp(z, lo, hi);
}

// Minimiser over the box of the quadratic model at (x, y).
function boxTarget(at, x, y, box) {
  const trace = at.hxx + at.hyy;
  const isWeak = at.hxx * at.hyy - at.hxy ** 2 < 1e-12 * trace ** 2;
  const shift = isWeak ? 1e-12 * trace : 0;
  const a = at.hxx + shift, b = at.hxy, c = at.hyy + shift, det = a * c - b * b;
  if (det > 0) {
    const tx = x + (b * at.gy - c * at.gx) / det, ty = y + (b * at.gx - a * at.gy) / det;
    if (box.xlo <= tx && tx <= box.xhi && box.ylo <= ty && ty <= box.yhi) return [tx, ty];
  }
  let best = [Infinity, x, y];
  const consider = (tx, ty) => {
    const p = tx - x, q = ty - y;
    const model = at.gx * p + at.gy * q + 0.5 * (a * p * p + 2 * b * p * q + c * q * q);
    if (model < best[0]) best = [model, tx, ty];
  };
  for (const ex of [box.xlo, box.xhi]) consider(ex, lineTarget(at.gy + b * (ex - x), c, y, box.ylo, box.yhi));
  for (const ey of [box.ylo, box.yhi]) consider(lineTarget(at.gx + b * (ey - y), a, x, box.xlo, box.xhi), ey);
  return [best[1], best[2]];
}

// Newton's method confined to the box: full steps near the end, until rounding stops it.
function argmin(f, box, startX, startY) {
  let x = clamp(startX ?? 0.5 * (box.xlo + box.xhi), box.xlo, box.xhi);
  let y = clamp(startY ?? 0.5 * (box.ylo + box.yhi), box.ylo, box.yhi);
  let at = localAt(f, x, y), gap = gapBound(at, x, y, box), share = 1;
  for (let step = 0; step < 100 && Number.isFinite(gap); step++) {
    const noise = EPS * (1 + Math.abs(at.v));
    if (gap <= 4 * noise || share < 1e-12) break;
    const [tx, ty] = boxTarget(at, x, y, box);
    const mx = tx - x, my = ty - y, slope = at.gx * mx + at.gy * my;
    const isFull = share === 1;
    const nx = isFull ? tx : x + share * mx, ny = isFull ? ty : y + share * my;
    const next = localAt(f, nx, ny), nextGap = gapBound(next, nx, ny, box);
    if (!(next.v <= at.v + 1e-4 * share * slope + 8 * noise)) {
      const end = next.gx * mx + next.gy * my, ratio = slope / (slope - end);
      share *= Number.isFinite(ratio) ? clamp(ratio, 0.1, 0.5) : 0.5;
      continue;
    }
    const isStalled = isFull && gap <= CERTIFIED_GAP && nextGap > 0.5 * gap;
    if (!isStalled || nextGap <= gap) [x, y, at, gap] = [nx, ny, next, nextGap];
    if (isStalled) break;
    share = 1;
  }
  const atBound = [[x, box.xlo, box.xhi], [y, box.ylo, box.yhi]].map(([u, lo, hi]) => lo < hi && (u <= lo || u >= hi));
  return { x, y, v: at.v, at, gap, atBound, converged: gap <= CERTIFIED_GAP, isCut: false };
}

function isWithin(cut, x, y) {
  return cut === null || cut.nx * x + cut.ny * y <= cut.bound + 1e-12 * (1 + Math.abs(cut.bound));
}

// The edge of a cut within the box: origin + t along for low <= t <= high.
function cutLine(cut, box) {
  const length = Math.hypot(cut.nx, cut.ny);
  const ax = cut.nx / length, ay = cut.ny / length;
  const line = { x: (ax * cut.bound) / length, y: (ay * cut.bound) / length, dx: -ay, dy: ax, low: -Infinity, high: Infinity };
  for (const [origin, step, lo, hi] of [[line.x, line.dx, box.xlo, box.xhi], [line.y, line.dy, box.ylo, box.yhi]]) {
    if (step === 0) {
      if (origin < lo || origin > hi) line.low = Infinity;
      continue;
    }
    line.low = Math.max(line.low, Math.min((lo - origin) / step, (hi - origin) / step));
    line.high = Math.min(line.high, Math.max((lo - origin) / step, (hi - origin) / step));
  }
  return line;
}

// Over the box and the half-plane: where the box's own minimum lies beyond the cut, the
// lowest point is on its edge. `free` is the minimum over the box alone.
function minimum(f, region, start) {
  const { box, cut } = region;
  const free = argmin(f, box, start && start.x, start && start.y);
  if (isWithin(cut, free.x, free.y)) return { ...free, free };
  const line = cutLine(cut, box);
  const held = argmin(onLine(f, line.x, line.y, line.dx, line.dy), { xlo: line.low, xhi: line.high, ylo: 0, yhi: 0 });
  const x = clamp(line.x + held.x * line.dx, box.xlo, box.xhi);
  const y = clamp(line.y + held.x * line.dy, box.ylo, box.yhi);
  const gap = held.gap + free.gap;
  const atBound = [x <= box.xlo || x >= box.xhi, y <= box.ylo || y >= box.yhi];
  return { x, y, v: held.v, at: localAt(f, x, y), gap, atBound, converged: gap <= CERTIFIED_GAP, isCut: true, free };
}
