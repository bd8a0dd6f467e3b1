// The draws are asked in a worker, so that no hand waits for them; where a browser gives
// none they are asked here. It runs this page's own script.

// What the worker runs: the page's script, without a document to draw on.
const SOURCE = typeof document === "undefined" ? "" : document.currentScript.textContent;
const begin = () => (typeof document === "undefined" ? serve() : start());

function refiner(model, data, done) {
  let worker = null, isBusy = false, waiting = null;
  const cache = {}, here = (state) => setTimeout(() => done(refinedOf(model, state, cache)), 0);
  const next = () => {
    if (isBusy || !waiting) return;
    const state = waiting;
    [waiting, isBusy] = [null, true];
    worker.postMessage({ state });
  };
  try {
    worker = new Worker(URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" })));
    worker.onmessage = ({ data: { found } }) => {
      isBusy = false;
      if (!waiting) done(found);
      next();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const state = waiting;
      worker = null;
      if (state || isBusy) here(state || refiner.last);
      isBusy = false;
    };
    worker.postMessage({ data });
  } catch {
    worker = null;
  }
  return (state) => {
    refiner.last = state;
    if (!worker) {
      here(state);
      return;
    }
    waiting = state;
    next();
  };
}

// In the worker: the document first, then questions.
function serve() {
  let model = null;
  const cache = {};
  self.onmessage = ({ data: { data, state } }) => {
    if (data) model = prepare(data);
    else self.postMessage({ found: refinedOf(model, state, cache) });
  };
}
