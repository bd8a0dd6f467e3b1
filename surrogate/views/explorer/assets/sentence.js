// The answer as one sentence, in clauses of text and brackets: {key} is a bracket that a
// person moves, {strong} what to use. The same words are read aloud and copied.

const spanText = ([low, high], form) => (low === null ? (high === null ? "any" : `up to ${form(high)}`) : high === null ? `${form(low)} or more` : low === high ? form(low) : `${form(low)} to ${form(high)}`);

// What a bracket shows.
function shownIn(model, state, key) {
  if (key === "keep") return state.keep.name === "lr" ? typedLr(state.keep.value, 6) : typedBatchExact(state.keep.value);
  const value = key === "seq" ? lengthOf(model, state) : valueIn(state, key);
  if (value === null || (key === "gpus" && !value)) return "";
  if (key === "lr") return typedLr(value, 6);
  if (key === "batch") return typedBatchExact(value);
  if (key === "tol") return `${general(100 * value, 12)} %`;
  if (key === "mfu") return `${general(100 * value, 6)} %`;
  if (key === "seq" || key === "gpus") return formatTokens(value);
  return exactCount(value);
}

// Shown so that it reads back as the same number, or as its sizes are said.
const exactCount = (value) => (parseNumber(formatCount(value)) === value ? formatCount(value) : Number.isInteger(value) && value >= 1e4 && value < 2 ** 53 ? formatCount(value) : String(value));
const typedBatchExact = (value) => (/^\d+$/.test(typedTokens(value)) ? formatTokens(value) : typedTokens(value));

function clausesOf(model, state, told) {
  const asked = ["For a ", { key: "params" }, " model"];
  model.scale_names.forEach((name, i) => asked.push(i ? " and " : " with ", `${plain(name, 24)} `, { key: `scale:${name}` }));
  asked.push(" on ", { key: "tokens" }, " tokens ");
  if (model.recipes.length > 1) asked.push("by ", { key: "recipe" }, " ");
  const { answer, decision } = told, use = told.kept ? keptClause(model, state, told) : useClause(model, state, told);
  if (answer.refused || !decision.suggestion) return { asked, use, good: [], own: [], trust: [] };
  return { asked, use, good: goodClause(model, state, told), own: ownClause(model, state, told), trust: trustClause(model, told) };
}

// Words of what is suggested: lr, batch as sequences of a length, steps.
function settingWords(model, state, use, sides) {
  const words = ["lr ", { strong: typedLr(use.lr, 3) }], length = lengthOf(model, state);
  const side = (name) => (sides[name] ? ` (the ${sides[name].side === "above" ? "highest" : "lowest"} tried: the best lies ${sides[name].side === "above" ? "above" : "below"})` : "");
  words.push(side("lr"));
  if (!Number.isFinite(use.batch)) return words;
  const count = use.batch / length;
  words.push(", batch ", { strong: typedBatchExact(use.batch) }, side("batch"), ` = ${Number.isInteger(count) ? formatTokens(count) : count >= 1 ? count.toFixed(1) : trimmed(count)} × `, { key: "seq" }, ` tokens, ${formatCount(use.steps)} steps.`);
  return words;
}

function useClause(model, state, { answer, decision }) {
  if (answer.refused) return ["there is no answer. ", answer.refused];
  const missing = CHOICES.filter((name) => name in model.untold && !model.untold[name]).map((name) => (name === "lr" ? "lr" : "batch"));
  if (missing.length) return [`the runs tell no best ${missing.join(" and ")}.`, ...heldWords(model, answer)];
  if (!decision.suggestion) return [...untoldReasons(model).map((text) => `${text} `), decision.price.reason && !untoldReasons(model).length ? `nothing is suggested: ${decision.price.reason}.` : "", ...heldWords(model, answer)];
  return ["use ", ...settingWords(model, state, decision.suggestion, answer.sides)];
}

const heldWords = (model, answer) => toldChoices(model).map((name) => ` What they tell: ${name === "lr" ? "lr" : "batch"} ${settingText(name, answer.best[name])}${Object.entries(answer.held).map(([key, value]) => ` at ${key} ${settingText(key, value)}`).join("")}.`);

