// What the runs tell at a question: at which sizes there is an answer, of which setting
// one side only, and how that is said. The rules of surrogate/answers/limits/unfitted.py,
// question.py and sides.py, with what depends on the runs alone embedded.

// A number of so many digits as Python's format "g" writes it.
function general(value, digits) {
  if (!(Math.abs(value) > 0 && Number.isFinite(value))) return String(value);
  const [mantissa, power] = value.toExponential(digits - 1).split("e"), exponent = Number(power);
  if (exponent >= -4 && exponent < digits) return String(Number(value.toPrecision(digits)));
  return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

// Whether an object has a key.
const isAny = (object) => Object.keys(object).length > 0;

// Whether the runs tell one side of the best only.
const hasSides = (answer) => isAny(answer.sides);

const sizesOf = (question) => ({ params: question.params, tokens: question.tokens, ...question.scales });
const UNITS = [1e3, 1e6, 1e9, 1e12];

// Why a size was probably typed wrong; "" if not.
function unlikelySize(model, name, value) {
  const [low, high] = model.fitted[name], share = model.small_share;
  if (value >= share * low) return "";
  const off = (size) => Math.max(low / size, size / high, 1);
  const meant = UNITS.map((unit) => value * unit).reduce((a, b) => (off(b) < off(a) ? b : a));
  const times = Number((low / value).toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 0 });
  return `${plain(name)} ${general(value, 6)} is 1/${times} of the smallest fitted (${formatCount(low)})${
    off(meant) <= 1 / share ? `: did you mean ${formatCount(meant)}?` : "."}`;
}

// Whether a size was probably typed wrong.
const isSlip = (model, question) => Object.entries(sizesOf(question)).some(([name, value]) => unlikelySize(model, name, value));

const shownSize = (value) => (value >= 1 ? formatCount(value) : general(value, 4));

// Why what is asked has no answer at these sizes; "" where it has one.
function refusedSizes(model, question) {
  const sizes = sizesOf(question);
  for (const [name, value] of Object.entries(sizes)) {
    const wrong = unlikelySize(model, name, value);
    if (wrong) return wrong;
  }
  for (const name of model.held_sizes) {
    if (!(name in sizes)) continue;
    const { slopes, low, high } = model.lines[name];
    const centre = centreOf(model, name, sizes), rest = Math.log(sizes[name]) - centre;
    if (Math.max(low - rest, rest - high, 0) / model.held_span <= 1) continue;
    const [from, to] = [Math.exp(centre + low), Math.exp(centre + high)];
    const at = to <= 1.001 * from ? shownSize(from) : `${shownSize(from)} to ${shownSize(to)}`;
    const others = model.givens.filter((given) => given in sizes).slice(0, slopes.length).map((given) => plain(given));
    const why = slopes.length ? `moves with ${others.join(" and ")} in the fitted runs` : "does not vary in the fitted runs, or between recipes only";
    return `${plain(name)} ${why}, so they do not tell how the optimum moves with it, and ${shownSize(sizes[name])} cannot be answered. ` +
      `Ask at ${plain(name)} ${at}, or add runs at other ${plain(name)} and fit again.`;
  }
  for (const [name, { number, low, high, room }] of Object.entries(model.few_levels)) {
    if (sizes[name] >= room[0] && sizes[name] <= room[1]) continue;
    const how = number === 2 ? "between them and not beyond" : "up to 10 times beyond them";
    return `${plain(name)} takes ${number} values in the fitted runs (${shownSize(low)} to ${shownSize(high)}), which tell how the optimum moves ${how}, and ` +
      `${shownSize(sizes[name])} cannot be answered. Ask nearer to them, or add runs at other ${plain(name)} and fit again.`;
  }
  return "";
}

// Where a size that is not fitted lies by what it follows [ln].
const centreOf = (model, name, sizes) =>
  model.lines[name].slopes.reduce((sum, slope, i) => sum + slope * Math.log(sizes[model.givens[i]]), 0);

// Why a predicted loss says nothing; "" if it may.
function refusedLoss(model, loss) {
  if (model.most_loss === null || !(loss > model.most_loss)) return "";
  return `The predicted loss is ${general(loss, 3)} nats a token, over ${general(model.most_loss, 6)}, more than a guess at random costs: what is asked lies where the surface says nothing.`;
}

// Choices of which the runs show a best, and why there is no other.
const toldChoices = (model) => model.choices.filter((name) => !(name in model.untold));
const untoldReasons = (model) => Object.values(model.untold).filter(Boolean);

