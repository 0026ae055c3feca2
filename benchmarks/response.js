// Defines window.workshopResponse: how long a page takes from an event to the picture that answers it.
// canvases.js comes first.

window.workshopResponse ??= (() => {
  const QUIET = 250; // ms
  const { canvasesOf } = window.workshopCanvases;

  // A number that differs when the picture does; every seventh pixel is enough, and takes a millisecond.
  function sum(element) {
    let total = 0;
    for (const canvas of canvasesOf(element)) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const values = new Uint32Array(data.buffer);
      for (let i = 0; i < values.length; i += 7) total = (Math.imul(total, 31) + values[i]) | 0;
    }
    return total;
  }

  function textOf(root) {
    const inner = root.shadowRoot ? textOf(root.shadowRoot) : "";
    return inner + [...root.childNodes].map((child) => child.nodeType === 3 ? child.data
      : child.nodeType === 1 && child.tagName !== "STYLE" ? textOf(child) : "").join("");
  }

  // Begins to watch; `answer` becomes the milliseconds from the event to the last screen refresh that brought
  // something new, once words and picture have changed and then stayed the same for a while.
  function begin(element, words, event) {
    const watch = window.workshopResponse;
    const before = textOf(words);
    let picture = sum(element);
    let start = null, last = null;
    watch.answer = null;
    document.addEventListener(event, (happened) => { start = happened.timeStamp; }, { once: true, capture: true });
    const look = (now) => {
      const current = sum(element);
      if (start !== null && current !== picture) last = now;
      picture = current;
      if (last !== null && textOf(words) !== before && now - last > QUIET) watch.answer = last - start;
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  return { begin, answer: null };
})();
