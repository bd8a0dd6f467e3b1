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

// A batch as one types it: 4Mi, 384Ki, else every digit (surrogate/answers/decision/shown.py).
function typedTokens(value) {
  const whole = Math.round(value);
  for (const suffix of ["Gi", "Mi", "Ki"]) {
    if (whole % SUFFIXES[suffix] === 0 && whole / SUFFIXES[suffix] <= 4096) return `${whole / SUFFIXES[suffix]}${suffix}`;
  }
  return String(whole);
}

// A learning rate with no digit that is not needed: 8e-4, 1.3e-3.
function typedLr(value, digits = 2) {
  if (!Number.isFinite(value)) return "unknown";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${Number(mantissa)}e${Number(power)}`;
}

// A share in two digits: 0.25 %, 1.0 %, 10 %, under 0.01 %.
function twoDigits(share) {
  if (!Number.isFinite(share)) return "unknown";
  if (share === 0) return "0 %";
  if (share > 0 && share < 1e-4) return "under 0.01 %";
  const value = Number((100 * share).toPrecision(2));
  return value >= 10 ? `${Math.round(value).toLocaleString("en-US")} %` : `${value.toFixed(1 - Math.floor(Math.log10(Math.abs(value))))} %`;
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
// The unit of a fit's losses.
const unitOf = (model) => (model.loss_unit === "nats" ? "nats per token" : model.loss_unit.replace(/_/g, " "));
const formatLoss = (loss) => (Number.isFinite(loss) ? loss.toFixed(4) : "unknown");

// One line with control characters escaped, as far as the text goes; null stays empty.
function plain(text, most = 120) {
  const line = Array.from(String(text ?? ""), (c) =>
    (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(c) ? `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}` : c)).join("");
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
