// Frames get the height of their viewer; buttons print the page; boxes that scroll can be reached by keyboard.
(() => {
  const SPARE = 10; // the frame's own padding, px
  window.addEventListener("message", (event) => {
    if (typeof event.data?.viewer !== "string") return;
    for (const frame of document.querySelectorAll("figure.viewer iframe")) {
      if (frame.contentWindow !== event.source) continue;
      const wide = event.data.width + SPARE > frame.clientWidth;
      frame.style.height = `${event.data.height + SPARE + (wide ? 18 : 0)}px`; // room for the scroll bar below
      frame.parentElement.classList.toggle("wide", wide);
      frame.dataset.ready = "yes";
    }
  });
  for (const button of document.querySelectorAll("button.print-page")) {
    button.addEventListener("click", () => window.print());
  }
  const reachable = () => {
    for (const box of document.querySelectorAll("div.highlight pre, div.output pre, .table-wrapper")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  reachable();
  window.addEventListener("resize", reachable);
})();