// How far every cell is from a question: Euclidean, in ln of params, tokens and all
// scales; Infinity where it is of another recipe. The rule of surrogate/answers/nearest.py.
function distancesTo(cells, question) {
  const asked = sizesOf(question), names = Object.keys(asked);
  return cells.map((cell) => {
    if (cell.recipe !== question.recipe) return Infinity;
    const sizes = sizesOf(cell);
    return Math.hypot(...names.map((name) => Math.log(sizes[name] / asked[name])));
  });
}

// The nearest; the first of equally near ones, null where none is of that recipe.
function nearestCell(cells, question) {
  const off = distancesTo(cells, question), least = off.reduce((a, b) => Math.min(a, b), Infinity);
  return least < Infinity ? cells[off.findIndex((v) => v <= least + 1e-9)] : null;
}

// Settings that are no answer, as the nearest cell had them.
function heldOf(model, question) {
  const cell = nearestCell(model.cells, question);
  return cell ? Object.fromEntries(Object.keys(cell.held).map((name) => [name, nearestTelling(model, question, name).held[name]])) : {};
}

// The nearest of the cells that tell the other setting; of all where none does.
function nearestTelling(model, question, name) {
  return nearestCell(model.cells.filter((cell) => cell.telling.includes(name)), question) || nearestCell(model.cells, question);
}

// Of the cells that know where a setting was tried, the nearest third.
function nearCells(model, question, name) {
  const off = distancesTo(model.cells, question);
  const known = off.map((_, i) => i).sort((a, b) => off[a] - off[b] || a - b)
    .filter((i) => off[i] < Infinity && name in model.cells[i].around);
  return known.slice(0, Math.ceil(model.near_share * known.length)).map((i) => model.cells[i]);
}

// Lowest and highest value tried over the best [ln], in the cells nearest by.
function triedOf(model, question, name) {
  const ends = nearCells(model, question, name).map((cell) => cell.around[name]);
  if (!ends.length) return [-Infinity, Infinity];
  return [Math.min(...ends.map((e) => e[0])), Math.max(...ends.map((e) => e[1]))];
}

// The settings of which an answer tells one side only: {side, than, at, ...}, `than`
// null where nothing is known. `interval` may be null.
function oneSidedOf(model, question, best, intervals, isCut) {
  const found = {};
  for (const name of toldChoices(model)) {
    const told = model.evidence[name];
    if (!told) continue;
    const isBent = told.is_curved;
    const ends = nearestCell(model.cells, question).ends[name], [low, high] = isBent ? triedOf(model, question, name) : ends;
    const isEdge = isBent && isCut && name === "lr", isCapped = isEdge && ((told.is_high && told.capped > 0) || best.lr > ends[1] * (1 + model.agree));
    const isHigh = isEdge ? isCapped : isBent ? high < -model.agree : told.is_high;
    if (!isHigh && (isEdge || !(isBent ? low > model.agree : told.is_low))) continue;
    const isSure = isHigh ? told.is_high : told.is_low, end = isHigh ? high : low;
    const at = isCapped ? Math.min(ends[1], best.lr) : isBent ? +(best[name] * Math.exp(end)).toPrecision(12) : end;
    let than = isHigh ? told.above : told.below;
    if (isBent) {
      if (!isSure) than = null;
      than = Math[isHigh ? "min" : "max"](than ?? (intervals[name] || [])[isHigh ? 0 : 1] ?? at, at);
    } else if (distanceOf(model, question, {}) > 1) than = null;
    found[name] = { side: isHigh ? "above" : "below", than, at, isSure, count: isHigh ? told.high : told.low, capped: isHigh && told.capped, groups: told.groups, levels: told.levels };
  }
  return found;
}

// An interval whose ends beyond what was tried are not known, and null.
function openedOf(model, question, name, best, interval) {
  if (!interval || !model.evidence[name]) return interval;
  const [low, high] = triedOf(model, question, name), [lower, upper] = interval;
  const ends = [lower >= best * Math.exp(low) * (1 - model.agree) ? lower : null,
    upper <= best * Math.exp(high) * (1 + model.agree) ? upper : null];
  return ends[0] === null && ends[1] === null ? null : ends;
}

// The lowest lr that went unstable in the nearest cell, at its batches in a range and
// nearest to the ends, null where open; null where none did. surrogate/answers/limits/unstable.py.
function unstableNear(model, question, low, high) {
  const cell = nearestCell(model.cells, question);
  if (!cell || !cell.unstable.length) return null;
  const nearest = (end) => cell.batches.reduce((a, b) => (Math.abs(Math.log(b / end)) < Math.abs(Math.log(a / end)) ? b : a));
  const ends = [low, high].filter((end) => end !== null).map(nearest);
  const found = cell.unstable.filter(([batch]) => ends.includes(batch) || (batch >= (low ?? 0) && batch <= (high ?? Infinity)));
  if (!found.length) return null;
  const [batch, lr] = found.reduce((a, b) => (b[1] < a[1] || (b[1] === a[1] && b[0] < a[0]) ? b : a));
  return { lr, batch, params: cell.params, tokens: cell.tokens };
}

