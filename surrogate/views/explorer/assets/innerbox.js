// The largest axis-parallel box within convex walls, its four corners inside: the
// primal-dual interior-point method of surrogate/numerics/inner_box.py.
//
// Walls are {surfaces, level, moves, low, high, cut}: {u : f_b(u - move_b) <= level_b for
// every b}. A box is v = [x low, x high, y low, y high].

const OF_X = [0, 0, 1, 1], OF_Y = [2, 3, 2, 3];
const SHRINK = 0.3, BOX_STEPS = 60, HALVINGS = 50, NEAREST = 0.01;

// Linear walls: rows . v <= bounds.
function boxLines({ low, high, cut }) {
  const rows = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]];
  const bounds = [-low[0], high[0], -low[1], high[1]];
  if (cut) {
    // Of the four corners one lies farthest along the normal.
    const row = [0, 0, 0, 0];
    row[cut.nx > 0 ? 1 : 0] += cut.nx;
    row[cut.ny > 0 ? 3 : 2] += cut.ny;
    rows.push(row);
    bounds.push(cut.bound);
  }
  return { rows, bounds };
}

const dot4 = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];

// Every wall at a box: the room to it, its slopes, its curvatures; corners of every b first.
function boxLocal(walls, lines, v) {
  const count = walls.level.length, size = 4 * count, total = size + lines.bounds.length;
  const room = new Float64Array(total), gx = new Float64Array(size), gy = new Float64Array(size);
  const hxx = new Float64Array(size), hxy = new Float64Array(size), hyy = new Float64Array(size);
  for (let b = 0, k = 0; b < count; b++) {
    const f = walls.surfaces[b], [mx, my] = walls.moves[b], level = walls.level[b];
    for (let c = 0; c < 4; c++, k++) {
      const at = localAt(f, v[OF_X[c]] - mx, v[OF_Y[c]] - my);
      room[k] = level - at.v;
      [gx[k], gy[k], hxx[k], hxy[k], hyy[k]] = [at.gx, at.gy, at.hxx, at.hxy, at.hyy];
    }
  }
  lines.rows.forEach((row, i) => { room[size + i] = lines.bounds[i] - dot4(row, v); });
  return { room, gx, gy, hxx, hxy, hyy, size, lines };
}

// rows' w, and rows . step of every wall.
function boxTransposed(now, w) {
  const sum = [0, 0, 0, 0];
  for (let k = 0; k < now.size; k++) {
    sum[OF_X[k & 3]] += w[k] * now.gx[k];
    sum[OF_Y[k & 3]] += w[k] * now.gy[k];
  }
  now.lines.rows.forEach((row, i) => { for (let j = 0; j < 4; j++) sum[j] += w[now.size + i] * row[j]; });
  return sum;
}

const boxAlong = (now, step) => now.room.map((_, k) => (k < now.size
  ? now.gx[k] * step[OF_X[k & 3]] + now.gy[k] * step[OF_Y[k & 3]] : dot4(now.lines.rows[k - now.size], step)));

// Gradient and Hessian of the reduced system.
function boxNewton(now, v, weight, price) {
  const g = boxTransposed(now, now.room.map((r) => weight / r)), h = [0, 1, 2, 3].map(() => [0, 0, 0, 0]);
  for (let k = 0; k < now.size; k++) {
    const p = price[k], w = p / now.room[k], i = OF_X[k & 3], j = OF_Y[k & 3], cross = w * now.gx[k] * now.gy[k] + p * now.hxy[k];
    h[i][i] += w * now.gx[k] * now.gx[k] + p * now.hxx[k];
    h[j][j] += w * now.gy[k] * now.gy[k] + p * now.hyy[k];
    h[i][j] += cross;
    h[j][i] += cross;
  }
  now.lines.rows.forEach((row, l) => {
    const w = price[now.size + l] / now.room[now.size + l];
    for (let i = 0; i < 4; i++) for (let j = 0; j < 4; j++) h[i][j] += w * row[i] * row[j];
  });
  for (const [low, high] of [[0, 1], [2, 3]]) {
    const a = 1 / (v[high] - v[low]);
    g[high] -= a;
    g[low] += a;
    h[low][low] += a * a;
    h[high][high] += a * a;
    h[low][high] -= a * a;
    h[high][low] -= a * a;
  }
  return [g, h];
}

