// Cuts the image anew when a slider moves; the same arithmetic as quilt_rectangles in bokeh_views.py.
// rf, stride: the sliders; source: the patches; text: the sentence; dims: rows and columns of the image.
const width = 2 * rf.value + 1, step = Math.max(2 * rf.value - stride.value, 1);
function starts(size) {
  const last = Math.max(size - width, 0), found = [];
  for (let s = 0; s < last; s += step) found.push(s);
  found.push(last);
  return found;
}
const data = {left: [], right: [], bottom: [], top: []};
for (const y of starts(dims[0])) for (const x of starts(dims[1])) {
  data.left.push(x - 0.5); data.right.push(Math.min(x + width, dims[1]) - 0.5);
  data.top.push(y - 0.5); data.bottom.push(Math.min(y + width, dims[0]) - 0.5);
}
source.data = data;
const clash = stride.value >= 2 * rf.value ? ". The overlap must be smaller than the patch" : "";
text.text = `Patch width ${width} px, overlap ${stride.value + 1} px, ${data.left.length} patches${clash}`;
