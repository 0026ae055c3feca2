// The screen of a movie player. It asks the kernel for one frame at a time and shows it; the next one is
// asked for when this one has come. While it plays, the clock says which frame is due, so a slow disk or
// connection leaves frames out and the movie keeps its time.

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
// After this many ms without an answer say so; after the longer time a press of a button asks again.
const PATIENCE = 1000, GIVE_UP = 5000;
// Time between two looks at the clock, ms.
const TICK = 15;

function make(tag, className, properties = {}, children = []) {
  const element = document.createElement(tag);
  element.className = className;
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

function button(className, text, label) {
  const element = make("button", className, { type: "button", textContent: text, title: label });
  element.setAttribute("aria-label", label);
  return element;
}

function build(el) {
  const parts = {
    titles: make("div", "cw-titles"),
    image: make("img", "cw-picture", { tabIndex: 0, draggable: false }),
    play: button("cw-play", "▶", "Play"),
    back: button("cw-back", "◀|", "One frame back"),
    forward: button("cw-forward", "|▶", "One frame forward"),
    time: make("input", "cw-time", { type: "range", min: 0, step: 1, value: 0 }),
    frame: make("span", "cw-frame"),
    loop: make("input", "cw-loop", { type: "checkbox" }),
    speed: make("select", "cw-speed"),
    busy: make("div", "cw-busy"),
  };
  parts.time.setAttribute("aria-label", "Frame");
  parts.busy.setAttribute("role", "status");
  for (const factor of SPEEDS) parts.speed.append(new Option(`${factor} ×`, factor, factor === 1, factor === 1));
  const transport = make("div", "cw-transport", {}, [
    parts.back, parts.play, parts.forward, parts.time, parts.frame,
    make("label", "", {}, ["speed", parts.speed]), make("label", "", {}, [parts.loop, "loop"]),
  ]);
  const root = make("div", "cw-screen", {}, [parts.titles, parts.image, transport, parts.busy]);
  // Keys belong to the player while it has the focus: JupyterLab looks for this mark, the classic notebook
  // listens further out.
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);
  return parts;
}

export default {
  render({ model, el }) {
    const parts = build(el);
    const last = model.get("last");
    const view = Math.random().toString(36).slice(2); // the same player may be on the page twice
    let wanted = 0, shown = -1; // frame numbers
    let asked = null; // when the kernel was asked for a frame that hasn't come yet
    let latest = 0; // when it was last asked for any
    let stale = false; // the picture's contrast has changed since it was asked for
    let start = null; // while playing: the frame and the time from which the clock counts
    let address = null, timer = null;

    function ask() {
      const now = performance.now();
      if (asked !== null && now - asked < GIVE_UP) return;
      if (wanted === shown && !stale) return;
      asked = latest = now;
      stale = false;
      model.send({ kind: "frame", frame: wanted, view });
    }

    function want(frame) {
      wanted = Math.min(Math.max(frame, 0), last);
      parts.time.value = wanted;
      ask();
    }

    function done() {
      asked = null;
      parts.busy.textContent = "";
      ask();
    }

    function show(content, buffers) {
      if (content.view !== view) return;
      if (content.error) {
        pause();
        shown = wanted; // not asked for again until another is wanted
        done();
        parts.busy.textContent = content.error;
        return;
      }
      // A kernel that was busy must not make the movie leap to its end.
      const now = performance.now();
      if (start !== null && now - asked > PATIENCE) start = { frame: content.frame, time: now };
      const old = address;
      address = URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" }));
      parts.image.onload = parts.image.onerror = () => {
        if (old) URL.revokeObjectURL(old);
        shown = content.frame;
        parts.frame.textContent = parts.image.alt = content.label;
        parts.time.setAttribute("aria-valuetext", content.label);
        parts.image.dataset.frame = content.frame;
        parts.image.dataset.count = Number(parts.image.dataset.count || 0) + 1;
        done();
      };
      parts.image.src = address;
    }

    function tick() {
      const now = performance.now();
      if (asked !== null && now - asked > PATIENCE) {
        parts.busy.textContent = "waiting for the kernel: it is busy, or was restarted (then run the cell again)";
      }
      if (start === null || asked !== null || now - latest < 1000 / model.get("most") - TICK / 2) return;
      const passed = ((now - start.time) / 1000) * model.get("rate") * Number(parts.speed.value);
      const due = start.frame + Math.floor(passed);
      if (due <= last) want(due);
      else if (parts.loop.checked) play(0);
      else {
        want(last);
        pause();
      }
    }

    function face(text, label) {
      parts.play.textContent = text;
      parts.play.title = label;
      parts.play.setAttribute("aria-label", label);
    }

    function play(from) {
      start = { frame: from, time: performance.now() };
      face("❚❚", "Pause");
      want(from);
    }

    function pause() {
      start = null;
      face("▶", "Play");
    }

    function toggle() {
      if (start !== null) pause();
      else play(wanted >= last ? 0 : wanted);
    }

    function step(by) {
      pause();
      want(wanted + by);
    }

    function dress() {
      const heads = model.get("heads");
      parts.titles.style.gridTemplateColumns = heads.map((head) => `${head.share}fr`).join(" ");
      parts.titles.style.columnGap = `${model.get("gap")}px`;
      parts.titles.style.width = `${model.get("width")}px`;
      parts.titles.replaceChildren(...heads.map((head) => make("div", "", { title: `${head.title}: ${head.range}` }, [
        make("b", "", { textContent: head.title }), make("small", "", { textContent: head.range }),
      ])));
      stale = true; // titles tell the contrast, so the picture is an old one
      ask();
    }

    parts.image.style.width = `${model.get("width")}px`;
    // The height is known before the first frame comes, and follows where the page is narrower.
    parts.image.style.aspectRatio = `${model.get("width")} / ${model.get("height")}`;
    parts.image.style.imageRendering = model.get("sharp") ? "pixelated" : "auto";
    parts.time.max = Math.max(last, 1);
    for (const name of ["play", "back", "forward", "time", "loop", "speed"]) parts[name].disabled = last === 0;

    parts.play.onclick = toggle;
    parts.back.onclick = () => step(-1);
    parts.forward.onclick = () => step(1);
    parts.time.oninput = () => (start === null ? want(Number(parts.time.value)) : play(Number(parts.time.value)));
    parts.speed.onchange = () => start !== null && play(wanted);
    parts.image.onclick = toggle;
    parts.image.onkeydown = (event) => {
      const moves = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), " ": toggle };
      if (!moves[event.key]) return;
      event.preventDefault();
      moves[event.key]();
    };
    model.on("msg:custom", show);
    model.on("change:heads", dress);
    timer = setInterval(tick, TICK);
    dress();
    return () => {
      clearInterval(timer);
      model.off("msg:custom", show);
      model.off("change:heads", dress);
      if (address) URL.revokeObjectURL(address);
    };
  },
};