// Newton's step, in units of the box's sides, which may be of any size.
function boxStep(v, g, h) {
  const sides = [v[1] - v[0], v[1] - v[0], v[3] - v[2], v[3] - v[2]];
  const rows = h.map((row, i) => [...row.map((x, j) => x * sides[i] * sides[j]), g[i] * sides[i]]);
  for (let i = 0; i < 4; i++) {
    let top = i;
    for (let k = i + 1; k < 4; k++) if (Math.abs(rows[k][i]) > Math.abs(rows[top][i])) top = k;
    [rows[i], rows[top]] = [rows[top], rows[i]];
    const pivot = rows[i][i] || 1e-300;
    for (let k = i + 1; k < 4; k++) {
      const times = rows[k][i] / pivot;
      for (let j = i; j < 5; j++) rows[k][j] -= times * rows[i][j];
    }
  }
  const x = [0, 0, 0, 0];
  for (let i = 3; i >= 0; i--) {
    let rest = rows[i][4];
    for (let j = i + 1; j < 4; j++) rest -= rows[i][j] * x[j];
    x[i] = rest / (rows[i][i] || 1e-300);
  }
  return x.map((value, i) => -sides[i] * value);
}

function boxShrunk(walls, lines, [a, b, c, d]) {
  const middle = [(a + b) / 2, (a + b) / 2, (c + d) / 2, (c + d) / 2];
  for (let share = 0.98, k = 0; k < HALVINGS; k++, share *= 0.5) {
    const v = [a, b, c, d].map((x, i) => middle[i] + share * (x - middle[i]));
    if (v[1] > v[0] && v[3] > v[2] && boxLocal(walls, lines, v).room.every((r) => r > 0)) return v;
  }
  return null;
}

// As far along the step as prices stay positive and walls above the least room.
function boxAdvanced(walls, lines, v, price, step, move, room, along) {
  let size = 1;
  price.forEach((p, k) => {
    if (move[k] < 0) size = Math.min(size, 0.99 * (-p / move[k]));
    // Room is concave: it never grows by more than its slopes say.
    if (along[k] > 0) size = Math.min(size, (0.99 * room[k] * (1 - NEAREST)) / along[k]);
  });
  for (let k = 0; k < HALVINGS; k++, size *= 0.5) {
    const after = v.map((x, i) => x + size * step[i]);
    if (!(after[1] > after[0] && after[3] > after[2])) continue;
    const now = boxLocal(walls, lines, after), at = size;
    if (now.room.every((r, i) => r > NEAREST * room[i])) return { v: after, price: price.map((p, i) => p + at * move[i]), now };
  }
  return null;
}

// [box, whether it is the best]: quick, but it may stall beside a wall.
function primalDual(walls, lines, v, gap) {
  let now = boxLocal(walls, lines, v);
  const count = now.room.length;
  let price = now.room.map((r) => 1 / (count * r));
  for (let k = 0; k < BOX_STEPS; k++) {
    const left = price.reduce((sum, p, i) => sum + p * now.room[i], 0);
    const [w, h] = [v[1] - v[0], v[3] - v[2]], own = [1 / w, -1 / w, 1 / h, -1 / h], sides = [w, w, h, h];
    const off = Math.max(...boxTransposed(now, price).map((t, i) => Math.abs((own[i] + t) * sides[i])));
    if (left <= gap && off <= gap) return [v, true];
    // The gap waits for the slopes, or the walls would be met too early.
    const weight = (left / count) * (off <= left ? SHRINK : 1), room = now.room;
    const step = boxStep(v, ...boxNewton(now, v, weight, price)), along = boxAlong(now, step);
    const move = price.map((p, i) => weight / room[i] - p + (p / room[i]) * along[i]);
    const next = boxAdvanced(walls, lines, v, price, step, move, room, along);
    if (!next) return [v, false];
    ({ v, price, now } = next);
  }
  return [v, false];
}

