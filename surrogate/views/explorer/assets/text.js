// Answers as text, and as the command that gives them.

// For a POSIX shell: as it is where that is safe, else quoted; control characters only
// ever as escapes.
function quoted(text) {
  if (/^[A-Za-z0-9_./:=@%+,-]+$/.test(text)) return text;
  if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)) return `'${text.replace(/'/g, "'\\''")}'`;
  const escaped = Array.from(text, (c) => {
    if (c === "\\" || c === "'") return `\\${c}`;
    if (!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(c)) return c;
    return `\\U${c.codePointAt(0).toString(16).padStart(8, "0")}`;
  });
  return `$'${escaped.join("")}'`;
}

function commandOf(model, question, verb) {
  const words = ["surrogate", verb, quoted(model.name), "--params", String(question.params), "--tokens", String(question.tokens)];
  if (verb === "regret") words.push("--lr", String(question.lr), "--batch", String(question.batch));
  if (verb === "optimum" && question.keep) words.push(`--${question.keep.name}`, String(question.keep.value));
  if (verb !== "optimum") words.push("--tol", exactPercent(question.tol));
  if (model.recipes.length > 1) words.push(`--recipe=${quoted(question.recipe)}`);
  for (const name of model.scale_names) words.push("--scale", quoted(`${name}=${question.scales[name]}`));
  return words.join(" ");
}

// A batch in binary units and as sequences of the length asked.
const batchText = (tokens) => (Number.isFinite(tokens) ? `${shortBatch(tokens)} tokens` : "unknown");
const shortBatch = (tokens) => (/^\d+$/.test(typedTokens(tokens)) ? formatBinary(tokens) : typedTokens(tokens));

const settingText = (name, value) => (name === "lr" ? typedLr(value, 3) : batchText(value));

function rangeText(name, pair, question) {
  if (!pair) return "unknown";
  if (pair[0] === null || pair[1] === null) return pair[0] === null ? `below ${settingText(name, pair[1], question)}` : `above ${settingText(name, pair[0], question)}`;
  return `${settingText(name, pair[0], question)} to ${settingText(name, pair[1], question)}`;
}

const extentText = (name, pair, question) => rangeText(name, pair, question) + (pair.includes(null) ? "" : ` (${trimmed(Math.log2(pair[1] / pair[0]))} octaves)`);
const NAMES = { lr: "learning rate", batch: "batch" };

// What an interval is called: those over runs are the weaker kind, and named so.
function intervalText(model) {
  const percent = `${Math.round(100 * model.level_of_intervals)}% interval`;
  return model.interval_unit === "runs" ? `${percent} over runs` : percent;
}

// The answer as rows of [what, value], the number to use first; none where there is none.
function answerRows(model, answer, sure) {
  const { question } = answer, percent = intervalText(model), rows = [];
  if (answer.refused) return [...offerRows(model, answer), ["status", answer.status]];
  for (const name of toldChoices(model)) {
    const side = answer.sides[name], what = name === "lr" ? "best learning rate" : "best batch";
    rows.push([side ? `${what} tried` : what, settingText(name, answer.best[name], question)]);
    if (side) rows.push(["the best lies", rangeText(name, answer.interval[name] || answer.plateau[name], question)]);
    else if (answer.interval[name]) rows.push([percent, rangeText(name, answer.interval[name], question)]);
  }
  for (const name of Object.keys(answer.held)) rows.push([`${NAMES[name]} held at`, settingText(name, answer.held[name], question)]);
  if (answer.hasBest) rows.push(["loss there", `${formatLoss(answer.loss)} ${unitOf(model)}` + (answer.interval.loss ? ` (${percent} ${answer.interval.loss.map(formatLoss).join(" to ")})` : "")]);
  for (const name of toldChoices(model)) rows.push([`${NAMES[name]} within ${formatPercent(question.tol)}`, extentText(name, answer.plateau[name], question)]);
  if (model.draws.length) rows.push(...robustRows(model, answer, sure));
  rows.push(["divergence", riskText(model, answer.risk, answer.unstable)]);
  rows.push(...choiceRows(model, answer, sure));
  rows.push(["fitted range", `${answer.outside || "inside"} (distance ${answer.distance.toFixed(2)}, edge 1)`]);
  rows.push(["status", answer.status]);
  return rows;
}

