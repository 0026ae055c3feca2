// Draws one bokeh document into an element of the page, and loads BokehJS first if the page doesn't have it.
// wanted: {version, libraries: [{name, url} or {name, packed}], item, target}; `packed` is gzip in base64.

async function showBokeh(wanted) {
  const element = await appeared(wanted.target);
  if (element === null || element.childElementCount > 0) return;
  try {
    for (const library of wanted.libraries) await loadOnce(library, wanted.version);
    await window.Bokeh[wanted.version].embed.embed_item(wanted.item, wanted.target);
  } catch (error) {
    element.textContent = `This plot could not be drawn: ${error.message} Where there is no internet, run ` +
      "the cell again after %env BOKEH_RESOURCES=inline.";
  }
}

// Some front ends run the script a moment before they put the output into the page.
async function appeared(id) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const element = document.getElementById(id);
    if (element !== null) return element;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return null;
}

// Cells that are shown together wait for the same load: loading a library twice would define its parts twice.
function loadOnce(library, version) {
  const bokeh = window.Bokeh?.[version];
  if (library.name === "bokeh" ? bokeh : bokeh?.Widgets) return undefined;
  const loads = (window.cnmfEngineLoads ??= {}), key = `${library.name} ${version}`;
  return (loads[key] ??= load(library).catch((error) => {
    delete loads[key]; // the cell that is run again tries again
    throw error;
  }));
}

async function load({name, url, packed}) {
  const script = document.createElement("script");
  if (packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    script.textContent = await new Response(unpacked).text();
    document.head.appendChild(script);
    return;
  }
  script.src = url;
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${name} could not be loaded from ${new URL(url, document.baseURI).host}.`));
    document.head.appendChild(script);
  });
}