function barrierValue(walls, lines, v, weight) {
  if (!(v[1] > v[0] && v[3] > v[2])) return Infinity;
  const { room } = boxLocal(walls, lines, v);
  if (!room.every((r) => r > 0)) return Infinity;
  return -Math.log(v[1] - v[0]) - Math.log(v[3] - v[2]) - weight * room.reduce((sum, r) => sum + Math.log(r), 0);
}

// Newton's method on minus the log of the area and a log barrier: slow and sure.
function barrier(walls, lines, v, gap) {
  for (let weight = 0.1; ; weight *= 0.1) {
    let now = boxLocal(walls, lines, v), value = barrierValue(walls, lines, v, weight);
    for (let k = 0; k < BOX_STEPS; k++) {
      const at = weight, [g, h] = boxNewton(now, v, at, now.room.map((r) => at / r)), step = boxStep(v, g, h), fall = -dot4(g, step);
      if (!(fall > 1e-8)) break;
      let size = 1, after = Infinity, next = v;
      for (let j = 0; j < HALVINGS; j++, size *= 0.5) {
        next = v.map((x, i) => x + size * step[i]);
        after = barrierValue(walls, lines, next, weight);
        if (after <= value - 0.1 * size * fall) break;
      }
      if (!(after <= value - 0.1 * size * fall)) break;
      [v, value] = [next, after];
      now = boxLocal(walls, lines, v);
    }
    if (weight * (4 * walls.level.length + lines.bounds.length) <= gap) return v;
  }
}

// The box of largest area, whose log may fall short by `gap`; null from a bad start.
function largestBox(walls, start, gap = 1e-4) {
  const lines = boxLines(walls), first = boxShrunk(walls, lines, start);
  if (!first) return null;
  const [v, isBest] = primalDual(walls, lines, first, gap);
  return isBest ? v : barrier(walls, lines, v, gap);
}

// The largest box inside one surface's plateau; surrogate/answers/decision/boxes.py has the rule.
function innerBox(f, region, level) {
  const { box, cut } = region, found = minimum(f, region);
  if (!(found.v < level)) return null;
  const edges = extents(f, found, region, level);
  if (!edges.every((pair) => pair.every((e) => Number.isFinite(e.at) && Number.isFinite(e.other)))) return null;
  const walls = { surfaces: [f], level: [level], moves: [[0, 0]], low: [box.xlo, box.ylo], high: [box.xhi, box.yhi], cut };
  const sum = (pair, key) => pair[0][key] + pair[1][key];
  const reachOf = edges.map((pair) => pair[1].at - pair[0].at);
  // The mean of the four support points is inside a convex set, but where all of them
  // are ends of a chord, the cut.
  const middle = [0, 1].map((i) => 0.25 * (sum(edges[i], "at") + sum(edges[1 - i], "other")));
  const length = cut ? Math.max(Math.hypot(cut.nx, cut.ny), 1e-300) : 1, far = Math.max(...reachOf);
  const away = cut ? [(-cut.nx * far) / length, (-cut.ny * far) / length] : [0, 0];
  for (let k = -1; k < 40; k++) {
    const share = k < 0 ? 0 : 2 ** -k;
    const at = middle.map((m, i) => m + share * away[i]), half = reachOf.map((r) => 1e-2 * Math.max((share || 1) * r, 1e-9));
    const best = largestBox(walls, [at[0] - half[0], at[0] + half[0], at[1] - half[1], at[1] + half[1]]);
    if (best || !(away[0] || away[1])) return best;
  }
  return null;
}
