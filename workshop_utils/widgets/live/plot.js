// A bokeh layout in a notebook cell, whose named models follow the kernel.
//
// The model's traits: `item` is the layout as bokeh's json_item gives it, `version` and `url` say which
// BokehJS it needs and where it is, `names` are the bokeh models that follow, and the trait `of_<name>` holds
// the properties that the kernel has set on each. Arrays come as {bytes, dtype, shape}.

const ARRAYS = {
  uint8: Uint8Array, int32: Int32Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array,
};

// One promise for a page and version: widgets that ask at once share the download.
const loading = (window.__workshop_bokehjs ??= {});

function present(version) {
  const bokeh = window.Bokeh;
  return bokeh?.version === version ? bokeh : bokeh?.[version]; // several versions can live in one page
}

// Run a script with the names hidden by which a bundle tells that a module loader (RequireJS) is there.
async function runScript(text) {
  const parts = ["(function (define, exports, module, require) {\n", text, "\n}).call(window);"];
  const url = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  const script = document.createElement("script");
  try {
    await new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error("the page refused to run BokehJS"));
      script.src = url;
      document.head.append(script);
    });
  } finally {
    script.remove();
    URL.revokeObjectURL(url);
  }
}

async function fromInternet(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(8000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}

// The kernel answers once the cells that are running have ended, so there is no limit in time.
function fromKernel(model) {
  return new Promise((resolve, reject) => {
    const answer = (content, buffers) => {
      if (content?.kind !== "bokehjs") return;
      model.off("msg:custom", answer);
      if (content.error) reject(new Error(content.error));
      else resolve(new TextDecoder().decode(buffers[0]));
    };
    model.on("msg:custom", answer);
    model.send({ kind: "bokehjs" });
  });
}

function bokehJS(model) {
  const version = model.get("version");
  const url = model.get("url");
  if (present(version)) return Promise.resolve(present(version));
  loading[version] ??= (async () => {
    const text = url ? await fromInternet(url).catch(() => fromKernel(model)) : await fromKernel(model);
    await runScript(text);
    if (!present(version)) throw new Error(`the script that came isn't BokehJS ${version}`);
    return present(version);
  })().catch((error) => {
    delete loading[version]; // the next plot tries again
    throw error;
  });
  return loading[version];
}

function decode(value, ndarray) {
  if (Array.isArray(value)) return value.map((each) => decode(each, ndarray));
  if (value === null || typeof value !== "object") return value;
  if (!("bytes" in value && "dtype" in value)) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, decode(each, ndarray)]));
  }
  const { buffer, byteOffset, byteLength } = value.bytes;
  const copy = buffer.slice(byteOffset, byteOffset + byteLength); // typed arrays have to be aligned
  const { dtype, shape } = value;
  return shape.length === 1 ? new ARRAYS[dtype](copy) : ndarray(copy, { dtype, shape });
}

// Set what the kernel has set; of a data source only the columns that it has given.
function follow(target, state, ndarray) {
  const properties = decode(state, ndarray);
  if (properties.data) properties.data = { ...target.data, ...properties.data };
  target.setv(properties);
}

// Resolves when the element is on the screen: bokeh can't measure one that isn't.
function shown(element) {
  return new Promise((resolve) => {
    const observer = new ResizeObserver(() => {
      if (!element.isConnected || element.offsetWidth === 0) return;
      observer.disconnect();
      resolve();
    });
    observer.observe(element);
  });
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "cw-plot";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", model.get("alt"));
  // The room is taken from the start, so that the notebook doesn't jump.
  Object.assign(box.style, { width: `${model.get("width")}px`, minHeight: `${model.get("height")}px` });
  const place = document.createElement("div");
  const words = document.createElement("pre");
  Object.assign(words.style, { margin: 0, padding: "8px", whiteSpace: "pre-wrap", font: "13px sans-serif" });
  words.textContent = "Loading the plot; while other cells run, it waits for them.";
  box.append(words, place);
  el.append(box);

  const handlers = [];
  let views = null;
  let removed = false;
  const fail = (error) => {
    words.textContent = `This plot can't be shown: ${error.message}\nRun its cell again to try once more.`;
    words.setAttribute("role", "alert");
    box.prepend(words);
  };

  const start = async () => {
    const [bokeh] = await Promise.all([bokehJS(model), shown(box)]);
    if (removed) return;
    const { ndarray } = bokeh.require("core/util/ndarray");
    views = await bokeh.embed.embed_item(model.get("item"), place);
    if (removed) return views.clear();
    const [root] = views;
    const bokehDocument = root.model.document;
    for (const name of model.get("names")) {
      const target = bokehDocument.get_model_by_name(name);
      const apply = () => {
        try {
          follow(target, model.get(`of_${name}`), ndarray);
        } catch (error) {
          fail(error);
        }
      };
      apply(); // what was sent before this view was there
      model.on(`change:of_${name}`, apply);
      handlers.push([`change:of_${name}`, apply]);
    }
    words.remove();
    box.dataset.ready = "true";
  };
  start().catch(fail);

  return () => {
    removed = true;
    for (const [event, apply] of handlers) model.off(event, apply);
    views?.clear();
  };
}

export default { render };
