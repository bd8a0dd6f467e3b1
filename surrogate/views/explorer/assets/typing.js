// Numbers as people type them, read as meant or refused with what to write: the rules of
// surrogate/cli/typing_numbers.py. A reader returns a number or throws a RangeError.

const ALIASES = new Map([...["K", "M", "B", "T", "Ki", "Mi", "Gi"].map((s) => [s.toLowerCase(), s]), ...["K", "M", "B", "T"].map((s) => [`${s.toLowerCase()}t`, s]),
  ["bn", "B"], ["mn", "M"], ["mln", "M"], ["bln", "B"], ["tn", "T"], ["thousand", "K"], ["million", "M"], ["billion", "B"], ["trillion", "T"]]);
const NOUNS = /\s*(parameters?|params?|tokens?|toks?|steps?|flops?|gpus?)$/i;
const SUFFIXED = /^(\d+\.?\d*|\.\d+)\s*([A-Za-z]+)$/, POWER = /^(\d{1,3})\s*(?:\^|\*\*)\s*(\d{1,3})$/;
const GROUPED = /^\d{1,3}(?:([,_' ])\d{3})(?:\1\d{3})*$/, RATIO = /^(\d+\.?\d*|\.\d+)\s*(?:[x*×]\s*n?|n|tpp|tokens?\s*(?:\/|per|a)\s*param(?:eter)?s?)$/i;
const SCIENTIFIC = /^(\d+\.?\d*|\.\d+)\s*[x*×·]\s*10\s*(?:\^|\*\*)\s*(-?\d{1,2})$/;

const refuse = (sentence) => { throw new RangeError(sentence); };

// A count in the form that `parseNumber` reads, where it has one meaning.
function strictCount(text) {
  const bare = text.trim().replace(NOUNS, ""), power = POWER.exec(bare), suffixed = SUFFIXED.exec(bare);
  if (power) return String(Number(power[1]) ** Number(power[2]));
  if (GROUPED.test(bare)) return bare.replace(/[,_' ]/g, "");
  if (suffixed && ALIASES.has(suffixed[2].toLowerCase())) return suffixed[1] + ALIASES.get(suffixed[2].toLowerCase());
  return bare;
}

const positive = (value, expected) => (value > 0 && value < Infinity ? value : refuse(`Expected ${expected}.`));
const readCount = (text, expected = "a number such as 7B, 1e9 or 512Ki") => positive(parseNumber(strictCount(text)), expected);

// Training tokens: a count, or so many a parameter, as 20x.
function readTokens(text, params) {
  const ratio = RATIO.exec(text.trim());
  return ratio ? positive(Number(ratio[1]) * params, "tokens above 0") : readCount(text, "tokens such as 2T, 300B, or 20x a parameter");
}

// A batch in tokens, or sequences x length.
function readBatch(text) {
  const bare = text.trim().replace(NOUNS, "").replace("**", "^"), expected = "tokens such as 4Mi, or sequences x length such as 1024x4096";
  const sequences = /^([\d.]+).*?(seqs?|sequences?|examples?|samples?)$/i.exec(bare);
  if (sequences) refuse(`Expected tokens, or sequences x length: write ${sequences[1]}x4096 for sequences of 4,096 tokens.`);
  const factors = bare.split(/[x*X×]/).map((part) => part.trim());
  if (factors.length > 2) refuse(`Expected ${expected}.`);
  for (const factor of factors) {
    const suffixed = SUFFIXED.exec(factor);
    if (suffixed && /^[kmg]$/.test(suffixed[2])) {
      const name = suffixed[2].toUpperCase(), decimal = name === "G" ? "B" : name, exact = (t) => formatTokens(parseNumber(t));
      refuse(`${plain(text, 40)} may mean decimal or binary. Write ${suffixed[1]}${decimal} (${exact(suffixed[1] + decimal)} tokens) or ${suffixed[1]}${name}i (${exact(`${suffixed[1]}${name}i`)} tokens).`);
    }
  }
  const values = factors.map((factor) => parseNumber(strictCount(factor)));
  if (values.some((v) => Number.isFinite(v) && !Number.isInteger(v))) refuse("Expected whole numbers of tokens or sequences.");
  return positive(values.reduce((a, b) => a * b, 1), expected);
}

function readLr(text) {
  const bare = text.trim().replace(/[−–—]/g, "-").replace(/^lr\s*=?\s*/i, ""), scientific = SCIENTIFIC.exec(bare);
  if (/^\d,\d+$/.test(bare)) refuse(`Write ${bare.replace(",", ".")}.`);
  const value = positive(parseNumber(scientific ? `${scientific[1]}e${scientific[2]}` : bare), "a learning rate such as 3e-4");
  if (value > 100) refuse(`Expected a learning rate, and ${plain(text, 20)} is larger than any: is the sign of the exponent missing?`);
  return value;
}

// A share in per cent: "0.25" and "0.25 %" are the same.
const readPercent = (text) => positive(parseNumber(text.trim().replace(/\s*%$/, "")) / 100, "per cent above 0, such as 0.25");

// The next number of two digits, up or down.
function nextDigits(value, way) {
  const [mantissa, power] = value.toExponential(1).split("e"), unit = Number(power) - 1, count = Math.round(Number(mantissa) * 10), at = Number(`${count}e${unit}`);
  if (at !== value && Math.sign(at - value) === way) return at;
  return way < 0 && count === 10 ? Number(`99e${unit - 1}`) : Number(`${count + way}e${unit}`);
}

// The next batch of 4, 5, 6 or 7 times a power of two, up or down; all of them are typed.
function nextBatch(value, way) {
  const k = Math.floor(Math.log2(value) + 1e-12) - 2, unit = 2 ** k, count = value / unit;
  const next = way > 0 ? Math.floor(count + 1e-9) + 1 : Math.ceil(count - 1e-9) - 1;
  return Math.max(1, Math.round(next < 4 ? 7 * (unit / 2) : next * unit));
}

const nearDigits = (value) => Number(value.toPrecision(2));
const nearBatch = (value) => {
  const unit = 2 ** (Math.floor(Math.log2(value)) - 2);
  return Math.max(1, Math.round(Math.round(value / unit) * unit));
};
