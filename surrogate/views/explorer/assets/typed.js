// Settings that a person types: round numbers inside a box (surrogate/answers/decision/typed.py).

const ENOUGH = 0.08, MOST_OF_LOSS = 2e-4, MOST_DIGITS = 9;

// Every number of so many significant digits between two ends, in order.
function roundNumbers([low, high], digits) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.floor(Math.log10(high)); power++) {
    const exponent = power - digits + 1, unit = Number(`1e${exponent}`);
    const first = Math.max(Math.ceil((low / unit) * (1 - 1e-12)), 10 ** (digits - 1));
    const last = Math.min(Math.floor((high / unit) * (1 + 1e-12)), 10 ** digits - 1);
    for (let n = first; n <= last && found.length < 1e5; n++) found.push(Number(`${n}e${exponent}`));
  }
  return found.filter((value) => low <= value && value <= high);
}

// Every factor x 2^k x unit between two ends, k from 0 on.
function doublings([low, high], unit, factor) {
  const step = factor * unit, found = [];
  for (let k = Math.max(Math.ceil(Math.log2(low / step) - 1e-12), 0); step * 2 ** k <= high; k++) {
    if (step * 2 ** k >= low) found.push(step * 2 ** k);
  }
  return found;
}

// Multiples of `unit` between two ends whose count has so many digits.
function multiplesOf([low, high], unit, digits) {
  if (high < unit) return [];
  const counts = roundNumbers([Math.max(low / unit, 1), high / unit], digits);
  return [...new Set(counts.filter((n) => Number.isInteger(n) && low <= n * unit && n * unit <= high).map((n) => n * unit))].sort((a, b) => a - b);
}

// Numbers of the fewest digits, two at least, of which there are any.
function fewestDigits(numbers) {
  for (let digits = 2; digits <= MOST_DIGITS; digits++) {
    const found = numbers(digits);
    if (found.length) return found;
  }
  return [];
}

function cheapestOf(rates, sizes, cost) {
  let best = null;
  for (const batch of sizes) for (const lr of rates) {
    const regret = cost(lr, batch);
    if (Number.isFinite(regret) && (!best || regret < best.regret)) best = { lr, batch, regret };
  }
  return best && { ...best, regret: Math.max(best.regret, 0) };
}

// The roundest setting of a box that costs next to nothing; null of an empty box.
function roundSetting(lr, batch, cost, { tol, multiple = null, seq = null, fixedLr = null, fixedBatch = null }) {
  if (!(lr[0] <= lr[1] && batch[0] <= batch[1])) return null;
  const rates = fixedLr ? [[fixedLr]] : [1, 2].map((n) => roundNumbers(lr, n));
  const sizes = fixedBatch ? [[fixedBatch]] : [1, 3].map((n) => doublings(batch, multiple || 1, n));
  let best = null;
  for (const some of rates) for (const tier of sizes) {
    const found = cheapestOf(some, tier, cost);
    if (!found) continue;
    if (found.regret <= Math.min(ENOUGH * tol, MOST_OF_LOSS)) return found;
    if (!best || found.regret < best.regret) best = found;
  }
  if (best) return best;
  const unit = multiple || (seq && seq <= batch[1] ? seq : 1);
  return cheapestOf(fixedLr ? [fixedLr] : fewestDigits((n) => roundNumbers(lr, n)),
    fixedBatch ? [fixedBatch] : fewestDigits((n) => multiplesOf(batch, unit, n)), cost);
}
