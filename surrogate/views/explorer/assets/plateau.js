// The plateau {u in the region : f(u) <= level}: extents, slices, contour, area.
//
// Each edge is the root of a convex function of one variable (surrogate/numerics/plateau.py).

// Largest t in [0, top] with phi(t) <= level, phi convex with phi(0) <= level and
// phi(t) = [value, slope, curvature]. Returns [t, whether it is top]; NaN where lost.
function reach(phi, level, top) {
  if (!(top > 0)) return [0, true];
  const first = phi(0);
  if (!(first[0] <= level + 4 * EPS * (1 + Math.abs(level)))) return [NaN, false];
  if (phi(top)[0] <= level) return [top, true];
  let lo = 0, hi = top, t = stepTo(first, level);
  if (!(t > lo && t < hi)) t = 0.5 * top;
  for (let k = 0; k < 200; k++) {
    const at = phi(t);
    if (at[0] <= level) lo = t;
    else hi = t;
    let next = t + stepTo(at, level);
    if (Math.abs(next - t) <= 1e-15 * (1 + Math.abs(t))) return [clamp(next, lo, hi), false];
    if (!(next > lo && next < hi) || (k > 12 && k % 2)) next = 0.5 * (lo + hi);
    if (hi - lo <= 1e-15 * (1 + hi)) return [lo, false];
    t = next;
  }
  return [t, false];
}

// Step to the upper root of value + slope z + curvature z^2 / 2 = level.
function stepTo([value, slope, curvature], level) {
  const rest = value - level, square = slope ** 2 - 2 * rest * curvature;
  if (square < 0) return slope > 0 ? -rest / slope : NaN;
  const length = Math.sqrt(square);
  return slope >= 0 ? (-2 * rest) / (slope + length) : (length - slope) / curvature;
}

// phi(t) = min over the other coordinate of f, outwards from a point, with the
// coordinate that goes with the last t asked.
function outward(f, from, axis, sign, box) {
  const isX = axis === 0;
  const wlo = isX ? box.ylo : box.xlo, whi = isX ? box.yhi : box.xhi;
  const state = { w: isX ? from.y : from.x };
  const start = isX ? from.x : from.y;
  const at = (t, w) => (isX ? localAt(f, start + sign * t, w) : localAt(f, w, start + sign * t));
  state.phi = (t) => {
    let w = state.w, lo = wlo, hi = whi, here = at(t, w);
    for (let k = 0; k < 100 && wlo < whi; k++) {
      const g = isX ? here.gy : here.gx, h = isX ? here.hyy : here.hxx;
      if (g > 0) hi = w;
      else if (g < 0) lo = w;
      else break;
      let next = clamp(h > 0 ? w - g / h : g > 0 ? wlo : whi, wlo, whi);
      if (Math.abs(next - w) <= 1e-14 * (1 + Math.abs(w))) break;
      if (!(next > lo && next < hi) && (lo > wlo || hi < whi) && k > 3) next = 0.5 * (lo + hi);
      w = next;
      here = at(t, w);
    }
    state.w = w;
    const slope = sign * (isX ? here.gx : here.gy);
    const own = isX ? here.hxx : here.hyy, other = isX ? here.hyy : here.hxx;
    const isFree = w > wlo && w < whi && other > 0;
    return [here.v, slope, Math.max(own - (isFree ? here.hxy ** 2 / other : 0), 0)];
  };
  return state;
}

// The smallest box around the plateau: edges[axis][side] = {at, other, isOpen, isCut}.
function extents(f, found, region, level) {
  const { box, cut } = region;
  const bounds = [[box.xlo, box.xhi], [box.ylo, box.yhi]];
  const axes = f.twoD ? [0, 1] : [0];
  let line = null;
  const edges = axes.map((axis) => [-1, 1].map((sign, side) => {
    const from = found.free, start = axis === 0 ? from.x : from.y, bound = bounds[axis][side];
    const way = outward(f, from, axis, sign, box);
    const [t, isOpen] = reach(way.phi, level, sign * (bound - start));
    if (!isOpen && Number.isFinite(t)) way.phi(t);
    const edge = { at: isOpen ? bound : start + sign * t, other: f.twoD ? way.w : 0, isOpen, isCut: false };
    const [x, y] = axis === 0 ? [edge.at, edge.other] : [edge.other, edge.at];
    if (isWithin(cut, x, y)) return edge;
    line = line || lineEnds(f, region, level);
    const far = line.reduce((a, b) => (sign * (b.u[axis] - a.u[axis]) > 0 ? b : a));
    const at = clamp(far.u[axis], ...bounds[axis]);
    const isBox = far.isOpen && Math.abs(at - bound) <= 1e-12 * (1 + Math.abs(bound));
    return { at, other: far.u[1 - axis], isOpen: isBox, isCut: true };
  }));
  return edges;
}

// Where the plateau's slice along the edge of the cut begins and ends.
function lineEnds(f, region, level) {
  const line = cutLine(region.cut, region.box);
  const low = argmin(onLine(f, line.x, line.y, line.dx, line.dy), { xlo: line.low, xhi: line.high, ylo: 0, yhi: 0 });
  return [-1, 1].map((sign) => {
    const phi = alongLine(f, line.x + low.x * line.dx, line.y + low.x * line.dy, sign * line.dx, sign * line.dy);
    const [t, isOpen] = reach(phi, level, sign > 0 ? line.high - low.x : low.x - line.low);
    const s = low.x + sign * t;
    return { u: [line.x + s * line.dx, line.y + s * line.dy], isOpen };
  });
}

