// Tells the page around the frame how high the viewer is.
(() => {
  if (window.parent === window) return;
  const content = document.querySelector("main");
  const tell = () => {
    const {width, height} = content.getBoundingClientRect();
    window.parent.postMessage({viewer: location.pathname, width: Math.ceil(width), height: Math.ceil(height)}, "*");
  };
  new ResizeObserver(tell).observe(content);
})();
