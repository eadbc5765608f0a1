// Tasks for annotators, one screen at a time: on the explorer's label page, and on the page that `glossator human export`
// writes. Text is only ever set as text, never as HTML.
"use strict";

// root: an empty element; send: what is done with the answers, by default they are saved as a file. Returns what ends it.
function askTasks(root, { names, title, instructions, screens }, send = null) {
  const $ = (id) => root.querySelector(`#${id}`), ended = new AbortController();
  const MOST = 10, LONGEST = 2000;
  const KEY = "glossator:" + names.tasks;
  const isRated = names.task === "simulation";
  const CHOICES = {
    preference: [["first", "First is better", "1"], ["equal", "Equal", "0"], ["second", "Second is better", "2"]],
    gibberish: [["yes", "Yes", "y"], ["partly", "Partly", "p"], ["no", "No", "n"]],
    readability: ["1", "2", "3", "4", "5"].map((n) => [n, "Group " + n, n]),
  }[names.task];
  const switchedOff = () => { try { return localStorage.getItem("glossator-keys") === "off"; } catch { return false; } };  // in the explorer
  const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";
  const bySlot = new Map(screens.map((screen) => [screen.slot, screen]));

  // answers: slot -> text or ratings; done: slots of simulation whose ratings are finished
  let answers = {}, done = new Set(), here = 0, stored = true;

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== null && value !== undefined) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  function button(label, title, act, attributes) {
    const node = el("button", { type: "button", title, ...attributes }, label);
    node.addEventListener("click", act);
    return node;
  }
  const isAnswered = (slot) => (isRated ? done.has(slot) : typeof answers[slot] === "string" && answers[slot].trim() !== "");

  function lay() {
    const rater = el("input", { id: "rater", maxlength: "40", pattern: NAME, autocomplete: "off", spellcheck: "false", placeholder: "a short word" });
    const load = el("input", { id: "load", type: "file", accept: ".json,application/json" });
    root.className = "tasks";
    root.replaceChildren(
      el("header", null,
        el("div", { class: "bar" }, el("h1", null, title), el("label", { class: "who" }, "Your name ", rater),
          el("button", { type: "button", id: "save", class: "main", title: `${send ? "Send your answers" : "Save a file with your answers"} (Ctrl+S)` }, send ? "Send answers" : "Save answers"),
          el("label", { class: "button", for: "load", tabindex: "0", id: "load-label" }, "Load…", load)),
        el("div", { class: "progress", "aria-hidden": "true" }, el("div", { id: "progress" })),
        el("p", { class: "quiet", id: "state", role: "status" }, `${screens.length} to answer`)),
      el("details", { id: "help", open: "" }, el("summary", null, "Instructions"), el("ul", null, ...instructions.map((line) => el("li", null, line)),
        el("li", null, `Your browser keeps your answers while you work. ${send ? "Send answers stores them in the study; what you send later takes their place." : "Save answers writes a file; send it back. The page itself sends nothing."}`))),
      el("section", { id: "screen", tabindex: "-1", "aria-label": "The task" }),
      el("nav", { id: "places", "aria-label": "All places" }));
  }

  // Keeping and saving

  function valid(slot, value) {
    const screen = bySlot.get(slot);
    if (!screen) return false;
    if (isRated) return Array.isArray(value) && value.length === screen.passages[0].t.length && value.every((v) => Number.isInteger(v) && v >= 0 && v <= MOST);
    return typeof value === "string" && value.length <= LONGEST && (!CHOICES || CHOICES.some(([word]) => word === value));
  }
  function take(found) {
    for (const [slot, value] of Object.entries(found || {})) if (valid(slot, value)) answers[slot] = value;
  }
  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify({ rater: $("rater").value, answers, done: [...done] }));
      stored = true;
    } catch (_) { stored = false; }
    tell();
  }
  function recall() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) || "{}");
      take(found.answers);
      for (const slot of found.done || []) if (bySlot.has(slot) && answers[slot]) done.add(slot);
      if (typeof found.rater === "string") $("rater").value = found.rater;
    } catch (_) { stored = false; }
  }
  function filled() {
    const given = {};
    for (const { slot } of screens) if (isAnswered(slot)) given[slot] = isRated ? answers[slot] : answers[slot].trim();
    return { ...names, rater: $("rater").value.trim(), answers: given };
  }
  async function save() {
    const rater = $("rater");
    rater.classList.toggle("wanted", !rater.value.trim() || !rater.checkValidity());
    if (rater.classList.contains("wanted")) {
      rater.focus();
      tell("Write your name first: a short word of letters and digits.");
      return;
    }
    if (send) {
      tell("Sending …");
      try { tell(await send(filled(), sentBefore())); keepSent(); } catch (error) { tell(`Not sent: ${error.message}`); }
      return;
    }
    const address = URL.createObjectURL(new Blob([JSON.stringify(filled(), null, 1) + "\n"], { type: "application/json" }));
    const link = el("a", { href: address, download: `${names.task}-${names.tasks.slice(0, 8)}-${rater.value.trim()}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    tell("Saved.");
  }
  const sentBefore = () => { try { return localStorage.getItem(`${KEY}:sent`) === $("rater").value.trim(); } catch (_) { return false; } };
  const keepSent = () => { try { localStorage.setItem(`${KEY}:sent`, $("rater").value.trim()); } catch (_) { /* a browser that keeps nothing */ } };
  async function load(file) {
    try {
      const found = JSON.parse(await file.text());
      if (found.tasks !== names.tasks) throw new Error("they belong to another task set");
      take(found.answers);
      if (isRated) for (const slot of Object.keys(found.answers)) if (answers[slot]) done.add(slot);
      if (found.rater) $("rater").value = found.rater;
      keep();
      draw();
    } catch (error) { tell("These answers cannot be read: " + error.message); }
  }
  function tell(more) {
    const count = screens.filter(({ slot }) => isAnswered(slot)).length;
    $("progress").style.width = (100 * count) / screens.length + "%";
    $("state").textContent = `${count} of ${screens.length} answered. ` + (more || (stored ? "" : "This browser stores nothing: save before you close the page."));
    [...$("places").children].forEach((node, i) => {
      node.classList.toggle("done", isAnswered(screens[i].slot));
      if (i === here) node.setAttribute("aria-current", "true"); else node.removeAttribute("aria-current");
    });
  }
  function answer(value) {
    answers[screens[here].slot] = value;
    keep();
  }

  // Screens

  const shade = (level) => (level ? `rgba(var(--true), calc(${(0.1 + 0.9 * level / MOST).toFixed(2)} * var(--strength)))` : "");
  // The parts of a picture in which the unit is silent lie in the dark.
  function picture(p, n) {
    const most = Math.max(...p.a), veil = el("div", { class: "veil", "aria-hidden": "true" });
    veil.style.gridTemplateColumns = `repeat(${p.g[1]}, 1fr)`;
    for (const level of p.a) { const cell = el("i"); cell.style.opacity = (0.74 * (1 - level / MOST)).toFixed(2); veil.append(cell); }
    return el("figure", { class: "picture" }, el("div", null, el("img", { src: p.i, alt: `Picture ${n}, strongest ${most} of ${MOST}` }), veil), el("figcaption", { class: "quiet" }, `up to ${most}`));
  }
  function passage(p, n) {
    if (p.i) return picture(p, n);
    const out = new Set(p.x), strongest = p.t.filter((_, i) => p.a[i] === Math.max(...p.a) && p.a[i] > 0).slice(0, 3);
    const line = el("div", { class: "passage", "aria-label": `Passage ${n}` + (strongest.length ? `, strongest at ${strongest.join(", ")}` : ", silent") });
    p.t.forEach((token, i) => {
      const span = el("span", { class: out.has(i) ? "tok out" : "tok", title: out.has(i) ? "left out" : p.a[i] ? String(p.a[i]) : null }, token);
      span.style.backgroundColor = shade(p.a[i]);
      line.append(span);
    });
    return line;
  }
  const shown = (screen) => {
    if (screen.passages.some((p) => p.i)) return [el("h2", null, "Where it fires"), el("div", { class: "pictures" }, ...screen.passages.map((p, i) => picture(p, i + 1)))];
    const size = screen.passages.length / (screen.groups || 1);
    return screen.passages.flatMap((p, i) => [
      ...(i % size ? [] : [el("h2", null, screen.groups ? `Group ${i / size + 1}` : "Where it fires")]), passage(p, i % size + 1)]);
  };

  function drawChoice(screen) {
    const row = el("div", { class: "row", role: "group", "aria-label": "Your answer" });
    for (const [word, label, key] of CHOICES) {
      row.append(button(label, `Key ${key}`, () => { answer(word); draw(); }, { "aria-pressed": String(answers[screen.slot] === word), "data-answer": word }), el("kbd", null, key));
    }
    const said = names.task === "preference"
      ? el("div", { class: "pair" }, ...screen.said.map((text, i) => el("div", null, el("h2", null, i ? "Second" : "First"), el("p", { class: "said" }, text))))
      : el("p", { class: "said" }, screen.said[0]);
    return [said, row, el("div", null, ...(screen.passages.length ? [el("div", { class: "row" }), ...shown(screen)] : []))];
  }

  function drawText(screen) {
    const area = el("textarea", { "aria-label": "Your answer", maxlength: LONGEST, placeholder: names.task === "labelling" ? "It responds to …" : "The same in other words" });
    area.value = answers[screen.slot] || "";
    area.addEventListener("input", () => answer(area.value));
    setTimeout(() => area.focus(), 0);
    const hint = el("p", { class: "quiet" }, el("kbd", null, "Ctrl"), " + ", el("kbd", null, "Enter"), " for the next one.");
    return screen.said.length ? [el("p", { class: "said" }, screen.said[0]), area, hint] : [area, hint, ...shown(screen)];
  }

  let chosen = { from: 0, to: 0 }, typed = null; // tokens that a rating goes to; the digit typed last, which may be the 1 of 10
  function drawRating(screen) {
    const p = screen.passages[0], out = new Set(p.x), slot = screen.slot;
    const ratings = () => answers[slot] || p.t.map(() => 0);
    const line = el("div", { class: "passage rate", tabindex: "0", role: "group", "aria-label": "Passage to rate" });
    const spans = p.t.map((token, i) => {
      const span = el("span", { class: out.has(i) ? "tok out" : "tok" }, token);
      span.addEventListener("mousedown", (event) => { event.preventDefault(); line.focus(); choose(i, event.shiftKey); });
      span.addEventListener("mouseover", (event) => { if (event.buttons === 1) choose(i, true); });
      return span;
    });
    line.append(...spans);
    const spoken = el("p", { class: "quiet", role: "status" });
    function paint() {
      const now = ratings(), low = Math.min(chosen.from, chosen.to), high = Math.max(chosen.from, chosen.to);
      spans.forEach((span, i) => {
        span.classList.toggle("chosen", i >= low && i <= high);
        span.style.backgroundColor = shade(now[i]);
        if (now[i]) span.dataset.rating = now[i]; else delete span.dataset.rating;
      });
      spoken.textContent = `“${p.t.slice(low, high + 1).join("")}” ` + (out.has(low) && low === high ? "is left out" : `is rated ${now[high]}`);
    }
    function choose(i, more) {
      chosen = { from: more ? chosen.from : i, to: i };
      typed = null;
      paint();
    }
    function rate(change) {
      const now = [...ratings()], low = Math.min(chosen.from, chosen.to), high = Math.max(chosen.from, chosen.to);
      for (let i = low; i <= high; i++) if (!out.has(i)) now[i] = Math.max(0, Math.min(MOST, change(now[i])));
      answer(now);
      paint();
    }
    function finish() {
      if (!answers[slot]) answers[slot] = ratings();
      done.add(slot);
      keep();
      go(1);
    }
    line.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const last = p.t.length - 1, digit = /^[0-9]$/.test(event.key) ? Number(event.key) : null;
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(Math.max(0, Math.min(last, chosen.to + step)), event.shiftKey);
      else if (event.key === "Home") choose(0, event.shiftKey);
      else if (event.key === "End") choose(last, event.shiftKey);
      else if (event.key === "ArrowUp") { typed = null; rate((v) => v + 1); }
      else if (event.key === "ArrowDown") { typed = null; rate((v) => v - 1); }
      else if (digit === 0 && typed === 1) { typed = null; rate(() => MOST); }
      else if (digit !== null) { typed = digit; rate(() => digit); }
      else if (event.key === "x") rate(() => MOST);
      else if (event.key === "Backspace" || event.key === "Delete") rate(() => 0);
      else if (event.key === "Enter") finish();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    chosen = { from: 0, to: 0 };
    typed = null;
    paint();
    setTimeout(() => line.focus({ preventScroll: true }), 0);
    const palette = el("div", { class: "row palette", role: "group", "aria-label": "Rating of the selection" });
    for (let v = 0; v <= MOST; v++) {
      const node = button(String(v), `Rate the selection ${v}`, () => { typed = null; rate(() => v); line.focus(); });
      node.style.backgroundColor = shade(v);
      palette.append(node);
    }
    palette.append(button(done.has(slot) ? "Rated ✓ next" : "Done, next", "Enter", finish, { class: "main push", id: "finish" }));
    const keys = el("p", { class: "quiet" }, el("kbd", null, "←"), el("kbd", null, "→"), " choose, with ", el("kbd", null, "Shift"), " several; ", el("kbd", null, "0"), "–", el("kbd", null, "9"), ", ", el("kbd", null, "x"), " for 10, ",
      el("kbd", null, "↑"), el("kbd", null, "↓"), " rate; ", el("kbd", null, "Enter"), " when the passage is done, even if every token is 0.");
    return [el("h2", null, "Explanation: it responds to"), el("p", { class: "said" }, screen.said[0]), line, palette, spoken, keys];
  }

  // Moving about

  function draw() {
    const screen = screens[here];
    const parts = isRated ? drawRating(screen) : CHOICES ? drawChoice(screen) : drawText(screen);
    const row = el("div", { class: "row" }, button("← back", "Previous (k)", () => go(-1)), button("next →", "Next (j)", () => go(1)));
    $("screen").replaceChildren(el("div", { class: "place" }, el("span", null, `${here + 1} of ${screens.length}`), el("span", null, screen.slot)), ...parts, row);
    tell();
  }
  function go(by) {
    const before = here;
    here = Math.max(0, Math.min(screens.length - 1, here + by));
    if (by) $("help").open = false;
    if (here !== before) root.scrollIntoView();
    draw();
    if (before === here && by > 0 && screens.every(({ slot }) => isAnswered(slot))) tell("All answered. Save your answers.");
  }
  lay();
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") { event.preventDefault(); save(); return; }
    if (event.target.matches("textarea") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); go(1); return; }
    if (event.target.matches("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.length === 1 && switchedOff()) return;
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (CHOICES && event.key === "Enter" && !event.target.matches("button, summary, label")) go(1);
    else if (CHOICES) for (const [word, , key] of CHOICES) if (key === event.key) { answer(word); draw(); }
  }, { signal: ended.signal });
  $("rater").addEventListener("input", keep);
  $("save").addEventListener("click", save);
  $("load").addEventListener("change", () => { if ($("load").files[0]) load($("load").files[0]); $("load").value = ""; });
  $("load-label").addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); $("load").click(); } });
  screens.forEach(({ slot }, i) => $("places").append(button(String(i + 1), slot, () => { here = i; draw(); })));
  recall();
  here = Math.max(0, screens.findIndex(({ slot }) => !isAnswered(slot)));
  draw();
  return () => ended.abort();
}