// Interval of coordinate `axis` with the other held at `at`; null where none is inside.
function sliceOf(f, region, axis, at, level) {
  const { box, cut } = region;
  let [lo, hi] = axis === 0 ? [box.xlo, box.xhi] : [box.ylo, box.yhi];
  const [wlo, whi] = axis === 0 ? [box.ylo, box.yhi] : [box.xlo, box.xhi];
  if (at < wlo || at > whi) return null;
  if (cut) {
    const own = axis === 0 ? cut.nx : cut.ny, rest = cut.bound - (axis === 0 ? cut.ny : cut.nx) * at;
    if (own > 0) hi = Math.min(hi, rest / own);
    else if (own < 0) lo = Math.max(lo, rest / own);
    else if (rest < 0) return null;
  }
  if (lo > hi) return null;
  const line = axis === 0 ? { x: 0, y: at, dx: 1, dy: 0 } : { x: at, y: 0, dx: 0, dy: 1 };
  const flat = onLine(f, line.x, line.y, line.dx, line.dy);
  const low = argmin(flat, { xlo: lo, xhi: hi, ylo: 0, yhi: 0 });
  if (!(low.v <= level)) return null;
  return [-1, 1].map((sign) => {
    const phi = (t) => (([v, slope, bend]) => [v, sign * slope, bend])(lineAt(flat, low.x + sign * t));
    const [t, isOpen] = reach(phi, level, sign > 0 ? hi - low.x : low.x - lo);
    return isOpen ? (sign > 0 ? hi : lo) : low.x + sign * t;
  });
}

// How far the ray from (x, y) goes on within the box and the level.
function rayLength(f, box, x, y, dx, dy, level) {
  const room = (u, d, lo, hi) => (d > 0 ? (hi - u) / d : d < 0 ? (lo - u) / d : Infinity);
  const top = Math.min(room(x, dx, box.xlo, box.xhi), room(y, dy, box.ylo, box.yhi));
  return reach(alongLine(f, x, y, dx, dy), level, top);
}

// The boundary of {f <= level} in a box, in order, on rays from a point inside that are
// even once the surface's bowl is made round. A box wider than what is shown, and then
// `clipped`, leaves no ray to cut its corners.
function contourOf(f, box, from, level, points) {
  const { hxx, hxy, hyy } = from.at;
  const a = Math.sqrt(Math.max(hxx, 1e-12)), b = hxy / a, c = Math.sqrt(Math.max(hyy - b * b, 1e-6 * a * a));
  const found = [];
  for (let k = 0; k < points; k++) {
    const angle = (2 * Math.PI * k) / points, q = Math.sin(angle) / c, p = (Math.cos(angle) - b * q) / a;
    const [t] = rayLength(f, box, from.x, from.y, p, q, level);
    if (Number.isFinite(t)) found.push([from.x + t * p, from.y + t * q]);
  }
  return found;
}

// Such boundaries at several levels: each ray is laid once for all of them.
function ringsOf(f, box, from, levels, points) {
  const { hxx, hxy, hyy } = from.at, rings = levels.map(() => []);
  const a = Math.sqrt(Math.max(hxx, 1e-12)), b = hxy / a, c = Math.sqrt(Math.max(hyy - b * b, 1e-6 * a * a));
  const room = (u, d, lo, hi) => (d > 0 ? (hi - u) / d : d < 0 ? (lo - u) / d : Infinity);
  for (let k = 0; k < points; k++) {
    const angle = (2 * Math.PI * k) / points, q = Math.sin(angle) / c, p = (Math.cos(angle) - b * q) / a;
    const top = Math.min(room(from.x, p, box.xlo, box.xhi), room(from.y, q, box.ylo, box.yhi));
    const flat = onLine(f, from.x, from.y, p, q), first = lineAt(flat, 0), last = lineAt(flat, top);
    const phi = (t) => (t === 0 ? first : t === top ? last : lineAt(flat, t));
    levels.forEach((level, i) => {
      const [t] = reach(phi, level, top);
      if (Number.isFinite(t)) rings[i].push([from.x + t * p, from.y + t * q]);
    });
  }
  return rings;
}

// A polygon's part within the half-plane.
function clipped(polygon, cut) {
  if (!cut) return polygon;
  const room = ([x, y]) => cut.bound - cut.nx * x - cut.ny * y;
  const kept = [];
  polygon.forEach((p, i) => {
    const q = polygon[(i + 1) % polygon.length], here = room(p), there = room(q);
    if (here >= 0) kept.push(p);
    if (here * there < 0) {
      const t = here / (here - there);
      kept.push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
    }
  });
  return kept;
}

// A box with as much again on each side, and the half-planes that cut it back.
function widened({ xlo, xhi, ylo, yhi }) {
  return { xlo: 2 * xlo - xhi, xhi: 2 * xhi - xlo, ylo: 2 * ylo - yhi, yhi: 2 * yhi - ylo };
}

const sidesOf = (box) => [
  { nx: 1, ny: 0, bound: box.xhi }, { nx: -1, ny: 0, bound: -box.xlo },
  { nx: 0, ny: 1, bound: box.yhi }, { nx: 0, ny: -1, bound: -box.ylo },
];

// The outline of the plateau within the box and the cut, exact but for its facets.
function outlineOf(f, region, from, level, points) {
  const ring = contourOf(f, widened(region.box), from, level, points);
  return [...sidesOf(region.box), region.cut].reduce(clipped, ring);
}