const reaches = (lr, found) => found !== null && lr >= found.lr * (1 - 1e-9);

const unstableText = (found) => `lowest lr that went unstable at a batch of ${formatTokens(found.batch)} tokens in the runs of ${formatCount(found.params)} parameters and ${formatCount(found.tokens)} tokens`;

// What is said of an lr, and of a plateau with its robust part, that reach it.
function unstableCautions(model, answer, robust) {
  const { question, best, plateau, choice } = answer, found = [];
  const about = ({ lr, batch }) => {
    const near = unstableNear(model, question, batch, batch);
    if (reaches(lr, near)) found.push(`lr ${formatLr(lr)} is not below ${formatLr(near.lr)}, the ${unstableText(near)}.`);
    return reaches(lr, near);
  };
  if (!about(best) && plateau.lr) {
    const [low, high] = plateau.batch || [best.batch, best.batch], near = unstableNear(model, question, low, high);
    const isBoth = robust && robust.lr && reaches(robust.lr[1], near);
    if (reaches(plateau.lr[1] ?? Infinity, near)) found.push(`${isBoth ? "The plateau and its robust part reach" : "The plateau reaches"} lr ${formatLr(near.lr)}, the ${unstableText(near)}.`);
  }
  if (choice) about(choice);
  return [...new Set(found)];
}

// Why an interval is open where the best lies inside what was tried; null if it is not.
function openText(model, question, name, best, interval) {
  const told = model.evidence[name];
  if (!told || !interval || (interval[0] === null) === (interval[1] === null)) return null;
  const isBelow = interval[0] === null, [low, high] = triedOf(model, question, name), of = isBelow ? told.low : told.high;
  const what = name === "batch" ? "cells" : "groups of runs of one size and batch";
  const count = of ? `, and the ${isBelow ? "lowest" : "highest"} is best in ${of} of ${told.groups} ${what}` : "";
  return `Nothing ${isBelow ? "under" : "over"} ${valueText(name, best * Math.exp(isBelow ? low : high))} was tried${count}: the interval of ${name} is open ${isBelow ? "below" : "above"}.`;
}

const valueText = (name, value) => (name === "lr" ? formatLr(value) : `${formatTokens(value)} tokens`);

// A side in words.
function sayOf(name, side) {
  const isHigh = side.side === "above", at = valueText(name, side.at);
  const than = side.than === null ? `so the best may lie ${side.side} it` : `so the best lies ${side.side} ${valueText(name, side.than)}`;
  if (!side.count) return `The fitted best ${name} lies ${side.side} all that was tried about it: the answer is at the end of that, ${at}, ${than}.`;
  const what = name === "batch" ? "cells" : "groups of runs of one size and batch";
  const step = side.levels === 2 ? " (two values tell a slope and no optimum)" : "";
  const rest = side.capped ? `over ${at} runs diverged${side.capped < side.count ? " or none was tried" : ""}` : `nothing ${isHigh ? "over" : "under"} ${at} was tried`;
  return `The ${isHigh ? `highest${side.capped ? " stable" : ""}` : "lowest"} ${name} is best in ${side.count} of ${side.groups} ${what}${side.isSure ? "" : ", which may be chance"}, ${than}${step}; ${rest}.`;
}

// Why a setting that the fit does not see has no answer at such a value, "" where it has
// (`untried_choice` in surrogate/answers/limits/unfitted.py).
function untriedChoice(model, question, choice) {
  const sizes = sizesOf(question);
  for (const name of CHOICES) {
    const known = (model.untried[name] || {})[question.recipe], value = Math.log(choice[name]), other = name === "lr" ? "batch" : "lr";
    if (!known) continue;
    const { line } = known, rest = line && value - line.slopes.reduce((sum, slope, i) => sum + slope * Math.log(sizes[model.givens[i]]), 0);
    if (line && Math.max(line.low - rest, rest - line.high, 0) / model.held_span <= 1) continue;
    const { levels } = nearestTelling(model, question, name);
    if (Math.min(...levels[name].map((level) => Math.abs(Math.log(level) - value))) <= model.held_span) continue;
    const shown = name === "lr" ? formatLr(choice.lr) : `${formatTokens(Math.round(choice.batch))} tokens`;
    return `The runs that tell the best ${other} have a ${name} of ${known.at}, and nothing tells how the loss and the best ${other} move with ${name}: ${shown} cannot be answered. Ask at the ${name} of those nearest in size, or add runs of several ${other} at yours.`;
  }
  return "";
}
