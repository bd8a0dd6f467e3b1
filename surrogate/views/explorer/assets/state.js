// What is asked, and its place in the URL's hash.

function firstState(model) {
  const largest = model.largest_cell;
  return {
    params: Math.round(largest.params), tokens: Math.round(largest.tokens), tol: model.tol, lr: null, batch: null, seq: 0, keep: null,
    gpus: 0, gpu: "h100", mfu: model.mfu,
    recipe: largest.recipe, scales: Object.fromEntries(model.scale_names.map((name) => [name, largest.scales[name]])), view: "near", pins: [],
  };
}

// Tokens a sequence: as asked, else as in the runs.
const lengthOf = (model, state) => state.seq || knownLength(model) || 4096;

const MOST_PINS = 4;
const KEYS = { n: "params", d: "tokens", lr: "lr", b: "batch", tol: "tol" };
const READ = new Map([...Object.entries(KEYS), ["seq", "seq"], ["gpus", "gpus"], ["mfu", "mfu"]]);

const valueIn = (state, key) => (key.startsWith("scale:") ? state.scales[key.slice(6)] : state[key]);
const withValue = (state, key, value) => (key.startsWith("scale:")
  ? { ...state, scales: { ...state.scales, [key.slice(6)]: value } } : { ...state, [key]: value });

// The least and the most that may be asked. Far beyond what was fitted exponentials
// overflow; a size under a thousandth of the smallest has lost its K, M or B.
function limitsOf(model, key) {
  if (key === "tol") return [1e-6, 0.99];
  if (key === "seq") return [1, 1e9];
  if (key === "gpus") return [1, 1e7];
  if (key === "mfu") return [0.01, 1];
  const name = key.replace(/^scale:/, ""), [low, high] = model.fitted[name];
  if (!CHOICES.includes(name)) return [low * model.small_share, high * 1e6];
  return [name === "batch" ? Math.max(low / 1e6, 1) : low / 1e6, high * 1e6];
}

// Why a value cannot be asked; "" where it can.
function refusalOf(model, key, value) {
  if (!(value > 0 && value < Infinity)) return "Expected a number above 0.";
  if ((key === "seq" || key === "gpus") && !Number.isInteger(value)) return "Expected a whole number.";
  const name = key.replace(/^scale:/, ""), isSized = name in model.fitted && !CHOICES.includes(name);
  const wrong = isSized ? unlikelySize(model, name, value) : "";
  if (wrong) return wrong;
  const [low, high] = limitsOf(model, key);
  if (value >= low && value <= high) return "";
  const show = key === "tol" || key === "mfu" ? exactPercent : key === "lr" ? formatLr : formatCount;
  const isSize = !["seq", "tol", "lr", "gpus", "mfu"].includes(key);
  return `Expected ${show(low)} to ${show(high)}${isSize && value < low ? ": is a K, M, B or T missing?" : "."}`;
}

function hashOf(model, state) {
  const parts = Object.entries(KEYS).filter(([, name]) => state[name] !== null).map(([key, name]) => [key, state[name]]);
  if (state.seq) parts.push(["seq", state.seq]);
  if (state.keep) parts.push([`keep.${state.keep.name}`, state.keep.value]);
  if (state.gpus) parts.push(["gpus", state.gpus], ["gpu", state.gpu], ["mfu", state.mfu]);
  if (model.recipes.length > 1) parts.push(["r", state.recipe]);
  for (const name of model.scale_names) parts.push([`s.${name}`, state.scales[name]]);
  for (const { lr, batch } of state.pins) parts.push(["pin", `${lr},${batch}`]);
  if (state.view !== "near") parts.push(["view", state.view]);
  return `#${parts.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(wellFormed(value))}`).join("&")}`;
}

// `encodeURIComponent` throws at half a surrogate pair, which a name may hold.
const wellFormed = (value) => String(value).replace(/[\ud800-\udfff]/gu, "\ufffd");

// The state that a hash tells, and what of it was refused; there `first` stays.
function stateOf(model, hash, first) {
  const refused = [];
  let state = first;
  for (const part of hash.replace(/^#/, "").split("&")) {
    // Without "=" it is a place in the page, such as "#answer".
    if (!part.includes("=")) continue;
    try {
      state = withPart(model, state, ...part.split("=").map(decodeURIComponent));
    } catch (error) {
      refused.push(`The address has ${plain(part, 40)}, which is not used. ${error instanceof URIError ? "" : error.message}`);
    }
  }
  return [state, refused];
}

// A pinned setting as a link has it.
function pinIn(model, state, text) {
  const [lr, batch] = text.split(",").map(parseNumber), wrong = refusalOf(model, "lr", lr) || refusalOf(model, "batch", batch);
  if (wrong) throw new RangeError(wrong);
  if (state.pins.length >= MOST_PINS) throw new RangeError(`At most ${MOST_PINS} settings are pinned.`);
  return { lr, batch };
}

// A tolerance is a fraction here, as links have always had it.
function withPart(model, state, name, text) {
  if (name === "view" && (text === "near" || text === "box")) return { ...state, view: text };
  if (name === "r") {
    const recipe = model.recipes.find((known) => wellFormed(known) === text);
    if (recipe === undefined) throw new RangeError("Expected a recipe of this fit.");
    return { ...state, recipe };
  }
  if (name === "gpu" && Object.hasOwn(model.gpus, text)) return { ...state, gpu: text };
  if (name === "pin") return { ...state, pins: [...state.pins, pinIn(model, state, text)] };
  if (name === "keep.lr" || name === "keep.batch") {
    const kept = name.slice(5), value = parseNumber(text), wrong = model.choices.includes(kept) ? refusalOf(model, kept, value) : "The fit does not choose it.";
    if (wrong) throw new RangeError(wrong);
    return { ...state, keep: { name: kept, value } };
  }
  const scale = name.startsWith("s.") ? name.slice(2) : "";
  const key = model.scale_names.includes(scale) ? `scale:${scale}` : READ.get(name);
  if (!key) throw new RangeError("Nothing that this page asks.");
  const value = parseNumber(text), wrong = refusalOf(model, key, value);
  if (wrong) throw new RangeError(wrong);
  return withValue(state, key, value);
}
