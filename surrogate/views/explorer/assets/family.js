// Families: ln loss of one theta at one s, as a surface over u = (x, y).
//
// A surface is a quadratic and groups of exponentials of affine functions of u:
//   f(u) = c + b.u + u'A u / 2 + sum_g w_g sum_k exp(c_k + e_k.u)        kind "sum"
//                              + sum_g w_g ln sum_k exp(c_k + e_k.u)     kind "log"
// Every family of the library has this form once theta and s are given, so one value,
// one gradient and one Hessian serve all.

// Numbers from base64: little-endian float32, or the six leading bytes of float64.
function decode(text, isShort) {
  const raw = atob(text), size = isShort ? 6 : 4, one = new DataView(new ArrayBuffer(8));
  return Float64Array.from({ length: raw.length / size }, (_, i) => {
    for (let k = 0; k < size; k++) one.setUint8(k + (isShort ? 2 : 0), raw.charCodeAt(size * i + k));
    return isShort ? one.getFloat64(0, true) : one.getFloat32(0, true);
  });
}

// Rows of p numbers.
function rowsOf(values, p) {
  const rows = [];
  for (let i = 0; i + p <= values.length; i += p) rows.push(values.subarray(i, i + p));
  return rows;
}

function logSumExp(values) {
  const top = Math.max(...values);
  if (!Number.isFinite(top)) return top;
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

// The surface of `theta` at s. `shape` has choices, scales and offsets.
function surfaceOf(family, shape, theta, s) {
  const surface = { c: 0, bx: 0, by: 0, axx: 0, axy: 0, ayy: 0, groups: [], twoD: shape.choices === 2 };
  if (family.kind !== "mix") {
    addMember(surface, family, shape, theta, s, 1);
    return surface;
  }
  let begin = family.members.length;
  family.members.forEach((member, m) => {
    const part = theta.subarray(begin, begin + member.size);
    begin += member.size;
    if (theta[m] !== 0) addMember(surface, member, shape, part, s, theta[m]);
  });
  return surface;
}

function addMember(surface, member, shape, theta, s, weight) {
  const add = { quadratic: addQuadratic, additive: addQuadratic, posynomial: addPosynomial, bowl: addBowl };
  add[member.kind](surface, member, shape, theta, s, weight);
}

// theta: 1, each coordinate, products, each coordinate times each recipe, recipes.
function addQuadratic(surface, member, shape, theta, s, weight) {
  const { choices, scales, offsets } = shape;
  const inner = choices + scales;
  const known = (i) => s[i - choices];
  const slope = [0, 0];
  let at = 0;
  let constant = theta[at++];
  for (let i = 0; i < inner; i++, at++) {
    if (i < choices) slope[i] += theta[at];
    else constant += theta[at] * known(i);
  }
  for (let i = 0; i < inner; i++) {
    if (member.kind === "additive" && i >= choices) break;
    for (let j = i; j < inner; j++, at++) {
      if (i >= choices) constant += theta[at] * known(i) * known(j);
      else if (j >= choices) slope[i] += theta[at] * known(j);
      else if (i !== j) surface.axy += weight * theta[at];
      else if (i === 0) surface.axx += weight * 2 * theta[at];
      else surface.ayy += weight * 2 * theta[at];
    }
  }
  for (let i = 0; i <= inner; i++) {
    for (let r = 0; r < offsets; r++, at++) {
      const step = theta[at] * s[scales + r];
      if (i < choices) slope[i] += step;
      else constant += i < inner ? step * known(i) : step;
    }
  }
  surface.c += weight * constant;
  surface.bx += weight * slope[0];
  surface.by += weight * slope[1];
}

// Affine functions of u at s: c_k, and exponents of x and y.
function affine(member, shape, theta, s) {
  const { term, coordinate, terms } = member.pattern;
  const c = new Float64Array(terms), ex = new Float64Array(terms), ey = new Float64Array(terms);
  for (let k = 0; k < term.length; k++) {
    const t = term[k], i = coordinate[k];
    if (i === 0) c[t] += theta[k];
    else if (i > shape.choices) c[t] += theta[k] * s[i - 1 - shape.choices];
    else if (i === 1) ex[t] += theta[k];
    else ey[t] += theta[k];
  }
  return { c, ex, ey };
}

function recipeOffset(member, shape, theta, s) {
  let sum = 0;
  for (let r = 0; r < shape.offsets; r++) sum += theta[member.size - shape.offsets + r] * s[shape.scales + r];
  return sum;
}

function addPosynomial(surface, member, shape, theta, s, weight) {
  const { c, ex, ey } = affine(member, shape, theta, s);
  const law = 1 + shape.scales; // terms without u, which become one
  const group = { kind: "log", w: weight, c: [logSumExp(c.slice(0, law))], ex: [0], ey: [0] };
  for (let k = law; k < c.length; k++) {
    group.c.push(c[k]);
    group.ex.push(ex[k]);
    group.ey.push(ey[k]);
  }
  surface.c += weight * recipeOffset(member, shape, theta, s);
  surface.groups.push(group);
}

// ln(E + (sum_j A_j S_j^-alpha_j)^gamma) - H + sum_k H l_k exp(a_k.(u - u*)).
function addBowl(surface, member, shape, theta, s, weight) {
  const { c, ex, ey } = affine(member, shape, theta, s);
  const law = c.length - shape.choices - 2;
  let level = c[0];
  if (shape.scales > 0) {
    let power = logSumExp(c.slice(1, 1 + shape.scales));
    if (law > 1 + shape.scales) power *= Math.exp(c[1 + shape.scales]);
    level = logSumExp([c[0], power]);
  }
  surface.c += weight * (level - Math.exp(c[law]) + recipeOffset(member, shape, theta, s));
  const walls = (array) => Array.from(array.slice(law + 1));
  surface.groups.push({ kind: "sum", w: weight, c: walls(c), ex: walls(ex), ey: walls(ey) });
}

// ln loss at (x, y).
function valueAt(f, x, y) {
  let v = f.c + f.bx * x + f.by * y + 0.5 * (f.axx * x * x + 2 * f.axy * x * y + f.ayy * y * y);
  for (const g of f.groups) {
    if (g.kind === "sum") {
      let sum = 0;
      for (let k = 0; k < g.c.length; k++) sum += Math.exp(g.c[k] + g.ex[k] * x + g.ey[k] * y);
      v += g.w * sum;
    } else {
      let top = -Infinity, sum = 0;
      for (let k = 0; k < g.c.length; k++) top = Math.max(top, g.c[k] + g.ex[k] * x + g.ey[k] * y);
      for (let k = 0; k < g.c.length; k++) sum += Math.exp(g.c[k] + g.ex[k] * x + g.ey[k] * y - top);
      v += g.w * (top + Math.log(sum));
    }
  }
  return v;
}

// Value, gradient and Hessian at (x, y).
function localAt(f, x, y) {
  let v = f.c + f.bx * x + f.by * y + 0.5 * (f.axx * x * x + 2 * f.axy * x * y + f.ayy * y * y);
  let gx = f.bx + f.axx * x + f.axy * y, gy = f.by + f.axy * x + f.ayy * y;
  let hxx = f.axx, hxy = f.axy, hyy = f.ayy;
  for (const g of f.groups) {
    const n = g.c.length, isLog = g.kind === "log";
    let top = 0;
    if (isLog) {
      top = -Infinity;
      for (let k = 0; k < n; k++) top = Math.max(top, g.c[k] + g.ex[k] * x + g.ey[k] * y);
    }
    let m = 0, mx = 0, my = 0, mxx = 0, mxy = 0, myy = 0;
    for (let k = 0; k < n; k++) {
      const a = g.ex[k], b = g.ey[k], e = Math.exp(g.c[k] + a * x + b * y - top);
      m += e;
      mx += a * e;
      my += b * e;
      mxx += a * a * e;
      mxy += a * b * e;
      myy += b * b * e;
    }
    if (isLog) {
      v += g.w * (top + Math.log(m));
      mx /= m;
      my /= m;
      mxx = mxx / m - mx * mx;
      mxy = mxy / m - mx * my;
      myy = myy / m - my * my;
    } else {
      v += g.w * m;
    }
    gx += g.w * mx;
    gy += g.w * my;
    hxx += g.w * mxx;
    hxy += g.w * mxy;
    hyy += g.w * myy;
  }
  return { v, gx, gy, hxx, hxy, hyy };
}

// The surface moved by (mx, my).
function moved(f, mx, my) {
  const groups = f.groups.map((g) => ({ ...g, c: g.c.map((c, k) => c - g.ex[k] * mx - g.ey[k] * my) }));
  return {
    ...f, groups,
    c: f.c - f.bx * mx - f.by * my + 0.5 * (f.axx * mx * mx + 2 * f.axy * mx * my + f.ayy * my * my),
    bx: f.bx - f.axx * mx - f.axy * my,
    by: f.by - f.axy * mx - f.ayy * my,
  };
}

// The surface along a line as one over x alone: x is t at origin + t direction.
function onLine(f, x0, y0, dx, dy) {
  const groups = f.groups.map((g) => {
    const n = g.c.length, c = new Float64Array(n), ex = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      c[k] = g.c[k] + g.ex[k] * x0 + g.ey[k] * y0;
      ex[k] = g.ex[k] * dx + g.ey[k] * dy;
    }
    return { kind: g.kind, w: g.w, c, ex, ey: new Float64Array(n) };
  });
  return {
    c: f.c + f.bx * x0 + f.by * y0 + 0.5 * (f.axx * x0 * x0 + 2 * f.axy * x0 * y0 + f.ayy * y0 * y0),
    bx: (f.bx + f.axx * x0 + f.axy * y0) * dx + (f.by + f.axy * x0 + f.ayy * y0) * dy,
    axx: f.axx * dx * dx + 2 * f.axy * dx * dy + f.ayy * dy * dy,
    by: 0, axy: 0, ayy: 0, groups,
  };
}

// [value, slope, curvature] of a surface over x alone.
function lineAt(f, x) {
  let v = f.c + x * (f.bx + 0.5 * f.axx * x), slope = f.bx + f.axx * x, curvature = f.axx;
  for (const g of f.groups) {
    const { c, ex } = g, n = c.length, isLog = g.kind === "log";
    let top = 0, m = 0, mx = 0, mxx = 0;
    if (isLog) {
      top = -Infinity;
      for (let k = 0; k < n; k++) top = Math.max(top, c[k] + ex[k] * x);
    }
    for (let k = 0; k < n; k++) {
      const e = Math.exp(c[k] + ex[k] * x - top);
      m += e;
      mx += ex[k] * e;
      mxx += ex[k] * ex[k] * e;
    }
    v += g.w * (isLog ? top + Math.log(m) : m);
    slope += g.w * (isLog ? mx / m : mx);
    curvature += g.w * (isLog ? mxx / m - (mx / m) ** 2 : mxx);
  }
  return [v, slope, curvature];
}

// The surface along a line: t -> [value, slope, curvature] at origin + t direction.
function alongLine(f, x0, y0, dx, dy) {
  const flat = onLine(f, x0, y0, dx, dy);
  return (t) => lineAt(flat, t);
}