// None where the plateau is open: there is no robust one.
function robustRows(model, answer, sure) {
  const share = `${Math.round(100 * model.probability)}% of draws`, { question } = answer, told = toldChoices(model);
  if (hasSides(answer)) return [];
  if (!sure) return told.map((name) => [`${NAMES[name]} in ${share}`, "computing…"]);
  const { robust } = sure;
  if (!robust.natural) return [[`robust in ${share}`, `nowhere: at most ${Math.round(100 * robust.most)}% of draws agree`]];
  return told.map((name) => [`${NAMES[name]} in ${share}`, extentText(name, robust.natural[model.choices.indexOf(name)], question)]);
}

// What a published law carries where the runs tell nothing, labelled as such.
function offerRows(model, answer) {
  const { carried } = answer;
  if (!carried) return [];
  return [
    ["published offer", `lr ${formatLr(carried.lr)}, batch ${formatTokens(carried.batch)} tokens: ${carried.law}'s exponents, not these runs'`],
    [`lr, ${carried.count} laws`, `${formatLr(carried.lrRange[0])} to ${formatLr(carried.lrRange[1])}`],
    ["to take it", offerCommand(model, answer)],
  ];
}

function riskText(model, risk, unstable) {
  if (!risk) return `edge unknown: too few diverged runs${unstable ? `; the lowest lr that went unstable near by is ${formatLr(unstable.lr)} (batch ${formatTokens(unstable.batch)} tokens, ${formatCount(unstable.params)} parameters)` : ""}`;
  if (risk.octaves === null) return `probability ${risk.probability.toFixed(3)}`;
  const side = risk.octaves >= 0 ? `${trimmed(risk.octaves)} octaves of lr below` : `${trimmed(-risk.octaves)} octaves of lr beyond`;
  return `probability ${risk.probability.toFixed(3)}, ${side} the ${formatPercent(model.p_max)} edge`;
}

function choiceRows(model, answer, sure) {
  const { choice, question } = answer;
  if (!choice) return [];
  if (choice.refused) return [["your choice", `lr ${typedLr(choice.lr, 3)}, batch ${batchText(choice.batch)}`], ["it loses", "unknown"]];
  const more = sure && sure.regret;
  const isPending = model.draws.length && !sure;
  const upper = isPending ? ", computing…" : more && more.upper !== null ? `, at most ${twoDigits(more.upper)} (${Math.round(100 * model.level_of_intervals)}%)` : "";
  const chance = isPending ? "; computing…" : more && more.probability !== null ? `; in ${Math.round(100 * more.probability)}% of draws it is inside` : "";
  return [
    ["your choice", `lr ${typedLr(choice.lr, 3)}, batch ${batchText(choice.batch)}`],
    ["it loses", `${twoDigits(choice.regret)} of the loss${upper}`],
    ["it is", `${choice.isInside ? "inside" : choice.isInside === null ? "near the best tried, better may lie beyond: not known to be inside" : "outside"} the plateau${chance}`],
  ];
}

function sizesText(model, question) {
  const scales = model.scale_names.map((name) => `, ${plain(name)} ${formatCount(question.scales[name])}`).join("");
  const recipe = model.recipes.length > 1 ? `, recipe ${plain(question.recipe)}` : "";
  return `${formatCount(question.params)} parameters, ${formatCount(question.tokens)} tokens${scales}${recipe}`;
}

