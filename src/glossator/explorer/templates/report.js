// Draws the list of units and the chosen unit from the data in the page. Text is only ever set as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STEPS = 999;
  const $ = (id) => document.getElementById(id);
  const byId = new Map([...data.units.map((unit) => [unit.name, unit]), ...data.units.map((unit) => [unit.id, unit])]);

  function el(tag, attributes, ...children) {
    const svg = ["svg", "rect", "circle", "line", "path", "text", "title"].includes(tag);
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== null && value !== undefined) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const show = (value, digits = 2) => {
    if (value === null || value === undefined) return "–";
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  };
  const precise = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toString().replace("-", "−"));
  const baselineOf = (unit, name) => (unit.score ? unit.score.baselines[name] ?? null : null);

  // The list

  const last = (value) => (value === null ? -Infinity : value);
  const value = (unit) => (unit.score ? last(unit.score.value) : -Infinity);
  const gain = (name) => (unit) => (baselineOf(unit, name) === null || !unit.score || unit.score.value === null ? -Infinity : unit.score.value - baselineOf(unit, name));
  const place = new Map(data.units.map((unit, i) => [unit, i]));
  const orders = {
    best: value,
    worst: (unit) => (value(unit) === -Infinity ? -Infinity : -value(unit)),
    causal: (unit) => (unit.causal ? last(unit.causal.value) : -Infinity),
    list: gain("token-list"),
    table: gain("lookup"),
    rare: (unit) => (unit.stats ? -unit.stats.firing_rate : -Infinity),
    index: (unit) => -place.get(unit),
  };
  let visible = [];

  function drawList() {
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const key = orders[$("sort").value];
    const matches = (unit) => {
      const text = (unit.id + " " + unit.status + " " + unit.short + " " + unit.explanations.map((e) => e.text).join(" ")).toLowerCase();
      return words.every((word) => text.includes(word));
    };
    visible = data.units.filter(matches).sort((a, b) => (key(b) > key(a) ? 1 : key(b) < key(a) ? -1 : place.get(a) - place.get(b)));
    $("units").replaceChildren(...visible.map(entry));
    $("found").textContent = `${visible.length} of ${data.units.length} units` + (data.units.length < data.total ? `, of ${data.total} in the study` : "");
    mark();
  }

  function entry(unit) {
    const score = unit.score;
    const link = el("a", { href: "#" + encodeURIComponent(unit.id), "data-id": unit.id },
      el("span", { class: "id" }, unit.id),
      el("span", { class: "r" }, score && score.value !== null ? show(score.value) : unit.status,
        unit.causal && unit.causal.value !== null ? el("span", { class: "acted", title: "causal: " + unit.causal.name }, show(unit.causal.value)) : null));
    if (score && score.value !== null) link.append(bar(score, "bar", 260, 9));
    link.append(el("span", { class: "text" }, unit.short || unit.reason));
    return el("li", null, link);
  }

  // Marks on an axis from 0 (or the lowest value) to 1

  const SHAPES = {
    "lookup": (x, y, r) => `M${x - r} ${y - r}H${x + r}V${y + r}H${x - r}Z`,
    "token-list": (x, y, r) => `M${x} ${y - r - 1}L${x + r + 1} ${y + r}H${x - r - 1}Z`,
    "mismatched": (x, y, r) => `M${x} ${y - r - 1}L${x + r + 1} ${y}L${x} ${y + r + 1}L${x - r - 1} ${y}Z`,
  };
  const shape = (name, x, y, r) => el("path", { d: (SHAPES[name] || SHAPES["mismatched"])(x, y, r), class: SHAPES[name] ? "mark-" + name : "mark-more" });

  function bar(score, className, width, height) {
    const baselines = Object.entries(score.baselines).filter(([, v]) => v !== null);
    const values = [score.value, score.low, ...baselines.map(([, v]) => v)].filter((v) => v !== null);
    const low = Math.min(0, ...values), high = Math.max(1, score.high ?? 1, ...values), r = Math.min(4, height / 2 - 0.5);
    const x = (v) => 5 + ((v - low) / (high - low)) * (width - 10), y = height / 2;
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, class: className, preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(el("line", { x1: x(low), x2: x(high), y1: y, y2: y, class: "mark-axis" }));
    svg.append(el("line", { x1: x(0), x2: x(0), y1: 0, y2: height, class: "mark-axis" }));
    if (score.low !== null) svg.append(el("line", { x1: x(score.low), x2: x(score.high), y1: y, y2: y, class: "mark-range" }));
    for (const [name, v] of baselines) svg.append(shape(name, x(v), y, r - 1));
    svg.append(el("circle", { cx: x(score.value), cy: y, r, class: "mark-value" }));
    return svg;
  }

  // One unit

  function drawUnit(unit) {
    const parts = [top(unit)];
    if (unit.reason) parts.push(el("p", { class: "quiet" }, unit.status + ": " + unit.reason));
    const first = unit.explanations.filter((e) => e.rank === 0), others = unit.explanations.filter((e) => e.rank > 0);
    if (first.length) parts.push(...headlines(unit), ...strongest(unit), el("p", { class: unit.modes.length ? "sentence" : "best" }, unit.text), el("p", { class: "quiet" }, inOneLine(unit)), ...unit.flags.map((flag) => el("p", null, el("span", { class: "chip failed" }, flag))));
    parts.push(...windows(unit));
    for (const [i, explanation] of first.entries()) {
      if (i < 2) parts.push(el("h2", null, i ? "Other methods" : "Scores"));
      parts.push(explained(explanation, i === 0));
    }
    if (others.length) {
      const box = el("details", null, el("summary", null, `${others.length} more candidate${others.length > 1 ? "s" : ""}, ranked on the select split`));
      for (const other of others) box.append(explained(other));
      parts.push(box);
    }
    parts.push(...people(unit));
    if (unit.stats) parts.push(el("h2", null, "Activations"), facts(unit));
    $("detail").replaceChildren(...parts);
  }

  // The headline and the other modes, each with its share of the activation.
  function headlines(unit) {
    return unit.modes.map(([text, share], i) => el("p", { class: i ? "mode" : "best" }, i ? "also " + text : text, share === null ? null : el("span", { class: "share" }, ` ${Math.round(100 * share)} % of the activation`)));
  }

  // Written words at the highest peaks.
  function strongest(unit) {
    return unit.peaks.length ? [el("p", { class: "mode" }, "strongest on: " + unit.peaks.join(", "))] : [];
  }

  function windows(unit) {
    const parts = [];
    for (const [kind, heading] of [["top", `Top test ${data.named}`], ["random", `Random test ${data.named}`]]) {
      const shown = (unit.windows || []).filter((w) => w.k === kind);
      if (!shown.length) continue;
      parts.push(el("h2", null, heading));
      if (kind === "top") parts.push(key(shown.some((w) => w.p)));
      const drawn = shown.map((w) => (w.i ? drawImage(unit, w) : drawWindow(unit, w)));
      parts.push(...(shown[0].i ? [el("div", { class: "images" }, ...drawn)] : drawn));
    }
    return parts;
  }

  // The method of the best explanation, its headline score, and the baselines beside it.
  function inOneLine(unit) {
    const s = unit.score;
    if (!s) return unit.method;
    const baselines = Object.entries(s.baselines).filter(([, v]) => v !== null).map(([name, v]) => `${name} ${show(v)}`);
    return `${unit.method}: ${s.name} ` + (s.value === null ? `– (${s.reason})` : [range(s.value, s.low, s.high), baselines.join(", ")].filter(Boolean).join("; "));
  }

  function top(unit) {
    const step = (by, label) => {
      const button = el("button", { type: "button", title: label }, by < 0 ? "← previous" : "next →");
      button.addEventListener("click", () => go(by));
      return button;
    };
    return el("div", { class: "top" },
      el("span", { class: "name mono" }, unit.name, unit.status === "ok" ? null : el("span", { class: "chip " + unit.status }, unit.status)),
      el("span", { class: "go" }, step(-1, "Previous unit in the list (k)"), step(1, "Next unit in the list (j)")));
  }

  function explained(e, said) {
    const box = el("section", { class: "explanation" + (e.rank ? " more" : "") });
    if (!said) box.append(el("p", { class: "text" }, e.text));
    const about = [e.method + (e.role ? " (" + e.role + ")" : "")];
    if (e.model) about.push(e.model + (e.cost ? `, ${e.cost}` : ""));
    if (e.bits !== null) about.push(`${Math.round(e.bits)} bits`);
    about.push(`${e.text.length} characters`);
    if (e.select !== null) about.push(`r on the select split ${show(e.select)}`);
    box.append(el("p", { class: "quiet" }, about.join(" · ")));
    if (e.program) box.append(el("details", null, el("summary", null, "Program"), el("div", { class: "program" }, e.program)));
    if (!e.scores.length) return box;
    const main = (s) => s.column === "causal" || (/^(correlation|detection\.auroc|explained-variance\.centred|peak)\./.test(s.name) && !/per-window/.test(s.name));
    const columns = Object.keys(data.why).map((column) => {
      const own = e.scores.filter((s) => s.column === column), first = own.filter(main);
      const shown = first.length ? first : own, rest = own.filter((s) => !shown.includes(s));
      const box = el("div", null, el("h3", null, column + " ", el("span", { class: "question" }, QUESTIONS[column])));
      box.append(own.length ? table(shown) : el("p", { class: "quiet" }, data.why[column]));
      if (rest.length) box.append(el("details", null, el("summary", null, `${rest.length} more scores`), table(rest)));
      return box;
    });
    box.append(el("div", { class: "columns" }, ...columns));
    return box;
  }

  const QUESTIONS = { observational: "does it predict?", causal: "does intervening do what it says?" };
  const range = (value, low, high, digits = 2) => (low === null ? show(value, digits) : `${show(value, digits)} [${show(low, digits)},\u00a0${show(high, digits)}]`);

  function scoreName(s) {
    const [, name, setting] = s.name.match(/^(.*?)(?:\.(top-and-random|random-only))?$/);
    const none = s.value !== null && s.low === null && s.no_interval ? `no interval: ${s.no_interval}` : null;
    const about = [setting ? setting.replaceAll("-", " ") : null, s.value === null ? null : `n ${s.n}`, none].filter(Boolean).join(", ");
    return el("td", { class: "name" }, name.replaceAll(".", ".\u200b"), el("span", { class: "quiet" }, about));
  }

  // A score, then each of its baselines with the mark that stands for it in the plot, and how far the score is above it.
  function table(scores) {
    const corrected = scores.some((s) => Object.values(s.over).some((over) => over[4] !== null));
    const head = el("tr", null, el("th", { scope: "col" }, "score, baselines"), el("th", { scope: "col", class: "n" }, "value [95\u00a0%]"),
      el("th", { scope: "col", class: "n" }, "margin [95\u00a0%]"), el("th", { scope: "col", class: "n" }, corrected ? "q" : "p"));
    const rows = scores.flatMap((s) => {
      const title = `${s.measure}, n = ${s.n}`;
      if (s.value === null) return [el("tr", { title, class: "score" }, scoreName(s), el("td", { colspan: 3, class: "quiet why" }, s.reason))];
      const own = el("tr", { title, class: "score" }, scoreName(s),
        el("td", { class: "n" }, el("b", null, show(s.value)), s.low === null ? null : el("span", { class: "quiet" }, ` [${show(s.low)},\u00a0${show(s.high)}]`)),
        el("td", { colspan: 2, class: "plot" }, bar(s, "", 200, 16)));
      return [own, ...Object.entries(s.baselines).map(([name, value]) => {
        const over = s.over[name], probability = over ? (corrected ? over[4] : over[3]) : null;
        return el("tr", { class: "baseline" }, el("td", null, el("svg", { viewBox: "0 0 12 12" }, shape(name, 6, 6, 3.5)), " " + name), el("td", { class: "n" }, show(value)),
          el("td", { class: "n" }, over ? range(over[0], over[1], over[2]) : "–"), el("td", { class: "n" }, show(probability, 3)));
      })];
    });
    return el("div", { class: "scroll" }, el("table", { class: "scores" }, el("thead", null, head), el("tbody", null, ...rows)));
  }

  // What people did with the unit

  function people(unit) {
    const told = unit.people || {}, rows = [];
    const row = (who, did, score, beside) => rows.push(el("tr", null, el("td", null, who), el("td", { class: "did" }, did), el("td", { class: "name" }, score.name),
      el("td", { class: "n" }, score.value === null ? el("span", { class: "quiet" }, score.reason) : range(score.value, score.low, score.high)), el("td", { class: "n" }, beside)));
    for (const s of told.simulations || []) for (const [i, pair] of s.pairs.entries()) row(s.rater, i ? "" : `rated tokens from the ${s.method} explanation`, pair[0], pair[1] ? `model ${range(pair[1].value, pair[1].low, pair[1].high)}` : "");
    for (const l of told.labels || []) for (const [i, score] of l.scores.entries()) row(l.who, i ? "" : `wrote: ${l.text}`, score, Object.entries(score.baselines).map(([name, v]) => `${name} ${show(v)}`).join(", "));
    for (const r of told.rewrites || []) row(r.by, `rewrote it as: ${r.text}`, r.rewritten, `original ${range(r.original.value, r.original.low, r.original.high)}`);
    if (!rows.length) return [];
    const head = el("tr", null, ...["person", "did", "score", "value [95 %]", "beside it"].map((name, i) => el("th", { scope: "col", class: i > 2 ? "n" : null }, name)));
    return [el("h2", null, "People"), el("div", { class: "scroll" }, el("table", { class: "people" }, el("thead", null, head), el("tbody", null, ...rows)))];
  }

  function facts(unit) {
    const s = unit.stats;
    const lines = [
      ["fires on", `${(100 * s.firing_rate).toPrecision(2)} % of random tokens`],
      ["threshold", `${precise(s.firing_threshold)} (${s.firing_rule})`],
      ["mean, maximum", `${precise(s.mean)}, ${precise(s.maximum)}`],
      ["spread", `standard deviation ${precise(Math.sqrt(s.variance))}, skewness ${precise(s.skewness)}, kurtosis ${precise(s.kurtosis)}`],
      ["tokens seen", s.count.toLocaleString("en")],
    ];
    return el("div", { class: "facts-row" }, histogram(unit.histogram, s.firing_threshold),
      el("dl", { style: "grid-template-columns: 1fr" }, ...lines.map(([a, b]) => el("div", null, el("dt", null, a), el("dd", null, b)))));
  }

  function histogram(h, threshold) {
    const width = 360, height = 120, base = height - 18, step = width / h.counts.length;
    const most = Math.log1p(Math.max(...h.counts, 1)), x = (v) => ((v - h.low) / (h.high - h.low)) * width;
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": "Histogram of activations on random tokens, heights logarithmic" });
    h.counts.forEach((count, i) => {
      const tall = (Math.log1p(count) / most) * (base - 4), from = h.low + (i * (h.high - h.low)) / h.counts.length, to = h.low + ((i + 1) * (h.high - h.low)) / h.counts.length;
      if (!count) return;
      const rect = el("rect", { x: i * step + 0.5, y: base - tall, width: step - 1, height: Math.max(tall, 1), class: (from + to) / 2 > threshold ? "fires" : "" });
      rect.append(el("title", null, `${precise(from)} to ${precise(to)}: ${count.toLocaleString("en")} tokens`));
      svg.append(rect);
    });
    if (threshold > h.low && threshold < h.high) svg.append(el("line", { x1: x(threshold), x2: x(threshold), y1: 0, y2: base }));
    svg.append(el("text", { x: 0, y: height - 4 }, precise(h.low)), el("text", { x: width, y: height - 4, "text-anchor": "end" }, precise(h.high)));
    if (h.low < 0 && h.high > 0) svg.append(el("text", { x: x(0), y: height - 4, "text-anchor": "middle" }, x(0) > 40 && x(0) < width - 40 ? "0" : ""));
    return svg;
  }

  const background = (t, p) => `linear-gradient(to bottom, rgba(var(--true), ${t.toFixed(2)}) 0 52%, rgba(var(--said), ${p.toFixed(2)}) 52% 100%)`;

  function key(predicted) {
    const said = predicted ? [" below: ", el("span", { class: "key", style: "background: rgba(var(--said), .75)" }, "predicted activation")] : [];
    return el("p", { class: "quiet" }, "above: ", el("span", { class: "key", style: "background: rgba(var(--true), .75)" }, "true activation"), ...said,
      `. One scale for all ${data.named} of the unit. Hover for the numbers.`);
  }

  // An image, with each of its cells in the colour of what the unit did there and of what was predicted.
  function drawImage(unit, w) {
    const peak = Math.max(...w.a), cells = w.g.length ? w.g : [1, 1];
    const value = (v) => (v === null ? "–" : precise((v * unit.largest) / STEPS));
    const grid = el("div", { class: "cells" });
    grid.style.gridTemplate = `repeat(${cells[0]}, 1fr) / repeat(${cells[1]}, 1fr)`;
    w.a.forEach((a, i) => {
      const cell = el("span", { class: "tok" }), t = Math.max(0, a) / STEPS, p = w.p ? Math.max(0, w.p[i]) / STEPS : 0;
      if (cells[0] * cells[1] > 1 && (t > 0.03 || p > 0.03)) cell.style.backgroundImage = background(0.6 * t, 0.6 * p);
      cell.dataset.tip = `true ${value(a)}` + (w.p ? `, predicted ${value(w.p[i])}` : "");
      grid.append(cell);
    });
    const predicted = w.p ? `, predicted ${value(w.p[w.a.indexOf(peak)])}` : "";
    return el("figure", null,
      el("div", { class: "image" }, el("img", { src: w.i, alt: `input of ${w.d}` }), grid),
      el("figcaption", { class: "about" }, `peak ${value(peak)}${predicted} · ${w.d}`));
  }

  function drawWindow(unit, w) {
    const out = new Set(w.x);
    const peak = w.a.reduce((at, a, i) => (!out.has(i) && (at < 0 || a > w.a[at]) ? i : at), -1);
    const at = (values) => (peak < 0 || values[peak] === null ? "–" : precise((values[peak] * unit.largest) / STEPS));
    const more = el("button", { type: "button", title: "Show the whole window, or one line around its peak" }, "whole");
    const line = el("div", { class: "window" }, el("span", { class: "about" }, `peak ${at(w.a)}` + (w.p ? `, predicted ${at(w.p)}` : "") + ` · ${data.group} ${w.d} `, more));
    more.addEventListener("click", () => { more.textContent = line.classList.toggle("whole") ? "around the peak" : "whole"; });
    const before = el("span"), after = el("span", { class: "after" });
    w.t.forEach((token, i) => {
      const span = el("span", { class: out.has(i) ? "tok out" : "tok" }, data.pieces[token]);
      const t = Math.max(0, w.a[i]) / STEPS, p = w.p ? Math.max(0, w.p[i]) / STEPS : 0;
      if (!out.has(i) && (t > 0.03 || p > 0.03)) span.style.backgroundImage = background(0.8 * t, 0.8 * p);
      span.dataset.tip = `${data.pieces[token]}\n` + (out.has(i) ? "left out" : `true ${precise((w.a[i] * unit.largest) / STEPS)}` + (w.p ? `, predicted ${w.p[i] === null ? "–" : precise((w.p[i] * unit.largest) / STEPS)}` : ""));
      (i < peak ? before : after).append(span);
    });
    line.append(el("div", { class: "text" }, el("span", { class: "before" }, before), after));
    return line;
  }

  // Moving about

  let chosen = null; // the unit on the page
  function address() {
    const written = location.hash.slice(1);
    try { return decodeURIComponent(written); } catch { return written; }
  }
  function mark() {
    for (const link of $("units").querySelectorAll("a")) {
      if (chosen && link.dataset.id === chosen.id) { link.setAttribute("aria-current", "true"); link.scrollIntoView({ block: "nearest" }); } else link.removeAttribute("aria-current");
    }
  }
  function go(by) {
    const at = visible.indexOf(chosen);
    const next = visible[Math.min(visible.length - 1, Math.max(0, at + by))];
    if (next) location.hash = encodeURIComponent(next.id);
  }
  function arrive(jump) {
    const wanted = address();
    chosen = byId.get(wanted) || chosen || visible[0];
    if (!chosen) return;
    drawUnit(chosen);
    if (wanted && !byId.has(wanted)) $("detail").prepend(el("p", { class: "quiet", role: "alert" }, `${wanted} is not in this report; here is another unit.`));
    mark();
    if (jump && $("detail").getBoundingClientRect().top < 0) $("detail").scrollIntoView();
    if (jump && window.innerWidth <= 900) $("detail").scrollIntoView();
  }
  const tip = $("tip");
  document.addEventListener("mouseover", (event) => {
    const text = event.target.dataset && event.target.dataset.tip;
    tip.hidden = !text;
    if (text) tip.textContent = text;
  });
  document.addEventListener("mousemove", (event) => {
    if (tip.hidden) return;
    tip.style.left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.min(event.clientY + 18, window.innerHeight - tip.offsetHeight - 8) + "px";
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") go(1);
    if (event.key === "k") go(-1);
    if (event.key === "/") { event.preventDefault(); $("find").focus(); }
  });
  $("find").addEventListener("input", drawList);
  $("sort").addEventListener("change", drawList);
  window.addEventListener("hashchange", () => arrive(true));
  drawList();
  arrive(false);
})();
