// The component browser's only script. Every event of the page runs it from top to bottom with
// cb_data.action saying what happened; what is selected is kept in `state`. `table` holds the data,
// `parts` the models of the page. Component numbers are those of the estimates, from 0.

const script = cb_data.script;
const n_components = table.status.length;
const LEVELS_MISSING = 1023;
const NOTHING = {x: [NaN], y: [NaN]}; // draws nothing, but keeps the line in the legend
const TAP_REACH = 10; // a click this many screen pixels beside an outline still means it

// --- what is in the list -------------------------------------------------------------------------------

function at_least(values, box, k) {
  return values === null || box === null || box.value === null || values[k] >= box.value;
}

function listed() {
  const wanted = {accepted: 1, rejected: 2}[parts.show.value];
  const passes = (k) => (wanted === undefined || table.status[k] === wanted)
    && at_least(table.snr, parts.min_snr, k) && at_least(table.r, parts.min_r, k);
  return Array.from(table.orders[parts.sort.value]).filter(passes);
}

// --- outlines ------------------------------------------------------------------------------------------

function loops_of(k) {
  const loops = [];
  for (let i = 0; i < table.owners.length; i++) {
    if (table.owners[i] !== k) continue;
    const loop = {x: [], y: []};
    for (let p = i > 0 ? table.ends[i - 1] : 0; p < table.ends[i]; p++) {
      loop.x.push(table.unit * table.outline_x[p] - 0.5);
      loop.y.push(table.unit * table.outline_y[p] - 0.5);
    }
    loops.push(loop);
  }
  return loops;
}

// One line per component; NaN lifts the pen between its loops.
function as_line(k) {
  const x = [], y = [];
  for (const loop of loops_of(k)) {
    x.push(...loop.x, NaN);
    y.push(...loop.y, NaN);
  }
  return {x, y};
}

function draw_outlines(list) {
  for (const [source, status] of parts.outlines) {
    const members = list.filter((k) => table.status[k] === status);
    const lines = members.length > 0 ? members.map(as_line) : [NOTHING];
    source.data = {xs: lines.map((line) => line.x), ys: lines.map((line) => line.y)};
  }
}

function is_inside(loop, x, y) {
  let inside = false;
  for (let i = 0, j = loop.x.length - 1; i < loop.x.length; j = i++) {
    const crosses = (loop.y[i] > y) !== (loop.y[j] > y);
    if (crosses && x < loop.x[i] + (y - loop.y[i]) / (loop.y[j] - loop.y[i]) * (loop.x[j] - loop.x[i])) {
      inside = !inside;
    }
  }
  return inside;
}

// The smallest component around a place, since only that one can't be clicked anywhere else; else the
// component whose outline is nearest, if it is near.
function component_at(x, y, list) {
  const reach = TAP_REACH * Math.abs(parts.map.x_range.end - parts.map.x_range.start) / parts.map.inner_width;
  let inner = null, near = null, nearest = reach;
  for (const k of list) {
    const loops = loops_of(k);
    if (loops.filter((loop) => is_inside(loop, x, y)).length % 2 === 1) {
      if (inner === null || table.size[k] < table.size[inner]) inner = k;
    }
    for (const loop of loops) {
      for (let i = 0; i < loop.x.length; i++) {
        const distance = Math.hypot(loop.x[i] - x, loop.y[i] - y);
        if (distance < nearest) [near, nearest] = [k, distance];
      }
    }
  }
  return inner ?? near;
}

// --- traces --------------------------------------------------------------------------------------------

function reader(kind, k) {
  const start = k * table.frames.length, {low, high, floor, step} = table.traces[kind];
  return (i) => {
    const code = low[start + i] + 256 * high[start + i];
    return code === LEVELS_MISSING ? NaN : floor[k] + step[k] * code;
  };
}

function time_of(i) { return table.frames[i] / table.rate; }

// Samples on the screen, and one more on either side so that lines reach the edges.
function samples_in_view() {
  const first_after = (time) => {
    let from = 0, to = table.frames.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (time_of(middle) < time) from = middle + 1; else to = middle;
    }
    return from;
  };
  const {start, end} = parts.trace_plot.x_range;
  return [Math.max(first_after(start) - 1, 0), Math.min(first_after(end) + 1, table.frames.length)];
}

// The smallest and the largest value in each column of pixels, in the order in which they occur.
function envelope(read, [first, last]) {
  const columns = Math.max(parts.trace_plot.inner_width, 100);
  const width = Math.max(Math.ceil((last - first) / columns), 1);
  const x = [], y = [];
  for (let from = first; from < last; from += width) {
    let lowest = from, highest = from;
    for (let i = from + 1; i < Math.min(from + width, last); i++) {
      const value = read(i);
      if (!(read(lowest) <= value)) lowest = i;
      if (!(read(highest) >= value)) highest = i;
    }
    for (const i of lowest === highest ? [lowest] : [Math.min(lowest, highest), Math.max(lowest, highest)]) {
      x.push(time_of(i));
      y.push(read(i));
    }
  }
  return {x, y};
}

