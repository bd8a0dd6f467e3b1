// All that is computed for one state of the page: at once what is quick, by the fit
// alone, and at rest what needs every draw (in a worker where there is one).

// What the answer depends on; a choice of one's own does not change it.
const baseKey = (state) => JSON.stringify([state.params, state.tokens, state.scales, state.recipe, state.tol, state.seq, state.keep]);

// Decisions of the answer, and where a setting is kept of the answer then.
function decisionsOf(model, state, drawnFor) {
  const base = baseOf(model, state), multiple = state.seq || null, about = { probability: model.probability, multiple };
  const decision = decisionOf(model, base, drawnFor(base), about);
  if (!state.keep || base.refused || !Number.isFinite(base.found.v)) return { base, decision, kept: null };
  const { name, value } = state.keep, own = baseOf(model, state, { [name]: value });
  if (own.refused || own.sides[name]) return { base, decision, kept: null };
  const found = decisionOf(model, own, drawnFor(own), { ...about, of: "suggestion" });
  const regret = Math.max(Math.expm1(own.found.v - base.found.v), 0);
  return { base, decision, kept: { base: own, decision: found, regret, share: decision.prices ? decision.prices.share(regret) : null } };
}

// {key, base, decision, kept, answer, cost, sure, isRough}: `last` is what was told before.
function toldOf(model, state, last) {
  const key = baseKey(state), isSame = last && last.key === key && last.state.view === state.view;
  const solved = isSame ? last : decisionsOf(model, state, () => null);
  const answer = withChoice(model, solved.base, state), choice = answer.choice && !answer.choice.refused ? answer.choice : null;
  return {
    key, state, base: solved.base, decision: solved.decision, kept: solved.kept, answer, isRough: isSame ? last.isRough : model.draws.length > 0,
    robust: isSame ? last.robust : null, fan: isSame ? last.fan : null, cost: choice ? choicePrice(model, answer, null, solved.decision.prices) : null, sure: null,
  };
}

// What needs all draws, as plain data; `cache` keeps the draws of the last question.
function refinedOf(model, state, cache) {
  const key = baseKey(state);
  if (cache.key !== key) {
    const drawn = new Map();
    const drawnFor = (base) => {
      if (base.refused || !model.draws.length || !Number.isFinite(base.found.v)) return null;
      if (!drawn.has(base)) drawn.set(base, drawnOf(model, base, state.tol));
      return drawn.get(base);
    };
    Object.assign(cache, { key, ...decisionsOf(model, state, drawnFor) });
    cache.drawn = drawnFor(cache.base);
    const sure = cache.drawn ? fromDraws(model, cache.base, model.probability, cache.drawn) : null;
    cache.robust = sure && sure.robust;
  }
  const answer = withChoice(model, cache.base, state), choice = answer.choice && !answer.choice.refused ? answer.choice : null;
  const drawn = choice && cache.drawn ? choiceDrawn(model, answer, cache.drawn) : null;
  const plainOf = (decision) => ({ ...decision, boxes: null, prices: null });
  return {
    key, robust: cache.robust, fan: cache.drawn && model.shape.choices > 1 ? fanOf(cache.drawn) : null, decision: plainOf(cache.decision), kept: cache.kept && plainOf(cache.kept.decision),
    lr: state.lr, batch: state.batch, regret: drawn ? choiceSure(model, answer, drawn) : null,
    cost: choice ? choicePrice(model, answer, drawn) : null,
    alone: choice && !choice.isInside ? Object.fromEntries(CHOICES.map((name) => [name, aloneOf(model, answer, name)])) : null,
  };
}

// What was told, with what all draws add; as it was where they answer another question.
function withRefined(told, more) {
  if (!more || more.key !== told.key) return told;
  const decision = { ...more.decision, prices: told.decision.prices, boxes: told.decision.boxes };
  const isOwn = more.lr === told.state.lr && more.batch === told.state.batch;
  return {
    ...told, decision, kept: told.kept && more.kept ? { ...told.kept, decision: { ...more.kept, prices: told.kept.decision.prices } } : told.kept,
    robust: more.robust, fan: more.fan, isRough: false, cost: isOwn ? more.cost : told.cost, alone: isOwn ? more.alone : null,
    sure: { robust: more.robust, regret: isOwn ? more.regret : null },
  };
}
