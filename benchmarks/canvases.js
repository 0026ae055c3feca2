// Defines window.workshopCanvases: what the plots inside an element show.

window.workshopCanvases ??= (() => {
  // bokeh keeps its canvases in shadow roots within shadow roots, which a selector doesn't enter.
  function canvasesOf(root) {
    const found = root.shadowRoot ? canvasesOf(root.shadowRoot) : [];
    for (const child of root.children) {
      if (child.tagName === "CANVAS" && child.width > 0 && child.height > 0) found.push(child);
      else found.push(...canvasesOf(child));
    }
    return found;
  }

  function contains(element, node) {
    while (node && node !== element) node = node.parentNode ?? node.host;
    return Boolean(node);
  }

  // How many colours the most colourful canvas has: an empty plot has few.
  function colours(element) {
    const counts = canvasesOf(element).map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    return Math.max(0, ...counts);
  }

  // Text that differs when any pixel does.
  function pixels(element) {
    return canvasesOf(element).map((canvas) => canvas.toDataURL()).join();
  }

  // Where in the window a value on both axes of a figure (a bokeh model's name) is drawn, with its scroll.
  function place(element, name, x, y) {
    const { Bokeh } = window; // several versions can live in one page
    const libraries = [Bokeh, ...Object.values(Bokeh)].filter((each) => each?.index?.query);
    const views = libraries.flatMap(({ index }) => [...index.query((view) => view.model.name === name)]);
    for (const { el, frame } of views) {
      if (!contains(element, el)) continue;
      const box = el.getBoundingClientRect();
      return [box.left + frame.x_scale.compute(x), box.top + frame.y_scale.compute(y)];
    }
    return null;
  }

  return { canvasesOf, colours, pixels, place };
})();
