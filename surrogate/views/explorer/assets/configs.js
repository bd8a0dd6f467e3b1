// What is suggested as the lines of a training framework's configuration. Names are those
// of the frameworks in 2025; what a framework lacks is a comment.

const CONFIGS = {
  torchtitan: (c) => [`# torchtitan`, `[optimizer]`, `name = "AdamW"`, `lr = ${c.lr}`, ``, `[training]`, `seq_len = ${c.length}`, `global_batch_size = ${c.sequences}`, `steps = ${c.steps}`, ...(c.local ? [`local_batch_size = ${c.local}`] : [])],
  "Megatron-LM": (c) => [`--lr ${c.lr} \\`, `--seq-length ${c.length} \\`, `--global-batch-size ${c.sequences} \\`, `--train-iters ${c.steps}`],
  nanochat: (c) => [`# nanochat has learning rates of its own for Muon and AdamW:`, `# the lr ${c.lr} of this fit holds for ${c.optimizer} alone`, `python -m scripts.base_train -- \\`, `  --total-batch-size=${c.tokens} \\`, `  --max-seq-len=${c.length} \\`, `  --num-iterations=${c.steps}`],
  YAML: (c) => [`learning_rate: ${c.lr}`, `batch_size_tokens: ${c.tokens}`, `sequence_length: ${c.length}`, `sequences_per_step: ${c.sequences}`, `steps: ${c.steps}`, `train_tokens: ${c.trained}`],
};

// The setting to write down; null where there is none.
function configOf(model, state, use, kind) {
  if (!use || !(use.lr > 0 && use.batch > 0)) return null;
  const length = lengthOf(model, state), sequences = Math.max(Math.round(use.batch / length), 1), each = state.gpus ? sequences / state.gpus : 0;
  const lines = CONFIGS[kind]({ lr: typedLr(use.lr, 6), length, sequences, tokens: sequences * length, steps: Math.round(state.tokens / use.batch), trained: state.tokens, local: Number.isInteger(each) ? each : 0, optimizer: plain(model.recipe_about.optimizer || "its optimiser", 40) });
  const off = sequences * length !== use.batch ? [`# ${formatTokens(use.batch)} tokens is no whole number of sequences of ${formatTokens(length)}`] : [];
  return [...off, ...lines].join("\n");
}

// Days on all GPUs, and seconds a step; null where none are named.
function timesOf(model, state, batch) {
  if (!state.gpus) return null;
  const rate = state.gpus * model.gpus[state.gpu] * state.mfu, flops = TRAINING_FLOPS * state.params;
  return { days: (flops * state.tokens) / rate / 86400, step: (flops * batch) / rate, each: batch / lengthOf(model, state) / state.gpus };
}

const secondsText = (s) => (s < 1e-3 ? `${Number((1e6 * s).toPrecision(2))} µs` : s < 1 ? `${Number((1000 * s).toPrecision(2))} ms` : s < 600 ? `${Number(s.toPrecision(2))} s` : `${Number((s / 60).toPrecision(2))} min`);
const daysText = (d) => (d < 1 / 24 ? `${Number((d * 1440).toPrecision(2))} minutes` : d < 3 ? `${Number((d * 24).toPrecision(2))} hours` : `${Number(d.toPrecision(3)).toLocaleString("en-US")} days`);
