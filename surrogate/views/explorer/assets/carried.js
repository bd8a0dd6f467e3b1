// An optimum carried by published exponents to sizes that the runs tell nothing of: the
// rules of surrogate/answers/limits/transfer.py and carry.py.

// The sizes nearest to a question's that the runs tell of.
function nearestFitted(model, question) {
  const sizes = { ...sizesOf(question) };
  for (const [name, { low, high, room }] of Object.entries(model.few_levels)) {
    if (!(sizes[name] >= room[0] && sizes[name] <= room[1])) sizes[name] = clamp(sizes[name], low, high);
  }
  for (const name of model.held_sizes) {
    if (!(name in sizes)) continue;
    const { slopes, low, high } = model.lines[name], centre = centreOf(model, name, sizes), off = Math.log(sizes[name]) - centre;
    if (off >= low && off <= high) continue;
    sizes[name] = slopes.length ? Math.exp(centre + clamp(off, low, high)) : model.fitted[name][off < low ? 0 : 1];
  }
  return sizes;
}

// A law's lr and batch [tokens], up to factors of its own; null where it gives none.
function lawAt(law, sizes) {
  const active = ["active", "active_params", "Na"].find((name) => name in sizes);
  if (law.needs_active && !active) return null;
  const n = law.counts === "active" && active ? sizes[active] : sizes.params, d = sizes.tokens;
  if (law.limit !== null && n >= law.limit) return null;
  const of = (part) => (part === null ? null : part.slope === undefined ? n ** part.params * d ** part.tokens : part.constant + part.slope * Math.log(n));
  return { lr: of(law.lr), batch: of(law.batch) };
}

// What each law makes of the optimum at the nearest sizes with an answer; null where
// there is none, or where a size differs that no law knows.
function carriedOf(model, question) {
  const start = nearestFitted(model, question), asked = sizesOf(question);
  const known = ["params", "tokens", "active", "active_params", "Na"];
  if (Object.keys(asked).some((name) => start[name] !== asked[name] && !known.includes(name))) return null;
  const { params, tokens, ...scales } = start, near = { ...question, params, tokens, scales, lr: NaN, batch: NaN };
  if (refusedSizes(model, near) || isAny(model.untold)) return null;
  const own = answerOf(model, near);
  if (own.refused || ["no_optimum", "not_converged"].includes(own.status)) return null;
  const { lr, batch } = own.best;
  if (!(lr > 0 && batch > 0)) return null;
  const ways = model.carriers.map((law) => {
    const [here, there] = [lawAt(law, start), lawAt(law, asked)];
    return here && there && { law: law.name, lr: lr * there.lr / here.lr, batch: here.batch === null ? null : batch * there.batch / here.batch };
  }).filter(Boolean);
  const first = ways.find((way) => way.law === model.offered);
  const rates = ways.map((way) => way.lr);
  return { ...first, lrRange: [Math.min(...rates), Math.max(...rates)], count: ways.length, start: { params, tokens, lr, batch } };
}

// What published laws would answer, and that it is not these runs'.
function offerText(found) {
  const { start } = found;
  return `Published laws carry the optimum there from ${formatCount(start.params)} parameters and ${formatCount(start.tokens)} tokens (lr ${formatLr(start.lr)}, batch ${formatTokens(start.batch)} tokens): ` +
    `${found.law} to lr ${formatLr(found.lr)}, batch ${formatTokens(found.batch)} tokens; ${found.count} laws to lr ${formatLr(found.lrRange[0])} to ${formatLr(found.lrRange[1])}. ` +
    `Those are others' exponents and not these runs': \`surrogate optimum\` takes them with --transfer ${found.law}.`;
}

// The command that takes it.
const offerCommand = (model, answer) => `${commandOf(model, answer.question, "optimum")} --transfer ${answer.carried.law}`;