function answerText(model, answer, sure) {
  const rows = answerRows(model, answer, sure), width = Math.max(...rows.map(([what]) => what.length));
  return [
    `For ${sizesText(model, answer.question)}`,
    ...rows.map(([what, value]) => `${what.padEnd(width)}  ${value}`),
    ...edgeRows(model, answer),
    ...cautionsOf(model, answer, sure).map((text) => `caution: ${text}`),
    `fit: ${plain(model.name)}, ${model.family.kind}, loss ${model.loss_kind}, ${unitOf(model)}`,
  ].join("\n");
}

// Intervals of the plateau's edges.
function edgeRows(model, answer) {
  if (answer.refused) return [];
  return model.choices.flatMap((name) => ["low", "high"].map((word, side) => {
    const ends = answer.edgeIntervals[name][side];
    return ends ? `${NAMES[name]} ${word} edge, ${intervalText(model)}: ${rangeText(name, ends, answer.question)}` : null;
  })).filter(Boolean);
}

// What to know before using the answer.
function cautionsOf(model, answer, sure = null) {
  const { question, choice = null } = answer, found = [], ratio = question.tokens / question.params;
  if (answer.refused) return [answer.refused, ...(answer.carried ? [offerText(answer.carried)] : [])];
  found.push(...untoldReasons(model));
  for (const [name, side] of Object.entries(answer.sides)) found.push(sayOf(name, side));
  found.push(...toldChoices(model).filter((name) => !answer.sides[name]).map((name) => openText(model, question, name, answer.best[name], answer.interval[name])).filter(Boolean));
  for (const name of CHOICES.filter((key) => !model.choices.includes(key))) found.push(missingText(model, name, answer.held[name], question));
  if (choice && choice.refused) found.push(choice.refused);
  if (!(ratio >= 0.1 && ratio <= 1e5)) found.push(`Tokens / parameters is ${trimmed(ratio)}: check the units of both.`);
  if (answer.outside) found.push(answer.outside);
  if (answer.region.isBeyond) found.push(`Everywhere in the box training diverges with more than ${formatPercent(model.p_max)} probability by the fitted runs: the edge was left out.`);
  if (answer.found.isCut) found.push("The lowest loss within the stability edge lies on it: beyond, the surface is lower still, but training is likely to diverge.");
  if (answer.found.atBound.some(Boolean)) found.push("The lowest loss lies on the edge of the box that was searched: the optimum may lie beyond it.");
  if (answer.openEdges.length && !hasSides(answer)) found.push(`The plateau runs into the edge of the box (${answer.openEdges.join(", ").replace(/_/g, " ")}): it may go on beyond what the runs show.`);
  if (!model.is_converged) found.push("The fit had not converged: fit again with another seed.");
  const safe = sure && sure.robust && sure.robust.natural;
  found.push(...unstableCautions(model, answer, safe ? { lr: safe[model.choices.indexOf("lr")] } : null));
  found.push(...model.interval_warnings);
  if (!model.leaves.length && !model.interval_warnings.length) found.push("No intervals: there was no room for the refits in this page.");
  if (choice && choice.risk && choice.risk.probability > model.p_max) found.push(`At your choice training diverges with probability ${choice.risk.probability.toPrecision(2)}: its loss holds only for runs that finish.`);
  if (choice && choice.distance > 1 && !answer.outside) found.push("Your choice lies outside what was fitted.");
  if (choice && choice.batch < model.fitted.batch[0] / 16) found.push("Your batch is under 1/16 of the smallest fitted one: were sequences meant?");
  return found;
}

// Of a setting that the fit does not see.
function missingText(model, name, held, question) {
  if (name in model.only) return `All fitted runs have ${name === "lr" ? "lr" : "a batch of"} ${settingText(name, held, question)}: the answer is at that ${name}, and nothing tells whether another is better.`;
  return `In the fitted runs ${NAMES[name]} does not vary inside any cell, so no optimum over it can be told: the answer holds at ${settingText(name, held, question)}.`;
}
