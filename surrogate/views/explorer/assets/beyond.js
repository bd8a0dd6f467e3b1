// What no law of the fitted form captures beyond the data (surrogate/fitting/discrepancy.py,
// surrogate/answers/beyond.py), and which fitted cells are near (answers/neighbours.py).

// The kriging system of the cells, its inverse and what is embedded of the law's error.
function preparedLaw(data) {
  const law = data.discrepancy;
  if (!law) return null;
  const { cells } = law, count = cells.length, size = count + 1 + cells[0].length;
  const system = Array.from({ length: size }, () => new Float64Array(size));
  cells.forEach((cell, i) => {
    cells.forEach((other, j) => { system[i][j] = cubed(cell, other) + (i === j ? law.nugget : 0); });
    driftAt(law, cell).forEach((v, k) => { system[i][count + k] = system[count + k][i] = v; });
  });
  return { ...law, inverse: inverseOf(system), steps: rowsOf(decode(law.steps, false), data.choices.length) };
}

const cubed = (a, b) => Math.hypot(...a.map((v, i) => v - b[i])) ** 3;
const driftAt = (law, at) => [1, ...at.map((v, i) => (v - law.centre[i]) / law.unit[i])];

// By Gauss and Jordan, with pivots.
function inverseOf(matrix) {
  const size = matrix.length, rows = matrix.map((row, i) => [...row, ...Array.from({ length: size }, (_, j) => (i === j ? 1 : 0))]);
  for (let k = 0; k < size; k++) {
    let pivot = k;
    for (let i = k + 1; i < size; i++) if (Math.abs(rows[i][k]) > Math.abs(rows[pivot][k])) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    const first = rows[k][k];
    rows[k] = rows[k].map((v) => v / first);
    for (let i = 0; i < size; i++) {
      if (i === k || !rows[i][k]) continue;
      const times = rows[i][k], own = rows[k];
      rows[i] = rows[i].map((v, j) => v - times * own[j]);
    }
  }
  return rows.map((row) => row.slice(size));
}

// At the given coordinates s: half-widths that ln loss and the optimum [u] may be wrong
// by, and the step of each draw's surface [u]; along a held setting none.
function lawErrorOf(model, s, region) {
  const { law, choices } = model, { box } = region;
  const free = [box.xlo < box.xhi ? 1 : 0, box.ylo < box.yhi ? 1 : 0];
  if (!law) return { level: 0, settings: [0, 0], moves: null };
  const at = model.givens.map((_, j) => s[j] * model.scale[choices.length + j] + model.mean[choices.length + j]);
  const row = [...law.cells.map((cell) => cubed(at, cell)), ...driftAt(law, at)];
  const variance = -row.reduce((sum, a, i) => sum + row.reduce((own, b, j) => own + a * law.inverse[i][j] * b, 0), 0);
  const root = Math.sqrt(Math.max(Math.max(variance, 0) - law.usual, 0));
  return {
    level: law.quantile * law.level * root,
    settings: [0, 1].map((i) => (i < choices.length ? (free[i] * law.quantile * law.settings[i] * root) / model.unit[i] : 0)),
    moves: law.steps.map((step) => [0, 1].map((i) => (i < choices.length ? (free[i] * step[i] * root) / model.unit[i] : 0))),
  };
}

// How many fitted cells of the recipe are within a factor in every fitted size.
function cellsNear(model, question) {
  const sizes = { params: question.params, tokens: question.tokens, ...question.scales };
  const asked = model.givens.map((name) => Math.log(sizes[name])), recipe = model.recipes.indexOf(question.recipe);
  return model.near.cells.filter(([own, ...at]) => own === recipe && at.every((v, i) => Math.abs(v - asked[i]) <= Math.log(model.near.factor))).length;
}

// Why a question counts as beyond the data; "" if it does not.
function outsideText(model, question, distance) {
  if (distance > 1) return `Extrapolation: ${distance.toFixed(2)} times as far from the data as nine in ten of its cells are from the others.`;
  const count = model.givens.length ? cellsNear(model, question) : model.near.least;
  if (count >= model.near.least) return "";
  return `Extrapolation: ${["no fitted cell lies", "only one fitted cell lies"][count]} within a factor of ${general(model.near.factor, 3)} in every size.`;
}
