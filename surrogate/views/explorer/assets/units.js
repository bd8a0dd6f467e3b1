// Numbers as people write them, both ways; the rules are those of surrogate/base/units.py.

const SUFFIXES = { "": 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };
const NUMBER = /^(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,4})|([KMBT]|[KMG]i))?$/;

// A positive number, or NaN: "1e9", "7B", "512Ki".
function parseNumber(text) {
  const match = NUMBER.exec(text.trim());
  if (!match) return NaN;
  // Powers of ten join the digits, so that 1.07B is rounded once.
  const powers = { K: "e3", M: "e6", B: "e9", T: "e12" };
  const value = match[3] in powers ? Number(match[1] + powers[match[3]]) : Number(match[1] + (match[2] || "")) * SUFFIXES[match[3] || ""];
  return value > 0 && Number.isFinite(value) ? value : NaN;
}

// A share, of a field labelled %: "0.25" and "0.25%" are the same.
const parsePercent = (text) => parseNumber(text.trim().replace(/%$/, "")) / 100;

// A batch in tokens: a number of `unit` tokens each, or "256x2048".
function parseBatch(text, unit) {
  const factors = text.trim().split("x");
  if (factors.length > 2) return NaN;
  const values = factors.map(parseNumber);
  return factors.length === 2 ? values[0] * values[1] : values[0] * unit;
}

// Three significant digits, no trailing zeros.
const trimmed = (value) => String(Number(value.toPrecision(3)));

function formatCount(value) {
  if (!Number.isFinite(value)) return "unknown";
  const rounded = Number(value.toPrecision(3));
  for (const suffix of ["T", "B", "M", "K"]) {
    if (Math.abs(rounded) >= SUFFIXES[suffix]) return trimmed(rounded / SUFFIXES[suffix]) + suffix;
  }
  return trimmed(rounded);
}

// A power of two as people say it: 524288 is "512Ki".
function formatBinary(value) {
  for (const suffix of ["Gi", "Mi", "Ki"]) {
    if (value >= SUFFIXES[suffix]) return trimmed(value / SUFFIXES[suffix]) + suffix;
  }
  return trimmed(value);
}

function formatLr(value) {
  if (!Number.isFinite(value)) return "unknown";
  const [digits, power] = value.toExponential(2).split("e");
  return `${digits}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

function formatTokens(value) {
  if (!Number.isFinite(value)) return "unknown";
  return Math.round(value).toLocaleString("en-US");
}

const formatPercent = (fraction) => (Number.isFinite(fraction) ? `${trimmed(100 * fraction)}%` : "unknown");
// Reads back as the same share.
const exactPercent = (share) => `${Number((100 * share).toPrecision(12))}%`;
const formatPermille = (fraction) => (Number.isFinite(fraction) ? `${trimmed(1000 * fraction)}‰` : "unknown");
// The unit of a fit's losses.
const unitOf = (model) => (model.loss_unit === "nats" ? "nats per token" : model.loss_unit.replace(/_/g, " "));
const formatLoss = (loss) => (Number.isFinite(loss) ? loss.toFixed(4) : "unknown");

// One line with control characters escaped, as far as the text goes; null stays empty.
function plain(text, most = 120) {
  const line = Array.from(String(text ?? ""), (c) =>
    (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(c) ? `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}` : c)).join("");
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