function draw_traces(k) {
  const view = samples_in_view();
  for (const [kind, source] of parts.lines) {
    source.data = k === null ? {...NOTHING} : envelope(reader(kind, k), view);
  }
  if (parts.stems === null) return;
  const spikes = k === null ? {x: [], y: []} : envelope(reader("spikes", k), view);
  const fired = spikes.y.map((height) => height > 0);
  parts.stems.data = {x: spikes.x.filter((_, i) => fired[i]), y: spikes.y.filter((_, i) => fired[i])};
}

function set_range(range, low, high) {
  range.setv({start: low, end: high, reset_start: low, reset_end: high});
}

// The heights belong to the whole recording, so they don't jump while one moves along it.
function fit_heights(k) {
  let low = Infinity, high = -Infinity;
  for (const [kind] of parts.lines) {
    const {floor, step} = table.traces[kind];
    low = Math.min(low, floor[k]);
    high = Math.max(high, floor[k] + (LEVELS_MISSING - 1) * step[k]);
  }
  const room = 0.06 * (high - low) || 1;
  set_range(parts.trace_plot.y_range, low - room, high + room);
  if (parts.stems !== null) {
    set_range(parts.spike_plot.y_range, 0, 1.1 * (LEVELS_MISSING - 1) * table.traces.spikes.step[k] || 1);
  }
}

// --- the selected component ----------------------------------------------------------------------------

function draw_crop(k) {
  const picture = parts.crop.data.image[0], side = table.side, n = side * side;
  for (let i = 0; i < n; i++) picture[i] = k === null ? 0 : table.crops[k * n + i];
  const left = k === null ? 0 : table.left[k], top = k === null ? 0 : table.top[k];
  parts.crop.data = {image: [picture], x: [left - 0.5], y: [top - 0.5]};
  set_range(parts.crop_plot.x_range, left - 0.5, left + side - 0.5);
  set_range(parts.crop_plot.y_range, top + side - 0.5, top - 0.5);
}

function facts_of(k) {
  const state = table.status[k], mark = ["", "\u2713 ", "\u2717 "][state];
  const rows = Object.entries(table.facts).map(
    ([name, words]) => `<tr><th scope="row">${name}</th><td>${words[k]}</td></tr>`);
  return `<div class="cw-facts-text"><b class="cw-number">Component ${k}</b> `
    + `<span class="cw-state">${mark}${table.states[state]}</span><table>${rows.join("")}</table>`
    + "<small>Numbers as in the estimates, counted from 0.</small></div>";
}

function select(k, list) {
  const place = list.indexOf(k), n = list.length;
  parts.state.data = {selected: k === null ? [] : [k]};
  parts.previous.disabled = place <= 0;
  parts.next.disabled = place < 0 || place === n - 1;
  parts.position.setv({end: Math.max(n, 2), value: Math.max(place + 1, 1), disabled: n < 2});
  parts.count.text = `<span class="cw-count-text">${n} of ${n_components} shown</span>`
    + (k === null ? "" : `; this is number ${place + 1} in the list`);
  parts.facts.text = k === null
    ? "<div class='cw-facts-text'>No component passes the filters: show all, or empty the boxes.</div>"
    : facts_of(k);
  const line = k === null ? NOTHING : as_line(k);
  parts.highlight.data = {xs: [line.x], ys: [line.y]};
  draw_crop(k);
  if (k !== null) fit_heights(k);
  draw_traces(k);
}

// --- focus and keys ------------------------------------------------------------------------------------

function page_element() { return document.querySelector(`.${ident}`); }

// Arrow keys step through the list, but keep their meaning in a slider, a number box or a list of choices.
function listen_to_keys() {
  const element = page_element();
  if (element === null || element.dataset.cwKeys === "on") return;
  element.dataset.cwKeys = "on";
  element.dataset.lmSuppressShortcuts = "true"; // JupyterLab has its own use for the arrow keys
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", "Component browser: left and right arrow keys select components");
  element.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const target = event.composedPath()[0];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    if (target.matches("input, select, textarea, [role=slider]")) return;
    event.preventDefault();
    event.stopPropagation();
    script.execute(parts.state, {script, action: "step", by});
  });
}

// --- what happened -------------------------------------------------------------------------------------

const selected = parts.state.data.selected.length > 0 ? parts.state.data.selected[0] : null;
const list = listed();
const actions = {
  start() {
    listen_to_keys();
    draw_outlines(list);
    select(list.includes(selected) ? selected : list[0] ?? null, list);
  },
  filter() {
    draw_outlines(list);
    select(list.includes(selected) ? selected : list[0] ?? null, list);
  },
  step() {
    const place = list.indexOf(selected) + cb_data.by;
    if (place >= 0 && place < list.length) select(list[place], list);
  },
  position() {
    const k = list[parts.position.value - 1];
    if (k !== undefined && k !== selected) select(k, list);
  },
  click() {
    page_element()?.focus({preventScroll: true});
    const k = component_at(cb_data.x, cb_data.y, list);
    if (k !== null) select(k, list);
  },
  zoom() {
    if (selected !== null) fit_heights(selected); // undoing a zoom brings back the heights of another component
    draw_traces(selected);
  },
  whole() {
    const {reset_start, reset_end} = parts.trace_plot.x_range;
    parts.trace_plot.x_range.setv({start: reset_start, end: reset_end});
  },
};
actions[cb_data.action]();
