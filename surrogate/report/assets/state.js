// What is asked, and its place in the URL's hash.

function firstState(model) {
  const largest = model.largest_cell;
  const middle = (name) => Number(Math.sqrt(model.fitted[name][0] * model.fitted[name][1]).toPrecision(3));
  return {
    params: Math.round(largest.params), tokens: Math.round(largest.tokens), tol: model.tol,
    lr: middle("lr"), batch: 2 ** Math.round(Math.log2(middle("batch"))), seq: 0,
    recipe: largest.recipe, scales: Object.fromEntries(model.scale_names.map((name) => [name, largest.scales[name]])), view: "near",
  };
}

const KEYS = { n: "params", d: "tokens", lr: "lr", b: "batch" };

function hashOf(model, state) {
  const parts = Object.entries(KEYS).map(([key, name]) => [key, state[name]]);
  parts.push(["tol", state.tol]);
  if (state.seq) parts.push(["seq", state.seq]);
  if (model.recipes.length > 1) parts.push(["r", state.recipe]);
  for (const name of model.scale_names) parts.push([`s.${name}`, state.scales[name]]);
  if (state.view !== "near") parts.push(["view", state.view]);
  return `#${parts.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(wellFormed(value))}`).join("&")}`;
}

// `encodeURIComponent` throws at half a surrogate pair, which a name may hold.
const wellFormed = (value) => String(value).replace(/[\ud800-\udfff]/gu, "\ufffd");

// The state that a hash tells; what it does not tell, or tells wrongly, stays.
function stateOf(model, hash, state) {
  const next = { ...state, scales: { ...state.scales } };
  for (const part of hash.replace(/^#/, "").split("&")) {
    let pair;
    try {
      pair = part.split("=").map(decodeURIComponent);
    } catch {
      continue;
    }
    const [key, text] = pair, number = Number(text);
    const isCount = text !== "" && number > 0 && Number.isFinite(number);
    if (key in KEYS && isCount) next[KEYS[key]] = number;
    else if (key === "tol" && isCount && number < 1) next.tol = number;
    else if (key === "seq" && isCount && Number.isInteger(number)) next.seq = number;
    else if (key === "view" && (text === "near" || text === "box")) next.view = text;
    else if (key === "r") next.recipe = model.recipes.find((name) => wellFormed(name) === text) ?? next.recipe;
    else if (key.startsWith("s.") && isCount && model.scale_names.includes(key.slice(2))) next.scales[key.slice(2)] = number;
  }
  return next;
}
