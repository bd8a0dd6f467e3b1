// The robust plateau: settings inside the plateau in at least a share of the draws.
//
// Along a line each draw's plateau is one interval, found exactly; where enough of them
// overlap is robust. Lines sweep the union of the plateaus both ways, then close in on
// each end of the piece that holds the optimum, or is nearest to it.

const SWEEP = 49; // lines each way
const ZOOM = 9; // lines of one step closer
const FINE = 2e-4; // octaves by which an end may still move

// One draw: its plateau's limit, extents and a point inside.
function drawPlateau(f, region, tol, start) {
  const found = minimum(f, region, start);
  const level = found.v + Math.log1p(tol);
  const edges = extents(f, found, { box: region.box, cut: null }, level);
  return { f, found, level, edges, inside: [found.free.x, found.free.y] };
}

// A draw's plateau moved by (mx, my).
function movedPlateau(draw, mx, my) {
  const move = [mx, my];
  const edges = draw.edges.map((pair, axis) => pair.map((edge) => ({
    ...edge,
    at: edge.at + move[axis],
    other: edge.other === undefined ? edge.other : edge.other + move[1 - axis],
  })));
  return { ...draw, f: moved(draw.f, mx, my), edges, inside: [draw.inside[0] + mx, draw.inside[1] + my] };
}

// The interval of one draw's plateau along `axis`, the other coordinate at `at`.
// A point inside: on the way from the draw's minimum to its farthest point that way.
function lineInterval(draw, axis, at) {
  const { f, inside, edges, level } = draw;
  if (!f.twoD) return [edges[0][0].at, edges[0][1].at];
  const other = 1 - axis, from = inside[other];
  const tip = edges[other][at < from ? 0 : 1];
  if (at < edges[other][0].at || at > edges[other][1].at) return null;
  const share = tip.at === from ? 0 : (at - from) / (tip.at - from);
  const start = inside[axis] + share * (tip.other - inside[axis]);
  const right = axis === 0 ? onLine(f, start, at, 1, 0) : onLine(f, at, start, 0, 1);
  const left = (t) => (([v, slope, bend]) => [v, -slope, bend])(lineAt(right, -t));
  const ends = [
    start - reach(left, level, Math.max(start - edges[axis][0].at, 0))[0],
    start + reach((t) => lineAt(right, t), level, Math.max(edges[axis][1].at - start, 0))[0],
  ];
  return Number.isFinite(ends[0] + ends[1]) ? ends : [start, start];
}

// Where at least `need` intervals overlap along a line, within the region, and the most
// that overlap anywhere on it.
function overlap(draws, region, axis, at, need) {
  let [lo, hi] = axis === 0 ? [region.box.xlo, region.box.xhi] : [region.box.ylo, region.box.yhi];
  if (region.cut) {
    const { nx, ny, bound } = region.cut;
    const own = axis === 0 ? nx : ny, rest = bound - (axis === 0 ? ny : nx) * at;
    if (own > 0) hi = Math.min(hi, rest / own);
    else if (own < 0) lo = Math.max(lo, rest / own);
    else if (rest < 0) return { segments: [], most: 0 };
  }
  const events = [];
  for (const draw of draws) {
    const ends = lineInterval(draw, axis, at);
    if (!ends || ends[1] < lo || ends[0] > hi) continue;
    events.push([Math.max(ends[0], lo), 1], [Math.min(ends[1], hi), -1]);
  }
  events.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const segments = [];
  let count = 0, most = 0, open = null;
  for (const [u, step] of events) {
    count += step;
    most = Math.max(most, count);
    if (step > 0 && count === need) open = u;
    if (step < 0 && count === need - 1 && open !== null) {
      segments.push([open, u]);
      open = null;
    }
  }
  return { segments, most };
}

const overlaps = (a, b) => a[0] <= b[1] && b[0] <= a[1];

// Segments of lines in order, joined into pieces where neighbours overlap.
function piecesOf(lines) {
  const pieces = [];
  let last = [];
  lines.forEach(({ at, segments }, index) => {
    last = segments.map((span) => {
      const node = { at, span, index };
      const touched = [...new Set(last.filter((n) => overlaps(n.span, span)).map((n) => n.piece))];
      const piece = touched[0] || [];
      if (!touched.length) pieces.push(piece);
      for (const other of touched.slice(1)) {
        for (const n of other) n.piece = piece;
        piece.push(...other);
        pieces.splice(pieces.indexOf(other), 1);
      }
      node.piece = piece;
      piece.push(node);
      return node;
    });
  });
  return pieces;
}

function nearestPiece(pieces, along, across, step) {
  const off = (node) => {
    const beside = Math.max(node.span[0] - along, along - node.span[1], 0);
    return Math.hypot(beside, node.at - across) / step;
  };
  const miss = (piece) => Math.min(...piece.map(off));
  return pieces.reduce((a, b) => (miss(b) < miss(a) ? b : a));
}