function keptClause(model, state, { kept, decision }) {
  const { name } = state.keep, use = kept.decision.suggestion, other = name === "lr" ? "batch" : "lr";
  if (!use) return ["nothing is suggested at that ", name, " ", { key: "keep" }, "."];
  const best = decision.suggestion, costs = kept.share === null ? "" : `, ${twoDigits(kept.share)} of the tokens`;
  const free = best ? `; free, the best ${name} would be ${name === "lr" ? typedLr(best.lr) : typedBatchExact(best.batch)}` : "";
  const words = name === "lr" ? ["use batch ", { strong: typedBatchExact(use.batch) }, " at your lr ", { key: "keep" }] : ["use lr ", { strong: typedLr(use.lr, 3) }, " at your batch ", { key: "keep" }, ` = ${trimmed(use.batch / lengthOf(model, state))} × `, { key: "seq" }];
  return [...words, `, ${formatCount(use.steps)} steps. Keeping that ${name} costs ${twoDigits(kept.regret)} of the loss${costs}${free}.`, other ? "" : ""];
}

function goodClause(model, state, { decision, isRough }) {
  const box = decision.robust || decision.inner, { price } = decision;
  if (!box) return ["Nothing else is sure to be within ", { key: "tol" }, "."];
  const lr = `any lr ${spanText(box.lr, typedLr)}`, worth = price.share === null || price.of !== "tolerance" ? "" : `, what ${twoDigits(price.share)} fewer tokens would cost`;
  const batch = box.batch[0] === null && box.batch[1] === null ? "" : box.batch[0] === box.batch[1] ? ` at batch ${shortBatch(box.batch[0])}` : ` with any batch ${spanText(box.batch, shortBatch)}`;
  const how = decision.robust ? ` in ${Math.round(100 * model.probability)} % of refits` : isRough ? "" : model.draws.length ? " by the fit alone" : "";
  return ["As good: ", lr, batch, ", within ", { key: "tol" }, ` of the best loss${how}${worth}.`];
}

function ownClause(model, state, { answer, cost, sure }) {
  const { choice } = answer, own = ["Yours: lr ", { key: "lr" }, " at batch ", { key: "batch" }];
  if (!choice) return own;
  if (choice.refused) return [...own, `: ${choice.refused}`];
  const more = sure && sure.regret, isOff = choice.risk && choice.risk.probability > model.p_max;
  const most = more && more.upper !== null ? ` (at most ${twoDigits(more.upper)})` : "";
  const tokens = !cost || cost.share === null ? (cost && cost.reason ? `; in tokens not known: ${cost.reason}` : "")
    : `: ${twoDigits(cost.share)} of the tokens${cost.upper === null ? "" : ` (at most ${twoDigits(cost.upper)})`}${cost.tokens > 0 ? `, ${formatCount(cost.tokens)}` : ""}`;
  return [...own, " loses ", { strong: twoDigits(choice.regret) }, ` of the loss${most}${tokens}${choice.isInside ? `, within the ${twoDigits(state.tol)}` : ""}.${isOff ? ` It diverges with probability ${choice.risk.probability.toPrecision(2)}.` : ""}`];
}

function trustClause(model, { decision, kept }) {
  const { level, reasons } = (kept ? kept.decision : decision).trust;
  return [{ trust: level, text: TRUST_WORDS[level] }, reasons.length ? `: ${reasons.join("; ")}.` : "."];
}

const CLAUSES = ["asked", "use", "good", "own", "trust"];

// The sentence in words alone.
function sentenceText(model, state, told) {
  const clauses = clausesOf(model, state, told), words = (part) => (typeof part === "string" ? part : part.strong ?? part.text ?? (part.key === "recipe" ? plain(state.recipe, 40) : shownIn(model, state, part.key)));
  return CLAUSES.filter((name) => name !== "own" || told.answer.choice).map((name) => clauses[name].map(words).join("").trim()).filter(Boolean).join(" ");
}
