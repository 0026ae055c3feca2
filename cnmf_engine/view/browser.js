// Shows the component that the slider (cb_obj) chooses.
// x, y, ends, frames, kinds, levels, lows, steps: outlines and traces of all components end to end, as whole
// numbers (see bokeh_browser.py); outline, traces: what is drawn; facts: the text beside them; metrics: that
// text for each component.
const k = cb_obj.value - 1, n = frames.length, start = k > 0 ? ends[k - 1] : 0;

function unpack(packed, from, to, value) {
  return Float64Array.from({length: to - from}, (_, i) => value(packed[from + i]));
}

const place = (level) => level === gap ? NaN : level * pixels - 0.5;
outline.data = {x: unpack(x, start, ends[k], place), y: unpack(y, start, ends[k], place)};
const drawn = {frames};
kinds.forEach((kind, i) => {
  drawn[kind] = unpack(levels[i], k * n, (k + 1) * n, (level) => lows[i][k] + steps[i][k] * level);
});
traces.data = drawn;
facts.text = metrics[k];
