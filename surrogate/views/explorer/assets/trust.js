// How far to believe an answer: one word for the setting, one for the level of the loss,
// and why, by the rule of surrogate/answers/decision/trust.py.

const NEAR_FACTOR = 3, FAR_FACTOR = 4, FAR_DISTANCE = 2, FAR_FACTOR_LOSS = 2, LR_FACTOR = 2, REGRET_TOLS = 4, LOSS_WIDTH = 0.02, SAID = 1.05, HARDLY = 99;
const TRUST_WORDS = { inside: "Inside the data", near: "Near the edge of the data", far: "Far outside the data", too_uncertain: "Too uncertain to rely on" };
const WHAT_SIZES = { params: ["model", "largest", "smallest"], tokens: ["run", "longest", "shortest"] };

function beyondSaid(model, name, value) {
  const [low, high] = model.fitted[name], [what, most, least] = WHAT_SIZES[name] || [plain(name), "largest", "smallest"];
  if (value > high) return `${formatCount(value)} is ${general(Number((value / high).toPrecision(2)), 6)} times the ${most} ${what} fitted`;
  return `${formatCount(value)} is 1/${general(low / value, 2)} of the ${least} ${what} fitted`;
}

// `told`: distance, lr and loss as intervals or null, upper (of the suggestion's regret)
// or null, tol, untold as sentences.
function judgeTrust(model, question, told) {
  const sizes = sizesOf(question), reasons = [...told.untold], ratios = {};
  for (const [name, value] of Object.entries(sizes)) {
    if (!(name in model.fitted)) continue;
    const [low, high] = model.fitted[name];
    ratios[name] = Math.max(value / high, low / value, 1);
    if (ratios[name] >= SAID) reasons.push(beyondSaid(model, name, value));
  }
  const most = Math.max(1, ...Object.values(ratios)), near = cellsNear(model, question), isAlone = near < model.near.least;
  if (isAlone && most <= NEAR_FACTOR) reasons.push(`${["no fitted cell lies", "only one fitted cell lies"][near]} within a factor of 3 in every size`);
  const isKnown = (pair) => pair && pair.every(Number.isFinite), factor = isKnown(told.lr) ? Math.sqrt(told.lr[1] / told.lr[0]) : NaN;
  if (factor >= SAID) reasons.push(`the best lr is known to a factor of ${factor < HARDLY ? general(factor, 2) : `over ${HARDLY}`}`);
  else if (Number.isNaN(factor) && !told.untold.length) reasons.push("how sure the best lr is, is not known: it has no interval");
  const placeOf = (far) => (most > far || told.distance > FAR_DISTANCE ? "far" : told.distance > 1 || isAlone ? "near" : "inside");
  const isLoose = told.upper !== null && told.upper > REGRET_TOLS * told.tol;
  if (isLoose) reasons.push(`even the suggestion may lose ${twoDigits(told.upper)} of the loss`);
  let level = placeOf(FAR_FACTOR);
  if (factor > LR_FACTOR || isLoose || told.untold.length) level = "too_uncertain";
  else if (level === "inside" && !Number.isFinite(factor)) level = "near";
  const half = isKnown(told.loss) ? 0.5 * Math.log(told.loss[1] / told.loss[0]) : 0, word = placeOf(FAR_FACTOR_LOSS);
  const ofLoss = half > LOSS_WIDTH ? "too_uncertain" : word === "inside" && !isKnown(told.loss) ? "near" : word;
  return { level, ofLoss, reasons };
}