// Lines at even places of [lo, hi], their segments and the most that overlap.
function sweep(draws, region, axis, lo, hi, count, need) {
  return Array.from({ length: count }, (_, k) => {
    const at = lo + ((hi - lo) * (k + 0.5)) / count;
    return { at, ...overlap(draws, region, axis, at, need) };
  });
}

// The farthest end of a piece along `axis`, closed in on from its farthest line.
function endOf(draws, region, axis, side, piece, step, need, fine) {
  const sign = side ? 1 : -1;
  let best = piece.reduce((a, b) => (sign * (b.span[side] - a.span[side]) > 0 ? b : a));
  for (let round = 0; round < 12; round++) {
    const before = best.span[side], at = best.at;
    for (const line of sweep(draws, region, axis, at - 1.5 * step, at + 1.5 * step, ZOOM, need)) {
      for (const span of line.segments) {
        const isJoined = overlaps(span, best.span) || overlaps(span, [before - fine, before + fine]);
        if (isJoined && sign * (span[side] - best.span[side]) > 0) best = { at: line.at, span };
      }
    }
    step *= 3 / ZOOM;
    if (Math.abs(best.span[side] - before) < 0.1 * fine && (step < fine || round > 3)) break;
  }
  return best.span[side];
}

// Lines of one direction: swept, and where none reaches `need`, swept closer about the
// best of them.
function linesOf(draws, region, axis, bounds, need) {
  let [lo, hi] = bounds, lines = sweep(draws, region, axis, lo, hi, SWEEP, need);
  for (let round = 0; round < 3 && !lines.some((l) => l.segments.length); round++) {
    const best = lines.reduce((a, b) => (b.most > a.most ? b : a)), step = (hi - lo) / lines.length;
    [lo, hi] = [best.at - 1.5 * step, best.at + 1.5 * step];
    const closer = sweep(draws, region, axis, lo, hi, 33, need);
    if (Math.max(...closer.map((l) => l.most)) < best.most) break;
    lines = closer;
  }
  return { lines, step: (hi - lo) / lines.length };
}

// Extents, the outline of all pieces, and the most that any setting reaches. `scale`: ln units a unit of u.
function robustPlateau(draws, region, best, probability, scale) {
  const need = Math.ceil(probability * draws.length - 1e-9), total = draws.length;
  const result = { probability, most: 0, edges: null, pieces: 0, outline: [] };
  const fine = scale.map((unit) => (FINE * Math.LN2) / unit);
  const span = (axis) => [Math.min(...draws.map((d) => d.edges[axis][0].at)), Math.max(...draws.map((d) => d.edges[axis][1].at))];
  const { box } = region, isHeld = [box.xlo === box.xhi, box.ylo === box.yhi];
  if (!draws[0].f.twoD || isHeld.some(Boolean)) {
    // One setting alone is free, the other held, or not fitted.
    const axis = draws[0].f.twoD && isHeld[0] ? 1 : 0, at = draws[0].f.twoD ? best[1 - axis] : 0;
    const { segments, most } = overlap(draws, region, axis, at, need);
    result.most = most / total;
    if (!segments.length) return result;
    const near = nearestPiece(segments.map((s) => [{ at: 0, span: s }]), best[axis], 0, 1)[0];
    return { ...result, pieces: segments.length, edges: axis ? [null, near.span] : [near.span, ...(draws[0].f.twoD ? [null] : [])] };
  }
  let band = null, widest = 0;
  const edges = [0, 1].map((axis) => {
    const { lines, step } = linesOf(draws, region, axis, span(1 - axis), need);
    result.most = Math.max(result.most, ...lines.map((l) => l.most / total));
    const pieces = piecesOf(lines);
    if (!pieces.length) return null;
    const piece = nearestPiece(pieces, best[axis], best[1 - axis], step);
    if (axis === 0) {
      result.pieces = pieces.length;
      widest = step;
      band = pieces.filter((other) => other !== piece).flat().map((node) => node.at);
    }
    return [0, 1].map((side) => {
      const end = endOf(draws, region, axis, side, piece, step, need, Math.min(...fine));
      return isRobust(draws, region, best, need) ? (side ? Math.max : Math.min)(end, best[axis]) : end;
    });
  });
  if (edges[0] && edges[1]) {
    result.edges = edges;
    const lo = Math.min(edges[1][0], ...band.map((at) => at - widest / 2)), hi = Math.max(edges[1][1], ...band.map((at) => at + widest / 2));
    result.outline = loopsOf(sweep(draws, region, 0, lo, hi, SWEEP, need), (hi - lo) / SWEEP);
  }
  return result;
}

function isRobust(draws, region, [x, y], need) {
  if (!isWithin(region.cut, x, y)) return false;
  return draws.filter((d) => valueAt(d.f, x, y) <= d.level).length >= need;
}
